//! Finding faces with the SeetaFace cascade.

use expllm_core::{FaceBox, FaceDetector, Photo, Stage, StageError};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use rustface::{FaceInfo, ImageData, Model};

use crate::FaceError;
use crate::error::contained;

/// The frontal model of SeetaFace; see `model/NOTICE`.
const MODEL: &[u8] = include_bytes!("../model/seeta_fd_frontal_v1.0.bin");

/// Side of the smallest face that the cascade sees, in pixels of the image it is given.
const WINDOW: f32 = 40.0;

/// Grey border put around the searched image, in its pixels.
///
/// Windows do not reach over the edge, so that a face cut by it is easily missed; the test
/// `faces_cut_by_an_edge_are_found` counts how many are not. The border also keeps windows that
/// the cascade shifts inside the image.
const BORDER: u32 = 40;

/// How [`RustfaceDetector`] searches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectorOptions {
    /// Side of the smallest face in pixels of the photo, at least 20; 40 by default.
    pub min_size: u32,
    /// Score from which a face counts, above 0; 3.85 by default. Higher finds fewer false faces
    /// and misses more true ones.
    pub threshold: f64,
    /// Larger photos are searched at this many pixels, 10,000 or more; 700,000 by default. The
    /// smallest face grows with the shrinking.
    pub max_pixels: u32,
}

impl Default for DetectorOptions {
    fn default() -> Self {
        Self {
            min_size: 40,
            threshold: 3.85,
            max_pixels: 700_000,
        }
    }
}

/// Face detection by a funnel-structured cascade (Wu et al. 2017) over an image pyramid of factor
/// 0.8, in steps of four pixels; the model is part of the crate.
///
/// It finds upright faces that look more or less into the camera; scores are sums over merged
/// windows, from the threshold to some hundreds.
///
/// ```
/// use expllm_core::{FaceDetector, Photo};
/// use expllm_face::RustfaceDetector;
///
/// let detector = RustfaceDetector::new()?;
/// let empty = Photo::new(64, 64, vec![128; 3 * 64 * 64])?;
/// assert!(detector.detect(&empty)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RustfaceDetector {
    model: Model,
    options: DetectorOptions,
}

impl std::fmt::Debug for RustfaceDetector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RustfaceDetector")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl RustfaceDetector {
    /// A detector with default options.
    ///
    /// # Errors
    ///
    /// As [`Self::with_options`].
    pub fn new() -> Result<Self, FaceError> {
        Self::with_options(DetectorOptions::default())
    }

    /// A detector with the given options.
    ///
    /// # Errors
    ///
    /// [`FaceError::Setting`] for an option out of its range, [`FaceError::DetectorModel`] if the
    /// embedded model is damaged.
    pub fn with_options(options: DetectorOptions) -> Result<Self, FaceError> {
        let setting = |what, range, value, good: bool| {
            let error = FaceError::Setting { what, range, value };
            if good { Ok(()) } else { Err(error) }
        };
        let DetectorOptions {
            min_size,
            threshold,
            max_pixels,
        } = options;
        let positive = threshold > 0.0 && threshold.is_finite();
        setting(
            "the smallest face",
            "20 pixels or more",
            f64::from(min_size),
            min_size >= 20,
        )?;
        setting("the score threshold", "above 0", threshold, positive)?;
        setting(
            "the pixels searched",
            "10,000 or more",
            f64::from(max_pixels),
            max_pixels >= 10_000,
        )?;
        let model = rustface::read_model(MODEL).map_err(FaceError::DetectorModel)?;
        Ok(Self { model, options })
    }

    /// The options in use.
    #[must_use]
    pub fn options(&self) -> &DetectorOptions {
        &self.options
    }

    /// Size at which a photo is searched.
    fn working_size(&self, photo: &Photo) -> (u32, u32) {
        let (width, height) = (f64::from(photo.width()), f64::from(photo.height()));
        let wanted = f64::from(WINDOW) / f64::from(self.options.min_size);
        let allowed = (f64::from(self.options.max_pixels) / (width * height)).sqrt();
        let scale = wanted.min(allowed);
        let side = |length: f64| ((length * scale).round() as u32).max(1);
        (side(width), side(height))
    }

    fn search(&self, grey: &[u8], width: u32, height: u32) -> Result<Vec<FaceInfo>, FaceError> {
        // The library's detector changes while it works and cannot be shared between threads;
        // a copy of the model takes well under a millisecond.
        let model = self.model.clone();
        let threshold = self.options.threshold;
        contained("the face detector", move || {
            let mut detector = rustface::create_detector_with_model(model);
            detector.set_score_thresh(threshold);
            detector.set_pyramid_scale_factor(0.8);
            detector.set_slide_window_step(4, 4);
            detector.detect(&ImageData::new(grey, width, height))
        })
    }
}

