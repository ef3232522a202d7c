//! Answers, token by token.
//!
//! [`Prefix`] holds a prompt that has been run; it is cloned for every continuation, so that
//! image and system text are encoded once. From a prefix come [`TokenStream`] and
//! [`TextStream`], the scores of fixed answers ([`AnswerTrie`]), and
//! [`BatchPrefix`], [`generate_batch`] and [`generate_texts`] run several prompts side by side.
//! [`Phrases`] of earlier answers let a prefix run several tokens at once.
//! A [`VerifiedStream`] holds each sentence against the face before it gives it.

mod answers;
mod batch;
mod batch_prefix;
mod line;
mod phrases;
mod prefix;
mod redraw;
mod sampler;
mod settings;
mod stream;
mod verified;

pub use answers::AnswerTrie;
pub use batch::{BatchPrompt, generate_batch, generate_texts};
pub use batch_prefix::BatchPrefix;
pub use phrases::{GuessCounts, Phrases};
pub use prefix::Prefix;
pub use sampler::Sampler;
pub use settings::GenerationSettings;
pub use stream::{CancelToken, FinishReason, TextStream, TokenStream};
pub use verified::{Verification, VerifiedPiece, VerifiedStream};

#[cfg(test)]
mod verified_tests;
