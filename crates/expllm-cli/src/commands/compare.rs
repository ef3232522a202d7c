//! `expllm compare`: our figures beside published ones.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::table;
use crate::{CliError, Outcome};

/// The published table that comes with the program.
const PUBLISHED: &str = include_str!("../../../../docs/paper_results.toml");

/// Arguments of `expllm compare`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Our figures as `DATASET=FOLDER` or `DATASET=metrics.json`, for example `rafdb=runs/rafdb`;
    /// use the data set's name in the published table.
    #[arg(value_parser = parse_ours)]
    ours: Vec<(String, PathBuf)>,
    /// Table of published figures [default: docs/paper_results.toml].
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

/// Prints every published row and, below those of the same data set and metric, ours.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let published = published(args.published.as_deref())?;
    let ours = args
        .ours
        .iter()
        .map(|(dataset, path)| Ok((dataset, path, figures(path)?)))
        .collect::<Result<Vec<_>, CliError>>()?;
    let header = [
        "data set",
        "metric",
        "method",
        "value",
        "95 % interval",
        "n",
        "source",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let mut groups: Vec<(&str, &str)> = Vec::new();
    for row in &published.result {
        let group = (row.dataset.as_str(), row.metric.as_str());
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    for (dataset, metric) in &groups {
        let of_group =
            |row: &&Published| (row.dataset.as_str(), row.metric.as_str()) == (*dataset, *metric);
        rows.extend(published.result.iter().filter(of_group).map(Published::row));
        let of_dataset = ours.iter().filter(|(name, ..)| name == dataset);
        rows.extend(of_dataset.map(|(_, path, figures)| our_row(dataset, metric, (path, figures))));
    }
    let strangers = ours
        .iter()
        .filter(|(name, ..)| !groups.iter().any(|(d, _)| d == name));
    let mut unmatched = false;
    for (dataset, path, _) in strangers {
        unmatched = true;
        let cells = [dataset.as_str(), "no published row", "ours", "", "", ""];
        let path = path.display().to_string();
        rows.push(
            cells
                .iter()
                .map(|c| (*c).to_owned())
                .chain([path])
                .collect(),
        );
    }
    table::print(&rows)?;
    Ok(if unmatched {
        Outcome::WithErrors
    } else {
        Outcome::Complete
    })
}

impl Published {
    fn row(&self) -> Vec<String> {
        let value = format!("{:.4}", self.value);
        let source = format!("{} ({})", self.source, self.note);
        let empty = String::new;
        let names = [&self.dataset, &self.metric, &self.method].map(Clone::clone);
        names
            .into_iter()
            .chain([value, empty(), empty(), source])
            .collect()
    }
}

fn our_row(dataset: &str, metric: &str, (path, figures): (&Path, &Value)) -> Vec<String> {
    let figure = &figures[metric];
    let number = |key: &str| figure[key].as_f64().map(|value| format!("{value:.4}"));
    let value = number("value").unwrap_or_else(|| "not measured".to_owned());
    let interval = number("low").zip(number("high"));
    let interval = interval.map(|(low, high)| format!("{low} to {high}"));
    let n = figure["n"].as_u64().map(|n| n.to_string());
    vec![
        dataset.to_owned(),
        metric.to_owned(),
        "ours".to_owned(),
        value,
        interval.unwrap_or_default(),
        n.unwrap_or_default(),
        path.display().to_string(),
    ]
}

fn published(path: Option<&Path>) -> Result<Table, CliError> {
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
        let table = published(None).unwrap();
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
