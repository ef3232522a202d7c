//! `expllm train model`: the language model by a configuration file.

use std::path::PathBuf;

use expllm_face::device::Backend;
use expllm_train::model::{Judgement, Observer, RunPlan, StepReport, TrainConfig, train_model};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::CliError;

/// Arguments of `expllm train model`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Settings of the run as a TOML file, explained in `docs/training.md`.
    #[arg(long)]
    config: PathBuf,
    /// Print parameters, memory and time without training.
    #[arg(long)]
    dry_run: bool,
    /// Backend to train on: cpu, wgpu or cuda; the first in the build without it.
    #[arg(long)]
    device: Option<Backend>,
}

/// Trains, or goes on with a run that was stopped.
pub fn run(args: &Args) -> Result<(), CliError> {
    let config = TrainConfig::open(&args.config).map_err(CliError::library)?;
    let backend = args.device.unwrap_or_else(Backend::preferred);
    let device = backend.device().map_err(CliError::library)?;
    if args.dry_run {
        let plan = RunPlan::new(&config, &device).map_err(CliError::library)?;
        print_plan(&plan);
        return Ok(());
    }
    let mut screen = Screen::new(config.run.steps);
    train_model(&config, &device, &mut screen).map_err(CliError::library)?;
    screen.bar.finish_and_clear();
    screen.line(&format!("model: {}", config.output.join("model").display()));
    Ok(())
}

#[allow(clippy::print_stdout)] // The program speaks to its user here.
fn print_plan(plan: &RunPlan) {
    println!("{:<18}{:>16}{:>16}", "part", "parameters", "trained");
    for (part, [all, trained]) in &plan.parts {
        println!("{part:<18}{all:>16}{trained:>16}");
    }
    let sum = |of: fn(&[u64; 2]) -> u64| plan.parts.values().map(of).sum::<u64>();
    println!("{:<18}{:>16}{:>16}", "all", sum(|p| p[0]), sum(|p| p[1]));
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("weights           {:>12.1} MiB", mib(plan.weight_bytes));
    println!("optimiser         {:>12.1} MiB", mib(plan.optimiser_bytes));
    println!(
        "activations       {:>12.1} MiB, at most",
        mib(plan.activation_bytes)
    );
    println!(
        "time              {} for {} records at {:.0} GFLOP/s, by matrix products alone",
        HumanDuration(std::time::Duration::from_secs_f64(
            plan.seconds().clamp(0.0, 1e9)
        )),
        plan.records,
        plan.speed / 1e9,
    );
}

/// Shows a run on the terminal, or line by line where there is none.
struct Screen {
    bar: ProgressBar,
}

impl Screen {
    fn new(steps: usize) -> Self {
        let template = "{bar:30} {pos}/{len} steps, {msg}";
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self {
            bar: ProgressBar::new(steps as u64).with_style(style),
        }
    }

    #[allow(clippy::print_stderr)] // The program speaks to its user here.
    fn line(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }
}

impl Observer for Screen {
    fn begins(&mut self, what: &str) {
        self.line(what);
    }

    fn steps(&mut self, report: &StepReport) {
        let left = HumanDuration(std::time::Duration::from_secs_f64(
            report.seconds_left.clamp(0.0, 1e9),
        ));
        let text = format!(
            "loss {:.4}, gradient {:.2}, {:.1} records/s, {left} left",
            report.loss, report.gradient, report.rate
        );
        self.bar.set_position(report.step as u64);
        self.bar.set_message(text.clone());
        if self.bar.is_hidden() {
            self.line(&format!("step {}/{}: {text}", report.step, report.steps));
        }
    }

    fn skipped(&mut self, reason: &str) {
        self.line(&format!("left out: {reason}"));
    }

    fn validated(&mut self, step: usize, loss: f64, judgement: Option<&Judgement>) {
        self.line(&format!("step {step}: validation loss {loss:.4}"));
        let Some(found) = judgement else { return };
        self.line(&format!(
            "  {} faces: label {:.3} (detector {:.3}); chains parsed {:.3}, label in conclusion \
             {:.3}, {:.0} tokens; grounding precision {:.3} (shuffled {:.3}), recall {:.3} \
             (shuffled {:.3})",
            found.faces,
            found.accuracy,
            found.detector_accuracy,
            found.parsed,
            found.label_in_conclusion,
            found.tokens,
            found.precision,
            found.precision_shuffled,
            found.recall,
            found.recall_shuffled,
        ));
        for sample in &found.samples {
            let truth = sample.truth.map_or("none", |label| label.name());
            self.line(&format!("  [{truth}] {}: {}", sample.label, sample.text));
        }
    }
}
