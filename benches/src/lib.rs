//! The benches of expllm: what they share.

mod throughput;

pub use throughput::{OperationTime, flops};
