//! Pairs of texts read without knowing who wrote them.
//!
//! [`blind`] draws faces that two data sets have in common and deals their texts as `a` and `b` by
//! lot; a reader answers the four questions of [`QUESTIONS`] for each pair; [`Verdicts`] turns
//! the answers back into wins.

use std::collections::{BTreeMap, HashMap};

use expllm_core::{AuVector, ChainOfThought, Expression};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{CotError, CotRecord};

/// What is asked of each pair: the name in the form, and the question.
pub const QUESTIONS: [(&str, &str); 4] = [
    ("natural", "Which reads as natural expert English?"),
    ("faithful", "Which agrees with the action units?"),
    (
        "reasoning",
        "Which explains how units combine or conflict, and why this label?",
    ),
    ("report", "Which one would you put into a report?"),
];

/// Two texts about one face, without their sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlindPair {
    /// Counted from 1.
    pub pair: usize,
    /// The label that both texts were written for.
    pub label: Expression,
    /// What was measured of the face, where it is known.
    pub action_units: Option<AuVector>,
    /// One text, in the canonical form.
    pub a: String,
    /// The other.
    pub b: String,
}

/// Which text of a pair came from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindKey {
    /// What the first and the second data set are called.
    pub sources: [String; 2],
    /// Image of each pair, and whether its text `a` is of the first data set.
    pub pairs: Vec<(String, bool)>,
}

/// Draws pairs: as many of each label as can be, and by lot which text is `a`.
///
/// Only faces count that both data sets have under one label with a text of three parts. Texts
/// are brought into one form, so that spacing betrays no source.
#[must_use]
pub fn blind(
    sources: [String; 2],
    records: [&[CotRecord]; 2],
    count: usize,
    seed: u64,
) -> (Vec<BlindPair>, BlindKey) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let second: HashMap<&str, &CotRecord> = records[1]
        .iter()
        .map(|r| (r.file_name.as_str(), r))
        .collect();
    let mut shared: Vec<(&CotRecord, [String; 2])> = records[0]
        .iter()
        .filter_map(|one| {
            let other = second.get(one.file_name.as_str())?;
            let texts = [canonical(one)?, canonical(other)?];
            (one.label == other.label).then_some((one, texts))
        })
        .collect();
    shared.shuffle(&mut rng);
    let mut pairs = Vec::new();
    let mut key = BlindKey {
        sources,
        pairs: Vec::new(),
    };
    for (record, [one, other]) in by_turns(shared).into_iter().take(count) {
        let first_is_a = rng.random_bool(0.5);
        let (a, b) = if first_is_a {
            (one, other)
        } else {
            (other, one)
        };
        key.pairs.push((record.file_name.clone(), first_is_a));
        pairs.push(BlindPair {
            pair: pairs.len() + 1,
            label: record.label,
            action_units: record.units,
            a,
            b,
        });
    }
    (pairs, key)
}

fn canonical(record: &CotRecord) -> Option<String> {
    let chain: ChainOfThought = record.description.as_deref()?.parse().ok()?;
    Some(chain.to_string())
}

/// One record of each label after the other, as long as there are any.
fn by_turns<T>(records: Vec<(&CotRecord, T)>) -> Vec<(&CotRecord, T)> {
    let mut turns: BTreeMap<Expression, usize> = BTreeMap::new();
    let mut ranked: Vec<_> = records
        .into_iter()
        .map(|item| {
            let turn = turns.entry(item.0.label).or_default();
            *turn += 1;
            (*turn, item)
        })
        .collect();
    ranked.sort_by_key(|(turn, _)| *turn);
    ranked.into_iter().map(|(_, item)| item).collect()
}

/// An empty form: a row for each pair, a column for each question.
#[must_use]
pub fn empty_form(pairs: usize) -> String {
    let names = QUESTIONS.map(|(name, _)| name).join(",");
    let rows = (1..=pairs).map(|pair| format!("{pair}{}\n", ",".repeat(QUESTIONS.len())));
    format!("pair,{names}\n{}", rows.collect::<String>())
}

/// What a reader prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    A,
    B,
    Even,
}

/// The answer in a cell; `None` for an empty one.
fn choice(cell: &str) -> Result<Option<Choice>, String> {
    match cell {
        "" => Ok(None),
        "a" => Ok(Some(Choice::A)),
        "b" => Ok(Some(Choice::B)),
        "even" => Ok(Some(Choice::Even)),
        other => Err(format!("{other:?}; write a, b or even")),
    }
}

