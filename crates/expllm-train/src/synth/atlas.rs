//! The unrolled head: where each vertex lies in the skin texture, and what lies where.

use super::facekit::FaceKit;
use super::math::smoothstep;

/// Texels around the head and from its top down.
pub(crate) const WIDTH: usize = 352;
pub(crate) const HEIGHT: usize = 256;

/// Angle from the front at the left and right edge of the texture, in radians.
const MOST_ANGLE: f32 = 1.6;
/// Centimetres on the face per radian.
const RADIUS: f32 = 10.5;
/// Heights at the upper and lower edge, in centimetres.
const TOP: f32 = 13.5;
const BOTTOM: f32 = -10.0;

/// A place on the unrolled average face in centimetres: x around the head towards the subject's
/// left, y up.
pub(crate) type Place = (f32, f32);

/// What lies where on the unrolled face.
#[derive(Debug, Clone)]
pub(crate) struct Atlas {
    /// Texture coordinates of each vertex.
    pub texels: Vec<(f32, f32)>,
    /// Places of the 68 landmarks.
    pub landmarks: Vec<Place>,
    /// Share of lip, cheek red and beard in each texel.
    pub lips: Vec<f32>,
    pub red: Vec<f32>,
    pub beard: Vec<f32>,
    pub moustache: Vec<f32>,
}

/// Texture coordinates of a place.
pub(crate) fn texel_of(place: Place) -> (f32, f32) {
    let u = (place.0 / (2.0 * MOST_ANGLE * RADIUS) + 0.5) * WIDTH as f32;
    let v = (TOP - place.1) / (TOP - BOTTOM) * HEIGHT as f32;
    (u, v)
}

/// The place of a texel's centre.
pub(crate) fn place_of(x: usize, y: usize) -> Place {
    let s = ((x as f32 + 0.5) / WIDTH as f32 - 0.5) * 2.0 * MOST_ANGLE * RADIUS;
    let t = TOP - (y as f32 + 0.5) / HEIGHT as f32 * (TOP - BOTTOM);
    (s, t)
}

impl Atlas {
    /// Lays out the vertices of a kit.
    pub fn new(kit: &FaceKit) -> Self {
        let places: Vec<Place> = (kit.neutral.iter())
            .map(|p| (p[0].atan2(p[2]) * RADIUS, p[1]))
            .collect();
        let landmarks: Vec<Place> = (kit.landmarks.iter())
            .map(|&v| places[v as usize])
            .collect();
        let mut atlas = Self {
            texels: places.iter().map(|&p| texel_of(p)).collect(),
            lips: vec![0.0; WIDTH * HEIGHT],
            red: vec![0.0; WIDTH * HEIGHT],
            beard: vec![0.0; WIDTH * HEIGHT],
            moustache: vec![0.0; WIDTH * HEIGHT],
            landmarks,
        };
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let place = place_of(x, y);
                let at = y * WIDTH + x;
                atlas.lips[at] = lip_share(&atlas.landmarks[48..60], place);
                atlas.red[at] = red_share(place);
                atlas.beard[at] = beard_share(place) * (1.0 - atlas.lips[at]);
                atlas.moustache[at] = moustache_share(place) * (1.0 - atlas.lips[at]);
            }
        }
        atlas
    }
}

/// Soft membership of the outer lip polygon.
fn lip_share(polygon: &[Place], place: Place) -> f32 {
    let mut inside = 0.0;
    for i in 0..9 {
        let p = (
            place.0 + ((i % 3) as f32 - 1.0) * 0.12,
            place.1 + ((i / 3) as f32 - 1.0) * 0.1,
        );
        inside += f32::from(u8::from(contains(polygon, p))) / 9.0;
    }
    inside
}

/// Whether a polygon holds a place (even-odd rule).
fn contains(polygon: &[Place], p: Place) -> bool {
    let mut inside = false;
    for (i, &a) in polygon.iter().enumerate() {
        let b = polygon[(i + 1) % polygon.len()];
        if (a.1 > p.1) != (b.1 > p.1) {
            let x = a.0 + (p.1 - a.1) / (b.1 - a.1) * (b.0 - a.0);
            inside ^= p.0 < x;
        }
    }
    inside
}

fn bump(p: Place, at: Place, width: f32) -> f32 {
    let (dx, dy) = (p.0 - at.0, p.1 - at.1);
    (-(dx * dx + dy * dy) / (2.0 * width * width)).exp()
}

fn red_share((s, y): Place) -> f32 {
    let p = (s.abs(), y);
    bump(p, (4.6, -0.4), 1.8) + 0.8 * bump(p, (0.0, 0.6), 1.0) + 0.4 * bump(p, (0.0, -6.0), 1.4)
}

fn beard_share((s, y): Place) -> f32 {
    // Upper edge of a beard from the chin over the cheek to the side burn.
    let s = s.abs();
    let edge = if s < 2.6 {
        -4.6
    } else if s < 5.0 {
        -4.6 + (s - 2.6) * 0.5
    } else {
        (-3.4 + (s - 5.0) * 1.3).min(3.0)
    };
    smoothstep(edge + 1.8, edge - 1.6, y) * smoothstep(13.0, 10.5, s) * smoothstep(-11.0, -8.5, y)
}

fn moustache_share((s, y): Place) -> f32 {
    // Between nose and upper lip, drooping a little towards the corners of the mouth.
    let s = s.abs();
    let upper = -1.5 - 0.3 * s;
    let lower = -3.0 - 0.9 * smoothstep(2.0, 3.2, s);
    smoothstep(upper + 0.3, upper - 0.3, y)
        * smoothstep(3.6, 2.8, s)
        * smoothstep(lower - 0.4, lower + 0.2, y)
}
