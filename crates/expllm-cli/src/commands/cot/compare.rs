//! `expllm cot compare`.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use expllm_core::Expression;
use expllm_cot::{Checker, CotRecord};

use super::blind;
use super::check::{figures, grade};
use super::{print, read};
use crate::{CliError, Outcome};

/// Arguments of `expllm cot compare`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// First data set.
    #[arg(required_unless_present = "unblind")]
    a: Option<PathBuf>,
    /// Second data set, over the same faces.
    #[arg(required_unless_present = "unblind")]
    b: Option<PathBuf>,
    #[command(flatten)]
    blind: blind::BlindArgs,
    /// Number of faces to print side by side.
    #[arg(long, default_value_t = 3)]
    examples: usize,
    /// Maximum number of words in a text.
    #[arg(long, default_value_t = expllm_cot::WORD_LIMIT)]
    word_limit: usize,
    /// Allow digits in the texts.
    #[arg(long)]
    allow_digits: bool,
    /// Also check the rules of the style guide.
    #[arg(long)]
    guide: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    if let Some(folder) = &args.blind.unblind {
        return blind::unblind(folder);
    }
    let (Some(a), Some(b)) = (&args.a, &args.b) else {
        return Err(CliError::Usage("two data sets are needed".to_owned()));
    };
    match &args.blind.out {
        Some(out) => blind::deal([a, b], &args.blind, out),
        None => side_by_side(args, a, b),
    }
}

fn side_by_side(args: &Args, a: &Path, b: &Path) -> Result<Outcome, CliError> {
    let paths = [a, b];
    let checker = Checker {
        word_limit: args.word_limit,
        digits: args.allow_digits,
        guide: args.guide,
        ..Checker::default()
    };
    let (a, b) = (grade(a, checker)?, grade(b, checker)?);
    print(&format!(
        "A  {}\nB  {}\n\n",
        paths[0].display(),
        paths[1].display()
    ))?;
    print(&format!("{:<22}{:>12}{:>12}\n", "", "A", "B"))?;
    for ((name, left), (_, right)) in figures(&a).into_iter().zip(figures(&b)) {
        print(&format!("{name:<22}{left:>12}{right:>12}\n"))?;
    }
    let shared = Shared::find(paths, args.examples)?;
    for example in shared.examples {
        print(&example.text())?;
    }
    print(&format!(
        "\n{} faces in both, {} with the same label\n",
        shared.faces, shared.same
    ))?;
    Ok(if a.bad + b.bad > 0 {
        Outcome::WithErrors
    } else {
        Outcome::Complete
    })
}

/// A face that both data sets have.
struct Example {
    name: String,
    a: Option<CotRecord>,
    b: CotRecord,
}

impl Example {
    fn text(&self) -> String {
        let part = |letter, record: Option<&CotRecord>| {
            let label = record.map_or("", |r| r.label.name());
            let text = record.and_then(|r| r.description.as_deref());
            let text = text.unwrap_or("(no text)").trim();
            format!("--- {letter} ({label})\n{text}\n")
        };
        let (a, b) = (part("A", self.a.as_ref()), part("B", Some(&self.b)));
        format!("\n=== {}\n{a}{b}", self.name)
    }
}

/// What two data sets have in common.
struct Shared {
    faces: u64,
    same: u64,
    examples: Vec<Example>,
}

impl Shared {
    /// Holds 16 bytes per face of A, and the texts of the examples.
    fn find([a, b]: [&Path; 2], examples: usize) -> Result<Self, CliError> {
        let labels: HashMap<u64, Expression> = records(a)?
            .map(|record| (hash(&record.file_name), record.label))
            .collect();
        let mut shared = Self {
            faces: 0,
            same: 0,
            examples: Vec::new(),
        };
        for record in records(b)? {
            let Some(label) = labels.get(&hash(&record.file_name)) else {
                continue;
            };
            shared.faces += 1;
            shared.same += u64::from(*label == record.label);
            if shared.examples.len() < examples {
                shared.examples.push(Example {
                    name: record.file_name.clone(),
                    a: None,
                    b: record,
                });
            }
        }
        let mut missing = shared.examples.len();
        for record in records(a)? {
            if missing == 0 {
                break;
            }
            let same = |example: &&mut Example| example.name == record.file_name;
            if let Some(example) = shared.examples.iter_mut().find(same) {
                example.a = Some(record);
                missing -= 1;
            }
        }
        Ok(shared)
    }
}

pub(super) fn records(path: &Path) -> Result<impl Iterator<Item = CotRecord>, CliError> {
    Ok(read(path)?.filter_map(|row| row.record.ok()))
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
