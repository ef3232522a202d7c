//! From frames to what is read of every person in them.

use expllm_core::{
    AuDetector, FaceAligner, FaceDetector, FaceOutcome, FaceReader, LandmarkDetector, Photo,
    PlacedFace, UnreadFace,
};

use crate::VideoError;
use crate::source::{Frame, Frames};
use crate::track::{TrackOptions, Tracker};

/// Frames whose units are read in one run of the network, at most.
const BATCH: usize = 8;
/// Bytes of their pixels, at most, once one frame is held.
const BATCH_BYTES: usize = 32 << 20;

/// What was read of one frame.
#[derive(Debug)]
pub struct FrameReading {
    /// The number of the frame, see [`Frame::number`].
    pub number: u64,
    /// The time of the frame in seconds.
    pub time: f64,
    /// The picture; `None` where it could not be read.
    pub photo: Option<Photo>,
    /// The people in the order of their numbers, each with what was read or why nothing was.
    pub people: Vec<(u32, FaceOutcome)>,
    /// Why the frame as a whole could not be read.
    pub error: Option<String>,
    /// Who was followed after this frame, now and then: with it, [`VideoReader::resume`] goes on
    /// with the next frame as if there had been no end.
    pub tracker: Option<Box<Tracker>>,
}

/// Reads the people of a clip frame by frame, in constant memory.
///
/// The units of a few frames are read at once while the faces of the next are followed.
pub struct VideoReader<'a, D, L, A, U> {
    reader: &'a FaceReader<D, L, A, U>,
    frames: Frames,
    tracker: Tracker,
    /// Frames whose faces are placed and not read.
    placed: Vec<PlacedFrame>,
    /// Frames that are read, the next one last.
    read: Vec<FrameReading>,
    /// What ends the clip early.
    failed: Option<VideoError>,
    begun: bool,
}

/// A frame whose faces are placed.
struct PlacedFrame {
    number: u64,
    time: f64,
    photo: Option<Photo>,
    people: Vec<u32>,
    faces: Vec<Result<PlacedFace, UnreadFace>>,
    error: Option<String>,
    tracker: Option<Box<Tracker>>,
}

impl<D, L, A, U> std::fmt::Debug for VideoReader<'_, D, L, A, U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoReader")
            .field("tracker", &self.tracker)
            .finish_non_exhaustive()
    }
}

impl<'a, D, L, A, U> VideoReader<'a, D, L, A, U>
where
    D: FaceDetector,
    L: LandmarkDetector,
    A: FaceAligner,
    U: AuDetector,
{
    /// A reader of the frames of one clip.
    #[must_use]
    pub fn new(reader: &'a FaceReader<D, L, A, U>, frames: Frames, options: TrackOptions) -> Self {
        Self::resume(reader, frames, Tracker::new(options))
    }

    /// A reader of the other frames of a clip, after those that `tracker` has seen.
    #[must_use]
    pub fn resume(reader: &'a FaceReader<D, L, A, U>, frames: Frames, tracker: Tracker) -> Self {
        Self {
            reader,
            frames,
            tracker,
            placed: Vec::new(),
            read: Vec::new(),
            failed: None,
            begun: false,
        }
    }

    /// Reads the units of the placed frames and places the faces of the next.
    fn advance(&mut self) {
        let waiting = std::mem::take(&mut self.placed);
        let reader = self.reader;
        let (mut read, placed) = rayon::join(|| read_units(reader, waiting), || self.place_batch());
        read.reverse();
        self.read = read;
        self.placed = placed;
    }

    fn place_batch(&mut self) -> Vec<PlacedFrame> {
        let (mut placed, mut bytes) = (Vec::new(), 0);
        while self.failed.is_none() && placed.len() < BATCH && bytes < BATCH_BYTES {
            match self.frames.next() {
                Some(frame) => placed.extend(self.place(frame)),
                None => break,
            }
            let last = placed
                .last()
                .and_then(|frame: &PlacedFrame| frame.photo.as_ref());
            bytes += last.map_or(0, |photo| photo.pixels().len());
        }
        if let Some(last) = placed.last_mut() {
            last.tracker = Some(Box::new(self.tracker.clone()));
        }
        placed
    }

    /// The next frame with its faces; `None` when the clip ends early.
    fn place(&mut self, frame: Result<Frame, VideoError>) -> Option<PlacedFrame> {
        match frame {
            Ok(frame) => Some(self.place_faces(frame)),
            Err(VideoError::Frame {
                number,
                time,
                reason,
            }) => Some(PlacedFrame {
                number,
                time,
                photo: None,
                people: Vec::new(),
                faces: Vec::new(),
                error: Some(reason),
                tracker: None,
            }),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }

    fn place_faces(
        &mut self,
        Frame {
            number,
            time,
            photo,
        }: Frame,
    ) -> PlacedFrame {
        let (tracked, error) = match self.tracker.frame(self.reader, &photo, time) {
            Ok(tracked) => (tracked, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let (people, faces) = tracked.into_iter().map(|t| (t.person, t.face)).unzip();
        PlacedFrame {
            number,
            time,
            photo: Some(photo),
            people,
            faces,
            error,
            tracker: None,
        }
    }
}

impl<D, L, A, U> Iterator for VideoReader<'_, D, L, A, U>
where
    D: FaceDetector,
    L: LandmarkDetector,
    A: FaceAligner,
    U: AuDetector,
{
    type Item = Result<FrameReading, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.begun {
            self.begun = true;
            self.placed = self.place_batch();
        }
        if self.read.is_empty() && !self.placed.is_empty() {
            self.advance();
        }
        match self.read.pop() {
            Some(reading) => Some(Ok(reading)),
            None => self.failed.take().map(Err),
        }
    }
}

/// Reads the units of all faces of a few frames at once.
fn read_units<D, L, A, U>(
    reader: &FaceReader<D, L, A, U>,
    mut frames: Vec<PlacedFrame>,
) -> Vec<FrameReading>
where
    D: FaceDetector,
    L: LandmarkDetector,
    A: FaceAligner,
    U: AuDetector,
{
    let faces = frames
        .iter_mut()
        .flat_map(|frame| std::mem::take(&mut frame.faces))
        .collect();
    let mut outcomes = reader.read_placed(faces).into_iter();
    let reading = |frame: PlacedFrame| FrameReading {
        number: frame.number,
        time: frame.time,
        photo: frame.photo,
        people: frame.people.into_iter().zip(outcomes.by_ref()).collect(),
        error: frame.error,
        tracker: frame.tracker,
    };
    frames.into_iter().map(reading).collect()
}
