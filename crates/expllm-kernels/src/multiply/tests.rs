//! Every path of every format against f64 and against the portable one.

use half::{bf16, f16};
use proptest::prelude::*;

use super::*;
use crate::{BLOCK, FEW_TOKENS, Rows, few_are_exact};

fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

/// The product in f64 of the weights as they are kept and the activations as they come, and the
/// sum of the magnitudes of its terms.
fn reference(matrix: &Matrix, input: &[f32]) -> Vec<(f64, f64)> {
    let mut row = vec![0.0; matrix.columns()];
    let mut output = Vec::new();
    for token in input.chunks_exact(matrix.columns()) {
        for index in 0..matrix.rows() {
            matrix.row(index, &mut row);
            let terms = row
                .iter()
                .zip(token)
                .map(|(w, x)| f64::from(*w) * f64::from(*x));
            output.push(terms.fold((0.0, 0.0), |(sum, size), term| {
                (sum + term, size + term.abs())
            }));
        }
    }
    output
}

fn run(isa: Isa, matrix: &Matrix, input: &[f32], store: Store) -> Vec<f32> {
    let mut prepared = Input::new();
    prepared.set(isa, matrix.format(), input, matrix.columns());
    let mut output = vec![1.0; prepared.tokens() * matrix.rows()];
    multiply(isa, matrix, &prepared, &mut output, store).unwrap();
    output
}

/// How far a product may be from the one in f64, as a share of the magnitudes of its terms:
/// rounding of sums, and of the activations where these are turned into bf16 or 8 bits.
fn tolerance(isa: Isa, format: Format, tokens: usize) -> f64 {
    match InputKind::of(isa, format, tokens) {
        InputKind::F32 => 1e-6,
        InputKind::Bf16 => 4e-3,
        // Unpacked weights are rounded too.
        InputKind::Tiles => 8e-3,
        // Half a step of 1/127 of the largest of a block.
        InputKind::Q8 => 1.2e-2,
    }
}

fn compare(format: Format, [rows, columns, tokens]: [usize; 3], seed: u32) {
    let weights = numbers(rows * columns, seed);
    let matrix = Matrix::pack(format, columns, &[Rows::F32(&weights)]).unwrap();
    let input = numbers(tokens * columns, seed + 1);
    let wanted = reference(&matrix, &input);
    let portable = Isa::new(IsaKind::Portable).unwrap();
    let plain = run(portable, &matrix, &input, Store::Set);
    for isa in Isa::available() {
        for (store, before) in [(Store::Set, 0.0), (Store::Add, 1.0)] {
            let found = run(isa, &matrix, &input, store);
            for (index, (found, (wanted, size))) in found.iter().zip(&wanted).enumerate() {
                let error = (f64::from(*found) - before - wanted).abs();
                // A block of few large terms errs more than its mean says.
                let bound = tolerance(isa, format, tokens) * (size + 1.0);
                assert!(
                    error <= bound,
                    "{isa:?} {format:?} {rows} x {columns} x {tokens}, {index}: {found} for {wanted}"
                );
            }
            // With the same activations, paths differ by the rounding of sums alone.
            let kinds = [isa, portable].map(|isa| InputKind::of(isa, format, tokens));
            if store == Store::Set && kinds[0] == kinds[1] {
                for ((found, plain), (_, size)) in found.iter().zip(&plain).zip(&wanted) {
                    assert!(f64::from((found - plain).abs()) <= 2e-6 * (size + 1.0));
                }
            }
        }
    }
}

#[test]
fn products_equal_those_in_f64_on_every_path() {
    let shapes: &[[usize; 3]] = if cfg!(miri) {
        &[[17, 33, 1], [16, 32, 3]]
    } else {
        &[
            [1, 1, 1],
            [3, 5, 2],
            [16, 32, 1],
            [17, 33, 13],
            [40, 176, 7],
            [33, 64, 30],
            [129, 2080, 1],
            [64, 4128, 5],
            // Several stretches of columns, groups of panels and stretches of tokens.
            [300, 2080, 30],
            [40, 64, 500],
            [49, 1100, 33],
        ]
    };
    for format in Format::ALL {
        for (seed, shape) in shapes.iter().enumerate() {
            compare(format, *shape, seed as u32);
        }
    }
}

