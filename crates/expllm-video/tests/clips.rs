//! Clips through the networks that ship.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use std::num::NonZeroU32;
use std::path::Path;
use std::process::Command;

use expllm_au::{FaceReader, PhotoReader};
use expllm_core::Photo;
use expllm_face::write_png;
use expllm_testing::{ffmpeg, has_ffmpeg};
use expllm_video::{
    Clip, ClipOptions, CopyOptions, FrameReading, TrackOptions, VideoCopy, VideoError, VideoReader,
};

const ASTRONAUT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/photos/astronaut.png"
);

fn read(path: &Path, options: &ClipOptions) -> Vec<Result<FrameReading, VideoError>> {
    let reader = FaceReader::pretrained().unwrap();
    let clip = Clip::open(path, options).unwrap();
    VideoReader::new(&*reader, clip.frames, TrackOptions::default()).collect()
}

/// Frames in which a face moves through the picture, is away, and comes back.
fn frames_of_a_face(folder: &Path) {
    let photo = PhotoReader::default().read(ASTRONAUT).unwrap();
    let side = |n| NonZeroU32::new(n).unwrap();
    for frame in 0..36_i64 {
        let away = (12..24).contains(&frame);
        let picture = Photo::from_fn(side(320), side(240), |x, y| match away {
            true => [(x / 2) as u8, (y / 2) as u8, 90],
            false => photo.pixel_clamped(i64::from(x) + 80 - 2 * frame, i64::from(y)),
        });
        write_png(&picture, folder.join(format!("{frame}.png"))).unwrap();
    }
}

#[test]
fn a_face_is_one_person_before_and_after_it_is_away() {
    let dir = tempfile::tempdir().unwrap();
    frames_of_a_face(dir.path());
    let readings: Vec<_> = read(dir.path(), &ClipOptions::default())
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(readings.len(), 36);
    for reading in &readings {
        let away = (12..24).contains(&reading.number);
        // Whole frames are searched every few frames, so that a return is seen a little late.
        let late = (24..30).contains(&reading.number);
        assert!(
            reading.people.len() == usize::from(!away) || late,
            "{}",
            reading.number
        );
        for (person, face) in &reading.people {
            let center = face.as_ref().unwrap().face_box.center();
            let expected = 225.0 - 80.0 + 2.0 * reading.number as f32;
            assert_eq!(*person, 0);
            assert!((center.x - expected).abs() < 20.0, "{center:?} {expected}");
        }
    }
}

/// Two seconds of a test picture with frames at uneven times.
fn uneven(out: &Path) {
    let select = "select='lt(mod(n,5),3)'";
    let source = "testsrc=size=64x48:rate=25:duration=2";
    ffmpeg(
        &["-f", "lavfi", "-i", source, "-vf", select, "-vsync", "vfr"],
        out,
    );
}

fn times(path: &Path, options: &ClipOptions) -> Vec<f64> {
    let clip = Clip::open(path, options).unwrap();
    clip.frames.map(|frame| frame.unwrap().time).collect()
}

#[test]
fn times_are_those_that_ffprobe_gives() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["uneven.mp4", "uneven.mkv", "uneven.ts"] {
        let path = dir.path().join(name);
        uneven(&path);
        let said = Command::new("ffprobe")
            .args(["-v", "error", "-select_streams", "V:0", "-of", "csv=p=0"])
            .args(["-show_entries", "frame=pts_time"])
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let wanted: Vec<f64> = said
            .split([',', '\n'])
            .filter_map(|time| time.trim().parse().ok())
            .collect();
        assert_eq!(wanted.len(), 30, "{name}");
        let all = times(&path, &ClipOptions::default());
        let near = |a: &[f64], b: &[f64]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3)
        };
        assert!(near(&all, &wanted), "{name}: {all:?} {wanted:?}");
        let options = ClipOptions {
            from: wanted[7],
            to: Some(wanted[20]),
            every: 3,
            ..ClipOptions::default()
        };
        let some: Vec<_> = wanted[7..=20].iter().step_by(3).copied().collect();
        let found = times(&path, &options);
        assert!(near(&found, &some), "{name}: {found:?} {some:?}");
    }
}

#[test]
fn a_long_transport_stream_is_entered_at_its_time() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.ts");
    // Eight seconds between key frames.
    let source = "testsrc=size=64x48:rate=25:duration=72";
    ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            source,
            "-c:v",
            "mpeg2video",
            "-g",
            "200",
        ],
        &path,
    );
    let all = times(&path, &ClipOptions::default());
    assert_eq!(all.len(), 1800);
    for first in [150, 1750] {
        let options = ClipOptions {
            from: all[first],
            every: 3,
            ..ClipOptions::default()
        };
        let wanted: Vec<_> = all[first..].iter().step_by(3).copied().collect();
        assert_eq!(times(&path, &options), wanted, "from {}", all[first]);
    }
}

#[test]
fn frames_at_one_time_are_all_read() {
    let Some(path) = expllm_testing::shared("videos/face_noface.mov") else {
        return;
    };
    if !has_ffmpeg() {
        return;
    }
    let counted = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-select_streams", "v:0"])
        .args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"])
        .arg(&path)
        .output()
        .unwrap();
    let counted = String::from_utf8(counted.stdout).unwrap();
    let wanted: usize = counted.trim().trim_end_matches(',').parse().unwrap();
    assert_eq!(times(&path, &ClipOptions::default()).len(), wanted);
}

