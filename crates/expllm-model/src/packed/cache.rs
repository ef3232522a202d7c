//! Keys and values in f16.

use std::ops::Range;
use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt;
use half::vec::HalfBitsVecExt;
use rayon::prelude::*;

use crate::LlmConfig;
use crate::parts::KeyValues;

/// Zeros that take no memory before they are written, where the system gives cleared pages: as
/// integers, since those are known to be all bits zero.
fn zeros(count: usize) -> Vec<f16> {
    vec![0_u16; count].reinterpret_into()
}

/// Keys and values of new tokens, in rows of `stride` numbers, one per token: keys at `place`,
/// values behind them.
pub(crate) struct NewRows<'a> {
    pub(crate) rows: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) place: usize,
}

/// Keys and values of all layers: `[batch, kv_heads, capacity, head_dim]` each.
///
/// A clone shares memory with its original until one of them is written.
#[derive(Debug, Clone)]
pub(crate) struct PackedCache {
    layers: Vec<[Arc<Vec<f16>>; 2]>,
    batch: usize,
    kv_heads: usize,
    capacity: usize,
    head_dim: usize,
}

impl PackedCache {
    pub(crate) fn new(config: &LlmConfig, [batch, capacity]: [usize; 2]) -> Self {
        let mut cache = Self {
            layers: Vec::new(),
            batch,
            kv_heads: config.num_kv_heads,
            capacity,
            head_dim: config.head_dim,
        };
        let empty = || [(); 2].map(|()| Arc::new(zeros(cache.numbers())));
        cache.layers = (0..config.num_layers).map(|_| empty()).collect();
        cache
    }

    fn numbers(&self) -> usize {
        self.batch * self.kv_heads * self.capacity * self.head_dim
    }

    /// Numbers from one head to the next.
    pub(crate) fn head_stride(&self) -> usize {
        self.capacity * self.head_dim
    }

    /// Numbers from one row of the batch to the next.
    pub(crate) fn row_stride(&self) -> usize {
        self.kv_heads * self.head_stride()
    }

    /// Writes keys and values of new tokens at their positions.
    pub(crate) fn write(&mut self, layer: usize, positions: Range<usize>, new: &NewRows<'_>) {
        let NewRows {
            rows,
            stride,
            place,
        } = *new;
        let (start, length) = (positions.start, positions.len());
        let (kv_heads, width, head_stride) = (self.kv_heads, self.head_dim, self.head_stride());
        let [keys, values] = &mut self.layers[layer];
        let (keys, values) = (Arc::make_mut(keys), Arc::make_mut(values));
        let copy = |(index, (keys, values)): (usize, (&mut [f16], &mut [f16]))| {
            let (row, head) = (index / kv_heads, index % kv_heads);
            for token in 0..length {
                let from = (row * length + token) * stride + place + head * width;
                let to = (start + token) * width..(start + token + 1) * width;
                keys[to.clone()].convert_from_f32_slice(&rows[from..from + width]);
                let from = from + kv_heads * width;
                values[to].convert_from_f32_slice(&rows[from..from + width]);
            }
        };
        if length == 1 {
            let heads = keys
                .chunks_mut(head_stride)
                .zip(values.chunks_mut(head_stride));
            heads.enumerate().for_each(copy);
        } else {
            let keys = keys.par_chunks_mut(head_stride);
            let heads = keys.zip(values.par_chunks_mut(head_stride));
            heads.enumerate().for_each(copy);
        }
    }

    /// Keys and values of one layer.
    pub(crate) fn layer(&self, layer: usize) -> [&[f16]; 2] {
        self.layers[layer]
            .each_ref()
            .map(|buffer| buffer.as_slice())
    }
}

impl KeyValues for PackedCache {
    fn grow(&mut self, length: usize, capacity: usize) {
        let (old, width) = (self.head_stride(), self.head_dim);
        self.capacity = capacity;
        let (new, count) = (self.head_stride(), self.numbers());
        for buffer in self.layers.iter_mut().flatten() {
            let mut larger = zeros(count);
            if old > 0 {
                for (to, from) in larger.chunks_mut(new).zip(buffer.chunks(old)) {
                    to[..length * width].copy_from_slice(&from[..length * width]);
                }
            }
            *buffer = Arc::new(larger);
        }
    }

    fn select(&self, rows: &[usize]) -> Box<dyn KeyValues> {
        let stride = self.row_stride();
        let pick = |buffer: &Arc<Vec<f16>>| {
            let parts = rows
                .iter()
                .flat_map(|&row| &buffer[row * stride..(row + 1) * stride]);
            Arc::new(parts.copied().collect())
        };
        let layers = self
            .layers
            .iter()
            .map(|buffers| buffers.each_ref().map(pick));
        Box::new(Self {
            layers: layers.collect(),
            batch: rows.len(),
            ..*self
        })
    }

    fn duplicate(&self) -> Box<dyn KeyValues> {
        Box::new(self.clone())
    }

    fn is_cleared_lazily(&self) -> bool {
        true
    }
}
