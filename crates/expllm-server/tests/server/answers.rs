//! What the routes answer.

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use expllm_server::{Parts, ServerConfig, Token};
use reqwest::header::{ACCEPT, AUTHORIZATION};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::common::{Kept, PHOTO, blank, chat, data_uri, events, started, upload, with_parts};

#[tokio::test]
async fn a_photo_becomes_the_objects_of_analyze() {
    let server = started(ServerConfig::default()).await;
    let answer = server.post("/api/analyze", &upload()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"));
    let rows: Value = answer.json().await.unwrap();
    let face = &rows[0];
    assert_eq!(face["landmarks"].as_array().unwrap().len(), 68);
    let smile = face["action_units"]["left_lip_corner_pull"].as_f64();
    assert!(smile.unwrap() > 0.2);
    let sentences = face["sentences"].as_array().unwrap();
    assert!(sentences.iter().all(|s| s["supported"].is_boolean()));
    assert!(
        sentences
            .iter()
            .any(|s| !s["units"].as_array().unwrap().is_empty())
    );
}

#[tokio::test]
async fn a_form_and_a_data_uri_are_read_alike() {
    let server = started(ServerConfig::default()).await;
    let by_uri: Value = server
        .post("/api/au", &upload())
        .await
        .json()
        .await
        .unwrap();
    let mut form = b"--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--x\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n"
        .to_vec();
    form.extend_from_slice(PHOTO);
    form.extend_from_slice(b"\r\n--x--\r\n");
    let by_form = Client::new()
        .post(server.url("/api/au"))
        .header("content-type", "multipart/form-data; boundary=x")
        .body(form);
    let by_form: Value = by_form.send().await.unwrap().json().await.unwrap();
    assert_eq!(by_form, by_uri);
}

#[tokio::test]
async fn analysis_as_events_tells_the_same_as_at_once() {
    let server = started(ServerConfig::default()).await;
    let whole: Value = server
        .post("/api/analyze", &upload())
        .await
        .json()
        .await
        .unwrap();
    let request = Client::new()
        .post(server.url("/api/analyze"))
        .json(&upload());
    let answer = request
        .header(ACCEPT, "text/event-stream")
        .send()
        .await
        .unwrap();
    let told = events(&answer.text().await.unwrap());
    let names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names[0], *names.last().unwrap()), ("faces", "done"));
    let faces: Value = serde_json::from_str(&told[0].1).unwrap();
    assert_eq!(faces[0]["action_units"], whole[0]["action_units"]);
    let done: Value = serde_json::from_str(&told.last().unwrap().1).unwrap();
    assert_eq!(done, whole);
    let words = told.iter().filter(|(name, _)| name == "words");
    let words: String = words
        .map(|(_, data)| {
            serde_json::from_str::<Value>(data).unwrap()["text"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(words, whole[0]["chain"]["text"].as_str().unwrap());
}

/// The text and the end of an answer that is streamed.
async fn streamed(server: &crate::common::Running, more: &Value) -> (String, Value) {
    let answer = server.post("/v1/chat/completions", &chat(more)).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let told = events(&answer.text().await.unwrap());
    assert_eq!(told.last().unwrap().1, "[DONE]");
    let chunks = told[..told.len() - 1].iter();
    let chunks: Vec<Value> = chunks
        .map(|(_, data)| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let words = chunks
        .iter()
        .filter_map(|c| c["choices"][0]["delta"]["content"].as_str());
    (words.collect(), chunks.last().unwrap().clone())
}

#[tokio::test]
async fn chat_streams_what_it_answers_whole() {
    let server = started(ServerConfig::default()).await;
    let whole = server.post("/v1/chat/completions", &chat(&json!({}))).await;
    let whole: Value = whole.json().await.unwrap();
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.contains("**Conclusion:**"), "{text}");
    let more = json!({"stream": true, "stream_options": {"include_usage": true}});
    let (told, last) = streamed(&server, &more).await;
    assert_eq!(told, text);
    assert_eq!(last["usage"], whole["usage"]);
}

#[tokio::test]
async fn limits_seeds_and_formats_of_chat_are_honoured() {
    let server = started(ServerConfig::default()).await;
    let (told, last) = streamed(&server, &json!({"stream": true, "max_tokens": 3})).await;
    assert_eq!(told.split_inclusive(' ').count(), 3);
    assert_eq!(last["choices"][0]["finish_reason"], "length");
    let mut texts = Vec::new();
    for seed in [0, 1, 2, 3, 0] {
        let answer = server
            .post("/v1/chat/completions", &chat(&json!({"seed": seed})))
            .await;
        let answer: Value = answer.json().await.unwrap();
        texts.push(answer["choices"][0]["message"]["content"].clone());
    }
    assert_eq!(texts[0], texts[4], "the same seed gives the same text");
    assert!(
        texts[1..4].iter().any(|text| *text != texts[0]),
        "seeds vary the wording"
    );
    let objects = chat(&json!({"response_format": {"type": "json_object"}}));
    let answer: Value = server
        .post("/v1/chat/completions", &objects)
        .await
        .json()
        .await
        .unwrap();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let objects: Value = serde_json::from_str(text).unwrap();
    let whole: Value = server
        .post("/api/analyze", &upload())
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(objects["faces"], whole);
}

#[tokio::test]
async fn a_photo_without_faces_is_no_error() {
    let server = started(ServerConfig::default()).await;
    let grey = data_uri(&blank(64, 64));
    let rows: Value = server
        .post("/api/analyze", &json!({"image": grey}))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(rows, json!([{"file": "photo", "face": null}]));
    let message = json!([{"role": "user", "content": [{"type": "image_url", "image_url": grey}]}]);
    let answer = server
        .post("/v1/chat/completions", &chat(&json!({"messages": message})))
        .await;
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "No face was found in the photo."
    );
}

#[tokio::test]
async fn a_token_opens_everything_but_the_page_and_health() {
    let token = Some(Token::new("secret").unwrap());
    let server = started(ServerConfig {
        token,
        ..ServerConfig::default()
    })
    .await;
    for (path, sent, status) in [
        ("/health", "", 200),
        ("/", "", 200),
        ("/app.js", "", 200),
        ("/openapi.json", "", 200),
        ("/metrics", "", 401),
        ("/nowhere", "", 401),
        ("/api/units", "", 401),
        ("/api/units", "Bearer secrex", 401),
        ("/api/units", "Bearer secret ", 200),
        ("/api/units", "Basic secret", 401),
        ("/api/units", "Bearer secret", 200),
        ("/v1/models", "Bearer secret", 200),
    ] {
        let request = Client::new()
            .get(server.url(path))
            .header(AUTHORIZATION, sent);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path} {sent}");
        assert_eq!(
            answer.headers().contains_key("www-authenticate"),
            status == 401
        );
    }
}

