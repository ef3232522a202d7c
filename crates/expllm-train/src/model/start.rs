//! The model, the words and the records that a run starts with.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use expllm_au::{AuNet, AuNetwork, AuNetworkConfig};
use expllm_face::LandmarkNet;
use expllm_face::device::reading_device;
use expllm_model::checkpoint::{self, Checkpoint};
use expllm_model::conversation::{PromptTemplate, Task, Turn};
use expllm_model::generation::GenerationSettings;
use expllm_model::nn::{DetectorEncoder, VisionEncoder};
use expllm_model::{
    AddedToken, ConvolutionalConfig, ExpLlm, FreshPart, LoadOptions, LoraConfig, ModelConfig,
    ModelError, ProjectorKind, Tokenizer, VisionConfig,
};

use super::config::{Data, FacesConfig, NewModel, Start, TrainConfig, TrainStage};
use super::example::{ExampleSource, Language};
use super::faces::{FaceExamples, FaceSets, Reader};
use super::readings::ReadingExamples;
use crate::au::FacePath;
use crate::{TrainError, read_weights};

/// Conversations that a tokenizer is learnt from.
const TOKENIZER_TEXTS: usize = 6_000;

/// The words around questions and answers of a new model.
const PROMPT: &str = include_str!("prompt.toml");

/// Everything that a run needs before its first step.
pub(super) struct Prepared {
    pub model: ExpLlm,
    pub language: Language,
    pub generation: GenerationSettings,
    pub train: Box<dyn ExampleSource + Send>,
    pub valid: Box<dyn ExampleSource + Send>,
    /// Held-back faces with readings, by which chains are judged.
    pub judged: Option<FaceExamples>,
}

/// Loads or makes the model of a run and its records; `device` is the plain one.
pub(super) fn prepare(
    config: &TrainConfig,
    device: &Device,
    report: &mut dyn FnMut(&str),
) -> Result<Prepared, TrainError> {
    match &config.start {
        Start::New(new) => new_model(config, new, device, report),
        Start::Checkpoint(folder) => from_checkpoint(config, folder, device, report),
    }
}

fn new_model(
    config: &TrainConfig,
    new: &NewModel,
    device: &Device,
    report: &mut dyn FnMut(&str),
) -> Result<Prepared, TrainError> {
    let vision = detector_vision();
    let records = Records::read(config, None, &vision, device, report)?;
    let template = PromptTemplate::from_toml(PROMPT)?;
    let tokenizer = tokenizer(config, new, &records, &template, report)?;
    let pieces = tokenizer.vocab_size();
    let model_config = new_config(new, pieces);
    let image_token = AddedToken::stripping(&template.image_token, model_config.image_token_id);
    device.seed(config.run.seed);
    let mut model = ExpLlm::init(&model_config, &training_device(config, device))?;
    if let Some(encoder) = &records.encoder {
        model.vision = encoder.clone().train();
    }
    let language = Language {
        tokenizer: tokenizer.with_token(image_token)?,
        template,
        config: model_config,
    };
    Ok(Prepared {
        model: trained_parts(model, config.stage),
        language,
        generation: GenerationSettings {
            max_new_tokens: 300,
            ..GenerationSettings::default()
        },
        train: records.train,
        valid: records.valid,
        judged: records.judged,
    })
}

/// The encoder that looks through the detector that ships.
fn detector_vision() -> VisionConfig {
    VisionConfig::Convolutional(ConvolutionalConfig {
        network: AuNetworkConfig::new(),
    })
}

/// Sizes of a new model with a tokenizer of `pieces`; the image token comes after them.
pub(super) fn new_config(new: &NewModel, pieces: usize) -> ModelConfig {
    ModelConfig {
        vision: detector_vision(),
        projector: ProjectorKind::Mlp,
        llm: new.llm(pieces),
        image_token_id: u32::try_from(pieces).unwrap_or(u32::MAX),
        bos_token_id: 1,
        eos_token_id: 2,
        pad_token_id: 0,
    }
}

