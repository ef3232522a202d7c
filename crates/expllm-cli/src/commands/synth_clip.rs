//! `expllm synth --clip`: people over time with exact labels.

use std::path::{Path, PathBuf};

use expllm_core::ActionUnit;
use expllm_train::synth::FaceSynthesizer;
use expllm_train::synth::clip::{ActorFrame, Clip, ClipConfig, ClipEvent, ClipFrame};
use indicatif::ProgressBar;
use rayon::prelude::*;

use super::synth::{make_empty, save, style};
use crate::{CliError, Outcome};

/// Frames that are rendered before they are written, which bounds the memory.
const CHUNK: u64 = 64;

/// What clips are made like.
#[derive(Debug, clap::Args)]
pub struct ClipArgs {
    /// Render a clip instead of single faces: `frames/`, `truth.csv` with a row per frame and
    /// person, and `events.csv` with onset, apex and offset of all movements.
    #[arg(long, requires = "out", conflicts_with_all = ["count", "sheet", "each_unit"])]
    pub clip: bool,
    /// Length of the clip.
    #[arg(long, requires = "clip", value_name = "S", default_value_t = 60.0, value_parser = positive)]
    seconds: f64,
    /// Frames per second of the clip.
    #[arg(long, requires = "clip", value_name = "RATE", default_value_t = 25.0, value_parser = positive)]
    fps: f64,
    /// People in the clip; two and more cross each other's way.
    #[arg(long, requires = "clip", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=8))]
    people: u32,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.04..=36_000.0).contains(&number) => Ok(number),
        _ => Err("must be a number from 0.04 to 36000".to_owned()),
    }
}

/// Renders the clip into a folder.
pub fn run(
    synthesizer: &FaceSynthesizer,
    args: &ClipArgs,
    (dir, seed): (&Path, u64),
) -> Result<Outcome, CliError> {
    let config = ClipConfig {
        seconds: args.seconds,
        rate: args.fps,
        people: args.people,
        seed,
    };
    let clip = Clip::sample(synthesizer, config);
    make_empty(dir)?;
    write_events(&dir.join("events.csv"), &clip)?;
    let mut folder = Folder::create(dir)?;
    let bar = ProgressBar::new(clip.frames()).with_style(style());
    let mut first = 0;
    while first < clip.frames() {
        let chunk = first..clip.frames().min(first + CHUNK);
        let rendered = chunk
            .clone()
            .into_par_iter()
            .map(|i| clip.render(synthesizer, i));
        let frames: Vec<ClipFrame> = rendered.collect();
        folder.write(&clip, first, &frames)?;
        first = chunk.end;
        bar.set_position(first);
    }
    folder.finish()?;
    bar.finish_and_clear();
    let (width, height) = clip.size();
    say!(
        "{} frames of {width} x {height} in {}",
        clip.frames(),
        dir.display()
    );
    Ok(Outcome::Complete)
}

fn write_events(path: &Path, clip: &Clip) -> Result<(), CliError> {
    let mut table = csv::Writer::from_path(path).map_err(CliError::library)?;
    let names = [
        "person", "kind", "units", "onset", "apex", "offset", "height",
    ];
    table.write_record(names).map_err(CliError::library)?;
    for (person, actor) in clip.actors.iter().enumerate() {
        for event in &actor.events {
            let row = event_row(person, event);
            table.serialize(row).map_err(CliError::library)?;
        }
    }
    table.flush().map_err(|e| CliError::file(path, e))
}

fn event_row(person: usize, event: &ClipEvent) -> (usize, impl serde::Serialize, String, [f64; 4]) {
    let units: Vec<_> = event.units.iter().map(|unit| unit.snake_case()).collect();
    let ClipEvent {
        onset,
        apex,
        offset,
        height,
        ..
    } = *event;
    let numbers = [onset, apex, offset, f64::from(height)];
    // A millionth of a second is finer than any clip.
    let numbers = numbers.map(|n| (n * 1e6).round() / 1e6);
    (person, event.kind, units.join(" "), numbers)
}

/// The folder that a clip is written to.
struct Folder {
    frames: PathBuf,
    path: PathBuf,
    truth: csv::Writer<std::fs::File>,
}

impl Folder {
    fn create(dir: &Path) -> Result<Self, CliError> {
        let (frames, path) = (dir.join("frames"), dir.join("truth.csv"));
        std::fs::create_dir(&frames).map_err(|e| CliError::file(&frames, e))?;
        let mut truth = csv::Writer::from_path(&path).map_err(CliError::library)?;
        let mut names = ["time", "frame", "person", "x", "y", "eyes", "hidden"]
            .map(str::to_owned)
            .to_vec();
        names.extend(ActionUnit::ALL.map(|unit| unit.snake_case().to_owned()));
        names.extend(["pitch", "yaw", "roll"].map(str::to_owned));
        truth.write_record(names).map_err(CliError::library)?;
        Ok(Self {
            frames,
            path,
            truth,
        })
    }

    /// Encodes frames in parallel; rows keep their order.
    fn write(&mut self, clip: &Clip, first: u64, frames: &[ClipFrame]) -> Result<(), CliError> {
        let dir = &self.frames;
        let write = |(i, frame): (usize, &ClipFrame)| {
            save(
                &dir.join(format!("{:06}.png", first + i as u64)),
                &frame.photo,
            )
        };
        frames.par_iter().enumerate().try_for_each(write)?;
        for (number, frame) in (first..).zip(frames) {
            for (person, actor) in frame.people.iter().enumerate() {
                let mut row = vec![format!("{:.6}", clip.time(number)), number.to_string()];
                row.push(person.to_string());
                row.extend(truth_of(actor));
                self.truth.write_record(row).map_err(CliError::library)?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), CliError> {
        let flushed = self.truth.flush();
        flushed.map_err(|e| CliError::file(&self.path, e))
    }
}

/// The columns of a person in a frame from `x` on.
fn truth_of(actor: &ActorFrame) -> Vec<String> {
    let pose = actor.head_pose;
    let place = [actor.center.x, actor.center.y, actor.eye_distance];
    let mut row = place.map(|v| format!("{v:.2}")).to_vec();
    row.push(u8::from(actor.hidden).to_string());
    row.extend(actor.action_units.values().map(|v| format!("{v:.4}")));
    row.extend([pose.pitch, pose.yaw, pose.roll].map(|angle| format!("{:.3}", angle.0)));
    row
}
