//! The recipe of the landmark network.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use expllm_core::{FaceBox, HeadPose, LANDMARK_COUNT, LandmarkDetector, Landmarks, StageError};
use expllm_face::device::Backend;
use expllm_face::{
    ANGLE_UNIT, GreyImage, LANDMARK_OUTPUTS, LandmarkNet, LandmarkNetwork, LandmarkNetworkConfig,
    face_crop,
};
use rand::{Rng, RngExt};
use rayon::prelude::*;

use crate::augment::{Jitter, centred, degraded_crop, mirror, push};
use crate::backbone_steps::BackboneSteps;
use crate::faces::grey_photo;
use crate::run::{Recipe, row_rng, train};
use crate::{Progress, RunConfig, TrainError, read_weights};

/// A face with landmarks to learn from.
#[derive(Debug, Clone)]
pub struct LandmarkFace {
    /// The photo.
    pub image: GreyImage,
    /// Landmarks in pixels, and the head pose.
    pub landmarks: Landmarks,
}

/// Error of a landmark detector on some faces.
#[derive(Debug, Clone, Copy)]
pub struct LandmarkScore {
    /// Mean distance to the true landmarks as a share of the distance between the eye centres.
    pub error: f64,
    /// The same error of the face at the 90th percentile.
    pub error_p90: f64,
    /// Mean absolute error of pitch, yaw and roll in degrees.
    pub pose_error: [f64; 3],
    /// Faces measured.
    pub n: usize,
}

/// How the crop of a first look (from a detector's box) strays from the proper one.
const FIRST_LOOK: Jitter = Jitter {
    turn: 30.0,
    zoom: 1.45,
    shift: 0.14,
};

/// How the crop of a second look strays.
const SECOND_LOOK: Jitter = Jitter {
    turn: 6.0,
    zoom: 1.1,
    shift: 0.04,
};

/// Weight of the angles beside the landmarks in the loss.
const ANGLE_WEIGHT: f32 = 0.1;

/// Below this difference, in units of the side, the loss of a coordinate turns quadratic.
const LOSS_BEND: f32 = 0.01;

/// Crops and targets of one step.
struct Batch {
    crops: Vec<f32>,
    targets: Vec<f32>,
}

/// What a run begins with.
#[derive(Debug, Clone, Copy)]
pub struct LandmarkPlan<'a> {
    /// Sizes of the network.
    pub sizes: &'a LandmarkNetworkConfig,
    /// Weights to go on from; random ones without.
    pub start: Option<&'a Path>,
}

/// Trains a landmark network, resuming from `dir`.
///
/// # Errors
///
/// [`TrainError::Diverged`], a backend that the build lacks, weights that do not fit, or trouble
/// with checkpoints.
pub fn train_landmarks(
    faces: &[LandmarkFace],
    plan: LandmarkPlan<'_>,
    run: &RunConfig,
    dir: &Path,
    backend: Backend,
    report: impl FnMut(&Progress),
) -> Result<LandmarkNetwork, TrainError> {
    let (sizes, side) = (plan.sizes, plan.sizes.side);
    let mut steps = BackboneSteps::new(&sizes.backbone, side, backend)?;
    let device = steps.device().clone();
    let mut network = sizes.init(&device);
    if let Some(path) = plan.start {
        read_weights(&mut network, path)?;
    }
    let weights: Vec<f32> = (0..LANDMARK_OUTPUTS)
        .map(|i| {
            if i < 2 * LANDMARK_COUNT {
                1.0
            } else {
                ANGLE_WEIGHT
            }
        })
        .collect();
    let weights = Tensor::<1>::from_floats(weights.as_slice(), &device).unsqueeze::<2>();
    let recipe = Recipe {
        batch: |step| make_batch(faces, run, side, step),
        gradients: |network: &LandmarkNetwork, batch: Batch| {
            let targets = TensorData::new(batch.targets, [run.batch, LANDMARK_OUTPUTS]);
            let targets = Tensor::from_data(targets, &device);
            let loss = |features| {
                let error = pseudo_huber(network.decode(features) - targets, LOSS_BEND);
                (error * weights.clone()).mean()
            };
            steps.step((network, network.backbone()), batch.crops, loss)
        },
        marker: std::marker::PhantomData,
    };
    let trained = train(network, run, dir, recipe, report)?;
    Ok(trained.valid())
}

