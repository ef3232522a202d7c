//! Smoothing that moves no peak.

/// Standard deviations after which a sample counts for nothing.
const REACH: f64 = 4.0;

/// A series smoothed by a Gaussian of standard deviation `sigma` in seconds.
///
/// Each value becomes the mean of the samples around it, weighted by
/// `exp(-(dt / sigma)^2 / 2)` and cut at four standard deviations. The weights are the same to
/// both sides (a filter of phase zero), so that symmetric peaks stay where they are; frequencies
/// above `0.1325 / sigma` Hz are weakened by 3 dB and more. Uneven distances are weighted as they
/// are, and what lies beyond a gap has no influence. `sigma` of 0 changes nothing.
///
/// Times rise and both slices have the same length; what one has more is left out.
#[must_use]
pub fn smoothed(times: &[f64], values: &[f32], sigma: f64) -> Vec<f32> {
    let samples: Vec<_> = times.iter().copied().zip(values.iter().copied()).collect();
    if sigma.is_nan() || sigma <= 0.0 {
        return values[..samples.len()].to_vec();
    }
    let mut first = 0;
    let mean = |&(time, value): &(f64, f32)| {
        while samples[first].0 < time - REACH * sigma {
            first += 1;
        }
        let near = samples[first..]
            .iter()
            .take_while(|s| s.0 <= time + REACH * sigma);
        let (sum, weights) = near.fold((0.0, 0.0), |(sum, weights), (t, v)| {
            let weight = (-0.5 * ((t - time) / sigma).powi(2)).exp();
            (sum + weight * f64::from(*v), weights + weight)
        });
        if weights > 0.0 {
            (sum / weights) as f32
        } else {
            value
        }
    };
    samples.iter().map(mean).collect()
}

/// The value below which a share of the values lies, between neighbours in proportion; 0 without
/// values.
#[must_use]
pub fn quantile(values: &[f32], share: f32) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let place = share.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f32;
    let (below, part) = (place.floor() as usize, place.fract());
    let low = sorted.get(below).copied().unwrap_or(0.0);
    let high = sorted.get(below + 1).copied().unwrap_or(low);
    low + part * (high - low)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn peaks_stay_and_means_lie_between(
            peak in 10_usize..40, width in 1.0_f64..4.0, sigma in 0.02_f64..0.12,
        ) {
            let times: Vec<f64> = (0..50).map(|i| f64::from(i) / 25.0).collect();
            let bump = |i: usize| {
                let d = (i as f64 - peak as f64) / width;
                (0.1 + 0.8 * (-d * d).exp()) as f32
            };
            let values: Vec<f32> = (0..50).map(bump).collect();
            let smooth = smoothed(&times, &values, sigma);
            let top = (0..50).max_by(|&a, &b| smooth[a].total_cmp(&smooth[b])).unwrap();
            prop_assert_eq!(top, peak);
            prop_assert!(smooth.iter().all(|v| (0.099..=0.901).contains(v)));
        }
    }

    #[test]
    fn gaps_separate_and_lines_stay_lines() {
        let times = [0.0, 0.04, 0.08, 5.0];
        assert_eq!(smoothed(&times, &[0.2, 0.2, 0.2, 1.0], 0.05)[3], 1.0);
        let line: Vec<f32> = (0..50).map(|i| 0.01 * i as f32).collect();
        let even: Vec<f64> = (0..50).map(|i| f64::from(i) / 25.0).collect();
        let smooth = smoothed(&even, &line, 0.05);
        assert!((smooth[25] - line[25]).abs() < 1e-6);
        assert_eq!(smoothed(&even, &line, 0.0), line);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.25), 1.5);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
