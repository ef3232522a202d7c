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
    let bytes = image(&app, asked.image()?, until).await?;
    if asked.streams() {
        let job = move |analysis: &Analysis<'_>, events: &Events| {
            tell(analysis, (&asked, &bytes), events)
        };
        return streamed(&app, until, job).await;
    }
    let job = move |analysis: &Analysis<'_>| {
        let mut text = String::new();
        let mut tell = |word: &str| {
            text.push_str(word);
            Ok(())
        };
        let mut speech = Speech::new(asked.limit(), &mut tell);
        let finish = speak(analysis, (&asked, &bytes), &mut speech)?;
        let tokens = speech.told();
        Ok(Frame::new().whole(&text, (finish, tokens)))
    };
    Ok(of_json(&app.work(until, job).await?))
}

/// Streams an answer word by word.
fn tell(analysis: &Analysis<'_>, asked: (&Asked, &[u8]), events: &Events) -> Result<(), Refusal> {
    let frame = Frame::new();
    let mut begun = false;
    let mut word = |word: &str| {
        if !std::mem::replace(&mut begun, true) {
            events.send(frame.chunk(&json!({"role": "assistant", "content": ""}), None))?;
        }
        Ok(events.send(frame.chunk(&json!({"content": word}), None))?)
    };
    let mut speech = Speech::new(asked.0.limit(), &mut word);
    let finish = speak(analysis, asked, &mut speech)?;
    let tokens = speech.told();
    events.send(frame.chunk(&json!({}), Some(finish)))?;
    if asked.0.wants_usage() {
        events.send(frame.usage(tokens))?;
    }
    events.send(Event::default().data("[DONE]"))
}

/// Says the answer; returns why it ends.
fn speak(
    analysis: &Analysis<'_>,
    asked: (&Asked, &[u8]),
    speech: &mut Speech<'_>,
) -> Result<&'static str, Refusal> {
    match said(analysis, asked, speech) {
        Ok(()) => Ok("stop"),
        Err(Stop::Enough) => Ok("length"),
        Err(Stop::Refused(refusal)) => Err(refusal),
        Err(Stop::Failed(error)) => Err(Refusal::internal(error.to_string())),
    }
}

fn said(
    analysis: &Analysis<'_>,
    (asked, bytes): (&Asked, &[u8]),
    speech: &mut Speech<'_>,
) -> Result<(), Stop> {
    let (photo, mut report) = analysis.read(bytes)?;
    let explained = (&photo, &mut report);
    if asked.wants_json() {
        analysis.explain(explained, asked.seed(), &mut |_, _| Ok(()))?;
        speech.say(&json!({"faces": rows(&report, true)?}).to_string())?;
        return speech.finish();
    }
    let several = explained.1.faces.len() > 1;
    let mut last = None;
    analysis.explain(explained, asked.seed(), &mut |face, words| {
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
        speech.say(&nothing(&report))?;
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
