//! Faces in the output of the network.

use expllm_core::{FaceBox, Point};

use super::network::{CELL, Cells};

/// Most faces of one look; the surest stay. Bounds the work on noise.
const MOST: usize = 4096;

/// Boxes that overlap by this share of their union are one face.
const SAME: f32 = 0.3;

/// A face that may be one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    /// Left edge.
    pub(super) x: f32,
    /// Top edge.
    pub(super) y: f32,
    pub(super) width: f32,
    pub(super) height: f32,
    /// The network's own score, 0 to 1.
    pub(super) score: f32,
    /// Eyes, nose, corners of the mouth, in the order of [`FaceBox::points`].
    pub(super) points: [Point; 5],
    /// Side of the face in the pixels that the network saw.
    pub(super) seen: f32,
}

impl Candidate {
    /// The box as others see it.
    pub(super) fn face_box(&self) -> FaceBox {
        FaceBox {
            x: self.x,
            y: self.y,
            width: self.width,
            height: self.height,
            score: calibrated(self.score),
            points: Some(self.points),
        }
    }

    fn area(&self) -> f32 {
        self.width * self.height
    }

    /// Area that two boxes share.
    fn shared(&self, other: &Self) -> f32 {
        let span = |a: f32, la: f32, b: f32, lb: f32| ((a + la).min(b + lb) - a.max(b)).max(0.0);
        span(self.x, self.width, other.x, other.width)
            * span(self.y, self.height, other.y, other.height)
    }

    /// Whether two boxes hold one face.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let shared = self.shared(other);
        shared > SAME * (self.area() + other.area() - shared)
    }

    /// Whether two boxes of different looks are about one face: they overlap, one lies mostly
    /// within the other, or their centres are close.
    pub(super) fn is_about(&self, other: &Self) -> bool {
        let (a, b) = (self.face_box().center(), other.face_box().center());
        let side = self.area().max(other.area()).sqrt();
        self.is_same(other)
            || self.shared(other) > 0.6 * self.area().min(other.area())
            || a.distance(b) < 0.35 * side
    }

    /// How far the face is turned clockwise, in degrees from -180 to 180.
    pub(super) fn roll(&self) -> f32 {
        roll(&self.points)
    }

    /// The face in other coordinates.
    pub(super) fn mapped(&self, place: impl Fn(Point) -> Point) -> Self {
        let a = place(Point::new(self.x, self.y));
        let b = place(Point::new(self.x + self.width, self.y + self.height));
        Self {
            x: a.x.min(b.x),
            y: a.y.min(b.y),
            width: (a.x - b.x).abs(),
            height: (a.y - b.y).abs(),
            points: self.points.map(place),
            ..*self
        }
    }
}

/// Score of the network at which half of the boxes are faces, as log odds: the score 0.3. Of 354
/// boxes above it in photos turned by twelve angles all were faces, of 82 below it 37.
const EVEN: f32 = -0.847;

/// How much faster than the network's score the odds of a face rise, fitted to the same boxes.
const SLOPE: f32 = 2.7;

/// The probability of a face for a score of the network.
fn calibrated(score: f32) -> f32 {
    let logit = (score / (1.0 - score)).ln();
    1.0 / (1.0 + (-SLOPE * (logit - EVEN)).exp())
}

/// How far a face is turned clockwise in the photo, in degrees from -180 to 180: up is where the
/// eyes are from the mouth.
pub(crate) fn roll(points: &[Point; 5]) -> f32 {
    let (eyes, mouth) = (Point::mean(&points[..2]), Point::mean(&points[3..]));
    (eyes.x - mouth.x).atan2(mouth.y - eyes.y).to_degrees()
}

/// The faces of an output with a score from `least` on, the surest first, each once; in pixels of
/// the image that was looked at.
pub(super) fn candidates(cells: &Cells, least: f32) -> Vec<Candidate> {
    let (height, width) = cells.size();
    let bar = (least / (1.0 - least)).ln();
    let mut found = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let logit = cells.at(y, x).logit();
            if logit >= bar && is_peak(cells, (y, x), logit) {
                found.extend(candidate(cells, y, x));
            }
        }
    }
    let mut kept = once(found);
    kept.truncate(MOST);
    kept
}

/// Whether no neighbour has a higher score.
fn is_peak(cells: &Cells, (y, x): (usize, usize), logit: f32) -> bool {
    let (height, width) = cells.size();
    let rows = y.saturating_sub(1)..(y + 2).min(height);
    rows.into_iter().all(|row| {
        let columns = x.saturating_sub(1)..(x + 2).min(width);
        columns
            .into_iter()
            .all(|column| cells.at(row, column).logit() <= logit)
    })
}

/// The face whose centre lies in a cell; none if its size is beyond all measure.
fn candidate(cells: &Cells, y: usize, x: usize) -> Option<Candidate> {
    let cell = cells.at(y, x);
    let ([height, width], [down, right]) = (cell.size(), cell.offset());
    let side = CELL as f32;
    let left = (x as f32 + 0.5 + right) * side - width / 2.0;
    let top = (y as f32 + 0.5 + down) * side - height / 2.0;
    let points = cell
        .points()
        .map(|[down, right]| Point::new(left + right * width, top + down * height));
    let found = Candidate {
        x: left,
        y: top,
        width,
        height,
        score: 1.0 / (1.0 + (-cell.logit()).exp()),
        points,
        seen: width.max(height),
    };
    let numbers = points
        .iter()
        .flat_map(|p| [p.x, p.y])
        .chain([left, top, width, height]);
    let finite = numbers.into_iter().all(f32::is_finite) && found.score.is_finite();
    (finite && width >= 1.0 && height >= 1.0).then_some(found)
}

/// Each face once, the surest first (non-maximum suppression).
pub(super) fn once(mut found: Vec<Candidate>) -> Vec<Candidate> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(4 * MOST);
    let mut kept: Vec<Candidate> = Vec::new();
    for face in found {
        if !kept.iter().any(|other| face.is_same(other)) {
            kept.push(face);
        }
    }
    kept
}
