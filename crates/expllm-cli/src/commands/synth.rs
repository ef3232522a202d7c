//! `expllm synth`: faces with exact labels from the software renderer.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use expllm_core::{ActionUnit, AuVector, HeadPose, Intensity, LANDMARK_COUNT, Photo};
use expllm_face::write_png;
use expllm_train::synth::{FaceKit, FaceSynthesizer, SynthConfig, SynthFace, seed_of};
use image::RgbImage;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use super::synth_clip;
use crate::outputs::{Inputs, Kind};
use crate::{CliError, Outcome};

/// Faces that are rendered before they are written, which bounds the memory.
const CHUNK: u64 = 256;

/// Photos along each row of a sheet.
const SHEET_COLUMNS: u32 = 10;

/// Most pixels on a sheet.
const SHEET_PIXELS: u64 = 64 << 20;

/// Arguments of `expllm synth`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("target").required(true).multiple(true))]
pub struct Args {
    /// The face kit, a safetensors file (docs/synthetic_faces.md).
    #[arg(long, value_name = "FILE")]
    facekit: PathBuf,
    /// Number of faces to render.
    #[arg(
        long,
        value_name = "N",
        required_unless_present = "clip",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    count: Option<u64>,
    /// Output folder for the photos, `labels.csv` and `landmarks.csv`; must not exist or be empty.
    #[arg(long, value_name = "DIR", group = "target")]
    out: Option<PathBuf>,
    /// Write one picture with all faces side by side (PNG or JPEG by its ending).
    #[arg(long, value_name = "FILE", group = "target")]
    sheet: Option<PathBuf>,
    /// Random seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Width and height of a photo in pixels.
    #[arg(long, default_value_t = 160, value_parser = clap::value_parser!(u32).range(16..=1024))]
    size: u32,
    /// Render every unit alone at full intensity on frontal faces, in AU order after a neutral one:
    /// 25 photos per person.
    #[arg(long)]
    each_unit: bool,
    /// File format of the photos.
    #[arg(long, value_enum, default_value_t = Format::Png)]
    format: Format,
    #[command(flatten)]
    clip: synth_clip::ClipArgs,
}

impl Args {
    /// Single faces to make.
    fn count(&self) -> u64 {
        self.count.unwrap_or_default()
    }
}

/// File formats of single photos.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Png,
    Jpeg,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
        }
    }
}

/// Renders the faces chunk by chunk and writes them in order.
pub fn run(args: &Args) -> Result<Outcome, CliError> {
    if let Some(sheet) = &args.sheet {
        Inputs::new([&args.facekit]).check_output(sheet, Kind::Drawing)?;
    }
    let kit = FaceKit::read(&args.facekit).map_err(CliError::library)?;
    let config = SynthConfig { size: args.size };
    let synthesizer = FaceSynthesizer::new(kit, config).map_err(CliError::library)?;
    if let (true, Some(out)) = (args.clip.clip, &args.out) {
        return synth_clip::run(&synthesizer, &args.clip, (out, args.seed));
    }
    let mut folder = args.out.as_deref().map(Folder::create).transpose()?;
    let mut sheet = match &args.sheet {
        Some(path) => Some(Sheet::new(path, args)?),
        None => None,
    };
    let bar = ProgressBar::new(args.count()).with_style(style());
    let (start, mut rendering) = (Instant::now(), Duration::ZERO);
    let mut first = 0;
    while first < args.count() {
        let chunk = first..args.count().min(first + CHUNK);
        let faces: Vec<(SynthFace, Duration)> = chunk
            .into_par_iter()
            .map(|index| {
                let start = Instant::now();
                let face = face(&synthesizer, args, index);
                (face, start.elapsed())
            })
            .collect();
        rendering += faces.iter().map(|(_, spent)| *spent).sum::<Duration>();
        if let Some(folder) = &mut folder {
            folder.write(first, &faces, args.format)?;
        }
        if let Some(sheet) = &mut sheet {
            faces.iter().for_each(|(face, _)| sheet.add(face));
        }
        first += faces.len() as u64;
        bar.set_position(first);
    }
    if let Some(folder) = folder {
        folder.finish()?;
    }
    if let Some(sheet) = sheet {
        sheet.save()?;
    }
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    say!(
        "{} faces in {seconds:.1} s: {:.0} faces per second on {} threads, {:.1} ms of rendering each",
        args.count(),
        args.count() as f64 / seconds,
        rayon::current_num_threads(),
        rendering.as_secs_f64() * 1e3 / args.count() as f64,
    );
    Ok(Outcome::Complete)
}

fn face(synthesizer: &FaceSynthesizer, args: &Args, index: u64) -> SynthFace {
    if !args.each_unit {
        return synthesizer.render(seed_of(args.seed, index));
    }
    let turns = ActionUnit::FEAFA_COUNT as u64 + 1;
    let mut units = AuVector::default();
    let unit = (index % turns).checked_sub(1);
    if let Some(unit) = unit.and_then(|unit| ActionUnit::from_index(unit as usize)) {
        units.set(unit, Intensity::ONE);
    }
    let person = seed_of(args.seed, index / turns);
    synthesizer.render_units(person, units, HeadPose::default(), person)
}

