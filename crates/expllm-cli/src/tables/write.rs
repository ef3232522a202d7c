//! Writing Parquet.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArrayType, DataType, DoubleType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use super::cell::Values;
use super::{Cell, Column, ColumnKind, failed};
use crate::CliError;
use crate::faces::{Found, Output};
use crate::outputs::Kind;

/// Rows of a group, which bounds the memory.
const GROUP: usize = 8192;

/// A table that is written group by group. It can be read once it is finished.
pub struct ParquetTable {
    path: PathBuf,
    writer: SerializedFileWriter<File>,
    columns: Vec<Column>,
    values: Vec<Values>,
    rows: usize,
}

impl ParquetTable {
    /// Makes or empties the file, which must be none of the inputs.
    ///
    /// # Errors
    ///
    /// [`CliError::Usage`] without a file, since the standard output cannot hold such a table.
    pub fn open(
        out: Option<&Path>,
        columns: Vec<Column>,
        inputs: &[Found],
    ) -> Result<Self, CliError> {
        let Some(path) = out else {
            let text = "--format parquet writes a file; name it by --out";
            return Err(CliError::Usage(text.to_owned()));
        };
        Self::begin(path, Output::file(path, Kind::Parquet, inputs)?, columns)
    }

    /// Begins a table in an empty file.
    pub fn begin(path: &Path, file: File, columns: Vec<Column>) -> Result<Self, CliError> {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
        let schema = schema(&columns).map_err(|error| failed(path, &error))?;
        let writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build()));
        Ok(Self {
            path: path.to_path_buf(),
            writer: writer.map_err(|error| failed(path, &error))?,
            values: columns.iter().map(|c| Values::new(c.kind)).collect(),
            columns,
            rows: 0,
        })
    }

    /// Adds a row with a cell for each column.
    pub fn row(&mut self, cells: Vec<Cell>) -> Result<(), CliError> {
        for ((column, values), cell) in self.columns.iter().zip(&mut self.values).zip(cells) {
            if !values.push(cell) {
                let (path, name) = (self.path.display(), &column.name);
                let text = format!("{path}: the column {name} holds values of another kind");
                return Err(CliError::library(text));
            }
        }
        self.rows += 1;
        match self.rows {
            GROUP => self.write_group(),
            _ => Ok(()),
        }
    }

    fn write_group(&mut self) -> Result<(), CliError> {
        let values = &mut self.values;
        let written = self.writer.next_row_group().and_then(|mut group| {
            values
                .iter()
                .try_for_each(|values| write_column(&mut group, values))?;
            group.close().map(drop)
        });
        values.iter_mut().for_each(Values::clear);
        self.rows = 0;
        written.map_err(|error| failed(&self.path, &error))
    }

    /// Writes what is left, and where everything is.
    pub fn finish(mut self) -> Result<(), CliError> {
        if self.rows > 0 {
            self.write_group()?;
        }
        let closed = self.writer.close();
        closed.map(drop).map_err(|error| failed(&self.path, &error))
    }
}

fn schema(columns: &[Column]) -> Result<Arc<Type>, ParquetError> {
    let field = |column: &Column| {
        let (physical, logical) = match column.kind {
            ColumnKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            ColumnKind::Whole => (Physical::INT64, None),
            ColumnKind::Number => (Physical::FLOAT, None),
            ColumnKind::Precise => (Physical::DOUBLE, None),
        };
        let repetition = match column.always {
            true => Repetition::REQUIRED,
            false => Repetition::OPTIONAL,
        };
        let field = Type::primitive_type_builder(&column.name, physical);
        let field = field.with_repetition(repetition);
        field.with_logical_type(logical).build().map(Arc::new)
    };
    let fields = columns.iter().map(field).collect::<Result<_, _>>()?;
    let schema = Type::group_type_builder("expllm").with_fields(fields);
    schema.build().map(Arc::new)
}

type Group<'a> = SerializedRowGroupWriter<'a, File>;

fn write_column(group: &mut Group<'_>, values: &Values) -> Result<(), ParquetError> {
    match values {
        Values::Text(all) => write_typed::<ByteArrayType>(group, all),
        Values::Whole(all) => write_typed::<Int64Type>(group, all),
        Values::Number(all) => write_typed::<FloatType>(group, all),
        Values::Precise(all) => write_typed::<DoubleType>(group, all),
    }
}

/// Writes a column; those that must be there ignore the levels.
fn write_typed<T: DataType>(
    group: &mut Group<'_>,
    values: &[Option<T::T>],
) -> Result<(), ParquetError> {
    let levels: Vec<i16> = values.iter().map(|v| i16::from(v.is_some())).collect();
    let present: Vec<_> = values.iter().flatten().cloned().collect();
    if let Some(mut column) = group.next_column()? {
        column
            .typed::<T>()
            .write_batch(&present, Some(&levels), None)?;
        column.close()?;
    }
    Ok(())
}
