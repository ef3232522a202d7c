//! What covers the scalp: hair or a cap.

use super::appearance::Appearance;
use super::math::{Vec3, smoothstep};

/// Cover of the scalp, as it lies on the head and in the skin texture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cover {
    pub colour: Vec3,
    /// Thickness in centimetres.
    pub volume: f32,
    /// 1 hides the skin.
    pub density: f32,
    /// How uneven the surface is.
    pub roughness: f32,
    line: f32,
    recession: f32,
    cap: bool,
}

impl Cover {
    /// The cap, or else the hair, of a person.
    pub fn of(person: &Appearance) -> Self {
        let hair = &person.hair;
        match &person.cap {
            Some(cap) => Self {
                colour: cap.colour,
                volume: 1.0,
                density: 1.0,
                roughness: 0.05,
                line: cap.line,
                recession: 0.0,
                cap: true,
            },
            None => Self {
                colour: hair.colour,
                volume: hair.volume,
                density: if hair.volume > 0.0 { 0.97 } else { 0.12 },
                roughness: 0.5,
                line: hair.line,
                recession: hair.recession,
                cap: false,
            },
        }
    }

    /// Share of cover at an angle around the head in radians and a height: 0 on the face, 1 well
    /// inside.
    pub fn share(&self, angle: f32, y: f32) -> f32 {
        if self.cap {
            return smoothstep(self.line - 0.15, self.line + 0.15, y + 0.6 * angle.abs());
        }
        hair_share(angle, y, self.line, self.recession)
    }
}

/// How much hair grows at an angle around the head (in radians) and a height, seen from the
/// hair line: 0 on the face, 1 well inside the hair.
fn hair_share(angle: f32, y: f32, line: f32, recession: f32) -> f32 {
    let a = angle.abs();
    let temple = line - recession * smoothstep(0.15, 0.45, a);
    let edge = if a < 0.55 {
        temple - 1.2 * smoothstep(0.3, 0.55, a)
    } else if a < 1.05 {
        let t = (a - 0.55) / 0.5;
        (temple - 1.2) * (1.0 - t) + 4.6 * t
    } else if a < 1.25 {
        4.6 - (a - 1.05) * 10.0
    } else if a < 2.0 {
        // Above the ear.
        6.6
    } else {
        -6.0
    };
    smoothstep(edge - 0.35, edge + 0.45, y)
}
