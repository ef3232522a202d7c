//! The queue, deadlines, clients that go away, and the end of the server.

use std::time::Duration;

use expllm_server::ServerConfig;
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::{Running, chat, endless, explained_by, slow, started, upload};

const WORKING: &str = "expllm_requests_working";
const WAITING: &str = "expllm_requests_waiting";
const GONE: &str = "expllm_clients_gone_total";

/// A client that hears the first words of an endless chain.
async fn listening(server: &Running) -> reqwest::Response {
    let mut answer = server
        .post("/v1/chat/completions", &chat(&json!({"stream": true})))
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.chunk().await.unwrap().is_some());
    answer
}

#[tokio::test]
async fn more_requests_than_may_wait_are_told_to_come_again() {
    let config = ServerConfig {
        queue: 1,
        ..ServerConfig::default()
    };
    let server = explained_by(config, endless).await;
    let working = listening(&server).await;
    let body = upload();
    let waiting = server.post("/api/au", &body);
    let refused = async {
        server.reaches(WAITING, 1.0).await;
        let refused = server.post("/api/au", &body).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()["retry-after"], "1");
        assert_eq!(server.get("/health").await.status(), StatusCode::OK);
        drop(working);
    };
    // Once the first client has gone, the one that waits is answered.
    let (waited, ()) = tokio::join!(waiting, refused);
    assert_eq!(waited.status(), StatusCode::OK);
}

#[tokio::test]
async fn work_ends_when_its_client_goes_away() {
    let server = explained_by(ServerConfig::default(), endless).await;
    drop(listening(&server).await);
    server.reaches(WORKING, 0.0).await;
    // The same without a stream, while nothing has been answered yet.
    let body = upload();
    let request = Client::new()
        .post(server.url("/api/analyze"))
        .json(&body)
        .send();
    let leaves = async {
        server.reaches(WORKING, 1.0).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    tokio::select! {
        answer = request => panic!("an endless chain has ended: {answer:?}"),
        () = leaves => {}
    }
    server.reaches(WORKING, 0.0).await;
    assert_eq!(server.metric(GONE).await, 1.0);
}

#[tokio::test]
async fn a_client_that_waits_and_goes_away_gives_its_place_back() {
    let server = explained_by(ServerConfig::default(), endless).await;
    let working = listening(&server).await;
    let body = upload();
    let request = Client::new().post(server.url("/api/au")).json(&body).send();
    tokio::select! {
        answer = request => panic!("the only worker is taken: {answer:?}"),
        () = server.reaches(WAITING, 1.0) => {}
    }
    server.reaches(WAITING, 0.0).await;
    drop(working);
}

#[tokio::test]
async fn work_beyond_the_deadline_is_ended() {
    let deadline = Duration::from_millis(700);
    let config = ServerConfig {
        deadline,
        ..ServerConfig::default()
    };
    let server = explained_by(config, endless).await;
    let answer = server.post("/api/analyze", &upload()).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "1");
    server.reaches(WORKING, 0.0).await;
    // A stream that has begun ends with the reason.
    let answer = server
        .post("/v1/chat/completions", &chat(&json!({"stream": true})))
        .await;
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("server_error") && !text.contains("[DONE]"),
        "{text}"
    );
}

#[tokio::test]
async fn chains_of_an_explainer_that_breaks_cost_one_request() {
    let server = explained_by(ServerConfig::default(), |_| panic!("on purpose")).await;
    for stream in [false, true] {
        let answer = server
            .post("/v1/chat/completions", &chat(&json!({"stream": stream})))
            .await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert_eq!(
        server.post("/api/au", &upload()).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn open_requests_end_before_the_server_does() {
    let drain = Duration::from_millis(400);
    let config = ServerConfig {
        drain,
        ..ServerConfig::default()
    };
    let server = explained_by(config, slow).await;
    let Running {
        address,
        stop,
        ended,
    } = server;
    let url = |path: &str| format!("http://{address}{path}");
    let (body, client) = (chat(&json!({})), Client::new());
    let asked = client.post(url("/v1/chat/completions")).json(&body).send();
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(stop);
        tokio::time::sleep(Duration::from_millis(50)).await;
        // While it drains, the server takes requests and tells balancers to send no more.
        let health = client.get(url("/health")).send().await.unwrap();
        assert_eq!(health.status(), StatusCode::SERVICE_UNAVAILABLE);
        ended.await.unwrap();
    };
    let (answer, ()) = tokio::join!(asked, stopping);
    let text = answer.unwrap().text().await.unwrap();
    assert!(
        text.contains("\"stop\"") && text.contains("word word"),
        "{text}"
    );
    assert!(Client::new().get(url("/health")).send().await.is_err());
}

#[tokio::test]
async fn headers_and_bodies_that_do_not_come_are_not_waited_for() {
    let config = ServerConfig {
        header_deadline: Duration::from_millis(200),
        deadline: Duration::from_millis(300),
        ..ServerConfig::default()
    };
    let server = started(config).await;
    // Headers that never end: the server closes.
    let answer = server
        .raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        .await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
    // A body that never ends.
    let head = "POST /api/au HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 1000\r\n\r\n{\"image\": \"data:";
    let answer = server.raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    // A connection that idles between requests.
    let idle = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert!(
        server
            .raw(idle.as_bytes())
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn clients_that_do_not_read_are_cut_off() {
    let config = ServerConfig {
        write_deadline: Duration::from_millis(200),
        connections: 1,
        ..ServerConfig::default()
    };
    let server = started(config).await;
    let ask = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut deaf = TcpStream::connect(server.address).await.unwrap();
    // Answers of 56 MB, far more than the system keeps for a client that does not take them.
    deaf.write_all(&ask.repeat(2_000)).await.unwrap();
    // Once it is cut off, the only connection is free.
    let next = async {
        let mut next = TcpStream::connect(server.address).await.unwrap();
        next.write_all(ask).await.unwrap();
        next.read_exact(&mut [0]).await.unwrap();
    };
    let answered = tokio::time::timeout(Duration::from_secs(20), next);
    answered.await.unwrap();
    drop(deaf);
}

#[tokio::test]
async fn many_slow_bodies_take_no_more_memory_than_there_is() {
    let config = ServerConfig {
        max_body: 1 << 20,
        max_memory: 1 << 20,
        ..ServerConfig::default()
    };
    let server = started(config).await;
    let head = "POST /api/au HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 1048576\r\n\r\n{";
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(head.as_bytes()).await.unwrap();
    let refused = async {
        loop {
            let answer = server.post("/api/au", &json!({"image": "data:"})).await;
            if answer.status() == StatusCode::TOO_MANY_REQUESTS {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused)
        .await
        .unwrap();
    drop(slow);
    let taken = async {
        while server
            .post("/api/au", &json!({"image": "data:"}))
            .await
            .status()
            != StatusCode::BAD_REQUEST
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), taken)
        .await
        .unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let config = ServerConfig {
        connections: 1,
        ..ServerConfig::default()
    };
    let server = started(config).await;
    let ask = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(ask).await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(ask).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(150), second.read_exact(&mut byte));
    assert!(early.await.is_err(), "the first connection is still open");
    drop(first);
    second.read_exact(&mut byte).await.unwrap();
}
