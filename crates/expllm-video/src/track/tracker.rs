//! Following faces through the frames of a clip.

use expllm_core::{
    AuDetector, FaceAligner, FaceBox, FaceDetector, FaceReader, LandmarkDetector, Photo,
    PlacedFace, Point, Similarity, StageError, UnreadFace,
};
use expllm_face::warp;
use serde::{Deserialize, Serialize};

use super::TrackOptions;
use super::person::{Person, Sighting, Square};

/// Side of the pixels in which a face is looked for again, where it should be.
const CLOSE_SIDE: u32 = 128;
/// The same in sides of the face's box.
const CLOSE_EXTENT: f32 = 2.0;
/// Overlap from which two squares are of the same face.
const SAME: f32 = 0.3;
/// Overlap from which two people cannot both be seen.
const HIDDEN: f32 = 0.45;

/// A face in a frame and whose it is.
#[derive(Debug)]
pub struct Tracked {
    /// The number of the person, from 0 in the order of first appearance.
    pub person: u32,
    /// The face, or why it could not be placed.
    pub face: Result<PlacedFace, UnreadFace>,
}

/// Follows the faces of one clip.
///
/// Landmarks of the last frame tell where to look for those of the next. Whether there still is a
/// face is asked of the detector close by, every now and then and whenever its look changes; whole
/// frames are searched now and then for people who are new or back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tracker {
    options: TrackOptions,
    people: Vec<Person>,
    next_number: u32,
    searched: f64,
    checked: f64,
}

/// A followed face of this frame.
struct Candidate {
    /// Its place among the people.
    person: usize,
    sighting: Sighting,
    face: PlacedFace,
}

impl Tracker {
    /// A tracker that has seen nobody.
    #[must_use]
    pub fn new(options: TrackOptions) -> Self {
        Self {
            options,
            people: Vec::new(),
            next_number: 0,
            searched: f64::NEG_INFINITY,
            checked: f64::NEG_INFINITY,
        }
    }

    /// The people of the next frame, in the order of their numbers. `time` in seconds must not run
    /// backwards.
    ///
    /// # Errors
    ///
    /// When detection fails.
    pub fn frame<D, L, A, U>(
        &mut self,
        reader: &FaceReader<D, L, A, U>,
        photo: &Photo,
        time: f64,
    ) -> Result<Vec<Tracked>, StageError>
    where
        D: FaceDetector,
        L: LandmarkDetector,
        A: FaceAligner,
        U: AuDetector,
    {
        self.forget(time);
        let mut seen = self.follow(reader, photo, time);
        self.part(&mut seen, time);
        self.check(reader, photo, &mut seen, time)?;
        let mut tracked = self.keep(seen, photo, time);
        if self.must_search(time) {
            self.searched = time;
            let boxes = reader.boxes(photo)?;
            let new = self.unknown(&boxes);
            let placed = reader.place(photo, &new);
            tracked.extend(self.welcome(&new, placed, time));
        }
        tracked.sort_by_key(|face| face.person);
        Ok(tracked)
    }

    /// Gives up the numbers of people who were gone too long.
    fn forget(&mut self, time: f64) {
        let memory = self.options.memory;
        self.people
            .retain(|p| p.in_sight || time - p.seen <= memory);
    }

    /// Looks for everybody in sight where they should be.
    fn follow<D, L, A, U>(
        &mut self,
        reader: &FaceReader<D, L, A, U>,
        photo: &Photo,
        time: f64,
    ) -> Vec<Candidate>
    where
        D: FaceDetector,
        L: LandmarkDetector,
        A: FaceAligner,
        U: AuDetector,
    {
        let followed: Vec<_> = (0..self.people.len())
            .filter(|&i| self.people[i].in_sight)
            .collect();
        let place = |&i: &usize| self.people[i].face_box(&self.people[i].expected(time));
        let boxes: Vec<_> = followed.iter().map(place).collect();
        let faces = followed.into_iter().zip(reader.place(photo, &boxes));
        let mut seen = Vec::new();
        for (person, face) in faces {
            let candidate = face.ok().and_then(|face| {
                let sighting = Sighting::of(&face)?;
                Some(Candidate {
                    person,
                    sighting,
                    face,
                })
            });
            let within = |c: &Candidate| holds(photo, c.sighting.bounds.center);
            match candidate.filter(within) {
                Some(candidate) => seen.push(candidate),
                None => self.lose(person),
            }
        }
        seen
    }

