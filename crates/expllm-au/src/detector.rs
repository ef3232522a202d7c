//! The network as a stage of the pipeline.

use burn::module::Module;
use burn::tensor::Device;
use expllm_core::{
    AlignedFace, AuDetector, AuReading, Expression, ExpressionClassifier, ExpressionProbabilities,
    Stage, StageError,
};
use expllm_face::au::face_look;
use expllm_face::backbone::Features;
use expllm_face::{ALIGNED_SIZE, FaceError, load_weights};

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

    /// What is read of each face.
    fn read(&self, faces: &[AlignedFace]) -> Result<Vec<AuReading>, FaceError> {
        let mut readings = Vec::with_capacity(faces.len());
        for batch in faces.chunks(BATCH) {
            let looks = batch
                .iter()
                .flat_map(|face| face_look(&face.image, self.side));
            let features = self.features.with_mirrored(looks.collect(), self.side);
            let output = self.network.decode(features);
            readings.extend(output.readings(&self.calibration)?);
        }
        Ok(readings)
    }
}

impl AuDetector for AuNet {
    fn crop_side(&self) -> u32 {
        ALIGNED_SIZE
    }

    fn detect_units(&self, faces: &[AlignedFace]) -> Result<Vec<AuReading>, StageError> {
        self.read(faces)
            .map_err(|error| StageError::new(Stage::ActionUnits, error))
    }
}

impl ExpressionClassifier for AuNet {
    fn classify(&self, faces: &[AlignedFace]) -> Result<Vec<ExpressionProbabilities>, StageError> {
        let readings = self
            .read(faces)
            .map_err(|error| StageError::new(Stage::Expression, error))?;
        Ok(readings
            .into_iter()
            .map(|reading| reading.probabilities.unwrap_or_else(even))
            .collect())
    }
}

/// Nothing known, which the network never says.
fn even() -> ExpressionProbabilities {
    ExpressionProbabilities::from_scores([1.0; Expression::COUNT])
}

#[cfg(test)]
mod tests {
    use expllm_core::{Photo, Similarity};
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
