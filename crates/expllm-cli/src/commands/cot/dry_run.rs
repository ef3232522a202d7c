//! `expllm cot build --dry-run`.

use expllm_cot::{Engine, Row, UnitReader, Usage};

use super::image_reader::Images;
use super::progress::Prices;
use super::source::Source;
use super::{cli_error, print, tell};
use crate::{CliError, Outcome};

/// Prompts that are printed.
const SHOWN: u64 = 3;

/// Bad rows that are named.
const BAD_SHOWN: u64 = 20;

/// Tokens per word of English text, roughly, for the estimate.
const TOKENS_PER_WORD: f64 = 1.35;

/// What would be sent.
#[derive(Default)]
struct Estimate {
    records: u64,
    bad: u64,
    /// Records whose prompts were counted; those that lack action units are not read for it.
    counted: u64,
    words: usize,
}

/// Prints the prompts of the first records and an estimate of tokens and cost; sends nothing.
pub fn run(
    source: &Source,
    engine: &Engine,
    images: Option<&Images>,
    (prices, word_limit): (Prices, usize),
) -> Result<Outcome, CliError> {
    let mut estimate = Estimate::default();
    for (_, row) in source.rows()? {
        let row = match estimate.records < SHOWN {
            true => with_units(row, images),
            false => row,
        };
        let lacks =
            |row: &Row| images.is_none() && matches!(&row.record, Ok(r) if r.units.is_none());
        let record = match &row.record {
            Ok(record) if !lacks(&row) => record,
            Ok(_) => {
                estimate.bad_row(source, &row, "no au values; give --root");
                continue;
            }
            Err(reason) => {
                estimate.bad_row(source, &row, reason);
                continue;
            }
        };
        estimate.records += 1;
        if record.units.is_none() {
            continue;
        }
        let messages = engine.messages(record).map_err(cli_error)?;
        if estimate.counted < SHOWN && !messages.is_empty() {
            print(&format!("--- {} ({})\n", record.file_name, record.label))?;
            for message in &messages {
                print(&format!("[{}]\n{}\n\n", message.role, message.content))?;
            }
        }
        let words = messages
            .iter()
            .map(|m| m.content.split_whitespace().count());
        estimate.words += words.sum::<usize>();
        estimate.counted += 1;
    }
    print(&estimate.text(prices, word_limit))?;
    Ok(match estimate.bad {
        0 => Outcome::Complete,
        _ => Outcome::WithErrors,
    })
}

fn with_units(mut row: Row, images: Option<&Images>) -> Row {
    if let (Some(images), Ok(record)) = (images, &mut row.record)
        && record.units.is_none()
    {
        match images.read(&[&record.file_name]).pop() {
            Some(Ok(units)) => record.units = Some(units),
            Some(Err(reason)) => row.record = Err(reason),
            None => {}
        }
    }
    row
}

impl Estimate {
    fn bad_row(&mut self, source: &Source, row: &Row, reason: &str) {
        self.bad += 1;
        if self.bad <= BAD_SHOWN {
            let place = match row.line {
                0 => format!("{:?}", row.name()),
                line => format!("line {line}"),
            };
            tell(&format!("{}: {place}: {reason}", source.name().display()));
        }
    }

    fn text(&self, prices: Prices, word_limit: usize) -> String {
        let found = format!("{} records, {} bad rows", self.records, self.bad);
        if self.words == 0 {
            return format!("{found}; this writer sends no prompts\n");
        }
        let per_record = self.words as f64 / self.counted.max(1) as f64;
        let records = self.records as f64;
        let usage = Usage {
            prompt_tokens: (records * per_record * TOKENS_PER_WORD) as u64,
            completion_tokens: (records * word_limit as f64 * TOKENS_PER_WORD) as u64,
        };
        let spending = prices.spending(usage);
        format!("{found}, about {spending} without repairs\n")
    }
}
