//! The bearer token.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::ServerError;

/// The bearer token that requests must carry. Its SHA-256 is kept and compared, so that neither the
/// place of the first wrong letter nor the length shows in the time of an answer.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// A token; white space around it is no part of it.
    ///
    /// # Errors
    ///
    /// [`ServerError::Config`] for an empty one, and for one that no header can carry.
    pub fn new(text: &str) -> Result<Self, ServerError> {
        let text = text.trim();
        let wrong = |reason: &str| Err(ServerError::Config(reason.to_owned()));
        if text.is_empty() {
            return wrong("the token is empty; write one into the token file");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return wrong("the token may hold letters, digits and signs of ASCII, without spaces");
        }
        Ok(Self(Sha256::digest(text).into()))
    }

    pub(crate) fn is(&self, given: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        self.0.ct_eq(&given).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_is_the_token() {
        let token = Token::new(" secret\n").unwrap();
        assert!(token.is(b"secret"));
        for other in [&b""[..], b"secre", b"secrets", b"Secret", b" secret"] {
            assert!(!token.is(other));
        }
        assert!(!format!("{token:?}").contains("secret"));
    }

    #[test]
    fn a_token_that_no_header_carries_is_refused() {
        for text in ["", " \n", "two words", "schlüssel"] {
            assert!(Token::new(text).is_err(), "{text:?}");
        }
    }
}
