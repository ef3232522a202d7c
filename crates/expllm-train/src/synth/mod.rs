//! Synthetic faces with exact labels, drawn by a software renderer.
//!
//! A [`FaceKit`] gives the geometry; [`FaceSynthesizer`] draws from it people, movements,
//! poses, lights and cameras, and renders photos whose 24 intensities, 68 landmarks and head
//! pose are known exactly. `docs/synthetic_faces.md` has the recipe and a sheet of renders.

mod appearance;
mod atlas;
mod background;
mod blendshapes;
mod camera;
pub mod clip;
mod cover;
mod degrade;
mod expression;
mod facekit;
mod head;
mod kit_file;
mod light;
mod math;
mod noise;
mod occluder;
mod props;
mod raster;
mod scene;
mod shade;
mod shadow;
mod skin;
#[cfg(test)]
mod tests;
mod traits;
mod wrinkles;

use expllm_core::{AuVector, HeadPose, Landmarks, Photo};

pub use blendshapes::{is_nuisance, shapes_of};
pub use facekit::FaceKit;
pub use traits::SynthTraits;

use atlas::Atlas;
use blendshapes::BlendshapeMap;
use expression::Action;
use math::Draw;
use noise::NoiseTile;
use scene::CutOut;
use shade::Surface;

use crate::TrainError;

/// Smallest and largest edge of a rendered photo in pixels.
const SIZES: std::ops::RangeInclusive<u32> = 16..=1024;

/// How synthetic faces are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynthConfig {
    /// Edge of the square photo in pixels, 16 to 1024 (values outside are clamped).
    pub size: u32,
}

impl Default for SynthConfig {
    fn default() -> Self {
        Self { size: 160 }
    }
}

/// A rendered face with its exact labels.
#[derive(Debug, Clone)]
pub struct SynthFace {
    /// The photo, [`SynthConfig::size`] pixels square.
    pub photo: Photo,
    /// The intensities that shaped the face.
    pub action_units: AuVector,
    /// The 68 landmarks in pixels of the photo, and the head pose in degrees. Points 17 to 67
    /// lie inside the photo; the jaw line (0 to 16) may leave it in tight crops, as it does in
    /// photographs of faces.
    pub landmarks: Landmarks,
    /// Seed of the person: equal seeds are the same person.
    pub identity: u64,
    /// What the person looks like.
    pub traits: SynthTraits,
}

/// Renders faces from seeds.
///
/// The synthesizer is immutable and can be shared between threads; equal seeds give equal
/// faces on every thread.
#[derive(Debug, Clone)]
pub struct FaceSynthesizer {
    kit: FaceKit,
    config: SynthConfig,
    map: BlendshapeMap,
    atlas: Atlas,
    surface: Surface,
    noise: NoiseTile,
}

impl FaceSynthesizer {
    /// Prepares a kit for rendering.
    ///
    /// # Errors
    ///
    /// [`TrainError::FaceKit`] when the kit lacks an expression shape that an action unit needs.
    pub fn new(kit: FaceKit, config: SynthConfig) -> Result<Self, TrainError> {
        let map = BlendshapeMap::new(&kit).map_err(|reason| TrainError::FaceKit {
            path: "face kit".into(),
            reason,
        })?;
        Ok(Self {
            map,
            atlas: Atlas::new(&kit),
            surface: Surface::new(&kit),
            noise: NoiseTile::new(0x5eed),
            config: SynthConfig {
                size: config.size.clamp(*SIZES.start(), *SIZES.end()),
            },
            kit,
        })
    }

    /// The face of a seed, with a person of its own.
    #[must_use]
    pub fn render(&self, seed: u64) -> SynthFace {
        self.render_with_identity(math::hash(seed ^ 0x1d), seed)
    }

    /// A person (shape, skin, hair, eyes) in the situation (movement, pose, light, camera,
    /// background) of a seed.
    #[must_use]
    pub fn render_with_identity(&self, identity_seed: u64, seed: u64) -> SynthFace {
        let mut draw = Draw::new(seed);
        let action = Action::sample(&mut draw);
        let pose = camera::sample_pose(&mut draw);
        self.shoot(identity_seed, &action, pose, &mut draw)
    }

    /// A person who does exactly what is asked, without unlabelled movements, in the light and
    /// before the background of a seed.
    #[must_use]
    pub fn render_units(
        &self,
        identity_seed: u64,
        units: AuVector,
        head_pose: HeadPose,
        seed: u64,
    ) -> SynthFace {
        let action = Action {
            units,
            nuisance: Vec::new(),
        };
        self.shoot(identity_seed, &action, head_pose, &mut Draw::new(seed))
    }

    /// The whole head of a person who does exactly what is asked, to be laid over a picture.
    ///
    /// Equal seeds give the same light and camera whatever the head does, so that a series of
    /// such pictures is a film.
    pub(crate) fn cut_out(
        &self,
        identity_seed: u64,
        units: AuVector,
        head_pose: HeadPose,
        seed: u64,
    ) -> CutOut {
        let action = Action {
            units,
            nuisance: Vec::new(),
        };
        let subject = self.subject(identity_seed, &action);
        self.take_whole_head(subject, head_pose, &mut Draw::new(seed))
    }

    fn shoot(&self, identity: u64, action: &Action, pose: HeadPose, draw: &mut Draw) -> SynthFace {
        let subject = self.subject(identity, action);
        let traits = SynthTraits::of(&subject.person);
        let (photo, landmarks) = self.photograph(subject, pose, draw);
        SynthFace {
            photo,
            action_units: action.units,
            landmarks,
            identity,
            traits,
        }
    }
}

/// The seed of one face in a series, such that series of different seeds share no faces.
#[must_use]
pub fn seed_of(series: u64, index: u64) -> u64 {
    math::hash(math::hash(series) ^ index)
}
