//! The chain of thought: three parts, their canonical text and its reading.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::CoreError;

/// One of the three parts of a chain of thought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainPart {
    /// Action units, their intensity, and what they suggest.
    KeyObservations,
    /// How the units combine and which emotion dominates.
    Interpretation,
    /// The label.
    Conclusion,
}

impl ChainPart {
    /// The parts in order.
    pub const ALL: [Self; 3] = [
        Self::KeyObservations,
        Self::Interpretation,
        Self::Conclusion,
    ];

    /// The heading in canonical text.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::KeyObservations => "Key Observations",
            Self::Interpretation => "Overall Emotional Interpretation",
            Self::Conclusion => "Conclusion",
        }
    }

    /// Lower-case spellings of the heading found in the official data, the longest first.
    const fn spellings(self) -> &'static [&'static str] {
        match self {
            Self::KeyObservations => &[
                "key facial observations",
                "key observations",
                "key observation",
                "observations",
            ],
            Self::Interpretation => &[
                "overall emotional interpretation",
                "overall emotion interpretation",
                "emotional interpretation",
                "overall interpretation",
                "interpretation",
            ],
            Self::Conclusion => &["conclusion"],
        }
    }
}

impl fmt::Display for ChainPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.heading())
    }
}

/// An explanation of one face in the three parts of the paper.
///
/// [`fmt::Display`] writes the canonical form of the official data (bold headings, an empty line
/// between the parts); [`FromStr`] reads it and the looser spellings found there.
///
/// ```
/// use expllm_core::ChainOfThought;
///
/// let text = "### Key Observations\nBoth lip corners are pulled up.\n\
///             **Emotional Interpretation**: This suggests joy.\n**Conclusion:** Happiness.";
/// let chain: ChainOfThought = text.parse()?;
/// assert_eq!(chain.conclusion, "Happiness.");
/// assert!(chain.to_string().starts_with("**Key Observations:** Both lip"));
/// # Ok::<(), expllm_core::CoreError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainOfThought {
    /// Action units, their intensity, and what they suggest.
    pub key_observations: String,
    /// How the units combine and which emotion dominates.
    pub interpretation: String,
    /// The label, in a sentence.
    pub conclusion: String,
}

impl ChainOfThought {
    /// The text of one part.
    #[must_use]
    pub fn part(&self, part: ChainPart) -> &str {
        match part {
            ChainPart::KeyObservations => &self.key_observations,
            ChainPart::Interpretation => &self.interpretation,
            ChainPart::Conclusion => &self.conclusion,
        }
    }

    /// The parts of a text that is still being written, in order, each with what is there of it;
    /// parts that have not begun are left out.
    #[must_use]
    pub fn begun(text: &str) -> Vec<(ChainPart, &str)> {
        // ASCII lowering keeps byte offsets.
        let lower = text.to_ascii_lowercase();
        let mut spans = Vec::new();
        let mut from = 0;
        for part in ChainPart::ALL {
            let Some(span) = find_heading(&lower, from, part) else {
                break;
            };
            from = span.1;
            spans.push((part, span));
        }
        let ends = spans.iter().skip(1).map(|(_, span)| span.0);
        let ends: Vec<usize> = ends.chain([text.len()]).collect();
        spans
            .into_iter()
            .zip(ends)
            .map(|((part, span), end)| (part, clean_body(&text[span.1..end])))
            .collect()
    }

    /// Words in the canonical text, headings included, split at white space.
    #[must_use]
    pub fn word_count(&self) -> usize {
        ChainPart::ALL
            .iter()
            .flat_map(|&p| [p.heading(), self.part(p)])
            .map(|text| text.split_whitespace().count())
            .sum()
    }
}

impl fmt::Display for ChainOfThought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in ChainPart::ALL.into_iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "**{}:** {}", part.heading(), self.part(part))?;
        }
        Ok(())
    }
}

impl FromStr for ChainOfThought {
    type Err = CoreError;

    /// Reads three headed parts in order; text before the first heading is ignored.
    fn from_str(text: &str) -> Result<Self, CoreError> {
        // ASCII lowering keeps byte offsets.
        let lower = text.to_ascii_lowercase();
        let mut spans = [(0, 0); 3];
        let mut from = 0;
        for (span, part) in spans.iter_mut().zip(ChainPart::ALL) {
            *span = find_heading(&lower, from, part)
                .ok_or(CoreError::IncompleteChain { missing: part })?;
            from = span.1;
        }
        let ends = [spans[1].0, spans[2].0, text.len()];
        let mut bodies = [const { String::new() }; 3];
        for ((body, part), (span, end)) in bodies
            .iter_mut()
            .zip(ChainPart::ALL)
            .zip(spans.into_iter().zip(ends))
        {
            *body = clean_body(&text[span.1..end]).to_owned();
            if body.is_empty() {
                return Err(CoreError::IncompleteChain { missing: part });
            }
        }
        let [key_observations, interpretation, conclusion] = bodies;
        Ok(Self {
            key_observations,
            interpretation,
            conclusion,
        })
    }
}

