//! What stands before the numbers of a GGUF file: magic, version, metadata, directory of tensors.
//!
//! The layout is that of `docs/gguf.md` in ggml (MIT), versions 2 and 3, little endian.

use std::collections::BTreeSet;

use super::blocks::{Number, number};
use super::metadata::Metadata;
use super::reader::Reader;
use crate::TensorInfo;
use crate::checkpoint::weight_file::{Directory, Entry};

/// A 70B model has about a thousand tensors and a few dozen keys.
const MAX_COUNT: u64 = 1 << 16;

/// More axes than any tensor of ggml has.
const MAX_AXES: u32 = 4;

/// Bytes to which tensors are aligned unless the file says otherwise.
const ALIGNMENT: u64 = 32;

/// More than a page of any machine.
const MAX_ALIGNMENT: u64 = 1 << 20;

/// Everything before the numbers.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) metadata: Metadata<'a>,
    pub(super) directory: Directory,
}

impl<'a> Header<'a> {
    /// Reads the header and checks that every tensor lies inside the file on its own.
    pub(super) fn read(file: &'a [u8]) -> Result<Self, String> {
        let mut reader = Reader::new(file);
        if !file.starts_with(b"GGUF") {
            return Err("not a GGUF file: it does not begin with the letters GGUF".into());
        }
        reader.take(4)?;
        let version = reader.u32()?;
        if version.swap_bytes() == 2 || version.swap_bytes() == 3 {
            return Err("the numbers are big endian; convert the file on another machine".into());
        }
        if version != 2 && version != 3 {
            return Err(format!(
                "version {version} of GGUF; 2 and 3 can be read, so convert the model again"
            ));
        }
        let (tensors, keys) = (reader.u64()?, reader.u64()?);
        for (what, count) in [("tensors", tensors), ("keys", keys)] {
            if count > MAX_COUNT {
                return Err(format!("{count} {what}; {MAX_COUNT} can be read"));
            }
        }
        let metadata = Metadata::read(&mut reader, keys)?;
        let records = (0..tensors)
            .map(|_| Record::read(&mut reader))
            .collect::<Result<Vec<_>, _>>()?;
        let alignment = alignment(&metadata)?;
        let start = (reader.position() as u64).next_multiple_of(alignment);
        let directory = place(&records, start, alignment, file.len())?;
        Ok(Self {
            metadata,
            directory,
        })
    }
}

fn alignment(metadata: &Metadata<'_>) -> Result<u64, String> {
    match metadata.unsigned("general.alignment")? {
        None => Ok(ALIGNMENT),
        Some(bytes) if bytes.is_power_of_two() && bytes <= MAX_ALIGNMENT => Ok(bytes),
        Some(other) => Err(format!(
            "tensors aligned to {other} bytes, which is no power of two"
        )),
    }
}

/// A tensor as the directory lists it.
struct Record<'a> {
    name: &'a str,
    /// Outermost axis first; the file has them the other way round.
    shape: Vec<usize>,
    number: Number,
    /// First byte after the directory.
    offset: u64,
}

impl<'a> Record<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, String> {
        let name = reader.name()?;
        let fault = |reason: String| format!("tensor {name:?}: {reason}");
        let axes = reader.u32()?;
        if !(1..=MAX_AXES).contains(&axes) {
            return Err(fault(format!("{axes} axes; 1 to {MAX_AXES} can be read")));
        }
        let mut shape = (0..axes)
            .map(|_| reader.u64())
            .collect::<Result<Vec<_>, _>>()
            .map_err(fault)?;
        shape.reverse();
        let shape = shape
            .into_iter()
            .map(|axis| usize::try_from(axis).ok().filter(|&axis| axis > 0))
            .collect::<Option<Vec<_>>>();
        let shape = shape.ok_or_else(|| fault("an axis of no length".into()))?;
        Ok(Self {
            name,
            shape,
            number: number(reader.u32().map_err(fault)?).map_err(fault)?,
            offset: reader.u64().map_err(fault)?,
        })
    }

    /// Bytes in the file; `None` when they cannot be counted or a block would span two rows.
    fn bytes(&self) -> Option<usize> {
        let (columns, rows) = self.shape.split_last()?;
        let rows = rows
            .iter()
            .try_fold(1_usize, |product, &axis| product.checked_mul(axis))?;
        // What is decoded must be countable too.
        rows.checked_mul(*columns)?.checked_mul(size_of::<f32>())?;
        self.number.row_bytes(*columns)?.checked_mul(rows)
    }

    fn entry(&self, start: u64, alignment: u64, length: usize) -> Result<Entry, String> {
        if !self.offset.is_multiple_of(alignment) {
            return Err(format!("does not begin at a multiple of {alignment} bytes"));
        }
        let bytes = self.bytes().ok_or_else(|| {
            let shape = &self.shape;
            format!("{shape:?} numbers cannot be {:?}", self.number)
        })?;
        let start = start
            .checked_add(self.offset)
            .and_then(|start| usize::try_from(start).ok());
        let start = start.filter(|start| start.checked_add(bytes).is_some_and(|end| end <= length));
        let start = start.ok_or_else(|| {
            format!(
                "{bytes} bytes at {} are more than the file has; copy or download it again",
                self.offset
            )
        })?;
        Ok(Entry {
            info: TensorInfo {
                shape: self.shape.clone(),
                dtype: self.number.dtype(),
            },
            start,
            bytes,
            blocks: self.number.blocks(),
        })
    }
}

fn place(
    records: &[Record<'_>],
    start: u64,
    alignment: u64,
    length: usize,
) -> Result<Directory, String> {
    let mut directory = Directory::new();
    let mut places = BTreeSet::new();
    for record in records {
        let fault = |reason: String| format!("tensor {:?}: {reason}", record.name);
        let entry = record.entry(start, alignment, length).map_err(fault)?;
        places.insert((entry.start, entry.bytes, record.name));
        if directory.insert(record.name.to_owned(), entry).is_some() {
            return Err(fault("is there twice".into()));
        }
    }
    let mut end = 0;
    for (start, bytes, name) in places {
        if start < end {
            return Err(format!("tensor {name:?}: lies over another one"));
        }
        end = start + bytes;
    }
    Ok(directory)
}
