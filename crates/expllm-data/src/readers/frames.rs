//! FACS-coded videos whose frames lie as images: DISFA, DISFA+, BP4D and FEAFA.
//!
//! The sets come as videos or numbered images in folders that differ between copies; a frame is
//! found by the words of its sequence in the path and the number at the end of its name.
//!
//! - DISFA (Mavadati et al. 2013): `ActionUnit_Labels/SN001/SN001_au1.txt`, lines `frame,grade`.
//! - DISFA+ (Mavadati et al. 2016): `Labels/SN001/<trial>/AU1.txt`, lines `000.jpg 0`.
//! - BP4D (Zhang et al. 2014): `AUCoding/AU_OCC/F001_T1.csv`, header of AU numbers, 9 = unknown.
//! - FEAFA, FEAFA+ (Yan et al. 2019): beside each frame an `.auw` file of 24 numbers in AU order.

use std::collections::BTreeMap;
use std::path::Path;

use expllm_core::{AuVector, FacsGrade};

use crate::dataset::Gather;
use crate::{
    DataError, Dataset, FacsLabel, FacsUnit, Layout, ReadOptions, Record, SkipReason, Tree,
};

/// A sequence and a frame number in it.
type FrameKey = (String, u32);
type Codes = BTreeMap<FacsUnit, FacsLabel>;

/// Reads DISFA.
pub(crate) fn read_disfa(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    read(root, options, &DISFA)
}

/// Reads DISFA+.
pub(crate) fn read_disfa_plus(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    read(root, options, &DISFA_PLUS)
}

/// Reads BP4D.
pub(crate) fn read_bp4d(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    read(root, options, &BP4D)
}

/// From the path of a label file to its sequence, and its unit when it is about one.
type LabelFile = fn(&str) -> Option<(String, Option<FacsUnit>)>;
/// From the fields of a line, the header and the file's unit to a frame and its codes.
type ParseLine = fn(&[&str], &[&str], Option<FacsUnit>) -> Option<(u32, Codes)>;

/// What differs between the sets.
struct Family {
    layout: Layout,
    expected: &'static str,
    /// The sequence of a label file, and the unit when the file is about one.
    label_file: LabelFile,
    /// The sequence of an image.
    image: fn(&str) -> Option<String>,
    /// The codes of one line of a label file.
    parse: ParseLine,
    /// Whether the first line names the columns.
    headed: bool,
}

const DISFA: Family = Family {
    layout: Layout::Disfa,
    expected: "label files such as ActionUnit_Labels/SN001/SN001_au1.txt",
    label_file: |path| {
        let stem = path.rsplit('/').next()?.strip_suffix(".txt")?;
        let (subject, unit) = stem.rsplit_once('_')?;
        let is_subject = subject.starts_with("SN");
        is_subject.then_some((subject.to_owned(), Some(unit.parse().ok()?)))
    },
    image: |path| {
        let at = path.rfind("SN")?;
        let subject = path.get(at..at + 5)?;
        subject[2..]
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| subject.to_owned())
    },
    parse: |fields, _, unit| one_grade(number(fields.first()?)?, fields.get(1)?, unit?),
    headed: false,
};

const DISFA_PLUS: Family = Family {
    layout: Layout::DisfaPlus,
    expected: "label files such as Labels/SN001/<trial>/AU1.txt",
    label_file: |path| {
        let mut parts = path.rsplit('/');
        let unit = parts.next()?.strip_suffix(".txt")?;
        let (trial, subject) = (parts.next()?, parts.next()?);
        let named = unit.starts_with("AU") && subject.starts_with("SN");
        named.then_some((format!("{subject}/{trial}"), Some(unit.parse().ok()?)))
    },
    image: |path| {
        let mut parts = path.rsplit('/').skip(1);
        let (trial, subject) = (parts.next()?, parts.next()?);
        subject
            .starts_with("SN")
            .then(|| format!("{subject}/{trial}"))
    },
    parse: |fields, _, unit| one_grade(frame_number(fields.first()?)?, fields.get(1)?, unit?),
    headed: false,
};

const BP4D: Family = Family {
    layout: Layout::Bp4d,
    expected: "label files such as AUCoding/AU_OCC/F001_T1.csv",
    label_file: |path| {
        let stem = path.rsplit('/').next()?.strip_suffix(".csv")?;
        let (subject, task) = stem.split_once('_')?;
        let named = subject.starts_with(['F', 'M']) && task.starts_with('T');
        let named = named && task[1..].bytes().all(|b| b.is_ascii_digit());
        named.then_some((format!("{subject}/{task}"), None))
    },
    image: |path| {
        let mut parts = path.rsplit('/').skip(1);
        let (task, subject) = (parts.next()?, parts.next()?);
        task.starts_with('T').then(|| format!("{subject}/{task}"))
    },
    parse: |fields, header, _| {
        let mut codes = Codes::new();
        for (field, name) in fields.iter().zip(header).skip(1) {
            let label = match number(field)? {
                0 => FacsLabel::Absent,
                1 => FacsLabel::Present,
                9 => continue,
                _ => return None,
            };
            codes.insert(name.parse().ok()?, label);
        }
        Some((number(fields.first()?)?, codes))
    },
    headed: true,
};

fn one_grade(frame: u32, grade: &str, unit: FacsUnit) -> Option<(u32, Codes)> {
    let grade = FacsGrade::from_ordinal(u8::try_from(number(grade)?).ok()?)?;
    Some((frame, Codes::from([(unit, FacsLabel::Grade(grade))])))
}

