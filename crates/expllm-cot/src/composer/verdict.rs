//! What the reasoning must say for a sentence to fit.

use expllm_core::{Doubt, Expression};

use crate::reasoning::{Analysis, Certainty, Support};

/// Intensity below which a face as a whole is faint.
const FAINT: f32 = 0.3;

/// What the reasoning must say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    Sure(Certainty),
    Support(Support),
    /// The units favour another label by far, though something speaks for this one.
    Outweighed,
    Open,
    Shown(Expression),
    Rival(Expression),
    AnyRival,
    Faint,
    Label(Expression),
    /// The cue in a place of the reasoning, or any.
    Cue(Place, Option<usize>),
    /// The deciding cue goes as far as this and no further.
    MainWithin(f32, f32),
    Grimace,
    InPart(Option<Doubt>),
}

impl Verdict {
    pub(super) fn holds(self, analysis: &Analysis) -> bool {
        match self {
            Self::Sure(certainty) => analysis.certainty == certainty,
            // A label other than neutral is as little supported by a face at rest.
            Self::Support(Support::Unsupported) => {
                let rest = analysis.stance == Support::Rest;
                analysis.stance == Support::Unsupported
                    || rest && analysis.label != Expression::Neutral
            }
            Self::Support(stance) => analysis.stance == stance,
            Self::Outweighed => analysis.outweighed(),
            Self::Open => analysis.open,
            Self::Shown(expression) => analysis.shown == expression,
            Self::Rival(expression) => analysis.rival.is_some_and(|(e, _)| e == expression),
            Self::Faint => {
                let face = &analysis.face;
                face.acting.iter().all(|cue| face.level(cue) < FAINT)
            }
            Self::AnyRival => analysis.rival.is_some(),
            Self::Label(expression) => analysis.label == expression,
            Self::Cue(place, None) => place.cue(analysis).is_some(),
            Self::Cue(place, wanted) => place.cue(analysis) == wanted,
            Self::MainWithin(from, to) => Place::Main
                .cue(analysis)
                .is_some_and(|cue| (from..to).contains(&analysis.face.level(cue))),
            Self::Grimace => analysis.grimace,
            Self::InPart(None) => analysis.in_part.is_some(),
            Self::InPart(wanted) => analysis.in_part == wanted,
        }
    }
}

/// A place of the reasoning that one cue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// What speaks most for the label, on both sides.
    Main,
    /// What the label expects most and the face surely lacks.
    Missing,
    /// What speaks most against the label, on both sides.
    Against,
    /// What speaks for the rival.
    Theirs,
    /// What speaks for the label next, on both sides.
    Second,
}

impl Place {
    /// Each with the slot of its name.
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("{main}", Self::Main),
        ("{missing}", Self::Missing),
        ("{against}", Self::Against),
        ("{theirs}", Self::Theirs),
        ("{second}", Self::Second),
    ];

    pub(super) fn named(kind: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|(slot, _)| slot.trim_matches(['{', '}']) == kind);
        found.map(|(_, place)| place)
    }

    pub(super) fn cue(self, analysis: &Analysis) -> Option<usize> {
        let whole = |cue: &usize| analysis.face.whole.contains(*cue);
        match self {
            Self::Main => analysis.favour.first().copied().filter(whole),
            Self::Missing => analysis.missing.first().copied(),
            Self::Against => analysis.against.first().copied().filter(whole),
            Self::Theirs => analysis.rivals_cue,
            Self::Second => analysis.favour.get(1).copied().filter(whole),
        }
    }
}
