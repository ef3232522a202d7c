//! The offline composer: a chain of thought from intensities and a label, without any model.

mod bank;
mod clauses;
mod conclusion;
mod condition;
mod interpretation;
mod listing;
mod observations;
mod slots;
#[cfg(test)]
mod stated;
mod telling;
mod verdict;
mod voice;

use expllm_core::{
    AuVector, ChainOfThought, ChainPart, Confidence, Doubt, ExplainRequest, Explainer,
    ExplanationStream, Expression, ExpressionProbabilities, ExpressionSet, Intensity, Stage,
    StageError, explanation_at_once,
};

use crate::knowledge::Knowledge;
use crate::reasoning::Analysis;
use bank::Bank;
use conclusion::Closer;
use interpretation::interpretation;
use observations::{Detail, Observer};
use voice::Voice;

/// Words of the canonical text that the paper allows.
pub const WORD_LIMIT: usize = 130;

/// How the observations are tried to be told, the richest first.
const DETAILS: [Detail; 13] = [
    Detail::Full,
    Detail::Full,
    Detail::Full,
    Detail::Full,
    Detail::Plain,
    Detail::Plain,
    Detail::Brief,
    Detail::Brief,
    Detail::Brief,
    Detail::Long,
    Detail::Long,
    Detail::Long,
    Detail::Long,
];
/// Words of the observations, as the guide has them: at most, and at least, where three movements and
/// more are told, five for each up to a limit.
const OBSERVED_MOST: usize = 60;
const OBSERVED_LEAST: usize = 35;
const WORDS_A_MOVEMENT: usize = 5;
const SAYS_SOMETHING: usize = 3;
/// Room that is kept for the conclusion.
const CONCLUSION: usize = 20;
/// Intensity from which a movement is told of a face that could be read only in part.
const PLAIN: f32 = 0.35;

/// Writes chains of thought from a bank of sentences, in microseconds and without any model.
///
/// What is said follows from the reasoning of [`crate::reason`]; how it is said is drawn from
/// sentences and clauses written by hand for what the face shows. A chain names every active unit
/// (above [`expllm_core::ACTIVE_THRESHOLD`]) with side and strength and no other unit as moving,
/// says what they do together, which cue decides or is missing, and concludes with the label.
/// Where the units do not support the label, the chain says so. An absence is told only of a unit
/// that was measured and is surely at rest. Where the face lies so in its photo that the reading is
/// doubtful, the chain says why, tells only the plainer movements and no difference of the sides,
/// and is a degree less certain. No text is longer than [`WORD_LIMIT`] words. The same
/// input and seed give the same text.
///
/// ```
/// use expllm_core::{ActionUnit, AuVector, Expression, ExpressionSet, Intensity};
/// use expllm_cot::Composer;
///
/// let mut units = AuVector::REST;
/// units.set(ActionUnit::LeftLipCornerPull, Intensity::clamped(0.7));
/// units.set(ActionUnit::RightLipCornerPull, Intensity::clamped(0.7));
/// let chain = Composer.compose(&units, Expression::Happiness, ExpressionSet::Seven, 1);
/// assert!(chain.conclusion.to_lowercase().contains("happiness"));
/// assert!(chain.word_count() <= 130);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Composer;

impl Composer {
    /// A chain that concludes with `label`; certainty and rival are found from the units.
    #[must_use]
    pub fn compose(
        &self,
        units: &AuVector,
        label: Expression,
        set: ExpressionSet,
        seed: u64,
    ) -> ChainOfThought {
        let analysis = Analysis::new(Knowledge::builtin(), units, label, None, set);
        compose(&analysis, seed)
    }

    /// A chain that concludes with the likeliest expression of the set; certainty and rival are
    /// those of the probabilities.
    #[must_use]
    pub fn compose_likeliest(
        &self,
        units: &AuVector,
        probabilities: &ExpressionProbabilities,
        set: ExpressionSet,
        seed: u64,
    ) -> ChainOfThought {
        let given = probabilities.within(set);
        let analysis = Analysis::new(Knowledge::builtin(), units, given.top(), Some(&given), set);
        compose(&analysis, seed)
    }
}

