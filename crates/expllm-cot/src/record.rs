//! The records that go into and come out of the engine.

use expllm_core::{ActionUnit, AuVector, Expression, UnitTool};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Finding, Row};

/// One labelled face with its action units, and its description when there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct CotRecord {
    /// Path of the image below the image root.
    pub file_name: String,
    /// The label.
    pub label: Expression,
    /// Intensities of the units; `None` where the source has none.
    pub units: Option<AuVector>,
    /// The chain of thought as text.
    pub description: Option<String>,
}

impl CotRecord {
    /// Reads one JSON object: the official keys (`file_name`, `emo`, `au`, `description`), or a
    /// LLaVA / ShareGPT conversation (`image`, `conversations`).
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with which key, or why a build rejected the record.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        if text("status") == Some(Status::Rejected.name()) {
            let reason = text("error").unwrap_or("no reason given");
            return Err(format!("rejected when it was built: {reason}"));
        }
        let file_name = text("file_name").or_else(|| text("image"));
        let file_name = file_name.ok_or("no file_name")?.to_owned();
        check_path(&file_name)?;
        let turns = conversation(value);
        let label = match text("emo").or_else(|| text("label")) {
            Some(name) => Some(name.parse::<Expression>().map_err(|e| e.to_string())?),
            None => turns.iter().find_map(|turn| turn.parse().ok()),
        };
        let chain = |turn: &&&str| turn.parse::<expllm_core::ChainOfThought>().is_ok();
        let description = text("description")
            .or_else(|| turns.iter().find(chain).copied())
            .map(str::to_owned);
        Ok(Self {
            label: label.ok_or("no emo (the expression label)")?,
            units: units(value.get("au"))?.or_else(|| blendshapes(value)),
            file_name,
            description,
        })
    }
}

/// The answers of a conversation, in order.
fn conversation(value: &Value) -> Vec<&str> {
    let turns = value.get("conversations").and_then(Value::as_array);
    turns
        .into_iter()
        .flatten()
        .filter(|turn| matches!(turn["from"].as_str(), Some("gpt" | "assistant")))
        .filter_map(|turn| turn["value"].as_str())
        .collect()
}

fn units(value: Option<&Value>) -> Result<Option<AuVector>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(entries)) => {
            if entries.len() != ActionUnit::FEAFA_COUNT {
                let expected = ActionUnit::FEAFA_COUNT;
                return Err(format!(
                    "au needs {expected} numbers, found {}",
                    entries.len()
                ));
            }
            let numbers: Option<Vec<f32>> = entries
                .iter()
                .map(|v| v.as_f64().map(|f| f as f32))
                .collect();
            let numbers = numbers.ok_or("au holds something that is not a number")?;
            let units = AuVector::from_feafa(&numbers).map_err(|e| format!("au: {e}"))?;
            Ok(Some(units))
        }
        Some(named) => serde_json::from_value(named.clone())
            .map(Some)
            .map_err(|e| format!("au: {e}")),
    }
}

/// Units from blendshapes: a map from name to score, or MediaPipe's list of categories, which
/// stands alone or as the first of several faces.
fn blendshapes(value: &Value) -> Option<AuVector> {
    let found = ["blendshapes", "face_blendshapes", "faceBlendshapes"];
    let found = found.iter().find_map(|key| value.get(*key))?;
    let found = match found.get(0) {
        Some(face @ Value::Array(_)) => face,
        Some(face) => face.get("categories").unwrap_or(found),
        None => found,
    };
    let name = |entry: &Value, name: &str| {
        let keys = ["categoryName", "category_name"];
        keys.iter().any(|key| entry[*key].as_str() == Some(name))
    };
    let score = |wanted: &str| match found {
        Value::Array(entries) => entries.iter().find(|e| name(e, wanted))?["score"].as_f64(),
        map => map.get(wanted)?.as_f64(),
    };
    let units = UnitTool::MediaPipe.units(|wanted| score(wanted).map(|v| v as f32));
    units.iter().next().is_some().then_some(units)
}

/// Paths must stay below the image root.
fn check_path(path: &str) -> Result<(), String> {
    let outside = path.is_empty()
        || path.starts_with(['/', '\\'])
        || path.contains(['\0', '\n'])
        || path.get(1..2) == Some(":")
        || path.split(['/', '\\']).any(|part| part == "..");
    match outside {
        true => Err(format!("file_name {path:?} leaves the image root")),
        false => Ok(()),
    }
}

