//! Tables and blendshapes of other tools come in with what they measure, and nothing else.

#![allow(clippy::expect_used, clippy::unwrap_used)] // Tests may fail loudly.

use expllm_core::{ActionUnit, Expression};
use expllm_cot::{CotRecord, FacsTable, Row, read_rows};
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
    let record = |key: &str, value: serde_json::Value| json!({"file_name": "a.jpg", "emo": "Fear", key: value});
    let categories = json!([{"categoryName": "_neutral", "score": 0.1}, {"categoryName": "jawOpen", "score": 0.5}]);
    let by_name = record("blendshapes", json!({"jawOpen": 0.5}));
    let listed = record("faceBlendshapes", categories.clone());
    // As MediaPipe writes them: per face a list, in JavaScript under a key.
    let faces = record(
        "faceBlendshapes",
        json!([{"headIndex": -1, "categories": categories}]),
    );
    let nested = record(
        "face_blendshapes",
        json!([[{"category_name": "jawOpen", "score": 0.5}]]),
    );
    for value in [by_name, listed, faces, nested] {
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

#[test]
fn frames_without_a_face_and_frames_of_videos() {
    let found = rows(
        "clip.csv",
        "frame,face_id,success,AU12_r,emo\n1,0,1,5,Fear\n1,1,1,5,Fear\n2,0,0,0,Fear\n",
    );
    let name = |at: usize| found[at].record.as_ref().unwrap().file_name.clone();
    assert_eq!((name(0), name(1)), ("clip#1".into(), "clip#1.1".into()));
    let reason = found[2].record.as_ref().unwrap_err();
    assert!(reason.contains("no face"), "{reason}");
    let found = rows(
        "fex.csv",
        "frame,AU12,happiness,input\n0,1,1,/a/v.MP4\n7,1,1,/a/v.MP4\n0,,1,a.jpg\n0,1,1,a.jpg\n",
    );
    let name = |at: usize| found[at].record.as_ref().unwrap().file_name.clone();
    assert_eq!((name(0), name(1)), ("v.MP4#0".into(), "v.MP4#7".into()));
    assert_eq!(found[2].record.as_ref().unwrap().units, None);
    assert!(found[3].record.as_ref().unwrap_err().contains("twice"));
}

#[test]
fn our_own_tables_keep_sides_and_what_was_not_measured() {
    let found = rows(
        "au.csv",
        "file,face,left_lip_corner_pull,right_lip_corner_pull,happiness,fear\na.png,0,0.75,,0.9,0.1\n",
    );
    let record = found[0].record.as_ref().unwrap();
    let units = record.units.unwrap();
    assert_eq!(record.label, Expression::Happiness);
    assert_eq!(units[ActionUnit::LeftLipCornerPull].get(), 0.75);
    assert_eq!(units.get(ActionUnit::RightLipCornerPull), None);
}

#[test]
fn a_row_that_never_ends_is_a_bad_row_and_the_last() {
    let mut text = String::from("image,AU12,emo\na.jpg,1,Fear\n\"b");
    text.push_str(&"x,".repeat(1 << 20));
    let found = rows("open.csv", &text);
    assert_eq!(found.len(), 2);
    assert!(found[0].record.is_ok());
    let reason = found[1].record.as_ref().unwrap_err();
    assert!(reason.contains("quotation mark"), "{reason}");
}

#[test]
fn whatever_a_table_holds_nothing_panics() {
    for body in [
        "1,nan,\u{e9}\n",
        "1,1e99,x\n",
        ",,\n",
        "\"\n",
        "1,2,3,4,5\n",
        "\0\n",
        "1\n",
    ] {
        for row in rows("any.csv", &format!("frame,AU12,emo\n{body}")) {
            assert!(row.record.is_err(), "{body:?}");
        }
    }
}

#[test]
fn tables_hold_facs_units_for_grading() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let coded = write(
        "disfa.csv",
        "image,AU1,AU12,AU25\nx/a.jpg,0,5,\nx/b.jpg,3,0,1\n",
    );
    let truth = FacsTable::coded(&coded).unwrap();
    assert_eq!(truth.tool, None);
    assert_eq!(truth.units.iter().copied().collect::<Vec<_>>(), [1, 12, 25]);
    assert_eq!(truth.rows["a.jpg"].get(&25), None);
    assert_eq!(truth.rows["b.jpg"][&1], 3.0);
    let open = write(
        "open.csv",
        "image,AU12_r,AU25_r\n/y/a.jpg,2.5,9\n/y/a.jpg,1,1\n",
    );
    let found = FacsTable::measured(&open).unwrap();
    assert_eq!(
        (found.rows["a.jpg"][&12], found.rows["a.jpg"][&25]),
        (0.5, 1.0)
    );
    assert!(found.skipped[0].1.contains("twice"));
    let media = write(
        "media.csv",
        "image,mouthSmileLeft,mouthSmileRight\na.jpg,0.5,1\n",
    );
    assert_eq!(
        FacsTable::measured(&media).unwrap().rows["a.jpg"][&12],
        0.75
    );
    let none = write("none.csv", "image,emo\na.jpg,Fear\n");
    let measured = FacsTable::measured(&none).unwrap_err().to_string();
    let coded = FacsTable::coded(&none).unwrap_err().to_string();
    assert!(measured.contains("openface"), "{measured}");
    assert!(coded.contains("AU12"), "{coded}");
}