impl Composer {
    /// The chain that answers a request; certainty and rival are those of its probabilities, or
    /// come from the units where it has none.
    ///
    /// # Errors
    ///
    /// When no label follows from the request: it has neither one nor probabilities.
    pub fn answer(&self, request: &ExplainRequest) -> Result<ChainOfThought, StageError> {
        let missing = "neither a label nor probabilities of expressions to find one in";
        let label = request.label();
        let label = label.ok_or_else(|| StageError::new(Stage::ChainOfThought, missing))?;
        let probabilities = request.probabilities_in_play();
        let (given, set) = (probabilities.as_ref(), request.set);
        let analyse =
            |units: &AuVector| Analysis::new(Knowledge::builtin(), units, label, given, set);
        let analysis = match doubt(&request.confidence) {
            Some(why) => analyse(&plainest(&request.action_units)).read_in_part(why),
            None => analyse(&request.action_units),
        };
        Ok(compose(&analysis, request.seed))
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

/// Why a reading cannot be trusted; `None` where it can.
fn doubt(confidence: &Confidence) -> Option<Doubt> {
    let doubts = confidence.doubts().next();
    doubts.filter(|_| confidence.is_doubtful())
}

/// The movements that can be trusted in a face that could be read only in part: the plainer ones,
/// alike on both sides. The others count as unmeasured, so that nothing is inferred from them.
fn plainest(units: &AuVector) -> AuVector {
    let mut plain = AuVector::default();
    for (unit, value) in units.iter() {
        let other = units.get(unit.mirrored()).unwrap_or(value);
        let mean = f32::midpoint(value.get(), other.get());
        if mean >= PLAIN {
            plain.set(unit, Intensity::clamped(mean));
        }
    }
    plain
}

fn compose(analysis: &Analysis, seed: u64) -> ChainOfThought {
    let bank = Bank::get();
    let mut voice = Voice::new(seed);
    let key_observations = observations(bank, analysis, &mut voice);
    let taken = headings() + runs(&key_observations) + CONCLUSION;
    let room = WORD_LIMIT.saturating_sub(taken);
    let interpretation = interpretation(bank, analysis, &mut voice, room);
    let taken = headings() + runs(&key_observations) + runs(&interpretation);
    let mut closer = Closer {
        bank,
        analysis,
        voice: &mut voice,
        brief: taken + CONCLUSION > WORD_LIMIT,
    };
    ChainOfThought {
        key_observations,
        interpretation,
        conclusion: closer.conclusion(),
    }
}

/// The observations at the first detail at which they are as long as they should be; a list, where
/// too much moves for sentences.
fn observations(bank: &'static Bank, analysis: &Analysis, voice: &mut Voice) -> String {
    let movements = analysis.face.acting.len();
    let least = match movements < SAYS_SOMETHING {
        true => 0,
        false => (WORDS_A_MOVEMENT * movements).min(OBSERVED_LEAST),
    };
    let mut tell = |detail: Detail| {
        let mut observer = Observer {
            bank,
            analysis,
            voice,
            detail,
        };
        observer.observations()
    };
    let mut longest = String::new();
    for detail in DETAILS {
        let text = tell(detail);
        let count = words(&text);
        if (least..=OBSERVED_MOST).contains(&count) {
            return text;
        }
        if count <= OBSERVED_MOST && count > words(&longest) {
            longest = text;
        }
    }
    if !longest.is_empty() {
        return longest;
    }
    let clauses = tell(Detail::Clauses);
    match words(&clauses) <= OBSERVED_MOST {
        true => clauses,
        false => tell(Detail::List),
    }
}

fn headings() -> usize {
    ChainPart::ALL.iter().map(|part| runs(part.heading())).sum()
}

/// Words as the guide counts them.
fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// Runs of letters: the stricter count, in which `pulled-up` is two.
fn runs(text: &str) -> usize {
    let parts = text.split(|c: char| !c.is_alphabetic());
    parts.filter(|word| !word.is_empty()).count()
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
        assert!(runs(&text) <= WORD_LIMIT, "{text}");
        assert!(chain.word_count() <= WORD_LIMIT, "{text}");
        assert!(
            !text.contains(['^', '{', '}']) && !text.contains("  "),
            "{text}"
        );
        assert!(!text.contains(|c: char| c.is_ascii_digit()), "{text}");
        let concluded = chain.conclusion.to_lowercase();
        for expression in Expression::ALL {
            let named = concluded.contains(&expression.name().to_lowercase());
            // Where two readings are open, or one is near, it may have its name, too.
            assert!(named || expression != label, "{text}");
        }
    }

    #[test]
    fn all_units_fit_whatever_their_sides() {
        let uneven = std::array::from_fn(|i| if i % 2 == 0 { 0.9 } else { 0.3 });
        let led = std::array::from_fn(|i| if i % 2 == 0 { 0.99 } else { 0.7 });
        for seed in 0..100 {
            for values in [
                uneven,
                led,
                [1.0; ActionUnit::COUNT],
                [0.21; ActionUnit::COUNT],
            ] {
                for label in Expression::ALL {
                    check(&AuVector::from_clamped(values), label, seed);
                }
            }
        }
    }

    #[test]
    fn a_still_face_gets_no_movement() {
        for label in Expression::ALL {
            for seed in 0..50 {
                let chain = Composer.compose(&AuVector::REST, label, ExpressionSet::Eight, seed);
                for strength in ["slight", "moderate", "marked", "fully"] {
                    assert!(!chain.key_observations.contains(strength), "{chain}");
                }
                check(&AuVector::REST, label, seed);
            }
        }
    }

    #[test]
    fn a_label_without_support_is_said_honestly() {
        let mut units = AuVector::REST;
        units.set(ActionUnit::LeftLipCornerPull, Intensity::clamped(0.8));
        units.set(ActionUnit::RightLipCornerPull, Intensity::clamped(0.8));
        for seed in 0..50 {
            let chain = Composer.compose(&units, Expression::Anger, ExpressionSet::Seven, seed);
            for certainty in ["clearly", "probabl"] {
                assert!(!chain.conclusion.contains(certainty), "{chain}");
            }
        }
    }

    #[test]
    fn the_trait_agrees_with_the_method() {
        let mut scores = [0.0; Expression::COUNT];
        scores[Expression::Surprise.index()] = 0.7;
        scores[Expression::Fear.index()] = 0.3;
        let probabilities = ExpressionProbabilities::from_scores(scores);
        let mut units = AuVector::REST;
        for unit in [
            ActionUnit::LeftBrowRaise,
            ActionUnit::RightBrowRaise,
            ActionUnit::JawDrop,
        ] {
            units.set(unit, Intensity::clamped(0.8));
        }
        let request = ExplainRequest {
            action_units: units,
            probabilities: Some(probabilities),
            confidence: Confidence::FULL,
            crop: None,
            question: ExplainQuestion::LabelFirst,
            set: ExpressionSet::Seven,
            seed: 1,
        };
        let requests = [request.clone(), request.with_seed(2)];
        let explained = Composer.explain_all(&requests).unwrap();
        let chains: Vec<_> = explained.into_iter().map(|e| e.chain.unwrap()).collect();
        let likeliest =
            |seed| Composer.compose_likeliest(&units, &probabilities, ExpressionSet::Seven, seed);
        assert_eq!(chains, [likeliest(1), likeliest(2)]);
        for other in ["clearly", "tentative"] {
            assert!(!chains[0].conclusion.contains(other), "{}", chains[0]);
        }
    }

    proptest! {
        #[test]
        fn any_reading_gives_a_sound_chain(
            values in proptest::collection::vec(0.0f32..=1.0, ActionUnit::COUNT),
            gate in proptest::collection::vec(proptest::bool::weighted(0.4), ActionUnit::COUNT),
            label in 0usize..Expression::COUNT,
            seed: u64,
        ) {
            let values = std::array::from_fn(|i| if gate[i] { values[i] } else { 0.0 });
            check(&AuVector::from_clamped(values), Expression::ALL[label], seed);
        }
    }
}
