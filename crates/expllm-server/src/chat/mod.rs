//! Chat completions as OpenAI clients know them.

mod answer;
mod asked;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::response::sse::Event;
use expllm::reports::PhotoReport;
use serde_json::json;

use crate::App;
use crate::analysis::{Analysis, Stop};
use crate::api::{of_json, rows};
use crate::error::Refusal;
use crate::photo::{image, stated_json};
use crate::queue::Until;
use crate::reading;
use crate::stream::{Events, streamed};
use answer::{Frame, Speech};
use asked::Asked;

/// The only model of this server.
const MODEL: &str = "default";

/// `POST /v1/chat/completions`.
pub(crate) async fn completions(
    State(app): State<App>,
    Extension(until): Extension<Until>,
    request: Request,
) -> Result<Response, Refusal> {
    let asked: Asked = stated_json(request, until).await?;
    asked.check()?;
    let photo = reading::Asked {
        bytes: image(&app, asked.image()?, until).await?,
        until,
        explained: true,
    };
    if asked.streams() {
        let job = move |analysis: &mut Analysis, events: &Events| tell(analysis, &asked, events);
        return streamed(&app, photo, job).await;
    }
    let job = move |analysis: &mut Analysis| {
        let mut text = String::new();
        let mut tell = |word: &str| {
            text.push_str(word);
            Ok(())
        };
        let mut speech = Speech::new(asked.limit(), &mut tell);
        let finish = speak(analysis, &asked, &mut speech)?;
        let tokens = speech.told();
        Ok(Frame::new().whole(&text, (finish, tokens)))
    };
    Ok(of_json(&app.work(photo, job).await?))
}

/// Streams an answer word by word.
fn tell(analysis: &mut Analysis, asked: &Asked, events: &Events) -> Result<(), Refusal> {
    let frame = Frame::new();
    let mut begun = false;
    let mut word = |word: &str| {
        if !std::mem::replace(&mut begun, true) {
            events.send(frame.chunk(&json!({"role": "assistant", "content": ""}), None))?;
        }
        Ok(events.send(frame.chunk(&json!({"content": word}), None))?)
    };
    let mut speech = Speech::new(asked.limit(), &mut word);
    let finish = speak(analysis, asked, &mut speech)?;
    let tokens = speech.told();
    events.send(frame.chunk(&json!({}), Some(finish)))?;
    if asked.wants_usage() {
        events.send(frame.usage(tokens))?;
    }
    events.send(Event::default().data("[DONE]"))
}

/// Says the answer; returns why it ends.
fn speak(
    analysis: &mut Analysis,
    asked: &Asked,
    speech: &mut Speech<'_>,
) -> Result<&'static str, Refusal> {
    match said(analysis, asked, speech) {
        Ok(()) => Ok("stop"),
        Err(Stop::Enough) => Ok("length"),
        Err(Stop::Refused(refusal)) => Err(refusal),
        Err(Stop::Failed(error)) => Err(Refusal::internal(error.to_string())),
    }
}

fn said(analysis: &mut Analysis, asked: &Asked, speech: &mut Speech<'_>) -> Result<(), Stop> {
    if asked.wants_json() {
        analysis.explain(asked.seed(), &mut |_, _| Ok(()))?;
        speech.say(&json!({"faces": rows(&analysis.report, true)?}).to_string())?;
        return speech.finish();
    }
    let several = analysis.report.faces.len() > 1;
    let mut last = None;
    analysis.explain(asked.seed(), &mut |face, words| {
        let before = last.replace(face);
        if several && before != last {
            let gap = if before.is_some() { "\n\n" } else { "" };
            speech.say(&format!("{gap}Face {}:\n\n", face + 1))?;
        }
        speech.say(words.text)?;
        match words.supported {
            true => Ok(()),
            false => speech.say(" [not supported]"),
        }
    })?;
    if last.is_none() {
        speech.say(&nothing(&analysis.report))?;
    }
    speech.finish()
}

/// What is said where no face is explained.
fn nothing(report: &PhotoReport) -> String {
    match &report.error {
        Some(error) => format!("The photo could not be read: {error}"),
        None => "No face was found in the photo.".to_owned(),
    }
}

/// `GET /v1/models`.
pub(crate) async fn models() -> Response {
    of_json(&json!({"object": "list", "data": [
        {"id": MODEL, "object": "model", "created": 0, "owned_by": "expllm"},
    ]}))
}