/// The answers of one reader: of each pair, from 1, and question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    answers: HashMap<(usize, usize), Choice>,
}

impl Form {
    /// Reads a filled form; empty cells are questions without an answer.
    ///
    /// # Errors
    ///
    /// [`CotError::Form`] for a missing column, a pair that the key lacks, a pair that stands
    /// twice, or an answer other than `a`, `b` and `even`.
    pub fn read(name: &str, text: &str, key: &BlindKey) -> Result<Self, CotError> {
        let wrong = |line: usize, reason: String| CotError::Form {
            name: name.to_owned(),
            line,
            reason,
        };
        let mut rows = csv::Reader::from_reader(text.as_bytes());
        let header = rows.headers().map_err(|e| wrong(1, e.to_string()))?.clone();
        let column = |wanted: &str| {
            let at = header.iter().position(|cell| cell.trim() == wanted);
            at.ok_or_else(|| wrong(1, format!("no column {wanted:?}")))
        };
        let pair_column = column("pair")?;
        let columns: Vec<usize> = QUESTIONS
            .iter()
            .map(|(name, _)| column(name))
            .collect::<Result<_, _>>()?;
        let mut form = Self::default();
        for (row, line) in rows.records().zip(2..) {
            let row = row.map_err(|e| wrong(line, e.to_string()))?;
            let pair: Option<usize> = row
                .get(pair_column)
                .and_then(|cell| cell.trim().parse().ok());
            let known = pair.filter(|pair| (1..=key.pairs.len()).contains(pair));
            let pair = known.ok_or_else(|| wrong(line, "no such pair".to_owned()))?;
            for (question, at) in columns.iter().enumerate() {
                let cell = row.get(*at).unwrap_or_default().trim().to_lowercase();
                let choice = choice(&cell).map_err(|reason| wrong(line, reason))?;
                let Some(choice) = choice else { continue };
                if form.answers.insert((pair, question), choice).is_some() {
                    return Err(wrong(line, format!("pair {pair} stands twice")));
                }
            }
        }
        Ok(form)
    }
}

/// How often each data set won a question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wins {
    /// Pairs that the first data set won.
    pub first: usize,
    /// Pairs that the second won.
    pub second: usize,
    /// Pairs without a winner.
    pub even: usize,
}

impl Wins {
    /// Share of the decided pairs that the first data set won, from 0 to 1; `None` where none is
    /// decided.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let decided = self.first + self.second;
        (decided > 0).then(|| self.first as f64 / decided as f64)
    }

    /// Interval of [`share`](Self::share) at 95 % (Wilson 1927).
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        const Z: f64 = 1.959_964;
        let (share, n) = (self.share()?, (self.first + self.second) as f64);
        let middle = share + Z * Z / (2.0 * n);
        let reach = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        Some(((middle - reach) / scale, (middle + reach) / scale))
    }
}

/// What readers found, by question.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdicts {
    /// Forms with at least one answer.
    pub readers: usize,
    /// Wins of each question, in the order of [`QUESTIONS`]. A pair goes to the text that more
    /// readers prefer, and is even where as many prefer either.
    pub wins: [Wins; 4],
    /// Share of pairs of answers to one question on which two readers agree; `None` with one
    /// reader.
    pub agreement: Option<f64>,
}

impl Verdicts {
    /// Counts the answers of some readers.
    #[must_use]
    pub fn count(key: &BlindKey, forms: &[Form]) -> Self {
        let mut wins = [Wins::default(); 4];
        let (mut agreed, mut compared) = (0usize, 0usize);
        for (at, (_, first_is_a)) in key.pairs.iter().enumerate() {
            for (question, wins) in wins.iter_mut().enumerate() {
                let answers = forms
                    .iter()
                    .filter_map(|f| f.answers.get(&(at + 1, question)));
                let answers: Vec<Choice> = answers.copied().collect();
                for (i, one) in answers.iter().enumerate() {
                    compared += answers.len() - i - 1;
                    agreed += answers[i + 1..]
                        .iter()
                        .filter(|other| *other == one)
                        .count();
                }
                add(wins, &answers, *first_is_a);
            }
        }
        Self {
            readers: forms.iter().filter(|f| !f.answers.is_empty()).count(),
            wins,
            agreement: (compared > 0).then(|| agreed as f64 / compared as f64),
        }
    }
}

