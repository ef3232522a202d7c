//! Finds statements about action units in free text.
//!
//! The reader knows nothing of how a text was made. A sentence goes through these steps:
//!
//! | step | what it finds |
//! |---|---|
//! | `tokens`, `lexicon` | words, and what each can mean beside its neighbours |
//! | `parts` | phrases that name a part of the face, with their side |
//! | `clauses`, `mood` | where clauses begin; what is told of the face, supposed or missing |
//! | `pairing`, `movement` | which part moves how, and which units that is |
//! | `claims`, `followers` | side, strength and denial; "the right does not follow" |
//! | this module | the claims held against what was measured |
//!
//! Its words are its own (`lexicon.txt`), so that it can judge the composer's texts as well as
//! those of a language model.

mod claims;
mod clauses;
mod followers;
mod idioms;
mod lexicon;
mod mood;
mod movement;
mod pairing;
mod parts;
mod rest;
mod sentence;
mod stillness;
mod tokens;

use expllm_core::{
    ActionUnit, AuStatement, AuVector, ChainOfThought, ChainPart, GroundingReport, Polarity,
};

use claims::{Before, Claim};
pub(crate) use lexicon::{Action, Degree, Mark};
pub(crate) use mood::Mood;
use movement::{PartKind, Share};
pub(crate) use sentence::Sentence;
pub(crate) use stillness::Stillness;
pub use tokens::sentences;
pub(crate) use tokens::{ends_in_mark, opens};

/// A difference between the sides that bears no asymmetry.
pub(crate) const NO_ASYMMETRY: f32 = 0.1;

/// The sentences of a chain, part by part.
#[must_use]
pub fn chain_sentences(chain: &ChainOfThought) -> Vec<&str> {
    ChainPart::ALL
        .iter()
        .flat_map(|&part| sentences(chain.part(part)))
        .collect()
}

/// Whether a sentence names a part of the face, a movement or a gesture.
pub(crate) fn names_a_cue(text: &str) -> bool {
    let sentence = Sentence::read(text);
    let is_cue = |at| sentence.sense(at).action.is_some() || sentence.is(at, Mark::Gesture);
    !sentence.parts.is_empty() || (0..sentence.len()).any(is_cue)
}

/// Lower-case words and phrase marks of a text.
pub(crate) fn words(text: &str) -> Vec<String> {
    tokens::tokens(text).into_iter().map(|t| t.text).collect()
}

/// What a text says moves and does not move.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Units that it says move.
    pub moving: Vec<ActionUnit>,
    /// Units whose movement it denies.
    pub denied: Vec<ActionUnit>,
    /// Units of what it calls still.
    pub calm: Vec<ActionUnit>,
    /// Units that would contradict it, such as a dropped jaw a closed mouth.
    pub idle: Vec<ActionUnit>,
}

/// Everything that a text says of both sides, without "nothing else moves" and its like.
pub(crate) fn said(text: &str) -> Said {
    let reading = Reading::of(&sentences(text), &AuVector::REST);
    let absent = |t: &&Told| t.statement.polarity == Polarity::Absent;
    let closes = |t: &&Told| matches!(t.action, Some(Action::Close | Action::Open));
    let (idle, denied): (Vec<&Told>, Vec<&Told>) =
        reading.told.iter().filter(absent).partition(closes);
    let units = |told: Vec<&Told>| told.iter().map(|t| t.statement.unit).collect();
    let still = reading.still.iter().map(|(_, still)| still);
    let present = |t: &&Told| t.statement.polarity == Polarity::Present && t.of_each;
    let (loose, firm): (Vec<_>, Vec<_>) = still
        .filter(|still| !still.but_for_told)
        .partition(|still| still.loosely);
    let all = |still: Vec<&Stillness>| -> Vec<ActionUnit> {
        still.into_iter().flat_map(|s| s.units.clone()).collect()
    };
    let mut idle: Vec<ActionUnit> = units(idle);
    idle.extend(all(loose));
    Said {
        moving: units(reading.told.iter().filter(present).collect()),
        denied: units(denied),
        calm: all(firm),
        idle,
    }
}

/// Every claim about a measured unit in the sentences, held against the intensities.
///
/// A claim is supported when the unit is active, a denial when it is not. What the text only
/// supposes ("anger would bring the brows down") is no claim; what it misses ("the wrinkled nose
/// is missing") is a denial. "The upper face is still" counts as a denial of each unit that is
/// active there, and as nothing where it is true.
#[must_use]
pub fn statements(sentences: &[&str], units: &AuVector) -> Vec<AuStatement> {
    let told = Reading::of(sentences, units).told.into_iter();
    told.map(|told| told.statement)
        .filter(|s| units.get(s.unit).is_some())
        .collect()
}

