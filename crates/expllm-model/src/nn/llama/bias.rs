//! What tokens see, as numbers that are added to attention scores.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::parts::{Pass, Seen};

/// What is added to scores of blocked positions: far below any score, yet finite, so that a row
/// in which everything is blocked (a padding token) stays free of NaN.
const BLOCKED: f32 = -1e30;

/// `[batch or 1, 1, length, start + length]`, f32; `None` when nothing is blocked.
pub(super) fn bias(pass: &Pass, device: &Device) -> Option<Tensor<4>> {
    let (start, length) = (pass.start, pass.length);
    let total = start + length;
    let added = |seen: bool| if seen { 0.0 } else { BLOCKED };
    let (rows, values): (usize, Vec<f32>) = match &pass.seen {
        Seen::Before if length <= 1 => return None,
        Seen::Before => {
            let query = |query: usize| (0..total).map(move |key| added(key <= start + query));
            (1, (0..length).flat_map(query).collect())
        }
        Seen::Rows(rows) => {
            let values = rows.iter().flatten().map(|&seen| added(seen));
            (rows.len(), values.collect())
        }
    };
    let data = TensorData::new(values, [rows, 1, length, total]);
    Some(Tensor::from_data(data, (device, DType::F32)))
}
