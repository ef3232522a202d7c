//! Where the people of a clip stand: a wall, and heads in front of it.

use std::num::NonZeroU32;

use expllm_core::{Photo, Point};

use super::{ActorFrame, ClipActor};
use crate::synth::math::Draw;
use crate::synth::{FaceSynthesizer, background};

/// The wall behind everybody.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    width: usize,
    height: usize,
    /// Bytes of red, green and blue.
    wall: Vec<u8>,
    /// Edge of the pictures of heads.
    side: usize,
}

impl Stage {
    /// A stage for heads of a synthesizer's size.
    pub fn new(synthesizer: &FaceSynthesizer, draw: &mut Draw) -> Self {
        let side = synthesizer.config.size as usize;
        let height = side * 4 / 3;
        let width = height * 4 / 3;
        let painted = background::paint(width, &synthesizer.noise, draw);
        let bright = |value: &f32| (255.0 * value.clamp(0.0, 1.0).powf(1.0 / 2.2)) as u8;
        let seen = painted[..width * height].iter().flatten();
        Self {
            width,
            height,
            wall: seen.map(bright).collect(),
            side,
        }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width as u32, self.height as u32)
    }

    /// The wall with nobody in front of it.
    pub fn empty(&self) -> Picture<'_> {
        Picture {
            stage: self,
            pixels: self.wall.clone(),
        }
    }
}

/// A frame that is being put together.
pub(super) struct Picture<'a> {
    stage: &'a Stage,
    pixels: Vec<u8>,
}

impl Picture<'_> {
    /// Puts somebody in front of whoever is there.
    pub fn add(
        &mut self,
        synthesizer: &FaceSynthesizer,
        actor: &ClipActor,
        time: f64,
    ) -> ActorFrame {
        let (units, pose) = (actor.units(time), actor.head_pose(time));
        let head = synthesizer.cut_out(actor.identity, units, pose, actor.situation);
        let Stage {
            width,
            height,
            side,
            ..
        } = *self.stage;
        let place = actor.place(time);
        let left = (place.x * width as f32 - side as f32 / 2.0).round() as i64;
        let top = (place.y * height as f32 - side as f32 / 2.0).round() as i64;
        self.lay(&head.photo, &head.cover(), (left, top));
        let marks = &head.landmarks;
        let middle = Point::mean(&marks.points[17..]);
        ActorFrame {
            action_units: units,
            head_pose: pose,
            center: Point::new(middle.x + left as f32, middle.y + top as f32),
            eye_distance: marks.eye_distance(),
            hidden: false,
        }
    }

    /// Lays a square picture over the frame where it covers it.
    fn lay(&mut self, photo: &Photo, cover: &[f32], (left, top): (i64, i64)) {
        let side = self.stage.side;
        for (at, (pixel, share)) in photo.pixels().chunks_exact(3).zip(cover).enumerate() {
            let (x, y) = (left + (at % side) as i64, top + (at / side) as i64);
            let inside = (0..self.stage.width as i64).contains(&x)
                && (0..self.stage.height as i64).contains(&y);
            if *share <= 0.0 || !inside {
                continue;
            }
            let to = 3 * (y as usize * self.stage.width + x as usize);
            for (old, &new) in self.pixels[to..to + 3].iter_mut().zip(pixel) {
                let (was, is) = (f32::from(*old), f32::from(new));
                *old = (was + share * (is - was)).round() as u8;
            }
        }
    }

    /// The finished frame.
    pub fn photo(self) -> Photo {
        let (width, height) = self.stage.size();
        let sides = NonZeroU32::new(width).zip(NonZeroU32::new(height));
        let (width, height) = sides.unwrap_or((NonZeroU32::MIN, NonZeroU32::MIN));
        let row = 3 * width.get() as usize;
        Photo::from_fn(width, height, |x, y| {
            let at = row * y as usize + 3 * x as usize;
            [0, 1, 2].map(|i| self.pixels[at + i])
        })
    }
}
