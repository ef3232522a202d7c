//! Finds the JSON records of a file without holding the file.

use std::io::BufRead;

/// An object longer than this is refused, before more memory is taken.
const MAX_OBJECT: usize = 1 << 20;

/// The bytes of one object, or why there are none.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub line: u64,
    pub bytes: Result<Vec<u8>, String>,
}

/// Iterates over the records of an array, over objects behind each other, or over lines.
#[derive(Debug)]
pub(crate) struct Objects<R> {
    reader: R,
    line: u64,
    place: Place,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A line.
    Line,
    /// An object; nothing holds them together.
    Loose,
    /// A record, or the end of the array.
    Element,
    /// A comma, or the end of the array.
    Comma,
    /// Nothing but blanks.
    Closed,
    /// Nothing at all: what was found cannot be followed.
    Ended,
}

impl<R: BufRead> Objects<R> {
    /// Records of a JSON array, or objects that stand behind each other without one.
    ///
    /// # Errors
    ///
    /// What the file begins with, when it is neither.
    pub(super) fn of_array(reader: R) -> Result<Self, String> {
        let mut objects = Self {
            reader,
            line: 1,
            place: Place::Element,
        };
        match objects.peek()? {
            Some(b'[') => objects.pass(),
            Some(b'{') => objects.place = Place::Loose,
            Some(byte) => return Err(objects.wrong("no array of records, it begins with", byte)),
            None => return Err("empty, where an array of records was expected".to_owned()),
        }
        Ok(objects)
    }

    /// One object per line; empty lines are skipped.
    pub(crate) fn of_lines(reader: R) -> Self {
        Self {
            reader,
            line: 1,
            place: Place::Line,
        }
    }

    /// The next byte that is no blank, which stays where it is.
    fn peek(&mut self) -> Result<Option<u8>, String> {
        loop {
            let buffer = self.reader.fill_buf().map_err(|e| e.to_string())?;
            match buffer.first() {
                None => return Ok(None),
                Some(byte) if byte.is_ascii_whitespace() => self.pass(),
                Some(&byte) => return Ok(Some(byte)),
            }
        }
    }

    /// Takes the byte that was looked at.
    fn pass(&mut self) {
        let newline = matches!(self.reader.fill_buf(), Ok([b'\n', ..]));
        self.line += u64::from(newline);
        self.reader.consume(1);
    }

    fn wrong(&self, what: &str, byte: u8) -> String {
        let found = char::from(byte);
        format!("line {}: {what} {found:?}", self.line)
    }

    fn next_line(&mut self) -> Option<Scanned> {
        loop {
            let line = self.line;
            let mut bytes = Vec::new();
            let mut too_long = false;
            let more = self.each_byte(|byte| {
                if byte == b'\n' {
                    return Step::Last;
                }
                match bytes.len() < MAX_OBJECT {
                    true => bytes.push(byte),
                    false => too_long = true,
                }
                Step::On
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

    /// Walks to the next record and reads it.
    fn next_element(&mut self) -> Option<Scanned> {
        loop {
            let byte = match self.peek() {
                Ok(byte) => byte,
                Err(reason) => return Some(self.end(self.line, reason)),
            };
            match (self.place, byte) {
                (Place::Element | Place::Comma, Some(b']')) => self.pass_to(Place::Closed),
                (Place::Comma, Some(b',')) => self.pass_to(Place::Element),
                (Place::Loose, Some(b',')) => self.pass(),
                (Place::Element, Some(_)) => return Some(self.read(Place::Comma)),
                (Place::Loose, Some(b'{')) => return Some(self.read(Place::Loose)),
                (Place::Loose | Place::Closed, None) => return None,
                (_, None) => {
                    let reason = "the file ends within its array; what follows is missing";
                    return Some(self.end(self.line, reason.to_owned()));
                }
                (_, Some(byte)) => {
                    let reason = self.wrong("the array cannot be followed behind", byte);
                    return Some(self.end(self.line, reason));
                }
            }
        }
    }

    fn pass_to(&mut self, place: Place) {
        self.pass();
        self.place = place;
    }

    /// Reads one value whole.
    fn read(&mut self, then: Place) -> Scanned {
        let line = self.line;
        let mut bytes: Vec<u8> = Vec::new();
        let mut value = ValueEnd::default();
        let mut too_long = false;
        let ended = self.each_byte(|byte| {
            let step = value.step(byte);
            match bytes.len() < MAX_OBJECT {
                _ if step == Step::Before => {}
                true => bytes.push(byte),
                false => too_long = true,
            }
            step
        });
        match ended {
            Ok(true) => self.place = then,
            Ok(false) => return self.end(line, "the file ends within a record".to_owned()),
            Err(reason) => return self.end(line, reason),
        }
        let too_long = too_long.then(|| "longer than a record can be".to_owned());
        let bytes = too_long.map_or(Ok(bytes), Err);
        Scanned { line, bytes }
    }

    /// Feeds bytes until one is the last or the first behind; whether there was one before the
    /// end of the file.
    fn each_byte(&mut self, mut step: impl FnMut(u8) -> Step) -> Result<bool, String> {
        loop {
            let buffer = self.reader.fill_buf().map_err(|e| e.to_string())?;
            if buffer.is_empty() {
                return Ok(false);
            }
            let (mut used, mut ended) = (0, false);
            for &byte in buffer {
                let step = step(byte);
                ended = step != Step::On;
                if step == Step::Before {
                    break;
                }
                used += 1;
                self.line += u64::from(byte == b'\n');
                if ended {
                    break;
                }
            }
            self.reader.consume(used);
            if ended {
                return Ok(true);
            }
        }
    }

    fn end(&mut self, line: u64, reason: String) -> Scanned {
        self.place = Place::Ended;
        Scanned {
            line,
            bytes: Err(reason),
        }
    }
}

/// What a byte is to the value that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A part of it.
    On,
    /// Its last.
    Last,
    /// The first behind it.
    Before,
}

/// Finds the end of a JSON value.
#[derive(Debug, Default)]
struct ValueEnd {
    depth: u32,
    in_string: bool,
    escaped: bool,
    scalar: bool,
}

impl ValueEnd {
    fn step(&mut self, byte: u8) -> Step {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return self.closes(!self.in_string);
        }
        match byte {
            b',' | b']' if self.scalar && self.depth == 0 => return Step::Before,
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.closes(true);
            }
            _ if self.depth == 0 => self.scalar = true,
            _ => {}
        }
        Step::On
    }

    fn closes(&self, ends: bool) -> Step {
        match ends && self.depth == 0 {
            true => Step::Last,
            false => Step::On,
        }
    }
}

impl<R: BufRead> Iterator for Objects<R> {
    type Item = Scanned;

