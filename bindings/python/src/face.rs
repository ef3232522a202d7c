//! One face.

use expllm_core::{
    ActionUnit, AuVector, Doubt, Expression, ExpressionProbabilities, FaceBox, FaceOutcome,
    FaceReading, HeadPose, Photo, Point,
};
use expllm_face::encode_png;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};
use serde::{Deserialize, Serialize};

use crate::chains::{Explained, explain};
use crate::values::{expression_set, label, named_probabilities, named_units, wrong};

/// A face that was found: what was read from it, or why nothing was.
#[pyclass(frozen, module = "expllm._native")]
#[derive(Clone)]
pub struct Face {
    known: Known,
    crop: Option<Photo>,
}

/// All but the pixels.
#[derive(Clone, Serialize, Deserialize)]
struct Known {
    face_box: FaceBox,
    points: Option<Vec<Point>>,
    units: AuVector,
    probabilities: Option<ExpressionProbabilities>,
    pose: Option<HeadPose>,
    /// How far the reading can be trusted, and why no further.
    confidence: Option<f32>,
    doubts: Vec<String>,
    error: Option<String>,
}

/// A reason as the program's JSON names it.
fn name(doubt: Doubt) -> String {
    doubt.to_string().replace(' ', "_")
}

impl From<FaceReading> for Face {
    fn from(face: FaceReading) -> Self {
        let known = Known {
            face_box: face.face_box,
            points: face.landmarks.map(|marks| marks.points.to_vec()),
            units: face.action_units,
            probabilities: face.probabilities,
            pose: face.head_pose,
            confidence: Some(face.confidence.get()),
            doubts: face.confidence.doubts().map(name).collect(),
            error: None,
        };
        let crop = Some(face.aligned.image);
        Self { known, crop }
    }
}

impl From<FaceOutcome> for Face {
    fn from(outcome: FaceOutcome) -> Self {
        outcome.map_or_else(
            |unread| {
                let known = Known {
                    error: Some(unread.source.to_string()),
                    face_box: unread.face_box,
                    points: None,
                    units: AuVector::default(),
                    probabilities: None,
                    pose: None,
                    confidence: None,
                    doubts: Vec::new(),
                };
                Self { known, crop: None }
            },
            Self::from,
        )
    }
}

#[pymethods]
impl Face {
    /// Left edge, top edge, width, height in pixels of the photo.
    #[getter(r#box)]
    fn face_box(&self) -> (f32, f32, f32, f32) {
        let b = &self.known.face_box;
        (b.x, b.y, b.width, b.height)
    }

    /// The detector's score; higher is surer.
    #[getter]
    fn score(&self) -> f32 {
        self.known.face_box.score
    }

    /// Measured units by name, in AU order, each from 0 to 1.
    #[getter]
    fn action_units(&self) -> Vec<(&'static str, f32)> {
        named_units(&self.known.units)
    }

    /// Probabilities by name, in expression order.
    #[getter]
    fn probabilities(&self) -> Option<Vec<(&'static str, f32)>> {
        self.known.probabilities.as_ref().map(named_probabilities)
    }

