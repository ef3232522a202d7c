//! Writing a chain again where the action units contradict it.
//!
//! A language model that looks at a face may still name a movement that is not there. Every chain
//! can be held against the readings of the action units, so the sentence is known; here such a
//! chain is drawn again, and of all attempts the one is kept that agrees best. The label is never
//! changed. What stays contradicted after the last attempt is marked as before.

use std::collections::VecDeque;

use expllm_core::{
    AlignedFace, AuVector, ExplainRequest, Explainer, Explanation, ExplanationEvent,
    ExplanationParts, ExplanationStream, Stage, StageError,
};
use expllm_cot::ground;
use expllm_model::ExpLlmExplainer;
use expllm_model::generation::GenerationSettings;

/// Temperature of the attempts after the first, where the model itself takes the likeliest token:
/// enough for another wording, too little for another meaning.
const TEMPERATURE: f32 = 0.7;

/// A multimodal model whose chains are held against the action units before they are shown.
///
/// Its label comes as soon as it is known; a chain comes as one piece of text, since it cannot be
/// shown before it is known to stand.
pub struct RewritingExplainer {
    model: ExpLlmExplainer,
    attempts: u32,
}

impl RewritingExplainer {
    /// Chains of a model, each written at most `attempts` times; one attempt is the model itself.
    #[must_use]
    pub fn new(model: ExpLlmExplainer, attempts: u32) -> Self {
        Self { model, attempts }
    }

    /// The settings of an attempt after the first.
    fn again(&self, attempt: u32) -> GenerationSettings {
        let settings = self.model.settings();
        GenerationSettings {
            seed: settings.seed.wrapping_add(u64::from(attempt)),
            temperature: if settings.temperature > 0.0 {
                settings.temperature
            } else {
                TEMPERATURE
            },
            ..settings.clone()
        }
    }

    /// Writes the chains again that the units of their faces contradict.
    fn rewrite(
        &self,
        requests: &[ExplainRequest],
        mut kept: Vec<Explanation>,
    ) -> Result<Vec<Explanation>, StageError> {
        let units = |at: usize| &requests[at].action_units;
        let mut open: Vec<usize> = (0..kept.len()).collect();
        for attempt in 1..self.attempts {
            open.retain(|&at| !Agreement::of(&kept[at], units(at)).is_whole());
            let written = self.write_again(requests, &open, attempt)?;
            for (&at, new) in open.iter().zip(written) {
                if is_better(&new, &kept[at], units(at)) {
                    kept[at] = new;
                }
            }
        }
        Ok(kept)
    }

    /// New chains for the requests at some places, in a batch for each question.
    fn write_again(
        &self,
        requests: &[ExplainRequest],
        places: &[usize],
        attempt: u32,
    ) -> Result<Vec<Explanation>, StageError> {
        let mut written = Vec::with_capacity(places.len());
        let question = |at: usize| requests[at].question;
        for alike in places.chunk_by(|&a, &b| question(a) == question(b)) {
            let crops = alike.iter().filter_map(|&at| requests[at].crop.clone());
            let crops: Vec<AlignedFace> = crops.collect();
            let settings = self.again(attempt);
            let said = (self.model).explain_batch_with(&crops, question(alike[0]), &settings);
            let said = said.map_err(|error| StageError::new(Stage::Explanation, error))?;
            written.extend(said.into_iter().map(|mut said| {
                said.expression = question(alike[0]).given().or(said.expression);
                said
            }));
        }
        Ok(written)
    }
}

/// Whether a new explanation agrees better with the units, under the label of the old one: a label
/// that is read from the chain may come out as another, and a conclusion may lose it.
fn is_better(new: &Explanation, old: &Explanation, units: &AuVector) -> bool {
    let score = |said| Agreement::of(said, units).score();
    new.expression == old.expression
        && (concludes(new) || !concludes(old))
        && score(new) > score(old)
}

/// Whether the conclusion names the label.
fn concludes(said: &Explanation) -> bool {
    match (&said.chain, said.expression) {
        (Ok(chain), Some(label)) => expllm_cot::concludes(&chain.conclusion, label),
        _ => false,
    }
}

/// How far a chain agrees with action units.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Agreement {
    /// The text has no three parts.
    NoChain,
    /// Its statements that are supported, and the active units that are named, as shares; without
    /// statements, or without active units, nothing.
    Chain {
        precision: Option<f64>,
        recall: Option<f64>,
    },
}

impl Agreement {
    fn of(explanation: &Explanation, units: &AuVector) -> Self {
        let Ok(chain) = &explanation.chain else {
            return Self::NoChain;
        };
        let report = ground(chain, units);
        Self::Chain {
            precision: report.precision(),
            recall: report.recall(),
        }
    }

    /// Whether no statement is contradicted; a chain that says nothing contradicts nothing.
    fn is_whole(self) -> bool {
        match self {
            Self::NoChain => false,
            Self::Chain { precision, .. } => precision.is_none_or(|share| share >= 1.0),
        }
    }

    /// What attempts are compared by: both shares together, so that a chain does not win by
    /// saying nothing.
    fn score(self) -> f64 {
        match self {
            Self::NoChain => -1.0,
            Self::Chain { precision, recall } => precision.unwrap_or(0.0) + recall.unwrap_or(0.0),
        }
    }
}

/// One explanation, event by event.
struct Run<'m> {
    explainer: &'m RewritingExplainer,
    request: ExplainRequest,
    /// The first attempt, until it has ended.
    first: Option<ExplanationStream<'m>>,
    parts: ExplanationParts,
    /// Whether the label came before the chain and was told.
    told: bool,
    /// Whether any text has come.
    begun: bool,
    /// What is left to be told.
    ready: VecDeque<ExplanationEvent>,
}

