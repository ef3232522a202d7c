//! The wire format against llama.cpp's own server, streaming off and on.
//!
//! The server comes from the PyPI package `xllamacpp` and serves a tiny random model that
//! `llama_server.py` writes. `EXPLLM_PYTHON` names a Python that has the package (default
//! `python3`); without it the test says that it is skipped.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)] // Tests may fail loudly.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use expllm_core::{ActionUnit, AuVector, Expression, Intensity};
use expllm_cot::{
    BuiltRecord, CotRecord, Engine, EngineConfig, Journal, OnFailure, OpenAiConfig, OpenAiWriter,
    PromptFiles, Prompts, Row, Status,
};

const TOKENS: u64 = 48;

struct Server {
    child: Child,
    base: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(folder: &std::path::Path) -> Result<Server, String> {
    let python = std::env::var("EXPLLM_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/llama_server.py");
    let mut child = Command::new(&python)
        .arg(script)
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("{python}: {e}"))?;
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = lines.map_while(Result::ok);
    let base = said
        .into_iter()
        .find(|line| line.starts_with("http") || line.starts_with("skip"));
    let server = |base| Server { child, base };
    match base {
        Some(base) if base.starts_with("http") => Ok(server(base)),
        Some(reason) => {
            drop(server(reason.clone()));
            Err(reason)
        }
        None => panic!("the server ended without an address"),
    }
}

async fn build(base: &str, stream: bool) -> Vec<BuiltRecord> {
    let writer = OpenAiWriter::new(OpenAiConfig {
        endpoints: vec![base.to_owned()],
        model: "tiny".into(),
        temperature: 0.0,
        max_tokens: TOKENS as u32,
        stream,
        retries: 1,
        ..OpenAiConfig::default()
    });
    let config = EngineConfig {
        on_failure: OnFailure::SetAside,
        repairs: 1,
        concurrency: 1,
        ..EngineConfig::default()
    };
    let prompts = Prompts::new(&PromptFiles::default(), 130).unwrap();
    let engine = Engine::new(Arc::new(writer.unwrap()), Some(prompts), config);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.jsonl");
    let mut journal = Journal::open(&out, "real").unwrap();
    engine.run(rows(), &mut journal, |_| {}).await.unwrap();
    let text = std::fs::read_to_string(out).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn rows() -> impl Iterator<Item = (u64, Row)> {
    (0..3).map(|index| {
        let mut units = AuVector::default();
        units.set(
            ActionUnit::FEAFA[8 + index as usize],
            Intensity::clamped(0.7),
        );
        let record = CotRecord {
            file_name: format!("{index}.jpg"),
            label: Expression::ALL[index as usize + 1],
            units: Some(units),
            description: None,
        };
        let (line, raw) = (index + 1, serde_json::Value::Null);
        let record = Ok(record);
        (index, Row { line, record, raw })
    })
}

#[tokio::test]
async fn llama_cpp_answers_whole_and_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let server = match start(folder.path()) {
        Ok(server) => server,
        Err(reason) => return println!("skipped: no llama.cpp server ({reason})"),
    };
    let whole = build(&server.base, false).await;
    let pieces = build(&server.base, true).await;
    assert_eq!((whole.len(), pieces.len()), (3, 3));
    for (record, streamed) in whole.iter().zip(&pieces) {
        // Random weights write no chain: both texts were checked, sent back and set aside.
        for record in [record, streamed] {
            assert_eq!((record.status, record.attempts), (Status::SetAside, 2));
            assert_eq!(record.error, None);
            assert!(!record.findings.is_empty());
            assert_eq!(record.usage.completion_tokens, 2 * TOKENS);
            assert!(record.usage.prompt_tokens > 1000);
            assert!(record.model.is_some());
        }
        let text = record.description.as_ref().unwrap();
        assert_eq!(text.split_whitespace().count() as u64, TOKENS, "{text}");
        assert_eq!(streamed.description.as_ref(), Some(text));
        assert_eq!(streamed.usage, record.usage);
    }
    println!("a text of the server: {:?}", whole[0].description);
}
