//! Things worn on the head: long hair, glasses, the brim of a cap.

use super::appearance::{Appearance, Glasses};
use super::camera::Camera;
use super::light::Lighting;
use super::math::{Vec3, add, cross, mul, normalize, scale, smoothstep, sub};
use super::noise::NoiseTile;
use super::raster::{SUPER, Vertex};

/// A small mesh in head coordinates; it is seen from both sides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prop {
    positions: Vec<Vec3>,
    normals: Vec<Vec3>,
    albedo: Vec<Vec3>,
    /// Both windings of every triangle.
    pub triangles: Vec<[u32; 3]>,
    pub opacity: f32,
}

impl Prop {
    fn new(opacity: f32) -> Self {
        Self {
            opacity,
            ..Self::default()
        }
    }

    fn vertex(&mut self, position: Vec3, normal: Vec3, albedo: Vec3) -> u32 {
        self.positions.push(position);
        self.normals.push(normal);
        self.albedo.push(albedo);
        (self.positions.len() - 1) as u32
    }

    fn triangle(&mut self, a: u32, b: u32, c: u32) {
        self.triangles.extend([[a, b, c], [a, c, b]]);
    }

    /// Joins the vertices of a grid that was added row by row from vertex `from`.
    fn grid(&mut self, from: u32, rows: u32, columns: u32) {
        for row in 0..rows - 1 {
            for column in 0..columns - 1 {
                let a = from + row * columns + column;
                let b = a + columns;
                self.triangle(a, a + 1, b + 1);
                self.triangle(a, b + 1, b);
            }
        }
    }

    /// Projects and lights the mesh.
    pub fn shade(&self, camera: &Camera, lighting: &Lighting) -> Vec<Vertex> {
        (0..self.positions.len())
            .map(|v| {
                let (point, z) = camera.project(camera.place(self.positions[v]));
                let normal = camera.turn(self.normals[v]);
                Vertex {
                    x: point.x * SUPER as f32,
                    y: point.y * SUPER as f32,
                    z,
                    light: mul(self.albedo[v], lighting.diffuse(normal, 0.8, 0.8)),
                    ..Vertex::default()
                }
            })
            .collect()
    }
}

/// Everything that a person wears; `marks` are the 68 landmarks in head coordinates before the
/// face moves.
pub(crate) fn worn(person: &Appearance, noise: &NoiseTile, marks: &[Vec3]) -> Vec<Prop> {
    let mut props = Vec::new();
    if person.hair.length > 0.0 {
        props.push(long_hair(person, noise));
    }
    if let Some(cap) = &person.cap
        && cap.brim > 0.0
    {
        props.push(brim(cap.line, cap.brim, cap.colour));
    }
    if let Some(glasses) = &person.glasses {
        glasses_on(glasses, marks, &mut props);
    }
    props
}

/// A curtain of hair around the back and the sides.
fn long_hair(person: &Appearance, noise: &NoiseTile) -> Prop {
    const ROWS: u32 = 18;
    const COLUMNS: u32 = 56;
    let hair = &person.hair;
    let mut prop = Prop::new(1.0);
    let (ox, oy) = person.noise_offset;
    for row in 0..ROWS {
        let t = row as f32 / (ROWS - 1) as f32;
        let y = 11.5 - t * (11.5 + hair.length);
        // Closed over the skull, wide at the jaw, narrow at the ends.
        let wide =
            0.55 + 0.45 * smoothstep(0.0, 0.25, t) + 0.12 * hair.volume * smoothstep(0.2, 0.7, t);
        for column in 0..COLUMNS {
            let across = column as f32 / (COLUMNS - 1) as f32 * 2.0 - 1.0;
            let wave = noise.at(across * 40.0 + ox, y * 3.0 + oy);
            let front = hair.opening + 0.12 * noise.at(y * 4.0 + ox, 40.0 * across.signum());
            // From one side of the face around the back to the other.
            let angle = std::f32::consts::PI + across * (std::f32::consts::PI - front);
            let out = [angle.sin(), 0.0, angle.cos()];
            let radius = wide * (1.0 + 0.05 * wave);
            let thick = 0.4 * hair.volume;
            let position = [
                out[0] * (7.6 + thick) * radius,
                y,
                -0.5 + out[2] * (8.8 + thick) * radius,
            ];
            let strand = noise.at(across * 190.0 + oy, y * 1.2 + ox);
            let colour = scale(hair.colour, 1.0 + 0.8 * strand - 0.25 * t);
            prop.vertex(
                position,
                normalize(add(out, [0.0, 0.25 + 0.3 * strand, 0.0])),
                colour,
            );
        }
    }
    prop.grid(0, ROWS, COLUMNS);
    prop
}

