//! The network from an aligned face to action units and expressions.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use expllm_core::{ActionUnit, Expression};
use expllm_face::backbone::{Backbone, BackboneConfig};

/// Sizes of an [`AuNetwork`].
#[derive(Config, Debug, PartialEq)]
pub struct AuNetworkConfig {
    /// Side of the square input in pixels.
    #[config(default = 64)]
    pub side: usize,
    /// The convolutional part.
    #[config(default = "BackboneConfig::new(vec![16, 32], vec![64, 128], vec![2, 1]).with_grid(2)")]
    pub backbone: BackboneConfig,
    /// Share of features dropped while training.
    #[config(default = 0.3)]
    pub dropout: f64,
}

/// From standardised grey faces to action unit and expression scores.
#[derive(Module, Debug)]
pub struct AuNetwork {
    backbone: Backbone,
    dropout: Dropout,
    units: Linear,
    expressions: Linear,
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
        let features = self.backbone.features();
        AuNetwork {
            backbone: self.backbone.init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            units: LinearConfig::new(features, ActionUnit::COUNT).init(device),
            expressions: LinearConfig::new(features, Expression::COUNT).init(device),
        }
    }
}

impl AuNetwork {
    /// The convolutional part, for networks that look at faces in the same way.
    #[must_use]
    pub fn backbone(&self) -> &Backbone {
        &self.backbone
    }

    /// Scores of a batch of faces.
    ///
    /// # Shapes
    /// - `faces`: `[batch, 1, side, side]`, standardised grey
    #[must_use]
    pub fn forward(&self, faces: Tensor<4>) -> AuOutput {
        let features = self.dropout.forward(self.backbone.forward(faces));
        AuOutput {
            units: self.units.forward(features.clone()),
            expressions: self.expressions.forward(features),
        }
    }

    /// Divides the expression logits by a temperature for good, so that the probabilities are
    /// as sure as they are right (Guo et al. 2017).
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        let scale = 1.0 / temperature;
        self.expressions.weight = self.expressions.weight.map(|w| w.mul_scalar(scale));
        self.expressions.bias = self
            .expressions
            .bias
            .map(|b| b.map(|b| b.mul_scalar(scale)));
        self
    }
}
