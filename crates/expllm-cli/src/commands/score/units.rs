//! Tables of action units against grades of coders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use expllm_core::UnitTool;
use expllm_cot::FacsTable;
use expllm_metrics::{Agreement, Occurrence};

use super::super::table;
use crate::{CliError, Outcome};

/// Options about action units.
#[derive(Debug, clap::Args)]
pub struct UnitOptions {
    /// Grades of action units by coders (.csv with columns such as AU12): grades tables of
    /// OpenFace, py-feat, LibreFace, MediaPipe blendshapes or `expllm au` in place of answers.
    #[arg(long, value_name = "CSV")]
    labels: Option<PathBuf>,
    /// Share of the tool's scale from which a unit counts as found.
    #[arg(long, default_value_t = 0.5, requires = "labels")]
    threshold: f64,
    /// Grade from which a unit counts as there, such as 2 of the 5 of DISFA.
    #[arg(long, default_value_t = 1.0, requires = "labels")]
    label_threshold: f64,
}

/// One unit of one table.
struct Graded {
    facs: u8,
    occurrence: Occurrence,
    agreement: Agreement,
}

impl UnitOptions {
    /// The grades, where units are to be graded.
    pub fn labels(&self) -> Option<&Path> {
        self.labels.as_deref()
    }

    /// Prints a block per table: what it is graded on, a line per unit, and means.
    pub fn run(&self, labels: &Path, files: &[PathBuf]) -> Result<Outcome, CliError> {
        let truth = FacsTable::coded(labels).map_err(CliError::library)?;
        say_skipped(labels, &truth)?;
        let mut complete = truth.skipped.is_empty();
        for file in files {
            let found = FacsTable::measured(file).map_err(CliError::library)?;
            let shared = found
                .rows
                .keys()
                .filter(|row| truth.rows.contains_key(*row));
            let shared = shared.count();
            say!(
                "{}: {}; {shared} images with labels, {} without, {} labels without a row; found \
                 from {} of the scale, there from grade {}",
                file.display(),
                found.tool.map_or("", UnitTool::name),
                found.rows.len() - shared,
                truth.rows.len() - shared,
                self.threshold,
                self.label_threshold
            );
            say_skipped(file, &found)?;
            let graded = self.grade(&truth, &found);
            table::print(&rows(&graded))?;
            say_means(&graded, &truth.units)?;
            complete &= found.skipped.is_empty() && shared > 0;
        }
        Ok(match complete {
            true => Outcome::Complete,
            false => Outcome::WithErrors,
        })
    }

    /// The units that both sides have numbers of, over the images that both have.
    fn grade(&self, truth: &FacsTable, found: &FacsTable) -> Vec<Graded> {
        let units = truth.units.intersection(&found.units);
        units
            .map(|&facs| self.grade_unit(facs, truth, found))
            .collect()
    }

    fn grade_unit(&self, facs: u8, truth: &FacsTable, found: &FacsTable) -> Graded {
        let mut graded = Graded {
            facs,
            occurrence: Occurrence::default(),
            agreement: Agreement::default(),
        };
        for (image, grades) in &truth.rows {
            let value = found.rows.get(image).and_then(|row| row.get(&facs));
            if let Some((&grade, &value)) = grades.get(&facs).zip(value) {
                let (there, is_found) = (grade >= self.label_threshold, value >= self.threshold);
                graded.occurrence.add(there, is_found);
                // Both are finite: what is no number is no entry.
                let _ = graded.agreement.add(grade, value);
            }
        }
        graded
    }
}

fn say_skipped(path: &Path, table: &FacsTable) -> Result<(), CliError> {
    if let Some((line, reason)) = table.skipped.first() {
        let (path, count) = (path.display(), table.skipped.len());
        say!("{path}: {count} rows cannot be used, such as line {line}: {reason}");
    }
    Ok(())
}

fn rows(graded: &[Graded]) -> Vec<Vec<String>> {
    let header = ["unit", "n", "there", "found", "f1", "accuracy", "pcc"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(graded.iter().map(|unit| {
        let o = unit.occurrence;
        let counts = [
            o.n(),
            o.true_positives + o.false_negatives,
            o.true_positives + o.false_positives,
        ];
        let figures = [o.f1(), o.accuracy(), unit.agreement.pcc()];
        [format!("AU{}", unit.facs)]
            .into_iter()
            .chain(counts.map(|count| count.to_string()))
            .chain(figures.map(cell))
            .collect()
    }));
    rows
}

fn cell(figure: Option<f64>) -> String {
    figure.map_or("undefined".to_owned(), |value| format!("{value:.4}"))
}

/// The mean F1 over the units that both have, and with the others as 0: protocols differ in that.
fn say_means(graded: &[Graded], asked: &BTreeSet<u8>) -> Result<(), CliError> {
    let scores: Vec<f64> = graded
        .iter()
        .filter_map(|unit| unit.occurrence.f1())
        .collect();
    let has: BTreeSet<u8> = graded.iter().map(|unit| unit.facs).collect();
    let missing: Vec<u8> = asked.difference(&has).copied().collect();
    let sum: f64 = scores.iter().sum();
    let mean = |count: usize| cell((count > 0).then(|| sum / count as f64));
    say!(
        "mean f1 over {} units ({}): {}",
        scores.len(),
        list(&has),
        mean(scores.len())
    );
    if !missing.is_empty() {
        let missing = list(&missing.iter().copied().collect());
        say!(
            "with the missing units ({missing}) as 0: {}",
            mean(asked.len())
        );
    }
    Ok(())
}

fn list(units: &BTreeSet<u8>) -> String {
    let names: Vec<String> = units.iter().map(|facs| format!("AU{facs}")).collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}
