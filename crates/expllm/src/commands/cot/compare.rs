//! `expllm cot compare`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use expllm_cot::Checker;

use super::check::{figures, grade};
use super::{print, read};
use crate::{CliError, Outcome};

/// Arguments of `expllm cot compare`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One data set.
    a: PathBuf,
    /// Another over the same faces.
    b: PathBuf,
    /// How many faces are printed side by side.
    #[arg(long, default_value_t = 3)]
    examples: usize,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let checker = Checker::default();
    let (a, b) = (grade(&args.a, checker)?, grade(&args.b, checker)?);
    print(&format!("{:<22}{:>12}{:>12}\n", "", "A", "B"))?;
    for ((name, left), (_, right)) in figures(&a).into_iter().zip(figures(&b)) {
        print(&format!("{name:<22}{left:>12}{right:>12}\n"))?;
    }
    let texts = texts(&args.a)?;
    let (mut shared, mut same) = (0u64, 0u64);
    for row in read(&args.b)? {
        let Ok(record) = row.record else { continue };
        let Some((label, text)) = texts.get(&record.file_name) else {
            continue;
        };
        shared += 1;
        same += u64::from(*label == record.label);
        if shared <= args.examples as u64 {
            let other = record.description.unwrap_or_default();
            print(&format!(
                "\n=== {} ({label})\n--- A\n{text}\n--- B\n{other}\n",
                record.file_name
            ))?;
        }
    }
    print(&format!(
        "\n{shared} faces in both, {same} with the same label\n"
    ))?;
    Ok(if a.bad + b.bad > 0 {
        Outcome::WithErrors
    } else {
        Outcome::Complete
    })
}

fn texts(path: &Path) -> Result<HashMap<String, (expllm_core::Expression, String)>, CliError> {
    let rows = read(path)?.filter_map(|row| row.record.ok());
    Ok(rows
        .map(|r| (r.file_name, (r.label, r.description.unwrap_or_default())))
        .collect())
}
