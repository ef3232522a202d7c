//! Choosing the next token.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::GenerationSettings;
use crate::ModelError;

/// Chooses tokens by the settings of generation.
#[derive(Debug, Clone)]
pub struct Sampler {
    temperature: f32,
    top_p: f32,
    penalty: f32,
    random: ChaCha8Rng,
    seen: BTreeSet<u32>,
}

impl Sampler {
    /// A sampler for one answer.
    ///
    /// # Errors
    ///
    /// [`ModelError::Generation`].
    pub fn new(settings: &GenerationSettings, prompt: &[u32]) -> Result<Self, ModelError> {
        settings.validate()?;
        Ok(Self {
            temperature: settings.temperature,
            top_p: settings.top_p,
            penalty: settings.repetition_penalty,
            random: ChaCha8Rng::seed_from_u64(settings.seed),
            seen: prompt.iter().copied().collect(),
        })
    }

    /// A sampler that goes on from the same tokens at another temperature, with random numbers of
    /// its own.
    pub(super) fn redrawing(&self, temperature: f32, seed: u64) -> Self {
        Self {
            temperature,
            random: ChaCha8Rng::seed_from_u64(seed),
            ..self.clone()
        }
    }

    /// This sampler after the tokens that another has chosen in its place.
    pub(super) fn after(&self, other: Self) -> Self {
        Self {
            seen: other.seen,
            ..self.clone()
        }
    }

    /// The next token, given a score for each token of the vocabulary.
    ///
    /// # Errors
    ///
    /// [`ModelError::Device`] when a score is not a number.
    pub fn choose(&mut self, scores: &[f32]) -> Result<u32, ModelError> {
        if scores.is_empty() || scores.iter().any(|score| score.is_nan()) {
            let reason = "scores are not numbers; half precision may have overflowed, try f32";
            return Err(ModelError::Device(reason.to_owned()));
        }
        let mut scores = scores.to_vec();
        if self.penalty != 1.0 {
            for &token in &self.seen {
                // Image tokens may lie outside the vocabulary.
                if let Some(score) = scores.get_mut(token as usize) {
                    *score *= if *score < 0.0 {
                        self.penalty
                    } else {
                        1.0 / self.penalty
                    };
                }
            }
        }
        let token = if self.temperature == 0.0 {
            likeliest(&scores)
        } else {
            self.draw(&scores)
        };
        self.seen.insert(token);
        Ok(token)
    }

    /// Draws from the smallest set of likeliest tokens whose probability reaches `top_p`.
    fn draw(&mut self, scores: &[f32]) -> u32 {
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |score: f32| f64::from((score - largest) / self.temperature).exp();
        let mut ranked: Vec<(u32, f64)> = (0..)
            .zip(scores)
            .map(|(token, &score)| (token, weight(score)))
            .collect();
        let total: f64 = ranked.iter().map(|(_, weight)| weight).sum();
        let mut kept = total;
        if self.top_p < 1.0 {
            ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
            let wanted = total * f64::from(self.top_p);
            let mut sum = 0.0;
            let enough = ranked.iter().position(|(_, weight)| {
                sum += weight;
                sum >= wanted
            });
            ranked.truncate(enough.map_or(ranked.len(), |last| last + 1));
            kept = ranked.iter().map(|(_, weight)| weight).sum();
        }
        let mut left = self.random.random::<f64>() * kept;
        for &(token, weight) in &ranked {
            left -= weight;
            if left < 0.0 {
                return token;
            }
        }
        // Rounding may leave a rest after the last token.
        ranked.last().map_or(0, |&(token, _)| token)
    }
}

/// The token with the highest score; the first of equals.
fn likeliest(scores: &[f32]) -> u32 {
    let best = (0..)
        .zip(scores)
        .reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map_or(0, |(token, _)| token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(change: impl Fn(&mut GenerationSettings)) -> Sampler {
        let mut settings = GenerationSettings::default();
        change(&mut settings);
        Sampler::new(&settings, &[2]).unwrap()
    }

    #[test]
    fn greedy_takes_the_first_of_the_likeliest() {
        let mut greedy = sampler(|_| {});
        assert_eq!(greedy.choose(&[0.0, 3.0, 3.0, -1.0]).unwrap(), 1);
        assert!(greedy.choose(&[0.0, f32::NAN]).is_err());
    }

    #[test]
    fn the_penalty_lowers_tokens_of_prompt_and_answer() {
        let mut penalised = sampler(|s| s.repetition_penalty = 2.0);
        assert_eq!(penalised.choose(&[1.9, 1.0, 3.0]).unwrap(), 0);
        assert_eq!(penalised.choose(&[1.9, 1.0, 1.8]).unwrap(), 1);
        let mut negative = sampler(|s| s.repetition_penalty = 2.0);
        assert_eq!(negative.choose(&[-1.5, -1.9, -1.0]).unwrap(), 0);
    }

    #[test]
    fn frequencies_follow_probabilities_within_top_p() {
        // Probabilities 0.5, 0.3, 0.15, 0.05.
        let scores = [0.5_f32, 0.3, 0.15, 0.05].map(f32::ln);
        let mut sampler = sampler(|s| {
            s.temperature = 1.0;
            s.top_p = 0.7;
        });
        let mut counts = [0; 4];
        for _ in 0..4000 {
            counts[sampler.choose(&scores).unwrap() as usize] += 1;
        }
        assert_eq!(counts[2] + counts[3], 0);
        let share = f64::from(counts[0]) / 4000.0;
        // Three standard deviations around 0.5 / 0.8.
        assert!((share - 0.625).abs() < 0.023, "{share}");
    }

    #[test]
    fn the_same_seed_draws_the_same_tokens() {
        let draw = |seed| {
            let mut sampler = sampler(|s| {
                s.temperature = 1.5;
                s.seed = seed;
            });
            let tokens = (0..50).map(|_| sampler.choose(&[0.1, 0.2, 0.3, 0.4]).unwrap());
            tokens.collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
