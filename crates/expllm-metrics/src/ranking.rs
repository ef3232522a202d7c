//! Metrics of scores: top-k accuracy, area under the ROC curve, average precision.

use crate::MetricError;
use crate::error::{check_finite, check_lengths};

/// Share of samples whose true class is among the `k` highest scores; of equal scores the lower
/// class comes first. `None` without samples.
///
/// # Errors
///
/// When lengths differ, a class is out of range, or a score is not finite.
pub fn top_k_accuracy(
    truth: &[usize],
    scores: &[Vec<f64>],
    k: usize,
) -> Result<Option<f64>, MetricError> {
    check_lengths("truth and scores", truth.len(), scores.len())?;
    let mut hits = 0usize;
    for (index, (&class, row)) in truth.iter().zip(scores).enumerate() {
        if row.iter().any(|s| !s.is_finite()) {
            let what = "score";
            return Err(MetricError::NotFinite { what, index });
        }
        let own = *row.get(class).ok_or(MetricError::ClassOutOfRange {
            found: class,
            classes: row.len(),
        })?;
        let above = |(c, &s): (usize, &f64)| s > own || (s == own && c < class);
        hits += usize::from(row.iter().enumerate().filter(|&e| above(e)).count() < k);
    }
    Ok((!truth.is_empty()).then(|| hits as f64 / truth.len() as f64))
}

/// Area under the ROC curve: the chance that a positive scores above a negative, ties counting
/// half (Mann and Whitney). `None` unless there are positives and negatives.
///
/// # Errors
///
/// When lengths differ or a score is not finite.
pub fn roc_auc(positive: &[bool], scores: &[f64]) -> Result<Option<f64>, MetricError> {
    let groups = tied_groups(positive, scores)?;
    let positives: u64 = groups.iter().map(|g| g.0).sum();
    let negatives: u64 = groups.iter().map(|g| g.1).sum();
    let (mut below, mut twice) = (0u64, 0.0);
    for &(p, n) in groups.iter().rev() {
        twice += p as f64 * (2 * below + n) as f64;
        below += n;
    }
    let pairs = positives as f64 * negatives as f64;
    Ok((pairs > 0.0).then(|| twice / 2.0 / pairs))
}

/// Average precision `sum (R_i - R_(i-1)) P_i` over the distinct scores from the highest down,
/// without interpolation (scikit-learn's definition). `None` without positives.
///
/// # Errors
///
/// When lengths differ or a score is not finite.
pub fn average_precision(positive: &[bool], scores: &[f64]) -> Result<Option<f64>, MetricError> {
    let groups = tied_groups(positive, scores)?;
    let positives: u64 = groups.iter().map(|g| g.0).sum();
    let (mut hits, mut seen, mut sum) = (0, 0, 0.0);
    for &(p, n) in &groups {
        hits += p;
        seen += p + n;
        sum += p as f64 * hits as f64 / seen as f64;
    }
    Ok((positives > 0).then(|| sum / positives as f64))
}

/// Positives and negatives of each distinct score, the highest first.
fn tied_groups(positive: &[bool], scores: &[f64]) -> Result<Vec<(u64, u64)>, MetricError> {
    check_lengths("labels and scores", positive.len(), scores.len())?;
    check_finite("score", scores)?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut groups: Vec<(u64, u64)> = Vec::new();
    let mut last = None;
    for index in order {
        if last != Some(scores[index]) {
            groups.push((0, 0));
            last = Some(scores[index]);
        }
        if let Some(group) = groups.last_mut() {
            if positive[index] {
                group.0 += 1;
            } else {
                group.1 += 1;
            }
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half_and_lower_classes_first() {
        assert_eq!(roc_auc(&[true, false], &[0.5, 0.5]), Ok(Some(0.5)));
        assert_eq!(roc_auc(&[true, true], &[0.5, 0.1]), Ok(None));
        assert_eq!(average_precision(&[false], &[0.5]), Ok(None));
        let flat = vec![vec![0.5, 0.5]; 2];
        assert_eq!(top_k_accuracy(&[0, 1], &flat, 1), Ok(Some(0.5)));
        assert_eq!(top_k_accuracy(&[0, 1], &flat, 2), Ok(Some(1.0)));
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(roc_auc(&[true], &[f64::NAN]).is_err());
        assert!(average_precision(&[true], &[]).is_err());
        assert!(top_k_accuracy(&[2], &[vec![0.1, 0.9]], 1).is_err());
    }
}
