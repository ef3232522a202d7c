//! One explanation, event by event.

use std::collections::VecDeque;

use expllm_core::ExplanationEvent;

use super::ExpLlmExplainer;
use crate::ModelError;
use crate::conversation::{Task, Turn};
use crate::generation::{Prefix, TextStream};

/// An explanation in the making.
pub(super) struct Run<'m> {
    pub(super) explainer: &'m ExpLlmExplainer,
    pub(super) ready: VecDeque<ExplanationEvent>,
    pub(super) stream: Option<TextStream<'m>>,
    pub(super) text: String,
    /// Where to ask for the label when the chain has ended.
    pub(super) label_after: Option<Prefix<'m>>,
}

impl Run<'_> {
    fn step(&mut self) -> Result<Option<ExplanationEvent>, ModelError> {
        if let Some(event) = self.ready.pop_front() {
            return Ok(Some(event));
        }
        while let Some(stream) = &mut self.stream {
            let Some(piece) = stream.next().transpose()? else {
                self.stream = None;
                break;
            };
            // The space after the role is not part of the chain.
            let piece = if self.text.is_empty() {
                piece.trim_start()
            } else {
                &piece
            };
            if !piece.is_empty() {
                self.text.push_str(piece);
                return Ok(Some(ExplanationEvent::Text(piece.to_owned())));
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
            self.stream = None;
            self.label_after = None;
        }
        step.transpose()
    }
}
