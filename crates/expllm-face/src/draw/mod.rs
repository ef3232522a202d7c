//! Drawing what was found on the photo.

mod canvas;

use std::fs::File;
use std::io::Read;
use std::num::NonZeroU32;
use std::path::Path;

use expllm_core::{FaceBox, Landmarks, Photo, Point};

use crate::FaceError;
use crate::detect::resized;
use canvas::{Canvas, Colour, LETTER};

/// What to draw of one face.
#[derive(Debug, Clone, PartialEq)]
pub struct FaceDrawing {
    /// Where the face is, in pixels of the photo.
    pub face_box: FaceBox,
    /// Landmarks in pixels of the photo.
    pub landmarks: Option<Landmarks>,
    /// A short line for the face, such as its expression.
    pub title: String,
    /// Names and values from 0 to 1, drawn as bars below the photo.
    pub bars: Vec<(String, f32)>,
}

/// Narrower photos are enlarged to this width and wider ones shrunk to the other, in pixels.
const WIDTHS: (u32, u32) = (640, 1600);
/// Tall photos are shrunk to this height in pixels.
const MAX_HEIGHT: u32 = 1600;
/// Faces that get bars; a crowd gets boxes and titles only beyond this.
const MAX_PANELS: usize = 24;

const PANEL_WIDTH: u32 = 320;
const LINE: u32 = 16;
const MARGIN: u32 = 12;
const BAR_LEFT: u32 = 216;

const PAPER: Colour = [250, 250, 248];
const INK: Colour = [32, 34, 40];
const TRACK: Colour = [225, 226, 230];
const DOT: Colour = [255, 255, 255];
/// One colour a face, in turn (Okabe and Ito's palette, safe for colour-blind readers).
const COLOURS: [Colour; 6] = [
    [0, 114, 178],
    [213, 94, 0],
    [0, 158, 115],
    [204, 121, 167],
    [230, 159, 0],
    [86, 180, 233],
];

/// Draws boxes, landmarks and titles on the photo and, where any face has some, bars below it.
///
/// The photo is brought to a width of 640 to 1,600 pixels, so that text stays readable and the
/// drawing small. Text is ASCII; other characters become `?`.
#[must_use]
pub fn annotate(photo: &Photo, faces: &[FaceDrawing]) -> Photo {
    let scale = scale_of(photo);
    let side = |length: u32| ((length as f32 * scale).round() as u32).max(1);
    let (width, height) = (side(photo.width()), side(photo.height()));
    let scaled = resized(photo, width, height);
    let pixels = scaled.as_ref().map_or(photo.pixels(), |i| i.buffer());
    let canvas_width = width.max(PANEL_WIDTH);
    let panels = Panels::of(faces, canvas_width);
    let nonzero = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    let mut canvas = Canvas::new(
        nonzero(canvas_width),
        nonzero(height + panels.height()),
        PAPER,
    );
    canvas.paste(pixels, width);
    for (index, face) in faces.iter().enumerate() {
        draw_face(&mut canvas, face, index, scale);
    }
    for (index, face) in faces.iter().take(MAX_PANELS).enumerate() {
        draw_panel(&mut canvas, face, index, panels.corner(index, height));
    }
    canvas.into_photo().unwrap_or_else(|| photo.clone())
}

/// What PNG files of this crate say of where they come from (PNG, section 11.3.3.2).
const SOFTWARE: [&str; 2] = ["Software", "expllm"];

/// Encodes a photo as PNG, with a note by which [`is_drawing`] knows it.
///
/// # Errors
///
/// [`FaceError::Write`] when the encoder refuses.
pub fn encode_png(photo: &Photo) -> Result<Vec<u8>, FaceError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, photo.width(), photo.height());
    encoder.set_color(png::ColorType::Rgb);
    let [key, name] = SOFTWARE.map(str::to_owned);
    let written = encoder
        .add_text_chunk(key, name)
        .and_then(|()| encoder.write_header()?.write_image_data(photo.pixels()));
    written.map_err(FaceError::Write)?;
    Ok(bytes)
}

/// Whether a file is a PNG that [`write_png`] wrote, so that nothing is lost when a new drawing
/// takes its place.
#[must_use]
pub fn is_drawing(path: impl AsRef<Path>) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(128).read_to_end(&mut head));
    let note = SOFTWARE.join("\0");
    read.is_ok() && head.windows(note.len()).any(|part| part == note.as_bytes())
}

/// Writes a photo as a PNG file.
///
/// # Errors
///
/// [`FaceError::InFile`] around [`FaceError::Write`] or [`FaceError::Io`].
pub fn write_png(photo: &Photo, path: impl AsRef<Path>) -> Result<(), FaceError> {
    let path = path.as_ref();
    encode_png(photo)
        .and_then(|bytes| std::fs::write(path, bytes).map_err(FaceError::Io))
        .map_err(|error| error.in_file(path))
}

fn scale_of(photo: &Photo) -> f32 {
    let (width, height) = (photo.width() as f32, photo.height() as f32);
    let wanted = width.clamp(WIDTHS.0 as f32, WIDTHS.1 as f32) / width;
    wanted.min(MAX_HEIGHT as f32 / height)
}

/// The grid of panels below the photo.
struct Panels {
    columns: u32,
    rows: u32,
    panel_height: u32,
}

impl Panels {
    fn of(faces: &[FaceDrawing], width: u32) -> Self {
        let shown = &faces[..faces.len().min(MAX_PANELS)];
        let columns = (width / PANEL_WIDTH).max(1);
        let bars = shown.iter().map(|f| f.bars.len()).max().unwrap_or(0) as u32;
        // Without any bars the titles on the photo say it all.
        let count = if bars > 0 { shown.len() as u32 } else { 0 };
        Self {
            columns,
            rows: count.div_ceil(columns),
            panel_height: 2 * MARGIN + LINE * (bars + 1),
        }
    }

