//! Folders of frames, and of videos.

use std::path::{Path, PathBuf};

use expllm_face::PhotoReader;

use super::{ClipInfo, ClipOptions, Frame, NO_FRAMES, Opened, Side, Start};
use crate::VideoError;

/// Extensions of frames.
const FRAMES: [&str; 7] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff"];

/// Extensions of videos that are looked for in folders; a file that is named is always tried.
const VIDEOS: [&str; 15] = [
    "mp4", "mov", "m4v", "avi", "mkv", "webm", "mpg", "mpeg", "mts", "ts", "wmv", "flv", "gif",
    "mjpeg", "mjpg",
];

/// Opens a folder of frames at a rate; a frame that cannot be read is an error of that frame.
pub fn open(path: &Path, options: &ClipOptions) -> Result<Opened, VideoError> {
    let files = frames(path)?;
    if files.is_empty() {
        let reason = format!("holds no frames ({})", FRAMES.join(", "));
        return Err(VideoError::unreadable(path, reason));
    }
    let options = *options;
    let timed = files.into_iter().enumerate();
    let timed = timed.map(move |(at, file)| (at as f64 / options.rate, file));
    let wanted = timed.filter(move |(time, _)| options.side(*time) == Side::Within);
    let numbered: Vec<_> = (0..)
        .zip(wanted)
        .filter(|(n, _)| options.takes(*n))
        .collect();
    if numbered.is_empty() {
        return Err(VideoError::unreadable(path, NO_FRAMES));
    }
    let info = ClipInfo {
        expected_frames: Some(numbered.len() as u64),
        rate: Some(options.rate),
        base_rate: Some(options.rate),
        ..ClipInfo::default()
    };
    let frames = numbered
        .into_iter()
        .map(|(number, (time, file))| read(number, time, &file));
    let start: Start = Box::new(move || Box::new(frames));
    Ok(Opened { info, start })
}

fn read(number: u64, time: f64, file: &Path) -> Result<Frame, VideoError> {
    let photo = PhotoReader::default().read(file);
    let photo = photo.map_err(|error| VideoError::Frame {
        number,
        time,
        reason: error.to_string(),
    })?;
    Ok(Frame {
        number,
        time,
        photo,
    })
}

/// The frames of a folder in the natural order of their names.
pub fn frames(path: &Path) -> Result<Vec<PathBuf>, VideoError> {
    files(path, &FRAMES)
}

/// The videos of a folder in the natural order of their names.
pub fn videos(path: &Path) -> Result<Vec<PathBuf>, VideoError> {
    files(path, &VIDEOS)
}

fn files(path: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, VideoError> {
    let io = |error| VideoError::unreadable(path, error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        if file.is_file() && has_extension(&file, extensions) {
            files.push(file);
        }
    }
    alphanumeric_sort::sort_path_slice(&mut files);
    Ok(files)
}

fn has_extension(file: &Path, extensions: &[&str]) -> bool {
    let extension = file.extension().and_then(|e| e.to_str());
    let lower = extension.map(str::to_ascii_lowercase);
    lower.is_some_and(|extension| extensions.contains(&extension.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clip;

    #[test]
    fn frames_come_in_natural_order_and_a_bad_one_costs_no_other() {
        let dir = tempfile::tempdir().unwrap();
        for number in [10_u8, 2, 1] {
            let picture = image::RgbImage::from_pixel(2, 3, image::Rgb([number; 3]));
            picture
                .save(dir.path().join(format!("f{number}.png")))
                .unwrap();
        }
        std::fs::write(dir.path().join("f3.png"), b"broken").unwrap();
        let options = ClipOptions {
            rate: 10.0,
            from: 0.1,
            ..ClipOptions::default()
        };
        let clip = Clip::open(dir.path(), &options).unwrap();
        assert_eq!(clip.info.expected_frames, Some(3));
        let frames: Vec<_> = clip.frames.collect();
        let seen = |frame: &Result<Frame, VideoError>| {
            frame
                .as_ref()
                .ok()
                .map(|f| (f.number, f.time, f.photo.pixels()[0]))
        };
        let wanted = [Some((0, 0.1, 2)), None, Some((2, 0.3, 10))];
        assert_eq!(frames.iter().map(seen).collect::<Vec<_>>(), wanted);
        let error = frames[1].as_ref().unwrap_err();
        assert!(
            matches!(error, VideoError::Frame { number: 1, .. }),
            "{error}"
        );
    }
}