/// A statement with what its words say beside the unit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub statement: AuStatement,
    pub degree: Option<Degree>,
    /// What the part is said to do.
    pub action: Option<Action>,
    /// Whether the words speak of all the units of the movement, and not of any of them.
    pub of_each: bool,
}

/// All that sentences say of units, measured or not.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reading {
    pub told: Vec<Told>,
    /// What is said to be still, with the index of its sentence.
    pub still: Vec<(usize, Stillness)>,
}

impl Reading {
    pub(crate) fn of(sentences: &[&str], units: &AuVector) -> Self {
        let mut reading = Self::default();
        let mut before = Before::default();
        for (index, text) in sentences.iter().enumerate() {
            let sentence = Sentence::read(text);
            let claims = claims::claims(&sentence, &before);
            let first = reading.told.len();
            for told in claims.iter().flat_map(|c| held_against(c, index, units)) {
                add(&mut reading.told, first, told);
            }
            let still = stillness::stillness(&sentence).into_iter();
            reading.still.extend(still.map(|still| (index, still)));
            if !sentence.parts.is_empty() {
                let parts = sentence.parts;
                before = Before { parts, claims };
            }
        }
        reading.deny_active(units);
        reading
    }

    /// The units that a text says are still, without those that it excepts.
    pub(crate) fn units_at_rest(&self, still: &Stillness) -> Vec<ActionUnit> {
        let is_told = |unit: &ActionUnit| {
            let present = |t: &&Told| t.statement.polarity == Polarity::Present;
            still.but_for_told
                && self
                    .told
                    .iter()
                    .filter(present)
                    .any(|t| t.statement.unit == *unit)
        };
        still
            .units
            .iter()
            .copied()
            .filter(|unit| !is_told(unit))
            .collect()
    }

    /// Denials of the active units that are said to be still.
    fn deny_active(&mut self, units: &AuVector) {
        let mut denied: Vec<Told> = Vec::new();
        for (sentence, still) in &self.still {
            let active = self
                .units_at_rest(still)
                .into_iter()
                .filter(|&u| units[u].is_active());
            denied.extend(active.map(|unit| Told {
                statement: AuStatement {
                    unit,
                    polarity: Polarity::Absent,
                    strength: None,
                    sentence: *sentence,
                    supported: false,
                },
                degree: None,
                action: None,
                of_each: true,
            }));
        }
        for told in denied {
            add(&mut self.told, 0, told);
        }
    }
}

/// Each unit and polarity once a sentence; `first` is where the sentence begins.
fn add(found: &mut Vec<Told>, first: usize, new: Told) {
    let same = found[first..].iter_mut().find(|old| {
        let (old, new) = (&old.statement, &new.statement);
        (old.unit, old.polarity, old.sentence) == (new.unit, new.polarity, new.sentence)
    });
    match same {
        Some(same) => {
            same.degree = same.degree.or(new.degree);
            same.statement.strength = same.degree.map(Degree::strength);
            // An open mouth may be one of the lips; a dropped jaw said beside it is not.
            same.statement.supported &= new.statement.supported;
        }
        None => found.push(new),
    }
}

/// The statements that a claim makes about these units.
fn held_against(claim: &Claim, sentence: usize, units: &AuVector) -> Vec<Told> {
    let is_active = |unit: ActionUnit| units[unit].is_active();
    let any_active = claim.units.iter().any(|&unit| is_active(unit));
    let is_meant = |unit: ActionUnit| match claim.share {
        Share::Each => true,
        Share::Any => !any_active || is_active(unit),
    };
    let polarity = match claim.claimed {
        true => Polarity::Present,
        false => Polarity::Absent,
    };
    let named = claim.units.iter().zip(&claim.strengths);
    let own = named.filter(|(unit, _)| is_meant(**unit));
    own.flat_map(|(&unit, &degree)| {
        let unit = nearest_measured(unit, units);
        let told = |unit, degree: Option<Degree>, seen| Told {
            statement: AuStatement {
                unit,
                polarity,
                strength: degree.map(Degree::strength),
                sentence,
                supported: seen == claim.claimed,
            },
            degree,
            action: Some(claim.action),
            of_each: claim.share == Share::Each,
        };
        let also = tightened(claim, unit).filter(|&lid| is_active(lid));
        let seen = is_active(unit)
            || claim.claimed
                && (shows_otherwise(claim, unit, units) || is_as_other(claim, unit, units));
        // The word of strength belongs to the lids where only they are active.
        let (own, lids) = match also.is_some() && !is_active(unit) {
            true => (None, degree),
            false => (degree, None),
        };
        [
            Some(told(unit, own, seen)),
            also.map(|lid| told(lid, lids, true)),
        ]
    })
    .flatten()
    .collect()
}

