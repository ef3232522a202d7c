//! Which tokens of a batch are real.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::ModelError;

/// What is added to scores of blocked positions: far below any score, yet finite, so that a row
/// in which everything is blocked (a padding token) stays free of NaN.
const BLOCKED: f32 = -1e30;

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

    /// Checks that no row has more real tokens than the model knows positions.
    pub(super) fn check_limit(&self, limit: usize) -> Result<(), ModelError> {
        let count = |row: &Vec<bool>| row.iter().filter(|&&real| real).count();
        match self.rows.iter().map(count).max() {
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

    /// What is added to attention scores so that tokens from `start` on see only real tokens
    /// that are not after them: `[batch or 1, 1, length - start, length]`, f32. `None` when
    /// nothing is blocked.
    pub(crate) fn bias(&self, start: usize, device: &Device) -> Option<Tensor<4>> {
        let length = self.length();
        let padded = self.rows.iter().flatten().any(|&real| !real);
        if !padded && length - start <= 1 {
            return None;
        }
        let rows = if padded {
            &self.rows[..]
        } else {
            &self.rows[..1]
        };
        let mut values = vec![0.0_f32; rows.len() * (length - start) * length];
        let queries = values.chunks_exact_mut(length);
        let places = rows
            .iter()
            .flat_map(|row| (start..length).map(move |query| (row, query)));
        for (scores, (row, query)) in queries.zip(places) {
            for (key, score) in scores.iter_mut().enumerate() {
                if key > query || !row[key] {
                    *score = BLOCKED;
                }
            }
        }
        let shape = [rows.len(), 1, length - start, length];
        let data = TensorData::new(values, shape);
        Some(Tensor::from_data(data, (device, DType::F32)))
    }
}

/// Positions and score bias of tokens that branch after every cached row.
pub(super) struct Branches {
    /// Position of each token, row by row.
    pub(super) positions: Vec<Vec<usize>>,
    /// `[batch, 1, tokens, cached + tokens]`, f32.
    pub(super) bias: Tensor<4>,
}

impl Branches {
    /// `parents[i]` is the token that comes before token `i`, or `None` for the end of the
    /// cached row; a parent stands before its children.
    pub(super) fn new(cached: &TokenMask, parents: &[Option<usize>], device: &Device) -> Self {
        let (start, count) = (cached.length(), parents.len());
        let mut values = vec![BLOCKED; cached.batch() * count * (start + count)];
        let rows = values.chunks_exact_mut(count * (start + count));
        let positions = rows
            .zip(&cached.rows)
            .map(|(scores, row)| Self::row(scores, row, parents))
            .collect();
        let data = TensorData::new(values, [cached.batch(), 1, count, start + count]);
        Self {
            positions,
            bias: Tensor::from_data(data, (device, DType::F32)),
        }
    }

    /// Opens what the tokens after one row may see; returns their positions.
    fn row(values: &mut [f32], cached: &[bool], parents: &[Option<usize>]) -> Vec<usize> {
        let (start, count) = (cached.len(), parents.len());
        let real = cached.iter().filter(|&&real| real).count();
        let mut positions: Vec<usize> = Vec::with_capacity(count);
        for (node, parent) in parents.iter().enumerate() {
            let depth = parent.map_or(real, |parent| positions[parent] + 1);
            positions.push(depth);
            let scores = &mut values[node * (start + count)..][..start + count];
            for (score, _) in scores.iter_mut().zip(cached).filter(|(_, real)| **real) {
                *score = 0.0;
            }
            let mut seen = Some(node);
            while let Some(token) = seen {
                scores[start + token] = 0.0;
                seen = parents[token];
            }
        }
        positions
    }
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
    fn rows_of_different_length_are_refused() {
        assert_eq!(TokenMask::new(vec![vec![true], vec![]]), None);
    }
}
