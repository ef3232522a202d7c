//! Near-duplicate texts.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Texts whose 64-bit fingerprints differ in at most this many bits are nearly the same.
const NEAR_BITS: u32 = 3;

/// Longest list that is looked through per band, so that a flood of equal texts stays linear.
const MOST_CANDIDATES: usize = 64;

/// Finds near-duplicates by SimHash over word triples (Charikar 2002), looked up in four bands of
/// sixteen bits: two fingerprints that differ in three bits agree in at least one band.
#[derive(Debug, Default)]
pub(crate) struct Repetitions {
    bands: HashMap<(u8, u16), Vec<usize>>,
    prints: Vec<u64>,
    names: Vec<String>,
}

impl Repetitions {
    /// Adds a text; the name of an earlier one that is nearly the same.
    pub(crate) fn add(&mut self, text: &str, name: &str) -> Option<&str> {
        let print = fingerprint(text);
        let keys = [0u8, 1, 2, 3].map(|band| (band, (print >> (16 * band)) as u16));
        let near = |i: &&usize| (self.prints[**i] ^ print).count_ones() <= NEAR_BITS;
        let found = keys
            .iter()
            .filter_map(|key| self.bands.get(key))
            .find_map(|list| list.iter().take(MOST_CANDIDATES).find(near).copied());
        let index = self.prints.len();
        self.prints.push(print);
        self.names.push(name.to_owned());
        for key in keys {
            self.bands.entry(key).or_default().push(index);
        }
        found.map(|i| self.names[i].as_str())
    }
}

fn fingerprint(text: &str) -> u64 {
    let text = text.to_lowercase();
    let words: Vec<_> = text
        .split(|c: char| !c.is_alphabetic())
        .filter(|w| !w.is_empty())
        .collect();
    let mut votes = [0i32; 64];
    for triple in words.windows(3) {
        let mut hasher = DefaultHasher::new();
        triple.hash(&mut hasher);
        let hash = hasher.finish();
        for (bit, vote) in votes.iter_mut().enumerate() {
            *vote += if hash >> bit & 1 == 1 { 1 } else { -1 };
        }
    }
    votes
        .iter()
        .enumerate()
        .fold(0, |print, (bit, vote)| print | u64::from(*vote > 0) << bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_changes_are_near_and_other_texts_are_not() {
        let long = "the left brow rises while the jaw drops and both lips part in a way that \
                    speaks of sudden wonder at something that nobody in the room had expected to \
                    happen on that quiet morning before the first train left the small station";
        let mut all = Repetitions::default();
        assert_eq!(all.add(long, "a"), None);
        assert_eq!(
            all.add(
                "a wholly different text about a calm face with nothing in it",
                "b"
            ),
            None
        );
        assert_eq!(all.add(&long.replace("THE", "the"), "c"), Some("a"));
        assert_eq!(all.add(&format!("{long}!"), "d"), Some("a"));
    }
}
