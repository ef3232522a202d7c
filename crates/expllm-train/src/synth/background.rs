//! What lies behind the head: walls, light patches, shapes, shoulders.

use super::math::{Draw, Vec3, mix, scale, smoothstep};
use super::noise::NoiseTile;

/// A colour of any hue, rather dull, in linear light.
fn any_colour(draw: &mut Draw) -> Vec3 {
    let level = draw.uniform(0.02, 1.0).powi(2);
    let dull = draw.uniform(0.4, 1.0);
    [0; 3].map(|_| level * (dull + (1.0 - dull) * draw.uniform(0.0, 2.0)))
}

/// Paints a background of `size * size` linear colours.
pub(crate) fn paint(size: usize, noise: &NoiseTile, draw: &mut Draw) -> Vec<Vec3> {
    let (a, b) = (any_colour(draw), any_colour(draw));
    let (gx, gy) = (draw.normal(1.0), draw.normal(1.0));
    let rough = draw.uniform(0.0, 0.8);
    let grain = draw.uniform(0.1, 1.2) * 160.0 / size as f32;
    let (ox, oy) = (draw.uniform(0.0, 256.0), draw.uniform(0.0, 256.0));
    let mut out = Vec::with_capacity(size * size);
    for y in 0..size {
        for x in 0..size {
            let (fx, fy) = (x as f32 / size as f32 - 0.5, y as f32 / size as f32 - 0.5);
            let n = noise.at(x as f32 * grain + ox, y as f32 * grain + oy);
            let t = smoothstep(-0.7, 0.7, gx * fx + gy * fy + rough * n);
            out.push(scale(mix(a, b, t), 1.0 + 0.15 * n));
        }
    }
    for _ in 0..draw.index(5) {
        shape(&mut out, size, draw);
    }
    out
}

/// A soft ellipse or a bar.
fn shape(out: &mut [Vec3], size: usize, draw: &mut Draw) {
    let colour = any_colour(draw);
    let s = size as f32;
    let (cx, cy) = (draw.uniform(0.0, s), draw.uniform(0.0, s));
    let (rx, ry) = (draw.uniform(0.03, 0.4) * s, draw.uniform(0.03, 0.6) * s);
    let bar = draw.chance(0.5);
    let soft = draw.uniform(0.02, 0.5);
    for (i, c) in out.iter_mut().enumerate() {
        let dx = ((i % size) as f32 - cx).abs() / rx;
        let dy = ((i / size) as f32 - cy).abs() / ry;
        let d = if bar {
            dx.max(dy)
        } else {
            (dx * dx + dy * dy).sqrt()
        };
        if d < 1.0 + soft {
            *c = mix(*c, colour, smoothstep(1.0 + soft, 1.0 - soft, d));
        }
    }
}

/// Shoulders and clothes under a neck that ends at a pixel; `scale` is pixels per centimetre.
pub(crate) fn clothe(
    out: &mut [Vec3],
    size: usize,
    neck: (f32, f32),
    px_per_cm: f32,
    draw: &mut Draw,
) {
    let colour = any_colour(draw);
    let collar = any_colour(draw);
    let slope = draw.uniform(0.2, 0.6);
    let rise = draw.uniform(-1.0, 3.0) * px_per_cm;
    let half = draw.uniform(17.0, 24.0) * px_per_cm;
    for (i, c) in out.iter_mut().enumerate() {
        let dx = (i % size) as f32 - neck.0;
        let dy = (i / size) as f32 - neck.1;
        let edge = slope * dx.abs() - rise;
        if dy > edge && dx.abs() < half {
            let open = dy < edge + 1.5 * px_per_cm;
            *c = if open { collar } else { colour };
        }
    }
}
