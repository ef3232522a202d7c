//! Light: ambient from sky and ground, and up to three lamps with highlights.

use super::math::{Draw, Vec3, add, dot, normalize, scale};

#[derive(Debug, Clone, Copy)]
struct Lamp {
    direction: Vec3,
    colour: Vec3,
}

/// The lights of one picture, in camera coordinates.
#[derive(Debug, Clone)]
pub(crate) struct Lighting {
    sky: Vec3,
    ground: Vec3,
    lamps: Vec<Lamp>,
    /// How far light wraps around the terminator, as it does under skin.
    wrap: f32,
}

impl Lighting {
    /// Draws lights with a total strength near 1.
    pub fn sample(draw: &mut Draw) -> Self {
        let warm = draw.normal(0.05);
        let tint =
            |strength: f32, warm: f32| [strength * (1.0 + warm), strength, strength * (1.0 - warm)];
        let ambient = draw.uniform(0.12, 0.55);
        let sky = tint(ambient * draw.uniform(0.9, 1.3), draw.normal(0.05));
        let ground = tint(ambient * draw.uniform(0.35, 0.9), draw.normal(0.08));
        let key = normalize([
            draw.normal(0.7),
            draw.uniform(-0.15, 1.1),
            draw.uniform(0.25, 1.0),
        ]);
        let mut lamps = vec![Lamp {
            direction: key,
            colour: tint((1.05 - ambient) * draw.uniform(0.7, 1.2), warm),
        }];
        if draw.chance(0.5) {
            let fill = normalize([-key[0] + draw.normal(0.4), draw.uniform(-0.3, 0.8), 0.6]);
            lamps.push(Lamp {
                direction: fill,
                colour: tint(draw.uniform(0.05, 0.35), draw.normal(0.1)),
            });
        }
        if draw.chance(0.2) {
            let side = if draw.chance(0.5) { 1.0 } else { -1.0 };
            lamps.push(Lamp {
                direction: normalize([side, 0.3, -0.6]),
                colour: tint(draw.uniform(0.2, 0.8), draw.normal(0.15)),
            });
        }
        Self {
            sky,
            ground,
            lamps,
            wrap: draw.uniform(0.1, 0.35),
        }
    }

    /// Direction towards the main lamp, in camera coordinates.
    pub fn key(&self) -> Vec3 {
        self.lamps[0].direction
    }

    /// Light that falls on a surface: `open` is the share of the sky that it sees, `sun` that of
    /// the main lamp.
    pub fn diffuse(&self, normal: Vec3, open: f32, sun: f32) -> Vec3 {
        let up = 0.5 + 0.5 * normal[1];
        let mut sum = scale(super::math::mix(self.ground, self.sky, up), open);
        for (i, lamp) in self.lamps.iter().enumerate() {
            let facing = (dot(normal, lamp.direction) + self.wrap) / (1.0 + self.wrap);
            let seen = if i == 0 { sun } else { open };
            sum = add(sum, scale(lamp.colour, facing.max(0.0) * seen));
        }
        sum
    }

    /// Strength of the highlight seen along the z axis, for a Blinn-Phong exponent.
    pub fn gloss(&self, normal: Vec3, exponent: i32, sun: f32) -> f32 {
        let mut sum = 0.0;
        for (i, lamp) in self.lamps.iter().enumerate() {
            let half = normalize(add(lamp.direction, [0.0, 0.0, 1.0]));
            let facing = dot(normal, half).max(0.0).powi(exponent);
            sum += facing * lamp.colour[1] * if i == 0 { sun } else { 0.6 };
        }
        sum
    }
}
