//! Output cut off at every byte goes on without loss, doubling or a torn line.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)] // Tests may fail loudly.

use std::sync::Arc;

use expllm_core::{AuVector, Expression};
use expllm_cot::{
    Composer, CotError, CotRecord, Engine, EngineConfig, Journal, LocalWriter, Row, UnitReader,
};

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
    build(path, rows(count), settings)
}

fn build(
    path: &std::path::Path,
    rows: impl Iterator<Item = (u64, Row)>,
    settings: &str,
) -> Result<u64, CotError> {
    let writer = Arc::new(LocalWriter::new("composer", Composer));
    let engine = Engine::new(writer, None, EngineConfig::default());
    let mut journal = Journal::open(path, settings)?;
    Ok(engine.run_local(rows, &mut journal, |_| {})?.records)
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
    let all = rows(12).collect::<Vec<_>>();
    for changed in [0, 5, 11] {
        let mut all = all.clone();
        let record = all[changed].1.record.as_mut().unwrap();
        match changed {
            0 => record.label = Expression::Contempt,
            5 => record.units = Some(AuVector::REST),
            _ => record.file_name.push('x'),
        }
        let error = build(&path, all.into_iter(), "s").unwrap_err();
        let line = changed as u64 + 1;
        assert!(
            matches!(error, CotError::Disagrees { line: l, .. } if l == line),
            "{error}"
        );
    }
    let held = Journal::open(&path, "s").unwrap();
    assert!(matches!(
        Journal::open(&path, "s"),
        Err(CotError::Busy { .. })
    ));
    drop(held);
    assert_eq!(run(&path, 20, "s").unwrap(), 8);
}

#[cfg(unix)]
#[test]
fn an_output_is_a_regular_file() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path(), std::path::Path::new("/dev/full")] {
        let opened = Journal::open(path, "s");
        assert!(matches!(opened, Err(CotError::NotAFile { .. })), "{path:?}");
    }
    assert!(!std::path::Path::new("/dev/full.journal").exists());
}

/// A detector whose images can be exchanged.
struct Pictures(&'static str);

impl UnitReader for Pictures {
    fn read(&self, file_names: &[&str]) -> Vec<Result<AuVector, String>> {
        file_names.iter().map(|_| Ok(AuVector::REST)).collect()
    }

    fn bytes(&self, file_name: &str) -> Option<Vec<u8>> {
        Some(format!("{} {file_name}", self.0).into_bytes())
    }
}

#[test]
fn an_image_that_changed_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl");
    let run = |count: u64, pixels| {
        let writer = Arc::new(LocalWriter::new("composer", Composer));
        let engine = Engine::new(writer, None, EngineConfig::default())
            .with_unit_reader(Arc::new(Pictures(pixels)));
        let rows = rows(count).map(|(index, mut row)| {
            row.record.as_mut().unwrap().units = None;
            (index, row)
        });
        let mut journal = Journal::open(&path, "s")?;
        engine.run_local(rows, &mut journal, |_| {})
    };
    run(3, "first").unwrap();
    assert_eq!(run(5, "first").unwrap().records, 2);
    assert!(matches!(
        run(6, "other"),
        Err(CotError::Disagrees { line: 1, .. })
    ));
}
