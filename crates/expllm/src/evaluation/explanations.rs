//! Chains of thought judged: by the units, by the label, by a reference, and by whether they
//! follow the face.

use expllm_core::{AuVector, ChainOfThought, Expression};
use expllm_cot::{ChainScore, round_trip};
use expllm_data::Record;
use expllm_metrics::{Bootstrap, Rege, Rouge, rouge};

use super::figures::Figures;
use super::prediction::Prediction;

/// One chain with what it is held against.
struct Explained<'a> {
    chain: ChainOfThought,
    /// The units of the data set where it has them, else those read.
    units: Option<AuVector>,
    answer: Option<Expression>,
    reference: Option<&'a str>,
}

/// Adds the figures of all chains, each also with the faces shuffled.
pub fn judge_explanations(figures: &mut Figures, records: &[Record], predictions: &[Prediction]) {
    let written = predictions.iter().filter(|p| p.chain.is_some()).count();
    let explained = explained(records, predictions, |p| p.chain.as_deref());
    if written == 0 {
        return;
    }
    let parsed: Vec<_> = (0..written)
        .map(|i| f64::from(u8::from(i < explained.len())))
        .collect();
    figures.put("chain_parsed", Bootstrap::default().mean(&parsed));
    let others = round_trip(explained.len());
    let mut add = |name: &str, score: &dyn Fn(&Explained<'_>, &Explained<'_>) -> Option<f64>| {
        add_pair(figures, name, (&explained, &others), score);
    };
    let judged = |chain: &Explained<'_>, face: &Explained<'_>| {
        ChainScore::of(&chain.chain, face.units.as_ref(), face.answer)
    };
    for (name, score) in SCORES {
        add(name, &|chain, face| score(judged(chain, face)));
    }
    add("rouge_l", &|chain, face| {
        Some(rouge(&chain.chain.to_string(), face.reference?)?.rouge_l.f1)
    });
    add_rege(figures, &explained);
    add_unverified(figures, records, predictions);
}

/// One figure of a score.
type Share = fn(ChainScore) -> Option<f64>;

/// What can be said of a chain and a face.
const SCORES: [(&str, Share); 3] = [
    ("label_in_conclusion", |score| score.label_in_conclusion),
    ("grounding_precision", |score| score.grounding_precision),
    ("grounding_recall", |score| score.grounding_recall),
];

/// The texts that are chains, with what each is held against.
fn explained<'a>(
    records: &'a [Record],
    predictions: &'a [Prediction],
    text: impl Fn(&Prediction) -> Option<&str>,
) -> Vec<Explained<'a>> {
    let explained = |(record, prediction): (&'a Record, &Prediction)| {
        Some(Explained {
            chain: text(prediction)?.parse().ok()?,
            units: record.action_units.or(prediction.units),
            answer: prediction.answer,
            reference: record.description.as_deref(),
        })
    };
    records
        .iter()
        .zip(predictions)
        .filter_map(explained)
        .collect()
}

/// The same figures of what would have been written without verification.
fn add_unverified(figures: &mut Figures, records: &[Record], predictions: &[Prediction]) {
    let explained = explained(records, predictions, |p| p.unverified.as_deref());
    for (name, score) in SCORES {
        let of = |e: &Explained<'_>| score(ChainScore::of(&e.chain, e.units.as_ref(), e.answer));
        let values: Vec<_> = explained.iter().filter_map(of).collect();
        let mean = Bootstrap::default().mean(&values);
        figures.put(format!("{name}_unverified"), mean);
    }
}

