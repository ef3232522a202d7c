//! The first stage: action units from images, where records carry none.

use std::collections::VecDeque;
use std::sync::Arc;

use expllm_core::AuVector;

use crate::resume::Task;

/// Rows that are read ahead, so that a detector sees several images at once.
const AHEAD: usize = 32;

/// Reads action units from images.
///
/// This is the seam for any detector; the engine asks it only for records without `au` values.
pub trait UnitReader: Send + Sync {
    /// One answer per path below the image root, in order; an error says why there are no units
    /// and becomes the reason for which the record is rejected.
    fn read(&self, file_names: &[&str]) -> Vec<Result<AuVector, String>>;

    /// The bytes of an image, by which a run that goes on notices that it is another one; nothing
    /// (the default) where images are not watched.
    fn bytes(&self, file_name: &str) -> Option<Vec<u8>> {
        let _ = file_name;
        None
    }
}

/// Rows in which missing units are read from the images.
pub(crate) struct WithUnits<I> {
    rows: I,
    reader: Option<Arc<dyn UnitReader>>,
    ready: VecDeque<Task>,
}

impl<I> WithUnits<I> {
    pub(crate) fn new(rows: I, reader: Option<Arc<dyn UnitReader>>) -> Self {
        let ready = VecDeque::new();
        Self {
            rows,
            reader,
            ready,
        }
    }
}

impl<I: Iterator<Item = Task>> Iterator for WithUnits<I> {
    type Item = Task;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(reader) = &self.reader else {
            return self.rows.next();
        };
        if self.ready.is_empty() {
            self.ready.extend(self.rows.by_ref().take(AHEAD));
            fill(reader.as_ref(), self.ready.make_contiguous());
        }
        self.ready.pop_front()
    }
}

fn fill(reader: &dyn UnitReader, tasks: &mut [Task]) {
    let without: Vec<usize> = (0..tasks.len())
        .filter(|&at| matches!(&tasks[at].row.record, Ok(record) if record.units.is_none()))
        .collect();
    let names: Vec<&str> = without
        .iter()
        .filter_map(|&at| Some(tasks[at].row.record.as_ref().ok()?.file_name.as_str()))
        .collect();
    if names.is_empty() {
        return;
    }
    let mut answers = reader.read(&names).into_iter();
    for at in without {
        let missing = || Err("the detector gave no answer".to_owned());
        let answer = answers.next().unwrap_or_else(missing);
        let row = &mut tasks[at].row;
        let name = row.name().to_owned();
        match (answer, &mut row.record) {
            (Ok(units), Ok(record)) => record.units = Some(units),
            (Err(reason), record) => {
                *record = Err(match row.line {
                    0 => reason,
                    _ => format!("{name:?}: {reason}"),
                });
                row.raw = serde_json::json!({"file_name": name});
            }
            (Ok(_), Err(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CotRecord, Row};
    use expllm_core::Expression;

    /// Units from the length of the name; none for the name "bad".
    struct ByName;

    impl UnitReader for ByName {
        fn read(&self, file_names: &[&str]) -> Vec<Result<AuVector, String>> {
            let units = |name: &&str| match *name {
                "bad" => Err("no face".to_owned()),
                name => Ok(AuVector::from_feafa_clamped([0.1 * name.len() as f32; 24])),
            };
            file_names.iter().map(units).collect()
        }
    }

    #[test]
    fn only_missing_units_are_read_and_the_order_stays() {
        let row = |index: u64| {
            let given = index.is_multiple_of(3);
            let name = if index == 40 { "bad" } else { "face" };
            let record = CotRecord {
                file_name: name.into(),
                label: Expression::Fear,
                units: given.then(AuVector::default),
                description: None,
            };
            let (line, raw) = (index + 1, serde_json::Value::Null);
            let record = Ok(record);
            Task::new(index, Row { line, record, raw }, None)
        };
        let rows = (0..70).map(row);
        let read: Vec<_> = WithUnits::new(rows, Some(Arc::new(ByName))).collect();
        assert_eq!(read.len(), 70);
        for (at, task) in read.iter().enumerate() {
            assert_eq!(task.index, at as u64);
            match &task.row.record {
                Err(reason) => assert_eq!((at, reason.as_str()), (40, "\"bad\": no face")),
                Ok(record) => {
                    let wanted = if at % 3 == 0 { 0.0 } else { 0.4 };
                    assert_eq!(record.units.unwrap().feafa()[0], wanted);
                }
            }
        }
    }
}
