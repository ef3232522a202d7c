//! A small vocabulary for tests.

use super::{AddedToken, LlamaOptions, Tokenizer};

/// A protobuf field of the type bytes.
pub(crate) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

/// A model with byte fallback whose normal pieces are the given ones, the best first.
pub(crate) fn model_file(pieces: &[&str]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut push = |text: &str, score: f32, kind: u8| {
        let mut piece = field(1, text.as_bytes());
        piece.push(2 << 3 | 5);
        piece.extend(score.to_le_bytes());
        piece.extend([3 << 3, kind]);
        file.extend(field(1, &piece));
    };
    push("<unk>", 0.0, 2);
    push("<s>", 0.0, 3);
    push("</s>", 0.0, 3);
    for byte in 0..=255_u8 {
        push(&format!("<0x{byte:02X}>"), 0.0, 6);
    }
    for (index, piece) in pieces.iter().enumerate() {
        push(piece, -(index as f32), 1);
    }
    // model_type = BPE, byte_fallback = true (field 35 needs two bytes of tag).
    file.extend(field(2, &[3 << 3, 2, 0x98, 0x02, 1]));
    // remove_extra_whitespaces = false.
    file.extend(field(3, &[4 << 3, 0]));
    file
}

/// Normal pieces; the first has the id 259.
pub(crate) const PIECES: [&str; 9] = ["ab", "▁a", "▁ab", "bc", "a", "b", "c", "▁", "é"];

/// A tokenizer of [`PIECES`] with the image token 268.
pub(crate) fn small(options: LlamaOptions) -> Tokenizer {
    let image = AddedToken::stripping("<im_patch>", 268);
    Tokenizer::from_sentencepiece(&model_file(&PIECES), options, vec![image]).unwrap()
}
