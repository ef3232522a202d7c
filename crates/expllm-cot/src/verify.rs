//! Chains held against the face while they are written, sentence by sentence.

use std::collections::BTreeSet;

use expllm_core::{
    ActionUnit, AuStatement, ChainOfThought, ChainPart, Expression, JudgedFace, NewSentence,
    Polarity, SentenceJudge, Verdict,
};

use crate::labels::{claimed_instead, concludes, is_english};
use crate::reader::{ends_in_mark, names_a_cue, opens, sentences, statements, words};

/// Words of a sentence from which its language can be told.
const WORDS_OF_A_LANGUAGE: usize = 12;

/// Words of observations after which nothing more is asked of them: what the guide on style
/// allows, less a sentence.
const ENOUGH_WORDS: usize = 45;

/// Judges sentences by the reader of chains that the checks use.
///
/// | verdict | when |
/// |---|---|
/// | contradicted | a statement about a measured unit is not supported, or the conclusion claims another label, or ends without its own |
/// | astray | the sentence begins in the middle of one, stands in the text already, holds neither a cue nor a common English word among a dozen, or ends a text without all parts |
/// | hasty | the observations end in less than 45 words with active units unnamed |
///
/// ```
/// use expllm_core::{ActionUnit, AuVector, Intensity, JudgedFace, NewSentence, SentenceJudge, Verdict};
///
/// let mut action_units = AuVector::REST;
/// action_units.set(ActionUnit::JawDrop, Intensity::clamped(0.5));
/// let face = JudgedFace { action_units, label: None };
/// let judge = |text, start| {
///     let last = false;
///     expllm_cot::ChainJudge.judge(&NewSentence { text, start, last }, &face)
/// };
/// assert_eq!(judge("The jaw drops.", 0), Verdict::Stands { new_units: 1 });
/// assert_eq!(judge("The jaw drops. The nose is wrinkled.", 14), Verdict::Contradicted);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct ChainJudge;

impl SentenceJudge for ChainJudge {
    fn ends(&self, text: &str, place: usize) -> Option<bool> {
        let (before, rest) = text.split_at(place);
        if !ends_in_mark(before) {
            return Some(false);
        }
        let next = rest.trim_start();
        let is_heading = next.len() < rest.len() && next.starts_with(['*', '#']);
        (!next.is_empty()).then(|| is_heading || opens(rest))
    }

    fn judge(&self, new: &NewSentence<'_>, face: &JudgedFace) -> Verdict {
        let before = Written::of(&new.text[..new.start]);
        let now = Written::of(new.text);
        // A candidate may go on in the middle of a word.
        let is_torn = new.start > 0 && self.ends(new.text, new.start) == Some(false);
        if is_torn || now.strays_from(&before) || (new.last && !now.is_whole()) {
            return Verdict::Astray;
        }
        let told = statements(&now.sentences, &face.action_units);
        let first = now.first_after(&before);
        let is_new = |statement: &&AuStatement| statement.sentence >= first;
        if told.iter().filter(is_new).any(|s| !s.supported)
            || face
                .label
                .is_some_and(|l| now.mislabels(first, (l, new.last)))
        {
            return Verdict::Contradicted;
        }
        let (new, old): (Vec<_>, Vec<_>) = told.iter().partition(is_new);
        let (new, old) = (named(&new), named(&old));
        let active = face.action_units.active();
        let unnamed = |(unit, _): &(ActionUnit, _)| !new.contains(unit) && !old.contains(unit);
        if now.leaves_observations(&before) && active.iter().any(unnamed) {
            return Verdict::Hasty;
        }
        Verdict::Stands {
            new_units: new.difference(&old).count(),
        }
    }
}

/// The units that statements claim, all of them borne out.
fn named(statements: &[&AuStatement]) -> BTreeSet<ActionUnit> {
    let claims = statements
        .iter()
        .filter(|s| s.supported && s.polarity == Polarity::Present);
    claims.map(|s| s.unit).collect()
}

