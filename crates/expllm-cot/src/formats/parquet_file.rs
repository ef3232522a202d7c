//! Parquet: one flat column per key, one per unit.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use expllm_core::ActionUnit;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int64Type};
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

/// The text columns, in order; the whole numbers follow, then units as `au_left_eye_close` and so
/// on. `findings` holds JSON.
const TEXTS: [&str; 10] = [
    "file_name",
    "emo",
    "description",
    "status",
    "writer",
    "model",
    "prompt_hash",
    "input",
    "findings",
    "error",
];

/// The columns of whole numbers, in order.
const NUMBERS: [&str; 4] = ["index", "attempts", "prompt_tokens", "completion_tokens"];

/// Rows of a file that this module or another tool with the same columns wrote.
pub(super) fn read(path: &Path) -> Result<impl Iterator<Item = Row> + Send + use<>, CotError> {
    let file = File::open(path).map_err(|e| CotError::file(path, e))?;
    let reader = SerializedFileReader::new(file).map_err(|e| CotError::parquet(path, e))?;
    check_codecs(&reader).map_err(|e| CotError::parquet(path, e))?;
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

/// Refuses a file before its first row where a column cannot be unpacked.
fn check_codecs(reader: &SerializedFileReader<File>) -> Result<(), ParquetError> {
    let unread = |codec| matches!(codec, Compression::LZO | Compression::BROTLI(_));
    let groups = reader.metadata().row_groups().iter();
    let mut columns = groups.flat_map(|group| group.columns());
    match columns.find(|column| unread(column.compression())) {
        Some(column) => Err(ParquetError::NYI(format!(
            "column {} is compressed with {}; write the file again with snappy or zstd",
            column.column_path(),
            column.compression()
        ))),
        None => Ok(()),
    }
}

/// As many rows as the group has; where it breaks off, the rest are errors.
fn read_group(
    reader: &SerializedFileReader<File>,
    group: usize,
) -> Vec<Result<ParquetRow, String>> {
    let count = reader.metadata().row_group(group).num_rows();
    let count = usize::try_from(count).unwrap_or_default();
    let mut rows = Vec::new();
    let read = reader.get_row_group(group).and_then(|group| {
        for row in group.get_row_iter(None)? {
            rows.push(Ok(row?));
        }
        Ok(())
    });
    if let Err(error) = read {
        let missing = count.saturating_sub(rows.len()).max(1);
        rows.extend(std::iter::repeat_n(Err(error.to_string()), missing));
    }
    rows
}

/// The row as the JSON object that it would be in a file of lines.
fn to_json(row: &ParquetRow) -> Value {
    let (mut object, mut units, mut usage) = (Map::new(), Map::new(), Map::new());
    for (name, field) in row.get_column_iter() {
        match (name.strip_prefix("au_"), field) {
            (Some(unit), Field::Float(value)) => {
                units.insert(unit.to_owned(), Value::from(*value));
            }
            (Some(unit), Field::Double(value)) => {
                units.insert(unit.to_owned(), Value::from(*value));
            }
            (None, Field::Str(text)) if name == "findings" => {
                let findings = serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into());
                object.insert(name.clone(), findings);
            }
            (None, Field::Str(text)) => {
                object.insert(name.clone(), Value::from(text.as_str()));
            }
            (None, Field::Long(number)) => {
                let tokens = name.ends_with("_tokens");
                let into = if tokens { &mut usage } else { &mut object };
                into.insert(name.clone(), Value::from(*number));
            }
            _ => {}
        }
    }
    if !usage.is_empty() {
        object.insert("usage".into(), Value::Object(usage));
    }
    if !units.is_empty() {
        object.insert("au".into(), in_order(units));
    }
    Value::Object(object)
}

/// The units of FEAFA and no other as a list in AU order; others by name.
fn in_order(units: Map<String, Value>) -> Value {
    let all: Option<Vec<_>> = ActionUnit::FEAFA
        .iter()
        .map(|unit| units.get(unit.snake_case()).cloned())
        .collect();
    match all {
        Some(list) if list.len() == units.len() => Value::Array(list),
        _ => Value::Object(units),
    }
}

fn schema() -> Result<Arc<Type>, ParquetError> {
    let text = |name| {
        Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
            .with_logical_type(Some(LogicalType::String))
            .with_repetition(Repetition::OPTIONAL)
            .build()
    };
    let number = |name| {
        Type::primitive_type_builder(name, Physical::INT64)
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
    for name in NUMBERS {
        fields.push(Arc::new(number(name)?));
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
        .set_compression(Compression::SNAPPY)
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
        write_column::<ByteArrayType>(columns, group, |record| text_of(record, name))?;
    }
    for name in NUMBERS {
        write_column::<Int64Type>(columns, group, |record| number_of(record, name))?;
    }
    for unit in ActionUnit::ALL {
        write_column::<FloatType>(columns, group, |record| Some(record.au?.get(unit)?.get()))?;
    }
    Ok(())
}

fn write_column<T: DataType>(
    columns: &mut SerializedRowGroupWriter<'_, File>,
    group: &[BuiltRecord],
    value: impl Fn(&BuiltRecord) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let values: Vec<_> = group.iter().map(value).collect();
    let levels: Vec<i16> = values.iter().map(|v| i16::from(v.is_some())).collect();
    let present: Vec<_> = values.into_iter().flatten().collect();
    if let Some(mut column) = columns.next_column()? {
        let typed = column.typed::<T>();
        typed.write_batch(&present, Some(&levels), None)?;
        column.close()?;
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
        "model" => record.model.as_deref(),
        "prompt_hash" => record.prompt_hash.as_deref(),
        "input" => record.input.as_deref(),
        "error" => record.error.as_deref(),
        _ if record.findings.is_empty() => None,
        _ => {
            let findings = serde_json::to_string(&record.findings).ok()?;
            return Some(findings.as_str().into());
        }
    };
    text.map(ByteArray::from)
}

/// Numbers above 2^63 are left out; none of these can be that large.
fn number_of(record: &BuiltRecord, column: &str) -> Option<i64> {
    let number = match column {
        "index" => record.index,
        "attempts" => u64::from(record.attempts),
        "prompt_tokens" => record.usage.prompt_tokens,
        _ => record.usage.completion_tokens,
    };
    i64::try_from(number).ok()
}
