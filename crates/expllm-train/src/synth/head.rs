//! One head: a shape drawn from the kit with an expression, and its surface normals.

use super::facekit::{FaceKit, IDENTITY_BLOCK};
use super::math::{Draw, Vec3, add, cross, normalize, scale, sub};

/// Vertices of one head in head coordinates (centimetres).
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub positions: Vec<Vec3>,
    pub normals: Vec<Vec3>,
}

/// Movements below this (a thirtieth of a pixel of a tight crop) are left out.
const NEGLIGIBLE_CM: f32 = 0.004;

/// Coefficients of the identity modes, one standard deviation being 1.
pub(crate) fn sample_identity(modes: usize, draw: &mut Draw) -> Vec<f32> {
    let spread = draw.uniform(0.6, 1.1);
    (0..modes).map(|_| draw.normal(spread)).collect()
}

/// How a person's face rests: shapes and weights, the same in every picture and unlabelled.
///
/// The kit's average head rests with higher brows, wider eyes and fuller lips than photographed
/// neutral faces, and its identity modes vary them less; these shifts close most of the gap.
/// They spread less than photographs do, because a picture cannot tell a low brow at rest from
/// a lowered one, and the labels must stay readable.
pub(crate) fn sample_rest(draw: &mut Draw) -> Vec<(&'static str, f32)> {
    let mut rest = Vec::new();
    for (left, right, mean, spread) in [
        ("browDown_L", "browDown_R", 0.55, 0.13),
        ("browInnerUp_L", "browInnerUp_R", -0.5, 0.16),
        ("browOuterUp_L", "browOuterUp_R", 0.15, 0.12),
        ("eyeBlink_L", "eyeBlink_R", 0.1, 0.05),
        ("mouthSmile_L", "mouthSmile_R", 0.06, 0.06),
    ] {
        let both = mean + draw.normal(spread);
        rest.push((left, both + draw.normal(0.1 * spread)));
        rest.push((right, both + draw.normal(0.1 * spread)));
    }
    rest.push(("mouthRollUpper", draw.uniform(0.0, 0.3)));
    rest.push(("mouthRollLower", draw.uniform(0.0, 0.12)));
    rest
}

/// Neutral positions of an identity.
pub(crate) fn neutral_head(kit: &FaceKit, coefficients: &[f32]) -> Vec<Vec3> {
    let mut flat: Vec<f32> = kit.neutral.iter().flatten().copied().collect();
    for (block, out) in flat.chunks_mut(IDENTITY_BLOCK).enumerate() {
        let from = block * IDENTITY_BLOCK;
        for (mode, &c) in kit.identity.iter().zip(coefficients) {
            if c.abs() * mode.most[block] < NEGLIGIBLE_CM {
                continue;
            }
            let step = c * mode.most[block] / f32::from(i16::MAX);
            let steps = &mode.steps[from..from + out.len()];
            for (o, &s) in out.iter_mut().zip(steps) {
                *o += step * f32::from(s);
            }
        }
    }
    flat.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect()
}

/// Adds the expression shapes with their weights.
pub(crate) fn express(positions: &mut [Vec3], kit: &FaceKit, weights: &[f32]) {
    for (shape, &weight) in kit.expression.iter().zip(weights) {
        if weight.abs() < 1e-4 {
            continue;
        }
        for (&v, &d) in shape.vertices.iter().zip(&shape.deltas) {
            let p = &mut positions[v as usize];
            *p = add(*p, scale(d, weight));
        }
    }
}

/// Area-weighted vertex normals.
pub(crate) fn normals(positions: &[Vec3], kit: &FaceKit) -> Vec<Vec3> {
    let mut normals = vec![[0.0; 3]; positions.len()];
    for (_, triangles) in &kit.triangles {
        for t in triangles {
            let [a, b, c] = t.map(|v| positions[v as usize]);
            let n = cross(sub(b, a), sub(c, a));
            for &v in t {
                normals[v as usize] = add(normals[v as usize], n);
            }
        }
    }
    normals.into_iter().map(normalize).collect()
}
