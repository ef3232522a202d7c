//! `expllm train au`: the network that reads units and expressions.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use expllm_au::AuNetworkConfig;
use expllm_face::LandmarkNet;
use expllm_face::backbone::BackboneConfig;
use expllm_face::device::{Backend, reading_device};
use expllm_train::au::{
    DevSet, Finish, LookSizes, Pupil, PupilPlan, Renders, Witness, averaged, finish, teach,
};
use expllm_train::{Progress, RunConfig, TrainError, TrainingData, save_weights};

use crate::{CliError, Outcome};

/// Arguments of `expllm train au`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Folder with sets of faces, as its faces.toml names them, ict_facekit.safetensors and what
    /// goes with them.
    #[arg(long)]
    shared: PathBuf,
    /// Folder for checkpoints; run again to resume from the last one.
    #[arg(long)]
    run: PathBuf,
    /// Weights file to write.
    #[arg(long)]
    out: PathBuf,
    /// Train no further: make the weights of the last checkpoint of the run.
    #[arg(long)]
    finish: bool,
    /// How much the labels of sets with votes say of the expression beside what people see, from
    /// 0 to 1.
    #[arg(long, default_value_t = Finish::default().label_share)]
    label_share: f32,
    /// Where faces come from: renders, and names of sets; from everywhere without it.
    #[arg(long, value_delimiter = ',')]
    sources: Vec<String>,
    /// Faces to render.
    #[arg(long, default_value_t = 12_000)]
    renders: usize,
    /// Number of optimiser steps.
    #[arg(long, default_value_t = 12_000)]
    steps: usize,
    /// Faces per step.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Peak learning rate.
    #[arg(long, default_value_t = 2e-3)]
    rate: f64,
    /// Side in pixels of the face that the network looks at.
    #[arg(long, default_value_t = AuNetworkConfig::new().side)]
    side: usize,
    /// Side of the first looks in pixels, where they are smaller than those of the network.
    #[arg(long)]
    first_side: Option<usize>,
    /// Share of the steps with such looks.
    #[arg(long, default_value_t = 0.5)]
    small_share: f64,
    /// Random seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Backend to train on: cpu, wgpu or cuda; the first in the build without it.
    #[arg(long)]
    device: Option<Backend>,
}

/// Runs the recipe.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    let data = TrainingData::open(&args.shared).map_err(CliError::library)?;
    let landmarks = LandmarkNet::pretrained(&reading_device()).map_err(CliError::library)?;
    let config = AuNetworkConfig::new().with_side(args.side);
    let pupil = match args.finish {
        true => averaged(&args.run, &config.backbone).map_err(CliError::library)?,
        false => train(args, &data, &config, &landmarks)?,
    };
    let how = Finish {
        label_share: args.label_share,
    };
    let kept_back = data.kept_back(&args.sources).map_err(CliError::library)?;
    let network = finish(pupil, &config, how, &kept_back, &landmarks).map_err(CliError::library)?;
    save_weights(&network, &args.out).map_err(CliError::library)?;
    Ok(Outcome::Complete)
}

fn train(
    args: &Args,
    data: &TrainingData,
    config: &AuNetworkConfig,
    landmarks: &LandmarkNet,
) -> Result<Pupil, CliError> {
    let clock = std::time::Instant::now();
    let dev = DevSet::new(data, landmarks).map_err(CliError::library)?;
    let renders = Renders {
        count: args.renders,
        keep: &args.run,
    };
    let faces = data
        .taught_faces(&args.sources, &renders, landmarks)
        .map_err(CliError::library)?;
    log(&format!(
        "{} renders, {} rated, {} with a label, {} with votes, after {:.0} s",
        faces.renders.len(),
        faces.rated.len(),
        faces.labelled.len(),
        faces.voted.len(),
        clock.elapsed().as_secs_f64()
    ));
    let run = RunConfig::new(args.steps, args.batch, args.rate)
        .with_seed(args.seed)
        .with_checkpoint_every(250);
    let looks = LookSizes {
        first: args.first_side.unwrap_or(config.side),
        last: config.side,
        share: args.small_share,
    };
    let sizes = &config.backbone;
    let mut reporter = Reporter { dev, sizes };
    let backend = args.device.unwrap_or_else(Backend::preferred);
    teach(
        &faces,
        PupilPlan { sizes, looks },
        &run,
        &args.run,
        backend,
        &mut reporter,
    )
    .map_err(CliError::library)
}

struct Reporter<'a> {
    dev: DevSet,
    sizes: &'a BackboneConfig,
}

impl Witness for Reporter<'_> {
    fn progress(&mut self, progress: &Progress) {
        let Progress {
            step,
            steps,
            loss,
            rate,
        } = progress;
        log(&format!(
            "step {step} of {steps}, loss {loss:.4}, {rate:.0} faces/s"
        ));
    }

    fn shown(&mut self, pupil: &Pupil, step: usize, side: usize) -> Result<(), TrainError> {
        let figures = self.dev.judge(pupil, self.sizes, side)?;
        for (name, panel) in &figures.panel {
            let of = |mean: Option<(f64, usize)>| mean.map_or(f64::NAN, |m| m.0);
            log(&format!(
                "step {step}, panel {name}: Spearman {:.3}, AUC {:.3} (lowest {:?}), F1 {:.3}, expression {:?}, sides {:?}",
                of(panel.mean(|m| m.spearman)),
                of(panel.mean(|m| m.auc)),
                panel.lowest_auc(),
                of(panel.mean(|m| m.f1)),
                panel.expression,
                panel.sides,
            ));
        }
        log(&format!(
            "step {step}, labels {:.4} by labels, {:.4} by votes; majorities {:.4}",
            figures.label, figures.seen, figures.majority
        ));
        Ok(())
    }
}

#[allow(clippy::print_stderr)] // The program speaks to its user here.
fn log(line: &str) {
    eprintln!("{line}");
}
