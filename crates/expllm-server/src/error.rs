//! Errors of the server, and how a request hears of them.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use expllm_face::FaceError;
use serde_json::{Value, json};

/// Why a server cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Settings that are unsafe or impossible.
    #[error("{0}")]
    Config(String),
    /// The weights that ship could not be loaded.
    #[error(transparent)]
    Face(#[from] FaceError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; is another program using the port?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The client for photos of other hosts could not be made.
    #[error("photos cannot be fetched: {0}; leave --allow-fetch out")]
    Fetch(#[from] reqwest::Error),
    /// The access log cannot be written.
    #[error("no thread for the access log: {0}")]
    Log(std::io::Error),
}

/// Why one request is refused: a status and a sentence.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub status: StatusCode,
    pub reason: String,
    /// Seconds after which to try again, where that may help.
    pub retry_after: u64,
}

impl Refusal {
    pub fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            retry_after: 1,
        }
    }

    pub fn bad(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    pub fn internal(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, reason)
    }

    /// Too much is waiting already, for about so long.
    pub fn busy(wait: Duration) -> Self {
        let reason = "too many requests wait already; try again after Retry-After seconds";
        Self {
            retry_after: (wait.as_secs_f64().ceil() as u64).max(1),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, reason)
        }
    }

    /// The client sends too slowly.
    pub fn slow() -> Self {
        let reason = "the body took too long to arrive; send a smaller photo";
        Self::new(StatusCode::REQUEST_TIMEOUT, reason)
    }

    /// The server works too slowly.
    pub fn overdue() -> Self {
        let reason = "the work took longer than the server allows (--deadline); try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason)
    }

    /// Nobody hears this one.
    pub fn gone() -> Self {
        Self::internal("the client went away")
    }

    pub fn too_large() -> Self {
        let reason = "the body is larger than the server takes (--max-body)";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
    }

    pub fn media_type(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason)
    }

    /// The body as OpenAI clients know it.
    pub fn body(&self) -> Value {
        let kind = match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        json!({"error": {"message": self.reason, "type": kind, "param": null, "code": null}})
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.status, json, self.body().to_string()).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, self.retry_after.into());
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}
