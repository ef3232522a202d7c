//! Attention on every path against f64.

use super::*;

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|index| ((index * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0)
        .collect()
}

/// Attention in f64, position by position.
fn reference(attention: &Attention<'_>, [keys, values]: [&[f32]; 2]) -> Vec<f64> {
    let AttentionShape {
        heads,
        kv_heads,
        head_dim,
    } = attention.shape;
    let length = attention.cached.length;
    let mut output = Vec::new();
    for token in 0..attention.tokens {
        for head in 0..heads {
            let kv = head / (heads / kv_heads);
            let at = |position: usize, d: usize| {
                kv * attention.cached.head_stride + position * attention.cached.position_stride + d
            };
            let query = attention.query(token, head);
            let sees = |position: usize| match attention.visible {
                Visible::All => true,
                Visible::Causal { start } => position <= start + token,
                Visible::Rows(rows) => rows[token * length + position],
            };
            let scores: Vec<f64> = (0..length)
                .map(|position| {
                    let dot = (0..head_dim)
                        .map(|d| f64::from(query[d]) * f64::from(keys[at(position, d)]));
                    match sees(position) {
                        true => (dot.sum::<f64>() / (head_dim as f64).sqrt()).exp(),
                        false => 0.0,
                    }
                })
                .collect();
            let total: f64 = scores.iter().sum();
            output.extend((0..head_dim).map(|d| {
                let mixed = (0..length).map(|p| scores[p] * f64::from(values[at(p, d)]));
                if total == 0.0 {
                    0.0
                } else {
                    mixed.sum::<f64>() / total
                }
            }));
        }
    }
    output
}

#[test]
fn attention_equals_that_in_f64_in_every_way_of_running() {
    let shapes = [
        (4, 2, 16, 1, 1),
        (4, 4, 12, 5, 70),
        (2, 1, 128, 1, 33),
        (6, 3, 20, 27, 40),
        (4, 2, 64, 40, 75),
        (3, 1, 32, 33, 300),
    ];
    for (heads, kv_heads, head_dim, tokens, length) in shapes {
        let shape = AttentionShape {
            heads,
            kv_heads,
            head_dim,
        };
        let capacity = length + 3;
        let halves = |seed| -> Vec<f16> {
            let numbers = numbers(kv_heads * capacity * head_dim, seed);
            numbers.into_iter().map(f16::from_f32).collect()
        };
        let (keys, values) = (halves(1), halves(2));
        let wide = |halves: &[f16]| halves.iter().map(|x| x.to_f32()).collect::<Vec<_>>();
        let (wide_keys, wide_values) = (wide(&keys), wide(&values));
        let stride = heads * head_dim + 5;
        let query: Vec<f32> = numbers(tokens * stride, 3)
            .iter()
            .map(|x| 4.0 * x)
            .collect();
        let rows: Vec<bool> = (0..tokens * length).map(|index| index % 3 != 1).collect();
        let visibles = [
            Visible::All,
            Visible::Causal {
                start: length - tokens,
            },
            Visible::Rows(&rows),
        ];
        for visible in visibles {
            let halves = [CachedNumbers::F16(&keys), CachedNumbers::F16(&values)];
            let floats = [
                CachedNumbers::F32(&wide_keys),
                CachedNumbers::F32(&wide_values),
            ];
            for ([keys, values], halved) in [
                (halves, false),
                (floats, false),
                (halves, true),
                (floats, true),
            ] {
                let attention = Attention {
                    shape,
                    query: &query,
                    query_stride: stride,
                    tokens,
                    cached: Cached {
                        keys,
                        values,
                        head_stride: capacity * head_dim,
                        position_stride: head_dim,
                        length,
                    },
                    visible,
                    halved,
                };
                let wanted = reference(&attention, [&wide_keys, &wide_values]);
                for isa in Isa::available() {
                    let mut output = vec![9.0; tokens * heads * head_dim];
                    attention.run(isa, &mut output);
                    for (found, wanted) in output.iter().zip(&wanted) {
                        let error = (f64::from(*found) - wanted).abs();
                        assert!(
                            error < if halved { 1e-2 } else { 1e-5 },
                            "{isa:?} {shape:?} {visible:?} {halved}: {found} {wanted}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_few_tokens_together_are_those_one_by_one_to_the_last_bit() {
    let shape = AttentionShape {
        heads: 6,
        kv_heads: 2,
        head_dim: 64,
    };
    let (tokens, length, stride) = (STREAMED_TOKENS, 75, 6 * 64);
    let halves = |seed| -> Vec<f16> {
        let numbers = numbers(2 * length * 64, seed);
        numbers.into_iter().map(f16::from_f32).collect()
    };
    let (keys, values, query) = (halves(1), halves(2), numbers(tokens * stride, 3));
    for (isa, halved) in Isa::available()
        .into_iter()
        .flat_map(|isa| [(isa, false), (isa, true)])
    {
        let run = |first: usize, count: usize| {
            let mut output = vec![9.0; count * stride];
            let start = length - tokens + first;
            let attention = Attention {
                shape,
                query: &query[first * stride..],
                query_stride: stride,
                tokens: count,
                cached: Cached {
                    keys: CachedNumbers::F16(&keys),
                    values: CachedNumbers::F16(&values),
                    head_stride: length * 64,
                    position_stride: 64,
                    length: start + count,
                },
                visible: Visible::Causal { start },
                halved,
            };
            attention.run(isa, &mut output);
            output
        };
        let alone: Vec<f32> = (0..tokens).flat_map(|token| run(token, 1)).collect();
        assert!(run(0, tokens) == alone, "{isa:?} {halved}");
    }
}
