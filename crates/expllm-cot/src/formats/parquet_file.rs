//! Parquet: one flat column per key, one per unit.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use expllm_core::ActionUnit;
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::record::{Field, Row as ParquetRow};
use parquet::schema::types::Type;
use serde_json::{Map, Value};

use super::Row;
use crate::{BuiltRecord, CotError, CotRecord};

/// Rows per row group: bounds the memory of the writer.
const GROUP: usize = 8192;

/// The text columns, in order; units follow as `au_left_eye_close` and so on.
const TEXTS: [&str; 6] = [
    "file_name",
    "emo",
    "description",
    "status",
    "writer",
    "model",
];

/// Rows of a file that this module or another tool with the same columns wrote.
pub(super) fn read(path: &Path) -> Result<impl Iterator<Item = Row> + Send + use<>, CotError> {
    let file = File::open(path).map_err(|e| CotError::file(path, e))?;
    let reader = SerializedFileReader::new(file).map_err(|e| CotError::parquet(path, e))?;
    let mut rows = Vec::new();
    // The row iterator of the crate borrows the reader; one group at a time keeps memory bounded.
    let groups = reader.num_row_groups();
    let mut group = 0;
    let mut line = 0;
    Ok(std::iter::from_fn(move || {
        while rows.is_empty() && group < groups {
            rows = read_group(&reader, group);
            rows.reverse();
            group += 1;
        }
        let record = rows.pop()?;
        line += 1;
        let (raw, record) = match record {
            Ok(row) => {
                let raw = to_json(&row);
                let record = CotRecord::from_json(&raw);
                (raw, record)
            }
            Err(reason) => (Value::Null, Err(reason)),
        };
        Some(Row { line, record, raw })
    }))
}

fn read_group(
    reader: &SerializedFileReader<File>,
    group: usize,
) -> Vec<Result<ParquetRow, String>> {
    let rows = reader.get_row_group(group).and_then(|group| {
        let rows = group.get_row_iter(None)?;
        Ok(rows.map(|row| row.map_err(|e| e.to_string())).collect())
    });
    rows.unwrap_or_else(|e| vec![Err(e.to_string())])
}

fn to_json(row: &ParquetRow) -> Value {
    let mut object = Map::new();
    let mut units = Map::new();
    for (name, field) in row.get_column_iter() {
        match (name.strip_prefix("au_"), field) {
            (Some(unit), Field::Float(value)) => {
                units.insert(unit.to_owned(), Value::from(*value));
            }
            (None, Field::Str(text)) => {
                object.insert(name.clone(), Value::from(text.as_str()));
            }
            _ => {}
        }
    }
    if !units.is_empty() {
        object.insert("au".into(), Value::Object(units));
    }
    Value::Object(object)
}

fn schema() -> Result<Arc<Type>, ParquetError> {
    let text = |name| {
        Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
            .with_logical_type(Some(LogicalType::String))
            .with_repetition(Repetition::OPTIONAL)
            .build()
    };
    let unit = |unit: ActionUnit| {
        Type::primitive_type_builder(&format!("au_{}", unit.snake_case()), Physical::FLOAT)
            .with_repetition(Repetition::OPTIONAL)
            .build()
    };
    let mut fields = Vec::new();
    for name in TEXTS {
        fields.push(Arc::new(text(name)?));
    }
    for each in ActionUnit::ALL {
        fields.push(Arc::new(unit(each)?));
    }
    let schema = Type::group_type_builder("expllm_cot")
        .with_fields(fields)
        .build()?;
    Ok(Arc::new(schema))
}

/// Writes records group by group.
pub(super) fn write(
    path: &Path,
    records: &mut dyn Iterator<Item = Result<BuiltRecord, CotError>>,
) -> Result<u64, CotError> {
    let wrong = |e| CotError::parquet(path, e);
    let file = File::create(path).map_err(|e| CotError::file(path, e))?;
    let properties = WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let schema = schema().map_err(wrong)?;
    let mut writer =
        SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(wrong)?;
    let mut count = 0;
    loop {
        let group: Vec<_> = records.take(GROUP).collect::<Result<_, _>>()?;
        if group.is_empty() {
            break;
        }
        count += group.len() as u64;
        let mut columns = writer.next_row_group().map_err(wrong)?;
        write_group(&mut columns, &group).map_err(wrong)?;
        columns.close().map_err(wrong)?;
    }
    writer.close().map_err(wrong)?;
    Ok(count)
}

fn write_group(
    columns: &mut SerializedRowGroupWriter<'_, File>,
    group: &[BuiltRecord],
) -> Result<(), ParquetError> {
    for name in TEXTS {
        let values: Vec<_> = group.iter().map(|record| text_of(record, name)).collect();
        let levels: Vec<i16> = values.iter().map(|v| i16::from(v.is_some())).collect();
        let present: Vec<_> = values.into_iter().flatten().collect();
        if let Some(mut column) = columns.next_column()? {
            let typed = column.typed::<ByteArrayType>();
            typed.write_batch(&present, Some(&levels), None)?;
            column.close()?;
        }
    }
    for unit in ActionUnit::ALL {
        let value = |record: &BuiltRecord| record.au.as_ref()?.get(unit.index()).copied();
        let levels: Vec<i16> = group
            .iter()
            .map(|r| i16::from(value(r).is_some()))
            .collect();
        let present: Vec<f32> = group.iter().filter_map(value).collect();
        if let Some(mut column) = columns.next_column()? {
            column
                .typed::<FloatType>()
                .write_batch(&present, Some(&levels), None)?;
            column.close()?;
        }
    }
    Ok(())
}

fn text_of(record: &BuiltRecord, column: &str) -> Option<ByteArray> {
    let text = match column {
        "file_name" => Some(record.file_name.as_str()),
        "emo" => record.emo.map(|e| e.name()),
        "description" => record.description.as_deref(),
        "status" => Some(record.status.name()),
        "writer" => Some(record.writer.as_str()),
        _ => record.model.as_deref(),
    };
    text.map(ByteArray::from)
}
