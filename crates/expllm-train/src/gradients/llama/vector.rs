//! Steps between the products, over rows of f32, as loops that become vector instructions.

use expllm_kernels::exp;

/// Lanes in which sums are taken.
const LANES: usize = 16;

/// Makes a closure one that can be called no more than once.
pub(super) struct Once;

impl Once {
    #[inline(always)]
    pub fn spend(self) {}
}

/// Runs loops compiled for what the processor has.
///
/// A closure that could be called again is called through a shim that is compiled for the least
/// processor; one that gives something away is not.
macro_rules! vectorised {
    ($body:expr) => {{
        let once = $crate::gradients::llama::vector::Once;
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                once.spend();
                $body
            },
        )
    }};
}
pub(super) use vectorised;

/// The sum of a function of pairs of numbers, taken in lanes.
#[inline(always)]
fn sum2(a: &[f32], b: &[f32], of: impl Fn(f32, f32) -> f32) -> f32 {
    let ((wide_a, rest_a), (wide_b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0_f32; LANES];
    for (a, b) in wide_a.iter().zip(wide_b) {
        for (lane, (&a, &b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += of(a, b);
        }
    }
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(&a, &b)| of(a, b)).sum();
    lanes.iter().sum::<f32>() + rest
}

/// The sum of the products of pairs.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum2(a, b, |a, b| a * b)
}

#[inline(always)]
fn largest(numbers: &[f32]) -> f32 {
    let (wide, rest) = numbers.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for numbers in wide {
        for (lane, number) in lanes.iter_mut().zip(numbers) {
            *lane = if *number > *lane { *number } else { *lane };
        }
    }
    let all = lanes.iter().chain(rest);
    all.fold(f32::NEG_INFINITY, |most, &n| most.max(n))
}

/// Turns scores into shares in place and returns the logarithm of the sum that they were divided
/// by: `exp(score - it)` gives the shares again.
#[inline(always)]
pub(super) fn softmax(scores: &mut [f32]) -> f32 {
    let most = largest(scores);
    for score in scores.iter_mut() {
        *score = exp(*score - most);
    }
    let total = sum2(scores, scores, |a, _| a);
    let factor = 1.0 / total;
    for score in scores {
        *score *= factor;
    }
    most + total.ln()
}

/// The gradient of scores from their shares, `share * (above - mean of above)`, in the place of
/// `above`; `scores` are those before the softmax.
#[inline(always)]
pub(super) fn softmax_back(scores: &mut [f32], log_sum: f32, mean: f32, above: &mut [f32]) {
    for (score, above) in scores.iter_mut().zip(above) {
        let share = exp(*score - log_sum);
        *score = share;
        *above = share * (*above - mean);
    }
}

/// `x / sqrt(mean(x²) + eps) * weight` row by row.
pub(super) fn norm(input: &[f32], weight: &[f32], eps: f32, output: &mut [f32]) {
    vectorised!({
        let rows = input.chunks_exact(weight.len());
        for (input, output) in rows.zip(output.chunks_exact_mut(weight.len())) {
            let factor = inverse(input, eps);
            for ((output, input), weight) in output.iter_mut().zip(input).zip(weight) {
                *output = input * factor * weight;
            }
        }
    });
}

#[inline(always)]
fn inverse(row: &[f32], eps: f32) -> f32 {
    1.0 / (dot(row, row) / row.len() as f32 + eps).sqrt()
}

/// Adds the gradient of the input of a norm to `below` and that of its weight to `gradient`.
pub(super) fn norm_back(
    (input, weight, eps): (&[f32], &[f32], f32),
    above: &[f32],
    below: &mut [f32],
    gradient: Option<&mut [f32]>,
) {
    let mut nowhere = Vec::new();
    let gradient = gradient.unwrap_or_else(|| {
        nowhere.resize(weight.len(), 0.0);
        &mut nowhere
    });
    vectorised!({
        let width = weight.len();
        let rows = input.chunks_exact(width).zip(above.chunks_exact(width));
        for ((input, above), below) in rows.zip(below.chunks_exact_mut(width)) {
            let factor = inverse(input, eps);
            let mut lanes = [0.0_f32; LANES];
            let split = width - width % LANES;
            let weighted = |i: usize| above[i] * weight[i] * input[i];
            for start in (0..split).step_by(LANES) {
                for (lane, sum) in lanes.iter_mut().enumerate() {
                    *sum += weighted(start + lane);
                }
            }
            let rest: f32 = (split..width).map(weighted).sum();
            let along = lanes.iter().sum::<f32>() + rest;
            let pull = along * factor * factor * factor / width as f32;
            let sides = below.iter_mut().zip(gradient.iter_mut());
            let values = input.iter().zip(above).zip(weight);
            for ((below, gradient), ((&x, &a), &w)) in sides.zip(values) {
                *below += a * w * factor - x * pull;
                *gradient += a * x * factor;
            }
        }
    });
}

