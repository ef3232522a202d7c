//! The official ExpLLM data: annotation JSON and list files.
//!
//! Formats: `datasets/facetask.py` of the official repository (MIT). A list file has lines
//! `json_path,image_root[,repeat]`; a JSON file is an array of objects of which only `file_name`
//! is required. Left and right of the 24 intensities are the subject's.

use std::path::{Path, PathBuf};

use expllm_core::{AuVector, Expression, FaceBox, Point};
use serde::Deserialize;
use serde_json::Value;

use crate::dataset::Gather;
use crate::{DataError, Dataset, Layout, ReadOptions, Record, SkipReason, Split, Tree};

#[derive(Deserialize)]
struct Annotation {
    file_name: String,
    emo: Option<String>,
    gt_emo: Option<String>,
    au: Option<Vec<f32>>,
    description: Option<String>,
    bbox: Option<[f32; 4]>,
    landmark: Option<Vec<[f32; 2]>>,
}

/// Reads every `.json` array of the root whose objects have a `file_name`, or the one file that
/// `root` is.
pub(crate) fn read_json(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    let (tree, files) = Tree::open_files(root, "json")?;
    if files.is_empty() {
        return Err(DataError::NotThisLayout {
            root: root.to_path_buf(),
            layout: Layout::ExpllmJson.name(),
            expected: "annotation file with the extension .json",
        });
    }
    let mut gather = Gather::new(options);
    for file in &files {
        let text = tree.read_text(file)?;
        add_annotations(&text, &tree.locate(file), &tree, 1, &mut gather)?;
    }
    Ok(gather.finish(Layout::ExpllmJson, &tree))
}

/// Reads the list files of a folder, or the one list file that `root` is.
pub(crate) fn read_list(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    let (lists, base) = list_files(root)?;
    if lists.is_empty() {
        return Err(DataError::NotThisLayout {
            root: root.to_path_buf(),
            layout: Layout::ExpllmList.name(),
            expected: "list file with lines `json_path,image_root[,repeat]`",
        });
    }
    let mut gather = Gather::new(options);
    for list in lists {
        let text = std::fs::read_to_string(&list).map_err(|e| DataError::file(&list, e))?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let entry = ListLine::parse(line, &base).map_err(|reason| DataError::Malformed {
                path: list.clone(),
                reason,
            })?;
            let json = std::fs::read_to_string(&entry.json)
                .map_err(|e| DataError::file(&entry.json, e))?;
            let images = Tree::open(&entry.images)?;
            add_annotations(&json, &entry.json, &images, entry.repeat, &mut gather)?;
        }
    }
    Ok(gather.finish(Layout::ExpllmList, &Tree::open(&base)?))
}

/// The list files and the folder against which their relative paths count.
fn list_files(root: &Path) -> Result<(Vec<PathBuf>, PathBuf), DataError> {
    let meta = std::fs::metadata(root).map_err(|e| DataError::file(root, e))?;
    if meta.is_file() {
        let base = root.parent().unwrap_or(Path::new("")).to_path_buf();
        return Ok((vec![root.to_path_buf()], base));
    }
    let entries = std::fs::read_dir(root).map_err(|e| DataError::file(root, e))?;
    let mut lists: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    lists.sort();
    Ok((lists, root.to_path_buf()))
}

struct ListLine {
    json: PathBuf,
    images: PathBuf,
    repeat: usize,
}

impl ListLine {
    /// A line of a list file. A repeat below one, which upstream turns into a random sample, is
    /// refused: a sample that nobody can name cannot be evaluated.
    fn parse(line: &str, base: &Path) -> Result<Self, String> {
        let mut parts = line.split(',').map(str::trim);
        let (Some(json), Some(images)) = (parts.next(), parts.next()) else {
            return Err(format!("{line:?} is not `json_path,image_root[,repeat]`"));
        };
        let repeat: f64 = match parts.next() {
            None | Some("") => 1.0,
            Some(text) => text.parse().map_err(|_| format!("bad repeat {text:?}"))?,
        };
        if !(1.0..=1000.0).contains(&repeat) {
            return Err(format!("repeat {repeat} is not from 1 to 1000"));
        }
        Ok(Self {
            json: base.join(json),
            images: base.join(images),
            repeat: repeat as usize,
        })
    }
}

fn add_annotations(
    text: &str,
    path: &Path,
    images: &Tree,
    repeat: usize,
    gather: &mut Gather<'_>,
) -> Result<(), DataError> {
    let malformed = |reason: String| DataError::Malformed {
        path: path.to_path_buf(),
        reason,
    };
    let values: Vec<Value> = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
    let stem = path.file_stem().map(|s| s.to_string_lossy().to_lowercase());
    let split = stem
        .as_deref()
        .and_then(|stem| stem.split(['_', '-']).find_map(Split::from_name));
    for round in 0..repeat {
        for (index, value) in values.iter().enumerate() {
            let annotation = match Annotation::deserialize(value) {
                Ok(annotation) => annotation,
                Err(e) if round == 0 => {
                    let file = path.file_name().unwrap_or_default().to_string_lossy();
                    let item = format!("{file}[{index}]");
                    gather.skip(&item, split, SkipReason::Malformed(e.to_string()));
                    continue;
                }
                Err(_) => continue,
            };
            add_annotation(annotation, images, split, round, gather);
        }
    }
    Ok(())
}

fn add_annotation(
    annotation: Annotation,
    images: &Tree,
    split: Option<Split>,
    round: usize,
    gather: &mut Gather<'_>,
) {
    let name = annotation.file_name;
    let split = split.or_else(|| name.split(['/', '_']).find_map(Split::from_name));
    // The list for explanations holds the prediction in `emo` and the truth in `gt_emo`.
    let label = annotation.gt_emo.or(annotation.emo);
    let expression = match label.as_deref().map(str::parse::<Expression>).transpose() {
        Ok(expression) => expression,
        Err(_) => {
            let text = label.unwrap_or_default();
            gather.skip(&name, split, SkipReason::UnknownLabel(text));
            return;
        }
    };
    let action_units = match annotation
        .au
        .as_deref()
        .map(AuVector::from_slice)
        .transpose()
    {
        Ok(units) => units,
        Err(e) => {
            gather.skip(&name, split, SkipReason::Malformed(e.to_string()));
            return;
        }
    };
    let Some(image) = gather.image(images, &name, split) else {
        return;
    };
    let id = if round == 0 {
        name
    } else {
        format!("{name}#{}", round + 1)
    };
    let landmarks = annotation.landmark.unwrap_or_default();
    gather.add(Record {
        split,
        expression,
        label_text: label,
        action_units,
        description: annotation.description,
        face_box: annotation.bbox.map(|[x, y, width, height]| FaceBox {
            x,
            y,
            width,
            height,
            score: 1.0,
        }),
        landmarks: landmarks
            .into_iter()
            .map(|[x, y]| Point::new(x, y))
            .collect(),
        ..Record::new(id, image)
    });
}

#[cfg(test)]
mod tests {
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
        std::fs::write(fixture.path("b.txt"), "ann/train.json,images,0.5").unwrap();
        assert!(
            Layout::ExpllmList
                .read(&fixture.path("b.txt"), &options)
                .is_err()
        );
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
}
