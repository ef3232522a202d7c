//! What single words mean for the reader; shares nothing with the composer's grammar.

use expllm_core::{ActionUnit as Au, Strength};

/// A part of the face that a sentence can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartKind {
    Eye,
    Lid,
    Brow,
    Jaw,
    Mouth,
    Corner,
    Lips,
    UpperLip,
    LowerLip,
    Cheek,
    Chin,
    Nose,
    /// "the right side", when the sentence names no better part.
    Side,
}

/// What a part can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Close,
    Open,
    Widen,
    Up,
    Down,
    Furrow,
    Pull,
    Stretch,
    Suck,
    Pucker,
    Puff,
    Wrinkle,
    Slide,
    Thrust,
    Drop,
    Smile,
    Squint,
}

/// The left unit (or the only one) of a movement, and whether it is claimed or denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Movement {
    pub units: &'static [Au],
    pub claimed: bool,
}

const EYE_CLOSE: &[Au] = &[Au::LeftEyeClose, Au::RightEyeClose];
const LID_RAISE: &[Au] = &[Au::LeftLidRaise, Au::RightLidRaise];
const BROW_LOWER: &[Au] = &[Au::LeftBrowLower, Au::RightBrowLower];
const BROW_RAISE: &[Au] = &[Au::LeftBrowRaise, Au::RightBrowRaise];
const JAW_SLIDE: &[Au] = &[Au::JawSlideLeft, Au::JawSlideRight];
const LIP_PULL: &[Au] = &[Au::LeftLipCornerPull, Au::RightLipCornerPull];
const LIP_STRETCH: &[Au] = &[Au::LeftLipCornerStretch, Au::RightLipCornerStretch];

/// The movement that an action of a part is, if it is one of the 24 units.
pub(super) fn movement(part: PartKind, action: Action) -> Option<Movement> {
    use Action as A;
    use PartKind as P;
    let (units, claimed): (&'static [Au], bool) = match (part, action) {
        (P::Eye | P::Lid, A::Close | A::Squint) => (EYE_CLOSE, true),
        (P::Eye | P::Lid, A::Open) => (EYE_CLOSE, false),
        (P::Lid, A::Up) | (P::Eye | P::Lid, A::Widen) => (LID_RAISE, true),
        (P::Brow, A::Down | A::Furrow) => (BROW_LOWER, true),
        (P::Brow, A::Up) => (BROW_RAISE, true),
        (P::Jaw, A::Drop | A::Open | A::Down) | (P::Mouth, A::Open) => (&[Au::JawDrop], true),
        (P::Jaw | P::Mouth, A::Close) => (&[Au::JawDrop], false),
        (P::Jaw, A::Slide) => (JAW_SLIDE, true),
        (P::Jaw, A::Thrust) => (&[Au::JawThrust], true),
        (P::Corner | P::Lips, A::Up | A::Pull | A::Smile)
        | (P::Mouth | P::Side, A::Up | A::Smile) => (LIP_PULL, true),
        (P::Corner | P::Lips, A::Stretch) => (LIP_STRETCH, true),
        (P::UpperLip, A::Suck) => (&[Au::UpperLipSuck], true),
        (P::LowerLip, A::Suck) => (&[Au::LowerLipSuck], true),
        (P::Lips, A::Suck) => (&[Au::UpperLipSuck, Au::LowerLipSuck], true),
        (P::UpperLip, A::Up) => (&[Au::UpperLipRaise], true),
        (P::LowerLip, A::Down | A::Drop) | (P::Lips, A::Drop) => (&[Au::LowerLipDepress], true),
        (P::Chin, A::Up | A::Thrust) => (&[Au::ChinRaise], true),
        (P::Lips | P::UpperLip | P::LowerLip, A::Pucker) => (&[Au::LipPucker], true),
        (P::Cheek, A::Puff) => (&[Au::CheekPuff], true),
        (P::Nose, A::Wrinkle) => (&[Au::NoseWrinkle], true),
        _ => return None,
    };
    Some(Movement { units, claimed })
}

fn starts(word: &str, stems: &[&str]) -> bool {
    stems.iter().any(|stem| word.starts_with(stem))
}

