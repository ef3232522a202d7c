//! As much of JSON Schema as the description of the routes uses.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keywords that say nothing about values.
const NOTES: [&str; 2] = ["description", "contentMediaType"];

/// Holds values against schemas of a document, and notes which properties it has met.
pub struct Checker<'a> {
    pub document: &'a Value,
    /// Pointers to the properties met so far.
    pub met: BTreeSet<String>,
}

impl Checker<'_> {
    /// Whether a value is as the schema behind a pointer says; else where it is not.
    pub fn check(&mut self, pointer: &str, value: &Value) -> Result<(), String> {
        let document = self.document;
        let schema = document.pointer(pointer).and_then(Value::as_object);
        let schema = schema.unwrap_or_else(|| panic!("{pointer} is no schema"));
        for (keyword, wanted) in schema {
            match keyword.as_str() {
                "$ref" => self.check(wanted.as_str().unwrap().trim_start_matches('#'), value)?,
                "properties" => self.properties((pointer, wanted), value)?,
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        self.check(&format!("{pointer}/items"), item)?;
                    }
                }
                "additionalProperties" => self.additional((pointer, schema), value)?,
                "anyOf" => self.any((pointer, wanted), value)?,
                _ => holds(keyword, wanted, value).map_err(|why| format!("{pointer}: {why}"))?,
            }
        }
        Ok(())
    }

    fn properties(
        &mut self,
        (pointer, wanted): (&str, &Value),
        value: &Value,
    ) -> Result<(), String> {
        for name in wanted.as_object().unwrap().keys() {
            if let Some(value) = value.get(name) {
                let property = format!("{pointer}/properties/{name}");
                self.met.insert(property.clone());
                self.check(&property, value)?;
            }
        }
        Ok(())
    }

    fn additional(
        &mut self,
        (pointer, schema): (&str, &Map<String, Value>),
        value: &Value,
    ) -> Result<(), String> {
        let known = schema.get("properties").and_then(Value::as_object);
        let is_known = |name: &str| known.is_some_and(|known| known.contains_key(name));
        for (name, value) in value.as_object().into_iter().flatten() {
            if is_known(name) {
                continue;
            }
            if schema["additionalProperties"] == Value::Bool(false) {
                return Err(format!("{pointer}: {name} is not described"));
            }
            self.check(&format!("{pointer}/additionalProperties"), value)?;
        }
        Ok(())
    }

    fn any(&mut self, (pointer, wanted): (&str, &Value), value: &Value) -> Result<(), String> {
        let mut reasons = Vec::new();
        for index in 0..wanted.as_array().unwrap().len() {
            // What a choice that does not fit has met does not count.
            let met = self.met.clone();
            match self.check(&format!("{pointer}/anyOf/{index}"), value) {
                Ok(()) => return Ok(()),
                Err(why) => reasons.push(why),
            }
            self.met = met;
        }
        Err(reasons.join("; "))
    }
}

/// Keywords about the value alone.
fn holds(keyword: &str, wanted: &Value, value: &Value) -> Result<(), String> {
    let number = |test: fn(f64, f64) -> bool, of: Option<f64>| {
        of.is_none_or(|of| test(of, wanted.as_f64().unwrap()))
    };
    let length = value.as_array().map(|items| items.len() as f64);
    let fine = match keyword {
        "type" => match wanted {
            Value::Array(types) => types.iter().any(|kind| is(value, kind.as_str().unwrap())),
            kind => is(value, kind.as_str().unwrap()),
        },
        "enum" => wanted.as_array().unwrap().contains(value),
        "required" => {
            let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
            !value.is_object() || wanted.as_array().unwrap().iter().all(has)
        }
        "minimum" => number(|a, b| a >= b, value.as_f64()),
        "maximum" => number(|a, b| a <= b, value.as_f64()),
        "minItems" => number(|a, b| a >= b, length),
        "maxItems" => number(|a, b| a <= b, length),
        note if NOTES.contains(&note) => true,
        other => panic!("the keyword {other} is not checked here"),
    };
    if fine {
        Ok(())
    } else {
        Err(format!("{keyword} {wanted} is not met by {value}"))
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type {other}"),
    }
}

#[test]
fn values_that_break_a_schema_are_found() {
    let document = serde_json::json!({
        "a": {"type": "object", "properties": {"n": {"$ref": "#/n"}}, "required": ["n"],
            "additionalProperties": false},
        "n": {"type": ["integer", "null"], "minimum": 1, "enum": [1, 2, null]},
        "l": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#/a"}]}, "minItems": 1},
    });
    let mut checker = Checker {
        document: &document,
        met: BTreeSet::new(),
    };
    for (pointer, text, fine) in [
        ("/a", r#"{"n": 1}"#, true),
        ("/a", r#"{"n": null}"#, true),
        ("/a", r#"{"n": 0}"#, false),
        ("/a", r#"{"n": 3}"#, false),
        ("/a", r#"{}"#, false),
        ("/a", r#"{"n": 1, "m": 1}"#, false),
        ("/a", "[]", false),
        ("/l", r#"["x", {"n": 2}]"#, true),
        ("/l", "[]", false),
        ("/l", "[1]", false),
    ] {
        let value = serde_json::from_str(text).unwrap();
        assert_eq!(
            checker.check(pointer, &value).is_ok(),
            fine,
            "{pointer} {text}"
        );
    }
    assert!(checker.met.contains("/a/properties/n"));
}
