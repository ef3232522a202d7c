//! `expllm eval`: a model over a data set.

use std::fs;
use std::path::{Path, PathBuf};

use expllm_core::{ActionUnit, Expression, ExpressionSet, Intensity};
use expllm_data::{Dataset, Layout, ReadOptions, SkipReason, Skipped, Split};
use expllm_metrics::{LABEL_TASK, OfficialRow, Offset};

use expllm::evaluation::{
    Figures, Journal, Prediction, Report, Setup, judge_explanations, predict_all, read_predictions,
};
use expllm_face::LandmarkNet;
use expllm_face::device::default_device;
use indicatif::{ProgressBar, ProgressStyle};

use super::stages::{self, ModelArgs, StageName};
use crate::content::content_hash;
use crate::outputs::{Inputs, Kind};
use crate::{CliError, Outcome};

mod intervene;

/// Arguments of `expllm eval`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Layout of the data set: folder, csv, fer2013-csv, expllm-json, ... (`expllm data layouts`).
    #[arg(long, required_unless_present = "intervene")]
    dataset: Option<Layout>,
    /// Folder of the data set, or a .tar of it.
    #[arg(long, required_unless_present = "intervene")]
    root: Option<PathBuf>,
    /// Only use this split: train, valid or test.
    #[arg(long)]
    split: Option<Split>,
    /// Stage to evaluate.
    #[arg(long, value_enum, default_value_t = StageName::Au)]
    stage: StageName,
    #[command(flatten)]
    model: ModelArgs,
    /// Grade the predictions in this CSV file instead of running a stage. Columns as in
    /// predictions.csv; `id` and `answer` are required.
    #[arg(long, conflicts_with_all = ["model", "mode", "view", "dtype", "draws", "cropped"])]
    predictions: Option<PathBuf>,
    /// Number of expressions: 8, or 7 without contempt.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(7..=8))]
    classes: u8,
    /// Treat each image as a crop of a single face; skip face detection.
    #[arg(long)]
    cropped: bool,
    /// Split of records for which the data set names none.
    #[arg(long, value_name = "SPLIT")]
    unsplit: Option<Split>,
    /// Test whether chains follow the face, instead of evaluating on a data set: render people with
    /// this face kit (docs/synthetic_faces.md), change one movement at a time, and count how often
    /// the reading, the chain and the label change with it. Writes interventions.json.
    #[arg(long, value_name = "FACEKIT",
          conflicts_with_all = ["dataset", "root", "split", "predictions", "cropped", "unsplit"])]
    intervene: Option<PathBuf>,
    /// Number of people to render for --intervene.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    people: u64,
    /// Random seed of the rendered people.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Output folder for result_all.json, metrics.json, predictions.csv and report.html; run again
    /// to resume.
    #[arg(long)]
    out: PathBuf,
}

impl Args {
    fn setup(&self, dataset: &Dataset) -> Result<Setup, CliError> {
        Ok(Setup {
            dataset: dataset.layout.name().to_owned(),
            root: dataset.root.clone(),
            split: self.split.map_or("all", Split::name).to_owned(),
            stage: match &self.predictions {
                Some(file) => format!("of {}", file.display()),
                None => self.stage.name().to_owned(),
            },
            classes: usize::from(self.classes),
            cropped: self.cropped,
            model: self.model.model.clone(),
            content: content_hash(self.model.model.as_deref())?,
            mode: self.model.mode.name().to_owned(),
            view: self.model.view.name().to_owned(),
            weights: self
                .model
                .dtype
                .map(|dtype| dtype.format().name().to_owned()),
            draws: self.model.draws.unwrap_or_default().0,
        })
    }
}

impl Args {
    /// Refuses to write over what is read, or over files of another kind.
    fn check_outputs(&self, dataset: &Dataset) -> Result<(), CliError> {
        let images = dataset.records.iter().filter_map(|r| r.image.path());
        let inputs = Inputs::new(
            images
                .chain([dataset.root.as_path()])
                .chain(self.predictions.as_deref()),
        );
        for (name, kind) in [
            (OFFICIAL, Kind::Json),
            (METRICS, Kind::Json),
            (TABLE, Kind::Csv("id")),
            (JOURNAL, Kind::Json),
            (PAGE, Kind::Html),
        ] {
            inputs.check_output(&self.out.join(name), kind)?;
        }
        Ok(())
    }
}

/// Names of the files that are written.
const OFFICIAL: &str = "result_all.json";
const METRICS: &str = "metrics.json";
const TABLE: &str = "predictions.csv";
const JOURNAL: &str = "predictions.jsonl";
const PAGE: &str = "report.html";

/// Judges a data set, or interventions.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    match (&args.intervene, args.dataset, &args.root) {
        (Some(facekit), ..) => intervene::run(args, facekit),
        (None, Some(layout), Some(root)) => judge(args, layout, root),
        _ => Err(CliError::Usage("name --dataset and --root".to_owned())),
    }
}

