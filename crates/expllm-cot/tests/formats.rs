//! Every format reads back what was written.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)] // Tests may fail loudly.

use std::path::{Path, PathBuf};

use expllm_core::{AuVector, Expression, ExpressionSet};
use expllm_cot::{
    BuiltRecord, Composer, CotError, DatasetFormat, Status, Usage, read_rows, write_dataset,
    write_list,
};

fn records() -> Vec<BuiltRecord> {
    (0..50u64)
        .map(|index| {
            let values = std::array::from_fn(|i| ((i as u64 * 7 + index) % 11) as f32 / 16.0);
            let units = AuVector::from_feafa_clamped(values);
            let emo = Expression::ALL[index as usize % Expression::COUNT];
            let chain = Composer.compose(&units, emo, ExpressionSet::Eight, index);
            BuiltRecord {
                index,
                file_name: format!("folder/face {index}.jpg"),
                emo: Some(emo),
                au: Some(units),
                description: Some(chain.to_string()),
                status: Status::Checked,
                writer: "composer".into(),
                model: None,
                prompt_hash: None,
                input: None,
                attempts: 1,
                findings: Vec::new(),
                error: None,
                usage: Usage::default(),
            }
        })
        .collect()
}

const FAULTY: &str = "**Key Observations:** The jaw drops 3 times.\n\n\
    **Overall Emotional Interpretation:** It does.\n\n**Conclusion:** Joy.";

fn write(path: &Path, format: DatasetFormat) -> u64 {
    let mut all = records().into_iter().map(Ok);
    write_dataset(path, format, &mut all).unwrap()
}

#[test]
fn every_format_round_trips() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in [
        ("official.json", DatasetFormat::Official),
        ("llava.json", DatasetFormat::Llava),
        ("lines.jsonl", DatasetFormat::Jsonl),
        ("columns.parquet", DatasetFormat::Parquet),
    ] {
        let path = folder.path().join(name);
        assert_eq!(write(&path, format), 50);
        let rows: Vec<_> = read_rows(&path).unwrap().collect();
        assert_eq!(rows.len(), 50, "{name}");
        for (row, wanted) in rows.iter().zip(records()) {
            let found = row.record.as_ref().unwrap();
            assert_eq!(found.file_name, wanted.file_name);
            assert_eq!(Some(found.label), wanted.emo);
            assert_eq!(found.units, wanted.au, "{name}");
            assert_eq!(found.description, wanted.description);
        }
    }
}

#[test]
fn the_list_file_names_both_annotation_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert_eq!(write(&at("label.json"), DatasetFormat::LabelOnly), 50);
    let row = read_rows(&at("label.json")).unwrap().next().unwrap();
    assert_eq!(row.record.unwrap().description, None);
    write_list(
        &at("list.txt"),
        &at("label.json"),
        &at("chain.json"),
        &at("img"),
        0.75,
    )
    .unwrap();
    let text = std::fs::read_to_string(at("list.txt")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].ends_with(",0.75") && lines[1].ends_with(",0.25"),
        "{text}"
    );
    assert!(lines[0].contains("label.json,") && lines[1].contains("chain.json,"));
}

#[test]
fn bad_rows_say_why_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.jsonl");
    let mut text = b"{\"file_name\": \"a.jpg\", \"emo\": \"Fear\"}\n".to_vec();
    text.extend(b"{\"file_name\": \"\xff.jpg\", \"emo\": \"Fear\"}\n");
    text.extend(b"{\"file_name\": \"a.jpg\", \"emo\": \"Fear\"}\n[1]\n");
    text.extend(b"{\"file_name\": \"b.jpg\", \"emo\": \"Fear\"}");
    std::fs::write(&path, text).unwrap();
    let rows: Vec<_> = read_rows(&path).unwrap().collect();
    let good: Vec<_> = rows.iter().map(|r| r.record.is_ok()).collect();
    assert_eq!(good, [true, false, false, false, true]);
    assert_eq!(rows[2].line, 3);
    assert!(
        rows[2]
            .record
            .as_ref()
            .unwrap_err()
            .contains("occurs twice")
    );
    std::fs::write(folder.path().join("x.parquet"), b"PAR1 no").unwrap();
    assert!(read_rows(&folder.path().join("x.parquet")).is_err());
    assert!(read_rows(&folder.path().join("x.txt")).is_err());
}