pub(super) fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {pos}/{len}, {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Makes a folder; in one that holds files, those of an earlier run would stay without labels.
pub(super) fn make_empty(dir: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(dir).map_err(|e| CliError::file(dir, e))?;
    let mut entries = std::fs::read_dir(dir).map_err(|e| CliError::file(dir, e))?;
    if entries.next().is_none() {
        return Ok(());
    }
    let shown = dir.display();
    Err(CliError::Usage(format!(
        "{shown} is not empty; choose another --out, or empty it"
    )))
}

/// The folder that a data set is written to.
struct Folder {
    dir: PathBuf,
    labels: csv::Writer<std::fs::File>,
    landmarks: csv::Writer<std::fs::File>,
}

impl Folder {
    /// Makes the folder.
    fn create(dir: &Path) -> Result<Self, CliError> {
        make_empty(dir)?;
        let table = |name: &str, columns: Vec<String>| {
            let path = dir.join(name);
            let file = std::fs::File::create(&path).map_err(|e| CliError::file(&path, e))?;
            let mut writer = csv::Writer::from_writer(file);
            writer.write_record(columns).map_err(CliError::library)?;
            Ok::<_, CliError>(writer)
        };
        let units = ActionUnit::FEAFA.map(|unit| unit.snake_case().to_owned());
        let mut labels = vec!["file".to_owned(), "identity".to_owned()];
        labels.extend(units);
        labels.extend(["pitch", "yaw", "roll"].map(str::to_owned));
        let mut points = vec!["file".to_owned()];
        points.extend((0..LANDMARK_COUNT).flat_map(|i| [format!("x_{i}"), format!("y_{i}")]));
        Ok(Self {
            dir: dir.to_owned(),
            labels: table("labels.csv", labels)?,
            landmarks: table("landmarks.csv", points)?,
        })
    }

    /// Encodes photos in parallel; rows keep the order of the faces.
    fn write(
        &mut self,
        first: u64,
        faces: &[(SynthFace, Duration)],
        format: Format,
    ) -> Result<(), CliError> {
        let name = |i: usize| format!("{:06}.{}", first + i as u64, format.extension());
        let dir = &self.dir;
        faces
            .par_iter()
            .enumerate()
            .try_for_each(|(i, (face, _))| save(&dir.join(name(i)), &face.photo))?;
        for (i, (face, _)) in faces.iter().enumerate() {
            self.write_rows(&name(i), face).map_err(CliError::library)?;
        }
        Ok(())
    }

    fn write_rows(&mut self, file: &str, face: &SynthFace) -> Result<(), csv::Error> {
        let pose = face.landmarks.head_pose.unwrap_or_default();
        let mut row = vec![file.to_owned(), format!("{:016x}", face.identity)];
        row.extend(face.action_units.feafa().map(|v| format!("{v:.4}")));
        row.extend([pose.pitch, pose.yaw, pose.roll].map(|angle| format!("{:.3}", angle.0)));
        self.labels.write_record(&row)?;
        let mut row = vec![file.to_owned()];
        for point in face.landmarks.points {
            row.extend([point.x, point.y].map(|c| format!("{c:.3}")));
        }
        self.landmarks.write_record(&row)
    }

    fn finish(mut self) -> Result<(), CliError> {
        for table in [&mut self.labels, &mut self.landmarks] {
            table.flush().map_err(|e| CliError::file(&self.dir, e))?;
        }
        Ok(())
    }
}

/// A picture of many faces, row by row.
struct Sheet {
    path: PathBuf,
    size: u32,
    added: u32,
    image: RgbImage,
}

impl Sheet {
    fn new(path: &Path, args: &Args) -> Result<Self, CliError> {
        let most = SHEET_PIXELS / u64::from(args.size * args.size);
        if args.count() > most {
            return Err(CliError::Usage(format!(
                "a sheet holds at most {most} faces of {0} x {0} pixels; lower --count",
                args.size
            )));
        }
        image::ImageFormat::from_path(path)
            .ok()
            .filter(|format| matches!(format, image::ImageFormat::Png | image::ImageFormat::Jpeg))
            .ok_or_else(|| {
                CliError::Usage(format!(
                    "{}: the ending must be .png or .jpg",
                    path.display()
                ))
            })?;
        let rows = (args.count() as u32).div_ceil(SHEET_COLUMNS);
        let columns = SHEET_COLUMNS.min(args.count() as u32);
        Ok(Self {
            path: path.to_owned(),
            size: args.size,
            added: 0,
            image: RgbImage::new(columns * args.size, rows * args.size),
        })
    }

    fn add(&mut self, face: &SynthFace) {
        let left = self.added % SHEET_COLUMNS * self.size;
        let top = self.added / SHEET_COLUMNS * self.size;
        for (at, rgb) in face.photo.pixels().chunks_exact(3).enumerate() {
            let (x, y) = (at as u32 % self.size, at as u32 / self.size);
            self.image
                .put_pixel(left + x, top + y, image::Rgb([rgb[0], rgb[1], rgb[2]]));
        }
        self.added += 1;
    }

    fn save(self) -> Result<(), CliError> {
        let (width, height) = self.image.dimensions();
        let photo = Photo::new(width, height, self.image.into_raw()).map_err(CliError::library)?;
        match image::ImageFormat::from_path(&self.path) {
            Ok(image::ImageFormat::Png) => write_png(&photo, &self.path).map_err(CliError::library),
            _ => save(&self.path, &photo),
        }
    }
}

pub(super) fn save(path: &Path, photo: &Photo) -> Result<(), CliError> {
    let (width, height) = (photo.width(), photo.height());
    image::save_buffer(path, photo.pixels(), width, height, image::ColorType::Rgb8)
        .map_err(|e| image_error(path, e))
}

/// Keeps the path in the message.
fn image_error(path: &Path, error: image::ImageError) -> CliError {
    match error {
        image::ImageError::IoError(source) => CliError::file(path, source),
        other => CliError::library(format!("{}: {other}", path.display())),
    }
}
