//! The images behind the records: action units for those without, faces for a model that looks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use expllm::explaining::{ExplainerOptions, ModelSource};
use expllm_au::FaceReader;
use expllm_core::{AuVector, ExplainQuestion, ExplainRequest, Explainer, FaceReading, Photo};
use expllm_cot::{Draft, TextWriter, UnitReader, WriteError, WriteRequest};
use expllm_data::ImageSource;
use expllm_face::{FaceError, PhotoReader};
use expllm_model::ExpLlmExplainer;
use rayon::prelude::*;

use super::source::Source;
use crate::CliError;

/// Reads the faces of images below a folder.
pub struct Images {
    root: PathBuf,
    /// Images that are no files below it, by name.
    elsewhere: HashMap<String, ImageSource>,
    /// Whether each image is the crop of one face.
    cropped: bool,
    reader: FaceReader,
}

impl Images {
    /// The reader with the weights that are part of the program.
    pub fn new(source: &Source) -> Result<Self, CliError> {
        Ok(Self {
            root: source.root().unwrap_or(Path::new("")).to_path_buf(),
            elsewhere: source.images.clone(),
            cropped: source.cropped,
            reader: FaceReader::pretrained().map_err(CliError::library)?,
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
    fn face(&self, file_name: &str) -> Result<(Photo, FaceReading), String> {
        let photo = self.photo(file_name)?;
        let face = if self.cropped {
            self.reader.read_crop(&photo)
        } else {
            let none = "no face found; give --cropped if the image is the crop of a face";
            let boxes = self.reader.boxes(&photo).map_err(|e| e.to_string())?;
            let largest = boxes.get(..1).ok_or(none)?;
            self.reader.read_boxes(&photo, largest).pop().ok_or(none)?
        };
        let face = face.map_err(|error| error.to_string())?;
        Ok((photo, face))
    }
}

impl UnitReader for Images {
    fn read(&self, file_names: &[&str]) -> Vec<Result<AuVector, String>> {
        let units = |name: &&str| Ok(self.face(name)?.1.action_units);
        file_names.par_iter().map(units).collect()
    }

    fn bytes(&self, file_name: &str) -> Option<Vec<u8>> {
        match self.elsewhere.get(file_name) {
            Some(source) => source.read().ok(),
            None => ImageSource::file(self.root.join(file_name)).read().ok(),
        }
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

    fn looks(&self) -> bool {
        true
    }

    /// Never waits.
    async fn write(&self, request: WriteRequest<'_>) -> Result<Draft, WriteError> {
        let wrong = |error: &dyn std::fmt::Display| WriteError::Record(error.to_string());
        let face = self.images.face(request.file_name);
        let (photo, face) = face.map_err(WriteError::Record)?;
        let question = ExplainQuestion::Given(request.label);
        let asked = ExplainRequest::of_reading(&face, question, request.set);
        let reader = &self.images.reader;
        let asked = reader.with_pixels(asked, (&photo, &face), self.explainer.crop_side());
        let crop = asked.map_err(|e| wrong(&e))?.crop;
        let crop = crop.ok_or_else(|| wrong(&"no pixels to look at"))?;
        let explained = self
            .explainer
            .explain_seeded(&crop, question, request.seed)
            .map_err(|error| wrong(&error))?;
        Ok(Draft {
            text: explained.text,
            model: Some(self.name.clone()),
            ..Draft::default()
        })
    }
}
