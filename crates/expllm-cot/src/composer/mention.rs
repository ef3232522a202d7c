//! One active movement in words.

use expllm_core::Strength;

use super::grammar::Voice;
use super::movement::{Extent, Mention, Side};

/// A piece of text that can be the subject of a verb.
#[derive(Debug)]
pub(super) struct NounPhrase {
    pub text: String,
    pub plural: bool,
}

/// Prefix of the rules for a strength.
const fn strength_key(strength: Strength) -> &'static str {
    match strength {
        // Mentions are active, so that this arm is never the text of an inactive unit.
        Strength::Absent | Strength::Slight => "slight",
        Strength::Moderate => "moderate",
        Strength::Strong => "strong",
    }
}

impl Mention {
    /// A clause with a verb, such as `both brows lower markedly`.
    pub(super) fn clause(&self, voice: &mut Voice) -> String {
        let key = self.movement.key;
        let values = [("WAY", self.way())];
        let (subject, plural) = self.subject(voice);
        let tail = self.tail(voice, "adv");
        let adverb = self.common_strength().map(|s| word(voice, s, "adv"));
        let adverb = adverb.unwrap_or_default();
        let finite = if plural { "finite.pl" } else { "finite.sg" };
        if voice.chance(0.4) {
            let verb = voice.word(key, finite, &values);
            return format!("{subject} {verb} {adverb}{tail}");
        }
        let is = if plural { "are" } else { "is" };
        let passive = voice.word(key, "passive", &values);
        format!("{subject} {is} {adverb} {passive}{tail}")
    }

    /// A subject with its state in front, such as `markedly raised, both brows`; uneven sides do
    /// not fit there.
    pub(super) fn fronted(&self, voice: &mut Voice) -> NounPhrase {
        let plain = !matches!(self.extent, Extent::Uneven { .. } | Extent::Led(..));
        let (Some(strength), true) = (self.common_strength(), plain) else {
            return self.noun_phrase(voice);
        };
        let passive = self.movement_word(voice, "passive");
        let adverb = word(voice, strength, "adv");
        let (subject, plural) = self.subject(voice);
        let text = format!("{adverb} {passive}, {subject}");
        NounPhrase { text, plural }
    }

    fn movement_word(&self, voice: &mut Voice, form: &str) -> String {
        voice.word(self.movement.key, form, &[("WAY", self.way())])
    }

    /// A noun phrase, such as `a marked lowering of both brows`.
    pub(super) fn noun_phrase(&self, voice: &mut Voice) -> NounPhrase {
        let adjectival = self.slides().is_none() && voice.chance(0.5);
        match self.extent {
            Extent::Uneven { .. } => self.nominal(voice),
            _ if adjectival => self.adjectival(voice),
            _ => self.nominal(voice),
        }
    }

    /// The shortest form without strength: one entry per word of strength.
    pub(super) fn bare(&self, voice: &mut Voice) -> Vec<(Strength, String)> {
        let form = |voice: &mut Voice, side: Option<Side>| {
            let way = match (self.slides(), side) {
                (Some(_), Some(Side::Left)) => "left",
                (Some(_), Some(Side::Right)) => "right",
                (Some(_), None) => "both ways",
                (None, _) => "",
            };
            let part = match (self.slides(), side) {
                (None, Some(side)) => format!("{} {}", side.name(), self.one(voice)),
                (None, None) if self.is_pair() => format!("both {}", self.many(voice)),
                _ => self.one(voice),
            };
            let bare = voice.word(self.movement.key, "bare", &[("WAY", way)]);
            format!("{part} {bare}")
        };
        match self.extent {
            Extent::Single(s) | Extent::Even(s) | Extent::Led(_, s) => vec![(s, form(voice, None))],
            Extent::OneSide(side, s) => vec![(s, form(voice, Some(side)))],
            Extent::Uneven { left, right } => vec![
                (left, form(voice, Some(Side::Left))),
                (right, form(voice, Some(Side::Right))),
            ],
        }
    }

