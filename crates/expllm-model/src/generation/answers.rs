//! Choosing among fixed answers.

use super::{BatchPrefix, Prefix};
use crate::ModelError;

/// The answers that are allowed, as a tree of tokens.
///
/// Whatever the model would rather say, one of them is chosen: the one that is likeliest as a
/// whole, end token included, so that an answer which begins another does not win for being
/// short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerTrie {
    /// Token of each inner node, parents first.
    tokens: Vec<u32>,
    /// The node before each.
    parents: Vec<Option<usize>>,
    /// For each answer, the tokens and the node (`None`: the root) after which each is scored.
    paths: Vec<Vec<(Option<usize>, u32)>>,
}

impl AnswerTrie {
    /// A tree of answers that end with `end_token`.
    ///
    /// # Errors
    ///
    /// [`ModelError::Input`] without answers, or when one has no tokens.
    pub fn new(answers: &[Vec<u32>], end_token: u32) -> Result<Self, ModelError> {
        if answers.is_empty() || answers.iter().any(Vec::is_empty) {
            return Err(ModelError::Input {
                what: "fixed answers",
                reason: "there must be some, each with a token".to_owned(),
            });
        }
        let mut trie = Self {
            tokens: Vec::new(),
            parents: Vec::new(),
            paths: Vec::new(),
        };
        for answer in answers {
            let mut node = None;
            let mut path = Vec::with_capacity(answer.len() + 1);
            for &token in answer {
                path.push((node, token));
                node = Some(trie.child(node, token));
            }
            path.push((node, end_token));
            trie.paths.push(path);
        }
        Ok(trie)
    }

    fn child(&mut self, parent: Option<usize>, token: u32) -> usize {
        let mut nodes = self.parents.iter().zip(&self.tokens);
        let known = nodes.position(|(p, t)| *p == parent && *t == token);
        known.unwrap_or_else(|| {
            self.tokens.push(token);
            self.parents.push(parent);
            self.tokens.len() - 1
        })
    }

    /// The natural logarithm of the probability of each answer after a prefix. All answers are
    /// run in one pass; the prefix is left as it was.
    ///
    /// # Errors
    ///
    /// As [`ExpLlm::forward`](crate::ExpLlm::forward).
    pub fn log_probabilities(&self, prefix: &mut Prefix<'_>) -> Result<Vec<f64>, ModelError> {
        let after = prefix.branch_scores(&self.tokens, &self.parents)?;
        self.sums(prefix.scores(), &after)
    }

    /// As [`probabilities`](Self::probabilities), for every row of a batch.
    ///
    /// # Errors
    ///
    /// As [`log_probabilities`](Self::log_probabilities).
    pub fn batch_probabilities(
        &self,
        prefix: &mut BatchPrefix<'_>,
    ) -> Result<Vec<Vec<f64>>, ModelError> {
        let after = prefix.branch_scores(&self.tokens, &self.parents)?;
        let rows = prefix.scores().iter().zip(&after);
        rows.map(|(root, after)| Ok(shares(&self.sums(root, after)?)))
            .collect()
    }

    /// The logarithms from the scores after the prefix and after each inner node.
    fn sums(&self, root: &[f32], after: &[Vec<f32>]) -> Result<Vec<f64>, ModelError> {
        let root = Normalised::new(root);
        let nodes: Vec<_> = after.iter().map(|scores| Normalised::new(scores)).collect();
        let score = |&(node, token): &(Option<usize>, u32)| match node {
            Some(node) => nodes[node].log_probability(token),
            None => root.log_probability(token),
        };
        let sums: Vec<f64> = self
            .paths
            .iter()
            .map(|path| path.iter().map(score).sum())
            .collect();
        match sums.iter().any(|sum| sum.is_nan()) {
            true => Err(ModelError::Device("scores are not numbers".to_owned())),
            false => Ok(sums),
        }
    }

    /// The probability of each answer, given that it is one of them; the sum is one.
    ///
    /// # Errors
    ///
    /// As [`log_probabilities`](Self::log_probabilities).
    pub fn probabilities(&self, prefix: &mut Prefix<'_>) -> Result<Vec<f64>, ModelError> {
        Ok(shares(&self.log_probabilities(prefix)?))
    }
}

/// Probabilities that sum to one, from logarithms.
fn shares(logs: &[f64]) -> Vec<f64> {
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

/// Scores with the logarithm of the sum of their exponentials.
struct Normalised<'a> {
    scores: &'a [f32],
    log_sum: f64,
}

impl<'a> Normalised<'a> {
    fn new(scores: &'a [f32]) -> Self {
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = scores
            .iter()
            .map(|score| f64::from(score - largest).exp())
            .sum();
        Self {
            scores,
            log_sum: f64::from(largest) + sum.ln(),
        }
    }

    fn log_probability(&self, token: u32) -> f64 {
        let score = self.scores.get(token as usize);
        score.map_or(f64::NEG_INFINITY, |&score| f64::from(score) - self.log_sum)
    }
}
