//! A sentencepiece BPE model (`tokenizer.model`), read without the sentencepiece library.
//!
//! Field numbers are those of `sentencepiece_model.proto` (google/sentencepiece, Apache-2.0).

use std::collections::HashMap;
use std::sync::Arc;

use super::proto::{Fields, Value};

/// The character that stands for a space inside pieces.
pub(super) const SPACE: char = '\u{2581}';

/// More pieces than any published vocabulary has; a file that claims more is refused.
const MAX_PIECES: usize = 4_000_000;

/// What is wrong with a sentencepiece model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum SentencePieceFault {
    /// A length points past the end of the file.
    #[error("the file ends inside a field (byte {at}); copy it again")]
    Truncated {
        /// Byte offset inside the message.
        at: usize,
    },
    /// Bytes that no protobuf message holds.
    #[error("not a protobuf message (byte {at}); is this a sentencepiece model?")]
    Wire {
        /// Byte offset inside the message.
        at: usize,
    },
    /// A field has another type than the format says.
    #[error("field {field} of {message} has the wrong type")]
    FieldType {
        /// The message.
        message: &'static str,
        /// The field number.
        field: u64,
    },
    /// A piece is not UTF-8.
    #[error("piece {index} is not UTF-8")]
    PieceText {
        /// The id of the piece.
        index: usize,
    },
    /// A piece is empty, listed twice or without a finite score.
    #[error("piece {index} ({piece:?}) {problem}")]
    Piece {
        /// The id of the piece.
        index: usize,
        /// Its text.
        piece: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Too many pieces, or none.
    #[error("{found} pieces; 1 to {MAX_PIECES} can be read")]
    PieceCount {
        /// Pieces found.
        found: usize,
    },
    /// The model has no piece for unknown text.
    #[error("no piece of the type \"unknown\"")]
    NoUnknown,
    /// A part of sentencepiece that LLaMA models do not use.
    #[error("{feature} is not read here; save the tokenizer as tokenizer.json instead")]
    Unsupported {
        /// The part.
        feature: &'static str,
    },
}

/// The type of a piece, with the format's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// Text that merges may form.
    Normal,
    /// The piece of unknown text.
    Unknown,
    /// `<s>`, `</s>`: never formed from text.
    Control,
    /// Text that is always one piece.
    UserDefined,
    /// Text that merges may pass through, but that is taken apart again.
    Unused,
    /// One byte, for text that has no piece.
    Byte,
}

/// One entry of the vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) text: Arc<str>,
    pub(super) score: f32,
    pub(super) kind: PieceKind,
}

/// A parsed model.
#[derive(Debug, Clone)]
pub(super) struct SentencePieceModel {
    pub(super) pieces: Vec<Piece>,
    pub(super) ids: HashMap<Arc<str>, u32>,
    /// The piece of each byte value.
    pub(super) bytes: Box<[Option<u32>; 256]>,
    /// User-defined pieces, the longest first.
    pub(super) user_defined: Vec<u32>,
    pub(super) unknown: u32,
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    pub(super) byte_fallback: bool,
    pub(super) add_dummy_prefix: bool,
    pub(super) remove_extra_whitespaces: bool,
    /// What the unknown piece decodes to.
    pub(super) unknown_surface: String,
}

/// Settings outside the list of pieces.
struct Spec {
    bpe: bool,
    bos: i64,
    eos: i64,
    byte_fallback: bool,
    add_dummy_prefix: bool,
    remove_extra_whitespaces: bool,
    unknown_surface: String,
}

impl Spec {
    /// The defaults of the format. A model without a `model_type` is a unigram model.
    fn new() -> Self {
        Self {
            bpe: false,
            bos: 1,
            eos: 2,
            byte_fallback: false,
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
            unknown_surface: " \u{2047} ".into(),
        }
    }

