//! Predictions that another program made, from a CSV file.

use std::collections::HashMap;
use std::path::Path;

use csv::StringRecord;
use expllm_core::{ActionUnit, AuVector, Expression, ExpressionProbabilities, Intensity};
use expllm_data::Record;
use expllm_metrics::check_folds;

use super::prediction::Prediction;
use super::run::blank;
use crate::evaluation::EvaluationError;

/// What a file of predictions gives for a data set.
pub struct Imported {
    /// One prediction per record, in record order.
    pub predictions: Vec<Prediction>,
    /// Rows whose id no record has.
    pub strangers: Vec<String>,
}

struct Columns {
    id: usize,
    answer: Option<usize>,
    probabilities: Option<[usize; Expression::COUNT]>,
    units: Vec<(ActionUnit, usize)>,
    chain: Option<usize>,
    fold: Option<usize>,
}

/// Reads columns `id` and `answer`, and, all or none of each, one named after every expression
/// (probabilities) and one after every action unit (intensities); `chain` and `fold` if wanted.
/// This is the form of `predictions.csv`. Ids are compared without blanks around and `./` before
/// them; a record without a row has no answer, saying so.
///
/// # Errors
///
/// When the file cannot be read, lacks its columns or holds a record twice, and
/// [`EvaluationError::Metric`] naming a subject whose rows lie in two folds.
pub fn read_predictions(path: &Path, records: &[Record]) -> Result<Imported, EvaluationError> {
    let usage = |e: csv::Error| EvaluationError::Input(format!("{}: {e}", path.display()));
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_path(path)
        .map_err(usage)?;
    let columns = Columns::find(reader.headers().map_err(usage)?).ok_or_else(|| {
        EvaluationError::Input(format!(
            "{} needs the column `id`, and `answer` or one probability per expression",
            path.display()
        ))
    })?;
    let mut rows = HashMap::new();
    let mut twice = Vec::new();
    for row in reader.records() {
        let row = row.map_err(usage)?;
        let id = plain_id(row.get(columns.id).unwrap_or_default());
        if rows.insert(id.clone(), row).is_some() {
            twice.push(id);
        }
    }
    if let Some(id) = twice.first() {
        let count = twice.len();
        return Err(EvaluationError::Input(format!(
            "{} holds {count} records more than once, such as {id:?}",
            path.display()
        )));
    }
    check_folds(records.iter().filter_map(|record| {
        let fold = rows.get(&plain_id(&record.id))?.get(columns.fold?)?.trim();
        Some((record.subject.as_deref()?, fold))
    }))?;
    let predictions = records
        .iter()
        .map(|record| {
            let mut prediction = blank(record);
            match rows.remove(&plain_id(&record.id)) {
                Some(row) => columns.fill(&row, &mut prediction),
                None => prediction.error = Some("no prediction in the file".into()),
            }
            prediction
        })
        .collect();
    let mut strangers: Vec<_> = rows.into_keys().collect();
    strangers.sort();
    Ok(Imported {
        predictions,
        strangers,
    })
}

impl Columns {
    fn find(header: &StringRecord) -> Option<Self> {
        let place = |name: &str| {
            header
                .iter()
                .position(|h| h.trim().eq_ignore_ascii_case(name))
        };
        let places = |names: &[&str]| names.iter().map(|n| place(n)).collect::<Option<Vec<_>>>();
        let columns = Self {
            id: place("id")?,
            answer: place("answer"),
            probabilities: places(&Expression::ALL.map(Expression::snake_case))
                .and_then(|p| p.try_into().ok()),
            units: (ActionUnit::ALL.into_iter())
                .filter_map(|unit| Some((unit, place(unit.snake_case())?)))
                .collect(),
            chain: place("chain"),
            fold: place("fold"),
        };
        let usable = columns.answer.is_some() || columns.probabilities.is_some();
        usable.then_some(columns)
    }

    /// Copies a row; a number that is none, or an answer that is no expression, is an error of
    /// that prediction.
    fn fill(&self, row: &StringRecord, prediction: &mut Prediction) {
        if let Err(reason) = self.try_fill(row, prediction) {
            *prediction = Prediction {
                answer: None,
                probabilities: None,
                units: None,
                error: Some(reason),
                ..prediction.clone()
            };
        }
    }

