//! `expllm merge`: the tables of shards as one.

mod columns;
mod format;
mod join;
mod key;
mod lines;

use std::path::{Path, PathBuf};

use crate::faces::{Found, Output};
use crate::outputs::Kind;
use crate::tables::{Cell, ParquetTable};
use crate::{CliError, Outcome};
use columns::ColumnRows;
use format::Format;
use join::{Counts, Named, join, order_of};
use lines::{CsvRows, JsonLines};

/// Arguments of `expllm merge`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Tables that `au`, `analyze` or `video` wrote, all of one format: CSV, JSON lines or Parquet.
    #[arg(required = true, value_name = "FILES")]
    tables: Vec<PathBuf>,
    /// The table to write, in the same format.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Writes the one table.
///
/// The tables are read three times: to learn how they are ordered, to look for rows that stand in
/// two of them, and to write, so that nothing is written of tables that do not fit together.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    args.tables.iter().try_for_each(|table| complete(table))?;
    let format = Format::of_all(&args.tables)?;
    format.check_ending(&args.out)?;
    // What holds nothing has no columns either.
    let tables = args.tables.iter().filter(|table| !is_empty(table));
    let job = Job {
        tables: tables.cloned().collect(),
        found: args.tables.iter().map(|table| found(table)).collect(),
        out: &args.out,
    };
    let Counts { rows, files } = match format {
        Format::Csv => job.csv()?,
        Format::Jsonl => job.json_lines()?,
        Format::Parquet => job.parquet()?,
    };
    say!("{rows} rows of {files} files in {}", args.out.display());
    Ok(Outcome::Complete)
}

fn found(path: &Path) -> Found {
    Found {
        path: path.to_path_buf(),
        error: None,
    }
}

fn is_empty(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.len() == 0)
}

/// Refuses what is no file, and a table whose run was ended early.
fn complete(path: &Path) -> Result<(), CliError> {
    let found = std::fs::metadata(path).map_err(|error| CliError::file(path, error))?;
    let shown = path.display();
    if !found.is_file() {
        let text = format!("{shown} is no file, and tables are read more than once");
        return Err(CliError::Usage(text));
    }
    let mut bookmark = path.to_path_buf().into_os_string();
    bookmark.push(".resume");
    if Path::new(&bookmark).exists() {
        let text = format!(
            "{shown} is not complete: {} says where its run was ended; run it to its end with \
             --resume",
            Path::new(&bookmark).display()
        );
        return Err(CliError::Usage(text));
    }
    Ok(())
}

/// Tables of one format, and where they go.
struct Job<'a> {
    tables: Vec<PathBuf>,
    /// All that were named, which the output must not replace.
    found: Vec<Found>,
    out: &'a Path,
}

impl Job<'_> {
    /// Opens every table.
    fn open<T>(
        &self,
        open: impl Fn(&Path) -> Result<T, CliError>,
    ) -> Result<Vec<Named<T>>, CliError> {
        let one = |path: &PathBuf| {
            Ok(Named {
                rows: open(path)?,
                path: path.clone(),
            })
        };
        self.tables.iter().map(one).collect()
    }

    /// Looks for all that hinders before anything is written; then writes.
    fn merge<R, T, W>(
        &self,
        open: impl Fn(&Path) -> Result<T, CliError>,
        begin: impl FnOnce() -> Result<W, CliError>,
        write: impl Fn(&mut W, R) -> Result<(), CliError>,
    ) -> Result<(Counts, W), CliError>
    where
        T: Iterator<Item = Result<(key::Key, R), CliError>>,
    {
        let order = order_of(self.open(&open)?)?;
        join(self.open(&open)?, order, |_| Ok(()))?;
        let mut output = begin()?;
        let counts = join(self.open(&open)?, order, |row| write(&mut output, row))?;
        Ok((counts, output))
    }

    fn csv(&self) -> Result<Counts, CliError> {
        let names = match self.tables.first() {
            Some(first) => CsvRows::open(first)?.names().clone(),
            None => csv::StringRecord::new(),
        };
        let open = |path: &Path| CsvRows::like(path, &names);
        let first = match names.get(0) {
            Some("time") => "time",
            _ => "file",
        };
        let begin = || {
            let mut output = Output::open(Some(self.out), Kind::Csv(first), &self.found)?;
            output.text(&super::au::csv_line(&names)?)?;
            Ok(output)
        };
        let (counts, output) = self.merge(open, begin, |output: &mut Output, row| {
            output.text(&super::au::csv_line(&row)?)
        })?;
        output.finish()?;
        Ok(counts)
    }

    fn json_lines(&self) -> Result<Counts, CliError> {
        let begin = || Output::open(Some(self.out), Kind::Json, &self.found);
        let write = |output: &mut Output, row: String| output.text(&row);
        let (counts, output) = self.merge(JsonLines::open, begin, write)?;
        output.finish()?;
        Ok(counts)
    }

    fn parquet(&self) -> Result<Counts, CliError> {
        let first = self.tables.first().map(|first| ColumnRows::open(first));
        let columns = first.transpose()?.map(|rows| rows.columns().to_vec());
        let columns = columns.unwrap_or_default();
        let open = |path: &Path| ColumnRows::like(path, &columns);
        let begin = || ParquetTable::open(Some(self.out), columns.clone(), &self.found);
        let write = |output: &mut ParquetTable, row: Vec<Cell>| output.row(row);
        let (counts, output) = self.merge(open, begin, write)?;
        output.finish()?;
        Ok(counts)
    }
}
