//! From a trained pupil to the network that ships.

use burn::module::Module;
use burn::nn::Linear;
use expllm_au::{AuNet, AuNetwork, AuNetworkConfig, Calibration};
use expllm_face::LandmarkNet;
use expllm_face::device::reading_device;

use super::calibrate::fit_calibration;
use super::panel::Rating;
use super::path::FacePath;
use super::recipe::Pupil;
use super::score::fit_temperature;
use crate::{RealFace, TrainError};

/// How the network that ships is made of a pupil.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finish {
    /// How much the label that a single person gave says of the expression, beside what people
    /// see: from 0 to 1.
    pub label_share: f32,
}

impl Default for Finish {
    fn default() -> Self {
        Self { label_share: 0.2 }
    }
}

/// Makes the network that ships: one readout of the expression, probabilities as sure as they are
/// right, and intensities that mean what people call them. Both are fitted on rated faces that
/// nobody learnt from.
///
/// # Errors
///
/// When a network fails.
pub fn finish(
    pupil: Pupil,
    config: &AuNetworkConfig,
    how: Finish,
    kept_back: &(Vec<Rating>, Vec<RealFace>),
    landmarks: &LandmarkNet,
) -> Result<AuNetwork, TrainError> {
    let device = reading_device();
    let pupil = pupil.valid().to_device(&device);
    let expressions = mixed(pupil.seen, pupil.label, how.label_share);
    let network = AuNetwork::new(pupil.backbone, pupil.units, expressions);
    let (ratings, faces) = kept_back;
    let units = AuNet::new(network.clone(), config, &device);
    let units = units.with_calibration(Calibration::identity());
    let path = FacePath::new(landmarks.clone(), units)?;
    let findings = path.findings(faces)?;
    let temperature = fit_temperature(&path, &as_seen(ratings, faces))?;
    let calibration = fit_calibration(ratings, &findings);
    Ok(network
        .with_temperature(temperature)
        .with_calibration(&calibration))
}

/// The faces with the expressions that their raters saw.
fn as_seen(ratings: &[Rating], faces: &[RealFace]) -> Vec<RealFace> {
    let seen = |face: &RealFace| {
        let rating = ratings.iter().find(|rating| rating.file == face.file)?;
        rating.expression
    };
    let rated = faces.iter().filter_map(|face| {
        let expression = Some(seen(face)?);
        Some(RealFace {
            expression,
            ..face.clone()
        })
    });
    rated.collect()
}

/// A readout whose scores are means of those of two others.
fn mixed(one: Linear, other: Linear, share: f32) -> Linear {
    let mut mixed = one;
    let weight = other.weight.val();
    mixed.weight = mixed.weight.map(|w| w * (1.0 - share) + weight * share);
    let bias = other.bias.map(|bias| bias.val());
    mixed.bias = mixed
        .bias
        .zip(bias)
        .map(|(own, bias)| own.map(|own| own * (1.0 - share) + bias * share));
    mixed
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;
    use burn::tensor::{Distribution, Tensor};

    use super::*;

    #[test]
    fn a_mixed_readout_gives_means_of_scores() {
        let device = reading_device();
        let head = || LinearConfig::new(5, 8).init(&device);
        let (one, other) = (head(), head());
        let features = Tensor::<2>::random([3, 5], Distribution::Normal(0.0, 1.0), &device);
        let wanted = one.forward(features.clone()) * 0.75 + other.forward(features.clone()) * 0.25;
        let found = mixed(one, other, 0.25).forward(features);
        let error = (found - wanted).abs().max().into_scalar::<f32>();
        assert!(error < 1e-5, "{error}");
    }
}
