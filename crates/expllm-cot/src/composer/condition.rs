//! When a sentence fits: the conditions of the phrase files.
//!
//! A condition is a list of words, all of which must hold. For a cue `c` of the knowledge:
//!
//! | word | holds when the cue |
//! |---|---|
//! | `c` | acts, not on one side alone, and is no mere trace |
//! | `c*` | acts in any way |
//! | `~c` | acts as a mere trace |
//! | `!c*` | does not act in any way |
//! | `c/1` | acts on one side alone |
//! | `c/u` | acts on both sides, one of them further |
//! | `!c` | does not act, or is a mere trace beside stronger movements |
//! | `!c/u` | does not act further on one side than on the other |
//! | `-c` | was measured and is surely at rest |
//! | `c>=60`, `c<60` | acts, with an intensity of at least (below) 0.60 |
//! | `c>d` | acts clearly more than `d`, which may be at rest |
//!
//! `a|b` holds when one of the cues acts. `@name` and `!@name` ask for a combination, `only` that
//! no other cue acts, `faint` that all that acts is slight, `still:upper` and `still:lower` that half of the face is surely at rest,
//! `sure:`, `stance:`, `shown:`, `rival:` and `label:` (each also with `!`) for what the reasoning
//! says. `main:`, `missing:`, `against:` and `theirs:` ask for the cue that decides, the first that
//! is missing, the first that speaks against the label and the rival's own: a cue, or `any`.
//! `main:slight`, `main:trace` and `main:faint`, which is either, ask for how far the deciding cue goes, `grimace` for raised corners
//! that are no smile, and `seen:part` for a face of which only part could be read, with `seen:small`,
//! `seen:turned` and `seen:cut` for why.
//!
//! What the words of a sentence deny or call quiet need not be asked for: the bank reads it from them.

use expllm_core::Doubt;

use super::verdict::{Place, Verdict};
use crate::knowledge::{CueSet, Knowledge, Pattern};
use crate::reasoning::{Analysis, Certainty, Support};

/// By how much one cue must exceed another.
const MORE: f32 = 0.08;

/// The halves of the face, by the cues that every complete reading has measured.
const UPPER: &[&str] = &["brows_up", "brows_down", "lids_up", "eyes"];
const LOWER: &[&str] = &[
    "nose",
    "lip_up",
    "corners",
    "stretch",
    "suck_up",
    "suck_low",
    "lip_down",
    "pucker",
    "chin",
    "jaw",
    "puff",
    "slide_left",
    "slide_right",
    "thrust",
];

/// When a sentence fits.
#[derive(Debug, Clone, Default)]
pub(super) struct Condition {
    pattern: Pattern,
    idle: CueSet,
    traces: CueSet,
    uneven: CueSet,
    not_uneven: CueSet,
    more: Vec<(usize, usize)>,
    combinations: u64,
    not_combinations: u64,
    verdicts: Vec<(Verdict, bool)>,
    /// Cues that a sentence with this condition may speak of as acting.
    pub cues: CueSet,
    /// Whether it speaks of the deciding cue, whichever it is.
    pub names_main: bool,
    /// How much it asks for.
    pub weight: u32,
}

impl Condition {
    pub(super) fn parse(knowledge: &Knowledge, text: &str) -> Result<Self, String> {
        let mut condition = Self::default();
        for word in text.split_whitespace() {
            let known = condition.word(knowledge, word);
            known.ok_or_else(|| format!("{word:?} in the condition {text:?} means nothing"))?;
        }
        Ok(condition)
    }

    pub(super) fn holds(&self, analysis: &Analysis) -> bool {
        let face = &analysis.face;
        self.pattern.matches(face)
            && !self.idle.meets(face.acting)
            && self.traces.within(face.acting)
            && !self.traces.meets(face.telling())
            && self.uneven.within(face.uneven)
            && !self.not_uneven.meets(face.uneven)
            && self.combinations & !analysis.combinations == 0
            && self.not_combinations & analysis.combinations == 0
            && self
                .verdicts
                .iter()
                .all(|&(verdict, wanted)| verdict.holds(analysis) == wanted)
            && self
                .more
                .iter()
                .all(|&(a, b)| face.acting.contains(a) && face.level(a) > face.level(b) + MORE)
    }

    /// Cues whose sides it tells apart.
    pub(super) const fn sides(&self) -> CueSet {
        self.pattern.one_sided.union(self.uneven)
    }

