//! Requests that mean no good.

use expllm_server::ServerConfig;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::common::{Running, blank, chat, data_uri, started};

const JSON: &str = "application/json";

async fn status(server: &Running, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> u16 {
    let request = Client::new()
        .post(server.url(path))
        .header("content-type", kind);
    request.body(body).send().await.unwrap().status().as_u16()
}

async fn lives(server: &Running) {
    assert_eq!(server.get("/health").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn bodies_that_are_no_photos_are_refused() {
    let server = started(ServerConfig {
        max_body: 2 << 20,
        ..ServerConfig::default()
    })
    .await;
    let nested = |open: u8, close: u8| [vec![open; 100_000], vec![close; 100_000]].concat();
    let messages = format!("{{\"messages\": {}", "[".repeat(100_000));
    let image = |text: &str| json!({"image": text}).to_string().into_bytes();
    for (path, kind, body, wanted) in [
        ("/api/au", "text/plain", b"x".to_vec(), 415),
        ("/api/au", "", b"{}".to_vec(), 415),
        ("/api/au", JSON, b"{".to_vec(), 400),
        ("/api/au", JSON, b"\xff\xfe".to_vec(), 400),
        ("/api/au", JSON, nested(b'[', b']'), 400),
        ("/api/analyze", JSON, nested(b'{', b'}'), 400),
        ("/api/au", JSON, image("data:image/png;base64,AAEC"), 422),
        ("/api/au", JSON, image("data:image/png;base64,"), 422),
        ("/api/au", JSON, vec![b' '; (2 << 20) + 1], 413),
        (
            "/api/au",
            "multipart/form-data; boundary=x",
            b"no form".to_vec(),
            400,
        ),
        ("/api/au", "multipart/form-data", b"--x".to_vec(), 400),
        ("/v1/chat/completions", JSON, messages.into_bytes(), 400),
        ("/v1/chat/completions", "text/plain", b"{}".to_vec(), 415),
        (
            "/v1/chat/completions",
            JSON,
            b"{\"messages\": 3}".to_vec(),
            400,
        ),
        (
            "/v1/chat/completions",
            JSON,
            b"{\"messages\": []}".to_vec(),
            400,
        ),
    ] {
        assert_eq!(
            status(&server, path, kind, body).await,
            wanted,
            "{path} {kind}"
        );
    }
    let refused = server
        .post("/v1/chat/completions", &chat(&json!({"logprobs": true})))
        .await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let refused: Value = refused.json().await.unwrap();
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("logprobs")
    );
    lives(&server).await;
    let counted = "expllm_requests_total{route=\"/api/au\",status=\"400\"}";
    assert_eq!(server.metric(counted).await, 5.0);
}

#[tokio::test]
async fn bombs_do_not_go_off() {
    let server = started(ServerConfig {
        max_pixels: 1_000_000,
        ..ServerConfig::default()
    })
    .await;
    // 16 million pixels in some kilobytes.
    let bomb = blank(4000, 4000);
    assert!(bomb.len() < 200_000, "{}", bomb.len());
    let refused = server
        .post("/api/au", &json!({"image": data_uri(&bomb)}))
        .await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let refused: Value = refused.json().await.unwrap();
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("4000 x 4000"),
        "{refused}"
    );
    for encoding in ["gzip", "br", "gzip, gzip"] {
        let request = Client::new()
            .post(server.url("/api/au"))
            .header("content-encoding", encoding);
        let answer = request
            .header("content-type", JSON)
            .body("x")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    lives(&server).await;
}

#[tokio::test]
async fn what_is_too_long_is_refused_before_it_is_read() {
    let server = started(ServerConfig {
        max_body: 1 << 20,
        ..ServerConfig::default()
    })
    .await;
    let head = |more: &str| {
        let fixed = "POST /api/au HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        format!("{fixed}Content-Type: application/json\r\n{more}\r\n\r\n")
    };
    for length in ["1073741824", "1000000000000000000"] {
        let answer = server
            .raw(head(&format!("Content-Length: {length}")).as_bytes())
            .await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{length}: {answer}");
    }
    let mut endless = head("Transfer-Encoding: chunked").into_bytes();
    for _ in 0..40 {
        endless.extend_from_slice(b"8000\r\n");
        endless.extend_from_slice(&[b' '; 0x8000]);
        endless.extend_from_slice(b"\r\n");
    }
    endless.extend_from_slice(b"0\r\n\r\n");
    let answer = server.raw(&endless).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let headers = head(&format!("X-Long: {}", "x".repeat(1 << 20)));
    let answer = server.raw(headers.as_bytes()).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    // A little beyond the limit, so that the answer is not lost in what was not read.
    let headers = head(&format!("X-Long: {}", "x".repeat(33 << 10)));
    let answer = server.raw(headers.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let many = head(&vec!["X: y"; 200].join("\r\n"));
    assert!(
        server
            .raw(many.as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
    lives(&server).await;
}

#[tokio::test]
async fn no_path_leads_out_of_the_server() {
    let server = started(ServerConfig::default()).await;
    for path in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/app.js/../../Cargo.toml",
        "/app.js%00.png",
        "//etc/passwd",
        "/..\\..\\windows\\win.ini",
        "/api/units/",
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = server.raw(request.as_bytes()).await;
        let refused = ["404", "400"]
            .iter()
            .any(|s| answer.starts_with(&format!("HTTP/1.1 {s}")));
        assert!(refused, "{path}: {answer}");
    }
    let wrong = Client::new().request(Method::DELETE, server.url("/api/units"));
    assert_eq!(
        wrong.send().await.unwrap().status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn pages_of_others_cannot_send_photos() {
    let good = "https://good.example";
    let allow_origin = vec![good.to_owned()];
    let server = started(ServerConfig {
        allow_origin,
        ..ServerConfig::default()
    })
    .await;
    let send = |method: Method, headers: &[(&'static str, &'static str)]| {
        let mut request = Client::new().request(method, server.url("/api/au"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.header("content-type", "text/plain").send()
    };
    let reads = "access-control-allow-origin";
    // A name that was turned to point at this machine.
    let rebound = send(Method::POST, &[("host", "evil.example")])
        .await
        .unwrap();
    assert_eq!(rebound.status(), StatusCode::MISDIRECTED_REQUEST);
    // A form or script of another page, and what a browser asks before.
    for method in [Method::POST, Method::OPTIONS] {
        let asks = ("access-control-request-method", "POST");
        let answer = send(method.clone(), &[("origin", "https://evil.example"), asks])
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert!(!answer.headers().contains_key(reads));
        let answer = send(method, &[("origin", good), asks]).await.unwrap();
        assert_eq!(answer.headers()[reads], good);
        assert_ne!(answer.status(), StatusCode::FORBIDDEN);
    }
}