/// Close to the absolute value, smooth at 0.
pub(crate) fn pseudo_huber(difference: Tensor<2>, bend: f32) -> Tensor<2> {
    (difference.powi_scalar(2) + bend * bend).sqrt() - bend
}

fn make_batch(faces: &[LandmarkFace], run: &RunConfig, side: usize, step: usize) -> Batch {
    let rows: Vec<(Vec<f32>, Vec<f32>)> = (0..run.batch)
        .into_par_iter()
        .map(|row| {
            let mut rng = row_rng(run, step, row);
            let face = &faces[rng.random_range(0..faces.len())];
            example(face, side, &mut rng)
        })
        .collect();
    let mut batch = Batch {
        crops: Vec::new(),
        targets: Vec::new(),
    };
    for (crop, target) in rows {
        push(&mut batch.crops, crop);
        batch.targets.extend(target);
    }
    batch
}

/// A crop of a face at random and what the network should say of it.
fn example(face: &LandmarkFace, side: usize, rng: &mut impl Rng) -> (Vec<f32>, Vec<f32>) {
    let proper = face_crop(&face.landmarks.points, side);
    let jitter = if rng.random_bool(0.35) {
        FIRST_LOOK
    } else {
        SECOND_LOOK
    };
    let crop = jitter.apply(&proper, side, rng);
    let mut pixels = degraded_crop(&face.image, &crop, side, rng);
    let mut seen = in_crop(&face.landmarks, &crop);
    if rng.random_bool(0.5) {
        mirror(&mut pixels, side);
        seen = seen.mirrored(side as f32);
    }
    (pixels, target(&seen, side))
}

/// Landmarks in pixels of a crop, with the roll that is seen there.
pub(crate) fn in_crop(landmarks: &Landmarks, crop: &expllm_core::Similarity) -> Landmarks {
    let Some(to_crop) = crop.inverse() else {
        return landmarks.clone();
    };
    let mut seen = landmarks.transformed(&to_crop);
    if let Some(pose) = &mut seen.head_pose {
        pose.roll.0 -= crop.b.atan2(crop.a).to_degrees();
    }
    seen
}

/// The network's outputs for landmarks in pixels of the crop.
pub(crate) fn target(seen: &Landmarks, side: usize) -> Vec<f32> {
    let identity = expllm_core::Similarity::IDENTITY;
    let points = seen.points.iter().flat_map(|&p| {
        let c = centred(&identity, p, side);
        [c.x, c.y]
    });
    let HeadPose { pitch, yaw, roll } = seen.head_pose.unwrap_or_default();
    points
        .chain([pitch.0, yaw.0, roll.0].map(|angle| angle / ANGLE_UNIT))
        .collect()
}

/// Measures a network on photos of one face each, the whole photo as the face's box.
///
/// # Errors
///
/// When the network fails.
pub fn score_landmarks(
    network: &LandmarkNet,
    faces: &[LandmarkFace],
) -> Result<LandmarkScore, StageError> {
    let mut errors = Vec::with_capacity(faces.len());
    let mut pose = [0.0; 3];
    for face in faces {
        let photo = grey_photo(&face.image);
        let whole = FaceBox::whole(photo.width(), photo.height());
        let found = network.landmarks_of(&photo, whole)?;
        let sum: f32 = found
            .points
            .iter()
            .zip(&face.landmarks.points)
            .map(|(a, b)| a.distance(*b))
            .sum();
        let mean = sum / LANDMARK_COUNT as f32;
        errors.push(f64::from(mean / face.landmarks.eye_distance()));
        let angles = |p: HeadPose| [p.pitch.0, p.yaw.0, p.roll.0];
        let poses = found.head_pose.zip(face.landmarks.head_pose);
        if let Some((a, b)) = poses.map(|(a, b)| (angles(a), angles(b))) {
            for k in 0..3 {
                pose[k] += f64::from((a[k] - b[k]).abs());
            }
        }
    }
    errors.sort_by(f64::total_cmp);
    let n = errors.len();
    let error_p90 = errors.get(n * 9 / 10).copied().unwrap_or(f64::NAN);
    let error = errors.iter().sum::<f64>() / n as f64;
    Ok(LandmarkScore {
        error,
        error_p90,
        pose_error: pose.map(|sum| sum / n as f64),
        n,
    })
}
