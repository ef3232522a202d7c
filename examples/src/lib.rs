//! The examples of expllm.
