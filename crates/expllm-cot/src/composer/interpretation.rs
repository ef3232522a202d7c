//! What the units do together, what qualifies the label, and the rival or the missing cue.

use super::bank::{Bank, Role};
use super::runs;
use super::voice::Voice;
use crate::reasoning::{Analysis, Support};

/// Words of an interpretation from which no further sentence is added.
const ENOUGH: usize = 35;
/// Words that an interpretation does not exceed.
const MOST: usize = 55;

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
    let text = writer.lengthened(text, more, 1);
    // What fits every face is said only where there is much to explain and little is said.
    let movements = analysis.face.acting.len();
    if movements < 3 && text.contains(". ") {
        return text;
    }
    writer.lengthened(text, more, 0)
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
            let next = self.voice.fitting(self.bank, role, self.analysis, least);
            if !next.is_empty() && runs(&text) + runs(&next) <= MOST {
                text = format!("{text} {next}");
            }
        }
        text
    }
}