/// As much of a chain as is written.
struct Written<'a> {
    /// The parts so far; none where the text has no headings yet.
    parts: Vec<(ChainPart, &'a str)>,
    sentences: Vec<&'a str>,
    /// How many of the sentences stand ahead of the conclusion; `None` before it begins.
    ahead: Option<usize>,
}

impl<'a> Written<'a> {
    fn of(text: &'a str) -> Self {
        let parts = ChainOfThought::begun(text);
        let mut found = Vec::new();
        let mut ahead = None;
        for (part, body) in &parts {
            if *part == ChainPart::Conclusion {
                ahead = Some(found.len());
            }
            found.extend(sentences(body));
        }
        if parts.is_empty() {
            found = sentences(text);
        }
        Self {
            parts,
            sentences: found,
            ahead,
        }
    }

    /// The first sentence that was not there before; the last where a heading has joined two.
    fn first_after(&self, before: &Self) -> usize {
        let last = self.sentences.len().saturating_sub(1);
        before.sentences.len().min(last)
    }

    fn is_whole(&self) -> bool {
        self.parts.len() == ChainPart::ALL.len() && self.parts.iter().all(|(_, b)| !b.is_empty())
    }

    /// Whether what is new stands there already, or is not English.
    fn strays_from(&self, before: &Self) -> bool {
        let new = &self.sentences[self.first_after(before)..];
        // A list of movements has none of the small words either.
        let is_foreign = |text: &&str| {
            words(text).len() >= WORDS_OF_A_LANGUAGE && !is_english(&[text]) && !names_a_cue(text)
        };
        let is_old = |text: &&str| before.sentences.contains(text);
        self.sentences.len() > before.sentences.len() && new.iter().any(is_old)
            || new.iter().any(is_foreign)
    }

    /// Whether new sentences of the conclusion, from `first` on, claim another label, or the
    /// whole of it ends without its own.
    fn mislabels(&self, first: usize, (label, last): (Expression, bool)) -> bool {
        let Some(ahead) = self.ahead else {
            return false;
        };
        let conclusion = self.parts.last().map_or("", |(_, body)| body);
        let new = &self.sentences[first.max(ahead).min(self.sentences.len())..];
        let claims_other = |text: &&str| !claimed_instead(text, label).is_empty();
        new.iter().any(claims_other) || (last && !concludes(conclusion, label))
    }

    /// Whether the newest sentence is the first of the interpretation, after few words.
    fn leaves_observations(&self, before: &Self) -> bool {
        let count = |text: &str| text.split_whitespace().count();
        let short = |(part, body): &(ChainPart, &str)| {
            *part == ChainPart::KeyObservations && count(body) < ENOUGH_WORDS
        };
        before.parts.len() == 1 && self.parts.len() > 1 && self.parts.first().is_some_and(short)
    }
}

#[cfg(test)]
mod tests {
    use expllm_core::{AuVector, ExplainRequest, ExpressionSet, Intensity};
    use proptest::prelude::*;

    use super::*;
    use crate::Composer;

    /// The verdicts on a text, sentence by sentence.
    fn verdicts(text: &str, face: &JudgedFace) -> Vec<Verdict> {
        let places = (1..text.len()).filter(|&at| text.is_char_boundary(at));
        let mut ends: Vec<_> = places
            .filter(|&at| ChainJudge.ends(text, at) == Some(true))
            .collect();
        ends.push(text.len());
        let starts = [0].into_iter().chain(ends.clone());
        let judge = |(start, &end): (usize, &usize)| {
            let new = NewSentence {
                text: &text[..end],
                start,
                last: end == text.len(),
            };
            ChainJudge.judge(&new, face)
        };
        starts.zip(&ends).map(judge).collect()
    }

    fn surprised() -> JudgedFace {
        let mut action_units = AuVector::REST;
        action_units.set(ActionUnit::JawDrop, Intensity::clamped(0.5));
        action_units.set(ActionUnit::NoseWrinkle, Intensity::clamped(0.5));
        JudgedFace {
            action_units,
            label: Some(Expression::Surprise),
        }
    }

