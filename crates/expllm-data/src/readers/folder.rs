//! One folder per class: image folders, and FER2013 as folders.

use std::path::Path;

use expllm_core::Expression;

use crate::dataset::Gather;
use crate::{DataError, Dataset, Layout, ReadOptions, Record, SkipReason, Split, Tree};

/// Reads `[split/]class/image`; the class is any spelling of an expression.
pub(crate) fn read(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    let tree = Tree::open(root)?;
    if tree.images().next().is_none() {
        return Err(DataError::NotThisLayout {
            root: root.to_path_buf(),
            layout: Layout::Folder.name(),
            expected: "images in folders named after expressions",
        });
    }
    let mut gather = Gather::new(options);
    for path in tree.images() {
        let mut folders = path.rsplit('/').skip(1);
        let class = folders.next().unwrap_or_default();
        let split = folders.find_map(Split::from_name);
        let Ok(expression) = class.parse::<Expression>() else {
            gather.skip(path, split, SkipReason::UnknownLabel(class.to_owned()));
            continue;
        };
        if let Some(image) = gather.image(&tree, path, split) {
            gather.add(Record {
                split,
                expression: Some(expression),
                label_text: Some(class.to_owned()),
                ..Record::new(path, image)
            });
        }
    }
    Ok(gather.finish(Layout::Folder, &tree))
}

#[cfg(test)]
mod tests {
    use expllm_core::ExpressionSet;

    use super::*;
    use crate::readers::testing::{Fixture, ids, skipped};

    #[test]
    fn classes_and_splits_come_from_folders() {
        let fixture = Fixture::new(&[
            ("train/happiness/b.jpg", "1"),
            ("train/happiness/a.jpg", "2"),
            ("valid/angry/c.png", "3"),
            ("valid/confused/d.png", "4"),
            ("loose.png", "5"),
            ("readme.txt", "6"),
        ]);
        let dataset = fixture.read(Layout::Folder);
        let wanted = [
            "train/happiness/a.jpg",
            "train/happiness/b.jpg",
            "valid/angry/c.png",
        ];
        assert_eq!(ids(&dataset), wanted);
        assert_eq!(dataset.records[0].image.read().unwrap(), b"2");
        assert_eq!(dataset.records[2].expression, Some(Expression::Anger));
        assert_eq!(dataset.records[2].split, Some(Split::Valid));
        let unknown = |text: &str| SkipReason::UnknownLabel(text.to_owned());
        assert_eq!(
            skipped(&dataset),
            [
                ("loose.png", &unknown("")),
                ("valid/confused/d.png", &unknown("confused"))
            ]
        );
    }

    #[test]
    fn options_choose_split_and_set() {
        let fixture = Fixture::new(&[
            ("train/happy/a.jpg", ""),
            ("test/contempt/b.jpg", ""),
            ("test/fear/c.jpg", ""),
        ]);
        let options = ReadOptions {
            split: Some(Split::Test),
            set: ExpressionSet::Seven,
            ..ReadOptions::default()
        };
        let dataset = Layout::Folder.read(&fixture.path(""), &options).unwrap();
        assert_eq!(ids(&dataset), ["test/fear/c.jpg"]);
        let outside = SkipReason::OutsideSet(Expression::Contempt);
        assert_eq!(skipped(&dataset), [("test/contempt/b.jpg", &outside)]);
    }
}
