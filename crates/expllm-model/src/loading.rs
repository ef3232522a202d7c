//! Tensors of a module under their official names: listing, loading and reading back.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use expllm_kernels::Format;
use half::{bf16, f16};

use crate::checkpoint::blocks::format_beside;
use crate::checkpoint::merge::{Merged, merged_config};
use crate::nn::VisionEncoder;
use crate::nn::dinov2::VisionTransformer;
use crate::processor::{self, Loader, ProcessorDecoder, ProcessorEncoder, ProcessorProjector};
use crate::{
    ExpLlm, ModelConfig, ModelError, ProjectorKind, TensorInfo, TensorSource, VisionConfig,
    WeightsMismatch, WrongShape,
};

/// A part of the model that may be missing in a source and is then made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FreshPart {
    /// The projector, with small random weights.
    Projector,
    /// All adapters, which change nothing until they are trained.
    Lora,
}

impl FreshPart {
    /// Every part; together they are what training changes.
    pub const ALL: [Self; 2] = [Self::Projector, Self::Lora];

    fn covers(self, name: &str) -> bool {
        match self {
            Self::Projector => name.starts_with("mm_projector."),
            Self::Lora => name.contains(".lora_"),
        }
    }
}

/// How weights are loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// Number format in memory: `F32`, `F16` or `BF16`.
    pub dtype: DType,
    /// Parts that the source may lack.
    pub fresh: Vec<FreshPart>,
    /// For inference on the processor: weights are packed in this format for the kernels of
    /// `expllm-kernels`, adapters merged, and `dtype` has no effect. Such a model cannot be
    /// trained, saved or read back.
    pub kernels: Option<Format>,
}

impl Default for LoadOptions {
    /// All parts must be there; f32.
    fn default() -> Self {
        Self {
            dtype: DType::F32,
            fresh: Vec::new(),
            kernels: None,
        }
    }
}

/// Name and shape of one tensor that a model consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Official name.
    pub name: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Whether training changes it.
    pub trainable: bool,
}

impl TensorSpec {
    /// How many numbers it holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shape.iter().map(|&axis| axis as u64).product()
    }
}

impl ExpLlm {
    /// Every tensor of the model, in the order of the model; takes no memory for weights.
    #[must_use]
    pub fn layout(&self) -> Vec<TensorSpec> {
        let mut lister = Lister {
            path: Path::new(self),
            specs: Vec::new(),
        };
        self.visit(&mut lister);
        lister.specs
    }
}

impl TensorSource for ExpLlm {
    fn names(&self) -> Vec<String> {
        self.layout().into_iter().map(|spec| spec.name).collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        let spec = self.layout().into_iter().find(|spec| spec.name == name)?;
        Some(TensorInfo {
            shape: spec.shape,
            dtype: self.llm.dtype(),
        })
    }

    fn read(&self, name: &str) -> Result<TensorData, ModelError> {
        if self.llm.packed_bytes().is_some() {
            let reason = "weights are packed for inference; read them from the checkpoint";
            return Err(ModelError::tensor(name, reason));
        }
        let mut reader = Reader {
            path: Path::new(self),
            wanted: name,
            found: None,
        };
        self.visit(&mut reader);
        let data = reader
            .found
            .ok_or_else(|| ModelError::UnknownTensor(name.to_owned()))?;
        data.map_err(|reason| ModelError::tensor(name, reason))
    }
}

/// Fills a model from a source after checking that both fit.
pub(crate) fn load_into(
    model: ExpLlm,
    source: &dyn TensorSource,
    options: &LoadOptions,
) -> Result<ExpLlm, ModelError> {
    if ![DType::F32, DType::F16, DType::BF16].contains(&options.dtype) {
        let reason = format!("weights cannot be kept as {:?}", options.dtype);
        return Err(ModelError::config("dtype", reason));
    }
    let fresh = check(&model, source, options)?;
    let mut filler = Filler {
        path: Path::new(&model),
        source,
        dtype: options.dtype,
        fresh,
        error: None,
    };
    let model = model.map(&mut filler);
    match filler.error {
        Some(error) => Err(error),
        None => Ok(model),
    }
}

