//! A small random text grammar: named rules with alternatives.

use std::collections::HashMap;
use std::sync::OnceLock;

use expllm_core::Expression;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The rules of the composer; the file explains its notation.
const SOURCE: &str = include_str!("grammar.txt");

/// Rules may hold rules this deep; deeper text is left out, so that no grammar recurses for ever.
const MAX_DEPTH: usize = 12;

#[derive(Debug)]
enum Token {
    Text(&'static str),
    Rule(usize),
    Value(&'static str),
}

/// Rules in resolved form: each rule is a list of alternatives, each a list of tokens.
#[derive(Debug)]
pub(super) struct Grammar {
    names: HashMap<&'static str, usize>,
    rules: Vec<Vec<Vec<Token>>>,
}

impl Grammar {
    /// The composer's own grammar, read once.
    pub(super) fn builtin() -> &'static Self {
        static GRAMMAR: OnceLock<Grammar> = OnceLock::new();
        GRAMMAR.get_or_init(|| Self::parse(SOURCE))
    }

    fn parse(source: &'static str) -> Self {
        let mut bodies: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in source.lines().map(str::trim) {
            if let Some(more) = line.strip_prefix("+ |") {
                if let Some((_, alternatives)) = bodies.last_mut() {
                    alternatives.extend(split_alternatives(more));
                }
            } else if !line.starts_with('#')
                && let Some((name, body)) = line.split_once(": ")
            {
                bodies.push((name, split_alternatives(body).collect()));
            }
        }
        let names: HashMap<_, _> = bodies
            .iter()
            .enumerate()
            .map(|(index, (name, _))| (*name, index))
            .collect();
        let rules = bodies
            .iter()
            .map(|(_, alternatives)| alternatives.iter().map(|a| tokens(a, &names)).collect())
            .collect();
        Self { names, rules }
    }
}

fn split_alternatives(body: &'static str) -> impl Iterator<Item = &'static str> {
    body.split(" | ").map(str::trim).filter(|a| !a.is_empty())
}

fn tokens(alternative: &'static str, names: &HashMap<&'static str, usize>) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = alternative;
    while let Some((text, more)) = rest.split_once('{') {
        let (slot, after) = more.split_once('}').unwrap_or((more, ""));
        found.push(Token::Text(text));
        found.push(match names.get(slot) {
            Some(&index) => Token::Rule(index),
            None => Token::Value(slot),
        });
        rest = after;
    }
    found.push(Token::Text(rest));
    found
}

/// Values that a caller supplies for the slots in capitals.
pub(super) type Values<'a> = &'a [(&'static str, &'a str)];

/// One speaker: the grammar, its random choices and the label that is spoken about.
#[derive(Debug)]
pub(super) struct Voice {
    grammar: &'static Grammar,
    rng: ChaCha8Rng,
    label: Expression,
    /// Prefix of the words that `{ADJ}` and `{NOUN}` stand for.
    topic: &'static str,
    /// Alternatives of each rule that this text used, as bits.
    used: Vec<u64>,
}

impl Voice {
    /// A speaker whose choices depend on the seed alone.
    pub(super) fn new(seed: u64, label: Expression) -> Self {
        let grammar = Grammar::builtin();
        Self {
            grammar,
            rng: ChaCha8Rng::seed_from_u64(seed),
            label,
            topic: key(label),
            used: vec![0; grammar.rules.len()],
        }
    }

    /// Whether an event of this probability happens.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    /// A number below `bound` (0 for a bound of 0).
    pub(super) fn below(&mut self, bound: usize) -> usize {
        // Drawn as u32, so that the text is the same on every platform.
        let bound = u32::try_from(bound.max(1)).unwrap_or(u32::MAX);
        self.rng.random_range(0..bound) as usize
    }

    /// A random alternative of a rule, expanded; nothing when there is no such rule.
    pub(super) fn say(&mut self, rule: &str, values: Values<'_>) -> String {
        let mut out = String::new();
        if let Some(&index) = self.grammar.names.get(rule) {
            self.expand(index, values, &mut out, 0);
        }
        out
    }

    /// As [`Voice::say`] for the rule `{prefix}.{suffix}`.
    pub(super) fn word(&mut self, prefix: &str, suffix: &str, values: Values<'_>) -> String {
        self.say(&format!("{prefix}.{suffix}"), values)
    }

    /// A rule, as a sentence with a capital letter and a full stop.
    pub(super) fn sentence(&mut self, rule: &str, values: Values<'_>) -> String {
        finish_sentence(&self.say(rule, values))
    }

    /// A rule in words of the topic: a movement's key, or the label when there is none.
    pub(super) fn meaning(&mut self, rule: &str, topic: Option<&'static str>) -> String {
        self.topic = topic.unwrap_or(key(self.label));
        self.say(rule, &[])
    }

    fn expand(&mut self, rule: usize, values: Values<'_>, out: &mut String, depth: usize) {
        let grammar = self.grammar;
        let alternatives = &grammar.rules[rule];
        if depth > MAX_DEPTH || alternatives.is_empty() {
            return;
        }
        let choice = self.unused(rule, alternatives.len());
        for token in &alternatives[choice] {
            match *token {
                Token::Text(text) => out.push_str(text),
                Token::Rule(inner) => self.expand(inner, values, out, depth + 1),
                Token::Value(name) => match values.iter().find(|(n, _)| *n == name) {
                    Some((_, text)) => out.push_str(text),
                    None => self.own_value(name, out, depth),
                },
            }
        }
    }

