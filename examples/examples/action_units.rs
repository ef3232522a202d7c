//! Action units of every face of a photo, as a product that needs nothing else would read them.
//!
//! cargo run --release -p expllm-examples --example action_units -- examples/photos/astronaut.png
#![allow(clippy::print_stdout)]

use std::error::Error;

use expllm_au::{FaceReader, PhotoReader};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a photo")?;
    let photo = PhotoReader::default().read(path)?;
    for face in FaceReader::pretrained()?.read(&photo)? {
        match face {
            Ok(reading) => println!("{reading}"),
            Err(unread) => println!("not read: {unread}"),
        }
    }
    Ok(())
}