#[tokio::test]
async fn every_request_is_logged_without_its_photo() {
    let kept = Kept::default();
    let access_log = Some(Box::new(kept.clone()) as Box<_>);
    let parts = Parts {
        access_log,
        ..Parts::default()
    };
    let server = with_parts(ServerConfig::default(), parts).await;
    server.post("/api/au?private=yes", &upload()).await;
    server.get("/nowhere").await;
    drop(server.stop);
    server.ended.await.unwrap();
    let mut lines = Vec::new();
    // The log is written beside the answers.
    while lines.len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(text.len() < 1000 && !text.contains("private"), "{text}");
        lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .collect();
    }
    assert_eq!(lines[0]["path"], "/api/au");
    assert_eq!(
        (&lines[0]["method"], &lines[0]["status"]),
        (&json!("POST"), &json!(200))
    );
    assert_eq!(lines[0]["client"], "127.0.0.1");
    assert!(lines[0]["bytes"].as_u64().unwrap() > PHOTO.len() as u64);
    assert_eq!(lines[1]["status"], 404);
}

/// A host of photos, of redirects and of much too much.
async fn host() -> String {
    let routes = Router::new()
        .route("/photo.png", get(|| async { PHOTO }))
        .route("/away", get(|| async { Redirect::temporary("/photo.png") }))
        .route("/much", get(|| async { vec![0_u8; 3 << 20] }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(crate::common::serve_plainly(listener, routes));
    address.to_string()
}

#[tokio::test]
async fn photos_are_fetched_from_named_hosts_alone() {
    let host = host().await;
    let allow_fetch = vec![host.clone()];
    let max_body = 2 << 20;
    let config = ServerConfig {
        allow_fetch,
        max_body,
        ..ServerConfig::default()
    };
    let server = started(config).await;
    let own = server.url("/health");
    for (address, status) in [
        (format!("http://{host}/photo.png"), 200),
        (format!("http://{host}/away"), 502),
        (format!("http://{host}/nowhere"), 502),
        (format!("http://{host}/much"), 413),
        (own, 400),
        ("http://169.254.169.254/latest/meta-data".to_owned(), 400),
        ("file:///etc/passwd".to_owned(), 400),
    ] {
        let answer = server.post("/api/au", &json!({"image": address})).await;
        assert_eq!(answer.status().as_u16(), status, "{address}");
    }
    let nobody = started(ServerConfig::default()).await;
    let address = json!({"image": format!("http://{host}/photo.png")});
    assert_eq!(
        nobody.post("/api/au", &address).await.status(),
        StatusCode::BAD_REQUEST
    );
}
