//! The keys and values at the beginning of a file.

use std::collections::BTreeMap;

use super::reader::Reader;

/// Lists inside lists; no published file has any.
const MAX_DEPTH: u32 = 4;

/// A value; texts and lists stay in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(&'a [u8]),
    List(List<'a>),
}

impl<'a> Value<'a> {
    fn read(reader: &mut Reader<'a>, kind: u32, depth: u32) -> Result<Self, String> {
        Ok(match kind {
            0 => Self::Unsigned(reader.u8()?.into()),
            1 => Self::Signed(reader.u8()?.cast_signed().into()),
            2 => Self::Unsigned(reader.u16()?.into()),
            3 => Self::Signed(reader.u16()?.cast_signed().into()),
            4 => Self::Unsigned(reader.u32()?.into()),
            5 => Self::Signed(reader.u32()?.cast_signed().into()),
            6 => Self::Float(f32::from_bits(reader.u32()?).into()),
            7 => Self::Bool(reader.u8()? != 0),
            8 => Self::Text(reader.text()?),
            9 => Self::List(List::read(reader, depth)?),
            10 => Self::Unsigned(reader.u64()?),
            11 => Self::Signed(reader.u64()?.cast_signed()),
            12 => Self::Float(f64::from_bits(reader.u64()?)),
            other => return Err(format!("values of the unknown type {other}")),
        })
    }

    fn unsigned(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(number) => Some(number),
            Self::Signed(number) => number.try_into().ok(),
            _ => None,
        }
    }

    /// The number of a value of any numeric type.
    pub(super) fn number(&self) -> Option<f64> {
        match *self {
            Self::Unsigned(number) => Some(number as f64),
            Self::Signed(number) => Some(number as f64),
            Self::Float(number) => Some(number),
            _ => None,
        }
    }
}

/// Values of one type, looked through when the file is opened and read when they are needed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct List<'a> {
    kind: u32,
    count: u64,
    bytes: &'a [u8],
}

impl<'a> List<'a> {
    fn read(reader: &mut Reader<'a>, depth: u32) -> Result<Self, String> {
        if depth == MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} lists inside each other"));
        }
        let (kind, count) = (reader.u32()?, reader.u64()?);
        let mut end = reader.clone();
        match fixed_size(kind) {
            Some(size) => drop(end.take(count.saturating_mul(size))?),
            // A value takes at least one byte, so a lying count ends with the file.
            None => {
                for _ in 0..count {
                    Value::read(&mut end, kind, depth + 1)?;
                }
            }
        }
        let bytes = reader.take((end.position() - reader.position()) as u64)?;
        Ok(Self { kind, count, bytes })
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        // Each takes a byte of the file at least.
        self.count as usize
    }

    /// The values in order.
    pub(super) fn values(&self) -> impl Iterator<Item = Value<'a>> {
        let mut reader = Reader::new(self.bytes);
        let kind = self.kind;
        (0..self.count).map_while(move |_| Value::read(&mut reader, kind, 0).ok())
    }
}

/// Bytes of a value of this type; `None` when they differ.
fn fixed_size(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// All keys with their values.
#[derive(Debug, Clone, Default)]
pub(super) struct Metadata<'a>(BTreeMap<&'a str, Value<'a>>);

impl<'a> Metadata<'a> {
    pub(super) fn read(reader: &mut Reader<'a>, count: u64) -> Result<Self, String> {
        let mut values = BTreeMap::new();
        for _ in 0..count {
            let key = reader.name()?;
            let kind = reader.u32()?;
            let value =
                Value::read(reader, kind, 0).map_err(|fault| format!("key {key:?}: {fault}"))?;
            if values.insert(key, value).is_some() {
                return Err(format!("the key {key:?} is there twice"));
            }
        }
        Ok(Self(values))
    }

    /// A count or an id.
    pub(super) fn unsigned(&self, key: &str) -> Result<Option<u64>, String> {
        self.expect(key, "a count", Value::unsigned)
    }

    /// A finite number of any type.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, String> {
        self.expect(key, "a finite number", |value| {
            value.number().filter(|number| number.is_finite())
        })
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        self.expect(key, "a text", |value| match value {
            Value::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        })
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, String> {
        self.expect(key, "a switch", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    pub(super) fn list(&self, key: &str) -> Result<Option<&List<'a>>, String> {
        self.0
            .get(key)
            .map(|value| match value {
                Value::List(list) => Ok(list),
                _ => Err(format!("the key {key:?} holds no list")),
            })
            .transpose()
    }

    fn expect<T>(
        &self,
        key: &str,
        what: &str,
        read: impl Fn(&Value<'a>) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let value = self.0.get(key);
        value
            .map(|value| read(value).ok_or_else(|| format!("the key {key:?} is not {what}")))
            .transpose()
    }
}
