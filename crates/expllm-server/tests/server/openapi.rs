//! The description of the routes against what the server answers.

use std::collections::BTreeSet;
use std::time::Duration;

use expllm_core::{ExplainRequest, ExplanationEvent, ExplanationStream, Stage, StageError};
use expllm_server::{ServerConfig, Token};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::common::{
    Running, chat, data_uri, endless, events, explained_by, small_photo, started, upload,
};
use crate::schema::Checker;

/// What was seen of the document so far.
struct Seen<'a> {
    checker: Checker<'a>,
    /// Path and status of each answer.
    answers: BTreeSet<(String, String)>,
}

impl Seen<'_> {
    /// Sends a request and holds its answer against the document.
    async fn ask(&mut self, request: RequestBuilder, status: u16) {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let (path, method) = (
            request.url().path().to_owned(),
            request.method().as_str().to_lowercase(),
        );
        let answer = client.execute(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let kind = answer.headers()[CONTENT_TYPE].to_str().unwrap();
        let kind = kind.split(';').next().unwrap().to_owned();
        let text = answer.text().await.unwrap();
        self.answers.insert((path.clone(), status.to_string()));
        let schema = self.schema(&path, &method, (status, &kind));
        for value in values(&kind, &text) {
            let checked = self.checker.check(&schema, &value);
            checked.unwrap_or_else(|why| panic!("{method} {path} {status}: {why} in {value}"));
        }
    }

    /// The pointer to the schema of an answer.
    fn schema(&self, path: &str, method: &str, (status, kind): (u16, &str)) -> String {
        let (path, kind) = (path.replace('/', "~1"), kind.replace('/', "~1"));
        let answer = format!("/paths/{path}/{method}/responses/{status}");
        let found = self.checker.document.pointer(&answer);
        let found = found.unwrap_or_else(|| panic!("{answer} is not described"));
        let answer = match found.get("$ref") {
            Some(reference) => reference
                .as_str()
                .unwrap()
                .trim_start_matches('#')
                .to_owned(),
            None => answer,
        };
        format!("{answer}/content/{kind}/schema")
    }
}

/// The values in an answer.
fn values(kind: &str, text: &str) -> Vec<Value> {
    match kind {
        "application/json" => vec![serde_json::from_str(text).unwrap()],
        "text/event-stream" => {
            let told = events(text)
                .into_iter()
                .filter(|(_, data)| data != "[DONE]");
            told.map(|(_, data)| serde_json::from_str(&data).unwrap())
                .collect()
        }
        _ => vec![Value::String(text.to_owned())],
    }
}

fn get(server: &Running, path: &str) -> RequestBuilder {
    Client::new().get(server.url(path))
}

fn post(server: &Running, path: &str, body: &Value) -> RequestBuilder {
    Client::new().post(server.url(path)).json(body)
}

/// One face is explained in words without parts, others not at all.
fn odd(request: &ExplainRequest) -> Result<ExplanationStream<'static>, StageError> {
    match request.seed {
        0 => Ok(Box::new(
            [Ok(ExplanationEvent::Text("A face.".to_owned()))].into_iter(),
        )),
        1 => panic!("on purpose"),
        _ => Err(StageError::new(Stage::Explanation, "on purpose")),
    }
}

async fn ask_plainly(seen: &mut Seen<'_>) {
    let server = started(ServerConfig {
        max_body: 2 << 20,
        ..ServerConfig::default()
    })
    .await;
    for path in [
        "/api/units",
        "/v1/models",
        "/health",
        "/metrics",
        "/openapi.json",
    ] {
        seen.ask(get(&server, path), 200).await;
        let elsewhere = get(&server, path).header("host", "evil.example");
        seen.ask(elsewhere, 421).await;
    }
    let small = json!({"image": data_uri(&small_photo())});
    let grey = json!({"image": data_uri(&crate::common::blank(64, 64))});
    for body in [&upload(), &small, &grey] {
        seen.ask(post(&server, "/api/au", body), 200).await;
        seen.ask(post(&server, "/api/analyze", body), 200).await;
        let streamed = post(&server, "/api/analyze", body).header(ACCEPT, "text/event-stream");
        seen.ask(streamed, 200).await;
    }
    let usage = json!({"stream": true, "stream_options": {"include_usage": true}});
    for more in [json!({}), json!({"max_tokens": 2}), usage] {
        seen.ask(post(&server, "/v1/chat/completions", &chat(&more)), 200)
            .await;
    }
    let other = chat(&json!({"model": "other"}));
    seen.ask(post(&server, "/v1/chat/completions", &other), 404)
        .await;
    let broken = "data:image/png;base64,AAEC";
    let message =
        json!([{"role": "user", "content": [{"type": "image_url", "image_url": broken}]}]);
    for (path, broken) in [
        ("/api/au", json!({"image": broken})),
        ("/api/analyze", json!({"image": broken})),
        ("/v1/chat/completions", json!({"messages": message})),
    ] {
        let ask = || post(&server, path, &broken);
        seen.ask(ask(), 422).await;
        seen.ask(post(&server, path, &json!({})), 400).await;
        seen.ask(ask().header("origin", "https://evil.example"), 403)
            .await;
        seen.ask(ask().header("host", "evil.example"), 421).await;
        seen.ask(ask().header("content-encoding", "gzip"), 415)
            .await;
        let long = ask().body(vec![b' '; (2 << 20) + 1]);
        seen.ask(long, 413).await;
    }
}

