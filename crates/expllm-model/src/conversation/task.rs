//! What a face can be asked for.

use serde::{Deserialize, Serialize};

/// The tasks of the official data. A training conversation asks them in the order of
/// [`Task::TRAINING_ORDER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Task {
    /// The box around the face.
    FaceBox,
    /// The 40 attributes of CelebA.
    Attributes,
    /// Five points.
    Landmarks,
    /// Age group, gender and group of FairFace.
    Demographics,
    /// Yaw, pitch and roll.
    HeadPose,
    /// The chain of thought.
    Explanation,
    /// The label.
    Expression,
}

impl Task {
    /// The order in which the reference asks while it trains on RAF-DB (`question_index` -1):
    /// the explanation before the label.
    pub const TRAINING_ORDER: [Self; 7] = [
        Self::FaceBox,
        Self::Attributes,
        Self::Landmarks,
        Self::Demographics,
        Self::HeadPose,
        Self::Explanation,
        Self::Expression,
    ];

    /// The name in `prompt.toml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FaceBox => "face_box",
            Self::Attributes => "attributes",
            Self::Landmarks => "landmarks",
            Self::Demographics => "demographics",
            Self::HeadPose => "head_pose",
            Self::Explanation => "explanation",
            Self::Expression => "expression",
        }
    }
}
