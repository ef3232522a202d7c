//! The engine against a server that misbehaves.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)] // Tests may fail loudly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use expllm_core::{AuVector, Expression, ExpressionSet};
use expllm_cot::{
    BuiltRecord, Composer, CotError, CotRecord, Engine, EngineConfig, Journal, OnFailure,
    OpenAiConfig, OpenAiWriter, PromptFiles, Prompts, Row, Status, Summary,
};
use serde_json::json;
use wiremock::matchers::{body_partial_json, method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

fn units() -> AuVector {
    AuVector::from_feafa_clamped(std::array::from_fn(|i| if i % 5 == 0 { 0.8 } else { 0.0 }))
}

fn good_text() -> String {
    let set = ExpressionSet::Eight;
    Composer
        .compose(&units(), Expression::Surprise, set, 3)
        .to_string()
}

fn rows(count: u64) -> impl Iterator<Item = (u64, Row)> {
    (0..count).map(|index| {
        let record = CotRecord {
            file_name: format!("{index}.jpg"),
            label: Expression::Surprise,
            units: Some(units()),
            description: None,
        };
        (
            index,
            Row {
                line: index + 1,
                record: Ok(record),
                raw: json!(null),
            },
        )
    })
}

fn config(endpoints: &[String]) -> OpenAiConfig {
    OpenAiConfig {
        endpoints: endpoints.to_vec(),
        model: "tiny".into(),
        // A variable that every system has: the key must reach the server and nothing else.
        key_variable: "PATH".into(),
        retries: 12,
        backoff_ms: 2,
        backoff_limit_ms: 20,
        breaker_rest_ms: 20,
        timeout_s: 0.5,
        ..OpenAiConfig::default()
    }
}

async fn build(
    config: OpenAiConfig,
    on_failure: OnFailure,
    count: u64,
) -> Result<(Vec<BuiltRecord>, Summary), CotError> {
    let writer = Arc::new(OpenAiWriter::new(config)?);
    let prompts = Prompts::new(&PromptFiles::default(), 130)?;
    let settings = EngineConfig {
        on_failure,
        ..EngineConfig::default()
    };
    let engine = Engine::new(writer, Some(prompts), settings);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.jsonl");
    let mut journal = Journal::open(&out, "test")?;
    let summary = engine.run(rows(count), &mut journal, |_| {}).await?;
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(
        !text.contains(&std::env::var("PATH").unwrap()),
        "the key was written"
    );
    Ok((
        text.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect(),
        summary,
    ))
}

fn answer(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "model": "tiny-1",
        "choices": [{"message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    }))
}

/// Goes through every kind of trouble again and again.
struct Trouble(AtomicUsize);

impl Respond for Trouble {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        match self.0.fetch_add(1, Ordering::Relaxed) % 9 {
            0 => ResponseTemplate::new(429).insert_header("retry-after", "0"),
            1 => ResponseTemplate::new(500).set_body_string("oops"),
            2 => ResponseTemplate::new(200).set_body_raw("{\"choices\": [", "application/json"),
            3 => answer(""),
            4 => answer("The jaw drops."),
            5 => ResponseTemplate::new(200).set_delay(Duration::from_millis(700)),
            6 => ResponseTemplate::new(200).set_body_json(json!({"choices": []})),
            _ => answer(&good_text()),
        }
    }
}

async fn server(respond: impl Respond + 'static) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/chat/completions"))
        .respond_with(respond)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn every_record_ends_whatever_the_server_does() {
    let (a, b) = (
        server(Trouble(0.into())).await,
        server(Trouble(4.into())).await,
    );
    let endpoints = [&a, &b].map(|s| format!("{}/v1", s.uri()));
    let (records, summary) = build(config(&endpoints), OnFailure::SetAside, 60)
        .await
        .unwrap();
    assert_eq!(summary.records, 60);
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record.index, index as u64);
        match record.status {
            Status::Checked => assert_eq!(record.description, Some(good_text())),
            Status::SetAside => assert!(!record.findings.is_empty() || record.error.is_some()),
            other => panic!("{other:?}"),
        }
    }
    let checked = summary.by_status["checked"];
    assert!(checked > 40, "{summary:?}");
    assert!(!a.received_requests().await.unwrap().is_empty());
    assert!(!b.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_failed_text_goes_back_with_its_findings() {
    let server = MockServer::start().await;
    let asks_again = body_partial_json(json!({"messages": [{}, {}, {"role": "assistant"}, {}]}));
    let again = Mock::given(asks_again)
        .respond_with(answer(&good_text()))
        .with_priority(1);
    again.mount(&server).await;
    Mock::given(method("POST"))
        .respond_with(answer("The jaw drops."))
        .with_priority(2)
        .mount(&server)
        .await;
    let endpoint = format!("{}/v1", server.uri());
    let (records, _) = build(config(&[endpoint]), OnFailure::SetAside, 3)
        .await
        .unwrap();
    for record in records {
        assert_eq!((record.status, record.attempts), (Status::Checked, 2));
        assert_eq!(record.usage.prompt_tokens, 20);
        assert_eq!(record.model.as_deref(), Some("tiny-1"));
        assert!(record.prompt_hash.is_some());
    }
    let requests = server.received_requests().await.unwrap();
    let repair = requests
        .iter()
        .find(|r| r.body.windows(6).any(|w| w == b"faults"))
        .unwrap();
    assert!(String::from_utf8_lossy(&repair.body).contains("parts: no Key Observations"));
}

#[tokio::test]
async fn what_never_passes_is_composed_and_marked() {
    let server = server(answer("No.")).await;
    let endpoint = format!("{}/v1", server.uri());
    let (records, _) = build(config(&[endpoint]), OnFailure::Compose, 4)
        .await
        .unwrap();
    for record in records {
        assert_eq!((record.status, record.attempts), (Status::Composed, 3));
        assert_eq!(record.writer, "composer");
        assert!(!record.findings.is_empty() && record.description.is_some());
    }
}

#[tokio::test]
async fn streams_are_joined_and_cut_streams_are_asked_for_again() {
    let piece = |text: &str, end| {
        let value =
            json!({"model": "s", "choices": [{"delta": {"content": text}, "finish_reason": end}]});
        format!("data: {value}\n\n")
    };
    let text = good_text();
    let (head, tail) = text.split_at(text.find("**Overall").unwrap());
    let whole = piece(head, None) + &piece(tail, Some("stop")) + "data: [DONE]\n\n";
    let stream = |body: String| ResponseTemplate::new(200).set_body_raw(body, "text/event-stream");
    let server = MockServer::start().await;
    let cut = Mock::given(method("POST")).respond_with(stream(piece(head, None)));
    cut.up_to_n_times(2).with_priority(1).mount(&server).await;
    let rest = Mock::given(method("POST"))
        .respond_with(stream(whole))
        .with_priority(2);
    rest.mount(&server).await;
    let endpoint = format!("{}/v1", server.uri());
    let settings = OpenAiConfig {
        stream: true,
        ..config(&[endpoint])
    };
    let (records, _) = build(settings, OnFailure::SetAside, 5).await.unwrap();
    assert!(
        records
            .iter()
            .all(|r| r.description.as_ref() == Some(&text))
    );
    assert_eq!(server.received_requests().await.unwrap().len(), 7);
}

#[tokio::test]
async fn servers_that_are_none_end_the_run_and_say_why() {
    for (response, reason) in [
        (
            ResponseTemplate::new(302).insert_header("location", "http://other"),
            "redirects",
        ),
        (
            ResponseTemplate::new(200).set_body_raw("<html>", "text/html"),
            "web page",
        ),
        (ResponseTemplate::new(401), "key variable"),
        (ResponseTemplate::new(404), "base address"),
    ] {
        let server = server(response).await;
        let endpoint = format!("{}/v1", server.uri());
        let error = build(config(&[endpoint]), OnFailure::SetAside, 3)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert!(OpenAiWriter::new(config(&["ftp://x".into()])).is_err());
    assert!(OpenAiWriter::new(config(&[])).is_err());
}

#[tokio::test]
async fn a_run_ends_when_no_endpoint_has_ever_answered() {
    let broken = server(ResponseTemplate::new(500)).await;
    let endpoints = [
        // Nobody listens here, and nobody has this name.
        "http://127.0.0.1:9/v1".to_owned(),
        "http://no-such-host.invalid/v1".to_owned(),
        format!("{}/v1", broken.uri()),
    ];
    for endpoint in endpoints {
        let config = OpenAiConfig {
            retries: 2,
            ..config(&[endpoint])
        };
        let error = build(config, OnFailure::Compose, 3).await.unwrap_err();
        assert!(
            error.to_string().contains("no endpoint has answered"),
            "{error}"
        );
    }
}

/// Answers once and never again.
struct Once(AtomicUsize);

impl Respond for Once {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => answer(&good_text()),
            _ => ResponseTemplate::new(500),
        }
    }
}

#[tokio::test]
async fn records_without_an_answer_are_counted() {
    let server = server(Once(0.into())).await;
    let config = OpenAiConfig {
        retries: 1,
        concurrency: 1,
        ..config(&[format!("{}/v1", server.uri())])
    };
    let (records, summary) = build(config, OnFailure::Compose, 4).await.unwrap();
    assert_eq!((records.len(), summary.unanswered), (4, 3));
    assert_eq!(summary.by_status["composed"], 3);
}

#[tokio::test]
async fn waiting_as_asked_is_honoured() {
    let server = MockServer::start().await;
    let wait = ResponseTemplate::new(429).insert_header("retry-after", "0.4");
    Mock::given(method("POST"))
        .respond_with(wait)
        .up_to_n_times(1)
        .with_priority(1)
        .mount(&server)
        .await;
    let good = Mock::given(method("POST"))
        .respond_with(answer(&good_text()))
        .with_priority(2);
    good.mount(&server).await;
    let endpoint = format!("{}/v1", server.uri());
    let started = std::time::Instant::now();
    let (records, _) = build(config(&[endpoint]), OnFailure::SetAside, 1)
        .await
        .unwrap();
    assert_eq!(records[0].status, Status::Checked);
    assert!(started.elapsed() >= Duration::from_millis(400));
}