/// Guessed tokens are run together and must not change what is said.
#[test]
fn a_few_tokens_together_are_those_one_by_one_to_the_last_bit() {
    let (rows, columns, tokens) = (129, 2080, FEW_TOKENS);
    let weights = numbers(rows * columns, 3);
    let input = numbers(tokens * columns, 4);
    for format in Format::ALL {
        let matrix = Matrix::pack(format, columns, &[Rows::F32(&weights)]).unwrap();
        for isa in Isa::available() {
            if !few_are_exact(isa, format) {
                continue;
            }
            let together = run(isa, &matrix, &input, Store::Set);
            let alone = input.chunks_exact(columns);
            let alone: Vec<f32> = alone
                .flat_map(|token| run(isa, &matrix, token, Store::Set))
                .collect();
            let differ = together.iter().zip(&alone).filter(|(a, b)| a != b).count();
            assert_eq!(differ, 0, "{isa:?} {format:?}");
        }
    }
}

#[test]
fn rows_come_back_as_they_were_stored() {
    for format in Format::ALL {
        for columns in [1, 31, 32, 100] {
            let rows = 19;
            let weights = numbers(rows * columns, 5);
            let matrix = Matrix::pack(format, columns, &[Rows::F32(&weights)]).unwrap();
            let mut all = Vec::new();
            for (index, row) in weights.chunks(columns).enumerate() {
                let mut stored = vec![0; format.row_bytes(columns).unwrap()];
                crate::encode_row(format, row, &mut stored).unwrap();
                let mut found = stored.clone();
                found.fill(0xff);
                matrix.encoded_row(index, &mut found);
                assert_eq!(found, stored, "{format:?} {columns}");
                let [mut wanted, mut read] = [0.0, f32::NAN].map(|n| vec![n; columns]);
                crate::decode_row(format, &stored, &mut wanted).unwrap();
                matrix.row(index, &mut read);
                assert_eq!(read, wanted, "{format:?} {columns}");
                all.extend(stored);
            }
            let encoded = Rows::Encoded(format, &all);
            let again = Matrix::pack(format, columns, &[encoded]).unwrap();
            assert_eq!(again.panels(), matrix.panels());
        }
    }
}

#[test]
fn sources_stand_one_below_the_other() {
    let weights = numbers(7 * 40, 9);
    let halves: Vec<f16> = weights[..80].iter().map(|x| f16::from_f32(*x)).collect();
    let brains: Vec<bf16> = weights[80..200]
        .iter()
        .map(|x| bf16::from_f32(*x))
        .collect();
    let sources = [
        Rows::F16(&halves),
        Rows::F32(&[]),
        Rows::Bf16(&brains),
        Rows::F32(&weights[200..]),
    ];
    let matrix = Matrix::pack(Format::F32, 40, &sources).unwrap();
    assert_eq!((matrix.rows(), matrix.columns()), (7, 40));
    let mut row = vec![0.0; 40];
    for index in 0..7 {
        matrix.row(index, &mut row);
        for (found, wanted) in row.iter().zip(&weights[index * 40..]) {
            assert!((found - wanted).abs() < 4e-3);
        }
    }
}

#[test]
fn rows_that_come_in_parts_make_the_same_matrix() {
    // Parts begin and end within panels of sixteen rows.
    let weights = numbers(50 * 64, 5);
    for format in Format::ALL {
        let whole = Matrix::pack(format, 64, &[Rows::F32(&weights)]).unwrap();
        let mut parts = Matrix::zeroed(format, 50, 64).unwrap();
        for (start, end) in [(33, 50), (0, 7), (7, 33)] {
            let rows = Rows::F32(&weights[start * 64..end * 64]);
            assert_eq!(parts.set_rows(start, rows), Ok(end - start));
        }
        assert_eq!(parts.panels(), whole.panels());
        assert_eq!(parts.set_rows(50, Rows::F32(&[])), Ok(0));
        for start in [49, 50, usize::MAX] {
            let beyond = parts.set_rows(start, Rows::F32(&weights[..2 * 64]));
            assert!(
                matches!(beyond, Err(KernelError::Size { .. })),
                "{beyond:?}"
            );
        }
        assert_eq!(parts.panels(), whole.panels());
    }
}

