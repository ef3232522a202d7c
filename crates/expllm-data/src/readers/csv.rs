//! CSV files beside images.

use std::path::Path;

use crate::dataset::Gather;
use crate::readers::table::{Row, Table};
use crate::{DataError, Dataset, Layout, ReadOptions, Record, SkipReason, Split, Tree};

/// Reads every CSV file of the root's top folder, or the one CSV file that `root` is.
pub(crate) fn read(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    let (tree, mut files) = Tree::open_files(root, "csv")?;
    files.retain(|file| !file.contains('/'));
    if files.is_empty() {
        return Err(DataError::NotThisLayout {
            root: root.to_path_buf(),
            layout: Layout::Csv.name(),
            expected: "file with the extension .csv",
        });
    }
    let mut gather = Gather::new(options);
    for file in &files {
        read_file(&tree, file, &mut gather)?;
    }
    Ok(gather.finish(Layout::Csv, &tree))
}

fn read_file(tree: &Tree, file: &str, gather: &mut Gather<'_>) -> Result<(), DataError> {
    let table = Table::read(tree, file)?;
    let image = table.needs(
        tree,
        file,
        &["file", "file_name", "filename", "image", "path"],
    )?;
    let label = table.needs(tree, file, &["expression", "emotion", "label"])?;
    let split = table.column(&["split", "usage"]);
    let subject = table.column(&["subject", "person", "identity"]);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let file_split = Split::from_name(stem);
    for row in &table.rows {
        let row = match row {
            Ok(row) => row,
            Err(reason) => {
                gather.skip(file, file_split, SkipReason::Malformed(reason.clone()));
                continue;
            }
        };
        let split = match split.map(|column| row.get(column)) {
            Some(name) if !name.is_empty() => match Split::from_name(name) {
                Some(split) => Some(split),
                None => {
                    let item = format!("{file}:{}", row.line);
                    let reason = SkipReason::UnknownSplit(name.to_owned());
                    gather.skip(&item, None, reason);
                    continue;
                }
            },
            _ => file_split,
        };
        let subject = subject.map(|column| row.get(column).to_owned());
        let record = record(tree, row, (image, label), split, gather);
        if let Some(record) = record {
            gather.add(Record {
                subject: subject.filter(|s| !s.is_empty()),
                ..record
            });
        }
    }
    Ok(())
}

fn record(
    tree: &Tree,
    row: &Row,
    (image, label): (crate::readers::table::Column, crate::readers::table::Column),
    split: Option<Split>,
    gather: &mut Gather<'_>,
) -> Option<Record> {
    let (path, text) = (row.get(image), row.get(label));
    let Ok(expression) = text.parse() else {
        gather.skip(path, split, SkipReason::UnknownLabel(text.to_owned()));
        return None;
    };
    let image = gather.image(tree, path, split)?;
    Some(Record {
        split,
        expression: Some(expression),
        label_text: Some(text.to_owned()),
        ..Record::new(path, image)
    })
}

#[cfg(test)]
mod tests {
    use expllm_core::Expression;

    use super::*;
    use crate::readers::testing::{Fixture, ids, skipped};

    #[test]
    fn rows_splits_and_subjects_are_read() {
        let fixture = Fixture::new(&[
            (
                "train.csv",
                "file,expression,subject\ntrain/1.jpg,happy,ann\ntrain/2.jpg,what?,bob\n\
                 train/1.jpg,sad,ann\n",
            ),
            (
                "all.csv",
                "image,label,split\nvalid/3.jpg,anger,valid\nvalid/4.jpg,anger,valid\nx,y,z\n",
            ),
            ("train/1.jpg", "1"),
            ("train/2.jpg", "2"),
            ("valid/3.jpg", "3"),
        ]);
        let dataset = fixture.read(Layout::Csv);
        assert_eq!(ids(&dataset), ["valid/3.jpg", "train/1.jpg"]);
        assert_eq!(dataset.records[0].split, Some(Split::Valid));
        assert_eq!(dataset.records[1].expression, Some(Expression::Happiness));
        assert_eq!(dataset.records[1].subject.as_deref(), Some("ann"));
        assert_eq!(
            skipped(&dataset),
            [
                ("valid/4.jpg", &SkipReason::MissingImage),
                ("all.csv:4", &SkipReason::UnknownSplit("z".into())),
                ("train/2.jpg", &SkipReason::UnknownLabel("what?".into())),
                ("train/1.jpg", &SkipReason::Duplicate),
            ]
        );
        let one = Layout::Csv
            .read(&fixture.path("all.csv"), &ReadOptions::default())
            .unwrap();
        assert_eq!(ids(&one), ["valid/3.jpg"]);
    }

    #[test]
    fn a_file_without_the_columns_is_refused_by_name() {
        let fixture = Fixture::new(&[("a.csv", "x,y\n1,2\n")]);
        let error = Layout::Csv
            .read(&fixture.path(""), &ReadOptions::default())
            .unwrap_err();
        assert!(error.to_string().contains("no column \"file\""), "{error}");
    }
}
