//! Micro-expressions: CASME II (Yan et al. 2014) and SAMM (Davison et al. 2018); research use.
//!
//! Their codings are workbooks; save the sheet as CSV with its header row first. Each clip gives
//! its apex frame: `sub01/EP02_01f/img46.jpg` (also `reg_img46.jpg`) and
//! `006/006_1_2/006_05562.jpg`, below any folder.

use std::collections::BTreeMap;
use std::path::Path;

use crate::dataset::Gather;
use crate::readers::table::{Row, Table};
use crate::{
    DataError, Dataset, FacsLabel, FacsUnit, Layout, ReadOptions, Record, SkipReason, Tree,
};

/// Reads CASME II.
pub(crate) fn read_casme2(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    read(root, options, Layout::Casme2, |subject| {
        match subject.parse::<u32>() {
            Ok(number) => format!("sub{number:02}"),
            Err(_) => subject.to_owned(),
        }
    })
}

/// Reads SAMM.
pub(crate) fn read_samm(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    read(root, options, Layout::Samm, |subject| {
        match subject.parse::<u32>() {
            Ok(number) => format!("{number:03}"),
            Err(_) => subject.to_owned(),
        }
    })
}

fn read(
    root: &Path,
    options: &ReadOptions,
    layout: Layout,
    folder_of: impl Fn(&str) -> String,
) -> Result<Dataset, DataError> {
    let tree = Tree::open(root)?;
    let coding = tree
        .files()
        .find(|f| !f.contains('/') && f.to_ascii_lowercase().ends_with(".csv"));
    let Some(coding) = coding else {
        return Err(DataError::NotThisLayout {
            root: root.to_path_buf(),
            layout: layout.name(),
            expected: "coding sheet saved as CSV beside the frames",
        });
    };
    let table = Table::read(&tree, coding)?;
    let subject = table.needs(&tree, coding, &["subject"])?;
    let clip = table.needs(&tree, coding, &["filename"])?;
    let apex = table.needs(&tree, coding, &["apexframe", "apex frame", "apexf"])?;
    let emotion = table.needs(&tree, coding, &["estimated emotion"])?;
    let units = table.column(&["action units"]);
    let frames = frames(&tree);
    let mut gather = Gather::new(options);
    for row in table.rows(coding, &mut gather) {
        let subject = folder_of(row.get(subject));
        let item = format!("{subject}/{}", row.get(clip));
        let Ok(frame) = row.get(apex).parse::<u32>() else {
            let reason = SkipReason::MissingAnnotation("no apex frame".into());
            gather.skip(&item, None, reason);
            continue;
        };
        let images = frames.get(&(item.clone(), frame));
        let Some((path, others)) = images.and_then(|images| images.split_first()) else {
            gather.skip(&item, None, SkipReason::MissingImage);
            continue;
        };
        for other in others {
            gather.skip(other, None, SkipReason::Duplicate);
        }
        let codes = match codes(row, units.map(|u| row.get(u)).unwrap_or_default()) {
            Ok(codes) => codes,
            Err(reason) => {
                gather.skip(&item, None, SkipReason::Malformed(reason));
                continue;
            }
        };
        let Some(image) = gather.image(&tree, path, None) else {
            continue;
        };
        let label = row.get(emotion);
        gather.add(Record {
            subject: Some(subject),
            // Repression and others are labels of their own that are no basic expression.
            expression: label.parse().ok(),
            label_text: Some(label.to_owned()),
            facs: codes,
            frame: Some(frame),
            ..Record::new(*path, image)
        });
    }
    Ok(gather.finish(layout, &tree))
}

