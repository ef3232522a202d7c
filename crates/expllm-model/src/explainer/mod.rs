//! The model as a stage of the pipeline: a face and a question in, words out.

mod batch;
mod fit;
mod label;
mod pixels;
mod reader;
mod run;
mod stage;

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use expllm_core::{
    AlignedFace, AuVector, ExplainQuestion, ExplanationEvent, Expression, ExpressionProbabilities,
    ExpressionSet, JudgedFace, Photo,
};

pub use expllm_core::Explanation;
use fit::check_tokenizer;
pub use pixels::{FacePixels, PreparePixels};
pub use reader::ChainReader;
use run::Run;

use crate::checkpoint::Checkpoint;
use crate::conversation::{PromptTemplate, Task, Turn};
use crate::generation::{
    CancelToken, GenerationSettings, GuessCounts, Phrases, Prefix, Verification,
};
use crate::{LoadOptions, ModelError, Network, Tokenizer};

/// A model with everything that turns faces into its input and its output into chains. A clone
/// shares its weights.
#[derive(Clone)]
pub struct ExpLlmExplainer {
    model: Network,
    tokenizer: Tokenizer,
    template: PromptTemplate,
    settings: GenerationSettings,
    set: ExpressionSet,
    pixels: Arc<dyn PreparePixels>,
    verification: Option<Verification>,
    /// Of the chains so far; `None` where nothing is guessed from them.
    phrases: Option<Phrases>,
}

impl ExpLlmExplainer {
    /// An explainer that answers with the expressions of a set.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] when tokenizer and template belong to another model,
    /// [`ModelError::Generation`] for settings out of range.
    pub fn new(
        model: impl Into<Network>,
        (tokenizer, template): (Tokenizer, PromptTemplate),
        settings: GenerationSettings,
        set: ExpressionSet,
        pixels: impl PreparePixels + 'static,
    ) -> Result<Self, ModelError> {
        let model = model.into();
        check_tokenizer(model.config(), &tokenizer, &template)?;
        settings.validate()?;
        // What was explained before must not change what is said.
        let guesses = model.decoder.few_are_exact();
        Ok(Self {
            model,
            tokenizer,
            template,
            settings,
            set,
            pixels: Arc::new(pixels),
            verification: None,
            phrases: guesses.then(Phrases::default),
        })
    }

    /// An explainer with everything that a checkpoint folder holds.
    ///
    /// # Errors
    ///
    /// As [`Network::load`] and [`new`](Self::new); [`ModelError::Tokenizer`] when the folder has
    /// none.
    pub fn load(
        checkpoint: Checkpoint,
        options: &LoadOptions,
        device: &Device,
        set: ExpressionSet,
        pixels: impl PreparePixels + 'static,
    ) -> Result<Self, ModelError> {
        let tokenizer = checkpoint.tokenizer.ok_or_else(|| {
            let reason = "the folder has no tokenizer.json and no tokenizer.model";
            ModelError::Tokenizer(reason.to_owned())
        })?;
        let model = Network::load(
            &checkpoint.config,
            checkpoint.source.as_ref(),
            options,
            device,
        )?;
        let words = (tokenizer, checkpoint.prompt);
        Self::new(model, words, checkpoint.generation, set, pixels)
    }

    /// The same, whose answers to an [`ExplainRequest`](expllm_core::ExplainRequest) are held
    /// against its units sentence by sentence before they are given.
    #[must_use]
    pub fn verified(mut self, verification: Verification) -> Self {
        self.verification = Some(verification);
        self
    }

    /// The same, which runs each token of a chain on its own. Otherwise it
    /// [guesses](Prefix::guessing) several from earlier chains, where
    /// [that is exact](crate::parts::Decoder::few_are_exact).
    #[must_use]
    pub fn without_guesses(mut self) -> Self {
        self.phrases = None;
        self
    }

    /// How guesses went, where there are any.
    #[must_use]
    pub fn guesses(&self) -> Option<GuessCounts> {
        self.phrases.as_ref().map(Phrases::counts)
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Network {
        &self.model
    }

    /// How it generates.
    #[must_use]
    pub fn settings(&self) -> &GenerationSettings {
        &self.settings
    }

    /// Whether it samples, so that another seed can give another text; otherwise it always says
    /// the same of a face.
    #[must_use]
    pub fn samples(&self) -> bool {
        self.settings.temperature > 0.0
    }

    /// Starts an explanation that can be cancelled from another thread, and that nothing is held
    /// against.
    ///
    /// # Errors
    ///
    /// When the face or the question cannot be encoded.
    pub fn start(
        &self,
        face: &AlignedFace,
        question: ExplainQuestion,
        cancel: CancelToken,
    ) -> Result<impl Iterator<Item = Result<ExplanationEvent, ModelError>> + Send + '_, ModelError>
    {
        let settings = self.text_settings(&self.settings);
        self.begin((face, None), question, (settings, cancel))
    }

    /// Starts an explanation; where units are given, it is held against them if that is wanted.
    fn begin(
        &self,
        (face, units): (&AlignedFace, Option<&AuVector>),
        question: ExplainQuestion,
        (settings, cancel): (GenerationSettings, CancelToken),
    ) -> Result<Run<'_>, ModelError> {
        let image = self.encode(&face.image)?;
        let (ready, prefix, label) = match question {
            ExplainQuestion::LabelFirst => {
                let (prefix, event, label) = self.label(None, &[], Some(image))?;
                let turns = [Turn::new(Task::Expression, label.name())];
                (Some(event), self.ask(prefix, &turns)?, Some(label))
            }
            ExplainQuestion::Given(label) => {
                let turns = [Turn::new(Task::Expression, label.name())];
                let prompt = self.prompt(&turns, Task::Explanation)?;
                let prefix = Prefix::new(&self.model, &prompt, Some(image))?;
                (None, prefix, Some(label))
            }
            ExplainQuestion::ChainFirst => {
                let prompt = self.prompt(&[], Task::Explanation)?;
                (None, Prefix::new(&self.model, &prompt, Some(image))?, None)
            }
            _ => {
                return Err(ModelError::Input {
                    what: "question",
                    reason: format!("{question:?} is not known here"),
                });
            }
        };
        let prefix = match &self.phrases {
            Some(phrases) => prefix.guessing(phrases),
            None => prefix,
        };
        // The prefix is kept for the label after the chain.
        let kept = label.is_none().then(|| prefix.clone());
        let face = units.map(|&action_units| JudgedFace {
            action_units,
            label,
        });
        let writing = self.write(prefix, &settings, (face, cancel))?;
        Ok(Run {
            explainer: self,
            ready: ready.into_iter().collect(),
            writing: Some(writing),
            text: String::new(),
            label_after: kept,
        })
    }

