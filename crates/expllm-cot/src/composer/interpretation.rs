//! What the units do together, what qualifies the label, and the rival or the missing cue.

use super::bank::{Bank, Role};
use super::runs;
use super::voice::Voice;
use crate::reasoning::{Analysis, Support};

/// Words of an interpretation from which no further sentence is added.
const ENOUGH: usize = 35;
/// Intensity from which a movement deserves a word of its own.
const WORTH_A_WORD: f32 = 0.25;
/// Words that an interpretation does not exceed.
const MOST: usize = 55;
/// Words of the shortest sentences.
const SHORT_SENTENCE: usize = 8;

/// How much room the interpretation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Full,
    /// One sentence.
    Short,
    /// One sentence of a few words.
    None,
}

pub(super) fn interpretation(
    bank: &'static Bank,
    analysis: &Analysis,
    voice: &mut Voice,
    room: Room,
) -> String {
    if room == Room::None {
        return "So much moves at once that no cue decides.".into();
    }
    if analysis.stance == Support::Rest {
        return voice.sentence(bank, Role::Brief, analysis);
    }
    let text = voice.sentence(bank, Role::Open, analysis);
    let more: &[Role] = match (room, analysis.stance) {
        (Room::Full, Support::Unsupported) => &[Role::Lack, Role::Lack, Role::Lack],
        (Room::Full, _) => &[Role::Turn, Role::Weigh, Role::Turn, Role::Weigh],
        _ => return text,
    };
    let mut writer = Writer {
        bank,
        analysis,
        voice,
    };
    let text = writer.lengthened(text, &more[..1], 1);
    let text = writer.with_asides(text, WORTH_A_WORD);
    let text = writer.lengthened(text, &more[1..], 1);
    // What fits every face is said only where there is much to explain and little is said.
    let movements = analysis.face.acting.len();
    if movements < 3 && text.contains(". ") {
        return text;
    }
    let text = writer.lengthened(text, more, 0);
    if runs(&text) >= ENOUGH {
        return text;
    }
    writer.with_asides(text, 0.0)
}

/// Both, where there is a second sentence and room for it.
fn joined(text: String, next: &str) -> String {
    match !next.is_empty() && runs(&text) + runs(next) <= MOST {
        true => format!("{text} {next}"),
        false => text,
    }
}

struct Writer<'a, 'v> {
    bank: &'static Bank,
    analysis: &'a Analysis,
    voice: &'v mut Voice,
}

impl Writer<'_, '_> {
    /// The text with sentences of these roles behind it, until it is long enough; `least` is what
    /// their conditions weigh at least.
    fn lengthened(&mut self, mut text: String, roles: &[Role], least: u32) -> String {
        for &role in roles {
            if runs(&text) >= ENOUGH {
                break;
            }
            let next = self
                .voice
                .fitting(self.bank, role, self.analysis, least, None);
            text = joined(text, &next);
        }
        text
    }

    /// The text with what each movement of at least this intensity adds that it has passed over,
    /// the strongest first.
    fn with_asides(&mut self, mut text: String, least: f32) -> String {
        let face = &self.analysis.face;
        let mut cues: Vec<usize> = face.telling().iter().collect();
        cues.sort_by(|&a, &b| face.level(b).total_cmp(&face.level(a)));
        for cue in cues {
            let passed = !self.voice.has_told(cue, self.analysis);
            if !passed || face.level(cue) < least || runs(&text) > MOST - SHORT_SENTENCE {
                continue;
            }
            let analysis = self.analysis;
            let next = self
                .voice
                .fitting(self.bank, Role::Aside, analysis, 0, Some(cue));
            text = joined(text, &next);
        }
        text
    }
}