    fn try_fill(&self, row: &StringRecord, prediction: &mut Prediction) -> Result<(), String> {
        let field = |column: usize| row.get(column).unwrap_or_default().trim();
        if let Some(places) = self.probabilities
            && places.iter().any(|&p| !field(p).is_empty())
        {
            let scores = unit_numbers(places.map(field), "probability")?;
            if scores.iter().sum::<f32>() < f32::MIN_POSITIVE {
                return Err("the probabilities are all 0".into());
            }
            let probabilities = ExpressionProbabilities::from_scores(scores);
            prediction.probabilities = Some(probabilities);
            prediction.answer = Some(probabilities.top());
        }
        let read = |&(_, place): &(_, usize)| !field(place).is_empty();
        let mut units = AuVector::default();
        for &(unit, place) in self.units.iter().filter(|column| read(column)) {
            let [number] = unit_numbers([field(place)], "intensity")?;
            units.set(unit, Intensity::clamped(number));
        }
        if units != AuVector::default() {
            prediction.units = Some(units);
        }
        let answer = self.answer.map(field).filter(|text| !text.is_empty());
        if let Some(text) = answer {
            let read = text
                .parse()
                .map_err(|_| format!("unknown expression {text:?}"));
            prediction.answer = Some(read?);
        }
        prediction.chain = self
            .chain
            .map(field)
            .filter(|t| !t.is_empty())
            .map(str::to_owned);
        if prediction.answer.is_none() {
            return Err("no answer in the row".into());
        }
        Ok(())
    }
}

/// An id as programs on other systems may write it: without blanks around it and `./` before it,
/// and with `/` between folders.
fn plain_id(id: &str) -> String {
    let mut id = id.trim().replace('\\', "/");
    while let Some(rest) = id.strip_prefix("./") {
        id = rest.to_owned();
    }
    id
}

fn unit_numbers<const N: usize>(fields: [&str; N], what: &str) -> Result<[f32; N], String> {
    let mut numbers = [0.0; N];
    for (number, field) in numbers.iter_mut().zip(fields) {
        let value = field
            .parse::<f32>()
            .ok()
            .filter(|v| (0.0..=1.0).contains(v));
        *number = value.ok_or_else(|| format!("{field:?} is no {what} from 0 to 1"))?;
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use expllm_data::ImageSource;

    use super::*;

    fn records() -> Vec<Record> {
        let named = |id| Record {
            expression: Some(Expression::Fear),
            subject: Some("ann".into()),
            ..Record::new(id, ImageSource::file("x"))
        };
        ["a", "b", "c", "d"].map(named).to_vec()
    }

    fn import(text: &str) -> Result<Imported, EvaluationError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_predictions(file.path(), &records())
    }

    #[test]
    fn rows_meet_their_records_and_strangers_are_named() {
        let names = Expression::ALL.map(Expression::name).join(",");
        let text = format!(
            "id,{names}\nb,0,0,0,0,1,0,0,0\na,0,1,0,0,0,0,0,0\nz,0,1,0,0,0,0,0,0\nd,NaN,1,0,0,0,0,0,0\n"
        );
        let imported = import(&text).unwrap();
        let answers: Vec<_> = imported.predictions.iter().map(|p| p.answer).collect();
        let wanted = [
            Some(Expression::Happiness),
            Some(Expression::Fear),
            None,
            None,
        ];
        assert_eq!(answers, wanted);
        let errors: Vec<_> = imported
            .predictions
            .iter()
            .filter_map(|p| p.error.clone())
            .collect();
        assert_eq!(
            errors,
            [
                "no prediction in the file",
                "\"NaN\" is no probability from 0 to 1"
            ]
        );
        assert_eq!(imported.strangers, ["z"]);
    }

    #[test]
    fn ids_meet_in_other_spellings() {
        let imported = import("id , answer\n ./a , Fear\n.\\b,Anger\nc ,Fear\n").unwrap();
        let answered = imported.predictions.iter().filter(|p| p.answer.is_some());
        assert_eq!((answered.count(), imported.strangers.len()), (3, 0));
        assert!(import("id,answer\na,Fear\n./a,Anger\n").is_err(), "twice");
    }

    #[test]
    fn probabilities_of_nothing_are_no_answer() {
        let names = Expression::ALL.map(Expression::name).join(",");
        let text = format!("id,{names}\na,0,0,0,0,0,0,0,0\nb,1e-320,0,0,0,1e-319,0,0,0\n");
        for prediction in &import(&text).unwrap().predictions[..2] {
            let error = prediction.error.as_deref();
            assert_eq!(error, Some("the probabilities are all 0"));
            assert_eq!((prediction.answer, prediction.probabilities), (None, None));
        }
    }

    #[test]
    fn unusable_files_are_refused() {
        assert!(import("file,answer\na,Fear\n").is_err(), "no id");
        assert!(import("id\na\n").is_err(), "no answer");
        assert!(import("id,answer\na,Fear\na,Anger\n").is_err(), "twice");
        let folds = import("id,answer,fold\na,Fear,1\nb,Fear,2\n").err();
        let message = folds.map(|e| e.to_string()).unwrap_or_default();
        assert!(
            message.contains("\"ann\" is in fold \"1\" and in fold \"2\""),
            "{message}"
        );
        assert!(import("id,answer,fold\na,Fear,1\nb,Fear,1\n").is_ok());
        let odd = import("id,answer\na,Joyous\n").unwrap();
        assert!(
            odd.predictions[0]
                .error
                .as_ref()
                .unwrap()
                .contains("Joyous")
        );
    }
}
