//! The data sets beside the project, read from their archives; skipped where they are absent.

#![allow(clippy::print_stderr)] // A skipped test says so.

use expllm_core::Expression;
use expllm_data::{Layout, ReadOptions, Split};
use expllm_testing::shared;

#[test]
fn fer2013_is_read_from_its_archive() {
    let Some(path) = shared("data/fer2013.tar") else {
        return;
    };
    let dataset = Layout::Folder.read(&path, &ReadOptions::default()).unwrap();
    let of_split = |s| {
        dataset
            .records
            .iter()
            .filter(|r| r.split == Some(s))
            .count()
    };
    assert_eq!(of_split(Split::Train), 28_709);
    assert_eq!(of_split(Split::Valid), 3_589);
    assert!(dataset.skipped.is_empty());
    let disgust = dataset.counts()[&(Some(Split::Valid), Some(Expression::Disgust))];
    assert_eq!(disgust, 56);
    let bytes = dataset.records[0].image.read().unwrap();
    assert_eq!(image::load_from_memory(&bytes).unwrap().width(), 48);
}

#[test]
fn wild_is_read_from_its_archive() {
    let Some(path) = shared("data/wild.tar") else {
        return;
    };
    let options = ReadOptions {
        split: Some(Split::Valid),
        ..ReadOptions::default()
    };
    let dataset = Layout::Csv.read(&path, &options).unwrap();
    assert_eq!((dataset.records.len(), dataset.skipped.len()), (863, 0));
}

#[test]
fn official_annotations_are_read_without_their_images() {
    let Some(path) = shared("data/rafdb_cot_dev.json") else {
        return;
    };
    let options = ReadOptions {
        keep_missing_images: true,
        ..ReadOptions::default()
    };
    let dataset = Layout::ExpllmJson.read(&path, &options).unwrap();
    assert_eq!((dataset.records.len(), dataset.skipped.len()), (2_500, 0));
    assert!(
        dataset
            .records
            .iter()
            .all(|r| r.action_units.is_some() && r.description.is_some())
    );
}