/// The brim of a cap at a height over the forehead.
fn brim(line: f32, length: f32, colour: Vec3) -> Prop {
    const STEPS: u32 = 24;
    let mut prop = Prop::new(1.0);
    for row in 0..2 {
        for step in 0..STEPS {
            let across = step as f32 / (STEPS - 1) as f32 * 2.0 - 1.0;
            let (sin, cos) = (across * 1.35).sin_cos();
            let out = row as f32 * length * (1.0 - across * across).max(0.0).sqrt();
            let position = [
                sin * (7.6 + 0.3 * out),
                line + 0.6 - 0.28 * out,
                cos * 9.6 + 0.8 + out,
            ];
            let shade = if row == 0 { 0.8 } else { 1.0 };
            prop.vertex(position, [0.0, 0.9, 0.4], scale(colour, shade));
        }
    }
    prop.grid(0, 2, STEPS);
    prop
}

/// Frames with temples, and lenses.
fn glasses_on(glasses: &Glasses, marks: &[Vec3], props: &mut Vec<Prop>) {
    const POINTS: usize = 28;
    let bridge = marks[27];
    let mut frame = Prop::new(1.0);
    for (eye, side) in [(36..42, -1.0f32), (42..48, 1.0)] {
        let centre = eye
            .clone()
            .fold([0.0; 3], |sum, i| add(sum, scale(marks[i], 1.0 / 6.0)));
        let ring: Vec<Vec3> = (0..=POINTS)
            .map(|i| {
                let (sin, cos) = (i as f32 / POINTS as f32 * std::f32::consts::TAU).sin_cos();
                // A superellipse: exponent 1 is round, less is boxy.
                let bend = |c: f32| c.signum() * c.abs().powf(glasses.roundness);
                let x = centre[0] + 0.1 * side + glasses.half_width * bend(cos);
                let y = centre[1] - 0.35 + glasses.half_height * bend(sin);
                [x, y, bridge[2] + 0.35 - 0.035 * x * x]
            })
            .collect();
        ribbon(&mut frame, &ring, glasses.rim, glasses.colour);
        let outer = [
            centre[0] + side * glasses.half_width,
            centre[1] + 0.3,
            ring[0][2] - 0.3,
        ];
        let outer_rim = [
            outer[0],
            outer[1],
            bridge[2] + 0.35 - 0.035 * outer[0] * outer[0],
        ];
        let ear = [side * 8.1, centre[1] + 0.4, -0.5];
        ribbon(
            &mut frame,
            &[outer_rim, ear],
            glasses.rim * 1.3,
            glasses.colour,
        );
        props.push(lens(&ring, glasses));
    }
    let inner = |side: f32| [side * 1.0, bridge[1] - 0.2, bridge[2] + 0.35];
    ribbon(
        &mut frame,
        &[inner(-1.0), inner(1.0)],
        glasses.rim,
        glasses.colour,
    );
    props.push(frame);
}

/// A band along a line, standing upright as seen from the front or the side.
fn ribbon(prop: &mut Prop, line: &[Vec3], half: f32, colour: Vec3) {
    let from = prop.positions.len() as u32;
    let last = line.len() - 1;
    let along = |i: usize| normalize(sub(line[(i + 1).min(last)], line[i.max(1) - 1]));
    for sign in [-1.0, 1.0] {
        for (i, &p) in line.iter().enumerate() {
            let forward = along(i);
            // Mostly-sideways pieces get height from the vertical, others from the depth axis.
            let helper = if forward[2].abs() > 0.8 {
                [1.0, 0.0, 0.0]
            } else {
                [0.0, 0.0, 1.0]
            };
            let up = normalize(cross(forward, helper));
            prop.vertex(add(p, scale(up, sign * half)), [0.0, 0.3, 0.95], colour);
        }
    }
    prop.grid(from, 2, line.len() as u32);
}

fn lens(ring: &[Vec3], glasses: &Glasses) -> Prop {
    let mut prop = Prop::new(glasses.tint_strength);
    let middle = scale(
        ring.iter().fold([0.0; 3], |sum, &p| add(sum, p)),
        1.0 / ring.len() as f32,
    );
    let hub = prop.vertex(middle, [0.0, 0.1, 1.0], glasses.tint);
    for (i, &p) in ring.iter().enumerate() {
        let rim = prop.vertex(p, [0.0, 0.5, 0.85], glasses.tint);
        if i > 0 {
            prop.triangle(hub, rim - 1, rim);
        }
    }
    prop
}
