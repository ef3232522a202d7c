//! What a client asks for.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::MODEL;
use crate::error::Refusal;

/// Fields that are accepted at the value that changes nothing.
const NEUTRAL: [(&str, f64); 3] = [
    ("top_p", 1.0),
    ("presence_penalty", 0.0),
    ("frequency_penalty", 0.0),
];

/// The body of a chat request. What is not named here is refused by its name.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    model: Option<String>,
    messages: Vec<Message>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    temperature: Option<f64>,
    response_format: Option<Format>,
    seed: Option<i64>,
    /// Accepted and never written down.
    #[serde(rename = "user")]
    _user: Option<String>,
    n: Option<u32>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "content must be a text or a list of parts, each with its type"
)]
enum Content {
    Text(#[allow(dead_code)] String),
    Parts(Vec<Part>),
}

/// A part of a message; clients write the image as an object or as a bare string.
#[derive(Debug, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    image_url: Option<ImageUrl>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "image_url must be a text or an object with url")]
enum ImageUrl {
    Bare(String),
    Object { url: String },
}

impl Asked {
    /// Refuses by name what this server cannot honour.
    pub fn check(&self) -> Result<(), Refusal> {
        for (name, value) in &self.others {
            let neutral = NEUTRAL
                .iter()
                .any(|(n, v)| n == name && value.as_f64() == Some(*v));
            if !neutral && !value.is_null() {
                let reason = format!("{name:?} is not supported; leave it out");
                return Err(Refusal::bad(reason));
            }
        }
        if let Some(model) = self.model.as_deref().filter(|model| *model != MODEL) {
            let reason = format!("no \"model\" {model:?}; GET /v1/models lists {MODEL:?}");
            return Err(Refusal::new(StatusCode::NOT_FOUND, reason));
        }
        self.check_values()?;
        self.check_messages()
    }

    fn check_values(&self) -> Result<(), Refusal> {
        if self.temperature.is_some_and(|t| t != 0.0 && t != 1.0) {
            let reason =
                "\"temperature\" is that of the server's model; leave it out, or vary \"seed\"";
            return Err(Refusal::bad(reason));
        }
        if self.n.is_some_and(|n| n != 1) {
            return Err(Refusal::bad("\"n\" must be 1"));
        }
        if self.limit() == 0 {
            return Err(Refusal::bad("\"max_tokens\" must be 1 or more"));
        }
        if self.stream_options.is_some() && !self.streams() {
            return Err(Refusal::bad("\"stream_options\" needs \"stream\": true"));
        }
        match self.format() {
            None | Some("text" | "json_object") => Ok(()),
            Some(kind) => Err(Refusal::bad(format!(
                "\"response_format\" {kind:?} is not supported; \"text\" and \"json_object\" are"
            ))),
        }
    }

    fn check_messages(&self) -> Result<(), Refusal> {
        for message in &self.messages {
            let role = message.role.as_str();
            if !matches!(role, "system" | "developer" | "user" | "assistant") {
                let reason = format!("the \"role\" {role:?} is not supported");
                return Err(Refusal::bad(reason));
            }
            let known = |part: &&Part| matches!(part.kind.as_str(), "text" | "image_url");
            if let Some(part) = parts(message).iter().find(|part| !known(part)) {
                let reason = format!(
                    "a part of \"type\" {:?} is not supported; \"text\" and \"image_url\" are",
                    part.kind
                );
                return Err(Refusal::bad(reason));
            }
        }
        Ok(())
    }

    /// The image of the last message that has one.
    pub fn image(&self) -> Result<&str, Refusal> {
        let images = |message: &'_ Message| parts(message).iter().filter_map(image).count();
        let last = self
            .messages
            .iter()
            .rev()
            .find(|message| images(message) > 0);
        let none = "no message holds an image_url part with a data: URI";
        let last = last.ok_or_else(|| Refusal::bad(none))?;
        let mut images = parts(last).iter().filter_map(image);
        match (images.next(), images.next()) {
            (Some(image), None) => Ok(image),
            _ => Err(Refusal::bad(
                "a message may hold one image; send each photo on its own",
            )),
        }
    }