impl FaceDetector for RustfaceDetector {
    fn detect(&self, photo: &Photo) -> Result<Vec<FaceBox>, StageError> {
        let (width, height) = self.working_size(photo);
        let grey = bordered(&grey_at(photo, width, height), width as usize);
        let found = self
            .search(&grey, width + 2 * BORDER, height + 2 * BORDER)
            .map_err(|error| error.at(Stage::Detection))?;
        let (sx, sy) = (
            photo.width() as f32 / width as f32,
            photo.height() as f32 / height as f32,
        );
        let mut boxes: Vec<FaceBox> = found
            .into_iter()
            .map(|face| FaceBox {
                x: (face.bbox().x() as f32 - BORDER as f32) * sx,
                y: (face.bbox().y() as f32 - BORDER as f32) * sy,
                width: face.bbox().width() as f32 * sx,
                height: face.bbox().height() as f32 * sy,
                score: face.score() as f32,
                points: None,
            })
            .collect();
        boxes.sort_by(|a, b| {
            let by_place = (a.y, a.x).partial_cmp(&(b.y, b.x));
            b.area()
                .total_cmp(&a.area())
                .then(by_place.unwrap_or(std::cmp::Ordering::Equal))
        });
        Ok(boxes)
    }
}

/// Brightness (ITU-R BT.601) of a photo at another size.
fn grey_at(photo: &Photo, width: u32, height: u32) -> Vec<u8> {
    let resized = resized(photo, width, height);
    let pixels = resized.as_ref().map_or(photo.pixels(), Image::buffer);
    pixels
        .chunks_exact(3)
        .map(|rgb| {
            let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(u32::from);
            ((77 * r + 150 * g + 29 * b + 128) >> 8) as u8
        })
        .collect()
}

/// The image within a border of middle grey.
fn bordered(grey: &[u8], width: usize) -> Vec<u8> {
    let border = BORDER as usize;
    let outer = width + 2 * border;
    let lines = grey.len() / width.max(1);
    let mut framed = vec![128; outer * (lines + 2 * border)];
    let inner = framed.chunks_exact_mut(outer).skip(border);
    for (to, from) in inner.zip(grey.chunks_exact(width.max(1))) {
        to[border..border + width].copy_from_slice(from);
    }
    framed
}

