//! Just enough of the protobuf wire format to read a sentencepiece model.
//!
//! Lengths are checked against the bytes at hand before anything is taken, groups and unknown
//! wire types are refused, and nothing recurses.

use super::SentencePieceFault;

/// The value of one field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1; nothing that is read here has this type.
    Fixed64,
    /// Wire type 2: text, bytes or a message.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32([u8; 4]),
}

/// The fields of one message, in file order.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    read: usize,
}

impl<'a> Fields<'a> {
    /// Reads a message.
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self {
            rest: message,
            read: 0,
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], SentencePieceFault> {
        let (head, tail) = self
            .rest
            .split_at_checked(count)
            .ok_or(SentencePieceFault::Truncated { at: self.read })?;
        self.rest = tail;
        self.read += count;
        Ok(head)
    }

    fn varint(&mut self) -> Result<u64, SentencePieceFault> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(SentencePieceFault::Wire { at: self.read })
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), SentencePieceFault> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Fixed64
            }
            2 => {
                let length = usize::try_from(self.varint()?)
                    .map_err(|_| SentencePieceFault::Truncated { at: self.read })?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                let bytes = self.take(4)?;
                Value::Fixed32([bytes[0], bytes[1], bytes[2], bytes[3]])
            }
            _ => return Err(SentencePieceFault::Wire { at: self.read }),
        };
        Ok((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), SentencePieceFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wire_type_is_read() {
        let message = [
            0x08, 0x96, 0x01, // 1: varint 150
            0x12, 0x02, b'h', b'i', // 2: bytes
            0x1d, 0, 0, 0x80, 0x3f, // 3: 1.0
            0x21, 0, 0, 0, 0, 0, 0, 0, 0, // 4: fixed64
        ];
        let fields: Result<Vec<_>, _> = Fields::new(&message).collect();
        let one = Value::Fixed32(1.0_f32.to_le_bytes());
        assert_eq!(
            fields,
            Ok(vec![
                (1, Value::Varint(150)),
                (2, Value::Bytes(b"hi")),
                (3, one),
                (4, Value::Fixed64)
            ])
        );
    }

    #[test]
    fn lengths_beyond_the_file_are_refused() {
        let huge = [0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert!(matches!(
            Fields::new(&huge).next(),
            Some(Err(SentencePieceFault::Truncated { .. }))
        ));
        let endless = [0xff; 32];
        assert!(matches!(
            Fields::new(&endless).next(),
            Some(Err(SentencePieceFault::Wire { .. }))
        ));
    }
}
