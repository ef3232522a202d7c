//! The offline composer: a chain of thought from intensities and a label, without any model.

mod grammar;
mod interpretation;
mod mention;
mod movement;
mod observations;

use expllm_core::{
    AuVector, ChainOfThought, ChainPart, ExplainRequest, Explainer, ExplanationStream, Expression,
    ExpressionProbabilities, ExpressionSet, Stage, StageError, explanation_at_once,
};

use grammar::Voice;
use interpretation::{Scope, Verdict, conclusion, interpretation};
use movement::{Mention, mentions};
use observations::{Detail, observations};

/// Words of the canonical text that the paper allows.
pub const WORD_LIMIT: usize = 130;

/// A runner-up below this probability is not worth a word.
const LIKELY: f32 = 0.05;

/// Levels of detail, the richest first.
const LEVELS: [(Detail, Scope); 7] = [
    (Detail::Clauses(5), Scope::Full),
    (Detail::Clauses(4), Scope::Full),
    (Detail::Clauses(3), Scope::Full),
    (Detail::Clauses(2), Scope::WithoutConflict),
    (Detail::Clauses(1), Scope::Short),
    (Detail::Clauses(0), Scope::Short),
    (Detail::Names, Scope::Rivalry),
];

/// Writes chains of thought from a grammar, in microseconds and without any model.
///
/// A chain names every active unit (above [`expllm_core::ACTIVE_THRESHOLD`]) with side and
/// strength and no other unit, says what each suggests, how they combine, why the nearest other
/// expression is not chosen, and concludes with the label. Where the units do not support the
/// label, the chain says so. The more units are active the shorter each is put, so that no text
/// is longer than [`WORD_LIMIT`] words. The same input and seed give the same text.
///
/// ```
/// use expllm_core::{ActionUnit, AuVector, Expression, ExpressionSet, Intensity};
/// use expllm_cot::Composer;
///
/// let mut units = AuVector::default();
/// units.set(ActionUnit::LeftLipCornerPull, Intensity::clamped(0.7));
/// units.set(ActionUnit::RightLipCornerPull, Intensity::clamped(0.7));
/// let chain = Composer.compose(&units, Expression::Happiness, ExpressionSet::Seven, 1);
/// assert!(chain.conclusion.contains("Happiness"));
/// assert!(chain.word_count() <= 130);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Composer;

impl Composer {
    /// A chain that concludes with `label`; the runner-up is found from the units.
    #[must_use]
    pub fn compose(
        &self,
        units: &AuVector,
        label: Expression,
        set: ExpressionSet,
        seed: u64,
    ) -> ChainOfThought {
        compose(units, label, set, None, seed)
    }

    /// A chain that concludes with the likeliest expression of the set; the runner-up is the
    /// second likeliest when it has at least a probability of 0.05.
    #[must_use]
    pub fn compose_likeliest(
        &self,
        units: &AuVector,
        probabilities: &ExpressionProbabilities,
        set: ExpressionSet,
        seed: u64,
    ) -> ChainOfThought {
        let probabilities = probabilities.within(set);
        let label = probabilities.top();
        compose(units, label, set, runner_up(&probabilities, label), seed)
    }
}

impl Composer {
    /// The chain that answers a request.
    ///
    /// # Errors
    ///
    /// When no label follows from the request: it has neither one nor probabilities.
    pub fn answer(&self, request: &ExplainRequest) -> Result<ChainOfThought, StageError> {
        let missing = "neither a label nor probabilities of expressions to find one in";
        let label = request.label();
        let label = label.ok_or_else(|| StageError::new(Stage::ChainOfThought, missing))?;
        let probabilities = request.probabilities_in_play();
        let runner = probabilities.and_then(|all| runner_up(&all, label));
        let (units, set) = (&request.action_units, request.set);
        Ok(compose(units, label, set, runner, request.seed))
    }
}

impl Explainer for Composer {
    fn explain<'a>(
        &'a self,
        request: &ExplainRequest,
    ) -> Result<ExplanationStream<'a>, StageError> {
        Ok(explanation_at_once(request, &self.answer(request)?))
    }
}

fn runner_up(probabilities: &ExpressionProbabilities, label: Expression) -> Option<Expression> {
    probabilities
        .ranked()
        .into_iter()
        .find(|(expression, _)| *expression != label)
        .filter(|(_, probability)| probability.get() >= LIKELY)
        .map(|(expression, _)| expression)
}

fn compose(
    units: &AuVector,
    label: Expression,
    set: ExpressionSet,
    runner: Option<Expression>,
    seed: u64,
) -> ChainOfThought {
    let mentions = mentions(units);
    let verdict = Verdict::new(&mentions, label, set, runner);
    let mut voice = Voice::new(seed, label);
    let mut chain = at_level(&mut voice, &mentions, verdict, 0);
    // Texts get shorter with the level; the last one fits with all units active and uneven.
    for level in 1..LEVELS.len() {
        if words(&chain) <= WORD_LIMIT {
            break;
        }
        chain = at_level(&mut voice, &mentions, verdict, level);
    }
    chain
}