    /// Of two people in one place, the one who looks less like before is hidden.
    fn part(&mut self, seen: &mut Vec<Candidate>, time: f64) {
        loop {
            let Some(hidden) = self.hidden(seen, time) else {
                return;
            };
            let candidate = seen.remove(hidden);
            self.lose(candidate.person);
        }
    }

    /// Somebody is out of sight.
    fn lose(&mut self, at: usize) {
        let place = self.people[at].bounds;
        let covers = |(other, person): (usize, &Person)| {
            other != at && person.in_sight && person.bounds.is_close(&place)
        };
        let covered = self.people.iter().enumerate().any(covers);
        let person = &mut self.people[at];
        (person.in_sight, person.covered) = (false, covered);
    }

    fn hidden(&self, seen: &[Candidate], time: f64) -> Option<usize> {
        for (b, second) in seen.iter().enumerate() {
            for (a, first) in seen[..b].iter().enumerate() {
                if first.sighting.bounds.overlap(&second.sighting.bounds) > HIDDEN {
                    let first_is_hidden = self.credit(first, time) < self.credit(second, time);
                    return Some(if first_is_hidden { a } else { b });
                }
            }
        }
        None
    }

    /// How sure it is whose face this is: its likeness, less the way in sides of the face from where
    /// it should be, since landmarks that lose a covered face jump to the one before it.
    fn credit(&self, candidate: &Candidate, time: f64) -> f32 {
        let person = &self.people[candidate.person];
        let bounds = &candidate.sighting.bounds;
        let way = person.expected(time).center.distance(bounds.center) / bounds.side;
        self.likeness(candidate) - way.min(1.0)
    }

    fn likeness(&self, candidate: &Candidate) -> f32 {
        let person = &self.people[candidate.person];
        person.looks.likeness_inside(&candidate.sighting.appearance)
    }

    /// Asks the detector about faces in doubt, and about all of them now and then.
    fn check<D, L, A, U>(
        &mut self,
        reader: &FaceReader<D, L, A, U>,
        photo: &Photo,
        seen: &mut Vec<Candidate>,
        time: f64,
    ) -> Result<(), StageError>
    where
        D: FaceDetector,
        L: LandmarkDetector,
        A: FaceAligner,
        U: AuDetector,
    {
        let due = time - self.checked >= self.options.check;
        if due {
            self.checked = time;
        }
        let mut kept = Vec::new();
        for candidate in seen.drain(..) {
            let doubtful = self.doubtful(&candidate);
            if !due && !doubtful {
                kept.push(candidate);
                continue;
            }
            let found = is_face(reader, photo, &candidate.face.face_box)?;
            let person = &mut self.people[candidate.person];
            person.missed = if found { 0 } else { person.missed + 1 };
            // Turned heads are followed where the detector is blind, as long as they look alike.
            let patience = if doubtful { 1 } else { MISSES };
            if person.missed < patience {
                kept.push(candidate);
            } else {
                self.lose(candidate.person);
            }
        }
        *seen = kept;
        Ok(())
    }

    fn doubtful(&self, candidate: &Candidate) -> bool {
        let grown = candidate.sighting.bounds.side / self.people[candidate.person].bounds.side;
        !(0.75..1.35).contains(&grown) || self.likeness(candidate) < self.options.doubt
    }

    /// Follows the faces that are left.
    fn keep(&mut self, seen: Vec<Candidate>, photo: &Photo, time: f64) -> Vec<Tracked> {
        let places: Vec<_> = seen.iter().map(|c| c.sighting.bounds).collect();
        let keep = |(own, mut candidate): (usize, Candidate)| {
            let bounds = candidate.sighting.bounds;
            let close = |(at, other): (usize, &Square)| at != own && bounds.is_close(other);
            let alone = !places.iter().enumerate().any(close);
            let person = &mut self.people[candidate.person];
            person.follow(&candidate.sighting, time, alone);
            let face_box = person.face_box(&candidate.sighting.bounds);
            candidate.face.face_box = face_box.clipped(photo.width(), photo.height());
            Tracked {
                person: person.number,
                face: Ok(candidate.face),
            }
        };
        seen.into_iter().enumerate().map(keep).collect()
    }

    fn must_search(&self, time: f64) -> bool {
        let recently = |p: &Person| !p.in_sight && time - p.seen <= 2.0;
        let nobody = !self.people.iter().any(|p| p.in_sight);
        let lost = nobody || self.people.iter().any(recently);
        let TrackOptions {
            search,
            search_lost,
            ..
        } = self.options;
        time - self.searched >= if lost { search_lost } else { search }
    }

