//! Chains of thought judged: by the units, by the label, by a reference, and by whether they
//! follow the face.

use expllm_core::{AuVector, ChainOfThought, Expression, GroundingReport};
use expllm_data::Record;
use expllm_metrics::{Bootstrap, Rege, Rouge, rouge};

use super::figures::Figures;
use super::prediction::Prediction;

/// Holds a text against the units of a face.
pub type Grounding<'a> = dyn Fn(&ChainOfThought, &AuVector) -> GroundingReport + Sync + 'a;

/// One chain with what it is held against.
struct Explained<'a> {
    chain: ChainOfThought,
    /// The units of the data set where it has them, else those read.
    units: Option<AuVector>,
    answer: Option<Expression>,
    reference: Option<&'a str>,
}

/// Adds the figures of all chains, each also with the faces shuffled.
pub fn judge_explanations(
    figures: &mut Figures,
    records: &[Record],
    predictions: &[Prediction],
    grounding: &Grounding<'_>,
) {
    let written = predictions.iter().filter(|p| p.chain.is_some()).count();
    let explained: Vec<_> = records
        .iter()
        .zip(predictions)
        .filter_map(|(record, prediction)| {
            Some(Explained {
                chain: prediction.chain.as_deref()?.parse().ok()?,
                units: record.action_units.or(prediction.units),
                answer: prediction.answer,
                reference: record.description.as_deref(),
            })
        })
        .collect();
    if written == 0 {
        return;
    }
    let parsed: Vec<_> = (0..written)
        .map(|i| f64::from(u8::from(i < explained.len())))
        .collect();
    figures.put("chain_parsed", Bootstrap::default().mean(&parsed));
    add_pair(
        figures,
        "chain_label_consistency",
        &explained,
        |chain, face| {
            let named = concluded(&chain.chain)?;
            Some(f64::from(u8::from(named == face.answer?)))
        },
    );
    let report =
        |chain: &Explained<'_>, face: &Explained<'_>| Some(grounding(&chain.chain, &face.units?));
    add_pair(
        figures,
        "chain_grounding_precision",
        &explained,
        |chain, face| report(chain, face)?.precision(),
    );
    add_pair(
        figures,
        "chain_grounding_recall",
        &explained,
        |chain, face| report(chain, face)?.recall(),
    );
    add_pair(figures, "chain_rouge_l", &explained, |chain, face| {
        Some(rouge(&chain.chain.to_string(), face.reference?)?.rouge_l.f1)
    });
    add_rege(figures, &explained);
}

/// REGE in its corrected form; its interval is that of its generation part alone.
fn add_rege(figures: &mut Figures, explained: &[Explained<'_>]) {
    let texts: Vec<Option<Rouge>> = explained
        .iter()
        .map(|e| rouge(&e.chain.to_string(), e.reference?))
        .collect();
    let accuracy = figures.confusion.accuracy();
    let generation = figures.metrics.get("chain_rouge_l").copied();
    let rege = accuracy.and_then(|a| Rege::corrected(a, &texts));
    if let (Some(rege), Some(mut estimate)) = (rege, generation) {
        estimate.value = rege.total();
        estimate.low = rege.recognition + 100.0 * estimate.low;
        estimate.high = rege.recognition + 100.0 * estimate.high;
        figures.put("chain_rege", Some(estimate));
    }
}

/// The mean of a score of chains against their own face, against another face, and the mean
/// loss. Every chain is held against the face half the list away, so none meets its own.
fn add_pair(
    figures: &mut Figures,
    name: &str,
    explained: &[Explained<'_>],
    score: impl Fn(&Explained<'_>, &Explained<'_>) -> Option<f64>,
) {
    let (n, bootstrap) = (explained.len(), Bootstrap::default());
    let own: Vec<_> = explained.iter().map(|e| score(e, e)).collect();
    let values: Vec<_> = own.iter().flatten().copied().collect();
    figures.put(name, bootstrap.mean(&values));
    if n < 2 {
        return;
    }
    let other: Vec<_> = explained
        .iter()
        .enumerate()
        .map(|(i, e)| score(e, &explained[(i + n / 2) % n]))
        .collect();
    let values: Vec<_> = other.iter().flatten().copied().collect();
    figures.put(format!("{name}_shuffled"), bootstrap.mean(&values));
    let pairs = own.iter().zip(&other);
    let gaps: Vec<_> = pairs.filter_map(|(a, b)| Some((*a)? - (*b)?)).collect();
    figures.put(format!("{name}_gap"), bootstrap.mean(&gaps));
}

/// The first expression that the conclusion names.
fn concluded(chain: &ChainOfThought) -> Option<Expression> {
    let words = chain.conclusion.split(|c: char| !c.is_alphanumeric());
    words.filter_map(|word| word.parse().ok()).next()
}

#[cfg(test)]
mod tests {
    use expllm_core::ExpressionSet;
    use expllm_data::ImageSource;

    use super::*;

    fn sample(answer: Expression, reference: &str) -> (Record, Prediction) {
        let chain = format!(
            "**Key Observations:** seen {answer}\n**Overall Emotional Interpretation:** b\n\
             **Conclusion:** It is **{answer}**, not more."
        );
        let record = Record {
            description: Some(reference.to_owned()),
            ..Record::new(answer.name(), ImageSource::file("x"))
        };
        let prediction = Prediction {
            id: record.id.clone(),
            truth: Some(answer),
            subject: None,
            answer: Some(answer),
            probabilities: None,
            units: Some(AuVector::default()),
            chain: Some(chain),
            face_box: None,
            error: None,
        };
        (record, prediction)
    }

    #[test]
    fn a_chain_that_follows_its_face_loses_when_faces_are_shuffled() {
        let samples = [
            sample(Expression::Fear, "seen Fear"),
            sample(Expression::Anger, "seen Anger"),
        ];
        let (records, predictions): (Vec<_>, Vec<_>) = samples.into_iter().unzip();
        let mut figures =
            Figures::measure(&records, &predictions, ExpressionSet::Seven, 0).unwrap();
        judge_explanations(&mut figures, &records, &predictions, &|_, _| {
            GroundingReport::default()
        });
        let value = |name: &str| figures.metrics[name].value;
        assert_eq!(value("chain_label_consistency"), 1.0);
        assert_eq!(value("chain_label_consistency_shuffled"), 0.0);
        assert_eq!(value("chain_label_consistency_gap"), 1.0);
        assert!(value("chain_rouge_l_gap") > 0.0);
        assert!(value("chain_rege") > 100.0);
        assert!(
            !figures.metrics.contains_key("chain_grounding_precision"),
            "no claim, no score"
        );
    }
}
