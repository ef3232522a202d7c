//! Rows that are looked up one by one: the embeddings of tokens.

use std::hash::{DefaultHasher, Hasher};

use expllm_kernels::{Format, check_row, decode_row};
use rayon::prelude::*;

use super::weights::packing;
use super::{Loader, failed};
use crate::{ModelError, StoredBytes};

/// Tables of this many bytes and more stay in the file that they stand in.
const LEFT_IN_FILE: usize = 16 << 20;

/// Rows in the format of files.
#[derive(Debug)]
pub(crate) struct Table {
    format: Format,
    row_bytes: usize,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Memory(Vec<u8>),
    File(FileRows),
}

impl Table {
    /// The rows of a matrix. A large one is left in its file, in the format that it has there.
    pub(crate) fn load(
        loader: &Loader<'_>,
        columns: usize,
        name: &str,
    ) -> Result<Self, ModelError> {
        match loader.stored(name) {
            Some((format, stored)) if stored.len() >= LEFT_IN_FILE => {
                let row_bytes = format.row_bytes(columns).unwrap_or(1);
                let rows = FileRows::check(stored, (format, columns), name)?;
                Ok(Self {
                    format,
                    row_bytes,
                    rows: Rows::File(rows),
                })
            }
            _ => Self::in_memory(loader, columns, name),
        }
    }

    fn in_memory(loader: &Loader<'_>, columns: usize, name: &str) -> Result<Self, ModelError> {
        let format = loader.format(name);
        let row_bytes = format.row_bytes(columns).unwrap_or(1);
        let matrix = loader.matrix(columns, name)?;
        let mut rows = vec![0; row_bytes * matrix.rows()];
        for (index, row) in rows.chunks_mut(row_bytes).enumerate() {
            matrix.encoded_row(index, row);
        }
        Ok(Self {
            format,
            row_bytes,
            rows: Rows::Memory(rows),
        })
    }

    /// Writes a row, which must be there; `room` is memory that is kept between rows.
    pub(crate) fn look_up(
        &self,
        row: usize,
        room: &mut Vec<u8>,
        numbers: &mut [f32],
    ) -> Result<(), ModelError> {
        let bytes = match &self.rows {
            Rows::Memory(rows) => &rows[row * self.row_bytes..][..self.row_bytes],
            Rows::File(rows) => {
                room.resize(self.row_bytes, 0);
                rows.copy(row, room)?;
                room
            }
        };
        decode_row(self.format, bytes, numbers).map_err(failed)
    }

    /// Bytes in memory.
    pub(crate) fn memory(&self) -> usize {
        match &self.rows {
            Rows::Memory(rows) => rows.len(),
            Rows::File(rows) => rows.hashes.len() * size_of::<u64>(),
        }
    }
}

/// Rows in a file. Each is known by its hash, so that a file which changed after it was loaded is an
/// error and never another embedding.
#[derive(Debug)]
struct FileRows {
    stored: StoredBytes,
    hashes: Vec<u64>,
}

impl FileRows {
    fn check(
        stored: StoredBytes,
        (format, columns): (Format, usize),
        name: &str,
    ) -> Result<Self, ModelError> {
        let row_bytes = format.row_bytes(columns).unwrap_or(1);
        let hashes = stored.look(|rows| {
            let rows = rows.par_chunks(row_bytes).enumerate();
            let hash = |(index, row): (usize, &[u8])| {
                check_row(format, columns, row).map_err(|error| error.at_row(index))?;
                Ok(hash(row))
            };
            let hashes: Result<_, _> = rows.map(hash).collect();
            hashes.map_err(|error| packing(name, error))
        })?;
        Ok(Self { stored, hashes })
    }

