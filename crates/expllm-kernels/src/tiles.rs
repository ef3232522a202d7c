//! Products of tiles that lie anywhere in memory, for convolutions that need not be unfolded.
//!
//! A convolution is a sum of products, one for each place of its kernel: its weights there times the
//! map, moved by that place. Where the lines of a tile may be any distance apart, the moved map is
//! the map itself, read from another place, and nothing has to be copied.
#![allow(unsafe_code)] // Instructions and pointers.

use half::bf16;

use crate::{Isa, KernelError, Store};

/// Lines of a tile.
pub const TILE_LINES: usize = 16;

/// Numbers of a line of a tile.
pub const TILE_LINE: usize = 32;

/// One side of a product: a column or a row of tiles, each a sum over steps.
#[derive(Debug, Clone, Copy)]
pub struct Tiles<'a> {
    /// The numbers that tiles lie in; tiles may overlap.
    pub numbers: &'a [bf16],
    /// Where the tile of each step of the sum begins, for the first of the tiles.
    pub steps: &'a [usize],
    /// From a line of a tile to the next, in numbers.
    pub line: usize,
    /// From a tile to its neighbour, in numbers.
    pub next: usize,
    /// How many tiles there are side by side.
    pub count: usize,
}

impl Tiles<'_> {
    /// Whether every tile lies within the numbers.
    fn fits(&self) -> bool {
        let farthest = || {
            let step = self.steps.iter().max()?;
            let tile = self.count.checked_sub(1)?.checked_mul(self.next)?;
            let line = self.line.checked_mul(TILE_LINES - 1)?;
            step.checked_add(tile)?
                .checked_add(line)?
                .checked_add(TILE_LINE)
        };
        self.count == 0 || farthest().is_some_and(|end| end <= self.numbers.len())
    }

    /// The tile `index` of a step begins here.
    fn start(&self, index: usize, step: usize) -> usize {
        self.steps[step] + index * self.next
    }
}

/// The product of a column of tiles with a row of tiles, on the thread that calls.
///
/// Line `r` of the left tile and column `c` of the right one meet in
/// `output[r * stride + c] = sum over k of left[r][k] * right[k / 2][2 * c + k % 2]`, summed over all
/// steps: right tiles hold two lines of the matrix that they stand for in each of their own, number
/// by number. Tiles side by side write side by side, 16 lines and 16 columns each.
///
/// # Errors
///
/// [`KernelError::Size`] when the sides have different steps, or tiles or output do not fit.
pub fn multiply_tiles(
    isa: Isa,
    (left, right): (Tiles<'_>, Tiles<'_>),
    (output, stride): (&mut [f32], usize),
    store: Store,
) -> Result<(), KernelError> {
    let size = |what, found, expected| KernelError::Size {
        what,
        found,
        expected,
    };
    if left.steps.len() != right.steps.len() {
        return Err(size(
            "steps of the right tiles",
            right.steps.len(),
            left.steps.len(),
        ));
    }
    if left.count == 0 || right.count == 0 {
        return Ok(());
    }
    for (what, side) in [("left tiles", &left), ("right tiles", &right)] {
        if !side.fits() {
            return Err(size(what, side.numbers.len(), side.numbers.len() + 1));
        }
    }
    let width = right.count * TILE_LINES;
    let lines = left.count * TILE_LINES - 1;
    let needed = lines.saturating_mul(stride).saturating_add(width);
    if stride < width || output.len() < needed {
        return Err(size("output of tiles", output.len(), needed));
    }
    match isa.kind() {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        // SAFETY: the processor has tiles; tiles and output lie within their slices, as checked.
        crate::IsaKind::Amx => unsafe { amx::multiply(&left, &right, output, stride, store) },
        _ => plain(&left, &right, (output, stride), store),
    }
    Ok(())
}

