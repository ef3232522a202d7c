//! Steps between the products: norms, activation functions, rotary positions, softmax.
//!
//! They are written as plain loops over lanes that compilers turn into vector instructions, and
//! compiled once for each instruction set.
#![allow(unsafe_code)] // Calls of functions that are compiled for an instruction set.

use crate::isa::IsaKind;
use crate::{BLOCK, Isa};

/// Lanes in which sums are taken, so that compilers may use wide registers.
const WIDE: usize = 16;

/// Added and taken away again, it rounds numbers below four million to whole ones.
const ROUNDING: f32 = 12_582_912.0;

/// Compiles a function for each instruction set and chooses at run time.
macro_rules! vectorised {
    (
        $(#[$meta:meta])*
        $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?
        $body:block
    ) => {
        $(#[$meta])*
        $visibility fn $name(isa: Isa, $($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn plain($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            fn avx2($($argument: $type),*) $(-> $result)? {
                plain($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($argument: $type),*) $(-> $result)? {
                plain($($argument),*)
            }

            match isa.kind() {
                // SAFETY: `Isa` holds only what the processor has.
                #[cfg(target_arch = "x86_64")]
                IsaKind::Avx2 => unsafe { avx2($($argument),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                IsaKind::Avx512 | IsaKind::Avx512Bf16 | IsaKind::Amx => unsafe { avx512($($argument),*) },
                _ => plain($($argument),*),
            }
        }
    };
}

pub(crate) use vectorised;

vectorised! {
    /// Rounds a block to 8 bits and returns the step and the sums of the halves, rounded. The step
    /// is NaN when a number is not finite, and zero when all are too small to divide by.
    pub(crate) fn quantise_block(block: &[f32; BLOCK], quants: &mut [i8; BLOCK]) -> (f32, [i32; 2]) {
        // The bits of magnitudes are ordered as the magnitudes, and NaN lies above all.
        let mut largest = [0_u32; WIDE];
        for numbers in block.as_chunks::<WIDE>().0 {
            for (largest, number) in largest.iter_mut().zip(numbers) {
                *largest = (*largest).max(number.to_bits() & 0x7fff_ffff);
            }
        }
        let largest = f32::from_bits(largest.into_iter().fold(0, u32::max));
        let mut inverse = 127.0 / largest;
        let mut scale = largest / 127.0;
        if !largest.is_finite() {
            (scale, inverse) = (f32::NAN, 0.0);
        } else if !inverse.is_finite() {
            (scale, inverse) = (0.0, 0.0);
        }
        let mut sums = [[0_i32; WIDE]; 2];
        let halves = block.as_chunks::<WIDE>().0.iter().zip(quants.as_chunks_mut::<WIDE>().0);
        for ((numbers, quants), sums) in halves.zip(&mut sums) {
            for ((number, quant), sum) in numbers.iter().zip(quants).zip(sums) {
                // The whole number stands in the low bits of the sum.
                let bits = (number * inverse + ROUNDING).to_bits();
                let whole = bits.wrapping_sub(ROUNDING.to_bits()) as i32;
                *quant = whole as i8;
                *sum = whole;
            }
        }
        if scale.is_nan() {
            quants.fill(0);
            return (scale, [0; 2]);
        }
        (scale, sums.map(|lanes| lanes.iter().sum()))
    }
}

vectorised! {
    /// `x / sqrt(mean(x²) + eps) * weight`: RMS norm of rows that are as long as the weight.
    ///
    /// # Panics
    ///
    /// When the output is not as long as the input.
    pub fn rms_norm(input: &[f32], weight: &[f32], eps: f32, output: &mut [f32]) {
        assert_eq!(input.len(), output.len());
        let width = weight.len().max(1);
        for (input, output) in input.chunks_exact(width).zip(output.chunks_exact_mut(width)) {
            let mean = sum(input, |x| x * x) / width as f32;
            let factor = 1.0 / (mean + eps).sqrt();
            for ((output, input), weight) in output.iter_mut().zip(input).zip(weight) {
                *output = input * factor * weight;
            }
        }
    }
}

vectorised! {
    /// `(x - mean(x)) / sqrt(var(x) + eps) * weight + bias`: layer norm of rows that are as long
    /// as the weight.
    ///
    /// # Panics
    ///
    /// When the output is not as long as the input.
    pub fn layer_norm(input: &[f32], affine: [&[f32]; 2], eps: f32, output: &mut [f32]) {
        let [weight, bias] = affine;
        assert_eq!(input.len(), output.len());
        let width = weight.len().max(1);
        for (input, output) in input.chunks_exact(width).zip(output.chunks_exact_mut(width)) {
            let mean = sum(input, |x| x) / width as f32;
            let variance = sum(input, |x| (x - mean) * (x - mean)) / width as f32;
            let factor = 1.0 / (variance + eps).sqrt();
            let scaled = output.iter_mut().zip(input).zip(weight.iter().zip(bias));
            for ((output, input), (weight, bias)) in scaled {
                *output = (input - mean) * factor * weight + bias;
            }
        }
    }
}

vectorised! {
    /// `silu(gate) * up`, where each row of the input holds `gate` and behind it `up`.
    ///
    /// # Panics
    ///
    /// When the input is not twice as long as the output, or the output not whole rows.
    pub fn silu_times(gate_up: &[f32], width: usize, output: &mut [f32]) {
        assert!(gate_up.len() == 2 * output.len() && output.len().is_multiple_of(width));
        for (row, output) in gate_up.chunks_exact(2 * width).zip(output.chunks_exact_mut(width)) {
            let (gate, up) = row.split_at(width);
            for ((output, gate), up) in output.iter_mut().zip(gate).zip(up) {
                *output = gate / (1.0 + exp(-gate)) * up;
            }
        }
    }
}

vectorised! {
    /// The exact GELU, `x Φ(x)`, in place; within 2e-7 of the magnitude of `x`.
    pub fn gelu(numbers: &mut [f32]) {
        for number in numbers {
            let half = 0.5 * *number;
            *number = half + half * erf(*number * std::f32::consts::FRAC_1_SQRT_2);
        }
    }
}

vectorised! {
    /// Turns channel `i` and channel `i + half` of each head by the angle of `i`, in place.
    ///
    /// # Panics
    ///
    /// When sines are not as many as cosines, or the heads not twice as wide.
    pub fn rotate(heads: &mut [f32], cos: &[f32], sin: &[f32]) {
        assert!(cos.len() == sin.len() && heads.len().is_multiple_of(2 * cos.len()));
        for head in heads.chunks_exact_mut(2 * cos.len()) {
            let (first, second) = head.split_at_mut(cos.len());
            let pairs = first.iter_mut().zip(second).zip(cos.iter().zip(sin));
            for ((first, second), (cos, sin)) in pairs {
                let (a, b) = (*first, *second);
                *first = a * cos - b * sin;
                *second = b * cos + a * sin;
            }
        }
    }
}

vectorised! {
    /// `exp(scale * x)` divided by its sum, in place; numbers of minus infinity become zero, all
    /// of them when there are no others.
    pub fn softmax(numbers: &mut [f32], scale: f32) {
        let (wide, rest) = numbers.as_chunks::<WIDE>();
        let mut lanes = [f32::NEG_INFINITY; WIDE];
        for numbers in wide {
            for (lane, number) in lanes.iter_mut().zip(numbers) {
                *lane = if *number > *lane { *number } else { *lane };
            }
        }
        let largest = lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
        if largest == f32::NEG_INFINITY {
            // Either nothing may be seen, or there are only NaN.
            let nothing = numbers.iter().all(|number| *number == f32::NEG_INFINITY);
            numbers.fill(if nothing { 0.0 } else { f32::NAN });
            return;
        }
        for number in numbers.iter_mut() {
            *number = exp((*number - largest) * scale);
        }
        let factor = 1.0 / sum(numbers, |x| x);
        for number in numbers {
            *number *= factor;
        }
    }
}

/// The sum of a function of numbers, taken in lanes.
#[inline(always)]
fn sum(numbers: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (wide, rest) = numbers.as_chunks::<WIDE>();
    let mut lanes = [0.0_f32; WIDE];
    for numbers in wide {
        for (lane, &number) in lanes.iter_mut().zip(numbers) {
            *lane += of(number);
        }
    }
    let rest: f32 = rest.iter().map(|&number| of(number)).sum();
    lanes.iter().sum::<f32>() + rest
}

/// `e^x` within 3e-7 of it; zero below -87.3, and about 1e38 above 88. Loops over it become vector
/// instructions, of those that its caller is compiled for.
#[inline(always)]
#[must_use]
pub fn exp(x: f32) -> f32 {
    const LOW: f32 = -87.336_54;
    const HIGH: f32 = 88.0;
    let clamped = if x < HIGH { x } else { HIGH };
    let clamped = if clamped > LOW { clamped } else { LOW };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUNDING;
    let power = shifted - ROUNDING;
    // ln 2 in two parts, of which the first times a power is exact.
    let rest = clamped - power * 0.693_359_4 + power * 2.121_944_4e-4;
    let mut value = 1.0 / 5040.0;
    for coefficient in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        value = value * rest + coefficient;
    }
    let bits = shifted.to_bits().wrapping_sub(ROUNDING.to_bits());
    let factor = f32::from_bits(bits.wrapping_add(127) << 23);
    let result = value * factor;
    let result = if x < LOW { 0.0 } else { result };
    if x.is_nan() { x } else { result }
}

/// The error function within 2e-7 (Abramowitz and Stegun, formula 7.1.26).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let mut sum = 1.061_405_4;
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        sum = sum * t + coefficient;
    }
    let value = 1.0 - sum * t * exp(-size * size);
    value.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count)
            .map(|index| ((index * 7919 % 1009) as f32 / 504.5 - 1.0) * 6.0)
            .collect()
    }

    fn assert_close(found: &[f32], wanted: impl Iterator<Item = f64>, bound: f64) {
        for (index, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            let error = (f64::from(*found) - wanted).abs();
            assert!(
                error <= bound * wanted.abs().max(1.0),
                "{index}: {found} for {wanted}"
            );
        }
    }

    #[test]
    fn exponentials_and_error_functions_equal_those_in_f64() {
        for step in -1000..1000 {
            let x = step as f32 * 0.087;
            let wanted = f64::from(x).exp();
            assert!((f64::from(exp(x)) / wanted - 1.0).abs() < 3e-7, "{x}");
        }
        assert_eq!(
            (exp(-1e9), exp(f32::NEG_INFINITY), exp(0.0)),
            (0.0, 0.0, 1.0)
        );
        assert!(exp(f32::NAN).is_nan() && exp(1e9) > 1e38);
        for (x, wanted) in [
            (0.0, 0.0),
            (0.5, 0.520_499_878),
            (-1.0, -0.842_700_793),
            (3.0, 0.999_977_91),
        ] {
            assert!((f64::from(erf(x)) - wanted).abs() < 2e-7, "{x}");
        }
    }

    #[test]
    fn norms_equal_those_in_f64() {
        for isa in Isa::available() {
            for width in [1, 15, 64, 100] {
                let input = numbers(3 * width);
                let weight: Vec<f32> = numbers(width).iter().map(|x| 1.0 + x / 10.0).collect();
                let bias = numbers(width);
                let mut output = vec![0.0; input.len()];
                rms_norm(isa, &input, &weight, 1e-5, &mut output);
                let wide = |x: &f32| f64::from(*x);
                let rows = input.chunks(width).flat_map(|row| {
                    let mean = row.iter().map(|x| wide(x).powi(2)).sum::<f64>() / width as f64;
                    let factor = 1.0 / (mean + 1e-5).sqrt();
                    row.iter()
                        .zip(&weight)
                        .map(move |(x, w)| wide(x) * factor * wide(w))
                });
                assert_close(&output, rows, 1e-5);
                layer_norm(isa, &input, [&weight, &bias], 1e-2, &mut output);
                let rows = input.chunks(width).flat_map(|row| {
                    let mean = row.iter().map(wide).sum::<f64>() / width as f64;
                    let squares = row.iter().map(|x| (wide(x) - mean).powi(2));
                    let factor = 1.0 / (squares.sum::<f64>() / width as f64 + 1e-2).sqrt();
                    let pairs = row.iter().zip(weight.iter().zip(&bias));
                    pairs.map(move |(x, (w, b))| (wide(x) - mean) * factor * wide(w) + wide(b))
                });
                assert_close(&output, rows, 1e-4);
            }
        }
    }

    #[test]
    fn activations_equal_those_in_f64() {
        for isa in Isa::available() {
            let input = numbers(2 * 33);
            let mut output = vec![0.0; 33];
            silu_times(isa, &input, 33, &mut output);
            let wanted = (0..33).map(|index| {
                let (gate, up) = (f64::from(input[index]), f64::from(input[33 + index]));
                gate / (1.0 + (-gate).exp()) * up
            });
            assert_close(&output, wanted, 1e-6);
            let mut turned = numbers(8);
            rotate(isa, &mut turned, &[0.6, 1.0], &[0.8, 0.0]);
            let plain = numbers(8);
            assert!((turned[0] - (plain[0] * 0.6 - plain[2] * 0.8)).abs() < 1e-6);
            assert!((turned[6] - (plain[6] * 0.6 + plain[4] * 0.8)).abs() < 1e-6);
            assert_eq!((turned[1], turned[3]), (plain[1], plain[3]));
        }
    }

    #[test]
    fn shares_sum_to_one_and_hidden_numbers_get_none() {
        for isa in Isa::available() {
            for count in [1, 5, 16, 37] {
                let mut shares = numbers(count);
                shares[count / 2] = f32::NEG_INFINITY;
                let plain: Vec<f64> = shares.iter().map(|&x| (f64::from(x) * 0.5).exp()).collect();
                let total: f64 = plain.iter().sum();
                softmax(isa, &mut shares, 0.5);
                if count == 1 {
                    assert_eq!(shares, [0.0]);
                } else {
                    assert_close(&shares, plain.iter().map(|x| x / total), 1e-6);
                }
            }
            let mut spoilt = [1.0, f32::NAN];
            softmax(isa, &mut spoilt, 1.0);
            assert!(spoilt[1].is_nan());
        }
    }

    #[test]
    fn rounded_blocks_are_within_half_a_step() {
        for isa in Isa::available() {
            let block: [f32; BLOCK] = numbers(BLOCK).try_into().unwrap();
            let mut quants = [0; BLOCK];
            let (scale, sums) = quantise_block(isa, &block, &mut quants);
            for (number, quant) in block.iter().zip(quants) {
                assert!((number - scale * f32::from(quant)).abs() <= scale * 0.501);
            }
            let halves = quants.chunks(BLOCK / 2);
            for (half, sum) in halves.zip(sums) {
                assert_eq!(sum, half.iter().map(|&q| i32::from(q)).sum::<i32>());
            }
        }
    }
}