    fn next(&mut self) -> Option<Scanned> {
        match self.place {
            Place::Ended => None,
            Place::Line => self.next_line(),
            _ => self.next_element(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(text: &[u8]) -> Vec<(u64, Result<String, String>)> {
        Objects::of_array(text).unwrap().map(read).collect()
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
    fn an_array_without_its_end_keeps_what_is_whole() {
        let found = array(b"[\n{\"a\": 1},\n{\"b\": 2},\n");
        assert_eq!(found.len(), 3);
        assert!(found[1].1.is_ok());
        let (line, reason) = (found[2].0, found[2].1.as_ref().unwrap_err());
        assert_eq!(line, 4);
        assert!(reason.contains("ends within its array"), "{reason}");
        for (text, what) in [
            (b"[{}] {}".as_slice(), "'{'"),
            (b"[{} {}]", "'{'"),
            (b"{} x", "'x'"),
            (b"[{}", "ends within"),
        ] {
            let found = array(text);
            assert_eq!(found.len(), 2, "{found:?}");
            let reason = found[1].1.as_ref().unwrap_err();
            assert!(reason.contains(what), "{reason}");
        }
    }

    #[test]
    fn what_is_no_array_is_refused_by_what_it_begins_with() {
        for (text, what) in [
            (b"<html>".as_slice(), "'<'"),
            (b" \n null", "line 2"),
            (b"17", "'1'"),
            (b"", "empty"),
            (b" \n", "empty"),
            (b"\0\x01", "\\0"),
        ] {
            let error = Objects::of_array(text).err().unwrap();
            assert!(error.contains(what), "{error}");
        }
        assert!(array(b"[]\n").is_empty());
        // Values that are no objects are bad rows of their own.
        let found = array(b"[1, null, \"a]\", [2], {}]");
        let texts: Vec<_> = found.into_iter().map(|(_, text)| text.unwrap()).collect();
        assert_eq!(texts, ["1", "null", "\"a]\"", "[2]", "{}"]);
        assert_eq!(array(b"{}\n{}\n").len(), 2);
    }

    #[test]
    fn huge_records_take_no_memory() {
        let mut text = b"{\"a\": \"".to_vec();
        text.resize(3 << 20, b'x');
        text.extend(b"\"}\n{\"b\":1}\n");
        let loose = Objects::of_array(&text[..]).unwrap();
        for found in [Objects::of_lines(&text[..]), loose] {
            let found: Vec<_> = found.map(read).collect();
            assert!(found[0].1.is_err());
            assert_eq!(found[1].1, Ok("{\"b\":1}".into()));
        }
    }
}
