//! Answers in the form of the chat routes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::response::sse::Event;
use serde_json::{Value, json};

use super::MODEL;
use crate::analysis::Stop;

/// Text cut at spaces into words, which are counted and told up to a limit.
pub(super) struct Speech<'a> {
    begun: String,
    told: usize,
    limit: usize,
    tell: &'a mut (dyn FnMut(&str) -> Result<(), Stop> + 'a),
}

impl<'a> Speech<'a> {
    pub fn new(limit: usize, tell: &'a mut (dyn FnMut(&str) -> Result<(), Stop> + 'a)) -> Self {
        let (begun, told) = (String::new(), 0);
        Self {
            begun,
            told,
            limit,
            tell,
        }
    }

    /// Tells whole words; the last one waits until its end is known.
    pub fn say(&mut self, text: &str) -> Result<(), Stop> {
        self.begun.push_str(text);
        while let Some(space) = self.begun.find(' ') {
            let rest = self.begun.split_off(space + 1);
            let word = std::mem::replace(&mut self.begun, rest);
            self.word(&word)?;
        }
        Ok(())
    }

    /// Tells the last word.
    pub fn finish(&mut self) -> Result<(), Stop> {
        let last = std::mem::take(&mut self.begun);
        if last.is_empty() {
            Ok(())
        } else {
            self.word(&last)
        }
    }

    /// Words told so far.
    pub fn told(&self) -> usize {
        self.told
    }

    fn word(&mut self, word: &str) -> Result<(), Stop> {
        if self.told == self.limit {
            return Err(Stop::Enough);
        }
        self.told += 1;
        (self.tell)(word)
    }
}

/// What every piece of one answer carries.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    id: String,
    created: u64,
}

impl Frame {
    pub fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            id: format!("chatcmpl-{:x}-{number:x}", since.as_nanos()),
            created: since.as_secs(),
        }
    }

    pub fn whole(&self, text: &str, (finish, tokens): (&str, usize)) -> Value {
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": MODEL,
            "choices": [{
                "index": 0, "finish_reason": finish, "logprobs": null,
                "message": {"role": "assistant", "content": text},
            }],
            "usage": usage(tokens),
        })
    }

    /// One event of a stream.
    pub fn chunk(&self, delta: &Value, finish: Option<&str>) -> Event {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        Event::default().data(self.of(&json!([choice])).to_string())
    }

    /// The event that counts the tokens.
    pub fn usage(&self, tokens: usize) -> Event {
        let mut chunk = self.of(&json!([]));
        chunk["usage"] = usage(tokens);
        Event::default().data(chunk.to_string())
    }

    fn of(&self, choices: &Value) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created,
            "model": MODEL, "choices": choices,
        })
    }
}

/// A photo costs no tokens.
fn usage(tokens: usize) -> Value {
    json!({"prompt_tokens": 0, "completion_tokens": tokens, "total_tokens": tokens})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(texts: &[&str], limit: usize) -> (Vec<String>, bool) {
        let mut words = Vec::new();
        let mut tell = |word: &str| {
            words.push(word.to_owned());
            Ok(())
        };
        let mut speech = Speech::new(limit, &mut tell);
        let mut all = texts.iter().try_for_each(|text| speech.say(text));
        all = all.and_then(|()| speech.finish());
        let whole = all.is_ok();
        (words, whole)
    }

    #[test]
    fn words_make_the_text_wherever_it_was_cut() {
        let text = "one two\n\nthree  four";
        let whole = said(&[text], usize::MAX);
        assert_eq!((whole.0.concat().as_str(), whole.1), (text, true));
        for at in 0..=text.len() {
            let (start, end) = text.split_at(at);
            assert_eq!(said(&[start, end], usize::MAX), whole);
        }
    }

    #[test]
    fn words_beyond_the_limit_are_not_told() {
        assert_eq!(
            said(&["one two three"], 2),
            (vec!["one ".into(), "two ".into()], false)
        );
        assert!(said(&["one two three"], 3).1);
        assert_eq!(said(&[""], 1), (Vec::new(), true));
    }
}
