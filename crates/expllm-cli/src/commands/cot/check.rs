//! `expllm cot check`.

use std::path::PathBuf;

use expllm_core::{ActionUnit, ChainPart};
use expllm_cot::{ChainOfThought, Checker, Example, Grade, Grader};

use super::{print, read};
use crate::outputs::{Inputs, Kind};
use crate::{CliError, Outcome};

/// Findings of an example that the page shows at once.
const FAULTS: usize = 5;

/// Arguments of `expllm cot check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data set: .json, .jsonl or .parquet.
    file: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Also write the result as an HTML page.
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
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

/// Grades a file.
pub(super) fn grade(path: &std::path::Path, checker: Checker) -> Result<Grade, CliError> {
    let mut grader = Grader::new(checker);
    for row in read(path)? {
        grader.add(&row);
    }
    Ok(grader.finish())
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let checker = Checker {
        word_limit: args.word_limit,
        digits: args.allow_digits,
        guide: args.guide,
        ..Checker::default()
    };
    if let Some(path) = &args.html {
        Inputs::new([&args.file]).check_output(path, Kind::Html)?;
    }
    let grade = grade(&args.file, checker)?;
    if let Some(path) = &args.html {
        let page = page(&args.file, &grade).map_err(CliError::library)?;
        std::fs::write(path, page).map_err(|e| CliError::file(path, e))?;
    }
    if args.json {
        let text = serde_json::to_string_pretty(&grade).map_err(CliError::library)?;
        print(&format!("{text}\n"))?;
    } else {
        print(&table(&args.file, &grade))?;
    }
    Ok(if grade.bad > 0 {
        Outcome::WithErrors
    } else {
        Outcome::Complete
    })
}

/// The rows of the table, name and value.
pub(super) fn figures(grade: &Grade) -> Vec<(&'static str, String)> {
    vec![
        ("records", grade.records.to_string()),
        ("bad rows", grade.bad.to_string()),
        ("without text", grade.without_text.to_string()),
        ("set aside", grade.set_aside.to_string()),
        ("parsed", grade.parsed.to_string()),
        ("over the word limit", grade.over_limit.to_string()),
        ("label in conclusion", number(grade.label_in_conclusion)),
        ("grounding precision", number(grade.grounding_precision)),
        ("grounding recall", number(grade.grounding_recall)),
        ("not checkable", grade.not_checkable.to_string()),
        ("distinct-2", number(grade.distinct_2)),
        (
            "repeated conclusions",
            grade.repeated_conclusions.to_string(),
        ),
        (
            "mean words",
            grade.mean_words.map_or("-".into(), |w| format!("{w:.1}")),
        ),
        ("near duplicates", grade.near_duplicates.to_string()),
    ]
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"))
}

fn table(path: &std::path::Path, grade: &Grade) -> String {
    let mut lines: Vec<String> = figures(grade)
        .into_iter()
        .map(|(name, value)| format!("{name:<22}{value:>10}"))
        .collect();
    lines.push("\nrecords with findings".to_owned());
    for (check, count) in &grade.findings {
        lines.push(format!("{check:<22}{count:>10}"));
    }
    lines.push(format!(
        "\n{:<26}{:>8}{:>8}{:>12}{:>11}",
        "unit", "active", "recall", "statements", "precision"
    ));
    for unit in ActionUnit::ALL {
        if let Some(g) = grade.units.get(unit.snake_case()) {
            let (recall, precision) = (number(g.recall()), number(g.precision()));
            let (name, active, statements) = (unit.name(), g.active, g.statements);
            lines.push(format!(
                "{name:<26}{active:>8}{recall:>8}{statements:>12}{precision:>11}"
            ));
        }
    }
    for (line, reason) in &grade.bad_rows {
        lines.push(format!("{}: line {line}: {reason}", path.display()));
    }
    lines.join("\n") + "\n"
}

fn page(path: &std::path::Path, grade: &Grade) -> Result<String, minijinja::Error> {
    use minijinja::{Value, context};
    let figures: Vec<Value> = figures(grade)
        .into_iter()
        .map(|(name, value)| context! { name, value })
        .collect();
    let units: Vec<Value> = ActionUnit::ALL
        .into_iter()
        .filter_map(|unit| {
            let g = grade.units.get(unit.snake_case())?;
            let bar = |v: Option<f64>| v.map_or(0.0, |v| (v * 100.0).round());
            Some(context! {
                name => unit.name(), active => g.active, statements => g.statements,
                recall => number(g.recall()), recall_bar => bar(g.recall()),
                precision => number(g.precision()), precision_bar => bar(g.precision()),
            })
        })
        .collect();
    let findings: Vec<Value> = grade
        .findings
        .iter()
        .map(|(check, count)| context! { check => *check, count => *count })
        .collect();
    let worst: Vec<Value> = grade.worst.iter().map(example).collect();
    let mut environment = minijinja::Environment::new();
    environment.add_template("page.html", include_str!("check.html"))?;
    let file = path.display().to_string();
    environment
        .get_template("page.html")?
        .render(context! { file, figures, units, findings, worst })
}

/// One of the worst texts by its parts, with the first findings and the rest.
fn example(example: &Example) -> minijinja::Value {
    use minijinja::{Value, context};
    let parts: Vec<Value> = match example.description.parse::<ChainOfThought>() {
        Ok(chain) => ChainPart::ALL
            .iter()
            .map(|part| context! { title => part.heading(), text => chain.part(*part) })
            .collect(),
        Err(_) => vec![context! { title => "", text => example.description.clone() }],
    };
    let faults: Vec<Value> = example
        .findings
        .iter()
        .map(|f| context! { check => f.check.name(), detail => f.detail.clone() })
        .collect();
    let (first, rest) = faults.split_at(faults.len().min(FAULTS));
    context! { file_name => example.file_name.clone(), parts, first, rest }
}
