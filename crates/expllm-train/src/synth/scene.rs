//! One picture: a person is placed, lit, drawn and photographed.

use expllm_core::{AuVector, HeadPose, LANDMARK_COUNT, Landmarks, Photo, Point};

use super::FaceSynthesizer;
use super::appearance::Appearance;
use super::camera::Camera;
use super::degrade::Quality;
use super::expression::Action;
use super::facekit::Part;
use super::head::{self, Head};
use super::light::Lighting;
use super::math::{Draw, Vec3};
use super::props::{self, Prop};
use super::raster::{Canvas, Pass, Texture};
use super::shade::{self, Shader};
use super::shadow::{self, DepthMap};
use super::{background, occluder, skin, wrinkles};

/// Cells along each edge of the map that decides what the main lamp reaches.
const SHADOW_SIDE: usize = 100;

/// Lips closer than this hide the mouth, which is then not drawn.
const CLOSED_LIPS_CM: f32 = 0.05;

/// One person in one moment.
pub(crate) struct Subject {
    pub(super) person: Appearance,
    units: AuVector,
    positions: Vec<Vec3>,
    props: Vec<Prop>,
}

/// A picture of a head that can be laid over another picture.
pub(crate) struct CutOut {
    pub(super) photo: Photo,
    pub(super) landmarks: Landmarks,
    canvas: Canvas,
}

impl CutOut {
    /// How much of each pixel the head covers, in [0, 1].
    pub(super) fn cover(&self) -> Vec<f32> {
        self.canvas.cover()
    }
}

impl FaceSynthesizer {
    /// Makes a person and lets it act.
    pub(super) fn subject(&self, identity_seed: u64, action: &Action) -> Subject {
        let mut draw = Draw::new(identity_seed);
        let coefficients = head::sample_identity(self.kit.identity_modes(), &mut draw);
        let person = Appearance::sample(&mut draw);
        let mut positions = head::neutral_head(&self.kit, &coefficients);
        let props = props::worn(&person, &self.noise, &self.marks(&positions));
        let mut unlabelled = head::sample_rest(&mut draw);
        unlabelled.extend_from_slice(&action.nuisance);
        let weights = self.map.weights(&action.units, &unlabelled);
        head::express(&mut positions, &self.kit, &weights);
        Subject {
            person,
            units: action.units,
            positions,
            props,
        }
    }

    fn marks(&self, positions: &[Vec3]) -> Vec<Vec3> {
        let mark = |&v: &u32| positions[v as usize];
        self.kit.landmarks.iter().map(mark).collect()
    }

    /// Takes a picture; the landmarks are in its pixels.
    pub(super) fn photograph(
        &self,
        subject: Subject,
        pose: HeadPose,
        draw: &mut Draw,
    ) -> (Photo, Landmarks) {
        let size = self.config.size as f32;
        let mut camera = Camera::sample(pose, size, draw);
        let marks = self.placed_marks(&subject, &camera);
        camera.fit(&marks[17..], size, 0.02 * size);
        let picture = self.take(subject, (&camera, pose), draw);
        (picture.photo, picture.landmarks)
    }

    /// Takes a picture of the whole head, with how much of each pixel the head covers.
    pub(super) fn take_whole_head(
        &self,
        subject: Subject,
        pose: HeadPose,
        draw: &mut Draw,
    ) -> CutOut {
        let size = self.config.size as f32;
        let mut camera = Camera::sample(pose, size, draw);
        camera.show_whole_head(size);
        self.take(subject, (&camera, pose), draw)
    }

    fn placed_marks(&self, subject: &Subject, camera: &Camera) -> Vec<Vec3> {
        let mut marks = self.marks(&subject.positions);
        marks.iter_mut().for_each(|p| *p = camera.place(*p));
        marks
    }

    fn take(
        &self,
        mut subject: Subject,
        (camera, pose): (&Camera, HeadPose),
        draw: &mut Draw,
    ) -> CutOut {
        let size = self.config.size as usize;
        let marks = self.placed_marks(&subject, camera);
        let landmarks = Landmarks {
            points: std::array::from_fn::<Point, LANDMARK_COUNT, _>(|i| camera.project(marks[i]).0),
            head_pose: Some(pose),
        };
        let person = &subject.person;
        let positions = &mut subject.positions;
        shade::grow_hair(positions, &self.kit, &self.surface, person, &self.noise);
        let lighting = Lighting::sample(draw);
        let mut picture = background::paint(size, &self.noise, draw);
        let neck = camera.project(camera.place([0.0, -14.0, 0.0])).0;
        background::clothe(&mut picture, size, (neck.x, neck.y), camera.scale(), draw);
        let canvas = self.draw(&subject, camera, &lighting);
        canvas.resolve(&mut picture);
        occluder::occlude(&mut picture, size, &landmarks, subject.person.skin, draw);
        let quality = Quality::sample(size, canvas.mean_brightness(), draw);
        CutOut {
            photo: quality.develop(&picture, size),
            landmarks,
            canvas,
        }
    }

    /// Draws the head and what is worn on it.
    fn draw(&self, subject: &Subject, camera: &Camera, lighting: &Lighting) -> Canvas {
        let head = Head {
            normals: head::normals(&subject.positions, &self.kit),
            positions: subject.positions.clone(),
        };
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
            person: &subject.person,
            lighting,
            camera,
            shadow: &shadow,
        };
        let mut skin = skin::paint(&self.atlas, &self.noise, &subject.person);
        wrinkles::press(&mut skin, &subject.person, &subject.units);
        let mut canvas = self.draw_head(&shader, &head, &skin);
        for prop in &subject.props {
            let pass = Pass {
                texture: None,
                opacity: prop.opacity,
            };
            canvas.draw(&prop.shade(camera, lighting), &prop.triangles, pass);
        }
        canvas
    }

    fn draw_head(&self, shader: &Shader<'_>, head: &Head, skin: &Texture) -> Canvas {
        let vertices = shader.shade(head);
        let mut canvas = Canvas::new(self.config.size as usize);
        let mouth_open = self.lip_gap(head) > CLOSED_LIPS_CM;
        for (part, triangles) in &self.kit.triangles {
            if !mouth_open && matches!(part, Part::Mouth | Part::Gums | Part::Teeth) {
                continue;
            }
            let lashes = *part == Part::Lashes;
            let pass = Pass {
                texture: (*part == Part::Skin).then_some(skin),
                opacity: if lashes { shader.person.lashes } else { 1.0 },
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
