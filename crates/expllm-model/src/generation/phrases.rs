//! What answers have said before, from which the next tokens are guessed.
//!
//! Chains of one model repeat their phrases, and several tokens at once cost little more than one.
//! Tokens that are guessed are run together; those that the answer then really takes need no
//! pass of their own, the others are forgotten. What is chosen stays the choice of the scores
//! (Leviathan et al. 2023; guesses from earlier text instead of a smaller model: Saxena 2023,
//! *prompt lookup decoding*).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use expllm_kernels::FEW_TOKENS;

/// Contexts that are remembered; newer ones take the place of others.
const SLOTS: usize = 1 << 16;

/// Tokens of a context: the longest that is known decides.
const CONTEXT: RangeInclusive<usize> = 2..=4;

/// Most tokens that are guessed at a time: with the one before them, as many as the kernels run
/// to the last bit as one by one.
const MOST: usize = FEW_TOKENS - 1;

/// How often a token was seen after a context is counted up to here.
const WELL_KNOWN: u8 = 3;

/// Phrases of the answers so far, in memory of a fixed size. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Phrases(Arc<Mutex<Table>>);

/// How guesses went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuessCounts {
    /// Tokens that were run on a guess.
    pub guessed: u64,
    /// Those that the answer took.
    pub right: u64,
}

#[derive(Debug, Default)]
struct Table {
    /// None before the first phrase.
    slots: Vec<Slot>,
    counts: GuessCounts,
}

/// The token that follows a context, and how often it was confirmed.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// A part of the hash of the context.
    tag: u32,
    token: u32,
    confirmed: u8,
}

impl Phrases {
    /// How guesses went so far.
    #[must_use]
    pub fn counts(&self) -> GuessCounts {
        self.with(|table| table.counts)
    }

    /// The likely tokens after others, at most `room` of them.
    pub(super) fn guess(&self, tokens: &[u32], room: usize) -> Vec<u32> {
        let longest = *CONTEXT.end();
        let mut text = tokens[tokens.len().saturating_sub(longest)..].to_vec();
        let known = text.len();
        self.with(|table| {
            while text.len() < known + room.min(MOST) {
                let Some(token) = table.next(&text) else {
                    break;
                };
                text.push(token);
            }
        });
        text.split_off(known)
    }

    /// Takes note of the last token and what came before it.
    pub(super) fn learn(&self, tokens: &[u32]) {
        let Some((&token, before)) = tokens.split_last() else {
            return;
        };
        self.with(|table| table.learn(before, token));
    }

    pub(super) fn count(&self, guessed: usize, right: usize) {
        self.with(|table| {
            table.counts.guessed += guessed as u64;
            table.counts.right += right as u64;
        });
    }

    fn with<R>(&self, act: impl FnOnce(&mut Table) -> R) -> R {
        // A guess that a panic left half written is only a worse guess.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Table {
    /// The token after the longest context that is known, where it was seen there twice.
    fn next(&self, text: &[u32]) -> Option<u32> {
        let known = CONTEXT.rev().find_map(|length| {
            let (place, tag) = place_of(text, length)?;
            self.slots.get(place).filter(|slot| slot.tag == tag)
        });
        known
            .filter(|slot| slot.confirmed > 0)
            .map(|slot| slot.token)
    }

    fn learn(&mut self, before: &[u32], token: u32) {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, Slot::default());
        }
        for (place, tag) in CONTEXT.filter_map(|length| place_of(before, length)) {
            let slot = &mut self.slots[place];
            match (slot.tag == tag, slot.token == token, slot.confirmed) {
                (true, true, _) => slot.confirmed = (slot.confirmed + 1).min(WELL_KNOWN),
                // What contradicts it, or wants its place, has to come again.
                (_, _, 1..) => slot.confirmed -= 1,
                _ => {
                    let confirmed = 0;
                    *slot = Slot {
                        tag,
                        token,
                        confirmed,
                    };
                }
            }
        }
    }
}

/// Where the last tokens of a text are looked up, and how they are told from others there.
fn place_of(text: &[u32], length: usize) -> Option<(usize, u32)> {
    let context = &text[text.len().checked_sub(length)?..];
    let mut hasher = DefaultHasher::new();
    context.hash(&mut hasher);
    let hash = hasher.finish();
    // Zero is the tag of an empty slot.
    Some((hash as usize % SLOTS, (hash >> 32) as u32 | 1))
}

