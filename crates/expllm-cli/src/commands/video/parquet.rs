//! Rows in columns.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expllm_video::FrameReading;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use super::rows::{Person, error_of};
use crate::CliError;
use crate::commands::au;

/// Rows of a group, which bounds the memory.
const GROUP: usize = 8192;

/// A row as it is stored.
struct Row {
    time: f64,
    frame: i64,
    person: Option<i64>,
    file: String,
    face: Option<i64>,
    numbers: Vec<Option<f32>>,
    error: Option<String>,
}

/// A table that is written group by group. It can be read once it is finished.
pub struct ParquetTable {
    path: PathBuf,
    writer: SerializedFileWriter<File>,
    rows: Vec<Row>,
}

impl ParquetTable {
    /// Begins a table in an empty file.
    pub fn begin(path: &Path, file: File) -> Result<Self, CliError> {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
        let schema = schema().map_err(|error| failed(path, &error))?;
        let writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build()));
        Ok(Self {
            path: path.to_path_buf(),
            writer: writer.map_err(|error| failed(path, &error))?,
            rows: Vec::new(),
        })
    }

    /// Adds a row.
    pub fn row(
        &mut self,
        file: &str,
        frame: &FrameReading,
        person: Person<'_>,
    ) -> Result<(), CliError> {
        let reading = person.and_then(|(_, (_, face))| face.as_ref().ok());
        let unread = || vec![None; au::number_names().len()];
        self.rows.push(Row {
            time: frame.time,
            frame: frame.number as i64,
            person: person.map(|(_, (number, _))| i64::from(*number)),
            file: file.to_owned(),
            face: person.map(|(index, _)| index as i64),
            numbers: reading.map_or_else(unread, au::values),
            error: error_of(frame, person),
        });
        match self.rows.len() {
            GROUP.. => self.write_group(),
            _ => Ok(()),
        }
    }

    fn write_group(&mut self) -> Result<(), CliError> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let group = self.writer.next_row_group();
        let written = group.and_then(|mut group| {
            write_columns(&mut group, &rows)?;
            group.close().map(drop)
        });
        written.map_err(|error| failed(&self.path, &error))
    }

    /// Writes what is left, and where everything is.
    pub fn finish(mut self) -> Result<(), CliError> {
        self.write_group()?;
        let closed = self.writer.close();
        closed.map(drop).map_err(|error| failed(&self.path, &error))
    }
}

fn failed(path: &Path, error: &ParquetError) -> CliError {
    CliError::library(format!("{}: {error}", path.display()))
}

/// The columns of the table in lines.
fn schema() -> Result<Arc<Type>, ParquetError> {
    let column = |name: &str, physical, repetition| {
        let text = matches!(physical, Physical::BYTE_ARRAY).then_some(LogicalType::String);
        let column = Type::primitive_type_builder(name, physical).with_repetition(repetition);
        column.with_logical_type(text).build().map(Arc::new)
    };
    let (always, maybe) = (Repetition::REQUIRED, Repetition::OPTIONAL);
    let mut fields = vec![
        column("time", Physical::DOUBLE, always)?,
        column("frame", Physical::INT64, always)?,
        column("person", Physical::INT64, maybe)?,
        column("file", Physical::BYTE_ARRAY, always)?,
        column("face", Physical::INT64, maybe)?,
    ];
    for name in au::number_names() {
        fields.push(column(&name, Physical::FLOAT, maybe)?);
    }
    fields.push(column("error", Physical::BYTE_ARRAY, maybe)?);
    let schema = Type::group_type_builder("expllm_video").with_fields(fields);
    schema.build().map(Arc::new)
}

type Group<'a> = SerializedRowGroupWriter<'a, File>;

fn write_columns(group: &mut Group<'_>, rows: &[Row]) -> Result<(), ParquetError> {
    write_column::<DoubleType>(group, rows, |row| Some(row.time))?;
    write_column::<Int64Type>(group, rows, |row| Some(row.frame))?;
    write_column::<Int64Type>(group, rows, |row| row.person)?;
    write_column::<ByteArrayType>(group, rows, |row| Some(bytes(&row.file)))?;
    write_column::<Int64Type>(group, rows, |row| row.face)?;
    for column in 0..au::number_names().len() {
        write_column::<FloatType>(group, rows, |row| row.numbers[column])?;
    }
    write_column::<ByteArrayType>(group, rows, |row| row.error.as_deref().map(bytes))
}

fn bytes(text: &str) -> ByteArray {
    text.into()
}

/// Writes a column; those that must be there ignore the levels.
fn write_column<T: DataType>(
    group: &mut Group<'_>,
    rows: &[Row],
    value: impl Fn(&Row) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let values: Vec<_> = rows.iter().map(value).collect();
    let levels: Vec<i16> = values.iter().map(|v| i16::from(v.is_some())).collect();
    let present: Vec<_> = values.into_iter().flatten().collect();
    if let Some(mut column) = group.next_column()? {
        column
            .typed::<T>()
            .write_batch(&present, Some(&levels), None)?;
        column.close()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;

    #[test]
    fn rows_come_back_with_their_columns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.parquet");
        let mut table = ParquetTable::begin(&path, File::create(&path).unwrap()).unwrap();
        for number in 0..3 {
            let frame = FrameReading {
                number,
                time: 0.04 * number as f64,
                photo: None,
                people: Vec::new(),
                error: (number == 1).then(|| "broken".to_owned()),
                tracker: None,
            };
            table.row("a.mp4", &frame, None).unwrap();
        }
        table.finish().unwrap();
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let columns = reader
            .metadata()
            .file_metadata()
            .schema_descr()
            .num_columns();
        assert_eq!(columns, 3 + au::header().len());
        let rows: Vec<_> = reader
            .get_row_iter(None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rows.len(), 3);
        let columns: Vec<_> = rows[1].get_column_iter().collect();
        let of = |name: &str| columns.iter().find(|(own, _)| *own == name).unwrap().1;
        assert_eq!(of("frame"), &Field::Long(1));
        assert_eq!(of("error"), &Field::Str("broken".to_owned()));
        assert_eq!([of("person"), of("jaw_drop")], [&Field::Null; 2]);
    }
}
