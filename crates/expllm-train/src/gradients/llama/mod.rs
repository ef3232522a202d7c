//! Gradients of a language model of the LLaMA family, taken by hand on the processor.

mod attention;
mod head;
mod layer;
mod linear;
mod module;
mod operand;
mod pack;
#[cfg(test)]
mod tests;
mod vector;
mod weights;

use std::ops::Range;

use rayon::prelude::*;

use attention::Attention;
use head::Head;
use layer::{LayerTape, PackedLayer, Scratch, wanted};
pub use linear::LoraSettings;
pub use module::LlamaSteps;
use operand::{Products, Way};
use vector::{add, norm, norm_back};
pub use weights::{Adapter, Layer, LlamaNumbers, Projection};

/// Records are walked in groups of about this many numbers kept for the way back.
const KEPT: usize = 3 << 20;

/// Tokens of a group at most.
const TOKENS: usize = 1024;

/// Tokens are walked in groups of a multiple of this.
const WHOLE: usize = 32;

/// Sizes of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaSizes {
    /// Numbers of a token.
    pub width: usize,
    /// Numbers behind the gates.
    pub hidden: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values, a divisor of `heads`.
    pub kv_heads: usize,
    /// Numbers of a head; even.
    pub head_dim: usize,
    /// Epsilon of the norms.
    pub eps: f32,
    /// Cosines and sines of every position: `[positions, head_dim / 2]`.
    pub angles: [Vec<f32>; 2],
    /// Adapters.
    pub lora: LoraSettings,
}

/// A record of a step.
#[derive(Debug, Clone)]
pub struct Sentence<'a> {
    /// Ids of its tokens, without padding.
    pub tokens: &'a [u32],
    /// Where the tokens of an image begin, and their embeddings, `[patches, width]`.
    pub image: Option<(usize, &'a [f32])>,
    /// What is trained.
    pub trained: Vec<Target>,
}

/// A token that is to be foretold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The position before it.
    pub position: usize,
    /// Its id.
    pub token: usize,
    /// Its weight in the loss.
    pub weight: f32,
}

/// What a step finds.
#[derive(Debug, Default)]
pub struct Found {
    /// The loss of each record, in nats.
    pub losses: Vec<f32>,
    /// The gradient of the embeddings of each image: `[patches, width]`.
    pub images: Vec<Vec<f32>>,
    /// The gradients of the numbers of the decoder.
    pub gradients: LlamaNumbers,
}

/// Takes gradients of a decoder.
#[derive(Debug)]
pub struct LlamaByHand {
    attention: Attention,
    sizes: LlamaSizes,
    way: Way,
    layers: Vec<PackedLayer>,
    head: Head,
    adapters_alone: bool,
}

impl LlamaByHand {
    /// With tiles of bf16 where the processor multiplies them; `adapters_alone` freezes the rest.
    #[must_use]
    pub fn new(sizes: LlamaSizes, adapters_alone: bool) -> Self {
        Self::with(sizes, adapters_alone, Way::detect())
    }

    /// With products of f32 on every processor, to compare with.
    #[must_use]
    pub fn exact(sizes: LlamaSizes, adapters_alone: bool) -> Self {
        Self::with(sizes, adapters_alone, Way::Plain)
    }

    fn with(sizes: LlamaSizes, adapters_alone: bool, way: Way) -> Self {
        let [cos, sin] = sizes.angles.clone();
        Self {
            attention: Attention {
                heads: sizes.heads,
                kv_heads: sizes.kv_heads,
                head_dim: sizes.head_dim,
                cos,
                sin,
            },
            sizes,
            way,
            layers: Vec::new(),
            head: Head::default(),
            adapters_alone,
        }
    }

    /// Lays weights out for products; frozen ones once.
    pub fn pack(&mut self, numbers: &LlamaNumbers) {
        if self.layers.is_empty() || !self.adapters_alone {
            self.pack_weights(numbers);
        }
        let (way, lora) = (self.way, self.sizes.lora);
        let layers = self.layers.par_iter_mut().zip(&numbers.layers);
        layers.for_each(|(packed, layer)| {
            packed.projected.pack_adapters(way, &layer.projected, lora);
            packed.mixed.pack_adapters(way, &layer.mixed, lora);
            packed.gates.pack_adapters(way, &layer.gates, lora);
            packed.down.pack_adapters(way, &layer.down, lora);
        });
    }

