//! The page is whole, and what comes from outside cannot break out of its place.

use expllm_core::{
    ActionUnit, AuVector, ExpressionProbabilities, FaceBox, Landmarks, Photo, Point, StageError,
};
use expllm_data::{ImageSource, SkipReason};

use super::*;
use crate::evaluation::{judge_explanations, run::blank};

/// Landmarks on the diagonal of the box.
struct Diagonal;

impl LandmarkDetector for Diagonal {
    fn landmarks(&self, _: &Photo, boxes: &[FaceBox]) -> Result<Vec<Landmarks>, StageError> {
        let of = |b: &FaceBox| Landmarks {
            points: std::array::from_fn(|i| {
                let share = i as f32 / 67.0;
                Point::new(b.x + share * b.width, b.y + share * b.height)
            }),
            head_pose: Default::default(),
        };
        Ok(boxes.iter().map(of).collect())
    }
}

const EVIL: &str = "</title><script>alert(1)</script>&\"'><img src=x onerror=alert(2)>";

struct Run {
    setup: Setup,
    records: Vec<Record>,
    predictions: Vec<Prediction>,
    skipped: Vec<Skipped>,
}

impl Run {
    /// Two faces: one right, one wrong, both with everything that a page can show, under hostile
    /// names.
    fn hostile(image: ImageSource) -> Self {
        let truths = [Expression::Happiness, Expression::Fear];
        let records: Vec<_> = (truths.iter().enumerate())
            .map(|(i, &truth)| Record {
                expression: Some(truth),
                subject: Some(format!("{EVIL}{i}")),
                action_units: Some(AuVector::from_feafa_clamped([0.5; ActionUnit::FEAFA_COUNT])),
                ..Record::new(format!("{EVIL}{i}.png"), image.clone())
            })
            .collect();
        let answered = |record: &Record| Prediction {
            answer: Some(Expression::Happiness),
            probabilities: Some(ExpressionProbabilities::from_scores([
                0.1, 0.7, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0,
            ])),
            units: Some(AuVector::from_feafa_clamped([0.4; ActionUnit::FEAFA_COUNT])),
            chain: Some(format!(
                "**Key Observations:** {EVIL}\n\n**Overall Emotional Interpretation:** b\n\n\
                 **Conclusion:** Happiness."
            )),
            face_box: Some(FaceBox::whole(40, 30)),
            ..blank(record)
        };
        let mut predictions: Vec<_> = records.iter().map(answered).collect();
        predictions[1].subject = None;
        let mut failed = records.clone();
        failed[0].id = "third".into();
        let mut failure = blank(&failed[0]);
        failure.error = Some(EVIL.into());
        predictions.push(failure);
        let records = [records, vec![failed[0].clone()]].concat();
        Self {
            setup: Setup {
                dataset: EVIL.into(),
                root: EVIL.into(),
                split: EVIL.into(),
                stage: "expllm".into(),
                classes: 7,
                cropped: true,
                model: Some(EVIL.into()),
                mode: "label-first".into(),
                view: "aligned".into(),
                weights: None,
                draws: None,
                content: String::new(),
            },
            records,
            predictions,
            skipped: vec![Skipped {
                item: EVIL.into(),
                split: None,
                reason: SkipReason::UnknownLabel(EVIL.into()),
            }],
        }
    }

    fn page(&self) -> String {
        let set = ExpressionSet::Seven;
        let skipped = self.skipped.len();
        let mut figures = Figures::measure(&self.records, &self.predictions, set, skipped).unwrap();
        judge_explanations(&mut figures, &self.records, &self.predictions);
        figures.notes.push(EVIL.into());
        let report = Report {
            setup: &self.setup,
            figures: &figures,
            records: &self.records,
            predictions: &self.predictions,
            skipped: &self.skipped,
            set,
            landmarks: &Diagonal,
        };
        report.render().unwrap()
    }
}

fn picture() -> (tempfile::TempDir, ImageSource) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("face.png");
    let picture = image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8, y as u8, 90]));
    picture.save(&path).unwrap();
    (dir, ImageSource::file(path))
}

#[test]
fn every_section_is_there() {
    let (_dir, image) = picture();
    let page = Run::hostile(image).page();
    for section in [
        "Figures",
        "Explanations",
        "Confusion matrix",
        "Reliability",
        "Action units",
        "By class",
        "By subject",
        "By action unit",
        "Surest right answers",
        "Surest wrong answers",
        "Left out, and without an answer",
    ] {
        assert!(page.contains(&format!("<h2>{section}</h2>")), "{section}");
    }
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert_eq!(
        page.matches("href=\"data:image/jpeg;base64,/9j/").count(),
        2
    );
    assert_eq!(
        page.matches(" r=\"1.2\"").count(),
        2 * 68,
        "landmarks on both examples"
    );
    assert!(page.contains("1 × unknown label"));
    for outside in ["http:", "https:", "src=\"//", "@import", "url("] {
        let svg_name = page.matches("http://www.w3.org/2000/svg").count();
        let found = page.matches(outside).count();
        let allowed = if outside == "http:" { svg_name } else { 0 };
        assert_eq!(found, allowed, "{outside} on a page that must stand alone");
    }
}

#[test]
fn hostile_names_stay_text() {
    let (_dir, image) = picture();
    let page = Run::hostile(image).page();
    for tag in ["<script", "<img", "onerror=alert(2)>"] {
        assert!(!page.contains(tag), "{tag}");
    }
    assert!(
        page.matches("&lt;script&gt;").count() >= 8,
        "dataset, names, chain, reasons"
    );
    let opened = page.matches("<title>").count();
    assert_eq!(
        page.matches("</title>").count(),
        opened,
        "a name ended a title"
    );
}

#[test]
fn a_run_without_an_answer_still_has_a_page() {
    let mut run = Run::hostile(ImageSource::file("gone.png"));
    for prediction in &mut run.predictions {
        *prediction = Prediction {
            error: Some("no face found".into()),
            ..blank(&run.records[0])
        };
    }
    run.skipped.clear();
    let page = run.page();
    assert!(page.contains("This stage gives no probabilities."));
    assert!(page.contains("3 × no face found"));
    assert!(!page.contains("<h2>Explanations</h2>"));
}
