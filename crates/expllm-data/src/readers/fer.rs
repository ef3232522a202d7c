//! FER2013 as CSV, and the FERPlus votes over the same faces.
//!
//! FER2013: `emotion,pixels,Usage` in any order of columns, 48 x 48 grey values separated by
//! spaces (ICML 2013 challenge; ids 0 anger to 6 neutral). The `train.csv` of the challenge has no
//! `Usage`: its name is the split. FERPlus: `fer2013new.csv` with one
//! column of votes per answer (Barsoum et al. 2016, Microsoft, MIT).

use std::path::Path;
use std::sync::Arc;

use expllm_core::Expression;

use crate::dataset::Gather;
use crate::readers::table::{Column, Row, Table};
use crate::{
    DataError, Dataset, ImageSource, Layout, ReadOptions, Record, SkipReason, Split, Tree, Votes,
};

/// Side of the faces in pixels.
const SIDE: u32 = 48;

/// The ids of FER2013.
const CLASSES: [Expression; 7] = [
    Expression::Anger,
    Expression::Disgust,
    Expression::Fear,
    Expression::Happiness,
    Expression::Sadness,
    Expression::Surprise,
    Expression::Neutral,
];

/// Reads `fer2013.csv`, `icml_face_data.csv` or `train.csv`.
pub(crate) fn read_csv(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    let (tree, files) = Tree::open_files(root, "csv")?;
    let names = ["fer2013.csv", "icml_face_data.csv", "train.csv"];
    let named = files.iter().find(|file| {
        names
            .iter()
            .any(|name| file.rsplit('/').next() == Some(name))
    });
    // A CSV file that is given itself may have any name.
    let alone = files.first().filter(|_| root.is_file() && files.len() == 1);
    let Some(file) = named.or(alone).cloned() else {
        return Err(DataError::NotThisLayout {
            root: root.to_path_buf(),
            layout: Layout::Fer2013Csv.name(),
            expected: "fer2013.csv, icml_face_data.csv or train.csv",
        });
    };
    let table = PixelTable::read(&tree, &file)?;
    let emotion = table.table.needs(&tree, &file, &["emotion"])?;
    let mut gather = Gather::new(options);
    let stem = file.rsplit(['/', '.']).nth(1).unwrap_or_default();
    let file_split = Split::from_name(stem);
    for (index, row) in table.table.rows.iter().enumerate() {
        let item = format!("{file}:{}", index + 2);
        let row = match row {
            Ok(row) => row,
            Err(reason) => {
                gather.skip(&item, None, SkipReason::Malformed(reason.clone()));
                continue;
            }
        };
        let split = match table.split(row) {
            Ok(split) => split.or(file_split),
            Err(usage) => {
                gather.skip(&item, None, SkipReason::UnknownSplit(usage));
                continue;
            }
        };
        let id = row.get(emotion);
        let class = id.parse().ok().and_then(|id: usize| CLASSES.get(id));
        let Some(&expression) = class else {
            gather.skip(&item, split, SkipReason::UnknownLabel(id.to_owned()));
            continue;
        };
        match table.image(row) {
            Ok(image) => gather.add(Record {
                split,
                expression: Some(expression),
                label_text: Some(id.to_owned()),
                ..Record::new(format!("row {}", row.line), image)
            }),
            Err(reason) => gather.skip(&item, split, SkipReason::Malformed(reason)),
        }
    }
    Ok(gather.finish(Layout::Fer2013Csv, &tree))
}

/// Reads `fer2013new.csv`, with images from `FER2013{Train,Valid,Test}/fer0000000.png` or, row
/// by row, from `fer2013.csv` beside it.
pub(crate) fn read_votes(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    let tree = Tree::open(root)?;
    let Some(file) = find(&tree, &["fer2013new.csv"]) else {
        return Err(DataError::NotThisLayout {
            root: root.to_path_buf(),
            layout: Layout::FerPlus.name(),
            expected: "fer2013new.csv",
        });
    };
    let table = Table::read(&tree, &file)?;
    let columns = VoteColumns::find(&table, &tree, &file)?;
    let pixels = find(&tree, &["fer2013.csv"])
        .map(|csv| PixelTable::read(&tree, &csv))
        .transpose()?;
    let mut gather = Gather::new(options);
    for (index, row) in table.rows.iter().enumerate() {
        let item = format!("{file}:{}", index + 2);
        match row {
            Ok(row) => add_votes(
                &tree,
                &columns,
                row,
                pixels.as_ref().zip(Some(index)),
                &mut gather,
            ),
            Err(reason) => gather.skip(&item, None, SkipReason::Malformed(reason.clone())),
        }
    }
    Ok(gather.finish(Layout::FerPlus, &tree))
}

