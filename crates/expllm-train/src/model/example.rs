//! Conversations about faces, and the batches that they make.

use burn::tensor::TensorData;
use expllm_model::conversation::{PromptTemplate, Turn};
use expllm_model::parts::TokenMask;
use expllm_model::{ModelConfig, Tokenizer};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::TrainError;

/// A face with questions and answers about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The record that it comes from.
    pub id: String,
    /// What the model sees.
    pub image: ExampleImage,
    /// Questions with their answers, in order.
    pub turns: Vec<Turn>,
}

/// What the model sees of a face.
#[derive(Debug, Clone, PartialEq)]
pub enum ExampleImage {
    /// Pixels for the vision encoder: `[channels, side, side]`.
    Pixels(Vec<f32>),
    /// Tokens of a frozen vision encoder: `[patches, width]`.
    Tokens(Vec<f32>),
}

/// A set of records that conversations are drawn from.
pub trait ExampleSource: Sync {
    /// How many records there are.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A conversation about record `index`; the same state of `rng` gives the same one.
    ///
    /// # Errors
    ///
    /// When the image cannot be read; another record then takes its place.
    fn example(&self, index: usize, rng: &mut ChaCha8Rng) -> Result<Example, TrainError>;
}

/// What turns conversations into tokens.
#[derive(Debug, Clone)]
pub struct Language {
    /// The tokenizer with the image token.
    pub tokenizer: Tokenizer,
    /// The words around questions and answers.
    pub template: PromptTemplate,
    /// Sizes of the model.
    pub config: ModelConfig,
}

/// Records that are run at once.
#[derive(Debug, Clone)]
pub struct MicroBatch {
    /// The records.
    pub ids: Vec<String>,
    /// Token ids, padded on the right to one length.
    pub tokens: Vec<Vec<u32>>,
    /// Which of them are no padding.
    pub mask: TokenMask,
    /// What the model sees: `[rows, channels, side, side]` or `[rows, patches, width]`.
    pub images: TensorData,
    /// Positions before trained tokens, in all rows one after the other.
    pub positions: Vec<i64>,
    /// The trained tokens.
    pub targets: Vec<i64>,
    /// Weight of each in the loss; those of all parts of a step sum up to 1.
    pub weights: Vec<f32>,
}

impl MicroBatch {
    /// One of the records alone.
    pub(super) fn row(&self, index: usize) -> Self {
        let length = self.mask.length();
        let begin = (index * length) as i64;
        let own = |at: i64| (begin..begin + length as i64).contains(&at);
        let kept: Vec<usize> = (0..self.positions.len())
            .filter(|&i| own(self.positions[i]))
            .collect();
        let mut shape = self.images.shape().to_vec();
        let count = shape.iter().skip(1).product::<usize>();
        if let Some(rows) = shape.first_mut() {
            *rows = 1;
        }
        let numbers: Vec<f32> = self
            .images
            .iter::<f32>()
            .skip(index * count)
            .take(count)
            .collect();
        Self {
            ids: vec![self.ids[index].clone()],
            tokens: vec![self.tokens[index].clone()],
            mask: TokenMask::new(vec![self.mask.rows()[index].clone()]).unwrap_or_default(),
            images: TensorData::new(numbers, shape),
            positions: kept.iter().map(|&i| self.positions[i] - begin).collect(),
            targets: kept.iter().map(|&i| self.targets[i]).collect(),
            weights: kept.iter().map(|&i| self.weights[i]).collect(),
        }
    }
}

/// One conversation as tokens.
struct Row {
    id: String,
    image: ExampleImage,
    tokens: Vec<u32>,
    labels: Vec<i32>,
}

