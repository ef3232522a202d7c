//! Answers as server-sent events while the work goes on.

use std::convert::Infallible;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::App;
use crate::analysis::Analysis;
use crate::error::Refusal;
use crate::reading::Asked;

/// Sends the events of one answer. The channel is not bounded, so that a client that does not read
/// holds no worker; what it holds is no longer than the chains of one photo.
#[derive(Debug, Clone)]
pub(crate) struct Events(UnboundedSender<Result<Event, Refusal>>);

impl Events {
    /// Sends an event; an error when nobody listens any more.
    pub fn send(&self, event: Event) -> Result<(), Refusal> {
        self.0.send(Ok(event)).map_err(|_| Refusal::gone())
    }
}

/// Streams what a job sends. What fails before the first event has its own status; what fails
/// later is an event with the error. The job ends early when the client goes away.
pub(crate) async fn streamed(
    app: &App,
    asked: Asked,
    job: impl FnOnce(&mut Analysis, &Events) -> Result<(), Refusal> + Send + 'static,
) -> Result<Response, Refusal> {
    let (mut analysis, waiting) = app.read(asked).await?;
    let (sender, mut receiver) = unbounded_channel();
    tokio::task::spawn_blocking(move || {
        if let Err(refusal) = job(&mut analysis, &Events(sender.clone())) {
            // Where nobody listens, nobody needs to hear why.
            let _ = sender.send(Err(refusal));
        }
    });
    let broken = || Err(Refusal::internal("the work on the photo broke off"));
    let first = receiver.recv().await.unwrap_or_else(broken)?;
    let rest = UnboundedReceiverStream::new(receiver).map(move |event| {
        // Lives as long as the client listens.
        let _ = &waiting;
        event.unwrap_or_else(|refusal| Event::default().data(refusal.body().to_string()))
    });
    let events = tokio_stream::once(first)
        .chain(rest)
        .map(Ok::<_, Infallible>);
    Ok(Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response())
}