struct VoteColumns {
    usage: Column,
    name: Column,
    expressions: [Column; Expression::COUNT],
    unknown: Column,
    not_a_face: Column,
}

impl VoteColumns {
    fn find(table: &Table, tree: &Tree, file: &str) -> Result<Self, DataError> {
        let needs = |name: &str| table.needs(tree, file, &[name]);
        let mut expressions = [needs("neutral")?; Expression::COUNT];
        for (slot, expression) in expressions.iter_mut().zip(Expression::ALL) {
            *slot = needs(&expression.name().to_lowercase())?;
        }
        Ok(Self {
            usage: needs("usage")?,
            name: needs("image name")?,
            expressions,
            unknown: needs("unknown")?,
            not_a_face: needs("nf")?,
        })
    }
}

fn add_votes(
    tree: &Tree,
    columns: &VoteColumns,
    row: &Row,
    pixels: Option<(&PixelTable, usize)>,
    gather: &mut Gather<'_>,
) {
    let name = row.get(columns.name);
    let split = split_of(row, columns.usage);
    let item = if name.is_empty() {
        format!("row {}", row.line)
    } else {
        name.to_owned()
    };
    let split = match split {
        Ok(split) => split,
        Err(usage) => return gather.skip(&item, None, SkipReason::UnknownSplit(usage)),
    };
    let votes = match read_one_vote(columns, row) {
        Ok(votes) => votes,
        Err(reason) => return gather.skip(&item, split, SkipReason::Malformed(reason)),
    };
    let Some(expression) = votes.majority() else {
        // Faces that the annotators rejected have no image name.
        return gather.skip(
            &item,
            split,
            SkipReason::NoExpression("no clear majority".into()),
        );
    };
    let in_folder = ["FER2013Train", "FER2013Valid", "FER2013Test"]
        .iter()
        .find_map(|folder| tree.source(&format!("{folder}/{name}")));
    let in_table = || {
        let (table, index) = pixels?;
        table
            .image(table.table.rows.get(index)?.as_ref().ok()?)
            .ok()
    };
    match in_folder.or_else(in_table).or_else(|| tree.source(name)) {
        Some(image) => gather.add(Record {
            split,
            expression: Some(expression),
            votes: Some(votes),
            label_text: Some(expression.name().to_owned()),
            ..Record::new(item, image)
        }),
        None => gather.skip(&item, split, SkipReason::MissingImage),
    }
}

fn read_one_vote(columns: &VoteColumns, row: &Row) -> Result<Votes, String> {
    let mut expressions = [0; Expression::COUNT];
    for (slot, &column) in expressions.iter_mut().zip(&columns.expressions) {
        *slot = row.number(column)?;
    }
    Ok(Votes {
        expressions,
        unknown: row.number(columns.unknown)?,
        not_a_face: row.number(columns.not_a_face)?,
    })
}

/// A table of faces as pixels.
struct PixelTable {
    table: Table,
    pixels: Column,
    usage: Option<Column>,
}

impl PixelTable {
    fn read(tree: &Tree, file: &str) -> Result<Self, DataError> {
        let table = Table::read(tree, file)?;
        let pixels = table.needs(tree, file, &["pixels"])?;
        let usage = table.column(&["usage"]);
        Ok(Self {
            table,
            pixels,
            usage,
        })
    }

    /// The split of a row, or the usage that is none.
    fn split(&self, row: &Row) -> Result<Option<Split>, String> {
        self.usage.map_or(Ok(None), |usage| split_of(row, usage))
    }

    fn image(&self, row: &Row) -> Result<ImageSource, String> {
        let field = row.get(self.pixels);
        let grey: Result<Vec<u8>, _> = field.split_ascii_whitespace().map(str::parse).collect();
        let grey = grey.map_err(|_| format!("line {}: pixels must be 0 to 255", row.line))?;
        let wanted = (SIDE * SIDE) as usize;
        if grey.len() != wanted {
            return Err(format!(
                "line {}: {} pixels, not {wanted}",
                row.line,
                grey.len()
            ));
        }
        Ok(ImageSource::grey(row.line, SIDE, Arc::from(grey)))
    }
}

