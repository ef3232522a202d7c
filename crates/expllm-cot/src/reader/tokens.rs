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
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if !matches!(c, '.' | '!' | '?') {
            continue;
        }
        let mut end = at + 1;
        while let Some(&(next, quote)) = chars.peek()
            && matches!(quote, '"' | '\'' | '”' | '’' | ')')
        {
            end = next + quote.len_utf8();
            chars.next();
        }
        let rest = &text[end..];
        let next = rest.trim_start();
        let opens = next
            .chars()
            .next()
            .is_none_or(|c| c.is_uppercase() || matches!(c, '"' | '“' | '‘' | '('));
        if opens && (next.is_empty() || next.len() < rest.len()) {
            push_trimmed(&mut found, &text[start..end]);
            start = end;
        }
    }
    push_trimmed(&mut found, &text[start..]);
    found
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