/// Images by clip (`subject/clip`) and frame number; several where the frames lie there raw and
/// cropped.
fn frames(tree: &Tree) -> BTreeMap<(String, u32), Vec<&str>> {
    let key = |path: &str| {
        let mut parts = path.rsplit('/');
        let (name, clip, subject) = (parts.next()?, parts.next()?, parts.next()?);
        let stem = name.rsplit_once('.')?.0;
        let start = stem.len() - stem.bytes().rev().take_while(u8::is_ascii_digit).count();
        Some((format!("{subject}/{clip}"), stem[start..].parse().ok()?))
    };
    let mut frames: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for path in tree.images() {
        if let Some(key) = key(path) {
            frames.entry(key).or_default().push(path);
        }
    }
    frames
}

/// Codes such as `4+L14+R2`, with `or` between doubtful ones; a trailing letter is a grade.
fn codes(row: &Row, text: &str) -> Result<BTreeMap<FacsUnit, FacsLabel>, String> {
    let mut codes = BTreeMap::new();
    let parts = text.split(['+', ',']).flat_map(|part| part.split("or"));
    for part in parts
        .map(str::trim)
        .filter(|part| !part.is_empty() && *part != "?")
    {
        let plain = part.trim_end_matches(['?', '*', 'A', 'B', 'C', 'D', 'E']);
        let unit: FacsUnit = plain
            .trim()
            .parse()
            .map_err(|e| format!("line {}: {e}", row.line))?;
        codes.insert(unit, FacsLabel::Present);
    }
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use expllm_core::Expression;

    use super::*;
    use crate::readers::testing::{Fixture, ids, skipped};

    #[test]
    fn casme2_gives_the_apex() {
        let fixture = Fixture::new(&[
            (
                "coding.csv",
                "Subject,Filename,,OnsetFrame,ApexFrame,OffsetFrame,,Action Units,Estimated Emotion\n\
                 1,EP02_01f,,46,59,86,,12,happiness\n1,EP03_02,,131,/,161,,L4+R2,repression\n\
                 2,EP01_1,,1,2,3,,4+L14,others\n2,EP09,,1,2,3,,4,others\n2,EP02_1,,1,2,3,,smile,others\n",
            ),
            ("Cropped/sub01/EP02_01f/reg_img59.jpg", "1"),
            ("Cropped/sub01/EP02_01f/reg_img60.jpg", "1"),
            ("Raw/sub01/EP02_01f/img59.jpg", "1"),
            ("Cropped/sub02/EP01_1/reg_img2.jpg", "2"),
            ("Cropped/sub02/EP02_1/reg_img2.jpg", "2"),
        ]);
        let dataset = fixture.read(Layout::Casme2);
        let wanted = [
            "Cropped/sub01/EP02_01f/reg_img59.jpg",
            "Cropped/sub02/EP01_1/reg_img2.jpg",
        ];
        assert_eq!(ids(&dataset), wanted);
        assert_eq!(dataset.records[0].expression, Some(Expression::Happiness));
        assert_eq!(dataset.records[1].label_text.as_deref(), Some("others"));
        assert!(
            dataset.records[1]
                .facs
                .contains_key(&"L14".parse().unwrap())
        );
        let kinds: Vec<_> = skipped(&dataset).iter().map(|(_, r)| r.kind()).collect();
        let wanted = [
            "duplicate name",
            "missing annotation",
            "missing image",
            "malformed",
        ];
        assert_eq!(kinds, wanted);
    }

    #[test]
    fn samm_has_subjects_of_three_digits() {
        let fixture = Fixture::new(&[
            (
                "samm.csv",
                "Subject,Filename,Onset Frame,Apex Frame,Offset Frame,Action Units,Estimated Emotion\n\
                 6,006_1_2,5562,5588,5632,4B+7,Anger\n",
            ),
            ("006/006_1_2/006_05588.jpg", "1"),
        ]);
        let dataset = fixture.read(Layout::Samm);
        assert_eq!(ids(&dataset), ["006/006_1_2/006_05588.jpg"]);
        assert_eq!(dataset.records[0].expression, Some(Expression::Anger));
        assert_eq!(dataset.records[0].facs.len(), 2);
    }
}
