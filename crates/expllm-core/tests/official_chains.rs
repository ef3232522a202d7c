//! The parser against the official chain-of-thought data, where it is present.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)] // Tests may fail loudly.

use std::path::PathBuf;

use expllm_core::{ChainOfThought, CoreError};

/// The folder of data that is not part of the project, if it is there.
fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("EXPLLM_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    folder.is_dir().then_some(folder)
}

#[test]
fn official_descriptions_parse() {
    let Some(shared) = shared() else {
        println!("skipped: no shared folder");
        return;
    };
    let text = std::fs::read_to_string(shared.join("data/rafdb_cot_dev.json")).unwrap();
    let records: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut refused = Vec::new();
    for record in &records {
        let description = record["description"].as_str().unwrap();
        match description.parse::<ChainOfThought>() {
            Ok(chain) => assert_eq!(chain.to_string().parse(), Ok(chain), "{description}"),
            Err(CoreError::IncompleteChain { missing }) => {
                refused.push((record["file_name"].as_str().unwrap(), missing));
            }
            Err(error) => panic!("{error}"),
        }
    }
    println!(
        "{} of {} parse",
        records.len() - refused.len(),
        records.len()
    );
    assert!(refused.len() <= 7, "{} refused: {refused:?}", refused.len());
}