/// How a record ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The writer's text passed all checks.
    Checked,
    /// The writer failed; the composer's text stands in.
    Composed,
    /// The writer failed; the last text, if any, is kept beside its findings.
    SetAside,
    /// The input record itself cannot be used.
    Rejected,
}

impl Status {
    /// Name in files and tables, such as `set_aside`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checked => "checked",
            Self::Composed => "composed",
            Self::SetAside => "set_aside",
            Self::Rejected => "rejected",
        }
    }
}

/// One line of a built data set: official keys and full provenance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuiltRecord {
    /// Place in the input, from 0, over all shards.
    pub index: u64,
    /// Path of the image below the image root; empty when it could not be read.
    pub file_name: String,
    /// The label.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub emo: Option<Expression>,
    /// Intensities of the units: a list where they are the 24 of FEAFA, by name otherwise.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        with = "expllm_core::au_form"
    )]
    pub au: Option<AuVector>,
    /// The chain of thought in canonical form.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// How the record ended.
    pub status: Status,
    /// Name of the writer whose text this is.
    pub writer: String,
    /// Model that was asked, as its server or folder names it, if any; also where the composer's
    /// text stands in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<String>,
    /// First 16 hexadecimal digits of the SHA-256 of the first prompt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prompt_hash: Option<String>,
    /// First 16 hexadecimal digits of the SHA-256 of what the text was made of: name, label,
    /// units, and the image where pixels decide.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub input: Option<String>,
    /// How many texts the writer was asked for.
    pub attempts: u32,
    /// Findings of the last text of the writer.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub findings: Vec<Finding>,
    /// Why there is no text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// Tokens of all prompts and answers, as the server counts them.
    #[serde(skip_serializing_if = "Usage::is_zero", default)]
    pub usage: Usage,
}

impl BuiltRecord {
    /// A record of a file that this crate did not write, at its place in the file.
    #[must_use]
    pub fn given(index: u64, record: CotRecord) -> Self {
        Self {
            emo: Some(record.label),
            au: record.units,
            description: record.description,
            ..Self::empty(index, record.file_name, Status::Checked)
        }
    }

    /// A record that cannot be used, with the reason.
    #[must_use]
    pub fn rejected(index: u64, file_name: String, reason: String) -> Self {
        Self {
            error: Some(reason),
            ..Self::empty(index, file_name, Status::Rejected)
        }
    }

    /// The record of a row: with its provenance where the row has it, else
    /// [`given`](Self::given) or [`rejected`](Self::rejected).
    #[must_use]
    pub fn of_row(index: u64, row: Row) -> Self {
        if row.raw.get("status").is_some()
            && let Ok(record) = Self::deserialize(&row.raw)
        {
            return record;
        }
        let (line, name) = (row.line, row.name().to_owned());
        match row.record {
            Ok(record) => Self::given(index, record),
            Err(reason) => Self::rejected(index, name, format!("line {line}: {reason}")),
        }
    }

    fn empty(index: u64, file_name: String, status: Status) -> Self {
        Self {
            index,
            file_name,
            emo: None,
            au: None,
            description: None,
            status,
            writer: String::new(),
            model: None,
            prompt_hash: None,
            input: None,
            attempts: 0,
            findings: Vec::new(),
            error: None,
            usage: Usage::default(),
        }
    }
}

/// Tokens spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompts.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens of the answers.
    #[serde(default)]
    pub completion_tokens: u64,
}

impl Usage {
    fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        let sum = self
            .completion_tokens
            .saturating_add(other.completion_tokens);
        self.completion_tokens = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bad_records_are_named() {
        let bad = [
            (json!({}), "no file_name"),
            (
                json!({"file_name": "../x.jpg", "emo": "Fear"}),
                "leaves the image root",
            ),
            (
                json!({"file_name": "C:\\x.jpg", "emo": "Fear"}),
                "leaves the image root",
            ),
            (json!({"file_name": "x.jpg"}), "no emo"),
            (
                json!({"file_name": "x.jpg", "emo": "Ennui"}),
                "unknown expression",
            ),
            (
                json!({"file_name": "x.jpg", "emo": "Fear", "au": [0.5]}),
                "24 numbers, found 1",
            ),
            (
                json!({"file_name": "x.jpg", "emo": "Fear", "au": vec![7.0; 24]}),
                "from 0 to 1",
            ),
            (
                json!({"file_name": "x.jpg", "emo": "Fear", "au": {"smile": 1.0}}),
                "au:",
            ),
        ];
        for (value, reason) in bad {
            let error = CotRecord::from_json(&value).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
