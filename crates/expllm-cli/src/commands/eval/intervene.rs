//! `expllm eval --intervene`: whether the chain follows the face.

use std::fs;
use std::path::Path;

use expllm::evaluation::{InterventionFigures, Interventions, Judge, View};
use expllm_core::ExpressionSet;
use expllm_metrics::Estimate;
use expllm_train::synth::{FaceKit, FaceSynthesizer, SynthConfig};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Args, stages, write};
use crate::commands::table;
use crate::outputs::{Inputs, Kind};
use crate::{CliError, Outcome};

/// Name of the file that is written.
const FIGURES: &str = "interventions.json";

/// Renders, asks and prints a table.
pub fn run(args: &Args, facekit: &Path) -> Result<Outcome, CliError> {
    let out = args.out.join(FIGURES);
    Inputs::new([facekit]).check_output(&out, Kind::Json)?;
    let set = ExpressionSet::of_classes(args.classes).unwrap_or_default();
    let stages = stages::load(args.stage, false, &args.model, set)?;
    let Judge::Explainer {
        explainer,
        question,
        view: View::Aligned,
        ..
    } = &stages.judge
    else {
        let reason = "--intervene asks for chains of upright faces; take --stage au or expllm and \
                      leave --view out";
        return Err(CliError::Usage(reason.to_owned()));
    };
    let kit = FaceKit::read(facekit).map_err(CliError::library)?;
    let synthesizer = FaceSynthesizer::new(kit, SynthConfig { size: 224 });
    let interventions = Interventions {
        synthesizer: &synthesizer.map_err(CliError::library)?,
        reader: &stages.reader,
        explainer: explainer.as_ref(),
        question: *question,
        set,
    };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} people {eta}");
    let bar = ProgressBar::new(args.people).with_style(style.map_err(CliError::library)?);
    let figures = interventions.run(args.people, args.seed, &mut |done| bar.set_position(done));
    bar.finish_and_clear();
    fs::create_dir_all(&args.out).map_err(|e| CliError::file(&args.out, e))?;
    let text = serde_json::to_vec_pretty(&figures).map_err(CliError::library)?;
    write(&out, &text)?;
    print(&figures)?;
    Ok(Outcome::Complete)
}

fn print(figures: &InterventionFigures) -> Result<(), CliError> {
    let head = ["movement", "read", "told", "told where read", "n"];
    let head = head.map(str::to_owned).to_vec();
    let mut rows = vec![head];
    rows.extend(figures.movements.iter().map(|row| {
        let (read, told) = (interval(&row.read), interval(&row.told));
        let followed = row.followed.as_ref().map(interval).unwrap_or_default();
        let n = row.told.n.to_string();
        vec![row.movement.clone(), read, told, followed, n]
    }));
    table::print(&rows)?;
    say!("");
    let head = ["expression", "without", "named", "moved", "n"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(figures.labels.iter().map(|row| {
        let moved = row.moved.as_ref();
        vec![
            row.expression.to_owned(),
            row.without.clone(),
            interval(&row.named),
            moved.map(interval).unwrap_or_default(),
            row.named.n.to_string(),
        ]
    }));
    table::print(&rows)
}

fn interval(e: &Estimate) -> String {
    format!("{:.2} [{:.2}, {:.2}]", e.value, e.low, e.high)
}
