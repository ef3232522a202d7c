//! What is known of a face, and how far each source is to be trusted.
//!
//! No source is truth for every unit, so each teaches what it knows:
//!
//! - **Renders** are exact for all 35 units and their sides, but look like renders.
//! - **Raters** saw real faces and are honest, but few, and rate in steps: a step allows a range of
//!   intensities, so that the loss forgives half a step. They rate the mean of both sides; what
//!   they say of sides only orders the two.
//! - **Blendshapes** of MediaPipe are there for nearly all real faces. They are good for smile, jaw,
//!   lids, brow raise, chin and pucker, and mislead on brow lower and nose wrinkle. All of them are
//!   a second task of their own, from which the look learns; the good ones also teach their units
//!   where nobody rated, on the raters' scale (`mesh_lessons`).
//! - **Votes** of FERPlus and the rater's own look teach the expression; labels of FER2013, which a
//!   single person gave, are a third task; labels of `wild`, right in half of the rare cases, count
//!   little.
//!
//! What FACS links to an expression teaches nothing here: it makes units echo the label.

use expllm_core::{ActionUnit, Expression, Landmarks, Side};

use super::mesh::{BLENDSHAPES, mirrored_blendshapes};
use super::panel::{INNER_BROW, MOVEMENT_COUNT, MOVEMENTS, Rating};

/// Lowest and highest intensity that a source allows.
pub type Bounds = [f32; 2];

/// The range of intensities that a step of a rating allows.
const STEPS: [Bounds; 4] = [[0.0, 0.08], [0.21, 0.33], [0.43, 0.6], [0.75, 1.0]];

/// The same where a movement was only said to be there.
const PRESENT: Bounds = [0.25, 0.6];

/// Largest vote of FERPlus that does not count: a single one is mostly a slip.
const SLIP: f32 = 1.0;

/// Weight of a label of `wild` beside that of votes and raters.
const LABEL_WEIGHT: f32 = 0.3;

/// How sure a rater or a label is of the expression.
const SURENESS: f32 = 0.85;

/// An expression as a distribution, and the weight of what was said.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Opinion {
    /// Shares in expression order; their sum is 1, or 0 where nothing was said.
    pub shares: [f32; Expression::COUNT],
    /// 0 where nothing was said.
    pub weight: f32,
}

/// All that is known of a face.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// What each unit may be, in AU order.
    pub units: [Bounds; ActionUnit::COUNT],
    /// How much each unit counts; 0 where nothing is known.
    pub unit_weights: [f32; ActionUnit::COUNT],
    /// What each rated movement may be.
    pub movements: [Bounds; MOVEMENT_COUNT],
    /// How much each movement counts.
    pub movement_weights: [f32; MOVEMENT_COUNT],
    /// The expression that people see.
    pub seen: Opinion,
    /// The expression of a single label of FER2013.
    pub label: Opinion,
    /// MediaPipe's blendshapes.
    pub blendshapes: Option<[f32; BLENDSHAPES]>,
    /// Landmarks in pixels of the picture.
    pub landmarks: Option<Landmarks>,
}

impl Default for Lesson {
    fn default() -> Self {
        Self {
            units: [[0.0, 1.0]; ActionUnit::COUNT],
            unit_weights: [0.0; ActionUnit::COUNT],
            movements: [[0.0, 1.0]; MOVEMENT_COUNT],
            movement_weights: [0.0; MOVEMENT_COUNT],
            seen: Opinion::default(),
            label: Opinion::default(),
            blendshapes: None,
            landmarks: None,
        }
    }
}

impl Opinion {
    /// One expression, mostly.
    #[must_use]
    pub fn of(expression: Expression, weight: f32) -> Self {
        let mut shares = [(1.0 - SURENESS) / (Expression::COUNT - 1) as f32; Expression::COUNT];
        shares[expression.index()] = SURENESS;
        Self { shares, weight }
    }

    /// The ten votes of FERPlus as far as they name expressions; nothing where most of them name
    /// none.
    #[must_use]
    pub fn votes(votes: &[f32; 10]) -> Self {
        let most = votes.iter().copied().fold(0.0, f32::max);
        let counted: [f32; Expression::COUNT] =
            FERPLUS.map(|at| if votes[at] > SLIP { votes[at] } else { 0.0 });
        let sum: f32 = counted.iter().sum();
        if sum == 0.0 || votes[8].max(votes[9]) >= most {
            return Self::default();
        }
        Self {
            shares: counted.map(|votes| votes / sum),
            weight: 1.0,
        }
    }

    /// What two say together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let weight = self.weight + other.weight;
        if weight == 0.0 {
            return Self::default();
        }
        let mixed =
            |i: usize| (self.shares[i] * self.weight + other.shares[i] * other.weight) / weight;
        Self {
            shares: std::array::from_fn(mixed),
            weight: self.weight.max(other.weight),
        }
    }
}

/// Columns of FERPlus (neutral, happiness, surprise, sadness, anger, disgust, fear, contempt) in
/// expression order.
const FERPLUS: [usize; Expression::COUNT] = [0, 1, 3, 2, 6, 5, 4, 7];

impl Lesson {
    /// Exact intensities of a render.
    #[must_use]
    pub fn exact(mut self, units: [f32; ActionUnit::COUNT]) -> Self {
        self.units = units.map(|value| [value, value]);
        self.unit_weights = [1.0; ActionUnit::COUNT];
        self
    }

