//! The page that `expllm analyze --format html` writes, photo by photo.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use expllm::reports::{FaceReport, Grounding, PhotoReport};
use minijinja::{Environment, context};
use serde::Serialize;

use crate::CliError;

const HEAD: &str = include_str!("head.html");
const PHOTO: &str = include_str!("photo.html");
const FOOT: &str = "</main>\n</body>\n</html>\n";

/// The templates; text of photos is escaped by their `.html` names.
pub struct Page {
    templates: Environment<'static>,
}

#[derive(Debug, Serialize)]
struct Bar {
    name: String,
    value: String,
    percent: f32,
}

#[derive(Debug, Serialize)]
struct Face {
    title: String,
    picture: Option<String>,
    expressions: Vec<Bar>,
    units: Vec<Bar>,
    /// Each part with its sentences and whether the action units contradict them.
    chain: Vec<(&'static str, Vec<(String, bool)>)>,
    /// How far the chain agrees with the action units.
    grounding: Option<String>,
    /// The text of an explanation that is no chain, and why it is none.
    loose: Option<(String, String)>,
}

impl Page {
    /// Reads the templates.
    pub fn new() -> Result<Self, CliError> {
        let mut templates = Environment::new();
        templates
            .add_template("photo.html", PHOTO)
            .map_err(CliError::library)?;
        Ok(Self { templates })
    }

    /// The beginning of the page.
    pub fn head(&self) -> Result<String, CliError> {
        Ok(HEAD.to_owned())
    }

    /// One photo.
    pub fn photo(&self, report: &PhotoReport) -> Result<String, CliError> {
        let faces: Vec<Face> = report.faces.iter().enumerate().map(face).collect();
        let faces = minijinja::Value::from(minijinja::value::Serde(faces));
        let values = context! { file => report.file.clone(), error => report.error.clone(), faces };
        let template = self.templates.get_template("photo.html");
        template
            .and_then(|t| t.render(values))
            .map_err(CliError::library)
    }

    /// The end of the page.
    pub fn foot(&self) -> &'static str {
        FOOT
    }
}

fn face((index, report): (usize, &FaceReport)) -> Face {
    let bar = |name: String, value: f32| Bar {
        name,
        value: format!("{value:.2}"),
        percent: 100.0 * value,
    };
    let said = report.explanation.as_ref();
    let title = match said.and_then(|said| said.expression) {
        Some(label) => format!("Face {}: {label}", index + 1),
        None => format!("Face {}", index + 1),
    };
    let ranked = said.and_then(|said| said.probabilities.map(|p| p.ranked()));
    let active = report.face.action_units.active();
    let grounding = Grounding::of(report);
    let loose = said.and_then(|said| {
        let reason = said.chain.as_ref().err()?;
        Some((said.text.clone(), reason.to_string()))
    });
    Face {
        title,
        picture: report.picture.as_ref().map(|jpeg| STANDARD.encode(jpeg)),
        expressions: ranked.map_or_else(Vec::new, |ranked| {
            let first = ranked[..4].iter();
            first.map(|(e, p)| bar(e.to_string(), p.get())).collect()
        }),
        units: active
            .into_iter()
            .map(|(unit, value)| bar(unit.name().to_owned(), value.get()))
            .collect(),
        chain: grounding.as_ref().map_or_else(Vec::new, |grounding| {
            let parts = grounding.parts().iter();
            parts
                .map(|(part, sentences)| (part.heading(), sentences.clone()))
                .collect()
        }),
        grounding: grounding.as_ref().map(Grounding::summary),
        loose,
    }
}
