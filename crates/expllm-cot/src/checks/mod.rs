//! What is wrong with one text, by name.

mod guide;

use expllm_core::{
    ActionUnit, AuVector, ChainOfThought, CoreError, Expression, ExpressionSet, GroundingReport,
    Intensity, Polarity, Strength,
};
use serde::{Deserialize, Serialize};

use crate::composer::WORD_LIMIT;
use crate::labels;
use crate::reader::{self, Reading, chain_sentences};

/// The checks by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Check {
    /// All three parts are there.
    Parts,
    /// Not more words than allowed.
    WordLimit,
    /// The conclusion claims the label.
    Label,
    /// The conclusion claims no other label.
    OtherLabel,
    /// What is claimed of a unit agrees with its intensity.
    Grounding,
    /// The word of strength agrees with the intensity.
    StrengthWord,
    /// Every strong unit is mentioned.
    StrongUnit,
    /// No digits are copied.
    Digits,
    /// The text is English.
    Language,
    /// No other record has (nearly) the same text.
    Repetition,
    /// The parts are as long as the guide says.
    PartLength,
    /// No words that glue sentences together: "likewise", "as if".
    Glue,
    /// No unit is both claimed and denied.
    Contradiction,
    /// A rival is named with the cue that decides.
    EmptyRival,
    /// Nothing is denied that was not measured or lies near the threshold.
    Absence,
    /// No side is told alone where both move alike.
    Asymmetry,
    /// One word of certainty.
    Certainty,
    /// Words of strength agree with the bands of the guide.
    Degree,
    /// No smile is called genuine for its corners alone.
    FeltSmile,
    /// No conclusion stands more than once in two hundred of its label.
    RepeatedConclusion,
}

impl Check {
    /// Name in files and tables, such as `word_limit`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parts => "parts",
            Self::WordLimit => "word_limit",
            Self::Label => "label",
            Self::OtherLabel => "other_label",
            Self::Grounding => "grounding",
            Self::StrengthWord => "strength_word",
            Self::StrongUnit => "strong_unit",
            Self::Digits => "digits",
            Self::Language => "language",
            Self::Repetition => "repetition",
            Self::PartLength => "part_length",
            Self::Glue => "glue",
            Self::Contradiction => "contradiction",
            Self::EmptyRival => "empty_rival",
            Self::Absence => "absence",
            Self::Asymmetry => "asymmetry",
            Self::Certainty => "certainty",
            Self::Degree => "degree",
            Self::FeltSmile => "felt_smile",
            Self::RepeatedConclusion => "repeated_conclusion",
        }
    }
}

impl Check {
    /// Whether the check needs the units of the face.
    pub(crate) const fn is_about_units(self) -> bool {
        matches!(
            self,
            Self::Grounding
                | Self::StrengthWord
                | Self::Absence
                | Self::Asymmetry
                | Self::Degree
                | Self::FeltSmile
        )
    }
}

/// One thing that is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check that failed.
    pub check: Check,
    /// What to change, in a sentence that a writer can act on.
    pub detail: String,
}

impl Finding {
    pub(crate) fn new(check: Check, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { check, detail }
    }
}

/// Which checks run and how strictly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Checker {
    /// Words of the canonical text (default 130, as in the paper).
    pub word_limit: usize,
    /// Whether digits are allowed (default no).
    pub digits: bool,
    /// How far outside the band of its word an intensity may lie, 0 to 1 (default 0.1).
    pub strength_tolerance: f32,
    /// The expressions in play.
    pub set: ExpressionSet,
    /// Whether the points of the guide on style are checked too (default no).
    pub guide: bool,
}

impl Default for Checker {
    fn default() -> Self {
        Self {
            word_limit: WORD_LIMIT,
            digits: false,
            strength_tolerance: 0.1,
            set: ExpressionSet::Eight,
            guide: false,
        }
    }
}

/// A text that was read, with everything found.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The chain, when all parts are there.
    pub chain: Option<ChainOfThought>,
    /// Its statements about units.
    pub report: GroundingReport,
    /// What is wrong; empty when nothing is.
    pub findings: Vec<Finding>,
}

impl Checker {
    /// Reads a text and checks it against the label and the units.
    #[must_use]
    pub fn check(&self, text: &str, label: Expression, units: &AuVector) -> Checked {
        match text.parse::<ChainOfThought>() {
            Ok(chain) => {
                let sentences = chain_sentences(&chain);
                let reading = Reading::of(&sentences, units);
                let report = reader::report(&sentences, &reading, units);
                let mut findings = self.findings(&chain, &report, label, units);
                if self.guide {
                    findings.extend(guide::findings(&guide::Subject {
                        chain: &chain,
                        reading: &reading,
                        label,
                        units,
                        sentences: &sentences,
                    }));
                }
                Checked {
                    chain: Some(chain),
                    report,
                    findings,
                }
            }
            Err(error) => Checked {
                chain: None,
                report: GroundingReport::default(),
                findings: vec![missing_part(&error)],
            },
        }
    }