    fn nominal(&self, voice: &mut Voice) -> NounPhrase {
        let nominal = voice.word(self.movement.key, "nominal", &[("WAY", self.way())]);
        let adjective = self.common_strength().map(|s| word(voice, s, "adj"));
        let adjective = adjective.unwrap_or_default();
        let of = match (self.slides(), self.extent) {
            (Some(_), _) => String::new(),
            (_, Extent::Single(_)) => format!("of the {}", self.one(voice)),
            (_, Extent::OneSide(side, _)) => format!("of the {} {}", side.name(), self.one(voice)),
            _ => format!("of the {}", self.many(voice)),
        };
        let tail = self.tail(voice, "adj");
        let comma = if tail.is_empty() { "" } else { "," };
        NounPhrase {
            text: format!("a^ {adjective} {nominal} {of}{tail}{comma}"),
            plural: false,
        }
    }

    fn adjectival(&self, voice: &mut Voice) -> NounPhrase {
        let key = self.movement.key;
        let adjective = voice.word(key, "adjective", &[]);
        let adverb = self.common_strength().map(|s| word(voice, s, "adv"));
        let adverb = adverb.unwrap_or_default();
        let (text, plural) = match self.extent {
            Extent::OneSide(side, _) => {
                let (side, one) = (side.name(), self.one(voice));
                (format!("a^ {adverb} {adjective} {side} {one}"), false)
            }
            Extent::Single(_) if !self.only_plural() => (
                format!("a^ {adverb} {adjective} {}", self.one(voice)),
                false,
            ),
            Extent::Single(_) => (format!("{adverb} {adjective} {}", self.one(voice)), true),
            _ => {
                let (many, tail) = (self.many(voice), self.tail(voice, "adv"));
                let comma = if tail.is_empty() { "" } else { "," };
                (format!("{adverb} {adjective} {many}{tail}{comma}"), true)
            }
        };
        NounPhrase { text, plural }
    }

    fn subject(&self, voice: &mut Voice) -> (String, bool) {
        match self.extent {
            _ if self.slides().is_some() => (format!("the {}", self.one(voice)), false),
            Extent::Single(_) => (format!("the {}", self.one(voice)), self.only_plural()),
            Extent::OneSide(side, _) => {
                let one = self.one(voice);
                if voice.chance(0.3) {
                    (format!("the {one} on the {}", side.name()), false)
                } else {
                    (format!("the {} {one}", side.name()), false)
                }
            }
            _ => {
                let many = self.many(voice);
                let article = if voice.chance(0.5) { "the" } else { "both" };
                (format!("{article} {many}"), true)
            }
        }
    }

    /// What is said about uneven sides after the rest, if anything.
    fn tail(&self, voice: &mut Voice, form: &str) -> String {
        let on = if self.slides().is_some() { "to" } else { "on" };
        match self.extent {
            Extent::Uneven { left, right } => {
                let (left, right) = (word(voice, left, form), word(voice, right, form));
                format!(", {left} {on} the left and {right} {on} the right")
            }
            Extent::Led(side, _) => {
                format!(", {} {on} the {}", voice.say("more.so", &[]), side.name())
            }
            _ => String::new(),
        }
    }

    /// The word of strength that holds for all of the movement.
    fn common_strength(&self) -> Option<Strength> {
        match self.extent {
            Extent::Single(s) | Extent::OneSide(_, s) | Extent::Even(s) | Extent::Led(_, s) => {
                Some(s)
            }
            Extent::Uneven { .. } => None,
        }
    }

    /// A value for jaw slides, whose side is a direction.
    fn slides(&self) -> Option<()> {
        (self.movement.key == "jaw_slide").then_some(())
    }

    fn way(&self) -> &'static str {
        match self.extent {
            Extent::OneSide(Side::Left, _) => "to the left",
            Extent::OneSide(Side::Right, _) => "to the right",
            _ => "to both sides",
        }
    }

    fn is_pair(&self) -> bool {
        !matches!(self.extent, Extent::Single(_))
    }

    fn only_plural(&self) -> bool {
        matches!(self.movement.key, "lip_pucker" | "cheek_puff")
    }

    fn one(&self, voice: &mut Voice) -> String {
        let form = if self.only_plural() { "pl" } else { "sg" };
        voice.word(self.movement.key, form, &[])
    }

    fn many(&self, voice: &mut Voice) -> String {
        voice.word(self.movement.key, "pl", &[])
    }
}

fn word(voice: &mut Voice, strength: Strength, form: &str) -> String {
    voice.word(strength_key(strength), form, &[])
}