    fn chain(observations: &str, conclusion: &str) -> String {
        format!(
            "**Key Observations:** {observations}\n\n**Overall Emotional Interpretation:** It is \
             as it is.\n\n**Conclusion:** {conclusion}"
        )
    }

    #[test]
    fn each_fault_has_its_verdict() {
        use Verdict::{Astray, Contradicted, Hasty, Stands};
        let [none, one, two] = [0, 1, 2].map(|new_units| Stands { new_units });
        let end = "This is surprise.";
        let both = "The jaw drops and the nose is wrinkled.";
        for (text, expected) in [
            (chain(both, end), vec![two, none, none]),
            (chain("The jaw drops.", end), vec![one, Hasty, none]),
            (
                chain("The lips press. The jaw drops.", end),
                vec![Contradicted, one, Hasty, none],
            ),
            (
                chain(&format!("{both} {both}"), end),
                vec![two, Astray, none, none],
            ),
            (chain(both, "This is anger."), vec![two, none, Contradicted]),
            (chain(both, "Nobody knows."), vec![two, none, Contradicted]),
            (
                chain(
                    "Der Kiefer klappt stark herunter, was ein Zeichen von Staunen ist, und bleibt.",
                    end,
                ),
                vec![Astray, Hasty, none],
            ),
            ("The jaw drops. It is".to_owned(), vec![one, Astray]),
            ("And so on and so on".to_owned(), vec![Astray]),
        ] {
            assert_eq!(verdicts(&text, &surprised()), expected, "{text}");
        }
        let torn = NewSentence {
            text: "It is so.er is the jaw.",
            start: "It is so.".len(),
            last: false,
        };
        assert_eq!(ChainJudge.judge(&torn, &surprised()), Astray);
    }

    #[test]
    fn a_sentence_ends_once_another_has_begun() {
        let ends = |text: &str| ChainJudge.ends(text, "It drops.".len());
        assert_eq!(ends("It drops. T"), Some(true));
        assert_eq!(ends("It drops.\n\n**Overall"), Some(true));
        assert_eq!(ends("It drops. "), None);
        assert_eq!(ends("It drops."), None);
        assert_eq!(ends("It drops.5"), Some(false));
        assert_eq!(ends("It drops. it"), Some(false));
        assert_eq!(ends("It drops, it"), Some(false));
    }

    /// An arbitrary face, in which a third of the units move far.
    fn arbitrary(seed: u64) -> AuVector {
        let mut units = AuVector::REST;
        for (place, unit) in (1..).zip(ActionUnit::ALL) {
            let mixed = (seed * 64 + place).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let value = (mixed >> 40) as f32 / (1 << 24) as f32;
            units.set(
                unit,
                Intensity::clamped(if value > 0.7 { value } else { 0.0 }),
            );
        }
        units
    }

    /// What the composer writes is right by construction; the reader of chains errs a little.
    #[test]
    fn nearly_all_sentences_of_the_composer_stand() {
        let (mut all, mut fallen) = (0, Vec::new());
        for seed in 0..400_u64 {
            let units = arbitrary(seed);
            let label = Expression::ALL[seed as usize % Expression::COUNT];
            let request = ExplainRequest::of_units(units, label, ExpressionSet::Eight);
            let text = Composer
                .answer(&request.with_seed(seed))
                .unwrap()
                .to_string();
            let face = JudgedFace {
                action_units: units,
                label: Some(label),
            };
            let found = verdicts(&text, &face);
            all += found.len();
            let fell = found.into_iter().filter(|verdict| !verdict.stands());
            fallen.extend(fell.map(|verdict| format!("{verdict:?}: {text}")));
        }
        println!("{} of {all} sentences fell", fallen.len());
        assert!(fallen.len() * 50 <= all, "{all}: {fallen:#?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_is_judged(text in "[A-Za-z .*:\n\u{e4}]{0,120}") {
            prop_assert!(!verdicts(&text, &surprised()).is_empty());
        }
    }
}
