//! `expllm cot compare --blind` and `--unblind`: texts read without their source.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use expllm_cot::{
    BlindKey, BlindPair, CotRecord, Form, QUESTIONS, Verdicts, Wins, blind, empty_form,
};

use super::compare::records;
use super::{cli_error, print};
use crate::{CliError, Outcome};

/// Arguments of a blind comparison.
#[derive(Debug, clap::Args)]
pub(super) struct BlindArgs {
    /// Write this many pairs without their source, and a form to fill in.
    #[arg(long, value_name = "N", requires = "out")]
    pub blind: Option<usize>,
    /// Folder for the pairs and the form; the key is written beside it, out of the readers' sight.
    #[arg(long, value_name = "DIR", requires = "blind")]
    pub out: Option<PathBuf>,
    /// Random seed: chooses the faces and which text is shown as a.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Count the filled forms (form*.csv) in a folder that --out wrote.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["a", "b", "blind"])]
    pub unblind: Option<PathBuf>,
}

/// Writes pairs, form and key.
pub(super) fn deal(paths: [&Path; 2], args: &BlindArgs, out: &Path) -> Result<Outcome, CliError> {
    let names = paths.map(|path| path.display().to_string());
    let all = [all_records(paths[0])?, all_records(paths[1])?];
    let wanted = args.blind.unwrap_or_default();
    let (pairs, key) = blind(names, [&all[0], &all[1]], wanted, args.seed);
    if pairs.is_empty() {
        let reason = "no face has a text of three parts under one label in both data sets";
        return Err(CliError::Usage(reason.to_owned()));
    }
    std::fs::create_dir_all(out).map_err(|e| CliError::file(out, e))?;
    write(&out.join("pairs.json"), &json(&pairs)?)?;
    write(&out.join("pairs.md"), &page(&pairs))?;
    write(&out.join("form.csv"), &empty_form(pairs.len()))?;
    write(&key_path(out), &json(&key)?)?;
    print(&format!(
        "{} pairs in {}; readers fill in form.csv (copies are named form*.csv)\nthe key is {}\n",
        pairs.len(),
        out.display(),
        key_path(out).display()
    ))?;
    Ok(match pairs.len() < wanted {
        true => Outcome::WithErrors,
        false => Outcome::Complete,
    })
}

fn all_records(path: &Path) -> Result<Vec<CotRecord>, CliError> {
    Ok(records(path)?.collect())
}

/// Beside the folder, so that whoever is given the folder does not have it.
fn key_path(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(".key.json");
    out.with_file_name(name)
}

fn json(value: &impl serde::Serialize) -> Result<String, CliError> {
    serde_json::to_string_pretty(value).map_err(CliError::library)
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    std::fs::write(path, text).map_err(|e| CliError::file(path, e))
}

/// The pairs as a page to read, with the questions first.
fn page(pairs: &[BlindPair]) -> String {
    let mut text = "# Pairs to read\n\nAnswer in form.csv with a, b or even:\n\n".to_owned();
    for (name, question) in QUESTIONS {
        let _ = writeln!(text, "- {name}: {question}");
    }
    for pair in pairs {
        let _ = writeln!(text, "\n## Pair {}: {}\n", pair.pair, pair.label);
        for (unit, value) in pair.action_units.iter().flat_map(|units| units.active()) {
            let _ = writeln!(text, "- {unit} {value:.2}");
        }
        let _ = writeln!(text, "\n### a\n\n{}\n\n### b\n\n{}", pair.a, pair.b);
    }
    text
}

/// Counts the forms of a folder and prints wins with their intervals.
pub(super) fn unblind(folder: &Path) -> Result<Outcome, CliError> {
    let path = key_path(folder);
    let key: BlindKey = serde_json::from_str(&read_text(&path)?)
        .map_err(|e| CliError::Usage(format!("{}: {e}", path.display())))?;
    let mut forms = Vec::new();
    for path in form_paths(folder)? {
        let name = path.display().to_string();
        forms.push(Form::read(&name, &read_text(&path)?, &key).map_err(cli_error)?);
    }
    let verdicts = Verdicts::count(&key, &forms);
    if verdicts.readers == 0 {
        let reason = format!("{}: no form*.csv has an answer", folder.display());
        return Err(CliError::Usage(reason));
    }
    print(&table(&key, &verdicts))?;
    Ok(Outcome::Complete)
}

fn read_text(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|e| CliError::file(path, e))
}

fn form_paths(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let entries = std::fs::read_dir(folder).map_err(|e| CliError::file(folder, e))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("form") && name.ends_with(".csv"))
        })
        .collect();
    found.sort();
    Ok(found)
}

fn table(key: &BlindKey, verdicts: &Verdicts) -> String {
    let [first, second] = &key.sources;
    let mut text = format!(
        "A  {first}\nB  {second}\n{} pairs, {} readers{}\n\n{:<12}{:>6}{:>6}{:>6}  {}\n",
        key.pairs.len(),
        verdicts.readers,
        verdicts
            .agreement
            .map_or(String::new(), |a| format!(", who agree in {a:.2}")),
        "",
        "A",
        "B",
        "even",
        "A of the decided, with its interval at 95 %"
    );
    for ((name, _), wins) in QUESTIONS.iter().zip(&verdicts.wins) {
        text += &row(name, wins);
    }
    text
}

fn row(name: &str, wins: &Wins) -> String {
    let share = match (wins.share(), wins.interval()) {
        (Some(share), Some((low, high))) => format!("{share:.3} [{low:.3}, {high:.3}]"),
        _ => "-".to_owned(),
    };
    let Wins {
        first,
        second,
        even,
    } = wins;
    format!("{name:<12}{first:>6}{second:>6}{even:>6}  {share}\n")
}
