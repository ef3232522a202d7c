//! Text files as editors and spreadsheets save them.

use std::path::Path;

use crate::DataError;
use crate::source::read_range;

/// The text of bytes, without a byte order mark: UTF-16 where a mark says so, else UTF-8; what
/// is neither is replaced.
pub(crate) fn decode(bytes: Vec<u8>) -> String {
    let wide = |of: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes[2..].as_chunks();
        let units = pairs.iter().copied().map(of);
        let mut text: String = char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        text.extend(rest.iter().map(|_| char::REPLACEMENT_CHARACTER));
        text
    };
    match bytes.get(..2) {
        Some([0xFF, 0xFE]) => return wide(u16::from_le_bytes),
        Some([0xFE, 0xFF]) => return wide(u16::from_be_bytes),
        _ => {}
    }
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// The text of a file that stands outside of any root.
pub(crate) fn read(path: &Path) -> Result<String, DataError> {
    let size = std::fs::metadata(path)
        .map_err(|e| DataError::file(path, e))?
        .len();
    Ok(decode(read_range(path, 0, size)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_decide_and_go() {
        assert_eq!(decode(b"\xef\xbb\xbfa,b".to_vec()), "a,b");
        assert_eq!(decode(b"\xff\xfea\0\xe9\0".to_vec()), "aé");
        assert_eq!(decode(b"\xfe\xff\0a\0\xe9\0".to_vec()), "aé\u{fffd}");
        assert_eq!(decode(b"caf\xe9".to_vec()), "caf\u{fffd}");
        assert_eq!(decode(vec![0xff]), "\u{fffd}");
        assert_eq!(decode(Vec::new()), "");
    }
}
