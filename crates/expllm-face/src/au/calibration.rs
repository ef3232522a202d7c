//! From what the network says to what a person would say.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use expllm_core::ActionUnit;

/// Intensities at which a movement is called slight, clear and strong.
///
/// Each is the lowest of its step: people who rate movements in steps of none, slight, clear and
/// strong mean about 0, 0.25, 0.5 and 0.85, and these lie half way between those, except for the
/// lowest, which is the intensity from which a unit counts as active.
pub const LEVELS: [f32; 3] = [0.2, 0.375, 0.675];

/// Least distance between two steps of a curve, so that its order is kept.
const LEAST_STEP: f32 = 1e-4;

/// Readings at which a unit reaches each of [`LEVELS`]: a rising line from 0 to 1 through them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve([f32; LEVELS.len()]);

impl Curve {
    /// The curve that changes nothing.
    pub const IDENTITY: Self = Self(LEVELS);

    /// A curve through these readings; where they do not rise between 0 and 1 they are moved so
    /// that they do.
    #[must_use]
    pub fn new(readings: [f32; LEVELS.len()]) -> Self {
        let mut least = LEAST_STEP;
        let mut room = LEVELS.len() as f32 * LEAST_STEP;
        Self(readings.map(|reading| {
            let reading = if reading.is_finite() { reading } else { 1.0 };
            let reading = reading.max(least).min(1.0 - room);
            least = reading + LEAST_STEP;
            room -= LEAST_STEP;
            reading
        }))
    }

    /// The readings, rising.
    #[must_use]
    pub const fn readings(&self) -> [f32; LEVELS.len()] {
        self.0
    }

    /// What a reading from 0 to 1 means; it rises with the reading, and 0 and 1 stay.
    #[must_use]
    pub fn apply(&self, reading: f32) -> f32 {
        let (mut from, mut meant) = (0.0, 0.0);
        for (&to, level) in self.0.iter().zip(LEVELS) {
            if reading < to {
                return meant + (reading - from) / (to - from) * (level - meant);
            }
            (from, meant) = (to, level);
        }
        meant + (reading - from) / (1.0 - from) * (1.0 - meant)
    }
}

/// A curve for each unit; those of the left and the right side of a pair are equal.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration(Vec<Curve>);

impl Calibration {
    /// Changes nothing.
    #[must_use]
    pub fn identity() -> Self {
        Self(vec![Curve::IDENTITY; ActionUnit::COUNT])
    }

    /// The curve of a unit.
    #[must_use]
    pub fn curve(&self, unit: ActionUnit) -> Curve {
        self.0[unit.index()]
    }

    /// Gives a unit and its mirror image a curve.
    pub fn set(&mut self, unit: ActionUnit, curve: Curve) {
        self.0[unit.index()] = curve;
        self.0[unit.mirrored().index()] = curve;
    }
}

/// A [`Calibration`] as it lies in a weights file: `[35, levels]`.
#[derive(Module, Debug)]
pub(super) struct CalibrationTable {
    readings: Param<Tensor<2>>,
}

impl CalibrationTable {
    /// The table of a calibration.
    pub fn new(calibration: &Calibration, device: &Device) -> Self {
        let rows: Vec<f32> = calibration.0.iter().flat_map(Curve::readings).collect();
        let data = TensorData::new(rows, [ActionUnit::COUNT, LEVELS.len()]);
        let table = Tensor::from_data(data, device).set_require_grad(false);
        Self {
            readings: Param::from_tensor(table).set_require_grad(false),
        }
    }

    /// The curves.
    pub fn read(&self) -> Calibration {
        let data = self.readings.val().into_data().convert::<f32>();
        let rows: Vec<f32> = data.try_to_vec().unwrap_or_default();
        let mut calibration = Calibration::identity();
        for (curve, row) in calibration
            .0
            .iter_mut()
            .zip(rows.chunks_exact(LEVELS.len()))
        {
            *curve = Curve::new(std::array::from_fn(|i| row[i]));
        }
        calibration
    }
}

#[cfg(test)]
mod tests {
    use crate::device::default_device;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn readings_at_the_steps_mean_the_levels() {
        let curve = Curve::new([0.02, 0.1, 0.4]);
        for (reading, level) in [0.0, 0.02, 0.1, 0.4, 1.0]
            .into_iter()
            .zip([0.0, 0.2, 0.375, 0.675, 1.0])
        {
            assert!((curve.apply(reading) - level).abs() < 1e-6);
        }
        assert!((Curve::IDENTITY.apply(0.6) - 0.6).abs() < 1e-6);
    }

    #[test]
    fn a_table_gives_back_its_curves_and_both_sides_share_one() {
        let mut calibration = Calibration::identity();
        calibration.set(ActionUnit::LeftBrowLower, Curve::new([0.03, 0.2, 0.5]));
        let table = CalibrationTable::new(&calibration, &default_device());
        assert_eq!(table.read(), calibration);
        assert_eq!(
            calibration.curve(ActionUnit::RightBrowLower),
            calibration.curve(ActionUnit::LeftBrowLower)
        );
    }

    proptest! {
        #[test]
        fn whatever_a_file_holds_order_is_kept(
            readings in proptest::array::uniform3(prop_oneof![Just(f32::NAN), Just(1e9), -1.0f32..2.0]),
            a in 0.0f32..1.0,
            b in 0.0f32..1.0,
        ) {
            let curve = Curve::new(readings);
            let (low, high) = (curve.apply(a.min(b)), curve.apply(a.max(b)));
            prop_assert!(low <= high + 1e-6);
            prop_assert!(low >= 0.0 && high <= 1.0 + 1e-6);
            prop_assert_eq!(curve.apply(0.0), 0.0);
            prop_assert!((curve.apply(1.0) - 1.0).abs() < 1e-5);
        }
    }
}
