//! CK+ and sets in its folders (Lucey et al. 2010; research use).
//!
//! `cohn-kanade-images/S005/001/*.png` are sequences from neutral to the peak;
//! `Emotion/S005/001/*_emotion.txt` and `FACS/S005/001/*_facs.txt` belong to the last frame.
//! Only the peak becomes a record; intensity 0 in a FACS file means present without a grade.

use std::collections::BTreeMap;
use std::path::Path;

use expllm_core::{Expression, FacsGrade};

use crate::dataset::Gather;
use crate::{
    DataError, Dataset, FacsLabel, FacsUnit, Layout, ReadOptions, Record, SkipReason, Tree,
};

/// Ids from 0.
const CLASSES: [Expression; 8] = [
    Expression::Neutral,
    Expression::Anger,
    Expression::Contempt,
    Expression::Disgust,
    Expression::Fear,
    Expression::Happiness,
    Expression::Sadness,
    Expression::Surprise,
];

/// Reads the peak frame of every sequence that has a label of either kind.
pub(crate) fn read(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    let tree = Tree::open(root)?;
    let mut peaks: BTreeMap<String, &str> = BTreeMap::new();
    for path in tree.images() {
        if let Some(key) = sequence(path) {
            // Files are sorted, so the last frame stays.
            peaks.insert(key, path);
        }
    }
    let emotions = labels(&tree, "_emotion.txt");
    let facs = labels(&tree, "_facs.txt");
    if peaks.is_empty() || (emotions.is_empty() && facs.is_empty()) {
        return Err(DataError::NotThisLayout {
            root: root.to_path_buf(),
            layout: Layout::CkPlus.name(),
            expected: "image sequences S005/001/*.png with *_emotion.txt or *_facs.txt files",
        });
    }
    let mut gather = Gather::new(options);
    for (key, path) in &peaks {
        let (emotion, codes) = (emotions.get(key), facs.get(key));
        if emotion.is_none() && codes.is_none() {
            let reason = SkipReason::MissingAnnotation("no label for the sequence".into());
            gather.skip(key, None, reason);
            continue;
        }
        match record(&tree, path, emotion.copied(), codes.copied()) {
            Ok(Some(record)) => gather.add(Record {
                subject: key.split_once('/').map(|(subject, _)| subject.to_owned()),
                ..record
            }),
            Ok(None) => gather.skip(path, None, SkipReason::MissingImage),
            Err(reason) => gather.skip(path, None, reason),
        }
    }
    for key in emotions.keys().filter(|key| !peaks.contains_key(*key)) {
        gather.skip(key, None, SkipReason::MissingImage);
    }
    Ok(gather.finish(Layout::CkPlus, &tree))
}

/// `S005/001` of a path that ends in `S005/001/file`.
fn sequence(path: &str) -> Option<String> {
    let mut parts = path.rsplit('/');
    let (_, number, subject) = (parts.next()?, parts.next()?, parts.next()?);
    let is_subject = subject.starts_with('S') && subject[1..].bytes().all(|b| b.is_ascii_digit());
    is_subject.then(|| format!("{subject}/{number}"))
}

fn labels<'a>(tree: &'a Tree, ending: &str) -> BTreeMap<String, &'a str> {
    let files = tree
        .files()
        .filter(|f| f.to_ascii_lowercase().ends_with(ending));
    files.filter_map(|f| Some((sequence(f)?, f))).collect()
}

fn record(
    tree: &Tree,
    path: &str,
    emotion: Option<&str>,
    facs: Option<&str>,
) -> Result<Option<Record>, SkipReason> {
    let text = |file: &str| {
        tree.read_text(file)
            .map_err(|e| SkipReason::Malformed(e.to_string()))
    };
    let mut expression = None;
    if let Some(file) = emotion {
        let text = text(file)?;
        let id = text
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|id| id.fract() == 0.0 && *id >= 0.0);
        let class = id.and_then(|id| CLASSES.get(id as usize).copied());
        expression = Some(class.ok_or(SkipReason::UnknownLabel(text.trim().to_owned()))?);
    }
    let mut codes = BTreeMap::new();
    if let Some(file) = facs {
        for line in text(file)?.lines().filter(|line| !line.trim().is_empty()) {
            let (unit, label) = code(line)
                .ok_or_else(|| SkipReason::Malformed(format!("{line:?} is no FACS code")))?;
            codes.insert(unit, label);
        }
    }
    Ok(tree.source(path).map(|image| Record {
        expression,
        label_text: expression.map(|e| e.name().to_owned()),
        facs: codes,
        ..Record::new(path, image)
    }))
}

/// A line such as `  4.0000000e+00   3.0000000e+00`.
fn code(line: &str) -> Option<(FacsUnit, FacsLabel)> {
    let mut numbers = line.split_whitespace().map(|t| t.parse::<f64>().ok());
    let (unit, grade) = (numbers.next()??, numbers.next()??);
    let whole = |n: f64| (n.fract() == 0.0 && (0.0..=99.0).contains(&n)).then_some(n as u8);
    let label = match whole(grade)? {
        0 => FacsLabel::Present,
        grade => FacsLabel::Grade(FacsGrade::from_ordinal(grade)?),
    };
    Some((FacsUnit::new(whole(unit)?)?, label))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::testing::{Fixture, ids, skipped};

    #[test]
    fn the_peak_of_each_sequence_is_read() {
        let fixture = Fixture::new(&[
            ("cohn-kanade-images/S005/001/S005_001_00000001.png", "1"),
            ("cohn-kanade-images/S005/001/S005_001_00000011.png", "peak"),
            ("cohn-kanade-images/S006/001/S006_001_00000002.png", "x"),
            ("cohn-kanade-images/S007/001/S007_001_00000002.png", "x"),
            (
                "Emotion/S005/001/S005_001_00000011_emotion.txt",
                "   3.0000000e+00\n",
            ),
            ("Emotion/S007/001/S007_001_00000002_emotion.txt", "12\n"),
            ("Emotion/S008/001/S008_001_00000002_emotion.txt", "1\n"),
            (
                "FACS/S005/001/S005_001_00000011_facs.txt",
                "  9.0000000e+00   5.0000000e+00\n  1.7000000e+01   0.0000000e+00\n",
            ),
        ]);
        let dataset = fixture.read(Layout::CkPlus);
        assert_eq!(
            ids(&dataset),
            ["cohn-kanade-images/S005/001/S005_001_00000011.png"]
        );
        let record = &dataset.records[0];
        assert_eq!(record.expression, Some(Expression::Disgust));
        assert_eq!(record.subject.as_deref(), Some("S005"));
        let unit = |n| FacsUnit::new(n).unwrap();
        assert_eq!(record.facs[&unit(9)], FacsLabel::Grade(FacsGrade::E));
        assert_eq!(record.facs[&unit(17)], FacsLabel::Present);
        let kinds: Vec<_> = skipped(&dataset).iter().map(|(_, r)| r.kind()).collect();
        assert_eq!(
            kinds,
            ["missing annotation", "unknown label", "missing image"]
        );
    }
}
