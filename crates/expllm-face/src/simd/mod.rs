//! What the small networks share that run on vectors of the processor.

mod isa;
mod pointwise;

pub(crate) use isa::{Isa, Work, multiply_add};
pub(crate) use pointwise::{Pointwise, STEP, Store};
