//! Features of faces by what is quickest on a device.

use burn::tensor::{Device, Tensor, TensorData};

use super::{Backbone, PackedBackbone};
use crate::device::is_processor;

/// A [`Backbone`] that reads faces, without gradients: packed on a processor, as it is elsewhere.
#[derive(Debug, Clone)]
pub struct Features {
    way: Way,
    width: usize,
    device: Device,
}

#[derive(Debug, Clone)]
enum Way {
    Packed(PackedBackbone),
    Tensors(Backbone),
}

impl Features {
    /// A way for a backbone of `width` features that is on `device`.
    #[must_use]
    pub fn new(backbone: &Backbone, width: usize, device: &Device) -> Self {
        let way = match is_processor(device) {
            true => Way::Packed(PackedBackbone::new(backbone)),
            false => Way::Tensors(backbone.clone()),
        };
        Self {
            way,
            width,
            device: device.clone(),
        }
    }

    /// Features of standardised grey faces, `[faces, side, side]` row by row.
    ///
    /// # Shapes
    ///
    /// - output: `[faces, features]`
    #[must_use]
    pub fn of(&self, faces: Vec<f32>, side: usize) -> Tensor<2> {
        let count = faces.len() / (side * side).max(1);
        match &self.way {
            Way::Packed(backbone) => {
                let found = TensorData::new(backbone.forward(&faces, side), [count, self.width]);
                Tensor::from_data(found, &self.device)
            }
            Way::Tensors(backbone) => {
                let faces = TensorData::new(faces, [count, 1, side, side]);
                backbone.forward(Tensor::from_data(faces, &self.device))
            }
        }
    }

    /// The same of every face and, after all of them, of each in the mirror.
    ///
    /// # Shapes
    ///
    /// - output: `[2 * faces, features]`
    #[must_use]
    pub fn with_mirrored(&self, mut faces: Vec<f32>, side: usize) -> Tensor<2> {
        let lines: Vec<f32> = faces
            .chunks_exact(side.max(1))
            .flat_map(|line| line.iter().rev().copied())
            .collect();
        faces.extend(lines);
        self.of(faces, side)
    }
}