    /// Runs an explanation to its end.
    ///
    /// # Errors
    ///
    /// When the model fails; a text that is no chain is not an error.
    pub fn explain_to_end(
        &self,
        face: &AlignedFace,
        question: ExplainQuestion,
    ) -> Result<Explanation, ModelError> {
        self.explain_seeded(face, question, self.settings.seed)
    }

    /// As [`explain_to_end`](Self::explain_to_end) with another start of the random numbers.
    ///
    /// # Errors
    ///
    /// When the model fails; a text that is no chain is not an error.
    pub fn explain_seeded(
        &self,
        face: &AlignedFace,
        question: ExplainQuestion,
        seed: u64,
    ) -> Result<Explanation, ModelError> {
        let mut reader = ChainReader::default();
        let mut label = None;
        let settings = GenerationSettings {
            seed,
            ..self.text_settings(&self.settings)
        };
        for event in self.begin((face, None), question, (settings, CancelToken::default()))? {
            match event? {
                ExplanationEvent::Label {
                    expression,
                    probabilities,
                } => label = Some((expression, probabilities)),
                ExplanationEvent::Text(text) => reader.push(&text),
                _ => {}
            }
        }
        Ok(Explanation::new(label, reader.text().to_owned()))
    }

    /// The label alone, with the probability of each.
    ///
    /// # Errors
    ///
    /// When the face or the question cannot be encoded, or the model fails.
    pub fn classify(&self, face: &Photo) -> Result<ExpressionProbabilities, ModelError> {
        let image = self.encode(face)?;
        let (_, event, _) = self.label(None, &[], Some(image))?;
        match event {
            ExplanationEvent::Label { probabilities, .. } => Ok(probabilities),
            _ => Ok(ExpressionProbabilities::from_scores(
                [0.0; Expression::COUNT],
            )),
        }
    }

    /// The tokens of a face for the language model.
    fn encode(&self, face: &Photo) -> Result<Tensor<3>, ModelError> {
        self.encode_all(&[face])
    }

    /// The tokens of faces for the language model: `[faces, patches, width]`.
    fn encode_all(&self, faces: &[&Photo]) -> Result<Tensor<3>, ModelError> {
        let vision = &self.model.config().vision;
        let (side, channels) = (vision.image_size(), vision.channels());
        let mut pixels = Vec::with_capacity(faces.len() * channels * side * side);
        for face in faces {
            let prepared = self.pixels.prepare(face, side);
            if prepared.len() != channels * side * side {
                return Err(ModelError::Input {
                    what: "pixels",
                    reason: format!(
                        "{} numbers for {channels} x {side} x {side}",
                        prepared.len()
                    ),
                });
            }
            pixels.extend(prepared);
        }
        let data = TensorData::new(pixels, [faces.len(), channels, side, side]);
        self.model
            .encode_images(Tensor::from_data(data, &self.model.decoder.device()))
    }

    fn prompt(&self, answered: &[Turn], open: Task) -> Result<Vec<u32>, ModelError> {
        let patches = self.model.config().vision.num_patches();
        let text = self.template.prompt(patches, answered, open)?;
        self.tokenizer.encode(&text)
    }

    /// Goes from a prompt to the question for the chain, reusing what they share.
    fn ask<'m>(&self, mut prefix: Prefix<'m>, turns: &[Turn]) -> Result<Prefix<'m>, ModelError> {
        prefix.rewind_to(&self.prompt(turns, Task::Explanation)?)?;
        Ok(prefix)
    }

    /// The settings of chains: they also end where the text of the template would go on.
    fn text_settings(&self, settings: &GenerationSettings) -> GenerationSettings {
        let mut settings = settings.clone();
        let [_, after_user, after_answer] = &self.template.separators;
        let model_speaks = format!("{after_user}{}", self.template.open_answer);
        for text in [after_answer, &self.template.image_token, &model_speaks] {
            if !settings.stop_strings.contains(text) {
                settings.stop_strings.push(text.clone());
            }
        }
        settings
    }
}

#[cfg(test)]
mod tests;