/// `silu(gate) * up`, where each row of the input holds `gate` and behind it `up`.
pub(super) fn gated(gate_up: &[f32], width: usize, output: &mut [f32]) {
    vectorised!({
        let rows = gate_up.chunks_exact(2 * width);
        for (row, output) in rows.zip(output.chunks_exact_mut(width)) {
            let (gate, up) = row.split_at(width);
            let of = |gate: f32, up: f32| gate / (1.0 + exp(-gate)) * up;
            for ((output, gate), up) in output.iter_mut().zip(gate).zip(up) {
                *output = of(*gate, *up);
            }
        }
    });
}

/// From the gradient of [`gated`] to that of `gate` and `up`, in their place.
pub(super) fn gated_back(above: &[f32], width: usize, gate_up: &mut [f32]) {
    vectorised!({
        let rows = gate_up.chunks_exact_mut(2 * width);
        for (row, above) in rows.zip(above.chunks_exact(width)) {
            let (gate, up) = row.split_at_mut(width);
            let (above, above_rest) = above.as_chunks::<LANES>();
            let (gate, gate_rest) = gate.as_chunks_mut::<LANES>();
            let (up, up_rest) = up.as_chunks_mut::<LANES>();
            for ((above, gate), up) in above.iter().zip(gate).zip(up) {
                // Lanes by value: nothing else lies in their memory, which compilers must know.
                let found = gate_gradients(*above, *gate, *up);
                (*gate, *up) = found;
            }
            for ((above, gate), up) in above_rest.iter().zip(gate_rest).zip(up_rest) {
                let found = gate_gradients([*above], [*gate], [*up]);
                ([*gate], [*up]) = found;
            }
        }
    });
}

#[inline(always)]
fn gate_gradients<const N: usize>(
    above: [f32; N],
    mut gate: [f32; N],
    mut up: [f32; N],
) -> ([f32; N], [f32; N]) {
    for ((above, gate), up) in above.iter().zip(&mut gate).zip(&mut up) {
        let share = 1.0 / (1.0 + exp(-*gate));
        let silu = *gate * share;
        *gate = above * *up * (share + silu * (1.0 - share));
        *up = above * silu;
    }
    (gate, up)
}

/// Turns channel `i` and channel `i + half` of a head by the angle of `i`, or back.
#[inline(always)]
pub(super) fn rotate(head: &mut [f32], cos: &[f32], sin: &[f32], back: bool) {
    let (first, second) = head.split_at_mut(cos.len());
    let sign = if back { -1.0 } else { 1.0 };
    let pairs = first.iter_mut().zip(second);
    for ((first, second), (&cos, &sin)) in pairs.zip(cos.iter().zip(sin)) {
        let (a, b, sin) = (*first, *second, sign * sin);
        *first = a * cos - b * sin;
        *second = b * cos + a * sin;
    }
}

/// Adds numbers to others.
pub(super) fn add(to: &mut [f32], numbers: &[f32]) {
    vectorised!(to.iter_mut().zip(numbers).for_each(|(a, b)| *a += b));
}

/// The weighted cross entropy of a row of scores, which become its gradient.
#[inline(always)]
pub(super) fn cross_entropy(scores: &mut [f32], target: usize, weight: f32) -> f32 {
    let wanted = scores[target];
    let log_sum = softmax(scores);
    scores.iter_mut().for_each(|share| *share *= weight);
    scores[target] -= weight;
    weight * (log_sum - wanted)
}
