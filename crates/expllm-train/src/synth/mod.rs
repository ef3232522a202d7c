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
mod cover;
mod degrade;
mod expression;
mod facekit;
mod head;
mod light;
mod math;
mod noise;
mod occluder;
mod props;
mod raster;
mod shade;
mod shadow;
mod skin;
#[cfg(test)]
mod tests;
mod wrinkles;

use expllm_core::{AuVector, LANDMARK_COUNT, Landmarks, Photo, Point};

pub use blendshapes::{is_nuisance, shapes_of};
pub use facekit::FaceKit;

use appearance::Appearance;
use atlas::Atlas;
use blendshapes::BlendshapeMap;
use camera::Camera;
use expression::Action;
use facekit::Part;
use head::Head;
use light::Lighting;
use math::{Draw, Vec3};
use noise::NoiseTile;
use props::Prop;
use raster::{Canvas, Pass, Texture};
use shade::{Shader, Surface};
use shadow::DepthMap;

use crate::TrainError;

/// Smallest and largest edge of a rendered photo in pixels.
const SIZES: std::ops::RangeInclusive<u32> = 16..=1024;

/// Cells along each edge of the map that decides what the main lamp reaches.
const SHADOW_SIDE: usize = 112;

/// Lips closer than this hide the mouth, which is then not drawn.
const CLOSED_LIPS_CM: f32 = 0.05;

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
        let mut person_draw = Draw::new(identity_seed);
        let coefficients = head::sample_identity(self.kit.identity_modes(), &mut person_draw);
        let person = Appearance::sample(&mut person_draw);
        let mut draw = Draw::new(seed);
        let action = Action::sample(&mut draw);
        let mut positions = head::neutral_head(&self.kit, &coefficients);
        let marks: Vec<Vec3> = (self.kit.landmarks.iter())
            .map(|&v| positions[v as usize])
            .collect();
        let props = props::worn(&person, &self.noise, &marks);
        let weights = self.map.weights(&action.units, &action.nuisance);
        head::express(&mut positions, &self.kit, &weights);
        self.photograph(
            Subject {
                person,
                action,
                positions,
                props,
                identity: identity_seed,
            },
            &mut draw,
        )
    }

    /// Places, lights, draws and develops.
    fn photograph(&self, mut subject: Subject, draw: &mut Draw) -> SynthFace {
        let size = self.config.size as usize;
        let pose = camera::sample_pose(draw);
        let mut camera = Camera::sample(pose, size as f32, draw);
        let marks: Vec<Vec3> = (self.kit.landmarks.iter())
            .map(|&v| camera.place(subject.positions[v as usize]))
            .collect();
        camera.fit(&marks[17..], size as f32, 0.02 * size as f32);
        let landmarks = Landmarks {
            points: std::array::from_fn::<Point, LANDMARK_COUNT, _>(|i| camera.project(marks[i]).0),
            head_pose: pose,
        };
        let person = &subject.person;
        shade::grow_hair(
            &mut subject.positions,
            &self.kit,
            &self.surface,
            person,
            &self.noise,
        );
        let head = Head {
            normals: head::normals(&subject.positions, &self.kit),
            positions: subject.positions,
        };
        let lighting = Lighting::sample(draw);
        let mut picture = background::paint(size, &self.noise, draw);
        let neck = camera.project(camera.place([0.0, -14.0, 0.0])).0;
        let neck = (neck.x, neck.y);
        background::clothe(&mut picture, size, neck, camera.scale(), draw);
        let shadow = DepthMap::new(
            camera.unturn(lighting.key()),
            &head.positions,
            shadow::casters(&self.kit),
            SHADOW_SIDE,
        );
        let shader = Shader {
            kit: &self.kit,
            surface: &self.surface,
            atlas: &self.atlas,
            person,
            lighting: &lighting,
            camera: &camera,
            shadow: &shadow,
        };
        let mut skin = skin::paint(&self.atlas, &self.noise, person);
        wrinkles::press(&mut skin, person, &subject.action.units);
        let mut canvas = self.draw_head(&shader, &head, &skin);
        for prop in &subject.props {
            let pass = Pass {
                texture: None,
                opacity: prop.opacity,
            };
            canvas.draw(&prop.shade(&camera, &lighting), &prop.triangles, pass);
        }
        let brightness = canvas.mean_brightness();
        canvas.resolve(&mut picture);
        occluder::occlude(&mut picture, size, &landmarks, person.skin, draw);
        let quality = degrade::Quality::sample(size, brightness, draw);
        SynthFace {
            photo: quality.develop(&picture, size),
            action_units: subject.action.units,
            landmarks,
            identity: subject.identity,
        }
    }

    fn draw_head(&self, shader: &Shader<'_>, head: &Head, skin: &Texture) -> Canvas {
        let vertices = shader.shade(head);
        let mut canvas = Canvas::new(self.config.size as usize);
        let mouth_open = self.lip_gap(head) > CLOSED_LIPS_CM;
        for (part, triangles) in &self.kit.triangles {
            if !mouth_open && matches!(part, Part::Mouth | Part::Gums | Part::Teeth) {
                continue;
            }
            let pass = Pass {
                texture: (*part == Part::Skin).then_some(skin),
                opacity: if *part == Part::Lashes {
                    shader.person.lashes
                } else {
                    1.0
                },
            };
            canvas.draw(&vertices, triangles, pass);
        }
        canvas
    }

    /// Largest distance between facing points of the inner lips, in centimetres.
    fn lip_gap(&self, head: &Head) -> f32 {
        let mark = |i: usize| head.positions[self.kit.landmarks[i] as usize];
        [(61, 67), (62, 66), (63, 65)]
            .map(|(upper, lower)| mark(upper)[1] - mark(lower)[1])
            .into_iter()
            .fold(0.0, f32::max)
    }
}

/// The seed of one face in a series, such that series of different seeds share no faces.
#[must_use]
pub fn seed_of(series: u64, index: u64) -> u64 {
    math::hash(math::hash(series) ^ index)
}

/// One person in one moment.
struct Subject {
    person: Appearance,
    action: Action,
    positions: Vec<Vec3>,
    props: Vec<Prop>,
    identity: u64,
}
