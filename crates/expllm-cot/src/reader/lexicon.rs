//! What single words mean to the reader, read from `lexicon.txt`; shares nothing with the
//! composer's words.

use std::sync::LazyLock;

use expllm_core::Strength;

/// What a part can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Close,
    Open,
    Widen,
    Up,
    Down,
    Furrow,
    Pull,
    Bare,
    Stretch,
    Suck,
    Press,
    Pucker,
    Puff,
    Wrinkle,
    Slide,
    Thrust,
    Protrude,
    Drop,
    /// What sinks or droops: lids, brows, corners.
    Sag,
    Smile,
    Squint,
    Dimple,
}

/// How strong a word says that a movement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Degree {
    Trace,
    Slight,
    Moderate,
    /// "Strong" and its like, which no upper end is set to.
    Strong,
    Marked,
    Extreme,
}

impl Degree {
    pub(super) fn strength(self) -> Strength {
        match self {
            Self::Trace | Self::Slight => Strength::Slight,
            Self::Moderate => Strength::Moderate,
            Self::Strong | Self::Marked | Self::Extreme => Strength::Strong,
        }
    }

    /// The intensities that the word is right for (`docs/cot_engine.md`): from, to.
    pub(crate) fn band(self) -> (f32, f32) {
        match self {
            Self::Trace => (0.2, 0.3),
            Self::Slight => (0.2, 0.35),
            Self::Moderate => (0.35, 0.6),
            Self::Strong => (0.6, 1.0),
            Self::Marked => (0.6, 0.85),
            Self::Extreme => (0.85, 1.0),
        }
    }
}

/// What a word does in a sentence, beside naming an action or a strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Denies what follows.
    Deny,
    /// Denies what stands before.
    Missing,
    /// Neither claims nor denies.
    Nearly,
    /// Begins a clause.
    Clause,
    /// Parts two phrases less than a clause does.
    Soft,
    Determiner,
    Definite,
    /// A verb with a subject before it.
    Finite,
    Modal,
    Condition,
    Habit,
    General,
    /// What a supposed subject would do to a judgement.
    Decide,
    /// What a mood does to a face.
    Moves,
    Gesture,
    /// A noun that a part describes.
    Compound,
    Support,
    Against,
    /// Begins a clause with a reason or a rival.
    Aside,
    /// Says that another reading is near.
    Near,
    Still,
    Moving,
}

/// What one word in its place means.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sense {
    pub action: Option<Action>,
    pub strength: Option<Degree>,
    marks: u32,
}

impl Sense {
    pub(super) fn is(&self, mark: Mark) -> bool {
        self.marks & (1 << mark as u32) != 0
    }
}

#[derive(Debug, Clone, Copy)]
enum Meaning {
    Action(Option<Action>),
    Strength(Degree),
    Mark(Mark),
}

/// Where the neighbour of a pattern must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    After,
}

#[derive(Debug)]
struct Pattern {
    word: &'static str,
    is_stem: bool,
    neighbour: Option<(Place, Vec<&'static str>)>,
    meaning: Meaning,
}

/// Patterns by the first letter of their word, in the order of the file.
#[derive(Debug, Default)]
struct Lexicon {
    by_letter: [Vec<Pattern>; 26],
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let mut lexicon = Lexicon::default();
    for line in include_str!("lexicon.txt").lines() {
        for pattern in entry(line).unwrap_or_default() {
            if let Some(letter) = letter(pattern.word) {
                lexicon.by_letter[letter].push(pattern);
            }
        }
    }
    lexicon
});

fn letter(word: &str) -> Option<usize> {
    let first = word.bytes().next()?.to_ascii_lowercase();
    first
        .is_ascii_lowercase()
        .then(|| usize::from(first - b'a'))
}

/// The patterns of a line; `None` for a line that cannot be read, which a test refuses.
fn entry(line: &'static str) -> Option<Vec<Pattern>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Some(Vec::new());
    }
    let (head, patterns) = line.split_once(" = ")?;
    let (kind, name) = head.split_once(' ')?;
    let meaning = match kind {
        "action" => Meaning::Action(action_named(name)?),
        "strength" => Meaning::Strength(strength_named(name)?),
        "mark" => Meaning::Mark(mark_named(name)?),
        _ => return None,
    };
    let found = patterns
        .split(" | ")
        .map(|text| read_pattern(text, meaning));
    Some(
        found
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect(),
    )
}

fn read_pattern(text: &'static str, meaning: Meaning) -> Option<Vec<Pattern>> {
    let mut places = text.split(' ');
    let (first, second) = (places.next()?, places.next());
    let bare = |place: &'static str| place.strip_prefix('<').and_then(|p| p.strip_suffix('>'));
    let (own, neighbour) = match (bare(first), second) {
        (_, None) => (first, None),
        (Some(own), Some(after)) => (own, Some((Place::After, after))),
        (None, Some(second)) => (bare(second)?, Some((Place::Before, first))),
    };
    let own = own.trim_matches(['<', '>']);
    let one = |word: &'static str| Pattern {
        word: word.trim_end_matches('*'),
        is_stem: word.ends_with('*'),
        neighbour: neighbour.map(|(place, words)| (place, words.split('/').collect())),
        meaning,
    };
    Some(
        own.split('/')
            .map(|w| one(w.trim_matches(['<', '>'])))
            .collect(),
    )
}

