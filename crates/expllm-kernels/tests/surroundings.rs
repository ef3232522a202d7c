//! Answers depend neither on the number of threads, nor on what else these do, nor on large pages.
#![cfg(not(miri))] // A hundred threads are too many for it, and it maps no memory.
#![allow(clippy::unwrap_used)] // Helpers of tests.

use std::sync::Barrier;

use expllm_kernels::{
    Attention, AttentionShape, Cached, CachedNumbers, Format, Input, Isa, Matrix, Rows, Store,
    Visible, multiply, on_pool,
};
use half::f16;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// The largest formats take more than the 1 MiB from which memory is mapped.
const ROWS: usize = 300;
const COLUMNS: usize = 2080;
/// One token, and enough for tiles.
const TOKENS: [usize; 2] = [1, 40];

fn numbers(count: usize) -> Vec<f32> {
    (0..count)
        .map(|index| (index * 7919 % 2003) as f32 / 1001.5 - 1.0)
        .collect()
}

fn matrix(format: Format) -> Matrix {
    let weights = numbers(ROWS * COLUMNS);
    Matrix::pack(format, COLUMNS, &[Rows::F32(&weights)]).unwrap()
}

fn product(matrix: &Matrix, tokens: usize) -> Vec<f32> {
    let isa = Isa::detect();
    let mut input = Input::new();
    input.set(isa, matrix.format(), &numbers(tokens * COLUMNS), COLUMNS);
    let mut output = vec![0.0; tokens * ROWS];
    multiply(isa, matrix, &input, &mut output, Store::Set).unwrap();
    output
}

fn attention(tokens: usize) -> Vec<f32> {
    let (heads, head_dim, length) = (4, 64, 100);
    let cached: Vec<_> = numbers(heads * length * head_dim)
        .into_iter()
        .map(f16::from_f32)
        .collect();
    let attention = Attention {
        shape: AttentionShape {
            heads,
            kv_heads: heads,
            head_dim,
        },
        query: &numbers(tokens * heads * head_dim),
        query_stride: heads * head_dim,
        tokens,
        cached: Cached {
            keys: CachedNumbers::F16(&cached),
            values: CachedNumbers::F16(&cached),
            head_stride: length * head_dim,
            position_stride: head_dim,
            length,
        },
        visible: Visible::Causal {
            start: length - tokens,
        },
        halved: true,
    };
    let mut output = vec![0.0; tokens * heads * head_dim];
    attention.run(Isa::detect(), &mut output);
    output
}

/// Products in every format and attention, bit by bit.
fn answers() -> Vec<u32> {
    let matrices = Format::ALL.map(matrix);
    let products = |tokens| matrices.each_ref().map(|matrix| product(matrix, tokens));
    let found = on_pool(|| {
        [
            TOKENS.map(products).concat(),
            TOKENS.map(attention).to_vec(),
        ]
        .concat()
    });
    assert!(found.iter().flatten().all(|number| number.is_finite()));
    found.concat().into_iter().map(f32::to_bits).collect()
}

fn pool(threads: usize) -> ThreadPool {
    let builder = ThreadPoolBuilder::new().num_threads(threads);
    builder.build().unwrap()
}

#[test]
fn one_thread_and_a_hundred_give_the_same_answers() {
    let wanted = pool(1).install(answers);
    for threads in [2, 100] {
        assert!(pool(threads).install(answers) == wanted, "{threads}");
    }
}

#[test]
fn answers_come_while_the_caller_keeps_the_other_threads() {
    let wanted = pool(1).install(answers);
    let (kept, over) = (Barrier::new(3), Barrier::new(3));
    let found = pool(3).scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|_| {
                kept.wait();
                over.wait();
            });
        }
        kept.wait();
        let found = answers();
        over.wait();
        found
    });
    assert!(found == wanted);
}

#[test]
#[cfg(target_os = "linux")]
#[allow(unsafe_code)] // A call of the system.
fn answers_are_the_same_without_large_pages() {
    let wanted = answers();
    // SAFETY: the call takes numbers, and changes how memory is mapped from now on, not what it holds.
    let refused = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
    if refused != 0 {
        return expllm_testing::skipped("a switch for large pages");
    }
    assert!(answers() == wanted);
}
