//! The words and separators of a conversation: `prompt.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Task;
use crate::ModelError;
use crate::checkpoint::files;

/// File name beside the weights.
pub(crate) const PROMPT_FILE: &str = "prompt.toml";
const MAX_FILE_BYTES: u64 = 1 << 20;
const PATCHES: &str = "{patches}";

/// Which tokens of a training conversation are trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LabelMask {
    /// Each answer and the separator after it.
    #[default]
    Answers,
    /// What the token counts of the reference select. They are the same tokens while the
    /// tokenizer knows the separator after an answer as one token; else each turn begins some
    /// tokens early, for each piece of the separator beyond the first.
    Lengths,
}

/// The texts of one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskText {
    /// What the task is.
    pub description: String,
    /// How it is asked for.
    pub question: String,
}

/// Everything of a conversation but the answers.
///
/// The [`Default`] is worded by this project. A model answers well only in the words that it was
/// trained with, so each checkpoint folder carries its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptTemplate {
    /// The first words.
    pub system: String,
    /// What stands after them.
    pub after_system: String,
    /// The image, with `{patches}` once.
    pub image: String,
    /// The token of one patch.
    pub image_token: String,
    /// Who speaks: task, user, model.
    pub roles: [String; 3],
    /// What stands between a role and its words.
    pub role_separator: String,
    /// What stands after the words of each role.
    pub separators: [String; 3],
    /// The end of a prompt; begins the text of the model's role.
    pub open_answer: String,
    /// Which tokens are trained.
    #[serde(default)]
    pub label_mask: LabelMask,
    /// The tasks that the model knows; explanation and expression always.
    pub tasks: BTreeMap<Task, TaskText>,
}

impl Default for PromptTemplate {
    fn default() -> Self {
        // A test reads the same text with `from_toml`, so that this cannot go wrong unseen.
        Self::from_toml(include_str!("prompt.toml")).unwrap_or_else(|error| {
            unreachable!("the built-in conversation template is valid: {error}")
        })
    }
}

impl PromptTemplate {
    /// Reads the text of a `prompt.toml`.
    ///
    /// # Errors
    ///
    /// [`ModelError::Prompt`] with what is missing, unknown or contradictory.
    pub fn from_toml(text: &str) -> Result<Self, ModelError> {
        let template: Self =
            toml::from_str(text).map_err(|error| ModelError::Prompt(error.to_string()))?;
        template.validate()?;
        Ok(template)
    }

    /// Reads `prompt.toml` in a checkpoint folder; `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`] and [`ModelError::Format`] with the file.
    pub fn open(dir: &Path) -> Result<Option<Self>, ModelError> {
        let path = dir.join(PROMPT_FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let text = String::from_utf8(files::read_limited(&path, MAX_FILE_BYTES)?)
            .map_err(|_| ModelError::format(&path, "not UTF-8"))?;
        let template = Self::from_toml(&text);
        template
            .map(Some)
            .map_err(|error| ModelError::format(&path, error.to_string()))
    }

    /// Writes `prompt.toml` into a folder.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`] when it cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), ModelError> {
        let text =
            toml::to_string_pretty(self).map_err(|error| ModelError::Prompt(error.to_string()))?;
        files::write(&dir.join(PROMPT_FILE), text.as_bytes())
    }

    /// Checks that a conversation can be made and taken apart again.
    ///
    /// # Errors
    ///
    /// [`ModelError::Prompt`] with the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        let problem = |text: String| Err(ModelError::Prompt(text));
        if self.image.matches(PATCHES).count() != 1 {
            return problem(format!("`image` needs {PATCHES} exactly once"));
        }
        if self.image_token.is_empty() || self.separators[2].is_empty() {
            return problem("`image_token` and the last of `separators` cannot be empty".into());
        }
        if self.open_answer.is_empty() || !self.answer_begin().starts_with(&self.open_answer) {
            return problem(format!(
                "`open_answer` must begin {:?}, the role and separator before an answer",
                self.answer_begin()
            ));
        }
        for task in [Task::Explanation, Task::Expression] {
            if !self.tasks.contains_key(&task) {
                return problem(format!("[tasks.{}] is missing", task.name()));
            }
        }
        let fixed = [&self.system, &self.after_system].into_iter().chain(
            self.tasks
                .values()
                .flat_map(|t| [&t.description, &t.question]),
        );
        for text in fixed {
            self.check_free_text("a text of the template", text)?;
        }
        Ok(())
    }

    /// What stands between the end of a prompt and the first letter of an answer; a space.
    #[must_use]
    pub fn answer_lead(&self) -> String {
        let begin = self.answer_begin();
        begin.strip_prefix(&self.open_answer).unwrap_or("").into()
    }

    /// Role and separator before an answer.
    pub(super) fn answer_begin(&self) -> String {
        format!("{}{}", self.roles[2], self.role_separator)
    }

    /// Everything before the first task.
    pub(super) fn head(&self, patches: usize) -> String {
        let image = self
            .image
            .replacen(PATCHES, &self.image_token.repeat(patches), 1);
        format!("{}{}{image}", self.system, self.after_system)
    }

    /// The turn of a task up to the model's role, which is not part of it.
    pub(super) fn question(&self, task: Task) -> Result<String, ModelError> {
        let text = self.tasks.get(&task).ok_or_else(|| {
            ModelError::Prompt(format!(
                "[tasks.{}] is missing; add its description and question to {PROMPT_FILE}",
                task.name()
            ))
        })?;
        let [task_role, user_role, _] = &self.roles;
        let between = &self.role_separator;
        let [after_task, after_user, _] = &self.separators;
        Ok(format!(
            "{task_role}{between}{}{after_task}{user_role}{between}{}{after_user}",
            text.description, text.question
        ))
    }

    /// Refuses text that would end a turn or stand for a patch.
    pub(super) fn check_free_text(&self, what: &str, text: &str) -> Result<(), ModelError> {
        let answer = format!("{}{}", self.separators[1], self.answer_begin());
        let reserved = [&self.image_token, &self.separators[2], &answer];
        match reserved
            .into_iter()
            .find(|word| text.contains(word.as_str()))
        {
            Some(word) => Err(ModelError::Prompt(format!(
                "{what} contains {word:?}, which belongs to the template"
            ))),
            None => Ok(()),
        }
    }
}
