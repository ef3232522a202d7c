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
    last_noun: usize,
}

impl Voice {
    /// A speaker whose choices depend on the seed alone.
    pub(super) fn new(seed: u64, label: Expression) -> Self {
        Self {
            grammar: Grammar::builtin(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            label,
            last_noun: usize::MAX,
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

    fn expand(&mut self, rule: usize, values: Values<'_>, out: &mut String, depth: usize) {
        let grammar = self.grammar;
        let alternatives = &grammar.rules[rule];
        if depth > MAX_DEPTH || alternatives.is_empty() {
            return;
        }
        let choice = self.below(alternatives.len());
        for token in &alternatives[choice] {
            match *token {
                Token::Text(text) => out.push_str(text),
                Token::Rule(inner) => self.expand(inner, values, out, depth + 1),
                Token::Value(name) => match values.iter().find(|(n, _)| *n == name) {
                    Some((_, text)) => out.push_str(text),
                    None => self.label_value(name, out),
                },
            }
        }
    }

    fn label_value(&mut self, name: &str, out: &mut String) {
        match name {
            "LABEL" => out.push_str(self.label.name()),
            "LABEL.lower" => out.push_str(lower_name(self.label)),
            "LABEL.noun" | "LABEL.noun2" => self.label_noun(out),
            _ => {}
        }
    }

    /// A noun of the label that is not the one said last.
    pub(super) fn label_noun(&mut self, out: &mut String) {
        let rule = format!("{}.noun", self.label.name().to_ascii_lowercase());
        let Some(&rule) = self.grammar.names.get(rule.as_str()) else {
            return;
        };
        let count = self.grammar.rules[rule].len();
        let mut choice = self.below(count);
        if choice == self.last_noun {
            choice = (choice + 1) % count.max(1);
        }
        self.last_noun = choice;
        if let Some([Token::Text(text)]) = self.grammar.rules[rule].get(choice).map(Vec::as_slice) {
            out.push_str(text);
        }
    }
}

/// The label within a sentence.
pub(super) fn lower_name(expression: Expression) -> &'static str {
    match expression {
        Expression::Neutral => "a neutral state",
        Expression::Happiness => "happiness",
        Expression::Sadness => "sadness",
        Expression::Surprise => "surprise",
        Expression::Fear => "fear",
        Expression::Disgust => "disgust",
        Expression::Anger => "anger",
        Expression::Contempt => "contempt",
    }
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
                if word.starts_with(['a', 'e', 'i', 'o', 'u']) && !word.starts_with("uni") {
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
    const SUPPLIED: [&str; 13] = [
        "LABEL",
        "LABEL.lower",
        "LABEL.noun",
        "LABEL.noun2",
        "CLAUSE",
        "REGIONS",
        "AGAINST",
        "OTHER",
        "RUNNER",
        "REASON.kind",
        "REASON.where",
        "WAY",
        "MEANING",
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
            finish_sentence("a^ evident lift , though"),
            "An evident lift, though."
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
}
