//! Readings of real faces beside what people say of them.

use std::collections::{BTreeMap, HashMap};

use expllm_au::LEVELS;
use expllm_core::{AuVector, Expression};
use expllm_metrics::{MetricError, Occurrence, roc_auc, spearman};

use super::panel::{INNER_BROW, MOVEMENTS, Rating};

/// Readings of a face: intensities, and the likeliest expression.
#[derive(Debug, Clone, Copy)]
pub struct FaceFindings {
    /// Intensities.
    pub units: AuVector,
    /// The likeliest expression, where the reader says one.
    pub expression: Option<Expression>,
}

/// Means of units with fewer active faces say little.
pub const LEAST_ACTIVE: usize = 10;

/// How far readings of one movement agree with people.
#[derive(Debug, Clone)]
pub struct MovementFigures {
    /// The movement's name.
    pub name: &'static str,
    /// Faces with a rating and a reading.
    pub n: usize,
    /// Faces whose mean rating is at least slight.
    pub active: usize,
    /// Rank correlation with the mean of the raters.
    pub spearman: Option<f64>,
    /// How well clear movements (mean of at least 1.5) are told from none.
    pub auc: Option<f64>,
    /// Faces with a clear movement.
    pub clear: usize,
    /// F1 of active: a reading from 0.2 on beside a mean rating from 1 on.
    pub f1: Option<f64>,
    /// Mean reading of faces with a mean rating of 0, of 1, of 2 and of 3, rounded.
    pub strength: [Option<f64>; 4],
    /// The raters among themselves: rank correlation.
    pub raters_spearman: Option<f64>,
    /// The raters among themselves: F1 of one's slight or more beside the other's.
    pub raters_f1: Option<f64>,
}

/// All figures of one set of rated faces.
#[derive(Debug, Clone)]
pub struct PanelFigures {
    /// By movement.
    pub movements: Vec<MovementFigures>,
    /// Faces on whose expression the raters agree, and how many of them were read so.
    pub expression: (usize, usize),
    /// Faces whose stronger side the raters name, and how many were read so.
    pub sides: (usize, usize),
}

/// The movements that means are taken over.
fn counted(movements: &[MovementFigures]) -> impl Iterator<Item = &MovementFigures> {
    let enough = |m: &&MovementFigures| m.active >= LEAST_ACTIVE && m.name != INNER_BROW;
    movements.iter().filter(enough)
}

impl PanelFigures {
    /// The mean of a figure over movements with at least ten active faces, and of how
    /// many movements; the inner brows, which have no steps, are left out.
    pub fn mean(&self, figure: impl Fn(&MovementFigures) -> Option<f64>) -> Option<(f64, usize)> {
        let values: Vec<f64> = counted(&self.movements).filter_map(figure).collect();
        let n = values.len();
        (n > 0).then(|| (values.iter().sum::<f64>() / n as f64, n))
    }

    /// The lowest AUC of movements with at least ten clear faces.
    #[must_use]
    pub fn lowest_auc(&self) -> Option<(f64, &'static str)> {
        let clear = self.movements.iter().filter(|m| m.clear >= LEAST_ACTIVE);
        clear
            .filter_map(|m| Some((m.auc?, m.name)))
            .min_by(|a, b| a.0.total_cmp(&b.0))
    }
}

/// What the raters of one face say.
struct Seen<'a> {
    findings: &'a FaceFindings,
    raters: Vec<&'a Rating>,
}

impl Seen<'_> {
    /// The mean step of a movement; `None` where nobody could see it.
    fn mean(&self, movement: usize) -> Option<f64> {
        let steps: Vec<f64> = (self.raters.iter())
            .filter_map(|r| r.steps[movement].map(f64::from))
            .collect();
        (!steps.is_empty()).then(|| steps.iter().sum::<f64>() / steps.len() as f64)
    }

    /// The steps of the first two raters.
    fn pair(&self, movement: usize) -> Option<(f64, f64)> {
        let step = |rater: usize| self.raters.get(rater)?.steps[movement].map(f64::from);
        Some((step(0)?, step(1)?))
    }
}

/// The figures of readings by file.
///
/// # Errors
///
/// When a reading is not a number.
pub fn panel_figures(
    ratings: &[Rating],
    findings: &HashMap<String, FaceFindings>,
) -> Result<PanelFigures, MetricError> {
    let mut by_file: BTreeMap<&str, Vec<&Rating>> = BTreeMap::new();
    for rating in ratings {
        by_file.entry(&rating.file).or_default().push(rating);
    }
    let faces: Vec<Seen> = by_file
        .into_iter()
        .filter_map(|(file, raters)| {
            let findings = findings.get(file)?;
            Some(Seen { findings, raters })
        })
        .collect();
    let movements = (0..MOVEMENTS.len()).map(|movement| figures(&faces, movement));
    Ok(PanelFigures {
        movements: movements.collect::<Result<_, _>>()?,
        expression: expressions(&faces),
        sides: sides(&faces),
    })
}

