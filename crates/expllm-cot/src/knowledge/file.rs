//! The knowledge file as it is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A part of the face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// The brows.
    Brows,
    /// Eyes, lids and raised cheeks.
    Eyes,
    /// The nose.
    Nose,
    /// Lips, jaw and chin.
    Mouth,
}

/// Limits that the reasoner works with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Intensity below which a measured unit is surely at rest.
    pub absent_below: f32,
    /// Difference of sides that counts when one of them is inactive.
    pub one_sided_from: f32,
    /// Difference of sides that counts when both are active.
    pub uneven_from: f32,
    /// Probability of the label from which the certainty is `clearly`.
    pub clearly: f32,
    /// Probability of the label from which the certainty is `probably`.
    pub probably: f32,
    /// Distance of the second reading at which both are open.
    pub open_within: f32,
    /// Factor of the evidence before it becomes probabilities.
    pub sharpness: f32,
    /// Evidence for neutral in every face.
    pub rest: f32,
    /// Probability of happiness below which raised corners in a grimace are not called a smile.
    pub grimace_below: f32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub sources: BTreeMap<String, String>,
    pub thresholds: Thresholds,
    pub cue: Vec<CueEntry>,
    pub expression: BTreeMap<String, ExpressionEntry>,
    #[serde(default)]
    pub combination: Vec<CombinationEntry>,
    #[serde(default)]
    pub contrast: Vec<ContrastEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CueEntry {
    pub name: String,
    pub units: Vec<String>,
    pub region: Region,
}

type Weights = BTreeMap<String, f32>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpressionEntry {
    pub sources: Vec<String>,
    pub deciding: Weights,
    pub supporting: Weights,
    pub contradicting: Weights,
    pub expects: Vec<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CombinationEntry {
    pub name: String,
    pub builds_on: Vec<String>,
    pub sources: Vec<String>,
    pub all: Vec<String>,
    pub any: Vec<String>,
    pub none: Vec<String>,
    pub absent: Vec<String>,
    pub one_sided: Vec<String>,
    pub at_least: Weights,
    pub at_most: Weights,
    pub only: bool,
    pub evidence: Weights,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContrastEntry {
    pub between: [String; 2],
    pub first: Vec<String>,
    pub second: Vec<String>,
    pub sources: Vec<String>,
}
