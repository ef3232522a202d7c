//! Metrics of generated text: ROUGE, BLEU, distinct-n and self-BLEU.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

/// Precision, recall and their harmonic mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// Share of the hypothesis that is in the reference.
    pub precision: f64,
    /// Share of the reference that is in the hypothesis.
    pub recall: f64,
    /// `2 p r / (p + r + 1e-8)`, the small number as in the reference package.
    pub f1: f64,
}

/// ROUGE-1, ROUGE-2 and ROUGE-L of one text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rouge {
    /// Single words.
    pub rouge_1: Overlap,
    /// Pairs of words.
    pub rouge_2: Overlap,
    /// Longest common subsequence, at summary level.
    pub rouge_l: Overlap,
}

/// ROUGE as the Python package `rouge` 1.0.1 (Apache-2.0) takes it, which EmoLA's REGE uses:
/// sentences end at full stops, words at white space, case and punctuation count, and every
/// n-gram counts once. `None` when a text has no sentence.
#[must_use]
pub fn rouge(hypothesis: &str, reference: &str) -> Option<Rouge> {
    let (hypothesis, reference) = (sentences(hypothesis), sentences(reference));
    if hypothesis.is_empty() || reference.is_empty() {
        return None;
    }
    let by_size = |size| {
        let (a, b) = (
            distinct(&hypothesis.concat(), size),
            distinct(&reference.concat(), size),
        );
        let common = a.intersection(&b).count();
        overlap(common, a.len(), b.len())
    };
    let mut common = HashSet::new();
    for theirs in &reference {
        for ours in &hypothesis {
            common.extend(common_words(theirs, ours));
        }
    }
    let words = |text: &[Vec<&str>]| distinct(&text.concat(), 1).len();
    Some(Rouge {
        rouge_1: by_size(1),
        rouge_2: by_size(2),
        rouge_l: overlap(common.len(), words(&hypothesis), words(&reference)),
    })
}

/// Words of each sentence. A blank sentence has one empty word, as in the reference package.
fn sentences(text: &str) -> Vec<Vec<&str>> {
    text.split('.')
        .filter(|sentence| !sentence.is_empty())
        .map(|sentence| {
            let words: Vec<_> = sentence.split_whitespace().collect();
            if words.is_empty() { vec![""] } else { words }
        })
        .collect()
}

fn distinct<'a>(words: &[&'a str], size: usize) -> HashSet<Vec<&'a str>> {
    words.windows(size).map(<[&str]>::to_vec).collect()
}

fn overlap(common: usize, hypothesis: usize, reference: usize) -> Overlap {
    let share = |whole: usize| common as f64 / whole.max(1) as f64;
    let (precision, recall) = (share(hypothesis), share(reference));
    Overlap {
        precision,
        recall,
        f1: 2.0 * (precision * recall / (precision + recall + 1e-8)),
    }
}

