//! The tokenizer of LLaMA models over a sentencepiece model: special tokens inside text, the
//! space before a text, and the way back.
//!
//! Follows `LlamaTokenizer` of transformers (Apache-2.0): version 4.31.0 for the legacy mode,
//! which the published checkpoint was trained with, 4.46 for the other.

use super::sentencepiece::{PieceKind, SPACE, SentencePieceModel};
use super::utf8::Utf8Stream;

/// A token outside the sentencepiece model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedToken {
    /// Its text.
    pub text: String,
    /// Its id.
    pub id: u32,
    /// Whether white space before it is dropped.
    pub strip_left: bool,
    /// Whether white space after it is dropped.
    pub strip_right: bool,
}

impl AddedToken {
    /// A token as the reference adds `<im_patch>`: white space on both sides is dropped.
    #[must_use]
    pub fn stripping(text: impl Into<String>, id: u32) -> Self {
        Self {
            text: text.into(),
            id,
            strip_left: true,
            strip_right: true,
        }
    }
}

/// How text becomes tokens; written beside the model in `tokenizer_config.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the independent switches of the file format"
)]
pub struct LlamaOptions {
    /// Whether every stretch of text after a special token begins with a space piece, as in
    /// transformers up to 4.31 and wherever the file does not say otherwise.
    pub legacy: bool,
    /// Whether a text begins with `<s>`.
    pub add_bos: bool,
    /// Whether a text ends with `</s>`.
    pub add_eos: bool,
    /// Whether `<s>`, `</s>` and `<unk>` inside a text are the tokens of these names. They are
    /// for a tokenizer that is loaded from a folder, and are plain text for one that is made
    /// from a bare `tokenizer.model`.
    pub control_in_text: bool,
}

impl Default for LlamaOptions {
    fn default() -> Self {
        Self {
            legacy: true,
            add_bos: true,
            add_eos: false,
            control_in_text: true,
        }
    }
}

/// A stretch of text or a token inside it.
#[derive(Debug, PartialEq)]
enum Segment<'a> {
    Text(&'a str),
    Token(u32),
}

/// A sentencepiece model with its special tokens.
#[derive(Debug, Clone)]
pub(super) struct LlamaTokenizer {
    pub(super) model: SentencePieceModel,
    pub(super) options: LlamaOptions,
    /// Tokens that are never split, the longest first.
    whole: Vec<AddedToken>,
    /// Tokens outside the model, by id; a subset of `whole`.
    added: Vec<AddedToken>,
}

impl LlamaTokenizer {
    pub(super) fn new(
        model: SentencePieceModel,
        options: LlamaOptions,
        added: Vec<AddedToken>,
    ) -> Self {
        let mut whole = added.clone();
        if options.control_in_text {
            let ids = [model.bos, model.eos, Some(model.unknown)];
            for id in ids.into_iter().flatten() {
                if let Some(piece) = model.piece(id) {
                    whole.push(AddedToken {
                        text: piece.text.to_string(),
                        id,
                        strip_left: false,
                        strip_right: false,
                    });
                }
            }
        }
        whole.retain(|token| !token.text.is_empty());
        whole.sort_by_key(|token| std::cmp::Reverse(token.text.len()));
        Self {
            model,
            options,
            whole,
            added,
        }
    }

    /// Adds a token; whoever calls has checked that text and id are free.
    pub(super) fn with_added(self, token: AddedToken) -> Self {
        let mut added = self.added;
        added.push(token);
        Self::new(self.model, self.options, added)
    }

    pub(super) fn added(&self) -> &[AddedToken] {
        &self.added
    }

    /// One past the largest id.
    pub(super) fn vocab_size(&self) -> usize {
        let added = self.added.iter().map(|token| token.id as usize + 1).max();
        self.model.pieces.len().max(added.unwrap_or(0))
    }

    pub(super) fn token_id(&self, text: &str) -> Option<u32> {
        let added = self.added.iter().find(|token| token.text == text);
        added
            .map(|token| token.id)
            .or_else(|| self.model.ids.get(text).copied())
    }

