//! How a face looks, in a few numbers.

use expllm_core::Photo;
use serde::{Deserialize, Serialize};

/// Cells along a side.
const CELLS: usize = 12;
/// Numbers of a look.
const LENGTH: usize = 3 * CELLS * CELLS;
/// Cells at each side that show what is around a face too.
const BORDER: usize = 2;
/// How much of a new look goes into the remembered one.
const SHARE: f32 = 0.05;

/// The colours of an aligned face in a coarse grid, without brightness and contrast.
///
/// Enough to tell whether the same face is still there, and which of a few people it is; no means
/// to recognise anybody elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Appearance(Vec<f32>);

impl Appearance {
    /// The look of an aligned face of any size.
    #[must_use]
    pub fn of(face: &Photo) -> Self {
        let mut cells = vec![0.0; LENGTH];
        let mut counts = [0_u32; CELLS * CELLS];
        let (width, height) = (face.width() as usize, face.height() as usize);
        for (at, pixel) in face.pixels().chunks_exact(3).enumerate() {
            let (x, y) = (at % width, at / width);
            let cell = (y * CELLS / height) * CELLS + x * CELLS / width;
            counts[cell] += 1;
            for (sum, &value) in cells[3 * cell..].iter_mut().zip(pixel) {
                *sum += f32::from(value);
            }
        }
        for (cell, count) in cells.chunks_exact_mut(3).zip(counts) {
            cell.iter_mut().for_each(|sum| *sum /= count.max(1) as f32);
        }
        Self(cells).normalised()
    }

    /// Without mean and of length 1; all 0 for a face of one colour.
    fn normalised(mut self) -> Self {
        let mean = self.0.iter().sum::<f32>() / self.0.len() as f32;
        self.0.iter_mut().for_each(|v| *v -= mean);
        let length = self.0.iter().map(|v| v * v).sum::<f32>().sqrt();
        if length > 1e-3 {
            self.0.iter_mut().for_each(|v| *v /= length);
        }
        self
    }

    /// How alike two looks are, from -1 to 1.
    #[must_use]
    pub fn likeness(&self, other: &Self) -> f32 {
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum()
    }

    /// The middle of the face alone, without whoever stands beside it.
    #[must_use]
    pub fn inside(&self) -> Self {
        let inner = BORDER..CELLS - BORDER;
        let rows = self.0.chunks_exact(3 * CELLS);
        let middle = |row: &[f32]| row[3 * inner.start..3 * inner.end].to_vec();
        let rows = rows.skip(inner.start).take(inner.len());
        Self(rows.flat_map(middle).collect()).normalised()
    }

    /// Remembers a little of a new look.
    pub fn blend(&mut self, new: &Self) {
        for (old, new) in self.0.iter_mut().zip(&new.0) {
            *old += SHARE * (new - *old);
        }
        *self = self.clone().normalised();
    }
}

/// Looks of one person that are kept, at most: of a head that turns.
const LOOKS: usize = 6;
/// Likeness below which a look is another one.
const OTHER: f32 = 0.85;

/// The looks of one person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Looks(Vec<Appearance>);

impl Looks {
    /// The first look.
    pub fn new(look: Appearance) -> Self {
        Self(vec![look])
    }

    /// How alike a face is to the look that is most like it, from -1 to 1.
    pub fn likeness(&self, face: &Appearance) -> f32 {
        let all = self.0.iter().map(|look| look.likeness(face));
        all.fold(-1.0, f32::max)
    }

    /// The same of the middle of the face alone: what is around it changes with whoever comes near.
    pub fn likeness_inside(&self, face: &Appearance) -> f32 {
        let face = face.inside();
        let all = self.0.iter().map(|look| look.inside().likeness(&face));
        all.fold(-1.0, f32::max)
    }

    /// Remembers a little of a look that is known, and all of one that is not; the oldest goes.
    pub fn learn(&mut self, face: &Appearance) {
        let nearest =
            (self.0.iter_mut()).max_by(|a, b| a.likeness(face).total_cmp(&b.likeness(face)));
        match nearest {
            Some(look) if look.likeness(face) >= OTHER => look.blend(face),
            _ => self.0.push(face.clone()),
        }
        if self.0.len() > LOOKS {
            self.0.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn picture(side: u32, colour: impl Fn(f32, f32) -> f32) -> Photo {
        let n = NonZeroU32::new(side).unwrap();
        Photo::from_fn(n, n, |x, y| {
            let value = colour(x as f32 / side as f32, y as f32 / side as f32);
            [value as u8, (0.9 * value) as u8, (0.8 * value) as u8]
        })
    }

    #[test]
    fn light_and_size_change_little_and_another_picture_much() {
        let a = Appearance::of(&picture(96, |x, y| 60.0 + 90.0 * x * y));
        let brighter = Appearance::of(&picture(48, |x, y| 90.0 + 110.0 * x * y));
        let other = Appearance::of(&picture(96, |x, y| 60.0 + 90.0 * (1.0 - x) * y));
        assert!((a.likeness(&a) - 1.0).abs() < 1e-4);
        assert!(a.likeness(&brighter) > 0.95);
        assert!(a.likeness(&other) < 0.8);
    }

    #[test]
    fn whoever_stands_beside_a_face_changes_nothing_inside() {
        let face = |x: f32, y: f32| 60.0 + 120.0 * (8.0 * x).sin().abs() * y;
        let beside = |x: f32, y: f32| if x > 0.85 { 250.0 } else { face(x, y) };
        let [alone, crowded] = [
            Appearance::of(&picture(96, face)),
            Appearance::of(&picture(96, beside)),
        ];
        let looks = Looks::new(alone);
        assert!(looks.likeness(&crowded) < 0.8);
        assert!(looks.likeness_inside(&crowded) > 0.999);
    }

    #[test]
    fn a_few_looks_are_kept() {
        let look = |turn: f32| {
            let wave = move |x: f32, y: f32| 120.0 + 90.0 * (9.0 * x * turn + 5.0 * y).sin();
            Appearance::of(&picture(48, wave))
        };
        let mut looks = Looks::new(look(0.1));
        for turn in 1..12 {
            looks.learn(&look(0.2 * turn as f32));
            looks.learn(&look(0.2 * turn as f32));
        }
        assert_eq!(looks.0.len(), LOOKS);
        assert!(looks.likeness(&look(2.2)) > 0.99);
        assert!(looks.likeness(&look(0.1)) < OTHER);
    }

    #[test]
    fn a_face_of_one_colour_is_like_nothing() {
        let flat = Appearance::of(&picture(5, |_, _| 100.0));
        assert!(
            flat.likeness(&Appearance::of(&picture(9, |x, _| 200.0 * x)))
                .abs()
                < 1.0
        );
        let mut blended = flat.clone();
        blended.blend(&flat);
        assert!(blended.0.iter().all(|v| v.is_finite()));
    }
}
