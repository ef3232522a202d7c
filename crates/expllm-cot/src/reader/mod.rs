//! Finds statements about action units in free text.
//!
//! The reader knows nothing of how a text was made: it looks for parts of the face, for words of
//! movement, and pairs the nearest of them within a sentence, with side, strength and negation.
//! Its lists of words are its own, so that it can judge the composer's texts as well as those of
//! a language model.

mod lexicon;
mod pairing;
mod parts;
mod tokens;

use expllm_core::{
    ActionUnit, AuStatement, AuVector, ChainOfThought, ChainPart, GroundingReport, Polarity,
};

pub use tokens::sentences;

/// The sentences of a chain, part by part.
#[must_use]
pub fn chain_sentences(chain: &ChainOfThought) -> Vec<&str> {
    ChainPart::ALL
        .iter()
        .flat_map(|&part| sentences(chain.part(part)))
        .collect()
}

/// Lower-case words and phrase marks of a text.
pub(crate) fn words(text: &str) -> Vec<String> {
    tokens::tokens(text).into_iter().map(|t| t.text).collect()
}

/// For each word whether a denial shortly before it reaches it.
pub(crate) fn denied_words(words: &[String]) -> Vec<bool> {
    const REACH: usize = 5;
    let mut left = 0usize;
    words
        .iter()
        .enumerate()
        .map(|(at, word)| {
            let next = words.get(at + 1).map_or("", String::as_str);
            let denied = left > 0;
            left = left.saturating_sub(1);
            let instead = matches!(
                (word.as_str(), next),
                ("rather", "than") | ("instead", "of")
            );
            match word.as_str() {
                _ if lexicon::denies(word) || instead => left = REACH,
                "but" | "while" | ";" => left = 0,
                _ => {}
            }
            denied
        })
        .collect()
}

/// Every claim about a unit in the sentences, held against the intensities.
///
/// A claim is supported when the unit is active, a denial when it is not.
#[must_use]
pub fn statements(sentences: &[&str], units: &AuVector) -> Vec<AuStatement> {
    let mut found = Vec::new();
    for (index, sentence) in sentences.iter().enumerate() {
        for claim in pairing::claims(&tokens::tokens(sentence)) {
            let polarity = match claim.claimed {
                true => Polarity::Present,
                false => Polarity::Absent,
            };
            found.push(AuStatement {
                unit: claim.unit,
                polarity,
                strength: claim.strength,
                sentence: index,
                supported: units[claim.unit].is_active() == claim.claimed,
            });
        }
    }
    found
}

/// Reads a chain and holds every statement against the intensities.
///
/// ```
/// use expllm_core::{ActionUnit, AuVector, ChainOfThought, Intensity};
///
/// let mut units = AuVector::default();
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
    let statements = statements(&sentences, units);
    let mut named = [false; ActionUnit::COUNT];
    for statement in &statements {
        named[statement.unit.index()] |= statement.polarity == Polarity::Present;
    }
    let active = units.active();
    GroundingReport {
        sentences: sentences.iter().map(|&s| s.to_owned()).collect(),
        statements,
        omitted: active
            .iter()
            .map(|&(unit, _)| unit)
            .filter(|unit| !named[unit.index()])
            .collect(),
        active: active.len(),
    }
}