    pub(super) fn token_text(&self, id: u32) -> Option<String> {
        let added = self.added.iter().find(|token| token.id == id);
        added
            .map(|token| token.text.clone())
            .or_else(|| Some(self.model.piece(id)?.text.to_string()))
    }

    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let prefixed;
        let text = if self.options.legacy || text.is_empty() {
            text
        } else {
            prefixed = format!("{SPACE}{}", text.replace(SPACE, " "));
            &prefixed
        };
        let segments = self.split(text);
        let mut ids = Vec::new();
        if self.options.add_bos {
            ids.extend(self.model.bos);
        }
        for (index, segment) in segments.iter().enumerate() {
            match *segment {
                Segment::Token(id) => ids.push(id),
                Segment::Text(text) if self.options.legacy => {
                    ids.extend(self.model.encode(text, self.model.add_dummy_prefix));
                }
                Segment::Text(text) => {
                    // The prefix of a text that begins with a special token goes.
                    let lone_prefix = index == 0 && segments.len() > 1 && text.chars().eq([SPACE]);
                    if !lone_prefix {
                        ids.extend(self.model.encode(text, false));
                    }
                }
            }
        }
        if self.options.add_eos {
            ids.extend(self.model.eos);
        }
        ids
    }

    /// Cuts a text at whole tokens: the first one that begins, the longest of these.
    fn split<'a>(&self, text: &'a str) -> Vec<Segment<'a>> {
        let mut segments = Vec::new();
        let mut start = 0;
        let mut at = 0;
        let mut strip_left = false;
        while at < text.len() {
            let rest = &text.as_bytes()[at..];
            let found = self
                .whole
                .iter()
                .find(|token| rest.starts_with(token.text.as_bytes()));
            let Some(token) = found else {
                at += 1;
                continue;
            };
            push_text(
                &mut segments,
                &text[start..at],
                strip_left,
                token.strip_left,
            );
            segments.push(Segment::Token(token.id));
            at += token.text.len();
            start = at;
            strip_left = token.strip_right;
        }
        push_text(&mut segments, &text[start..], strip_left, false);
        segments
    }
}

fn push_text<'a>(segments: &mut Vec<Segment<'a>>, text: &'a str, left: bool, right: bool) {
    let text = if left {
        text.trim_start_matches(is_python_space)
    } else {
        text
    };
    let text = if right {
        text.trim_end_matches(is_python_space)
    } else {
        text
    };
    if !text.is_empty() {
        segments.push(Segment::Text(text));
    }
}

/// White space as `str.strip` of the reference counts it: four separators more than Unicode's.
fn is_python_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Ids to text, one at a time; special tokens leave no trace.
#[derive(Debug, Clone, Default)]
pub(super) struct LlamaDecoder {
    bytes: Utf8Stream,
    /// Texts and added tokens so far; a space stands between them.
    parts: usize,
    /// Whether the last id belonged to a text.
    in_text: bool,
    /// Whether the text has shown anything, its first space piece included.
    text_begun: bool,
}

impl LlamaDecoder {
    /// The text that is certain now. An id that the tokenizer lacks shows as U+FFFD.
    pub(super) fn push(&mut self, tokenizer: &LlamaTokenizer, id: u32) -> String {
        if let Some(token) = tokenizer.added.iter().find(|token| token.id == id) {
            let mut text = self.bytes.finish();
            if self.parts > 0 {
                text.push(' ');
            }
            text.push_str(&token.text);
            self.parts += 1;
            self.in_text = false;
            return text;
        }
        let model = &tokenizer.model;
        if [model.bos, model.eos, Some(model.unknown)].contains(&Some(id)) {
            return String::new();
        }
        let mut text = String::new();
        if !self.in_text {
            if self.parts > 0 {
                text.push(' ');
            }
            self.parts += 1;
            self.in_text = true;
            self.text_begun = false;
        }
        let Some(piece) = model.piece(id) else {
            text.push_str(&self.bytes.finish());
            text.push(char::REPLACEMENT_CHARACTER);
            self.text_begun = true;
            return text;
        };
        self.push_piece(tokenizer, &piece.text, piece.kind, &mut text);
        text
    }

    fn push_piece(
        &mut self,
        tokenizer: &LlamaTokenizer,
        piece: &str,
        kind: PieceKind,
        text: &mut String,
    ) {
        let model = &tokenizer.model;
        match kind {
            PieceKind::Byte => {
                if let Some(byte) = super::sentencepiece::byte_value(piece) {
                    text.push_str(&self.bytes.push(byte));
                    self.text_begun = true;
                }
            }
            PieceKind::Control => text.push_str(&self.bytes.finish()),
            PieceKind::Unknown => {
                text.push_str(&self.bytes.finish());
                text.push_str(&model.unknown_surface);
                self.text_begun = true;
            }
            PieceKind::Normal | PieceKind::UserDefined | PieceKind::Unused => {
                text.push_str(&self.bytes.finish());
                let strips = model.add_dummy_prefix || model.remove_extra_whitespaces;
                let shown = match piece.strip_prefix(SPACE) {
                    Some(rest) if strips && !self.text_begun => {
                        // A model that removes extra spaces drops every leading one.
                        self.text_begun = !model.remove_extra_whitespaces;
                        rest
                    }
                    _ => piece,
                };
                self.text_begun |= !shown.is_empty();
                text.extend(
                    shown
                        .chars()
                        .map(|character| if character == SPACE { ' ' } else { character }),
                );
            }
        }
    }

    /// What is left when no more ids come.
    pub(super) fn finish(&mut self) -> String {
        self.bytes.finish()
    }
}
