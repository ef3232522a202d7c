//! Tile registers of a thread, and the product that fills them.
#![allow(unsafe_code)] // Instructions and pointers.

use std::arch::asm;
use std::arch::x86_64::*;

use half::bf16;

use crate::format::LANES;
use crate::input::TILE_TOKENS;
use crate::{BLOCK, Store};

/// Numbers of a tile of sums.
pub(crate) const TILE_SUMS: usize = TILE_TOKENS * LANES;

/// Numbers of a tile of bf16.
pub(crate) const TILE_NUMBERS: usize = TILE_TOKENS * BLOCK;

/// Whether the processor has tiles of bf16 and the system lets this process use them, which it has
/// to be asked for.
pub(crate) fn is_there() -> bool {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        // From the kernel's `asm/prctl.h` and its list of extended states.
        const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
        const XFEATURE_XTILEDATA: libc::c_long = 18;
        let [amx_bf16, amx_tile] = [22, 24].map(|bit| __cpuid_count(7, 0).edx >> bit & 1 == 1);
        // SAFETY: the call takes two numbers and has no effect but the permission.
        amx_bf16
            && amx_tile
            && unsafe {
                libc::syscall(
                    libc::SYS_arch_prctl,
                    ARCH_REQ_XCOMP_PERM,
                    XFEATURE_XTILEDATA,
                )
            } == 0
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    {
        false
    }
}

/// Writes the products of two tiles of tokens and two panels into four tiles of sums, or adds them
/// there: those of the first tokens with either panel, then those of the second.
///
/// # Safety
///
/// The thread has a [`TileState`]; tokens and weights have `blocks` tiles one behind the other.
pub(crate) unsafe fn multiply_pair(
    tokens: [*const bf16; 2],
    weights: [*const bf16; 2],
    sums: &mut [f32],
    blocks: usize,
    store: Store,
) {
    assert!(sums.len() == 4 * TILE_SUMS && blocks > 0, "sums of a pair");
    macro_rules! run {
        ($($begin:literal),*) => {
            asm!(
                $($begin,)*
                "2:",
                "tileloadd tmm4, [{tokens_0} + {line}]",
                "tileloadd tmm6, [{weights_0} + {line}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{weights_1} + {line}]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{tokens_1} + {line}]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {tokens_0}, 1024",
                "add {tokens_1}, 1024",
                "add {weights_0}, 1024",
                "add {weights_1}, 1024",
                "dec {blocks}",
                "jnz 2b",
                "tilestored [{sums} + {line}], tmm0",
                "tilestored [{sums} + {line} + 1024], tmm1",
                "tilestored [{sums} + {line} + 2048], tmm2",
                "tilestored [{sums} + {line} + 3072], tmm3",
                sums = in(reg) sums.as_mut_ptr(),
                line = in(reg) 64_usize,
                tokens_0 = inout(reg) tokens[0] => _,
                tokens_1 = inout(reg) tokens[1] => _,
                weights_0 = inout(reg) weights[0] => _,
                weights_1 = inout(reg) weights[1] => _,
                blocks = inout(reg) blocks => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            )
        };
    }
    // SAFETY: reads and writes what the caller promises, in tiles of 1 KB with lines of 64 bytes
    // one behind the other.
    unsafe {
        match store {
            Store::Set => run!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3"
            ),
            Store::Add => run!(
                "tileloadd tmm0, [{sums} + {line}]",
                "tileloadd tmm1, [{sums} + {line} + 1024]",
                "tileloadd tmm2, [{sums} + {line} + 2048]",
                "tileloadd tmm3, [{sums} + {line} + 3072]"
            ),
        }
    }
}

/// The lanes of two halves of a register in turn: pairs of neighbours for a line of a tile.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn interleaved() -> __m512i {
    let places: [i16; 32] = std::array::from_fn(|i| (i as i16 >> 1) | (i as i16 & 1) << 4);
    // SAFETY: 64 bytes.
    unsafe { _mm512_loadu_si512(places.as_ptr().cast()) }
}

/// Tile registers of a thread, all of sixteen lines of 64 bytes, until it is dropped.
pub(crate) struct TileState;

/// What the instruction that sets up tiles reads.
#[repr(C, align(64))]
struct TileConfig {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    line_bytes: [u16; 16],
    lines: [u8; 16],
}

impl TileState {
    /// # Safety
    ///
    /// The processor has tiles, and the process may use them.
    pub(crate) unsafe fn new() -> Self {
        let first_eight = |i: usize| usize::from(i < 8);
        let config = TileConfig {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            line_bytes: std::array::from_fn(|i| 64 * first_eight(i) as u16),
            lines: std::array::from_fn(|i| 16 * first_eight(i) as u8),
        };
        // SAFETY: the promise of the caller; the configuration is 64 bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly)) };
        Self
    }
}

impl Drop for TileState {
    fn drop(&mut self) {
        // The system saves the registers of a thread until they are given back.
        // SAFETY: the thread has tiles.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
