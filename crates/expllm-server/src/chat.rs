//! Chat completions as OpenAI clients know them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use expllm::reports::PhotoReport;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::App;
use crate::api::{of_json, read};
use crate::error::Refusal;
use crate::photo::{decode, json, of_data_uri};

/// The only model of this server.
const MODEL: &str = "default";

/// What a client asks for. What is not named here is refused by its name.
#[derive(Debug, Deserialize)]
struct Asked {
    model: Option<String>,
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
    temperature: Option<f64>,
    response_format: Option<Format>,
    /// Accepted: the same photo gives the same answer, whatever the seed.
    #[serde(rename = "seed")]
    _seed: Option<i64>,
    /// Accepted and never written down.
    #[serde(rename = "user")]
    _user: Option<String>,
    n: Option<u32>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Message {
    content: Content,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(#[allow(dead_code)] String),
    Parts(Vec<Part>),
}

/// A part of a message; clients write the image as an object or as a bare string.
#[derive(Debug, Deserialize)]
struct Part {
    image_url: Option<ImageUrl>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ImageUrl {
    Bare(String),
    Object { url: String },
}

impl Asked {
    /// Refuses by name what this server cannot honour.
    fn check(&self) -> Result<(), Refusal> {
        if let Some(name) = self.others.keys().next() {
            return Err(Refusal::bad(format!(
                "{name:?} is not supported; leave it out"
            )));
        }
        if let Some(model) = self.model.as_deref().filter(|model| *model != MODEL) {
            let reason = format!("no model {model:?}; GET /v1/models lists {MODEL:?}");
            return Err(Refusal::new(axum::http::StatusCode::NOT_FOUND, reason));
        }
        if self.temperature.is_some_and(|t| t != 0.0 && t != 1.0) {
            let reason = "\"temperature\" has no effect here: chains are composed, not sampled; leave it out";
            return Err(Refusal::bad(reason));
        }
        if self.n.is_some_and(|n| n != 1) {
            return Err(Refusal::bad("\"n\" must be 1"));
        }
        match self
            .response_format
            .as_ref()
            .map(|format| format.kind.as_str())
        {
            None | Some("text" | "json_object") => Ok(()),
            Some(kind) => Err(Refusal::bad(format!(
                "\"response_format\" {kind:?} is not supported; \"text\" and \"json_object\" are"
            ))),
        }
    }

    /// The last image of the conversation.
    fn image(&self) -> Result<Vec<u8>, Refusal> {
        let parts = self
            .messages
            .iter()
            .rev()
            .flat_map(|message| match &message.content {
                Content::Text(_) => [].iter(),
                Content::Parts(parts) => parts.iter(),
            });
        let mut images = parts.filter_map(|part| part.image_url.as_ref());
        let none = "no message holds an image_url part with a data: URI";
        match images.next().ok_or_else(|| Refusal::bad(none))? {
            ImageUrl::Bare(url) | ImageUrl::Object { url } => of_data_uri(url),
        }
    }

    fn limit(&self) -> usize {
        let limit = self.max_completion_tokens.or(self.max_tokens);
        limit.unwrap_or(usize::MAX)
    }

    fn wants_json(&self) -> bool {
        let kind = self
            .response_format
            .as_ref()
            .map(|format| format.kind.as_str());
        kind == Some("json_object")
    }
}

/// An answer in the pieces in which it is streamed.
struct Answer {
    id: String,
    created: u64,
    pieces: Vec<String>,
    finish: &'static str,
}

impl Answer {
    /// Cuts a text at white space into pieces, of which at most `limit` are told.
    fn new(text: &str, limit: usize) -> Self {
        let mut pieces: Vec<_> = text.split_inclusive(' ').map(str::to_owned).collect();
        let finish = if pieces.len() > limit {
            "length"
        } else {
            "stop"
        };
        pieces.truncate(limit);
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.unwrap_or_default();
        Self {
            id: format!("chatcmpl-{:x}", since.as_nanos()),
            created: since.as_secs(),
            pieces,
            finish,
        }
    }

    fn whole(&self) -> Value {
        let tokens = self.pieces.len();
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": MODEL,
            "choices": [{
                "index": 0, "finish_reason": self.finish,
                "message": {"role": "assistant", "content": self.pieces.concat()},
            }],
            "usage": {"prompt_tokens": 0, "completion_tokens": tokens, "total_tokens": tokens},
        })
    }

    /// One event of the stream.
    fn chunk(&self, delta: &Value, finish: Option<&str>) -> Event {
        let chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created,
            "model": MODEL,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        });
        Event::default().data(chunk.to_string())
    }

    fn stream(self) -> Response {
        let mut events = vec![self.chunk(&json!({"role": "assistant", "content": ""}), None)];
        for piece in &self.pieces {
            events.push(self.chunk(&json!({"content": piece}), None));
        }
        events.push(self.chunk(&json!({}), Some(self.finish)));
        events.push(Event::default().data("[DONE]"));
        let events = tokio_stream::iter(events.into_iter().map(Ok::<_, Infallible>));
        Sse::new(events)
            .keep_alive(KeepAlive::default())
            .into_response()
    }
}

