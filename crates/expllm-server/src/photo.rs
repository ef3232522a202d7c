//! Photos out of requests: a multipart field, or a data URI.

use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use expllm_core::Photo;
use expllm_face::PhotoReader;
use serde::Deserialize;

use crate::App;
use crate::error::Refusal;

/// The JSON form of an upload.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Upload {
    image: String,
}

/// The encoded photo of an upload: the first file of a form, or `{"image": "data:…"}`.
pub(crate) async fn uploaded(app: &App, request: Request) -> Result<Vec<u8>, Refusal> {
    let read = async {
        match content_type(&request).as_str() {
            "multipart/form-data" => of_form(request).await,
            "application/json" => {
                let upload: Upload = json(request).await?;
                of_data_uri(&upload.image)
            }
            other => Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!(
                    "the content type is {other:?}; send multipart/form-data with a file, or \
                     application/json with {{\"image\": \"data:image/jpeg;base64,...\"}}"
                ),
            )),
        }
    };
    let read = tokio::time::timeout(app.deadline(), read).await;
    read.unwrap_or_else(|_| Err(Refusal::late()))
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

/// A JSON body, read to its end within the limit of the router.
pub(crate) async fn json<T: for<'de> Deserialize<'de>>(request: Request) -> Result<T, Refusal> {
    let body = Bytes::from_request(request, &()).await;
    let body = body.map_err(|e| match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::too_large(),
        status => Refusal::new(status, e.body_text()),
    })?;
    serde_json::from_slice(&body).map_err(|e| Refusal::bad(format!("the body is not right: {e}")))
}

/// The bytes of a `data:` URI with base64.
pub(crate) fn of_data_uri(uri: &str) -> Result<Vec<u8>, Refusal> {
    let Some(rest) = uri.strip_prefix("data:") else {
        return Err(Refusal::bad(
            "the image must be a data: URI; addresses are not fetched by this server",
        ));
    };
    let data = rest.split_once(";base64,").map(|(_, data)| data);
    let data = data.ok_or_else(|| Refusal::bad("the data: URI of the image has no base64"))?;
    let bytes = STANDARD.decode(data.trim());
    bytes.map_err(|e| Refusal::bad(format!("the base64 of the image is not right: {e}")))
}

/// Decodes a photo within the limits of the reader.
pub(crate) fn decode(bytes: &[u8]) -> Result<Photo, Refusal> {
    let photo = PhotoReader::default().decode(bytes);
    photo.map_err(|e| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_data_uris_with_base64_are_images() {
        assert_eq!(
            of_data_uri("data:image/png;base64,AAEC").unwrap(),
            [0, 1, 2]
        );
        for wrong in [
            "http://x/y.png",
            "file:///etc/passwd",
            "data:image/png,abc",
            "data:;base64,?",
        ] {
            assert_eq!(
                of_data_uri(wrong).unwrap_err().status,
                StatusCode::BAD_REQUEST,
                "{wrong}"
            );
        }
    }
}
