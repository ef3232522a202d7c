//! The reading path: the only place where detection, landmarks, alignment and units stand in a row.

use std::fmt;

use crate::{
    AlignedFace, AuDetector, AuReading, AuVector, Confidence, ExplainRequest,
    ExpressionProbabilities, FaceAligner, FaceBox, FaceDetector, GoOn, HeadPose, LandmarkDetector,
    Landmarks, Photo, PhotoFaces, Stage, StageError,
};

/// Reads the faces of a photo, stage by stage.
///
/// Every stage can be replaced by another implementation of its trait, also by a boxed one. A
/// stage that gives too few or too many answers is an error that names the stage. A face that
/// cannot be read is an [`UnreadFace`] with the reason and costs the others nothing.
#[derive(Debug, Clone)]
pub struct FaceReader<
    D = Box<dyn FaceDetector>,
    L = Box<dyn LandmarkDetector>,
    A = Box<dyn FaceAligner>,
    U = Box<dyn AuDetector>,
> {
    /// Finds faces.
    pub detector: D,
    /// Finds landmarks.
    pub landmarks: L,
    /// Turns faces upright.
    pub aligner: A,
    /// Reads action units and expression.
    pub units: U,
}

/// A face that was found and turned upright, and whose units were not read yet.
#[derive(Debug, Clone)]
pub struct PlacedFace {
    /// Where the face is.
    pub face_box: FaceBox,
    /// Landmarks in pixels of the photo; `None` where nobody looked for them.
    pub landmarks: Option<Landmarks>,
    /// The upright cut-out.
    pub aligned: AlignedFace,
    /// How far what is read from it can be trusted.
    pub confidence: Confidence,
}

/// Everything read from one face, as far as it is known.
#[derive(Debug, Clone)]
pub struct FaceReading {
    /// Where the face is.
    pub face_box: FaceBox,
    /// Landmarks in pixels of the photo; `None` where nobody looked for them.
    pub landmarks: Option<Landmarks>,
    /// The upright cut-out that the action units were read from.
    pub aligned: AlignedFace,
    /// Intensities of the units that were measured.
    pub action_units: AuVector,
    /// Probability of each expression.
    pub probabilities: Option<ExpressionProbabilities>,
    /// Rotation of the head in the photo.
    pub head_pose: Option<HeadPose>,
    /// How far the reading can be trusted, by how the face lies in the photo.
    pub confidence: Confidence,
}

/// A face that was found and could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{} x {} pixels at ({}, {}): {source}", .face_box.width.round(), .face_box.height.round(), .face_box.x.round(), .face_box.y.round())]
pub struct UnreadFace {
    /// Where the face is.
    pub face_box: FaceBox,
    /// Why it could not be read.
    pub source: StageError,
}

/// A face of a photo: what was read, or why nothing was.
pub type FaceOutcome = Result<FaceReading, UnreadFace>;

impl<D: FaceDetector, L, A, U> FaceReader<D, L, A, U> {
    /// Finds the faces of a photo, the largest first.
    ///
    /// # Errors
    ///
    /// When detection fails.
    pub fn boxes(&self, photo: &Photo) -> Result<Vec<FaceBox>, StageError> {
        self.detector.detect(photo)
    }

    /// The same as long as `go_on` says so; `None` when the search was broken off.
    ///
    /// # Errors
    ///
    /// When detection fails.
    pub fn boxes_while(
        &self,
        photo: &Photo,
        go_on: &GoOn<'_>,
    ) -> Result<Option<Vec<FaceBox>>, StageError> {
        self.detector.detect_while(photo, go_on)
    }
}

