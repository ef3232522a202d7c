//! What a run did, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{BuiltRecord, Status, Usage};

/// How many records ended how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Records written by this run (not those found finished).
    pub records: u64,
    /// Records by status.
    pub by_status: BTreeMap<String, u64>,
    /// Records for which the writer gave no text, whatever stands in its place.
    pub unanswered: u64,
    /// Findings of the last texts of the writer.
    pub findings: BTreeMap<String, u64>,
    /// Tokens spent.
    pub usage: Usage,
}

impl Summary {
    pub(crate) fn count(&mut self, record: &BuiltRecord) {
        self.records += 1;
        *self
            .by_status
            .entry(record.status.name().to_owned())
            .or_default() += 1;
        let answered = record.status == Status::Rejected || record.error.is_none();
        self.unanswered += u64::from(!answered);
        for finding in &record.findings {
            *self
                .findings
                .entry(finding.check.name().to_owned())
                .or_default() += 1;
        }
        self.usage.add(record.usage);
    }
}
