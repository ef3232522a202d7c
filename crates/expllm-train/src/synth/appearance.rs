//! What a person looks like apart from the shape of the head.

use super::math::{Draw, Vec3, from_srgb, mix, scale};

/// Colours and habits of one identity; all colours are linear.
#[derive(Debug, Clone)]
pub(crate) struct Appearance {
    pub skin: Vec3,
    pub blotches: f32,
    pub freckles: f32,
    pub redness: f32,
    /// 0 (young) to 1 (deeply lined).
    pub age: f32,
    /// How readily the skin folds, 0 to 1.
    pub folds: f32,
    pub oil: f32,
    pub lips: Vec3,
    pub lip_strength: f32,
    pub brow: Brow,
    pub beard: f32,
    pub moustache: f32,
    pub hair: Hair,
    pub cap: Option<Cap>,
    pub glasses: Option<Glasses>,
    pub iris: Vec3,
    pub sclera: Vec3,
    pub lashes: f32,
    pub eye_shadow: f32,
    pub teeth: Vec3,
    /// Shifts the noise lookups.
    pub noise_offset: (f32, f32),
}

#[derive(Debug, Clone)]
pub(crate) struct Brow {
    pub colour: Vec3,
    /// Half height in centimetres.
    pub thickness: f32,
    pub density: f32,
    /// Upward shift in centimetres.
    pub lift: f32,
    /// Further upward shift of the inner end in centimetres.
    pub tilt: f32,
    /// Shortening of the inner end, as a share of the length.
    pub gap: f32,
}

#[derive(Debug, Clone)]
pub(crate) struct Hair {
    pub colour: Vec3,
    /// Thickness over the skull in centimetres; 0 is bald.
    pub volume: f32,
    /// Height of the hair line at the middle of the forehead in centimetres.
    pub line: f32,
    /// How far the temples recede in centimetres.
    pub recession: f32,
    /// How far below the middle of the head hair hangs, in centimetres; 0 is short hair.
    pub length: f32,
    /// Angle from the front at which hanging hair begins, in radians.
    pub opening: f32,
}

/// A cap or hood instead of visible hair.
#[derive(Debug, Clone)]
pub(crate) struct Cap {
    pub colour: Vec3,
    /// Height of its edge in centimetres.
    pub line: f32,
    /// Length of the brim in centimetres; 0 is none.
    pub brim: f32,
}

/// Glasses; lengths in centimetres.
#[derive(Debug, Clone)]
pub(crate) struct Glasses {
    pub colour: Vec3,
    pub half_width: f32,
    pub half_height: f32,
    /// 1 is an ellipse, less is boxier.
    pub roundness: f32,
    /// Half the thickness of the rim.
    pub rim: f32,
    pub tint: Vec3,
    pub tint_strength: f32,
}

impl Glasses {
    fn sample(draw: &mut Draw) -> Self {
        let dark = draw.chance(0.1);
        Self {
            colour: from_srgb(draw.pick(&[
                [20, 18, 18],
                [60, 40, 28],
                [120, 110, 96],
                [150, 130, 80],
                [36, 40, 70],
            ])),
            half_width: draw.uniform(2.2, 2.9),
            half_height: draw.uniform(1.4, 2.2),
            roundness: draw.uniform(0.55, 1.0),
            rim: draw.uniform(0.06, 0.22),
            tint: if dark {
                [0.02; 3]
            } else {
                [draw.uniform(0.3, 1.0); 3]
            },
            tint_strength: if dark { 0.9 } else { draw.uniform(0.0, 0.15) },
        }
    }
}

/// Skin tones from lightest to darkest (sRGB).
const SKIN: [[u8; 3]; 6] = [
    [244, 212, 190],
    [232, 190, 160],
    [212, 164, 130],
    [178, 126, 94],
    [128, 84, 60],
    [82, 54, 42],
];

const HAIR: [[u8; 3]; 7] = [
    [22, 18, 16],
    [38, 28, 22],
    [68, 46, 32],
    [110, 76, 48],
    [176, 140, 94],
    [128, 58, 32],
    [172, 170, 168],
];

const IRIS: [[u8; 3]; 6] = [
    [52, 32, 20],
    [78, 50, 28],
    [104, 80, 44],
    [88, 104, 72],
    [90, 116, 140],
    [110, 120, 126],
];