fn add(wins: &mut Wins, answers: &[Choice], first_is_a: bool) {
    if answers.is_empty() {
        return;
    }
    let votes = |choice| answers.iter().filter(|c| **c == choice).count();
    let (a, b) = (votes(Choice::A), votes(Choice::B));
    match a.cmp(&b) {
        std::cmp::Ordering::Equal => wins.even += 1,
        order if (order == std::cmp::Ordering::Greater) == first_is_a => wins.first += 1,
        _ => wins.second += 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(writer: &str, count: usize) -> Vec<CotRecord> {
        let labels = [Expression::Fear, Expression::Anger, Expression::Fear];
        let text = |i: usize| {
            format!(
                "**Key Observations:** {writer} {i}.\n**Overall Emotional Interpretation:** So.\n\
                 **Conclusion:** It is."
            )
        };
        (0..count)
            .map(|i| CotRecord {
                file_name: format!("{i}.jpg"),
                label: labels[i % 3],
                units: None,
                description: Some(text(i)),
            })
            .collect()
    }

    fn dealt(seed: u64) -> (Vec<BlindPair>, BlindKey) {
        let (one, two) = (records("One", 30), records("Two", 25));
        blind(["one".into(), "two".into()], [&one, &two], 20, seed)
    }

    /// A form in which a reader always prefers what this writer wrote.
    fn preferring(pairs: &[BlindPair], writer: &str) -> String {
        let mut form = empty_form(0);
        for pair in pairs {
            let answer = if pair.a.contains(writer) { "a" } else { "b" };
            form += &format!("{},{answer},{answer},{answer},even\n", pair.pair);
        }
        form
    }

    #[test]
    fn pairs_are_of_faces_in_both_and_of_each_label() {
        let (pairs, key) = dealt(3);
        assert_eq!((pairs.len(), key.pairs.len()), (20, 20));
        let anger = pairs
            .iter()
            .filter(|p| p.label == Expression::Anger)
            .count();
        assert_eq!(anger, 8, "all that there are of the rarer label");
        let swapped = key
            .pairs
            .iter()
            .filter(|(_, first_is_a)| !first_is_a)
            .count();
        assert!((3..18).contains(&swapped), "{swapped}");
        assert_eq!(dealt(3), (pairs, key));
        assert_ne!(dealt(4).1, dealt(3).1);
    }

    #[test]
    fn what_a_reader_prefers_comes_back_under_its_source() {
        let (pairs, key) = dealt(5);
        let form = Form::read("form", &preferring(&pairs, "One"), &key).unwrap();
        let verdicts = Verdicts::count(&key, &[form.clone(), Form::default()]);
        assert_eq!(verdicts.readers, 1);
        let [natural, .., report] = verdicts.wins;
        assert_eq!((natural.first, natural.second, natural.even), (20, 0, 0));
        assert_eq!((report.even, report.share()), (20, None));
        let against = Form::read("form", &preferring(&pairs, "Two"), &key).unwrap();
        let both = Verdicts::count(&key, &[form.clone(), against.clone()]);
        assert_eq!(both.wins[0].even, 20);
        assert_eq!(both.agreement, Some(0.25));
        let most = Verdicts::count(&key, &[form.clone(), against, form]);
        assert_eq!(most.wins[0].first, 20);
    }

    #[test]
    fn an_empty_form_answers_nothing_and_wrong_ones_are_refused() {
        let (pairs, key) = dealt(1);
        let empty = Form::read("form", &empty_form(20), &key).unwrap();
        assert_eq!(empty, Form::default());
        let filled = preferring(&pairs, "One");
        for bad in [
            filled.replace("reasoning", "reason"),
            filled
                .replacen(",a,", ",first,", 1)
                .replacen(",b,", ",first,", 1),
            format!("{filled}21,a,a,a,a\n"),
            format!("{filled}1,a,a,a,a\n"),
            "pair".to_owned(),
            String::new(),
        ] {
            assert!(Form::read("form", &bad, &key).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn intervals_hold_their_share(first in 0usize..80, second in 0usize..80) {
            let wins = Wins { first, second, even: 3 };
            if let (Some(share), Some((low, high))) = (wins.share(), wins.interval()) {
                prop_assert!(0.0 <= low + 1e-12 && low <= share + 1e-12);
                prop_assert!(share <= high + 1e-12 && high <= 1.0 + 1e-12);
            }
        }
    }
}
