//! The parser against the official chain-of-thought data, where it is present.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)] // Tests may fail loudly.

use expllm_core::{ChainOfThought, CoreError};

#[test]
fn official_descriptions_parse() {
    let Some(path) = expllm_testing::shared("data/rafdb_cot_dev.json") else {
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
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
