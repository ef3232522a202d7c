//! The tensors of a module under their official names.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};
use half::{bf16, f16};

use super::FreshPart;
use crate::{ExpLlm, ModelError, ProjectorKind, TensorInfo, TensorSource};

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
        layout_of(self, Path::new(self))
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

pub(super) fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16)
}

/// Every tensor of a module that stands at a place of a model.
pub(super) fn layout_of<M: Module>(module: &M, path: Path) -> Vec<TensorSpec> {
    let specs = Vec::new();
    let mut lister = Lister { path, specs };
    module.visit(&mut lister);
    lister.specs
}

/// Fills a module that stands at a place of a model.
pub(super) fn fill<M: Module>(
    module: M,
    path: Path,
    source: &dyn TensorSource,
    (dtype, fresh): (DType, BTreeSet<String>),
) -> Result<M, ModelError> {
    let mut filler = Filler {
        path,
        source,
        dtype,
        fresh,
        error: None,
    };
    let module = module.map(&mut filler);
    match filler.error {
        Some(error) => Err(error),
        None => Ok(module),
    }
}

/// The place in a module tree, and the official name of a parameter there.
pub(super) struct Path {
    parts: Vec<String>,
    projector: ProjectorKind,
}

impl Path {
    /// The root of a model.
    pub(super) fn new(model: &ExpLlm) -> Self {
        Self {
            parts: Vec::new(),
            projector: model.config().projector,
        }
    }

    /// The place of a part of a model.
    pub(super) fn of(part: &str, projector: ProjectorKind) -> Self {
        Self {
            parts: vec![part.to_owned()],
            projector,
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

/// The place of a language model.
pub(super) fn language() -> Path {
    // The kind of projector says nothing about the names of a language model.
    Path::of("llm", ProjectorKind::Linear)
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
