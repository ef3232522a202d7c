//! Chains that a model writes about held-back faces, held against what the detector reads.

use burn::tensor::{Device, Tensor, TensorData};
use expllm_core::{Expression, ExpressionSet};
use expllm_cot::JudgedText;
use expllm_model::ExpLlm;
use expllm_model::conversation::{Task, Turn};
use expllm_model::generation::{
    AnswerTrie, BatchPrompt, GenerationSettings, Prefix, generate_batch,
};

use super::example::Language;
use super::faces::{FaceExamples, JudgedFace};
use crate::TrainError;

/// The expressions that labels are chosen from.
const SET: ExpressionSet = ExpressionSet::Eight;

/// Chains written side by side.
const BATCH: usize = 16;

/// What a model says about faces that it was not trained on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// Faces judged.
    pub faces: usize,
    /// Share of labels that are those of the data set.
    pub accuracy: f64,
    /// Share of the detector's labels that are those of the data set.
    pub detector_accuracy: f64,
    /// Share of texts that have all three parts. This and what follows are the figures of
    /// [`expllm_cot::judge`], by the detector's units; NaN where nothing was counted.
    pub parsed: f64,
    /// Share of chains that conclude on the label.
    pub label_in_conclusion: f64,
    /// Mean over chains of the share of statements that the units support.
    pub precision: f64,
    /// Mean over chains of the share of active units that are claimed.
    pub recall: f64,
    /// As `precision`, of chains held against other faces.
    pub precision_shuffled: f64,
    /// As `recall`, of chains held against other faces.
    pub recall_shuffled: f64,
    /// Mean length of an answer in tokens.
    pub tokens: f64,
    /// Some of the chains.
    pub samples: Vec<SampleChain>,
}

/// A chain to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleChain {
    /// The label of the data set.
    pub truth: Option<Expression>,
    /// The label of the model.
    pub label: Expression,
    /// The text as it was written.
    pub text: String,
}

/// Asks for label and chain of the first `count` faces.
///
/// # Errors
///
/// [`TrainError::Model`] when the model cannot be run.
pub(super) fn judge(
    model: &ExpLlm,
    language: &Language,
    settings: &GenerationSettings,
    faces: &FaceExamples,
    (count, shown): (usize, usize),
) -> Result<Judgement, TrainError> {
    let device = model.llm.device();
    // Spread over the set, which may be sorted.
    let all = super::ExampleSource::len(faces);
    let count = count.min(all);
    let faces: Vec<_> = (0..count).map(|i| faces.judged(i * all / count)).collect();
    let mut written = Vec::with_capacity(count);
    for batch in faces.chunks(BATCH) {
        written.extend(write(model, language, settings, batch, &device)?);
    }
    Ok(measure(&faces, &written, shown))
}

/// A label with the chain after it.
struct Written {
    label: Expression,
    text: String,
    tokens: usize,
}

fn write(
    model: &ExpLlm,
    language: &Language,
    settings: &GenerationSettings,
    faces: &[JudgedFace],
    device: &Device,
) -> Result<Vec<Written>, TrainError> {
    let (template, tokenizer) = (&language.template, &language.tokenizer);
    let vision = &language.config.vision;
    let patches = vision.num_patches();
    let (mut labels, mut prompts) = (Vec::new(), Vec::new());
    for face in faces {
        let data = TensorData::new(face.tokens.clone(), [1, patches, vision.width()]);
        let tokens = Tensor::<3>::from_data(data, (device, model.llm.dtype()));
        let image = model.projector.forward(tokens);
        let label = choose_label(model, language, image.clone())?;
        let turns = [Turn::new(Task::Expression, label.name())];
        let prompt = template.prompt(patches, &turns, Task::Explanation)?;
        prompts.push(BatchPrompt {
            tokens: tokenizer.encode(&prompt)?,
            image: Some(image),
        });
        labels.push(label);
    }
    let answers = generate_batch(model, &prompts, settings)?;
    labels
        .into_iter()
        .zip(answers)
        .map(|(label, answer)| {
            let text = tokenizer.decode(&answer)?.trim().to_owned();
            Ok(Written {
                label,
                tokens: answer.len(),
                text,
            })
        })
        .collect()
}

/// The likeliest label, by the probability of its whole answer.
fn choose_label(
    model: &ExpLlm,
    language: &Language,
    image: Tensor<3>,
) -> Result<Expression, TrainError> {
    let (template, tokenizer) = (&language.template, &language.tokenizer);
    let patches = language.config.vision.num_patches();
    let prompt = template.prompt(patches, &[], Task::Expression)?;
    let lead = template.answer_lead();
    let shared = tokenizer.encode(&prompt)?;
    let answers = SET
        .expressions()
        .iter()
        .map(|label| tokenizer.encode_continuation(&prompt, &format!("{lead}{label}")))
        .collect::<Result<Vec<_>, _>>()?;
    let trie = AnswerTrie::new(&answers, language.config.eos_token_id)?;
    let mut prefix = Prefix::new(model, &shared, Some(image))?;
    let shares = trie.probabilities(&mut prefix)?;
    let best = SET
        .expressions()
        .iter()
        .zip(shares)
        .max_by(|a, b| a.1.total_cmp(&b.1));
    Ok(best.map_or(Expression::Neutral, |(label, _)| *label))
}

fn measure(faces: &[JudgedFace], written: &[Written], shown: usize) -> Judgement {
    let n = faces.len().max(1) as f64;
    let share = |count: usize| count as f64 / n;
    let pairs = || faces.iter().zip(written);
    let texts: Vec<_> = pairs().map(judged_text).collect();
    let figures = expllm_cot::judge(&texts);
    let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
    let labelled = |(face, written): &(&JudgedFace, &Written)| face.label == Some(written.label);
    let detected =
        |face: &&JudgedFace| face.label == face.reading.probabilities.map(|p| p.within(SET).top());
    Judgement {
        faces: faces.len(),
        accuracy: share(pairs().filter(labelled).count()),
        detector_accuracy: share(faces.iter().filter(detected).count()),
        parsed: number(figures.parsed),
        label_in_conclusion: number(figures.own.label_in_conclusion),
        precision: number(figures.own.grounding_precision),
        recall: number(figures.own.grounding_recall),
        precision_shuffled: number(figures.shuffled.grounding_precision),
        recall_shuffled: number(figures.shuffled.grounding_recall),
        tokens: written.iter().map(|w| w.tokens).sum::<usize>() as f64 / n,
        samples: pairs()
            .take(shown)
            .map(|(face, written)| SampleChain {
                truth: face.label,
                label: written.label,
                text: written.text.clone(),
            })
            .collect(),
    }
}

/// The text about a face, as the judge of chains takes it.
fn judged_text<'a>((face, written): (&'a JudgedFace, &'a Written)) -> JudgedText<'a> {
    JudgedText {
        text: &written.text,
        units: Some(&face.reading.action_units),
        label: Some(written.label),
    }
}
