//! One explanation, event by event.

use std::collections::VecDeque;

use expllm_core::{ExplanationEvent, JudgedFace};

use super::ExpLlmExplainer;
use crate::ModelError;
use crate::conversation::{Task, Turn};
use crate::generation::{
    CancelToken, GenerationSettings, Prefix, TextStream, VerifiedPiece, VerifiedStream,
};

/// An explanation in the making.
pub(super) struct Run<'m> {
    pub(super) explainer: &'m ExpLlmExplainer,
    pub(super) ready: VecDeque<ExplanationEvent>,
    pub(super) writing: Option<Writing<'m>>,
    pub(super) text: String,
    /// Where to ask for the label when the chain has ended.
    pub(super) label_after: Option<Prefix<'m>>,
}

/// The chain of an explanation as it comes.
pub(super) enum Writing<'m> {
    /// Token by token, as it is.
    Plain(Box<TextStream<'m>>),
    /// Sentence by sentence, held against the face.
    Verified(Box<VerifiedStream<'m>>),
}

impl Iterator for Writing<'_> {
    type Item = Result<VerifiedPiece, ModelError>;

    fn next(&mut self) -> Option<Self::Item> {
        let plain = |text| VerifiedPiece { text, stands: true };
        match self {
            Self::Plain(stream) => stream.next().map(|text| text.map(plain)),
            Self::Verified(stream) => stream.next(),
        }
    }
}

impl ExpLlmExplainer {
    /// Begins a chain after a prefix.
    pub(super) fn write<'m>(
        &'m self,
        prefix: Prefix<'m>,
        settings: &GenerationSettings,
        (face, cancel): (Option<JudgedFace>, CancelToken),
    ) -> Result<Writing<'m>, ModelError> {
        let (Some(verification), Some(face)) = (&self.verification, face) else {
            let stream = TextStream::new(prefix, &self.tokenizer, settings, cancel)?;
            return Ok(Writing::Plain(Box::new(stream)));
        };
        let (begun, judged) = ((prefix, &self.tokenizer), (verification, face));
        let rows = self.faces_at_a_time();
        let stream = VerifiedStream::new(begun, settings, judged, rows, cancel)?;
        Ok(Writing::Verified(Box::new(stream)))
    }
}

impl Run<'_> {
    fn step(&mut self) -> Result<Option<ExplanationEvent>, ModelError> {
        if let Some(event) = self.ready.pop_front() {
            return Ok(Some(event));
        }
        while let Some(writing) = &mut self.writing {
            let Some(piece) = writing.next().transpose()? else {
                self.writing = None;
                break;
            };
            // The space after the role is not part of the chain.
            let text = match self.text.is_empty() {
                true => piece.text.trim_start(),
                false => &piece.text,
            };
            if !text.is_empty() {
                self.text.push_str(text);
                return Ok(Some(match piece.stands {
                    true => ExplanationEvent::Text(text.to_owned()),
                    false => ExplanationEvent::Unsupported(text.to_owned()),
                }));
            }
        }
        let Some(prefix) = self.label_after.take() else {
            return Ok(None);
        };
        let turns = [Turn::new(Task::Explanation, self.text.trim_end())];
        let (_, event, _) = self.explainer.label(Some(prefix), &turns, None)?;
        Ok(Some(event))
    }
}

impl Iterator for Run<'_> {
    type Item = Result<ExplanationEvent, ModelError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.writing = None;
            self.label_after = None;
        }
        step.transpose()
    }
}
