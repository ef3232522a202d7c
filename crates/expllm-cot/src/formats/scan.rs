//! Finds the JSON objects of a file without holding the file.

use std::io::BufRead;

/// An object longer than this is refused, before more memory is taken.
const MAX_OBJECT: usize = 1 << 20;

/// The bytes of one object, or why there are none.
#[derive(Debug)]
pub(super) struct Scanned {
    pub line: u64,
    pub bytes: Result<Vec<u8>, String>,
}

/// Iterates over the objects of an array, or over lines.
#[derive(Debug)]
pub(super) struct Objects<R> {
    reader: R,
    line: u64,
    by_line: bool,
    ended: bool,
}

impl<R: BufRead> Objects<R> {
    /// Objects of a JSON array; what stands between them is skipped.
    pub(super) fn of_array(reader: R) -> Self {
        Self {
            reader,
            line: 1,
            by_line: false,
            ended: false,
        }
    }

    /// One object per line; empty lines are skipped.
    pub(super) fn of_lines(reader: R) -> Self {
        Self {
            reader,
            line: 1,
            by_line: true,
            ended: false,
        }
    }

    fn next_line(&mut self) -> Option<Scanned> {
        loop {
            let line = self.line;
            let mut bytes = Vec::new();
            let mut too_long = false;
            let more = self.each_byte(|byte| {
                if byte == b'\n' {
                    return true;
                }
                match bytes.len() < MAX_OBJECT {
                    true => bytes.push(byte),
                    false => too_long = true,
                }
                false
            });
            match more {
                Err(reason) => return Some(self.end(line, reason)),
                Ok(_) if too_long => {
                    let bytes = Err("longer than a record can be".to_owned());
                    return Some(Scanned { line, bytes });
                }
                Ok(found) if bytes.trim_ascii().is_empty() => {
                    if !found {
                        return None;
                    }
                }
                Ok(_) => {
                    return Some(Scanned {
                        line,
                        bytes: Ok(bytes),
                    });
                }
            }
        }
    }

    fn next_object(&mut self) -> Option<Scanned> {
        let mut bytes: Vec<u8> = Vec::new();
        let (mut depth, mut in_string, mut escaped, mut too_long) = (0u32, false, false, false);
        let start = match self.each_byte(|byte| byte == b'{') {
            Ok(true) => self.line,
            Ok(false) => return None,
            Err(reason) => return Some(self.end(self.line, reason)),
        };
        bytes.push(b'{');
        let closed = self.each_byte(|byte| {
            match bytes.len() < MAX_OBJECT {
                true => bytes.push(byte),
                false => too_long = true,
            }
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'{' if !in_string => depth += 1,
                b'}' if !in_string && depth == 0 => return true,
                b'}' if !in_string => depth -= 1,
                _ => {}
            }
            false
        });
        match closed {
            Ok(true) if !too_long => Some(Scanned {
                line: start,
                bytes: Ok(bytes),
            }),
            Ok(true) => {
                let bytes = Err("longer than a record can be".to_owned());
                Some(Scanned { line: start, bytes })
            }
            Ok(false) => Some(self.end(start, "the file ends within a record".to_owned())),
            Err(reason) => Some(self.end(start, reason)),
        }
    }

    /// Feeds bytes until `stop` says so; whether it did before the end of the file.
    fn each_byte(&mut self, mut stop: impl FnMut(u8) -> bool) -> Result<bool, String> {
        loop {
            let buffer = self.reader.fill_buf().map_err(|e| e.to_string())?;
            if buffer.is_empty() {
                return Ok(false);
            }
            let at = buffer.iter().position(|&byte| {
                self.line += u64::from(byte == b'\n');
                stop(byte)
            });
            let used = at.map_or(buffer.len(), |at| at + 1);
            self.reader.consume(used);
            if at.is_some() {
                return Ok(true);
            }
        }
    }

    fn end(&mut self, line: u64, reason: String) -> Scanned {
        self.ended = true;
        Scanned {
            line,
            bytes: Err(reason),
        }
    }
}

impl<R: BufRead> Iterator for Objects<R> {
    type Item = Scanned;

    fn next(&mut self) -> Option<Scanned> {
        match (self.ended, self.by_line) {
            (true, _) => None,
            (false, true) => self.next_line(),
            (false, false) => self.next_object(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(text: &[u8]) -> Vec<(u64, Result<String, String>)> {
        Objects::of_array(text).map(read).collect()
    }

    fn read(scanned: Scanned) -> (u64, Result<String, String>) {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (scanned.line, scanned.bytes.map(text))
    }

    #[test]
    fn objects_are_found_whatever_their_strings_hold() {
        let found = array(b"[\n{\"a\": \"}{\\\"\"},\n {\"b\": {\"c\": 1}}]");
        assert_eq!(found[0], (2, Ok("{\"a\": \"}{\\\"\"}".into())));
        assert_eq!(found[1], (3, Ok("{\"b\": {\"c\": 1}}".into())));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_torn_end_is_named_and_ends() {
        let found = array(b"[{\"a\": 1}, {\"b\": ");
        assert_eq!(found.len(), 2);
        assert!(found[1].1.is_err());
        let lines: Vec<_> = Objects::of_lines(&b"{}\n\n{\"a\":1}"[..])
            .map(read)
            .collect();
        assert_eq!(lines, [(1, Ok("{}".into())), (3, Ok("{\"a\":1}".into()))]);
    }

    #[test]
    fn huge_records_take_no_memory() {
        let mut text = b"{\"a\": \"".to_vec();
        text.resize(3 << 20, b'x');
        text.extend(b"\"}\n{\"b\":1}\n");
        for found in [Objects::of_lines(&text[..]), Objects::of_array(&text[..])] {
            let found: Vec<_> = found.map(read).collect();
            assert!(found[0].1.is_err());
            assert_eq!(found[1].1, Ok("{\"b\":1}".into()));
        }
    }
}
