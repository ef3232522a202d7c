//! What `ffprobe` says of a video.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::MAX_PIXELS;
use super::ffmpeg::started;
use super::input::Input;
use crate::VideoError;

/// What is asked of a video.
const ENTRIES: &str = "stream=codec_type,width,height,sample_aspect_ratio,avg_frame_rate,\
                       r_frame_rate,nb_frames,duration:stream_disposition=attached_pic:\
                       stream_side_data=rotation:format=duration,start_time,format_name";

/// A video as its container describes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probe {
    /// Width in pixels, upright, with square pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Average frames per second.
    pub rate: Option<f64>,
    /// The rate in which all time stamps can be written, in frames per second.
    pub base_rate: Option<f64>,
    /// Frames that the container counts.
    pub frames: Option<u64>,
    /// Seconds.
    pub duration: Option<f64>,
    /// Time stamp of the beginning in seconds.
    pub start: f64,
    /// Whether the container has no index: to go to a time in it ends at some later key frame.
    pub no_index: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    streams: Vec<Stream>,
    format: Format,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Format {
    duration: Option<String>,
    start_time: Option<String>,
    format_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stream {
    codec_type: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    sample_aspect_ratio: Option<String>,
    avg_frame_rate: Option<String>,
    r_frame_rate: Option<String>,
    nb_frames: Option<String>,
    duration: Option<String>,
    disposition: Disposition,
    side_data_list: Vec<SideData>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Disposition {
    attached_pic: u8,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SideData {
    rotation: Option<f64>,
}

impl Probe {
    /// Asks `ffprobe`.
    pub fn of(input: &Input) -> Result<Self, VideoError> {
        let path = &input.path;
        let mut command = Command::new("ffprobe");
        command.args(["-v", "error", "-show_entries", ENTRIES, "-of", "json"]);
        command.args(input.arguments()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = started(&mut command, path, "ffprobe")?;
        let output = child.wait_with_output();
        let output = output.map_err(|e| VideoError::unreadable(path, e))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or("ffprobe cannot read it");
            return Err(VideoError::unreadable(path, without_name(last, path)));
        }
        Self::parse(&output.stdout).map_err(|reason| VideoError::unreadable(path, reason))
    }

    fn parse(json: &[u8]) -> Result<Self, String> {
        let answer: Answer = serde_json::from_slice(json)
            .map_err(|e| format!("ffprobe gives an answer that is not understood: {e}"))?;
        let video = |s: &&Stream| {
            s.codec_type.as_deref() == Some("video") && s.disposition.attached_pic == 0
        };
        let stream = answer.streams.iter().find(video);
        let stream = stream.ok_or("holds no video stream")?;
        let (width, height) = upright_size(stream)?;
        let length = stream.duration.as_ref().or(answer.format.duration.as_ref());
        Ok(Self {
            width,
            height,
            rate: ratio(stream.avg_frame_rate.as_deref()),
            base_rate: ratio(stream.r_frame_rate.as_deref()),
            frames: stream.nb_frames.as_ref().and_then(|n| n.parse().ok()),
            duration: number(length),
            start: number(answer.format.start_time.as_ref()).unwrap_or(0.0),
            no_index: matches!(
                answer.format.format_name.as_deref(),
                Some("mpegts" | "mpeg")
            ),
        })
    }

    /// About how many frames lie in a stretch of time.
    pub fn frames_within(&self, from: f64, to: Option<f64>) -> Option<f64> {
        let (duration, rate) = (self.duration?, self.rate);
        let end = to.unwrap_or(f64::MAX).min(self.start + duration);
        let all = self
            .frames
            .map_or(rate.map(|r| r * duration), |n| Some(n as f64))?;
        let share = (end - from.max(self.start)) / duration.max(f64::MIN_POSITIVE);
        Some(all * share.clamp(0.0, 1.0))
    }
}

fn without_name(said: &str, path: &Path) -> String {
    let name = format!("file:{}: ", path.display());
    said.strip_prefix(&name).unwrap_or(said).to_owned()
}

fn number(text: Option<&String>) -> Option<f64> {
    text?.parse().ok().filter(|n: &f64| n.is_finite())
}

/// A ratio above 0, written with a slash or a colon.
fn ratio(text: Option<&str>) -> Option<f64> {
    let (over, under) = text?.split_once(['/', ':'])?;
    let ratio = over.parse::<f64>().ok()? / under.parse::<f64>().ok()?;
    (ratio.is_finite() && ratio > 0.0).then_some(ratio)
}

/// Width and height as shown: turned by the rotation, with square pixels.
fn upright_size(stream: &Stream) -> Result<(u32, u32), String> {
    let (Some(width @ 1..), Some(height @ 1..)) = (stream.width, stream.height) else {
        return Err("holds a video stream without a size".to_owned());
    };
    let aspect = ratio(stream.sample_aspect_ratio.as_deref()).unwrap_or(1.0);
    let wide = (f64::from(width) * aspect.clamp(0.1, 10.0))
        .round()
        .max(1.0);
    if wide * f64::from(height) > MAX_PIXELS as f64 {
        return Err(format!(
            "has frames of {width} x {height} pixels, more than {MAX_PIXELS} in all"
        ));
    }
    let turn = stream.side_data_list.iter().find_map(|data| data.rotation);
    let on_its_side = (turn.unwrap_or(0.0) / 90.0).round().rem_euclid(2.0) == 1.0;
    let size = (wide as u32, height);
    Ok(if on_its_side { (size.1, size.0) } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_that_of_the_upright_picture() {
        let json = br#"{"streams": [{"codec_type": "audio"},
            {"codec_type": "video", "width": 600, "height": 600,
             "disposition": {"attached_pic": 1}},
            {"codec_type": "video", "width": 720, "height": 576, "nb_frames": "50",
             "sample_aspect_ratio": "16:15", "avg_frame_rate": "25/1", "r_frame_rate": "0/0",
             "side_data_list": [{"rotation": -90}]}],
            "format": {"duration": "2.000000", "start_time": "1.4"}}"#;
        let probe = Probe::parse(json).unwrap();
        assert_eq!((probe.width, probe.height), (576, 768));
        assert_eq!((probe.rate, probe.base_rate), (Some(25.0), None));
        assert_eq!(probe.frames_within(2.4, None), Some(25.0));
        assert_eq!(probe.frames_within(0.0, Some(9.0)), Some(50.0));
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        let of = |json: &str| Probe::parse(json.as_bytes()).unwrap_err();
        assert!(of("{").contains("not understood"));
        assert!(of(r#"{"streams": []}"#).contains("no video"));
        let huge = r#"{"streams": [{"codec_type": "video", "width": 70000, "height": 70000}]}"#;
        assert!(of(huge).contains("more than"));
    }
}
