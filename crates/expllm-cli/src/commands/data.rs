//! `expllm data`: what a data set holds.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use expllm_core::{Expression, Photo};
use expllm_data::{Dataset, Layout, ReadOptions, Record, Split};
use expllm_face::{PhotoReader, write_png};
use image::{RgbImage, imageops};
use rayon::prelude::*;

use crate::outputs::{Inputs, Kind};
use crate::{CliError, Outcome};

/// Arguments of `expllm data`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// List the layouts that can be read.
    Layouts,
    /// Count classes, sizes, missing files and duplicates, and draw a contact sheet.
    Inspect(Inspect),
}

#[derive(Debug, clap::Args)]
struct Inspect {
    /// Layout of the data set.
    #[arg(long)]
    dataset: Layout,
    /// Folder of the data set, or a .tar of it.
    #[arg(long)]
    root: PathBuf,
    /// Only use this split.
    #[arg(long)]
    split: Option<Split>,
    /// Write a contact sheet to this PNG file, one row per expression.
    #[arg(long)]
    sheet: Option<PathBuf>,
    /// Split of records for which the data set names none.
    #[arg(long, value_name = "SPLIT")]
    unsplit: Option<Split>,
}

/// Side of a picture on the contact sheet, in pixels.
const TILE: u32 = 96;
/// Pictures in a row of the contact sheet.
const COLUMNS: u32 = 10;

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    match &args.command {
        DataCommand::Layouts => {
            list_layouts()?;
            Ok(Outcome::Complete)
        }
        DataCommand::Inspect(args) => inspect(args),
    }
}

fn list_layouts() -> Result<(), CliError> {
    for layout in Layout::ALL {
        say!("{layout}");
    }
    Ok(())
}

fn inspect(args: &Inspect) -> Result<Outcome, CliError> {
    let options = ReadOptions {
        split: args.split,
        unsplit: args.unsplit,
        ..ReadOptions::default()
    };
    let dataset = args
        .dataset
        .read(&args.root, &options)
        .map_err(CliError::library)?;
    if let Some(sheet) = &args.sheet {
        // No picture of the data set is a drawing of ours, be it named in a record or not.
        let images = dataset.records.iter().filter_map(|r| r.image.path());
        Inputs::new(images).check_output(sheet, Kind::Drawing)?;
    }
    say!(
        "{} records, {} left out",
        dataset.records.len(),
        dataset.skipped.len()
    );
    print_counts(&dataset)?;
    let looked: Vec<_> = dataset.records.par_iter().map(look).collect();
    let bad = print_images(&dataset, &looked)?;
    if let Some(path) = &args.sheet {
        contact_sheet(&dataset, path)?;
        say!("contact sheet: {}", path.display());
    }
    Ok(if dataset.skipped.is_empty() && bad == 0 {
        Outcome::Complete
    } else {
        Outcome::WithErrors
    })
}

fn print_counts(dataset: &Dataset) -> Result<(), CliError> {
    let mut totals: BTreeMap<Option<Split>, usize> = BTreeMap::new();
    for ((split, _), n) in dataset.counts() {
        *totals.entry(split).or_default() += n;
    }
    say!("split\texpression\tn\tshare");
    for ((split, expression), n) in dataset.counts() {
        let split_name = split.map_or("-", Split::name);
        let expression = expression.map_or("-", Expression::name);
        let share = n as f64 / totals[&split] as f64;
        say!("{split_name}\t{expression}\t{n}\t{share:.3}");
    }
    for (kind, n) in dataset.skipped_counts() {
        let example = dataset.skipped.iter().find(|s| s.reason.kind() == kind);
        let example = example.map_or(String::new(), |s| format!("{} ({})", s.item, s.reason));
        say!("left out\t{kind}\t{n}\tsuch as {example}");
    }
    let shared = dataset.subjects_in_several_splits();
    if !shared.is_empty() {
        say!(
            "subjects in several splits\t{}\tsuch as {}",
            shared.len(),
            shared[0]
        );
    }
    let with = |has: fn(&Record) -> bool| dataset.records.iter().filter(|r| has(r)).count();
    say!("with action units\t{}", with(|r| r.action_units.is_some()));
    say!("with FACS codes\t{}", with(|r| !r.facs.is_empty()));
    say!("with a description\t{}", with(|r| r.description.is_some()));
    say!("with a subject\t{}", with(|r| r.subject.is_some()));
    Ok(())
}