    /// A random alternative, and none twice before all were used: a text that repeats its words
    /// reads badly.
    fn unused(&mut self, rule: usize, count: usize) -> usize {
        let all = u64::MAX >> (64 - count.clamp(1, 64));
        if self.used[rule] & all == all {
            self.used[rule] = 0;
        }
        let first = self.below(count);
        let free = |choice: &usize| *choice >= 64 || self.used[rule] >> *choice & 1 == 0;
        let choice = (first..count).chain(0..first).find(free).unwrap_or(first);
        if choice < 64 {
            self.used[rule] |= 1 << choice;
        }
        choice
    }

    fn own_value(&mut self, name: &str, out: &mut String, depth: usize) {
        let rule = match name {
            "LABEL" => return out.push_str(self.label.name()),
            "LABEL.lower" => return out.push_str(lower_name(self.label)),
            "ADJ" => format!("{}.adj", self.topic),
            "NOUN" => format!("{}.noun", self.topic),
            "LABEL.phrase" | "LABEL.phrase.one" => {
                self.topic = key(self.label);
                name["LABEL.".len()..].to_owned()
            }
            _ => return,
        };
        let Some(&rule) = self.grammar.names.get(rule.as_str()) else {
            return;
        };
        let end = out.len();
        for _ in 0..3 {
            out.truncate(end);
            self.expand(rule, &[], out, depth + 1);
            if name != "NOUN" || !echoes(&out[..end], &out[end..]) {
                break;
            }
        }
    }
}

/// Whether a noun begins like a word shortly before it: "tense tension".
fn echoes(before: &str, noun: &str) -> bool {
    const ALIKE: usize = 4;
    let Some(stem) = noun.get(..ALIKE) else {
        return false;
    };
    before
        .rsplit(' ')
        .take(6)
        .any(|word| word.starts_with(stem))
}

/// Prefix of an expression's words in the grammar.
const fn key(expression: Expression) -> &'static str {
    match expression {
        Expression::Neutral => "neutral",
        Expression::Happiness => "happiness",
        Expression::Sadness => "sadness",
        Expression::Surprise => "surprise",
        Expression::Fear => "fear",
        Expression::Disgust => "disgust",
        Expression::Anger => "anger",
        Expression::Contempt => "contempt",
    }
}

/// The label within a sentence.
pub(super) const fn lower_name(expression: Expression) -> &'static str {
    match expression {
        Expression::Neutral => "a neutral state",
        other => key(other),
    }
}

/// Whether a word begins with a vowel as it is spoken.
fn takes_an(word: &str) -> bool {
    let spoken = !word.starts_with("uni") && !word.starts_with("us");
    word.starts_with(['a', 'e', 'i', 'o', 'u']) && spoken || word.starts_with("honest")
}

/// Sets articles, a capital letter and a full stop.
pub(super) fn finish_sentence(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for word in text.split_whitespace() {
        if matches!(word, ":" | "," | ";") {
            out.push_str(word);
            continue;
        }
        if !out.is_empty() {
            if out.ends_with("a^") {
                out.pop();
                if takes_an(word) {
                    out.push('n');
                }
            }
            out.push(' ');
        }
        out.push_str(word);
    }
    if let Some(first) = out.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let end = out.trim_end_matches([',', '.']).len();
    out.truncate(end);
    out.push('.');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that code supplies; everything else in braces must be a rule.
    const SUPPLIED: [&str; 16] = [
        "LABEL",
        "LABEL.lower",
        "LABEL.phrase",
        "LABEL.phrase.one",
        "ADJ",
        "NOUN",
        "CLAUSE",
        "REGIONS",
        "AGAINST",
        "OTHER",
        "RUNNER",
        "REASON",
        "REASON.which",
        "REASON.label",
        "REASON.where",
        "WAY",
    ];

    #[test]
    fn every_slot_is_a_rule_or_supplied() {
        let grammar = Grammar::builtin();
        assert!(grammar.rules.len() > 200);
        for (name, &rule) in &grammar.names {
            assert!(!grammar.rules[rule].is_empty(), "{name} is empty");
            for token in grammar.rules[rule].iter().flatten() {
                if let Token::Value(slot) = token {
                    assert!(SUPPLIED.contains(slot), "{name} uses unknown {slot}");
                }
            }
        }
    }

    #[test]
    fn nothing_in_the_grammar_names_an_expression_or_holds_a_digit() {
        for token in Grammar::builtin().rules.iter().flatten().flatten() {
            let Token::Text(text) = token else { continue };
            let text = text.to_lowercase();
            assert!(!text.contains(|c: char| c.is_ascii_digit()), "{text}");
            for expression in Expression::ALL {
                let name = expression.name().to_lowercase();
                let mut words = text.split(|c: char| !c.is_alphabetic());
                assert!(!words.any(|word| word == name), "{text}");
            }
        }
    }

    #[test]
    fn sentences_are_finished() {
        assert_eq!(
            finish_sentence("a^ evident lift , a^ usual sign"),
            "An evident lift, a usual sign."
        );
        assert_eq!(finish_sentence("of a^ mild kind,"), "Of a mild kind.");
    }

    #[test]
    fn a_seed_fixes_the_words() {
        let say =
            |seed| Voice::new(seed, Expression::Happiness).sentence("unite", &[("REGIONS", "x")]);
        assert_eq!(say(3), say(3));
        assert_ne!(say(3), say(4));
    }

    #[test]
    fn no_word_comes_twice_before_all_others_came() {
        let mut voice = Voice::new(1, Expression::Anger);
        let count = voice.grammar.rules[voice.grammar.names["anger.noun"]].len();
        let mut said: Vec<_> = (0..count).map(|_| voice.say("anger.noun", &[])).collect();
        said.sort_unstable();
        said.dedup();
        assert_eq!(said.len(), count);
    }
}
