//! Reading the photos of requests that were taken together.
//!
//! Their faces are looked for photo by photo, on all threads at once; landmarks and units are read
//! from those of all photos together.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use expllm::reports::{FaceReport, PhotoReport};
use expllm_core::{FaceBox, FaceOutcome, Photo};
use tokio::sync::oneshot;

use crate::App;
use crate::analysis::Analysis;
use crate::error::Refusal;
use crate::photo::decode;
use crate::queue::{Going, Size, Taken, Turn, Until, Waiter, Waiting};

/// Faces that are read in one step, at the end of which work can end.
const STEP: usize = 8;
/// How long photos whose faces are found wait for the others that were taken with them.
const HOLD: Duration = Duration::from_millis(100);

/// A photo to be read.
#[derive(Debug)]
pub(crate) struct Asked {
    pub bytes: Vec<u8>,
    pub until: Until,
    /// Whether its faces will be explained.
    pub explained: bool,
}

/// A photo that waits to be read.
pub(crate) struct Unread {
    bytes: Vec<u8>,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<Analysis, Refusal>>;

impl App {
    /// Reads a photo when a worker is free, together with others that wait: refused at once when
    /// too many do, and when the time is over. Ends early when what comes with it is dropped.
    pub(crate) async fn read(&self, asked: Asked) -> Result<(Analysis, Waiting), Refusal> {
        let (until, size) = (asked.until, self.size(&asked));
        let going = Going::new(until);
        let waiting = going.waiting();
        let (answer, read) = oneshot::channel();
        let bytes = asked.bytes;
        let job = Unread { bytes, answer };
        let taken = self.queue().turn(Waiter { job, going, size }).await?;
        if !taken.is_empty() {
            let app = self.clone();
            tokio::task::spawn_blocking(move || read_together(&app, taken));
        }
        match tokio::time::timeout_at(until.0, read).await {
            Ok(Ok(read)) => Ok((read?, waiting)),
            Ok(Err(_)) => Err(Refusal::internal("the work on the photo broke off")),
            Err(_) => Err(Refusal::overdue()),
        }
    }

    fn size(&self, asked: &Asked) -> Size {
        Size {
            // What has no size cannot be decoded.
            pixels: self.photos().pixels(&asked.bytes).unwrap_or(0),
            one_by_one: asked.explained && !self.explainer().in_parallel(),
        }
    }
}

/// Reads photos and answers each as soon as it is read.
fn read_together(app: &App, taken: Vec<Taken<Unread>>) {
    let (sender, found) = channel();
    app.metrics().batch();
    rayon::in_place_scope(|scope| {
        for taken in taken {
            let sender = sender.clone();
            scope.spawn(move |_| {
                if let Some(found) = Found::of(app, taken) {
                    // Where nobody hears of it, the reading has broken off.
                    let _ = sender.send(found);
                }
            });
        }
        drop(sender);
        read_found(app, &found);
    });
}

/// Reads the faces of photos as these come.
fn read_found(app: &App, coming: &Receiver<Found>) {
    let mut open = Vec::new();
    while gather(coming, &mut open) {
        read_step(app, &mut open);
        let unread = |found: Found| found.unread(app);
        open = open.into_iter().filter_map(unread).collect();
    }
}

/// Adds the photos whose faces are found; where there are none to go on with, the next ones are
/// waited for. False at the end.
fn gather(coming: &Receiver<Found>, open: &mut Vec<Found>) -> bool {
    if open.is_empty() {
        let Ok(first) = coming.recv() else {
            return false;
        };
        open.push(first);
        let end = Instant::now() + HOLD;
        while let Ok(found) = coming.recv_timeout(end.saturating_duration_since(Instant::now())) {
            open.push(found);
        }
    }
    open.extend(coming.try_iter());
    true
}

/// Reads the next faces of every photo.
fn read_step(app: &App, open: &mut [Found]) {
    let share = (STEP / open.len()).max(1);
    let reader = app.reader();
    let next: Vec<_> = open.iter().map(|found| found.next(share)).collect();
    let placed = reader.place_photos(&next);
    let counts: Vec<_> = open.iter().zip(&placed).map(going_on).collect();
    let placed = placed.into_iter().zip(&counts);
    let placed = placed.flat_map(|(faces, &count)| faces.into_iter().take(count));
    let mut faces = reader.read_placed(placed.collect()).into_iter();
    for (found, count) in open.iter_mut().zip(counts) {
        faces.by_ref().take(count).for_each(|face| found.add(face));
    }
}

/// How many of the faces just placed are to be read: none of who has gone meanwhile.
fn going_on<T>((found, placed): (&Found, &Vec<T>)) -> usize {
    match found.turn.going().check() {
        Ok(()) => placed.len(),
        Err(_) => 0,
    }
}

/// A photo whose faces are found and not all read.
struct Found {
    photo: Photo,
    boxes: Vec<FaceBox>,
    /// What was read from the first faces.
    report: PhotoReport,
    /// Faces that were looked at.
    seen: usize,
    turn: Turn,
    answer: Answer,
}

impl Found {
    /// Finds the faces of a photo; who is refused is answered.
    fn of(app: &App, Taken { job, turn }: Taken<Unread>) -> Option<Self> {
        let Unread { bytes, answer } = job;
        let found = match found(app, &bytes, turn.going()) {
            Ok((photo, boxes)) => Self {
                photo,
                boxes,
                report: PhotoReport {
                    file: "photo".to_owned(),
                    faces: Vec::new(),
                    error: None,
                },
                seen: 0,
                turn,
                answer,
            },
            Err(refusal) => {
                // The worker is free before the client hears of it.
                drop(turn);
                let _ = answer.send(Err(refusal));
                return None;
            }
        };
        found.unread(app)
    }

    /// The photo if faces are left; answers where none is, and where the work has ended.
    fn unread(self, app: &App) -> Option<Self> {
        if let Err(refusal) = self.turn.going().check() {
            // Where the client has gone, nobody hears it.
            let _ = self.answer.send(Err(refusal));
            return None;
        }
        if self.seen < self.boxes.len() {
            return Some(self);
        }
        app.metrics().read(self.boxes.len());
        let analysis = Analysis::new(app.clone(), (self.photo, self.report), self.turn);
        let _ = self.answer.send(Ok(analysis));
        None
    }

    /// The next faces, at most so many.
    fn next(&self, most: usize) -> (&Photo, &[FaceBox]) {
        let left = &self.boxes[self.seen..];
        (&self.photo, &left[..most.min(left.len())])
    }

    fn add(&mut self, face: FaceOutcome) {
        self.seen += 1;
        match face {
            Ok(face) => self.report.faces.push(FaceReport {
                face,
                explanation: None,
                picture: None,
            }),
            Err(unread) => (self.report).fails(format!("face {}: {unread}", self.seen)),
        }
    }
}

/// A photo and where its faces are.
fn found(app: &App, bytes: &[u8], going: &Going) -> Result<(Photo, Vec<FaceBox>), Refusal> {
    going.check()?;
    let photo = decode(app, bytes)?;
    let go_on = || going.check().is_ok();
    let boxes = app.reader().boxes_while(&photo, &go_on);
    let boxes = boxes.map_err(|e| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, e.to_string()))?;
    // Says why, where the search was broken off.
    going.check()?;
    Ok((photo, boxes.unwrap_or_default()))
}
