//! The server over loopback, as its clients see it.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use expllm_server::{App, Server, ServerConfig};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;

const PHOTO: &[u8] = include_bytes!("../../../examples/photos/astronaut.png");

/// A server on a free port; it stops when the sender is dropped.
async fn started(config: ServerConfig) -> (SocketAddr, oneshot::Sender<()>) {
    let app = App::new(ServerConfig { port: 0, ..config }).unwrap();
    let server = Server::bind(app).await.unwrap();
    let address = server.address().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.run(async { drop(stopped.await) }));
    (address, stop)
}

fn data_uri() -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(PHOTO))
}

#[tokio::test]
async fn a_photo_becomes_the_objects_of_analyze() {
    let (address, _stop) = started(ServerConfig::default()).await;
    let answer = Client::new()
        .post(format!("http://{address}/api/analyze"))
        .json(&json!({"image": data_uri()}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"));
    let rows: Value = answer.json().await.unwrap();
    let face = &rows[0];
    assert_eq!(face["landmarks"].as_array().unwrap().len(), 68);
    assert!(
        face["action_units"]["left_lip_corner_pull"]
            .as_f64()
            .unwrap()
            > 0.2
    );
    let sentences = face["sentences"].as_array().unwrap();
    assert!(sentences.iter().all(|s| s["supported"].is_boolean()));
    assert!(
        sentences
            .iter()
            .any(|s| !s["units"].as_array().unwrap().is_empty())
    );
}

#[tokio::test]
async fn chat_streams_what_it_answers_whole() {
    let (address, _stop) = started(ServerConfig::default()).await;
    let ask = |stream: bool| {
        Client::new()
            .post(format!("http://{address}/v1/chat/completions"))
            .json(&json!({"model": "default", "stream": stream, "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "Explain the expression."},
                    {"type": "image_url", "image_url": {"url": data_uri()}},
                ]},
            ]}))
            .send()
    };
    let whole: Value = ask(false).await.unwrap().json().await.unwrap();
    let whole = whole["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(whole.contains("**Conclusion:**"), "{whole}");
    let streamed = ask(true).await.unwrap();
    assert_eq!(streamed.headers()["content-type"], "text/event-stream");
    let events = streamed.text().await.unwrap();
    let lines: Vec<_> = events
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    assert_eq!(lines.last(), Some(&"[DONE]"));
    let told: String = lines[..lines.len() - 1]
        .iter()
        .filter_map(|line| {
            let chunk: Value = serde_json::from_str(line).unwrap();
            chunk["choices"][0]["delta"]["content"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(told, whole);
}

#[tokio::test]
async fn hostile_requests_are_refused_and_the_server_lives() {
    let config = ServerConfig {
        max_body: 1 << 20,
        ..ServerConfig::default()
    };
    let (address, _stop) = started(config).await;
    let client = Client::new();
    let post = |path: &str, kind: &'static str, body: Vec<u8>| {
        let request = client.post(format!("http://{address}{path}"));
        request.header("content-type", kind).body(body).send()
    };
    let json = "application/json";
    let nested = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let fetch = br#"{"image": "http://127.0.0.1:1/x.png"}"#.to_vec();
    let no_image = br#"{"image": "data:image/png;base64,AAEC"}"#.to_vec();
    for (path, kind, body, status) in [
        ("/api/au", "text/plain", b"x".to_vec(), 415),
        ("/api/au", json, b"{".to_vec(), 400),
        ("/api/au", json, nested, 400),
        ("/api/au", json, fetch, 400),
        ("/api/au", json, no_image, 422),
        ("/api/au", json, vec![b' '; (1 << 20) + 1], 413),
        (
            "/api/au",
            "multipart/form-data; boundary=x",
            b"no form".to_vec(),
            400,
        ),
        ("/api/../../etc/passwd", json, Vec::new(), 404),
    ] {
        let answer = post(path, kind, body).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path} {kind}");
    }
    let unsupported = json!({"messages": [], "logprobs": true});
    let body = unsupported.to_string().into_bytes();
    let answer = post("/v1/chat/completions", json, body).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let reason: Value = answer.json().await.unwrap();
    assert!(
        reason["error"]["message"]
            .as_str()
            .unwrap()
            .contains("logprobs")
    );
    let alive = client
        .get(format!("http://{address}/health"))
        .send()
        .await
        .unwrap();
    assert_eq!(alive.status(), StatusCode::OK);
    let metrics = client
        .get(format!("http://{address}/metrics"))
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(
        metrics.contains("expllm_requests_total{status=\"4xx\"} 9"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_token_opens_everything_but_health() {
    let config = ServerConfig {
        token: Some("secret".into()),
        ..ServerConfig::default()
    };
    let (address, _stop) = started(config).await;
    let get = |path: &str, token: &str| {
        let request = Client::new().get(format!("http://{address}{path}"));
        request
            .header("authorization", format!("Bearer {token}"))
            .send()
    };
    for (path, token, status) in [
        ("/health", "", 200),
        ("/api/units", "", 401),
        ("/api/units", "secrex", 401),
        ("/api/units", "secret", 200),
        ("/v1/models", "secret", 200),
    ] {
        assert_eq!(
            get(path, token).await.unwrap().status().as_u16(),
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn more_requests_than_may_wait_are_told_to_come_again() {
    let config = ServerConfig {
        workers: 1,
        queue: 0,
        ..ServerConfig::default()
    };
    let (address, _stop) = started(config).await;
    let ask = || {
        let request = Client::new().post(format!("http://{address}/api/au"));
        request.json(&json!({"image": data_uri()})).send()
    };
    let asked = tokio::join!(ask(), ask(), ask(), ask(), ask(), ask());
    let answers = [asked.0, asked.1, asked.2, asked.3, asked.4, asked.5].map(Result::unwrap);
    let with = |status| answers.iter().filter(|a| a.status() == status).count();
    let (fine, busy) = (with(StatusCode::OK), with(StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(fine + busy, 6);
    assert!(fine >= 1, "one at least is answered");
    let told = answers
        .iter()
        .filter(|a| a.status() == StatusCode::TOO_MANY_REQUESTS);
    assert!(
        told.into_iter()
            .all(|a| a.headers().contains_key("retry-after"))
    );
}
