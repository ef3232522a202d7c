//! Explainable facial expression recognition: a facade that re-exports the crates of the project.

pub use expllm_au as au;
pub use expllm_core as core;
pub use expllm_cot as cot;
pub use expllm_data as data;
pub use expllm_face as face;
pub use expllm_metrics as metrics;
pub use expllm_model as model;
pub use expllm_train as train;

pub mod evaluation;
pub mod explaining;
pub mod reports;
