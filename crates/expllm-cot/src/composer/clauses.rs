//! Clauses and noun phrases for one movement.

use expllm_core::Side;

use super::observations::{Detail, Observer};
use super::telling::{Degree, Told, name, opposite};
use crate::knowledge::Knowledge;
use crate::reasoning::Extent;

impl Observer<'_, '_> {
    /// A whole clause; `last` allows what can only stand at the end of a sentence.
    pub(super) fn clause(&mut self, told: Told, last: bool) -> String {
        match told.extent {
            Extent::Uneven => self.uneven(told),
            Extent::OneSided(side) if last && told.still_side && self.detail == Detail::Full => {
                let tails = [
                    ", while the {other} does not move",
                    ", and the {other} does not follow",
                    ", but not the {other}",
                    ", while the {other} stays at rest",
                ];
                let tail = self
                    .voice
                    .pick(&tails)
                    .replace("{other}", name(opposite(side)));
                format!("{}{tail}", self.even(told))
            }
            _ => self.even(told),
        }
    }

    pub(super) fn even(&mut self, told: Told) -> String {
        let words = told.words(self.bank);
        let (subject, plural) = self.subject(told);
        if self.is_knit(told) {
            return self.knit(told);
        }
        if told.is_doubtful() {
            return self.doubtful(told, &subject, plural);
        }
        if !words.verbs.is_empty() && told.degree != Degree::Trace && self.voice.chance(0.5) {
            let verb = self.voice.choose(&words.verbs);
            let (one, many) = verb.split_once('/').unwrap_or((verb, verb));
            let verb = if plural { many } else { one };
            return format!("{subject} {verb} {}", self.voice.pick(told.degree.behind()));
        }
        let state = self.voice.choose(&words.state);
        let be = if plural { "are" } else { "is" };
        let how = self.how_state(state, told.degree);
        let pair = told.extent == Extent::Even && subject.starts_with("the ");
        let sides = match pair && self.detail == Detail::Full && self.voice.chance(0.2) {
            true => " on both sides",
            false => "",
        };
        format!("{subject} {be} {how}{sides}")
    }

    /// Whether the brows come together while they also rise.
    fn is_knit(&self, told: Told) -> bool {
        let cue = |name: &str| Knowledge::builtin().cue(name);
        let acting = self.analysis.face.acting;
        Some(told.cue) == cue("brows_down")
            && matches!(told.extent, Extent::Even)
            && ["brows_up", "inner_up"]
                .into_iter()
                .filter_map(cue)
                .any(|c| acting.contains(c))
    }

    /// Lowered brows beside raised ones.
    fn knit(&mut self, told: Told) -> String {
        let frown = self.voice.pick(told.degree.adjective());
        let draws = match told.is_doubtful() {
            true => "seems to draw",
            false => "draws",
        };
        format!("{frown} frown {draws} the brows together")
    }

    /// A faint movement of the brows, which their resting shape could explain.
    fn doubtful(&mut self, told: Told, subject: &str, plural: bool) -> String {
        let state = self.voice.choose(&told.words(self.bank).state);
        let seem = if plural { "seem" } else { "seems" };
        let how = self.voice.pick(told.degree.before());
        match self.voice.below(3) {
            0 => format!("{subject} {seem} {how} {state}"),
            1 => format!("{subject} {seem} to be {how} {state}"),
            _ => {
                let be = if plural { "are" } else { "is" };
                format!("{subject} {be} perhaps {how} {state}")
            }
        }
    }

    pub(super) fn how_state(&mut self, state: &str, degree: Degree) -> String {
        let closed = state == "closed";
        match closed || degree == Degree::Trace || self.voice.chance(0.45) {
            true => format!("{} {state}", self.voice.pick(degree.before())),
            false => format!("{state} {}", self.voice.pick(degree.behind())),
        }
    }

    pub(super) fn uneven(&mut self, told: Told) -> String {
        let words = told.words(self.bank);
        let subject = self.voice.choose(&words.subjects);
        let state = self.voice.choose(&words.state);
        let (lead, lag) = match told.left > told.right {
            true => (Side::Left, Side::Right),
            false => (Side::Right, Side::Left),
        };
        let most = Degree::of(told.left.max(told.right));
        let least = Degree::of(told.left.min(told.right));
        if most == least {
            let how = self.how_state(state, most);
            let tails = [
                "the {lead} more than the {lag}",
                "more on the {lead} than on the {lag}",
            ];
            let tail = self.voice.pick(&tails);
            let tail = tail
                .replace("{lead}", name(lead))
                .replace("{lag}", name(lag));
            return format!("{subject} are {how}, {tail}");
        }
        let (most, least) = (
            self.voice.pick(most.before()),
            self.voice.pick(least.before()),
        );
        let (lead, lag) = (name(lead), name(lag));
        format!("{subject} are {state} unevenly, {most} on the {lead} and {least} on the {lag}")
    }

    /// A movement by its name, without a word of strength: "a wrinkled nose", "perhaps raised brows".
    pub(super) fn named(&mut self, told: Told) -> String {
        let name = self.voice.choose(&told.words(self.bank).names);
        let perhaps = if told.is_doubtful() { "perhaps " } else { "" };
        if self.is_knit(told) {
            return format!("{perhaps}a frown");
        }
        match name.strip_prefix('+') {
            Some(many) => format!("{perhaps}{many}"),
            None if name.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("{perhaps}an {name}"),
            None => format!("{perhaps}a {name}"),
        }
    }

    /// A clause without a word of strength.
    pub(super) fn plain(&mut self, told: Told) -> String {
        let words = told.words(self.bank);
        let (subject, plural) = self.subject(told);
        if self.is_knit(told) {
            let draws = if told.is_doubtful() {
                "seems to draw"
            } else {
                "draws"
            };
            return format!("a frown {draws} the brows together");
        }
        let be = match (told.is_doubtful(), plural) {
            (false, true) => "are",
            (false, false) => "is",
            (true, true) => "seem",
            (true, false) => "seems",
        };
        format!("{subject} {be} {}", self.voice.choose(&words.state))
    }

    pub(super) fn nominal(&mut self, told: Told) -> String {
        let words = told.words(self.bank);
        let noun = self.voice.choose(&words.nouns);
        let adjective = self.voice.pick(told.degree.adjective());
        let subject = self.subject(told).0;
        let of = format!("of {}", subject.replacen("both ", "the ", 1));
        match noun.contains("{of}") {
            true => format!("{adjective} {}", noun.replace("{of}", &of)),
            false => format!("{adjective} {noun} {of}"),
        }
    }

    /// Subject of a clause, and whether it is plural.
    pub(super) fn subject(&mut self, told: Told) -> (String, bool) {
        let words = told.words(self.bank);
        match told.extent {
            Extent::OneSided(side) | Extent::Leaning(side) => {
                (words.one.replace("{side}", name(side)), false)
            }
            _ => (self.voice.choose(&words.subjects).to_owned(), words.plural),
        }
    }
}
