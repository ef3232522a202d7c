//! The network as a stage of the pipeline.

use burn::module::Module;
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Device, Tensor};
use expllm_core::{
    ActionUnit, AlignedFace, AuDetector, AuReading, AuVector, Expression, ExpressionClassifier,
    ExpressionProbabilities, Similarity, Stage, StageError,
};
use expllm_face::backbone::Features;
use expllm_face::{ALIGNED_SIZE, FaceError, GreyImage, load_weights, standardise};

use crate::{AuNetwork, AuNetworkConfig, Calibration};

/// Weights that the project trained; see `MODEL_CARD.md` beside them.
static WEIGHTS: &[u8] = include_bytes!("../weights/au.safetensors");

/// Faces per run of the network; each is looked at in the mirror as well.
const BATCH: usize = 32;

/// Reads 35 intensities and the expression with an [`AuNetwork`].
///
/// Every face is read twice, as it is and mirrored, and the two readings are averaged: a mirrored
/// face therefore gives the mirrored reading. A [`Calibration`] then makes of each intensity what a
/// person would call it.
#[derive(Debug, Clone)]
pub struct AuNet {
    network: AuNetwork,
    features: Features,
    calibration: Calibration,
    side: usize,
}

impl AuNet {
    /// The network with the weights that are part of this crate.
    ///
    /// # Errors
    ///
    /// [`FaceError::Weights`] when the embedded file does not fit the network.
    pub fn pretrained(device: &Device) -> Result<Self, FaceError> {
        let config = AuNetworkConfig::new();
        let mut network = config.init(device);
        load_weights(&mut network, WEIGHTS, "au.safetensors")?;
        Ok(Self::new(network, &config, device))
    }

    /// A detector around any network of this kind, moved to `device`.
    #[must_use]
    pub fn new(network: AuNetwork, config: &AuNetworkConfig, device: &Device) -> Self {
        let network = network.valid().to_device(device);
        let width = config.backbone.features();
        Self {
            calibration: network.calibration(),
            features: Features::new(network.backbone(), width, device),
            network,
            side: config.side,
        }
    }

    /// The same detector, whose intensities mean this.
    #[must_use]
    pub fn with_calibration(mut self, calibration: Calibration) -> Self {
        self.network = self.network.with_calibration(&calibration);
        self.calibration = calibration;
        self
    }

    /// The network, without gradients.
    #[must_use]
    pub fn network(&self) -> &AuNetwork {
        &self.network
    }

    /// Intensities and expression probabilities of each face.
    fn read(
        &self,
        faces: &[AlignedFace],
    ) -> Result<Vec<(AuVector, ExpressionProbabilities)>, FaceError> {
        let mut readings = Vec::with_capacity(faces.len());
        for batch in faces.chunks(BATCH) {
            readings.extend(self.read_batch(batch)?);
        }
        Ok(readings)
    }

    fn read_batch(
        &self,
        faces: &[AlignedFace],
    ) -> Result<Vec<(AuVector, ExpressionProbabilities)>, FaceError> {
        let n = faces.len();
        let pixels: Vec<f32> = faces
            .iter()
            .flat_map(|face| face_pixels(face, self.side))
            .collect();
        let features = self.features.with_mirrored(pixels, self.side);
        let output = self.network.decode(features);
        let logits = output.expressions;
        let mean = (logits.clone().narrow(0, 0, n) + logits.narrow(0, n, n)) * 0.5;
        let numbers = |t: Tensor<2>| {
            t.into_data()
                .convert::<f32>()
                .try_to_vec::<f32>()
                .map_err(FaceError::tensor)
        };
        let units = numbers(sigmoid(output.units))?;
        let expressions = numbers(softmax(mean, 1))?;
        let (own, mirrored) = units.split_at(n * ActionUnit::COUNT);
        Ok(own
            .chunks_exact(ActionUnit::COUNT)
            .zip(mirrored.chunks_exact(ActionUnit::COUNT))
            .zip(expressions.chunks_exact(Expression::COUNT))
            .map(|((own, mirrored), expression)| {
                let units = ActionUnit::ALL.map(|unit| {
                    let mirrored = mirrored[unit.mirrored().index()];
                    let reading = (own[unit.index()] + mirrored) / 2.0;
                    self.calibration.curve(unit).apply(reading)
                });
                let scores = std::array::from_fn(|i| expression[i]);
                (
                    AuVector::from_clamped(units),
                    ExpressionProbabilities::from_scores(scores),
                )
            })
            .collect())
    }
}

impl AuDetector for AuNet {
    fn crop_side(&self) -> u32 {
        ALIGNED_SIZE
    }

