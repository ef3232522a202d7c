//! The network as a stage of the pipeline.

use burn::module::Module;
use burn::store::{FloatCastAdapter, ModuleSnapshot, SafetensorsStore};
use burn::tensor::{DType, Device, Tensor};
use expllm_core::{
    Degrees, FaceBox, HeadPose, LANDMARK_COUNT, LandmarkDetector, Landmarks, Photo, PhotoFaces,
    Point, Similarity, Stage, StageError,
};

use super::network::{ANGLE_UNIT, LandmarkNetwork, LandmarkNetworkConfig, face_crop, square};
use crate::backbone::{Backbone, Features};
use crate::detect::roll;
use crate::error::FaceError;
use crate::grey::{GreyImage, standardise};

/// Weights that the project trained; see `MODEL_CARD.md` beside them.
static WEIGHTS: &[u8] = include_bytes!("../../weights/landmarks.safetensors");

/// Faces per run of the network; bounds memory on photos of crowds.
const BATCH: usize = 32;

/// How a crop is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Look {
    /// As it is: good enough to find the crop of the next look.
    Plain,
    /// As it is and in the mirror; what is found is averaged.
    Mirrored,
}

/// A part of an image, and where it lies.
#[derive(Debug, Clone, Copy)]
struct Crop<'a> {
    image: &'a GreyImage,
    to_image: Similarity,
}

/// Side of the first crop, as a multiple of the box's longer side.
const BOX_MARGIN: f32 = 1.15;

/// Finds 68 landmarks and the head pose with a [`LandmarkNetwork`].
///
/// Each face is looked at twice: a wide look finds the crop for a close one, which is also taken
/// in the mirror.
#[derive(Debug, Clone)]
pub struct LandmarkNet {
    network: LandmarkNetwork,
    features: Features,
    side: usize,
}

impl LandmarkNet {
    /// The network with the weights that are part of this crate.
    ///
    /// # Errors
    ///
    /// [`FaceError::Weights`] when the embedded file does not fit the network.
    pub fn pretrained(device: &Device) -> Result<Self, FaceError> {
        let config = LandmarkNetworkConfig::new();
        let mut network = config.init(device);
        load_weights(&mut network, WEIGHTS, "landmarks.safetensors")?;
        Ok(Self::new(network, &config, device))
    }

    /// A detector around any network of this kind, moved to `device`.
    #[must_use]
    pub fn new(network: LandmarkNetwork, config: &LandmarkNetworkConfig, device: &Device) -> Self {
        let network = network.valid().to_device(device);
        let width = config.backbone.features();
        Self {
            features: Features::new(network.backbone(), width, device),
            network,
            side: config.side,
        }
    }

    /// The convolutional part of the network, a good start for other networks of faces.
    #[must_use]
    pub fn backbone(&self) -> &Backbone {
        self.network.backbone()
    }

