//! Movements of real faces, rated by eye: what was rated, and how the file of ratings is read.

use std::path::Path;
use std::str::FromStr;

use expllm_core::{ActionUnit, AuVector, Expression, Intensity, Side};

use crate::TrainError;
use ActionUnit as U;

/// A movement that is rated, and the units that show it.
#[derive(Debug)]
pub struct Movement {
    /// Name of its column.
    pub name: &'static str,
    /// The units; their mean is rated, or the strongest of them.
    pub units: &'static [ActionUnit],
    /// Whether the strongest of the units is rated: any of them alone is the movement.
    pub strongest: bool,
}

/// A movement of both sides, or of the middle.
const fn mean(name: &'static str, units: &'static [ActionUnit]) -> Movement {
    Movement {
        name,
        units,
        strongest: false,
    }
}

/// How many movements are rated.
pub const MOVEMENT_COUNT: usize = 17;

/// The movements in the order of the columns.
pub const MOVEMENTS: [Movement; MOVEMENT_COUNT] = [
    mean("brow_lower", &[U::LeftBrowLower, U::RightBrowLower]),
    mean("brow_raise", &[U::LeftBrowRaise, U::RightBrowRaise]),
    mean(INNER_BROW, &[U::LeftInnerBrowRaise, U::RightInnerBrowRaise]),
    mean("lid_raise", &[U::LeftLidRaise, U::RightLidRaise]),
    mean("eye_close", &[U::LeftEyeClose, U::RightEyeClose]),
    mean("nose_wrinkle", &[U::NoseWrinkle]),
    mean("upper_lip_raise", &[U::UpperLipRaise]),
    mean(
        "lip_corner_pull",
        &[U::LeftLipCornerPull, U::RightLipCornerPull],
    ),
    mean(
        "lip_corner_depress",
        &[U::LeftLipCornerDepress, U::RightLipCornerDepress],
    ),
    mean(
        "lip_corner_stretch",
        &[U::LeftLipCornerStretch, U::RightLipCornerStretch],
    ),
    mean("jaw_drop", &[U::JawDrop]),
    mean("lower_lip_depress", &[U::LowerLipDepress]),
    mean("chin_raise", &[U::ChinRaise]),
    mean("lip_pucker", &[U::LipPucker]),
    Movement {
        name: "lip_suck_or_press",
        units: &[U::LipPress, U::UpperLipSuck, U::LowerLipSuck],
        strongest: true,
    },
    mean("cheek_puff", &[U::CheekPuff]),
    mean("cheek_raise", &[U::LeftCheekRaise, U::RightCheekRaise]),
];

/// The one movement that was only said to be there or not.
pub const INNER_BROW: &str = "brow_raise_inner";

impl Movement {
    /// The intensity of the movement, as far as its units were measured; `None` where none was.
    #[must_use]
    pub fn intensity(&self, units: &AuVector) -> Option<f32> {
        let measured = || self.units.iter().filter_map(|&unit| units.get(unit));
        let n = measured().count();
        let found = match self.strongest {
            true => measured().map(Intensity::get).fold(0.0, f32::max),
            false => measured().map(Intensity::get).sum::<f32>() / n.max(1) as f32,
        };
        (n > 0).then_some(found)
    }
}

/// What one rater says of one face.
#[derive(Debug, Clone)]
pub struct Rating {
    /// The picture: archive, split and name, as in `wild/train/00001.jpg`.
    pub file: String,
    /// Which rater, where several rated the face.
    pub rater: Option<String>,
    /// Steps from 0 (absent) to 3 (strong), in the order of [`MOVEMENTS`]; `None` where the region
    /// cannot be seen.
    pub steps: [Option<u8>; MOVEMENT_COUNT],
    /// Movements that are clearly stronger on one side: the place in [`MOVEMENTS`], and the
    /// subject's side.
    pub stronger: Vec<(usize, Side)>,
    /// The expression by the rater's own look.
    pub expression: Option<Expression>,
}

