//! Which tokens of a batch are real, and what each sees.

use burn::tensor::Tensor;

use super::Pass;
use crate::ModelError;

/// What new tokens see of all tokens, those of the cache and themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Seen {
    /// Everything up to themselves.
    #[default]
    Before,
    /// For each row of the batch `[length, cached + length]`, row major: which they see.
    Rows(Vec<Vec<bool>>),
}

/// Rows of equal length that say which tokens are real and which are padding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenMask {
    rows: Vec<Vec<bool>>,
}

impl TokenMask {
    /// A mask; `None` when rows differ in length.
    #[must_use]
    pub fn new(rows: Vec<Vec<bool>>) -> Option<Self> {
        let length = rows.first().map_or(0, Vec::len);
        rows.iter()
            .all(|row| row.len() == length)
            .then_some(Self { rows })
    }

    /// A mask without padding.
    #[must_use]
    pub fn full(batch: usize, length: usize) -> Self {
        Self {
            rows: vec![vec![true; length]; batch],
        }
    }

    /// Rows.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.rows.len()
    }

    /// Tokens per row.
    #[must_use]
    pub fn length(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Vec<bool>] {
        &self.rows
    }

    /// Checks that there is a token for each embedding.
    pub(super) fn check_size(&self, embeddings: &Tensor<3>) -> Result<(), ModelError> {
        let [batch, length, _] = embeddings.dims();
        if [self.batch(), self.length()] == [batch, length] && batch > 0 && length > 0 {
            return Ok(());
        }
        let (rows, tokens) = (self.batch(), self.length());
        Err(ModelError::Input {
            what: "token mask",
            reason: format!("{rows} x {tokens} for tokens of {batch} x {length}"),
        })
    }

    /// Checks that no row has more real tokens, the new ones among them, than the model knows
    /// positions.
    pub(super) fn check_limit(&self, new: &Self, limit: usize) -> Result<(), ModelError> {
        let real = |row: &Vec<bool>| row.iter().filter(|&&real| real).count();
        let before = self.rows.iter().map(real).chain(std::iter::repeat(0));
        let counts = new.rows.iter().zip(before);
        match counts.map(|(row, before)| before + real(row)).max() {
            Some(tokens) if tokens > limit => Err(ModelError::ContextTooLong { tokens, limit }),
            _ => Ok(()),
        }
    }

    /// Padding of the row that has most of it.
    pub(super) fn most_padding(&self) -> usize {
        let count = |row: &Vec<bool>| row.iter().filter(|&&real| !real).count();
        self.rows.iter().map(count).max().unwrap_or(0)
    }

    /// How many tokens are real in every row before the first padding of any.
    pub(crate) fn unpadded(&self) -> usize {
        let count = |row: &Vec<bool>| row.iter().take_while(|&&real| real).count();
        self.rows.iter().map(count).min().unwrap_or(0)
    }

    /// Makes room for as many tokens in every row.
    pub(super) fn reserve(&mut self, tokens: usize) {
        let more = tokens.saturating_sub(self.length());
        self.rows.iter_mut().for_each(|row| row.reserve(more));
    }

    /// Appends a real token to the only row; whether that is all that there is.
    pub(super) fn push(&mut self) -> bool {
        match &mut self.rows[..] {
            [row] if row.iter().all(|&real| real) => {
                row.push(true);
                true
            }
            _ => false,
        }
    }

    /// Appends tokens to every row.
    pub(crate) fn extend(&mut self, new: &Self) {
        if self.rows.is_empty() {
            self.rows.clone_from(&new.rows);
            return;
        }
        for (row, tail) in self.rows.iter_mut().zip(&new.rows) {
            row.extend(tail);
        }
    }

    /// Keeps the first tokens of every row.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.rows.iter_mut().for_each(|row| row.truncate(length));
    }

    /// Picks rows, also repeatedly.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        Self {
            rows: rows.iter().map(|&row| self.rows[row].clone()).collect(),
        }
    }

    /// Positions of the tokens from `start` on: how many real tokens come before each.
    pub(crate) fn positions(&self, start: usize) -> Vec<Vec<usize>> {
        let count = |row: &Vec<bool>| {
            let mut next = row[..start].iter().filter(|&&real| real).count();
            row[start..]
                .iter()
                .map(|&real| {
                    let position = next;
                    next += usize::from(real);
                    position
                })
                .collect()
        };
        self.rows.iter().map(count).collect()
    }

    /// What the tokens from `start` on see: real tokens that are not after them.
    fn seen(&self, start: usize) -> Seen {
        let length = self.length();
        if self.rows.iter().flatten().all(|&real| real) {
            return Seen::Before;
        }
        let row = |row: &Vec<bool>| {
            let query = |query: usize| {
                let key = move |(key, &real): (usize, &bool)| real && key <= query;
                row.iter().enumerate().map(key)
            };
            (start..length).flat_map(query).collect()
        };
        Seen::Rows(self.rows.iter().map(row).collect())
    }

    /// The tokens from `start` on as a pass over the layers.
    pub(super) fn pass(&self, start: usize) -> Pass {
        Pass {
            start,
            length: self.length() - start,
            positions: self.positions(start),
            seen: self.seen(start),
        }
    }

    /// A pass of tokens that branch after every row. `parents[i]` is the token that comes before
    /// token `i`, or `None` for the end of the row; a parent stands before its children.
    pub(super) fn branches(&self, parents: &[Option<usize>]) -> Pass {
        let rows = self.rows.iter().map(|row| branch(row, parents));
        let (positions, seen) = rows.unzip();
        Pass {
            start: self.length(),
            length: parents.len(),
            positions,
            seen: Seen::Rows(seen),
        }
    }
}

