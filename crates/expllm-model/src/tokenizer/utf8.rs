//! Bytes to text, one byte at a time, without ever showing half a character.

/// Bytes that do not make a whole character yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Utf8Stream {
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// The characters that are certain now. A byte that can begin no character shows as U+FFFD,
    /// one for each such byte, as sentencepiece decodes them.
    pub(super) fn push(&mut self, byte: u8) -> String {
        self.pending.push(byte);
        self.take(false)
    }

    /// Everything that is left; bytes of an unfinished character show as U+FFFD each.
    pub(super) fn finish(&mut self) -> String {
        self.take(true)
    }

    fn take(&mut self, last: bool) -> String {
        let mut text = String::new();
        while !self.pending.is_empty() {
            let (valid, unfinished) = match std::str::from_utf8(&self.pending) {
                Ok(all) => (all.len(), false),
                Err(error) => (error.valid_up_to(), error.error_len().is_none()),
            };
            text.push_str(&String::from_utf8_lossy(&self.pending[..valid]));
            self.pending.drain(..valid);
            if self.pending.is_empty() || (unfinished && !last) {
                break;
            }
            text.push(char::REPLACEMENT_CHARACTER);
            self.pending.remove(0);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> String {
        let mut stream = Utf8Stream::default();
        let mut text: String = bytes.iter().map(|&byte| stream.push(byte)).collect();
        text.push_str(&stream.finish());
        text
    }

    #[test]
    fn characters_appear_only_when_whole() {
        let mut stream = Utf8Stream::default();
        let shown: Vec<_> = "é😀".bytes().map(|byte| stream.push(byte)).collect();
        assert_eq!(shown, ["", "é", "", "", "", "😀"]);
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn each_invalid_byte_shows_once() {
        assert_eq!(all(&[0xff, b'a']), "\u{fffd}a");
        assert_eq!(all(&[0xf0, 0x9f, b'a']), "\u{fffd}\u{fffd}a");
        assert_eq!(all(&[0xf0, 0x9f, 0x98]), "\u{fffd}\u{fffd}\u{fffd}");
    }
}