fn figures(faces: &[Seen<'_>], movement: usize) -> Result<MovementFigures, MetricError> {
    let kind = &MOVEMENTS[movement];
    let read = |face: &Seen| kind.intensity(&face.findings.units).map(f64::from);
    let rated: Vec<(f64, f64)> = (faces.iter())
        .filter_map(|face| Some((face.mean(movement)?, read(face)?)))
        .collect();
    let (truth, found): (Vec<f64>, Vec<f64>) = rated.iter().copied().unzip();
    let extremes = rated.iter().filter(|(t, _)| *t == 0.0 || *t >= 1.5);
    let (clear, scores): (Vec<bool>, Vec<f64>) = extremes.map(|(t, f)| (*t > 0.0, *f)).unzip();
    let mut active = Occurrence::default();
    for &(truth, found) in &rated {
        active.add(truth >= 1.0, found >= f64::from(LEVELS[0]));
    }
    let pairs: Vec<(f64, f64)> = faces
        .iter()
        .filter_map(|face| face.pair(movement))
        .collect();
    let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let mut among = Occurrence::default();
    for &(a, b) in &pairs {
        among.add(a >= 1.0, b >= 1.0);
    }
    Ok(MovementFigures {
        name: kind.name,
        n: rated.len(),
        active: truth.iter().filter(|t| **t >= 1.0).count(),
        spearman: spearman(&truth, &found)?,
        auc: roc_auc(&clear, &scores)?,
        clear: clear.iter().filter(|c| **c).count(),
        f1: active.f1(),
        strength: std::array::from_fn(|step| mean_reading(&rated, step as f64)),
        raters_spearman: spearman(&first, &second)?,
        raters_f1: among.f1(),
    })
}

/// The mean reading of faces whose mean rating is nearest to a step.
fn mean_reading(rated: &[(f64, f64)], step: f64) -> Option<f64> {
    let here: Vec<f64> = (rated.iter())
        .filter(|(truth, _)| truth.round() == step)
        .map(|(_, found)| *found)
        .collect();
    (!here.is_empty()).then(|| here.iter().sum::<f64>() / here.len() as f64)
}

/// Faces on whose expression all raters agree, and those read so.
fn expressions(faces: &[Seen<'_>]) -> (usize, usize) {
    let agreed = faces.iter().filter_map(|face| {
        let first = face.raters.first()?.expression?;
        let all = face.raters.iter().all(|r| r.expression == Some(first));
        all.then_some(Some(first) == face.findings.expression)
    });
    agreed.fold((0, 0), |(n, right), is| (n + 1, right + usize::from(is)))
}

/// Movements for which a rater names a stronger side, and those read as stronger there.
fn sides(faces: &[Seen<'_>]) -> (usize, usize) {
    let named = faces.iter().flat_map(|face| {
        let named = face.raters.iter().flat_map(|rater| &rater.stronger);
        named.filter_map(|&(movement, side)| {
            let unit = (MOVEMENTS[movement].units.iter()).find(|unit| unit.side() == side)?;
            let units = &face.findings.units;
            Some(units.get(*unit)? > units.get(unit.mirrored())?)
        })
    });
    named.fold((0, 0), |(n, right), is| (n + 1, right + usize::from(is)))
}

#[cfg(test)]
mod tests {
    use expllm_core::{ActionUnit, Intensity, Side};

    use super::*;

    fn rating(file: &str, rater: &str, step: u8) -> Rating {
        let mut steps = [None; MOVEMENTS.len()];
        steps[0] = Some(step);
        Rating {
            file: file.to_owned(),
            rater: Some(rater.to_owned()),
            steps,
            stronger: if step == 3 {
                vec![(0, Side::Left)]
            } else {
                Vec::new()
            },
            expression: Some(Expression::Anger),
        }
    }

    fn findings(lower: f32) -> FaceFindings {
        let mut units = AuVector::default();
        units.set(ActionUnit::LeftBrowLower, Intensity::clamped(lower * 1.1));
        units.set(ActionUnit::RightBrowLower, Intensity::clamped(lower * 0.9));
        FaceFindings {
            units,
            expression: Some(Expression::Anger),
        }
    }

    #[test]
    fn readings_that_follow_the_raters_are_perfect_and_weak_ones_miss_the_active() {
        let ratings: Vec<Rating> = (0..24)
            .flat_map(|i| {
                let file = format!("{i}");
                [
                    rating(&file, "a", (i % 4) as u8),
                    rating(&file, "b", (i % 4) as u8),
                ]
            })
            .collect();
        let read = |scale: f32| -> PanelFigures {
            let all = (0..24).map(|i| (format!("{i}"), findings((i % 4) as f32 * scale)));
            panel_figures(&ratings, &all.collect()).unwrap()
        };
        let strong = read(0.25);
        let brow = &strong.movements[0];
        assert_eq!((brow.active, brow.clear, brow.n), (18, 12, 24));
        assert!((brow.spearman.unwrap() - 1.0).abs() < 1e-9);
        assert_eq!(
            (brow.auc, brow.f1, brow.raters_f1),
            (Some(1.0), Some(1.0), Some(1.0))
        );
        assert_eq!(strong.expression, (24, 24));
        assert_eq!(strong.sides, (12, 12));
        assert_eq!(strong.mean(|m| m.f1), Some((1.0, 1)));
        let weak = read(0.05);
        assert_eq!(weak.movements[0].auc, Some(1.0));
        assert!(weak.movements[0].f1.unwrap_or(0.0) < 0.1);
    }
}