impl Language {
    /// Turns conversations into the parts of a step, of `rows` records each, the longest ones
    /// together.
    ///
    /// # Errors
    ///
    /// [`TrainError::Model`] when a conversation has no tokens, and [`TrainError::Record`] when
    /// one is longer than the model's context.
    pub fn parts(
        &self,
        examples: Vec<Example>,
        rows: usize,
        by_record: bool,
    ) -> Result<Vec<MicroBatch>, TrainError> {
        let mut all = examples
            .into_par_iter()
            .map(|example| self.row(example))
            .collect::<Result<Vec<_>, _>>()?;
        // A stable order, so that the same records make the same parts.
        all.sort_by_key(|row| row.tokens.len());
        let weights = Weights::new(&all, by_record);
        let mut parts = Vec::new();
        while !all.is_empty() {
            let rest = all.split_off(rows.min(all.len()));
            parts.push(self.part(all, &weights));
            all = rest;
        }
        Ok(parts)
    }

    fn row(&self, example: Example) -> Result<Row, TrainError> {
        let patches = self.config.vision.num_patches();
        let sequence = self
            .template
            .training(&self.tokenizer, patches, &example.turns)?;
        let limit = self.config.llm.max_positions;
        if sequence.ids.len() > limit {
            return Err(TrainError::Record {
                id: example.id,
                reason: format!(
                    "{} tokens, the model knows {limit} positions; shorten its answers",
                    sequence.ids.len()
                ),
            });
        }
        Ok(Row {
            id: example.id,
            image: example.image,
            tokens: sequence.ids,
            labels: sequence.labels,
        })
    }

    fn part(&self, rows: Vec<Row>, weights: &Weights) -> MicroBatch {
        let longest = rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0);
        let (mut numbers, mut encoded) = (Vec::new(), false);
        let mut part = MicroBatch {
            ids: Vec::new(),
            tokens: Vec::new(),
            mask: TokenMask::default(),
            images: TensorData::new(Vec::<f32>::new(), [0]),
            positions: Vec::new(),
            targets: Vec::new(),
            weights: Vec::new(),
        };
        let (count, mut real) = (rows.len(), Vec::new());
        for (index, row) in rows.into_iter().enumerate() {
            let weight = weights.of(&row);
            for (place, &label) in row.labels.iter().enumerate().skip(1) {
                if label >= 0 {
                    part.positions.push((index * longest + place - 1) as i64);
                    part.targets.push(i64::from(label));
                    part.weights.push(weight);
                }
            }
            real.push((0..longest).map(|at| at < row.tokens.len()).collect());
            let mut tokens = row.tokens;
            tokens.resize(longest, self.config.pad_token_id);
            part.tokens.push(tokens);
            part.ids.push(row.id);
            match row.image {
                ExampleImage::Pixels(pixels) => numbers.extend(pixels),
                ExampleImage::Tokens(tokens) => {
                    encoded = true;
                    numbers.extend(tokens);
                }
            }
        }
        part.mask = TokenMask::new(real).unwrap_or_default();
        let vision = &self.config.vision;
        part.images = if encoded {
            TensorData::new(numbers, [count, vision.num_patches(), vision.width()])
        } else {
            let side = vision.image_size();
            TensorData::new(numbers, [count, vision.channels(), side, side])
        };
        part
    }
}

/// How much a trained token of a row counts.
struct Weights {
    records: f32,
    /// Trained tokens of the step, or `None` when records weigh the same.
    tokens: Option<f32>,
}

impl Weights {
    fn new(rows: &[Row], by_record: bool) -> Self {
        let tokens: usize = rows.iter().map(Row::trained).sum();
        Self {
            records: rows.len() as f32,
            tokens: (!by_record).then_some(tokens.max(1) as f32),
        }
    }

    fn of(&self, row: &Row) -> f32 {
        match self.tokens {
            Some(tokens) => 1.0 / tokens,
            None => 1.0 / (self.records * row.trained().max(1) as f32),
        }
    }
}

impl Row {
    fn trained(&self) -> usize {
        self.labels.iter().skip(1).filter(|&&l| l >= 0).count()
    }
}
