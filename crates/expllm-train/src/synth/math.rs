//! Three-vectors, smooth steps and random draws.

use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A point, direction or linear RGB colour.
pub(crate) type Vec3 = [f32; 3];

pub(crate) fn add(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(crate) fn sub(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(crate) fn scale(a: Vec3, s: f32) -> Vec3 {
    [a[0] * s, a[1] * s, a[2] * s]
}

pub(crate) fn mul(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] * b[0], a[1] * b[1], a[2] * b[2]]
}

pub(crate) fn dot(a: Vec3, b: Vec3) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

pub(crate) fn normalize(a: Vec3) -> Vec3 {
    let length = dot(a, a).sqrt();
    if length > 1e-12 {
        scale(a, 1.0 / length)
    } else {
        [0.0, 0.0, 1.0]
    }
}

/// The colour between two colours.
pub(crate) fn mix(a: Vec3, b: Vec3, t: f32) -> Vec3 {
    add(scale(a, 1.0 - t), scale(b, t))
}

/// 0 below `from`, 1 above `to`, smooth between; `from > to` gives the falling step.
pub(crate) fn smoothstep(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Linear light of an 8-bit sRGB colour (power law 2.2).
pub(crate) fn from_srgb(rgb: [u8; 3]) -> Vec3 {
    rgb.map(|c| (f32::from(c) / 255.0).powf(2.2))
}

/// A rotation, row by row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotation(pub [Vec3; 3]);

impl Rotation {
    pub(crate) fn apply(&self, p: Vec3) -> Vec3 {
        self.0.map(|row| dot(row, p))
    }
}

/// The random decisions of one face or identity.
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Uniform in [from, to).
    pub(crate) fn uniform(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.0.random::<f32>()
    }

    /// True with the given probability.
    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.0.random::<f32>() < probability
    }

    /// Normal with mean 0 and the given standard deviation, cut at three of them.
    pub(crate) fn normal(&mut self, deviation: f32) -> f32 {
        // Box-Muller; the first draw is kept away from zero.
        let u = self.0.random::<f32>().max(1e-7);
        let v = self.0.random::<f32>();
        let z = (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos();
        z.clamp(-3.0, 3.0) * deviation
    }

    /// One of the first `count` indices.
    pub(crate) fn index(&mut self, count: usize) -> usize {
        ((self.0.random::<f32>() * count as f32) as usize).min(count.saturating_sub(1))
    }

    /// One entry of a list that is not empty.
    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.index(list.len())]
    }

    /// A seed for a stream of its own.
    pub(crate) fn seed(&mut self) -> u64 {
        self.0.random()
    }
}

/// A well mixed number from a counter (splitmix64).
pub(crate) fn hash(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
