//! Where the labelled faces of `expllm cot build` come from.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expllm_core::ExpressionSet;
use expllm_cot::{CotRecord, Row};
use expllm_data::{Dataset, ImageSource, Layout, ReadOptions, Record};
use serde_json::json;

use super::read;
use crate::CliError;

/// Options about the faces.
#[derive(Debug, clap::Args)]
pub struct SourceOptions {
    /// Labelled faces: .json, .jsonl or .parquet, or the .csv of a tool that measures action units.
    #[arg(long, value_name = "FILE", required_unless_present = "dataset")]
    annotations: Option<PathBuf>,
    /// Layout of the data set in --root; see `expllm data inspect`.
    #[arg(
        long,
        value_name = "NAME",
        requires = "root",
        conflicts_with = "annotations"
    )]
    dataset: Option<String>,
    /// Folder with the images (with --dataset also a .tar or an annotation file). Records without
    /// action units get them from their image; records whose image is missing are rejected.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Treat each image as a crop of a single face; skip face detection.
    #[arg(long, requires = "root")]
    cropped: bool,
    /// Stop after this many records (of the shard).
    #[arg(long)]
    limit: Option<u64>,
    /// Process one part of the input: 0/4, 1/4, 2/4 or 3/4.
    #[arg(long, value_name = "I/N", value_parser = parse_shard, default_value = "0/1")]
    shard: Shard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shard {
    index: u64,
    count: u64,
}

fn parse_shard(text: &str) -> Result<Shard, String> {
    let parsed = text.split_once('/').and_then(|(index, count)| {
        Some(Shard {
            index: index.parse().ok()?,
            count: count.parse().ok()?,
        })
    });
    parsed
        .filter(|s| s.index < s.count)
        .ok_or_else(|| "a shard is I/N with I below N, such as 0/4".to_owned())
}

/// Rows with their places in the input.
pub type Rows = Box<dyn Iterator<Item = (u64, Row)>>;

/// The labelled faces of a shard.
#[derive(Debug)]
pub struct Source {
    faces: Faces,
    /// Images that are no files below the root, by name.
    pub images: HashMap<String, ImageSource>,
    /// Folder of the images, where one is known.
    root: Option<PathBuf>,
    /// Whether each image is the crop of one face.
    pub cropped: bool,
    shard: Shard,
    limit: Option<u64>,
}

#[derive(Debug)]
enum Faces {
    /// Read again for every pass, so that memory does not grow with it.
    File(PathBuf),
    /// A data set, read as a whole from this folder or file.
    Dataset(PathBuf, Arc<Vec<Row>>),
}

impl Source {
    /// Reads a data set, or keeps the path of an annotation file.
    pub fn open(options: &SourceOptions, set: ExpressionSet) -> Result<Self, CliError> {
        let source = |faces, root| Self {
            faces,
            root,
            images: HashMap::new(),
            cropped: options.cropped,
            shard: options.shard,
            limit: options.limit,
        };
        let root = options.root.clone();
        match (&options.annotations, &options.dataset, root) {
            (Some(path), _, root) => Ok(source(Faces::File(path.clone()), root)),
            (None, Some(name), Some(root)) => {
                let (rows, images, folder) = read_dataset(name, &root, set)?;
                let faces = Faces::Dataset(root, Arc::new(rows));
                Ok(Self {
                    images,
                    ..source(faces, Some(folder))
                })
            }
            _ => {
                let reason = "give --annotations, or --dataset and --root";
                Err(CliError::Usage(reason.into()))
            }
        }
    }

