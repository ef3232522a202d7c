//! From a head in space to lit vertices on the picture.

use super::appearance::Appearance;
use super::atlas::Atlas;
use super::camera::Camera;
use super::cover::Cover;
use super::facekit::{FaceKit, Part};
use super::head::{self, Head};
use super::light::Lighting;
use super::math::{Vec3, add, dot, from_srgb, mix, mul, normalize, scale, smoothstep, sub};
use super::noise::NoiseTile;
use super::raster::{SUPER, Vertex};
use super::shadow::{self, DepthMap};

/// How much deeper eyeballs count when they are compared with lids.
const EYE_SETBACK_CM: f32 = 0.25;

/// How far a surface may lie behind the nearest one and still be lit.
const SHADOW_BIAS_CM: f32 = 0.3;

/// What never changes from face to face.
#[derive(Debug, Clone)]
pub(crate) struct Surface {
    /// For eyeball vertices, the angle from the middle of the pupil in radians.
    pupil_angle: Vec<f32>,
    /// Angle around the head, for hair.
    head_angle: Vec<f32>,
    /// Share of the sky that each vertex of the average head sees.
    open: Vec<f32>,
    /// Height of the upper lids on the average head.
    upper_lid: f32,
}

impl Surface {
    pub fn new(kit: &FaceKit) -> Self {
        let lid = |i: usize| kit.neutral[kit.landmarks[i] as usize][1];
        let normals = head::normals(&kit.neutral, kit);
        Self {
            pupil_angle: pupil_angles(kit),
            open: shadow::openness(kit, &normals),
            head_angle: kit.neutral.iter().map(|p| p[0].atan2(p[2])).collect(),
            upper_lid: (lid(37) + lid(38) + lid(43) + lid(44)) / 4.0,
        }
    }
}

/// Angles from the gaze axis, which the bulge of the cornea marks.
fn pupil_angles(kit: &FaceKit) -> Vec<f32> {
    let mut angles = vec![0.0; kit.neutral.len()];
    for left in [false, true] {
        let eye: Vec<usize> = (0..kit.neutral.len())
            .filter(|&v| kit.parts[v] == Part::Eyeball && (kit.neutral[v][0] > 0.0) == left)
            .collect();
        let bound = |f: fn(f32, f32) -> f32, start: f32| {
            eye.iter().fold([start; 3], |b, &v| {
                [0, 1, 2].map(|i| f(b[i], kit.neutral[v][i]))
            })
        };
        let (low, high) = (bound(f32::min, f32::MAX), bound(f32::max, f32::MIN));
        // The cornea reaches further to the front than the ball: the ball is as deep as high.
        let radius = 0.5 * (high[1] - low[1]);
        let centre = [
            0.5 * (low[0] + high[0]),
            0.5 * (low[1] + high[1]),
            low[2] + radius,
        ];
        let axis = eye.iter().fold([0.0; 3], |sum, &v| {
            let arm = sub(kit.neutral[v], centre);
            let bulge = (dot(arm, arm).sqrt() - 1.03 * radius).max(0.0);
            add(
                sum,
                scale(normalize(arm), if arm[2] > 0.0 { bulge } else { 0.0 }),
            )
        });
        let axis = normalize(axis);
        for v in eye {
            let arm = normalize(sub(kit.neutral[v], centre));
            angles[v] = dot(arm, axis).clamp(-1.0, 1.0).acos();
        }
    }
    angles
}

/// Lifts the scalp by the thickness of the hair.
pub(crate) fn grow_hair(
    positions: &mut [Vec3],
    kit: &FaceKit,
    surface: &Surface,
    person: &Appearance,
    noise: &NoiseTile,
) {
    let cover = Cover::of(person);
    if cover.volume <= 0.0 {
        return;
    }
    for (v, p) in positions.iter_mut().enumerate() {
        if kit.parts[v] != Part::Skin || kit.neutral[v][1] < 2.0 {
            continue;
        }
        let rest = kit.neutral[v];
        let share = cover.share(surface.head_angle[v], rest[1]);
        if share > 0.0 {
            let out = normalize([rest[0], rest[1] - 4.0, rest[2] - 1.0]);
            let rough =
                1.0 + 0.5 * noise.at(rest[0] * 11.0 + person.noise_offset.0, rest[2] * 11.0);
            *p = add(*p, scale(out, cover.volume * share * rough));
        }
    }
}

