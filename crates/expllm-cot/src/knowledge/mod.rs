//! What action units say about expressions, as data that a researcher can read and correct.
//!
//! The data is `facs.toml` beside this file, with its sources; [`Knowledge::load`] reads another
//! file of the same form.

mod error;
mod file;
mod pattern;
mod resolve;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use expllm_core::{ActionUnit, Expression};

pub use error::{KnowledgeError, KnowledgeFault};
pub use file::{Region, Thresholds};
pub(crate) use pattern::{CueSet, Pattern};

/// A movement: one unit in the middle of the face, or one on each side.
#[derive(Debug, Clone, PartialEq)]
pub struct Cue {
    /// Name in the knowledge file, such as `brows_down`.
    pub name: String,
    /// One unit, or the left and the right one.
    pub units: Vec<ActionUnit>,
    /// Where it acts.
    pub region: Region,
}

/// What one expression shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Prototype {
    /// Weight of each cue for (above 0) or against (below 0) the expression.
    pub weights: Vec<f32>,
    /// Cues that decide.
    pub deciding: CueSet,
    /// Groups of which one member should act, the most telling first.
    pub expects: Vec<CueSet>,
}

/// Cues that mean something together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Combination {
    pub name: String,
    pub pattern: Pattern,
    /// What it says for or against each expression.
    pub evidence: Vec<(Expression, f32)>,
}

/// What turns the scale between two expressions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Contrast {
    pub between: [Expression; 2],
    /// Cues for the first and for the second.
    pub cues: [CueSet; 2],
}

/// Cues, expressions, combinations and contrasts.
///
/// ```
/// use expllm_cot::Knowledge;
///
/// let knowledge = Knowledge::builtin();
/// assert!(knowledge.cues().iter().any(|cue| cue.name == "brows_down"));
/// let broken = "[sources]\n[thresholds]\nabsent = 3";
/// assert!(Knowledge::parse(broken, "mine.toml").is_err());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Knowledge {
    pub(crate) thresholds: Thresholds,
    pub(crate) sources: BTreeMap<String, String>,
    pub(crate) cues: Vec<Cue>,
    pub(crate) prototypes: [Prototype; Expression::COUNT],
    pub(crate) combinations: Vec<Combination>,
    pub(crate) contrasts: Vec<Contrast>,
}

const BUILTIN: &str = include_str!("facs.toml");

#[allow(clippy::expect_used)] // The file is part of the crate, and a test reads it.
static KNOWLEDGE: LazyLock<Knowledge> =
    LazyLock::new(|| Knowledge::parse(BUILTIN, "facs.toml").expect("the built-in knowledge"));

impl Knowledge {
    /// The knowledge that comes with this crate.
    #[must_use]
    pub fn builtin() -> &'static Self {
        &KNOWLEDGE
    }

    /// Reads a file in the form of the built-in `facs.toml`.
    ///
    /// # Errors
    ///
    /// [`KnowledgeError`] names the entry that cannot be used: an unknown unit, cue or
    /// expression, a weight out of range, a name given twice, a combination that builds on
    /// itself.
    pub fn load(path: &Path) -> Result<Self, KnowledgeError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            KnowledgeError::new(&name, "file", KnowledgeFault::File(error.to_string()))
        })?;
        Self::parse(&text, &name)
    }

    /// Reads the text of such a file; `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn parse(text: &str, name: &str) -> Result<Self, KnowledgeError> {
        let file: file::File = toml::from_str(text).map_err(|error| {
            KnowledgeError::new(name, "file", KnowledgeFault::Syntax(error.to_string()))
        })?;
        resolve::knowledge(file, name)
    }

    /// The movements, in the order of the file.
    #[must_use]
    pub fn cues(&self) -> &[Cue] {
        &self.cues
    }

    /// The movements that decide for an expression, the weightiest first.
    pub fn deciding(&self, expression: Expression) -> impl Iterator<Item = &Cue> {
        let prototype = &self.prototypes[expression.index()];
        let mut cues: Vec<_> = prototype.deciding.iter().collect();
        cues.sort_by(|&a, &b| prototype.weights[b].total_cmp(&prototype.weights[a]));
        cues.into_iter().map(|cue| &self.cues[cue])
    }

    /// Names of the combinations, in the order of the file.
    pub fn combinations(&self) -> impl Iterator<Item = &str> {
        self.combinations.iter().map(|c| c.name.as_str())
    }

    /// Where the knowledge is from: key and reference.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Limits that the reasoner works with.
    #[must_use]
    pub fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// Place of a cue by name.
    pub(crate) fn cue(&self, name: &str) -> Option<usize> {
        self.cues.iter().position(|cue| cue.name == name)
    }

    /// Place of a combination by name.
    pub(crate) fn combination(&self, name: &str) -> Option<usize> {
        self.combinations.iter().position(|c| c.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(from: &str, to: &str) -> KnowledgeError {
        assert!(BUILTIN.contains(from), "{from}");
        Knowledge::parse(&BUILTIN.replacen(from, to, 1), "mine.toml").unwrap_err()
    }

    #[test]
    fn every_unit_belongs_to_one_cue() {
        let mut seen = [0; ActionUnit::COUNT];
        for cue in Knowledge::builtin().cues() {
            for unit in &cue.units {
                seen[unit.index()] += 1;
            }
        }
        assert_eq!(seen, [1; ActionUnit::COUNT]);
    }

    #[test]
    fn the_weightiest_movement_decides_first() {
        let names = |expression| -> Vec<&str> {
            let cues = Knowledge::builtin().deciding(expression);
            cues.map(|cue| cue.name.as_str()).collect()
        };
        assert_eq!(names(Expression::Surprise), ["brows_up", "jaw"]);
        assert_eq!(names(Expression::Neutral), [""; 0]);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let unit = fault("left_brow_raise", "left_ear_raise");
        assert_eq!(unit.entry, "cue brows_up");
        assert!(matches!(unit.fault, KnowledgeFault::UnknownUnit(ref u) if u == "left_ear_raise"));

        let cycle = fault(
            "name = \"smile\"\n",
            "name = \"smile\"\nbuilds_on = [\"laugh\"]\n",
        );
        assert!(matches!(cycle.fault, KnowledgeFault::Cycle(_)), "{cycle}");

        let weight = fault("corners = 1.0", "corners = 1.7");
        assert_eq!(weight.entry, "expression happiness");
        assert!(matches!(weight.fault, KnowledgeFault::OutOfRange { .. }));

        let twice = fault("name = \"laugh\"", "name = \"smile\"");
        assert!(matches!(twice.fault, KnowledgeFault::Duplicate(_)));
        let again = fault("left_inner_brow_raise", "left_brow_raise");
        assert!(
            matches!(again.fault, KnowledgeFault::Duplicate(_)),
            "{again}"
        );

        let cue = fault("all = [\"corners\"]", "all = [\"corner\"]");
        assert_eq!(cue.entry, "combination smile");
        let source = fault("sources = [\"facs\", \"smiles\"]", "sources = [\"fax\"]");
        assert!(matches!(source.fault, KnowledgeFault::UnknownSource(_)));
        let limit = fault("probably = 0.6", "probably = 0.9");
        assert_eq!(limit.entry, "thresholds");
        let text = fault("[sources]", "[sources");
        assert!(text.to_string().starts_with("mine.toml: file: "), "{text}");
    }
}
