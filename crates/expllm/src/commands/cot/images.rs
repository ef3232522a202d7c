//! The images behind the records: action units for those without, faces for a model that looks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use expllm::explaining::{ExplainerOptions, ModelSource};
use expllm_au::AuNet;
use expllm_core::{AuVector, ExplainQuestion, ExpressionSet, FaceBox, Photo, Pipeline, ReadFace};
use expllm_cot::{Composer, Draft, TextWriter, UnitReader, WriteError, WriteRequest};
use expllm_data::ImageSource;
use expllm_face::device::default_device;
use expllm_face::{FaceError, LandmarkNet, PhotoReader, RustfaceDetector, SimilarityAligner};
use expllm_model::ExpLlmExplainer;
use rayon::prelude::*;

use super::source::Source;
use crate::CliError;

type Stages = Pipeline<RustfaceDetector, LandmarkNet, SimilarityAligner, AuNet, Composer>;

/// Reads the faces of images below a folder.
pub struct Images {
    root: PathBuf,
    /// Images that are no files below it, by name.
    elsewhere: HashMap<String, ImageSource>,
    /// Whether each image is the crop of one face.
    cropped: bool,
    stages: Stages,
}

impl Images {
    /// The stages with the weights that are part of the program.
    pub fn new(source: &Source, set: ExpressionSet) -> Result<Self, CliError> {
        let device = default_device();
        let stages = Pipeline {
            detector: RustfaceDetector::new().map_err(CliError::library)?,
            landmarks: LandmarkNet::pretrained(&device).map_err(CliError::library)?,
            aligner: SimilarityAligner,
            units: AuNet::pretrained(&device).map_err(CliError::library)?,
            writer: Composer,
            set,
            seed: 0,
        };
        Ok(Self {
            root: source.root().unwrap_or(Path::new("")).to_path_buf(),
            elsewhere: source.images.clone(),
            cropped: source.cropped,
            stages,
        })
    }

    fn photo(&self, file_name: &str) -> Result<Photo, String> {
        let reader = PhotoReader::default();
        match self.elsewhere.get(file_name) {
            None => reader
                .read(self.root.join(file_name))
                .map_err(|error| match error {
                    FaceError::InFile { source, .. } => source.to_string(),
                    other => other.to_string(),
                }),
            Some(source) => {
                let bytes = source.read().map_err(|error| error.to_string())?;
                reader.decode(&bytes).map_err(|error| error.to_string())
            }
        }
    }

    /// The only face of an image, or its largest.
    fn face(&self, file_name: &str) -> Result<ReadFace, String> {
        let photo = self.photo(file_name)?;
        let faces = if self.cropped {
            let whole = FaceBox::whole(photo.width(), photo.height());
            self.stages.read_boxes(&photo, &[whole])
        } else {
            self.stages.read(&photo)
        };
        let faces = faces.map_err(|error| error.to_string())?;
        let none = || "no face found; give --cropped if the image is the crop of a face".to_owned();
        faces.into_iter().next().ok_or_else(none)
    }
}

impl UnitReader for Images {
    fn read(&self, file_names: &[&str]) -> Vec<Result<AuVector, String>> {
        let units = |name: &&str| Ok(self.face(name)?.reading.action_units);
        file_names.par_iter().map(units).collect()
    }
}

/// The project's own multimodal model as a writer.
///
/// It looks at the face and is asked for the chain of the given label, as it was trained. It has
/// no turn for findings: a repair samples again with another seed, and a model that does not
/// sample is asked once.
pub struct ModelWriter {
    images: Arc<Images>,
    explainer: ExpLlmExplainer,
    name: String,
}

impl ModelWriter {
    /// Loads a checkpoint folder.
    pub fn new(
        images: Arc<Images>,
        folder: &Path,
        options: &ExplainerOptions,
    ) -> Result<Self, CliError> {
        let source = ModelSource::Folder(folder.to_path_buf());
        let explainer = source.load(options).map_err(CliError::library)?;
        let name = folder.file_name().unwrap_or(folder.as_os_str());
        Ok(Self {
            images,
            explainer,
            name: name.to_string_lossy().into_owned(),
        })
    }
}

#[async_trait]
impl TextWriter for ModelWriter {
    fn name(&self) -> &str {
        "model"
    }

    fn varies(&self) -> bool {
        self.explainer.samples()
    }

    /// Never waits.
    async fn write(&self, request: WriteRequest<'_>) -> Result<Draft, WriteError> {
        let face = self
            .images
            .face(request.file_name)
            .map_err(WriteError::Record)?;
        let question = ExplainQuestion::Given(request.label);
        let explained = self
            .explainer
            .explain_seeded(&face.aligned, question, request.seed)
            .map_err(|error| WriteError::Record(error.to_string()))?;
        Ok(Draft {
            text: explained.text,
            model: Some(self.name.clone()),
            ..Draft::default()
        })
    }
}
