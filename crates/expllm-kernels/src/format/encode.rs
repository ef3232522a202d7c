//! Writing rows whose numbers share scales.

use half::f16;

use super::blocks::{
    Line, SHARED, half, set_nibbles, set_quants, set_six_bits, six_scale, stored_bytes,
};
use super::quantise::{Affine, blocks, extreme, largest};
use super::{BLOCK, Format};

/// The smallest step of scales over that of offsets in [`Format::Q4A`], so that their quotient
/// stays a number; a row that needs less is constant but for its offsets.
const SMALLEST_STEP: f32 = 1e-6;

/// Writes a row of finite numbers.
pub(super) fn encode_blocks(format: Format, row: &[f32], bytes: &mut [u8]) {
    bytes.fill(0);
    match format {
        Format::Q4A => encode_q4a(row, bytes),
        Format::Q4K | Format::Q5K => encode_k(format, row, bytes),
        Format::Q6K => encode_q6_k(row, bytes),
        _ => {
            let stored = bytes.chunks_exact_mut(stored_bytes(format));
            for (block, bytes) in blocks(row).zip(stored) {
                encode_block(format, &block, bytes);
            }
        }
    }
}

/// Writes a block with scales of its own.
fn encode_block(format: Format, block: &[f32; BLOCK], bytes: &mut [u8]) {
    let put = |bytes: &mut [u8], place: usize, number: f32| {
        bytes[place..place + 2].copy_from_slice(&f16::from_f32(number).to_le_bytes());
    };
    // The number of the largest magnitude gets the end of the range that is farther from the
    // middle.
    match format {
        Format::Q8_0 => put(bytes, 0, largest(block) / 127.0),
        Format::Q4_0 => put(bytes, 0, extreme(block) / -8.0),
        Format::Q5_0 => put(bytes, 0, extreme(block) / -16.0),
        _ => {
            let line = match format {
                Format::Q4_1 => Affine::fit(block),
                _ => Affine::range(block, 31.0),
            };
            put(bytes, 0, line.scale);
            put(bytes, 2, -line.offset);
        }
    }
    if format == Format::Q4_1 {
        let (scale, offset) = (half(bytes, 0), -half(bytes, 2));
        let kept = Affine { scale, offset };
        set_nibbles(&mut bytes[4..], &block.map(|weight| kept.round(weight)));
        return;
    }
    let line = Line::of(format, bytes, 0);
    let range = match format {
        Format::Q8_0 => [1.0, 255.0],
        Format::Q4_0 => [0.0, 15.0],
        _ => [0.0, 31.0],
    };
    set_quants(format, bytes, 0, &rounded(&line, block, range));
}

/// The nearest numbers of a block that stand for its weights.
fn rounded(line: &Line, block: &[f32; BLOCK], [low, high]: [f32; 2]) -> [u8; BLOCK] {
    let inverses = line.scales.map(inverse);
    std::array::from_fn(|place| {
        let scaled = (block[place] - line.offset) * inverses[place / (BLOCK / 2)];
        // Halves are rounded away from the middle, as they are away from zero.
        let number = match line.middle {
            128 => scaled.round() + 128.0,
            middle => (scaled + f32::from(middle)).round(),
        };
        number.clamp(low, high) as u8
    })
}

