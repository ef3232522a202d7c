//! Writing data sets for the trainers that read them.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use expllm_core::{AuVector, Expression};
use serde::{Deserialize, Serialize};

use super::parquet_file;
use crate::error::check_regular;
use crate::{BuiltRecord, CotError};

/// Question of the official model for the label (prompt of the authors, MIT).
const LABEL_QUESTION: &str =
    "What is the expression of the person in the image? Please provide the expression label.";
/// Question of the official model for the chain.
const CHAIN_QUESTION: &str = "Can you analysis the facial expression step-by-step in the provided \
                              image? Provide a detailed description.";

/// The kinds of file that data sets are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DatasetFormat {
    /// Array of `file_name`, `emo`, `au`, `description`, as the ExpLLM authors' trainer reads it.
    Official,
    /// The same without `description`: trains the label alone.
    LabelOnly,
    /// LLaVA and ShareGPT: `id`, `image`, `conversations` (chain first, then label), and `emo`
    /// and `au` beside them.
    Llava,
    /// Our own lines with full provenance.
    Jsonl,
    /// Columns.
    Parquet,
}

/// Writes records that have a text (`Jsonl` and `Parquet` write all); how many were written.
///
/// The file has its name when it is whole; until then it is called `NAME.part`.
///
/// # Errors
///
/// The first error of the records, or [`CotError::NotAFile`], [`CotError::File`] or
/// `CotError::Parquet`.
pub fn write_dataset(
    path: &Path,
    format: DatasetFormat,
    records: &mut dyn Iterator<Item = Result<BuiltRecord, CotError>>,
) -> Result<u64, CotError> {
    check_regular(path)?;
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = match format {
        DatasetFormat::Parquet => parquet_file::write(&part, records),
        _ => write_json(&part, format, records),
    };
    let renamed = written.and_then(|count| {
        std::fs::rename(&part, path).map_err(|e| CotError::file(path, e))?;
        Ok(count)
    });
    if renamed.is_err() {
        // The first error says more than one about the half file.
        let _ = std::fs::remove_file(&part);
    }
    renamed
}

fn write_json(
    path: &Path,
    format: DatasetFormat,
    records: &mut dyn Iterator<Item = Result<BuiltRecord, CotError>>,
) -> Result<u64, CotError> {
    let wrong = |e| CotError::file(path, e);
    let mut out = BufWriter::new(File::create(path).map_err(wrong)?);
    let array = format != DatasetFormat::Jsonl;
    let mut count = 0;
    if array {
        out.write_all(b"[").map_err(wrong)?;
    }
    for record in records {
        let record = record?;
        let Some(entry) = Entry::of(&record, format) else {
            continue;
        };
        let lead = match (array, count) {
            (true, 0) => "\n",
            (true, _) => ",\n",
            (false, _) => "",
        };
        out.write_all(lead.as_bytes()).map_err(wrong)?;
        serde_json::to_writer(&mut out, &entry).map_err(|e| wrong(e.into()))?;
        if !array {
            out.write_all(b"\n").map_err(wrong)?;
        }
        count += 1;
    }
    if array {
        out.write_all(b"\n]\n").map_err(wrong)?;
    }
    let file = out.into_inner().map_err(|e| wrong(e.into_error()))?;
    file.sync_all().map_err(wrong)?;
    Ok(count)
}

/// One record as it is written. Serialised straight from its `f32`, so that 0.9 stays 0.9.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Line(&'a BuiltRecord),
    Official(Official<'a>),
    Llava {
        id: &'a str,
        image: &'a str,
        conversations: [Turn<'a>; 4],
        #[serde(flatten)]
        official: Official<'a>,
    },
}

#[derive(Debug, Serialize)]
struct Official<'a> {
    file_name: &'a str,
    emo: Expression,
    #[serde(skip_serializing_if = "Option::is_none", with = "expllm_core::au_form")]
    au: Option<AuVector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Turn<'a> {
    from: &'static str,
    value: Cow<'a, str>,
}

impl<'a> Entry<'a> {
    /// Nothing for records that the format has no place for.
    fn of(record: &'a BuiltRecord, format: DatasetFormat) -> Option<Self> {
        if format == DatasetFormat::Jsonl {
            return Some(Self::Line(record));
        }
        let (emo, text) = (record.emo?, record.description.as_deref()?);
        let official = |description| Official {
            file_name: &record.file_name,
            emo,
            au: record.au,
            description,
        };
        Some(match format {
            DatasetFormat::LabelOnly => Self::Official(official(None)),
            DatasetFormat::Llava => Self::Llava {
                id: &record.file_name,
                image: &record.file_name,
                conversations: turns(emo, text),
                official: official(None),
            },
            _ => Self::Official(official(Some(text))),
        })
    }
}

fn turns(emo: Expression, text: &str) -> [Turn<'_>; 4] {
    let turn = |from, value| Turn { from, value };
    [
        turn("human", Cow::Owned(format!("<image>\n{CHAIN_QUESTION}"))),
        turn("gpt", Cow::Borrowed(text)),
        turn("human", Cow::Borrowed(LABEL_QUESTION)),
        turn("gpt", Cow::Borrowed(emo.name())),
    ]
}

/// Writes the list file of the official trainer beside two annotation files: label-only records
/// with repeat `label_ratio`, records with chains with repeat `1 - label_ratio` (0.75 in the
/// paper). A repeat below one is the share that the trainer draws once when it loads.
///
/// # Errors
///
/// [`CotError::File`], or [`CotError::NotForLists`] for a path with a comma: the official trainer
/// splits its lines at every one.
pub fn write_list(
    path: &Path,
    labels: &Path,
    chains: &Path,
    image_root: &Path,
    label_ratio: f64,
) -> Result<(), CotError> {
    let absolute = |p: &Path| -> Result<PathBuf, CotError> {
        let path = std::path::absolute(p).map_err(|e| CotError::file(p, e))?;
        match path.to_string_lossy().contains([',', '\n', '\r']) {
            true => Err(CotError::NotForLists { path }),
            false => Ok(path),
        }
    };
    let ratio = label_ratio.clamp(0.0, 1.0);
    let root = absolute(image_root)?;
    let line = |file: PathBuf, repeat: f64| {
        let repeat = (repeat * 1e6).round() / 1e6;
        format!("{},{},{repeat}\n", file.display(), root.display())
    };
    let text = line(absolute(labels)?, ratio) + &line(absolute(chains)?, 1.0 - ratio);
    std::fs::write(path, text).map_err(|e| CotError::file(path, e))
}