    /// The first cue of which the condition asks for a side.
    pub(super) fn sided(&self) -> Option<usize> {
        self.sides().iter().next()
    }

    fn word(&mut self, knowledge: &Knowledge, word: &str) -> Option<()> {
        self.weight += 2;
        if word == "faint" {
            self.verdicts.push((Verdict::Faint, true));
            return Some(());
        }
        if word == "grimace" {
            self.cues.insert(knowledge.cue("corners")?);
            self.verdicts.push((Verdict::Grimace, true));
            return Some(());
        }
        if word == "only" {
            self.pattern.only = true;
            return Some(());
        }
        if let Some((kind, value)) = word.split_once(':') {
            return self.verdict(knowledge, kind, value);
        }
        if let Some(name) = word.strip_prefix('@') {
            self.combinations |= 1 << knowledge.combination(name)?;
            return Some(());
        }
        if let Some(name) = word.strip_prefix("!@") {
            self.not_combinations |= 1 << knowledge.combination(name)?;
            return Some(());
        }
        if let Some(name) = word.strip_prefix('!').and_then(|w| w.strip_suffix("/u")) {
            self.not_uneven.insert(knowledge.cue(name)?);
            self.weight -= 2;
            return Some(());
        }
        if let Some(name) = word.strip_prefix('!').and_then(|w| w.strip_suffix('*')) {
            self.idle.insert(knowledge.cue(name)?);
            self.weight -= 1;
            return Some(());
        }
        if let Some(name) = word.strip_prefix('!') {
            self.pattern.none.insert(knowledge.cue(name)?);
            self.weight -= 1;
            return Some(());
        }
        if let Some(name) = word.strip_prefix('~') {
            let cue = self.named(knowledge, name)?;
            self.traces.insert(cue);
            return Some(());
        }
        if let Some(name) = word.strip_prefix('-') {
            self.pattern.absent.insert(knowledge.cue(name)?);
            return Some(());
        }
        self.acting(knowledge, word)
    }

    fn acting(&mut self, knowledge: &Knowledge, word: &str) -> Option<()> {
        if word.contains('|') {
            let any: CueSet = word
                .split('|')
                .map(|c| knowledge.cue(c))
                .collect::<Option<_>>()?;
            self.pattern.any.push(any);
            self.cues = self.cues.union(any);
        } else if let Some(name) = word.strip_suffix("/1") {
            let cue = self.named(knowledge, name)?;
            self.pattern.one_sided.insert(cue);
        } else if let Some(name) = word.strip_suffix("/u") {
            let cue = self.named(knowledge, name)?;
            self.uneven.insert(cue);
            self.pattern.all.insert(cue);
        } else if let Some(name) = word.strip_suffix('*') {
            let cue = self.named(knowledge, name)?;
            self.pattern.any.push([cue].into_iter().collect());
        } else {
            return self.compared(knowledge, word);
        }
        Some(())
    }

    fn compared(&mut self, knowledge: &Knowledge, word: &str) -> Option<()> {
        let percent = |text: &str| text.parse().ok().map(|p: f32| p / 100.0);
        let (name, bounds) = if let Some((name, low)) = word.split_once(">=") {
            (name, Some((percent(low)?, f32::INFINITY)))
        } else if let Some((name, high)) = word.split_once('<') {
            (name, Some((0.0, percent(high)?)))
        } else if let Some((more, less)) = word.split_once('>') {
            self.more.push((knowledge.cue(more)?, knowledge.cue(less)?));
            return Some(());
        } else {
            (word, None)
        };
        let cue = self.named(knowledge, name)?;
        self.pattern.all.insert(cue);
        if let Some((low, high)) = bounds {
            self.pattern.bounds.push((cue, low, high));
        }
        Some(())
    }

    fn named(&mut self, knowledge: &Knowledge, name: &str) -> Option<usize> {
        let cue = knowledge.cue(name)?;
        self.cues.insert(cue);
        Some(cue)
    }

