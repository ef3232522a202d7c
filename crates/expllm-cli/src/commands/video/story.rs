//! What the people of a clip do, once it was read.

use std::collections::BTreeMap;

use expllm_core::{ExplainQuestion, ExplainRequest, Explainer, ExpressionSet, Photo, Similarity};
use expllm_cot::Composer;
use expllm_face::warp;
use expllm_video::FrameReading;
use expllm_video::series::{ExpressionSegment, PersonEvents, PersonSeries, SeriesOptions};
use image::codecs::jpeg::JpegEncoder;
use serde::Serialize;

use super::summary::summary;
use crate::CliError;

/// Side of a key frame in pixels.
const SIDE: u32 = 160;
/// Sides of the face's box in a key frame.
const MARGIN: f32 = 1.5;
/// Key frames of a person, at most; when there are more, every other one goes.
const MOST: usize = 64;
/// Seconds between the first key frames.
const FIRST_STEP: f64 = 0.2;

/// Everybody in a clip, collected while it is read.
pub struct Story {
    people: BTreeMap<u32, Part>,
    pictures: bool,
}

/// One person.
pub struct Part {
    /// What was read.
    pub series: PersonSeries,
    /// Faces as JPEG with their times in seconds, for the eye.
    pub pictures: Vec<(f64, Vec<u8>)>,
    step: f64,
}

/// What happened to one person, as a row of JSON.
#[derive(Debug, Serialize)]
pub struct Told<'a> {
    /// The clip.
    pub file: &'a str,
    /// The person.
    pub person: u32,
    /// Time of the first and last frame with the face, in seconds.
    pub seen: (f64, f64),
    /// Frames with the face.
    pub frames: usize,
    /// The same in a few sentences.
    pub summary: String,
    /// What happened.
    #[serde(flatten)]
    pub events: PersonEvents,
    /// A chain of thought for each stretch of one expression, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub explanations: Vec<String>,
}

impl Story {
    /// Nobody so far; `pictures` keeps key frames.
    pub fn new(pictures: bool) -> Self {
        Self {
            people: BTreeMap::new(),
            pictures,
        }
    }

    /// Adds the people of a frame.
    pub fn frame(&mut self, frame: &FrameReading) {
        for (number, face) in &frame.people {
            let Ok(face) = face else { continue };
            let part = self.people.entry(*number).or_default();
            part.series.push(frame.time, face);
            if let (true, Some(photo)) = (self.pictures, &frame.photo) {
                part.look(frame.time, || picture(photo, face));
            }
        }
    }

    /// What happened to everybody, in the order of their numbers.
    pub fn tell<'a>(
        &'a self,
        file: &'a str,
        explain: bool,
    ) -> Result<Vec<(Told<'a>, &'a Part)>, CliError> {
        let tell = |(&number, part): (&u32, &'a Part)| -> Result<_, CliError> {
            Ok((part.tell(file, number, explain)?, part))
        };
        self.people.iter().map(tell).collect()
    }
}

impl Default for Part {
    fn default() -> Self {
        Self {
            series: PersonSeries::default(),
            pictures: Vec::new(),
            step: FIRST_STEP,
        }
    }
}

impl Part {
    /// Keeps a picture where the last one is old enough.
    fn look(&mut self, time: f64, picture: impl FnOnce() -> Option<Vec<u8>>) {
        if self
            .pictures
            .last()
            .is_some_and(|(last, _)| time - last < self.step)
        {
            return;
        }
        self.pictures
            .extend(picture().map(|picture| (time, picture)));
        if self.pictures.len() > MOST {
            let mut at = 0;
            self.pictures.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.step *= 2.0;
        }
    }

    fn tell<'a>(&self, file: &'a str, person: u32, explain: bool) -> Result<Told<'a>, CliError> {
        let times = &self.series.times;
        let events = self
            .series
            .events(&SeriesOptions::default(), ExpressionSet::Eight);
        let explained = events.expressions.iter().filter(|_| explain);
        let explanations: Result<_, _> = explained.map(|segment| self.explain(segment)).collect();
        let ends = times.first().zip(times.last()).map(|(a, b)| (*a, *b));
        let seen = ends.unwrap_or_default();
        Ok(Told {
            file,
            person,
            seen,
            frames: times.len(),
            summary: summary(seen, times.len(), &events),
            explanations: explanations?,
            events,
        })
    }

    /// The chain of a stretch from the frame in which its expression is likeliest.
    fn explain(&self, segment: &ExpressionSegment) -> Result<String, CliError> {
        let before = self
            .series
            .times
            .partition_point(|time| *time < segment.apex);
        let apex = before.min(self.series.times.len().saturating_sub(1));
        let request = ExplainRequest {
            action_units: self.series.units[apex],
            probabilities: Some(self.series.probabilities[apex]),
            confidence: expllm_core::Confidence::FULL,
            crop: None,
            question: ExplainQuestion::Given(segment.expression),
            set: ExpressionSet::Eight,
            seed: apex as u64,
        };
        let said = Composer
            .explain_all(&[request])
            .map_err(CliError::library)?;
        Ok(said
            .into_iter()
            .map(|explanation| explanation.text)
            .collect())
    }
}

/// The face as a small JPEG; `None` where it cannot be encoded.
fn picture(photo: &Photo, face: &expllm_core::FaceReading) -> Option<Vec<u8>> {
    let b = &face.face_box;
    let extent = MARGIN * b.width.max(b.height).max(1.0);
    let (center, scale) = (b.center(), extent / SIDE as f32);
    let to_photo = Similarity {
        a: scale,
        b: 0.0,
        tx: center.x - extent / 2.0,
        ty: center.y - extent / 2.0,
    };
    let small = warp(photo, &to_photo, SIDE);
    let mut bytes = Vec::new();
    let kind = image::ExtendedColorType::Rgb8;
    JpegEncoder::new_with_quality(&mut bytes, 75)
        .encode(small.pixels(), SIDE, SIDE, kind)
        .ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_thin_out_and_stay_few() {
        let mut part = Part::default();
        for frame in 0..100_000 {
            part.look(f64::from(frame) / 25.0, || Some(Vec::new()));
        }
        let times: Vec<_> = part.pictures.iter().map(|(time, _)| *time).collect();
        assert!((MOST / 2..=MOST).contains(&times.len()));
        assert!(times[0] == 0.0 && times[times.len() - 1] > 3800.0);
    }
}