/// Words by the stricter of the usual countings: `pulled-up` counts as two.
fn words(chain: &ChainOfThought) -> usize {
    let runs = |text: &str| {
        text.split(|c: char| !c.is_alphabetic())
            .filter(|word| !word.is_empty())
            .count()
    };
    let headings: usize = ChainPart::ALL.iter().map(|p| runs(p.heading())).sum();
    let parts: usize = ChainPart::ALL.iter().map(|&p| runs(chain.part(p))).sum();
    headings + parts
}

fn at_level(
    voice: &mut Voice,
    mentions: &[Mention],
    verdict: Verdict,
    level: usize,
) -> ChainOfThought {
    let (detail, scope) = LEVELS[level];
    ChainOfThought {
        key_observations: observations(voice, mentions, verdict.label, detail),
        interpretation: interpretation(voice, mentions, verdict, scope),
        conclusion: conclusion(voice, verdict, scope),
    }
}

#[cfg(test)]
mod tests {
    use expllm_core::{ActionUnit, ExplainQuestion, Intensity};
    use proptest::prelude::*;

    use super::*;

    fn check(units: &AuVector, label: Expression, seed: u64) {
        let chain = Composer.compose(units, label, ExpressionSet::Eight, seed);
        let text = chain.to_string();
        assert_eq!(text.parse().as_ref(), Ok(&chain), "{text}");
        assert!(words(&chain) <= WORD_LIMIT, "{text}");
        assert!(chain.word_count() <= WORD_LIMIT, "{text}");
        assert!(
            !text.contains(['^', '{', '}']) && !text.contains("  "),
            "{text}"
        );
        assert!(!text.contains(|c: char| c.is_ascii_digit()), "{text}");
        let concluded = chain.conclusion.to_lowercase();
        for expression in Expression::ALL {
            let named = concluded.contains(&expression.name().to_lowercase());
            assert_eq!(named, expression == label, "{text}");
        }
    }

    #[test]
    fn all_units_fit_whatever_their_sides() {
        for seed in 0..500 {
            let uneven = std::array::from_fn(|i| if i % 2 == 0 { 0.9 } else { 0.3 });
            let led = std::array::from_fn(|i| if i % 2 == 0 { 0.99 } else { 0.7 });
            for values in [
                uneven,
                led,
                [1.0; ActionUnit::FEAFA_COUNT],
                [0.21; ActionUnit::FEAFA_COUNT],
            ] {
                for label in Expression::ALL {
                    check(&AuVector::from_feafa_clamped(values), label, seed);
                }
            }
        }
    }

    #[test]
    fn a_still_face_gets_no_movement() {
        for label in Expression::ALL {
            let chain = Composer.compose(&AuVector::default(), label, ExpressionSet::Eight, 5);
            assert!(
                chain
                    .key_observations
                    .to_lowercase()
                    .contains("action unit")
            );
            check(&AuVector::default(), label, 5);
        }
    }

    #[test]
    fn a_label_without_support_is_said_honestly() {
        let mut units = AuVector::default();
        units.set(ActionUnit::LeftLipCornerPull, Intensity::clamped(0.8));
        units.set(ActionUnit::RightLipCornerPull, Intensity::clamped(0.8));
        for seed in 0..50 {
            let chain = Composer.compose(&units, Expression::Anger, ExpressionSet::Seven, seed);
            assert!(
                chain.interpretation.to_lowercase().contains("happiness"),
                "{chain}"
            );
            let honest = ["though", "although", "while"];
            assert!(
                honest.iter().any(|w| chain.conclusion.contains(w)),
                "{chain}"
            );
        }
    }

    #[test]
    fn the_trait_agrees_with_the_method_and_names_the_likely_rival() {
        let mut scores = [0.0; Expression::COUNT];
        scores[Expression::Surprise.index()] = 0.7;
        scores[Expression::Fear.index()] = 0.3;
        let probabilities = ExpressionProbabilities::from_scores(scores);
        let mut units = AuVector::default();
        units.set(ActionUnit::LeftBrowRaise, Intensity::clamped(0.8));
        units.set(ActionUnit::JawDrop, Intensity::clamped(0.8));
        let request = ExplainRequest {
            action_units: units,
            probabilities: Some(probabilities),
            crop: None,
            question: ExplainQuestion::LabelFirst,
            set: ExpressionSet::Seven,
            seed: 1,
        };
        let requests = [request.clone(), request.with_seed(2)];
        let explained = Composer.explain_all(&requests).unwrap();
        let chains: Vec<_> = explained.into_iter().map(|e| e.chain.unwrap()).collect();
        let set = ExpressionSet::Seven;
        assert_eq!(
            chains[0],
            Composer.compose_likeliest(&units, &probabilities, set, 1)
        );
        assert_eq!(
            chains[1],
            Composer.compose_likeliest(&units, &probabilities, set, 2)
        );
        assert!(chains[0].interpretation.to_lowercase().contains("fear"));
    }

    proptest! {
        #[test]
        fn any_reading_gives_a_sound_chain(
            values in proptest::array::uniform24(0.0f32..=1.0),
            gate in proptest::array::uniform24(proptest::bool::weighted(0.4)),
            label in 0usize..Expression::COUNT,
            seed: u64,
        ) {
            let values = std::array::from_fn(|i| if gate[i] { values[i] } else { 0.0 });
            check(&AuVector::from_feafa_clamped(values), Expression::ALL[label], seed);
        }
    }
}