/// Everything that lights one head.
pub(crate) struct Shader<'a> {
    pub kit: &'a FaceKit,
    pub surface: &'a Surface,
    pub atlas: &'a Atlas,
    pub person: &'a Appearance,
    pub lighting: &'a Lighting,
    pub camera: &'a Camera,
    /// What the main lamp sees.
    pub shadow: &'a DepthMap,
}

impl Shader<'_> {
    /// Projects and lights all vertices.
    pub fn shade(&self, head: &Head) -> Vec<Vertex> {
        (0..head.positions.len())
            .map(|v| {
                let (point, z) = self.camera.project(self.camera.place(head.positions[v]));
                // The ball is held back, or the cornea would pierce a closed lid.
                let z = if self.kit.parts[v] == Part::Eyeball {
                    1.0 / (1.0 / z + EYE_SETBACK_CM)
                } else {
                    z
                };
                let normal = self.camera.turn(head.normals[v]);
                let (light, gloss) = self.colour(v, head.positions[v], normal);
                let (u, t) = self.atlas.texels[v];
                Vertex {
                    x: point.x * SUPER as f32,
                    y: point.y * SUPER as f32,
                    z,
                    light,
                    gloss,
                    u,
                    v: t,
                }
            })
            .collect()
    }

    /// Light of textured parts, finished colour of the others; and the highlight.
    fn colour(&self, v: usize, position: Vec3, normal: Vec3) -> (Vec3, f32) {
        let lit = |albedo: Vec3, open: f32| mul(albedo, self.lighting.diffuse(normal, open, open));
        let person = self.person;
        // Deep in the mouth it is dark.
        let depth = smoothstep(3.5, 11.0, position[2]).powi(2);
        match self.kit.parts[v] {
            Part::Skin => {
                let open = self.surface.open[v];
                let sun = self.shadow.visible(position, SHADOW_BIAS_CM);
                let shine = 0.6 * self.lighting.gloss(normal, 12, sun)
                    + self.lighting.gloss(normal, 40, sun);
                let gloss = 0.3 * person.oil * open * shine;
                (self.lighting.diffuse(normal, open, sun), gloss)
            }
            Part::Mouth => (lit(from_srgb([140, 52, 50]), 0.5 * depth), 0.0),
            Part::Gums => (lit(from_srgb([196, 104, 104]), 0.75 * depth), 0.0),
            Part::Teeth => {
                let gloss = 0.12 * self.lighting.gloss(normal, 30, 1.0);
                (add(lit(person.teeth, 0.9 * depth), [gloss; 3]), 0.0)
            }
            Part::EyeRim => (lit(mul(person.skin, [0.85, 0.62, 0.58]), 0.8), 0.0),
            Part::Lashes => (scale(person.brow.colour, 0.25), 0.0),
            Part::Eyeball => (self.eye(v, position, normal), 0.0),
        }
    }

    fn eye(&self, v: usize, position: Vec3, normal: Vec3) -> Vec3 {
        let angle = self.surface.pupil_angle[v];
        let person = self.person;
        let sclera = mix(
            person.sclera,
            from_srgb([190, 120, 110]),
            0.5 * smoothstep(0.7, 1.2, angle),
        );
        // Iris with a dark ring, pupil in the middle.
        let iris = scale(person.iris, 1.0 - 0.5 * smoothstep(0.3, 0.4, angle));
        let mut albedo = mix(iris, scale(sclera, 0.8), smoothstep(0.38, 0.46, angle));
        albedo = scale(albedo, smoothstep(0.12, 0.2, angle).max(0.04));
        // The upper lid and its lashes shade the ball.
        let below = self.surface.upper_lid - position[1];
        let lids = 0.4 + 0.6 * smoothstep(-0.3, 0.6, below);
        let sun = lids * self.shadow.visible(position, 2.0 * SHADOW_BIAS_CM);
        let open = lids * (0.3 + 0.7 * self.surface.open[v]);
        let gloss = 0.9 * self.lighting.gloss(normal, 120, 1.0);
        add(
            mul(albedo, self.lighting.diffuse(normal, open, sun)),
            [gloss; 3],
        )
    }
}
