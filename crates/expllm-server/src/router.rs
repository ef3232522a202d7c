//! The routes with what stands before them: limits, token, origin, headers, counts, log.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::access_log::Line;
use crate::error::Refusal;
use crate::queue::Until;
use crate::room::stated;
use crate::{App, api, chat, openapi, origin, page};

/// Nothing but what this server gives is loaded, and no script stands in the page.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; \
     object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'; \
     require-trusted-types-for 'script'";

/// Who sent a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub SocketAddr);

/// The routes of work and of information.
const ROUTES: [&str; 8] = [
    "/api/analyze",
    "/api/au",
    "/api/units",
    "/v1/chat/completions",
    "/v1/models",
    "/metrics",
    "/health",
    openapi::PATH,
];

/// All routes of a server.
pub fn router(app: App) -> Router {
    let limit = DefaultBodyLimit::max(app.config().max_body);
    let no_route = || async { Refusal::new(StatusCode::NOT_FOUND, "no such route") };
    let no_method = || async {
        let reason = "this route has another method; GET /openapi.json lists all";
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, reason)
    };
    page::routes()
        .route("/api/analyze", post(api::analyze))
        .route("/api/au", post(api::au))
        .route("/api/units", get(api::units))
        .route("/v1/chat/completions", post(chat::completions))
        .route("/v1/models", get(chat::models))
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route(openapi::PATH, get(openapi::file))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(limit)
        .layer(from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

async fn metrics(State(app): State<App>) -> Response {
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (text, app.metrics().text(app.load())).into_response()
}

async fn health(State(app): State<App>) -> Response {
    match app.is_stopping() {
        false => "ok\n".into_response(),
        true => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response(),
    }
}

/// Stands before every route.
async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let entry = Entry::new(&app, &request);
    let named = origin::named(app.config(), &request);
    let answered = admitted(&app, request, next).await;
    let mut response = answered.unwrap_or_else(Refusal::into_response);
    entry.end(response.status());
    origin::permit(named, &mut response);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(self), microphone=()",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Lets a request in when nothing speaks against it before its body is read.
async fn admitted(app: &App, mut request: Request, next: Next) -> Result<Response, Refusal> {
    origin::check(app.config(), &request)?;
    if let Some(answer) = origin::preflight(&request) {
        return Ok(answer);
    }
    check_token(app, &request)?;
    let packed = request.headers().get(header::CONTENT_ENCODING);
    if packed.is_some_and(|encoding| encoding != "identity") {
        return Err(Refusal::media_type(
            "compressed bodies are not read; send the photo as it is",
        ));
    }
    let _room = app.room().take(&request)?;
    request
        .extensions_mut()
        .insert(Until::after(app.deadline()));
    Ok(next.run(request).await)
}

fn check_token(app: &App, request: &Request) -> Result<(), Refusal> {
    let Some(token) = &app.config().token else {
        return Ok(());
    };
    let path = request.uri().path();
    if path == "/health" || path == openapi::PATH || page::has(path) {
        return Ok(());
    }
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if given.is_some_and(|given| token.is(given)) {
        return Ok(());
    }
    let reason = "this server wants the header Authorization: Bearer TOKEN";
    Err(Refusal::new(StatusCode::UNAUTHORIZED, reason))
}

/// A request that is counted and written down when it ends, however it does.
struct Entry<'a> {
    app: &'a App,
    began: Instant,
    line: Option<Line>,
}

impl<'a> Entry<'a> {
    fn new(app: &'a App, request: &Request) -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let peer = request.extensions().get::<Peer>();
        let line = Line {
            // Milliseconds are enough.
            time: since.as_millis() as f64 / 1e3,
            client: peer.map(|Peer(address)| address.ip()),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            status: None,
            seconds: 0.0,
            bytes: stated(request).ok().flatten(),
        };
        Self {
            app,
            began: Instant::now(),
            line: Some(line),
        }
    }

    fn end(mut self, status: StatusCode) {
        if let Some(line) = &mut self.line {
            line.status = Some(status.as_u16());
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let Some(mut line) = self.line.take() else {
            return;
        };
        let took = self.began.elapsed();
        line.seconds = Duration::from_millis(took.as_millis() as u64).as_secs_f64();
        let metrics = self.app.metrics();
        match line.status {
            Some(status) => metrics.answered(label(&line.path), status, took),
            None => metrics.gone(),
        }
        if let Some(log) = self.app.log() {
            log.write(line);
        }
    }
}

/// The name of a path among the counts.
fn label(path: &str) -> &'static str {
    let known = ROUTES.into_iter().find(|route| *route == path);
    known.unwrap_or(if page::has(path) { "page" } else { "none" })
}