/// The three routes of work with bodies that are right.
fn work() -> [(&'static str, Value); 3] {
    let chat = chat(&json!({}));
    [
        ("/api/au", upload()),
        ("/api/analyze", upload()),
        ("/v1/chat/completions", chat),
    ]
}

async fn ask_in_vain(seen: &mut Seen<'_>) {
    let token = Some(Token::new("secret").unwrap());
    let closed = started(ServerConfig {
        token,
        ..ServerConfig::default()
    })
    .await;
    for path in ["/api/units", "/v1/models", "/metrics"] {
        seen.ask(get(&closed, path), 401).await;
    }
    let allow_fetch = vec!["127.0.0.1:1".to_owned()];
    let lonely = started(ServerConfig {
        allow_fetch,
        ..ServerConfig::default()
    })
    .await;
    let deadline = Duration::from_millis(600);
    let config = ServerConfig {
        queue: 0,
        deadline,
        ..ServerConfig::default()
    };
    let full = explained_by(config, endless).await;
    let unreached = json!({"image": "http://127.0.0.1:1/"});
    for (path, body) in work() {
        seen.ask(post(&closed, path, &body), 401).await;
        // Headers that promise a body, and no body.
        let slow = tokio_stream::pending::<Result<Vec<u8>, std::io::Error>>();
        let slow = post(&full, path, &json!({})).body(reqwest::Body::wrap_stream(slow));
        seen.ask(slow, 408).await;
        let holding = post(&full, "/api/analyze", &upload()).send();
        let refused = async {
            full.reaches("expllm_requests_working", 1.0).await;
            seen.ask(post(&full, path, &body), 429).await;
        };
        let (held, ()) = tokio::join!(holding, refused);
        assert_eq!(held.unwrap().status().as_u16(), 503);
        full.reaches("expllm_requests_working", 0.0).await;
    }
    for (path, body) in &work()[1..] {
        seen.ask(post(&full, path, body), 503).await;
        full.reaches("expllm_requests_working", 0.0).await;
    }
    let message = json!({"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": unreached["image"]}]}]});
    for (path, body) in [
        ("/api/au", &unreached),
        ("/api/analyze", &unreached),
        ("/v1/chat/completions", &message),
    ] {
        seen.ask(post(&lonely, path, body), 502).await;
    }
}

async fn ask_an_odd_explainer(seen: &mut Seen<'_>) {
    let server = explained_by(ServerConfig::default(), odd).await;
    seen.ask(post(&server, "/api/analyze", &upload()), 200)
        .await;
    for (seed, status) in [(0, 200), (1, 500), (2, 200)] {
        let body = chat(&json!({"seed": seed}));
        seen.ask(post(&server, "/v1/chat/completions", &body), status)
            .await;
    }
    let failing = explained_by(ServerConfig::default(), |_| {
        Err(StageError::new(Stage::Explanation, "on purpose"))
    });
    seen.ask(post(&failing.await, "/api/analyze", &upload()), 200)
        .await;
    let breaking = explained_by(ServerConfig::default(), |_| panic!("on purpose"));
    seen.ask(post(&breaking.await, "/api/analyze", &upload()), 500)
        .await;
}

/// What is described and cannot be provoked from outside.
const UNPROVOKED: [(&str, &str); 3] = [("/api/au", "500"), ("/api/au", "503"), ("/health", "503")];

#[tokio::test]
async fn every_answer_is_described_and_every_description_is_met() {
    let document = include_str!("../../openapi.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let checker = Checker {
        document: &document,
        met: BTreeSet::new(),
    };
    let mut seen = Seen {
        checker,
        answers: BTreeSet::new(),
    };
    ask_plainly(&mut seen).await;
    ask_in_vain(&mut seen).await;
    ask_an_odd_explainer(&mut seen).await;
    for (path, item) in document["paths"].as_object().unwrap() {
        let operation = item.as_object().unwrap().values().next().unwrap();
        for status in operation["responses"].as_object().unwrap().keys() {
            let provoked = !UNPROVOKED.contains(&(path.as_str(), status.as_str()));
            let met = seen.answers.contains(&(path.clone(), status.clone()));
            assert!(met || !provoked, "{path} never answers {status}");
        }
    }
    let requests = ["Upload", "Form", "ImageUrl", "Message", "ChatRequest"];
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let properties = schema.get("properties").and_then(Value::as_object);
        for property in properties.into_iter().flat_map(|p| p.keys()) {
            let pointer = format!("/components/schemas/{name}/properties/{property}");
            let met = requests.contains(&name.as_str()) || seen.checker.met.contains(&pointer);
            // An answer without explanation has an error only where a face cannot be read.
            assert!(
                met || pointer.ends_with("Face/properties/error"),
                "{pointer} is never met"
            );
        }
    }
}

#[test]
fn every_route_is_described() {
    let document = include_str!("../../openapi.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let code = include_str!("../../src/router.rs");
    let mut routes = BTreeSet::from([("/openapi.json".to_owned(), "get".to_owned())]);
    for line in code.lines() {
        let Some(rest) = line.trim().strip_prefix(".route(\"") else {
            continue;
        };
        let (path, rest) = rest.split_once("\", ").unwrap();
        routes.insert((path.to_owned(), rest.split('(').next().unwrap().to_owned()));
    }
    let described = document["paths"].as_object().unwrap().iter();
    let described = described.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| (path.clone(), method.clone()))
    });
    assert_eq!(described.collect::<BTreeSet<_>>(), routes);
}
