//! Memory that one more token takes.

#![allow(clippy::unwrap_used)] // A failure ends the test.
#![allow(unsafe_code)] // Counting what is allocated needs an allocator.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::device;
use expllm_model::generation::Prefix;
use expllm_model::{DType, Format, LoadOptions, ModelConfig, Network, RandomWeights};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed on to the allocator of the system.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// In a pool of one thread, so that it is known which threads have their memory already; from
/// outside a pool, its queue takes a block of memory every 63 calls.
#[test]
fn one_more_token_takes_no_memory() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let config = ModelConfig::tiny();
    let source = RandomWeights::new(&config, DType::F32, 1).unwrap();
    pool.unwrap().install(|| {
        for format in [Format::F32, Format::Bf16, Format::Q8_0, Format::Q4A] {
            let options = LoadOptions {
                kernels: Some(format.into()),
                ..LoadOptions::default()
            };
            let network = Network::load(&config, &source, &options, &device()).unwrap();
            let prompt: Vec<u32> = (1..40).collect();
            let mut prefix = Prefix::new(&network, &prompt[..2], None).unwrap();
            prefix.reserve(48).unwrap();
            let mut taken = 0;
            // The first round warms up.
            for _ in 0..2 {
                prefix.rewind_to(&prompt[..2]).unwrap();
                let before = COUNT.load(Ordering::Relaxed);
                for &token in &prompt[2..] {
                    prefix.push(&[token]).unwrap();
                }
                taken = COUNT.load(Ordering::Relaxed) - before;
            }
            assert_eq!(taken, 0, "{format:?}");
        }
    });
}
