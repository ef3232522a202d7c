//! Convolution of a group of faces as matrix products, forth and back.

use ndarray::{ArrayView2, ArrayViewMut2, s};

use super::product::{Into, product};

/// Sizes of a square convolution with padding of half its kernel.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConvShape {
    pub channels_in: usize,
    pub channels_out: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Side of the input map.
    pub side: usize,
}

impl ConvShape {
    /// Side of the output map.
    pub fn side_out(&self) -> usize {
        (self.side + 2 * (self.kernel / 2) - self.kernel) / self.stride + 1
    }

    /// Positions of the output map.
    pub fn positions(&self) -> usize {
        self.side_out() * self.side_out()
    }

    /// Input values that one output value depends on.
    fn depth(&self) -> usize {
        self.channels_in * self.kernel * self.kernel
    }

    /// For a kernel column: the output columns whose input lies inside, and the first's input.
    fn span(&self, kx: usize) -> (usize, usize, usize) {
        let pad = self.kernel / 2;
        let first = pad.saturating_sub(kx).div_ceil(self.stride);
        let end = ((self.side + pad - kx - 1) / self.stride + 1).min(self.side_out());
        (first, end, first * self.stride + kx - pad)
    }

    /// Calls `visit` with every pair of an output line and the input line it reads, both as
    /// offsets of their first value, for one kernel position of one channel.
    fn lines(&self, ky: usize, mut visit: impl FnMut(usize, Option<usize>)) {
        let pad = self.kernel / 2;
        for oy in 0..self.side_out() {
            let iy = oy * self.stride + ky;
            let inside = iy >= pad && iy < self.side + pad;
            visit(oy, inside.then(|| iy - pad));
        }
    }
}

/// Maps of some faces, laid out by channel, face and position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maps<'a> {
    pub values: &'a [f32],
    pub faces: usize,
}

/// Where the way back adds what it finds.
#[derive(Debug)]
pub(super) struct ConvGradients<'a> {
    pub weights: &'a mut [f32],
    /// `None` where nobody asks for it.
    pub input: Option<&'a mut [f32]>,
}

/// A range of the faces of a group.
type Faces = std::ops::Range<usize>;

/// About how many positions are multiplied at once: so many columns fill the registers of a
/// product, and what is unfolded of them stays in the cache.
const POSITIONS: usize = 288;

impl ConvShape {
    /// Ranges of faces, of `faces` in all, that are multiplied together.
    fn portions(&self, faces: usize) -> impl Iterator<Item = Faces> + use<> {
        let size = (POSITIONS / self.positions()).max(1);
        (0..faces)
            .step_by(size)
            .map(move |first| first..(first + size).min(faces))
    }
}

/// The input values under the kernel at every position of some faces, `[depth, positions]`.
fn unfold(shape: &ConvShape, input: Maps<'_>, some: &Faces, columns: &mut Vec<f32>) {
    let (so, positions, area) = (shape.side_out(), shape.positions(), shape.side * shape.side);
    columns.resize(shape.depth() * positions * some.len(), 0.0);
    let mut rows = columns.chunks_exact_mut(positions * some.len());
    for channel in input.values.chunks_exact(area * input.faces) {
        for ky in 0..shape.kernel {
            for kx in 0..shape.kernel {
                let Some(row) = rows.next() else { return };
                let planes = channel.chunks_exact(area).skip(some.start);
                for (row, plane) in row.chunks_exact_mut(positions).zip(planes) {
                    let (first, end, start) = shape.span(kx);
                    shape.lines(ky, |oy, iy| {
                        let out = &mut row[oy * so..(oy + 1) * so];
                        let Some(iy) = iy else { return out.fill(0.0) };
                        out[..first].fill(0.0);
                        out[end..].fill(0.0);
                        let line = &plane[iy * shape.side + start..(iy + 1) * shape.side];
                        if shape.stride == 1 {
                            out[first..end].copy_from_slice(&line[..end - first]);
                        } else {
                            let read = line.iter().step_by(shape.stride);
                            for (o, &v) in out[first..end].iter_mut().zip(read) {
                                *o = v;
                            }
                        }
                    });
                }
            }
        }
    }
}

/// Adds to every input value what [`unfold`] took from it.
fn fold(shape: &ConvShape, columns: &[f32], (some, faces): (&Faces, usize), input: &mut [f32]) {
    let (so, positions, area) = (shape.side_out(), shape.positions(), shape.side * shape.side);
    let mut rows = columns.chunks_exact(positions * some.len());
    for channel in input.chunks_exact_mut(area * faces) {
        for ky in 0..shape.kernel {
            for kx in 0..shape.kernel {
                let Some(row) = rows.next() else { return };
                let planes = channel.chunks_exact_mut(area).skip(some.start);
                for (row, plane) in row.chunks_exact(positions).zip(planes) {
                    let (first, end, start) = shape.span(kx);
                    shape.lines(ky, |oy, iy| {
                        let Some(iy) = iy else { return };
                        let out = &row[oy * so + first..oy * so + end];
                        let line = &mut plane[iy * shape.side + start..(iy + 1) * shape.side];
                        if shape.stride == 1 {
                            for (i, &v) in line.iter_mut().zip(out) {
                                *i += v;
                            }
                        } else {
                            for (i, &v) in line.iter_mut().step_by(shape.stride).zip(out) {
                                *i += v;
                            }
                        }
                    });
                }
            }
        }
    }
}

/// `weights * unfold(input)`; `columns` is scratch.
pub(super) fn forward(
    shape: &ConvShape,
    weights: &[f32],
    input: Maps<'_>,
    columns: &mut Vec<f32>,
    output: &mut Vec<f32>,
) {
    let faces = input.faces;
    let (depth, positions) = (shape.depth(), shape.positions());
    output.resize(shape.channels_out * positions * faces, 0.0);
    for some in shape.portions(faces) {
        unfold(shape, input, &some, columns);
        let whole = view_mut(output, shape.channels_out, positions * faces);
        product(
            &view(weights, shape.channels_out, depth),
            &view(columns, depth, positions * some.len()),
            Into::New,
            &mut whole.slice_move(s![.., some.start * positions..some.end * positions]),
        );
    }
}

/// Adds the gradients that are asked for.
pub(super) fn backward(
    shape: &ConvShape,
    weights: &[f32],
    input: Maps<'_>,
    output_gradient: &[f32],
    mut gradients: ConvGradients<'_>,
    columns: &mut Vec<f32>,
) {
    let faces = input.faces;
    let (depth, positions) = (shape.depth(), shape.positions());
    let above = view(output_gradient, shape.channels_out, positions * faces);
    for some in shape.portions(faces) {
        let above = above.slice(s![.., some.start * positions..some.end * positions]);
        unfold(shape, input, &some, columns);
        product(
            &above,
            &view(columns, depth, positions * some.len()).t(),
            Into::Sum,
            &mut view_mut(gradients.weights, shape.channels_out, depth),
        );
        let Some(input_gradient) = gradients.input.as_deref_mut() else {
            continue;
        };
        product(
            &view(weights, shape.channels_out, depth).t(),
            &above,
            Into::New,
            &mut view_mut(columns, depth, positions * some.len()),
        );
        fold(shape, columns, (&some, faces), input_gradient);
    }
}

fn view(values: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), values)
        .unwrap_or_else(|_| unreachable!("buffers are sized by the shape"))
}

fn view_mut(values: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), values)
        .unwrap_or_else(|_| unreachable!("buffers are sized by the shape"))
}
