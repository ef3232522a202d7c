//! Action units as other tools name, scale and split them.
//!
//! Sources: the column names and scales of OpenFace 2.2 (`AU01_r`, 0 to 5), py-feat (`AU01`, 0 to
//! 1), LibreFace (`au_1_intensity`, 0 to 5) and MediaPipe Face Landmarker (52 blendshapes, 0 to
//! 1). OpenFace, py-feat and LibreFace do not tell sides: both sides of a face get their value.
//! What a tool does not measure stays unmeasured.

use crate::{ActionUnit, AuVector, Intensity, Side};

/// A tool that measures action units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnitTool {
    /// This project: a column per unit, named as in [`ActionUnit::snake_case`].
    Expllm,
    /// OpenFace 2.
    OpenFace,
    /// py-feat, either detector.
    PyFeat,
    /// LibreFace.
    LibreFace,
    /// MediaPipe Face Landmarker, or any writer of ARKit blendshapes.
    MediaPipe,
}

const OPEN_FACE: &[u8] = &[1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45];
const PY_FEAT: &[u8] = &[
    1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 43,
];
const LIBRE_FACE: &[u8] = &[1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26];
/// What our units and blendshapes tell, sides apart; other numbers of the same movement too.
const SIDED: &[u8] = &[
    1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 20, 23, 24, 26, 27, 28, 43, 45,
];

impl UnitTool {
    /// All tools.
    pub const ALL: [Self; 5] = [
        Self::Expllm,
        Self::OpenFace,
        Self::PyFeat,
        Self::LibreFace,
        Self::MediaPipe,
    ];

    /// Name in tables and messages, such as `openface`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expllm => "expllm",
            Self::OpenFace => "openface",
            Self::PyFeat => "pyfeat",
            Self::LibreFace => "libreface",
            Self::MediaPipe => "mediapipe",
        }
    }

    /// The value that the tool writes for the strongest movement.
    #[must_use]
    pub const fn scale(self) -> f32 {
        match self {
            Self::OpenFace | Self::LibreFace => 5.0,
            Self::Expllm | Self::PyFeat | Self::MediaPipe => 1.0,
        }
    }

    /// The FACS units that the tool measures.
    #[must_use]
    pub const fn facs(self) -> &'static [u8] {
        match self {
            Self::OpenFace => OPEN_FACE,
            Self::PyFeat => PY_FEAT,
            Self::LibreFace => LIBRE_FACE,
            Self::Expllm | Self::MediaPipe => SIDED,
        }
    }

    /// The column of a FACS unit, such as `AU01_r`; `None` where the tool has none, or where its
    /// columns tell sides.
    #[must_use]
    pub fn column(self, facs: u8) -> Option<String> {
        let name = match self {
            Self::OpenFace => format!("AU{facs:02}_r"),
            Self::PyFeat => format!("AU{facs:02}"),
            Self::LibreFace => format!("au_{facs}_intensity"),
            Self::Expllm | Self::MediaPipe => return None,
        };
        self.facs().contains(&facs).then_some(name)
    }

    /// The tool that wrote a table with these columns, in any letter case.
    #[must_use]
    pub fn of_columns(columns: &[&str]) -> Option<Self> {
        let has = |name: &str| columns.iter().any(|c| c.trim().eq_ignore_ascii_case(name));
        let marks = [
            (Self::Expllm, "left_lip_corner_pull"),
            (Self::OpenFace, "AU12_r"),
            (Self::LibreFace, "au_12_intensity"),
            (Self::PyFeat, "AU12"),
            (Self::MediaPipe, "mouthSmileLeft"),
        ];
        marks
            .into_iter()
            .find(|(_, mark)| has(mark))
            .map(|(tool, _)| tool)
    }

    /// The units of one row; `value` gives the number of a column, `None` where it is missing.
    ///
    /// ```
    /// use expllm_core::{ActionUnit, UnitTool};
    ///
    /// let units = UnitTool::OpenFace.units(|column| (column == "AU12_r").then_some(2.5));
    /// assert_eq!(units[ActionUnit::LeftLipCornerPull].get(), 0.5);
    /// assert_eq!(units.get(ActionUnit::JawDrop), None);
    /// ```
    #[must_use]
    pub fn units(self, value: impl Fn(&str) -> Option<f32>) -> AuVector {
        let mut units = AuVector::default();
        for unit in ActionUnit::ALL {
            let found = match self {
                Self::Expllm => value(unit.snake_case()),
                Self::MediaPipe => of_blendshapes(unit, &value),
                _ => self.of_facs(unit, &value),
            };
            if let Some(found) = found.filter(|v| v.is_finite()) {
                units.set(unit, Intensity::clamped(found));
            }
        }
        units
    }

    /// The greatest value of the first group of FACS units that the row has numbers of.
    fn of_facs(self, unit: ActionUnit, value: &impl Fn(&str) -> Option<f32>) -> Option<f32> {
        let read = |facs: &u8| Some(value(&self.column(*facs)?)? / self.scale());
        facs_of(unit).iter().find_map(|group| {
            let found = group.iter().filter_map(read).filter(|v| v.is_finite());
            found.max_by(f32::total_cmp)
        })
    }

    /// A FACS unit in one row, from 0 to 1: the tool's own column, or, where its columns tell
    /// sides, the mean of both; `None` where it is missing.
    #[must_use]
    pub fn facs_value(self, facs: u8, value: impl Fn(&str) -> Option<f32>) -> Option<f32> {
        match self {
            Self::Expllm | Self::MediaPipe => value_of(facs, &self.units(value)),
            _ => {
                let found = value(&self.column(facs)?)? / self.scale();
                found.is_finite().then(|| found.clamp(0.0, 1.0))
            }
        }
    }

    /// A row of the tool's table: each column with its value, the mean of the units that it is
    /// the first source of; `None` where none of them was measured, or where no unit tells it
    /// (nasolabial furrow, AU11, and lips apart, AU25).
    #[must_use]
    pub fn row(self, units: &AuVector) -> Vec<(String, Option<f32>)> {
        let of_facs = |&facs: &u8| {
            let value = value_of(facs, units).map(|value| value * self.scale());
            Some((self.column(facs)?, value))
        };
        match self {
            Self::Expllm => {
                let named =
                    |unit: ActionUnit| (unit.snake_case().to_owned(), measured(units, unit));
                ActionUnit::ALL.map(named).to_vec()
            }
            Self::MediaPipe => blendshape_row(units),
            _ => self.facs().iter().filter_map(of_facs).collect(),
        }
    }
}

