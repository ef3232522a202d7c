//! A sentencepiece model from its parts, for formats that keep pieces without the file around
//! them.

/// One entry of the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PieceEntry<'a> {
    pub(crate) text: &'a str,
    pub(crate) score: f32,
    /// The type with the format's number: 1 normal, 2 unknown, 3 control, 4 user-defined,
    /// 5 unused, 6 byte.
    pub(crate) kind: u8,
}

/// A BPE model as those of LLaMA: byte fallback when there are byte pieces, white space kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SentencePieceParts<'a> {
    pub(crate) pieces: Vec<PieceEntry<'a>>,
    pub(crate) bos: Option<u32>,
    pub(crate) eos: Option<u32>,
    /// Whether a text begins with a space piece.
    pub(crate) add_dummy_prefix: bool,
}

impl SentencePieceParts<'_> {
    /// The bytes of a `tokenizer.model`.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut model = Message::default();
        for piece in &self.pieces {
            let mut message = Message::default();
            message.bytes(1, piece.text.as_bytes());
            message.fixed32(2, piece.score.to_le_bytes());
            message.number(3, piece.kind.into());
            model.bytes(1, &message.0);
        }
        let fallback = self.pieces.iter().any(|piece| piece.kind == 6);
        // -1 stands for a piece that the model lacks.
        let id = |id: Option<u32>| id.map_or(u64::MAX, u64::from);
        let mut trainer = Message::default();
        trainer.number(3, 2);
        trainer.number(35, fallback.into());
        trainer.number(41, id(self.bos));
        trainer.number(42, id(self.eos));
        trainer.number(43, id(None));
        model.bytes(2, &trainer.0);
        let mut normalizer = Message::default();
        normalizer.bytes(1, b"identity");
        normalizer.number(3, self.add_dummy_prefix.into());
        normalizer.number(4, 0);
        normalizer.number(5, 1);
        model.bytes(3, &normalizer.0);
        model.0
    }
}

/// A protobuf message in the making.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.varint(field << 3);
        self.varint(number);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn fixed32(&mut self, field: u64, bytes: [u8; 4]) {
        self.varint(field << 3 | 5);
        self.0.extend_from_slice(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LlamaOptions, Tokenizer};

    #[test]
    fn a_model_from_parts_is_read_back() {
        let piece = |text, score, kind| PieceEntry { text, score, kind };
        let mut pieces = vec![
            piece("<unk>", 0.0, 2),
            piece("<s>", 0.0, 3),
            piece("</s>", 0.0, 3),
        ];
        let bytes: Vec<String> = (0..=255_u8).map(|byte| format!("<0x{byte:02X}>")).collect();
        pieces.extend(bytes.iter().map(|text| piece(text, 0.0, 6)));
        pieces.extend([
            piece("\u{2581}", -2.0, 1),
            piece("a", -3.0, 1),
            piece("\u{2581}a", -1.0, 1),
            piece("[END]", 0.0, 4),
        ]);
        let parts = SentencePieceParts {
            pieces,
            bos: Some(1),
            eos: Some(2),
            add_dummy_prefix: true,
        };
        let file = parts.to_bytes();
        let tokenizer =
            Tokenizer::from_sentencepiece(&file, LlamaOptions::default(), Vec::new()).unwrap();
        assert_eq!((tokenizer.bos_id(), tokenizer.eos_id()), (Some(1), Some(2)));
        assert_eq!(tokenizer.encode("a a").unwrap(), [1, 261, 261]);
        // A user-defined piece is never taken apart; a letter without a piece is its bytes.
        assert_eq!(
            tokenizer.encode("a[END]b").unwrap()[1..],
            [261, 262, 3 + 98]
        );
        let without = SentencePieceParts {
            bos: None,
            add_dummy_prefix: false,
            ..parts
        };
        let file = without.to_bytes();
        let tokenizer =
            Tokenizer::from_sentencepiece(&file, LlamaOptions::default(), Vec::new()).unwrap();
        assert_eq!(tokenizer.bos_id(), None);
        assert_eq!(tokenizer.encode("a").unwrap(), [260]);
    }
}
