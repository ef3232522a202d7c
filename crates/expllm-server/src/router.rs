//! The routes with what stands before them: limits, token, headers, counts.

use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use subtle::ConstantTimeEq;

use crate::error::Refusal;
use crate::{App, api, chat, page};

/// Nothing but what this server gives is loaded, and no script stands in the page.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; \
     object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

/// All routes of a server.
pub fn router(app: App) -> Router {
    let limit = DefaultBodyLimit::max(app.config().max_body);
    Router::new()
        .route("/", get(page::html))
        .route("/app.js", get(page::script))
        .route("/app.css", get(page::style))
        .route("/api/analyze", post(api::analyze))
        .route("/api/au", post(api::au))
        .route("/api/units", get(api::units))
        .route("/v1/chat/completions", post(chat::completions))
        .route("/v1/models", get(chat::models))
        .route("/metrics", get(metrics))
        .route("/health", get(|| async { "ok\n" }))
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "no such route") })
        .layer(limit)
        .layer(from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

async fn metrics(State(app): State<App>) -> Response {
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (text, app.metrics().text()).into_response()
}

/// Asks for the token, refuses bodies that say they are too large, counts, and adds headers.
async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let mut response = match check(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let status = response.status();
    app.metrics().answered(status.as_u16(), began.elapsed());
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn check(app: &App, request: &Request) -> Result<(), Refusal> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > app.config().max_body) {
        return Err(Refusal::too_large());
    }
    let Some(token) = &app.config().token else {
        return Ok(());
    };
    if request.uri().path() == "/health" || has_token(request, token) {
        return Ok(());
    }
    let reason = "this server wants the header Authorization: Bearer TOKEN";
    Err(Refusal::new(StatusCode::UNAUTHORIZED, reason))
}

/// Compares in the same time whatever is wrong, so that a token cannot be guessed by a clock.
fn has_token(request: &Request, token: &str) -> bool {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    given.is_some_and(|given| bool::from(given.ct_eq(token.as_bytes())))
}
