//! The official ExpLLM data: annotation JSON and list files.
//!
//! Formats: `datasets/facetask.py` of the official repository (MIT). A list file has lines
//! `json_path,image_root[,repeat]`; a JSON file is an array of objects of which only `file_name`
//! is required. Left and right of the 24 intensities are the subject's. The lines that
//! `expllm cot build` writes hold the same objects.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use expllm_core::au_form::AuForm;
use expllm_core::{Expression, FaceBox, Point};
use serde::Deserialize;
use serde_json::Value;

use crate::dataset::Gather;
use crate::{DataError, Dataset, Layout, ReadOptions, Record, SkipReason, Split, Tree, text};

#[derive(Deserialize)]
struct Annotation {
    file_name: String,
    emo: Option<String>,
    gt_emo: Option<String>,
    au: Option<AuForm>,
    description: Option<String>,
    /// How the record of `expllm cot build` ended, and why it has no text.
    status: Option<String>,
    error: Option<String>,
    bbox: Option<[f32; 4]>,
    landmark: Option<Vec<[f32; 2]>>,
}

/// Reads every `.json` array of the root whose objects have a `file_name`, or the one `.json` or
/// `.jsonl` file that `root` is.
pub(crate) fn read_json(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    let extension = if is_lines(root) { "jsonl" } else { "json" };
    let (tree, files) = Tree::open_files(root, extension)?;
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
        let annotations = Annotations::parse(&text, &tree.locate(file))?;
        annotations.add(&tree, 1.0, &mut gather);
    }
    Ok(gather.finish(Layout::ExpllmJson, &tree))
}

/// Whether a file holds one object per line.
fn is_lines(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("jsonl"))
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
        for entry in list_lines(&list, &base)? {
            let json = text::read(&entry.json)?;
            let images = Tree::open(&entry.images)?;
            Annotations::parse(&json, &entry.json)?.add(&images, entry.repeat, &mut gather);
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

/// The lines of a list file; fields that hold a comma stand in quotes.
fn list_lines(list: &Path, base: &Path) -> Result<Vec<ListLine>, DataError> {
    let malformed = |reason: String| DataError::Malformed {
        path: list.to_path_buf(),
        reason,
    };
    let text = text::read(list)?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let parse = |record: Result<csv::StringRecord, csv::Error>| {
        let record = record.map_err(|e| malformed(e.to_string()))?;
        ListLine::parse(&record, base).map_err(malformed)
    };
    reader.records().map(parse).collect()
}

struct ListLine {
    json: PathBuf,
    images: PathBuf,
    repeat: f64,
}

impl ListLine {
    fn parse(line: &csv::StringRecord, base: &Path) -> Result<Self, String> {
        let (Some(json), Some(images)) = (line.get(0), line.get(1)) else {
            let line: Vec<_> = line.iter().collect();
            let line = line.join(",");
            return Err(format!("{line:?} is not `json_path,image_root[,repeat]`"));
        };
        let repeat: f64 = match line.get(2) {
            None | Some("") => 1.0,
            Some(text) => text.parse().map_err(|_| {
                format!("bad repeat {text:?}; paths that hold a comma stand in double quotes")
            })?,
        };
        if !(0.0..=1000.0).contains(&repeat) {
            return Err(format!("repeat {repeat} is not from 0 to 1000"));
        }
        Ok(Self {
            json: base.join(json),
            images: base.join(images),
            repeat,
        })
    }
}

/// The objects of one annotation file.
struct Annotations {
    /// Name of the file, for what is skipped.
    file: String,
    split: Option<Split>,
    values: Vec<Result<Value, String>>,
}

impl Annotations {
    /// An array of objects, or one object per line where the name ends in `.jsonl`; a line that
    /// is no JSON is a row of its own.
    fn parse(text: &str, path: &Path) -> Result<Self, DataError> {
        let values = if is_lines(path) {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            lines
                .map(|line| serde_json::from_str(line).map_err(|e| e.to_string()))
                .collect()
        } else {
            let values: Vec<Value> =
                serde_json::from_str(text).map_err(|e| DataError::Malformed {
                    path: path.to_path_buf(),
                    reason: e.to_string(),
                })?;
            values.into_iter().map(Ok).collect()
        };
        let stem = path.file_stem().map(|s| s.to_string_lossy().to_lowercase());
        let split = stem
            .as_deref()
            .and_then(|stem| stem.split(['_', '-']).find_map(Split::from_name));
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self {
            file: file.into_owned(),
            split,
            values,
        })
    }

    /// Adds every object `repeat` times; of a repeat below one that share. Upstream draws the
    /// share at random each time it loads; here it is spread evenly over the file, so that a
    /// sample can be named and evaluated.
    fn add(&self, images: &Tree, repeat: f64, gather: &mut Gather<'_>) {
        let taken = |index: usize| {
            repeat >= 1.0 || ((index + 1) as f64 * repeat).floor() > (index as f64 * repeat).floor()
        };
        for round in 0..(repeat as usize).max(1) {
            let mut names = HashSet::new();
            for (index, value) in self.values.iter().enumerate() {
                if !taken(index) {
                    continue;
                }
                match self.annotation(value) {
                    Ok(annotation) => {
                        let first = names.insert(annotation.file_name.clone());
                        add_annotation(annotation, images, (self.split, first), gather);
                    }
                    Err(reason) if round == 0 => {
                        let item = format!("{}[{index}]", self.file);
                        gather.skip(&item, self.split, reason);
                    }
                    Err(_) => {}
                }
            }
        }
    }

    fn annotation(&self, value: &Result<Value, String>) -> Result<Annotation, SkipReason> {
        let value = value
            .as_ref()
            .map_err(|e| SkipReason::Malformed(e.clone()))?;
        let annotation =
            Annotation::deserialize(value).map_err(|e| SkipReason::Malformed(e.to_string()))?;
        match annotation.status.as_deref() {
            Some(status @ ("rejected" | "set_aside")) => {
                let reason = annotation
                    .error
                    .unwrap_or_else(|| "checks failed".to_owned());
                let status = status.replace('_', " ");
                Err(SkipReason::MissingAnnotation(format!("{status}: {reason}")))
            }
            _ => Ok(annotation),
        }
    }
}

/// `split` of the file, and whether the file names the image for the first time in this round.
fn add_annotation(
    annotation: Annotation,
    images: &Tree,
    (split, first): (Option<Split>, bool),
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
    let action_units = match annotation.au.map(AuForm::units).transpose() {
        Ok(units) => units,
        Err(e) => {
            gather.skip(&name, split, SkipReason::Malformed(e.to_string()));
            return;
        }
    };
    let Some(image) = gather.image(images, &name, split) else {
        return;
    };
    let id = match first {
        true => free_name(name, gather),
        // Twice in one file is a mistake, in two rounds or lines of a list it is meant.
        false => name,
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
            points: None,
        }),
        landmarks: landmarks
            .into_iter()
            .map(|[x, y]| Point::new(x, y))
            .collect(),
        ..Record::new(id, image)
    });
}

/// The name, with a number where an earlier round or line of a list took it.
fn free_name(name: String, gather: &Gather<'_>) -> String {
    if !gather.has(&name) {
        return name;
    }
    let numbered = |number| format!("{name}#{number}");
    let free = (2..).map(numbered).find(|id| !gather.has(id));
    free.unwrap_or(name)
}

#[cfg(test)]
mod tests;