fn from_checkpoint(
    config: &TrainConfig,
    folder: &Path,
    device: &Device,
    report: &mut dyn FnMut(&str),
) -> Result<Prepared, TrainError> {
    let Checkpoint {
        config: mut model_config,
        source,
        tokenizer,
        prompt,
        generation,
    } = checkpoint::open(folder)?;
    if config.stage == TrainStage::Instruction {
        add_adapters(&mut model_config);
    }
    let tokenizer = tokenizer.ok_or_else(|| {
        let reason = "the folder has no tokenizer.json and no tokenizer.model".to_owned();
        ModelError::Tokenizer(reason)
    })?;
    let options = LoadOptions {
        dtype: config.run.precision.dtype(),
        fresh: FreshPart::ALL.to_vec(),
        ..LoadOptions::default()
    };
    let on = training_device(config, device);
    let mut model = ExpLlm::load(&model_config, source.as_ref(), &options, &on)?;
    let language = Language {
        tokenizer,
        template: prompt,
        config: model_config,
    };
    let vision = &language.config.vision;
    let records = Records::read(config, Some(&model), vision, device, report)?;
    if let Some(encoder) = &records.encoder {
        model.vision = encoder.clone().train();
    }
    Ok(Prepared {
        model: trained_parts(model, config.stage),
        language,
        generation,
        train: records.train,
        valid: records.valid,
        judged: records.judged,
    })
}

/// The records of a run.
struct Records {
    train: Box<dyn ExampleSource + Send>,
    valid: Box<dyn ExampleSource + Send>,
    judged: Option<FaceExamples>,
    /// The encoder that saw the faces, where it takes the place of the model's own.
    encoder: Option<VisionEncoder>,
    /// Conversations that a tokenizer is learnt from.
    texts: Vec<Vec<Turn>>,
}

impl Records {
    fn read(
        config: &TrainConfig,
        model: Option<&ExpLlm>,
        vision: &VisionConfig,
        device: &Device,
        report: &mut dyn FnMut(&str),
    ) -> Result<Self, TrainError> {
        let mut records = match &config.data {
            Data::Annotations(annotations) => {
                let [train, valid] = super::annotations::read(annotations, config, vision)?;
                Self::of(Box::new(train), Box::new(valid))
            }
            Data::Readings(readings) => {
                let source = &readings.annotations;
                let all = ReadingExamples::read(source, config.records, readings.wordings)?;
                let texts = all.conversations(TOKENIZER_TEXTS).collect();
                let seen = *vision == detector_vision();
                let network = seen.then(|| AuNet::pretrained(device)).transpose()?;
                Self {
                    texts,
                    encoder: network.map(|net| seen_through(net.network().clone(), device)),
                    ..Self::of(Box::new(all.clone()), Box::new(all))
                }
            }
            Data::Faces(faces) => Self::of_faces(config, faces, (model, vision), device, report)?,
        };
        report(&format!("{} records", records.train.len()));
        if !matches!(config.start, Start::New(_)) {
            records.texts.clear();
        }
        Ok(records)
    }

    /// Faces, read by the detector; a model that sees its readings gets it as encoder.
    fn of_faces(
        config: &TrainConfig,
        faces: &FacesConfig,
        (model, vision): (Option<&ExpLlm>, &VisionConfig),
        device: &Device,
        report: &mut dyn FnMut(&str),
    ) -> Result<Self, TrainError> {
        let reading = reading_device();
        let landmarks = LandmarkNet::pretrained(&reading)?;
        let detector = detector(faces, &reading)?;
        let network = match vision {
            VisionConfig::Convolutional(_) if *vision == detector_vision() => {
                Some(detector.network().clone())
            }
            VisionConfig::Convolutional(_) => {
                let reason = "is not that of the detector, whose readings the model is to see";
                return Err(ModelError::Config {
                    field: "vision.network",
                    reason: reason.to_owned(),
                }
                .into());
            }
            VisionConfig::Dinov2(_) => None,
        };
        let own = model.map(|model| model.vision.valid().to_device(&reading));
        let encoder = match (&network, &own) {
            (None, Some(own)) => Some((own, vision)),
            _ => None,
        };
        let reader = Reader::new(FacePath::new(landmarks, detector)?, encoder, &reading);
        let sets = FaceSets::build(faces, config.records, &reader, &config.output, report)?;
        Ok(Self {
            texts: sets.train.conversations(TOKENIZER_TEXTS).collect(),
            judged: Some(sets.valid.clone()),
            encoder: network.map(|network| seen_through(network, device)),
            ..Self::of(Box::new(sets.train), Box::new(sets.valid))
        })
    }

    fn of(train: Box<dyn ExampleSource + Send>, valid: Box<dyn ExampleSource + Send>) -> Self {
        Self {
            train,
            valid,
            judged: None,
            encoder: None,
            texts: Vec::new(),
        }
    }
}

/// The encoder that looks through a detector.
fn seen_through(network: AuNetwork, device: &Device) -> VisionEncoder {
    VisionEncoder::Convolutional(DetectorEncoder::from(network)).to_device(device)
}

