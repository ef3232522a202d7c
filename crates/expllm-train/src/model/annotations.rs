//! Records of a data set on disk: images that are read for every step.

use expllm_core::{Expression, Photo, Point};
use expllm_data::{ReadOptions, Record};
use expllm_face::PhotoReader;
use expllm_model::conversation::{PaddedSquare, Task, Turn};
use expllm_model::{FacePixels, PreparePixels, VisionConfig};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::augment::Augmentation;
use super::config::{AnnotationsConfig, RecordMix, TrainConfig, TrainStage};
use super::example::{Example, ExampleImage, ExampleSource};
use super::sides::swap_sides;
use crate::TrainError;

/// Records with whatever the data set says of them.
#[derive(Debug, Clone)]
pub struct AnnotatedExamples {
    records: Vec<Record>,
    stage: TrainStage,
    mix: RecordMix,
    pixels: FacePixels,
    side: usize,
    augment: bool,
}

/// Reads a data set in any known layout: records to train on, and those kept back.
pub(super) fn read(
    annotations: &AnnotationsConfig,
    config: &TrainConfig,
    vision: &VisionConfig,
) -> Result<[AnnotatedExamples; 2], TrainError> {
    let (root, layout) = (&annotations.root, annotations.layout);
    let dataset = layout.read(root, &ReadOptions::default())?;
    let usable = |record: &Record| match config.stage {
        TrainStage::Alignment => record.description.is_some(),
        _ => record.expression.is_some(),
    };
    let mut records: Vec<_> = dataset.records.into_iter().filter(usable).collect();
    // At least one record is trained on and, where there are two, one is kept back.
    let kept_back = config.validation.records.min(records.len() / 2);
    records.shuffle(&mut ChaCha8Rng::seed_from_u64(config.run.seed));
    let valid = records.split_off(records.len() - kept_back);
    if records.is_empty() {
        return Err(TrainError::NoRecords(root.clone()));
    }
    let examples = |records, augment| AnnotatedExamples {
        records,
        stage: config.stage,
        mix: config.records,
        pixels: FacePixels::of(vision),
        side: vision.image_size(),
        augment,
    };
    Ok([examples(records, true), examples(valid, false)])
}

impl AnnotatedExamples {
    fn change(&self, photo: &Photo, rng: &mut ChaCha8Rng) -> Augmentation {
        match self.augment {
            true => Augmentation::draw(photo, rng),
            false => Augmentation::none(photo),
        }
    }

    /// Questions about place first, then label and chain, as the official data asks them.
    fn turns(
        &self,
        record: &Record,
        change: &Augmentation,
        side: u32,
        rng: &mut ChaCha8Rng,
    ) -> Vec<Turn> {
        let text = record
            .description
            .as_ref()
            .map(|text| match change.mirrored {
                true => swap_sides(text),
                false => text.clone(),
            });
        let explanation = text.map(|text| Turn::new(Task::Explanation, text));
        if self.stage == TrainStage::Alignment {
            return explanation.into_iter().collect();
        }
        let mut turns = place_turns(record, change, side);
        let label = record.expression.map_or("", Expression::name);
        let label = Turn::new(Task::Expression, label);
        if rng.random_bool(self.mix.label_only) {
            turns.push(label);
        } else if rng.random_bool(self.mix.chain_first) {
            turns.extend(explanation);
            turns.push(label);
        } else {
            turns.push(label);
            turns.extend(explanation);
        }
        turns
    }
}

fn place_turns(record: &Record, change: &Augmentation, side: u32) -> Vec<Turn> {
    let mut turns = Vec::new();
    let square = PaddedSquare::of(side, side);
    if let Some(face) = &record.face_box {
        let face = change.face_box(face);
        let numbers = [face.x, face.y, face.width, face.height].map(f64::from);
        turns.push(Turn::new(Task::FaceBox, square.face_box(numbers)));
    }
    if let Ok(points) = <&[Point; 5]>::try_from(record.landmarks.as_slice()) {
        let points = change.five_points(points);
        let points = points.map(|point| [f64::from(point.x), f64::from(point.y)]);
        turns.push(Turn::new(Task::Landmarks, square.landmarks(&points)));
    }
    turns
}

impl ExampleSource for AnnotatedExamples {
    fn len(&self) -> usize {
        self.records.len()
    }

    fn example(&self, index: usize, rng: &mut ChaCha8Rng) -> Result<Example, TrainError> {
        let record = &self.records[index];
        let unusable = |reason: String| TrainError::Record {
            id: record.id.clone(),
            reason,
        };
        let bytes = record.image.read()?;
        let photo = PhotoReader::default()
            .decode(&bytes)
            .map_err(|e| unusable(e.to_string()))?;
        let change = self.change(&photo, rng);
        let image = change.apply(&photo);
        Ok(Example {
            id: record.id.clone(),
            turns: self.turns(record, &change, image.width(), rng),
            image: ExampleImage::Pixels(self.pixels.prepare(&image, self.side)),
        })
    }
}