#[test]
fn what_no_format_can_hold_is_named() {
    for format in Format::ALL {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut weights = numbers(3 * 40, 1);
            weights[40 + 35] = bad;
            let error = Matrix::pack(format, 40, &[Rows::F32(&weights)]).unwrap_err();
            let KernelError::Weight { row, column, .. } = error else {
                panic!("{error}");
            };
            assert_eq!((row, column), (1, 35));
        }
        let huge = [3e38_f32, -3e38, 0.0, 1.0];
        match (format, Matrix::pack(format, 4, &[Rows::F32(&huge)])) {
            (Format::F32 | Format::Bf16, Ok(matrix)) => {
                let mut row = [0.0; 4];
                matrix.row(0, &mut row);
                assert!((row[0] / 3e38 - 1.0).abs() < 0.1 && (row[1] / 3e38 + 1.0).abs() < 0.1);
            }
            // The range of a block of 4 bits is larger than f32 counts.
            (format, Err(KernelError::Weight { .. }))
                if format == Format::F16 || format.is_quantised() => {}
            (format, other) => panic!("{format:?}: {other:?}"),
        }
        let zero = Matrix::pack(format, 50, &[Rows::F32(&[0.0; 100])]).unwrap();
        for isa in Isa::available() {
            assert_eq!(run(isa, &zero, &[3.0; 50], Store::Set), [0.0; 2]);
            let ones = Matrix::pack(format, 50, &[Rows::F32(&[1.0; 100])]).unwrap();
            let spoilt = run(isa, &ones, &[f32::NAN; 50], Store::Set);
            assert!(spoilt.iter().all(|x| x.is_nan()), "{format:?}: NaN is kept");
        }
        assert!(Matrix::pack(format, 0, &[]).is_err());
        assert!(Matrix::pack(format, 3, &[Rows::F32(&[1.0; 4])]).is_err());
        assert!(Matrix::pack(format, 3, &[Rows::Encoded(format, &[1; 5])]).is_err());
    }
}

#[test]
fn scales_from_files_that_are_no_numbers_are_refused() {
    for (format, bytes, place, second) in [
        (Format::Q8_0, 34, 0, 32),
        (Format::Q4_0, 18, 0, 32),
        (Format::Q4_1, 20, 0, 32),
        (Format::Q4_1, 20, 2, 32),
        (Format::Q5_0, 22, 0, 32),
        (Format::Q5_1, 24, 2, 32),
        (Format::Q4K, 144, 2, 256),
        (Format::Q5K, 176, 0, 256),
        (Format::Q6K, 210, 208, 256),
    ] {
        let mut row = vec![0; 2 * bytes];
        row[bytes + place..bytes + place + 2].copy_from_slice(&f16::NAN.to_le_bytes());
        let error = crate::check_row(format, 2 * second, &row).unwrap_err();
        assert!(
            matches!(error, KernelError::Weight { column, .. } if column == second),
            "{error}"
        );
    }
    for (scale, offset) in [
        (f32::NAN, 0.0),
        (0.0, 1.0),
        (-1.0, 0.0),
        (1.0, f32::INFINITY),
        (1e-30, 1e30),
    ] {
        let mut row = vec![0; 8 + 18];
        row[..4].copy_from_slice(&scale.to_le_bytes());
        row[4..8].copy_from_slice(&f32::to_le_bytes(offset));
        assert!(
            crate::check_row(Format::Q4A, 32, &row).is_err(),
            "{scale} {offset}"
        );
    }
}

#[test]
fn inputs_of_another_size_or_format_are_refused() {
    let isa = Isa::detect();
    let matrix = Matrix::pack(Format::Q8_0, 64, &[Rows::F32(&[1.0; 128])]).unwrap();
    let mut input = Input::new();
    let mut output = [0.0; 2];
    input.set(isa, Format::Q8_0, &[1.0; 32], 32);
    assert!(multiply(isa, &matrix, &input, &mut output, Store::Set).is_err());
    input.set(isa, Format::F32, &[1.0; 64], 64);
    assert!(multiply(isa, &matrix, &input, &mut output, Store::Set).is_err());
    input.set(isa, Format::Q4A, &[1.0; 64], 64);
    assert!(multiply(isa, &matrix, &input, &mut output[..1], Store::Set).is_err());
    multiply(isa, &matrix, &input, &mut output, Store::Set).unwrap();
    assert!((output[0] - 64.0).abs() < 0.5);
}

