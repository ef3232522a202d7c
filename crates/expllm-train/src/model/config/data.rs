//! Which records a run learns from.

use std::path::PathBuf;

use expllm_data::Layout;
use serde::{Deserialize, Serialize};

/// The faces and what is said of them; one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Data {
    /// A data set with labels and descriptions in a layout that `expllm data inspect` reads,
    /// such as the output of `expllm cot build`; images are read and augmented for every step.
    Annotations(AnnotationsConfig),
    /// Action units and labels without images, such as the official chain-of-thought data: a new
    /// model learns to speak of units before it sees faces. The composer writes the chains.
    Readings(ReadingsConfig),
    /// Photographed and synthetic faces, read by the action unit detector; the composer writes
    /// their chains. What the frozen vision encoder sees is computed once and kept.
    Faces(FacesConfig),
}

/// A data set on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnnotationsConfig {
    /// Its folder, archive or annotation file.
    pub root: PathBuf,
    /// How it lies on disk, by the names of `expllm data inspect`.
    #[serde(default = "default_layout")]
    pub layout: Layout,
}

fn default_layout() -> Layout {
    Layout::ExpllmJson
}

/// Readings without images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadingsConfig {
    /// The data set that has them.
    pub annotations: AnnotationsConfig,
    /// Wordings of a chain about the same reading.
    #[serde(default = "default_wordings")]
    pub wordings: u64,
}

/// Which faces, and how many looks at each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FacesConfig {
    /// Folder of the training data: sets of faces, as its `faces.toml` names them, and
    /// `ict_facekit.safetensors`.
    pub folder: PathBuf,
    /// Weights of the action unit detector that reads the faces; without them the project's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<PathBuf>,
    /// The sets that are looked at.
    pub sets: Vec<SetViews>,
    /// Synthetic faces, one look each.
    #[serde(default = "default_synthetic")]
    pub synthetic: usize,
    /// Wordings of a chain about the same face; more give richer language and need a longer run.
    #[serde(default = "default_wordings")]
    pub wordings: u64,
    /// Share of the readings that are drawn around those of faces, 0 to 1, where the model sees
    /// nothing but readings.
    #[serde(default)]
    pub imagined: f64,
}

/// How the faces of a set are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetViews {
    /// Name of the set.
    pub name: String,
    /// Looks at each face: one as it is, the others moved and degraded. Every look counts twice,
    /// plain and mirrored.
    #[serde(default = "default_views")]
    pub views: usize,
    /// Faces at most, drawn by chance; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<usize>,
    /// Faces that are never trained on and by which runs are validated.
    #[serde(default)]
    pub held_back: usize,
}

fn default_views() -> usize {
    1
}

fn default_synthetic() -> usize {
    4_000
}

fn default_wordings() -> u64 {
    1 << 32
}
