//! Sentences and words of free text.

/// One word (lower case) or one mark that ends a phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub text: String,
    /// Comma, semicolon, colon, dash or bracket.
    pub is_break: bool,
}

/// Splits a text at `.`, `!` and `?` that stand before white space and a new start.
///
/// ```
/// let found = expllm_cot::sentences("It is 0.25 wide. Then e.g. it closes.");
/// assert_eq!(found, ["It is 0.25 wide.", "Then e.g. it closes."]);
/// ```
#[must_use]
pub fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    for end in ends_of_marks(text) {
        let rest = &text[end..];
        if rest.trim().is_empty() || opens(rest) {
            push_trimmed(&mut found, &text[start..end]);
            start = end;
        }
    }
    push_trimmed(&mut found, &text[start..]);
    found
}

/// Quotes and brackets that may follow the mark of their sentence.
const CLOSERS: [char; 5] = ['"', '\'', '”', '’', ')'];

/// The places after every `.`, `!` and `?` with what it closes.
fn ends_of_marks(text: &str) -> impl Iterator<Item = usize> {
    text.match_indices(['.', '!', '?']).map(|(at, _)| {
        let rest = text[at + 1..].trim_start_matches(CLOSERS);
        text.len() - rest.len()
    })
}

/// Whether a mark with what it closes stands at the end of a text.
pub(crate) fn ends_in_mark(text: &str) -> bool {
    let text = text.trim_end_matches(CLOSERS);
    text.ends_with(['.', '!', '?'])
}

/// Whether a new sentence begins after white space.
pub(crate) fn opens(rest: &str) -> bool {
    let next = rest.trim_start();
    let begins = |c: char| c.is_uppercase() || matches!(c, '"' | '“' | '‘' | '(');
    next.len() < rest.len() && next.starts_with(begins)
}

fn push_trimmed<'a>(found: &mut Vec<&'a str>, text: &'a str) {
    let text = text.trim();
    if text.chars().any(char::is_alphabetic) {
        found.push(text);
    }
}

/// Words and phrase marks; numbers and other signs are dropped, `lip's` becomes `lip`.
pub(super) fn tokens(sentence: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    let mut word = String::new();
    let flush = |word: &mut String, found: &mut Vec<Token>| {
        if word.chars().any(char::is_alphabetic) {
            let text = word.strip_suffix("'s").unwrap_or(word).trim_matches('\'');
            found.push(Token {
                text: text.to_owned(),
                is_break: false,
            });
        }
        word.clear();
    };
    for c in sentence.chars() {
        match c {
            _ if c.is_alphanumeric() => word.extend(c.to_lowercase()),
            '\'' | '’' => word.push('\''),
            ',' | ';' | ':' | '—' | '(' | ')' => {
                flush(&mut word, &mut found);
                found.push(Token {
                    text: c.to_string(),
                    is_break: true,
                });
            }
            _ => flush(&mut word, &mut found),
        }
    }
    flush(&mut word, &mut found);
    found
}
