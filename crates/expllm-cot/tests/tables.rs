//! Tables and blendshapes of other tools come in with what they measure, and nothing else.

#![allow(clippy::expect_used, clippy::unwrap_used)] // Tests may fail loudly.

use expllm_core::{ActionUnit, Expression};
use expllm_cot::{CotRecord, Row, read_rows};
use serde_json::json;

fn rows(name: &str, text: &str) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    read_rows(&path).unwrap().collect()
}

#[test]
fn a_table_of_openface_needs_a_label_and_keeps_the_scale() {
    let found = rows(
        "clip.csv",
        "frame, AU12_r, AU26_r, AU12_c, emo\n1, 2.5, 0.0, 1, Happiness\n2, 1.0, 5.0, 1,\n",
    );
    let first = found[0].record.as_ref().unwrap();
    assert_eq!(
        (first.file_name.as_str(), first.label),
        ("clip#1", Expression::Happiness)
    );
    let units = first.units.unwrap();
    assert_eq!(units[ActionUnit::RightLipCornerPull].get(), 0.5);
    assert_eq!(units.get(ActionUnit::NoseWrinkle), None);
    assert!(found[1].record.as_ref().unwrap_err().contains("emo"));
    assert_eq!(found[1].line, 3);
}

#[test]
fn the_likeliest_expression_of_pyfeat_is_the_label() {
    let found = rows(
        "fex.csv",
        "frame,AU01,AU12,anger,happiness,neutral,input\n0,0.1,0.9,0.1,0.8,0.1,/a/b/face.jpg\n",
    );
    let record = found[0].record.as_ref().unwrap();
    assert_eq!(
        (record.file_name.as_str(), record.label),
        ("face.jpg", Expression::Happiness)
    );
    assert_eq!(
        record.units.unwrap()[ActionUnit::LeftLipCornerPull].get(),
        0.9
    );
}

#[test]
fn tables_as_the_tools_write_them_are_read() {
    for name in ["openface.csv", "pyfeat.csv"] {
        let Some(path) = expllm_testing::shared(&format!("fixtures/tables/{name}")) else {
            return;
        };
        let text = std::fs::read_to_string(path).unwrap();
        let labelled: String = text
            .lines()
            .enumerate()
            .map(|(at, line)| match at {
                0 => format!("{line},emo\n"),
                _ => format!("{line},Neutral\n"),
            })
            .collect();
        let found = rows(name, &labelled);
        assert!(!found.is_empty(), "{name}");
        let record = found[0].record.as_ref().unwrap();
        assert!(record.units.unwrap().iter().count() >= 20, "{name}");
    }
}

#[test]
fn blendshapes_are_units() {
    let by_name = json!({"file_name": "a.jpg", "emo": "Fear", "blendshapes": {"jawOpen": 0.5}});
    let listed = json!({"file_name": "a.jpg", "emo": "Fear", "faceBlendshapes":
        [{"categoryName": "_neutral", "score": 0.1}, {"categoryName": "jawOpen", "score": 0.5}]});
    for value in [by_name, listed] {
        let units = CotRecord::from_json(&value).unwrap().units.unwrap();
        assert_eq!(units.iter().collect::<Vec<_>>().len(), 1);
        assert_eq!(units[ActionUnit::JawDrop].get(), 0.5);
    }
}

#[test]
fn other_tables_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.csv");
    std::fs::write(&path, "image,emo\na.jpg,Fear\n").unwrap();
    let Err(error) = read_rows(&path) else {
        panic!("a table without units");
    };
    assert!(error.to_string().contains("openface"), "{error}");
}
