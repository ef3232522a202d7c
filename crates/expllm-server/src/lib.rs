//! expllm over HTTP: a page, JSON, and chat completions as OpenAI clients know them.
//!
//! | route | what it does |
//! |---|---|
//! | `GET /` | the page: photos, clips or the camera in, faces with boxes, units and chains out |
//! | `POST /api/analyze`, `POST /api/au` | the objects of `expllm analyze --format json` and of `expllm au --format json` |
//! | `GET /api/units` | the crosswalk of action units |
//! | `POST /v1/chat/completions`, `GET /v1/models` | chat as OpenAI clients know it, streaming too |
//! | `GET /health`, `GET /metrics` | for balancers and Prometheus |
//! | `GET /openapi.json` | all of this for programs |
//!
//! The server is stateless. Sizes are checked before work starts, work waits in a bounded queue and
//! ends when its client goes away, and nothing of a photo is kept.

mod access_log;
mod analysis;
mod api;
mod app;
mod chat;
mod config;
mod error;
mod fetch;
mod metrics;
mod openapi;
mod origin;
mod page;
mod photo;
mod queue;
mod reading;
mod room;
mod router;
mod serve;
mod stream;
mod token;

pub use app::{App, Parts};
pub use config::ServerConfig;
pub use error::ServerError;
pub use router::router;
pub use serve::{Server, serve};
pub use token::Token;
