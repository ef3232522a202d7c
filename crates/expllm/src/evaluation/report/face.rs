//! Action units over a drawing of a face.

use std::fmt::Write;

use expllm_core::ActionUnit;

use super::charts::{escape, open};
use crate::evaluation::Prediction;
use crate::evaluation::UnitFigures;

/// Where a unit is drawn: centre and radii in a drawing of 260 x 320; the subject's left is on
/// the right.
const fn region(unit: ActionUnit) -> [i32; 4] {
    match unit {
        ActionUnit::RightBrowRaise => [88, 84, 30, 9],
        ActionUnit::LeftBrowRaise => [172, 84, 30, 9],
        ActionUnit::RightBrowLower => [96, 103, 26, 8],
        ActionUnit::LeftBrowLower => [164, 103, 26, 8],
        ActionUnit::RightLidRaise => [88, 121, 20, 7],
        ActionUnit::LeftLidRaise => [172, 121, 20, 7],
        ActionUnit::RightEyeClose => [88, 136, 20, 8],
        ActionUnit::LeftEyeClose => [172, 136, 20, 8],
        ActionUnit::NoseWrinkle => [130, 150, 13, 22],
        ActionUnit::CheekPuff => [66, 196, 16, 18],
        ActionUnit::UpperLipRaise => [130, 200, 22, 7],
        ActionUnit::UpperLipSuck => [130, 215, 22, 6],
        ActionUnit::LipPucker => [130, 228, 14, 6],
        ActionUnit::LowerLipSuck => [130, 241, 22, 6],
        ActionUnit::LowerLipDepress => [130, 255, 22, 6],
        ActionUnit::RightLipCornerPull => [94, 214, 12, 10],
        ActionUnit::LeftLipCornerPull => [166, 214, 12, 10],
        ActionUnit::RightLipCornerStretch => [92, 238, 12, 9],
        ActionUnit::LeftLipCornerStretch => [168, 238, 12, 9],
        ActionUnit::ChinRaise => [130, 272, 18, 7],
        ActionUnit::JawDrop => [130, 291, 24, 8],
        ActionUnit::JawThrust => [130, 308, 16, 6],
        ActionUnit::JawSlideRight => [88, 278, 14, 8],
        ActionUnit::JawSlideLeft => [172, 278, 14, 8],
        ActionUnit::RightInnerBrowRaise => [112, 90, 10, 7],
        ActionUnit::LeftInnerBrowRaise => [148, 90, 10, 7],
        ActionUnit::RightLidTighten => [88, 147, 18, 4],
        ActionUnit::LeftLidTighten => [172, 147, 18, 4],
        ActionUnit::RightCheekRaise => [76, 164, 20, 10],
        ActionUnit::LeftCheekRaise => [184, 164, 20, 10],
        ActionUnit::RightDimple => [82, 224, 6, 8],
        ActionUnit::LeftDimple => [178, 224, 6, 8],
        ActionUnit::RightLipCornerDepress => [100, 252, 10, 8],
        ActionUnit::LeftLipCornerDepress => [160, 252, 10, 8],
        ActionUnit::LipPress => [130, 228, 26, 3],
    }
}

/// Brows, eyes, nose and mouth, so that the regions can be told apart.
const FEATURES: &str = r##"<g fill="none" stroke="#cbb9a8" stroke-width="2" stroke-linecap="round"><path d="M60 98q28-20 56-4M200 98q-28-20-56-4M66 130q22-18 44 0q-22 14-44 0zM150 130q22-18 44 0q-22 14-44 0zM124 134l-9 42q15 12 30 0l-9-42M94 224q18-14 36-6q18-8 36 6q-36 34-72 0zM94 224q36 8 72 0"/><circle cx="88" cy="130" r="6"/><circle cx="172" cy="130" r="6"/></g>"##;

/// A face with each unit shaded: by its error where the data set says the truth, else by how
/// strong it was read on average. Empty without readings.
pub fn heat_map(units: &[UnitFigures], predictions: &[Prediction]) -> String {
    let mut sums = [0.0f64; ActionUnit::COUNT];
    let read: Vec<_> = predictions.iter().filter_map(|p| p.units).collect();
    if read.is_empty() {
        return String::new();
    }
    for vector in &read {
        for (unit, intensity) in vector.iter() {
            sums[unit.index()] += f64::from(intensity.get()) / read.len() as f64;
        }
    }
    let error = |unit: ActionUnit| {
        units
            .iter()
            .find(|u| u.unit == unit.name())
            .and_then(|u| u.mae)
    };
    let graded = ActionUnit::ALL.iter().any(|u| error(*u).is_some());
    let value = |unit: ActionUnit| {
        if graded {
            error(unit)
        } else {
            Some(sums[unit.index()])
        }
    };
    let most = ActionUnit::ALL
        .iter()
        .filter_map(|u| value(*u))
        .fold(1e-6, f64::max);
    let what = if graded {
        "mean absolute error"
    } else {
        "mean intensity read"
    };
    let mut svg = open(260, 340, what);
    svg.push_str(r##"<path d="M130 30c70 0 98 52 96 118-2 84-46 174-96 174S36 232 34 148C32 82 60 30 130 30z" fill="#f6efe8" stroke="#998"/>"##);
    svg.push_str(FEATURES);
    for unit in ActionUnit::ALL {
        let Some(value) = value(unit) else { continue };
        let [x, y, rx, ry] = region(unit);
        let shade = 0.08 + 0.92 * value / most;
        // A unit of both sides is drawn on both.
        let both = unit == unit.mirrored() && x != 130;
        for x in [Some(x), both.then_some(260 - x)].into_iter().flatten() {
            let _ = write!(
                svg,
                r##"<ellipse cx="{x}" cy="{y}" rx="{rx}" ry="{ry}" fill="#c0392b" fill-opacity="{shade:.2}" stroke="#b99"><title>{}: {value:.3}</title></ellipse>"##,
                escape(unit.name()),
            );
        }
    }
    let _ = write!(
        svg,
        r#"<text x="130" y="337" text-anchor="middle">{what}, darkest {most:.2}</text></svg>"#
    );
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_mirror_like_the_units() {
        for unit in ActionUnit::ALL {
            let ([x, y, ..], [mx, my, ..]) = (region(unit), region(unit.mirrored()));
            if unit != unit.mirrored() {
                assert_eq!((x + mx, y), (260, my), "{unit}");
            }
        }
    }

    #[test]
    fn every_unit_is_drawn_and_cheeks_twice() {
        let mut prediction = crate::evaluation::run::blank(&expllm_data::Record::new(
            "a",
            expllm_data::ImageSource::file("a"),
        ));
        assert_eq!(heat_map(&[], std::slice::from_ref(&prediction)), "");
        prediction.units = Some(expllm_core::AuVector::from_clamped([0.5; 35]));
        let svg = heat_map(&[], &[prediction]);
        assert_eq!(svg.matches("<ellipse").count(), ActionUnit::COUNT + 1);
        assert!(svg.contains("Jaw Drop: 0.500") && svg.contains("darkest 0.50"));
    }
}