#[test]
fn a_portrait_stands_upright_and_ten_bits_become_eight() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (flat, turned) = (dir.path().join("flat.mp4"), dir.path().join("turned.mp4"));
    let source = "testsrc=size=64x48:rate=25:duration=0.2";
    ffmpeg(
        &["-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p10le"],
        &flat,
    );
    ffmpeg(
        &[
            "-i",
            &flat.display().to_string(),
            "-c",
            "copy",
            "-metadata:s:v",
            "rotate=90",
        ],
        &turned,
    );
    for (path, size) in [(flat, (64, 48)), (turned, (48, 64))] {
        let clip = Clip::open(&path, &ClipOptions::default()).unwrap();
        let frames: Vec<_> = clip.frames.map(Result::unwrap).collect();
        assert_eq!(frames.len(), 5);
        assert_eq!((frames[0].photo.width(), frames[0].photo.height()), size);
    }
}

#[test]
fn a_cut_video_keeps_its_first_frames_and_says_so() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole.mp4");
    let source = "testsrc=size=160x120:rate=25:duration=2";
    ffmpeg(
        &["-f", "lavfi", "-i", source, "-movflags", "+faststart"],
        &whole,
    );
    let bytes = std::fs::read(&whole).unwrap();
    let cut = dir.path().join("cut.mp4");
    std::fs::write(&cut, &bytes[..bytes.len() * 2 / 3]).unwrap();
    let frames: Vec<_> = Clip::open(&cut, &ClipOptions::default())
        .unwrap()
        .frames
        .collect();
    let good = frames.iter().filter(|frame| frame.is_ok()).count();
    assert!((5..50).contains(&good), "{good}");
    let error = frames.last().unwrap().as_ref().unwrap_err();
    assert!(matches!(error, VideoError::Broken { .. }), "{error}");
}

#[test]
fn a_size_that_changes_becomes_that_of_the_first_frame() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut both = Vec::new();
    for (name, size) in [("a.ts", "160x120"), ("b.ts", "96x128")] {
        let path = dir.path().join(name);
        let source = format!("testsrc=size={size}:rate=25:duration=0.4");
        ffmpeg(&["-f", "lavfi", "-i", &source, "-c:v", "mpeg2video"], &path);
        both.extend(std::fs::read(&path).unwrap());
    }
    let path = dir.path().join("both.ts");
    std::fs::write(&path, both).unwrap();
    let clip = Clip::open(&path, &ClipOptions::default()).unwrap();
    let frames: Vec<_> = clip.frames.filter_map(Result::ok).collect();
    assert!(frames.len() > 10, "{}", frames.len());
    let size = |frame: &expllm_video::Frame| (frame.photo.width(), frame.photo.height());
    assert!(frames.iter().all(|frame| size(frame) == (160, 120)));
}

#[test]
fn a_stretch_without_frames_is_named() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("short.mp4");
    let source = "testsrc=size=64x48:rate=25:duration=0.4";
    ffmpeg(&["-f", "lavfi", "-i", source], &path);
    let options = ClipOptions {
        from: 60.0,
        ..ClipOptions::default()
    };
    let error = Clip::open(&path, &options).unwrap_err().to_string();
    assert!(error.contains("holds no frames"), "{error}");
}

#[test]
fn sound_alone_and_text_are_refused_by_name() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (sound, text) = (dir.path().join("sound.mka"), dir.path().join("text.mp4"));
    ffmpeg(&["-f", "lavfi", "-i", "sine=duration=0.2"], &sound);
    std::fs::write(&text, "no video").unwrap();
    let refused = |path| {
        Clip::open(path, &ClipOptions::default())
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&sound).contains("no video stream"));
    assert!(
        refused(&text).contains("Invalid data"),
        "{}",
        refused(&text)
    );
}

#[test]
fn a_copy_keeps_the_length_and_the_sound() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (clip, copy) = (dir.path().join("clip.mp4"), dir.path().join("copy.mp4"));
    let picture = "testsrc=size=64x48:rate=25:duration=2";
    let uneven = "select='lt(mod(n,5),3)'";
    ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            picture,
            "-f",
            "lavfi",
            "-i",
            "sine=duration=2",
            "-vf",
            uneven,
            "-vsync",
            "vfr",
        ],
        &clip,
    );
    let options = CopyOptions {
        sound: Some(clip.clone()),
        rate: 25.0,
        start: 0.0,
        from: 0.0,
        to: None,
    };
    let mut writer = VideoCopy::new(&copy, options);
    for frame in Clip::open(&clip, &ClipOptions::default()).unwrap().frames {
        let frame = frame.unwrap();
        writer.add(frame.photo, frame.time).unwrap();
    }
    writer.finish().unwrap();
    // The last of 30 frames stands at 1.88 s, in the 48th place of an even 25 a second.
    assert_eq!(times(&copy, &ClipOptions::default()).len(), 48);
    let streams = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_entries",
            "stream=codec_type",
            "-of",
            "csv=p=0",
        ])
        .arg(&copy)
        .output()
        .unwrap();
    assert!(String::from_utf8(streams.stdout).unwrap().contains("audio"));
}
