//! RAF-DB, basic and compound (Li, Deng and Du 2017; research use).
//!
//! `EmoLabel/list_patition_label.txt` has lines `train_00001.jpg 5`; the aligned faces are
//! `Image/aligned/train_00001_aligned.jpg`.

use std::path::Path;

use expllm_core::{Expression, FaceBox, Point};

use crate::dataset::Gather;
use crate::{Compound, DataError, Dataset, Layout, ReadOptions, Record, SkipReason, Split, Tree};

/// Ids of the basic set, from 1.
const BASIC: [Expression; 7] = [
    Expression::Surprise,
    Expression::Fear,
    Expression::Disgust,
    Expression::Happiness,
    Expression::Sadness,
    Expression::Anger,
    Expression::Neutral,
];

/// Ids of the compound set, from 1: (manner, main).
const COMPOUND: [(Expression, Expression); 11] = [
    (Expression::Happiness, Expression::Surprise),
    (Expression::Happiness, Expression::Disgust),
    (Expression::Sadness, Expression::Fear),
    (Expression::Sadness, Expression::Anger),
    (Expression::Sadness, Expression::Surprise),
    (Expression::Sadness, Expression::Disgust),
    (Expression::Fear, Expression::Anger),
    (Expression::Fear, Expression::Surprise),
    (Expression::Anger, Expression::Surprise),
    (Expression::Anger, Expression::Disgust),
    (Expression::Disgust, Expression::Surprise),
];

/// Reads the basic set.
pub(crate) fn read_basic(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    read(root, options, Layout::RafDb, |id| {
        let expression = *BASIC.get(id)?;
        Some((Some(expression), None))
    })
}

/// Reads the compound set; its records have no basic expression.
pub(crate) fn read_compound(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    read(root, options, Layout::RafDbCompound, |id| {
        let &(manner, main) = COMPOUND.get(id)?;
        Some((None, Some(Compound { manner, main })))
    })
}

type Label = (Option<Expression>, Option<Compound>);

fn read(
    root: &Path,
    options: &ReadOptions,
    layout: Layout,
    label_of: impl Fn(usize) -> Option<Label>,
) -> Result<Dataset, DataError> {
    let tree = Tree::open(root)?;
    // A root that holds both sets has a folder for each.
    let wanted = if layout == Layout::RafDb {
        "basic/"
    } else {
        "compound/"
    };
    let list = "EmoLabel/list_patition_label.txt";
    let prefix = [wanted, ""]
        .into_iter()
        .find(|prefix| tree.contains(&format!("{prefix}{list}")));
    let Some(prefix) = prefix else {
        return Err(DataError::NotThisLayout {
            root: root.to_path_buf(),
            layout: layout.name(),
            expected: "EmoLabel/list_patition_label.txt",
        });
    };
    let text = tree.read_text(&format!("{prefix}{list}"))?;
    let mut gather = Gather::new(options);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((name, id)) = line.split_once(char::is_whitespace) else {
            let reason = SkipReason::Malformed("not `image label`".into());
            gather.skip(line, None, reason);
            continue;
        };
        let split = name.split('_').next().and_then(Split::from_name);
        let label = id.trim().parse::<usize>().ok();
        let label = label.and_then(|id| label_of(id.checked_sub(1)?));
        let Some((expression, compound)) = label else {
            gather.skip(name, split, SkipReason::UnknownLabel(id.trim().to_owned()));
            continue;
        };
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let path = format!("{prefix}Image/aligned/{stem}_aligned.jpg");
        let original = format!("{prefix}Image/original/{name}");
        let aligned = tree.contains(&path) || !tree.contains(&original);
        let path = if aligned { path } else { original };
        let Some(image) = gather.image(&tree, &path, split) else {
            continue;
        };
        // Boxes and landmarks are in pixels of the original photos.
        let annotation = (!aligned).then(|| annotation(&tree, prefix, stem));
        let (face_box, landmarks) = annotation.unwrap_or_default();
        gather.add(Record {
            split,
            expression,
            compound,
            face_box,
            landmarks,
            label_text: Some(id.trim().to_owned()),
            ..Record::new(path, image)
        });
    }
    Ok(gather.finish(layout, &tree))
}

/// Box and five landmarks of an original photo; files that are absent or odd give nothing.
fn annotation(tree: &Tree, prefix: &str, stem: &str) -> (Option<FaceBox>, Vec<Point>) {
    let numbers = |path: String| -> Vec<f32> {
        let text = if tree.contains(&path) {
            tree.read_text(&path).ok()
        } else {
            None
        };
        let text = text.unwrap_or_default();
        text.split_whitespace()
            .map_while(|t| t.parse().ok())
            .collect()
    };
    let folder = format!("{prefix}Annotation");
    let corners = numbers(format!("{folder}/boundingbox/{stem}_boundingbox.txt"));
    let face_box = match corners[..] {
        [x1, y1, x2, y2] => Some(FaceBox {
            x: x1,
            y: y1,
            width: x2 - x1,
            height: y2 - y1,
            score: 1.0,
            points: None,
        }),
        _ => None,
    };
    let points = numbers(format!("{folder}/manual/{stem}_manu_attri.txt"));
    let points = points
        .chunks_exact(2)
        .take(5)
        .map(|p| Point::new(p[0], p[1]));
    (face_box, points.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::testing::{Fixture, ids, skipped};

    #[test]
    fn both_sets_are_read() {
        let fixture = Fixture::new(&[
            (
                "basic/EmoLabel/list_patition_label.txt",
                "train_00001.jpg 5\ntest_0001.jpg 7\ntest_0002.jpg 8\ntest_0003.jpg 1\ntest_0004.jpg 1\nodd\n",
            ),
            ("basic/Image/aligned/train_00001_aligned.jpg", "1"),
            ("basic/Image/aligned/test_0001_aligned.jpg", "2"),
            ("basic/Image/original/test_0004.jpg", "3"),
            (
                "basic/Annotation/boundingbox/test_0004_boundingbox.txt",
                "1 2 11 22",
            ),
            (
                "basic/Annotation/manual/test_0004_manu_attri.txt",
                "1 1\n2 2\n3 3\n4 4\n5 5\n0\n1\n",
            ),
            (
                "compound/EmoLabel/list_patition_label.txt",
                "test_0001.jpg 1\n",
            ),
            ("compound/Image/aligned/test_0001_aligned.jpg", "3"),
        ]);
        let basic = fixture.read(Layout::RafDb);
        assert_eq!(basic.records[0].expression, Some(Expression::Sadness));
        assert_eq!(basic.records[1].expression, Some(Expression::Neutral));
        assert_eq!(basic.records[1].split, Some(Split::Test));
        assert_eq!(basic.records[2].face_box.unwrap().height, 20.0);
        assert_eq!(basic.records[2].landmarks.len(), 5);
        let kinds: Vec<_> = skipped(&basic).iter().map(|(_, r)| r.kind()).collect();
        assert_eq!(kinds, ["unknown label", "missing image", "malformed"]);
        let compound = fixture.read(Layout::RafDbCompound);
        assert_eq!(
            ids(&compound),
            ["compound/Image/aligned/test_0001_aligned.jpg"]
        );
        let label = compound.records[0].compound.unwrap();
        assert_eq!(
            (label.manner, label.main),
            (Expression::Happiness, Expression::Surprise)
        );
    }
}
