//! Whether the data of a JPEG file holds the whole picture.
//!
//! Decoders fill what is missing with grey, and an end marker proves nothing: a tool may have
//! appended it to half a file. So the scans are followed code by code (ITU-T T.81, annex F)
//! without making pixels. Of progressive files the scans are counted instead: every coefficient
//! of every component must have been sent to its last bit (annex G).

mod huffman;

use std::ops::RangeInclusive;

use huffman::{Table, follow};

/// What is wrong with the data.
pub(crate) type Damage = &'static str;

const CUT: Damage = "the data ends before the picture does";
const SCANS: Damage = "some of its scans are missing";
const CODE: Damage = "the data holds a code that its tables lack";
const RESTART: Damage = "the data holds a restart marker in a wrong place";
const MORE: Damage = "the data goes on after the picture is full";

/// Follows the scans of a file. What this reading of the format does not know (arithmetic
/// coding, lossless frames) is left to the decoder.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Damage> {
    let mut picture = Picture::default();
    let (mut at, mut ended) = (2, false);
    while let Some((marker, next)) = next_marker(bytes, at) {
        match marker {
            END => ended = true,
            // Markers without a segment.
            0x01 | 0xD0..=0xD8 => {
                at = next;
                continue;
            }
            _ => {}
        }
        let Some(segment) = segment(bytes, next).filter(|_| !ended) else {
            break;
        };
        at = next + 2 + segment.len();
        match picture.take(marker, segment, &bytes[at..])? {
            Some(used) => at += used,
            None => return Ok(()),
        }
    }
    picture.judge(ended)
}

const END: u8 = 0xD9;

/// The next marker and the place behind it; bytes that are no marker are passed over.
fn next_marker(bytes: &[u8], from: usize) -> Option<(u8, usize)> {
    let mut pairs = bytes.get(from..)?.windows(2);
    let at = from + pairs.position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF))?;
    Some((bytes[at + 1], at + 2))
}

/// The content of the segment whose length stands at `at`.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = number(bytes.get(at..at + 2)?, 0);
    bytes.get(at + 2..at + length)
}

/// Two bytes, or 0 where they are missing.
fn number(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => 0,
    }
}

/// What the headers have said so far.
#[derive(Default)]
struct Picture {
    frame: Option<Frame>,
    /// Tables of differences and of coefficients.
    tables: [[Option<Table>; 4]; 2],
    /// MCUs between restart markers; 0 without them.
    restart: usize,
    scans: usize,
}

struct Frame {
    width: usize,
    height: usize,
    progressive: bool,
    components: Vec<Component>,
}

struct Component {
    id: u8,
    across: usize,
    down: usize,
    /// Lowest bit of each coefficient that was sent, in zigzag order.
    bits: [u8; 64],
}

impl Frame {
    /// Nothing for headers without a height, which stands behind the first scan (DNL).
    fn read(segment: &[u8], progressive: bool) -> Option<Self> {
        let (height, width) = (number(segment, 1), number(segment, 3));
        let entries = segment.get(6..)?.chunks_exact(3);
        let components: Vec<_> = entries
            .map(|entry| Component {
                id: entry[0],
                across: usize::from(entry[1] >> 4),
                down: usize::from(entry[1] & 15),
                bits: [u8::MAX; 64],
            })
            .collect();
        let sound = |c: &Component| (1..=4).contains(&c.across) && (1..=4).contains(&c.down);
        let known = width > 0 && height > 0 && !components.is_empty();
        (known && components.iter().all(sound)).then_some(Self {
            width,
            height,
            progressive,
            components,
        })
    }

    fn is_complete(&self) -> bool {
        self.components.iter().all(|c| c.bits == [0; 64])
    }

    fn note(&mut self, scan: &Scan) {
        for &(index, _) in &scan.parts {
            self.components[index].bits[scan.band.clone()].fill(scan.bit);
        }
    }

    fn most(&self, of: fn(&Component) -> usize) -> usize {
        self.components.iter().map(of).max().unwrap_or(1)
    }

    /// How many MCUs a scan has, and the blocks of each component in one.
    fn units(&self, scan: &Scan) -> (usize, Vec<usize>) {
        let (across, down) = (self.most(|c| c.across), self.most(|c| c.down));
        if let [(only, _)] = scan.parts[..] {
            let c = &self.components[only];
            let wide = (self.width * c.across).div_ceil(across).div_ceil(8);
            let high = (self.height * c.down).div_ceil(down).div_ceil(8);
            return (wide * high, vec![1]);
        }
        let count = self.width.div_ceil(8 * across) * self.height.div_ceil(8 * down);
        let blocks = scan.parts.iter().map(|&(i, _)| &self.components[i]);
        (count, blocks.map(|c| c.across * c.down).collect())
    }
}

/// The header of a scan.
struct Scan {
    /// Places of its components in the frame, with the numbers of their tables.
    parts: Vec<(usize, u8)>,
    /// The coefficients that it sends, in zigzag order.
    band: RangeInclusive<usize>,
    /// The lowest bit of them that it sends.
    bit: u8,
}