/// Positions of tokens that branch after one row, and what they see.
fn branch(cached: &[bool], parents: &[Option<usize>]) -> (Vec<usize>, Vec<bool>) {
    let (start, count) = (cached.len(), parents.len());
    let real = cached.iter().filter(|&&real| real).count();
    let mut positions: Vec<usize> = Vec::with_capacity(count);
    let mut seen = vec![false; count * (start + count)];
    for (node, (parent, seen)) in parents
        .iter()
        .zip(seen.chunks_exact_mut(start + count))
        .enumerate()
    {
        positions.push(parent.map_or(real, |parent| positions[parent] + 1));
        seen[..start].copy_from_slice(cached);
        let mut next = Some(node);
        while let Some(token) = next {
            seen[start + token] = true;
            next = parents[token];
        }
    }
    (positions, seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_real_tokens() {
        let mask = TokenMask::new(vec![vec![false, false, true, true], vec![true; 4]]).unwrap();
        assert_eq!(mask.positions(0), [vec![0, 0, 0, 1], vec![0, 1, 2, 3]]);
        assert_eq!(mask.positions(3), [vec![1], vec![3]]);
    }

    #[test]
    fn padding_is_seen_by_nobody() {
        let mask = TokenMask::new(vec![vec![false, true, true], vec![true; 3]]).unwrap();
        let rows = vec![
            vec![false, true, false, false, true, true],
            vec![true, true, false, true, true, true],
        ];
        assert_eq!(mask.pass(1).seen, Seen::Rows(rows));
        assert_eq!(TokenMask::full(2, 3).pass(1).seen, Seen::Before);
    }

    #[test]
    fn branches_see_their_parents_and_the_row() {
        let mask = TokenMask::new(vec![vec![false, true]]).unwrap();
        let pass = mask.branches(&[None, Some(0), None]);
        assert_eq!(pass.positions, [vec![1, 2, 1]]);
        let t = true;
        let f = false;
        let seen = [[f, t, t, f, f], [f, t, t, t, f], [f, t, f, f, t]].concat();
        assert_eq!(pass.seen, Seen::Rows(vec![seen]));
    }

    #[test]
    fn rows_of_different_length_are_refused() {
        assert_eq!(TokenMask::new(vec![vec![true], vec![]]), None);
    }
}
