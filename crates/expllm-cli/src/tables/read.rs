//! Reading Parquet.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::basic::Type as Physical;
use parquet::column::reader::{ColumnReader, get_typed_column_reader};
use parquet::data_type::{ByteArrayType, DataType, DoubleType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::cell::Values;
use super::{Cell, Column, ColumnKind, failed};
use crate::CliError;

/// Rows of a group, at most, which bounds the memory; ours have 8192.
const LARGEST_GROUP: usize = 1 << 20;

/// The rows of a table, one group in memory at a time.
pub struct ParquetRows {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    columns: Vec<Column>,
    /// The group that comes next.
    group: usize,
    values: Vec<Values>,
    /// Rows of the group, and the one that comes next.
    rows: usize,
    row: usize,
}

impl ParquetRows {
    /// Opens a table of plain columns.
    ///
    /// # Errors
    ///
    /// When the file is not whole, or a column is of a kind that this program does not write.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let file = File::open(path).map_err(|error| CliError::file(path, error))?;
        let reader = SerializedFileReader::new(file).map_err(|error| failed(path, &error))?;
        let schema = reader.metadata().file_metadata().schema_descr();
        let columns = schema.columns().iter().map(|column| {
            plain(column).ok_or_else(|| {
                let (path, name) = (path.display(), column.path());
                let text = format!("{path}: the column {name} is none of this program's tables");
                CliError::library(text)
            })
        });
        let columns = columns.collect::<Result<_, _>>()?;
        Ok(Self {
            path: path.to_path_buf(),
            reader,
            columns,
            group: 0,
            values: Vec::new(),
            rows: 0,
            row: 0,
        })
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Reads the next group; gives whether there was one.
    fn next_group(&mut self) -> Result<bool, ParquetError> {
        if self.group == self.reader.num_row_groups() {
            return Ok(false);
        }
        let group = self.reader.get_row_group(self.group)?;
        let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(usize::MAX);
        if rows > LARGEST_GROUP {
            let text = format!("a group of {rows} rows, more than {LARGEST_GROUP}");
            return Err(ParquetError::General(text));
        }
        let columns = self.columns.iter().enumerate();
        let read = |(at, column): (usize, &Column)| read_column(&*group, (at, column.kind), rows);
        self.values = columns.map(read).collect::<Result<_, _>>()?;
        (self.rows, self.row) = (rows, 0);
        self.group += 1;
        Ok(true)
    }
}

impl Iterator for ParquetRows {
    type Item = Result<Vec<Cell>, CliError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.row == self.rows {
            match self.next_group() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.group = self.reader.num_row_groups();
                    return Some(Err(failed(&self.path, &error)));
                }
            }
        }
        let row = self.row;
        self.row += 1;
        Some(Ok(self.values.iter().map(|v| v.get(row)).collect()))
    }
}

/// A column as this program writes them.
fn plain(column: &ColumnDescriptor) -> Option<Column> {
    let kind = match column.physical_type() {
        Physical::BYTE_ARRAY => ColumnKind::Text,
        Physical::INT64 => ColumnKind::Whole,
        Physical::FLOAT => ColumnKind::Number,
        Physical::DOUBLE => ColumnKind::Precise,
        _ => return None,
    };
    let flat = column.max_rep_level() == 0 && column.path().parts().len() == 1;
    let name = column.name();
    match column.max_def_level() {
        0 if flat => Some(Column::always(name, kind)),
        1 if flat => Some(Column::maybe(name, kind)),
        _ => None,
    }
}

fn read_column(
    group: &dyn RowGroupReader,
    (at, kind): (usize, ColumnKind),
    rows: usize,
) -> Result<Values, ParquetError> {
    let reader = group.get_column_reader(at)?;
    Ok(match kind {
        ColumnKind::Text => Values::Text(read_typed::<ByteArrayType>(reader, rows)?),
        ColumnKind::Whole => Values::Whole(read_typed::<Int64Type>(reader, rows)?),
        ColumnKind::Number => Values::Number(read_typed::<FloatType>(reader, rows)?),
        ColumnKind::Precise => Values::Precise(read_typed::<DoubleType>(reader, rows)?),
    })
}

/// As many values as the group has rows.
fn read_typed<T: DataType>(
    reader: ColumnReader,
    rows: usize,
) -> Result<Vec<Option<T::T>>, ParquetError> {
    let mut reader = get_typed_column_reader::<T>(reader);
    let (mut levels, mut present, mut read) = (Vec::new(), Vec::new(), 0);
    while read < rows {
        let (records, ..) =
            reader.read_records(rows - read, Some(&mut levels), None, &mut present)?;
        if records == 0 {
            return Err(ParquetError::EOF(format!(
                "{read} of {rows} rows are there"
            )));
        }
        read += records;
    }
    let mut present = present.into_iter();
    // Columns that are always there have no levels.
    if levels.is_empty() {
        return Ok(present.map(Some).collect());
    }
    let one = |level: &i16| (*level > 0).then(|| present.next()).flatten();
    Ok(levels.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::super::ParquetTable;
    use super::*;

    fn table(path: &Path, rows: i64) {
        let columns = vec![
            Column::always("time", ColumnKind::Precise),
            Column::maybe("face", ColumnKind::Whole),
            Column::maybe("jaw_drop", ColumnKind::Number),
            Column::maybe("error", ColumnKind::Text),
        ];
        let file = File::create(path).unwrap();
        let mut table = ParquetTable::begin(path, file, columns).unwrap();
        for number in 0..rows {
            table.row(row(number)).unwrap();
        }
        table.finish().unwrap();
    }

    fn row(number: i64) -> Vec<Cell> {
        let odd = number % 2 == 1;
        let choose = |cell| if odd { cell } else { Cell::Empty };
        vec![
            Cell::Precise(0.04 * number as f64),
            choose(Cell::Whole(number)),
            choose(Cell::Number(0.5)),
            choose(Cell::Text(format!("broken {number}"))),
        ]
    }

    #[test]
    fn rows_of_several_groups_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.parquet");
        table(&path, 20_000);
        let rows = ParquetRows::open(&path).unwrap();
        assert_eq!(rows.columns()[1], Column::maybe("face", ColumnKind::Whole));
        let mut count = 0;
        for (number, cells) in rows.enumerate() {
            assert_eq!(cells.unwrap(), row(number as i64));
            count += 1;
        }
        assert_eq!(count, 20_000);
    }

    #[test]
    fn a_cut_table_and_cells_of_another_kind_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.parquet");
        table(&path, 5);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        let error = ParquetRows::open(&path).err().unwrap().to_string();
        assert!(error.contains("table.parquet"), "{error}");
        let columns = vec![Column::always("time", ColumnKind::Precise)];
        let mut table = ParquetTable::begin(&path, File::create(&path).unwrap(), columns).unwrap();
        assert!(table.row(vec![Cell::Whole(1)]).is_err());
    }
}