    /// The rows of this shard, each with its place in the input.
    pub fn rows(&self) -> Result<Rows, CliError> {
        let all: Box<dyn Iterator<Item = Row>> = match &self.faces {
            Faces::File(path) => read(path)?,
            Faces::Dataset(_, rows) => {
                let rows = Arc::clone(rows);
                Box::new((0..rows.len()).map(move |at| rows[at].clone()))
            }
        };
        let shard = self.shard;
        let root = self.root.clone();
        let elsewhere: HashSet<String> = self.images.keys().cloned().collect();
        let rows = (0..)
            .zip(all)
            .filter(move |(index, _)| index % shard.count == shard.index)
            .map(move |(index, row)| match elsewhere.contains(row.name()) {
                true => (index, row),
                false => (index, with_image(row, root.as_deref())),
            });
        let limit = usize::try_from(self.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        Ok(Box::new(rows.take(limit)))
    }

    /// How many rows there are.
    pub fn count(&self) -> Result<u64, CliError> {
        Ok(self.rows()?.count() as u64)
    }

    /// Whether a run that has finished this many records has nothing left below the limit.
    pub fn is_done(&self, finished: u64) -> bool {
        self.limit.is_some_and(|limit| limit <= finished)
    }

    /// Folder of the images, where one is known.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// The file or folder, for messages.
    pub fn name(&self) -> &Path {
        match &self.faces {
            Faces::File(path) | Faces::Dataset(path, _) => path,
        }
    }

    /// What decides which records there are, for the journal; not the limit.
    pub fn settings(&self) -> String {
        format!(
            "source {}\nroot {}\ncropped {}\nshard {}/{}\n",
            self.name().display(),
            self.root.as_deref().unwrap_or(Path::new("")).display(),
            self.cropped,
            self.shard.index,
            self.shard.count
        )
    }
}

/// Rejects rows whose image is not below the root, also where a link leads out of it.
fn with_image(mut row: Row, root: Option<&Path>) -> Row {
    if let (Some(root), Ok(record)) = (root, &row.record) {
        let (name, shown) = (&record.file_name, root.display());
        let image = root.join(name);
        let real = image.canonicalize().ok().zip(root.canonicalize().ok());
        let reason = match real {
            Some((path, base)) if !path.starts_with(&base) => {
                Some(format!("file_name {name:?} leaves the image root {shown}"))
            }
            Some((path, _)) if path.is_file() => None,
            _ => Some(format!("no image {name:?} below {shown}")),
        };
        if let Some(reason) = reason {
            row.raw = json!({"file_name": record.file_name});
            row.record = Err(reason);
        }
    }
    row
}

type DatasetRows = (Vec<Row>, HashMap<String, ImageSource>, PathBuf);

/// Every record and every item that was left out as a row, the images that are no files below the
/// folder of the images, and that folder.
fn read_dataset(name: &str, root: &Path, set: ExpressionSet) -> Result<DatasetRows, CliError> {
    let layout: Layout = name
        .parse()
        .map_err(|error: expllm_data::DataError| CliError::Usage(error.to_string()))?;
    let options = ReadOptions {
        set,
        ..ReadOptions::default()
    };
    let dataset = layout.read(root, &options).map_err(CliError::library)?;
    let Dataset {
        root: folder,
        records,
        skipped,
        ..
    } = dataset;
    let (mut rows, mut images) = (Vec::with_capacity(records.len()), HashMap::new());
    let mut names = HashSet::new();
    for record in records {
        let (row, elsewhere) = record_row(record, &folder, &mut names);
        images.extend(elsewhere);
        rows.push(row);
    }
    rows.extend(skipped.into_iter().map(|skipped| Row {
        line: 0,
        record: Err(skipped.reason.to_string()),
        raw: json!({"file_name": skipped.item}),
    }));
    Ok((rows, images, folder))
}

/// A record under the path of its image below the folder, which is what a trainer joins to its
/// image root; where the image is no such file, under its id, with its source.
fn record_row(
    record: Record,
    folder: &Path,
    names: &mut HashSet<String>,
) -> (Row, Option<(String, ImageSource)>) {
    let below = record.image.path().and_then(|path| below(path, folder));
    let (name, elsewhere) = match below {
        Some(name) => (name, None),
        None => (record.id.clone(), Some((record.id, record.image))),
    };
    let raw = json!({"file_name": name});
    let record = match record.expression {
        _ if !names.insert(name.clone()) => Err("the image occurs twice".to_owned()),
        None => Err("no expression label".to_owned()),
        Some(label) => Ok(CotRecord {
            file_name: name,
            label,
            units: record.action_units,
            description: record.description,
        }),
    };
    let row = Row {
        line: 0,
        record,
        raw,
    };
    (row, elsewhere)
}

/// The path below a folder, with `/` between its parts.
fn below(path: &Path, folder: &Path) -> Option<String> {
    let parts = path.strip_prefix(folder).ok()?.iter();
    let parts: Option<Vec<_>> = parts.map(|part| part.to_str()).collect();
    Some(parts?.join("/"))
}