#[test]
fn matrices_of_different_formats_stand_side_by_side() {
    let (weights, input) = (numbers(90 * 64, 2), numbers(3 * 64, 3));
    let sources = [Format::Q8_0, Format::Bf16, Format::Q4_1]
        .into_iter()
        .zip(weights.chunks(30 * 64));
    for isa in Isa::available() {
        let mut output = vec![7.0; 3 * 91];
        let mut prepared = Input::new();
        for (index, (format, rows)) in sources.clone().enumerate() {
            let matrix = Matrix::pack(format, 64, &[Rows::F32(rows)]).unwrap();
            prepared.set(isa, format, &input, 64);
            let place = Place {
                first: index * 30,
                width: 91,
            };
            let into = (output.as_mut_slice(), place);
            multiply_at(isa, &matrix, &prepared, into, Store::Set).unwrap();
            let alone = run(isa, &matrix, &input, Store::Set);
            for (row, alone) in output.chunks(91).zip(alone.chunks(30)) {
                assert_eq!(&row[place.first..place.first + 30], alone);
                assert_eq!(row[90], 7.0);
            }
            let beyond = Place {
                first: 62,
                width: 91,
            };
            let into = (output.as_mut_slice(), beyond);
            assert!(multiply_at(isa, &matrix, &prepared, into, Store::Set).is_err());
        }
    }
}

/// The root mean square error of rows of a format, as a share of that of the weights.
fn loss(format: Format, weights: &[f32]) -> f64 {
    let mut bytes = vec![0; format.row_bytes(weights.len()).unwrap()];
    let mut found = vec![0.0; weights.len()];
    crate::encode_row(format, weights, &mut bytes).unwrap();
    decode(format, &bytes, &mut found);
    let square = |x: f32| f64::from(x).powi(2);
    let error: f64 = found.iter().zip(weights).map(|(f, w)| square(f - w)).sum();
    (error / weights.iter().map(|w| square(*w)).sum::<f64>()).sqrt()
}

fn decode(format: Format, bytes: &[u8], found: &mut [f32]) {
    crate::decode_row(format, bytes, found).unwrap();
}

#[test]
fn offsets_make_four_bits_better() {
    // Twelve uniform numbers add up to nearly a normal one.
    let weights: Vec<f32> = numbers(12 * 4096, 3)
        .chunks(12)
        .map(|x| x.iter().sum())
        .collect();
    let [eight, plain, offset] =
        [Format::Q8_0, Format::Q4_0, Format::Q4A].map(|f| loss(f, &weights));
    println!("Q8_0 {eight:.4}, Q4_0 {plain:.4}, Q4A {offset:.4}");
    assert!(eight < 0.007 && plain < 0.1 && offset < 0.85 * plain);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 64 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn products_of_any_size_equal_those_in_f64(
        format in prop::sample::select(Format::ALL.to_vec()),
        rows in 1_usize..70,
        columns in 1_usize..150,
        tokens in 1_usize..28,
        seed: u32,
    ) {
        compare(format, [rows, columns, tokens], seed % 1000);
    }

    #[test]
    fn rows_of_any_numbers_are_kept_within_a_step(
        format in prop::sample::select(Format::ALL.to_vec()),
        row in prop::collection::vec(
            prop_oneof![Just(0.0_f32), -1.0_f32..1.0, -1e4_f32..1e4, -1e-6_f32..1e-6],
            1..100,
        ),
    ) {
        let mut bytes = vec![0; format.row_bytes(row.len()).unwrap()];
        crate::encode_row(format, &row, &mut bytes).unwrap();
        let mut found = vec![0.0; row.len()];
        decode(format, &bytes, &mut found);
        let largest = |numbers: &[f32]| numbers.iter().fold(0.0_f32, |l, x| l.max(x.abs()));
        let whole = largest(&row);
        for (found, weights) in found.chunks(BLOCK).zip(row.chunks(BLOCK)) {
            let step = match format {
                Format::F32 => 0.0,
                Format::F16 => 1e-3 * largest(weights) + 1e-7,
                Format::Bf16 => 4e-3 * largest(weights),
                Format::Q8_0 => largest(weights) / 200.0 + 1e-5,
                Format::Q4_0 | Format::Q5_0 => largest(weights) / 7.5 + 1e-5,
                // Steps of tiny numbers are too small for f16.
                Format::Q5_1 => largest(weights) / 5.0 + 1e-5,
                Format::Q4K | Format::Q5K | Format::Q6K => {
                    largest(weights) / 5.0 + whole / 40.0 + 2e-4
                }
                // Steps of scales and offsets count in 255ths of the largest of the row.
                _ => largest(weights) / 5.0 + whole / 40.0,
            };
            for (found, weight) in found.iter().zip(weights) {
                prop_assert!((found - weight).abs() <= step, "{format:?}: {found} for {weight}");
            }
        }
    }
}