fn fits(pattern: &str, word: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(stem) => word.starts_with(stem),
        None => word == pattern,
    }
}

impl Pattern {
    fn holds(&self, words: &[&str], at: usize) -> bool {
        let word = words[at];
        let own = if self.is_stem {
            word.starts_with(self.word)
        } else {
            word == self.word
        };
        own && self.neighbour.as_ref().is_none_or(|(place, wanted)| {
            beside(words, at, *place)
                .into_iter()
                .any(|w| wanted.iter().any(|p| fits(p, w)))
        })
    }
}

/// The neighbour of a word, and the one behind it where that is an adverb.
fn beside<'a>(words: &[&'a str], at: usize, place: Place) -> Vec<&'a str> {
    let step = |at: usize, by: usize| match place {
        Place::Before => at.checked_sub(by).and_then(|i| words.get(i)),
        Place::After => words.get(at + by),
    };
    match (step(at, 1), step(at, 2)) {
        (Some(next), Some(second)) if next.ends_with("ly") => vec![next, second],
        (Some(next), _) => vec![next],
        (None, _) => Vec::new(),
    }
}

/// What the word at a place means beside its neighbours.
pub(super) fn sense(words: &[&str], at: usize) -> Sense {
    let mut sense = Sense::default();
    let mut is_decided = false;
    if words[at].ends_with("n't") {
        sense.marks |= 1 << Mark::Deny as u32;
    }
    let Some(letter) = letter(words[at]) else {
        return sense;
    };
    for pattern in LEXICON.by_letter[letter]
        .iter()
        .filter(|p| p.holds(words, at))
    {
        match pattern.meaning {
            Meaning::Action(action) if !is_decided => {
                sense.action = action;
                is_decided = true;
            }
            Meaning::Action(_) => {}
            Meaning::Strength(strength) => sense.strength = sense.strength.or(Some(strength)),
            Meaning::Mark(mark) => sense.marks |= 1 << mark as u32,
        }
    }
    sense
}

fn action_named(name: &str) -> Option<Option<Action>> {
    use Action as A;
    Some(Some(match name {
        "none" => return Some(None),
        "close" => A::Close,
        "open" => A::Open,
        "widen" => A::Widen,
        "up" => A::Up,
        "down" => A::Down,
        "furrow" => A::Furrow,
        "pull" => A::Pull,
        "bare" => A::Bare,
        "stretch" => A::Stretch,
        "suck" => A::Suck,
        "press" => A::Press,
        "pucker" => A::Pucker,
        "puff" => A::Puff,
        "wrinkle" => A::Wrinkle,
        "slide" => A::Slide,
        "thrust" => A::Thrust,
        "protrude" => A::Protrude,
        "drop" => A::Drop,
        "sag" => A::Sag,
        "smile" => A::Smile,
        "squint" => A::Squint,
        "dimple" => A::Dimple,
        _ => return None,
    }))
}

fn strength_named(name: &str) -> Option<Degree> {
    Some(match name {
        "trace" => Degree::Trace,
        "slight" => Degree::Slight,
        "moderate" => Degree::Moderate,
        "strong" => Degree::Strong,
        "marked" => Degree::Marked,
        "extreme" => Degree::Extreme,
        _ => return None,
    })
}

fn mark_named(name: &str) -> Option<Mark> {
    use Mark as M;
    Some(match name {
        "deny" => M::Deny,
        "missing" => M::Missing,
        "nearly" => M::Nearly,
        "clause" => M::Clause,
        "soft" => M::Soft,
        "determiner" => M::Determiner,
        "definite" => M::Definite,
        "finite" => M::Finite,
        "modal" => M::Modal,
        "condition" => M::Condition,
        "habit" => M::Habit,
        "general" => M::General,
        "decide" => M::Decide,
        "moves" => M::Moves,
        "gesture" => M::Gesture,
        "compound" => M::Compound,
        "support" => M::Support,
        "against" => M::Against,
        "aside" => M::Aside,
        "near" => M::Near,
        "still" => M::Still,
        "moving" => M::Moving,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_lexicon_can_be_read() {
        for line in include_str!("lexicon.txt").lines() {
            assert!(entry(line).is_some(), "{line}");
        }
    }

    #[test]
    fn neighbours_decide_what_a_word_means() {
        let action = |text: &str, at: usize| {
            let words: Vec<&str> = text.split(' ').collect();
            sense(&words, at).action
        };
        assert_eq!(action("pulled down", 0), Some(Action::Down));
        assert_eq!(action("pulled slightly down", 0), Some(Action::Down));
        assert_eq!(action("pulled up", 1), Some(Action::Up));
        assert_eq!(action("pulled", 0), Some(Action::Pull));
        assert_eq!(action("drawn in", 0), Some(Action::Suck));
        assert_eq!(action("closely", 0), None);
        assert!(sense(&["isn't"], 0).is(Mark::Deny));
    }
}