/// The photo at another size; `None` where that is its own size.
pub(crate) fn resized(photo: &Photo, width: u32, height: u32) -> Option<Image<'static>> {
    if (width, height) == (photo.width(), photo.height()) {
        return None;
    }
    let from = ImageRef::new(
        photo.width(),
        photo.height(),
        photo.pixels(),
        PixelType::U8x3,
    )
    .ok()?;
    let mut to = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&from, &mut to, &options).ok()?;
    Some(to)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::PhotoReader;

    const ASTRONAUT: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/photos/astronaut.png"
    );

    fn astronaut() -> Photo {
        PhotoReader::default().read(ASTRONAUT).unwrap()
    }

    fn part(photo: &Photo, left: i64, top: i64, width: u32, height: u32) -> Photo {
        let side = |n| NonZeroU32::new(n).unwrap();
        Photo::from_fn(side(width), side(height), |x, y| {
            photo.pixel_clamped(left + i64::from(x), top + i64::from(y))
        })
    }

    #[test]
    fn the_astronaut_has_one_face_where_it_is() {
        let found = RustfaceDetector::new()
            .unwrap()
            .detect(&astronaut())
            .unwrap();
        assert_eq!(found.len(), 1);
        let center = found[0].center();
        assert!((center.x - 225.0).abs() < 15.0 && (center.y - 115.0).abs() < 15.0);
        assert!((85.0..125.0).contains(&found[0].width));
    }

    #[test]
    fn faces_cut_by_an_edge_are_found() {
        let (photo, detector) = (astronaut(), RustfaceDetector::new().unwrap());
        let face = detector.detect(&photo).unwrap()[0];
        let (right, bottom) = (face.x + face.width, face.y + face.height);
        let mut found = 0;
        for share in [0.1, 0.2, 0.3] {
            let (dx, dy) = (share * face.width, share * face.height);
            let cuts = [
                part(&photo, (face.x + dx) as i64, 0, 300, 300),
                part(&photo, 0, 0, (right - dx) as u32, 300),
                part(&photo, 50, (face.y + dy) as i64, 300, 300),
                part(&photo, 50, 0, 300, (bottom - dy) as u32),
            ];
            for cut in cuts {
                found += detector.detect(&cut).unwrap().len();
            }
        }
        println!("{found} of 12 cut faces found");
        assert!((10..=12).contains(&found), "{found} of 12");
    }

    #[test]
    fn a_hundred_faces_come_largest_first() {
        let portrait = part(&astronaut(), 150, 40, 150, 150);
        let side = NonZeroU32::new(1500).unwrap();
        let crowd = Photo::from_fn(side, side, |x, y| {
            portrait.pixel_clamped(i64::from(x % 150), i64::from(y % 150))
        });
        let options = DetectorOptions {
            max_pixels: 2_250_000,
            ..DetectorOptions::default()
        };
        let detector = RustfaceDetector::with_options(options).unwrap();
        let found = detector.detect(&crowd).unwrap();
        assert!((98..=102).contains(&found.len()), "{}", found.len());
        assert!(found.windows(2).all(|w| w[0].area() >= w[1].area()));
    }

    #[test]
    fn boxes_stay_in_photo_pixels_when_the_photo_is_shrunk() {
        let photo = astronaut();
        let side = NonZeroU32::new(2048).unwrap();
        let large = Photo::from_fn(side, side, |x, y| {
            photo.pixel_clamped(i64::from(x / 4), i64::from(y / 4))
        });
        let found = RustfaceDetector::new().unwrap().detect(&large).unwrap();
        assert_eq!(found.len(), 1);
        let center = found[0].center();
        assert!((center.x - 900.0).abs() < 60.0 && (center.y - 460.0).abs() < 60.0);
    }

    #[test]
    fn settings_are_checked() {
        let refused = |options| RustfaceDetector::with_options(options).is_err();
        let good = DetectorOptions::default();
        assert!(refused(DetectorOptions {
            min_size: 19,
            ..good
        }));
        assert!(refused(DetectorOptions {
            threshold: f64::NAN,
            ..good
        }));
        assert!(refused(DetectorOptions {
            max_pixels: 9_999,
            ..good
        }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// The library underneath computes with raw pointers: odd sizes must not harm it.
        #[test]
        fn parts_of_any_size_are_searched(
            left in -100i64..400, top in -100i64..400, width in 1u32..260, height in 1u32..260,
        ) {
            let cut = part(&astronaut(), left, top, width, height);
            let found = RustfaceDetector::new().unwrap().detect(&cut).unwrap();
            prop_assert!(found.len() < 10);
        }
    }
}
