//! Requests that are read together.

use std::time::Duration;

use expllm_server::ServerConfig;
use proptest::collection::vec;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::common::{
    Running, beside, blank, chat, data_uri, endless, explained_by, small_photo, upload,
};

const WORKING: &str = "expllm_requests_working";
const WAITING: &str = "expllm_requests_waiting";
const BATCHES: &str = "expllm_batches_total";

/// A server whose requests may wait as long as it takes here.
fn patient() -> ServerConfig {
    ServerConfig {
        batch: 8,
        max_wait: Duration::from_secs(25),
        ..ServerConfig::default()
    }
}

/// What is asked: one face, two, a doubtful one, none, and what is no photo.
fn bodies() -> [Value; 5] {
    let [two, small, grey] = [beside(), small_photo(), blank(64, 64)].map(|p| data_uri(&p));
    let photos = [two, small, grey, "data:image/png;base64,AAEC".to_owned()];
    let [two, small, grey, broken] = photos.map(|image| json!({"image": image}));
    [upload(), two, small, grey, broken]
}

/// Asks without waiting for the answer: its status and its body.
fn asked(server: &Running, body: &Value) -> JoinHandle<(u16, Value)> {
    let request = Client::new().post(server.url("/api/au")).json(body);
    tokio::spawn(async move {
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    })
}

/// Answers to requests that wait for the only worker, which is busy until all of them do.
async fn together(server: &Running, bodies: &[&Value]) -> Vec<JoinHandle<(u16, Value)>> {
    let stream = chat(&json!({"stream": true}));
    let mut busy = server.post("/v1/chat/completions", &stream).await;
    assert!(busy.chunk().await.unwrap().is_some());
    let asked = bodies.iter().map(|body| asked(server, body)).collect();
    server.reaches(WAITING, bodies.len() as f64).await;
    drop(busy);
    asked
}

/// Whether two answers are the same but for the order of sums in the networks.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let [a, b] = [a, b].map(|n| n.as_f64().unwrap());
            (a - b).abs() <= 1e-3 + 1e-5 * a.abs()
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(name, a): (&String, &Value)| b.get(name).is_some_and(|b| alike(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => a == b,
    }
}

#[test]
fn photos_that_wait_together_are_one_batch_and_read_as_alone() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(explained_by(patient(), endless));
    let bodies = bodies();
    let alone = bodies
        .each_ref()
        .map(|body| runtime.block_on(async { asked(&server, body).await.unwrap() }));
    assert_eq!(alone.each_ref().map(|a| a.0), [200, 200, 200, 200, 422]);
    let mut runner = TestRunner::new(Config {
        cases: 8,
        failure_persistence: None,
        ..Config::default()
    });
    let order = vec(0..bodies.len(), 2..=6);
    let same = runner.run(&order, |order| {
        let wanted: Vec<_> = order.iter().map(|&i| &bodies[i]).collect();
        runtime.block_on(async {
            let before = server.metric(BATCHES).await;
            let answers = together(&server, &wanted).await;
            for (answer, index) in answers.into_iter().zip(order) {
                let answer = answer.await.unwrap();
                assert_eq!(answer.0, alone[index].0);
                assert!(alike(&answer.1, &alone[index].1), "{index}: {}", answer.1);
            }
            // One for the request that kept the worker busy.
            assert_eq!(server.metric(BATCHES).await, before + 2.0);
        });
        Ok(())
    });
    same.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_no_more_photos_than_it_may() {
    let config = ServerConfig {
        batch: 2,
        ..patient()
    };
    let server = explained_by(config, endless).await;
    let body = upload();
    for answer in together(&server, &[&body; 5]).await {
        assert_eq!(answer.await.unwrap().0, 200);
    }
    assert_eq!(server.metric(BATCHES).await, 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_that_takes_long_holds_and_loses_nobody() {
    let server = explained_by(patient(), endless).await;
    // A large photo without a face is looked at from all sides.
    let [long, short] = [json!({"image": data_uri(&blank(1500, 1500))}), upload()];
    let mut answers = together(&server, &[&long, &short, &short]).await;
    let long = answers.remove(0);
    for answer in answers {
        assert_eq!(answer.await.unwrap().0, 200);
    }
    assert_eq!(server.metric(BATCHES).await, 2.0);
    assert!(!long.is_finished());
    // Its client goes away.
    long.abort();
    server.reaches(WORKING, 0.0).await;
    assert_eq!(server.metric("expllm_clients_gone_total").await, 1.0);
    let again = tokio::time::timeout(Duration::from_secs(60), asked(&server, &short));
    assert_eq!(again.await.unwrap().unwrap().0, 200);
}
