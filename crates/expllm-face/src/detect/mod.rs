//! Finding faces.

mod candidate;
mod network;
mod search;
mod view;

use expllm_core::{FaceBox, FaceDetector, GoOn, Photo, StageError};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use candidate::Candidate;
use network::CenterFace;
use search::Search;

pub(crate) use candidate::roll;

use crate::FaceError;

/// Weights of CenterFace; see `DETECTOR_CARD.md` beside them.
static WEIGHTS: &[u8] = include_bytes!("../../weights/centerface.safetensors");

/// How [`CenterFaceDetector`] searches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectorOptions {
    /// Score from which a face counts, 0.05 to 1; 0.5 by default, where half of the boxes are
    /// faces. Higher finds fewer false faces and misses more true ones.
    pub threshold: f32,
    /// Side of the smallest face that is looked for, in pixels of the photo, at least 8; 24 by
    /// default. Smaller ones may be found too.
    pub min_size: u32,
    /// Larger photos are searched at this many pixels, 25,600 or more; 1,300,000 by default. The
    /// smallest face grows with the shrinking.
    pub max_pixels: u32,
}

impl Default for DetectorOptions {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            min_size: 24,
            max_pixels: 1_300_000,
        }
    }
}

impl DetectorOptions {
    fn check(&self) -> Result<(), FaceError> {
        let setting = |what, range, value, good: bool| {
            let error = FaceError::Setting { what, range, value };
            if good { Ok(()) } else { Err(error) }
        };
        let (threshold, size) = (f64::from(self.threshold), f64::from(self.min_size));
        let sound = (0.05..=1.0).contains(&self.threshold);
        setting("the score threshold", "0.05 to 1", threshold, sound)?;
        setting(
            "the smallest face",
            "8 pixels or more",
            size,
            self.min_size >= 8,
        )?;
        let pixels = f64::from(self.max_pixels);
        setting(
            "the pixels searched",
            "25,600 or more",
            pixels,
            self.max_pixels >= 25_600,
        )
    }
}

/// Face detection by CenterFace (Xu, Yan, Sun, Yang, Luo 2019): a coarse look at the whole
/// photo, finer ones where it leaves doubt, and looks at the photo turned by right angles where
/// faces lie on their side or none is found.
///
/// It runs on the processor, on all threads of rayon's pool, whatever device the other networks
/// use; its weights are part of the crate. Boxes hold the points by which a face can be turned
/// upright.
///
/// ```
/// use expllm_core::{FaceDetector, Photo};
/// use expllm_face::CenterFaceDetector;
///
/// let detector = CenterFaceDetector::new()?;
/// let empty = Photo::new(64, 64, vec![128; 3 * 64 * 64])?;
/// assert!(detector.detect(&empty)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CenterFaceDetector {
    network: CenterFace,
    options: DetectorOptions,
}

impl CenterFaceDetector {
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
    /// [`FaceError::Setting`] for an option out of its range, [`FaceError::Weights`] if the
    /// embedded weights are damaged.
    pub fn with_options(options: DetectorOptions) -> Result<Self, FaceError> {
        options.check()?;
        let network = CenterFace::from_bytes(WEIGHTS)?;
        Ok(Self { network, options })
    }

    /// The options in use.
    #[must_use]
    pub fn options(&self) -> &DetectorOptions {
        &self.options
    }
}

impl FaceDetector for CenterFaceDetector {
    fn detect(&self, photo: &Photo) -> Result<Vec<FaceBox>, StageError> {
        Ok(self.detect_while(photo, &|| true)?.unwrap_or_default())
    }

    fn detect_while(
        &self,
        photo: &Photo,
        go_on: &GoOn<'_>,
    ) -> Result<Option<Vec<FaceBox>>, StageError> {
        let search = Search {
            network: &self.network,
            options: &self.options,
            photo,
            go_on,
        };
        let Some(found) = search.run() else {
            return Ok(None);
        };
        let mut boxes: Vec<_> = found.iter().map(Candidate::face_box).collect();
        boxes.retain(|face| face.score >= self.options.threshold);
        boxes.sort_by(|a, b| {
            let by_place = a.y.total_cmp(&b.y).then(a.x.total_cmp(&b.x));
            b.area().total_cmp(&a.area()).then(by_place)
        });
        Ok(Some(boxes))
    }
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
