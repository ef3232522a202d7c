//! AffectNet: the original CSV files, the processed lists and the Kaggle sample (Mollahosseini,
//! Hasani and Mahoor 2017; research use). Ids are in expression order.

use std::path::Path;

use expllm_core::{Expression, FaceBox, Point};

use crate::dataset::Gather;
use crate::readers::table::{Column, Row, Table};
use crate::{DataError, Dataset, Layout, ReadOptions, Record, SkipReason, Split, Tree};

/// Labels of the original set that are no expression, from 8.
const OTHER: [&str; 3] = ["none", "uncertain", "no face"];

/// Reads `training.csv` and `validation.csv` with their images beside them or below
/// `Manually_Annotated_Images`, and lists with lines `<file> <0..7>` such as `train.txt`.
pub(crate) fn read(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    let tree = Tree::open(root)?;
    let mut gather = Gather::new(options);
    let mut found = false;
    let files: Vec<_> = tree.files().filter(|f| !f.contains('/')).collect();
    for file in files {
        let lower = file.to_ascii_lowercase();
        let Some((stem, extension)) = lower.rsplit_once('.') else {
            continue;
        };
        let words = || stem.split(['_', '-', ' ']);
        let Some(split) = words().find_map(Split::from_name) else {
            continue;
        };
        match extension {
            "csv" => read_csv(&tree, file, split, &mut gather)?,
            "txt" => read_processed(&tree, file, split, &mut gather)?,
            _ => continue,
        }
        found = true;
    }
    if !found {
        return Err(DataError::NotThisLayout {
            root: root.to_path_buf(),
            layout: Layout::AffectNet.name(),
            expected: "training.csv, validation.csv or lists such as train.txt",
        });
    }
    Ok(gather.finish(Layout::AffectNet, &tree))
}

/// Reads `train-sample-affectnet.csv` and `valid-sample-affectnet.csv`.
pub(crate) fn read_kaggle(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    let tree = Tree::open(root)?;
    let mut gather = Gather::new(options);
    let mut found = false;
    for (file, split) in [
        ("train-sample-affectnet.csv", Split::Train),
        ("valid-sample-affectnet.csv", Split::Valid),
    ] {
        if !tree.contains(file) {
            continue;
        }
        found = true;
        let table = Table::read(&tree, file)?;
        let image = table.needs(&tree, file, &["image"])?;
        let emotion = table.needs(&tree, file, &["emotion"])?;
        for row in table.rows(file, &mut gather) {
            let path = row.get(image);
            let path = path
                .strip_prefix("../input/affectnetsample/")
                .unwrap_or(path);
            // Ids are floats from 1, such as "3.0".
            let id = row.get(emotion).parse::<f64>().ok();
            let id = id.filter(|id| id.fract() == 0.0 && (1.0..=8.0).contains(id));
            let expression = id.and_then(|id| Expression::from_index(id as usize - 1));
            let Some(expression) = expression else {
                let text = row.get(emotion).to_owned();
                gather.skip(path, Some(split), SkipReason::UnknownLabel(text));
                continue;
            };
            add(
                &tree,
                path,
                (split, expression),
                Geometry::default(),
                &mut gather,
            );
        }
    }
    if !found {
        return Err(DataError::NotThisLayout {
            root: root.to_path_buf(),
            layout: Layout::AffectNetKaggle.name(),
            expected: "train-sample-affectnet.csv or valid-sample-affectnet.csv",
        });
    }
    Ok(gather.finish(Layout::AffectNetKaggle, &tree))
}

fn read_csv(
    tree: &Tree,
    file: &str,
    split: Split,
    gather: &mut Gather<'_>,
) -> Result<(), DataError> {
    let table = Table::read(tree, file)?;
    let path = table.needs(tree, file, &["subdirectory_filepath"])?;
    let expression = table.needs(tree, file, &["expression"])?;
    let edges = ["face_x", "face_y", "face_width", "face_height"].map(|n| table.column(&[n]));
    let points = table.column(&["facial_landmarks"]);
    for row in table.rows(file, gather) {
        let name = row.get(path);
        let Some(expression) = label(row.get(expression), name, split, gather) else {
            continue;
        };
        let folder = format!("Manually_Annotated_Images/{name}");
        let place = if tree.contains(name) { name } else { &folder };
        let geometry = (
            face_box(row, edges),
            points.map(|c| landmarks(row.get(c))).unwrap_or_default(),
        );
        add(tree, place, (split, expression), geometry, gather);
    }
    Ok(())
}

