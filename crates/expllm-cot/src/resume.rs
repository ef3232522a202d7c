//! Going on with a run: what is finished is held against the input, record by record.

use expllm_core::Expression;
use serde::Deserialize;

use crate::prompt::short_hash;
use crate::{CotError, Journal, Row};

/// A row on its way through the engine.
#[derive(Debug)]
pub(crate) struct Task {
    /// Place in the input, from 0, over all shards.
    pub index: u64,
    pub row: Row,
    /// Hash of what the text is made of.
    pub input: String,
}

impl Task {
    /// A row as it was read, with its image where pixels decide.
    pub(crate) fn new(index: u64, row: Row, image: Option<&[u8]>) -> Self {
        let image = image.unwrap_or_default();
        let input = match &row.record {
            Ok(record) => {
                let units = serde_json::to_string(&record.units).unwrap_or_default();
                let texts = [record.file_name.as_str(), record.label.name(), &units];
                short_hash(texts.map(str::as_bytes).into_iter().chain([image]))
            }
            Err(reason) => short_hash([row.name(), reason].map(str::as_bytes)),
        };
        Self { index, row, input }
    }
}

/// What of a finished record is held against the input.
#[derive(Debug, Deserialize)]
pub(crate) struct Finished {
    index: u64,
    file_name: String,
    emo: Option<Expression>,
    input: Option<String>,
}

impl Finished {
    /// Why the record is not that of a task.
    fn differs(&self, task: &Task) -> Option<String> {
        let found = (self.file_name.as_str(), self.index);
        let wanted = (task.row.name(), task.index);
        if found != wanted {
            return Some(format!("is {found:?}, the input has {wanted:?}"));
        }
        let name = &self.file_name;
        match (&task.row.record, self.emo, &self.input) {
            (Ok(record), Some(label), _) if record.label != label => Some(format!(
                "is {name:?} with the label {label}, the input has {}",
                record.label
            )),
            (_, _, Some(input)) if *input != task.input => Some(format!(
                "is {name:?}, whose action units, image or reason for rejection are others now"
            )),
            _ => None,
        }
    }
}

/// The tasks that a journal does not hold yet.
///
/// # Errors
///
/// [`CotError::Disagrees`] when a finished record was made of something else, or
/// [`CotError::File`].
pub(crate) fn remaining<I: Iterator<Item = Task>>(
    mut tasks: I,
    journal: &Journal,
) -> Result<I, CotError> {
    for (line, finished) in (1..).zip(journal.finished()?) {
        let reason = match (finished, tasks.next()) {
            (Err(reason), _) => Some(format!("is not a record ({reason})")),
            (Ok(finished), Some(task)) => finished.differs(&task),
            (Ok(finished), None) => Some(format!(
                "is {:?}, behind the end of the input",
                finished.file_name
            )),
        };
        if let Some(reason) = reason {
            return Err(journal.disagrees(line, reason));
        }
    }
    Ok(tasks)
}