impl Appearance {
    /// Draws a person.
    pub fn sample(draw: &mut Draw) -> Self {
        let melanin = draw.uniform(0.0, 1.0).powf(1.2);
        let age = draw.uniform(0.0, 1.0).powf(1.4);
        let skin = sample_skin(melanin, draw);
        let masculine = draw.chance(0.55);
        let hair_colour = sample_hair_colour(melanin, age, draw);
        let lip_strength = if masculine {
            draw.uniform(0.2, 0.7)
        } else {
            draw.uniform(0.4, 1.0)
        };
        let natural = mix(skin, from_srgb([170, 78, 74]), 0.55);
        let painted = from_srgb([draw.uniform(120.0, 200.0) as u8, 36, 52]);
        let lipstick = !masculine && draw.chance(0.35);
        let made_up = !masculine && draw.chance(0.5);
        Self {
            skin,
            blotches: draw.uniform(0.03, 0.16),
            freckles: if draw.chance(0.15) {
                draw.uniform(0.1, 0.5)
            } else {
                0.0
            },
            redness: draw.uniform(0.0, 0.3),
            age,
            folds: draw.uniform(0.1, 1.0),
            oil: draw.uniform(0.0, 1.0).powi(2) * 0.4 + 0.03,
            lips: if lipstick { painted } else { natural },
            lip_strength,
            brow: Brow {
                colour: scale(hair_colour, draw.uniform(0.25, 0.7)),
                thickness: draw.uniform(0.38, 0.7) * if masculine { 1.2 } else { 0.9 },
                density: draw.uniform(0.6, 1.0),
                lift: draw.uniform(-0.45, 0.1),
                tilt: draw.uniform(-0.45, 0.1),
                gap: draw.uniform(0.0, 0.12),
            },
            beard: if masculine && draw.chance(0.4) {
                draw.uniform(0.0, 1.0).powi(2) * 0.9
            } else {
                0.0
            },
            moustache: if masculine && draw.chance(0.3) {
                draw.uniform(0.2, 1.0)
            } else {
                0.0
            },
            hair: sample_hair(hair_colour, masculine, draw),
            cap: draw.chance(0.07).then(|| Cap {
                colour: [draw.uniform(0.0, 0.9).powi(2); 3].map(|c| c * draw.uniform(0.6, 1.4)),
                line: draw.uniform(7.4, 9.5),
                brim: if draw.chance(0.6) {
                    draw.uniform(3.0, 6.5)
                } else {
                    0.0
                },
            }),
            glasses: draw.chance(0.16).then(|| Glasses::sample(draw)),
            iris: sample_iris(melanin, draw),
            sclera: mix(
                from_srgb([236, 232, 226]),
                from_srgb([206, 186, 170]),
                draw.uniform(0.0, 0.8),
            ),
            lashes: draw.uniform(0.1, 0.4) + if made_up { 0.3 } else { 0.0 },
            eye_shadow: if made_up { draw.uniform(0.1, 0.5) } else { 0.0 },
            teeth: mix(
                from_srgb([238, 234, 222]),
                from_srgb([206, 184, 142]),
                draw.uniform(0.0, 0.9),
            ),
            noise_offset: (draw.uniform(0.0, 256.0), draw.uniform(0.0, 256.0)),
        }
    }
}

fn sample_hair(colour: Vec3, masculine: bool, draw: &mut Draw) -> Hair {
    let long = draw.chance(if masculine { 0.1 } else { 0.7 });
    let fringe = draw.chance(if masculine { 0.1 } else { 0.25 });
    let bald = !long && draw.chance(if masculine { 0.14 } else { 0.02 });
    Hair {
        colour,
        volume: match (bald, long) {
            (true, _) => 0.0,
            (_, true) => draw.uniform(0.7, 1.8),
            _ => draw.uniform(0.1, 1.8),
        },
        line: if fringe {
            draw.uniform(7.0, 8.8)
        } else {
            draw.uniform(9.4, 12.0)
        },
        recession: if masculine {
            draw.uniform(0.0, 2.2)
        } else {
            draw.uniform(0.0, 0.5)
        },
        length: if long { draw.uniform(3.0, 16.0) } else { 0.0 },
        opening: draw.uniform(0.95, 1.6),
    }
}

fn sample_skin(melanin: f32, draw: &mut Draw) -> Vec3 {
    let at = melanin * (SKIN.len() - 1) as f32;
    let low = (at as usize).min(SKIN.len() - 2);
    let tone = mix(
        from_srgb(SKIN[low]),
        from_srgb(SKIN[low + 1]),
        at - low as f32,
    );
    let grey = (tone[0] + tone[1] + tone[2]) / 3.0;
    let tone = mix(tone, [grey; 3], draw.uniform(0.1, 0.4));
    let hue = draw.normal(0.04);
    [
        tone[0] * (1.0 + hue),
        tone[1],
        tone[2] * (1.0 - hue + draw.normal(0.05)),
    ]
}

fn sample_iris(melanin: f32, draw: &mut Draw) -> Vec3 {
    let brown = melanin > 0.35 || draw.chance(0.4);
    from_srgb(draw.pick(if brown { &IRIS[..2] } else { &IRIS }))
}

fn sample_hair_colour(melanin: f32, age: f32, draw: &mut Draw) -> Vec3 {
    let kinds = if melanin > 0.45 { 3 } else { 6 };
    let colour = from_srgb(HAIR[draw.index(kinds)]);
    let grey = if age > 0.45 {
        draw.uniform(0.0, 2.0 * (age - 0.4)).min(1.0)
    } else {
        0.0
    };
    mix(colour, from_srgb(HAIR[6]), grey)
}
