//! Who explains a face, and what comes of it.

use expllm_core::{
    ChainOfThought, CoreError, CotRequest, CotWriter, ExplainQuestion, ExplanationEvent,
    ExplanationStream, Expression, ExpressionProbabilities, ExpressionSet, FaceExplainer, ReadFace,
    StageError,
};
use expllm_cot::Composer;

/// The stage that turns a face that was read into an expression and a chain of thought.
pub enum Explaining {
    /// Chains composed from the action units; the expression is that of the action unit network.
    Composer {
        /// The expressions in play.
        set: ExpressionSet,
        /// Varies the wording.
        seed: u64,
        /// The expression to explain, where it is given.
        label: Option<Expression>,
    },
    /// A multimodal language model that looks at the pixels.
    Model {
        /// The model.
        explainer: Box<dyn FaceExplainer>,
        /// What it is asked, in which order.
        question: ExplainQuestion,
    },
}

/// What a stage says about a face.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The likeliest expression, or the given one.
    pub expression: Expression,
    /// The probability of each expression; `None` when the expression was given.
    pub probabilities: Option<ExpressionProbabilities>,
    /// The chain as it was written.
    pub text: String,
    /// The text in its three parts, or why it has none.
    pub chain: Result<ChainOfThought, CoreError>,
}

impl Explaining {
    /// Whether several faces are explained at the same time. A language model uses all threads
    /// for one face and much memory for each.
    pub const fn in_parallel(&self) -> bool {
        matches!(self, Self::Composer { .. })
    }

    /// Explains a face, event by event; `index` is its place in the photo.
    pub fn start<'a>(
        &'a self,
        index: usize,
        face: &ReadFace,
    ) -> Result<ExplanationStream<'a>, StageError> {
        match self {
            Self::Composer { set, seed, label } => {
                let probabilities = face.reading.probabilities.within(*set);
                let request = CotRequest {
                    reading: face.reading.clone(),
                    expression: label.unwrap_or(probabilities.top()),
                    set: *set,
                    seed: seed.wrapping_add(index as u64),
                };
                let chains = Composer.write(std::slice::from_ref(&request))?;
                let first = label.is_none().then_some(ExplanationEvent::Label {
                    expression: request.expression,
                    probabilities,
                });
                let texts = chains.into_iter().map(|chain| chain.to_string());
                let events = first.into_iter().chain(texts.map(ExplanationEvent::Text));
                Ok(Box::new(events.map(Ok).collect::<Vec<_>>().into_iter()))
            }
            Self::Model {
                explainer,
                question,
            } => explainer.explain(&face.aligned, *question),
        }
    }

    /// The expression that the question gives.
    const fn given(&self) -> Option<Expression> {
        match self {
            Self::Composer { label, .. } => *label,
            Self::Model {
                question: ExplainQuestion::Given(label),
                ..
            } => Some(*label),
            Self::Model { .. } => None,
        }
    }

    /// Begins to collect the events of a face.
    pub const fn collect(&self) -> Collected {
        Collected {
            expression: self.given(),
            probabilities: None,
            text: String::new(),
        }
    }
}

/// The events of a face so far.
#[derive(Debug, Clone)]
pub struct Collected {
    expression: Option<Expression>,
    probabilities: Option<ExpressionProbabilities>,
    text: String,
}

impl Collected {
    /// Takes one event.
    pub fn take(&mut self, event: &ExplanationEvent) {
        match event {
            ExplanationEvent::Label {
                expression,
                probabilities,
            } => {
                self.expression = Some(*expression);
                self.probabilities = Some(*probabilities);
            }
            ExplanationEvent::Text(text) => self.text.push_str(text),
            _ => {}
        }
    }

    /// The whole explanation; `None` when no expression was named.
    pub fn finish(self) -> Option<Explanation> {
        Some(Explanation {
            expression: self.expression?,
            probabilities: self.probabilities,
            chain: self.text.parse(),
            text: self.text,
        })
    }
}

#[cfg(test)]
mod tests {
    use expllm_core::{
        AlignedFace, AuReading, AuVector, FaceBox, HeadPose, LANDMARK_COUNT, Landmarks, Photo,
        Point, Similarity,
    };

    use super::*;

    fn face() -> ReadFace {
        let landmarks = Landmarks {
            points: [Point::new(1.0, 1.0); LANDMARK_COUNT],
            head_pose: HeadPose::default(),
        };
        ReadFace {
            face_box: FaceBox::whole(4, 4),
            landmarks: landmarks.clone(),
            aligned: AlignedFace {
                image: Photo::new(4, 4, vec![9; 48]).unwrap(),
                to_photo: Similarity::IDENTITY,
                landmarks,
            },
            reading: AuReading {
                action_units: AuVector::from_feafa_clamped([0.6; 24]),
                probabilities: ExpressionProbabilities::from_scores([
                    0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 0.1, 0.6,
                ]),
                head_pose: HeadPose::default(),
            },
        }
    }

    fn explain(set: ExpressionSet, label: Option<Expression>) -> Explanation {
        let stage = Explaining::Composer {
            set,
            seed: 3,
            label,
        };
        let mut collected = stage.collect();
        for event in stage.start(0, &face()).unwrap() {
            collected.take(&event.unwrap());
        }
        collected.finish().unwrap()
    }

    #[test]
    fn the_composer_concludes_with_the_likeliest_of_the_set_or_the_given_label() {
        let eight = explain(ExpressionSet::Eight, None);
        assert_eq!(eight.expression, Expression::Contempt);
        assert_eq!(eight.chain.unwrap().to_string(), eight.text);
        let seven = explain(ExpressionSet::Seven, None);
        assert_eq!(seven.expression, Expression::Happiness);
        let share = seven.probabilities.unwrap().get(Expression::Happiness);
        assert!((share.get() - 0.75).abs() < 1e-6);
        let given = explain(ExpressionSet::Eight, Some(Expression::Anger));
        assert_eq!(
            (given.expression, given.probabilities),
            (Expression::Anger, None)
        );
        assert!(given.chain.unwrap().conclusion.contains("Anger"));
    }

    #[test]
    fn a_text_without_parts_is_kept_as_it_is() {
        let mut collected = Collected {
            expression: Some(Expression::Fear),
            probabilities: None,
            text: String::new(),
        };
        for text in ["The eyes ", "are wide."] {
            collected.take(&ExplanationEvent::Text(text.into()));
        }
        let explanation = collected.clone().finish().unwrap();
        assert_eq!(explanation.text, "The eyes are wide.");
        assert!(explanation.chain.is_err());
        collected.expression = None;
        assert_eq!(collected.finish(), None);
    }
}