/// Start and end of a part's heading (markers and colon included) at or after `from`.
fn find_heading(lower: &str, from: usize, part: ChainPart) -> Option<(usize, usize)> {
    part.spellings()
        .iter()
        .filter_map(|spelling| {
            lower[from..]
                .match_indices(spelling)
                .find_map(|(offset, _)| {
                    let at = from + offset;
                    heading_bounds(lower, from, at, at + spelling.len())
                })
        })
        // The earliest heading wins; of spellings inside each other the longest was listed first.
        .min_by_key(|&(start, _)| start)
}

/// Extends the words at `start..end` to the whole heading, or says that they are no heading.
fn heading_bounds(lower: &str, from: usize, start: usize, end: usize) -> Option<(usize, usize)> {
    let is_marker =
        |c: char| c == '*' || c == '#' || c == '_' || c == ' ' || c.is_ascii_digit() || c == '.';
    let before = lower[from..start].trim_end_matches(is_marker);
    let marked = lower[from + before.len()..start].contains(['*', '#']);
    let starts_line = before.is_empty() || before.ends_with('\n');
    let after = &lower[end..];
    let rest = after.trim_start_matches(['*', ' ', '_']);
    let body = rest.strip_prefix(':').unwrap_or(rest);
    let has_colon = body.len() < rest.len();
    let closes = after.starts_with("**") || rest.starts_with('\n') || rest.is_empty();
    let is_heading = (marked || starts_line) && (has_colon || closes);
    if !is_heading {
        return None;
    }
    let body = body.trim_start_matches(['*', '_']);
    Some((from + before.len(), lower.len() - body.len()))
}

/// Drops the white space and emphasis marks left over around a part.
fn clean_body(body: &str) -> &str {
    body.trim().trim_end_matches(['#', '*']).trim()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chain() -> ChainOfThought {
        ChainOfThought {
            key_observations: "The jaw drops; the conclusion can wait.".into(),
            interpretation: "An emotional interpretation of the jaw: surprise.".into(),
            conclusion: "The face shows **Surprise**, in short.".into(),
        }
    }

    #[test]
    fn canonical_text_reads_back() {
        assert_eq!(chain().to_string().parse(), Ok(chain()));
        assert_eq!(
            chain().word_count(),
            chain().to_string().split_whitespace().count()
        );
    }

    #[test]
    fn parts_are_read_while_they_are_written() {
        let whole = chain().to_string();
        for cut in (0..=whole.len()).filter(|&cut| whole.is_char_boundary(cut)) {
            let begun = ChainOfThought::begun(&whole[..cut]);
            assert!(begun.len() <= 3);
            for (part, body) in begun.iter().rev().skip(1) {
                assert_eq!(chain().part(*part), *body);
            }
        }
        let texts: Vec<_> = ChainPart::ALL
            .map(|p| (p, chain().part(p).to_owned()))
            .to_vec();
        let begun = ChainOfThought::begun(&whole).into_iter();
        assert_eq!(
            begun.map(|(p, b)| (p, b.to_owned())).collect::<Vec<_>>(),
            texts
        );
    }

    #[test]
    fn looser_spellings_are_read() {
        for text in [
            "**Key Observations**: a\n**Emotional Interpretation**: b\n**Conclusion**: c",
            "### Key Observations\na\n\n### Overall Emotional Interpretation\nb\n### Conclusion:\nc",
            "1. **Key Observations:** a **Overall Emotional Interpretation:** b **Conclusion:** c",
            "Key Observations: a\nOverall Interpretation: b\nConclusion: c",
        ] {
            let chain: ChainOfThought = text.parse().unwrap();
            assert_eq!(
                [
                    &*chain.key_observations,
                    &*chain.interpretation,
                    &*chain.conclusion
                ],
                ["a", "b", "c"]
            );
        }
    }

    #[test]
    fn a_missing_part_is_named() {
        let text = "**Key Observations:** a\n\n**Conclusion:** c";
        let missing = ChainPart::Interpretation;
        assert_eq!(
            text.parse::<ChainOfThought>(),
            Err(CoreError::IncompleteChain { missing })
        );
        let empty =
            "**Key Observations:** a **Overall Emotional Interpretation:** b **Conclusion:** ";
        let missing = ChainPart::Conclusion;
        assert_eq!(
            empty.parse::<ChainOfThought>(),
            Err(CoreError::IncompleteChain { missing })
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = text.parse::<ChainOfThought>();
        }

        #[test]
        fn any_plain_parts_round_trip(a in "[a-z][a-z ,.]{0,60}[a-z.]", b in "[a-z][a-z ,.]{0,60}[a-z.]", c in "[a-z][a-z ,.]{0,60}[a-z.]") {
            let chain = ChainOfThought { key_observations: a, interpretation: b, conclusion: c };
            prop_assert_eq!(chain.to_string().parse(), Ok(chain));
        }
    }
}
