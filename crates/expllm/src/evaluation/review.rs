//! Explanations held against the photographs by people: sheets to read, a form to fill in, and
//! what the filled forms say.
//!
//! A reader looks at each face, counts the statements of its text and those that are true of the
//! face, counts the clear movements that the text leaves out, and gives points. A share without
//! statements is none, so that texts that say nothing neither win nor lose by it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use expllm_metrics::{Bootstrap, Estimate};

use super::EvaluationError;

/// Most points that a reader can give.
const POINTS: f64 = 5.0;

/// What stands at the top of the sheets.
const INSTRUCTIONS: &str = "\
# Explanations to hold against photographs

Look at each picture before you read its text. Rate what this face does now, relative to what it
would look like at rest; do not read anatomy as movement, and let the expression not decide the
movements. Sides are the subject's. Then fill in form.csv:

- statements: how many statements the text makes about movements of the face
- true: how many of them are true of the picture, strength included
- left_out: how many clear movements of the face the text does not name
- points: 0 (misleading) to 5 (what an expert would sign)
";

/// A face and what is said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewSheet {
    /// Name of the picture beside the sheets.
    pub picture: String,
    /// The explanation.
    pub text: String,
}

/// The sheets as one Markdown text; faces count from 1.
#[must_use]
pub fn review_sheets(sheets: &[ReviewSheet]) -> String {
    let mut text = INSTRUCTIONS.to_owned();
    for (i, sheet) in sheets.iter().enumerate() {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "\n## Face {}\n\n![face]({})\n\n{}\n",
            i + 1,
            sheet.picture,
            sheet.text.trim()
        );
    }
    text
}

/// An empty form for so many faces.
#[must_use]
pub fn review_form(faces: usize) -> String {
    let rows: String = (1..=faces).map(|face| format!("{face},,,,\n")).collect();
    format!("face,statements,true,left_out,points\n{rows}")
}

/// What one reader says of one face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Review {
    /// Statements about movements.
    pub statements: u32,
    /// Those that are true.
    pub correct: u32,
    /// Clear movements that are not named.
    pub left_out: u32,
    /// From 0 to 5.
    pub points: f64,
}

/// Reads a filled form; rows without any answer are faces that the reader left out.
///
/// # Errors
///
/// [`EvaluationError::Input`] with the line for a missing column, an answer that is no number, more
/// true statements than statements, points above 5, or a face that stands twice.
pub fn read_reviews(name: &str, text: &str) -> Result<BTreeMap<usize, Review>, EvaluationError> {
    let wrong = |line: usize, reason: &str| {
        EvaluationError::Input(format!("{name}, line {line}: {reason}"))
    };
    let mut table = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = table
        .headers()
        .map_err(|e| wrong(1, &e.to_string()))?
        .clone();
    let mut at = [0; 5];
    for (column, wanted) in at
        .iter_mut()
        .zip(["face", "statements", "true", "left_out", "points"])
    {
        let found = header.iter().position(|name| name == wanted);
        *column = found.ok_or_else(|| wrong(1, &format!("has no column {wanted}")))?;
    }
    let mut reviews = BTreeMap::new();
    for (row, line) in table.records().zip(2..) {
        let row = row.map_err(|e| wrong(line, &e.to_string()))?;
        let [face, answers @ ..] = at.map(|column| row.get(column).unwrap_or_default());
        if answers.iter().all(|answer| answer.is_empty()) {
            continue;
        }
        let face: usize = face.parse().map_err(|_| wrong(line, "names no face"))?;
        let review = review(answers).map_err(|reason| wrong(line, reason))?;
        if reviews.insert(face, review).is_some() {
            return Err(wrong(line, "names a face that stands above already"));
        }
    }
    Ok(reviews)
}

fn review(answers: [&str; 4]) -> Result<Review, &'static str> {
    let [statements, correct, left_out, points] = answers;
    let count = |text: &str| text.parse::<u32>().map_err(|_| "counts are whole numbers");
    let points: f64 = points
        .parse()
        .map_err(|_| "points are a number from 0 to 5")?;
    let review = Review {
        statements: count(statements)?,
        correct: count(correct)?,
        left_out: count(left_out)?,
        points,
    };
    match review {
        Review {
            statements,
            correct,
            ..
        } if correct > statements => Err("counts more true statements than statements"),
        Review { points, .. } if !(0.0..=POINTS).contains(&points) => {
            Err("points are a number from 0 to 5")
        }
        review => Ok(review),
    }
}

