//! The morphable head: reading it, checking it and keeping what can be seen.

use std::collections::BTreeMap;
use std::path::Path;

use expllm_core::LANDMARK_COUNT;
use safetensors::SafeTensors;

use super::kit_file::{floats, indices, json, kept_vertices, part_of_vertices, vertices};
use super::math::Vec3;
use crate::TrainError;

/// Largest file that is read, in bytes; the light ICT-FaceKit takes 27 MB.
const MAX_FILE: u64 = 256 << 20;

/// What a part of the head is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The face and, behind it, head and neck.
    Skin,
    /// The wall of the mouth.
    Mouth,
    /// Gums and tongue.
    Gums,
    Teeth,
    Eyeball,
    /// Skin inside the eye opening.
    EyeRim,
    Lashes,
}

/// Vertices moved by one expression shape at weight 1.
#[derive(Debug, Clone, Default)]
pub(crate) struct SparseShape {
    pub vertices: Vec<u32>,
    pub deltas: Vec<Vec3>,
}

/// Values per block of an identity mode: small enough for the first-level cache.
pub(crate) const IDENTITY_BLOCK: usize = 1536;

/// How one identity mode moves the vertices for a coefficient of one standard deviation.
#[derive(Debug, Clone)]
pub(crate) struct IdentityMode {
    /// `[vertices * 3]` in 32767ths of the block's largest movement, which halves the memory
    /// that every face reads.
    pub steps: Vec<i16>,
    /// Largest movement in each block.
    pub most: Vec<f32>,
}

impl IdentityMode {
    fn new(deltas: &[f32]) -> Self {
        let most = |block: &[f32]| block.iter().fold(1e-9f32, |m, d| m.max(d.abs()));
        let steps = |block: &[f32]| -> Vec<i16> {
            let per_cm = f32::from(i16::MAX) / most(block);
            block.iter().map(|d| (d * per_cm).round() as i16).collect()
        };
        Self {
            most: deltas.chunks(IDENTITY_BLOCK).map(most).collect(),
            steps: deltas.chunks(IDENTITY_BLOCK).flat_map(steps).collect(),
        }
    }
}

/// The head model: a neutral mesh, identity and expression shapes, landmarks.
///
/// Lengths are centimetres; x points to the subject's left, y up and z out of the face. Source:
/// ICT-FaceKit light model, USC Institute for Creative Technologies, MIT licence.
#[derive(Debug, Clone)]
pub struct FaceKit {
    pub(crate) neutral: Vec<Vec3>,
    pub(crate) identity: Vec<IdentityMode>,
    pub(crate) expression: Vec<SparseShape>,
    pub(crate) expression_names: Vec<String>,
    pub(crate) triangles: Vec<(Part, Vec<[u32; 3]>)>,
    pub(crate) parts: Vec<Part>,
    pub(crate) landmarks: [u32; LANDMARK_COUNT],
}

