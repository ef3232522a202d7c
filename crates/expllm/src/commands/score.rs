//! `expllm score`: grades `result_all.json` files.

use std::path::{Path, PathBuf};

use expllm_core::ExpressionSet;
use expllm_metrics::{
    Bootstrap, Confusion, LABEL_TASK, OfficialRow, constrained_confusion, mcnemar, strict_accuracy,
};

use crate::{CliError, Outcome};

/// Arguments of `expllm score`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files in the official format, graded side by side.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Expressions in play: 7 refuses contempt.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(7..=8))]
    classes: u8,
}

struct Graded {
    path: PathBuf,
    rows: Vec<OfficialRow>,
    matrix: Confusion,
    refused: Vec<String>,
}

/// Prints one column per file, and McNemar's test of each file against the first.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let set = match args.classes {
        7 => ExpressionSet::Seven,
        _ => ExpressionSet::Eight,
    };
    let graded = args
        .files
        .iter()
        .map(|f| grade(f, set))
        .collect::<Result<Vec<_>, _>>()?;
    say!("file\tmetric\tvalue\tlow\thigh\tn");
    for file in &graded {
        print_one(file)?;
    }
    for other in graded.iter().skip(1) {
        let (first, second, n) = disagreements(&graded[0].rows, &other.rows);
        say!(
            "{} and {}\tmcnemar_p\t{:.4}\t\t\t{n}",
            graded[0].path.display(),
            other.path.display(),
            mcnemar(first, second)
        );
        let unpaired = graded[0]
            .matrix
            .total()
            .max(other.matrix.total())
            .saturating_sub(n);
        if unpaired > 0 {
            say!(
                "{}\trows without a partner\t{unpaired}\t\t\t",
                other.path.display()
            );
        }
    }
    let refused: usize = graded.iter().map(|g| g.refused.len()).sum();
    Ok(if refused == 0 {
        Outcome::Complete
    } else {
        Outcome::WithErrors
    })
}

fn grade(path: &Path, set: ExpressionSet) -> Result<Graded, CliError> {
    let text = std::fs::read_to_string(path).map_err(|e| CliError::file(path, e))?;
    let rows: Vec<OfficialRow> = serde_json::from_str(&text).map_err(|e| {
        CliError::Usage(format!(
            "{} is not in the official format: {e}",
            path.display()
        ))
    })?;
    let (matrix, refused) = constrained_confusion(&rows, set);
    Ok(Graded {
        path: path.to_path_buf(),
        rows,
        matrix,
        refused,
    })
}

fn print_one(file: &Graded) -> Result<(), CliError> {
    let name = file.path.display();
    let strict = strict_accuracy(&file.rows);
    let accuracy = strict
        .accuracy()
        .map_or("undefined".to_owned(), |a| format!("{a:.4}"));
    say!("{name}\tstrict_accuracy\t{accuracy}\t\t\t{}", strict.total);
    say!(
        "{name}\tmismatches\t{}\t\t\t{}",
        strict.mismatches,
        strict.total
    );
    type Figure = fn(&Confusion) -> Option<f64>;
    let figures: [(&str, Figure); 5] = [
        ("accuracy", Confusion::accuracy),
        ("uar", Confusion::uar),
        ("macro_f1", Confusion::macro_f1),
        ("weighted_f1", Confusion::weighted_f1),
        ("kappa", Confusion::kappa),
    ];
    for (metric, figure) in figures {
        if let Some(e) = Bootstrap::default().confusion(&file.matrix, figure) {
            say!(
                "{name}\t{metric}\t{:.4}\t{:.4}\t{:.4}\t{}",
                e.value,
                e.low,
                e.high,
                e.n
            );
        }
    }
    if !file.refused.is_empty() {
        let example = &file.refused[0];
        let count = file.refused.len();
        say!("{name}\tunusable truth\t{count}\t\t\t(such as {example})");
    }
    Ok(())
}

/// Images that only the first file, or only the second, has right; and images in both.
fn disagreements(first: &[OfficialRow], second: &[OfficialRow]) -> (u64, u64, u64) {
    let right = |row: &OfficialRow| row.gt.trim() == row.pred.trim();
    let of_second: std::collections::HashMap<_, _> = second
        .iter()
        .filter(|row| row.task == LABEL_TASK)
        .map(|row| (row.img_path.as_str(), right(row)))
        .collect();
    let mut counts = (0, 0, 0);
    for row in first.iter().filter(|row| row.task == LABEL_TASK) {
        let Some(&theirs) = of_second.get(row.img_path.as_str()) else {
            continue;
        };
        counts.2 += 1;
        match (right(row), theirs) {
            (true, false) => counts.0 += 1,
            (false, true) => counts.1 += 1,
            _ => {}
        }
    }
    counts
}