    fn trainer(&mut self, message: &[u8]) -> Result<(), SentencePieceFault> {
        for field in Fields::new(message) {
            match field? {
                (3, Value::Varint(kind)) => self.bpe = kind == 2,
                (24, Value::Varint(1)) => {
                    return Err(SentencePieceFault::Unsupported {
                        feature: "treat_whitespace_as_suffix",
                    });
                }
                (35, Value::Varint(flag)) => self.byte_fallback = flag != 0,
                // Negative numbers are stored as their 64-bit two's complement.
                (41, Value::Varint(id)) => self.bos = id.cast_signed(),
                (42, Value::Varint(id)) => self.eos = id.cast_signed(),
                (44, Value::Bytes(text)) => {
                    self.unknown_surface = String::from_utf8_lossy(text).into_owned();
                }
                (number @ (3 | 24 | 35 | 41 | 42 | 44), _) => {
                    return Err(SentencePieceFault::FieldType {
                        message: "TrainerSpec",
                        field: number,
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn normalizer(&mut self, message: &[u8]) -> Result<(), SentencePieceFault> {
        for field in Fields::new(message) {
            match field? {
                (2, Value::Bytes([])) => {}
                (2, Value::Bytes(_)) => {
                    return Err(SentencePieceFault::Unsupported {
                        feature: "a character map (precompiled_charsmap)",
                    });
                }
                (3, Value::Varint(flag)) => self.add_dummy_prefix = flag != 0,
                (4, Value::Varint(flag)) => self.remove_extra_whitespaces = flag != 0,
                (5, Value::Varint(0)) => {
                    return Err(SentencePieceFault::Unsupported {
                        feature: "escape_whitespaces = false",
                    });
                }
                (5, Value::Varint(_)) => {}
                (number @ 2..=5, _) => {
                    return Err(SentencePieceFault::FieldType {
                        message: "NormalizerSpec",
                        field: number,
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn piece(message: &[u8], index: usize) -> Result<Piece, SentencePieceFault> {
    let mut piece = Piece {
        text: Arc::from(""),
        score: 0.0,
        kind: PieceKind::Normal,
    };
    for field in Fields::new(message) {
        match field? {
            (1, Value::Bytes(text)) => {
                piece.text = std::str::from_utf8(text)
                    .map_err(|_| SentencePieceFault::PieceText { index })?
                    .into();
            }
            (2, Value::Fixed32(bits)) => piece.score = f32::from_le_bytes(bits),
            (3, Value::Varint(kind)) => {
                piece.kind = match kind {
                    1 => PieceKind::Normal,
                    2 => PieceKind::Unknown,
                    3 => PieceKind::Control,
                    4 => PieceKind::UserDefined,
                    5 => PieceKind::Unused,
                    6 => PieceKind::Byte,
                    _ => return Err(fault(&piece, index, "has an unknown type")),
                };
            }
            (number @ 1..=3, _) => {
                return Err(SentencePieceFault::FieldType {
                    message: "SentencePiece",
                    field: number,
                });
            }
            _ => {}
        }
    }
    if piece.text.is_empty() {
        return Err(fault(&piece, index, "is empty"));
    }
    if !piece.score.is_finite() {
        return Err(fault(&piece, index, "has no finite score"));
    }
    Ok(piece)
}

fn fault(piece: &Piece, index: usize, problem: &'static str) -> SentencePieceFault {
    SentencePieceFault::Piece {
        index,
        piece: piece.text.to_string(),
        problem,
    }
}

/// The byte that a piece like `<0x0A>` stands for.
pub(super) fn byte_value(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2)
        .then(|| u8::from_str_radix(digits, 16).ok())
        .flatten()
}

impl SentencePieceModel {
    /// Reads the bytes of a `tokenizer.model`.
    pub(super) fn parse(file: &[u8]) -> Result<Self, SentencePieceFault> {
        let mut spec = Spec::new();
        let mut pieces = Vec::new();
        for field in Fields::new(file) {
            match field? {
                (1, Value::Bytes(message)) => {
                    if pieces.len() == MAX_PIECES {
                        return Err(SentencePieceFault::PieceCount {
                            found: MAX_PIECES + 1,
                        });
                    }
                    pieces.push(piece(message, pieces.len())?);
                }
                (2, Value::Bytes(message)) => spec.trainer(message)?,
                (3, Value::Bytes(message)) => spec.normalizer(message)?,
                (number @ 1..=3, _) => {
                    return Err(SentencePieceFault::FieldType {
                        message: "ModelProto",
                        field: number,
                    });
                }
                _ => {}
            }
        }
        if pieces.is_empty() {
            return Err(SentencePieceFault::PieceCount { found: 0 });
        }
        if !spec.bpe {
            return Err(SentencePieceFault::Unsupported {
                feature: "a model that is not of the type BPE",
            });
        }
        Self::index(pieces, spec)
    }

    fn index(pieces: Vec<Piece>, spec: Spec) -> Result<Self, SentencePieceFault> {
        let mut ids = HashMap::with_capacity(pieces.len());
        let mut bytes = Box::new([None; 256]);
        let mut user_defined = Vec::new();
        let mut unknown = None;
        // At most MAX_PIECES, so every index fits 32 bits.
        for (id, piece) in (0_u32..).zip(&pieces) {
            if ids.insert(Arc::clone(&piece.text), id).is_some() {
                return Err(fault(piece, id as usize, "is listed twice"));
            }
            match piece.kind {
                PieceKind::Unknown => unknown = unknown.or(Some(id)),
                PieceKind::UserDefined => user_defined.push(id),
                PieceKind::Byte => {
                    let value = byte_value(&piece.text)
                        .ok_or_else(|| fault(piece, id as usize, "names no byte"))?;
                    bytes[usize::from(value)] = Some(id);
                }
                _ => {}
            }
        }
        user_defined.sort_by_key(|&id| std::cmp::Reverse(pieces[id as usize].text.len()));
        let inside = |id: i64| {
            u32::try_from(id)
                .ok()
                .filter(|&id| (id as usize) < pieces.len())
        };
        Ok(Self {
            bos: inside(spec.bos),
            eos: inside(spec.eos),
            unknown: unknown.ok_or(SentencePieceFault::NoUnknown)?,
            ids,
            bytes,
            user_defined,
            byte_fallback: spec.byte_fallback,
            add_dummy_prefix: spec.add_dummy_prefix,
            remove_extra_whitespaces: spec.remove_extra_whitespaces,
            unknown_surface: spec.unknown_surface,
            pieces,
        })
    }

    /// The piece with this id.
    pub(super) fn piece(&self, id: u32) -> Option<&Piece> {
        self.pieces.get(id as usize)
    }
}