/// Reads a file of ratings: a row for every face and rater.
///
/// # Errors
///
/// [`TrainError::Layout`] when the file is no table of ratings or holds a step other than 0 to 3.
pub fn read_panel(path: &Path) -> Result<Vec<Rating>, TrainError> {
    let wrong = |reason: String| TrainError::Layout {
        path: path.display().to_string(),
        reason,
    };
    let mut table = csv::Reader::from_path(path).map_err(|e| wrong(e.to_string()))?;
    let header = table.headers().map_err(|e| wrong(e.to_string()))?.clone();
    let column = |name: &str| header.iter().position(|known| known == name);
    let required = |name: &str| column(name).ok_or_else(|| wrong(format!("has no column {name}")));
    let (file, sides, expression) = (
        required("file")?,
        required("sides")?,
        required("expression")?,
    );
    let rater = column("rater");
    let places: Vec<usize> = (MOVEMENTS.iter())
        .map(|movement| required(movement.name))
        .collect::<Result<_, _>>()?;
    let mut ratings = Vec::new();
    for row in table.records() {
        let row = row.map_err(|e| wrong(e.to_string()))?;
        let cell = |at: usize| row.get(at).unwrap_or_default();
        let mut steps = [None; MOVEMENT_COUNT];
        for (step, &at) in steps.iter_mut().zip(&places) {
            *step =
                read_step(cell(at)).map_err(|reason| wrong(format!("{}: {reason}", cell(file))))?;
        }
        ratings.push(Rating {
            file: cell(file).to_owned(),
            rater: rater.map(|at| cell(at).to_owned()),
            steps,
            stronger: read_sides(cell(sides)),
            expression: Expression::from_str(cell(expression)).ok(),
        });
    }
    Ok(ratings)
}

fn read_step(cell: &str) -> Result<Option<u8>, String> {
    match cell {
        "" => Ok(None),
        "0" | "1" | "2" | "3" => Ok(cell.parse().ok()),
        other => Err(format!("{other:?} is no step from 0 to 3")),
    }
}

/// `brow_raise:L;eye_close:R`; what names no movement or side is passed over.
fn read_sides(cell: &str) -> Vec<(usize, Side)> {
    let parts = cell.split(';').filter_map(|part| {
        let (name, side) = part.split_once(':')?;
        let place = MOVEMENTS.iter().position(|m| m.name == name)?;
        match side {
            "L" => Some((place, Side::Left)),
            "R" => Some((place, Side::Right)),
            _ => None,
        }
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(rows: &str) -> tempfile::NamedTempFile {
        let names: Vec<_> = MOVEMENTS.iter().map(|m| m.name).collect();
        let text = format!("file,rater,{},sides,expression\n{rows}", names.join(","));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_row_says_steps_sides_and_expression() {
        let row = "wild/valid/1.jpg,a,3,,1,0,0,0,0,2,0,0,0,0,0,0,0,0,1,brow_lower:R;lip_pucker:X;-,anger\n";
        let ratings = read_panel(file(row).path()).unwrap();
        let rating = &ratings[0];
        assert_eq!(
            (rating.file.as_str(), rating.rater.as_deref()),
            ("wild/valid/1.jpg", Some("a"))
        );
        assert_eq!(rating.steps[..3], [Some(3), None, Some(1)]);
        assert_eq!(rating.stronger, [(0, Side::Right)]);
        assert_eq!(rating.expression, Some(Expression::Anger));
    }

    #[test]
    fn what_is_no_rating_is_refused_with_its_face() {
        let row = "x.jpg,a,4,,1,0,0,0,0,2,0,0,0,0,0,0,0,0,1,-,anger\n";
        let error = read_panel(file(row).path()).unwrap_err().to_string();
        assert!(
            error.contains("x.jpg") && error.contains("\"4\""),
            "{error}"
        );
        let other = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(other.path(), "a,b\n1,2\n").unwrap();
        assert!(
            read_panel(other.path())
                .unwrap_err()
                .to_string()
                .contains("no column")
        );
    }

    #[test]
    fn a_movement_is_the_mean_of_its_sides_or_the_strongest_of_its_kinds() {
        let mut units = AuVector::default();
        let mut set = |unit, value| units.set(unit, Intensity::clamped(value));
        set(U::LeftBrowLower, 0.6);
        set(U::RightBrowLower, 0.0);
        set(U::UpperLipSuck, 0.7);
        set(U::LowerLipSuck, 0.1);
        assert_eq!(MOVEMENTS[0].intensity(&units), Some(0.3));
        assert_eq!(MOVEMENTS[14].intensity(&units), Some(0.7));
        assert_eq!(MOVEMENTS[1].intensity(&units), None);
    }

    #[test]
    fn movements_take_no_side() {
        for movement in &MOVEMENTS {
            for unit in movement.units {
                assert!(
                    movement.units.contains(&unit.mirrored()),
                    "{}",
                    movement.name
                );
            }
        }
    }
}