/// Predicts, measures and writes the four files.
fn judge(args: &Args, layout: Layout, root: &Path) -> Result<Outcome, CliError> {
    let set = ExpressionSet::of_classes(args.classes).unwrap_or_default();
    let options = ReadOptions {
        split: args.split,
        unsplit: args.unsplit,
        set,
        ..ReadOptions::default()
    };
    let mut dataset = layout.read(root, &options).map_err(CliError::library)?;
    if dataset.records.is_empty() {
        return Err(CliError::Usage(format!(
            "no record to evaluate in {}: {} items were left out; see `expllm data inspect`",
            root.display(),
            dataset.skipped.len()
        )));
    }
    args.check_outputs(&dataset)?;
    fs::create_dir_all(&args.out).map_err(|e| CliError::file(&args.out, e))?;
    let setup = args.setup(&dataset)?;
    let (predictions, strangers) = predictions(args, &dataset, set, &setup)?;
    dataset.skipped.extend(strangers);
    let skipped = dataset.skipped.len();
    let mut figures = Figures::measure(&dataset.records, &predictions, set, skipped)
        .map_err(CliError::library)?;
    judge_explanations(&mut figures, &dataset.records, &predictions);
    let landmarks = LandmarkNet::pretrained(&default_device()).map_err(CliError::library)?;
    let report = Report {
        setup: &setup,
        figures: &figures,
        records: &dataset.records,
        predictions: &predictions,
        skipped: &dataset.skipped,
        set,
        landmarks: &landmarks,
    };
    let page = report.render()?;
    write_all(&args.out, &dataset, &predictions, (&figures, set))?;
    write(&args.out.join(PAGE), page.as_bytes())?;
    print_summary(&figures, &args.out)?;
    Ok(match figures.failed {
        0 => Outcome::Complete,
        _ => Outcome::WithErrors,
    })
}

/// Runs the stage, or reads the predictions of another program; with the latter come rows that
/// no record has.
fn predictions(
    args: &Args,
    dataset: &Dataset,
    set: ExpressionSet,
    setup: &Setup,
) -> Result<(Vec<Prediction>, Vec<Skipped>), CliError> {
    if let Some(file) = &args.predictions {
        let imported = read_predictions(file, &dataset.records)?;
        let stranger = |item| Skipped {
            item,
            split: None,
            reason: SkipReason::MissingAnnotation("a prediction without a record".into()),
        };
        let strangers = imported.strangers.into_iter().map(stranger).collect();
        return Ok((imported.predictions, strangers));
    }
    let stages = stages::load(args.stage, args.cropped, &args.model, set)?;
    let journal = Journal::open(&args.out.join(JOURNAL), setup)?;
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta}");
    let bar = ProgressBar::new(dataset.records.len() as u64);
    let bar = bar.with_style(style.map_err(CliError::library)?);
    let mut progress = |done: usize| bar.set_position(done as u64);
    let predictions = predict_all(&dataset.records, &stages, set, journal, &mut progress)?;
    bar.finish_and_clear();
    Ok((predictions, Vec::new()))
}

fn write_all(
    out: &Path,
    dataset: &Dataset,
    predictions: &[Prediction],
    (figures, set): (&Figures, ExpressionSet),
) -> Result<(), CliError> {
    let official = serde_json::to_vec_pretty(&official_rows(dataset, predictions));
    write(&out.join(OFFICIAL), &official.map_err(CliError::library)?)?;
    let metrics = serde_json::to_vec_pretty(figures).map_err(CliError::library)?;
    write(&out.join(METRICS), &metrics)?;
    write(&out.join(TABLE), &csv_rows(predictions, set)?)
}

/// Rows of the official format; an image without an answer has the answer "".
fn official_rows(dataset: &Dataset, predictions: &[Prediction]) -> Vec<OfficialRow> {
    let root = dataset.root.display();
    predictions
        .iter()
        .filter_map(|p| {
            Some(OfficialRow {
                task: LABEL_TASK.to_owned(),
                gt: p.truth?.name().to_owned(),
                offset: Offset::default(),
                img_path: format!("{root}/{}", p.id),
                pred: p.answer.map_or("", Expression::name).to_owned(),
            })
        })
        .collect()
}

/// An intensity as tables show it.
fn four_digits(intensity: Intensity) -> String {
    format!("{:.4}", intensity.get())
}

fn csv_rows(predictions: &[Prediction], set: ExpressionSet) -> Result<Vec<u8>, CliError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header = vec!["id", "subject", "truth", "answer", "error"];
    header.extend(Expression::ALL.map(Expression::snake_case));
    header.extend(ActionUnit::ALL.iter().map(|u| u.snake_case()));
    header.push("chain");
    writer.write_record(&header).map_err(CliError::library)?;
    for p in predictions {
        let name = |e: Option<Expression>| e.map_or("", Expression::snake_case).to_owned();
        let mut row = vec![
            p.id.clone(),
            p.subject.clone().unwrap_or_default(),
            name(p.truth),
            name(p.answer),
            p.failure(set).unwrap_or_default(),
        ];
        let numbers = |values: Option<Vec<f32>>, count: usize| match values {
            Some(values) => values.iter().map(|v| format!("{v:.4}")).collect(),
            None => vec![String::new(); count],
        };
        row.extend(numbers(p.probabilities.map(|p| p.values().to_vec()), 8));
        let unit = |u| p.units.and_then(|units| units.get(u));
        row.extend(ActionUnit::ALL.map(|u| unit(u).map_or_else(String::new, four_digits)));
        row.push(p.chain.clone().unwrap_or_default());
        writer.write_record(&row).map_err(CliError::library)?;
    }
    writer.into_inner().map_err(CliError::library)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    fs::write(path, bytes).map_err(|e| CliError::file(path, e))
}

fn print_summary(figures: &Figures, out: &Path) -> Result<(), CliError> {
    for note in &figures.notes {
        say!("note: {note}");
    }
    say!(
        "{} graded, {} without an answer, {} left out",
        figures.n,
        figures.failed,
        figures.skipped
    );
    for (name, e) in &figures.metrics {
        say!(
            "{name:<36} {:.4}  [{:.4}, {:.4}]  n {}",
            e.value,
            e.low,
            e.high,
            e.n
        );
    }
    say!("report: {}", out.join("report.html").display());
    Ok(())
}
