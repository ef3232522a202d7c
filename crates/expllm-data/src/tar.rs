//! The index of a `.tar` archive: names and byte ranges, without unpacking.
//!
//! Format: POSIX.1-1988 ustar with its prefix field, GNU long names (`L`), pax paths (`x`) and
//! base-256 sizes. Links, devices and folders are passed over.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use crate::DataError;

const BLOCK: u64 = 512;
/// The most bytes of an extended name.
const NAME_LIMIT: u64 = 64 << 10;

/// A regular file inside an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarMember {
    /// Name with `/` between folders, as the archive spells it.
    pub name: String,
    /// Where its bytes start.
    pub offset: u64,
    /// How many bytes it has.
    pub size: u64,
}

/// The regular files of an uncompressed `.tar`, in archive order.
///
/// # Errors
///
/// [`DataError::File`] when it cannot be read, [`DataError::Archive`] when a header has a wrong
/// check sum, a bad size, or reaches beyond the end of the file.
pub fn read_index(path: &Path) -> Result<Vec<TarMember>, DataError> {
    let file = File::open(path).map_err(|e| DataError::file(path, e))?;
    let length = file.metadata().map_err(|e| DataError::file(path, e))?.len();
    let mut reader = IndexReader {
        path,
        input: BufReader::new(file),
        length,
        offset: 0,
    };
    let mut members = Vec::new();
    let mut long_name = None;
    while let Some(header) = reader.header()? {
        match header.kind {
            b'0' | 0 | b'7' => members.push(TarMember {
                name: long_name.take().unwrap_or(header.name),
                offset: reader.offset,
                size: header.size,
            }),
            b'L' => long_name = Some(reader.text(header.size)?),
            b'x' => long_name = pax_path(&reader.text(header.size)?).or(long_name),
            _ => long_name = None,
        }
        reader.skip(header.size)?;
    }
    Ok(members)
}

struct Header {
    name: String,
    size: u64,
    kind: u8,
}

struct IndexReader<'a> {
    path: &'a Path,
    input: BufReader<File>,
    length: u64,
    offset: u64,
}

impl IndexReader<'_> {
    fn bad(&self, reason: &'static str) -> DataError {
        DataError::Archive {
            path: self.path.to_path_buf(),
            offset: self.offset,
            reason,
        }
    }

    /// The next header, or nothing at the end of the archive.
    fn header(&mut self) -> Result<Option<Header>, DataError> {
        let mut block = [0; BLOCK as usize];
        match self.input.read_exact(&mut block) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::UnexpectedEof && self.offset >= self.length => {
                return Ok(None);
            }
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                return Err(self.bad("a cut-off header"));
            }
            Err(e) => return Err(DataError::file(self.path, e)),
        }
        if block.iter().all(|&b| b == 0) {
            return Ok(None);
        }
        if number(&block[148..156]) != Some(check_sum(&block)) {
            return Err(self.bad("a wrong check sum"));
        }
        let size = number(&block[124..136]).ok_or_else(|| self.bad("a bad size"))?;
        self.offset += BLOCK;
        if size > self.length.saturating_sub(self.offset) {
            return Err(self.bad("a member beyond the end of the file"));
        }
        let mut name = text(&block[..100]);
        // GNU headers (`ustar` and two spaces) keep times where POSIX keeps the prefix.
        if &block[257..263] == b"ustar\0" && block[345] != 0 {
            name = format!("{}/{name}", text(&block[345..500]));
        }
        let kind = block[156];
        Ok(Some(Header { name, size, kind }))
    }

    /// The text of an extended header; leaves the position where the data starts.
    fn text(&mut self, size: u64) -> Result<String, DataError> {
        if size > NAME_LIMIT {
            return Err(self.bad("a name of more than 64 KiB"));
        }
        let mut bytes = vec![0; size as usize];
        self.input
            .read_exact(&mut bytes)
            .and_then(|()| self.input.seek_relative(-(size as i64)))
            .map_err(|e| DataError::file(self.path, e))?;
        Ok(text(&bytes))
    }

    /// Passes over the data of a member and its padding.
    fn skip(&mut self, size: u64) -> Result<(), DataError> {
        let padded = size.div_ceil(BLOCK) * BLOCK;
        self.input
            .seek_relative(padded as i64)
            .map_err(|e| DataError::file(self.path, e))?;
        self.offset += padded;
        Ok(())
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// An octal number in text, or a base-256 one when the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        return field[1..]
            .iter()
            .try_fold(0u64, |n, &b| n.checked_mul(256)?.checked_add(u64::from(b)));
    }
    let digits = text(field);
    u64::from_str_radix(digits.trim_matches([' ', '\0']), 8).ok()
}

/// The sum of all bytes, the check sum's own counted as spaces.
fn check_sum(block: &[u8]) -> u64 {
    let sum: u64 = block.iter().map(|&b| u64::from(b)).sum();
    let own: u64 = block[148..156].iter().map(|&b| u64::from(b)).sum();
    sum - own + 8 * u64::from(b' ')
}

/// The `path` of a pax header, made of records `<length> <key>=<value>\n`.
fn pax_path(records: &str) -> Option<String> {
    records.lines().find_map(|line| {
        let (_, record) = line.split_once(' ')?;
        record.strip_prefix("path=").map(str::to_owned)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A ustar archive of some files.
    pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, data) in files {
            out.extend(header(name, data.len(), b'0'));
            append(&mut out, data);
        }
        out.extend([0; 1024]);
        out
    }

    fn append(out: &mut Vec<u8>, data: &[u8]) {
        out.extend(data);
        out.resize(out.len().div_ceil(512) * 512, 0);
    }

    fn header(name: &str, size: usize, kind: u8) -> [u8; 512] {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[156] = kind;
        block[257..263].copy_from_slice(b"ustar\0");
        let sum = check_sum(&block);
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    fn index(bytes: &[u8]) -> Result<Vec<TarMember>, DataError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read_index(file.path())
    }

    #[test]
    fn members_and_long_names_are_found() {
        let mut bytes = header("ignored", 9, b'L').to_vec();
        append(&mut bytes, b"long/name");
        bytes.extend(archive(&[("short", b"abc"), ("b", b"")]));
        let members = index(&bytes).unwrap();
        let names: Vec<_> = members.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["long/name", "b"]);
        let m = &members[0];
        assert_eq!(
            &bytes[m.offset as usize..(m.offset + m.size) as usize],
            b"abc"
        );
        assert_eq!(
            pax_path("19 path=some/where\n").as_deref(),
            Some("some/where")
        );
    }

    #[test]
    fn damage_is_an_error() {
        let good = archive(&[("a", &[7; 600])]);
        assert!(index(&good[..700]).is_err(), "member beyond the end");
        let mut sum = good.clone();
        sum[0] = b'z';
        assert!(index(&sum).is_err(), "check sum");
        assert!(index(b"plain text").is_err(), "no archive");
        assert_eq!(index(b"").unwrap(), []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..1500), sign: bool) {
            if sign && bytes.len() >= 512 {
                let sum = check_sum(&bytes[..512]);
                bytes[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            }
            let _ = index(&bytes);
        }
    }
}
