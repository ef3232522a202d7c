//! The prompts, as templates that a user can replace.

use std::path::{Path, PathBuf};

use expllm_core::{AuVector, Expression, ExpressionSet, Intensity, Side, Strength};
use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Check, CotError, Finding};

/// One message of a conversation with a language model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

impl Message {
    /// A message of this role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        let (role, content) = (role.into(), content.into());
        Self { role, content }
    }
}

/// Files that replace the built-in templates (minijinja syntax, which is that of Jinja2).
///
/// `user` and `system` know `label`, `labels` (list), `units` (list of phrases, the strongest
/// first, sides paired), `word_limit` and `examples` (list of texts); `repair` knows `findings`
/// (list with `check` and `detail`) and `word_limit`. Other variables are errors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PromptFiles {
    /// Template of the system message.
    pub system: Option<PathBuf>,
    /// Template of the first user message.
    pub user: Option<PathBuf>,
    /// Template of the message that asks for a better text.
    pub repair: Option<PathBuf>,
    /// Texts shown as examples (default none).
    pub examples: Vec<PathBuf>,
}

#[derive(Debug)]
struct Template {
    name: String,
    source: String,
}

/// What the templates of the first messages know.
const FIRST: [&str; 5] = ["label", "labels", "units", "word_limit", "examples"];

/// What the template of a repair knows.
const REPAIR: [&str; 2] = ["findings", "word_limit"];

impl Template {
    /// Refuses variables that nothing fills, also where this record would not come to them.
    fn check(&self, environment: &Environment<'_>, known: &[&str]) -> Result<(), CotError> {
        let template = environment.template_from_named_str(&self.name, &self.source);
        let template = template.map_err(|source| self.error(source))?;
        let global = |name: &str| environment.globals().any(|(global, _)| global == name);
        let used = template.undeclared_variables(false);
        let unknown = used
            .into_iter()
            .filter(|name| !known.contains(&name.as_str()) && !global(name))
            .map(|name| (self.line_of(&name), name))
            .min();
        match unknown {
            None => Ok(()),
            Some((line, variable)) => Err(CotError::UnknownVariable {
                template: self.name.clone(),
                line,
                variable,
                known: known.join(", "),
            }),
        }
    }

    /// The first line with the word, from 1.
    fn line_of(&self, name: &str) -> usize {
        let word = |c: char| !(c.is_alphanumeric() || c == '_');
        let mut lines = self.source.lines();
        lines
            .position(|line| line.split(word).any(|w| w == name))
            .map_or(1, |at| at + 1)
    }

    fn error(&self, source: minijinja::Error) -> CotError {
        CotError::Template {
            name: self.name.clone(),
            source,
        }
    }
}

/// Templates that were read and tried.
#[derive(Debug)]
pub struct Prompts {
    environment: Environment<'static>,
    system: Template,
    user: Template,
    repair: Template,
    examples: Vec<String>,
    word_limit: usize,
}

impl Prompts {
    /// Reads the templates and renders each once, so that a mistake is found before the run.
    ///
    /// # Errors
    ///
    /// [`CotError::File`], [`CotError::UnknownVariable`] or [`CotError::Template`].
    pub fn new(files: &PromptFiles, word_limit: usize) -> Result<Self, CotError> {
        let template = |file: &Option<PathBuf>, name: &str, builtin: &str| -> Result<_, CotError> {
            Ok(match file {
                None => Template {
                    name: name.to_owned(),
                    source: builtin.to_owned(),
                },
                Some(path) => Template {
                    name: path.display().to_string(),
                    source: read(path)?,
                },
            })
        };
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let prompts = Self {
            environment,
            system: template(
                &files.system,
                "system",
                include_str!("../templates/system.txt"),
            )?,
            user: template(&files.user, "user", include_str!("../templates/user.txt"))?,
            repair: template(
                &files.repair,
                "repair",
                include_str!("../templates/repair.txt"),
            )?,
            examples: files
                .examples
                .iter()
                .map(|p| read(p))
                .collect::<Result<_, CotError>>()?,
            word_limit,
        };
        let Self {
            environment,
            system,
            user,
            repair,
            ..
        } = &prompts;
        system.check(environment, &FIRST)?;
        user.check(environment, &FIRST)?;
        repair.check(environment, &REPAIR)?;
        for units in [AuVector::default(), AuVector::from_feafa_clamped([0.5; 24])] {
            prompts.first(Expression::Fear, &units, ExpressionSet::Eight)?;
        }
        prompts.repair(&[Finding::new(Check::Digits, "")])?;
        Ok(prompts)
    }

    /// The messages that ask for a chain.
    ///
    /// # Errors
    ///
    /// [`CotError::Template`] when a template fails on this record.
    pub fn first(
        &self,
        label: Expression,
        units: &AuVector,
        set: ExpressionSet,
    ) -> Result<Vec<Message>, CotError> {
        let labels: Vec<_> = set.expressions().iter().map(|e| e.name()).collect();
        let variables = context! {
            label => label.name(),
            labels,
            units => describe_units(units),
            word_limit => self.word_limit,
            examples => self.examples.clone(),
        };
        Ok(vec![
            Message::new("system", self.render(&self.system, &variables)?),
            Message::new("user", self.render(&self.user, &variables)?),
        ])
    }

