//! A tile of fractal noise that is computed once and looked up everywhere.

use super::math::hash;

/// Entries along each edge; a power of two, so that lookups wrap cheaply.
const SIDE: usize = 256;

/// Tileable noise in about [-1, 1] with mean 0.
#[derive(Debug, Clone)]
pub(crate) struct NoiseTile(Vec<f32>);

impl NoiseTile {
    /// Five octaves of value noise.
    pub fn new(seed: u64) -> Self {
        let mut tile = vec![0.0f32; SIDE * SIDE];
        for (octave, amplitude) in [
            (8usize, 1.0f32),
            (16, 0.7),
            (32, 0.5),
            (64, 0.4),
            (128, 0.3),
        ] {
            for y in 0..SIDE {
                for x in 0..SIDE {
                    tile[y * SIDE + x] += amplitude * value_noise(x, y, octave, seed);
                }
            }
        }
        let mean = tile.iter().sum::<f32>() / tile.len() as f32;
        let most = (tile.iter()).fold(0.0f32, |m, v| m.max((v - mean).abs()));
        tile.iter_mut().for_each(|v| *v = (*v - mean) / most);
        Self(tile)
    }

    /// The nearest entry; the tile repeats every 256 units. Places must be above -65536.
    pub fn at(&self, x: f32, y: f32) -> f32 {
        // A shift by whole tiles makes the cast a floor, which is far cheaper than `floor`.
        let wrap = |c: f32| (c + 65_536.0) as i32 as usize & (SIDE - 1);
        self.0[wrap(y) * SIDE + wrap(x)]
    }
}

/// Bilinear noise on a lattice of `cells` by `cells` random numbers.
fn value_noise(x: usize, y: usize, cells: usize, seed: u64) -> f32 {
    let step = SIDE / cells;
    let (cx, cy) = (x / step, y / step);
    let smooth = |i: usize| {
        let t = i as f32 / step as f32;
        t * t * (3.0 - 2.0 * t)
    };
    let (tx, ty) = (smooth(x % step), smooth(y % step));
    let corner = |dx: usize, dy: usize| {
        let place = ((cy + dy) % cells * cells + (cx + dx) % cells) as u64;
        let bits = hash(seed ^ (cells as u64) << 32 ^ place);
        (bits >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let top = corner(0, 0) * (1.0 - tx) + corner(1, 0) * tx;
    let bottom = corner(0, 1) * (1.0 - tx) + corner(1, 1) * tx;
    top * (1.0 - ty) + bottom * ty
}
