//! `expllm score`: grades `result_all.json` files, and tables of action units.

mod units;

use std::path::{Path, PathBuf};

use expllm_core::ExpressionSet;
use expllm_metrics::{
    Bootstrap, Confusion, LABEL_TASK, OfficialRow, constrained_confusion, mcnemar, strict_accuracy,
    without_repeats,
};

use super::table;
use crate::{CliError, Outcome};
use units::UnitOptions;

/// Arguments of `expllm score`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files in the official format; several are graded side by side. With --labels, tables of action
    /// units.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Number of expressions: 8, or 7 (rows with contempt are then an error).
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(7..=8))]
    classes: u8,
    /// Count repeated rows of an image, as the official code does (distributed samplers repeat
    /// some).
    #[arg(long)]
    repeats: bool,
    #[command(flatten)]
    units: UnitOptions,
}

struct Graded {
    path: PathBuf,
    rows: Vec<OfficialRow>,
    matrix: Confusion,
    refused: Vec<String>,
    /// Rows that repeat an earlier one, left out unless they were asked for.
    repeats: usize,
}

/// Prints one column per file, and McNemar's test of each file against the first; or the tables.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    if let Some(labels) = args.units.labels() {
        return args.units.run(labels, &args.files);
    }
    let set = ExpressionSet::of_classes(args.classes).unwrap_or_default();
    let graded = args
        .files
        .iter()
        .map(|f| grade(f, set, args.repeats))
        .collect::<Result<Vec<_>, _>>()?;
    table::print(&rows(&graded))?;
    for file in graded.iter().filter(|file| !file.refused.is_empty()) {
        say!(
            "{}: {} rows without a usable truth, such as {}",
            file.path.display(),
            file.refused.len(),
            file.refused[0]
        );
    }
    for file in graded.iter().filter(|file| file.repeats > 0) {
        let how = match args.repeats {
            true => "are counted too",
            false => "are left out; --repeats counts them as the official code does",
        };
        let (path, repeats) = (file.path.display(), file.repeats);
        say!("{path}: {repeats} rows repeat an image and {how}");
    }
    let refused = graded.iter().any(|file| !file.refused.is_empty());
    Ok(if refused {
        Outcome::WithErrors
    } else {
        Outcome::Complete
    })
}

/// One row per figure, one column per file.
fn rows(graded: &[Graded]) -> Vec<Vec<String>> {
    let row = |name: &str, cell: &dyn Fn(&Graded) -> String| {
        let cells = graded.iter().map(cell);
        [name.to_owned()].into_iter().chain(cells).collect()
    };
    let mut rows = vec![
        row("", &|file| file.path.display().to_string()),
        row("rows", &|file| {
            strict_accuracy(&file.rows).total.to_string()
        }),
        row("strict_accuracy", &|file| {
            let accuracy = strict_accuracy(&file.rows).accuracy();
            accuracy.map_or("undefined".to_owned(), |a| format!("{a:.4}"))
        }),
        row("mismatches", &|file| {
            strict_accuracy(&file.rows).mismatches.to_string()
        }),
    ];
    type Figure = fn(&Confusion) -> Option<f64>;
    let figures: [(&str, Figure); 5] = [
        ("accuracy", Confusion::accuracy),
        ("uar", Confusion::uar),
        ("macro_f1", Confusion::macro_f1),
        ("weighted_f1", Confusion::weighted_f1),
        ("kappa", Confusion::kappa),
    ];
    for (name, figure) in figures {
        rows.push(row(name, &|file| {
            let estimate = Bootstrap::default().confusion(&file.matrix, figure);
            estimate.map_or("undefined".to_owned(), |e| {
                format!("{:.4} [{:.4}, {:.4}]", e.value, e.low, e.high)
            })
        }));
    }
    if graded.len() > 1 {
        let of_first = |file: &Graded| disagreements(&graded[0].rows, &file.rows);
        rows.push(row("mcnemar_p against the first", &|file| {
            let (first, second, _) = of_first(file);
            format!("{:.4}", mcnemar(first, second))
        }));
        rows.push(row("images that the first has too", &|file| {
            of_first(file).2.to_string()
        }));
    }
    rows
}

fn grade(path: &Path, set: ExpressionSet, repeated: bool) -> Result<Graded, CliError> {
    let text = std::fs::read_to_string(path).map_err(|e| CliError::file(path, e))?;
    // Editors on Windows put a byte order mark before the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let rows: Vec<OfficialRow> = serde_json::from_str(text).map_err(|e| {
        CliError::Usage(format!(
            "{} is not in the official format: {e}",
            path.display()
        ))
    })?;
    let (once, repeats) = without_repeats(rows.clone());
    let rows = if repeated { rows } else { once };
    let (matrix, refused) = constrained_confusion(&rows, set);
    Ok(Graded {
        path: path.to_path_buf(),
        rows,
        matrix,
        refused,
        repeats,
    })
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