/// A model with packed weights; the parameters of burn stay empty, but for a convolutional vision
/// encoder, which is small and stays burn's.
pub(crate) fn load_packed(
    config: &ModelConfig,
    source: &dyn TensorSource,
    (options, format): (&LoadOptions, Format),
    device: &Device,
) -> Result<ExpLlm, ModelError> {
    let fresh = check(&ExpLlm::init(config, device)?, source, options)?;
    if let Some(name) = fresh.first() {
        let reason = "is missing; parts are made anew for training alone";
        return Err(ModelError::tensor(name, reason));
    }
    let merged = Merged::new(source, config);
    let mut model = ExpLlm::init(&merged_config(config), device)?;
    let mut loader = Loader {
        source: &merged,
        format: format_beside(format),
    };
    model.vision = match model.vision {
        VisionEncoder::Dinov2(encoder) => {
            VisionEncoder::Dinov2(pack_vision(encoder, &config.vision, &loader)?)
        }
        convolutional @ VisionEncoder::Convolutional(_) => {
            let path = Path {
                parts: vec!["vision".to_owned()],
                projector: config.projector,
            };
            fill(convolutional, path, &merged)?
        }
    };
    let widths = [config.vision.width(), config.llm.hidden_size];
    let projector = ProcessorProjector::load(config.projector, widths, &loader)?;
    model.projector.set_processor(projector);
    loader.format = format;
    let decoder = ProcessorDecoder::load(&config.llm, &loader)?;
    model.llm.set_processor(decoder);
    Ok(model)
}

fn pack_vision(
    mut encoder: VisionTransformer,
    config: &VisionConfig,
    loader: &Loader<'_>,
) -> Result<VisionTransformer, ModelError> {
    let Some(config) = config.dinov2() else {
        return Ok(encoder);
    };
    let width = config.embed_dim;
    let stored = loader.numbers("vision_model.pos_embed")?;
    let shape = [1, stored.len() / width, width];
    let stored = processor::tensor(stored, shape, &encoder.pos_embed.lazy_device());
    let positions = processor::numbers(encoder.resample(stored));
    encoder.set_processor(ProcessorEncoder::load(config, loader, positions)?);
    Ok(encoder)
}

/// Fills a part of a model in f32.
fn fill<M: Module>(part: M, path: Path, source: &dyn TensorSource) -> Result<M, ModelError> {
    let mut filler = Filler {
        path,
        source,
        dtype: DType::F32,
        fresh: BTreeSet::new(),
        error: None,
    };
    let part = part.map(&mut filler);
    match filler.error {
        Some(error) => Err(error),
        None => Ok(part),
    }
}

/// Compares names and shapes, and returns the names that will be made anew.
pub(crate) fn check(
    model: &ExpLlm,
    source: &dyn TensorSource,
    options: &LoadOptions,
) -> Result<BTreeSet<String>, ModelError> {
    let mut left: BTreeSet<String> = source.names().into_iter().collect();
    let mut mismatch = WeightsMismatch::default();
    let mut fresh = BTreeSet::new();
    for spec in model.layout() {
        left.remove(&spec.name);
        match source.info(&spec.name) {
            None if options.fresh.iter().any(|part| part.covers(&spec.name)) => {
                fresh.insert(spec.name);
            }
            None => mismatch.missing.push(spec.name),
            Some(info) if info.shape != spec.shape => mismatch.misshapen.push(WrongShape {
                name: spec.name,
                expected: spec.shape,
                found: info.shape,
            }),
            Some(info) if !is_float(info.dtype) => {
                let reason = format!("{:?} cannot be a weight", info.dtype);
                return Err(ModelError::tensor(spec.name, reason));
            }
            Some(_) => {}
        }
    }
    let tied = model.config().llm.tie_word_embeddings;
    left.retain(|name| !is_never_read(name, tied));
    mismatch.unexpected = left.into_iter().collect();
    if mismatch.is_empty() {
        Ok(fresh)
    } else {
        Err(ModelError::Weights(mismatch))
    }
}

/// Tensors that official checkpoints store and the model has no use for.
fn is_never_read(name: &str, tied: bool) -> bool {
    name == "vision_model.mask_token"
        || name.ends_with(".rotary_emb.inv_freq")
        || (tied && name == "lm_head.weight")
}

fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16)
}

/// The place in a module tree, and the official name of a parameter there.
struct Path {
    parts: Vec<String>,
    projector: ProjectorKind,
}