fn measured(units: &AuVector, unit: ActionUnit) -> Option<f32> {
    units.get(unit).map(Intensity::get)
}

/// The mean of the measured units that pass.
fn mean(units: &AuVector, is_source: impl Fn(&ActionUnit) -> bool) -> Option<f32> {
    let found = ActionUnit::ALL.into_iter().filter(is_source);
    let values: Vec<f32> = found.filter_map(|unit| measured(units, unit)).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f32>() / values.len() as f32)
}

/// Each blendshape that a unit is read from, once.
fn blendshape_row(units: &AuVector) -> Vec<(String, Option<f32>)> {
    let mut row: Vec<(String, Option<f32>)> = Vec::new();
    for &name in ActionUnit::ALL.into_iter().flat_map(shapes_of) {
        if row.iter().all(|(known, _)| known != name) {
            let value = mean(units, |unit| shapes_of(*unit).contains(&name));
            row.push((name.to_owned(), value));
        }
    }
    row
}

/// The blendshapes that a unit is read from: of one in the middle left and right, else the first.
fn shapes_of(unit: ActionUnit) -> &'static [&'static str] {
    let names = unit.info().blendshapes;
    match (unit.side(), names) {
        (Side::Both, [_, _]) | (_, []) => names,
        _ => &names[..1],
    }
}

/// The mean of the units that a FACS unit is the first source of.
fn value_of(facs: u8, units: &AuVector) -> Option<f32> {
    let first = |unit: &ActionUnit| facs_of(*unit).first().copied().unwrap_or_default();
    mean(units, |unit| first(unit).contains(&facs))
}

/// The FACS units that tell of a unit: the first group that a tool has, of it the greatest value.
///
/// Outer brows go by AU2 where it is known, else by AU1; the inner brows are units of their own.
fn facs_of(unit: ActionUnit) -> &'static [&'static [u8]] {
    match unit.info().facs {
        ["43", "45"] => &[&[43, 45]],
        ["1", "2"] => &[&[2], &[1]],
        ["26", "27"] => &[&[26, 27]],
        ["24", "23"] => &[&[23, 24]],
        ["1"] => &[&[1]],
        ["4"] => &[&[4]],
        ["5"] => &[&[5]],
        ["6"] => &[&[6]],
        ["7"] => &[&[7]],
        ["9"] => &[&[9]],
        ["10"] => &[&[10]],
        ["12"] => &[&[12]],
        ["14"] => &[&[14]],
        ["15"] => &[&[15]],
        ["16"] => &[&[16]],
        ["17"] => &[&[17]],
        ["18"] => &[&[18]],
        ["20"] => &[&[20]],
        ["28"] => &[&[28]],
        // Jaw slide, jaw thrust and cheek puff are action descriptors, which no tool has.
        _ => &[],
    }
}