    fn pack_weights(&mut self, numbers: &LlamaNumbers) {
        let (way, sizes) = (self.way, &self.sizes);
        let (width, mixed) = (sizes.width, self.attention.width());
        let count = numbers.layers.len();
        self.layers.resize_with(count, PackedLayer::default);
        let layers = self.layers.par_iter_mut().zip(&numbers.layers);
        layers.for_each(|(packed, layer)| {
            packed.eps = sizes.eps;
            packed.before_attention.clone_from(&layer.before_attention);
            packed.projected.pack(way, width, &layer.projected);
            packed.mixed.pack(way, mixed, &layer.mixed);
            packed.before_gates.clone_from(&layer.before_gates);
            packed.gates.pack(way, width, &layer.gates);
            packed.down.pack(way, sizes.hidden, &layer.down);
        });
        self.head.pack(way, width, numbers);
    }

    /// Losses and gradients of records, by weights that were packed.
    #[must_use]
    pub fn step(&self, numbers: &LlamaNumbers, records: &[Sentence<'_>], seed: u64) -> Found {
        let shares = self.shares(records);
        let found: Vec<Found> = shares
            .into_par_iter()
            .map(|share| self.step_share(numbers, records, &share, seed))
            .collect();
        let mut all = Found {
            losses: vec![0.0; records.len()],
            images: vec![Vec::new(); records.len()],
            gradients: LlamaNumbers::default(),
        };
        for (mut found, first) in found.into_iter().zip((0..).map(|i| i == 0)) {
            for (to, loss) in all.losses.iter_mut().zip(&found.losses) {
                *to += loss;
            }
            let images = all.images.iter_mut().zip(found.images);
            for (to, image) in images.filter(|(_, image)| !image.is_empty()) {
                *to = image;
            }
            if first {
                all.gradients = found.gradients;
                continue;
            }
            let own: Vec<_> = all.gradients.parts().collect();
            let theirs: Vec<_> = found.gradients.parts().collect();
            own.into_par_iter()
                .zip(theirs)
                .for_each(|(own, theirs)| add(own, theirs));
        }
        all
    }

    /// Groups of records for every thread: a group has about as many tokens as every other, and
    /// a thread too.
    fn shares(&self, records: &[Sentence<'_>]) -> Vec<Vec<Vec<usize>>> {
        let mut order: Vec<usize> = (0..records.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(records[index].tokens.len()));
        let sizes = &self.sizes;
        let kept = 2 * sizes.width + 2 * sizes.hidden + sizes.heads;
        let kept = (kept + self.attention.projected() + self.attention.width()) * self.layers.len();
        let most = (KEPT / kept.max(1)).clamp(1, TOKENS);
        let mut shares = vec![(0, Vec::<Vec<usize>>::new(), 0); rayon::current_num_threads()];
        for index in order {
            let tokens = records[index].tokens.len();
            let Some((total, groups, last)) = shares.iter_mut().min_by_key(|share| share.0) else {
                break;
            };
            *total += tokens;
            match groups.last_mut() {
                Some(group) if *last + tokens <= most => {
                    group.push(index);
                    *last += tokens;
                }
                _ => {
                    groups.push(vec![index]);
                    *last = tokens;
                }
            }
        }
        shares.into_iter().map(|share| share.1).collect()
    }

    fn step_share(
        &self,
        numbers: &LlamaNumbers,
        records: &[Sentence<'_>],
        groups: &[Vec<usize>],
        seed: u64,
    ) -> Found {
        let mut found = Found {
            losses: vec![0.0; records.len()],
            images: vec![Vec::new(); records.len()],
            gradients: numbers.zeros(self.adapters_alone),
        };
        let mut scratch = Scratch::new(Products::new(self.way));
        let mut tapes = Vec::new();
        for group in groups {
            let group: Vec<_> = group
                .iter()
                .map(|&index| (index, &records[index]))
                .collect();
            self.step_group(
                (numbers, seed),
                &group,
                &mut tapes,
                &mut found,
                &mut scratch,
            );
        }
        found
    }

    fn step_group(
        &self,
        (numbers, seed): (&LlamaNumbers, u64),
        group: &[(usize, &Sentence<'_>)],
        tapes: &mut Vec<LayerTape>,
        found: &mut Found,
        scratch: &mut Scratch,
    ) {
        let width = self.sizes.width;
        let places = places(group);
        let tokens = places.last().map_or(0, |place| place.end);
        tapes.resize_with(self.layers.len() + 1, LayerTape::default);
        let seed_of = |layer: usize| {
            let first = group.first().map_or(0, |(index, _)| *index);
            seed ^ ((first as u64) << 32) ^ ((layer as u64 + 1) << 16)
        };
        let input = &mut tapes[0].input;
        input.clear();
        input.resize(tokens.next_multiple_of(WHOLE) * width, 0.0);
        for ((_, record), place) in group.iter().zip(&places) {
            embed(
                &numbers.embedding,
                width,
                record,
                &mut input[place.start * width..],
            );
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let (own, next) = tapes[index..].split_at_mut(1);
            let records = (&places[..], seed_of(index));
            let output = &mut next[0].input;
            layer.forward(&self.attention, records, &mut own[0], output, scratch);
        }
        let mut above = self.step_head(
            numbers,
            (group, &places),
            &tapes[self.layers.len()].input,
            found,
            scratch,
        );
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let records = (&places[..], seed_of(index));
            let to = (&mut above[..], &mut found.gradients.layers[index]);
            layer.backward(&self.attention, records, &mut tapes[index], to, scratch);
        }
        for ((index, record), place) in group.iter().zip(&places) {
            let above = &above[place.start * width..place.end * width];
            found.images[*index] = embed_back(record, above, width, &mut found.gradients.embedding);
        }
    }

    /// Losses of a group, and the gradient of the output of the last layer.
    fn step_head(
        &self,
        numbers: &LlamaNumbers,
        (group, places): (&[(usize, &Sentence<'_>)], &[Range<usize>]),
        output: &[f32],
        found: &mut Found,
        scratch: &mut Scratch,
    ) -> Vec<f32> {
        let (width, eps) = (self.sizes.width, self.sizes.eps);
        // Scores are computed where a token is trained alone: the head is a large part of a model.
        let mut rows = Vec::new();
        let mut targets = Vec::new();
        for ((index, record), place) in group.iter().zip(places) {
            for target in &record.trained {
                let at = (place.start + target.position) * width;
                rows.extend_from_slice(&output[at..at + width]);
                targets.push((*index, at, *target));
            }
        }
        let mut normed = vec![0.0; rows.len()];
        norm(&rows, &numbers.norm, eps, &mut normed);
        let gradient = match found.gradients.head.is_empty() {
            true => &mut found.gradients.embedding,
            false => &mut found.gradients.head,
        };
        let losses = (&targets[..], &mut found.losses[..]);
        let below = self.head.step(losses, &normed, wanted(gradient), scratch);
        let mut under = vec![0.0; rows.len()];
        let last = (&rows[..], &numbers.norm[..], eps);
        norm_back(last, &below, &mut under, wanted(&mut found.gradients.norm));
        let mut above = vec![0.0; output.len()];
        for ((_, at, _), under) in targets.iter().zip(under.chunks_exact(width)) {
            add(&mut above[*at..at + width], under);
        }
        above
    }
}

/// Where the tokens of the records of a group lie.
fn places(group: &[(usize, &Sentence<'_>)]) -> Vec<Range<usize>> {
    let mut end = 0;
    let place = |(_, record): &(usize, &Sentence<'_>)| {
        let start = end;
        end += record.tokens.len();
        start..end
    };
    group.iter().map(place).collect()
}

/// Fills rows of `width` with the embeddings of the tokens of a record.
fn embed(table: &[f32], width: usize, record: &Sentence<'_>, rows: &mut [f32]) {
    for (token, row) in record.tokens.iter().zip(rows.chunks_exact_mut(width)) {
        let at = *token as usize * width;
        if let Some(numbers) = table.get(at..at + width) {
            row.copy_from_slice(numbers);
        }
    }
    if let Some((start, image)) = record.image {
        rows[start * width..][..image.len()].copy_from_slice(image);
    }
}

/// Adds the gradients of embeddings, where they are wanted, and returns those of the image.
fn embed_back(record: &Sentence<'_>, above: &[f32], width: usize, table: &mut [f32]) -> Vec<f32> {
    let image = record.image.map_or(0..0, |(start, image)| {
        start * width..start * width + image.len()
    });
    for (index, (token, row)) in (0..).zip(record.tokens.iter().zip(above.chunks_exact(width))) {
        let at = *token as usize * width;
        if !image.contains(&(index * width))
            && let Some(gradient) = table.get_mut(at..at + width)
        {
            add(gradient, row);
        }
    }
    above[image].to_vec()
}
