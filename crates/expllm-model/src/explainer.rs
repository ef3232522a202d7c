//! The model as a stage of the pipeline: a face and a question in, words out.

use std::collections::VecDeque;

use burn::tensor::{Tensor, TensorData};
use expllm_core::{
    AlignedFace, ChainOfThought, ChainPart, CoreError, ExplainQuestion, ExplanationEvent,
    ExplanationStream, Expression, ExpressionProbabilities, ExpressionSet, FaceExplainer, Photo,
    Stage, StageError,
};

use crate::conversation::{PromptTemplate, Task, Turn};
use crate::generation::{AnswerTrie, CancelToken, GenerationSettings, Prefix, TextStream};
use crate::{ExpLlm, ModelError, Tokenizer};

/// Turns an aligned face into the pixels that the model was trained with: `[3, side, side]`,
/// RGB, normalised, row by row from the top.
pub trait PreparePixels: Send + Sync {
    /// The numbers for an image of `side` x `side` pixels.
    fn prepare(&self, face: &Photo, side: usize) -> Vec<f32>;
}

impl<F: Fn(&Photo, usize) -> Vec<f32> + Send + Sync> PreparePixels for F {
    fn prepare(&self, face: &Photo, side: usize) -> Vec<f32> {
        self(face, side)
    }
}

/// A model with everything that turns faces into its input and its output into chains.
pub struct ExpLlmExplainer {
    model: ExpLlm,
    tokenizer: Tokenizer,
    template: PromptTemplate,
    settings: GenerationSettings,
    set: ExpressionSet,
    pixels: Box<dyn PreparePixels>,
}

/// A whole explanation.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The label, and the probability of each.
    pub label: Option<(Expression, ExpressionProbabilities)>,
    /// The text as the model wrote it.
    pub text: String,
    /// The text read as a chain, or why it is none.
    pub chain: Result<ChainOfThought, CoreError>,
}

/// Reads a chain while its text comes in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainReader {
    text: String,
}

impl ChainReader {
    /// Takes more text.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The text so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The parts so far, each with what is there of it.
    #[must_use]
    pub fn begun(&self) -> Vec<(ChainPart, &str)> {
        ChainOfThought::begun(&self.text)
    }

    /// The whole chain.
    ///
    /// # Errors
    ///
    /// [`CoreError::IncompleteChain`] with the first part that is missing.
    pub fn finish(&self) -> Result<ChainOfThought, CoreError> {
        self.text.parse()
    }
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

    /// The model.
    #[must_use]
    pub fn model(&self) -> &ExpLlm {
        &self.model
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
        let settings = self.text_settings();
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
        let mut reader = ChainReader::default();
        let mut label = None;
        for event in self.start(face, question, CancelToken::default())? {
            match event? {
                ExplanationEvent::Label {
                    expression,
                    probabilities,
                } => label = Some((expression, probabilities)),
                ExplanationEvent::Text(text) => reader.push(&text),
                _ => {}
            }
        }
        let chain = reader.finish();
        Ok(Explanation {
            label,
            text: reader.text,
            chain,
        })
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
        let side = self.model.config().vision.image_size;
        let pixels = self.pixels.prepare(face, side);
        if pixels.len() != 3 * side * side {
            return Err(ModelError::Input {
                what: "pixels",
                reason: format!("{} numbers for 3 x {side} x {side}", pixels.len()),
            });
        }
        let data = TensorData::new(pixels, [1, 3, side, side]);
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
        let patches = self.model.config().vision.num_patches();
        let prompt = self.template.prompt(patches, answered, Task::Expression)?;
        let lead = self.template.answer_lead();
        let expressions = self.set.expressions();
        let whole = expressions
            .iter()
            .map(|label| self.tokenizer.encode(&format!("{prompt}{lead}{label}")))
            .collect::<Result<Vec<_>, _>>()?;
        // The tokenizer may join the end of the prompt with a label, so the prompt proper is
        // what is left in common.
        let mut shared = self.tokenizer.encode(&prompt)?;
        for tokens in &whole {
            let pairs = shared.iter().zip(tokens);
            let length = pairs.take_while(|(a, b)| a == b).count();
            shared.truncate(length);
        }
        let answers: Vec<_> = whole.iter().map(|t| t[shared.len()..].to_vec()).collect();
        let trie = AnswerTrie::new(&answers, self.model.config().eos_token_id)?;
        let mut prefix = match prefix {
            Some(mut prefix) => {
                prefix.rewind_to(&shared)?;
                prefix
            }
            None => Prefix::new(&self.model, &shared, image)?,
        };
        let mut scores = [0.0; Expression::COUNT];
        for (label, share) in expressions.iter().zip(trie.probabilities(&mut prefix)?) {
            scores[label.index()] = share as f32;
        }
        let probabilities = ExpressionProbabilities::from_scores(scores);
        let expression = probabilities.top();
        let event = ExplanationEvent::Label {
            expression,
            probabilities,
        };
        Ok((prefix, event, expression))
    }

