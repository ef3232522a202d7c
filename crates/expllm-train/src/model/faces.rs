//! Faces as the tiny model learns them: what the action unit detector reads, which is what its
//! encoder sees, and chains that the composer writes about it.

use std::num::NonZeroU32;
use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};
use expllm_core::{AuReading, AuVector, Expression, ExpressionProbabilities, Photo};
use expllm_data::Split;
use expllm_face::{ALIGNED_SIZE, GreyImage, warp};
use expllm_model::conversation::Turn;
use expllm_model::nn::VisionEncoder;
use expllm_model::{FacePixels, PreparePixels, VisionConfig, score_tokens};
use half::f16;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::chains::Chains;
use super::config::{FacesConfig, RecordMix};
use super::example::{Example, ExampleImage, ExampleSource};
use super::features::Store;
use super::imagined::imagined;
use crate::au::{FacePath, PlacedFace, placed_faces, rendered_faces};
use crate::augment::{Jitter, degraded_crop};
use crate::faces::grey_photo;
use crate::{TrainError, TrainingData};

/// Faces looked at together.
const BATCH: usize = 64;

/// Series of seeds of the synthetic faces.
const SERIES: u64 = 11;

/// Share of the looks that are degraded: soft, noisy, unevenly lit, partly hidden.
const DEGRADED: f64 = 0.5;

/// How far a look strays from the proper place, as far as landmarks err.
const JITTER: Jitter = Jitter {
    turn: 4.0,
    zoom: 1.06,
    shift: 0.025,
};

/// Looks at faces with everything known of them; every one of them exists plain and mirrored.
#[derive(Debug, Clone)]
pub struct FaceExamples {
    store: Store,
    chains: Chains,
    /// Whether the tokens are those of an encoder that sees more than the reading.
    sees_more: bool,
    /// Share of the readings that are imagined around those of the faces.
    imagined: f64,
}

/// Faces to train on and faces to validate by.
#[derive(Debug, Clone)]
pub struct FaceSets {
    /// For training.
    pub train: FaceExamples,
    /// Held back.
    pub valid: FaceExamples,
}

/// One look at one face.
pub(super) struct Look {
    /// Tokens of the plain and of the mirrored face, one after the other; none where the reading
    /// is what the encoder sees.
    pub features: Vec<f16>,
    /// What the detector reads of the plain face.
    pub units: AuVector,
    /// Expression probabilities.
    pub probabilities: ExpressionProbabilities,
    /// The label of the data set.
    pub label: Option<Expression>,
}

/// What looks at faces.
pub struct Reader<'a> {
    path: FacePath,
    encoder: Option<(&'a VisionEncoder, &'a VisionConfig)>,
    device: Device,
}

impl<'a> Reader<'a> {
    /// A face path, and an encoder whose tokens are other than [`score_tokens`] of what the path
    /// reads.
    #[must_use]
    pub fn new(
        path: FacePath,
        encoder: Option<(&'a VisionEncoder, &'a VisionConfig)>,
        device: &Device,
    ) -> Self {
        Self {
            path,
            encoder,
            device: device.clone(),
        }
    }

    /// Tokens per face and their width, as they are kept.
    fn size(&self) -> [usize; 2] {
        self.encoder
            .map_or([0, 0], |(_, config)| [config.num_patches(), config.width()])
    }

    /// Tokens of faces and of their mirror images, side by side in memory per face.
    fn tokens(&self, faces: &[(Photo, Option<Expression>)]) -> Result<Vec<Vec<f16>>, TrainError> {
        let Some((encoder, config)) = self.encoder else {
            return Ok(vec![Vec::new(); faces.len()]);
        };
        let side = config.image_size();
        let prepare = FacePixels::of(config);
        let pixels: Vec<f32> = faces
            .par_iter()
            .flat_map_iter(|(photo, _)| prepare.prepare(photo, side))
            .collect();
        let shape = [faces.len(), config.channels(), side, side];
        let images = Tensor::<4>::from_data(TensorData::new(pixels, shape), &self.device);
        let failed = |e| TrainError::Model(expllm_model::ModelError::Device(format!("{e:?}")));
        let numbers = |images: Tensor<4>| -> Result<Vec<f32>, TrainError> {
            let data = encoder.forward(images)?.cast(DType::F32).into_data();
            data.try_into_vec::<f32>().map_err(failed)
        };
        let (plain, mirrored) = (numbers(images.clone())?, numbers(images.flip([3]))?);
        let count = config.num_patches() * config.width();
        let pairs = plain.chunks_exact(count).zip(mirrored.chunks_exact(count));
        let halves = |(own, mirrored): (&[f32], &[f32])| {
            let both = own.iter().chain(mirrored);
            both.map(|&v| f16::from_f32(v)).collect()
        };
        Ok(pairs.map(halves).collect())
    }

