//! Conversations of any language model, as its own template words them.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, context};
use serde::Serialize;

use crate::ModelError;

/// File name beside the weights, as transformers names it.
pub(crate) const CHAT_FILE: &str = "chat_template.jinja";

/// No published template is a hundredth as long.
pub(crate) const MAX_TEMPLATE_BYTES: u64 = 1 << 20;

/// Instructions after which a template is taken to run for ever.
const MAX_INSTRUCTIONS: u64 = 1_000_000;

const NAME: &str = "chat template";

/// Words of one side of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChatMessage {
    /// Who speaks: `system`, `user` or `assistant`; templates may know others.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl ChatMessage {
    /// What the model is and how it should answer.
    pub fn system(content: impl Into<String>) -> Self {
        Self::of("system", content.into())
    }

    /// What is asked.
    pub fn user(content: impl Into<String>) -> Self {
        Self::of("user", content.into())
    }

    /// What the model answered before.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::of("assistant", content.into())
    }

    fn of(role: &str, content: String) -> Self {
        let role = role.to_owned();
        Self { role, content }
    }
}

/// The template that a model was tuned with, in the language of Jinja as transformers reads it.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    /// The texts of the tokens that begin and end, which templates may name.
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Reads a template; `bos` and `eos` are the texts of the tokens that begin and end.
    ///
    /// # Errors
    ///
    /// [`ModelError::Prompt`] with the line that cannot be read.
    pub fn new(
        source: impl Into<String>,
        bos: impl Into<String>,
        eos: impl Into<String>,
    ) -> Result<Self, ModelError> {
        let source = source.into();
        let mut environment = Environment::new();
        environment.set_syntax(syntax().map_err(|error| fault(&error))?);
        environment.set_fuel(Some(MAX_INSTRUCTIONS));
        environment.add_function("raise_exception", raise);
        (environment.add_template_owned(NAME, source.clone())).map_err(|error| fault(&error))?;
        Ok(Self {
            environment,
            source,
            bos: bos.into(),
            eos: eos.into(),
        })
    }

    /// The template as it was read.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text of a conversation, up to where the model answers.
    ///
    /// # Errors
    ///
    /// [`ModelError::Prompt`] when the template refuses the conversation or asks for what is not
    /// there.
    pub fn prompt(&self, messages: &[ChatMessage]) -> Result<String, ModelError> {
        let context = context! {
            messages => Serde(messages),
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        let template = self.environment.get_template(NAME);
        template
            .and_then(|template| template.render(context))
            .map_err(|error| fault(&error))
    }
}

/// Lines that hold a block alone leave no trace, as transformers reads templates.
fn syntax() -> Result<SyntaxConfig, Error> {
    (SyntaxConfig::builder().trim_blocks(true))
        .lstrip_blocks(true)
        .build()
}

/// How templates refuse a conversation.
fn raise(message: String) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

fn fault(error: &Error) -> ModelError {
    ModelError::Prompt(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate::new(source, "<s>", "</s>").unwrap()
    }

    #[test]
    fn messages_stand_as_the_template_words_them() {
        let template = template(
            "{{ bos_token }}{% for message in messages %}\n\
             {% if loop.first and messages[0]['role'] != 'system' %}\n\
             [system]Help.\n\
             {% endif %}\n\
             {{ '[' + message['role'] + ']' + message['content'] }}\n\
             {% endfor %}\n\
             {% if add_generation_prompt %}[assistant]{% endif %}",
        );
        let question = ChatMessage::user("Why?");
        let alone = template.prompt(std::slice::from_ref(&question)).unwrap();
        assert_eq!(alone, "<s>[system]Help.\n[user]Why?\n[assistant]");
        let whole = [
            ChatMessage::system("Be brief."),
            question,
            ChatMessage::assistant("So."),
        ];
        let whole = template.prompt(&whole).unwrap();
        assert_eq!(
            whole,
            "<s>[system]Be brief.\n[user]Why?\n[assistant]So.\n[assistant]"
        );
    }

    #[test]
    fn templates_that_fail_say_why() {
        assert!(ChatTemplate::new("{% for %}", "", "").is_err());
        let refuses = template("{{ raise_exception('roles must alternate') }}");
        let message = refuses.prompt(&[]).unwrap_err().to_string();
        assert!(message.contains("roles must alternate"), "{message}");
        let endless = template(
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}",
        );
        assert!(endless.prompt(&[]).is_err());
    }
}
