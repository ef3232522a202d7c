//! The benches of expllm: what they share.

mod large;
pub mod reading;
mod throughput;

pub use large::{LargePart, large_part};
pub use throughput::{OperationTime, flops};
