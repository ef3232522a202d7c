//! Things between the camera and the face.

use expllm_core::{Landmarks, Point};

use super::math::{Draw, Vec3, mix, scale, smoothstep};

/// Sometimes puts a hand, a microphone or the edge of something in front of the picture.
pub(crate) fn occlude(
    picture: &mut [Vec3],
    size: usize,
    landmarks: &Landmarks,
    skin: Vec3,
    draw: &mut Draw,
) {
    let unit = landmarks.eye_distance().max(4.0);
    match draw.uniform(0.0, 1.0) {
        p if p < 0.025 => {
            // A hand comes from below or the side to the cheek or the chin.
            let target = landmarks.points[draw.pick(&[3, 5, 8, 11, 13])];
            let brightness = draw.uniform(0.5, 1.0);
            let away = draw.uniform(0.3, 2.8);
            let (sin, cos) = away.sin_cos();
            let fingers = 2 + draw.index(3);
            for finger in 0..fingers {
                let offset = (finger as f32 - 1.5) * 0.26 * unit;
                let tip = Point::new(target.x - sin * offset, target.y + cos * offset * 0.6);
                let root = Point::new(tip.x + cos * 1.3 * unit, tip.y + sin * 1.3 * unit);
                let shade = brightness * draw.uniform(0.85, 1.1);
                capsule(picture, size, [tip, root], 0.15 * unit, scale(skin, shade));
            }
        }
        p if p < 0.045 => {
            // A microphone in front of chin and chest.
            let chin = landmarks.points[8];
            let top = Point::new(
                chin.x + draw.normal(0.5) * unit,
                chin.y + draw.uniform(-0.15, 0.6) * unit,
            );
            let foot = Point::new(top.x + draw.normal(0.5) * unit, top.y + 3.0 * unit);
            let dark = draw.uniform(0.005, 0.08);
            capsule(picture, size, [top, foot], 0.1 * unit, [dark; 3]);
            capsule(picture, size, [top, top], 0.3 * unit, [0.7 * dark; 3]);
        }
        p if p < 0.075 => {
            // The edge of something near: a shoulder, a flag, a sheet of paper.
            let angle = draw.uniform(0.0, std::f32::consts::TAU);
            let level = draw.uniform(0.0, 0.9).powi(2);
            let cut = draw.uniform(0.36, 0.5) * size as f32;
            edge(picture, size, angle, cut, [level; 3]);
        }
        _ => {}
    }
}

/// A thick line with round ends and a shaded rim.
fn capsule(picture: &mut [Vec3], size: usize, ends: [Point; 2], radius: f32, colour: Vec3) {
    let [a, b] = ends;
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let length = (dx * dx + dy * dy).max(1e-6);
    for (i, c) in picture.iter_mut().enumerate() {
        let (x, y) = ((i % size) as f32 + 0.5, (i / size) as f32 + 0.5);
        let t = (((x - a.x) * dx + (y - a.y) * dy) / length).clamp(0.0, 1.0);
        let (ex, ey) = (x - a.x - t * dx, y - a.y - t * dy);
        let d = (ex * ex + ey * ey).sqrt() / radius;
        if d < 1.1 {
            let round = scale(colour, 1.0 - 0.55 * d * d);
            *c = mix(*c, round, smoothstep(1.1, 0.9, d));
        }
    }
}

/// Covers what lies more than `cut` pixels from the middle in one direction.
fn edge(picture: &mut [Vec3], size: usize, angle: f32, cut: f32, colour: Vec3) {
    let (sin, cos) = angle.sin_cos();
    let half = size as f32 / 2.0;
    for (i, c) in picture.iter_mut().enumerate() {
        let (x, y) = ((i % size) as f32 - half, (i / size) as f32 - half);
        let over = x * cos + y * sin - cut;
        if over > -1.0 {
            *c = mix(*c, colour, smoothstep(-1.0, 1.5, over));
        }
    }
}
