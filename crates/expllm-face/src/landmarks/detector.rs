//! The network as a stage of the pipeline.

use burn::module::Module;
use burn::store::{FloatCastAdapter, ModuleSnapshot, SafetensorsStore};
use burn::tensor::{DType, Device, Tensor, TensorData};
use expllm_core::{
    Degrees, FaceBox, HeadPose, LANDMARK_COUNT, LandmarkDetector, Landmarks, Photo, Point,
    Similarity, Stage, StageError,
};

use super::network::{ANGLE_UNIT, LandmarkNetwork, LandmarkNetworkConfig, face_crop, square};
use crate::backbone::Backbone;
use crate::error::FaceError;
use crate::grey::{GreyImage, standardise};

/// Weights that the project trained; see `MODEL_CARD.md` beside them.
static WEIGHTS: &[u8] = include_bytes!("../../weights/landmarks.safetensors");

/// Faces per run of the network; bounds memory on photos of crowds.
const BATCH: usize = 32;

/// Looks at each face twice: the first look finds the crop for the second.
const LOOKS: usize = 2;

/// Side of the first crop, as a multiple of the box's longer side.
const BOX_MARGIN: f32 = 1.15;

/// Finds 68 landmarks and the head pose with a [`LandmarkNetwork`].
#[derive(Debug, Clone)]
pub struct LandmarkNet {
    network: LandmarkNetwork,
    side: usize,
    device: Device,
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

    /// A detector around any network of this kind.
    #[must_use]
    pub fn new(network: LandmarkNetwork, config: &LandmarkNetworkConfig, device: &Device) -> Self {
        Self {
            network: network.valid(),
            side: config.side,
            device: device.clone(),
        }
    }

    /// The convolutional part of the network, a good start for other networks of faces.
    #[must_use]
    pub fn backbone(&self) -> &Backbone {
        self.network.backbone()
    }

    /// Landmarks in pixels of the image for each crop (a transform from crop to image).
    fn look(&self, image: &GreyImage, crops: &[Similarity]) -> Result<Vec<Landmarks>, FaceError> {
        let mut found = Vec::with_capacity(crops.len());
        for batch in crops.chunks(BATCH) {
            let mut values = Vec::with_capacity(batch.len() * self.side * self.side);
            for crop in batch {
                let mut pixels = image.crop(crop, self.side);
                standardise(&mut pixels);
                values.extend(pixels);
            }
            let data = TensorData::new(values, [batch.len(), 1, self.side, self.side]);
            let outputs = self.network.forward(Tensor::from_data(data, &self.device));
            let rows: Vec<f32> = outputs
                .into_data()
                .convert::<f32>()
                .try_to_vec()
                .map_err(FaceError::tensor)?;
            let decoded = batch.iter().zip(rows.chunks(super::OUTPUTS));
            found.extend(decoded.map(|(crop, row)| decode(crop, row, self.side)));
        }
        Ok(found)
    }

    fn locate(&self, photo: &Photo, boxes: &[FaceBox]) -> Result<Vec<Landmarks>, FaceError> {
        let image = GreyImage::from_photo(photo);
        let mut crops: Vec<_> = boxes
            .iter()
            .map(|b| {
                let extent = b.width.max(b.height).max(1.0) * BOX_MARGIN;
                square(b.center(), extent, (1.0, 0.0), self.side)
            })
            .collect();
        let mut found = self.look(&image, &crops)?;
        for _ in 1..LOOKS {
            crops = found
                .iter()
                .map(|l| face_crop(&l.points, self.side))
                .collect();
            found = self.look(&image, &crops)?;
        }
        Ok(found)
    }
}

impl LandmarkDetector for LandmarkNet {
    fn landmarks(&self, photo: &Photo, boxes: &[FaceBox]) -> Result<Vec<Landmarks>, StageError> {
        self.locate(photo, boxes)
            .map_err(|error| StageError::new(Stage::Landmarks, error))
    }
}

/// One row of network outputs as landmarks in pixels of the image.
fn decode(crop: &Similarity, row: &[f32], side: usize) -> Landmarks {
    let side = side as f32;
    let points: [Point; LANDMARK_COUNT] = std::array::from_fn(|i| {
        crop.apply(Point::new(
            (row[2 * i] + 0.5) * side,
            (row[2 * i + 1] + 0.5) * side,
        ))
    });
    let angle = |i: usize| row[2 * LANDMARK_COUNT + i] * ANGLE_UNIT;
    // The network sees the roll within its crop; the crop itself is turned.
    let roll = angle(2) + crop.b.atan2(crop.a).to_degrees();
    let head_pose = HeadPose {
        pitch: Degrees(angle(0)),
        yaw: Degrees(angle(1)),
        roll: Degrees(roll),
    };
    Landmarks { points, head_pose }
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
