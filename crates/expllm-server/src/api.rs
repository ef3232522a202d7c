//! The JSON routes.

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use expllm::reports::{FaceReport, PhotoReport};
use expllm_core::{
    ActionUnit, ChainPart, ExplainQuestion, ExplainRequest, Explanation, ExpressionSet,
    FaceReading, Photo, StageError,
};
use expllm_cot::{ground, sentences};
use serde_json::{Value, json};

use crate::App;
use crate::error::Refusal;
use crate::photo::{decode, uploaded};

/// `POST /api/au`: what is read from each face.
pub(crate) async fn au(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let bytes = uploaded(&app, request).await?;
    let report = app
        .work(move |app| read(app, &decode(&bytes)?, false))
        .await?;
    rows(&report, false)
}

/// `POST /api/analyze`: what is read from each face, and its explanation.
pub(crate) async fn analyze(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let bytes = uploaded(&app, request).await?;
    let report = app
        .work(move |app| read(app, &decode(&bytes)?, true))
        .await?;
    rows(&report, true)
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

/// Everything about the faces of a photo.
pub(crate) fn read(app: &App, photo: &Photo, explained: bool) -> Result<PhotoReport, Refusal> {
    let faces = app.reader().read(photo);
    let faces = faces.map_err(|e| Refusal::bad(e.to_string()))?;
    app.metrics().read(faces.len());
    let mut report = PhotoReport {
        file: "photo".to_owned(),
        faces: Vec::new(),
        error: None,
    };
    for (place, face) in faces.into_iter().enumerate() {
        match face {
            Ok(face) => {
                let explanation = explained.then(|| explain(app, (photo, &face), place as u64));
                let explanation = explanation.transpose();
                if let Err(error) = &explanation {
                    report.fails(format!("face {}: {error}", place + 1));
                }
                report.faces.push(FaceReport {
                    face,
                    explanation: explanation.ok().flatten(),
                    picture: None,
                });
            }
            Err(unread) => report.fails(format!("face {}: {unread}", place + 1)),
        }
    }
    Ok(report)
}

fn explain(
    app: &App,
    (photo, face): (&Photo, &FaceReading),
    seed: u64,
) -> Result<Explanation, StageError> {
    let (question, set) = (ExplainQuestion::LabelFirst, ExpressionSet::Eight);
    let request = ExplainRequest::of_reading(face, question, set).with_seed(seed);
    let side = app.explainer().crop_side();
    let request = app.reader().with_pixels(request, (photo, face), side)?;
    let mut said = app.explainer().explain_all(&[request])?;
    let none = || StageError::count(expllm_core::Stage::Explanation, 1, 0);
    said.pop().ok_or_else(none)
}

/// The rows of `analyze --format json`, with landmarks and the sentences of the chain, each with
/// the units that it speaks of.
fn rows(report: &PhotoReport, explained: bool) -> Result<Response, Refusal> {
    let texts = report.json_rows(explained);
    let wrong = |e: serde_json::Error| Refusal::bad(e.to_string());
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
    Ok(of_json(&Value::Array(rows)))
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
            let supported = !offending.contains(&index);
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