/// The action unit detector that reads the faces: the project's, or the same network with other
/// weights.
fn detector(faces: &FacesConfig, device: &Device) -> Result<AuNet, TrainError> {
    let Some(path) = &faces.detector else {
        return Ok(AuNet::pretrained(device)?);
    };
    let sizes = AuNetworkConfig::new();
    let mut network = sizes.init(device);
    read_weights(&mut network, path)?;
    Ok(AuNet::new(network, &sizes, device))
}

/// The tokenizer of an earlier start of the run, or a new one.
fn tokenizer(
    config: &TrainConfig,
    new: &NewModel,
    records: &Records,
    template: &PromptTemplate,
    report: &mut dyn FnMut(&str),
) -> Result<Tokenizer, TrainError> {
    if let Some(known) = Tokenizer::open(&config.output)? {
        return Ok(known);
    }
    report(&format!("learning {} pieces", new.vocabulary));
    let texts = records
        .texts
        .iter()
        .map(|turns| template.prompt(0, turns, Task::Explanation))
        .collect::<Result<Vec<_>, _>>()?;
    let tokenizer = Tokenizer::train(texts.iter().map(String::as_str), new.vocabulary)?;
    let folder = &config.output;
    std::fs::create_dir_all(folder).map_err(|e| TrainError::file(folder, e))?;
    tokenizer.save(folder)?;
    Ok(tokenizer)
}

/// The device that keeps what the backward pass needs.
pub(super) fn training_device(config: &TrainConfig, device: &Device) -> Device {
    let device = device.clone().autodiff();
    match config.run.gradient_checkpointing {
        true => device.gradient_checkpointing(),
        false => device,
    }
}

/// Rank 8 adapters on queries and values where there are none, as in the paper.
pub(super) fn add_adapters(config: &mut ModelConfig) {
    let paper = ModelConfig::expllm_7b();
    let adapters = |lora: Option<&LoraConfig>| lora.cloned();
    if config.llm.lora.is_none() {
        config.llm.lora = adapters(paper.llm.lora.as_ref());
    }
    if let Some(vision) = config.vision.dinov2_mut()
        && vision.lora.is_none()
    {
        vision.lora = adapters(paper.vision.lora());
    }
}

/// Freezes and unfreezes what the stage says. Loaded models train projector and adapters.
fn trained_parts(mut model: ExpLlm, stage: TrainStage) -> ExpLlm {
    match stage {
        TrainStage::Alignment => {
            model.vision = model.vision.freeze();
            model.llm = model.llm.freeze();
        }
        TrainStage::Instruction => {}
        TrainStage::Full => {
            model.vision = model.vision.freeze();
            model.llm = model.llm.unfreeze();
        }
    }
    model
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use burn::tensor::{Tensor, TensorData};
    use expllm_core::{AlignedFace, AuDetector, Photo, Similarity};
    use expllm_model::{FacePixels, PreparePixels, score_tokens};

    use super::*;

    fn face(seed: u32) -> AlignedFace {
        let side = NonZeroU32::new(expllm_face::ALIGNED_SIZE).unwrap();
        let wave = |v: u32, step: f32| 60.0 * (v as f32 * step + seed as f32).sin();
        AlignedFace {
            image: Photo::from_fn(side, side, |x, y| {
                [(127.0 + wave(x, 0.09) + wave(y, 0.05 * seed as f32)) as u8; 3]
            }),
            to_photo: Similarity::IDENTITY,
            landmarks: None,
        }
    }

    #[test]
    fn the_model_that_ships_sees_what_the_detector_reads() {
        let device = reading_device();
        let shipped = checkpoint::shipped().unwrap();
        let (source, options) = (shipped.source.as_ref(), LoadOptions::default());
        let model = ExpLlm::load(&shipped.config, source, &options, &device).unwrap();
        let detector = AuNet::pretrained(&device).unwrap();
        let (vision, side) = (&shipped.config.vision, shipped.config.vision.image_size());
        for face in (1..6).map(face) {
            let look = FacePixels::of(vision).prepare(&face.image, side);
            let look = Tensor::from_data(TensorData::new(look, [1, 1, side, side]), &device);
            let seen = model.vision.forward(look).unwrap().into_data();
            let reading = detector.detect_units(&[face]).unwrap();
            let seen = seen.iter::<f32>().zip(score_tokens(&reading[0]));
            for (seen, read) in seen {
                // A level is passed within a few thousandths.
                assert!((seen - read).abs() < 0.05, "{seen} {read}");
            }
        }
    }
}
