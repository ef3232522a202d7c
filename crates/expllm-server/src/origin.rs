//! Who may send requests by way of somebody's browser.
//!
//! A server without a token trusts whoever reaches it, so that pages of others must not reach it
//! through the browser of its user: neither by a form or script that sends a photo, nor by a name
//! that is turned to point at this machine.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::ServerConfig;
use crate::error::Refusal;

/// Refuses names of this machine that are none, and pages of others.
pub(crate) fn check(config: &ServerConfig, request: &Request) -> Result<(), Refusal> {
    // No browser adds a bearer token by itself.
    if config.token.is_some() {
        return Ok(());
    }
    let host = host(request);
    if host.is_some_and(|host| !is_loopback(host)) {
        let reason = "without a token this server answers to localhost and 127.0.0.1 alone";
        return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, reason));
    }
    let Some(origin) = text(request, header::ORIGIN) else {
        return Ok(());
    };
    let own = origin.split_once("://").map(|(_, rest)| rest) == host;
    if own || *request.method() == Method::GET || is_named(config, origin) {
        return Ok(());
    }
    let reason = "pages of other origins may not use this server (--allow-origin names some)";
    Err(Refusal::new(StatusCode::FORBIDDEN, reason))
}

/// The origin of a request, where it is one that may read the answers.
pub(crate) fn named(config: &ServerConfig, request: &Request) -> Option<HeaderValue> {
    let origin = request.headers().get(header::ORIGIN)?;
    is_named(config, origin.to_str().ok()?).then(|| origin.clone())
}

/// The answer to a browser that asks what a page of a named origin may send.
pub(crate) fn preflight(request: &Request) -> Option<Response> {
    let asks = HeaderName::from_static("access-control-request-method");
    if *request.method() != Method::OPTIONS || !request.headers().contains_key(asks) {
        return None;
    }
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    Some((StatusCode::NO_CONTENT, allowed).into_response())
}

/// Lets a page of a named origin read an answer.
pub(crate) fn permit(origin: Option<HeaderValue>, response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
}

fn is_named(config: &ServerConfig, origin: &str) -> bool {
    config.allow_origin.iter().any(|named| named == origin)
}

fn text(request: &Request, name: HeaderName) -> Option<&str> {
    let value = request.headers().get(name)?;
    // What is no text is no name of ours either.
    Some(value.to_str().unwrap_or("?"))
}

/// The host that the client thinks it talks to.
fn host(request: &Request) -> Option<&str> {
    let absolute = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    absolute.or_else(|| text(request, header::HOST))
}

fn is_loopback(host: &str) -> bool {
    let (name, rest) = match host.strip_prefix('[') {
        Some(inner) => inner.split_once(']').unwrap_or((host, "")),
        None => host.split_once(':').unwrap_or((host, "")),
    };
    let port = rest.trim_start_matches(':');
    let address = name.parse::<std::net::IpAddr>();
    let local = name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|a| a.is_loopback());
    local && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::Token;

    fn post(headers: &[(&str, &str)]) -> Request {
        let mut request = Request::post("/api/au");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    fn status(config: &ServerConfig, headers: &[(&str, &str)]) -> u16 {
        check(config, &post(headers)).map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    #[test]
    fn this_machine_has_few_names() {
        for host in [
            "localhost",
            "LocalHost:8787",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:8787",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "[::1",
            "10.0.0.1",
            "localhost:80@evil.example",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn pages_of_others_are_refused_unless_named() {
        let mut config = ServerConfig::default();
        let host = ("host", "127.0.0.1:8787");
        assert_eq!(status(&config, &[host]), 200);
        assert_eq!(
            status(&config, &[host, ("origin", "http://127.0.0.1:8787")]),
            200
        );
        for origin in [
            "https://evil.example",
            "null",
            "http://127.0.0.1:1",
            "http://localhost:8787",
        ] {
            assert_eq!(
                status(&config, &[host, ("origin", origin)]),
                403,
                "{origin}"
            );
        }
        assert_eq!(status(&config, &[("host", "evil.example")]), 421);
        config.allow_origin = vec!["https://good.example".to_owned()];
        let good = [host, ("origin", "https://good.example")];
        assert_eq!(status(&config, &good), 200);
        assert!(named(&config, &post(&good)).is_some());
        assert!(named(&config, &post(&[("origin", "https://good.example.org")])).is_none());
    }

    #[test]
    fn a_token_stands_for_itself() {
        let token = Some(Token::new("secret").unwrap());
        let config = ServerConfig {
            token,
            ..ServerConfig::default()
        };
        let other = [("host", "face.example"), ("origin", "https://evil.example")];
        assert_eq!(status(&config, &other), 200);
        assert!(named(&config, &post(&other)).is_none());
    }
}
