//! Reading a chain as it comes.

use expllm_core::{ChainOfThought, ChainPart, CoreError};

/// Reads a chain while its text comes in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainReader {
    text: String,
}

impl ChainReader {
    /// Takes more text.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The text so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The parts so far, each with what is there of it.
    #[must_use]
    pub fn begun(&self) -> Vec<(ChainPart, &str)> {
        ChainOfThought::begun(&self.text)
    }

    /// The whole chain.
    ///
    /// # Errors
    ///
    /// [`CoreError::IncompleteChain`] with the first part that is missing.
    pub fn finish(&self) -> Result<ChainOfThought, CoreError> {
        self.text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_read_while_they_come() {
        let mut reader = ChainReader::default();
        reader.push("**Key Observations:** the jaw drops\n\n**Overall Emo");
        assert_eq!(reader.begun().len(), 1);
        assert!(reader.finish().is_err());
        reader.push("tional Interpretation:** surprise\n\n**Conclusion:** Surprise.");
        assert_eq!(reader.finish().unwrap().conclusion, "Surprise.");
    }
}
