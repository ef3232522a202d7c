//! Running language models on a processor, as fast as its memory allows.
//!
//! [`Matrix`] holds the weights of a linear layer in 32 to 4 bits ([`Format`]), [`Input`] the
//! activations, and [`multiply`] is their product, for one token or for hundreds. Around it are the
//! other steps of a transformer: norms, activation functions, rotary positions and attention over a
//! cache in f16. Instruction sets are chosen at run time ([`Isa`]); work is shared among the threads
//! of rayon, and nothing is allocated once buffers have their size.
//!
//! ```
//! use expllm_kernels::{Format, Input, Isa, Matrix, Rows, Store, multiply};
//!
//! # fn main() -> Result<(), expllm_kernels::KernelError> {
//! let isa = Isa::detect();
//! // Two rows of three columns.
//! let weights = [1.0, 2.0, 3.0, -1.0, 0.0, 1.0];
//! let matrix = Matrix::pack(Format::Bf16, 3, &[Rows::F32(&weights)])?;
//! let mut input = Input::new();
//! input.set(isa, matrix.format(), &[1.0, 1.0, 2.0], 3);
//! let mut output = [0.0; 2];
//! multiply(isa, &matrix, &input, &mut output, Store::Set)?;
//! assert_eq!(output, [9.0, 1.0]);
//! # Ok(())
//! # }
//! ```

mod attention;
mod buffer;
mod disjoint;
mod elementwise;
mod error;
mod format;
mod input;
mod isa;
mod matrix;
mod multiply;
mod parallel;
mod tiles;

pub use attention::{Attention, AttentionShape, Cached, CachedNumbers, Visible};
pub use elementwise::{exp, gelu, layer_norm, rms_norm, rotate, silu_times, softmax};
pub use error::KernelError;
pub use format::{BLOCK, Format, check_row, decode_row, encode_row};
pub use input::{FEW_TOKENS, Input, few_are_exact};
pub use isa::{Isa, IsaKind};
pub use matrix::{Matrix, Rows};
pub use multiply::{Place, Store, multiply, multiply_at};
pub use parallel::{for_each_index, on_pool};
pub use tiles::{TILE_LINE, TILE_LINES, Tiles, multiply_tiles};
