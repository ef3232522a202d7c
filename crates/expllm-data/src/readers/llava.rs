//! Conversations over images: LLaVA and ShareGPT JSON, with the extra keys of EmoLA.
//!
//! Records are `{image, conversations: [{from: human|gpt, value}, ...]}`; EmoLA adds `label`
//! (an expression, or AU numbers such as `1, 4, 9`) and `gpt4` (the reference text). Where there
//! is no `label`, an answer that is one word and the name of an expression is the label, and the
//! description is the first of the other answers. `expllm cot merge` adds `au`.

use std::path::Path;

use expllm_core::Expression;
use expllm_core::au_form::AuForm;
use serde::Deserialize;
use serde_json::Value;

use crate::dataset::Gather;
use crate::{
    DataError, Dataset, FacsLabel, FacsUnit, Layout, ReadOptions, Record, SkipReason, Split, Tree,
};

#[derive(Deserialize)]
struct Sample {
    image: String,
    #[serde(default)]
    conversations: Vec<Value>,
    label: Option<String>,
    gpt4: Option<String>,
    au: Option<AuForm>,
}

/// Reads every `.json` array of the root, or the one file that `root` is.
pub(crate) fn read(root: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    let (tree, files) = Tree::open_files(root, "json")?;
    if files.is_empty() {
        return Err(DataError::NotThisLayout {
            root: root.to_path_buf(),
            layout: Layout::Llava.name(),
            expected: "conversation file with the extension .json",
        });
    }
    let mut gather = Gather::new(options);
    for file in &files {
        let samples: Vec<Value> =
            serde_json::from_str(&tree.read_text(file)?).map_err(|e| DataError::Malformed {
                path: tree.locate(file),
                reason: e.to_string(),
            })?;
        let split = file.split(['/', '_', '-', '.']).find_map(Split::from_name);
        for (index, value) in samples.iter().enumerate() {
            match Sample::deserialize(value) {
                Ok(sample) => add(&tree, sample, split, &mut gather),
                Err(e) => {
                    let item = format!("{file}[{index}]");
                    gather.skip(&item, split, SkipReason::Malformed(e.to_string()));
                }
            }
        }
    }
    Ok(gather.finish(Layout::Llava, &tree))
}

fn add(tree: &Tree, sample: Sample, split: Option<Split>, gather: &mut Gather<'_>) {
    let answers = || {
        let of_model = |turn: &&Value| matches!(turn["from"].as_str(), Some("gpt" | "assistant"));
        let turns = sample.conversations.iter().filter(of_model);
        turns.filter_map(|turn| turn["value"].as_str())
    };
    let named = answers().find(|text| text.trim().parse::<Expression>().is_ok());
    let label_text = sample.label.as_deref().or(named).map(str::to_owned);
    let label = label_text.as_deref().unwrap_or_default().trim();
    let expression = label.parse().ok();
    let numbers: Result<Vec<FacsUnit>, _> = label
        .split(',')
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map(str::parse)
        .collect();
    let facs = match (expression, numbers) {
        (Some(_), _) => Default::default(),
        (None, Ok(units)) => units.into_iter().map(|u| (u, FacsLabel::Present)).collect(),
        (None, Err(_)) => {
            gather.skip(
                &sample.image,
                split,
                SkipReason::UnknownLabel(label.to_owned()),
            );
            return;
        }
    };
    let units = sample.au.map(AuForm::units).transpose();
    let action_units = match units {
        Ok(units) => units,
        Err(e) => {
            let reason = SkipReason::Malformed(e.to_string());
            gather.skip(&sample.image, split, reason);
            return;
        }
    };
    let Some(image) = gather.image(tree, &sample.image, split) else {
        return;
    };
    let description = answers().find(|text| Some(*text) != named);
    let description = description.map(str::to_owned);
    gather.add(Record {
        split,
        expression,
        facs,
        action_units,
        description: sample.gpt4.or(description),
        label_text,
        ..Record::new(sample.image, image)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::testing::{Fixture, ids, skipped};

    #[test]
    fn conversations_and_labels_are_read() {
        let json = r#"[
            {"image": "a.jpg", "label": "happiness", "gpt4": "reference", "conversations": []},
            {"image": "b.jpg", "label": "1, 4, 9", "conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "said"}]},
            {"image": "e.jpg", "au": [0,0,0,0,0,0,0,0,0.5,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0], "conversations": [
                {"from": "gpt", "value": "a chain"}, {"from": "human", "value": "label?"}, {"from": "gpt", "value": "Sadness"}]},
            {"image": "f.jpg", "au": [7]},
            {"image": "c.jpg", "label": "puzzled"},
            {"image": "d.jpg"},
            {"id": 7}
        ]"#;
        let fixture = Fixture::new(&[
            ("eval_test.json", json),
            ("a.jpg", "1"),
            ("b.jpg", "2"),
            ("c.jpg", "3"),
            ("e.jpg", "5"),
        ]);
        let dataset = fixture.read(Layout::Llava);
        assert_eq!(ids(&dataset), ["a.jpg", "b.jpg", "e.jpg"]);
        let last = &dataset.records[2];
        assert_eq!(last.expression, Some(Expression::Sadness));
        assert_eq!(last.description.as_deref(), Some("a chain"));
        assert_eq!(last.action_units.unwrap().values()[8], 0.5);
        assert_eq!(dataset.records[0].expression, Some(Expression::Happiness));
        assert_eq!(dataset.records[0].description.as_deref(), Some("reference"));
        assert_eq!(dataset.records[1].facs.len(), 3);
        assert_eq!(dataset.records[1].description.as_deref(), Some("said"));
        let kinds: Vec<_> = skipped(&dataset).iter().map(|(_, r)| r.kind()).collect();
        assert_eq!(
            kinds,
            ["malformed", "unknown label", "missing image", "malformed"]
        );
    }
}
