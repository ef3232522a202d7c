//! `expllm train`: the small networks, and the figures by which they are judged.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use expllm_au::{AuNet, AuNetworkConfig, Calibration};
use expllm_data::Split;
use expllm_face::device::{Backend, reading_device};
use expllm_face::{LandmarkNet, LandmarkNetworkConfig};
use expllm_train::au::{
    AuScores, FacePath, ScoredFaces, fit_calibration, score_au, score_london, score_panel,
};
use expllm_train::landmarks::{LandmarkPlan, score_landmarks, train_landmarks};
use expllm_train::{
    FaceSet, Progress, RealFace, RunConfig, TrainingData, read_weights, save_weights,
    score_changed_landmarks, score_confidence, score_detection,
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{CliError, Outcome};

/// Arguments of `expllm train`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Train the network of 68 landmarks and head pose.
    Landmarks(LandmarkArgs),
    /// Train the network of action units and expressions.
    Au(super::train_au::Args),
    /// Train the language model: alignment, instruction tuning, or all of a small one.
    Model(super::train_model::Args),
    /// Learn from rated faces what the intensities of the network that is part of the program mean.
    Calibrate {
        /// Folder with panel_train.csv and the archives it names.
        #[arg(long)]
        shared: PathBuf,
        /// Weights file to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Print the figures of the networks that are part of the program.
    Score {
        /// Folder with sets of faces, ict_facekit.safetensors, panel_dev.csv and the files
        /// that belong to them.
        #[arg(long)]
        shared: PathBuf,
        /// Weights of the action unit network to measure [default: the built-in ones].
        #[arg(long)]
        weights: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
struct LandmarkArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Weights to go on from [default: random ones].
    #[arg(long)]
    start: Option<PathBuf>,
    /// Take one of so many of the small pictures whose landmarks stand in a file of meshes; 0 takes
    /// none.
    #[arg(long, default_value_t = 2)]
    meshed: usize,
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Folder with sets of faces, as its faces.toml names them, and ict_facekit.safetensors.
    #[arg(long)]
    shared: PathBuf,
    /// Folder for checkpoints; run again to resume from the last one.
    #[arg(long)]
    run: PathBuf,
    /// Weights file to write.
    #[arg(long)]
    out: PathBuf,
    /// Number of optimiser steps.
    #[arg(long, default_value_t = 12_000)]
    steps: usize,
    /// Faces per step.
    #[arg(long, default_value_t = 96)]
    batch: usize,
    /// Peak learning rate.
    #[arg(long, default_value_t = 2e-3)]
    rate: f64,
    /// Random seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Backend to train on: cpu, wgpu or cuda; the first in the build without it. Faces are
    /// prepared and figures taken on the processor where the build has it.
    #[arg(long)]
    device: Option<Backend>,
}

impl RunArgs {
    fn config(&self) -> RunConfig {
        RunConfig::new(self.steps, self.batch, self.rate).with_seed(self.seed)
    }

    fn backend(&self) -> Backend {
        self.device.unwrap_or_else(Backend::preferred)
    }
}

/// Runs the recipe or the measurement.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    match &args.what {
        What::Landmarks(args) => landmarks(args),
        What::Au(args) => return super::train_au::run(args),
        What::Model(args) => super::train_model::run(args),
        What::Calibrate { shared, out } => calibrate(&open(shared)?, out),
        What::Score { shared, weights } => score(&open(shared)?, weights.as_deref()),
    }
    .map(|()| Outcome::Complete)
}

fn open(folder: &Path) -> Result<TrainingData, CliError> {
    TrainingData::open(folder).map_err(CliError::library)
}

fn landmarks(args: &LandmarkArgs) -> Result<(), CliError> {
    let (start, meshed, args) = (args.start.as_deref(), args.meshed, &args.run);
    let data = open(&args.shared)?;
    let mut faces = data
        .landmark_faces(Split::Train)
        .map_err(CliError::library)?;
    if meshed > 0 {
        let small = data.mesh_faces(Split::Train).map_err(CliError::library)?;
        faces.extend(small.into_iter().step_by(meshed));
    }
    let (device, config) = (reading_device(), LandmarkNetworkConfig::new());
    let bar = progress_bar(args.steps);
    let network = train_landmarks(
        &faces,
        LandmarkPlan {
            sizes: &config,
            start,
        },
        &args.config(),
        &args.run,
        args.backend(),
        |p| show(&bar, p),
    )
    .map_err(CliError::library)?;
    save_weights(&network, &args.out).map_err(CliError::library)?;
    print_landmark_score(&data, &LandmarkNet::new(network, &config, &device))
}

fn calibrate(data: &TrainingData, out: &Path) -> Result<(), CliError> {
    let device = reading_device();
    let landmarks = LandmarkNet::pretrained(&device).map_err(CliError::library)?;
    let units = AuNet::pretrained(&device).map_err(CliError::library)?;
    let units = units.with_calibration(Calibration::identity());
    let (ratings, faces) = data
        .rated_faces("panel_train.csv")
        .map_err(CliError::library)?;
    let path = FacePath::new(landmarks, units).map_err(CliError::library)?;
    let findings = path.findings(&faces).map_err(CliError::library)?;
    let calibration = fit_calibration(&ratings, &findings);
    let network = path.reader().units.network().clone();
    let network = network.with_calibration(&calibration);
    save_weights(&network, out).map_err(CliError::library)
}

