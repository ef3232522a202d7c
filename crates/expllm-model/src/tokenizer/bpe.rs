//! Text to pieces by merging, as `bpe_model.cc` of sentencepiece does it: of all neighbours that
//! form a piece, the pair with the highest score merges first, the leftmost of equals.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use super::sentencepiece::{PieceKind, SPACE, SentencePieceModel};

const NONE: usize = usize::MAX;

/// A stretch of the text that is one piece so far. Empty once its left neighbour took it.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    start: usize,
    end: usize,
    previous: usize,
    next: usize,
    /// User-defined pieces do not merge.
    frozen: bool,
}

impl Symbol {
    fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// A pair of neighbours that forms a piece.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    score: f32,
    left: usize,
    right: usize,
    /// The bytes of both; another number means that one of them has merged since.
    size: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score
            .total_cmp(&other.score)
            .then_with(|| other.left.cmp(&self.left))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

/// The state of one text.
struct Merger<'a> {
    model: &'a SentencePieceModel,
    text: &'a str,
    symbols: Vec<Symbol>,
    agenda: BinaryHeap<Candidate>,
    /// From which halves an unused piece was formed: where the right half starts.
    halves: HashMap<&'a str, usize>,
}

impl<'a> Merger<'a> {
    fn new(model: &'a SentencePieceModel, text: &'a str) -> Self {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
        let mut start = 0;
        while let Some(first) = text[start..].chars().next() {
            let user_defined = model
                .user_defined
                .iter()
                .map(|&id| &model.pieces[id as usize].text)
                .find(|piece| text[start..].starts_with(&***piece));
            let end = start + user_defined.map_or(first.len_utf8(), |piece| piece.len());
            symbols.push(Symbol {
                start,
                end,
                previous: symbols.len().checked_sub(1).unwrap_or(NONE),
                next: symbols.len() + 1,
                frozen: user_defined.is_some(),
            });
            start = end;
        }
        if let Some(last) = symbols.last_mut() {
            last.next = NONE;
        }
        Self {
            model,
            text,
            symbols,
            agenda: BinaryHeap::new(),
            halves: HashMap::new(),
        }
    }

    /// Notes the pair if it forms a piece. Either side may be past an end of the text.
    fn consider(&mut self, left: usize, right: usize) {
        if left == NONE || right == NONE {
            return;
        }
        let (a, b) = (self.symbols[left], self.symbols[right]);
        if a.frozen || b.frozen {
            return;
        }
        let text = &self.text[a.start..b.end];
        let Some(&id) = self.model.ids.get(text) else {
            return;
        };
        let piece = &self.model.pieces[id as usize];
        match piece.kind {
            PieceKind::Normal | PieceKind::UserDefined => {}
            PieceKind::Unused => {
                self.halves.insert(text, a.end - a.start);
            }
            PieceKind::Unknown | PieceKind::Control | PieceKind::Byte => return,
        }
        self.agenda.push(Candidate {
            score: piece.score,
            left,
            right,
            size: text.len(),
        });
    }

    fn merge_all(&mut self) {
        for right in 1..self.symbols.len() {
            self.consider(right - 1, right);
        }
        while let Some(best) = self.agenda.pop() {
            let (left, right) = (self.symbols[best.left], self.symbols[best.right]);
            let current = left.end - left.start + right.end - right.start == best.size;
            if left.is_empty() || right.is_empty() || !current {
                continue;
            }
            self.symbols[best.left].end = right.end;
            self.symbols[best.left].next = right.next;
            if right.next != NONE {
                self.symbols[right.next].previous = best.left;
            }
            self.symbols[best.right].start = right.end;
            self.consider(left.previous, best.left);
            self.consider(best.left, right.next);
        }
    }

    /// The pieces of the finished text; unused pieces are taken apart again.
    fn finish(self) -> Vec<&'a str> {
        let mut output = Vec::new();
        let mut stack = Vec::new();
        let mut at = if self.symbols.is_empty() { NONE } else { 0 };
        while at != NONE {
            let symbol = self.symbols[at];
            stack.push(&self.text[symbol.start..symbol.end]);
            while let Some(text) = stack.pop() {
                let unused =
                    self.model.ids.get(text).is_some_and(|&id| {
                        self.model.pieces[id as usize].kind == PieceKind::Unused
                    });
                match self.halves.get(text) {
                    Some(&middle) if unused => {
                        stack.push(&text[middle..]);
                        stack.push(&text[..middle]);
                    }
                    _ => output.push(text),
                }
            }
            at = symbol.next;
        }
        output
    }
}

/// Spaces as the model's normaliser writes them.
fn normalise(model: &SentencePieceModel, text: &str, dummy_prefix: bool) -> String {
    let mut output = String::with_capacity(text.len() + text.len() / 4 + 3);
    let text = if model.remove_extra_whitespaces {
        text.trim_matches(' ')
    } else {
        text
    };
    if text.is_empty() {
        return output;
    }
    if dummy_prefix {
        output.push(SPACE);
    }
    let mut after_space = false;
    for character in text.chars() {
        let space = character == ' ';
        if space && after_space && model.remove_extra_whitespaces {
            continue;
        }
        output.push(if space { SPACE } else { character });
        after_space = space;
    }
    output
}

impl SentencePieceModel {
    /// The ids of a text without special tokens.
    ///
    /// `dummy_prefix` puts a space before the text, as models with `add_dummy_prefix` do.
    pub(super) fn encode(&self, text: &str, dummy_prefix: bool) -> Vec<u32> {
        let text = normalise(self, text, dummy_prefix);
        let mut merger = Merger::new(self, &text);
        merger.merge_all();
        let mut ids = Vec::new();
        let mut after_unknown = false;
        for piece in merger.finish() {
            let id = self.ids.get(piece).copied().unwrap_or(self.unknown);
            let unknown = id == self.unknown;
            if unknown && self.byte_fallback {
                ids.extend(piece.bytes().map(|byte| self.byte(byte)));
            } else if !(unknown && after_unknown) {
                // A run of unknown pieces is one token.
                ids.push(id);
            }
            after_unknown = unknown && !self.byte_fallback;
        }
        ids
    }

    fn byte(&self, byte: u8) -> u32 {
        self.bytes[usize::from(byte)].unwrap_or(self.unknown)
    }
}
