//! Group normalisation of one face, forth and back.

/// Added to variances, as in the network.
const EPSILON: f32 = 1e-5;

/// Normalises `values` (channels of equal size) group by group, in place; returns one over the
/// standard deviation of each group.
pub(super) fn normalise(values: &mut [f32], groups: usize, inverse: &mut Vec<f32>) {
    inverse.clear();
    let size = values.len() / groups;
    for group in values.chunks_exact_mut(size) {
        let mean = sum(group) / size as f32;
        for v in group.iter_mut() {
            *v -= mean;
        }
        let variance = dot(group, group) / size as f32;
        let scale = 1.0 / (variance + EPSILON).sqrt();
        for v in group.iter_mut() {
            *v *= scale;
        }
        inverse.push(scale);
    }
}

/// From the gradient of normalised values to that of the values before, in place.
pub(super) fn backward(gradient: &mut [f32], normal: &[f32], inverse: &[f32]) {
    let size = gradient.len() / inverse.len();
    let groups = gradient
        .chunks_exact_mut(size)
        .zip(normal.chunks_exact(size));
    for ((gradient, normal), &scale) in groups.zip(inverse) {
        let mean = sum(gradient) / size as f32;
        let along = dot(gradient, normal) / size as f32;
        for (g, &n) in gradient.iter_mut().zip(normal) {
            *g = scale * (*g - mean - n * along);
        }
    }
}

/// A sum in sixteen lanes, which the compiler turns into vector instructions.
pub(super) fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = values.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += v;
        }
    }
    rest + lanes.iter().sum::<f32>()
}

/// A sum of products in sixteen lanes.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let (chunks, others) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = chunks
        .remainder()
        .iter()
        .zip(others.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (chunk, other) in chunks.zip(others) {
        for ((lane, &x), &y) in lanes.iter_mut().zip(chunk).zip(other) {
            *lane += x * y;
        }
    }
    rest + lanes.iter().sum::<f32>()
}