    fn verdict(&mut self, knowledge: &Knowledge, kind: &str, value: &str) -> Option<()> {
        let (kind, wanted) = match kind.strip_prefix('!') {
            Some(kind) => {
                self.weight -= 2; // What is not so says little about the face.
                (kind, false)
            }
            None => (kind, true),
        };
        let verdict = match (kind, value) {
            ("still", half) => return self.half(knowledge, half),
            ("sure", "clearly") => Verdict::Sure(Certainty::Clearly),
            ("sure", "probably") => Verdict::Sure(Certainty::Probably),
            ("sure", "tentatively") => Verdict::Sure(Certainty::Tentatively),
            ("stance", "rest") => Verdict::Support(Support::Rest),
            ("stance", "yes") => Verdict::Support(Support::Supported),
            ("stance", "no") => Verdict::Support(Support::Unsupported),
            ("stance", "open") => Verdict::Open,
            ("stance", "outweighed") => Verdict::Outweighed,
            ("shown", name) => Verdict::Shown(name.parse().ok()?),
            ("rival", "any") => Verdict::AnyRival,
            ("rival", name) => Verdict::Rival(name.parse().ok()?),
            ("label", name) => Verdict::Label(name.parse().ok()?),
            ("seen", "part") => Verdict::InPart(None),
            ("seen", "small") => Verdict::InPart(Some(Doubt::Small)),
            ("seen", "turned") => Verdict::InPart(Some(Doubt::TurnedAway)),
            ("seen", "cut") => Verdict::InPart(Some(Doubt::CutOff)),
            ("main", "faint") => Verdict::MainWithin(0.0, 0.35),
            ("main", "slight") => Verdict::MainWithin(0.25, 0.35),
            ("main", "trace") => Verdict::MainWithin(0.0, 0.25),
            ("main" | "missing" | "against" | "theirs" | "second", name) => {
                let cue = match name {
                    "any" => None,
                    name => Some(knowledge.cue(name)?),
                };
                self.names_main |= kind == "main";
                Verdict::Cue(Place::named(kind)?, cue)
            }
            _ => return None,
        };
        self.verdicts.push((verdict, wanted));
        Some(())
    }

    fn half(&mut self, knowledge: &Knowledge, half: &str) -> Option<()> {
        let names = match half {
            "upper" => UPPER,
            "lower" => LOWER,
            _ => return None,
        };
        let half: CueSet = names
            .iter()
            .map(|n| knowledge.cue(n))
            .collect::<Option<_>>()?;
        self.pattern.absent = self.pattern.absent.union(half);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use expllm_core::{ActionUnit as Au, AuVector, Expression, ExpressionSet, Intensity};

    use super::*;

    fn holds(text: &str, values: &[(Au, f32)]) -> bool {
        let mut units = AuVector::from_feafa_clamped([0.0; 24]);
        for &(unit, value) in values {
            units.set(unit, Intensity::clamped(value));
        }
        let knowledge = Knowledge::builtin();
        let label = Expression::Happiness;
        let analysis = Analysis::new(knowledge, &units, label, None, ExpressionSet::Seven);
        Condition::parse(knowledge, text).unwrap().holds(&analysis)
    }

    #[test]
    fn each_word_asks_for_what_the_table_says() {
        let smile = [(Au::LeftLipCornerPull, 0.7), (Au::RightLipCornerPull, 0.7)];
        let uneven = [(Au::LeftLipCornerPull, 0.7), (Au::RightLipCornerPull, 0.4)];
        let left = [(Au::LeftLipCornerPull, 0.7), (Au::JawDrop, 0.3)];
        for (text, wanted) in [
            ("corners", [true, true, false]),
            ("corners*", [true, true, true]),
            ("corners/1", [false, false, true]),
            ("corners/u", [false, true, false]),
            ("corners>=60", [true, false, false]),
            ("corners<60", [false, true, false]),
            ("corners>jaw", [true, true, true]),
            ("!jaw", [true, true, false]),
            ("-eyes", [true, true, true]),
            ("-cheeks", [false, false, false]),
            ("corners* only", [true, true, false]),
            ("jaw|corners", [true, true, true]),
            ("@smile", [true, true, false]),
            ("!@smile still:upper", [false, false, true]),
            ("!eyes* corners*", [true, true, true]),
            ("main:corners missing:eyes", [true, true, false]),
            ("label:happiness", [true, true, true]),
            ("!label:happiness", [false, false, false]),
        ] {
            let found = [&smile, &uneven, &left].map(|face| holds(text, &face[..]));
            assert_eq!(found, wanted, "{text}");
        }
    }

    #[test]
    fn words_without_a_meaning_are_named() {
        for text in ["corner", "sure:maybe", "@grin", "corners>=high"] {
            let error = Condition::parse(Knowledge::builtin(), text).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}