/// Tokens that were run on a guess beyond those of a prefix.
#[derive(Debug, Clone, Default)]
pub(super) struct Ahead {
    phrases: Option<Phrases>,
    tokens: Vec<u32>,
    /// Scores after each of them.
    scores: Vec<f32>,
    /// How many of them were taken.
    taken: usize,
}

impl Ahead {
    pub(super) fn follow(&mut self, phrases: &Phrases) {
        self.phrases = Some(phrases.clone());
    }

    /// Takes the next token that was run, where it is this one, with the scores after it.
    pub(super) fn take(&mut self, token: u32, scores: &mut Vec<f32>) -> bool {
        if self.tokens.get(self.taken) != Some(&token) {
            return false;
        }
        let vocab = self.scores.len() / self.tokens.len();
        scores.clear();
        scores.extend_from_slice(&self.scores[self.taken * vocab..][..vocab]);
        self.taken += 1;
        true
    }

    /// Forgets what was run and not taken; whether there was anything.
    pub(super) fn forget(&mut self) -> bool {
        let had = !self.tokens.is_empty();
        if let Some(phrases) = self.phrases.as_ref().filter(|_| had) {
            phrases.count(self.tokens.len(), self.taken);
        }
        self.tokens.clear();
        self.taken = 0;
        had
    }

    /// What may come after some tokens.
    pub(super) fn guess(&self, tokens: &[u32], room: usize) -> Vec<u32> {
        let phrases = self.phrases.as_ref();
        phrases.map_or(Vec::new(), |phrases| phrases.guess(tokens, room))
    }

    /// Keeps tokens that were run, with the scores after each.
    pub(super) fn keep(&mut self, tokens: &[u32], scores: &[f32]) {
        self.tokens.extend_from_slice(tokens);
        self.scores.clear();
        self.scores.extend_from_slice(scores);
    }

    pub(super) fn learn(&self, tokens: &[u32]) {
        if let Some(phrases) = &self.phrases {
            phrases.learn(tokens);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(texts: &[&[u32]]) -> Phrases {
        let phrases = Phrases::default();
        for text in texts {
            (1..=text.len()).for_each(|end| phrases.learn(&text[..end]));
        }
        phrases
    }

    #[test]
    fn what_came_twice_is_guessed() {
        let once = told(&[&[1, 2, 3, 4, 5, 6]]);
        assert_eq!(once.guess(&[1, 2], 9), [0_u32; 0]);
        let twice = told(&[&[1, 2, 3, 4, 5, 6], &[1, 2, 3, 4, 5, 6]]);
        assert_eq!(twice.guess(&[1, 2], 9), [3, 4, 5, 6]);
        assert_eq!(twice.guess(&[7, 1, 2], 2), [3, 4]);
        assert_eq!(twice.guess(&[2, 1], 9), [0_u32; 0]);
        assert_eq!(twice.guess(&[], 9), [0_u32; 0]);
    }

    #[test]
    fn a_longer_context_decides() {
        let phrases = told(&[&[9, 1, 2, 3], &[9, 1, 2, 3], &[8, 1, 2, 4], &[8, 1, 2, 4]]);
        assert_eq!(phrases.guess(&[9, 1, 2], 1), [3]);
        assert_eq!(phrases.guess(&[8, 1, 2], 1), [4]);
    }

    #[test]
    fn memory_has_an_end() {
        let phrases = Phrases::default();
        let text: Vec<u32> = (0..3 * SLOTS as u32)
            .map(|n| n.wrapping_mul(77_777))
            .collect();
        (1..=text.len()).for_each(|end| phrases.learn(&text[end.saturating_sub(6)..end]));
        assert_eq!(phrases.with(|table| table.slots.len()), SLOTS);
        // Newer phrases are still learnt.
        for _ in 0..4 {
            (1..=4).for_each(|end| phrases.learn(&[1, 2, 3, 4][..end]));
        }
        assert_eq!(phrases.guess(&[1, 2, 3], 1), [4]);
    }
}
