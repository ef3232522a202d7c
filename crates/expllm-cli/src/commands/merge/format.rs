//! What kind of file a table is.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::CliError;

/// How a table is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma separated, with a line of names.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Columns.
    Parquet,
}

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Jsonl => "JSON lines",
            Self::Parquet => "Parquet",
        }
    }

    /// The one format of all tables that hold anything.
    ///
    /// # Errors
    ///
    /// [`CliError::Usage`] for two formats, for JSON arrays and for tables that are all empty.
    pub fn of_all(tables: &[PathBuf]) -> Result<Self, CliError> {
        let mut first: Option<(&Path, Self)> = None;
        for table in tables {
            match (Self::of(table)?, first) {
                (Some(own), None) => first = Some((table, own)),
                (Some(own), Some((other, format))) if own != format => {
                    return Err(CliError::Usage(format!(
                        "{} is {} and {} is {}; merge tables of one format",
                        other.display(),
                        format.name(),
                        table.display(),
                        own.name()
                    )));
                }
                _ => {}
            }
        }
        let nothing = || CliError::Usage("the tables are all empty".to_owned());
        first.map(|(_, format)| format).ok_or_else(nothing)
    }

    /// By the first bytes; `None` of an empty file, as a shard without files leaves it.
    fn of(path: &Path) -> Result<Option<Self>, CliError> {
        let mut head = Vec::new();
        let file = File::open(path).map_err(|error| CliError::file(path, error))?;
        file.take(4)
            .read_to_end(&mut head)
            .map_err(|error| CliError::file(path, error))?;
        match &head[..] {
            [] => Ok(None),
            b"PAR1" => Ok(Some(Self::Parquet)),
            [b'{', ..] => Ok(Some(Self::Jsonl)),
            [b'[', ..] => Err(CliError::Usage(format!(
                "{} is one JSON array; write the shards with --format jsonl",
                path.display()
            ))),
            _ => Ok(Some(Self::Csv)),
        }
    }

    /// Refuses an output whose ending says another format.
    pub fn check_ending(self, out: &Path) -> Result<(), CliError> {
        let ending = out.extension().map(|e| e.to_string_lossy().to_lowercase());
        let said = match ending.as_deref() {
            Some("csv") => Self::Csv,
            Some("json" | "jsonl") => Self::Jsonl,
            Some("parquet") => Self::Parquet,
            _ => self,
        };
        if said == self {
            return Ok(());
        }
        Err(CliError::Usage(format!(
            "the tables are {}, and {} is named like {}; name it after what the tables are",
            self.name(),
            out.display(),
            said.name()
        )))
    }
}
