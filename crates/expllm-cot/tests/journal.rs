//! Output cut off at every byte goes on without loss, doubling or a torn line.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)] // Tests may fail loudly.

use std::sync::Arc;

use expllm_core::{AuVector, Expression};
use expllm_cot::{Composer, CotError, CotRecord, Engine, EngineConfig, Journal, LocalWriter, Row};

fn rows(count: u64) -> impl Iterator<Item = (u64, Row)> {
    (0..count).map(|index| {
        let record = CotRecord {
            file_name: format!("{index}.jpg"),
            label: Expression::ALL[index as usize % 8],
            units: Some(AuVector::from_feafa_clamped([0.1 * (index % 9) as f32; 24])),
            description: None,
        };
        (
            index,
            Row {
                line: index + 1,
                record: Ok(record),
                raw: serde_json::Value::Null,
            },
        )
    })
}

fn run(path: &std::path::Path, count: u64, settings: &str) -> Result<u64, CotError> {
    let writer = Arc::new(LocalWriter::new("composer", Composer));
    let engine = Engine::new(writer, None, EngineConfig::default());
    let mut journal = Journal::open(path, settings)?;
    Ok(engine.run_local(rows(count), &mut journal, |_| {})?.records)
}

#[test]
fn any_cut_is_healed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl");
    run(&path, 12, "s").unwrap();
    let whole = std::fs::read(&path).unwrap();
    for cut in (0..whole.len())
        .step_by(97)
        .chain([whole.len() - 1, whole.len()])
    {
        std::fs::write(&path, &whole[..cut]).unwrap();
        run(&path, 12, "s").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
    }
}

#[test]
fn other_settings_other_inputs_and_other_runs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl");
    run(&path, 12, "s").unwrap();
    assert!(matches!(
        run(&path, 12, "t"),
        Err(CotError::OtherRun { .. })
    ));
    assert!(matches!(
        run(&path, 11, "s"),
        Err(CotError::Disagrees { .. })
    ));
    let held = Journal::open(&path, "s").unwrap();
    assert!(matches!(
        Journal::open(&path, "s"),
        Err(CotError::Busy { .. })
    ));
    drop(held);
    assert_eq!(run(&path, 20, "s").unwrap(), 8);
}