/// `POST /v1/chat/completions`.
pub(crate) async fn completions(
    State(app): State<App>,
    request: Request,
) -> Result<Response, Refusal> {
    let asked = tokio::time::timeout(app.deadline(), json::<Asked>(request));
    let asked = asked.await.map_err(|_| Refusal::late())??;
    asked.check()?;
    let bytes = asked.image()?;
    let report = app
        .work(move |app| read(app, &decode(&bytes)?, true))
        .await?;
    let text = match asked.wants_json() {
        true => objects(&report)?,
        false => words(&report),
    };
    let answer = Answer::new(&text, asked.limit());
    Ok(match asked.stream {
        true => answer.stream(),
        false => of_json(&answer.whole()),
    })
}

/// The chains of all faces; several are numbered.
fn words(report: &PhotoReport) -> String {
    let said = report
        .faces
        .iter()
        .filter_map(|face| face.explanation.as_ref());
    let texts: Vec<_> = said.map(|said| said.text.as_str()).collect();
    match (texts.as_slice(), &report.error) {
        ([], Some(error)) => format!("The photo could not be read: {error}"),
        ([], None) => "No face was found in the photo.".to_owned(),
        ([text], _) => (*text).to_owned(),
        (texts, _) => {
            let numbered = texts.iter().enumerate();
            let numbered = numbered.map(|(at, text)| format!("Face {}:\n\n{text}", at + 1));
            numbered.collect::<Vec<_>>().join("\n\n")
        }
    }
}

/// The objects of `/api/analyze` under the key `faces`.
fn objects(report: &PhotoReport) -> Result<String, Refusal> {
    let rows = report.json_rows(true);
    let rows = rows.map_err(|e| Refusal::bad(e.to_string()))?;
    Ok(format!("{{\"faces\": [{}]}}", rows.join(",")))
}

/// `GET /v1/models`.
pub(crate) async fn models() -> Response {
    of_json(&json!({"object": "list", "data": [
        {"id": MODEL, "object": "model", "created": 0, "owned_by": "expllm"},
    ]}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(more: Value) -> Asked {
        let mut body = json!({"messages": [{"role": "user", "content": [
            {"type": "text", "text": "Explain."},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAEC"}},
        ]}]});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn images_come_as_objects_or_bare_strings() {
        assert_eq!(asked(json!({})).image().unwrap(), [0, 1, 2]);
        let bare = json!({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": "data:image/png;base64,AAEC"},
        ]}]});
        let bare: Asked = serde_json::from_value(bare).unwrap();
        assert_eq!(bare.image().unwrap(), [0, 1, 2]);
        let none: Asked =
            serde_json::from_value(json!({"messages": [{"content": "hello"}]})).unwrap();
        assert!(none.image().is_err());
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        assert!(
            asked(json!({"seed": 3, "user": "x", "temperature": 0}))
                .check()
                .is_ok()
        );
        for (field, value) in [
            ("logprobs", json!(true)),
            ("temperature", json!(0.7)),
            ("n", json!(2)),
            ("model", json!("gpt-4o")),
            ("response_format", json!({"type": "json_schema"})),
        ] {
            let refused = asked(json!({field: value})).check().unwrap_err().reason;
            assert!(refused.contains(field), "{field}: {refused}");
        }
    }

    #[test]
    fn pieces_make_the_text_and_are_limited() {
        let text = "one two\n\nthree four";
        let whole = Answer::new(text, usize::MAX);
        assert_eq!(
            (whole.pieces.concat().as_str(), whole.finish),
            (text, "stop")
        );
        let cut = Answer::new(text, 2);
        assert_eq!((cut.pieces.len(), cut.finish), (2, "length"));
    }
}
