use super::*;
use crate::readers::testing::{Fixture, ids, skipped};

const JSON: &str = r#"[
    {"file_name": "test_1.jpg", "emo": "Fear", "au": [0,0,0,0,0,0,0,0,0.5,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],
     "description": "text", "bbox": [1, 2, 3, 4], "landmark": [[1,1],[2,2],[3,3],[4,4],[5,5]]},
    {"file_name": "test_2.jpg", "emo": "Fear", "gt_emo": "Anger"},
    {"file_name": "test_3.jpg", "emo": "Fearless"},
    {"file_name": "test_4.jpg", "au": [2.0]},
    {"file_name": "absent.jpg"},
    {"name": "no file"}
]"#;

#[test]
fn annotations_are_read_and_bad_ones_named() {
    let fixture = Fixture::new(&[
        ("rafdb_valid.json", JSON),
        ("test_1.jpg", "1"),
        ("test_2.jpg", "2"),
        ("test_3.jpg", "3"),
        ("test_4.jpg", "4"),
    ]);
    let dataset = fixture.read(Layout::ExpllmJson);
    assert_eq!(ids(&dataset), ["test_1.jpg", "test_2.jpg"]);
    let [first, second] = dataset.records.as_slice() else {
        panic!("two records")
    };
    assert_eq!(first.split, Some(Split::Valid));
    assert_eq!(first.action_units.unwrap().values()[8], 0.5);
    assert_eq!(
        (first.landmarks.len(), first.face_box.unwrap().height),
        (5, 4.0)
    );
    assert_eq!(
        second.expression,
        Some(Expression::Anger),
        "the truth, not the prediction"
    );
    let kinds: Vec<_> = skipped(&dataset).iter().map(|(_, r)| r.kind()).collect();
    assert_eq!(
        kinds,
        ["unknown label", "malformed", "missing image", "malformed"]
    );
}

#[test]
fn list_files_repeat_and_join_their_roots() {
    let fixture = Fixture::new(&[
        ("a.txt", "ann/train.json,images,2\n\n"),
        (
            "ann/train.json",
            r#"[{"file_name": "x/1.jpg", "emo": "Happiness"}]"#,
        ),
        ("images/x/1.jpg", "1"),
    ]);
    let options = ReadOptions::default();
    let dataset = Layout::ExpllmList
        .read(&fixture.path("a.txt"), &options)
        .unwrap();
    assert_eq!(ids(&dataset), ["x/1.jpg", "x/1.jpg#2"]);
    assert_eq!(dataset.records[1].image.read().unwrap(), b"1");
    std::fs::create_dir(fixture.path("a, b")).unwrap();
    std::fs::copy(fixture.path("images/x/1.jpg"), fixture.path("a, b/1.jpg")).unwrap();
    let json = "\u{feff}[{\"file_name\": \"1.jpg\", \"emo\": \"Fear\"}]";
    std::fs::write(fixture.path("t.json"), json).unwrap();
    std::fs::write(fixture.path("c.txt"), "t.json,\"a, b\",1\n").unwrap();
    let quoted = Layout::ExpllmList.read(&fixture.path("c.txt"), &options);
    assert_eq!(ids(&quoted.unwrap()), ["1.jpg"]);
    for bad in ["-1", "many", "1001", "NaN"] {
        std::fs::write(
            fixture.path("b.txt"),
            format!("ann/train.json,images,{bad}"),
        )
        .unwrap();
        let read = Layout::ExpllmList.read(&fixture.path("b.txt"), &options);
        assert!(read.is_err(), "{bad}");
    }
}

#[test]
fn shares_of_two_files_over_the_same_images_are_joined() {
    let rows: Vec<_> = (0..20)
        .map(|n| format!(r#"{{"file_name": "{n}.jpg", "emo": "Fear"}}"#))
        .collect();
    let fixture = Fixture::new(&[("a.txt", "label.json,.,0.75\nchain.json,.,0.25")]);
    for name in ["label.json", "chain.json"] {
        std::fs::write(fixture.path(name), format!("[{}]", rows.join(","))).unwrap();
    }
    let options = ReadOptions {
        keep_missing_images: true,
        ..ReadOptions::default()
    };
    let dataset = Layout::ExpllmList.read(&fixture.path("a.txt"), &options);
    let ids = ids(&dataset.unwrap()).len();
    assert_eq!(ids, 15 + 5);
}

#[test]
fn lines_of_a_build_are_read_and_those_that_failed_named() {
    let lines = r#"{"index":0,"file_name":"1.jpg","emo":"Fear","status":"checked","description":"text"}
        {"index":1,"file_name":"2.jpg","emo":"Fear","status":"set_aside","description":"bad"}
        {"index":2,"file_name":"3.jpg","status":"rejected","error":"line 3: no emo"}
        {"index":3,
        {"index":4,"file_name":"1.jpg","emo":"Fear","status":"composed"}"#;
    let fixture = Fixture::new(&[("t.jsonl", lines), ("1.jpg", "1"), ("2.jpg", "2")]);
    let options = ReadOptions::default();
    let read = Layout::ExpllmJson.read(&fixture.path("t.jsonl"), &options);
    let dataset = read.unwrap();
    assert_eq!(ids(&dataset), ["1.jpg"]);
    let reasons: Vec<_> = (dataset.skipped.iter())
        .map(|skipped| format!("{}: {}", skipped.item, skipped.reason))
        .collect();
    for (reason, wanted) in reasons.iter().zip([
        "t.jsonl[1]: missing annotation: set aside",
        "t.jsonl[2]: missing annotation: rejected: line 3: no emo",
        "t.jsonl[3]: malformed",
        "1.jpg: duplicate",
    ]) {
        assert!(reason.starts_with(wanted), "{reason}");
    }
    assert_eq!(reasons.len(), 4);
}

#[test]
fn missing_images_can_be_kept() {
    let fixture = Fixture::new(&[("t.json", r#"[{"file_name": "1.jpg", "emo": "Fear"}]"#)]);
    let options = ReadOptions {
        keep_missing_images: true,
        ..ReadOptions::default()
    };
    let dataset = Layout::ExpllmJson
        .read(&fixture.path("t.json"), &options)
        .unwrap();
    assert_eq!(ids(&dataset), ["1.jpg"]);
    assert!(dataset.records[0].image.read().is_err());
}
