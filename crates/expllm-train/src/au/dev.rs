//! A network on its way, judged on faces that it does not learn from.

use std::collections::HashMap;

use burn::nn::Linear;
use expllm_core::{AuVector, Expression, ExpressionSet, Similarity};
use expllm_data::Split;
use expllm_face::backbone::BackboneConfig;
use expllm_face::{ALIGNED_SIZE, LandmarkNet};
use rayon::prelude::*;

use super::gather::TaughtFace;
use super::lesson::{Lesson, Opinion};
use super::panel::{Rating, read_panel};
use super::panel_score::{FaceFindings, PanelFigures, panel_figures};
use super::place::place;
use super::recipe::Pupil;
use crate::augment::push;
use crate::gradients::{BackboneByHand, BackboneWeights};
use crate::{RealFace, TrainError, TrainingData};

/// Faces looked at together.
const BATCH: usize = 64;

/// Looks at faces that nobody learns from, with what is known of them.
pub struct DevSet {
    /// Rated faces by file.
    panel: Vec<(String, TaughtFace)>,
    ratings: Vec<Rating>,
    /// Names of the sets.
    sets: Vec<String>,
    /// Faces of sets with votes.
    voted: Vec<VotedFace>,
}

/// A face, its label, and what most voters see.
type VotedFace = (TaughtFace, Option<Expression>, Option<Expression>);

/// Whether an answer is right; `None` where nothing is known.
type Judge<'a> = &'a dyn Fn(&Output, &VotedFace) -> Option<bool>;

/// Figures of a network on its way.
#[derive(Debug, Clone)]
pub struct DevFigures {
    /// On rated faces, by set.
    pub panel: Vec<(String, PanelFigures)>,
    /// Accuracy of the label head on the labels of sets with votes, seven classes.
    pub label: f64,
    /// Accuracy of the other head on these labels, seven classes.
    pub seen: f64,
    /// Accuracy of that head on the majorities of the votes, eight classes.
    pub majority: f64,
}

impl DevSet {
    /// Places the faces.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or the landmark network fails.
    pub fn new(data: &TrainingData, network: &LandmarkNet) -> Result<Self, TrainError> {
        let ratings = read_panel(&data.file("panel_dev.csv"))?;
        let rated: std::collections::HashSet<&str> =
            ratings.iter().map(|r| r.file.as_str()).collect();
        let placed = |face: &RealFace| {
            // Landmarks as the reader finds them.
            let unknown = RealFace {
                points: None,
                mesh: None,
                ..face.clone()
            };
            place(unknown, Lesson::default(), network)
        };
        let named =
            |archive: &str, faces: &[RealFace]| -> Result<Vec<(String, TaughtFace)>, TrainError> {
                let found: Result<Vec<_>, TrainError> = faces
                    .par_iter()
                    .map(|face| (format!("{archive}/{}", face.file), face))
                    .filter(|(name, _)| rated.contains(name.as_str()))
                    .map(|(name, face)| Ok(placed(face)?.map(|face| (name, face))))
                    .collect();
                Ok(found?.into_iter().flatten().collect())
            };
        let (mut panel, mut voted) = (Vec::new(), Vec::new());
        for set in data.sets() {
            let faces = data.faces(set, Split::Valid)?;
            panel.extend(named(&set.name, &faces)?);
            if set.votes.is_none() {
                continue;
            }
            let majorities = data.majorities(set)?;
            let found: Result<Vec<_>, TrainError> = faces
                .par_iter()
                .map(|face| {
                    let majority = majorities.get(&face.file).copied();
                    Ok(placed(face)?.map(|placed| (placed, face.expression, majority)))
                })
                .collect();
            voted.extend(found?.into_iter().flatten());
        }
        Ok(Self {
            panel,
            ratings,
            sets: data.sets().iter().map(|set| set.name.clone()).collect(),
            voted,
        })
    }