impl Scan {
    fn read(header: &[u8], frame: &Frame) -> Option<Self> {
        let (&count, rest) = header.split_first()?;
        let (parts, rest) = rest.split_at_checked(2 * usize::from(count))?;
        let place = |id| frame.components.iter().position(|c| c.id == id);
        let parts: Option<Vec<_>> = (parts.chunks_exact(2))
            .map(|part| Some((place(part[0])?, part[1])))
            .collect();
        let (band, bit) = match (frame.progressive, rest) {
            (true, &[first, last, bits]) => (usize::from(first)..=usize::from(last), bits & 15),
            (false, _) => (0..=63, 0),
            _ => return None,
        };
        let parts = parts.filter(|parts| !parts.is_empty() && *band.end() < 64)?;
        Some(Self { parts, band, bit })
    }
}

impl Picture {
    /// Takes a segment; how many bytes of the data behind it belong to it. Nothing where the
    /// decoder must judge the file.
    fn take(&mut self, marker: u8, segment: &[u8], data: &[u8]) -> Result<Option<usize>, Damage> {
        match marker {
            0xC0..=0xC2 => {
                self.frame = Frame::read(segment, marker == 0xC2);
                return Ok(self.frame.is_some().then_some(0));
            }
            0xC4 => self.add_tables(segment),
            // Frames of other kinds.
            0xC3..=0xCF => return Ok(None),
            0xDA => return self.scan(segment, data),
            0xDD => self.restart = number(segment, 0),
            _ => {}
        }
        Ok(Some(0))
    }

    /// Whether all was there, once the markers are through. The end of a sequential picture shows
    /// in its blocks, that of a progressive one in nothing but the end marker.
    fn judge(&self, ended: bool) -> Result<(), Damage> {
        match &self.frame {
            None => Err(CUT),
            Some(_) if self.scans == 0 => Err(CUT),
            Some(frame) if frame.progressive && !ended => Err(CUT),
            Some(frame) if !frame.is_complete() => Err(SCANS),
            Some(_) => Ok(()),
        }
    }

    fn add_tables(&mut self, mut segment: &[u8]) {
        while let Some((&place, rest)) = segment.split_first() {
            let Some((table, rest)) = Table::read(rest) else {
                return;
            };
            let kind = &mut self.tables[usize::from(place >> 4 & 1)];
            if let Some(slot) = kind.get_mut(usize::from(place & 15)) {
                *slot = Some(table);
            }
            segment = rest;
        }
    }

    /// Follows one scan; how many bytes of `data` it has. Nothing for headers that the decoder
    /// must judge.
    fn scan(&mut self, header: &[u8], data: &[u8]) -> Result<Option<usize>, Damage> {
        let Some(frame) = &mut self.frame else {
            return Ok(None);
        };
        let Some(scan) = Scan::read(header, frame) else {
            return Ok(None);
        };
        self.scans += 1;
        frame.note(&scan);
        if frame.progressive {
            return Ok(Some(length_of_scan(data)));
        }
        let (units, blocks) = frame.units(&scan);
        let table = |kind: usize, at: u8| self.tables[kind].get(usize::from(at))?.as_ref();
        let tables: Option<Vec<_>> = (scan.parts.iter().zip(blocks))
            .map(|(&(_, at), blocks)| Some((table(0, at >> 4)?, table(1, at & 15)?, blocks)))
            .collect();
        match tables {
            Some(tables) => follow(data, &tables, units, self.restart).map(Some),
            None => Ok(None),
        }
    }
}

/// Bytes until the next marker that is no restart.
fn length_of_scan(data: &[u8]) -> usize {
    let mut at = 0;
    while let Some((marker, next)) = next_marker(data, at) {
        if !matches!(marker, 0xD0..=0xD7) {
            return next - 2;
        }
        at = next;
    }
    data.len()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageFormat, Rgb, RgbImage};

    use super::*;

    fn baseline() -> Vec<u8> {
        let noise = |x: u32, y: u32| ((x * 7919) ^ (y * 104_729)) as u8;
        let picture = RgbImage::from_fn(75, 61, |x, y| Rgb([noise(x, y), noise(y, x), 90]));
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_whole_picture_passes_and_what_follows_it_is_not_looked_at() {
        let mut bytes = baseline();
        assert_eq!(check(&bytes), Ok(()));
        let second = bytes.clone();
        bytes.extend(&second[..200]);
        assert_eq!(check(&bytes), Ok(()));
        // Without its end marker the picture is still whole.
        assert_eq!(check(&second[..second.len() - 2]), Ok(()));
    }

    #[test]
    fn an_end_marker_proves_nothing() {
        let bytes = baseline();
        let mut cuts = 0;
        for keep in (1..10).map(|tenths| bytes.len() * tenths / 10) {
            let mut cut = bytes[..keep].to_vec();
            cut.extend([0xFF, END]);
            assert!(check(&cut).is_err(), "{keep}");
            cuts += 1;
        }
        assert_eq!(cuts, 9);
    }

    #[test]
    fn lost_or_foreign_data_within_the_scan_is_found() {
        let bytes = baseline();
        let middle = bytes.len() / 2;
        let mut lost = bytes.clone();
        lost.drain(middle..middle + 400);
        assert!(check(&lost).is_err());
        let mut more = bytes.clone();
        more.splice(middle..middle, bytes[middle - 400..middle].iter().copied());
        assert!(check(&more).is_err());
    }
}