impl Path {
    fn new(model: &ExpLlm) -> Self {
        Self {
            parts: Vec::new(),
            projector: model.config().projector,
        }
    }

    fn name(&self) -> String {
        let parts: Vec<&str> = self.parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["vision", _kind, head @ .., slot, matrix @ ("a" | "b")] => {
                // `lora_q`, `a` is `lora_A_q`.
                let letter = slot.trim_start_matches("lora_");
                let matrix = matrix.to_ascii_uppercase();
                format!("vision_model.{}.lora_{matrix}_{letter}", head.join("."))
            }
            ["llm", head @ .., "lora", matrix] => {
                let matrix = matrix.to_ascii_uppercase();
                format!("model.{}.lora_{matrix}", head.join("."))
            }
            ["vision", _kind, rest @ ..] => format!("vision_model.{}", rest.join(".")),
            ["llm", "lm_head", rest @ ..] => format!("lm_head.{}", rest.join(".")),
            ["llm", rest @ ..] => format!("model.{}", rest.join(".")),
            ["projector", "layers", _, rest @ ..] if self.projector == ProjectorKind::Linear => {
                format!("mm_projector.{}", rest.join("."))
            }
            ["projector", "layers", layer, rest @ ..] => {
                // Layers of the official sequence are numbered with the GELU between them.
                let number = if *layer == "0" { "0" } else { "2" };
                format!("mm_projector.{number}.{}", rest.join("."))
            }
            rest => rest.join("."),
        }
    }
}

macro_rules! walk_path {
    () => {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.parts.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.parts.pop();
        }
    };
}

struct Lister {
    path: Path,
    specs: Vec<TensorSpec>,
}

impl ModuleVisitor for Lister {
    walk_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.name();
        self.specs.push(TensorSpec {
            trainable: FreshPart::ALL.iter().any(|part| part.covers(&name)),
            shape: param.lazy_shape().to_vec(),
            name,
        });
    }
}

struct Reader<'a> {
    path: Path,
    wanted: &'a str,
    found: Option<Result<TensorData, String>>,
}

impl ModuleVisitor for Reader<'_> {
    walk_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.found.is_none() && self.path.name() == self.wanted {
            let data = param.val().try_into_data();
            self.found = Some(data.map_err(|error| format!("{error:?}")));
        }
    }
}

struct Filler<'a> {
    path: Path,
    source: &'a dyn TensorSource,
    dtype: DType,
    fresh: BTreeSet<String>,
    error: Option<ModelError>,
}

impl Filler<'_> {
    fn read(&self, name: &str, shape: &[usize]) -> Result<TensorData, ModelError> {
        let data = self.source.read(name)?;
        if data.shape().to_vec() != shape || !is_float(data.dtype()) {
            let reason = format!(
                "holds {:?} {:?} where {shape:?} was announced",
                data.dtype(),
                data.shape().to_vec(),
            );
            return Err(ModelError::tensor(name, reason));
        }
        let data = data.convert_dtype(self.dtype);
        match count_non_finite(&data) {
            0 => Ok(data),
            count => {
                let reason = format!("{count} numbers are not finite as {:?}", self.dtype);
                Err(ModelError::tensor(name, reason))
            }
        }
    }
}

impl ModuleMapper for Filler<'_> {
    walk_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() {
            return param;
        }
        let name = self.path.name();
        let dtype = self.dtype;
        if self.fresh.contains(&name) {
            return param.map(|tensor| tensor.cast(dtype));
        }
        match self.read(&name, &param.lazy_shape().to_vec()) {
            Ok(data) => {
                let tensor = Tensor::from_data(data, (&param.lazy_device(), dtype));
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
            Err(error) => {
                self.error = Some(error);
                param
            }
        }
    }
}

/// How many numbers are infinite or not a number.
fn count_non_finite(data: &TensorData) -> usize {
    fn count<T: Copy>(numbers: &[T], finite: fn(T) -> bool) -> usize {
        numbers.iter().filter(|&&number| !finite(number)).count()
    }
    match data.dtype() {
        DType::F16 => data.as_slice().map_or(0, |v| count(v, f16::is_finite)),
        DType::BF16 => data.as_slice().map_or(0, |v| count(v, bf16::is_finite)),
        _ => data.as_slice().map_or(0, |v| count(v, f32::is_finite)),
    }
}