/// The mean of the blendshapes that a unit is read from; all of them must be there.
fn of_blendshapes(unit: ActionUnit, value: &impl Fn(&str) -> Option<f32>) -> Option<f32> {
    let names = shapes_of(unit);
    let sum = names.iter().map(|name| value(name)).sum::<Option<f32>>()?;
    (!names.is_empty()).then(|| sum / names.len() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tools_are_known_by_their_columns() {
        for tool in UnitTool::ALL {
            let row = tool.row(&AuVector::REST);
            let columns: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(UnitTool::of_columns(&columns), Some(tool));
        }
        assert_eq!(UnitTool::of_columns(&["file_name", "emo"]), None);
    }

    #[test]
    fn every_facs_unit_of_the_crosswalk_has_a_source() {
        for unit in ActionUnit::ALL {
            let mut named: Vec<u8> = unit.info().facs.iter().flat_map(|f| f.parse()).collect();
            let mut read: Vec<u8> = facs_of(unit).concat();
            named.sort_unstable();
            read.sort_unstable();
            assert_eq!(named, read, "{unit}");
        }
    }

    #[test]
    fn what_sided_columns_tell_is_what_the_units_tell() {
        let mut told: Vec<u8> = ActionUnit::ALL
            .iter()
            .flat_map(|u| facs_of(*u).concat())
            .collect();
        told.sort_unstable();
        told.dedup();
        assert_eq!(told, SIDED);
    }

    #[test]
    fn columns_are_those_of_the_tools() {
        let columns = |tool: UnitTool| -> Vec<String> {
            let row = tool.row(&AuVector::REST);
            row.into_iter().map(|(name, _)| name).collect()
        };
        let openface = columns(UnitTool::OpenFace);
        assert_eq!((openface.len(), openface[0].as_str()), (17, "AU01_r"));
        assert_eq!(openface[16], "AU45_r");
        let pyfeat = columns(UnitTool::PyFeat);
        assert_eq!((pyfeat.len(), pyfeat[19].as_str()), (20, "AU43"));
        let libreface = columns(UnitTool::LibreFace);
        assert_eq!(
            (libreface.len(), libreface[0].as_str()),
            (12, "au_1_intensity")
        );
        assert_eq!(columns(UnitTool::Expllm).len(), ActionUnit::COUNT);
    }

    #[test]
    fn what_no_unit_tells_is_missing_and_not_zero() {
        let row = UnitTool::PyFeat.row(&AuVector::REST);
        let missing: Vec<&str> = row
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(missing, ["AU11", "AU25"]);
        let none = UnitTool::OpenFace.row(&AuVector::default());
        assert!(none.iter().all(|(_, value)| value.is_none()));
    }

    #[test]
    fn facs_values_are_the_tools_own_columns() {
        let open = |name: &str| (name == "AU25_r").then_some(2.5);
        assert_eq!(UnitTool::OpenFace.facs_value(25, open), Some(0.5));
        assert_eq!(UnitTool::OpenFace.facs_value(24, open), None);
        let ours = |name: &str| match name {
            "left_lip_corner_pull" => Some(0.5),
            "right_lip_corner_pull" => Some(1.0),
            _ => None,
        };
        assert_eq!(UnitTool::Expllm.facs_value(12, ours), Some(0.75));
        assert_eq!(UnitTool::Expllm.facs_value(25, ours), None);
    }

    fn read(tool: UnitTool, row: &[(String, Option<f32>)]) -> AuVector {
        tool.units(|name| row.iter().find(|(known, _)| known == name)?.1)
    }

    proptest! {
        /// Writing loses sides and what a tool lacks; what it has comes back.
        #[test]
        fn what_is_written_is_read_again(
            values in prop::collection::vec(prop::option::of(0.0f32..=1.0), ActionUnit::COUNT),
        ) {
            let mut units = AuVector::default();
            for (unit, value) in ActionUnit::ALL.into_iter().zip(&values) {
                if let Some(value) = value {
                    units.set(unit, Intensity::clamped(*value));
                }
            }
            prop_assert_eq!(read(UnitTool::Expllm, &UnitTool::Expllm.row(&units)), units);
            for tool in UnitTool::ALL {
                let row = tool.row(&units);
                let again = tool.row(&read(tool, &row));
                for ((name, one), (_, two)) in row.iter().zip(&again) {
                    if let Some(one) = one {
                        let two = two.unwrap_or(f32::NAN);
                        prop_assert!((one - two).abs() < 1e-5, "{:?} {} {} {}", tool, name, one, two);
                    }
                }
            }
        }
    }

    #[test]
    fn scale_and_missing_columns_are_kept() {
        let libre = UnitTool::LibreFace.units(|name| (name == "au_26_intensity").then_some(5.0));
        assert_eq!(libre[ActionUnit::JawDrop].get(), 1.0);
        assert_eq!(libre.iter().count(), 1);
        let feat = UnitTool::PyFeat.units(|name| match name {
            "AU01" => Some(0.75),
            "AU23" => Some(0.25),
            "AU24" => Some(0.5),
            "AU12" => Some(f32::NAN),
            _ => None,
        });
        assert_eq!(feat[ActionUnit::LeftBrowRaise].get(), 0.75, "no AU2 there");
        assert_eq!(feat[ActionUnit::RightInnerBrowRaise].get(), 0.75);
        assert_eq!(feat[ActionUnit::LipPress].get(), 0.5);
        assert_eq!(feat.get(ActionUnit::LeftLipCornerPull), None);
        let media = UnitTool::MediaPipe.units(|name| match name {
            "mouthSmileLeft" => Some(0.5),
            "noseSneerLeft" => Some(0.25),
            "noseSneerRight" => Some(0.75),
            _ => None,
        });
        assert_eq!(media[ActionUnit::LeftLipCornerPull].get(), 0.5);
        assert_eq!(media.get(ActionUnit::RightLipCornerPull), None);
        assert_eq!(media[ActionUnit::NoseWrinkle].get(), 0.5);
    }
}
