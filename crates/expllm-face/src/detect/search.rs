//! Where and how finely a photo is looked at.

use expllm_core::{GoOn, Photo};

use super::DetectorOptions;
use super::candidate::{Candidate, candidates};
use super::network::{CenterFace, UNIT};
use super::view::View;

/// Score from which a place deserves another look.
const HINT: f32 = 0.1;

/// Score from which nothing is left to doubt.
const SURE: f32 = 0.6;

/// Side in seen pixels from which another look at twice the size does not help a weak face.
const LARGE: f32 = 64.0;

/// Side in seen pixels below which scores are low and points rough.
const SMALL: f32 = 16.0;

/// Side at which the first look still gives a hint of a face.
const TRACE: f64 = 8.0;

/// Pixels of the first look, at least and at most. Tiny photos are enlarged to the least, but not
/// more than [`MAX_SCALE`] times.
const FIRST_LOOK: (f64, f64) = (160.0 * 160.0, 320.0 * 256.0);

/// How much a photo is enlarged at most.
const MAX_SCALE: f64 = 4.0;

/// How far a scale may move so that an image needs less filling up.
const NEARBY: std::ops::RangeInclusive<f64> = 0.9..=1.1;

/// Pixels of looks at the turned photo, at most.
const TURNED_LOOK: f64 = 640.0 * 480.0;

/// Roll in degrees from which upright looks miss faces.
const TURNED: f32 = 35.0;

/// A search of one photo.
pub(super) struct Search<'a> {
    pub(super) network: &'a CenterFace,
    pub(super) options: &'a DetectorOptions,
    pub(super) photo: &'a Photo,
    /// Asked between two steps of a look.
    pub(super) go_on: &'a GoOn<'a>,
}

impl Search<'_> {
    /// Every place that may be a face, with scores from [`HINT`] on; `None` when the search was
    /// broken off.
    pub(super) fn run(&self) -> Option<Vec<Candidate>> {
        let scales = self.scales();
        let mut found = Vec::new();
        let mut reached = 0;
        for (index, &scale) in scales.iter().enumerate() {
            found = merged(found, self.look(scale, 0)?);
            reached = index;
            if self.is_settled(&found) {
                break;
            }
        }
        if self.may_be_turned(&found) {
            let scale = scales[reached].min(self.scale_of(TURNED_LOOK));
            for quarters in 1..4 {
                found = merged(found, self.look(scale, quarters)?);
            }
        }
        Some(distinct(found))
    }

    /// The scale at which the photo has so many pixels.
    fn scale_of(&self, pixels: f64) -> f64 {
        let (width, height) = (
            f64::from(self.photo.width()),
            f64::from(self.photo.height()),
        );
        (pixels / (width * height)).sqrt()
    }

    /// The scale near another one at which most of what the network sees is photo: images are filled
    /// up to whole units.
    fn fitting(&self, scale: f64) -> f64 {
        let sides = [self.photo.width(), self.photo.height()].map(f64::from);
        let unit = UNIT as f64;
        let near = sides.into_iter().flat_map(|side| {
            let units = (side * scale / unit).floor();
            [units, units + 1.0].map(|units| units * unit / side)
        });
        let near = near.filter(|near| NEARBY.contains(&(near / scale)));
        let seen = |scale: f64| -> f64 {
            let filled = |side: f64| ((side * scale).round() / unit).ceil() * unit;
            sides.into_iter().map(|side| filled(side) / scale).product()
        };
        near.fold(
            scale,
            |best, near| {
                if seen(near) < seen(best) { near } else { best }
            },
        )
    }

    /// The scales of upright looks, the coarsest first.
    fn scales(&self) -> Vec<f64> {
        let smallest = f64::from(self.options.min_size);
        let (least, most) = (self.scale_of(FIRST_LOOK.0), self.scale_of(FIRST_LOOK.1));
        let limit = self.scale_of(f64::from(self.options.max_pixels));
        let first = (TRACE / smallest)
            .clamp(least, most)
            .min(MAX_SCALE)
            .min(limit);
        let first = self.fitting(first);
        let last = self.fitting((2.0 * TRACE / smallest).min(limit));
        let doublings = std::iter::successors(Some(first), |scale| Some(scale * 2.0));
        let mut scales: Vec<f64> = doublings.take_while(|&scale| scale < 0.75 * last).collect();
        scales.push(last.max(first));
        scales
    }

    fn look(&self, scale: f64, quarters: usize) -> Option<Vec<Candidate>> {
        let view = View::new(self.photo, scale, quarters);
        let cells = self.network.forward(view.pixels(), self.go_on)?;
        let seen = candidates(&cells, HINT);
        let placed = seen.iter().map(|face| face.mapped(|p| view.place(p)));
        Some(placed.collect())
    }

    /// Whether a finer look promises nothing.
    fn is_settled(&self, found: &[Candidate]) -> bool {
        let doubtful =
            |face: &Candidate| face.seen < SMALL || (face.score < SURE && face.seen < LARGE);
        found.iter().any(|face| face.score >= SURE) && !found.iter().any(doubtful)
    }

    /// Whether faces may lie on their side or head, which upright looks see only in part.
    fn may_be_turned(&self, found: &[Candidate]) -> bool {
        let turned = |face: &Candidate| face.score >= SURE && face.roll().abs() > TURNED;
        !found.iter().any(|face| face.score >= SURE) || found.iter().any(turned)
    }
}

/// Faces of earlier looks and of another one: where both saw something, the better view of it.
fn merged(earlier: Vec<Candidate>, later: Vec<Candidate>) -> Vec<Candidate> {
    let mut earlier: Vec<Option<Candidate>> = earlier.into_iter().map(Some).collect();
    let mut found = Vec::new();
    for face in later {
        let rivals =
            |other: &&mut Option<Candidate>| other.is_some_and(|other| face.is_about(&other));
        let mut rivals: Vec<_> = earlier.iter_mut().filter(rivals).collect();
        let best = rivals.iter().flat_map(|rival| rival.as_ref().map(quality));
        if best.fold(f32::MIN, f32::max) < quality(&face) {
            rivals.iter_mut().for_each(|rival| **rival = None);
            found.push(face);
        }
    }
    found.extend(earlier.into_iter().flatten());
    found
}

/// Each face once, the one to be trusted most first.
fn distinct(mut found: Vec<Candidate>) -> Vec<Candidate> {
    found.sort_by(|a, b| quality(b).total_cmp(&quality(a)));
    let mut kept: Vec<Candidate> = Vec::new();
    for face in found {
        let near =
            |other: &Candidate| face.is_same(other) || (face.score < SURE && face.is_about(other));
        if !kept.iter().any(near) {
            kept.push(face);
        }
    }
    kept
}

/// How far a view of a face can be trusted.
fn quality(face: &Candidate) -> f32 {
    // Boxes and points of faces that are seen small or larger than in training are rough.
    let rough = face.seen < SMALL || face.seen > 320.0;
    face.score - if rough { 0.3 } else { 0.0 }
}
