//! The model as a stage of the pipeline.

use expllm_core::{
    AlignedFace, ExplainRequest, Explainer, Explanation, ExplanationStream, Stage, StageError,
    explanation_of,
};

use super::ExpLlmExplainer;
use crate::generation::{CancelToken, GenerationSettings};

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
        let face = (face, Some(&request.action_units));
        let run = self.begin(face, request.question, (settings, CancelToken::default()));
        Ok(Box::new(
            run.map_err(wrap)?.map(move |event| event.map_err(wrap)),
        ))
    }

    /// Side by side where nothing is verified, else one after the other.
    fn explain_all(&self, requests: &[ExplainRequest]) -> Result<Vec<Explanation>, StageError> {
        if self.verification.is_some() {
            let to_the_end = |r: &ExplainRequest| explanation_of(self.explain(r)?, r.question);
            return requests.iter().map(to_the_end).collect();
        }
        let mut said = Vec::with_capacity(requests.len());
        for alike in requests.chunk_by(|a, b| self.alike(a, b)) {
            said.extend(self.explain_alike(alike)?);
        }
        Ok(said)
    }
}