    /// Looks at faces.
    fn read(&self, faces: &[(Photo, Option<Expression>)]) -> Result<Vec<Look>, TrainError> {
        let photos = faces.iter().map(|(photo, _)| photo);
        let readings = self.path.read_upright(photos)?;
        let looks = faces.iter().zip(readings).zip(self.tokens(faces)?);
        Ok(looks
            .map(|(((_, label), reading), features)| Look {
                features,
                units: reading.action_units,
                probabilities: reading.probabilities.unwrap_or_else(even),
                label: *label,
            })
            .collect())
    }
}

impl FaceSets {
    /// Reads the faces, or what an earlier run in `cache` has kept of them.
    ///
    /// # Errors
    ///
    /// When a data set is missing or damaged, or a network fails; [`TrainError::NoRecords`]
    /// when no face is left.
    pub fn build(
        config: &FacesConfig,
        mix: RecordMix,
        reader: &Reader<'_>,
        cache: &Path,
        report: &mut dyn FnMut(&str),
    ) -> Result<Self, TrainError> {
        let sets = |train, valid| {
            let examples = |store, imagined| FaceExamples {
                store,
                chains: Chains {
                    mix,
                    wordings: config.wordings,
                },
                sees_more: reader.encoder.is_some(),
                imagined,
            };
            Self {
                train: examples(train, config.imagined),
                valid: examples(valid, 0.0),
            }
        };
        let size = reader.size();
        let key = cache_key(config, reader)?;
        let files = ["train", "valid"].map(|name| cache.join(format!("faces_{name}.safetensors")));
        if let (Some(train), Some(valid)) = (
            Store::open(&files[0], &key, size)?,
            Store::open(&files[1], &key, size)?,
        ) {
            report(&format!("{} looks from an earlier run", train.len()));
            return Ok(sets(train, valid));
        }
        let landmarks = &reader.path.reader().landmarks;
        let data = TrainingData::open(&config.folder)?;
        let (mut train, mut valid) = (Store::new(size), Store::new(size));
        for set in &config.sets {
            let mut faces = data.faces(data.set(&set.name)?, Split::Train)?;
            let held_back = faces.split_off(faces.len().saturating_sub(set.held_back));
            read_views(&placed_faces(held_back, landmarks)?, 0, reader, &mut valid)?;
            if let Some(most) = set.most {
                faces.shuffle(&mut ChaCha8Rng::seed_from_u64(SERIES));
                faces.truncate(most);
            }
            report(&format!("reading {} faces of {}", faces.len(), set.name));
            let faces = placed_faces(faces, landmarks)?;
            for view in 0..set.views as u64 {
                read_views(&faces, view, reader, &mut train)?;
            }
        }
        if config.synthetic > 0 {
            report(&format!("rendering {} faces", config.synthetic));
            let faces = rendered_faces(&data.synthesizer()?, config.synthetic);
            let faces: Vec<PlacedFace> = faces.into_iter().map(Into::into).collect();
            read_views(&faces, 0, reader, &mut train)?;
        }
        if train.len() == 0 || valid.len() == 0 {
            return Err(TrainError::NoRecords(config.folder.clone()));
        }
        std::fs::create_dir_all(cache).map_err(|e| TrainError::file(cache, e))?;
        train.save(&files[0], &key)?;
        valid.save(&files[1], &key)?;
        Ok(sets(train, valid))
    }
}

/// What the cached numbers depend on: the choice of faces and the weights that look at them.
fn cache_key(config: &FacesConfig, reader: &Reader<'_>) -> Result<String, TrainError> {
    let side = NonZeroU32::new(ALIGNED_SIZE).unwrap_or(NonZeroU32::MIN);
    let probe = Photo::from_fn(side, side, |x, y| {
        let wave = |v: u32, step: f32| 127.0 + 100.0 * (v as f32 * step).sin();
        [((wave(x, 0.13) + wave(y, 0.21)) / 2.0) as u8; 3]
    });
    let looks = reader.read(&[(probe, None)])?;
    let sum: f32 = looks
        .iter()
        .flat_map(|look| look.features.iter().map(|v| v.to_f32()))
        .sum();
    let units: f32 = looks.iter().flat_map(|look| look.units.values()).sum();
    Ok(format!(
        "{:?} {} {sum:.3} {units:.4}",
        config.sets, config.synthetic
    ))
}

