//! `expllm compare`: our figures beside published ones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::{CliError, Outcome};

/// The published table that comes with the program.
const PUBLISHED: &str = include_str!("../../../../docs/paper_results.toml");

/// Arguments of `expllm compare`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Our figures as `DATASET=FOLDER` or `DATASET=metrics.json`, such as
    /// `rafdb=runs/rafdb`; the data set is named as in the published table.
    #[arg(value_parser = parse_ours)]
    ours: Vec<(String, PathBuf)>,
    /// Another published table; `docs/paper_results.toml` when not given.
    #[arg(long)]
    published: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    result: Vec<Published>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    method: String,
    dataset: String,
    metric: String,
    value: f64,
    source: String,
    note: String,
}

fn parse_ours(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((dataset, path)) if !dataset.is_empty() => Ok((dataset.to_owned(), path.into())),
        _ => Err(format!("{text:?} is not DATASET=FOLDER")),
    }
}

/// Prints every published row, and ours where the data set and the metric are the same.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let table = table(args.published.as_deref())?;
    say!("dataset\tmetric\tmethod\tvalue\tinterval\tn\tsource");
    let mut seen = BTreeSet::new();
    for row in &table.result {
        say!(
            "{}\t{}\t{}\t{}\t\t\t{} ({})",
            row.dataset,
            row.metric,
            row.method,
            row.value,
            row.source,
            row.note
        );
        seen.insert((row.dataset.as_str(), row.metric.as_str()));
    }
    let mut unmatched = false;
    for (dataset, path) in &args.ours {
        let figures = figures(path)?;
        let wanted: Vec<_> = seen.iter().filter(|(d, _)| d == dataset).collect();
        unmatched |= wanted.is_empty();
        if wanted.is_empty() {
            say!(
                "{dataset}\t(no published row)\tours\t\t\t\t{}",
                path.display()
            );
        }
        for (_, metric) in wanted {
            match &figures[*metric] {
                Value::Object(ours) => say!(
                    "{dataset}\t{metric}\tours\t{}\t{} to {}\t{}\t{}",
                    ours["value"],
                    ours["low"],
                    ours["high"],
                    ours["n"],
                    path.display()
                ),
                _ => say!(
                    "{dataset}\t{metric}\tours\tnot measured\t\t\t{}",
                    path.display()
                ),
            }
        }
    }
    Ok(if unmatched {
        Outcome::WithErrors
    } else {
        Outcome::Complete
    })
}

fn table(path: Option<&Path>) -> Result<Table, CliError> {
    let text = match path {
        Some(path) => std::fs::read_to_string(path).map_err(|e| CliError::file(path, e))?,
        None => PUBLISHED.to_owned(),
    };
    toml::from_str(&text).map_err(|e| CliError::Usage(format!("the published table: {e}")))
}

fn figures(path: &Path) -> Result<Value, CliError> {
    let file = if path.is_dir() {
        path.join("metrics.json")
    } else {
        path.to_path_buf()
    };
    let text = std::fs::read_to_string(&file).map_err(|e| CliError::file(&file, e))?;
    serde_json::from_str(&text).map_err(|e| CliError::Usage(format!("{}: {e}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_table_names_its_sources() {
        let table = table(None).unwrap();
        assert!(table.result.len() >= 9);
        for row in table.result {
            assert!(!row.source.is_empty() && !row.method.is_empty(), "{row:?}");
            let limit = if row.metric == "rege" { 200.0 } else { 1.0 };
            assert!((0.0..=limit).contains(&row.value), "{row:?}");
        }
    }

    #[test]
    fn our_figures_need_a_data_set() {
        assert!(parse_ours("runs/x").is_err());
        assert_eq!(
            parse_ours("rafdb=runs/x"),
            Ok(("rafdb".into(), "runs/x".into()))
        );
    }
}