impl<D, L, A, U> FaceReader<D, L, A, U>
where
    D: FaceDetector,
    L: LandmarkDetector,
    A: FaceAligner,
    U: AuDetector,
{
    /// Reads all faces of a photo, the largest first; a photo without faces gives none.
    ///
    /// # Errors
    ///
    /// When detection fails; what fails later is the matter of one face.
    pub fn read(&self, photo: &Photo) -> Result<Vec<FaceOutcome>, StageError> {
        Ok(self.read_boxes(photo, &self.boxes(photo)?))
    }

    /// Reads faces whose boxes are known, in their order.
    pub fn read_boxes(&self, photo: &Photo, boxes: &[FaceBox]) -> Vec<FaceOutcome> {
        self.read_placed(self.place(photo, boxes))
    }

    /// Reads a photo that is the crop of one face.
    ///
    /// # Errors
    ///
    /// The stage that fails.
    pub fn read_crop(&self, photo: &Photo) -> FaceOutcome {
        let face_box = FaceBox::whole(photo.width(), photo.height());
        let unread = |source| UnreadFace { face_box, source };
        let mut faces = self.read_boxes(photo, &[face_box]);
        let none = || Err(unread(StageError::count(Stage::ActionUnits, 1, 0)));
        faces.pop().unwrap_or_else(none)
    }

    /// Turns faces whose boxes are known upright, in their order, at the side that the unit
    /// detector looks at.
    pub fn place(&self, photo: &Photo, boxes: &[FaceBox]) -> Vec<Result<PlacedFace, UnreadFace>> {
        let marks = each(Stage::Landmarks, boxes, &|boxes| {
            self.landmarks.landmarks(photo, boxes)
        });
        self.place_all((photo, boxes), marks)
    }

    /// The same for the faces of several photos, whose landmarks are looked for all at once; a
    /// photo that fails costs the others nothing.
    pub fn place_photos(
        &self,
        photos: &[PhotoFaces<'_>],
    ) -> Vec<Vec<Result<PlacedFace, UnreadFace>>> {
        let marks = each(Stage::Landmarks, photos, &|photos| {
            self.landmarks.landmarks_of_photos(photos)
        });
        let placed = photos.iter().zip(marks).map(|(&(photo, boxes), marks)| {
            match marks.ok().filter(|marks| marks.len() == boxes.len()) {
                Some(marks) => self.place_all((photo, boxes), marks.into_iter().map(Ok).collect()),
                // It may be the matter of one face.
                None => self.place(photo, boxes),
            }
        });
        placed.collect()
    }

    /// Turns faces upright whose landmarks were found, or were not.
    fn place_all(
        &self,
        (photo, boxes): PhotoFaces<'_>,
        marks: Vec<Result<Landmarks, StageError>>,
    ) -> Vec<Result<PlacedFace, UnreadFace>> {
        let placed = marks.into_iter().zip(boxes).map(|(marks, face_box)| {
            // Landmarks are looked for around the whole box; what is shown lies in the photo.
            let face_box = face_box.clipped(photo.width(), photo.height());
            let marks = marks.map_err(|source| UnreadFace { face_box, source })?;
            self.place_marked(photo, face_box, marks)
        });
        placed.collect()
    }

    /// Turns a face whose landmarks are known upright, at the side that the unit detector looks at.
    ///
    /// # Errors
    ///
    /// When the landmarks are degenerate.
    pub fn place_marked(
        &self,
        photo: &Photo,
        face_box: FaceBox,
        landmarks: Landmarks,
    ) -> Result<PlacedFace, UnreadFace> {
        let aligned = self.crop(photo, &landmarks, self.units.crop_side());
        let size = (photo.width(), photo.height());
        Ok(PlacedFace {
            confidence: Confidence::of(&face_box, Some(&landmarks), size),
            face_box,
            landmarks: Some(landmarks),
            aligned: aligned.map_err(|source| UnreadFace { face_box, source })?,
        })
    }

    /// Cuts one face out upright, `side` pixels wide and high; for consumers that look at another
    /// size than the unit detector.
    ///
    /// # Errors
    ///
    /// When the landmarks are degenerate.
    pub fn crop(
        &self,
        photo: &Photo,
        landmarks: &Landmarks,
        side: u32,
    ) -> Result<AlignedFace, StageError> {
        let one = std::slice::from_ref(landmarks);
        let mut faces = self.aligner.align(photo, one, side)?;
        match (faces.len(), faces.pop()) {
            (1, Some(face)) => Ok(face),
            (found, _) => Err(StageError::count(Stage::Alignment, 1, found)),
        }
    }

    /// A request with the pixels at the side that its explainer looks at, cut from the photo; as
    /// it is where the explainer looks at none, or the crop of the reading serves.
    ///
    /// # Errors
    ///
    /// When the landmarks are degenerate.
    pub fn with_pixels(
        &self,
        request: ExplainRequest,
        (photo, face): (&Photo, &FaceReading),
        side: Option<u32>,
    ) -> Result<ExplainRequest, StageError> {
        match (side, &face.landmarks) {
            (Some(side), Some(marks)) if side != face.aligned.image.width() => {
                Ok(request.with_crop(self.crop(photo, marks, side)?))
            }
            _ => Ok(request),
        }
    }

    /// Reads the units of faces that were turned upright, of one photo or of many, in order.
    pub fn read_placed(&self, placed: Vec<Result<PlacedFace, UnreadFace>>) -> Vec<FaceOutcome> {
        let crops: Vec<_> = placed.iter().flatten().map(|p| p.aligned.clone()).collect();
        let units = |crops: &[AlignedFace]| self.units.detect_units(crops);
        let mut readings = each(Stage::ActionUnits, &crops, &units).into_iter();
        let read = |face: Result<PlacedFace, UnreadFace>| {
            let face = face?;
            let face_box = face.face_box;
            let missing = || Err(StageError::count(Stage::ActionUnits, 1, 0));
            match readings.next().unwrap_or_else(missing) {
                Ok(reading) => Ok(FaceReading::new(face, reading)),
                Err(source) => Err(UnreadFace { face_box, source }),
            }
        };
        placed.into_iter().map(read).collect()
    }
}

impl FaceReading {
    /// A placed face with what was read from it.
    #[must_use]
    pub fn new(face: PlacedFace, reading: AuReading) -> Self {
        Self {
            head_pose: face.landmarks.as_ref().and_then(|marks| marks.head_pose),
            face_box: face.face_box,
            landmarks: face.landmarks,
            aligned: face.aligned,
            confidence: face.confidence,
            action_units: reading.action_units,
            probabilities: reading.probabilities,
        }
    }
}

impl fmt::Display for FaceReading {
    /// One line: expression, and the active units from the strongest to the weakest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(probabilities) = &self.probabilities {
            let (expression, probability) = probabilities.ranked()[0];
            write!(f, "{expression} {:.0} %", 100.0 * probability.get())?;
        }
        for (unit, intensity) in self.action_units.active() {
            write!(f, ", {unit} {:.2}", intensity.get())?;
        }
        Ok(())
    }
}

