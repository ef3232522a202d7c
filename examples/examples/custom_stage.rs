//! A stage of one's own: an explainer that says a face in one plain sentence a part.
//!
//! cargo run --release -p expllm-examples --example custom_stage -- examples/photos/astronaut.png
#![allow(clippy::print_stdout)]

use std::error::Error;

use expllm_au::{FaceReader, PhotoReader};
use expllm_core::{
    ChainOfThought, ExplainQuestion, ExplainRequest, Explainer, ExplanationStream, ExpressionSet,
    Pipeline, Stage, StageError, explanation_at_once,
};

/// Names the strongest unit and the label, and nothing else.
struct Terse;

impl Explainer for Terse {
    fn explain<'a>(
        &'a self,
        request: &ExplainRequest,
    ) -> Result<ExplanationStream<'a>, StageError> {
        let label = request.label();
        let label = label.ok_or_else(|| StageError::new(Stage::Explanation, "no label"))?;
        let active = request.action_units.active();
        let observation = active.first().map_or_else(
            || "No unit is active.".to_owned(),
            |(unit, value)| format!("{unit} at {:.2}.", value.get()),
        );
        let chain = ChainOfThought {
            key_observations: observation,
            interpretation: format!("{} active units in all.", active.len()),
            conclusion: format!("{label}."),
        };
        Ok(explanation_at_once(request, &chain))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a photo")?;
    let pipeline = Pipeline {
        reader: FaceReader::pretrained()?.boxed(),
        explainer: Terse,
        question: ExplainQuestion::LabelFirst,
        set: ExpressionSet::Eight,
        seed: 0,
    };
    for face in pipeline.analyze(&PhotoReader::default().read(path)?)? {
        println!("{}\n", face?.explanation?.text);
    }
    Ok(())
}
