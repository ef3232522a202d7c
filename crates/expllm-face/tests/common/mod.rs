//! Photos that tests make.

use std::num::NonZeroU32;

use expllm_core::Photo;

/// Noise, stripes, checks, blobs and rings of many sizes and colours.
pub fn texture(index: u32) -> Photo {
    let mut state = u64::from(index) * 0x9E37_79B9 + 12_345;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let side = NonZeroU32::new([120, 256, 400, 640][index as usize % 4]).unwrap();
    let [a, b, c, d] = std::array::from_fn(|_| 0.02 + 0.4 * random().powi(2));
    let (base, tint) = (
        [0; 3].map(|_: u8| 255.0 * random()),
        [0; 3].map(|_: u8| random() - 0.5),
    );
    let rough = 60.0 * random();
    let blobs: Vec<[f32; 3]> = (0..30)
        .map(|_| [random(), random(), 0.01 + 0.1 * random()].map(|v| v * side.get() as f32))
        .collect();
    Photo::from_fn(side, side, |x, y| {
        let (x, y) = (x as f32, y as f32);
        let value = match index % 6 {
            0 => 0.0,
            1 => (a * x + b * y).sin(),
            2 => ((a * x).sin() * (b * y).sin()).signum(),
            3 => (a * x + 2.0 * (c * y).sin()).sin() * (b * y + 2.0 * (d * x).sin()).cos(),
            4 => ((x - side.get() as f32 / 2.0).hypot(y - side.get() as f32 / 3.0) * a).sin(),
            _ => {
                let inside = |[cx, cy, r]: &[f32; 3]| (x - cx).hypot(y - cy) < *r;
                blobs.iter().filter(|blob| inside(blob)).count() as f32 - 1.0
            }
        };
        let noise = rough * (random() - 0.5);
        std::array::from_fn(|i| (base[i] + 120.0 * value * (0.7 + tint[i]) + noise) as u8)
    })
}