impl FaceKit {
    /// Reads and checks a kit.
    ///
    /// # Errors
    ///
    /// [`TrainError::File`] when the file cannot be read, [`TrainError::FaceKit`] when it is
    /// truncated, a tensor is missing or has another shape, an index leaves its range or a
    /// coordinate is not finite.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, TrainError> {
        let path = path.as_ref();
        let bad = |reason: String| TrainError::FaceKit {
            path: path.to_owned(),
            reason,
        };
        let length = std::fs::metadata(path)
            .map_err(|e| TrainError::file(path, e))?
            .len();
        if length > MAX_FILE {
            return Err(bad(format!("{length} bytes are more than {MAX_FILE}")));
        }
        let bytes = std::fs::read(path).map_err(|e| TrainError::file(path, e))?;
        Self::from_bytes(&bytes).map_err(bad)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let meta = header.metadata().clone().unwrap_or_default();
        let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        let names: Vec<String> = json(meta.get("expression_names"), "expression_names")?;
        let regions: BTreeMap<String, [usize; 2]> = json(meta.get("regions"), "regions")?;
        let neutral = vertices(&floats(&file, "neutral", &[0, 3])?);
        let count = neutral.len();
        let triangles = indices(&file, "triangles", count)?;
        let landmarks = indices(&file, "landmark68", count)?;
        let landmarks: [u32; LANDMARK_COUNT] = landmarks
            .try_into()
            .map_err(|_| "landmark68 does not hold 68 indices".to_owned())?;
        let expression = floats(&file, "expression", &[names.len(), count, 3])?;
        let identity = floats(&file, "identity", &[0, count, 3])?;
        let parts = part_of_vertices(&regions, count)?;
        let corners =
            0.5 * (neutral[landmarks[36] as usize][1] + neutral[landmarks[39] as usize][1]);
        let keep = kept_vertices(&neutral, &parts, &triangles, corners);
        let whole = Whole {
            neutral,
            expression,
            identity,
            triangles,
            parts,
        };
        whole.compact(&keep, landmarks, names)
    }

    /// The 68 landmarks of the mean resting head in centimetres, as a camera in front of it sees
    /// them: x to the right of the photo, y down, z away from the camera.
    #[must_use]
    pub fn landmark_template(&self) -> [[f32; 3]; LANDMARK_COUNT] {
        self.landmarks.map(|vertex| {
            let [x, y, z] = self.neutral[vertex as usize];
            [x, -y, -z]
        })
    }

    /// Number of vertices that are kept for drawing.
    #[must_use]
    pub fn vertex_count(&self) -> usize {
        self.neutral.len()
    }

    /// Number of identity modes.
    #[must_use]
    pub fn identity_modes(&self) -> usize {
        self.identity.len()
    }

    /// Names of the expression shapes, such as `browDown_L`.
    #[must_use]
    pub fn expression_names(&self) -> &[String] {
        &self.expression_names
    }
}

/// The kit as it is in the file.
struct Whole {
    neutral: Vec<Vec3>,
    expression: Vec<f32>,
    identity: Vec<f32>,
    triangles: Vec<u32>,
    parts: Vec<Option<Part>>,
}

impl Whole {
    /// Drops vertices that cannot be seen and renumbers the rest.
    fn compact(
        self,
        keep: &[bool],
        landmarks: [u32; LANDMARK_COUNT],
        expression_names: Vec<String>,
    ) -> Result<FaceKit, String> {
        let count = self.neutral.len();
        let kept: Vec<usize> = (0..count).filter(|&v| keep[v]).collect();
        let mut new = vec![u32::MAX; count];
        for (to, &from) in kept.iter().enumerate() {
            new[from] = to as u32;
        }
        let landmarks = landmarks.map(|v| new[v as usize]);
        if landmarks.contains(&u32::MAX) {
            return Err("a landmark lies on a hidden part".to_owned());
        }
        let mut triangles: BTreeMap<Part, Vec<[u32; 3]>> = BTreeMap::new();
        for t in self.triangles.chunks_exact(3) {
            let t = [t[0], t[1], t[2]].map(|v| new[v as usize]);
            if t.contains(&u32::MAX) {
                continue;
            }
            if let Some(part) = self.parts[kept[t[0] as usize]] {
                triangles.entry(part).or_default().push(t);
            }
        }
        let dense = |shape: &[f32]| -> Vec<f32> {
            kept.iter()
                .flat_map(|&v| shape[3 * v..3 * v + 3].iter().copied())
                .collect()
        };
        Ok(FaceKit {
            expression: self
                .expression
                .chunks_exact(3 * count)
                .map(|shape| sparse(&dense(shape)))
                .collect(),
            identity: (self.identity.chunks_exact(3 * count))
                .map(|mode| IdentityMode::new(&dense(mode)))
                .collect(),
            parts: kept.iter().filter_map(|&v| self.parts[v]).collect(),
            neutral: kept.iter().map(|&v| self.neutral[v]).collect(),
            triangles: triangles.into_iter().collect(),
            landmarks,
            expression_names,
        })
    }
}

/// Keeps the vertices that move by more than a thousandth of a millimetre.
fn sparse(shape: &[f32]) -> SparseShape {
    let mut out = SparseShape::default();
    for (v, d) in shape.chunks_exact(3).enumerate() {
        if d.iter().any(|x| x.abs() > 1e-4) {
            out.vertices.push(v as u32);
            out.deltas.push([d[0], d[1], d[2]]);
        }
    }
    out
}