/// Eight blocks with a scale and an offset of 6 bits each.
fn encode_k(format: Format, row: &[f32], bytes: &mut [u8]) {
    let top = if format == Format::Q4K { 15.0 } else { 31.0 };
    let all: Vec<[f32; BLOCK]> = blocks(row).collect();
    let stored = bytes.chunks_exact_mut(stored_bytes(format));
    for (together, bytes) in all.chunks(SHARED).zip(stored) {
        let lines: Vec<_> = (together.iter())
            .map(|block| match format {
                Format::Q4K => Affine::fit(block),
                _ => Affine::range(block, top),
            })
            .collect();
        let step = |of: fn(&Affine) -> f32| lines.iter().map(of).fold(0.0, f32::max) / 63.0;
        for (place, step) in [step(|line| line.scale), step(|line| line.offset)]
            .into_iter()
            .enumerate()
        {
            bytes[2 * place..][..2].copy_from_slice(&f16::from_f32(step).to_le_bytes());
        }
        let inverses = [0, 2].map(|place| inverse(half(bytes, place)));
        let count = |value: f32, inverse: f32| (value * inverse).round().clamp(0.0, 63.0) as u8;
        for (index, line) in lines.iter().enumerate() {
            let pair = [
                count(line.scale, inverses[0]),
                count(line.offset, inverses[1]),
            ];
            set_six_bits(&mut bytes[4..16], index, pair);
        }
        for (index, block) in together.iter().enumerate() {
            let line = Line::of(format, bytes, index);
            set_quants(format, bytes, index, &rounded(&line, block, [0.0, top]));
        }
    }
}

/// Eight blocks whose halves have a scale of 8 bits each.
fn encode_q6_k(row: &[f32], bytes: &mut [u8]) {
    let all: Vec<[f32; BLOCK]> = blocks(row).collect();
    let stored = bytes.chunks_exact_mut(stored_bytes(Format::Q6K));
    for (together, bytes) in all.chunks(SHARED).zip(stored) {
        let halves = |block: &[f32; BLOCK]| {
            let (first, second) = block.split_at(BLOCK / 2);
            [first, second].map(|half| extreme(half) / -32.0)
        };
        let scales: Vec<[f32; 2]> = together.iter().map(halves).collect();
        let step = f16::from_f32(largest(scales.as_flattened()) / 127.0);
        bytes[208..].copy_from_slice(&step.to_le_bytes());
        let inverse = inverse(step.to_f32());
        for (index, (block, scales)) in together.iter().zip(scales).enumerate() {
            for (inner, scale) in scales.into_iter().enumerate() {
                let count = (scale * inverse).round().clamp(-127.0, 127.0);
                bytes[six_scale(index) + inner] = (count as i8).cast_unsigned();
            }
            let line = Line::of(Format::Q6K, bytes, index);
            set_quants(
                Format::Q6K,
                bytes,
                index,
                &rounded(&line, block, [0.0, 63.0]),
            );
        }
    }
}

fn encode_q4a(row: &[f32], bytes: &mut [u8]) {
    let count = (bytes.len() - 8) / 18;
    let lines: Vec<Affine> = blocks(row).map(|block| Affine::fit(&block)).collect();
    let step = |of: fn(&Affine) -> f32| lines.iter().map(of).fold(0.0, f32::max) / 255.0;
    let offset_step = step(|line| line.offset);
    let scale_step = step(|line| line.scale).max(offset_step * SMALLEST_STEP);
    // Any step will do for a row of zeros.
    let scale_step = match scale_step >= f32::MIN_POSITIVE {
        true => scale_step,
        false => 1.0,
    };
    bytes[..4].copy_from_slice(&scale_step.to_le_bytes());
    bytes[4..8].copy_from_slice(&offset_step.to_le_bytes());
    let count_steps = |value: f32, step: f32| match step > 0.0 {
        true => (value / step).round().clamp(0.0, 255.0) as u8,
        false => 0,
    };
    for (index, block) in blocks(row).enumerate() {
        let scale = count_steps(lines[index].scale, scale_step);
        let offset = count_steps(lines[index].offset, offset_step);
        bytes[8 + index] = scale;
        bytes[8 + count + index] = offset;
        let kept = Affine {
            scale: scale_step * f32::from(scale),
            offset: offset_step * f32::from(offset),
        };
        let start = 8 + 2 * count + 16 * index;
        let numbers = block.map(|weight| kept.round(weight));
        set_nibbles(&mut bytes[start..start + 16], &numbers);
    }
}

fn inverse(scale: f32) -> f32 {
    match scale == 0.0 {
        true => 0.0,
        false => 1.0 / scale,
    }
}
