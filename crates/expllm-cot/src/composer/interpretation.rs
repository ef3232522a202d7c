//! What the units do together, what qualifies the label, and the rival or the missing cue.

use super::bank::{Bank, Role};
use super::voice::Voice;
use super::words;
use crate::reasoning::{Analysis, Support};

/// Words of an interpretation from which no further sentence is added.
const ENOUGH: usize = 35;
/// Words that an interpretation does not exceed.
const MOST: usize = 55;
/// With less room than this only one sentence is said.
const LEAST: usize = 15;
/// Words of the shortest sentences.
const SHORT_SENTENCE: usize = 8;
/// Movements from which on there is much to explain.
const SAYS_SOMETHING: usize = 3;
/// Intensity from which a movement deserves a word of its own.
const WORTH_A_WORD: f32 = 0.35;

/// What the units mean, in at most so many words.
pub(super) fn interpretation(
    bank: &'static Bank,
    analysis: &Analysis,
    voice: &mut Voice,
    room: usize,
) -> String {
    if room < LEAST {
        return "So much moves at once that no cue decides.".into();
    }
    if analysis.stance == Support::Rest {
        return voice.sentence(bank, Role::Brief, analysis);
    }
    let mut writer = Writer {
        bank,
        analysis,
        voice,
        most: room.min(MOST),
        sentences: Vec::new(),
    };
    writer.write();
    writer.sentences.join(" ")
}

struct Writer<'a, 'v> {
    bank: &'static Bank,
    analysis: &'a Analysis,
    voice: &'v mut Voice,
    most: usize,
    sentences: Vec<String>,
}

impl Writer<'_, '_> {
    fn write(&mut self) {
        let much = self.analysis.face.acting.len() >= SAYS_SOMETHING;
        let [first, second, third] = match self.analysis.stance {
            Support::Unsupported => [Role::Lack, Role::Lack, Role::Lack],
            _ => [Role::Turn, Role::Weigh, Role::Turn],
        };
        self.add(Role::Open, 0, None);
        self.add(first, 1, None);
        self.with_asides(WORTH_A_WORD);
        self.add(second, 1, None);
        self.add(third, 1, None);
        if much {
            self.with_asides(0.0);
            self.add(Role::Weigh, 1, None);
        }
        // What fits every face is said only where there is much to explain and little is said.
        if much || self.sentences.len() < 2 {
            let last = if much { Role::Last } else { third };
            for role in [first, second, last, third, last] {
                self.add(role, 0, None);
            }
        }
    }

    fn count(&self) -> usize {
        self.sentences.iter().map(|s| words(s)).sum()
    }

    /// A sentence of a role, where there is room and need for one.
    fn add(&mut self, role: Role, least: u32, about: Option<usize>) {
        let said = self.count();
        if said >= ENOUGH.min(self.most) {
            return;
        }
        let next = self
            .voice
            .fitting(self.bank, role, self.analysis, least, about);
        if !next.is_empty() && said + words(&next) <= self.most {
            self.sentences.push(next);
        }
    }

    /// What each movement of at least this intensity adds that was passed over, the strongest first.
    fn with_asides(&mut self, least: f32) {
        let face = &self.analysis.face;
        let mut cues: Vec<usize> = match self.analysis.grimace {
            true => face.acting.iter().collect(),
            false => face.telling().iter().collect(),
        };
        cues.sort_by(|&a, &b| face.level(b).total_cmp(&face.level(a)));
        for cue in cues {
            let passed = !self.voice.has_told(cue, self.analysis) && face.level(cue) >= least;
            if passed && self.count() + SHORT_SENTENCE <= self.most {
                self.add(Role::Aside, 0, Some(cue));
            }
        }
    }
}
