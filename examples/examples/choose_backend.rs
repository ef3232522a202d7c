//! Chooses where the networks run: the backends of this build, or one by its name.
//!
//! cargo run --release -p expllm-examples --example choose_backend -- examples/photos/astronaut.png [cpu]
//!
//! A build with `--features expllm-au/wgpu` or `expllm-au/cuda` has more of them (docs/backends.md).
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use expllm_au::{Backend, FaceReader, FaceReaderConfig, PhotoReader};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let photo = arguments.next().ok_or("name a photo")?;
    let photo = PhotoReader::default().read(photo)?;
    let chosen = match arguments.next() {
        Some(name) => vec![name.parse::<Backend>()?],
        None => Backend::ALL.into_iter().filter(|b| b.is_built()).collect(),
    };
    for backend in chosen {
        let config = FaceReaderConfig {
            device: Some(backend),
        };
        // A backend that this build lacks is an error that says how to get it.
        let reader = FaceReader::with_config(&config)?;
        // What runs for the first time is set up for the device.
        reader.read(&photo)?;
        let started = Instant::now();
        let faces = reader.read(&photo)?;
        let time = started.elapsed();
        println!("{backend}: {} faces in {time:.1?}", faces.len());
    }
    Ok(())
}
