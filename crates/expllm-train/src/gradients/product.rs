//! Products of small matrices, by the library that burn's processor backend multiplies with.
#![allow(unsafe_code)] // The library takes pointers.

use gemm::Parallelism;
use ndarray::{ArrayView2, ArrayViewMut2};

/// Whether a product takes the place of what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Into {
    /// It does.
    New,
    /// It is added.
    Sum,
}

/// `output = left · right`, or added to it, on the thread that calls.
///
/// # Panics
///
/// When the sizes do not match.
pub(super) fn product(
    left: &ArrayView2<'_, f32>,
    right: &ArrayView2<'_, f32>,
    into: Into,
    output: &mut ArrayViewMut2<'_, f32>,
) {
    let ([rows, depth], [depth_right, columns]) = (
        [0, 1].map(|i| left.shape()[i]),
        [0, 1].map(|i| right.shape()[i]),
    );
    assert_eq!(depth, depth_right, "inner sizes");
    assert_eq!(output.shape(), [rows, columns], "size of the output");
    let [left_row, left_column] = [0, 1].map(|i| left.strides()[i]);
    let [right_row, right_column] = [0, 1].map(|i| right.strides()[i]);
    let [row, column] = [0, 1].map(|i| output.strides()[i]);
    let keep = into == Into::Sum;
    // SAFETY: views hold as many numbers at these strides as their shapes say, and the shapes were
    // compared; the output is borrowed mutably, so that it is neither of the others.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            depth,
            output.as_mut_ptr(),
            column,
            row,
            keep,
            left.as_ptr(),
            left_column,
            left_row,
            right.as_ptr(),
            right_column,
            right_row,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn products_equal_plain_sums_in_every_direction() {
        let matrix = |rows, columns, seed: usize| {
            Array2::from_shape_fn((rows, columns), |(r, c)| {
                ((r * 31 + c * 17 + seed * 7) % 23) as f32 - 11.0
            })
        };
        for (rows, depth, columns) in [(1, 1, 1), (16, 144, 36), (7, 5, 33)] {
            let (a, b) = (matrix(rows, depth, 1), matrix(depth, columns, 2));
            let (across, down) = (matrix(depth, rows, 1), matrix(columns, depth, 2));
            for (left, right) in [(a.view(), b.view()), (across.t(), down.t())] {
                let mut found = matrix(rows, columns, 3);
                let before = found.clone();
                product(&left, &right, Into::Sum, &mut found.view_mut());
                let wanted = left.dot(&right);
                assert_eq!(found, &before + &wanted);
                product(&left, &right, Into::New, &mut found.view_mut());
                assert_eq!(found, wanted);
            }
        }
    }
}
