//! The model as a stage of the pipeline: a face and a question in, words out.

mod batch;
mod pixels;
mod reader;
mod run;

use burn::tensor::{Device, Tensor, TensorData};
use expllm_core::{
    AlignedFace, ExplainQuestion, ExplainRequest, Explainer, ExplanationEvent, ExplanationStream,
    Expression, ExpressionProbabilities, ExpressionSet, Photo, Stage, StageError,
};

pub use expllm_core::Explanation;
pub use pixels::{FacePixels, PreparePixels};
pub use reader::ChainReader;
use run::Run;

use crate::checkpoint::Checkpoint;
use crate::conversation::{PromptTemplate, Task, Turn};
use crate::generation::{AnswerTrie, CancelToken, GenerationSettings, Prefix, TextStream};
use crate::tokenizer::common_prefix;
use crate::{ExpLlm, LoadOptions, ModelError, Tokenizer};

/// A model with everything that turns faces into its input and its output into chains.
pub struct ExpLlmExplainer {
    model: ExpLlm,
    tokenizer: Tokenizer,
    template: PromptTemplate,
    settings: GenerationSettings,
    set: ExpressionSet,
    pixels: Box<dyn PreparePixels>,
}

impl ExpLlmExplainer {
    /// An explainer that answers with the expressions of a set.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] when tokenizer and template belong to another model,
    /// [`ModelError::Generation`] for settings out of range.
    pub fn new(
        model: ExpLlm,
        (tokenizer, template): (Tokenizer, PromptTemplate),
        settings: GenerationSettings,
        set: ExpressionSet,
        pixels: impl PreparePixels + 'static,
    ) -> Result<Self, ModelError> {
        check_tokenizer(&model, &tokenizer, &template)?;
        settings.validate()?;
        Ok(Self {
            model,
            tokenizer,
            template,
            settings,
            set,
            pixels: Box::new(pixels),
        })
    }

    /// An explainer with everything that a checkpoint folder holds.
    ///
    /// # Errors
    ///
    /// As [`ExpLlm::load`] and [`new`](Self::new); [`ModelError::Tokenizer`] when the folder has
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
        let model = ExpLlm::load(
            &checkpoint.config,
            checkpoint.source.as_ref(),
            options,
            device,
        )?;
        let words = (tokenizer, checkpoint.prompt);
        Self::new(model, words, checkpoint.generation, set, pixels)
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &ExpLlm {
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

    /// Starts an explanation that can be cancelled from another thread.
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
        self.begin(face, question, (self.text_settings(&self.settings), cancel))
    }