    /// Landmarks in pixels of the image for each crop.
    fn look(&self, crops: &[Crop<'_>], how: Look) -> Result<Vec<Landmarks>, FaceError> {
        let mut found = Vec::with_capacity(crops.len());
        for batch in crops.chunks(BATCH) {
            let mut pixels = Vec::with_capacity(batch.len() * self.side * self.side);
            for crop in batch {
                let mut face = crop.image.crop(&crop.to_image, self.side);
                standardise(&mut face);
                pixels.extend(face);
            }
            let seen = match how {
                Look::Plain => self.read(self.features.of(pixels, self.side))?,
                Look::Mirrored => {
                    let both = self.read(self.features.with_mirrored(pixels, self.side))?;
                    let (plain, mirrored) = both.split_at(batch.len());
                    let pairs = plain.iter().zip(mirrored);
                    pairs
                        .map(|(a, b)| mean(a, &b.mirrored(self.side as f32)))
                        .collect()
                }
            };
            let seen = batch.iter().zip(&seen);
            found.extend(seen.map(|(crop, l)| on_photo(&crop.to_image, l)));
        }
        Ok(found)
    }

    /// Landmarks of faces in pixels of their crops, from their features.
    fn read(&self, features: Tensor<2>) -> Result<Vec<Landmarks>, FaceError> {
        let rows: Vec<f32> = self
            .network
            .decode(features)
            .into_data()
            .convert::<f32>()
            .try_to_vec()
            .map_err(FaceError::tensor)?;
        Ok(rows
            .chunks(super::OUTPUTS)
            .map(|row| in_crop(row, self.side))
            .collect())
    }

    /// Landmarks of the faces of all photos, one after the other.
    fn locate(&self, photos: &[PhotoFaces<'_>]) -> Result<Vec<Landmarks>, FaceError> {
        let images: Vec<_> = photos
            .iter()
            .map(|(photo, _)| GreyImage::from_photo(photo))
            .collect();
        let faces = images.iter().zip(photos);
        let faces = faces.flat_map(|(image, (_, boxes))| boxes.iter().map(move |b| (image, b)));
        let mut crops: Vec<_> = faces
            .map(|(image, face)| Crop {
                image,
                to_image: wide(face, self.side),
            })
            .collect();
        let seen = self.look(&crops, Look::Plain)?;
        for (crop, seen) in crops.iter_mut().zip(&seen) {
            crop.to_image = face_crop(&seen.points, self.side);
        }
        self.look(&crops, Look::Mirrored)
    }
}

/// The first crop of a face, to the photo.
fn wide(face: &FaceBox, side: usize) -> Similarity {
    let extent = face.width.max(face.height).max(1.0) * BOX_MARGIN;
    square(face.center(), extent, upright(face), side)
}

/// Cosine and sine of the angle by which a face is turned, where its detector saw its points.
fn upright(face: &FaceBox) -> (f32, f32) {
    let angle = face.points.as_ref().map_or(0.0, roll).to_radians();
    (angle.cos(), angle.sin())
}

impl LandmarkDetector for LandmarkNet {
    fn landmarks(&self, photo: &Photo, boxes: &[FaceBox]) -> Result<Vec<Landmarks>, StageError> {
        self.locate(&[(photo, boxes)])
            .map_err(|error| StageError::new(Stage::Landmarks, error))
    }

    fn landmarks_of_photos(
        &self,
        photos: &[PhotoFaces<'_>],
    ) -> Result<Vec<Vec<Landmarks>>, StageError> {
        let found = self.locate(photos);
        let found = found.map_err(|error| StageError::new(Stage::Landmarks, error))?;
        let mut found = found.into_iter();
        let of_photo = |(_, boxes): &PhotoFaces<'_>| found.by_ref().take(boxes.len()).collect();
        Ok(photos.iter().map(of_photo).collect())
    }
}

/// One row of network outputs as landmarks in pixels of the crop.
fn in_crop(row: &[f32], side: usize) -> Landmarks {
    let at = |i: usize| (row[i] + 0.5) * side as f32;
    let angle = |i: usize| Degrees(row[2 * LANDMARK_COUNT + i] * ANGLE_UNIT);
    Landmarks {
        points: std::array::from_fn(|i| Point::new(at(2 * i), at(2 * i + 1))),
        head_pose: Some(HeadPose {
            pitch: angle(0),
            yaw: angle(1),
            roll: angle(2),
        }),
    }
}

/// Landmarks of a crop in pixels of the photo.
fn on_photo(crop: &Similarity, seen: &Landmarks) -> Landmarks {
    let mut head_pose = seen.head_pose;
    // The network sees the roll within its crop; the crop itself is turned.
    if let Some(pose) = &mut head_pose {
        pose.roll.0 += crop.b.atan2(crop.a).to_degrees();
    }
    Landmarks {
        points: seen.points.map(|p| crop.apply(p)),
        head_pose,
    }
}

/// Halfway between two findings.
fn mean(a: &Landmarks, b: &Landmarks) -> Landmarks {
    let angle = |a: Degrees, b: Degrees| Degrees((a.0 + b.0) / 2.0);
    let turned = |(p, q): (HeadPose, HeadPose)| HeadPose {
        pitch: angle(p.pitch, q.pitch),
        yaw: angle(p.yaw, q.yaw),
        roll: angle(p.roll, q.roll),
    };
    Landmarks {
        points: std::array::from_fn(|i| Point::mean(&[a.points[i], b.points[i]])),
        head_pose: a.head_pose.zip(b.head_pose).map(turned),
    }
}

/// Fills a network from an f16 (or f32) safetensors file in memory; every tensor must be there.
///
/// # Errors
///
/// [`FaceError::Weights`] naming the file and what does not fit.
pub fn load_weights<M: ModuleSnapshot>(
    network: &mut M,
    bytes: &[u8],
    file: &'static str,
) -> Result<(), FaceError> {
    let mut store = SafetensorsStore::from_bytes(Some(bytes.to_vec()))
        .with_from_adapter(FloatCastAdapter::to(DType::F32));
    let failed = |reason: String| FaceError::Weights { file, reason };
    let result = network
        .load_from(&mut store)
        .map_err(|e| failed(e.to_string()))?;
    if result.is_success() {
        Ok(())
    } else {
        Err(failed(result.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::device::default_device;

    #[test]
    fn a_mirrored_photo_gives_mirrored_landmarks() {
        const SIDE: u32 = 96;
        let side = NonZeroU32::new(SIDE).unwrap();
        let photo = Photo::from_fn(side, side, |x, y| [((x * x + 3 * y * y) % 251) as u8; 3]);
        let net = LandmarkNet::pretrained(&default_device()).unwrap();
        let middle = SIDE as f32 / 2.0;
        let to_image = square(Point::new(middle, middle), 80.0, (1.0, 0.0), net.side);
        let look = |photo: &Photo| {
            let image = &GreyImage::from_photo(photo);
            let crop = Crop { image, to_image };
            net.look(&[crop], Look::Mirrored).unwrap().remove(0)
        };
        let (plain, back) = (look(&photo), look(&photo.mirrored()).mirrored(SIDE as f32));
        for (a, b) in plain.points.iter().zip(&back.points) {
            assert!(a.distance(*b) < 0.05, "{a:?} {b:?}");
        }
        let (a, b) = (plain.head_pose.unwrap(), back.head_pose.unwrap());
        assert!((a.yaw.0 - b.yaw.0).abs() < 0.1 && (a.roll.0 - b.roll.0).abs() < 0.1);
    }
}