fn number(text: &str) -> Option<u32> {
    text.trim().parse().ok()
}

/// The digits at the end of a file's name, before its extension.
fn frame_number(path: &str) -> Option<u32> {
    let name = path.rsplit('/').next()?;
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let digits = stem.len() - stem.bytes().rev().take_while(u8::is_ascii_digit).count();
    stem[digits..].parse().ok()
}

fn read(root: &Path, options: &ReadOptions, family: &Family) -> Result<Dataset, DataError> {
    let tree = Tree::open(root)?;
    let mut gather = Gather::new(options);
    let mut frames: BTreeMap<FrameKey, Codes> = BTreeMap::new();
    let mut found = false;
    for path in tree.files() {
        if let Some((sequence, unit)) = (family.label_file)(path) {
            found = true;
            let text = tree.read_text(path)?;
            let file = CodesFile {
                path,
                sequence,
                unit,
            };
            add_codes(&text, &file, family, &mut frames, &mut gather);
        }
    }
    if !found {
        return Err(DataError::NotThisLayout {
            root: root.to_path_buf(),
            layout: family.layout.name(),
            expected: family.expected,
        });
    }
    let images = images(&tree, family);
    for ((sequence, frame), codes) in frames {
        let key = (sequence, frame);
        let Some(paths) = images.get(&key) else {
            let item = format!("{}/{frame}", key.0);
            gather.skip(&item, None, SkipReason::MissingImage);
            continue;
        };
        // One per camera; their paths tell them apart.
        for path in paths {
            if let Some(image) = gather.image(&tree, path, None) {
                gather.add(Record {
                    subject: key.0.split('/').next().map(str::to_owned),
                    frame: Some(frame),
                    facs: codes.clone(),
                    ..Record::new(*path, image)
                });
            }
        }
    }
    for path in images.into_values().flatten() {
        if !gather.has(path) {
            let reason = SkipReason::MissingAnnotation("no code for the frame".into());
            gather.skip(path, None, reason);
        }
    }
    Ok(gather.finish(family.layout, &tree))
}

/// The images of each frame; several where several cameras took it.
fn images<'a>(tree: &'a Tree, family: &Family) -> BTreeMap<FrameKey, Vec<&'a str>> {
    let mut images: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for path in tree.images() {
        if let (Some(sequence), Some(frame)) = ((family.image)(path), frame_number(path)) {
            images.entry((sequence, frame)).or_default().push(path);
        }
    }
    images
}

/// A file of codes: those of one sequence, of one unit where each has its own.
struct CodesFile<'a> {
    path: &'a str,
    sequence: String,
    unit: Option<FacsUnit>,
}

fn add_codes(
    text: &str,
    file: &CodesFile<'_>,
    family: &Family,
    frames: &mut BTreeMap<FrameKey, Codes>,
    gather: &mut Gather<'_>,
) {
    let split = |line: &str| -> Vec<String> {
        let parts = line
            .split([',', ' ', '\t'])
            .map(str::trim)
            .filter(|f| !f.is_empty());
        parts.map(str::to_owned).collect()
    };
    let mut lines = text.lines().map(str::trim).enumerate();
    let mut header = Vec::new();
    if family.headed {
        header = lines
            .next()
            .map(|(_, line)| split(line))
            .unwrap_or_default();
    }
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let fields = split(line);
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        match (family.parse)(&fields, &header, file.unit) {
            Some((frame, codes)) => {
                let key = (file.sequence.clone(), frame);
                frames.entry(key).or_default().extend(codes);
            }
            None => {
                let item = format!("{}:{}", file.path, index + 1);
                let reason = SkipReason::Malformed(format!("{line:?} is no frame with codes"));
                gather.skip(&item, None, reason);
            }
        }
    }
}

/// Reads FEAFA and FEAFA+: every image with an `.auw` file of the same name beside it. Left and
/// right of the file are taken for the subject's.
pub(crate) fn read_feafa(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    let tree = Tree::open(root)?;
    if !tree.files().any(|f| f.ends_with(".auw")) {
        return Err(DataError::NotThisLayout {
            root: root.to_path_buf(),
            layout: Layout::Feafa.name(),
            expected: "files of 24 numbers with the extension .auw beside the images",
        });
    }
    let mut gather = Gather::new(options);
    for path in tree.images() {
        let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
        let label = format!("{stem}.auw");
        if !tree.contains(&label) {
            let reason = SkipReason::MissingAnnotation(label);
            gather.skip(path, None, reason);
            continue;
        }
        let text = tree.read_text(&label)?;
        let numbers: Result<Vec<f32>, _> = text
            .split([',', ' ', '\t', '\n', '\r'])
            .filter(|t| !t.is_empty())
            .map(str::parse)
            .collect();
        let units = numbers
            .map_err(|e| e.to_string())
            .and_then(|n| AuVector::from_feafa(&n).map_err(|e| e.to_string()));
        match (units, tree.source(path)) {
            (Ok(units), Some(image)) => gather.add(Record {
                action_units: Some(units),
                subject: path.rsplit('/').nth(1).map(str::to_owned),
                frame: frame_number(path),
                ..Record::new(path, image)
            }),
            (Err(reason), _) => gather.skip(&label, None, SkipReason::Malformed(reason)),
            (Ok(_), None) => gather.skip(path, None, SkipReason::MissingImage),
        }
    }
    Ok(gather.finish(Layout::Feafa, &tree))
}

#[cfg(test)]
mod tests;
