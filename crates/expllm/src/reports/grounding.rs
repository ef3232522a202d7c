//! How far an explanation agrees with the action units that were read beside it.

use expllm_core::{ChainPart, GroundingReport};
use expllm_cot::{ground, sentences};

use super::FaceReport;

/// The chain of a face held against its action units.
#[derive(Debug, Clone)]
pub struct Grounding {
    report: GroundingReport,
    /// Sentences of each part, with whether the readings contradict them or they were marked while
    /// they were written.
    parts: Vec<(ChainPart, Vec<(String, bool)>)>,
}

impl Grounding {
    /// Reads the chain of a face; `None` when it has none.
    #[must_use]
    pub fn of(face: &FaceReport) -> Option<Self> {
        let said = face.explanation.as_ref()?;
        let chain = said.chain.as_ref().ok()?;
        let report = ground(chain, &face.face.action_units);
        let offending = report.offending_sentences();
        let mut index = 0;
        let mut part = |part: ChainPart| {
            let marked = sentences(chain.part(part)).into_iter().map(|sentence| {
                let marked = said.marked.iter().any(|text| text.ends_with(sentence));
                let contradicted = marked || offending.contains(&index);
                index += 1;
                (sentence.to_owned(), contradicted)
            });
            (part, marked.collect())
        };
        let parts = ChainPart::ALL.map(&mut part).to_vec();
        Some(Self { report, parts })
    }

    /// The parts, sentence by sentence, with whether the readings contradict each.
    #[must_use]
    pub fn parts(&self) -> &[(ChainPart, Vec<(String, bool)>)] {
        &self.parts
    }

    /// The sentences that the readings contradict.
    pub fn unsupported(&self) -> impl Iterator<Item = &str> {
        let all = self.parts.iter().flat_map(|(_, sentences)| sentences);
        all.filter(|(_, contradicted)| *contradicted)
            .map(|(sentence, _)| sentence.as_str())
    }

    /// How many of the statements the readings support, in words.
    #[must_use]
    pub fn summary(&self) -> String {
        let statements = &self.report.statements;
        let supported = statements.iter().filter(|s| s.supported).count();
        match statements.len() {
            0 => "grounding: no statement about action units".to_owned(),
            all => format!(
                "grounding: {supported} of {all} statements agree with the action units read, \
                 {} of {} active units named",
                self.report.active.saturating_sub(self.report.omitted.len()),
                self.report.active
            ),
        }
    }

    /// Share of statements that the readings support.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        self.report.precision()
    }

    /// Share of active units that are named.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        self.report.recall()
    }
}