fn read_processed(
    tree: &Tree,
    file: &str,
    split: Split,
    gather: &mut Gather<'_>,
) -> Result<(), DataError> {
    let text = tree.read_text(file)?;
    let folder = match split {
        Split::Train => "trainnew",
        Split::Valid | Split::Test => "validnew",
    };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((name, id)) = line.rsplit_once(char::is_whitespace) else {
            gather.skip(
                line,
                Some(split),
                SkipReason::Malformed("not `file id`".into()),
            );
            continue;
        };
        let name = name.trim();
        if let Some(expression) = label(id, name, split, gather) {
            let below = format!("{folder}/{name}");
            let place = if tree.contains(name) { name } else { &below };
            add(
                tree,
                place,
                (split, expression),
                Geometry::default(),
                gather,
            );
        }
    }
    Ok(())
}

/// The expression of an id from 0; other labels are noted as left out.
fn label(text: &str, item: &str, split: Split, gather: &mut Gather<'_>) -> Option<Expression> {
    let id = text.parse::<usize>().ok();
    if let Some(expression) = id.and_then(Expression::from_index) {
        return Some(expression);
    }
    let other = id.and_then(|id| OTHER.get(id.checked_sub(Expression::COUNT)?));
    let reason = match other {
        Some(other) => SkipReason::NoExpression((*other).to_owned()),
        None => SkipReason::UnknownLabel(text.to_owned()),
    };
    gather.skip(item, Some(split), reason);
    None
}

/// Box and landmarks in pixels of the image.
type Geometry = (Option<FaceBox>, Vec<Point>);

fn add(
    tree: &Tree,
    path: &str,
    (split, expression): (Split, Expression),
    (face_box, landmarks): Geometry,
    gather: &mut Gather<'_>,
) {
    if let Some(image) = gather.image(tree, path, Some(split)) {
        gather.add(Record {
            split: Some(split),
            expression: Some(expression),
            label_text: Some(expression.name().to_owned()),
            face_box,
            landmarks,
            ..Record::new(path, image)
        });
    }
}

fn face_box(row: &Row, edges: [Option<Column>; 4]) -> Option<FaceBox> {
    let mut numbers = [0.0; 4];
    for (number, edge) in numbers.iter_mut().zip(edges) {
        *number = row.number(edge?).ok()?;
    }
    let [x, y, width, height] = numbers;
    Some(FaceBox {
        x,
        y,
        width,
        height,
        score: 1.0,
        points: None,
    })
}

/// 68 points as `x;y;x;y;...`.
fn landmarks(text: &str) -> Vec<Point> {
    let numbers: Vec<f32> = text
        .split(';')
        .map_while(|t| t.trim().parse().ok())
        .collect();
    numbers
        .chunks_exact(2)
        .map(|p| Point::new(p[0], p[1]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::testing::{Fixture, ids, skipped};

    #[test]
    fn the_original_csv_is_read() {
        let fixture = Fixture::new(&[
            (
                "validation.csv",
                "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n\
                 1/a.jpg,1,2,3,4,1.5;2;3;4,7,0,0\n1/b.jpg,1,2,3,4,,9,0,0\n1/c.jpg,1,2,3,4,,77,0,0\n",
            ),
            ("Manually_Annotated_Images/1/a.jpg", "1"),
            ("train.txt", "x.jpg 0\ny.jpg 3\nbroken\n"),
            ("trainnew/x.jpg", "1"),
        ]);
        let dataset = fixture.read(Layout::AffectNet);
        assert_eq!(
            ids(&dataset),
            ["trainnew/x.jpg", "Manually_Annotated_Images/1/a.jpg"]
        );
        let record = &dataset.records[1];
        assert_eq!(record.expression, Some(Expression::Contempt));
        assert_eq!(
            record.landmarks,
            [Point::new(1.5, 2.0), Point::new(3.0, 4.0)]
        );
        assert_eq!(record.face_box.unwrap().width, 3.0);
        let kinds: Vec<_> = skipped(&dataset).iter().map(|(_, r)| r.kind()).collect();
        assert_eq!(
            kinds,
            [
                "missing image",
                "malformed",
                "no expression",
                "unknown label"
            ]
        );
    }

    #[test]
    fn the_kaggle_sample_is_read() {
        let fixture = Fixture::new(&[
            (
                "valid-sample-affectnet.csv",
                "image,emotion\n../input/affectnetsample/val_class/class001/a.jpg,1.0\nval_class/b.jpg,9\n",
            ),
            ("val_class/class001/a.jpg", "1"),
        ]);
        let dataset = fixture.read(Layout::AffectNetKaggle);
        assert_eq!(ids(&dataset), ["val_class/class001/a.jpg"]);
        assert_eq!(dataset.records[0].expression, Some(Expression::Neutral));
        assert_eq!(
            skipped(&dataset)[0].1,
            &SkipReason::UnknownLabel("9".into())
        );
    }
}