    fn copy(&self, row: usize, bytes: &mut [u8]) -> Result<(), ModelError> {
        self.stored.copy(row * bytes.len(), bytes)?;
        match self.hashes.get(row) == Some(&hash(bytes)) {
            true => Ok(()),
            false => Err(self.stored.fault(format!(
                "row {row} of the embeddings is not the one that was loaded; the file has changed \
                 since: load the model again"
            ))),
        }
    }
}

fn hash(row: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(row);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::{Seek, SeekFrom, Write};
    use std::path::Path;

    use half::f16;
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::*;
    use crate::Packing;
    use crate::checkpoint::WeightFile;

    /// Enough rows to be left in the file.
    const ROWS: usize = 1 << 17;
    const COLUMNS: usize = 64;

    fn number(row: usize, column: usize) -> f16 {
        f16::from_f32((row % 1000) as f32 - 3.0 * column as f32)
    }

    /// A file of one matrix in f16, and how many bytes stand before its numbers.
    fn write(path: &Path, spoilt: Option<usize>) -> u64 {
        let numbers = (0..ROWS * COLUMNS).map(|place| match spoilt == Some(place) {
            true => f16::NAN,
            false => number(place / COLUMNS, place % COLUMNS),
        });
        let bytes: Vec<u8> = numbers.flat_map(f16::to_le_bytes).collect();
        let view = TensorView::new(Dtype::F16, vec![ROWS, COLUMNS], &bytes).unwrap();
        let file = safetensors::serialize([("table", view)], None).unwrap();
        std::fs::write(path, &file).unwrap();
        (file.len() - bytes.len()) as u64
    }

    fn load(path: &Path) -> Result<Table, ModelError> {
        let file = WeightFile::open(path)?;
        let loader = Loader {
            source: &file,
            packing: Packing::As(Format::Q4A),
        };
        Table::load(&loader, COLUMNS, "table")
    }

    fn row(table: &Table, row: usize) -> Result<Vec<f32>, ModelError> {
        let mut numbers = vec![0.0; COLUMNS];
        table.look_up(row, &mut Vec::new(), &mut numbers)?;
        Ok(numbers)
    }

    fn is_right(table: &Table, index: usize) -> bool {
        let wanted = (0..COLUMNS).map(|column| number(index, column).to_f32());
        row(table, index).unwrap() == wanted.collect::<Vec<_>>()
    }

    #[test]
    fn a_large_table_stays_in_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weights.safetensors");
        write(&path, None);
        let table = load(&path).unwrap();
        assert_eq!(table.memory(), 8 * ROWS, "a hash of each row");
        // In the format of the file, whatever the rest is packed into.
        assert!([0, 1, 999, ROWS / 2, ROWS - 1].map(|row| is_right(&table, row)) == [true; 5]);
        #[cfg(unix)]
        {
            // The open file is read, even where its name is gone or another's.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, "another model").unwrap();
            assert!(is_right(&table, 17));
        }
    }

    #[test]
    fn a_file_that_changes_is_an_error_and_never_another_row() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weights.safetensors");
        let header = write(&path, None);
        let table = load(&path).unwrap();
        let mut file = OpenOptions::new().write(true).open(&path).unwrap();
        let place = header + (40 * COLUMNS * 2) as u64;
        file.seek(SeekFrom::Start(place)).unwrap();
        file.write_all(&[1]).unwrap();
        let error = row(&table, 40).unwrap_err().to_string();
        assert!(
            error.contains("row 40") && error.contains("load the model again"),
            "{error}"
        );
        assert!(is_right(&table, 39) && is_right(&table, 41));
        file.set_len(place).unwrap();
        assert!(is_right(&table, 39));
        let error = row(&table, 41).unwrap_err().to_string();
        assert!(error.contains("weights.safetensors"), "{error}");
    }

    #[test]
    fn a_number_that_is_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weights.safetensors");
        write(&path, Some(5 * COLUMNS + 3));
        let error = load(&path).unwrap_err().to_string();
        assert!(
            error.contains("row 5") && error.contains("mend the weights"),
            "{error}"
        );
    }
}