    /// The most tokens of the answer.
    pub fn limit(&self) -> usize {
        let limit = self.max_completion_tokens.or(self.max_tokens);
        limit.map_or(usize::MAX, |limit| limit as usize)
    }

    /// The seed, 0 where none is asked for.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(0).cast_unsigned()
    }

    pub fn streams(&self) -> bool {
        self.stream == Some(true)
    }

    /// Whether a stream should end with the count of its tokens.
    pub fn wants_usage(&self) -> bool {
        self.stream_options
            .as_ref()
            .is_some_and(|options| options.include_usage)
    }

    pub fn wants_json(&self) -> bool {
        self.format() == Some("json_object")
    }

    fn format(&self) -> Option<&str> {
        self.response_format
            .as_ref()
            .map(|format| format.kind.as_str())
    }
}

fn parts(message: &Message) -> &[Part] {
    match &message.content {
        None | Some(Content::Text(_)) => &[],
        Some(Content::Parts(parts)) => parts,
    }
}

fn image(part: &Part) -> Option<&str> {
    match part.image_url.as_ref()? {
        ImageUrl::Bare(url) | ImageUrl::Object { url } => Some(url),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(images: &[Value], more: Value) -> Asked {
        let mut content = vec![json!({"type": "text", "text": "Explain."})];
        content.extend(
            images
                .iter()
                .map(|url| json!({"type": "image_url", "image_url": url})),
        );
        let mut body = json!({"messages": [{"role": "user", "content": content}]});
        let Value::Object(more) = more else {
            panic!("no object")
        };
        body.as_object_mut().unwrap().extend(more);
        serde_json::from_value(body).unwrap()
    }

    fn asked(more: Value) -> Asked {
        of(&[json!({"url": "data:x"})], more)
    }

    #[test]
    fn images_come_as_objects_or_bare_strings() {
        assert_eq!(asked(json!({})).image().unwrap(), "data:x");
        let bare = of(&[json!("data:y")], json!({}));
        assert_eq!(bare.image().unwrap(), "data:y");
        assert!(of(&[], json!({})).image().is_err());
        let two = of(&[json!("data:x"), json!("data:y")], json!({}));
        assert!(two.image().unwrap_err().reason.contains("one image"));
    }

    #[test]
    fn usual_requests_pass() {
        for more in [
            json!({}),
            json!({"seed": 3, "user": "x", "temperature": 0, "model": "default"}),
            json!({"top_p": 1, "presence_penalty": 0.0, "logprobs": null, "n": 1}),
            json!({"stream": true, "stream_options": {"include_usage": true}}),
            json!({"max_tokens": 5, "response_format": {"type": "json_object"}}),
        ] {
            assert!(asked(more.clone()).check().is_ok(), "{more}");
        }
        assert_eq!(
            asked(json!({"max_tokens": 9, "max_completion_tokens": 5})).limit(),
            5
        );
        assert_eq!(asked(json!({"seed": -1})).seed(), u64::MAX);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for (field, value) in [
            ("logprobs", json!(true)),
            ("top_p", json!(0.9)),
            ("stop", json!(["."])),
            ("tools", json!([])),
            ("temperature", json!(0.7)),
            ("n", json!(2)),
            ("model", json!("gpt-4o")),
            ("max_tokens", json!(0)),
            ("stream_options", json!({"include_usage": true})),
            (
                "response_format",
                json!({"type": "json_schema", "json_schema": {}}),
            ),
        ] {
            let refused = asked(json!({field: value})).check().unwrap_err().reason;
            assert!(refused.contains(field), "{field}: {refused}");
        }
        let audio = json!([{"role": "user", "content": [{"type": "input_audio"}]}]);
        let refused = asked(json!({"messages": audio})).check().unwrap_err();
        assert!(refused.reason.contains("input_audio"));
        let tool = json!([{"role": "tool", "content": "x"}]);
        assert!(
            asked(json!({"messages": tool}))
                .check()
                .unwrap_err()
                .reason
                .contains("role")
        );
    }
}
