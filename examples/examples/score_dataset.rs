//! Scores the reader on a data set: accuracy and mean recall with intervals, and a matrix.
//!
//! cargo run --release -p expllm-examples --example score_dataset -- FOLDER [LAYOUT]
//!
//! FOLDER holds images in folders named after expressions; LAYOUT names another form, such as
//! rafdb or ferplus (`expllm data inspect --help` lists them).
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;

use expllm_au::{FaceReader, PhotoReader};
use expllm_core::{Expression, ExpressionSet};
use expllm_data::{Layout, ReadOptions, Record};
use expllm_metrics::{Bootstrap, Confusion};

/// The likeliest of seven expressions of the largest face; none where no face was read.
fn predict(reader: &FaceReader, record: &Record) -> Option<Expression> {
    let bytes = record.image.read().ok()?;
    let photo = PhotoReader::default().decode(&bytes).ok()?;
    let face = reader.read(&photo).ok()?.into_iter().next()?.ok()?;
    Some(face.probabilities?.within(ExpressionSet::Seven).top())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name the folder of a data set")?;
    let layout = arguments
        .next()
        .map_or(Ok(Layout::Folder), |name| name.parse())?;
    let options = ReadOptions {
        set: ExpressionSet::Seven,
        ..ReadOptions::default()
    };
    let dataset = layout.read(Path::new(&folder), &options)?;
    let reader = FaceReader::pretrained()?;
    let mut matrix = Confusion::new(7);
    for record in &dataset.records {
        if let Some(truth) = record.expression {
            let found = predict(&reader, record).map(Expression::index);
            matrix.add(truth.index(), found)?;
        }
    }
    println!(
        "{} faces, {} left out",
        matrix.total(),
        dataset.skipped.len()
    );
    let bootstrap = Bootstrap::default();
    for (name, figure) in [
        (
            "accuracy",
            bootstrap.confusion(&matrix, Confusion::accuracy),
        ),
        ("mean recall", bootstrap.confusion(&matrix, Confusion::uar)),
    ] {
        if let Some(f) = figure {
            println!(
                "{name} {:.3} (95 %: {:.3} to {:.3})",
                f.value, f.low, f.high
            );
        }
    }
    for truth in ExpressionSet::Seven.expressions() {
        let row = matrix
            .cells()
            .chunks(8)
            .nth(truth.index())
            .unwrap_or_default();
        println!("{truth:<10} {row:?}");
    }
    Ok(())
}
