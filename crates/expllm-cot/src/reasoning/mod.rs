//! From a reading and a label to the reasons for and against, without prose.

mod analysis;
mod face;

use expllm_core::{
    AuVector, Expression, ExpressionProbabilities, ExpressionSet, Intensity, Probability, Side,
};
use serde::{Deserialize, Serialize};

use crate::knowledge::{CueSet, Knowledge};

pub(crate) use analysis::Analysis;
pub(crate) use face::{CueState, Extent, Face};

/// How the units bear on the label as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// No unit is active.
    Rest,
    /// They speak for it, be it weakly.
    Supported,
    /// They do not speak for it, or far more for another expression.
    Unsupported,
}

/// How sure the label is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Below 0.6.
    Tentatively,
    /// From 0.6.
    Probably,
    /// From 0.85.
    Clearly,
}

/// An active cue and what it says about the label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CueReading {
    /// Name in the knowledge file.
    pub cue: String,
    /// Mean of both sides, or of the side that acts, 0 to 1.
    pub intensity: Intensity,
    /// The side that acts alone or clearly further; `both` otherwise.
    pub side: Side,
    /// Weight for (above 0) or against (below 0) the label, -1.5 to 1.5.
    pub weight: f32,
}

/// The plausible other reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rival {
    /// The expression.
    pub expression: Expression,
    /// Its probability.
    pub probability: Probability,
    /// Active cues that speak for the label and not for the rival.
    pub decided_by: Vec<String>,
    /// Active cues that speak for the rival and not for the label.
    pub shown_by: Vec<String>,
    /// Whether it is so near that both readings are open.
    pub open: bool,
}

/// Why a reading has its label, and why not.
///
/// Nothing is inferred from units that were not measured, and no absence from intensities
/// between 0.1 and 0.2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reasoning {
    /// The label that is reasoned about.
    pub label: Expression,
    /// How the units bear on it as a whole.
    pub stance: Support,
    /// How sure the label is.
    pub certainty: Certainty,
    /// The probability behind the certainty: as given, or from the units.
    pub probability: Probability,
    /// What the units alone suggest most.
    pub shown: Expression,
    /// The cue that speaks most for the label.
    pub main: Option<CueReading>,
    /// Other cues that speak for it, the most telling first.
    pub strengthens: Vec<CueReading>,
    /// Cues that speak against it, the most telling first.
    pub contradicts: Vec<CueReading>,
    /// Active cues that say nothing about it.
    pub unrelated: Vec<CueReading>,
    /// Combinations that hold, by their names in the knowledge file.
    pub combinations: Vec<String>,
    /// Expected cues that were measured and are surely missing, the most telling first.
    pub missing: Vec<String>,
    /// The plausible other reading.
    pub rival: Option<Rival>,
}

/// Reasons about a label with the knowledge of this crate.
///
/// `probabilities` are those of a network, if there are any; otherwise the certainty comes from
/// the units alone.
///
/// ```
/// use expllm_core::{ActionUnit, AuVector, Expression, ExpressionSet, Intensity};
/// use expllm_cot::{Certainty, reason};
///
/// let mut units = AuVector::REST;
/// for unit in [ActionUnit::LeftLipCornerPull, ActionUnit::RightLipCornerPull] {
///     units.set(unit, Intensity::clamped(0.8));
/// }
/// let reasoning = reason(&units, Expression::Happiness, None, ExpressionSet::Seven);
/// assert_eq!(reasoning.main.unwrap().cue, "corners");
/// assert_eq!(reasoning.certainty, Certainty::Clearly);
/// assert_eq!(reasoning.missing, ["eyes", "cheeks"]);
/// ```
#[must_use]
pub fn reason(
    units: &AuVector,
    label: Expression,
    probabilities: Option<&ExpressionProbabilities>,
    set: ExpressionSet,
) -> Reasoning {
    Knowledge::builtin().reason(units, label, probabilities, set)
}

impl Knowledge {
    /// Reasons about a label as [`reason`] does, with this knowledge.
    #[must_use]
    pub fn reason(
        &self,
        units: &AuVector,
        label: Expression,
        probabilities: Option<&ExpressionProbabilities>,
        set: ExpressionSet,
    ) -> Reasoning {
        let analysis = Analysis::new(self, units, label, probabilities, set);
        Named(self, &analysis).reasoning()
    }
}

/// An analysis that is put into names.
struct Named<'a>(&'a Knowledge, &'a Analysis);

