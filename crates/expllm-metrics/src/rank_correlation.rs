//! Spearman's rank correlation.

use crate::{Agreement, MetricError};

/// Spearman's correlation: Pearson's of the ranks, equal values sharing their mean rank.
/// `None` when there are fewer than two values or one side is constant.
///
/// # Errors
///
/// When lengths differ or a value is not finite.
pub fn spearman(a: &[f64], b: &[f64]) -> Result<Option<f64>, MetricError> {
    // The values themselves are checked here; ranks are always finite.
    Agreement::from_slices(a, b)?;
    Ok(Agreement::from_slices(&ranks(a), &ranks(b))?.pcc())
}

/// Ranks from 1, ties sharing their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let value = values[order[from]];
        let to = from
            + order[from..]
                .iter()
                .take_while(|&&i| values[i] == value)
                .count();
        for &i in &order[from..to] {
            ranks[i] = (from + to + 1) as f64 / 2.0;
        }
        from = to;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotone_relations_are_perfect_and_ties_share() {
        let a = [1.0, 2.0, 3.0, 10.0];
        let perfect = spearman(&a, &a.map(f64::exp)).unwrap().unwrap();
        assert!((perfect - 1.0).abs() < 1e-12);
        assert_eq!(ranks(&[5.0, 1.0, 5.0]), [2.5, 1.0, 2.5]);
        // scipy.stats.spearmanr([1, 2, 2, 4], [4, 1, 3, 2])
        let found = spearman(&[1.0, 2.0, 2.0, 4.0], &[4.0, 1.0, 3.0, 2.0])
            .unwrap()
            .unwrap();
        assert!((found + 0.632_455_532_033_675_9).abs() < 1e-12, "{found}");
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]).unwrap(), None);
        assert!(spearman(&[f64::NAN], &[1.0]).is_err());
    }
}