    fn detect_units(&self, faces: &[AlignedFace]) -> Result<Vec<AuReading>, StageError> {
        let readings = self
            .read(faces)
            .map_err(|error| StageError::new(Stage::ActionUnits, error))?;
        Ok(readings
            .into_iter()
            .map(|(action_units, probabilities)| AuReading {
                action_units,
                probabilities: Some(probabilities),
            })
            .collect())
    }
}

impl ExpressionClassifier for AuNet {
    fn classify(&self, faces: &[AlignedFace]) -> Result<Vec<ExpressionProbabilities>, StageError> {
        let readings = self
            .read(faces)
            .map_err(|error| StageError::new(Stage::Expression, error))?;
        Ok(readings
            .into_iter()
            .map(|(_, probabilities)| probabilities)
            .collect())
    }
}

/// The square of an aligned face that the network sees, brows to chin: its left and top edge and
/// its side as shares of the aligned face's side.
const VIEW: [f32; 3] = [0.0625, 0.109_375, 0.875];

/// The transform from the network's crop to the aligned face.
#[must_use]
pub fn face_crop(aligned_side: u32, side: usize) -> Similarity {
    let aligned = aligned_side as f32;
    let [left, top, share] = VIEW;
    Similarity {
        a: aligned * share / side as f32,
        tx: left * aligned,
        ty: top * aligned,
        ..Similarity::IDENTITY
    }
}

fn face_pixels(face: &AlignedFace, side: usize) -> Vec<f32> {
    let grey = GreyImage::from_photo(&face.image);
    let mut pixels = grey.crop(&face_crop(face.image.width(), side), side);
    standardise(&mut pixels);
    pixels
}

#[cfg(test)]
mod tests {
    use expllm_core::Photo;
    use expllm_face::device::default_device;

    use super::*;

    fn face(seed: u32) -> AlignedFace {
        let value = |i: u32| ((i + 7919 * seed).wrapping_mul(2_654_435_761) >> 24) as u8;
        let smooth = |i: u32| value(i / 300) / 2 + value(i % 128) / 2;
        let image = Photo::new(128, 128, (0..3 * 128 * 128).map(smooth).collect()).unwrap();
        AlignedFace {
            image,
            to_photo: Similarity::IDENTITY,
            landmarks: None,
        }
    }

    fn net() -> AuNet {
        AuNet::pretrained(&default_device()).unwrap()
    }

    fn difference(a: &AuReading, b: &AuReading) -> f32 {
        let units = (a.action_units.values().into_iter()).zip(b.action_units.values());
        let labels = |reading: &AuReading| reading.probabilities.unwrap().values();
        let labels = labels(a).into_iter().zip(labels(b));
        units
            .chain(labels)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max)
    }

    #[test]
    fn a_batch_reads_as_its_faces_alone() {
        let faces: Vec<_> = (0..BATCH as u32 + 3).map(face).collect();
        let together = net().detect_units(&faces).unwrap();
        assert_eq!(together.len(), faces.len());
        for (face, reading) in faces.iter().zip(&together).step_by(7) {
            let alone = net().detect_units(std::slice::from_ref(face)).unwrap();
            assert!(difference(&alone[0], reading) < 1e-4);
        }
    }

    #[test]
    fn a_mirrored_face_gives_the_mirrored_reading() {
        let faces = [face(1), face(2)];
        let mirrored = faces.clone().map(|face| face.mirrored(128.0));
        let plain = net().detect_units(&faces).unwrap();
        for (a, mut b) in plain
            .into_iter()
            .zip(net().detect_units(&mirrored).unwrap())
        {
            b.action_units = b.action_units.mirrored();
            assert!(difference(&a, &b) < 1e-3);
        }
    }

    #[test]
    fn readings_differ_between_faces_and_no_face_is_no_reading() {
        let readings = net().detect_units(&[face(1), face(5)]).unwrap();
        assert!(difference(&readings[0], &readings[1]) > 0.0);
        assert!(net().detect_units(&[]).unwrap().is_empty());
    }

    #[test]
    fn weights_of_another_shape_are_refused_by_name() {
        let narrow = expllm_face::backbone::BackboneConfig::new(vec![8], vec![16], vec![1]);
        let config = AuNetworkConfig::new().with_backbone(narrow);
        let mut network = config.init(&default_device());
        let error = load_weights(&mut network, WEIGHTS, "au.safetensors").unwrap_err();
        assert!(error.to_string().contains("au.safetensors"));
        let mut network = AuNetworkConfig::new().init(&default_device());
        assert!(load_weights(&mut network, &WEIGHTS[..1000], "au.safetensors").is_err());
    }
}
