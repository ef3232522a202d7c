//! The sentences and clauses that chains are made of, read once from the phrase files.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use expllm_core::Expression;
use serde::Deserialize;

use super::condition::Condition;
use super::telling::Degree;
use crate::knowledge::{CueSet, Knowledge};
use crate::reader::{Said, said};
use crate::reasoning::Face;

/// What a sentence or a clause is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// What keeps the face from being seen whole: before the observations.
    Caveat,
    /// What a face at rest shows: a part of observations.
    Still,
    /// What the units do together: the first sentence of an interpretation.
    Open,
    /// What strengthens or qualifies the label.
    Turn,
    /// The rival with the cue that decides, or the cue that is missing.
    Weigh,
    /// What a movement adds that no sentence before has spoken of.
    Aside,
    /// What can be said of any such face, where little else is.
    Last,
    /// What the label would need and the face does not show.
    Lack,
    /// A whole short interpretation.
    Brief,
    /// A claim of the label, as a clause.
    Claim,
    /// A claim of the label, as the predicate of a singular or a plural subject.
    Makes,
    /// That the face does not bear the label out, as such a predicate.
    Fails,
    /// What brows and eyes do, as a noun phrase; plural ones begin with `+`.
    Upper,
    /// What nose, mouth and chin do, as a noun phrase.
    Lower,
    /// What the whole face does, as a noun phrase.
    Whole,
    /// A reason for the label, as a clause.
    Because,
    /// A reason for the label, as a noun phrase; plural ones begin with `+`.
    Noun,
    /// What else speaks for the label, behind a conclusion.
    Tail,
    /// What keeps the label from being sure, as a clause.
    Doubt,
    /// Why the units do not support the label, as a clause.
    Against,
}

/// One text with the condition under which it fits.
#[derive(Debug)]
pub(super) struct Phrase {
    pub condition: Condition,
    pub texts: Vec<Text>,
    /// Subjects that no other sentence of the chain should touch.
    pub about: Vec<String>,
}

/// One wording, with what its own words say moves and rests.
#[derive(Debug)]
pub(super) struct Text {
    pub words: String,
    /// Said to move.
    moving: CueSet,
    /// Denied, and so measured and surely at rest, if the words are true.
    denied: CueSet,
    /// Called quiet, and so surely at rest as far as they were measured.
    calm: CueSet,
    /// Not active, if the words are true.
    idle: CueSet,
}

impl Text {
    fn read(knowledge: &Knowledge, words: String) -> Self {
        let bare = [
            "{label}",
            "{rival}",
            "{shown}",
            "{main}",
            "{missing}",
            "{against}",
            "{theirs}",
            "{second}",
        ]
        .iter()
        .fold(words.clone(), |text, slot| text.replace(slot, "it"));
        let sided = words.contains("{side}") || words.contains("{other}");
        let said = if sided { Said::default() } else { said(&bare) };
        let cues = |units: &[expllm_core::ActionUnit]| {
            let all = knowledge.cues().iter().enumerate();
            all.filter(|(_, cue)| cue.units.iter().any(|unit| units.contains(unit)))
                .map(|(place, _)| place)
                .collect()
        };
        Self {
            moving: cues(&said.moving),
            denied: cues(&said.denied),
            calm: cues(&said.calm),
            idle: cues(&said.idle),
            words,
        }
    }

    /// Whether all that the words say moves does so in a face, and nothing that they call quiet.
    pub(super) fn fits(&self, face: &Face) -> bool {
        let calm = self.calm.and(face.measured);
        self.moving.within(face.both)
            && self.denied.union(calm).within(face.still)
            && !self.calm.union(self.idle).meets(face.acting)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    when: String,
    say: Vec<String>,
    #[serde(default)]
    about: String,
}

type File = BTreeMap<Role, Vec<Entry>>;

/// How a cue is put into words.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CueWords {
    /// Both sides, or the only one.
    pub subjects: Vec<String>,
    /// Whether these subjects are plural.
    #[serde(default)]
    pub plural: bool,
    /// One side, with `{side}`.
    #[serde(default)]
    pub one: String,
    /// States after `is` or `are`.
    pub state: Vec<String>,
    /// Verbs, as `rises/rise`.
    #[serde(default)]
    pub verbs: Vec<String>,
    /// Names of the movement before `of`.
    pub nouns: Vec<String>,
    /// Name of the movement where room is short.
    pub short: String,
    /// The part with its state, without an article: "wrinkled nose"; plural ones begin with `+`.
    pub names: Vec<String>,
}

/// Everything that the composer can say.
#[derive(Debug)]
pub(super) struct Bank {
    phrases: BTreeMap<(Role, usize), Vec<Phrase>>,
    cues: Vec<CueWords>,
    shut: CueWords,
}

/// The place of phrases that fit every label.
const ANY: usize = Expression::COUNT;

const FILES: [(&str, usize); 13] = [
    (include_str!("phrases/nouns.toml"), ANY),
    (include_str!("phrases/asides.toml"), ANY),
    (include_str!("phrases/any_upper.toml"), ANY),
    (include_str!("phrases/any_lower.toml"), ANY),
    (include_str!("phrases/conclusion.toml"), ANY),
    (include_str!("phrases/neutral.toml"), 0),
    (include_str!("phrases/happiness.toml"), 1),
    (include_str!("phrases/sadness.toml"), 2),
    (include_str!("phrases/surprise.toml"), 3),
    (include_str!("phrases/fear.toml"), 4),
    (include_str!("phrases/disgust.toml"), 5),
    (include_str!("phrases/anger.toml"), 6),
    (include_str!("phrases/contempt.toml"), 7),
];

