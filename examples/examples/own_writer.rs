//! An Exp-CoT data set with a writer of one's own: records in, checked chains out.
//!
//! cargo run --release -p expllm-examples --example own_writer -- chains.json
//!
//! The writer here makes one mistake on purpose at first, is told of it, and mends it. A language
//! model in this process goes in the same place; `request.messages` is the conversation so far. A
//! server is reached with the feature `remote` and `Engine::run`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use expllm_core::{ActionUnit, AuVector, Expression, Intensity};
use expllm_cot::{
    BuiltRecord, CotRecord, DatasetFormat, Draft, Engine, EngineConfig, Journal, PromptFiles,
    Prompts, Row, TextWriter, WORD_LIMIT, WriteError, WriteRequest, read_rows, write_dataset,
};

/// Says what the active units are in plain sentences.
struct Plain;

#[async_trait]
impl TextWriter for Plain {
    fn name(&self) -> &str {
        "plain"
    }

    async fn write(&self, request: WriteRequest<'_>) -> Result<Draft, WriteError> {
        // The first message of the user asks; what was found wrong comes back as another one.
        let first_round = request.messages.len() <= 2;
        let mouth = match first_round {
            true => "The brows are lowered.",
            false => "Both lip corners are strongly drawn up.",
        };
        let label = request.label.name().to_lowercase();
        let text = format!(
            "**Key Observations:** {mouth}\n\n\
             **Overall Emotional Interpretation:** This is how a smile looks.\n\n\
             **Conclusion:** The face shows {label}."
        );
        Ok(Draft {
            text,
            ..Draft::default()
        })
    }
}

/// A record as it would come from a file of labels and units (see `read_rows`).
fn smile(line: u64) -> Row {
    let mut units = AuVector::REST;
    units.set(ActionUnit::LeftLipCornerPull, Intensity::clamped(0.8));
    units.set(ActionUnit::RightLipCornerPull, Intensity::clamped(0.8));
    let record = CotRecord {
        file_name: format!("face_{line}.png"),
        label: Expression::Happiness,
        units: Some(units),
        description: None,
    };
    Row {
        line,
        record: Ok(record),
        raw: serde_json::Value::Null,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::args().nth(1).ok_or("name the file to write")?);
    let prompts = Prompts::new(&PromptFiles::default(), WORD_LIMIT)?;
    let engine = Engine::new(Arc::new(Plain), Some(prompts), EngineConfig::default());
    // The journal is what a run that was killed goes on from.
    let finished = out.with_extension("records.jsonl");
    let mut journal = Journal::open(&finished, "writer: plain")?;
    let rows = (1..=3).map(|line| (line - 1, smile(line)));
    engine.run_local(rows, &mut journal, |record| {
        let (status, rounds) = (record.status.name(), record.attempts);
        println!("{}: {status} after {rounds} rounds", record.file_name);
    })?;
    drop(journal);
    convert(&finished, &out)
}

/// Writes the finished records in the form that the authors' trainer reads.
fn convert(finished: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let rows = (0..).zip(read_rows(finished)?);
    let mut records = rows.map(|(index, row)| Ok(BuiltRecord::of_row(index, row)));
    let written = write_dataset(out, DatasetFormat::Official, &mut records)?;
    println!("{written} records in {}", out.display());
    Ok(())
}
