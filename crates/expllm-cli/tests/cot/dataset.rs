//! The data set that the repository ships.

use std::path::Path;

use serde_json::{Value, json};

use super::expllm;

#[test]
fn the_shipped_data_set_passes_every_check_of_the_guide() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/exp_cot");
    let file = folder.join("exp_cot.parquet");
    assert!(std::fs::metadata(&file).unwrap().len() < 3 << 20);
    let output = expllm()
        .args(["cot", "check", "--guide", "--json"])
        .arg(file)
        .output()
        .unwrap();
    let grade: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(grade["records"].as_u64().unwrap() >= 2000);
    assert_eq!(grade["parsed"], grade["records"]);
    assert_eq!(grade["findings"], json!({}), "{}", grade["worst"]);
    assert_eq!(grade["grounding_precision"], 1.0);
    assert_eq!(grade["label_in_conclusion"], 1.0);
}
