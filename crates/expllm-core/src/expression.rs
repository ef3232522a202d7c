//! Expressions, sets of them and probabilities over them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{CoreError, Probability};

/// A basic expression, in the order of the official ExpLLM data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Expression {
    /// No expression.
    Neutral,
    /// Happiness.
    Happiness,
    /// Sadness.
    Sadness,
    /// Surprise.
    Surprise,
    /// Fear.
    Fear,
    /// Disgust.
    Disgust,
    /// Anger.
    Anger,
    /// Contempt; only in the eight-class set.
    Contempt,
}

impl Expression {
    /// How many expressions there are.
    pub const COUNT: usize = 8;

    /// All expressions in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Neutral,
        Self::Happiness,
        Self::Sadness,
        Self::Surprise,
        Self::Fear,
        Self::Disgust,
        Self::Anger,
        Self::Contempt,
    ];

    /// Name as the official data writes it, such as `Happiness`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Neutral => "Neutral",
            Self::Happiness => "Happiness",
            Self::Sadness => "Sadness",
            Self::Surprise => "Surprise",
            Self::Fear => "Fear",
            Self::Disgust => "Disgust",
            Self::Anger => "Anger",
            Self::Contempt => "Contempt",
        }
    }

    /// Name in columns and JSON, such as `happiness`; the official data has [`name`](Self::name).
    #[must_use]
    pub const fn snake_case(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Happiness => "happiness",
            Self::Sadness => "sadness",
            Self::Surprise => "surprise",
            Self::Fear => "fear",
            Self::Disgust => "disgust",
            Self::Anger => "anger",
            Self::Contempt => "contempt",
        }
    }

    /// Place in order, 0 to 7; for reading and writing files and tensors.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The expression at a place in order.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Expression {
    type Err = CoreError;

    /// Reads the spellings found in data sets, in any letter case: `Happiness`, `happy`,
    /// `surprised`, `angry`, ...
    fn from_str(text: &str) -> Result<Self, CoreError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "neutral" | "neutrality" => Ok(Self::Neutral),
            "happiness" | "happy" | "joy" => Ok(Self::Happiness),
            "sadness" | "sad" => Ok(Self::Sadness),
            "surprise" | "surprised" => Ok(Self::Surprise),
            "fear" | "fearful" | "afraid" => Ok(Self::Fear),
            "disgust" | "disgusted" => Ok(Self::Disgust),
            "anger" | "angry" => Ok(Self::Anger),
            "contempt" | "contemptuous" => Ok(Self::Contempt),
            _ => Err(CoreError::UnknownExpression(text.to_owned())),
        }
    }
}

/// Which expressions are in play.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpressionSet {
    /// Neutral and the six basic emotions (RAF-DB, FER2013, AffectNet-7).
    Seven,
    /// The seven and contempt (AffectNet-8, FERPlus).
    #[default]
    Eight,
}

impl ExpressionSet {
    /// The expressions of the set, in order.
    #[must_use]
    pub fn expressions(self) -> &'static [Expression] {
        match self {
            Self::Seven => &Expression::ALL[..7],
            Self::Eight => &Expression::ALL,
        }
    }

    /// The set of 7 or 8 classes.
    #[must_use]
    pub const fn of_classes(classes: u8) -> Option<Self> {
        match classes {
            7 => Some(Self::Seven),
            8 => Some(Self::Eight),
            _ => None,
        }
    }

    /// Whether the expression belongs to the set.
    #[must_use]
    pub fn contains(self, expression: Expression) -> bool {
        self == Self::Eight || expression != Expression::Contempt
    }
}

/// A probability for each expression, summing to one (within rounding).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExpressionProbabilities([Probability; Expression::COUNT]);

impl ExpressionProbabilities {
    /// Scales non-negative scores so that they sum to one; not-a-number and negative scores
    /// count as zero. When nothing is left, neutral gets all.
    #[must_use]
    pub fn from_scores(scores: [f32; Expression::COUNT]) -> Self {
        let clean = scores.map(|s| if s.is_finite() && s > 0.0 { s } else { 0.0 });
        let sum: f32 = clean.iter().sum();
        if sum > 0.0 && sum.is_finite() {
            Self(clean.map(|s| Probability::clamped(s / sum)))
        } else {
            let mut values = [Probability::ZERO; Expression::COUNT];
            values[0] = Probability::ONE;
            Self(values)
        }
    }

    /// The probability of one expression.
    #[must_use]
    pub fn get(&self, expression: Expression) -> Probability {
        self.0[expression.index()]
    }

    /// The probabilities in expression order.
    #[must_use]
    pub fn values(&self) -> [f32; Expression::COUNT] {
        self.0.map(Probability::get)
    }

    /// Each probability with the name of its column, in expression order.
    #[must_use]
    pub fn by_name(&self) -> [(&'static str, f32); Expression::COUNT] {
        Expression::ALL.map(|e| (e.snake_case(), self.get(e).get()))
    }

    /// The same belief over a smaller set: expressions outside get zero, the rest is rescaled.
    #[must_use]
    pub fn within(&self, set: ExpressionSet) -> Self {
        let mut scores = self.values();
        for expression in Expression::ALL {
            if !set.contains(expression) {
                scores[expression.index()] = 0.0;
            }
        }
        Self::from_scores(scores)
    }

    /// Expressions from the likeliest to the least likely; ties keep expression order.
    #[must_use]
    pub fn ranked(&self) -> [(Expression, Probability); Expression::COUNT] {
        let mut ranked = Expression::ALL.map(|e| (e, self.get(e)));
        ranked.sort_by(|a, b| b.1.get().total_cmp(&a.1.get()));
        ranked
    }

    /// The likeliest expression.
    #[must_use]
    pub fn top(&self) -> Expression {
        self.ranked()[0].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_names_and_spellings_agree() {
        for (index, expression) in Expression::ALL.into_iter().enumerate() {
            assert_eq!(Expression::from_index(index), Some(expression));
            assert_eq!(expression.name().to_uppercase().parse(), Ok(expression));
            assert_eq!(expression.name().to_lowercase(), expression.snake_case());
        }
        assert_eq!("happy".parse(), Ok(Expression::Happiness));
        assert!("joyful-ish".parse::<Expression>().is_err());
    }

    #[test]
    fn scores_become_probabilities() {
        let p =
            ExpressionProbabilities::from_scores([1.0, 3.0, f32::NAN, -2.0, 0.0, 0.0, 0.0, 4.0]);
        assert_eq!(p.get(Expression::Happiness).get(), 0.375);
        assert_eq!(p.top(), Expression::Contempt);
        let seven = p.within(ExpressionSet::Seven);
        assert_eq!(seven.get(Expression::Happiness).get(), 0.75);
        assert_eq!(seven.top(), Expression::Happiness);
        let none = ExpressionProbabilities::from_scores([0.0; 8]);
        assert_eq!(none.top(), Expression::Neutral);
    }
}