    fn begin(
        &self,
        face: &AlignedFace,
        question: ExplainQuestion,
        (settings, cancel): (GenerationSettings, CancelToken),
    ) -> Result<Run<'_>, ModelError> {
        let image = self.encode(&face.image)?;
        let (ready, prefix, label_after) = match question {
            ExplainQuestion::LabelFirst => {
                let (prefix, event, label) = self.label(None, &[], Some(image))?;
                let turns = [Turn::new(Task::Expression, label.name())];
                (Some(event), self.ask(prefix, &turns)?, false)
            }
            ExplainQuestion::Given(label) => {
                let turns = [Turn::new(Task::Expression, label.name())];
                let prompt = self.prompt(&turns, Task::Explanation)?;
                (None, Prefix::new(&self.model, &prompt, Some(image))?, false)
            }
            ExplainQuestion::ChainFirst => {
                let prompt = self.prompt(&[], Task::Explanation)?;
                (None, Prefix::new(&self.model, &prompt, Some(image))?, true)
            }
            _ => {
                return Err(ModelError::Input {
                    what: "question",
                    reason: format!("{question:?} is not known here"),
                });
            }
        };
        // The prefix is kept for the label after the chain.
        let kept = label_after.then(|| prefix.clone());
        let stream = TextStream::new(prefix, &self.tokenizer, &settings, cancel)?;
        Ok(Run {
            explainer: self,
            ready: ready.into_iter().collect(),
            stream: Some(stream),
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
        for event in self.begin(face, question, (settings, CancelToken::default()))? {
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
            .encode_images(Tensor::from_data(data, &self.model.llm.device()))
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

    /// Asks for the label after some turns: in the given prefix, or in a new one with the image.
    fn label<'m>(
        &'m self,
        prefix: Option<Prefix<'m>>,
        answered: &[Turn],
        image: Option<Tensor<3>>,
    ) -> Result<(Prefix<'m>, ExplanationEvent, Expression), ModelError> {
        let (shared, trie) = self.label_question(answered)?;
        let mut prefix = match prefix {
            Some(mut prefix) => {
                prefix.rewind_to(&shared)?;
                prefix
            }
            None => Prefix::new(&self.model, &shared, image)?,
        };
        let probabilities = self.of_labels(&trie.probabilities(&mut prefix)?);
        let expression = probabilities.top();
        let event = ExplanationEvent::Label {
            expression,
            probabilities,
        };
        Ok((prefix, event, expression))
    }

    /// The tokens of the question for the label after some turns, and the labels after them.
    fn label_question(&self, answered: &[Turn]) -> Result<(Vec<u32>, AnswerTrie), ModelError> {
        let patches = self.model.config().vision.num_patches();
        let prompt = self.template.prompt(patches, answered, Task::Expression)?;
        let lead = self.template.answer_lead();
        let whole = (self.set.expressions().iter())
            .map(|label| self.tokenizer.encode(&format!("{prompt}{lead}{label}")))
            .collect::<Result<Vec<_>, _>>()?;
        // The tokenizer may join the end of the prompt with a label, so the prompt proper is
        // what is left in common.
        let mut shared = self.tokenizer.encode(&prompt)?;
        for tokens in &whole {
            shared.truncate(common_prefix(&shared, tokens));
        }
        let answers: Vec<_> = whole.iter().map(|t| t[shared.len()..].to_vec()).collect();
        let trie = AnswerTrie::new(&answers, self.model.config().eos_token_id)?;
        Ok((shared, trie))
    }

    /// The shares of the labels of the set as probabilities of all expressions.
    fn of_labels(&self, shares: &[f64]) -> ExpressionProbabilities {
        let mut scores = [0.0; Expression::COUNT];
        for (label, share) in self.set.expressions().iter().zip(shares) {
            scores[label.index()] = *share as f32;
        }
        ExpressionProbabilities::from_scores(scores)
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

impl ExpLlmExplainer {
    /// The face of a request, where the model can answer it.
    fn face<'r>(&self, request: &'r ExplainRequest) -> Result<&'r AlignedFace, StageError> {
        let wrong = |reason: &str| StageError::new(Stage::Explanation, reason);
        let needs_set = request.question.given().is_none();
        if needs_set && request.set != self.set {
            let reason = "the model was loaded for another set of expressions";
            return Err(wrong(reason));
        }
        let missing = "the model looks at the face, and the request has no pixels";
        request.crop.as_ref().ok_or_else(|| wrong(missing))
    }

    /// The settings of chains for the seed of a request.
    fn seeded(&self, request: &ExplainRequest) -> GenerationSettings {
        GenerationSettings {
            seed: self.settings.seed.wrapping_add(request.seed),
            ..self.settings.clone()
        }
    }

    /// Explains faces whose requests ask the same, in a batch.
    fn explain_alike(&self, requests: &[ExplainRequest]) -> Result<Vec<Explanation>, StageError> {
        let Some(first) = requests.first() else {
            return Ok(Vec::new());
        };
        let faces: Result<Vec<_>, _> = requests.iter().map(|r| self.face(r).cloned()).collect();
        let said = self.explain_batch_with(&faces?, first.question, &self.seeded(first));
        let mut said = said.map_err(|error| StageError::new(Stage::Explanation, error))?;
        for explanation in &mut said {
            explanation.expression = first.question.given().or(explanation.expression);
        }
        Ok(said)
    }

    /// Whether two requests may be answered in one batch with the same words as alone.
    fn alike(&self, a: &ExplainRequest, b: &ExplainRequest) -> bool {
        a.question == b.question && (a.seed == b.seed || !self.samples())
    }
}

impl Explainer for ExpLlmExplainer {
    fn crop_side(&self) -> Option<u32> {
        Some(
            self.pixels
                .crop_side(self.model.config().vision.image_size()),
        )
    }

    fn in_parallel(&self) -> bool {
        false
    }

    fn explain<'a>(
        &'a self,
        request: &ExplainRequest,
    ) -> Result<ExplanationStream<'a>, StageError> {
        let wrap = |error| StageError::new(Stage::Explanation, error);
        let face = self.face(request)?;
        let settings = self.text_settings(&self.seeded(request));
        let run = self.begin(face, request.question, (settings, CancelToken::default()));
        Ok(Box::new(
            run.map_err(wrap)?.map(move |event| event.map_err(wrap)),
        ))
    }

    fn explain_all(&self, requests: &[ExplainRequest]) -> Result<Vec<Explanation>, StageError> {
        let mut said = Vec::with_capacity(requests.len());
        for alike in requests.chunk_by(|a, b| self.alike(a, b)) {
            said.extend(self.explain_alike(alike)?);
        }
        Ok(said)
    }
}

/// Checks that tokenizer, template and weights belong together.
fn check_tokenizer(
    model: &ExpLlm,
    tokenizer: &Tokenizer,
    template: &PromptTemplate,
) -> Result<(), ModelError> {
    let config = model.config();
    let image = tokenizer.token_id(&template.image_token);
    if image != Some(config.image_token_id) {
        return Err(ModelError::Tokenizer(format!(
            "{:?} has the id {image:?}, the model expects {}",
            template.image_token, config.image_token_id
        )));
    }
    // The image token is never looked up, so it may be one beyond the table.
    let is_last = tokenizer.vocab_size() == config.image_token_id as usize + 1;
    if tokenizer.vocab_size() - usize::from(is_last) > config.llm.vocab_size {
        return Err(ModelError::Tokenizer(format!(
            "holds {} tokens, the model knows {}; it belongs to another model",
            tokenizer.vocab_size(),
            config.llm.vocab_size
        )));
    }
    if tokenizer
        .eos_id()
        .is_some_and(|id| id != config.eos_token_id)
    {
        return Err(ModelError::Tokenizer(format!(
            "ends texts with token {:?}, the model with {}",
            tokenizer.eos_id(),
            config.eos_token_id
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