/// Narrowed eyes speak of tightened lids too.
fn tightened(claim: &Claim, unit: ActionUnit) -> Option<ActionUnit> {
    match (unit, claim.action) {
        (ActionUnit::LeftEyeClose, Action::Squint) => Some(ActionUnit::LeftLidTighten),
        (ActionUnit::RightEyeClose, Action::Squint) => Some(ActionUnit::RightLidTighten),
        _ => None,
    }
}

/// Whether a pair is told of which one side is active and this one hardly less so: no asymmetry
/// stands on so small a difference, and both are told as one.
fn is_as_other(claim: &Claim, unit: ActionUnit, units: &AuVector) -> bool {
    let other = unit.mirrored();
    let apart = (units[unit].get() - units[other].get()).abs();
    other != unit
        && claim.units.contains(&other)
        && units[other].is_active()
        && apart < NO_ASYMMETRY
}

/// The wider unit where the narrower one was not measured: raised inner brows are raised brows.
fn nearest_measured(unit: ActionUnit, units: &AuVector) -> ActionUnit {
    use ActionUnit as Au;
    let wider = match unit {
        Au::LeftInnerBrowRaise => Au::LeftBrowRaise,
        Au::RightInnerBrowRaise => Au::RightBrowRaise,
        Au::LeftLidTighten => Au::LeftEyeClose,
        Au::RightLidTighten => Au::RightEyeClose,
        _ => return unit,
    };
    match units.get(unit) {
        None => wider,
        Some(_) => unit,
    }
}

/// Whether other units make a claim true: lips that part open a mouth, tightened lids narrow eyes.
fn shows_otherwise(claim: &Claim, unit: ActionUnit, units: &AuVector) -> bool {
    use ActionUnit as Au;
    let lid = tightened(claim, unit);
    let others: &[ActionUnit] = match (unit, claim.part) {
        (Au::JawDrop, PartKind::Mouth) => &[Au::UpperLipRaise, Au::LowerLipDepress],
        (Au::LeftBrowRaise, _) => &[Au::LeftInnerBrowRaise],
        (Au::RightBrowRaise, _) => &[Au::RightInnerBrowRaise],
        _ => &[],
    };
    others
        .iter()
        .copied()
        .chain(lid)
        .any(|other| units[other].is_active())
}

/// Reads a chain and holds every statement against the intensities.
///
/// ```
/// use expllm_core::{ActionUnit, AuVector, ChainOfThought, Intensity};
///
/// let mut units = AuVector::REST;
/// units.set(ActionUnit::JawDrop, Intensity::clamped(0.5));
/// let chain: ChainOfThought = "**Key Observations:** The jaw drops. The nose is wrinkled.\n\
///     **Overall Emotional Interpretation:** It looks sudden.\n**Conclusion:** Surprise.".parse()?;
/// let report = expllm_cot::ground(&chain, &units);
/// assert_eq!(report.recall(), Some(1.0));
/// assert_eq!(report.offending_sentences(), [1]);
/// # Ok::<(), expllm_core::CoreError>(())
/// ```
#[must_use]
pub fn ground(chain: &ChainOfThought, units: &AuVector) -> GroundingReport {
    let sentences = chain_sentences(chain);
    report(&sentences, &Reading::of(&sentences, units), units)
}

/// What a reading says of these units, as a report.
pub(crate) fn report(sentences: &[&str], reading: &Reading, units: &AuVector) -> GroundingReport {
    let all = reading.told.iter().map(|told| told.statement.clone());
    let (statements, not_checkable): (Vec<_>, Vec<_>) =
        all.partition(|s| units.get(s.unit).is_some());
    let mut named = [false; ActionUnit::COUNT];
    for statement in &statements {
        named[statement.unit.index()] |= statement.polarity == Polarity::Present;
    }
    let active = units.active();
    GroundingReport {
        sentences: sentences.iter().map(|&s| s.to_owned()).collect(),
        statements,
        not_checkable,
        omitted: active
            .iter()
            .map(|&(unit, _)| unit)
            .filter(|unit| !named[unit.index()])
            .collect(),
        active: active.len(),
    }
}