fn score(data: &TrainingData, weights: Option<&Path>) -> Result<(), CliError> {
    let device = reading_device();
    let landmarks = LandmarkNet::pretrained(&device).map_err(CliError::library)?;
    print_landmark_score(data, &landmarks)?;
    let faces = data
        .landmark_faces(Split::Valid)
        .map_err(CliError::library)?;
    print_figures(score_changed_landmarks(&landmarks, &faces).map_err(CliError::library)?);
    let units = match weights {
        None => AuNet::pretrained(&device).map_err(CliError::library)?,
        Some(path) => {
            let config = AuNetworkConfig::new();
            let mut network = config.init(&device);
            read_weights(&mut network, path).map_err(CliError::library)?;
            AuNet::new(network, &config, &device)
        }
    };
    let path = FacePath::new(landmarks, units).map_err(CliError::library)?;
    print_found_faces(data, &path)?;
    print_au_score(data, &path)
}

/// The figures that begin with the detector.
fn print_found_faces(data: &TrainingData, path: &FacePath) -> Result<(), CliError> {
    let scores = score_detection(&data.photos(), path.reader()).map_err(CliError::library)?;
    print_figures(scores);
    let london = data.file("london.tar");
    let scores = score_london(&london, path).map_err(CliError::library)?;
    print_figures(scores);
    Ok(())
}

#[allow(clippy::print_stdout)] // The program speaks to its user here.
fn print_landmark_score(data: &TrainingData, network: &LandmarkNet) -> Result<(), CliError> {
    let faces = data
        .landmark_faces(Split::Valid)
        .map_err(CliError::library)?;
    let score = score_landmarks(network, &faces).map_err(CliError::library)?;
    let [pitch, yaw, roll] = score.pose_error;
    let n = score.n;
    println!(
        "wild: landmark error / eye distance\t{:.4}\t<= 0.045\tn={n}",
        score.error
    );
    println!(
        "wild: the same, 90th percentile\t{:.4}\t\tn={n}",
        score.error_p90
    );
    println!("wild: pitch, yaw, roll error\t{pitch:.2} {yaw:.2} {roll:.2}\t\tn={n}");
    let small = data.mesh_faces(Split::Valid).map_err(CliError::library)?;
    let score = score_landmarks(network, &small).map_err(CliError::library)?;
    println!(
        "FER2013: landmark error / eye distance\t{:.4}\t\tn={}",
        score.error, score.n
    );
    Ok(())
}

fn print_au_score(data: &TrainingData, path: &FacePath) -> Result<(), CliError> {
    let (ratings, faces) = data
        .rated_faces("panel_dev.csv")
        .map_err(CliError::library)?;
    print_figures(score_panel(path, &ratings, &faces).map_err(CliError::library)?);
    let sharp: Vec<RealFace> = (faces.into_iter())
        .filter(|face| face.file.starts_with("wild/"))
        .collect();
    print_figures(score_confidence(path, &sharp));
    let synthesizer = data.synthesizer().map_err(CliError::library)?;
    let set = |name: &str| data.set(name).map_err(CliError::library);
    let valid = |set: &FaceSet| data.faces(set, Split::Valid).map_err(CliError::library);
    let (wild, fer) = (set("wild")?, set("fer2013")?);
    let faces = ScoredFaces {
        wild: &valid(wild)?,
        fer: &valid(fer)?,
        majorities: &data.majorities(fer).map_err(CliError::library)?,
    };
    let scores = score_au(path, &synthesizer, faces);
    print_figures(scores.map_err(CliError::library)?);
    Ok(())
}

#[allow(clippy::print_stdout)] // The program speaks to its user here.
fn print_figures(scores: AuScores) {
    for figure in scores.figures {
        let between = figure.interval.map_or(String::new(), |[low, high]| {
            format!("[{low:.4}, {high:.4}]")
        });
        println!(
            "{}\t{:.4}\t{between}\t{}\tn={}",
            figure.name, figure.value, figure.wanted, figure.n
        );
    }
}

fn progress_bar(steps: usize) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} steps, {eta} left, {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(steps as u64).with_style(style)
}

#[allow(clippy::print_stderr)] // Where there is no terminal, the log gets lines.
fn show(bar: &ProgressBar, progress: &Progress) {
    if bar.is_hidden() && progress.step.is_multiple_of(500) {
        let Progress {
            step,
            steps,
            loss,
            rate,
        } = progress;
        eprintln!("step {step} of {steps}, loss {loss:.4}, {rate:.0} faces/s");
    }
    bar.set_position(progress.step as u64);
    bar.set_message(format!(
        "loss {:.4}, {:.0} faces/s",
        progress.loss, progress.rate
    ));
}