/// The distinct words of one longest common subsequence, ties broken as in the reference package.
fn common_words<'a>(x: &[&'a str], y: &[&'a str]) -> Vec<&'a str> {
    let width = y.len() + 1;
    let mut table = vec![0u32; (x.len() + 1) * width];
    for (i, a) in x.iter().enumerate() {
        for (j, b) in y.iter().enumerate() {
            let at = (i + 1) * width + j + 1;
            table[at] = if a == b {
                table[at - width - 1] + 1
            } else {
                table[at - width].max(table[at - 1])
            };
        }
    }
    let (mut i, mut j, mut words) = (x.len(), y.len(), Vec::new());
    while i > 0 && j > 0 {
        if x[i - 1] == y[j - 1] {
            words.push(x[i - 1]);
            (i, j) = (i - 1, j - 1);
        } else if table[(i - 1) * width + j] > table[i * width + j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    words
}

/// Corpus BLEU-4 of tokens split at white space, one reference each (Papineni et al. 2002): the
/// geometric mean of clipped n-gram precisions over the corpus times the brevity penalty, without
/// smoothing. `None` without texts or when the lists differ in length; 0 when some size of
/// n-gram has no match.
#[must_use]
pub fn bleu(hypotheses: &[&str], references: &[&str]) -> Option<f64> {
    if hypotheses.is_empty() || hypotheses.len() != references.len() {
        return None;
    }
    let references: Vec<_> = references.iter().map(|r| vec![*r]).collect();
    Some(corpus_bleu(hypotheses, &references))
}

/// Mean BLEU-4 of each text against all others (Zhu et al. 2018): 1 when all are the same, so
/// lower is more varied. `None` with fewer than two texts.
#[must_use]
pub fn self_bleu(texts: &[&str]) -> Option<f64> {
    if texts.len() < 2 {
        return None;
    }
    let scores = texts.iter().enumerate().map(|(index, text)| {
        let others = texts.iter().enumerate().filter(|(i, _)| *i != index);
        corpus_bleu(&[text], &[others.map(|(_, t)| *t).collect()])
    });
    Some(scores.sum::<f64>() / texts.len() as f64)
}

fn corpus_bleu(hypotheses: &[&str], references: &[Vec<&str>]) -> f64 {
    let (mut matches, mut totals) = ([0usize; 4], [0usize; 4]);
    let (mut ours, mut theirs) = (0usize, 0usize);
    for (hypothesis, references) in hypotheses.iter().zip(references) {
        let words: Vec<_> = hypothesis.split_whitespace().collect();
        let references: Vec<Vec<_>> = references
            .iter()
            .map(|r| r.split_whitespace().collect())
            .collect();
        ours += words.len();
        // The reference of the nearest length, the shorter of two.
        let nearest = references
            .iter()
            .map(Vec::len)
            .min_by_key(|&len| (len.abs_diff(words.len()), len));
        theirs += nearest.unwrap_or(0);
        for size in 1..=4 {
            let clips: Vec<_> = references.iter().map(|r| counts(r, size)).collect();
            for (gram, count) in counts(&words, size) {
                let most = clips.iter().filter_map(|c| c.get(gram)).max();
                matches[size - 1] += count.min(most.copied().unwrap_or(0));
            }
            // A text shorter than the n-gram still weighs one, as in NLTK.
            totals[size - 1] += words.len().saturating_sub(size - 1).max(1);
        }
    }
    if matches.contains(&0) {
        return 0.0;
    }
    let logs: f64 = matches
        .iter()
        .zip(totals)
        .map(|(&m, t)| (m as f64 / t as f64).ln())
        .sum();
    let brevity = if ours > theirs {
        1.0
    } else {
        (1.0 - theirs as f64 / ours as f64).exp()
    };
    brevity * (logs / 4.0).exp()
}

fn counts<'a, 'b>(words: &'b [&'a str], size: usize) -> HashMap<&'b [&'a str], usize> {
    let mut counts = HashMap::new();
    for gram in words.windows(size) {
        *counts.entry(gram).or_default() += 1;
    }
    counts
}

/// Distinct n-grams over all n-grams of the texts (Li et al. 2016), words split at white space;
/// `None` when there is none or `size` is 0.
#[must_use]
pub fn distinct_n(texts: &[&str], size: usize) -> Option<f64> {
    if size == 0 {
        return None;
    }
    let (mut all, mut seen) = (0usize, HashSet::new());
    for text in texts {
        let words: Vec<_> = text.split_whitespace().collect();
        for gram in words.windows(size) {
            all += 1;
            seen.insert(gram.join(" "));
        }
    }
    (all > 0).then(|| seen.len() as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn empty_texts_have_no_score() {
        assert_eq!(rouge("", "a"), None);
        assert_eq!(bleu(&[], &[]), None);
        assert_eq!(self_bleu(&["one"]), None);
        assert_eq!(distinct_n(&["a"], 2), None);
        assert_eq!(distinct_n(&["a b a"], 1), Some(2.0 / 3.0));
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_best(text in "[a-e]( [a-e]){4,20}", other in "[a-e]( [a-e]){4,20}") {
            let own = rouge(&text, &text).unwrap();
            prop_assert!((own.rouge_l.f1 - 1.0).abs() < 1e-7);
            prop_assert!(rouge(&text, &other).unwrap().rouge_1.f1 <= own.rouge_1.f1);
            prop_assert!((bleu(&[&text], &[&text]).unwrap() - 1.0).abs() < 1e-12);
        }
    }
}
