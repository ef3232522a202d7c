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
        let grey = grey_at(photo, width, height);
        let found = self
            .search(&grey, width, height)
            .map_err(|error| error.at(Stage::Detection))?;
        let (sx, sy) = (
            photo.width() as f32 / width as f32,
            photo.height() as f32 / height as f32,
        );
        let mut boxes: Vec<FaceBox> = found
            .into_iter()
            .map(|face| FaceBox {
                x: face.bbox().x() as f32 * sx,
                y: face.bbox().y() as f32 * sy,
                width: face.bbox().width() as f32 * sx,
                height: face.bbox().height() as f32 * sy,
                score: face.score() as f32,
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

/// The photo at another size; `None` where that is its own size.
fn resized(photo: &Photo, width: u32, height: u32) -> Option<Image<'static>> {
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
