//! How much readings change where their confidence is low.

use expllm_core::{AuVector, DOUBTFUL, FaceBox, FaceReading, Photo, Similarity};
use expllm_metrics::spearman;
use rayon::prelude::*;

use crate::RealFace;
use crate::au::{AuScores, FacePath};
use crate::detection::moved;
use crate::faces::grey_photo;

/// How much smaller the pictures are made.
const SMALLER: [f32; 4] = [2.0, 4.0, 6.0, 9.0];

/// Shares of a picture that are cut off, at the bottom and at the left.
const CUT: [f32; 3] = [0.15, 0.3, 0.45];

/// A reading of a changed picture beside that of the whole one.
struct Change {
    confidence: f32,
    /// Mean difference of the units, in intensity.
    units: f64,
}

/// Reads pictures of one face each as they are, made smaller and cut off, and measures how far the
/// readings of the changed ones lie from those of the whole, where the confidence is high and where
/// it is low.
/// Faces that cannot be placed are left out.
#[must_use]
pub fn score_confidence(path: &FacePath, faces: &[RealFace]) -> AuScores {
    let changes = faces.par_iter().flat_map_iter(|face| changes(path, face));
    let changes: Vec<Change> = changes.collect();
    let mut scores = AuScores::default();
    for (name, doubtful) in [("0.5 and above", false), ("below 0.5", true)] {
        let part = || {
            let part = changes.iter();
            part.filter(|change| (change.confidence < DOUBTFUL) == doubtful)
        };
        let n = part().count();
        let mean = part().map(|change| change.units).sum::<f64>() / n.max(1) as f64;
        let name = format!("confidence {name}: mean change of the units");
        scores.push(name, (n > 0).then_some(mean), "", n);
    }
    let confidence: Vec<f64> = changes.iter().map(|c| f64::from(c.confidence)).collect();
    let units: Vec<f64> = changes.iter().map(|change| -change.units).collect();
    let rank = spearman(&confidence, &units).ok().flatten();
    let name = "confidence against steadiness of the units: Spearman";
    scores.push(name, rank, "", changes.len());
    scores
}

fn changes(path: &FacePath, face: &RealFace) -> Vec<Change> {
    let photo = grey_photo(&face.image);
    let whole = FaceBox::whole(photo.width(), photo.height());
    let Some(whole) = read(path, &photo, whole) else {
        return Vec::new();
    };
    let changed = changed(&photo).into_iter();
    let found = changed.filter_map(|(changed, face)| read(path, &changed, face));
    let change = |reading: FaceReading| Change {
        confidence: reading.confidence.get(),
        units: distance(&whole.action_units, &reading.action_units),
    };
    found.map(change).collect()
}

/// Changed pictures, and where their faces are.
fn changed(photo: &Photo) -> Vec<(Photo, FaceBox)> {
    let (width, height) = (photo.width() as f32, photo.height() as f32);
    let boxed = |width, height| FaceBox {
        width,
        height,
        ..FaceBox::whole(1, 1)
    };
    let smaller = SMALLER.map(|times| {
        let to = Similarity {
            a: 1.0 / times,
            ..Similarity::IDENTITY
        };
        let size = ((width / times).round(), (height / times).round());
        (moved(photo, &to, size), boxed(size.0, size.1))
    });
    let cut = CUT.iter().flat_map(|share| {
        let bottom = (width, height * (1.0 - share));
        let left = Similarity {
            tx: -share * width,
            ..Similarity::IDENTITY
        };
        let beyond = FaceBox {
            x: -share * width,
            ..boxed(width, height)
        };
        let rest = (width * (1.0 - share), height);
        [
            (
                moved(photo, &Similarity::IDENTITY, bottom),
                boxed(width, height),
            ),
            (moved(photo, &left, rest), beyond),
        ]
    });
    smaller.into_iter().chain(cut).collect()
}

/// What is read of a face; `None` where it cannot be placed.
fn read(path: &FacePath, photo: &Photo, face: FaceBox) -> Option<FaceReading> {
    path.reader().read_boxes(photo, &[face]).pop()?.ok()
}

fn distance(a: &AuVector, b: &AuVector) -> f64 {
    let pairs = a.values().into_iter().zip(b.values());
    let sum: f32 = pairs.map(|(a, b)| (a - b).abs()).sum();
    f64::from(sum) / a.values().len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_pictures_have_the_sizes_that_are_left() {
        let photo = Photo::from_fn(
            std::num::NonZeroU32::new(90).unwrap(),
            std::num::NonZeroU32::new(60).unwrap(),
            |x, y| [x as u8, y as u8, 0],
        );
        let changed = changed(&photo);
        assert_eq!(changed.len(), SMALLER.len() + 2 * CUT.len());
        let sizes: Vec<_> = changed
            .iter()
            .map(|(p, _)| (p.width(), p.height()))
            .collect();
        assert_eq!(sizes[..2], [(45, 30), (23, 15)]);
        assert_eq!(sizes[4..6], [(90, 51), (77, 60)]);
        // What is left of a picture that loses its left side begins further right.
        assert_eq!(changed[5].0.pixel_clamped(0, 0)[0], 14);
        assert!(changed[5].1.x < 0.0);
    }
}
