//! Photos out of requests: a multipart field, a data URI, or an address of a named host.

use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use expllm_core::Photo;
use serde::Deserialize;

use crate::App;
use crate::error::Refusal;
use crate::queue::Until;

/// The JSON form of an upload.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Upload {
    image: String,
}

/// The encoded photo of an upload: the first file of a form, or `{"image": "data:…"}`.
pub(crate) async fn uploaded(
    app: &App,
    request: Request,
    until: Until,
) -> Result<Vec<u8>, Refusal> {
    match content_type(&request).as_str() {
        "multipart/form-data" => in_time(until, of_form(request)).await,
        "application/json" => {
            let upload: Upload = in_time(until, json(request)).await?;
            image(app, &upload.image, until).await
        }
        other => Err(Refusal::media_type(format!(
            "the content type is {other:?}; send multipart/form-data with a file, or \
             application/json with {{\"image\": \"data:image/jpeg;base64,...\"}}"
        ))),
    }
}

/// What a client sends, as long as it does so in time.
async fn in_time<T>(
    until: Until,
    read: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let read = tokio::time::timeout_at(until.0, read).await;
    read.unwrap_or_else(|_| Err(Refusal::slow()))
}

fn content_type(request: &Request) -> String {
    let value = request.headers().get(header::CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = text.split(';').next().unwrap_or("");
    kind.trim().to_ascii_lowercase()
}

async fn of_form(request: Request) -> Result<Vec<u8>, Refusal> {
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|e| Refusal::new(e.status(), e.body_text()))?;
    let wrong =
        |e: axum::extract::multipart::MultipartError| Refusal::new(e.status(), e.body_text());
    while let Some(field) = form.next_field().await.map_err(wrong)? {
        if field.file_name().is_some() {
            return Ok(field.bytes().await.map_err(wrong)?.to_vec());
        }
    }
    Err(Refusal::bad("the form holds no file"))
}

/// A JSON body of a request that says so, in time.
pub(crate) async fn stated_json<T: for<'de> Deserialize<'de>>(
    request: Request,
    until: Until,
) -> Result<T, Refusal> {
    match content_type(&request).as_str() {
        "application/json" => in_time(until, json(request)).await,
        other => Err(Refusal::media_type(format!(
            "the content type is {other:?}; send application/json"
        ))),
    }
}

/// A JSON body, read to its end within the limit of the router.
async fn json<T: for<'de> Deserialize<'de>>(request: Request) -> Result<T, Refusal> {
    let body = Bytes::from_request(request, &()).await;
    let body = body.map_err(|e| match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::too_large(),
        status => Refusal::new(status, e.body_text()),
    })?;
    serde_json::from_slice(&body).map_err(|e| Refusal::bad(format!("the body is not right: {e}")))
}

/// The bytes of an image that a client names: in a data URI, or at an address.
pub(crate) async fn image(app: &App, uri: &str, until: Until) -> Result<Vec<u8>, Refusal> {
    match uri.strip_prefix("data:") {
        Some(rest) => of_data(rest),
        None => {
            let fetched = tokio::time::timeout_at(until.0, app.fetcher().fetch(uri)).await;
            fetched.unwrap_or_else(|_| Err(Refusal::overdue()))
        }
    }
}

/// The bytes behind `data:`, which must be in base64.
fn of_data(rest: &str) -> Result<Vec<u8>, Refusal> {
    let data = rest.split_once(";base64,").map(|(_, data)| data);
    let data = data.ok_or_else(|| Refusal::bad("the data: URI of the image has no base64"))?;
    let bytes = STANDARD.decode(data.trim());
    bytes.map_err(|e| Refusal::bad(format!("the base64 of the image is not right: {e}")))
}

/// Decodes a photo within the limits of the server.
pub(crate) fn decode(app: &App, bytes: &[u8]) -> Result<Photo, Refusal> {
    let photo = app.photos().decode(bytes);
    photo.map_err(|e| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_base64_is_read_from_data_uris() {
        assert_eq!(of_data("image/png;base64,AAEC").unwrap(), [0, 1, 2]);
        for wrong in ["image/png,abc", ";base64,?", "", ";base64,AAE"] {
            let refused = of_data(wrong).unwrap_err();
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
        }
    }
}
