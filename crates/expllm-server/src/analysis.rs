//! Reading and explaining one photo in steps, between which the work can end.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use axum::http::StatusCode;
use expllm::reports::{FaceReport, PhotoReport};
use expllm_core::{
    ExplainQuestion, ExplainRequest, Explanation, ExplanationEvent, ExplanationParts,
    ExpressionSet, FaceBox, FaceOutcome, FaceReading, Photo, StageError,
};

use crate::App;
use crate::error::Refusal;
use crate::photo::decode;
use crate::queue::Going;

/// Faces that are read in one step.
const BATCH: usize = 8;
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

/// The work on one photo.
#[derive(Clone, Copy)]
pub(crate) struct Analysis<'a> {
    pub app: &'a App,
    pub going: &'a Going,
}

impl Analysis<'_> {
    /// Reads all faces of an encoded photo.
    pub fn read(&self, bytes: &[u8]) -> Result<(Photo, PhotoReport), Refusal> {
        self.going.check()?;
        let photo = decode(self.app, bytes)?;
        self.going.check()?;
        let boxes = self.boxes(&photo)?;
        let mut report = PhotoReport {
            file: "photo".to_owned(),
            faces: Vec::new(),
            error: None,
        };
        for (step, boxes) in boxes.chunks(BATCH).enumerate() {
            for (place, face) in self.faces(&photo, boxes)?.into_iter().enumerate() {
                add(&mut report, step * BATCH + place, face);
            }
        }
        self.app.metrics().read(boxes.len());
        Ok((photo, report))
    }

    fn boxes(&self, photo: &Photo) -> Result<Vec<FaceBox>, Refusal> {
        let go_on = || self.going.check().is_ok();
        let boxes = self.app.reader().boxes_while(photo, &go_on);
        let boxes =
            boxes.map_err(|e| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, e.to_string()))?;
        // Says why, where the search was broken off.
        self.going.check()?;
        Ok(boxes.unwrap_or_default())
    }

    fn faces(&self, photo: &Photo, boxes: &[FaceBox]) -> Result<Vec<FaceOutcome>, Refusal> {
        self.going.check()?;
        let placed = self.app.reader().place(photo, boxes);
        self.going.check()?;
        Ok(self.app.reader().read_placed(placed))
    }

    /// Explains all faces of a report one after the other; one that fails is noted there.
    pub fn explain(
        &self,
        (photo, report): (&Photo, &mut PhotoReport),
        seed: u64,
        hear: &mut Listener<'_>,
    ) -> Result<(), Stop> {
        for index in 0..report.faces.len() {
            let face = &report.faces[index].face;
            let seed = seed.wrapping_add(index as u64);
            let said = self.explain_face((photo, face), seed, &mut |words| hear(index, words));
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
        (photo, face): (&Photo, &FaceReading),
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
            .with_pixels(request, (photo, face), side)?;
        let _alone = match explainer.in_parallel() {
            true => None,
            false => Some(self.alone(self.app.one_chain())?),
        };
        let mut parts = ExplanationParts::new(question);
        for event in explainer.explain(&request)? {
            self.going.check()?;
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
            self.going.check()?;
            match chain.try_lock() {
                Ok(alone) => return Ok(alone),
                Err(TryLockError::Poisoned(broken)) => return Ok(PoisonError::into_inner(broken)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }
}

fn add(report: &mut PhotoReport, place: usize, face: FaceOutcome) {
    match face {
        Ok(face) => report.faces.push(FaceReport {
            face,
            explanation: None,
            picture: None,
        }),
        Err(unread) => report.fails(format!("face {}: {unread}", place + 1)),
    }
}