    /// The found boxes that nobody in sight explains.
    fn unknown(&self, boxes: &[FaceBox]) -> Vec<FaceBox> {
        let in_sight: Vec<_> = self.people.iter().filter(|p| p.in_sight).collect();
        let known = |found: &&FaceBox| {
            let found = Square::of(found);
            let covers = |p: &&Person| Square::of(&p.face_box(&p.bounds)).overlap(&found) >= SAME;
            in_sight.iter().any(covers)
        };
        boxes
            .iter()
            .filter(|found| !known(found))
            .copied()
            .collect()
    }

    /// People who are back or new.
    fn welcome(
        &mut self,
        boxes: &[FaceBox],
        placed: Vec<Result<PlacedFace, UnreadFace>>,
        time: f64,
    ) -> Vec<Tracked> {
        let mut tracked = Vec::new();
        for (found, face) in boxes.iter().zip(placed) {
            // A face that cannot be placed is no person to follow; it may do better next time.
            let Some((face, sighting)) = face.ok().and_then(|face| {
                let sighting = Sighting::of(&face)?;
                Some((face, sighting))
            }) else {
                continue;
            };
            let person = self.person_of(found, sighting, time);
            tracked.push(Tracked {
                person,
                face: Ok(face),
            });
        }
        tracked
    }

    /// The number of a found face: that of somebody out of sight, or a new one.
    fn person_of(&mut self, found: &FaceBox, sighting: Sighting, time: f64) -> u32 {
        if let Some(at) = self.lost_person(&sighting, time) {
            let person = &mut self.people[at];
            person.returns(found, &sighting, time);
            return person.number;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.people.push(Person::new(number, found, sighting, time));
        number
    }

    /// The place of the person out of sight who can have come there and looks most like a face:
    /// enough to be the same, or, of somebody just lost, clearly more than everybody else. Whoever
    /// went behind somebody is expected to come out again, at first half covered.
    fn lost_person(&self, sighting: &Sighting, time: f64) -> Option<usize> {
        let likeness = |p: &Person| p.looks.likeness(&sighting.appearance);
        let may_be = |p: &Person| !p.in_sight && reachable(p, &sighting.bounds, time);
        let candidates = (0..self.people.len()).filter(|&at| may_be(&self.people[at]));
        let best = candidates
            .max_by(|&a, &b| likeness(&self.people[a]).total_cmp(&likeness(&self.people[b])))?;
        let person = &self.people[best];
        let others = self.people.iter().filter(|p| p.number != person.number);
        let next = others.map(likeness).fold(f32::NEG_INFINITY, f32::max);
        let TrackOptions {
            same,
            near,
            recent,
            behind,
            ..
        } = self.options;
        let like = likeness(person);
        let clear = time - person.seen <= recent && like >= near && like >= next + CLEARLY;
        let behind = person.covered && like >= behind;
        (like >= same || clear || behind).then_some(best)
    }
}

/// How much more alike somebody just lost must be than everybody else.
const CLEARLY: f32 = 0.15;

/// Looks in a row that may miss a face that looks as before.
const MISSES: u32 = 4;

/// Whether somebody out of sight can have come to a place: two sides of the face a second, at
/// least one and a half, and about as large as before.
fn reachable(person: &Person, place: &Square, time: f64) -> bool {
    let side = person.bounds.side;
    let way = person.expected(time).center.distance(place.center) / side;
    let size = place.side / side;
    way <= 1.5 + 2.0 * (time - person.seen) as f32 && (0.5..2.0).contains(&size)
}

fn holds(photo: &Photo, point: Point) -> bool {
    (0.0..photo.width() as f32).contains(&point.x)
        && (0.0..photo.height() as f32).contains(&point.y)
}

/// Whether the detector finds a face about where one should be, looking only there.
fn is_face<D: FaceDetector, L, A, U>(
    reader: &FaceReader<D, L, A, U>,
    photo: &Photo,
    face_box: &FaceBox,
) -> Result<bool, StageError> {
    let place = Square::of(face_box);
    let scale = CLOSE_EXTENT * place.side / CLOSE_SIDE as f32;
    let half = CLOSE_SIDE as f32 / 2.0 * scale;
    let to_photo = Similarity {
        a: scale,
        b: 0.0,
        tx: place.center.x - half,
        ty: place.center.y - half,
    };
    let close = warp(photo, &to_photo, CLOSE_SIDE);
    let middle = CLOSE_SIDE as f32 / 2.0;
    let expected = Square {
        center: Point::new(middle, middle),
        side: place.side / scale,
    };
    let found = reader.boxes(&close)?;
    Ok(found
        .iter()
        .any(|found| Square::of(found).overlap(&expected) >= SAME))
}
