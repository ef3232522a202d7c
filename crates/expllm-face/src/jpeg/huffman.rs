//! The entropy-coded data of a sequential scan, followed code by code.

use super::{CODE, CUT, Damage, MORE, RESTART, next_marker};

/// Follows the blocks of a sequential scan; how many bytes they have.
pub(super) fn follow(
    data: &[u8],
    tables: &[(&Table, &Table, usize)],
    units: usize,
    restart: usize,
) -> Result<usize, Damage> {
    let mut bits = Bits::new(data);
    for unit in 0..units {
        if restart > 0 && unit > 0 && unit.is_multiple_of(restart) {
            bits.restart((unit / restart - 1) % 8)?;
        }
        for (differences, coefficients, blocks) in tables {
            for _ in 0..*blocks {
                bits.pass_block(differences, coefficients)?;
            }
        }
    }
    bits.end()
}

/// A Huffman table.
pub(super) struct Table {
    /// For every start of eight bits, the length of its code and its value; length 0 for codes
    /// that are longer.
    short: Box<[(u8, u8); 256]>,
    /// For each length, the first code behind those of it, and what leads from a code to its
    /// value.
    ends: [(u32, i32); 17],
    values: Vec<u8>,
}

impl Table {
    /// A table of a DHT segment and what follows it.
    pub(super) fn read(segment: &[u8]) -> Option<(Self, &[u8])> {
        let counts: &[u8; 16] = segment.get(..16)?.try_into().ok()?;
        let total = counts.iter().map(|&n| usize::from(n)).sum::<usize>();
        let values = segment.get(16..16 + total)?.to_vec();
        let mut table = Self {
            short: Box::new([(0, 0); 256]),
            ends: [(0, 0); 17],
            values,
        };
        let (mut code, mut index) = (0u32, 0);
        for (length, &count) in (1u8..).zip(counts) {
            table.ends[usize::from(length)] = (code + u32::from(count), index - code as i32);
            for _ in 0..count {
                let value = table.values[index as usize];
                table.add_short(code, length, value);
                (code, index) = (code + 1, index + 1);
            }
            code <<= 1;
        }
        Some((table, &segment[16 + total..]))
    }

    fn add_short(&mut self, code: u32, length: u8, value: u8) {
        if length <= 8 {
            let start = (code as usize) << (8 - length);
            let range = start..start + (1 << (8 - length));
            // Codes that do not fit into their length are nobody's.
            if let Some(slots) = self.short.get_mut(range) {
                slots.fill((length, value));
            }
        }
    }

    /// The length of the code at the start of 16 bits, and its value.
    fn find(&self, start: u32) -> Option<(u8, u8)> {
        let (length, value) = self.short[(start >> 8) as usize];
        if length > 0 {
            return Some((length, value));
        }
        (9..=16u8).find_map(|length| {
            let code = start >> (16 - length);
            let (end, to_value) = self.ends[usize::from(length)];
            let index = usize::try_from(code as i32 + to_value).ok()?;
            let value = *self.values.get(index).filter(|_| code < end)?;
            Some((length, value))
        })
    }
}

/// The bits of a scan.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// Bits that are read, the last `count` of them not used.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            held: 0,
            count: 0,
        }
    }

    /// Reads ahead up to the next marker.
    fn fill(&mut self) {
        while self.count <= 48 {
            let (byte, used) = match self.data.get(self.at..) {
                // The zero behind an FF is no data.
                Some([0xFF, 0, ..]) => (0xFF, 2),
                Some(&[byte, ..]) if byte != 0xFF => (byte, 1),
                _ => return,
            };
            self.at += used;
            self.held = self.held << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    /// Passes over one block: a difference, then coefficients until all 64 are known.
    fn pass_block(&mut self, differences: &Table, coefficients: &Table) -> Result<(), Damage> {
        let size = self.code(differences)?;
        self.pass(u32::from(size & 15))?;
        let mut known = 1;
        while known < 64 {
            let value = self.code(coefficients)?;
            let (zeros, size) = (value >> 4, value & 15);
            match (zeros, size) {
                (15, 0) => known += 16,
                (_, 0) => return Ok(()),
                _ => known += u32::from(zeros) + 1,
            }
            if known > 64 {
                return Err(CODE);
            }
            self.pass(u32::from(size))?;
        }
        Ok(())
    }

    fn code(&mut self, table: &Table) -> Result<u8, Damage> {
        self.fill();
        // Where fewer than 16 bits are left, ones follow, which no whole code is made of.
        let start = match self.count {
            0..=15 => (self.held << (16 - self.count)) as u32 | ((1 << (16 - self.count)) - 1),
            count => (self.held >> (count - 16)) as u32,
        };
        let found = table.find(start & 0xFFFF);
        let (length, value) = found.ok_or(if self.count < 16 { CUT } else { CODE })?;
        self.pass(u32::from(length))?;
        Ok(value)
    }

    fn pass(&mut self, count: u32) -> Result<(), Damage> {
        if self.count < count {
            self.fill();
        }
        self.count = self.count.checked_sub(count).ok_or(CUT)?;
        Ok(())
    }

    /// Passes over the marker between two intervals.
    fn restart(&mut self, number: usize) -> Result<(), Damage> {
        let end = self.end()?;
        match next_marker(self.data, end) {
            Some((marker, next)) if usize::from(marker) == 0xD0 + number => {
                *self = Self {
                    at: next,
                    ..Self::new(self.data)
                };
                Ok(())
            }
            Some((0xD0..=0xD7, _)) => Err(RESTART),
            _ => Err(CUT),
        }
    }

    /// Bytes up to the next marker, between which and the last block nothing but padding may
    /// stand.
    fn end(&self) -> Result<usize, Damage> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let held = (0..self.count / 8).map(|n| (self.held >> (8 * n)) as u8);
        let length = next_marker(rest, 0).map_or(rest.len(), |(_, next)| next - 2);
        let padding = |byte: u8| matches!(byte, 0 | 0xFF);
        let all = held.chain(rest[..length].iter().copied());
        match all.into_iter().all(padding) {
            true => Ok(self.at + length),
            false => Err(MORE),
        }
    }
}