    /// The settings of chains: they also end where the text of the template would go on.
    fn text_settings(&self) -> GenerationSettings {
        let mut settings = self.settings.clone();
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

impl FaceExplainer for ExpLlmExplainer {
    fn explain<'a>(
        &'a self,
        face: &AlignedFace,
        question: ExplainQuestion,
    ) -> Result<ExplanationStream<'a>, StageError> {
        let wrap = |error| StageError::new(Stage::Explanation, error);
        let run = self
            .start(face, question, CancelToken::default())
            .map_err(wrap)?;
        Ok(Box::new(run.map(move |event| event.map_err(wrap))))
    }
}

/// An explanation in the making.
struct Run<'m> {
    explainer: &'m ExpLlmExplainer,
    ready: VecDeque<ExplanationEvent>,
    stream: Option<TextStream<'m>>,
    text: String,
    /// Where to ask for the label when the chain has ended.
    label_after: Option<Prefix<'m>>,
}

impl Run<'_> {
    fn step(&mut self) -> Result<Option<ExplanationEvent>, ModelError> {
        if let Some(event) = self.ready.pop_front() {
            return Ok(Some(event));
        }
        while let Some(stream) = &mut self.stream {
            let Some(piece) = stream.next().transpose()? else {
                self.stream = None;
                break;
            };
            // The space after the role is not part of the chain.
            let piece = if self.text.is_empty() {
                piece.trim_start()
            } else {
                &piece
            };
            if !piece.is_empty() {
                self.text.push_str(piece);
                return Ok(Some(ExplanationEvent::Text(piece.to_owned())));
            }
        }
        let Some(prefix) = self.label_after.take() else {
            return Ok(None);
        };
        let turns = [Turn::new(Task::Explanation, self.text.trim_end())];
        let (_, event, _) = self.explainer.label(Some(prefix), &turns, None)?;
        Ok(Some(event))
    }
}

impl Iterator for Run<'_> {
    type Item = Result<ExplanationEvent, ModelError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.stream = None;
            self.label_after = None;
        }
        step.transpose()
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
mod tests {
    use burn::tensor::DType;
    use expllm_core::{HeadPose, LANDMARK_COUNT, Landmarks, Point, Similarity};

    use super::*;
    use crate::tokenizer::testing::small;
    use crate::{LlamaOptions, LoadOptions, ModelConfig, RandomWeights, default_device};

    fn model(vocab: usize) -> ExpLlm {
        let mut config = ModelConfig::tiny();
        config.llm.vocab_size = vocab;
        config.llm.max_positions = 4096;
        config.image_token_id = 268;
        let source = RandomWeights::new(&config, DType::F32, 11).unwrap();
        let device = default_device().unwrap();
        ExpLlm::load(&config, &source, &LoadOptions::default(), &device).unwrap()
    }

    fn explainer(settings: GenerationSettings) -> ExpLlmExplainer {
        let words = (small(LlamaOptions::default()), PromptTemplate::default());
        let pixels = |face: &Photo, side: usize| {
            let value = |i: usize| f32::from(face.pixels()[i % face.pixels().len()]) / 255.0;
            (0..3 * side * side).map(value).collect::<Vec<_>>()
        };
        ExpLlmExplainer::new(model(268), words, settings, ExpressionSet::Seven, pixels).unwrap()
    }

    fn face(seed: u8) -> AlignedFace {
        let pixels = (0..=74_u8).map(|i| i.wrapping_mul(seed)).collect();
        AlignedFace {
            image: Photo::new(5, 5, pixels).unwrap(),
            to_photo: Similarity {
                a: 1.0,
                b: 0.0,
                tx: 0.0,
                ty: 0.0,
            },
            landmarks: Landmarks {
                points: [Point::new(1.0, 1.0); LANDMARK_COUNT],
                head_pose: HeadPose::default(),
            },
        }
    }

    fn short() -> GenerationSettings {
        GenerationSettings {
            max_new_tokens: 24,
            ..GenerationSettings::default()
        }
    }