    fn height(&self) -> u32 {
        self.rows * self.panel_height
    }

    fn corner(&self, index: usize, top: u32) -> Point {
        let index = index as u32;
        Point::new(
            (index % self.columns * PANEL_WIDTH + MARGIN) as f32,
            (top + index / self.columns * self.panel_height + MARGIN) as f32,
        )
    }
}

fn draw_face(canvas: &mut Canvas, face: &FaceDrawing, index: usize, scale: f32) {
    let colour = COLOURS[index % COLOURS.len()];
    let place = |p: Point| Point::new(p.x * scale, p.y * scale);
    let b = &face.face_box;
    let (from, to) = (
        place(Point::new(b.x, b.y)),
        place(Point::new(b.x + b.width, b.y + b.height)),
    );
    canvas.frame(from, to, 2.5, colour);
    if let Some(landmarks) = &face.landmarks {
        let size = (landmarks.eye_distance() * scale / 18.0).clamp(1.5, 4.0);
        for p in landmarks.points.map(place) {
            canvas.line(p, p, size + 1.5, colour);
            canvas.line(p, p, size, DOT);
        }
    }
    let label = label(face, index);
    let top = (from.y - LINE as f32).max(0.0);
    let end = Point::new(
        from.x + (label.chars().count() as u32 * LETTER + 8) as f32,
        top + LINE as f32,
    );
    canvas.fill(Point::new(from.x, top), end, colour, 1.0);
    canvas.text(Point::new(from.x + 4.0, top + 4.0), &label, 1, DOT);
}

fn label(face: &FaceDrawing, index: usize) -> String {
    format!("{} {}", index + 1, face.title)
}

fn draw_panel(canvas: &mut Canvas, face: &FaceDrawing, index: usize, corner: Point) {
    let colour = COLOURS[index % COLOURS.len()];
    canvas.text(corner, &label(face, index), 1, colour);
    let bar_width = (PANEL_WIDTH - BAR_LEFT - 2 * MARGIN) as f32;
    for (row, (name, value)) in face.bars.iter().enumerate() {
        let y = corner.y + (LINE * (row as u32 + 1)) as f32;
        let left = corner.x + BAR_LEFT as f32;
        // A name fills at most the room before its bar.
        let name: String = name.chars().take(22).collect();
        canvas.text(Point::new(corner.x, y), &name, 1, INK);
        canvas.text(Point::new(left - 36.0, y), &format!("{value:.2}"), 1, INK);
        let (top, bottom) = (y - 1.0, y + 9.0);
        let end = |share: f32| Point::new(left + bar_width * share, bottom);
        canvas.fill(Point::new(left, top), end(1.0), TRACK, 1.0);
        canvas.fill(
            Point::new(left, top),
            end(value.clamp(0.0, 1.0)),
            colour,
            1.0,
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grey(width: u32, height: u32) -> Photo {
        Photo::new(width, height, vec![90; (3 * width * height) as usize]).unwrap()
    }

    fn face(x: f32, size: f32, value: f32) -> FaceDrawing {
        FaceDrawing {
            face_box: FaceBox {
                x,
                y: 20.0,
                width: size,
                height: size,
                score: 1.0,
                points: None,
            },
            landmarks: None,
            title: "Happiness 93 %".into(),
            bars: vec![("Jaw Drop".into(), value)],
        }
    }

    #[test]
    fn drawings_are_known_and_other_pictures_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, other) = (dir.path().join("a.png"), dir.path().join("b.png"));
        let photo = grey(4, 3);
        write_png(&photo, &ours).unwrap();
        image::RgbImage::new(4, 3).save(&other).unwrap();
        assert!(is_drawing(&ours));
        assert!(!is_drawing(&other) && !is_drawing(dir.path().join("none.png")));
        let read = crate::PhotoReader::default().read(&ours).unwrap();
        assert_eq!(read, photo);
    }

    #[test]
    fn boxes_and_bars_show_and_the_rest_stays() {
        let drawn = annotate(&grey(800, 600), &[face(100.0, 200.0, 0.5)]);
        assert_eq!(drawn.width(), 800);
        assert!(drawn.height() > 600);
        assert_eq!(drawn.pixel_clamped(200, 220), COLOURS[0]);
        assert_eq!(drawn.pixel_clamped(700, 500), [90; 3]);
        let bar_row = i64::from(600 + MARGIN + LINE + 4);
        let left = i64::from(MARGIN + BAR_LEFT);
        assert_eq!(drawn.pixel_clamped(left + 2, bar_row), COLOURS[0]);
        assert_eq!(drawn.pixel_clamped(left + 70, bar_row), TRACK);
    }

    #[test]
    fn without_faces_the_photo_is_all_there_is() {
        assert_eq!(annotate(&grey(700, 30), &[]), grey(700, 30));
        assert!(annotate(&grey(1, 5000), &[]).height() <= MAX_HEIGHT);
    }

    #[test]
    fn png_round_trips() {
        let photo = grey(31, 17);
        let bytes = encode_png(&photo).unwrap();
        assert_eq!(crate::PhotoReader::default().decode(&bytes).unwrap(), photo);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn nothing_that_is_drawn_panics(
            x in prop::num::f32::ANY, size in prop::num::f32::ANY, value in prop::num::f32::ANY,
            width in 1u32..50, height in 1u32..50, count in 0usize..30,
        ) {
            let mut odd = face(x, size, value);
            odd.title = "\u{263a} \n".into();
            let drawn = annotate(&grey(width, height), &vec![odd; count]);
            prop_assert!(drawn.width() >= 1);
        }
    }
}