/// A stage over a batch.
type Run<'a, I, T> = dyn Fn(&[I]) -> Result<Vec<T>, StageError> + 'a;

/// Runs a stage over a batch and, where the batch fails, over each entry alone, so that one
/// cannot cost the others; a wrong number of answers fails every entry.
fn each<I, T>(stage: Stage, inputs: &[I], run: &Run<'_, I, T>) -> Vec<Result<T, StageError>> {
    let (asked, alone) = (inputs.len(), inputs.len() == 1);
    match run(inputs) {
        Ok(answers) if answers.len() == asked => answers.into_iter().map(Ok).collect(),
        Ok(answers) => {
            let error = |_| Err(StageError::count(stage, asked, answers.len()));
            inputs.iter().map(error).collect()
        }
        Err(error) if alone => vec![Err(error)],
        Err(_) => (inputs.chunks(1))
            .flat_map(|one| each(stage, one, run))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::{prop_assert_eq, proptest};

    use super::*;
    use crate::{LANDMARK_COUNT, Point, Similarity};

    /// Finds one face per row of a photo; marks a face of width 3 as broken; forgets a face of
    /// width 4 in landmarks.
    struct Stages;

    fn boxed(width: f32) -> FaceBox {
        FaceBox {
            x: 1.0,
            y: 2.0,
            width,
            height: width,
            score: 1.0,
            ..FaceBox::whole(1, 1)
        }
    }

    fn marks(width: f32) -> Landmarks {
        Landmarks {
            points: [Point::new(width, 1.0); LANDMARK_COUNT],
            head_pose: None,
        }
    }

    impl FaceDetector for Stages {
        fn detect(&self, photo: &Photo) -> Result<Vec<FaceBox>, StageError> {
            Ok((0..photo.height()).map(|row| boxed(row as f32)).collect())
        }
    }

    impl LandmarkDetector for Stages {
        fn landmarks(&self, _: &Photo, boxes: &[FaceBox]) -> Result<Vec<Landmarks>, StageError> {
            Ok(boxes
                .iter()
                .filter(|b| b.width != 4.0)
                .map(|b| marks(b.width))
                .collect())
        }
    }

    impl FaceAligner for Stages {
        fn align(
            &self,
            photo: &Photo,
            landmarks: &[Landmarks],
            side: u32,
        ) -> Result<Vec<AlignedFace>, StageError> {
            let one = |marks: &Landmarks| {
                if marks.points[0].x == 3.0 {
                    return Err(StageError::new(Stage::Alignment, "broken"));
                }
                Ok(AlignedFace {
                    image: Photo::new(
                        side,
                        side,
                        vec![photo.height() as u8; 3 * (side * side) as usize],
                    )
                    .map_err(|e| StageError::new(Stage::Alignment, e))?,
                    to_photo: Similarity::IDENTITY,
                    landmarks: Some(marks.clone()),
                })
            };
            landmarks.iter().map(one).collect()
        }
    }

    impl AuDetector for Stages {
        fn crop_side(&self) -> u32 {
            2
        }

        fn detect_units(&self, faces: &[AlignedFace]) -> Result<Vec<AuReading>, StageError> {
            let bad = |face: &AlignedFace| face.landmarks.as_ref().unwrap().points[0].x == 1.0;
            if faces.iter().any(bad) {
                return Err(StageError::new(Stage::ActionUnits, "bad face"));
            }
            Ok(vec![AuReading::default(); faces.len()])
        }
    }

    fn reader() -> FaceReader {
        FaceReader {
            detector: Box::new(Stages),
            landmarks: Box::new(Stages),
            aligner: Box::new(Stages),
            units: Box::new(Stages),
        }
    }

    fn photo(rows: u32) -> Photo {
        Photo::new(20, rows, vec![0; 60 * rows as usize]).unwrap()
    }

    #[test]
    fn one_bad_face_costs_the_others_nothing() {
        let faces = reader().read(&photo(4)).unwrap();
        let failed: Vec<_> = faces
            .iter()
            .map(|f| f.as_ref().err().map(|e| e.source.stage))
            .collect();
        let wanted = [None, Some(Stage::ActionUnits), None, Some(Stage::Alignment)];
        assert_eq!(failed, wanted);
        let reason = faces[3].as_ref().unwrap_err().to_string();
        assert_eq!(reason, "3 x 2 pixels at (1, 2): alignment failed: broken");
        assert_eq!(faces[0].as_ref().unwrap().aligned.image.width(), 2);
    }

    #[test]
    fn a_stage_that_forgets_a_face_is_named() {
        let faces = reader().read(&photo(5)).unwrap();
        assert_eq!(faces.len(), 5);
        for face in faces {
            let error = face.unwrap_err().source;
            assert_eq!(error.stage, Stage::Landmarks);
            assert!(error.to_string().contains("4 answers for 5"), "{error}");
        }
    }

    /// What became of each face: its landmarks, or the stage that failed.
    fn told(placed: &[Result<PlacedFace, UnreadFace>]) -> Vec<Result<Point, Stage>> {
        let one = |face: &Result<PlacedFace, UnreadFace>| match face {
            Ok(face) => Ok(face.landmarks.as_ref().unwrap().points[0]),
            Err(unread) => Err(unread.source.stage),
        };
        placed.iter().map(one).collect()
    }

    proptest! {
        #[test]
        fn faces_of_many_photos_are_placed_as_those_of_one(
            widths in vec(vec(0_u8..7, 0..5), 0..6),
        ) {
            let boxes: Vec<Vec<_>> = widths
                .iter()
                .map(|photo| photo.iter().map(|&width| boxed(f32::from(width))).collect())
                .collect();
            let photo = photo(4);
            let photos: Vec<_> = boxes.iter().map(|boxes| (&photo, &boxes[..])).collect();
            let together = reader().place_photos(&photos);
            prop_assert_eq!(together.len(), photos.len());
            for (placed, boxes) in together.iter().zip(&boxes) {
                prop_assert_eq!(told(placed), told(&reader().place(&photo, boxes)));
            }
        }
    }

    #[test]
    fn detectors_that_cannot_be_broken_off_are_asked_before_they_begin() {
        let found = |go_on: bool| reader().boxes_while(&photo(4), &|| go_on).unwrap();
        assert_eq!(found(true).unwrap().len(), 4);
        assert!(found(false).is_none());
    }

    #[test]
    fn a_crop_is_one_face() {
        // The crop is 7 pixels wide, so none of the faults of these stages meets it.
        let crop = Photo::new(7, 1, vec![0; 21]).unwrap();
        assert_eq!(reader().read_crop(&crop).unwrap().face_box.width, 7.0);
    }
}
