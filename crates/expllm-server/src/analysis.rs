//! Explaining one photo in steps, between which the work can end.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use expllm::reports::PhotoReport;
use expllm_core::{
    ExplainQuestion, ExplainRequest, Explanation, ExplanationEvent, ExplanationParts,
    ExpressionSet, FaceReading, Photo, StageError,
};

use crate::App;
use crate::error::Refusal;
use crate::queue::{Going, Turn};

/// How long to wait before looking again whether another chain has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Why an explanation ends before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The listener has heard enough.
    Enough,
    /// The request is refused.
    Refused(Refusal),
    /// The explanation of one face fails.
    Failed(StageError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StageError> for Stop {
    fn from(error: StageError) -> Self {
        Self::Failed(error)
    }
}

/// More text of a chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<'a> {
    pub text: &'a str,
    /// Whether the readings bear it out.
    pub supported: bool,
}

/// Hears the words of each face as they come, with the face's index.
pub(crate) type Listener<'a> = dyn FnMut(usize, Words<'_>) -> Result<(), Stop> + 'a;

/// The work on one photo that was read.
pub(crate) struct Analysis {
    app: App,
    photo: Photo,
    /// What was read from its faces.
    pub report: PhotoReport,
    turn: Turn,
}

impl Analysis {
    pub fn new(app: App, (photo, report): (Photo, PhotoReport), turn: Turn) -> Self {
        Self {
            app,
            photo,
            report,
            turn,
        }
    }

    fn going(&self) -> &Going {
        self.turn.going()
    }

    /// Explains all faces one after the other; one that fails is noted in the report.
    pub fn explain(&mut self, seed: u64, hear: &mut Listener<'_>) -> Result<(), Stop> {
        for index in 0..self.report.faces.len() {
            let face = &self.report.faces[index].face;
            let seed = seed.wrapping_add(index as u64);
            let said = self.explain_face(face, seed, &mut |words| hear(index, words));
            let report = &mut self.report;
            match said {
                Ok(said) => report.faces[index].explanation = Some(said),
                Err(Stop::Failed(error)) => report.fails(format!("face {}: {error}", index + 1)),
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    fn explain_face(
        &self,
        face: &FaceReading,
        seed: u64,
        hear: &mut dyn FnMut(Words<'_>) -> Result<(), Stop>,
    ) -> Result<Explanation, Stop> {
        let explainer = self.app.explainer();
        let (question, set) = (ExplainQuestion::LabelFirst, ExpressionSet::Eight);
        let request = ExplainRequest::of_reading(face, question, set).with_seed(seed);
        let side = explainer.crop_side();
        let request = self
            .app
            .reader()
            .with_pixels(request, (&self.photo, face), side)?;
        let _alone = match explainer.in_parallel() {
            true => None,
            false => Some(self.alone(self.app.one_chain())?),
        };
        let mut parts = ExplanationParts::new(question);
        for event in explainer.explain(&request)? {
            self.going().check()?;
            let event = event?;
            parts.take(&event);
            let (text, supported) = match &event {
                ExplanationEvent::Text(text) => (text, true),
                ExplanationEvent::Unsupported(text) => (text, false),
                _ => continue,
            };
            hear(Words { text, supported })?;
        }
        Ok(parts.finish())
    }

    /// Waits until no other chain is written, as long as the work should go on.
    fn alone<'a>(&self, chain: &'a Mutex<()>) -> Result<MutexGuard<'a, ()>, Refusal> {
        loop {
            self.going().check()?;
            match chain.try_lock() {
                Ok(alone) => return Ok(alone),
                Err(TryLockError::Poisoned(broken)) => return Ok(PoisonError::into_inner(broken)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }
}
