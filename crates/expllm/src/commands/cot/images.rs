//! The images behind the records: action units for those without, faces for a model that looks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use expllm::explaining::{ExplainerOptions, ModelSource};
use expllm_au::AuNet;
use expllm_core::{
    AuVector, ExplainQuestion, ExplanationEvent, ExpressionSet, FaceBox, FaceExplainer, Pipeline,
    ReadFace,
};
use expllm_cot::{Composer, Draft, TextWriter, UnitReader, WriteError, WriteRequest};
use expllm_face::device::default_device;
use expllm_face::{LandmarkNet, PhotoReader, RustfaceDetector, SimilarityAligner};
use rayon::prelude::*;

use crate::CliError;

type Stages = Pipeline<RustfaceDetector, LandmarkNet, SimilarityAligner, AuNet, Composer>;

/// Reads the faces of images below a folder.
pub struct Images {
    root: PathBuf,
    /// Whether each image is the crop of one face.
    cropped: bool,
    stages: Stages,
}

impl Images {
    /// The stages with the weights that are part of the program.
    pub fn new(root: &Path, cropped: bool, set: ExpressionSet) -> Result<Self, CliError> {
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
            root: root.to_path_buf(),
            cropped,
            stages,
        })
    }

    /// The only face of an image, or its largest.
    fn face(&self, file_name: &str) -> Result<ReadFace, String> {
        let path = self.root.join(file_name);
        let photo = PhotoReader::default()
            .read(&path)
            .map_err(|error| error.to_string())?;
        let faces = if self.cropped {
            let whole = FaceBox::whole(photo.width(), photo.height());
            self.stages.read_boxes(&photo, &[whole])
        } else {
            self.stages.read(&photo)
        };
        let faces = faces.map_err(|error| format!("{}: {error}", path.display()))?;
        let none = || {
            let path = path.display();
            format!("{path}: no face found; give --cropped if the image is the crop of a face")
        };
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
/// no turn for findings: a repair samples again with another seed where the model samples.
pub struct ModelWriter {
    images: Arc<Images>,
    explainer: Box<dyn FaceExplainer>,
    name: String,
}

impl ModelWriter {
    /// Loads a checkpoint folder.
    pub fn new(images: Arc<Images>, folder: &Path, seed: u64) -> Result<Self, CliError> {
        let options = ExplainerOptions {
            set: images.stages.set,
            seed: Some(seed),
            ..ExplainerOptions::default()
        };
        let source = ModelSource::Folder(folder.to_path_buf());
        let explainer = source.load(&options).map_err(CliError::library)?;
        let name = folder.file_name().unwrap_or(folder.as_os_str());
        Ok(Self {
            images,
            explainer: Box::new(explainer),
            name: name.to_string_lossy().into_owned(),
        })
    }
}

#[async_trait]
impl TextWriter for ModelWriter {
    fn name(&self) -> &str {
        "model"
    }

    /// Never waits.
    async fn write(&self, request: WriteRequest<'_>) -> Result<Draft, WriteError> {
        let face = self
            .images
            .face(request.file_name)
            .map_err(WriteError::Record)?;
        let failed = |error: expllm_core::StageError| WriteError::Record(error.to_string());
        let question = ExplainQuestion::Given(request.label);
        let events = self
            .explainer
            .explain(&face.aligned, question)
            .map_err(failed)?;
        let mut text = String::new();
        for event in events {
            if let ExplanationEvent::Text(more) = event.map_err(failed)? {
                text.push_str(&more);
            }
        }
        Ok(Draft {
            text,
            model: Some(self.name.clone()),
            ..Draft::default()
        })
    }
}
