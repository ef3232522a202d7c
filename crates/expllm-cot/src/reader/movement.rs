//! Which units an action of a part of the face is.

use expllm_core::ActionUnit as Au;

use super::lexicon::Action;

/// A part of the face that a sentence can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartKind {
    Eye,
    Lid,
    LowerLid,
    Brow,
    InnerBrow,
    Jaw,
    Mouth,
    Corner,
    /// Both lips, or the lips without saying which.
    Lips,
    /// "the lip": the upper one where it rises, the lower one where it sinks.
    Lip,
    UpperLip,
    LowerLip,
    Cheek,
    Chin,
    Nose,
    /// "the right side", when the sentence names no better part.
    Side,
}

/// How many of the units of a movement are spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// All of them.
    Each,
    /// At least one of them: "the lips draw back".
    Any,
}

/// The units of a movement, and whether it claims or denies them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Movement {
    pub units: &'static [Au],
    pub claimed: bool,
    pub share: Share,
}

const EYE_CLOSE: &[Au] = &[Au::LeftEyeClose, Au::RightEyeClose];
const LID_RAISE: &[Au] = &[Au::LeftLidRaise, Au::RightLidRaise];
const LID_TIGHTEN: &[Au] = &[Au::LeftLidTighten, Au::RightLidTighten];
const BROW_LOWER: &[Au] = &[Au::LeftBrowLower, Au::RightBrowLower];
const BROW_RAISE: &[Au] = &[Au::LeftBrowRaise, Au::RightBrowRaise];
const INNER_BROW_RAISE: &[Au] = &[Au::LeftInnerBrowRaise, Au::RightInnerBrowRaise];
const CHEEK_RAISE: &[Au] = &[Au::LeftCheekRaise, Au::RightCheekRaise];
const JAW_SLIDE: &[Au] = &[Au::JawSlideLeft, Au::JawSlideRight];
const LIP_PULL: &[Au] = &[Au::LeftLipCornerPull, Au::RightLipCornerPull];
const LIP_STRETCH: &[Au] = &[Au::LeftLipCornerStretch, Au::RightLipCornerStretch];
const CORNER_DEPRESS: &[Au] = &[Au::LeftLipCornerDepress, Au::RightLipCornerDepress];
const DIMPLE: &[Au] = &[Au::LeftDimple, Au::RightDimple];
const LIPS_APART: &[Au] = &[Au::UpperLipRaise, Au::LowerLipDepress];
const LIPS_SUCK: &[Au] = &[Au::UpperLipSuck, Au::LowerLipSuck];

/// The movement that an action of a part is, if it is one of the units.
pub(super) fn movement(part: PartKind, action: Action) -> Option<Movement> {
    use Action as A;
    use PartKind as P;
    let denied = |units| (units, false, Share::Each);
    let each = |units| (units, true, Share::Each);
    let any = |units| (units, true, Share::Any);
    let (units, claimed, share) = match (part, action) {
        (P::Eye | P::Lid, A::Close | A::Squint) | (P::Lid, A::Down | A::Drop | A::Sag) => {
            each(EYE_CLOSE)
        }
        (P::Eye | P::Lid, A::Open) => denied(EYE_CLOSE),
        (P::Lid, A::Up) | (P::Eye | P::Lid, A::Widen) => each(LID_RAISE),
        (P::Lid | P::LowerLid, A::Press) => each(LID_TIGHTEN),
        (P::Brow, A::Down | A::Furrow | A::Sag) | (P::InnerBrow, A::Furrow) => each(BROW_LOWER),
        (P::Brow, A::Up) => each(BROW_RAISE),
        (P::InnerBrow, A::Up) => each(INNER_BROW_RAISE),
        (P::Jaw, A::Drop | A::Open | A::Down | A::Sag) | (P::Mouth, A::Open | A::Drop) => {
            each(&[Au::JawDrop])
        }
        (P::Jaw | P::Mouth, A::Close) => denied(&[Au::JawDrop]),
        (P::Jaw, A::Slide) => any(JAW_SLIDE),
        (P::Jaw, A::Thrust | A::Protrude) => each(&[Au::JawThrust]),
        (P::Corner | P::Lips, A::Up | A::Pull | A::Smile) | (P::Corner, A::Bare) => each(LIP_PULL),
        (P::Mouth | P::Side, A::Up | A::Smile) => any(LIP_PULL),
        (P::Corner, A::Down | A::Drop | A::Sag) | (P::Mouth, A::Down | A::Sag) => {
            each(CORNER_DEPRESS)
        }
        (P::Corner | P::Cheek, A::Dimple) => each(DIMPLE),
        (P::Corner | P::Lips, A::Stretch) => each(LIP_STRETCH),
        (P::Lips, A::Bare) => any(LIPS_APART),
        (P::UpperLip, A::Suck) => each(&[Au::UpperLipSuck]),
        (P::LowerLip, A::Suck) => each(&[Au::LowerLipSuck]),
        (P::Lips, A::Suck) => each(LIPS_SUCK),
        (P::Lip, A::Suck) => any(LIPS_SUCK),
        (P::UpperLip | P::Lip, A::Up) | (P::UpperLip, A::Bare) => each(&[Au::UpperLipRaise]),
        (P::LowerLip | P::Lip, A::Down | A::Drop | A::Sag)
        | (P::LowerLip, A::Bare)
        | (P::Lips, A::Drop) => each(&[Au::LowerLipDepress]),
        (P::Lips | P::Mouth, A::Press) => each(&[Au::LipPress]),
        (P::Chin, A::Up | A::Thrust) => each(&[Au::ChinRaise]),
        (P::Lips | P::Lip | P::UpperLip | P::LowerLip | P::Mouth, A::Pucker)
        | (P::Lips | P::Mouth, A::Thrust | A::Protrude) => each(&[Au::LipPucker]),
        (P::Cheek, A::Puff) => each(&[Au::CheekPuff]),
        (P::Cheek, A::Up) => each(CHEEK_RAISE),
        (P::Nose, A::Wrinkle) => each(&[Au::NoseWrinkle]),
        _ => return None,
    };
    Some(Movement {
        units,
        claimed,
        share,
    })
}
