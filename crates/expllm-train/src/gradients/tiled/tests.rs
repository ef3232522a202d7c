//! Tiles beside unfolded maps.

use super::super::conv;
use super::*;

fn values(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0)
        .collect()
}

fn close(found: &[f32], wanted: &[f32], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let most = wanted.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
        assert!(
            (a - b).abs() <= 0.01 * most,
            "{what} at {i}: {a} is not {b}"
        );
    }
}

fn agrees(shape: ConvShape, faces: usize) {
    let weights = values(
        shape.channels_out * shape.channels_in * shape.kernel * shape.kernel,
        1,
    );
    let input = values(shape.channels_in * shape.side * shape.side * faces, 2);
    let above = values(shape.channels_out * shape.positions() * faces, 3);
    let maps = Maps {
        values: &input,
        faces,
    };
    let (mut columns, mut wanted) = (Vec::new(), Vec::new());
    conv::forward(&shape, &weights, maps, &mut columns, &mut wanted);
    let mut wanted_weights = vec![0.0; weights.len()];
    let mut wanted_input = vec![1.0; input.len()];
    conv::backward(
        &shape,
        &weights,
        maps,
        &above,
        ConvGradients {
            weights: &mut wanted_weights,
            input: Some(&mut wanted_input),
        },
        &mut columns,
    );
    for isa in Isa::available() {
        let conv = TiledConv::with(shape, isa);
        let kernel = conv.pack(&weights);
        let (mut scratch, mut found) = (TiledScratch::default(), Vec::new());
        conv.forward(&kernel, maps, &mut scratch, &mut found);
        close(&found, &wanted, "output");
        let mut gradient = vec![0.0; conv.gradient_len()];
        let mut below = vec![1.0; input.len()];
        conv.backward(
            &kernel,
            maps,
            &above,
            ConvGradients {
                weights: &mut gradient,
                input: Some(&mut below),
            },
            &mut scratch,
        );
        close(&conv.unpack(&gradient), &wanted_weights, "weights");
        close(&below, &wanted_input, "input");
    }
}

#[test]
fn tiles_give_what_products_of_unfolded_maps_give() {
    for (channels_in, channels_out) in [(16, 16), (24, 48), (35, 17)] {
        for (kernel, stride) in [(3, 1), (3, 2), (1, 1), (1, 2)] {
            for (side, faces) in [(6, 3), (13, 5), (24, 2), (3, 1)] {
                let shape = ConvShape {
                    channels_in,
                    channels_out,
                    kernel,
                    stride,
                    side,
                };
                agrees(shape, faces);
            }
        }
    }
}
