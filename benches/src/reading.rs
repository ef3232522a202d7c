//! What the machine reads from memory, to hold kernels against.

use std::sync::OnceLock;
use std::time::Instant;

use expllm_kernels::for_each_index;

/// Bytes that are read: far more than any cache holds.
const BYTES: usize = 768 << 20;
const REPEATS: usize = 5;

/// GB/s of all threads reading memory from end to end, the best of a few runs; measured once.
#[must_use]
pub fn read_speed() -> f64 {
    static SPEED: OnceLock<f64> = OnceLock::new();
    *SPEED.get_or_init(measure)
}

/// As [`read_speed`], measured now.
#[must_use]
pub fn measure() -> f64 {
    let numbers = vec![1_u64; BYTES / size_of::<u64>()];
    let pieces: Vec<_> = numbers.chunks(1 << 17).collect();
    let run = || {
        let start = Instant::now();
        for_each_index(pieces.len(), &|index| {
            std::hint::black_box(fold(pieces[index]));
        });
        start.elapsed().as_secs_f64()
    };
    let best = (0..REPEATS).map(|_| run()).fold(f64::MAX, f64::min);
    BYTES as f64 / best / 1e9
}

/// All numbers joined, in lanes that compilers turn into wide registers.
fn fold(numbers: &[u64]) -> u64 {
    let mut lanes = [0_u64; 32];
    for chunk in numbers.as_chunks::<32>().0 {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane ^= number;
        }
    }
    lanes.iter().fold(0, |all, lane| all ^ lane)
}