    /// Figures of a network; one plain look of `side` pixels at each face.
    ///
    /// # Errors
    ///
    /// When the network says what is not a number.
    pub fn judge(
        &self,
        pupil: &Pupil,
        sizes: &BackboneConfig,
        side: usize,
    ) -> Result<DevFigures, TrainError> {
        let mut looker = Looker::new(pupil, sizes, side);
        let read: Vec<_> = looker.read(self.panel.iter().map(|(_, face)| face));
        let findings: HashMap<String, FaceFindings> = self
            .panel
            .iter()
            .zip(&read)
            .map(|((file, _), output)| (file.clone(), output.findings()))
            .collect();
        let of_set = |set: &String| -> Result<(String, PanelFigures), TrainError> {
            let ratings: Vec<Rating> = self
                .ratings
                .iter()
                .filter(|r| r.file.split('/').next() == Some(set.as_str()))
                .cloned()
                .collect();
            Ok((set.clone(), panel_figures(&ratings, &findings)?))
        };
        let read: Vec<_> = looker.read(self.voted.iter().map(|(face, ..)| face));
        let share = |right: Judge<'_>| {
            let judged: Vec<bool> = read
                .iter()
                .zip(&self.voted)
                .filter_map(|(output, face)| right(output, face))
                .collect();
            judged.iter().filter(|r| **r).count() as f64 / judged.len().max(1) as f64
        };
        Ok(DevFigures {
            panel: self.sets.iter().map(of_set).collect::<Result<_, _>>()?,
            label: share(&|output, face| Some(top(&output.label, ExpressionSet::Seven) == face.1?)),
            seen: share(&|output, face| Some(top(&output.seen, ExpressionSet::Seven) == face.1?)),
            majority: share(&|output, face| {
                Some(top(&output.seen, ExpressionSet::Eight) == face.2?)
            }),
        })
    }
}

/// The expression that most of the counted votes name; `None` for ties, and where most name none.
#[must_use]
pub fn majority(votes: &[f32; 10]) -> Option<Expression> {
    let shares = Opinion::votes(votes).shares;
    let most = shares.iter().copied().fold(0.0, f32::max);
    let mut best = Expression::ALL
        .into_iter()
        .filter(|e| most > 0.0 && shares[e.index()] == most);
    let found = best.next();
    found.filter(|_| best.next().is_none())
}

/// The transform from a look of `side` pixels to the picture.
fn view(to_image: &Similarity, side: usize) -> Similarity {
    to_image.after(&expllm_au::face_crop(ALIGNED_SIZE, side))
}

fn top(logits: &[f32], set: ExpressionSet) -> Expression {
    let allowed = Expression::ALL.into_iter().filter(|e| set.contains(*e));
    let best = allowed.max_by(|a, b| logits[a.index()].total_cmp(&logits[b.index()]));
    best.unwrap_or(Expression::Neutral)
}

/// What a network says of a face.
struct Output {
    units: Vec<f32>,
    seen: Vec<f32>,
    label: Vec<f32>,
}

impl Output {
    fn findings(&self) -> FaceFindings {
        FaceFindings {
            units: AuVector::from_clamped(std::array::from_fn(|i| {
                1.0 / (1.0 + (-self.units[i]).exp())
            })),
            expression: Some(top(&self.seen, ExpressionSet::Eight)),
        }
    }
}

/// Reads faces with the numbers of a pupil.
struct Looker {
    side: usize,
    backbone: BackboneByHand,
    weights: BackboneWeights,
    heads: [(Vec<f32>, Vec<f32>); 3],
}

impl Looker {
    fn new(pupil: &Pupil, sizes: &BackboneConfig, side: usize) -> Self {
        let numbers = |layer: &Linear| {
            let of = |data: burn::tensor::TensorData| {
                data.convert::<f32>().try_to_vec().unwrap_or_default()
            };
            let bias = layer.bias.as_ref().map(|bias| of(bias.val().into_data()));
            (of(layer.weight.val().into_data()), bias.unwrap_or_default())
        };
        Self {
            side,
            backbone: BackboneByHand::new(sizes, side),
            weights: BackboneWeights::read(&pupil.backbone),
            heads: [&pupil.units, &pupil.seen, &pupil.label].map(numbers),
        }
    }

    fn read<'a>(&mut self, faces: impl Iterator<Item = &'a TaughtFace>) -> Vec<Output> {
        let faces: Vec<&TaughtFace> = faces.collect();
        let mut outputs = Vec::with_capacity(faces.len());
        for batch in faces.chunks(BATCH) {
            let mut crops = Vec::new();
            for face in batch {
                let look = view(&face.views[0], self.side);
                push(&mut crops, face.image.crop(&look, self.side));
            }
            let features = self.backbone.forward(&self.weights, &crops);
            let width = features.len() / batch.len();
            outputs.extend(features.chunks_exact(width).map(|row| {
                let [units, seen, label] = [0, 1, 2].map(|i| linear(row, &self.heads[i]));
                Output { units, seen, label }
            }));
        }
        outputs
    }
}

/// `row * weight + bias`; the weight is `[in, out]`.
fn linear(row: &[f32], (weight, bias): &(Vec<f32>, Vec<f32>)) -> Vec<f32> {
    let mut sums = bias.clone();
    for (x, weights) in row.iter().zip(weight.chunks_exact(bias.len())) {
        sums.iter_mut()
            .zip(weights)
            .for_each(|(sum, w)| *sum += x * w);
    }
    sums
}
