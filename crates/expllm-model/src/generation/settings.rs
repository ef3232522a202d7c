//! How answers are chosen and when they end.

use serde::{Deserialize, Serialize};

use crate::ModelError;

/// Settings of generation, as in `generation_config.json`; fields that a file lacks take the
/// [`Default`], which is greedy, as the paper decodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationSettings {
    /// Tokens after which an answer is cut, at least 1.
    pub max_new_tokens: usize,
    /// Divides the scores before sampling; 0 takes the likeliest token each time.
    pub temperature: f32,
    /// Samples among the likeliest tokens that together have this probability, in (0, 1].
    pub top_p: f32,
    /// Divides positive and multiplies negative scores of tokens that already stand in prompt or
    /// answer ([Keskar et al. 2019](https://arxiv.org/abs/1909.05858)); 1 changes nothing.
    pub repetition_penalty: f32,
    /// Start of the random numbers; the same seed gives the same answer.
    pub seed: u64,
    /// Tokens that end an answer and do not belong to it, beside the end token of the model.
    pub stop_tokens: Vec<u32>,
    /// Texts that end an answer and do not belong to it.
    pub stop_strings: Vec<String>,
}

impl Default for GenerationSettings {
    fn default() -> Self {
        Self {
            // The reference's limit for explanations.
            max_new_tokens: 800,
            temperature: 0.0,
            top_p: 1.0,
            repetition_penalty: 1.0,
            seed: 0,
            stop_tokens: Vec::new(),
            stop_strings: Vec::new(),
        }
    }
}

impl GenerationSettings {
    /// Checks every range.
    ///
    /// # Errors
    ///
    /// [`ModelError::Generation`] with the first setting out of range.
    pub fn validate(&self) -> Result<(), ModelError> {
        let fail = |setting, reason: String| Err(ModelError::Generation { setting, reason });
        if self.max_new_tokens == 0 {
            return fail("max_new_tokens", "must be at least 1".to_owned());
        }
        if !(0.0..=100.0).contains(&self.temperature) {
            return fail(
                "temperature",
                format!("{} is not in [0, 100]", self.temperature),
            );
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return fail("top_p", format!("{} is not in (0, 1]", self.top_p));
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty <= 100.0) {
            let reason = format!("{} is not in (0, 100]", self.repetition_penalty);
            return fail("repetition_penalty", reason);
        }
        if self.stop_strings.iter().any(String::is_empty) {
            return fail(
                "stop_strings",
                "an empty text would stop at once".to_owned(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        assert!(GenerationSettings::default().validate().is_ok());
        for json in [
            r#"{"max_new_tokens": 0}"#,
            r#"{"temperature": -1.0}"#,
            r#"{"top_p": 0.0}"#,
            r#"{"repetition_penalty": 0.0}"#,
            r#"{"stop_strings": [""]}"#,
        ] {
            let settings: GenerationSettings = serde_json::from_str(json).unwrap();
            assert!(settings.validate().is_err(), "{json}");
        }
    }
}