/// REGE in its corrected form; its interval is that of its generation part alone.
fn add_rege(figures: &mut Figures, explained: &[Explained<'_>]) {
    let texts: Vec<Option<Rouge>> = explained
        .iter()
        .map(|e| rouge(&e.chain.to_string(), e.reference?))
        .collect();
    let accuracy = figures.confusion.accuracy();
    let generation = figures.metrics.get("rouge_l").copied();
    let rege = accuracy.and_then(|a| Rege::corrected(a, &texts));
    if let (Some(rege), Some(mut estimate)) = (rege, generation) {
        estimate.value = rege.total();
        estimate.low = rege.recognition + 100.0 * estimate.low;
        estimate.high = rege.recognition + 100.0 * estimate.high;
        figures.put("rege", Some(estimate));
    }
}

/// The mean of a score of chains against their own face, against another face, and the mean
/// loss.
fn add_pair(
    figures: &mut Figures,
    name: &str,
    (explained, others): (&[Explained<'_>], &[usize]),
    score: &dyn Fn(&Explained<'_>, &Explained<'_>) -> Option<f64>,
) {
    let bootstrap = Bootstrap::default();
    let own: Vec<_> = explained.iter().map(|e| score(e, e)).collect();
    let values: Vec<_> = own.iter().flatten().copied().collect();
    figures.put(name, bootstrap.mean(&values));
    if explained.len() < 2 {
        return;
    }
    let other: Vec<_> = explained
        .iter()
        .zip(others)
        .map(|(e, &other)| score(e, &explained[other]))
        .collect();
    let values: Vec<_> = other.iter().flatten().copied().collect();
    figures.put(format!("{name}_shuffled"), bootstrap.mean(&values));
    let pairs = own.iter().zip(&other);
    let gaps: Vec<_> = pairs.filter_map(|(a, b)| Some((*a)? - (*b)?)).collect();
    figures.put(format!("{name}_gap"), bootstrap.mean(&gaps));
}

#[cfg(test)]
mod tests {
    use expllm_core::{ActionUnit, ExpressionSet, Intensity};
    use expllm_cot::Composer;
    use expllm_data::ImageSource;

    use super::*;

    /// A face with one strong unit and the chain that the composer writes of it.
    fn sample((answer, unit): (Expression, ActionUnit)) -> (Record, Prediction) {
        let mut units = AuVector::REST;
        units.set(unit, Intensity::clamped(0.8));
        let chain = Composer
            .compose(&units, answer, ExpressionSet::Seven, 0)
            .to_string();
        let record = Record {
            expression: Some(answer),
            description: Some(chain.clone()),
            ..Record::new(answer.name(), ImageSource::file("x"))
        };
        let prediction = Prediction {
            answer: Some(answer),
            units: Some(units),
            chain: Some(chain),
            ..super::super::run::blank(&record)
        };
        (record, prediction)
    }

    fn figures(samples: Vec<(Record, Prediction)>) -> Figures {
        let (records, predictions): (Vec<_>, Vec<_>) = samples.into_iter().unzip();
        let mut figures =
            Figures::measure(&records, &predictions, ExpressionSet::Seven, 0).unwrap();
        judge_explanations(&mut figures, &records, &predictions);
        figures
    }

    const FACES: [(Expression, ActionUnit); 4] = [
        (Expression::Surprise, ActionUnit::JawDrop),
        (Expression::Disgust, ActionUnit::NoseWrinkle),
        (Expression::Happiness, ActionUnit::LeftLipCornerPull),
        (Expression::Sadness, ActionUnit::ChinRaise),
    ];

    #[test]
    fn chains_that_follow_their_faces_lose_when_faces_are_shuffled() {
        let figures = figures(FACES.map(sample).to_vec());
        let value = |name: &str| figures.metrics[name].value;
        assert_eq!(value("chain_parsed"), 1.0);
        for name in [
            "label_in_conclusion",
            "grounding_precision",
            "grounding_recall",
        ] {
            assert_eq!(value(name), 1.0, "{name}");
            let (other, gap) = (
                value(&format!("{name}_shuffled")),
                value(&format!("{name}_gap")),
            );
            assert!(other < 0.5, "{name}: {other}");
            assert!((gap - (1.0 - other)).abs() < 1e-12, "{name}");
        }
        assert!(value("rouge_l_gap") > 0.0);
        assert!(value("rege") > 199.0);
    }

    #[test]
    fn chains_of_no_verification_have_figures_of_their_own() {
        let mut samples = FACES.map(sample).to_vec();
        let without = |name: &str, figures: &Figures| {
            let estimate = figures.metrics.get(&format!("{name}_unverified"));
            estimate.map(|estimate| (estimate.value, estimate.n))
        };
        assert_eq!(without("grounding_recall", &figures(samples.clone())), None);
        let first = samples[0].1.chain.clone();
        for (_, prediction) in &mut samples[..2] {
            prediction.unverified.clone_from(&first);
        }
        let figures = figures(samples);
        assert_eq!(without("grounding_recall", &figures), Some((0.5, 2)));
        assert_eq!(figures.metrics["grounding_recall"].value, 1.0);
    }

    #[test]
    fn chains_that_fit_any_face_lose_nothing() {
        let first = sample(FACES[0]);
        let mut samples = FACES.map(sample).to_vec();
        for (_, prediction) in &mut samples {
            prediction.chain.clone_from(&first.1.chain);
        }
        let figures = figures(samples);
        assert_eq!(figures.metrics["grounding_recall"].value, 0.25);
        assert_eq!(figures.metrics["grounding_recall_gap"].value, 0.0);
    }

    #[test]
    fn texts_that_are_no_chains_count_as_not_parsed() {
        let mut samples = FACES.map(sample).to_vec();
        samples[0].1.chain = Some("a smile".into());
        samples[1].1.chain = None;
        let figures = figures(samples);
        let parsed = figures.metrics["chain_parsed"];
        assert!((parsed.value - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(parsed.n, 3);
    }
}
