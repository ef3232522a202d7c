//! Action units as other tools name, scale and split them.
//!
//! Sources: the column names and scales of OpenFace 2.2 (`AU01_r`, 0 to 5), py-feat (`AU01`, 0 to
//! 1), LibreFace (`au_1_intensity`, 0 to 5) and MediaPipe Face Landmarker (52 blendshapes, 0 to
//! 1). The first three do not tell sides: both sides of a face get their value. What a tool does
//! not measure stays unmeasured.

use crate::{ActionUnit, AuVector, Intensity, Side};

/// A tool that measures action units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnitTool {
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

impl UnitTool {
    /// All tools.
    pub const ALL: [Self; 4] = [
        Self::OpenFace,
        Self::PyFeat,
        Self::LibreFace,
        Self::MediaPipe,
    ];

    /// Name in tables and messages, such as `openface`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
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
            Self::PyFeat | Self::MediaPipe => 1.0,
        }
    }

    /// The FACS units that the tool has columns for; none for blendshapes.
    #[must_use]
    pub const fn facs(self) -> &'static [u8] {
        match self {
            Self::OpenFace => OPEN_FACE,
            Self::PyFeat => PY_FEAT,
            Self::LibreFace => LIBRE_FACE,
            Self::MediaPipe => &[],
        }
    }

    /// The column of a FACS unit, such as `AU01_r`.
    #[must_use]
    pub fn column(self, facs: u8) -> String {
        match self {
            Self::OpenFace => format!("AU{facs:02}_r"),
            Self::PyFeat | Self::MediaPipe => format!("AU{facs:02}"),
            Self::LibreFace => format!("au_{facs}_intensity"),
        }
    }

    /// The tool that wrote a table with these columns, in any letter case.
    #[must_use]
    pub fn of_columns(columns: &[&str]) -> Option<Self> {
        let has = |name: &str| columns.iter().any(|c| c.trim().eq_ignore_ascii_case(name));
        let marks = [
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
                Self::MediaPipe => of_blendshapes(unit, &value),
                _ => self.of_facs(unit, &value),
            };
            if let Some(found) = found.filter(|v| v.is_finite()) {
                units.set(unit, Intensity::clamped(found));
            }
        }
        units
    }

    fn of_facs(self, unit: ActionUnit, value: &impl Fn(&str) -> Option<f32>) -> Option<f32> {
        let read = |facs: &u8| Some(value(&self.column(*facs))? / self.scale());
        let groups = facs_of(unit).iter();
        groups.into_iter().find_map(|group| {
            let found = group.iter().filter_map(read);
            found.max_by(f32::total_cmp)
        })
    }

    /// A row of the tool's table: each column with its value, the mean of both sides; `None`
    /// where it was not measured, or where the units do not tell it (lips apart, AU25).
    #[must_use]
    pub fn row(self, units: &AuVector) -> Vec<(String, Option<f32>)> {
        match self {
            Self::MediaPipe => blendshape_row(units),
            _ => self
                .facs()
                .iter()
                .map(|&facs| {
                    (
                        self.column(facs),
                        value_of(facs, units).map(|v| v * self.scale()),
                    )
                })
                .collect(),
        }
    }
}

/// Each blendshape that a unit is read from, once.
fn blendshape_row(units: &AuVector) -> Vec<(String, Option<f32>)> {
    let mut row: Vec<(String, Option<f32>)> = Vec::new();
    for unit in ActionUnit::ALL {
        for &name in shapes_of(unit) {
            if row.iter().all(|(known, _)| known != name) {
                row.push((name.to_owned(), units.get(unit).map(Intensity::get)));
            }
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
    let is_source = |unit: &ActionUnit| facs_of(*unit).iter().any(|group| group.contains(&facs));
    let values: Vec<f32> = ActionUnit::ALL
        .into_iter()
        .filter(is_source)
        // Brows are raised by AU2 where it is known; AU1 is the inner brow.
        .filter(|unit| facs != 1 || unit.info().movement == "inner brow raise")
        .filter_map(|unit| units.get(unit).map(Intensity::get))
        .collect();
    (!values.is_empty()).then(|| values.iter().sum::<f32>() / values.len() as f32)
}

/// The FACS units that tell of a unit: the first group that a tool has, of it the greatest value.
fn facs_of(unit: ActionUnit) -> &'static [&'static [u8]] {
    match unit.info().movement {
        "eye close" => &[&[43, 45]],
        "lid raise" => &[&[5]],
        "brow lower" => &[&[4]],
        "brow raise" => &[&[2], &[1]],
        "jaw drop" => &[&[26, 27]],
        "lip corner pull" => &[&[12]],
        "lip corner stretch" => &[&[20]],
        "upper lip suck" | "lower lip suck" => &[&[28]],
        "upper lip raise" => &[&[10]],
        "lower lip depress" => &[&[16]],
        "chin raise" => &[&[17]],
        "lip pucker" => &[&[18]],
        "nose wrinkle" => &[&[9]],
        "inner brow raise" => &[&[1]],
        "lid tighten" => &[&[7]],
        "cheek raise" => &[&[6]],
        "dimple" => &[&[14]],
        "lip corner depress" => &[&[15]],
        "lip press" => &[&[23, 24]],
        _ => &[],
    }
}

/// The mean of the blendshapes that a unit is read from.
fn of_blendshapes(unit: ActionUnit, value: &impl Fn(&str) -> Option<f32>) -> Option<f32> {
    let names = shapes_of(unit);
    let sum = names.iter().map(|name| value(name)).sum::<Option<f32>>()?;
    (!names.is_empty()).then(|| sum / names.len() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_is_written_is_read_again() {
        let values = std::array::from_fn(|i| i as f32 / 40.0);
        let units = AuVector::from_clamped(values);
        for tool in UnitTool::ALL {
            let row = tool.row(&units);
            let value = |name: &str| row.iter().find(|(n, _)| n == name)?.1;
            let read = tool.units(value);
            let again = tool.row(&read);
            for ((name, one), (_, two)) in row.iter().zip(&again) {
                let apart = one.zip(*two).map_or(0.0, |(one, two)| (one - two).abs());
                assert!(apart < 1e-5, "{tool:?} {name} {one:?} {two:?}");
                assert_eq!(one.is_some(), two.is_some(), "{tool:?} {name}");
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