/// Looks once at every face; view 0 is the proper one.
fn read_views(
    faces: &[PlacedFace],
    view: u64,
    reader: &Reader<'_>,
    store: &mut Store,
) -> Result<(), TrainError> {
    let mut first = 0u64;
    for batch in faces.chunks(BATCH) {
        let photos: Vec<_> = batch
            .par_iter()
            .enumerate()
            .filter_map(|(index, face)| {
                let mut rng = ChaCha8Rng::seed_from_u64(view);
                rng.set_stream(first + index as u64);
                Some((look_at(face, view > 0, &mut rng)?, face.expression))
            })
            .collect();
        first += batch.len() as u64;
        reader
            .read(&photos)?
            .into_iter()
            .for_each(|l| store.push(l));
    }
    Ok(())
}

/// The aligned face, moved and degraded when it is not the proper look.
fn look_at(face: &PlacedFace, stray: bool, rng: &mut ChaCha8Rng) -> Option<Photo> {
    let side = ALIGNED_SIZE;
    let mut to_image = face.to_image;
    if stray {
        to_image = JITTER.apply(&to_image, side as usize, rng);
    }
    if stray && rng.random_bool(DEGRADED) {
        let pixels = degraded_crop(&face.image, &to_image, side as usize, rng);
        let bytes = pixels
            .iter()
            .map(|v| v.round().clamp(0.0, 255.0) as u8)
            .collect();
        let side = side as usize;
        return GreyImage::new(side, side, bytes).as_ref().map(grey_photo);
    }
    let photo = grey_photo(&face.image);
    Some(warp(&photo, &to_image, side))
}

/// Nothing known of the expression, for a detector that reads units alone.
fn even() -> ExpressionProbabilities {
    ExpressionProbabilities::from_scores([1.0; Expression::COUNT])
}

/// A face of the set as it is judged: what the model sees and what the detector reads.
pub struct JudgedFace {
    /// Tokens of the encoder.
    pub tokens: Vec<f32>,
    /// What the detector reads.
    pub reading: AuReading,
    /// The label of the data set.
    pub label: Option<Expression>,
}

impl FaceExamples {
    /// A plain face for validation.
    #[must_use]
    pub fn judged(&self, index: usize) -> JudgedFace {
        JudgedFace {
            tokens: self.tokens(index, false),
            reading: self.reading(index, false),
            label: self.store.label(index),
        }
    }

    /// What the encoder sees of a face.
    fn tokens(&self, index: usize, mirrored: bool) -> Vec<f32> {
        match self.sees_more {
            true => self.store.tokens(index, mirrored),
            false => score_tokens(&self.reading(index, mirrored)),
        }
    }

    fn reading(&self, index: usize, mirrored: bool) -> AuReading {
        let units = self.store.units(index);
        AuReading {
            action_units: if mirrored { units.mirrored() } else { units },
            probabilities: Some(self.store.probabilities(index)),
        }
    }

    /// Conversations with a chain, for learning a tokenizer.
    pub fn conversations(&self, count: usize) -> impl Iterator<Item = Vec<Turn>> + '_ {
        (0..count).filter_map(move |number| {
            let mut rng = Chains::rng(number);
            let index = rng.random_range(0..self.store.len().max(1));
            let reading = self.reading(index, rng.random_bool(0.5));
            let label = self.store.label(index);
            self.chains.both(&reading, label, &mut rng)
        })
    }
}

impl ExampleSource for FaceExamples {
    fn len(&self) -> usize {
        self.store.len()
    }

    fn example(&self, index: usize, rng: &mut ChaCha8Rng) -> Result<Example, TrainError> {
        let mirrored = rng.random_bool(0.5);
        if !self.sees_more && rng.random_bool(self.imagined) {
            let other = self.reading(rng.random_range(0..self.store.len()), mirrored);
            let reading = imagined(&self.reading(index, mirrored), &other, rng);
            return Ok(Example {
                id: format!("around face {index}"),
                image: ExampleImage::Tokens(score_tokens(&reading)),
                turns: self.chains.turns(&reading, None, rng),
            });
        }
        let reading = self.reading(index, mirrored);
        Ok(Example {
            id: format!("face {index}{}", if mirrored { " mirrored" } else { "" }),
            image: ExampleImage::Tokens(self.tokens(index, mirrored)),
            turns: self.chains.turns(&reading, self.store.label(index), rng),
        })
    }
}
