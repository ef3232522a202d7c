//! The description of the routes for programs.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// Where it is found.
pub(crate) const PATH: &str = "/openapi.json";

/// The description, after OpenAPI 3.1.
const TEXT: &str = include_str!("../openapi.json");

pub(crate) async fn file() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], TEXT).into_response()
}