#[test]
fn lines_and_columns_keep_all_that_was_said_of_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let checker = expllm_cot::Checker::default();
    let mut all = records();
    for (record, status) in all.iter_mut().zip([
        Status::Composed,
        Status::SetAside,
        Status::Rejected,
        Status::Checked,
    ]) {
        record.status = status;
        record.model = Some("a model".into());
        record.prompt_hash = Some("0123456789abcdef".into());
        record.input = Some("fedcba9876543210".into());
        record.attempts = 3;
        record.usage = Usage {
            prompt_tokens: 7,
            completion_tokens: 9,
        };
        let findings = checker.check(FAULTY, Expression::Fear, &AuVector::REST);
        record.findings = findings.findings;
        assert!(record.findings.len() > 1);
        record.error = Some("no answer, 9 tries".into());
    }
    (all[2].emo, all[2].au, all[2].description) = (None, None, None);
    for (name, format) in [
        ("lines.jsonl", DatasetFormat::Jsonl),
        ("columns.parquet", DatasetFormat::Parquet),
    ] {
        let path = folder.path().join(name);
        let mut given = all.iter().cloned().map(Ok);
        assert_eq!(write_dataset(&path, format, &mut given).unwrap(), 50);
        let rows = read_rows(&path).unwrap();
        let read: Vec<_> = (0..)
            .zip(rows)
            .map(|(at, row)| BuiltRecord::of_row(at, row))
            .collect();
        assert_eq!(read, all, "{name}");
        let reason = read_rows(&path)
            .unwrap()
            .nth(2)
            .unwrap()
            .record
            .unwrap_err();
        assert_eq!(reason, "rejected when it was built: no answer, 9 tries");
    }
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

#[test]
fn columns_are_read_however_they_are_compressed() {
    for codec in ["gzip", "snappy", "zstd"] {
        let rows = read_rows(&data(&format!("k_{codec}.parquet"))).unwrap();
        let records: Result<Vec<_>, _> = rows.map(|row| row.record).collect();
        let records = records.unwrap();
        assert_eq!(records.len(), 1000, "{codec}");
        assert!(records.iter().all(|record| record.units.is_some()));
    }
}

#[test]
fn columns_that_break_off_give_a_row_for_each_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.parquet");
    let mut bytes = std::fs::read(data("k_snappy.parquet")).unwrap();
    // The pages, not the footer.
    bytes[200..2000].fill(0x55);
    std::fs::write(&path, bytes).unwrap();
    let rows: Vec<_> = read_rows(&path).unwrap().collect();
    assert_eq!(rows.len(), 1000);
    assert!(rows.last().unwrap().record.is_err());
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    for (name, count) in [("bom.json", 2), ("bom.jsonl", 3)] {
        let rows = read_rows(&data(name)).unwrap();
        let names: Result<Vec<_>, _> = rows.map(|row| row.record.map(|r| r.file_name)).collect();
        assert_eq!(
            names.unwrap(),
            ["1.jpg", "2.jpg", "3.jpg"][..count],
            "{name}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.jsonl");
    std::fs::write(&path, b"\xff\xfe{\0}\0").unwrap();
    let error = read_rows(&path).err().unwrap().to_string();
    assert!(error.contains("UTF-16"), "{error}");
}

#[test]
fn broken_containers_are_no_empty_data_sets() {
    let rows: Vec<_> = read_rows(&data("cut_between.json")).unwrap().collect();
    assert_eq!(rows.len(), 3);
    assert!(rows[0].record.is_ok() && rows[1].record.is_ok());
    let reason = rows[2].record.as_ref().unwrap_err();
    assert!(reason.contains("ends within its array"), "{reason}");
    assert_eq!(rows[2].line, 4);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    for text in ["", "<html>404</html>", "null", "17", "\0\x01 garbage"] {
        std::fs::write(&path, text).unwrap();
        let found = read_rows(&path).err();
        assert!(
            matches!(found, Some(CotError::NoRecords { .. })),
            "{text:?}"
        );
    }
    std::fs::write(&path, "[".repeat(150_000)).unwrap();
    let rows: Vec<_> = read_rows(&path).unwrap().collect();
    assert!(rows.len() == 1 && rows[0].record.is_err());
}

#[test]
fn a_list_file_holds_no_path_that_it_would_tear() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    let plain = folder.path().join("a.json");
    let comma = folder.path().join("a, b.json");
    for (labels, chains, root) in [
        (&comma, &plain, &plain),
        (&plain, &comma, &plain),
        (&plain, &plain, &comma),
    ] {
        let error = write_list(&list, labels, chains, root, 0.75).unwrap_err();
        assert!(matches!(error, CotError::NotForLists { .. }), "{error}");
        assert!(!list.exists());
    }
}
