//! Weights of a linear layer, packed for the kernels.

use half::{bf16, f16};
use rayon::prelude::*;

use crate::buffer::Bytes;
use crate::format::{LANES, PanelLayout, encode, place_row, read_row, take_row};
use crate::{Format, KernelError, check_row, decode_row};

/// Rows of weights, one after the other, as they come from a file.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Rows<'a> {
    /// f32 numbers.
    F32(&'a [f32]),
    /// f16 numbers.
    F16(&'a [f16]),
    /// bf16 numbers.
    Bf16(&'a [bf16]),
    /// Rows as [`encode_row`](crate::encode_row) writes them.
    Encoded(Format, &'a [u8]),
}

impl Rows<'_> {
    /// How many rows there are.
    fn count(&self, columns: usize) -> Result<usize, KernelError> {
        let (found, row) = match self {
            Self::F32(numbers) => (numbers.len(), columns),
            Self::F16(numbers) => (numbers.len(), columns),
            Self::Bf16(numbers) => (numbers.len(), columns),
            Self::Encoded(format, bytes) => {
                let row = format.row_bytes(columns).unwrap_or(usize::MAX);
                (bytes.len(), row)
            }
        };
        match columns > 0 && found.is_multiple_of(row) {
            true => Ok(found / row),
            false => Err(KernelError::Size {
                what: "weights",
                found,
                expected: found.next_multiple_of(row.max(1)),
            }),
        }
    }

    /// A row in a format: as it stands where it is in that one, otherwise written to `room`.
    fn encoded<'a>(
        &'a self,
        (index, columns): (usize, usize),
        format: Format,
        (scratch, room): (&mut Vec<f32>, &'a mut [u8]),
    ) -> Result<&'a [u8], KernelError> {
        let range = index * columns..(index + 1) * columns;
        scratch.resize(columns, 0.0);
        match self {
            Self::Encoded(from, rows) => {
                let row = from.row_bytes(columns).unwrap_or(0);
                let row = &rows[index * row..(index + 1) * row];
                check_row(*from, columns, row).map_err(|error| error.at_row(index))?;
                if *from == format {
                    return Ok(row);
                }
                decode_row(*from, row, scratch)?;
            }
            Self::F32(numbers) => scratch.copy_from_slice(&numbers[range]),
            Self::F16(numbers) => {
                for (to, from) in scratch.iter_mut().zip(&numbers[range]) {
                    *to = from.to_f32();
                }
            }
            Self::Bf16(numbers) => {
                for (to, from) in scratch.iter_mut().zip(&numbers[range]) {
                    *to = from.to_f32();
                }
            }
        }
        encode(format, scratch, room).map_err(|unfit| unfit.at(index, format))?;
        Ok(room)
    }
}

/// A matrix of weights, `[rows, columns]`, packed for products with activations.
#[derive(Debug)]
pub struct Matrix {
    layout: PanelLayout,
    rows: usize,
    columns: usize,
    panel_bytes: usize,
    bytes: Bytes,
}

impl Matrix {
    /// Packs rows of `columns` numbers, those of several sources one below the other.
    ///
    /// # Errors
    ///
    /// [`KernelError::Size`] when a source is not whole rows or there are none,
    /// [`KernelError::Weight`] for a number that the format cannot hold, its row counted within
    /// its source, and [`KernelError::Memory`].
    pub fn pack(format: Format, columns: usize, sources: &[Rows<'_>]) -> Result<Self, KernelError> {
        let mut rows = 0_usize;
        for source in sources {
            rows = rows.saturating_add(source.count(columns)?);
        }
        let mut matrix = Self::zeroed(format, rows, columns)?;
        let mut start = 0;
        for source in sources {
            start += matrix.set_rows(start, *source)?;
        }
        Ok(matrix)
    }

    /// Packs rows in place of those from `start` on, and says how many they were. With
    /// [`zeroed`](Self::zeroed), sources can be read one after the other, each given back before
    /// the next.
    ///
    /// # Errors
    ///
    /// [`KernelError::Size`] when they are not whole rows or go beyond the last one,
    /// [`KernelError::Weight`] as for [`pack`](Self::pack); rows before the one at fault may have
    /// been written.
    pub fn set_rows(&mut self, start: usize, source: Rows<'_>) -> Result<usize, KernelError> {
        let (columns, format) = (self.columns, self.format());
        let count = source.count(columns)?;
        let room = self.rows.saturating_sub(start);
        if count > room {
            return Err(KernelError::Size {
                what: "weights",
                found: count * columns,
                expected: room * columns,
            });
        }
        let row_bytes = format.row_bytes(columns).unwrap_or(0);
        let (layout, end) = (self.layout, start + count);
        let fill = |(panel, bytes): (usize, &mut [u8])| {
            let mut scratch = Vec::new();
            let mut room = vec![0; row_bytes];
            for row in start.max(panel * LANES)..end.min((panel + 1) * LANES) {
                let room = (&mut scratch, &mut room[..]);
                let encoded = source.encoded((row - start, columns), format, room)?;
                place_row(layout, bytes, row % LANES, encoded);
            }
            Ok(())
        };
        let panels = self.bytes.as_mut_slice().par_chunks_mut(self.panel_bytes);
        (panels.enumerate().skip(start / LANES))
            .take(end.div_ceil(LANES).saturating_sub(start / LANES))
            .try_for_each(fill)?;
        Ok(count)
    }

    /// Rows of zeros.
    ///
    /// # Errors
    ///
    /// [`KernelError::Size`] without rows or columns, [`KernelError::TooLarge`] and
    /// [`KernelError::Memory`].
    pub fn zeroed(format: Format, rows: usize, columns: usize) -> Result<Self, KernelError> {
        if rows == 0 || columns == 0 {
            return Err(KernelError::Size {
                what: "weights",
                found: 0,
                expected: 1,
            });
        }
        let layout = PanelLayout::new(format, columns);
        let too_large = KernelError::TooLarge { rows, columns };
        let panel_bytes = layout.bytes().ok_or(too_large.clone())?;
        let total = panel_bytes.checked_mul(rows.div_ceil(LANES));
        // Numbers are also counted in products.
        let total = total.filter(|_| rows.checked_mul(columns).is_some());
        Ok(Self {
            layout,
            rows,
            columns,
            panel_bytes,
            bytes: Bytes::zeroed(total.ok_or(too_large)?)?,
        })
    }

    /// The format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.layout.format
    }

    /// Rows, which is the width of the output.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns, which is the width of the input.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes in memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.bytes.as_slice().len()
    }

    /// A row as it would stand in a file.
    ///
    /// # Panics
    ///
    /// When the row does not exist, or the room is not [`Format::row_bytes`].
    pub fn encoded_row(&self, index: usize, bytes: &mut [u8]) {
        assert!(index < self.rows, "row {index} of {}", self.rows);
        assert_eq!(self.format().row_bytes(self.columns), Some(bytes.len()));
        take_row(self.layout, self.panel(index / LANES), index % LANES, bytes);
    }

    /// A row as numbers, the same as [`decode_row`] makes of it. Takes no memory.
    ///
    /// # Panics
    ///
    /// When the row does not exist, or the room is not as wide as it.
    pub fn row(&self, index: usize, numbers: &mut [f32]) {
        assert!(index < self.rows, "row {index} of {}", self.rows);
        assert_eq!(numbers.len(), self.columns);
        read_row(
            self.layout,
            self.panel(index / LANES),
            index % LANES,
            numbers,
        );
    }

    pub(crate) fn layout(&self) -> PanelLayout {
        self.layout
    }

    pub(crate) fn panel_bytes(&self) -> usize {
        self.panel_bytes
    }

    pub(crate) fn panels(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    fn panel(&self, index: usize) -> &[u8] {
        &self.panels()[index * self.panel_bytes..][..self.panel_bytes]
    }
}