impl Run<'_> {
    /// Runs the first attempt on; returns the label when it comes before the chain.
    fn step(&mut self) -> Result<Option<ExplanationEvent>, StageError> {
        while let Some(first) = &mut self.first {
            let Some(event) = first.next().transpose()? else {
                self.first = None;
                self.ready = self.finish()?;
                break;
            };
            self.parts.take(&event);
            match event {
                ExplanationEvent::Label { .. } if !self.begun => {
                    self.told = true;
                    return Ok(Some(event));
                }
                _ => self.begun = true,
            }
        }
        Ok(self.ready.pop_front())
    }

    /// The text that is kept, and the label that was read from it.
    fn finish(&mut self) -> Result<VecDeque<ExplanationEvent>, StageError> {
        let first = std::mem::take(&mut self.parts).finish();
        let request = std::slice::from_ref(&self.request);
        let written = self.explainer.rewrite(request, vec![first])?;
        let events = written.into_iter().flat_map(|said| {
            let label = said.expression.zip(said.probabilities);
            let label = label.filter(|_| !self.told);
            let label = label.map(|(expression, probabilities)| ExplanationEvent::Label {
                expression,
                probabilities,
            });
            [Some(ExplanationEvent::Text(said.text)), label]
        });
        Ok(events.flatten().collect())
    }
}

impl Iterator for Run<'_> {
    type Item = Result<ExplanationEvent, StageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.first = None;
            self.ready.clear();
        }
        step.transpose()
    }
}

impl Explainer for RewritingExplainer {
    fn crop_side(&self) -> Option<u32> {
        self.model.crop_side()
    }

    fn in_parallel(&self) -> bool {
        false
    }

    fn explain<'a>(
        &'a self,
        request: &ExplainRequest,
    ) -> Result<ExplanationStream<'a>, StageError> {
        Ok(Box::new(Run {
            explainer: self,
            first: Some(self.model.explain(request)?),
            parts: ExplanationParts::new(request.question),
            request: request.clone(),
            told: false,
            begun: false,
            ready: VecDeque::new(),
        }))
    }

    fn explain_all(&self, requests: &[ExplainRequest]) -> Result<Vec<Explanation>, StageError> {
        let first = self.model.explain_all(requests)?;
        self.rewrite(requests, first)
    }
}

#[cfg(test)]
mod tests {
    use expllm_core::{ActionUnit, Expression, ExpressionProbabilities, Intensity};

    use super::*;

    fn said(label: Expression, observations: &str) -> Explanation {
        concluding(label, observations, label)
    }

    fn concluding(label: Expression, observations: &str, conclusion: Expression) -> Explanation {
        let mut scores = [0.0; Expression::COUNT];
        scores[label.index()] = 1.0;
        let label = (label, ExpressionProbabilities::from_scores(scores));
        let text = format!(
            "**Key Observations:** {observations}\n\n**Overall Emotional Interpretation:** It \
             is plain.\n\n**Conclusion:** The expression is {conclusion}."
        );
        Explanation::new(Some(label), text)
    }

    #[test]
    fn the_chain_that_agrees_better_under_the_same_label_is_kept() {
        let mut units = AuVector::REST;
        units.set(ActionUnit::JawDrop, Intensity::clamped(0.5));
        units.set(ActionUnit::LeftBrowRaise, Intensity::clamped(0.5));
        units.set(ActionUnit::RightBrowRaise, Intensity::clamped(0.5));
        let label = Expression::Surprise;
        let silent = said(label, "The face is seen from the front.");
        let wrong = said(label, "The jaw drops. The nose is wrinkled.");
        let right = said(label, "The jaw drops.");
        let full = said(label, "The jaw drops. The brows are raised.");
        let loose = Explanation {
            text: "The jaw drops.".to_owned(),
            chain: "The jaw drops.".parse(),
            ..right.clone()
        };
        let ranked = [&loose, &silent, &wrong, &right, &full];
        for (at, better) in ranked.iter().enumerate() {
            for worse in &ranked[..at] {
                assert!(
                    is_better(better, worse, &units),
                    "{} {}",
                    better.text,
                    worse.text
                );
                assert!(
                    !is_better(worse, better, &units),
                    "{} {}",
                    better.text,
                    worse.text
                );
            }
            assert!(!is_better(better, better, &units));
        }
        let other = said(Expression::Fear, "The jaw drops. The brows are raised.");
        assert!(!is_better(&other, &wrong, &units));
        let astray = concluding(
            label,
            "The jaw drops. The brows are raised.",
            Expression::Fear,
        );
        assert!(!is_better(&astray, &wrong, &units));
        assert!(is_better(
            &wrong,
            &concluding(label, "The nose is wrinkled.", Expression::Fear),
            &units
        ));
    }

    #[test]
    fn only_contradicted_chains_and_texts_that_are_none_are_written_again() {
        let mut units = AuVector::REST;
        units.set(ActionUnit::JawDrop, Intensity::clamped(0.5));
        let whole = |text| Agreement::of(&said(Expression::Fear, text), &units).is_whole();
        assert!(whole("The jaw drops."));
        assert!(whole("The face is seen from the front."));
        assert!(!whole("The jaw drops. The nose is wrinkled."));
        let loose = Explanation::new(None, "The jaw drops.".to_owned());
        assert!(!Agreement::of(&loose, &units).is_whole());
    }
}
