//! Clips with exact times: people who rest, move, blink, speak and turn their heads.
//!
//! A [`Clip`] is drawn from a seed; each frame of it can be rendered by itself, on any thread.

mod event;
mod script;
mod stage;

use expllm_core::{AuVector, HeadPose, Photo, Point};

pub use event::{ClipEvent, ClipEventKind};
pub use script::ClipActor;

use super::FaceSynthesizer;
use super::math::Draw;
use stage::Stage;

/// How a clip is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClipConfig {
    /// Length in seconds.
    pub seconds: f64,
    /// Frames per second.
    pub rate: f64,
    /// How many people; two and more cross each other's way.
    pub people: u32,
    /// Equal seeds give equal clips.
    pub seed: u64,
}

/// A clip that can be rendered.
#[derive(Debug)]
pub struct Clip {
    config: ClipConfig,
    /// The people; each stands in front of those before.
    pub actors: Vec<ClipActor>,
    stage: Stage,
}

/// A frame of a clip with what is true of it.
#[derive(Debug, Clone)]
pub struct ClipFrame {
    /// The picture, four wide to three high.
    pub photo: Photo,
    /// The people in their order.
    pub people: Vec<ActorFrame>,
}

/// What is true of one person in one frame.
#[derive(Debug, Clone)]
pub struct ActorFrame {
    /// The intensities that shaped the face.
    pub action_units: AuVector,
    /// Where the head turns.
    pub head_pose: HeadPose,
    /// Middle of the landmarks in pixels of the frame.
    pub center: Point,
    /// Distance of the eyes in pixels.
    pub eye_distance: f32,
    /// Whether somebody stands in front of the face.
    pub hidden: bool,
}

impl Clip {
    /// Draws a clip whose people are rendered by a synthesizer of [`SynthConfig::size`] pixels;
    /// frames are 4/3 of that high.
    ///
    /// [`SynthConfig::size`]: super::SynthConfig::size
    #[must_use]
    pub fn sample(synthesizer: &FaceSynthesizer, config: ClipConfig) -> Self {
        let mut draw = Draw::new(config.seed);
        let actor = |index| ClipActor::sample(&config, index, &mut draw);
        let actors = (0..config.people).map(actor).collect();
        let stage = Stage::new(synthesizer, &mut draw);
        Self {
            config,
            actors,
            stage,
        }
    }

    /// How many frames the clip has.
    #[must_use]
    pub fn frames(&self) -> u64 {
        (self.config.seconds * self.config.rate).round() as u64
    }

    /// Time of a frame in seconds.
    #[must_use]
    pub fn time(&self, frame: u64) -> f64 {
        frame as f64 / self.config.rate
    }

    /// Width and height of the frames in pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        self.stage.size()
    }

    /// Renders a frame.
    #[must_use]
    pub fn render(&self, synthesizer: &FaceSynthesizer, frame: u64) -> ClipFrame {
        let time = self.time(frame);
        let mut picture = self.stage.empty();
        let mut people: Vec<ActorFrame> = Vec::new();
        for actor in &self.actors {
            let seen = picture.add(synthesizer, actor, time);
            // Eyes are about 0.42 of a head's width apart.
            let covers = |p: &ActorFrame| p.center.distance(seen.center) < 1.3 * seen.eye_distance;
            people
                .iter_mut()
                .filter(|p| covers(p))
                .for_each(|p| p.hidden = true);
            people.push(seen);
        }
        ClipFrame {
            photo: picture.photo(),
            people,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::tiny;
    use super::*;

    fn config(people: u32) -> ClipConfig {
        ClipConfig {
            seconds: 30.0,
            rate: 25.0,
            people,
            seed: 5,
        }
    }

    #[test]
    fn events_lie_in_the_clip_and_rest_lies_between_movements() {
        let clip = Clip::sample(&tiny(), config(3));
        assert_eq!((clip.frames(), clip.size()), (750, (85, 64)));
        for actor in &clip.actors {
            let events = &actor.events;
            assert!(events.windows(2).all(|w| w[0].onset <= w[1].onset));
            for e in events {
                assert!(0.0 < e.onset && e.onset < e.apex && e.apex < e.offset && e.offset <= 30.0);
                let top = actor.units(e.apex);
                let moved = e.kind != ClipEventKind::Speech;
                assert!(!moved || e.units.iter().all(|u| top[*u].get() >= e.height - 1e-5));
            }
            let other: Vec<_> = (events.iter())
                .filter(|e| e.kind != ClipEventKind::Blink)
                .collect();
            assert!(other.windows(2).all(|w| w[1].onset - w[0].offset >= 0.59));
            assert_eq!(actor.units(0.1), AuVector::REST);
        }
    }

    #[test]
    fn equal_seeds_give_equal_frames_and_people_pass_each_other() {
        let faces = tiny();
        let clip = Clip::sample(&faces, config(2));
        let again = Clip::sample(&faces, config(2));
        let frame = clip.render(&faces, 40);
        assert_eq!(
            frame.photo.pixels(),
            again.render(&faces, 40).photo.pixels()
        );
        assert_ne!(
            frame.photo.pixels(),
            clip.render(&faces, 140).photo.pixels()
        );
        let hidden = |number| {
            let people = clip.render(&faces, number).people;
            people.iter().map(|p| p.hidden).collect::<Vec<_>>()
        };
        // They start at the ends of their way and meet after a quarter of 24 s.
        assert_eq!(hidden(0), [false, false]);
        assert_eq!(hidden(150), [true, false]);
    }
}
