//! Keys and values as tensors of burn.

use burn::tensor::{DType, Device, Tensor, s};

use crate::LlmConfig;
use crate::parts::KeyValues;

/// Keys and values of one layer, in memory for the whole sequence from the start.
#[derive(Debug, Clone)]
pub struct LayerCache {
    /// `[batch, kv_heads, capacity, head_dim]`; `None` only while it is being written.
    buffers: Option<[Tensor<4>; 2]>,
}

/// Keys and values of all layers.
#[derive(Debug, Clone)]
pub(super) struct Layers(pub(super) Vec<LayerCache>);

impl Layers {
    /// Room for `[batch, capacity]` tokens.
    pub(super) fn new(
        config: &LlmConfig,
        [batch, capacity]: [usize; 2],
        (dtype, device): (DType, &Device),
    ) -> Self {
        let shape = [batch, config.num_kv_heads, capacity, config.head_dim];
        let layer = || LayerCache {
            buffers: Some([(); 2].map(|()| Tensor::zeros(shape, (device, dtype)))),
        };
        Self((0..config.num_layers).map(|_| layer()).collect())
    }
}

impl KeyValues for Layers {
    fn grow(&mut self, length: usize, capacity: usize) {
        let layers = self.0.iter_mut();
        layers.for_each(|layer| layer.grow(length, capacity));
    }

    fn select(&self, rows: &[usize]) -> Box<dyn KeyValues> {
        let layers = self.0.iter().map(|layer| layer.select(rows));
        Box::new(Self(layers.collect()))
    }

    fn duplicate(&self) -> Box<dyn KeyValues> {
        Box::new(self.clone())
    }

    fn is_cleared_lazily(&self) -> bool {
        false
    }
}

impl LayerCache {
    /// Writes new keys and values after `start` and returns all up to there.
    ///
    /// # Shapes
    ///
    /// `new`: `[batch, kv_heads, length, head_dim]` each; output: the same with
    /// `start + length`.
    pub(super) fn update(&mut self, start: usize, new: [Tensor<4>; 2]) -> [Tensor<4>; 2] {
        let end = start + new[0].dims()[2];
        let Some(buffers) = self.buffers.take() else {
            return new;
        };
        // The buffers are owned here alone, so that backends write in place.
        let [keys, values] = new;
        let [key_buffer, value_buffer] = buffers;
        let buffers = [
            key_buffer.slice_assign(s![.., .., start..end, ..], keys),
            value_buffer.slice_assign(s![.., .., start..end, ..], values),
        ];
        self.buffers = Some(buffers.clone());
        buffers.map(|buffer| buffer.narrow(2, 0, end))
    }

    pub(super) fn grow(&mut self, length: usize, capacity: usize) {
        self.buffers = self.buffers.take().map(|buffers| {
            buffers.map(|buffer| {
                let [batch, heads, _, width] = buffer.dims();
                let options = (&buffer.device(), buffer.dtype());
                let larger = Tensor::zeros([batch, heads, capacity, width], options);
                if length == 0 {
                    return larger;
                }
                larger.slice_assign(s![.., .., 0..length, ..], buffer.narrow(2, 0, length))
            })
        });
    }

    pub(super) fn select(&self, rows: &[usize]) -> Self {
        let pick = |buffer: &Tensor<4>| {
            let rows = rows
                .iter()
                .map(|&row| buffer.clone().narrow(0, row, 1))
                .collect();
            Tensor::cat(rows, 0)
        };
        Self {
            buffers: self.buffers.as_ref().map(|[k, v]| [pick(k), pick(v)]),
        }
    }
}
