//! `expllm reason`: why each face has its expression, without prose.

use std::path::PathBuf;

use expllm::reports::{PhotoReport, Reasoner};
use expllm_core::{Expression, ExpressionSet, Side};
use expllm_cot::{CueReading, Knowledge, Reasoning, Rival, Support};

use super::analyze::text::{ending, place};
use crate::faces::{Failures, Found, Job, JsonRows, Output, find_photos, for_each_report};
use crate::outputs::Kind;
use crate::{CliError, Outcome};

/// Arguments of `expllm reason`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Photos and folders of photos.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Print a JSON array with one object per face; `face` is null for a photo without faces.
    #[arg(long)]
    json: bool,
    /// Write to this file instead of the standard output.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Treat each image as a crop of a single face; skip face detection.
    #[arg(long)]
    cropped: bool,
    /// Reason about this expression instead of the likeliest one, such as Happiness.
    #[arg(long, value_name = "EXPRESSION")]
    label: Option<Expression>,
    /// Number of expressions: 8, or 7 without contempt.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(7..=8))]
    classes: u8,
    /// Knowledge file to use, in the form of crates/expllm-cot/src/knowledge/facs.toml [default:
    /// built in].
    #[arg(long, value_name = "FILE")]
    knowledge: Option<PathBuf>,
}

/// Writes the reasons.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let set = args.set()?;
    let own = args.knowledge.as_deref().map(Knowledge::load);
    let own = own.transpose().map_err(CliError::library)?;
    let reasoner = Reasoner {
        knowledge: own.as_ref().unwrap_or(Knowledge::builtin()),
        label: args.label,
        set,
    };
    let found = find_photos(&args.paths);
    let job = Job::new(args.cropped, None)?;
    let kind = match args.json {
        true => Kind::Json,
        false => Kind::Text,
    };
    let mut output = Output::open(args.out.as_deref(), kind, &found)?;
    let failures = match args.json {
        true => write_json(&reasoner, (&job, &found), &mut output)?,
        false => for_each_report(&job, &found, |report| output.text(&text(&reasoner, report)))?,
    };
    output.finish()?;
    Ok(failures.outcome(args.out.as_deref()))
}

impl Args {
    /// The expressions in play, the given one among them.
    fn set(&self) -> Result<ExpressionSet, CliError> {
        let set = ExpressionSet::of_classes(self.classes).unwrap_or_default();
        match self.label.filter(|label| !set.contains(*label)) {
            Some(label) => Err(CliError::Usage(format!(
                "--label {label} is not among the {} classes",
                self.classes
            ))),
            None => Ok(set),
        }
    }
}

fn write_json(
    reasoner: &Reasoner<'_>,
    (job, found): (&Job, &[Found]),
    output: &mut Output,
) -> Result<Failures, CliError> {
    let mut rows = JsonRows::begin(true, output)?;
    let failures = for_each_report(job, found, |report| {
        let texts = reasoner.json_rows(report).map_err(CliError::library)?;
        texts.iter().try_for_each(|row| rows.row(row, output))
    })?;
    rows.end(output)?;
    Ok(failures)
}

/// A photo with the reasons for each of its faces.
fn text(reasoner: &Reasoner<'_>, report: &PhotoReport) -> String {
    let mut text = format!("{}\n", report.file);
    for (index, found) in report.faces.iter().enumerate() {
        text.push_str(&place(index, &found.face));
        let lines = reasoner.reason(&found.face).map(|reasons| lines(&reasons));
        for (name, value) in lines.into_iter().flatten() {
            text.push_str(&format!("    {name:<14}{value}\n"));
        }
    }
    text + &ending(report)
}

/// What there is to say, line by line; what there is not is left out.
fn lines(reasons: &Reasoning) -> Vec<(&'static str, String)> {
    let lines = [
        ("label", label(reasons)),
        ("units", units(reasons)),
        ("main cue", cues(reasons.main.as_slice())),
        ("strengthens", cues(&reasons.strengthens)),
        ("contradicts", cues(&reasons.contradicts)),
        ("unrelated", cues(&reasons.unrelated)),
        ("combinations", reasons.combinations.join(", ")),
        ("missing", reasons.missing.join(", ")),
        (
            "rival",
            reasons.rival.as_ref().map(rival).unwrap_or_default(),
        ),
    ];
    let mut lines = Vec::from(lines);
    lines.retain(|(_, value)| !value.is_empty());
    lines
}

fn label(reasons: &Reasoning) -> String {
    let certainty = format!("{:?}", reasons.certainty).to_lowercase();
    let percent = 100.0 * reasons.probability.get();
    format!("{}, {certainty} ({percent:.0} %)", reasons.label)
}

fn units(reasons: &Reasoning) -> String {
    match reasons.stance {
        Support::Rest => "none active".to_owned(),
        Support::Supported => format!("support it; alone they show {}", reasons.shown),
        Support::Unsupported => format!("do not support it; alone they show {}", reasons.shown),
    }
}

fn cues(cues: &[CueReading]) -> String {
    let named: Vec<_> = cues.iter().map(cue).collect();
    named.join(", ")
}

fn cue(cue: &CueReading) -> String {
    let side = match cue.side {
        Side::Left => " left",
        Side::Right => " right",
        Side::Both => "",
    };
    let (name, intensity, weight) = (&cue.cue, cue.intensity.get(), cue.weight);
    format!("{name}{side} {intensity:.2} (weight {weight:+.2})")
}

fn rival(rival: &Rival) -> String {
    let percent = 100.0 * rival.probability.get();
    let mut text = format!("{} ({percent:.0} %)", rival.expression);
    for (said, cues) in [
        ("; decided by ", &rival.decided_by),
        ("; shown by ", &rival.shown_by),
    ] {
        if !cues.is_empty() {
            text.push_str(said);
            text.push_str(&cues.join(", "));
        }
    }
    if rival.open {
        text.push_str("; both readings are open");
    }
    text
}
