//! The network from an aligned face to action units and expressions.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Device, Tensor};
use expllm_core::{ActionUnit, AuReading, AuVector, Expression, ExpressionProbabilities};

use super::calibration::{Calibration, CalibrationTable};
use crate::FaceError;
use crate::backbone::{Backbone, BackboneConfig};

/// Sizes of an [`AuNetwork`].
#[derive(Config, Debug, PartialEq)]
pub struct AuNetworkConfig {
    /// Side of a look in pixels.
    #[config(default = 64)]
    pub side: usize,
    /// The network that looks.
    #[config(
        default = "BackboneConfig::new(vec![24], vec![48, 96, 192], vec![2, 2, 2]).with_grid(2)"
    )]
    pub backbone: BackboneConfig,
}

/// From one standardised grey look at a face to scores of action units and expressions.
#[derive(Module, Debug)]
pub struct AuNetwork {
    backbone: Backbone,
    units: Linear,
    expressions: Linear,
    calibration: CalibrationTable,
}

/// What the network says of a batch of faces.
#[derive(Debug, Clone)]
pub struct AuOutput {
    /// Logits of the intensities, `[batch, 35]` in AU order; their sigmoid, calibrated, is the
    /// intensity.
    pub units: Tensor<2>,
    /// Logits of the expressions, `[batch, 8]` in expression order.
    pub expressions: Tensor<2>,
}

impl AuOutput {
    /// What is read of faces from their scores and, after all of them, those of each in the
    /// mirror: the mean of both looks, so that a mirrored face gives the mirrored reading, and of
    /// each intensity what a person would call it.
    ///
    /// # Errors
    ///
    /// [`FaceError::Tensor`] when the numbers cannot be read from the device.
    pub fn readings(self, calibration: &Calibration) -> Result<Vec<AuReading>, FaceError> {
        let [looks, _] = self.units.dims();
        let n = looks / 2;
        let logits = self.expressions;
        let mean = (logits.clone().narrow(0, 0, n) + logits.narrow(0, n, n)) * 0.5;
        let units = numbers(sigmoid(self.units))?;
        let expressions = numbers(softmax(mean, 1))?;
        let (own, mirrored) = units.split_at(n * ActionUnit::COUNT);
        let looks = own
            .chunks_exact(ActionUnit::COUNT)
            .zip(mirrored.chunks_exact(ActionUnit::COUNT));
        Ok(looks
            .zip(expressions.chunks_exact(Expression::COUNT))
            .map(|((own, mirrored), expression)| {
                let units = ActionUnit::ALL.map(|unit| {
                    let mirrored = mirrored[unit.mirrored().index()];
                    let reading = (own[unit.index()] + mirrored) / 2.0;
                    calibration.curve(unit).apply(reading)
                });
                let scores = std::array::from_fn(|i| expression[i]);
                AuReading {
                    action_units: AuVector::from_clamped(units),
                    probabilities: Some(ExpressionProbabilities::from_scores(scores)),
                }
            })
            .collect())
    }
}

fn numbers(tensor: Tensor<2>) -> Result<Vec<f32>, FaceError> {
    let data = tensor.into_data().convert::<f32>();
    data.try_to_vec().map_err(FaceError::tensor)
}

impl AuNetworkConfig {
    /// A network with random weights.
    #[must_use]
    pub fn init(&self, device: &Device) -> AuNetwork {
        let head = |outputs| LinearConfig::new(self.backbone.features(), outputs).init(device);
        AuNetwork::new(
            self.backbone.init(device),
            head(ActionUnit::COUNT),
            head(Expression::COUNT),
        )
    }
}

impl AuNetwork {
    /// A network of parts that were trained; its intensities are not calibrated.
    ///
    /// `units` and `expressions` map the features of the backbone to 35 and 8 scores.
    #[must_use]
    pub fn new(backbone: Backbone, units: Linear, expressions: Linear) -> Self {
        let device = units.weight.device();
        Self {
            backbone,
            units,
            expressions,
            calibration: CalibrationTable::new(&Calibration::identity(), &device),
        }
    }

    /// Scores of a batch of faces.
    ///
    /// # Shapes
    /// - `faces`: `[batch, 1, side, side]`, standardised grey
    #[must_use]
    pub fn forward(&self, faces: Tensor<4>) -> AuOutput {
        self.decode(self.backbone.forward(faces))
    }

    /// The second half of [`forward`](Self::forward): scores from the features of the backbone,
    /// `[batch, features]`.
    #[must_use]
    pub fn decode(&self, features: Tensor<2>) -> AuOutput {
        AuOutput {
            units: self.units.forward(features.clone()),
            expressions: self.expressions.forward(features),
        }
    }

    /// The network that looks.
    #[must_use]
    pub fn backbone(&self) -> &Backbone {
        &self.backbone
    }

    /// What intensities mean, which [`forward`](Self::forward) leaves out.
    #[must_use]
    pub fn calibration(&self) -> Calibration {
        self.calibration.read()
    }

    /// The same network, whose intensities mean this.
    #[must_use]
    pub fn with_calibration(mut self, calibration: &Calibration) -> Self {
        let device = self.units.weight.device();
        self.calibration = CalibrationTable::new(calibration, &device);
        self
    }

    /// Divides the expression logits by a temperature for good, so that the probabilities are
    /// as sure as they are right (Guo et al. 2017).
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.expressions = scaled(self.expressions, 1.0 / temperature);
        self
    }
}

/// A layer whose outputs are `scale` times as large.
fn scaled(mut linear: Linear, scale: f32) -> Linear {
    linear.weight = linear.weight.map(|w| w.mul_scalar(scale));
    linear.bias = linear.bias.map(|b| b.map(|b| b.mul_scalar(scale)));
    linear
}
