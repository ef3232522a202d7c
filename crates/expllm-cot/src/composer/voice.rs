//! Choices that a seed repeats.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::bank::{Bank, Phrase, Role, Text};
use super::slots;
use super::telling::{Degree, Told, told_extent};
use super::verdict::Place;
use crate::knowledge::{CueSet, Knowledge};
use crate::reasoning::{Analysis, Extent};

/// How much less fitting a phrase may be than the most fitting one.
const SLACK: u32 = 1;
/// The same for reasons in conclusions, which need more variety.
const CLAUSE_SLACK: u32 = 4;
/// The same for what a face does as a noun phrase.
const NOUN_SLACK: u32 = 3;
/// How often the name of a cue has a word of strength.
const WITH_STRENGTH: f64 = 0.4;

/// Draws wordings; the same seed draws the same ones.
pub(super) struct Voice {
    rng: ChaCha8Rng,
    used: Vec<&'static str>,
    /// Cues that sentences have spoken of, and those whose sides they have told apart.
    spoken: CueSet,
    sides_told: CueSet,
}

impl Voice {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            used: Vec::new(),
            spoken: CueSet::default(),
            sides_told: CueSet::default(),
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

    /// Whether a cue with its sides has been spoken of.
    pub(super) fn has_told(&self, cue: usize, analysis: &Analysis) -> bool {
        let sided = analysis.face.uneven.contains(cue) || analysis.face.one_sided.contains(cue);
        self.spoken.contains(cue) && (!sided || self.sides_told.contains(cue))
    }

    /// A text of a role that fits best; empty where none fits.
    pub(super) fn sentence(
        &mut self,
        bank: &'static Bank,
        role: Role,
        analysis: &Analysis,
    ) -> String {
        self.fitting(bank, role, analysis, 0, None)
    }

    /// The same, of phrases whose conditions weigh at least so much and that speak of a cue.
    pub(super) fn fitting(
        &mut self,
        bank: &'static Bank,
        role: Role,
        analysis: &Analysis,
        least: u32,
        about: Option<usize>,
    ) -> String {
        let mut scored = self.scored(bank, role, analysis, least, about);
        if matches!(role, Role::Because | Role::Noun) {
            decide(&mut scored, analysis);
        }
        let texts = near(&scored, role, analysis);
        if texts.is_empty() {
            return String::new();
        }
        let (phrase, text) = texts[self.below(texts.len())];
        self.used.extend(phrase.about.iter().map(String::as_str));
        self.spoken = self.spoken.union(phrase.condition.cues);
        self.sides_told = self.sides_told.union(phrase.condition.sides());
        let text = self.with_cues(bank, &text.words, analysis);
        slots::filled(&text, phrase, analysis)
    }

    /// The phrases of a role that fit, with how well they do.
    fn scored(
        &self,
        bank: &'static Bank,
        role: Role,
        analysis: &Analysis,
        least: u32,
        about: Option<usize>,
    ) -> Vec<(u32, &'static Phrase)> {
        let score = |phrase: &Phrase| match role {
            Role::Open | Role::Brief | Role::Upper | Role::Lower | Role::Whole => {
                coverage(phrase, analysis) + phrase.condition.weight
            }
            _ => phrase.condition.weight,
        };
        let fitting = bank.phrases(role, analysis.label).filter(|p| {
            p.condition.weight >= least
                && about.is_none_or(|cue| p.condition.cues.contains(cue))
                && p.condition.holds(analysis)
                && !p.about.iter().any(|a| self.used.contains(&a.as_str()))
                && p.texts.iter().any(|t| t.fits(&analysis.face))
        });
        fitting.map(|p| (score(p), p)).collect()
    }

    /// A text with the names of cues in their slots; a plural one in front keeps its `+`.
    fn with_cues(&mut self, bank: &'static Bank, text: &str, analysis: &Analysis) -> String {
        let mut text = text.to_owned();
        for (slot, place) in Place::ALL {
            let Some(cue) = place.cue(analysis).filter(|_| text.contains(slot)) else {
                continue;
            };
            let (name, plural) = self.cue_name(bank, cue, place, analysis);
            let mark = if plural && text == slot { "+" } else { "" };
            text = slots::agreeing(&text, plural).replace(slot, &format!("{mark}{name}"));
        }
        text
    }

    /// A cue as "wide eyes" or "a slightly wrinkled nose", and whether it is plural.
    fn cue_name(
        &mut self,
        bank: &'static Bank,
        cue: usize,
        place: Place,
        analysis: &Analysis,
    ) -> (String, bool) {
        let degree = Told::new(Knowledge::builtin(), analysis, cue).degree;
        let words = bank.cue_at(cue, degree);
        let name = self.choose(&words.names);
        let state = told_extent(analysis.face.state(cue));
        let first = name.trim_start_matches('+').split(' ').next();
        let strong = first.is_some_and(|word| word.ends_with("ed"))
            && place != Place::Missing
            && degree != Degree::Trace
            && matches!(state, Extent::Even | Extent::Single)
            && self.chance(WITH_STRENGTH);
        let how = match strong {
            true => format!("{} ", self.pick(degree.before())),
            false => String::new(),
        };
        match name.strip_prefix('+') {
            Some(many) => (format!("{how}{many}"), true),
            None if how.is_empty() && name.starts_with(['a', 'e', 'i', 'o', 'u']) => {
                (format!("an {name}"), false)
            }
            None => (format!("a {how}{name}"), false),
        }
    }
}

/// The wordings of the phrases that fit nearly as well as the best.
fn near(
    scored: &[(u32, &'static Phrase)],
    role: Role,
    analysis: &Analysis,
) -> Vec<(&'static Phrase, &'static Text)> {
    let best = scored.iter().map(|(score, _)| *score).max().unwrap_or(0);
    let slack = match role {
        Role::Because
        | Role::Noun
        | Role::Doubt
        | Role::Against
        | Role::Claim
        | Role::Makes
        | Role::Fails => CLAUSE_SLACK,
        Role::Upper | Role::Lower | Role::Whole => NOUN_SLACK,
        _ => SLACK,
    };
    let fits = |score: u32| score + slack >= best && (score > 0 || best == 0);
    let near = scored.iter().filter(|(score, _)| fits(*score));
    near.flat_map(|(_, p)| p.texts.iter().map(move |t| (*p, t)))
        .filter(|(_, text)| text.fits(&analysis.face))
        .collect()
}

/// Leaves the reasons that speak of the deciding cue, where there are such.
fn decide(scored: &mut Vec<(u32, &'static Phrase)>, analysis: &Analysis) {
    let Some(&main) = analysis.favour.first() else {
        return;
    };
    let tells = |p: &Phrase| p.condition.names_main || p.condition.cues.contains(main);
    if scored.iter().any(|(_, p)| tells(p)) {
        scored.retain(|(_, p)| tells(p));
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