    /// The likeliest expression.
    #[getter]
    fn expression(&self) -> Option<&'static str> {
        self.known.probabilities.map(|all| all.top().snake_case())
    }

    /// Pitch, yaw and roll in degrees.
    #[getter]
    fn head_pose(&self) -> Option<(f32, f32, f32)> {
        self.known.pose.map(|p| (p.pitch.0, p.yaw.0, p.roll.0))
    }

    /// How far the reading can be trusted, from 0 to 1.
    #[getter]
    fn confidence(&self) -> Option<f32> {
        self.known.confidence
    }

    /// Why the confidence is low.
    #[getter]
    fn doubts(&self) -> Vec<String> {
        self.known.doubts.clone()
    }

    /// The 68 landmarks in pixels of the photo.
    #[getter]
    fn landmarks(&self) -> Option<Vec<(f32, f32)>> {
        let points = self.known.points.as_ref()?;
        Some(points.iter().map(|p| (p.x, p.y)).collect())
    }

    /// Eyes, nose and corners of the mouth as the detector saw them, in pixels of the photo.
    #[getter]
    fn points(&self) -> Option<Vec<(f32, f32)>> {
        let points = self.known.face_box.points.as_ref()?;
        Some(points.iter().map(|p| (p.x, p.y)).collect())
    }

    /// Why nothing was read.
    #[getter]
    fn error(&self) -> Option<&str> {
        self.known.error.as_deref()
    }

    /// Side in pixels and RGB bytes of the upright face, where they were kept.
    #[getter]
    fn crop<'py>(&self, py: Python<'py>) -> Option<(u32, Bound<'py, PyBytes>)> {
        let crop = self.crop.as_ref()?;
        Some((crop.width(), PyBytes::new(py, crop.pixels())))
    }

    /// The upright face as a PNG file.
    fn crop_png<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let png = self.crop.as_ref().map(encode_png).transpose();
        Ok(png.map_err(wrong)?.map(|png| PyBytes::new(py, &png)))
    }

    /// The same face without its pixels.
    fn without_crop(&self) -> Self {
        let known = self.known.clone();
        Self { known, crop: None }
    }

    /// A chain of thought for the likeliest expression, or for a given one.
    fn explain(&self, given: Option<&str>, classes: u8, seed: u64) -> PyResult<Explained> {
        let set = expression_set(classes)?;
        let given = given.map(|name| label(name, set)).transpose()?;
        let known = &self.known;
        if let Some(error) = &known.error {
            return Err(wrong(format!("nothing was read from this face: {error}")));
        }
        explain(&known.units, known.probabilities, given, (set, seed))
    }

    /// How pickle makes it again.
    #[allow(clippy::type_complexity)] // Python's protocol.
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(
        Bound<'py, PyAny>,
        (String, Option<(u32, Bound<'py, PyBytes>)>),
    )> {
        let make = slf.get_type().getattr("restore")?;
        let face = slf.get();
        let known = serde_json::to_string(&face.known).map_err(wrong)?;
        Ok((make, (known, face.crop(slf.py()))))
    }

    /// The face that `__reduce__` wrote down.
    #[classmethod]
    fn restore(
        _class: &Bound<'_, PyType>,
        known: &str,
        crop: Option<(u32, Vec<u8>)>,
    ) -> PyResult<Self> {
        let known = serde_json::from_str(known).map_err(wrong)?;
        let crop = crop.map(|(side, pixels)| Photo::new(side, side, pixels));
        let crop = crop.transpose().map_err(wrong)?;
        Ok(Self { known, crop })
    }
}

impl Face {
    /// What was measured.
    pub fn units(&self) -> &AuVector {
        &self.known.units
    }

    /// Box and score, units, expressions, pose; not a number where unknown.
    fn numbers(&self) -> impl Iterator<Item = f32> + '_ {
        let Known {
            face_box: b, units, ..
        } = &self.known;
        let place = [b.x, b.y, b.width, b.height, b.score];
        let units = ActionUnit::ALL.map(|unit| units.get(unit).map_or(f32::NAN, |i| i.get()));
        let unknown = [f32::NAN; Expression::COUNT];
        let expressions = self.known.probabilities.map_or(unknown, |all| all.values());
        let pose = self.known.pose.map(|p| [p.pitch.0, p.yaw.0, p.roll.0]);
        let readings = place.into_iter().chain(units).chain(expressions);
        let confidence = self.known.confidence.unwrap_or(f32::NAN);
        let pose = pose.unwrap_or([f32::NAN; 3]);
        readings.chain(pose).chain([confidence])
    }
}

/// The numbers of some faces, row by row, as little-endian 32-bit floats: x, y, width, height,
/// score, 35 units, 8 expressions, pitch, yaw, roll, confidence. What is unknown is not a number; a row of
/// `None` is unknown throughout.
#[pyfunction]
pub fn table<'py>(py: Python<'py>, faces: Vec<Option<PyRef<'py, Face>>>) -> Bound<'py, PyBytes> {
    const COLUMNS: usize = 5 + ActionUnit::COUNT + Expression::COUNT + 4;
    let mut bytes = Vec::with_capacity(4 * COLUMNS * faces.len());
    for face in &faces {
        match face {
            Some(face) => bytes.extend(face.numbers().flat_map(f32::to_le_bytes)),
            None => bytes.extend([f32::NAN; COLUMNS].into_iter().flat_map(f32::to_le_bytes)),
        }
    }
    PyBytes::new(py, &bytes)
}
