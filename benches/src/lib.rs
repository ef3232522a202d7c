//! The benches of expllm.