#[allow(clippy::expect_used)] // The files are part of the crate, and a test reads them.
static BANK: LazyLock<Bank> = LazyLock::new(|| Bank::read().expect("the phrase files"));

impl Bank {
    pub(super) fn get() -> &'static Self {
        &BANK
    }

    fn read() -> Result<Self, String> {
        let knowledge = Knowledge::builtin();
        let text = include_str!("phrases/cues.toml");
        let mut words: BTreeMap<String, CueWords> =
            toml::from_str(text).map_err(|e| e.to_string())?;
        let mut take = |name: &str| {
            words
                .remove(name)
                .ok_or_else(|| format!("no words for {name}"))
        };
        let cues = knowledge.cues().iter().map(|cue| take(&cue.name));
        let cues = cues.collect::<Result<_, _>>()?;
        let shut = take("eyes_shut")?;
        let mut bank = Self {
            phrases: BTreeMap::new(),
            cues,
            shut,
        };
        for (text, label) in FILES {
            let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
            for (role, entries) in file {
                let phrases = bank.phrases.entry((role, label)).or_default();
                for entry in entries {
                    phrases.push(phrase(knowledge, entry)?);
                }
            }
        }
        Ok(bank)
    }

    /// Phrases of a role for a label, those for every label behind its own.
    pub(super) fn phrases(&self, role: Role, label: Expression) -> impl Iterator<Item = &Phrase> {
        let of = move |place| self.phrases.get(&(role, place)).into_iter().flatten();
        of(label.index()).chain(of(ANY))
    }

    /// Words for a cue that goes so far.
    pub(super) fn cue_at(&self, cue: usize, degree: Degree) -> &CueWords {
        let name = &Knowledge::builtin().cues()[cue].name;
        self.cue(cue, name == "eyes" && degree == Degree::Extreme)
    }

    /// Words for a cue; closed eyes have words of their own.
    pub(super) fn cue(&self, cue: usize, closed: bool) -> &CueWords {
        match closed {
            true => &self.shut,
            false => &self.cues[cue],
        }
    }
}

fn phrase(knowledge: &Knowledge, entry: Entry) -> Result<Phrase, String> {
    let condition = Condition::parse(knowledge, &entry.when)?;
    let missing = entry.when.split_whitespace().filter(|w| w.starts_with('-'));
    let about = entry.about.split_whitespace().chain(missing);
    Ok(Phrase {
        about: about.map(str::to_owned).collect(),
        condition,
        texts: entry
            .say
            .into_iter()
            .map(|words| Text::read(knowledge, words))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = (Role, usize, &'static Phrase)> {
        let phrases = Bank::get().phrases.iter();
        phrases.flat_map(|(&(role, label), list)| list.iter().map(move |p| (role, label, p)))
    }

    #[test]
    fn the_files_are_read_and_every_slot_is_known() {
        const SLOTS: [&str; 10] = [
            "{label}",
            "{side}",
            "{other}",
            "{rival}",
            "{shown}",
            "{main}",
            "{missing}",
            "{against}",
            "{theirs}",
            "{second}",
        ];
        for (role, _, phrase) in all() {
            assert!(!phrase.texts.is_empty(), "{role:?} {phrase:?}");
            for text in phrase.texts.iter().map(|t| &t.words) {
                let bare = SLOTS
                    .iter()
                    .fold(text.clone(), |t, slot| t.replace(slot, "x"));
                assert!(!bare.contains(['{', '}']), "{text}");
                let sided = text.contains("{side}") || text.contains("{other}");
                assert!(!sided || phrase.condition.sided().is_some(), "{text}");
                assert!(!text.contains("  ") && text.trim() == text, "{text}");
                assert!(!text.contains(|c: char| c.is_ascii_digit()), "{text}");
            }
        }
    }

    #[test]
    fn sentences_end_and_clauses_do_not() {
        for (role, _, phrase) in all() {
            let sentence = matches!(
                role,
                Role::Caveat
                    | Role::Still
                    | Role::Open
                    | Role::Turn
                    | Role::Weigh
                    | Role::Aside
                    | Role::Last
                    | Role::Lack
                    | Role::Brief
            );
            for text in phrase.texts.iter().map(|t| &t.words) {
                assert_eq!(text.ends_with('.'), sentence, "{role:?}: {text}");
                let capital = text.starts_with(|c: char| c.is_uppercase());
                assert_eq!(capital, sentence, "{role:?}: {text}");
            }
        }
    }

    /// Words that point 5 of the guide and plain taste forbid.
    #[test]
    fn no_glue_and_no_padding() {
        const BANNED: [&str; 12] = [
            "likewise",
            "besides",
            "moreover",
            "furthermore",
            "additionally",
            "as if",
            "overall,",
            "indicative of",
            "suggestive of",
            "in conclusion",
            "therefore,",
            "genuine",
        ];
        for (_, _, phrase) in all() {
            for text in phrase.texts.iter().map(|t| &t.words) {
                let lower = text.to_lowercase();
                assert!(!BANNED.iter().any(|word| lower.contains(word)), "{text}");
            }
        }
    }

    #[test]
    fn no_text_stands_twice() {
        let mut seen = std::collections::HashSet::new();
        for (role, label, phrase) in all() {
            for text in phrase.texts.iter().map(|t| &t.words) {
                let sentence = matches!(
                    role,
                    Role::Open
                        | Role::Turn
                        | Role::Weigh
                        | Role::Aside
                        | Role::Last
                        | Role::Lack
                        | Role::Brief
                );
                assert!(!sentence || seen.insert(text), "{role:?} {label}: {text}");
            }
        }
    }
}