    #[test]
    fn the_label_comes_first_and_conditions_the_chain() {
        let explainer = explainer(short());
        let first = explainer
            .explain_to_end(&face(3), ExplainQuestion::LabelFirst)
            .unwrap();
        let (label, probabilities) = first.label.unwrap();
        assert_eq!(probabilities, explainer.classify(&face(3).image).unwrap());
        assert_eq!(probabilities.get(Expression::Contempt).get(), 0.0);
        assert!((probabilities.values().iter().sum::<f32>() - 1.0).abs() < 1e-5);
        // A prefix that was reused gives what a new one gives.
        let given = explainer
            .explain_to_end(&face(3), ExplainQuestion::Given(label))
            .unwrap();
        assert_eq!((given.label, &given.text), (None, &first.text));
        let other = ExpressionSet::Seven
            .expressions()
            .iter()
            .find(|e| **e != label)
            .unwrap();
        let other = explainer
            .explain_to_end(&face(3), ExplainQuestion::Given(*other))
            .unwrap();
        assert_ne!(other.text, first.text);
    }

    #[test]
    fn the_chain_comes_first_and_conditions_the_label() {
        let explainer = explainer(short());
        let events: Vec<_> = explainer
            .explain(&face(5), ExplainQuestion::ChainFirst)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let (last, texts) = events.split_last().unwrap();
        let mut text = String::new();
        for event in texts {
            match event {
                ExplanationEvent::Text(piece) => text.push_str(piece),
                other => panic!("{other:?} before the end"),
            }
        }
        assert!(!text.is_empty());
        let turns = [Turn::new(Task::Explanation, text.trim_end())];
        let image = explainer.encode(&face(5).image).unwrap();
        let (_, fresh, _) = explainer.label(None, &turns, Some(image)).unwrap();
        let values = |event: &ExplanationEvent| match event {
            ExplanationEvent::Label { probabilities, .. } => probabilities.values(),
            other => panic!("{other:?} is no label"),
        };
        for (reused, fresh) in values(last).iter().zip(values(&fresh)) {
            assert!((reused - fresh).abs() < 1e-4);
        }
    }

    #[test]
    fn text_ends_at_a_stop_string_wherever_tokens_end() {
        let whole = explainer(short());
        let whole = whole
            .explain_to_end(&face(7), ExplainQuestion::ChainFirst)
            .unwrap()
            .text;
        let places: Vec<_> = whole.char_indices().map(|(place, _)| place).collect();
        for pair in places.windows(3).step_by(3) {
            let stop = whole[pair[0]..pair[2]].to_owned();
            let expected = whole.find(&stop).map(|place| &whole[..place]);
            let mut settings = short();
            settings.stop_strings.push(stop);
            let cut = explainer(settings);
            let cut = cut
                .explain_to_end(&face(7), ExplainQuestion::ChainFirst)
                .unwrap();
            assert_eq!(Some(cut.text.as_str()), expected);
        }
    }

    #[test]
    fn cancelling_ends_the_text() {
        let explainer = explainer(short());
        let cancel = CancelToken::default();
        let question = ExplainQuestion::Given(Expression::Fear);
        let mut run = explainer.start(&face(3), question, cancel.clone()).unwrap();
        assert!(run.next().is_some());
        cancel.cancel();
        // At most what was held back is left.
        assert!(run.count() <= 1);
    }

    #[test]
    fn a_tokenizer_of_another_model_is_refused() {
        let refusal = |change: fn(&mut ModelConfig)| {
            let mut config = model(268).config().clone();
            change(&mut config);
            let model = ExpLlm::init(&config, &default_device().unwrap()).unwrap();
            let words = (small(LlamaOptions::default()), PromptTemplate::default());
            let pixels = |_: &Photo, _: usize| Vec::new();
            let set = ExpressionSet::Seven;
            let error = ExpLlmExplainer::new(model, words, short(), set, pixels).err();
            error.map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(refusal(|_| {}), "");
        assert!(refusal(|config| config.llm.vocab_size = 260).contains("another model"));
        assert!(refusal(|config| config.image_token_id = 200).contains("<im_patch>"));
        assert!(refusal(|config| config.eos_token_id = 7).contains("ends texts"));
    }

    #[test]
    fn chains_are_read_while_they_come() {
        let mut reader = ChainReader::default();
        reader.push("**Key Observations:** the jaw drops\n\n**Overall Emo");
        assert_eq!(reader.begun().len(), 1);
        assert!(reader.finish().is_err());
        reader.push("tional Interpretation:** surprise\n\n**Conclusion:** Surprise.");
        assert_eq!(reader.finish().unwrap().conclusion, "Surprise.");
    }
}