    /// What a rater says of the face.
    #[must_use]
    pub fn rated(mut self, rating: &Rating) -> Self {
        for (i, movement) in MOVEMENTS.iter().enumerate() {
            let Some(step) = rating.steps[i] else {
                continue;
            };
            let bounds = match (movement.name, step) {
                (INNER_BROW, 1..) => PRESENT,
                _ => STEPS[usize::from(step.min(3))],
            };
            (self.movements[i], self.movement_weights[i]) = (bounds, 1.0);
            if movement.strongest {
                // The first stands for the movement; the others are no stronger than it.
                for unit in &movement.units[1..] {
                    self.bound(*unit, [0.0, bounds[1]]);
                }
            }
        }
        for &(i, side) in &rating.stronger {
            self.order_sides(i, side);
        }
        if let Some(expression) = rating.expression {
            self.seen = self.seen.with(Opinion::of(expression, 1.0));
        }
        self
    }

    /// The step that a movement was rated with.
    #[must_use]
    pub fn step(&self, movement: usize) -> Option<u8> {
        let found = STEPS
            .iter()
            .position(|bounds| *bounds == self.movements[movement]);
        let step = found.filter(|_| self.movement_weights[movement] > 0.0)?;
        u8::try_from(step).ok()
    }

    /// The label of a set without votes.
    #[must_use]
    pub fn labelled(mut self, expression: Expression) -> Self {
        if self.seen.weight == 0.0 {
            self.seen = Opinion::of(expression, LABEL_WEIGHT);
        }
        self
    }

    fn bound(&mut self, unit: ActionUnit, bounds: Bounds) {
        self.units[unit.index()] = bounds;
        self.unit_weights[unit.index()] = 1.0;
    }

    /// The stronger side is at least what the mean may be, the weaker one at most.
    fn order_sides(&mut self, movement: usize, stronger: Side) {
        let [low, high] = self.movements[movement];
        for &unit in MOVEMENTS[movement].units {
            match unit.side() {
                Side::Both => {}
                side if side == stronger => self.bound(unit, [(low + high) / 2.0, 1.0]),
                _ => self.bound(unit, [0.0, (low + high) / 2.0]),
            }
        }
    }

    /// What is known of the mirrored face, whose picture is `width` pixels wide.
    #[must_use]
    pub fn mirrored(&self, width: f32) -> Self {
        let swap = |unit: ActionUnit| unit.mirrored().index();
        Self {
            units: ActionUnit::ALL.map(|unit| self.units[swap(unit)]),
            unit_weights: ActionUnit::ALL.map(|unit| self.unit_weights[swap(unit)]),
            blendshapes: self.blendshapes.as_ref().map(mirrored_blendshapes),
            landmarks: self.landmarks.as_ref().map(|marks| marks.mirrored(width)),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rating(steps: &[(usize, u8)], stronger: Vec<(usize, Side)>) -> Rating {
        let mut all = [None; MOVEMENT_COUNT];
        for &(i, step) in steps {
            all[i] = Some(step);
        }
        Rating {
            file: String::new(),
            rater: None,
            steps: all,
            stronger,
            expression: Some(Expression::Anger),
        }
    }

    #[test]
    fn a_rating_bounds_what_was_seen_and_nothing_else() {
        let lesson = Lesson::default().rated(&rating(&[(0, 2), (2, 1)], vec![(0, Side::Left)]));
        assert_eq!(
            (lesson.movements[0], lesson.movement_weights[0]),
            (STEPS[2], 1.0)
        );
        assert_eq!(lesson.movements[2], PRESENT);
        assert_eq!((lesson.step(0), lesson.step(1)), (Some(2), None));
        assert_eq!(lesson.movement_weights[1], 0.0);
        let of = |unit: ActionUnit| lesson.units[unit.index()];
        assert!(of(ActionUnit::LeftBrowLower)[0] >= of(ActionUnit::RightBrowLower)[1]);
        assert_eq!(lesson.unit_weights.iter().sum::<f32>(), 2.0);
        assert_eq!(lesson.seen, Opinion::of(Expression::Anger, 1.0));
    }

    #[test]
    fn pressed_lips_bound_sucked_ones_from_above() {
        let lesson = Lesson::default().rated(&rating(&[(14, 0)], Vec::new()));
        let sucked = ActionUnit::LowerLipSuck.index();
        assert_eq!(
            (lesson.units[sucked], lesson.unit_weights[sucked]),
            (STEPS[0], 1.0)
        );
        assert_eq!(lesson.unit_weights[ActionUnit::LipPress.index()], 0.0);
    }

    #[test]
    fn the_mirror_exchanges_sides_and_twice_is_none() {
        let exact: [f32; ActionUnit::COUNT] = std::array::from_fn(|i| i as f32 / 40.0);
        let lesson = Lesson::default().exact(exact);
        let mirrored = lesson.mirrored(64.0);
        let (left, right) = (
            ActionUnit::LeftDimple.index(),
            ActionUnit::RightDimple.index(),
        );
        assert_eq!(mirrored.units[left], lesson.units[right]);
        assert_eq!(mirrored.mirrored(64.0).units, lesson.units);
    }

    #[test]
    fn single_votes_are_slips_and_faces_without_an_expression_say_nothing() {
        let seen = Opinion::votes(&[1.0, 0.0, 0.0, 6.0, 2.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(seen.shares[Expression::Sadness.index()], 0.75);
        assert_eq!(seen.shares[Expression::Anger.index()], 0.25);
        assert_eq!(
            Opinion::votes(&[3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0, 0.0]),
            Opinion::default()
        );
        let both = seen.with(Opinion::of(Expression::Anger, 1.0));
        assert!((both.shares.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(both.shares[Expression::Anger.index()] > 0.5);
    }

    #[test]
    fn a_label_counts_where_nobody_looked() {
        let rated = Lesson::default().rated(&rating(&[], Vec::new()));
        assert_eq!(rated.clone().labelled(Expression::Fear).seen, rated.seen);
        assert_eq!(
            Lesson::default().labelled(Expression::Fear).seen.weight,
            LABEL_WEIGHT
        );
    }
}
