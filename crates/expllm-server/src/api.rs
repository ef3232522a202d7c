//! The JSON routes.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use expllm::reports::PhotoReport;
use expllm_core::{ActionUnit, ChainPart, Explanation, FaceReading};
use expllm_cot::{ground, sentences};
use serde_json::{Value, json};

use crate::App;
use crate::analysis::{Analysis, Stop};
use crate::error::Refusal;
use crate::photo::uploaded;
use crate::queue::Until;
use crate::reading::Asked;
use crate::stream::{Events, streamed};

/// `POST /api/au`: what is read from each face.
pub(crate) async fn au(
    State(app): State<App>,
    Extension(until): Extension<Until>,
    request: Request,
) -> Result<Response, Refusal> {
    let asked = Asked {
        bytes: uploaded(&app, request, until).await?,
        until,
        explained: false,
    };
    let job = |analysis: &mut Analysis| rows(&analysis.report, false);
    Ok(of_json(&app.work(asked, job).await?))
}

/// `POST /api/analyze`: what is read from each face, and its explanation; as events where the
/// client accepts them.
pub(crate) async fn analyze(
    State(app): State<App>,
    Extension(until): Extension<Until>,
    request: Request,
) -> Result<Response, Refusal> {
    let accepted = request.headers().get(header::ACCEPT);
    let accepted = accepted.and_then(|value| value.to_str().ok()).unwrap_or("");
    let as_events = accepted.contains("text/event-stream");
    let asked = Asked {
        bytes: uploaded(&app, request, until).await?,
        until,
        explained: true,
    };
    if as_events {
        return streamed(&app, asked, tell).await;
    }
    let job = |analysis: &mut Analysis| {
        let said = analysis.explain(0, &mut |_, _| Ok(()));
        said.or_else(refused)?;
        rows(&analysis.report, true)
    };
    Ok(of_json(&app.work(asked, job).await?))
}

/// Tells first what is read, then the words as they come, then everything.
fn tell(analysis: &mut Analysis, events: &Events) -> Result<(), Refusal> {
    let send = |name: &str, value: &Value| {
        events.send(Event::default().event(name).data(value.to_string()))
    };
    send("faces", &rows(&analysis.report, false)?)?;
    let said = analysis.explain(0, &mut |face, words| {
        let (text, supported) = (words.text, words.supported);
        let words = json!({"face": face, "text": text, "supported": supported});
        Ok(send("words", &words)?)
    });
    said.or_else(refused)?;
    send("done", &rows(&analysis.report, true)?)
}

/// What ends a request; a listener that has heard enough does not.
fn refused(stop: Stop) -> Result<(), Refusal> {
    match stop {
        Stop::Refused(refusal) => Err(refusal),
        Stop::Enough | Stop::Failed(_) => Ok(()),
    }
}

/// `GET /api/units`: the crosswalk of action units.
pub(crate) async fn units() -> Response {
    let row = |unit: ActionUnit| {
        let info = unit.info();
        json!({
            "name": info.name, "column": info.snake_case, "side": info.side,
            "facs": info.facs, "blendshapes": info.blendshapes,
        })
    };
    of_json(&Value::Array(ActionUnit::ALL.map(row).to_vec()))
}

/// The rows of `analyze --format json`, with landmarks and the sentences of the chain, each with
/// the units that it speaks of.
pub(crate) fn rows(report: &PhotoReport, explained: bool) -> Result<Value, Refusal> {
    let texts = report.json_rows(explained);
    let wrong = |e: serde_json::Error| Refusal::internal(e.to_string());
    let mut rows = Vec::new();
    for (index, text) in texts.map_err(wrong)?.iter().enumerate() {
        let mut row: Value = serde_json::from_str(text).map_err(wrong)?;
        if let (Some(face), Some(object)) = (report.faces.get(index), row.as_object_mut()) {
            object.insert("landmarks".into(), landmarks(&face.face));
            if let Some(said) = &face.explanation {
                object.insert("sentences".into(), told(said, &face.face));
            }
        }
        rows.push(row);
    }
    Ok(Value::Array(rows))
}

fn landmarks(face: &FaceReading) -> Value {
    let points = face.landmarks.iter().flat_map(|marks| &marks.points);
    points.map(|p| json!([p.x, p.y])).collect()
}

/// The sentences of a chain: part, text, whether the readings support it, and the units in it.
fn told(said: &Explanation, face: &FaceReading) -> Value {
    let Ok(chain) = &said.chain else {
        return Value::Null;
    };
    let report = ground(chain, &face.action_units);
    let offending = report.offending_sentences();
    let mut index = 0;
    let mut rows = Vec::new();
    for part in ChainPart::ALL {
        for text in sentences(chain.part(part)) {
            let here = report.statements.iter().filter(|s| s.sentence == index);
            let mut units: Vec<_> = here.map(|s| s.unit.snake_case()).collect();
            units.dedup();
            let marked = said.marked.iter().any(|marked| marked.ends_with(text));
            let supported = !marked && !offending.contains(&index);
            rows.push(json!({
                "part": part.heading(), "text": text, "supported": supported, "units": units,
            }));
            index += 1;
        }
    }
    Value::Array(rows)
}

pub(crate) fn of_json(value: &Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, value.to_string()).into_response()
}
