//! Choices that a seed repeats.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::bank::{Bank, Phrase, Role};
use super::telling::{name, opposite};
use crate::reasoning::{Analysis, Extent};

/// How much less fitting a phrase may be than the most fitting one.
const SLACK: u32 = 1;
/// The same for reasons in conclusions, which need more variety.
const CLAUSE_SLACK: u32 = 3;

/// Draws wordings; the same seed draws the same ones.
pub(super) struct Voice {
    rng: ChaCha8Rng,
    used: Vec<&'static str>,
}

impl Voice {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            used: Vec::new(),
        }
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.rng.random_bool(share)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end)
    }

    /// One of a list that is not empty.
    pub(super) fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.below(list.len())]
    }

    pub(super) fn choose(&mut self, list: &'static [String]) -> &'static str {
        &list[self.below(list.len())]
    }

    /// A text of a role that fits best; empty where none fits.
    pub(super) fn sentence(
        &mut self,
        bank: &'static Bank,
        role: Role,
        analysis: &Analysis,
    ) -> String {
        self.fitting(bank, role, analysis, 0)
    }

    /// The same, of phrases whose conditions weigh at least so much.
    pub(super) fn fitting(
        &mut self,
        bank: &'static Bank,
        role: Role,
        analysis: &Analysis,
        least: u32,
    ) -> String {
        let score = |phrase: &Phrase| match role {
            Role::Open | Role::Brief => coverage(phrase, analysis) + phrase.condition.weight,
            _ => phrase.condition.weight,
        };
        let fitting = bank.phrases(role, analysis.label).filter(|p| {
            p.condition.weight >= least
                && p.condition.holds(analysis)
                && !p.about.iter().any(|a| self.used.contains(&a.as_str()))
        });
        let scored: Vec<(u32, &'static Phrase)> = fitting.map(|p| (score(p), p)).collect();
        let Some(best) = scored.iter().map(|(score, _)| *score).max() else {
            return String::new();
        };
        let slack = match role {
            Role::Because | Role::Noun | Role::Doubt | Role::Against => CLAUSE_SLACK,
            _ => SLACK,
        };
        let fits = |score: u32| score + slack >= best && (score > 0 || best == 0);
        let near = scored.iter().filter(|(score, _)| fits(*score));
        let texts: Vec<(&'static Phrase, &'static String)> = near
            .flat_map(|(_, p)| p.texts.iter().map(move |t| (*p, t)))
            .collect();
        let (phrase, text) = texts[self.below(texts.len())];
        self.used.extend(phrase.about.iter().map(String::as_str));
        filled(text, phrase, analysis)
    }
}

/// A phrase counts by the strength of the cues that it speaks of, and loses where it passes over
/// the strongest.
fn coverage(phrase: &Phrase, analysis: &Analysis) -> u32 {
    let (face, cues) = (&analysis.face, phrase.condition.cues);
    let mut score = 20;
    let mut strongest = (0.0, true);
    for cue in face.acting.iter() {
        let (level, told) = (face.level(cue), cues.contains(cue));
        score += if told { 1 + (level * 10.0) as i32 } else { 0 };
        if level > strongest.0 {
            strongest = (level, told);
        }
    }
    let passed = if strongest.1 { 0 } else { 8 };
    (score - passed).max(0).unsigned_abs()
}

fn filled(text: &str, phrase: &Phrase, analysis: &Analysis) -> String {
    if !text.contains('{') {
        return text.to_owned();
    }
    let mut text = text.replace("{label}", &analysis.label.name().to_lowercase());
    text = text.replace("{shown}", &analysis.shown.name().to_lowercase());
    if let Some((rival, _)) = analysis.rival {
        text = text.replace("{rival}", &rival.name().to_lowercase());
    }
    if let Some(cue) = phrase.condition.sided() {
        let state = analysis.face.state(cue);
        let side = match state.extent {
            Extent::OneSided(side) => side,
            _ if state.left > state.right => expllm_core::Side::Left,
            _ => expllm_core::Side::Right,
        };
        text = text
            .replace("{side}", name(side))
            .replace("{other}", name(opposite(side)));
    }
    text
}
