//! Text in columns: what `.csv` files are read with, in any letter case and with any padding.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::{StringRecord, Trim};

/// The longest row that is read, as of the objects of other files.
const MAX_ROW: usize = 1 << 20;

/// The columns of a table by their names in lower case.
#[derive(Debug)]
pub(crate) struct Columns {
    /// Their names in the order of the table.
    pub names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Columns {
    fn new(header: &StringRecord) -> Self {
        let names: Vec<String> = header.iter().map(str::to_lowercase).collect();
        // Of two columns of one name the first counts.
        let places = names.iter().enumerate().rev();
        let places = places.map(|(at, name)| (name.clone(), at)).collect();
        Self { names, places }
    }

    /// A field of a row that is there and not empty.
    pub fn get<'a>(&self, fields: &'a StringRecord, name: &str) -> Option<&'a str> {
        let at = self.places.get(&name.to_lowercase())?;
        fields.get(*at).filter(|field| !field.is_empty())
    }

    /// The first of some fields that is there.
    pub fn first<'a>(&self, fields: &'a StringRecord, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| self.get(fields, name))
    }

    /// A field that is a finite number.
    pub fn number(&self, fields: &StringRecord, name: &str) -> Option<f32> {
        let number: f32 = self.get(fields, name)?.parse().ok()?;
        number.is_finite().then_some(number)
    }
}

/// A row with its line, where none is empty or broken in two; or what is wrong with it.
pub(crate) type Line = (u64, Result<StringRecord, String>);

/// The columns and the rows of a table; why it is none.
pub(crate) fn read(
    text: BufReader<File>,
) -> Result<(Columns, impl Iterator<Item = Line> + Send + use<>), String> {
    let left = Arc::new(AtomicUsize::new(MAX_ROW));
    let bounded = Bounded {
        inner: text,
        left: Arc::clone(&left),
    };
    let mut reader = csv::ReaderBuilder::new()
        .trim(Trim::All)
        .flexible(true)
        .from_reader(bounded);
    let columns = Columns::new(reader.headers().map_err(|e| e.to_string())?);
    // Not by the positions of the rows, which are one short where lines end as on Windows.
    let rows = (2..).zip(reader.into_records());
    let rows = rows.map(move |(line, row)| {
        left.store(MAX_ROW, Ordering::Relaxed);
        (line, row.map_err(|e| e.to_string()))
    });
    Ok((columns, rows))
}

/// Ends a row that never ends, such as one behind a quotation mark that is not closed.
struct Bounded<R> {
    inner: R,
    left: Arc<AtomicUsize>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.left.load(Ordering::Relaxed);
        let rest = left.checked_sub(count).ok_or_else(|| {
            io::Error::other(format!(
                "a row of more than {MAX_ROW} bytes; is a quotation mark left open?"
            ))
        })?;
        self.left.store(rest, Ordering::Relaxed);
        Ok(count)
    }
}

/// The last part of a path, whichever system it is from.
pub(crate) fn last_part(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// The name of a table's file without its ending.
pub(crate) fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}