/// The same in plain Rust.
fn plain(left: &Tiles<'_>, right: &Tiles<'_>, (output, stride): (&mut [f32], usize), store: Store) {
    for i in 0..left.count {
        for j in 0..right.count {
            for r in 0..TILE_LINES {
                let at = (i * TILE_LINES + r) * stride + j * TILE_LINES;
                let mut sums = [0.0f32; TILE_LINES];
                for step in 0..left.steps.len() {
                    let line = &left.numbers[left.start(i, step) + r * left.line..][..TILE_LINE];
                    for (k, pair) in line.chunks_exact(2).enumerate() {
                        let start = right.start(j, step) + k * right.line;
                        let others = &right.numbers[start..][..TILE_LINE];
                        for (sum, two) in sums.iter_mut().zip(others.chunks_exact(2)) {
                            *sum += pair[0].to_f32() * two[0].to_f32();
                            *sum += pair[1].to_f32() * two[1].to_f32();
                        }
                    }
                }
                for (o, sum) in output[at..at + TILE_LINES].iter_mut().zip(sums) {
                    *o = if store == Store::Add { *o + sum } else { sum };
                }
            }
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx {
    use std::arch::asm;

    use half::bf16;

    use super::{TILE_LINES, Tiles};
    use crate::Store;
    use crate::multiply::registers::TileState;

    /// What two tiles of either side need: beginnings in memory, and the steps from there.
    struct Square {
        left: [*const bf16; 2],
        right: [*const bf16; 2],
        output: [*mut f32; 4],
    }

    /// # Safety
    ///
    /// The processor has tiles, and tiles and output lie within their slices.
    pub unsafe fn multiply(
        left: &Tiles<'_>,
        right: &Tiles<'_>,
        output: &mut [f32],
        stride: usize,
        store: Store,
    ) {
        // SAFETY: the promise of the caller; only the kernel uses tiles until the end.
        let _tiles = unsafe { TileState::new() };
        let two = |first: usize, count: usize| [first, (first + 1).min(count - 1)];
        let output = output.as_mut_ptr();
        for j in (0..right.count).step_by(2) {
            for i in (0..left.count).step_by(2) {
                // A pair without a second tile takes its first one twice.
                let (rows, columns) = (two(i, left.count), two(j, right.count));
                let place = |row: usize, column: usize| {
                    output.wrapping_add((row * stride + column) * TILE_LINES)
                };
                let square = Square {
                    left: rows.map(|row| left.numbers.as_ptr().wrapping_add(row * left.next)),
                    right: columns
                        .map(|column| right.numbers.as_ptr().wrapping_add(column * right.next)),
                    output: [
                        place(rows[0], columns[0]),
                        place(rows[0], columns[1]),
                        place(rows[1], columns[0]),
                        place(rows[1], columns[1]),
                    ],
                };
                // SAFETY: the promise of the caller.
                unsafe { multiply_square(&square, left, right, stride * 4, store) };
            }
        }
    }

    /// # Safety
    ///
    /// As [`multiply`], and the thread has a [`TileState`].
    unsafe fn multiply_square(
        square: &Square,
        left: &Tiles<'_>,
        right: &Tiles<'_>,
        stride: usize,
        store: Store,
    ) {
        // SAFETY: reads and writes what the caller promises.
        unsafe {
            if store == Store::Add {
                asm!(
                    "tileloadd tmm0, [{o0} + {stride}]",
                    "tileloadd tmm1, [{o1} + {stride}]",
                    "tileloadd tmm2, [{o2} + {stride}]",
                    "tileloadd tmm3, [{o3} + {stride}]",
                    o0 = in(reg) square.output[0], o1 = in(reg) square.output[1],
                    o2 = in(reg) square.output[2], o3 = in(reg) square.output[3],
                    stride = in(reg) stride, options(nostack, readonly),
                );
            } else {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    options(nostack, nomem)
                );
            }
            // Tile registers keep their values from one block to the next: the compiler uses none.
            if !left.steps.is_empty() {
                asm!(
                    "2:",
                    "mov {t}, [{ls}]",
                    "lea {u}, [{l0} + {t} * 2]",
                    "tileloadd tmm4, [{u} + {left_line}]",
                    "lea {u}, [{l1} + {t} * 2]",
                    "tileloadd tmm5, [{u} + {left_line}]",
                    "mov {t}, [{rs}]",
                    "lea {u}, [{r0} + {t} * 2]",
                    "tileloadd tmm6, [{u} + {right_line}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "lea {u}, [{r1} + {t} * 2]",
                    "tileloadd tmm7, [{u} + {right_line}]",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    "add {ls}, 8",
                    "add {rs}, 8",
                    "dec {steps}",
                    "jnz 2b",
                    t = out(reg) _,
                    u = out(reg) _,
                    ls = inout(reg) left.steps.as_ptr() => _,
                    rs = inout(reg) right.steps.as_ptr() => _,
                    steps = inout(reg) left.steps.len() => _,
                    l0 = in(reg) square.left[0], l1 = in(reg) square.left[1],
                    r0 = in(reg) square.right[0], r1 = in(reg) square.right[1],
                    left_line = in(reg) left.line * 2,
                    right_line = in(reg) right.line * 2,
                    options(nostack, readonly),
                );
            }
            asm!(
                "tilestored [{o0} + {stride}], tmm0",
                "tilestored [{o1} + {stride}], tmm1",
                "tilestored [{o2} + {stride}], tmm2",
                "tilestored [{o3} + {stride}], tmm3",
                o0 = in(reg) square.output[0], o1 = in(reg) square.output[1],
                o2 = in(reg) square.output[2], o3 = in(reg) square.output[3],
                stride = in(reg) stride, options(nostack),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<bf16> {
        (0..count)
            .map(|i| bf16::from_f32(((i * 31 + seed * 17) % 23) as f32 - 11.0))
            .collect()
    }

    #[test]
    fn every_set_gives_the_same_sums() {
        let (a, b) = (numbers(6000, 1), numbers(6000, 2));
        for (rows, columns) in [(1, 1), (2, 2), (3, 1), (1, 3), (3, 5)] {
            let left = Tiles {
                numbers: &a,
                steps: &[0, 7, 512],
                line: 40,
                next: 600,
                count: rows,
            };
            let right = Tiles {
                numbers: &b,
                steps: &[3, 2, 900],
                line: 100,
                next: 32,
                count: columns,
            };
            for store in [Store::Set, Store::Add] {
                let stride = columns * TILE_LINES + 3;
                let before: Vec<f32> = (0..rows * TILE_LINES * stride).map(|i| i as f32).collect();
                let mut wanted = before.clone();
                plain(&left, &right, (&mut wanted, stride), store);
                for isa in Isa::available() {
                    let mut found = before.clone();
                    multiply_tiles(isa, (left, right), (&mut found, stride), store).unwrap();
                    assert_eq!(found, wanted, "{isa:?} {rows} x {columns} {store:?}");
                }
            }
        }
    }

    #[test]
    fn a_product_is_that_of_the_matrices() {
        // One line of the left times one column of the right, by hand.
        let mut a = vec![bf16::ZERO; 512];
        let mut b = vec![bf16::ZERO; 512];
        for k in 0..TILE_LINE {
            a[3 * TILE_LINE + k] = bf16::from_f32(k as f32);
            b[k / 2 * TILE_LINE + 2 * 5 + k % 2] = bf16::from_f32(2.0);
        }
        let tiles = |numbers| Tiles {
            numbers,
            steps: &[0],
            line: TILE_LINE,
            next: 0,
            count: 1,
        };
        let mut found = vec![1.0; 256];
        let sides = (tiles(&a[..]), tiles(&b[..]));
        multiply_tiles(Isa::detect(), sides, (&mut found, 16), Store::Set).unwrap();
        let sum: usize = (0..TILE_LINE).sum();
        assert_eq!(found[3 * 16 + 5], 2.0 * sum as f32);
        assert_eq!(found.iter().sum::<f32>(), 2.0 * sum as f32);
    }

    #[test]
    fn tiles_beyond_their_numbers_are_refused() {
        let a = numbers(512, 1);
        let tiles = |steps| Tiles {
            numbers: &a,
            steps,
            line: TILE_LINE,
            next: 512,
            count: 1,
        };
        let mut output = vec![0.0; 256];
        let mut refused = |left, right, stride| {
            multiply_tiles(
                Isa::detect(),
                (left, right),
                (&mut output, stride),
                Store::Set,
            )
            .is_err()
        };
        assert!(!refused(tiles(&[0]), tiles(&[0]), 16));
        assert!(refused(tiles(&[1]), tiles(&[0]), 16));
        assert!(refused(tiles(&[0]), tiles(&[0, 0]), 16));
        assert!(refused(tiles(&[0]), tiles(&[usize::MAX]), 16));
        assert!(refused(tiles(&[0]), tiles(&[0]), 15));
        assert!(refused(tiles(&[0]), tiles(&[0]), 17));
        let two = Tiles {
            count: 2,
            ..tiles(&[0])
        };
        assert!(refused(two, tiles(&[0]), 16));
    }
}