    /// The message that asks for a better text.
    ///
    /// # Errors
    ///
    /// [`CotError::Template`].
    pub fn repair(&self, findings: &[Finding]) -> Result<Message, CotError> {
        let faults: Vec<Value> = findings
            .iter()
            .map(|f| context! { check => f.check.name(), detail => f.detail.clone() })
            .collect();
        let variables = context! { findings => faults, word_limit => self.word_limit };
        Ok(Message::new("user", self.render(&self.repair, &variables)?))
    }

    /// First 16 hexadecimal digits of the SHA-256 over all templates.
    #[must_use]
    pub fn hash(&self) -> String {
        let sources = [&self.system, &self.user, &self.repair].map(|t| t.source.as_str());
        let examples = self.examples.iter().map(String::as_str);
        short_hash(sources.into_iter().chain(examples).map(str::as_bytes))
    }

    fn render(&self, template: &Template, variables: &Value) -> Result<String, CotError> {
        let Template { name, source } = template;
        let text = self.environment.render_named_str(name, source, variables);
        text.map(|t| t.trim().to_owned())
            .map_err(|source| template.error(source))
    }
}

fn read(path: &Path) -> Result<String, CotError> {
    std::fs::read_to_string(path).map_err(|e| CotError::file(path, e))
}

/// First 16 hexadecimal digits of a SHA-256 over texts.
pub(crate) fn short_hash<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher
        .finalize()
        .iter()
        .take(8)
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// One phrase per movement, the strongest first: `brow lower: left strong, right slight`.
///
/// Left and right stand in one phrase and the order is by intensity, because a list in the order
/// of the units loses its tail when the model runs into the word limit.
#[must_use]
pub fn describe_units(units: &AuVector) -> Vec<String> {
    let mut phrases = Vec::new();
    let mut done = Vec::new();
    for (unit, intensity) in units.active() {
        let info = unit.info();
        if done.contains(&info.movement) {
            continue;
        }
        done.push(info.movement);
        let mirror = units[unit.mirrored()];
        let text = match info.side {
            Side::Both => strength_word(intensity).to_owned(),
            Side::Left | Side::Right if !mirror.is_active() => {
                format!(
                    "{} only, {}",
                    side_word(info.side),
                    strength_word(intensity)
                )
            }
            Side::Left => both_sides(intensity, mirror),
            Side::Right => both_sides(mirror, intensity),
        };
        phrases.push(format!("{}: {text}", info.movement));
    }
    phrases
}

fn both_sides(left: Intensity, right: Intensity) -> String {
    match left.strength() == right.strength() {
        true => format!("both sides, {}", strength_word(left)),
        false => format!(
            "left {}, right {}",
            strength_word(left),
            strength_word(right)
        ),
    }
}

const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Left => "left",
        Side::Right => "right",
        Side::Both => "both",
    }
}

fn strength_word(intensity: Intensity) -> &'static str {
    match intensity.strength() {
        Strength::Absent => "absent",
        Strength::Slight => "slight",
        Strength::Moderate => "moderate",
        Strength::Strong => "strong",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expllm_core::ActionUnit as Au;

    #[test]
    fn units_are_paired_and_ordered() {
        let mut units = AuVector::default();
        for (unit, value) in [
            (Au::JawDrop, 0.5),
            (Au::LeftBrowRaise, 0.9),
            (Au::RightBrowRaise, 0.3),
            (Au::RightLidRaise, 0.25),
            (Au::NoseWrinkle, 0.1),
        ] {
            units.set(unit, Intensity::clamped(value));
        }
        let wanted = [
            "brow raise: left strong, right slight",
            "jaw drop: moderate",
            "lid raise: right only, slight",
        ];
        assert_eq!(describe_units(&units), wanted);
        let prompts = Prompts::new(&PromptFiles::default(), 130).unwrap();
        let messages = prompts
            .first(Expression::Fear, &units, ExpressionSet::Seven)
            .unwrap();
        assert!(messages[1].content.contains("- jaw drop: moderate"));
        assert!(
            messages[1].content.contains("labelled Fear")
                && !messages[1].content.contains("Contempt")
        );
    }

    #[test]
    fn unknown_variables_are_named_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.txt");
        let refused = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let files = PromptFiles {
                user: Some(path.clone()),
                ..Default::default()
            };
            Prompts::new(&files, 130).unwrap_err().to_string()
        };
        let error = refused("first\n{{ lable }}");
        assert!(
            error.contains("mine.txt:2: no variable \"lable\""),
            "{error}"
        );
        assert!(error.contains("label, labels, units"), "{error}");
        // Also where no record may ever come to it; what templates define is known.
        let error =
            refused("{% set mine = 1 %}{{ mine }}\n\n{% if false %}{{ theirs }}{% endif %}");
        assert!(
            error.contains("mine.txt:3: no variable \"theirs\""),
            "{error}"
        );
        let error = refused("one\n{% if label %}");
        assert!(error.contains("mine.txt:2"), "{error}");
    }
}
