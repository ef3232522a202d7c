//! Group normalisation of faces, forth and back.

/// Added to variances, as in the network.
const EPSILON: f32 = 1e-5;

/// Sizes of what is normalised: channels of equal size, each of them face by face.
#[derive(Debug, Clone, Copy)]
pub(super) struct Groups {
    /// Channels of a group.
    pub channels: usize,
    pub faces: usize,
    /// Values of a channel of a face.
    pub area: usize,
}

impl Groups {
    /// Values of a group of channels, of all faces.
    fn size(self) -> usize {
        self.channels * self.faces * self.area
    }

    /// Where the channels of a face lie within a group.
    #[inline(always)]
    fn channels_of(self, face: usize) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let Self {
            channels,
            faces,
            area,
        } = self;
        (0..channels).map(move |channel| {
            let start = (channel * faces + face) * area;
            start..start + area
        })
    }

    /// Values of a group of one face.
    fn count(self) -> f32 {
        (self.channels * self.area) as f32
    }
}

/// Normalises `values` group by group and face by face, in place; returns one over the standard
/// deviation of each.
#[inline(always)]
pub(super) fn normalise(values: &mut [f32], groups: Groups, inverse: &mut Vec<f32>) {
    inverse.clear();
    for group in values.chunks_exact_mut(groups.size()) {
        for face in 0..groups.faces {
            let each = || groups.channels_of(face);
            let mean = each().map(|at| sum(&group[at])).sum::<f32>() / groups.count();
            let mut squares = 0.0;
            for at in each() {
                let channel = &mut group[at];
                channel.iter_mut().for_each(|v| *v -= mean);
                squares += dot(channel, channel);
            }
            let scale = 1.0 / (squares / groups.count() + EPSILON).sqrt();
            for at in each() {
                group[at].iter_mut().for_each(|v| *v *= scale);
            }
            inverse.push(scale);
        }
    }
}

/// From the gradient of normalised values to that of the values before, in place.
#[inline(always)]
pub(super) fn backward(gradient: &mut [f32], groups: Groups, normal: &[f32], inverse: &[f32]) {
    let size = groups.size();
    let pairs = gradient
        .chunks_exact_mut(size)
        .zip(normal.chunks_exact(size));
    for ((gradient, normal), scales) in pairs.zip(inverse.chunks_exact(groups.faces)) {
        for (face, &scale) in scales.iter().enumerate() {
            let each = || groups.channels_of(face);
            let mean = each().map(|at| sum(&gradient[at])).sum::<f32>() / groups.count();
            let along = each().map(|at| dot(&gradient[at.clone()], &normal[at]));
            let along = along.sum::<f32>() / groups.count();
            for at in each() {
                for (g, &n) in gradient[at.clone()].iter_mut().zip(&normal[at]) {
                    *g = scale * (*g - mean - n * along);
                }
            }
        }
    }
}

/// A sum in sixteen lanes, which the compiler turns into vector instructions.
#[inline(always)]
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
#[inline(always)]
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