/// The action that a word names; `before` and `after` are its neighbours.
pub(super) fn action(before: &str, word: &str, after: &str) -> Option<Action> {
    let pulls = |w: &str| starts(w, &["pull", "draw", "turn", "push", "curl", "curv"]);
    let down = |w: &str| starts(w, &["down", "lower"]);
    Some(match word {
        "closely" | "openly" | "uplifting" | "closer" | "closest" => return None,
        "up" if pulls(before) => Action::Up,
        "wide" | "widely" => Action::Widen,
        "move" | "moves" | "moved" if after == "to" => Action::Slide,
        "forward" => Action::Thrust,
        "drawn" | "draws" | "draw" | "drawing" if after == "together" => Action::Furrow,
        "drawn" | "draws" | "draw" if after == "back" => Action::Pull,
        _ if starts(word, &["pull"]) && (down(after) || down(before)) => Action::Down,
        _ if starts(word, &["roll", "curl", "tuck"]) && starts(after, &["in"]) => Action::Suck,
        "in" if starts(before, &["sucked", "tucked", "rolled"]) => Action::Suck,
        _ if starts(word, &["clos", "shut"]) => Action::Close,
        "open" | "opens" | "opened" | "opening" => Action::Open,
        _ if starts(word, &["squint", "narrow"]) => Action::Squint,
        _ if starts(word, &["widen"]) => Action::Widen,
        _ if starts(word, &["smil", "grin"]) => Action::Smile,
        _ if starts(word, UP) => Action::Up,
        _ if starts(word, &["drop", "slack"]) => Action::Drop,
        _ if starts(word, &["depress"]) => Action::Drop,
        _ if starts(word, &["lower", "downward"]) || word == "down" => Action::Down,
        _ if starts(word, &["furrow", "knit"]) => Action::Furrow,
        _ if starts(word, &["pull"]) => Action::Pull,
        _ if starts(word, &["stretch"]) => Action::Stretch,
        _ if starts(word, &["suck"]) => Action::Suck,
        _ if starts(word, &["pucker", "purs"]) => Action::Pucker,
        _ if starts(word, &["puff", "inflat"]) => Action::Puff,
        _ if starts(word, &["wrinkl", "scrunch", "crinkl"]) => Action::Wrinkle,
        _ if starts(word, &["slid", "shift", "leftward", "rightward", "displac"]) => Action::Slide,
        _ if starts(word, &["thrust", "jut", "protrud"]) => Action::Thrust,
        _ => return None,
    })
}

const UP: &[&str] = &[
    "rais", "rise", "rising", "rose", "lift", "elevat", "upward", "uplift", "upturn", "arch",
];

/// Words between which a part and an action seldom belong together.
pub(super) fn starts_clause(word: &str) -> bool {
    matches!(
        word,
        "while" | "whereas" | "but" | "although" | "though" | "despite" | "as" | "which"
    ) || starts(
        word,
        &[
            "suggest", "indicat", "imply", "implie", "signal", "convey", "hint",
        ],
    )
}

/// Words that deny what follows them in the same phrase.
pub(super) fn denies(word: &str) -> bool {
    matches!(
        word,
        "no" | "not"
            | "without"
            | "lack"
            | "lacks"
            | "lacking"
            | "absence"
            | "absent"
            | "never"
            | "neither"
            | "nor"
            | "devoid"
            | "negligible"
            | "cannot"
            | "none"
    ) || word.ends_with("n't")
}

/// Words that deny what stands before them.
pub(super) fn denies_before(word: &str) -> bool {
    matches!(word, "absent" | "missing" | "lacking")
}

/// The strength that a word claims.
pub(super) fn strength(word: &str) -> Option<Strength> {
    if starts(word, SLIGHT) || matches!(word, "light" | "lightly" | "low" | "small") {
        Some(Strength::Slight)
    } else if starts(word, MODERATE) {
        Some(Strength::Moderate)
    } else if starts(word, STRONG) || matches!(word, "deep" | "deeply" | "heavy" | "heavily") {
        Some(Strength::Strong)
    } else {
        None
    }
}

const SLIGHT: &[&str] = &[
    "slight", "minor", "mild", "subtl", "faint", "minimal", "marginal", "gent", "weak", "modest",
    "partial", "barely", "somewhat",
];
const MODERATE: &[&str] = &[
    "moderate",
    "noticeabl",
    "visibl",
    "distinct",
    "clear",
    "evident",
    "perceptibl",
    "medium",
];
const STRONG: &[&str] = &[
    "strong",
    "marked",
    "significant",
    "pronounc",
    "intens",
    "sharp",
    "forceful",
    "powerful",
    "vigorous",
    "tight",
    "prominent",
    "robust",
    "extreme",
    "considerabl",
    "substantial",
];