/// The split that a field names; nothing where it is empty.
fn split_of(row: &Row, usage: Column) -> Result<Option<Split>, String> {
    match (row.get(usage), Split::from_name(row.get(usage))) {
        ("", _) => Ok(None),
        (_, Some(split)) => Ok(Some(split)),
        (name, None) => Err(name.to_owned()),
    }
}

fn find(tree: &Tree, names: &[&str]) -> Option<String> {
    let is_named = |path: &&str| {
        names
            .iter()
            .any(|name| path.rsplit('/').next() == Some(name))
    };
    tree.files().find(is_named).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::testing::{Fixture, ids, skipped};

    fn pixels(value: u8) -> String {
        vec![value.to_string(); 48 * 48].join(" ")
    }

    #[test]
    fn rows_of_pixels_become_images() {
        let csv = format!(
            "emotion, Usage, pixels\n0,Training,{}\n6,PrivateTest,{}\n9,Training,{}\n3,Training,1 2 3\n",
            pixels(10),
            pixels(200),
            pixels(1)
        );
        let fixture = Fixture::new(&[("icml_face_data.csv", &csv)]);
        let dataset = fixture.read(Layout::Fer2013Csv);
        assert_eq!(ids(&dataset), ["row 2", "row 3"]);
        let record = &dataset.records[1];
        assert_eq!(record.split, Some(Split::Test));
        assert_eq!(record.expression, Some(Expression::Neutral));
        let image = image::load_from_memory(&record.image.read().unwrap()).unwrap();
        assert_eq!((image.width(), image.to_luma8().as_raw()[0]), (48, 200));
        let kinds: Vec<_> = skipped(&dataset).iter().map(|(_, r)| r.kind()).collect();
        assert_eq!(kinds, ["unknown label", "malformed"]);
    }

    #[test]
    fn splits_are_named_assumed_or_counted() {
        let p = pixels(1);
        let csv = format!("emotion,pixels,Usage\n3,{p},training\n3,{p},holdout\n3,{p},\n");
        let fixture = Fixture::new(&[("fer2013.csv", &csv)]);
        let dataset = fixture.read(Layout::Fer2013Csv);
        let splits = |d: &Dataset| d.records.iter().map(|r| r.split).collect::<Vec<_>>();
        assert_eq!(splits(&dataset), [Some(Split::Train), None]);
        let unknown = SkipReason::UnknownSplit("holdout".into());
        assert_eq!(skipped(&dataset), [("fer2013.csv:3", &unknown)]);
        let options = ReadOptions {
            unsplit: Some(Split::Test),
            ..ReadOptions::default()
        };
        let dataset = Layout::Fer2013Csv.read(&fixture.path(""), &options);
        let wanted = [Some(Split::Train), Some(Split::Test)];
        assert_eq!(splits(&dataset.unwrap()), wanted);
        let fixture = Fixture::new(&[("train.csv", &format!("emotion,pixels\n3,{p}\n"))]);
        let dataset = fixture.read(Layout::Fer2013Csv);
        assert_eq!(splits(&dataset), [Some(Split::Train)]);
    }

    #[test]
    fn votes_choose_the_expression() {
        let head = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n";
        let votes = format!(
            "{head}Training,fer0.png,1,8,0,0,0,0,0,1,0,0\nTraining,,0,0,0,0,0,0,0,0,0,10\n\
             PublicTest,fer2.png,5,5,0,0,0,0,0,0,0,0\nPublicTest,fer3.png,0,0,0,0,0,0,0,9,1,0\n"
        );
        let csv = format!(
            "emotion,pixels,Usage\n3,{p},Training\n3,{p},Training\n3,{p},PublicTest\n3,{p},PublicTest\n",
            p = pixels(7)
        );
        let fixture = Fixture::new(&[
            ("fer2013new.csv", &votes),
            ("fer2013.csv", &csv),
            ("FER2013Train/fer0.png", "in the folder"),
        ]);
        let dataset = fixture.read(Layout::FerPlus);
        assert_eq!(ids(&dataset), ["fer0.png", "fer3.png"]);
        assert_eq!(dataset.records[0].image.read().unwrap(), b"in the folder");
        assert_eq!(dataset.records[1].expression, Some(Expression::Contempt));
        assert!(
            dataset.records[1]
                .image
                .read()
                .unwrap()
                .starts_with(b"\x89PNG")
        );
        let kinds: Vec<_> = skipped(&dataset).iter().map(|(_, r)| r.kind()).collect();
        assert_eq!(kinds, ["no expression", "no expression"]);
    }
}
