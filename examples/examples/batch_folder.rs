//! A folder of photos on all cores: one line per face, one bad file stops nothing.
//!
//! cargo run --release -p expllm-examples --example batch_folder -- examples/photos
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};

use expllm_au::{FaceReader, FaceReading, PhotoReader};
use rayon::prelude::*;

fn lines(reader: &FaceReader, path: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let photo = PhotoReader::default().read(path)?;
    let line = |face: &FaceReading| format!("{}\t{face}", path.display());
    let faces = reader.read(&photo)?;
    Ok(faces.iter().flatten().map(line).collect())
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name a folder")?;
    let reader = FaceReader::pretrained()?;
    let entries: Result<Vec<_>, _> = std::fs::read_dir(folder)?.collect();
    let mut paths: Vec<PathBuf> = entries?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    // A few photos at a time keep the memory constant, however many there are.
    for chunk in paths.chunks(32) {
        let found: Vec<Vec<String>> = chunk
            .par_iter()
            .map(|path| lines(&reader, path).unwrap_or_else(|e| vec![format!("error\t{e}")]))
            .collect();
        found.iter().flatten().for_each(|line| println!("{line}"));
    }
    Ok(())
}
