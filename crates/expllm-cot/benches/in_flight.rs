//! How well 64 requests in flight use a server that answers after 200 ms, and what that costs.
//!
//! Run with `cargo bench -p expllm-cot --bench in_flight`. The server runs in a process of its
//! own, so that the processor time printed is that of the engine alone (Linux; from
//! `/proc/self/task/*/schedstat`). The most that such a server can answer is 320 records/s.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)] // A bench may fail loudly.

#[path = "../tests/mock_server/mod.rs"]
mod mock_server;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use expllm_core::{AuVector, Expression, ExpressionSet};
use expllm_cot::{
    Composer, CotRecord, Engine, EngineConfig, Journal, OpenAiConfig, OpenAiWriter, PromptFiles,
    Prompts, Row,
};

const IN_FLIGHT: usize = 64;
const LATENCY: Duration = Duration::from_millis(200);
const RECORDS: u64 = 6_400;
const SERVE: &str = "EXPLLM_BENCH_SERVE";

fn units() -> AuVector {
    AuVector::from_feafa_clamped(std::array::from_fn(|i| if i % 5 == 0 { 0.8 } else { 0.0 }))
}

/// Serves until the process is ended.
fn serve() {
    let text = Composer.compose(&units(), Expression::Surprise, ExpressionSet::Eight, 3);
    let body = serde_json::json!({
        "model": "tiny",
        "choices": [{"message": {"role": "assistant", "content": text.to_string()}}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 100},
    });
    let answer = mock_server::ok("application/json", &body.to_string());
    let base = mock_server::serve(move || {
        std::thread::sleep(LATENCY);
        answer.clone()
    });
    println!("{}", base.unwrap());
    loop {
        std::thread::park();
    }
}

/// Seconds that the threads of this process have run.
fn processor_time() -> Option<f64> {
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        nanoseconds += text.split(' ').next()?.parse::<f64>().ok()?;
    }
    Some(nanoseconds / 1e9)
}

fn rows() -> impl Iterator<Item = (u64, Row)> {
    (0..RECORDS).map(|index| {
        let record = CotRecord {
            file_name: format!("{index}.jpg"),
            label: Expression::Surprise,
            units: Some(units()),
            description: None,
        };
        let (line, raw) = (index + 1, serde_json::Value::Null);
        let record = Ok(record);
        (index, Row { line, record, raw })
    })
}

fn main() {
    if std::env::var_os(SERVE).is_some() {
        return serve();
    }
    let mut server = Command::new(std::env::current_exe().unwrap())
        .env(SERVE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut base = String::new();
    let output = server.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut base).unwrap();
    let writer = OpenAiWriter::new(OpenAiConfig {
        endpoints: vec![base.trim().to_owned()],
        concurrency: IN_FLIGHT,
        ..OpenAiConfig::default()
    });
    let config = EngineConfig {
        concurrency: IN_FLIGHT,
        ..EngineConfig::default()
    };
    let prompts = Prompts::new(&PromptFiles::default(), 130).unwrap();
    let engine = Engine::new(Arc::new(writer.unwrap()), Some(prompts), config);
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("out.jsonl"), "bench").unwrap();
    // As the program runs it: one thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (started, before) = (Instant::now(), processor_time());
    let summary = runtime
        .block_on(engine.run(rows(), &mut journal, |_| {}))
        .unwrap();
    let elapsed = started.elapsed().as_secs_f64();
    let most = IN_FLIGHT as f64 / LATENCY.as_secs_f64();
    let rate = summary.records as f64 / elapsed;
    println!(
        "{} records ({:?}) in {elapsed:.2} s: {rate:.1} records/s, {:.1} % of {most:.0}",
        summary.records,
        summary.by_status,
        100.0 * rate / most
    );
    if let (Some(before), Some(after)) = (before, processor_time()) {
        println!("engine: {:.3} cores", (after - before) / elapsed);
    }
    server.kill().unwrap();
    server.wait().unwrap();
}
