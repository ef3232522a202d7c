//! Time and memory of a folder of photos:
//! `cargo run --release -p expllm-benches --bin folder -- target/release/expllm PHOTO...`.
//!
//! Makes folders of 100, 1,000 and 10,000 photos (hard links to the given ones, in turn), runs
//! `expllm au` over each and prints the time and the most memory that it held at once. Linux only:
//! the memory is `VmHWM` of `/proc`, looked at every ten milliseconds.

#![allow(clippy::print_stdout)] // It reports to the person who started it.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SIZES: [usize; 3] = [100, 1_000, 10_000];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let program = arguments.next().ok_or("name the program, then photos")?;
    let photos: Vec<_> = arguments.collect();
    if photos.is_empty() {
        return Err("name at least one photo".into());
    }
    for size in SIZES {
        let folder = tempfile::tempdir()?;
        fill(folder.path(), &photos, size)?;
        let start = Instant::now();
        let mut child = Command::new(&program)
            .arg("au")
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let peak = watch(&mut child)?;
        let status = child.wait()?;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{size:>6} photos: {seconds:.1} s, {:.1} photos/s, at most {:.1} MB, {status}",
            size as f64 / seconds,
            peak as f64 / 1e3,
        );
    }
    Ok(())
}

/// Links photos into a folder, or copies them where the file system has no links.
fn fill(folder: &Path, photos: &[PathBuf], size: usize) -> std::io::Result<()> {
    for index in 0..size {
        let photo = &photos[index % photos.len()];
        let extension = photo.extension().unwrap_or_default().to_string_lossy();
        let link = folder.join(format!("{index:05}.{extension}"));
        if fs::hard_link(photo, &link).is_err() {
            fs::copy(photo, &link)?;
        }
    }
    Ok(())
}

/// Waits for the end; returns the most memory seen, in kilobytes.
fn watch(child: &mut Child) -> std::io::Result<u64> {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(kilobytes.unwrap_or(0));
        sleep(Duration::from_millis(10));
    }
    Ok(peak)
}