impl Named<'_> {
    fn reasoning(&self) -> Reasoning {
        let Self(knowledge, analysis) = *self;
        let mut favour = analysis.favour.iter().map(|&cue| self.cue(cue));
        let weighed: CueSet = analysis
            .favour
            .iter()
            .chain(&analysis.against)
            .copied()
            .collect();
        let unrelated = analysis
            .face
            .acting
            .iter()
            .filter(|&cue| !weighed.contains(cue));
        let combinations = knowledge.combinations.iter().enumerate();
        Reasoning {
            label: analysis.label,
            stance: analysis.stance,
            certainty: analysis.certainty,
            probability: Probability::clamped(analysis.probability),
            shown: analysis.shown,
            main: favour.next(),
            strengthens: favour.collect(),
            contradicts: analysis.against.iter().map(|&cue| self.cue(cue)).collect(),
            unrelated: unrelated.map(|cue| self.cue(cue)).collect(),
            combinations: combinations
                .filter(|(place, _)| analysis.holds(*place))
                .map(|(_, c)| c.name.clone())
                .collect(),
            missing: analysis.missing.iter().map(|&cue| self.name(cue)).collect(),
            rival: analysis.rival.map(|(e, p)| self.rival(e, p)),
        }
    }

    fn name(&self, cue: usize) -> String {
        self.0.cues[cue].name.clone()
    }

    fn cue(&self, cue: usize) -> CueReading {
        let state = self.1.face.state(cue);
        let side = match state.extent {
            Extent::OneSided(side) | Extent::Leaning(side) => side,
            Extent::Uneven if state.left > state.right => Side::Left,
            Extent::Uneven => Side::Right,
            _ => Side::Both,
        };
        CueReading {
            cue: self.name(cue),
            intensity: Intensity::clamped(state.level()),
            side,
            weight: self.0.prototypes[self.1.label.index()].weights[cue],
        }
    }

    fn rival(&self, expression: Expression, probability: f32) -> Rival {
        let (own, other) = self.contrast(expression);
        let named = |set: CueSet| {
            let acting = set.iter().filter(|&cue| self.1.face.acting.contains(cue));
            acting.map(|cue| self.name(cue)).collect()
        };
        Rival {
            expression,
            probability: Probability::clamped(probability),
            decided_by: named(own),
            shown_by: named(other),
            open: self.1.open,
        }
    }

    /// Cues that tell the label from a rival: by the contrast of the two, else by their weights.
    fn contrast(&self, rival: Expression) -> (CueSet, CueSet) {
        let Self(knowledge, analysis) = *self;
        for contrast in &knowledge.contrasts {
            match contrast.between {
                [a, b] if a == analysis.label && b == rival => {
                    return (contrast.cues[0], contrast.cues[1]);
                }
                [a, b] if a == rival && b == analysis.label => {
                    return (contrast.cues[1], contrast.cues[0]);
                }
                _ => {}
            }
        }
        let weights = |e: Expression| &knowledge.prototypes[e.index()].weights;
        let (own, other) = (weights(analysis.label), weights(rival));
        let apart = |more: &[f32], less: &[f32]| {
            let cues = 0..more.len();
            cues.filter(|&c| more[c] > 0.0 && less[c] <= 0.0).collect()
        };
        (apart(own, other), apart(other, own))
    }
}

#[cfg(test)]
mod tests {
    use expllm_core::ActionUnit as Au;

    use super::*;

    fn face(values: &[(Au, f32)]) -> AuVector {
        let mut units = AuVector::from_feafa_clamped([0.0; 24]);
        for &(unit, value) in values {
            units.set(unit, Intensity::clamped(value));
        }
        units
    }

    fn of(units: &AuVector, label: Expression) -> Reasoning {
        reason(units, label, None, ExpressionSet::Seven)
    }

    const STARE: [(Au, f32); 4] = [
        (Au::LeftLidRaise, 0.7),
        (Au::RightLidRaise, 0.7),
        (Au::LeftBrowRaise, 0.7),
        (Au::RightBrowRaise, 0.7),
    ];

    #[test]
    fn the_jaw_or_the_lips_tell_surprise_from_fear() {
        let jaw = face(&[&STARE[..], &[(Au::JawDrop, 0.7)]].concat());
        let jaw = of(&jaw, Expression::Surprise);
        assert!(jaw.certainty >= Certainty::Probably, "{jaw:?}");
        assert!(jaw.combinations.contains(&"surprise_pattern".to_owned()));
        let lips = [
            (Au::LeftLipCornerStretch, 0.3),
            (Au::RightLipCornerStretch, 0.3),
        ];
        let lips = of(&face(&[&STARE[..], &lips].concat()), Expression::Fear);
        let rival = lips.rival.clone().unwrap();
        assert_eq!(lips.shown, Expression::Fear, "{lips:?}");
        assert_eq!(rival.expression, Expression::Surprise);
        assert_eq!(rival.decided_by, ["stretch"]);
    }

    #[test]
    fn nothing_is_inferred_from_what_was_not_measured_or_is_faint() {
        let mut units = face(&[(Au::LeftBrowLower, 0.5), (Au::RightBrowLower, 0.5)]);
        assert!(
            of(&units, Expression::Disgust)
                .missing
                .contains(&"nose".to_owned())
        );
        units.set(Au::NoseWrinkle, Intensity::clamped(0.15));
        assert!(
            !of(&units, Expression::Disgust)
                .missing
                .contains(&"nose".to_owned())
        );
        units.clear(Au::NoseWrinkle);
        assert!(
            !of(&units, Expression::Disgust)
                .missing
                .contains(&"nose".to_owned())
        );
        let sad = of(&units, Expression::Sadness);
        assert!(!sad.missing.contains(&"corners_down".to_owned()), "{sad:?}");
    }

    #[test]
    fn labels_that_nothing_supports_are_known() {
        let smile = face(&[(Au::LeftLipCornerPull, 0.8), (Au::RightLipCornerPull, 0.8)]);
        assert_eq!(of(&smile, Expression::Anger).stance, Support::Unsupported);
        assert_eq!(of(&smile, Expression::Anger).shown, Expression::Happiness);
        let rest = of(&face(&[]), Expression::Neutral);
        assert_eq!(
            (rest.stance, rest.certainty),
            (Support::Rest, Certainty::Clearly)
        );
        let text = serde_json::to_string(&rest).unwrap();
        assert_eq!(serde_json::from_str::<Reasoning>(&text).unwrap(), rest);
    }

    #[test]
    fn one_side_alone_is_no_smile() {
        let smirk = of(
            &face(&[(Au::LeftLipCornerPull, 0.6)]),
            Expression::Happiness,
        );
        assert_eq!(smirk.combinations, ["smirk"]);
        assert_eq!(smirk.main.unwrap().side, Side::Left);
        let near = face(&[
            (Au::LeftLipCornerPull, 0.23),
            (Au::RightLipCornerPull, 0.18),
        ]);
        assert_eq!(of(&near, Expression::Happiness).combinations, [""; 0]);
    }
}