/// Width and height in pixels, and a hash of the file's bytes.
type Looked = Result<((u32, u32), u64), String>;

/// Size and content hash of an image, or why it cannot be read.
fn look(record: &Record) -> Looked {
    let bytes = record.image.read().map_err(|e| e.to_string())?;
    let reader = image::ImageReader::new(std::io::Cursor::new(&bytes));
    let reader = reader.with_guessed_format().map_err(|e| e.to_string())?;
    let size = reader
        .into_dimensions()
        .map_err(|e| format!("{}: {e}", record.id))?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Ok((size, hasher.finish()))
}

/// Prints sizes, unreadable images and duplicates; returns how many are unreadable.
fn print_images(dataset: &Dataset, looked: &[Looked]) -> Result<usize, CliError> {
    let mut sizes: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    let mut contents: HashMap<u64, Vec<usize>> = HashMap::new();
    for (index, (size, hash)) in looked
        .iter()
        .enumerate()
        .filter_map(|(i, l)| Some((i, l.as_ref().ok()?)))
    {
        *sizes.entry(*size).or_default() += 1;
        contents.entry(*hash).or_default().push(index);
    }
    let mut common: Vec<_> = sizes.into_iter().collect();
    common.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    for ((width, height), n) in common.iter().take(10) {
        say!("size\t{width} x {height}\t{n}");
    }
    let same: Vec<_> = contents
        .into_values()
        .filter(|same| same.len() > 1)
        .collect();
    let extra: usize = same.iter().map(|s| s.len() - 1).sum();
    let record = |i: usize| &dataset.records[i];
    let differ = |a: usize, b: usize, f: fn(&Record, &Record) -> bool| f(record(a), record(b));
    let pairs = || {
        same.iter()
            .flat_map(|s| s[1..].iter().map(|&other| (s[0], other)))
    };
    let labels = pairs().filter(|&(a, b)| differ(a, b, |a, b| a.expression != b.expression));
    let splits = pairs().filter(|&(a, b)| differ(a, b, |a, b| a.split != b.split));
    say!("duplicate images\t{extra}");
    say!("duplicates with another label\t{}", labels.count());
    say!("duplicates across splits\t{}", splits.count());
    let bad: Vec<_> = looked.iter().filter_map(|l| l.as_ref().err()).collect();
    if let Some(first) = bad.first() {
        say!("unreadable images\t{}\tsuch as {first}", bad.len());
    }
    Ok(bad.len())
}

/// One row of pictures per expression, spread evenly over the records of the class.
fn contact_sheet(dataset: &Dataset, path: &Path) -> Result<(), CliError> {
    let mut rows: Vec<Vec<&Record>> = Vec::new();
    for expression in Expression::ALL.map(Some).into_iter().chain([None]) {
        let of: Vec<_> = dataset
            .records
            .iter()
            .filter(|r| r.expression == expression)
            .collect();
        let step = of.len().div_ceil(COLUMNS as usize).max(1);
        let shown: Vec<_> = of.into_iter().step_by(step).collect();
        if !shown.is_empty() {
            rows.push(shown);
        }
    }
    let height = TILE * rows.len().max(1) as u32;
    let mut sheet = RgbImage::from_pixel(TILE * COLUMNS, height, image::Rgb([255; 3]));
    for (y, row) in rows.iter().enumerate() {
        for (x, record) in row.iter().enumerate() {
            let Some(picture) = tile(record) else {
                continue;
            };
            let (x, y) = (x as i64 * i64::from(TILE), y as i64 * i64::from(TILE));
            imageops::overlay(&mut sheet, &picture, x, y);
        }
    }
    let photo = Photo::new(sheet.width(), sheet.height(), sheet.into_raw());
    write_png(&photo.map_err(CliError::library)?, path).map_err(CliError::library)
}

fn tile(record: &Record) -> Option<RgbImage> {
    let bytes = record.image.read().ok()?;
    let photo = PhotoReader::default().decode(&bytes).ok()?;
    let (width, height) = (photo.width(), photo.height());
    let picture = RgbImage::from_raw(width, height, photo.into_pixels())?;
    Some(imageops::thumbnail(&picture, TILE, TILE))
}
