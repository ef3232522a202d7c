//! One movement that is to be told: its side, its strength and the words for both.

use expllm_core::Side;

use super::bank::{Bank, CueWords};
use crate::knowledge::{Knowledge, Region};
use crate::reader::NO_ASYMMETRY;
use crate::reasoning::{Analysis, CueState, Extent};

/// Words of strength, by the bands of the guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Degree {
    Trace,
    Slight,
    Moderate,
    Marked,
    Extreme,
}

impl Degree {
    pub(super) fn of(intensity: f32) -> Self {
        match intensity {
            v if v < 0.25 => Self::Trace,
            v if v < 0.35 => Self::Slight,
            v if v < 0.6 => Self::Moderate,
            v if v < 0.85 => Self::Marked,
            _ => Self::Extreme,
        }
    }

    /// Before a participle.
    pub(super) const fn before(self) -> &'static [&'static str] {
        match self {
            Self::Trace => &["barely", "very slightly"],
            Self::Slight => &["slightly"],
            Self::Moderate => &["moderately"],
            Self::Marked => &["markedly", "markedly", "strongly"],
            Self::Extreme => &["fully"],
        }
    }

    /// Behind a verb or a participle.
    pub(super) const fn behind(self) -> &'static [&'static str] {
        match self {
            Self::Trace => &["very slightly", "by a trace"],
            Self::Slight => &["slightly", "slightly", "a little"],
            Self::Moderate => &["moderately", "moderately", "to a moderate degree"],
            Self::Marked => &["markedly", "markedly", "strongly"],
            Self::Extreme => &["to an extreme degree", "fully"],
        }
    }

    pub(super) const fn adjective(self) -> &'static [&'static str] {
        match self {
            Self::Trace => &["a very slight", "a faint"],
            Self::Slight => &["a slight"],
            Self::Moderate => &["a moderate"],
            Self::Marked => &["a marked", "a strong"],
            Self::Extreme => &["an extreme"],
        }
    }
}

/// Intensity below which a movement of the brows may be their resting shape.
const FAINT_BROWS: f32 = 0.3;

/// How the sides are told: from a difference that bears an asymmetry on, the further one is named.
pub(super) fn told_extent(state: &CueState) -> Extent {
    let apart = (state.left - state.right).abs() >= NO_ASYMMETRY;
    match state.extent {
        Extent::Even if apart => Extent::Uneven,
        Extent::Near => Extent::Even,
        extent => extent,
    }
}

/// The intensity that the word of strength goes by; eyes are closed when one of the two is.
fn told_level(cue: usize, state: &CueState) -> f32 {
    let eyes = Knowledge::builtin().cues()[cue].name == "eyes";
    match eyes && told_extent(state) == Extent::Even && state.peak() >= CLOSED {
        true => state.peak(),
        false => state.level(),
    }
}

/// Intensity from which eyes are closed.
const CLOSED: f32 = 0.85;

/// An active cue that is to be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub cue: usize,
    pub degree: Degree,
    pub extent: Extent,
    pub left: f32,
    pub right: f32,
    /// Whether the side that acts less is surely at rest.
    pub still_side: bool,
}

impl Told {
    pub(super) fn new(knowledge: &Knowledge, analysis: &Analysis, cue: usize) -> Self {
        let state = analysis.face.state(cue);
        let other = state.left.min(state.right);
        Self {
            cue,
            degree: Degree::of(told_level(cue, state)),
            extent: told_extent(state),
            left: state.left,
            right: state.right,
            still_side: other < knowledge.thresholds.absent_below,
        }
    }

    /// Whether its sides need a sentence's end to themselves.
    pub(super) const fn is_sided(&self) -> bool {
        matches!(self.extent, Extent::OneSided(_) | Extent::Uneven)
    }

    /// Whether it is so faint that it is told with a doubt.
    pub(super) fn is_doubtful(&self) -> bool {
        region(self.cue) == Region::Brows && self.left.max(self.right) < FAINT_BROWS
    }

    /// Whether it is slight at most and alike on both sides.
    pub(super) fn is_small(&self) -> bool {
        matches!(self.degree, Degree::Trace | Degree::Slight) && !self.is_sided()
    }

    pub(super) fn words(&self, bank: &'static Bank) -> &'static CueWords {
        bank.cue_at(self.cue, self.degree)
    }
}

pub(super) fn region(cue: usize) -> Region {
    Knowledge::builtin().cues()[cue].region
}

pub(super) fn is_upper(cue: usize) -> bool {
    matches!(region(cue), Region::Brows | Region::Eyes)
}

pub(super) fn is_both(subject: &str) -> bool {
    subject.starts_with("both ")
}

pub(super) const fn name(side: Side) -> &'static str {
    match side {
        Side::Right => "right",
        _ => "left",
    }
}

pub(super) const fn opposite(side: Side) -> Side {
    match side {
        Side::Right => Side::Left,
        _ => Side::Right,
    }
}

/// The text with its first letter upper case.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}
