//! expllm over HTTP: a page, JSON, and chat completions as OpenAI clients know them.
//!
//! | route | what it does |
//! |---|---|
//! | `GET /` | the page: photos in, faces with boxes, units and chains out |
//! | `POST /api/analyze`, `POST /api/au` | the objects of `expllm analyze --format json` and of `expllm au --format json` |
//! | `GET /api/units` | the crosswalk of action units |
//! | `POST /v1/chat/completions`, `GET /v1/models` | chat as OpenAI clients know it, streaming too |
//! | `GET /health`, `GET /metrics` | for balancers and Prometheus |
//!
//! The server is stateless. Sizes are checked before work starts, work waits in a bounded queue,
//! and nothing of a photo is kept.

mod api;
mod app;
mod chat;
mod config;
mod error;
mod metrics;
mod page;
mod photo;
mod router;
mod serve;

pub use app::App;
pub use config::ServerConfig;
pub use error::ServerError;
pub use router::router;
pub use serve::{Server, serve};
