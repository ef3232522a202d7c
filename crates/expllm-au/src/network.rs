//! The network from an aligned face to action units and expressions.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Initializer, Linear, LinearConfig};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use expllm_core::{ActionUnit, Expression};
use expllm_face::encoder::{FaceEncoder, FaceEncoderConfig};

use crate::Calibration;
use crate::calibration::CalibrationTable;

/// Sizes of an [`AuNetwork`].
#[derive(Config, Debug, PartialEq)]
pub struct AuNetworkConfig {
    /// The two convolutional networks.
    #[config(default = "FaceEncoderConfig::new()")]
    pub encoder: FaceEncoderConfig,
    /// Share of the fine features dropped while training.
    #[config(default = 0.1)]
    pub unit_dropout: f64,
    /// Share of the coarse features dropped while training.
    #[config(default = 0.4)]
    pub expression_dropout: f64,
}

/// From standardised grey faces to action unit and expression scores.
#[derive(Module, Debug)]
pub struct AuNetwork {
    encoder: FaceEncoder,
    units: UnitHead,
    expressions: ExpressionHead,
    evidence: Linear,
    calibration: CalibrationTable,
}

/// Action units from the features of the fine look.
#[derive(Module, Debug)]
pub struct UnitHead {
    dropout: Dropout,
    linear: Linear,
}

/// Expressions from the features of the coarse look.
#[derive(Module, Debug)]
pub struct ExpressionHead {
    dropout: Dropout,
    linear: Linear,
}

/// What the network says of a batch of faces.
#[derive(Debug, Clone)]
pub struct AuOutput {
    /// Logits of the intensities, `[batch, 24]` in AU order; their sigmoid is the intensity.
    pub units: Tensor<2>,
    /// Logits of the expressions, `[batch, 8]` in expression order.
    pub expressions: Tensor<2>,
}

impl AuNetworkConfig {
    /// A network with random weights.
    #[must_use]
    pub fn init(&self, device: &Device) -> AuNetwork {
        AuNetwork {
            encoder: self.encoder.init(device),
            units: self.unit_head(device),
            expressions: self.expression_head(device),
            evidence: self.evidence(device),
            calibration: uncalibrated(device),
        }
    }

    /// A head for action units with random weights.
    #[must_use]
    pub fn unit_head(&self, device: &Device) -> UnitHead {
        UnitHead {
            dropout: DropoutConfig::new(self.unit_dropout).init(),
            linear: LinearConfig::new(self.encoder.fine.features(), ActionUnit::FEAFA_COUNT)
                .init(device),
        }
    }

    /// What units say of the expression: nothing yet.
    #[must_use]
    pub fn evidence(&self, device: &Device) -> Linear {
        LinearConfig::new(ActionUnit::FEAFA_COUNT, Expression::COUNT)
            .with_initializer(Initializer::Zeros)
            .init(device)
    }

    /// A head for expressions with random weights.
    #[must_use]
    pub fn expression_head(&self, device: &Device) -> ExpressionHead {
        ExpressionHead {
            dropout: DropoutConfig::new(self.expression_dropout).init(),
            linear: LinearConfig::new(self.encoder.coarse.features(), Expression::COUNT)
                .init(device),
        }
    }
}

impl AuNetwork {
    /// A network of parts that were trained on their own; its units say nothing yet of the
    /// expression.
    #[must_use]
    pub fn new(encoder: FaceEncoder, units: UnitHead, expressions: ExpressionHead) -> Self {
        let device = units.linear.weight.device();
        Self {
            evidence: AuNetworkConfig::new().evidence(&device),
            calibration: uncalibrated(&device),
            encoder,
            units,
            expressions,
        }
    }

    /// The same network, whose units say this of the expression, `share` times: `evidence` maps
    /// 24 intensities to 8 logits, which are added to those of the coarse look.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Linear, share: f32) -> Self {
        self.evidence = scaled(evidence, share);
        self
    }

    /// Scores of a batch of faces.
    ///
    /// # Shapes
    /// - `faces`: `[batch, 1, side, side]`, standardised grey
    #[must_use]
    pub fn forward(&self, faces: Tensor<4>) -> AuOutput {
        let units = self.units.forward(self.encoder.fine(faces.clone()));
        let evidence = self.evidence.forward(sigmoid(units.clone()));
        let expressions = self.expressions.forward(self.encoder.coarse(faces)) + evidence;
        AuOutput { units, expressions }
    }

    /// What intensities mean, which [`forward`](Self::forward) leaves out.
    #[must_use]
    pub fn calibration(&self) -> Calibration {
        self.calibration.read()
    }

    /// The same network, whose intensities mean this.
    #[must_use]
    pub fn with_calibration(mut self, calibration: &Calibration) -> Self {
        let device = self.evidence.weight.device();
        self.calibration = CalibrationTable::new(calibration, ActionUnit::FEAFA_COUNT, &device);
        self
    }

    /// The part that turns crops into features.
    #[must_use]
    pub fn encoder(&self) -> &FaceEncoder {
        &self.encoder
    }

    /// The part that turns features of the fine look into intensities.
    #[must_use]
    pub fn units(&self) -> &UnitHead {
        &self.units
    }

    /// Divides the expression logits by a temperature for good, so that the probabilities are
    /// as sure as they are right (Guo et al. 2017).
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        let scale = 1.0 / temperature;
        self.expressions.linear = scaled(self.expressions.linear, scale);
        self.evidence = scaled(self.evidence, scale);
        self
    }
}

fn uncalibrated(device: &Device) -> CalibrationTable {
    CalibrationTable::new(&Calibration::identity(), ActionUnit::FEAFA_COUNT, device)
}

/// A layer whose outputs are `scale` times as large.
fn scaled(mut linear: Linear, scale: f32) -> Linear {
    linear.weight = linear.weight.map(|w| w.mul_scalar(scale));
    linear.bias = linear.bias.map(|b| b.map(|b| b.mul_scalar(scale)));
    linear
}

impl UnitHead {
    /// Logits `[batch, 24]` of features `[batch, features]`.
    #[must_use]
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        self.linear.forward(self.dropout.forward(features))
    }
}

impl ExpressionHead {
    /// Logits `[batch, 8]` of features `[batch, features]`.
    #[must_use]
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        self.linear.forward(self.dropout.forward(features))
    }

    /// The same head where expressions are expected in these shares: their logarithms are added
    /// to the logits for good.
    ///
    /// # Panics
    ///
    /// When a share is not above 0.
    #[must_use]
    pub fn expecting(mut self, shares: [f32; Expression::COUNT]) -> Self {
        assert!(shares.iter().all(|&share| share > 0.0), "shares above 0");
        let linear = &mut self.linear;
        linear.bias = linear.bias.clone().map(|bias| {
            bias.map(|bias| {
                let shift = Tensor::<1>::from_floats(shares.map(f32::ln), &bias.device());
                (bias + shift).detach()
            })
        });
        self
    }
}
