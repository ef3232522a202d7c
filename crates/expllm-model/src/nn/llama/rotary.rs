//! Rotary positions.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::{LlmConfig, RopeScaling};

/// Turns pairs of channels by an angle that grows with the position
/// ([Su et al. 2021](https://arxiv.org/abs/2104.09864)); channel `i` is paired with
/// `i + head_dim / 2`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// Radians per position, for each pair.
    frequencies: Vec<f32>,
    /// Multiplies sines and cosines; 1 except for YaRN.
    magnitude: f32,
}

/// Sines and cosines of the positions of one batch.
#[derive(Debug, Clone)]
pub struct RotaryTables {
    /// `[batch, 1, length, head_dim / 2]`.
    cos: Tensor<4>,
    /// As `cos`.
    sin: Tensor<4>,
}

impl Rotary {
    /// Frequencies for a configuration.
    #[must_use]
    pub fn new(config: &LlmConfig) -> Self {
        let width = config.head_dim as f64;
        let plain = (0..config.head_dim / 2)
            .map(|pair| config.rope_theta.powf(-((2 * pair) as f64) / width));
        let mut magnitude = 1.0;
        let frequencies = match config.rope_scaling {
            RopeScaling::None => plain.collect(),
            RopeScaling::Linear { factor } => plain.map(|f| f / factor).collect(),
            RopeScaling::Llama3 { .. } => plain
                .map(|f| llama3(f, &config.rope_scaling))
                .collect::<Vec<_>>(),
            RopeScaling::Yarn { factor, .. } => {
                if factor > 1.0 {
                    magnitude = 0.1 * factor.ln() + 1.0;
                }
                yarn(&plain.collect::<Vec<_>>(), config)
            }
        };
        Self {
            frequencies: frequencies.into_iter().map(|f| f as f32).collect(),
            magnitude: magnitude as f32,
        }
    }

    /// Appends the cosines and sines of one position, one of each per pair.
    pub fn append(&self, position: usize, cos: &mut Vec<f32>, sin: &mut Vec<f32>) {
        let angles = self.frequencies.iter().map(|f| position as f32 * f);
        for (sine, cosine) in angles.map(f32::sin_cos) {
            cos.push(cosine * self.magnitude);
            sin.push(sine * self.magnitude);
        }
    }

    /// Sines and cosines for rows of positions of equal length.
    #[must_use]
    pub fn tables(&self, positions: &[Vec<usize>], dtype: DType, device: &Device) -> RotaryTables {
        let length = positions.first().map_or(0, Vec::len);
        let shape = [positions.len(), 1, length, self.frequencies.len()];
        let angles: Vec<f32> = positions
            .iter()
            .flatten()
            .flat_map(|&position| self.frequencies.iter().map(move |f| position as f32 * f))
            .collect();
        let table = |function: fn(f32) -> f32| {
            let values: Vec<f32> = angles
                .iter()
                .map(|&angle| function(angle) * self.magnitude)
                .collect();
            Tensor::from_data(TensorData::new(values, shape), (device, dtype))
        };
        RotaryTables {
            cos: table(f32::cos),
            sin: table(f32::sin),
        }
    }
}

impl RotaryTables {
    /// Turns queries or keys.
    ///
    /// # Shapes
    ///
    /// `[batch, heads, length, head_dim]` to the same.
    #[must_use]
    pub fn apply(&self, input: Tensor<4>) -> Tensor<4> {
        let half = input.dims()[3] / 2;
        let first = input.clone().narrow(3, 0, half);
        let second = input.narrow(3, half, half);
        let (cos, sin) = (self.cos.clone(), self.sin.clone());
        Tensor::cat(
            vec![
                first.clone() * cos.clone() - second.clone() * sin.clone(),
                second * cos + first * sin,
            ],
            3,
        )
    }
}

/// Divides low frequencies, keeps high ones and blends between them (Llama 3.1, transformers
/// `modeling_rope_utils.py`).
fn llama3(frequency: f64, scaling: &RopeScaling) -> f64 {
    let RopeScaling::Llama3 {
        factor,
        low_freq_factor,
        high_freq_factor,
        original_max_positions,
    } = *scaling
    else {
        return frequency;
    };
    let turns = original_max_positions as f64 * frequency / std::f64::consts::TAU;
    let keep = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
    frequency * keep + frequency / factor * (1.0 - keep)
}

/// Divides frequencies by a ramp over their index between two numbers of turns (YaRN, section
/// 3.2).
fn yarn(plain: &[f64], config: &LlmConfig) -> Vec<f64> {
    let RopeScaling::Yarn {
        factor,
        original_max_positions,
        beta_fast,
        beta_slow,
    } = config.rope_scaling
    else {
        return plain.to_vec();
    };
    let width = config.head_dim as f64;
    let index_of = |turns: f64| {
        let ratio = original_max_positions as f64 / (turns * std::f64::consts::TAU);
        width * ratio.ln() / (2.0 * config.rope_theta.ln())
    };
    let low = index_of(beta_fast).floor().max(0.0);
    let mut high = index_of(beta_slow).ceil().min(width - 1.0);
    if high <= low {
        high = low + 0.001;
    }
    plain
        .iter()
        .enumerate()
        .map(|(pair, &frequency)| {
            let divide = ((pair as f64 - low) / (high - low)).clamp(0.0, 1.0);
            frequency / factor * divide + frequency * (1.0 - divide)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelConfig;

    fn frequencies(scaling: RopeScaling) -> Vec<f32> {
        let llm = LlmConfig {
            rope_scaling: scaling,
            ..ModelConfig::expllm_7b().llm
        };
        Rotary::new(&llm).frequencies
    }

    #[test]
    fn linear_scaling_divides_every_frequency() {
        let plain = frequencies(RopeScaling::None);
        let scaled = frequencies(RopeScaling::Linear { factor: 4.0 });
        assert_eq!(plain.len(), 64);
        for (plain, scaled) in plain.iter().zip(&scaled) {
            assert!((plain / 4.0 - scaled).abs() < 1e-7);
        }
    }

    #[test]
    fn other_scalings_keep_high_and_divide_low_frequencies() {
        let plain = frequencies(RopeScaling::None);
        for scaling in [
            RopeScaling::Llama3 {
                factor: 8.0,
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_max_positions: 8192,
            },
            RopeScaling::Yarn {
                factor: 8.0,
                original_max_positions: 4096,
                beta_fast: 32.0,
                beta_slow: 1.0,
            },
        ] {
            let scaled = frequencies(scaling);
            assert_eq!(scaled[0], plain[0]);
            assert!((scaled[63] * 8.0 / plain[63] - 1.0).abs() < 1e-6);
            let middle = scaled.iter().zip(&plain);
            assert!(middle.clone().all(|(s, p)| *s <= *p && *s >= p / 8.1));
            assert!(middle.clone().any(|(s, p)| *s < p * 0.9 && *s > p / 7.0));
        }
    }
}
