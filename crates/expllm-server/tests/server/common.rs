//! A running server and what its clients send.

use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use expllm_core::{ExplainRequest, Explainer, ExplanationEvent, ExplanationStream, StageError};
use expllm_server::{App, Parts, Server, ServerConfig};
use image::{DynamicImage, ImageFormat, imageops::FilterType};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const PHOTO: &[u8] = include_bytes!("../../../../examples/photos/astronaut.png");

/// A server on a free port; it stops when `stop` is dropped.
pub struct Running {
    pub address: SocketAddr,
    pub stop: oneshot::Sender<()>,
    pub ended: JoinHandle<()>,
}

pub async fn started(config: ServerConfig) -> Running {
    with_parts(config, Parts::default()).await
}

pub async fn with_parts(config: ServerConfig, parts: Parts) -> Running {
    let app = App::with_parts(ServerConfig { port: 0, ..config }, parts).unwrap();
    let server = Server::bind(app).await.unwrap();
    let address = server.address().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(server.run(async { drop(stopped.await) }));
    Running {
        address,
        stop,
        ended,
    }
}

/// A server with one worker and the explainer of a test.
pub async fn explained_by(config: ServerConfig, explain: Script) -> Running {
    let explainer = Box::new(Scripted(explain));
    let config = ServerConfig {
        workers: 1,
        ..config
    };
    with_parts(
        config,
        Parts {
            explainer,
            ..Parts::default()
        },
    )
    .await
}

impl Running {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> Response {
        Client::new().get(self.url(path)).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        Client::new()
            .post(self.url(path))
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// One of the numbers of `/metrics`.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.text().await.unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in {text}"))
            .parse()
            .unwrap()
    }

    /// Waits until a number is reached; a test that waits in vain fails.
    pub async fn reaches(&self, name: &str, wanted: f64) {
        for _ in 0..400 {
            if self.metric(name).await == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{name} is {} and not {wanted}", self.metric(name).await);
    }

    /// Sends bytes as they are; gives what comes back until the server closes the connection.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// What an explainer of a test does.
pub type Script = fn(&ExplainRequest) -> Result<ExplanationStream<'static>, StageError>;

struct Scripted(Script);

impl Explainer for Scripted {
    fn explain<'a>(
        &'a self,
        request: &ExplainRequest,
    ) -> Result<ExplanationStream<'a>, StageError> {
        (self.0)(request)
    }
}

/// Speaks without end.
pub fn endless(_: &ExplainRequest) -> Result<ExplanationStream<'static>, StageError> {
    Ok(Box::new(std::iter::repeat_with(|| {
        std::thread::sleep(Duration::from_millis(5));
        Ok(ExplanationEvent::Text("and so on ".to_owned()))
    })))
}

/// Speaks for a third of a second.
pub fn slow(_: &ExplainRequest) -> Result<ExplanationStream<'static>, StageError> {
    let words = std::iter::repeat_with(|| {
        std::thread::sleep(Duration::from_millis(5));
        Ok(ExplanationEvent::Text("word ".to_owned()))
    });
    Ok(Box::new(words.take(60)))
}

/// Writes of a log that can be looked at.
#[derive(Clone, Default)]
pub struct Kept(pub Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub fn data_uri(photo: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(photo))
}

pub fn upload() -> Value {
    json!({"image": data_uri(PHOTO)})
}

/// A chat request about the photo with further fields.
pub fn chat(more: &Value) -> Value {
    let mut body = json!({"model": "default", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "Explain the expression."},
        {"type": "image_url", "image_url": {"url": data_uri(PHOTO)}},
    ]}]});
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    body
}

fn png(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    image
        .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
        .unwrap();
    bytes
}

/// An even grey picture.
pub fn blank(width: u32, height: u32) -> Vec<u8> {
    png(&DynamicImage::new_luma8(width, height))
}

/// The photo so small that its readings are doubtful.
pub fn small_photo() -> Vec<u8> {
    let photo = image::load_from_memory(PHOTO).unwrap();
    png(&photo.resize(90, 90, FilterType::Triangle))
}

/// The photo twice, side by side.
pub fn beside() -> Vec<u8> {
    let photo = image::load_from_memory(PHOTO).unwrap();
    let photo = photo.resize(256, 256, FilterType::Triangle);
    let mut both = DynamicImage::new_rgb8(2 * photo.width(), photo.height());
    for x in [0, photo.width()] {
        image::imageops::replace(&mut both, &photo, i64::from(x), 0);
    }
    png(&both)
}

/// The data of server-sent events, each with its name.
pub fn events(text: &str) -> Vec<(String, String)> {
    let one = |event: &str| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        let data = field("data: ")?.to_owned();
        Some((field("event: ").unwrap_or("").to_owned(), data))
    };
    text.split("\n\n").filter_map(one).collect()
}

/// Answers with routes of a test; axum's own way to serve is not part of this build.
pub async fn serve_plainly(listener: tokio::net::TcpListener, routes: axum::Router) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = hyper_util::service::TowerToHyperService::new(routes.clone());
        let stream = hyper_util::rt::TokioIo::new(stream);
        let connection = hyper::server::conn::http1::Builder::new();
        tokio::spawn(connection.serve_connection(stream, service));
    }
}