/// What the readers of a set of sheets say, with 95 % intervals over faces.
#[derive(Debug, Clone)]
pub struct ReviewFigures {
    /// Faces that at least one reader judged.
    pub faces: usize,
    /// Readers.
    pub readers: usize,
    /// Share of the statements that are true: the mean over faces of the mean over readers.
    pub correct: Option<Estimate>,
    /// Clear movements left out per face.
    pub left_out: Option<Estimate>,
    /// Points per face.
    pub points: Option<Estimate>,
    /// Mean distance of the points of two readers of a face; `None` with one reader.
    pub points_apart: Option<f64>,
}

impl ReviewFigures {
    /// Figures of the forms of all readers.
    #[must_use]
    pub fn of(forms: &[BTreeMap<usize, Review>]) -> Self {
        let mut faces: BTreeMap<usize, Vec<Review>> = BTreeMap::new();
        for (&face, &review) in forms.iter().flatten() {
            faces.entry(face).or_default().push(review);
        }
        let per_face = |value: &dyn Fn(&Review) -> Option<f64>| -> Vec<f64> {
            faces
                .values()
                .filter_map(|reviews| mean(reviews.iter().filter_map(value)))
                .collect()
        };
        let bootstrap = Bootstrap::default();
        let share = |review: &Review| {
            let all = f64::from(review.statements);
            (all > 0.0).then(|| f64::from(review.correct) / all)
        };
        Self {
            faces: faces.len(),
            readers: forms.len(),
            correct: bootstrap.mean(&per_face(&share)),
            left_out: bootstrap.mean(&per_face(&|review| Some(f64::from(review.left_out)))),
            points: bootstrap.mean(&per_face(&|review| Some(review.points))),
            points_apart: mean(faces.values().flat_map(|reviews| distances(reviews))),
        }
    }
}

/// Distances between the points of every two readers.
fn distances(reviews: &[Review]) -> Vec<f64> {
    let pairs = reviews.iter().enumerate();
    pairs
        .flat_map(|(i, one)| {
            reviews[i + 1..]
                .iter()
                .map(|other| (one.points - other.points).abs())
        })
        .collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0u32), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheets_name_picture_and_text_and_the_form_has_their_rows() {
        let sheet = ReviewSheet {
            picture: "face_001.png".into(),
            text: "Both lip corners are raised.\n".into(),
        };
        let text = review_sheets(&[sheet.clone(), sheet]);
        assert!(text.contains("## Face 2\n\n![face](face_001.png)\n\nBoth lip corners"));
        assert!(
            read_reviews("form.csv", &review_form(2))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn figures_are_means_over_faces_and_readers() {
        let head = "face,statements,true,left_out,points\n";
        let one = read_reviews("one", &format!("{head}1,4,4,0,5\n2,4,2,1,3\n")).unwrap();
        let other = read_reviews("other", &format!("{head}1,4,2,0,4\n3,0,0,2,1\n")).unwrap();
        let figures = ReviewFigures::of(&[one, other]);
        assert_eq!((figures.faces, figures.readers), (3, 2));
        // The first face 0.75 on average, the second 0.5; the third says nothing.
        assert!((figures.correct.unwrap().value - 0.625).abs() < 1e-9);
        assert!((figures.left_out.unwrap().value - 1.0).abs() < 1e-9);
        assert!((figures.points.unwrap().value - 8.5 / 3.0).abs() < 1e-9);
        assert_eq!(figures.points_apart, Some(1.0));
    }

    #[test]
    fn wrong_answers_are_refused_with_their_line() {
        let head = "face,statements,true,left_out,points\n";
        let rows = [
            "1,2,3,0,4",
            "1,2,1,0,6",
            "1,2,x,0,4",
            "x,2,1,0,4",
            "1,1,1,0,nan",
        ];
        for row in rows {
            let error = read_reviews("form.csv", &format!("{head}{row}\n")).unwrap_err();
            assert!(
                error.to_string().starts_with("form.csv, line 2: "),
                "{error}"
            );
        }
        let twice = format!("{head}1,1,1,0,4\n1,1,1,0,4\n");
        assert!(
            read_reviews("f", &twice)
                .unwrap_err()
                .to_string()
                .contains("line 3")
        );
        let column = read_reviews("f", "face,true\n").unwrap_err().to_string();
        assert!(column.contains("no column statements"), "{column}");
    }
}