    fn findings(
        &self,
        chain: &ChainOfThought,
        report: &GroundingReport,
        label: Expression,
        units: &AuVector,
    ) -> Vec<Finding> {
        let mut found = Vec::new();
        let words = chain.word_count();
        if words > self.word_limit {
            let limit = self.word_limit;
            let detail = format!("{words} words; write at most {limit}");
            found.push(Finding::new(Check::WordLimit, detail));
        }
        if !labels::concludes(&chain.conclusion, label) {
            let detail = format!("the conclusion must name {label}");
            found.push(Finding::new(Check::Label, detail));
        }
        let others = labels::claimed_instead(&chain.conclusion, label);
        for other in others.iter().filter(|&&e| self.set.contains(e)) {
            let detail = format!("the conclusion claims {other}; the label is {label}");
            found.push(Finding::new(Check::OtherLabel, detail));
        }
        self.statements(report, units, &mut found);
        for &unit in report
            .omitted
            .iter()
            .filter(|&&u| units[u].strength() == Strength::Strong)
        {
            let detail = format!("{unit} is strong and not mentioned");
            found.push(Finding::new(Check::StrongUnit, detail));
        }
        let text = [
            chain.key_observations.as_str(),
            chain.interpretation.as_str(),
            chain.conclusion.as_str(),
        ];
        if !self.digits
            && text
                .iter()
                .any(|t| t.contains(|c: char| c.is_ascii_digit()))
        {
            found.push(Finding::new(
                Check::Digits,
                "do not copy numbers; use words of strength",
            ));
        }
        if !labels::is_english(&text) {
            found.push(Finding::new(Check::Language, "write in English"));
        }
        found
    }

    fn statements(&self, report: &GroundingReport, units: &AuVector, found: &mut Vec<Finding>) {
        for statement in &report.statements {
            let unit = statement.unit;
            let sentence = report
                .sentences
                .get(statement.sentence)
                .map_or("", String::as_str);
            if !statement.supported {
                let detail = match statement.polarity {
                    Polarity::Present => format!("{unit} is not active, but: \"{sentence}\""),
                    Polarity::Absent => format!("{unit} is active, but: \"{sentence}\""),
                };
                found.push(Finding::new(Check::Grounding, detail));
            } else if let Some(claimed) = statement.strength
                && statement.polarity == Polarity::Present
                && !self.fits(claimed, units[unit])
            {
                let detail = format!(
                    "{} is {}, not as in: \"{sentence}\"",
                    unit,
                    band(units, unit)
                );
                found.push(Finding::new(Check::StrengthWord, detail));
            }
        }
    }

    fn fits(&self, claimed: Strength, intensity: Intensity) -> bool {
        let near = |delta: f32| Intensity::clamped(intensity.get() + delta).strength();
        let tolerance = self.strength_tolerance;
        (near(-tolerance)..=near(tolerance)).contains(&claimed)
    }
}

fn missing_part(error: &CoreError) -> Finding {
    Finding::new(
        Check::Parts,
        format!(
            "{error}; write the headings **Key Observations:**, **Overall Emotional \
             Interpretation:** and **Conclusion:**"
        ),
    )
}

fn band(units: &AuVector, unit: ActionUnit) -> &'static str {
    match units[unit].strength() {
        Strength::Absent => "absent",
        Strength::Slight => "slight",
        Strength::Moderate => "moderate",
        Strength::Strong => "strong",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(text: &str) -> Vec<Check> {
        let mut units = AuVector::REST;
        units.set(ActionUnit::JawDrop, Intensity::clamped(0.8));
        let checked = Checker::default().check(text, Expression::Surprise, &units);
        checked.findings.iter().map(|f| f.check).collect()
    }

    fn text(observations: &str, conclusion: &str) -> String {
        format!(
            "**Key Observations:** {observations}\n\n**Overall Emotional Interpretation:** This \
             points to a sudden event.\n\n**Conclusion:** {conclusion}"
        )
    }

    #[test]
    fn each_check_finds_its_fault_and_nothing_else() {
        let good = "The jaw drops strongly, which is a sign of awe.";
        let end = "The label is Surprise, and not Fear.";
        assert_eq!(checks(&text(good, end)), []);
        assert_eq!(checks("The jaw drops."), [Check::Parts]);
        let long = format!("{good} {}", "It is as it is. ".repeat(40));
        assert_eq!(checks(&text(&long, end)), [Check::WordLimit]);
        assert_eq!(
            checks(&text(good, "The face is calm.")),
            [Check::Label, Check::OtherLabel]
        );
        assert_eq!(
            checks(&text(good, "It is Surprise and Fear.")),
            [Check::OtherLabel]
        );
        let more = format!("{good} The nose is wrinkled.");
        assert_eq!(checks(&text(&more, end)), [Check::Grounding]);
        let denied = "The jaw does not drop in the picture.";
        assert_eq!(
            checks(&text(denied, end)),
            [Check::Grounding, Check::StrongUnit]
        );
        let weak = "The jaw drops slightly in this picture.";
        assert_eq!(checks(&text(weak, end)), [Check::StrengthWord]);
        let silent = "The face is in the middle of the picture.";
        assert_eq!(checks(&text(silent, end)), [Check::StrongUnit]);
        let digits = "The jaw drops strongly (0.8) in the picture.";
        assert_eq!(checks(&text(digits, end)), [Check::Digits]);
    }

    #[test]
    fn other_languages_are_found() {
        let german = "**Key Observations:** Der Kiefer klappt stark herunter, was ein Zeichen von \
             Staunen ist.\n**Overall Emotional Interpretation:** Das deutet auf ein \
             unerwartetes Ereignis hin.\n**Conclusion:** Die Miene zeigt Surprise.";
        assert!(checks(german).contains(&Check::Language));
    }
}
