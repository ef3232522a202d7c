//! How far the sentences of a chain agree with the action units.

use serde::{Deserialize, Serialize};

use crate::{ActionUnit, Strength};

/// Whether a statement claims a movement or its absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Polarity {
    /// "The jaw drops."
    Present,
    /// "The jaw does not drop."
    Absent,
}

/// One claim about one action unit, found in a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuStatement {
    /// The unit spoken of.
    pub unit: ActionUnit,
    /// Whether it is claimed or denied.
    pub polarity: Polarity,
    /// The strength claimed, when a word for it stands there.
    pub strength: Option<Strength>,
    /// Index of the sentence within the text.
    pub sentence: usize,
    /// Whether the reading agrees.
    pub supported: bool,
}

/// A text held against a reading of action units.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GroundingReport {
    /// The sentences of the text, in order.
    pub sentences: Vec<String>,
    /// Every claim about a unit that was measured.
    pub statements: Vec<AuStatement>,
    /// Claims about units that were not measured: neither supported nor unsupported.
    #[serde(default)]
    pub not_checkable: Vec<AuStatement>,
    /// Active units that no sentence claims, the strongest first.
    pub omitted: Vec<ActionUnit>,
    /// How many units are active in the reading.
    pub active: usize,
}

impl GroundingReport {
    /// Share of claims that the reading supports; `None` without claims.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        let supported = self.statements.iter().filter(|s| s.supported).count();
        ratio(supported, self.statements.len())
    }

    /// Share of active units that are claimed; `None` when no unit is active.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        ratio(self.active.saturating_sub(self.omitted.len()), self.active)
    }

    /// Indices of the sentences that hold at least one unsupported claim, in order.
    #[must_use]
    pub fn offending_sentences(&self) -> Vec<usize> {
        let mut found: Vec<_> = self
            .statements
            .iter()
            .filter(|s| !s.supported)
            .map(|s| s.sentence)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_count_claims_and_omissions() {
        let claim = |sentence, supported| AuStatement {
            unit: ActionUnit::JawDrop,
            polarity: Polarity::Present,
            strength: None,
            sentence,
            supported,
        };
        let report = GroundingReport {
            sentences: vec!["a".into(), "b".into()],
            statements: vec![
                claim(0, true),
                claim(1, false),
                claim(1, false),
                claim(1, true),
            ],
            not_checkable: vec![claim(1, false)],
            omitted: vec![ActionUnit::ChinRaise],
            active: 4,
        };
        assert_eq!(report.precision(), Some(0.5));
        assert_eq!(report.recall(), Some(0.75));
        assert_eq!(report.offending_sentences(), [1]);
        assert_eq!(GroundingReport::default().precision(), None);
    }
}
