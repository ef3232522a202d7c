//! The language model.

use std::sync::Mutex;

use burn::tensor::{DType, Device, Tensor};
use expllm_kernels::{
    Attention, AttentionShape, Cached, CachedNumbers, Format, Input, Isa, Matrix, Store, Visible,
    few_are_exact, multiply, on_pool, rms_norm, rotate, silu_times,
};
use rayon::prelude::*;

use super::cache::NewRows;
use super::{Loader, PackedCache, Stack, Table, failed, is_halved, tensor};
use crate::nn::llama::Rotary;
use crate::parts::{self, Decoder, KvCache, Pass, Seen, check_tokens, numbers};
use crate::{LlmConfig, ModelError};

/// A language model of the LLaMA family with packed weights.
#[derive(Debug)]
pub(crate) struct PackedDecoder {
    isa: Isa,
    config: LlmConfig,
    /// Where tensors go in and come out: a processor.
    device: Device,
    /// Embeddings; `None` where they are the rows of the head.
    table: Option<Table>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Matrix,
    rotary: Rotary,
    /// Memory of passes that ended, for the next ones.
    scratch: Mutex<Vec<Scratch>>,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Vec<f32>,
    /// Queries, keys and values, one below the other.
    qkv: Stack,
    output: Matrix,
    mlp_norm: Vec<f32>,
    /// Gate and up, one below the other.
    gate_up: Stack,
    down: Matrix,
}

/// Tokens of a prompt that go through all layers at once: with more of them, the numbers between layers
/// take more memory and no less time.
const AT_ONCE: usize = 512;

/// Buffers of one pass.
#[derive(Debug, Default)]
struct Scratch {
    /// Of a single token.
    pass: Pass,
    token: Vec<f32>,
    row: Vec<u8>,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    gate_up: Vec<f32>,
    hidden: Vec<f32>,
    input: Input,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl PackedDecoder {
    /// A decoder whose tensors go in and come out on a device, which is a processor.
    pub(crate) fn load(
        config: &LlmConfig,
        loader: &Loader<'_>,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let width = config.hidden_size;
        let embeddings = "model.embed_tokens.weight";
        let (table, head) = match config.tie_word_embeddings {
            true => (None, embeddings),
            false => {
                let table = Table::load(loader, width, embeddings)?;
                (Some(table), "lm_head.weight")
            }
        };
        let layers = (0..config.num_layers).map(|index| Layer::load(config, loader, index));
        Ok(Self {
            isa: Isa::detect(),
            config: config.clone(),
            device: device.clone(),
            table,
            layers: layers.collect::<Result<_, _>>()?,
            norm: loader.numbers("model.norm.weight")?,
            head: loader.matrix(width, head)?,
            rotary: Rotary::new(config),
            scratch: Mutex::default(),
        })
    }

    /// Runs the layers over `[batch, length, width]` and gives the same after the final norm.
    fn forward(
        &self,
        mut tokens: Vec<f32>,
        pass: &Pass,
        cache: &mut PackedCache,
    ) -> Result<Vec<f32>, ModelError> {
        self.with_scratch(|scratch| {
            let mut rest = &mut tokens[..];
            for part in pass.parts(AT_ONCE).iter() {
                let count = part.positions.len() * part.length * self.config.hidden_size;
                let (now, later) = rest.split_at_mut(count);
                self.run_layers(now, (part, &mut *cache), scratch)?;
                now.copy_from_slice(&scratch.normed);
                rest = later;
            }
            Ok(())
        })?;
        Ok(tokens)
    }

    /// Runs the layers; the result of the final norm is left in the scratch.
    fn run_layers(
        &self,
        tokens: &mut [f32],
        (pass, cache): (&Pass, &mut PackedCache),
        scratch: &mut Scratch,
    ) -> Result<(), ModelError> {
        self.turn(pass, scratch);
        for index in 0..self.layers.len() {
            self.layer(index, tokens, (pass, &mut *cache), scratch)?;
        }
        self.normalise(tokens, &self.norm, &mut scratch.normed);
        Ok(())
    }

    /// Runs one token of the vocabulary at a position and writes the scores after it.
    fn run_token(
        &self,
        (token, position): (u32, usize),
        cache: &mut PackedCache,
        scratch: &mut Scratch,
        scores: &mut [f32],
    ) -> Result<(), ModelError> {
        let mut pass = std::mem::take(&mut scratch.pass);
        let mut row = std::mem::take(&mut scratch.token);
        (pass.start, pass.length) = (position, 1);
        pass.positions.resize_with(1, Vec::new);
        pass.positions[0].clear();
        pass.positions[0].push(position);
        row.resize(self.config.hidden_size, 0.0);
        self.look_up(token, &mut scratch.row, &mut row)?;
        self.run_layers(&mut row, (&pass, cache), scratch)?;
        (scratch.pass, scratch.token) = (pass, row);
        let Scratch { normed, input, .. } = scratch;
        self.score(normed, input, scores)
    }

    /// Writes the embedding of a token, which the vocabulary must hold.
    fn look_up(
        &self,
        token: u32,
        room: &mut Vec<u8>,
        embedding: &mut [f32],
    ) -> Result<(), ModelError> {
        match &self.table {
            Some(table) => table.look_up(token as usize, room, embedding),
            None => {
                self.head.row(token as usize, embedding);
                Ok(())
            }
        }
    }

    /// Writes the scores of the vocabulary for rows of hidden states.
    fn score(
        &self,
        hidden: &[f32],
        input: &mut Input,
        scores: &mut [f32],
    ) -> Result<(), ModelError> {
        let (isa, head) = (self.isa, &self.head);
        input.set(isa, head.format(), hidden, head.columns());
        multiply(isa, head, input, scores, Store::Set).map_err(failed)
    }

    fn with_scratch<R: Send>(
        &self,
        run: impl FnOnce(&mut Scratch) -> Result<R, ModelError> + Send,
    ) -> Result<R, ModelError> {
        let kept = self.scratch.lock().ok().and_then(|mut kept| kept.pop());
        let mut scratch = kept.unwrap_or_default();
        let result = on_pool(|| run(&mut scratch));
        if let Ok(mut kept) = self.scratch.lock() {
            kept.push(scratch);
        }
        result
    }

    /// Sines and cosines of all tokens.
    fn turn(&self, pass: &Pass, scratch: &mut Scratch) {
        scratch.cos.clear();
        scratch.sin.clear();
        for &position in pass.positions.iter().flatten() {
            self.rotary
                .append(position, &mut scratch.cos, &mut scratch.sin);
        }
    }

    fn normalise(&self, tokens: &[f32], weight: &[f32], normed: &mut Vec<f32>) {
        normed.resize(tokens.len(), 0.0);
        let (width, eps) = (weight.len(), self.config.rms_norm_eps as f32);
        let rows = tokens.par_chunks(width).zip(normed.par_chunks_mut(width));
        match tokens.len() == width {
            true => rms_norm(self.isa, tokens, weight, eps, normed),
            false => rows.for_each(|(row, normed)| rms_norm(self.isa, row, weight, eps, normed)),
        }
    }

    fn layer(
        &self,
        index: usize,
        tokens: &mut [f32],
        (pass, cache): (&Pass, &mut PackedCache),
        scratch: &mut Scratch,
    ) -> Result<(), ModelError> {
        let (isa, config, layer) = (self.isa, &self.config, &self.layers[index]);
        let width = config.hidden_size;
        let count = tokens.len() / width;
        let (queries, shared) = (
            config.num_heads * config.head_dim,
            config.num_kv_heads * config.head_dim,
        );
        let stride = queries + 2 * shared;
        self.normalise(tokens, &layer.attention_norm, &mut scratch.normed);
        (layer.qkv)
            .write(isa, &scratch.normed, &mut scratch.input, &mut scratch.qkv)
            .map_err(failed)?;
        let half = config.head_dim / 2;
        let angles = scratch
            .cos
            .par_chunks(half)
            .zip(scratch.sin.par_chunks(half));
        let rows = scratch.qkv.par_chunks_mut(stride).zip(angles);
        rows.for_each(|(row, (cos, sin))| rotate(isa, &mut row[..queries + shared], cos, sin));
        let new = NewRows {
            rows: &scratch.qkv,
            stride,
            place: queries,
        };
        cache.write(index, pass.start..pass.start + pass.length, &new);
        scratch.mixed.resize(count * queries, 0.0);
        self.attend(index, pass, cache, (&scratch.qkv, &mut scratch.mixed));
        let format = layer.output.format();
        scratch.input.set(isa, format, &scratch.mixed, queries);
        multiply(isa, &layer.output, &scratch.input, tokens, Store::Add).map_err(failed)?;

        self.normalise(tokens, &layer.mlp_norm, &mut scratch.normed);
        let Scratch {
            input,
            normed,
            gate_up,
            ..
        } = scratch;
        layer
            .gate_up
            .write(isa, normed, input, gate_up)
            .map_err(failed)?;
        let inner = config.intermediate_size;
        scratch.hidden.resize(count * inner, 0.0);
        let rows = scratch.gate_up.par_chunks(2 * inner);
        rows.zip(scratch.hidden.par_chunks_mut(inner))
            .for_each(|(row, hidden)| silu_times(isa, row, inner, hidden));
        let format = layer.down.format();
        scratch.input.set(isa, format, &scratch.hidden, inner);
        multiply(isa, &layer.down, &scratch.input, tokens, Store::Add).map_err(failed)
    }

    fn attend(
        &self,
        index: usize,
        pass: &Pass,
        cache: &PackedCache,
        (qkv, mixed): (&[f32], &mut [f32]),
    ) {
        let config = &self.config;
        let queries = config.num_heads * config.head_dim;
        let stride = queries + 2 * config.num_kv_heads * config.head_dim;
        let [keys, values] = cache.layer(index);
        for (row, mixed) in mixed.chunks_mut(pass.length * queries).enumerate() {
            let first = row * cache.row_stride();
            let attention = Attention {
                shape: AttentionShape {
                    heads: config.num_heads,
                    kv_heads: config.num_kv_heads,
                    head_dim: config.head_dim,
                },
                query: &qkv[row * pass.length * stride..],
                query_stride: stride,
                tokens: pass.length,
                cached: Cached {
                    keys: CachedNumbers::F16(&keys[first..]),
                    values: CachedNumbers::F16(&values[first..]),
                    head_stride: cache.head_stride(),
                    position_stride: config.head_dim,
                    length: pass.start + pass.length,
                },
                visible: match &pass.seen {
                    Seen::Before => Visible::Causal { start: pass.start },
                    Seen::Rows(rows) => Visible::Rows(&rows[row]),
                },
                halved: is_halved(self.layers[index].output.format()),
            };
            attention.run(self.isa, mixed);
        }
    }
}

impl Decoder for PackedDecoder {
    fn config(&self) -> &LlmConfig {
        &self.config
    }

    fn dtype(&self) -> DType {
        DType::F32
    }

    fn device(&self) -> Device {
        self.device.clone()
    }

    fn packed_bytes(&self) -> Option<usize> {
        let layers = self.layers.iter().map(Layer::memory);
        let table = self.table.as_ref().map_or(0, Table::memory);
        Some(layers.sum::<usize>() + table + self.head.memory())
    }

    fn few_are_exact(&self) -> bool {
        let mut formats = self.layers.iter().flat_map(Layer::formats);
        few_are_exact(self.isa, self.head.format())
            && formats.all(|format| few_are_exact(self.isa, format))
    }

    fn cache(&self, batch: usize, capacity: usize) -> KvCache {
        let values = PackedCache::new(&self.config, [batch, capacity]);
        KvCache::new(values, capacity, self.config.max_positions)
    }

    fn embed(&self, tokens: &[Vec<u32>]) -> Result<Tensor<3>, ModelError> {
        check_tokens(&self.config, tokens.iter().flatten())?;
        let width = self.config.hidden_size;
        let (batch, count) = (tokens.len(), tokens.iter().map(Vec::len).sum::<usize>());
        let mut embeddings = vec![0.0; count * width];
        let mut room = Vec::new();
        for (&token, embedding) in tokens.iter().flatten().zip(embeddings.chunks_mut(width)) {
            self.look_up(token, &mut room, embedding)?;
        }
        let shape = [batch, count / batch.max(1), width];
        Ok(tensor(embeddings, shape, &self.device))
    }

    fn run(
        &self,
        embeddings: Tensor<3>,
        pass: &Pass,
        cache: Option<&mut KvCache>,
    ) -> Result<Tensor<3>, ModelError> {
        let shape = embeddings.dims();
        let mut own = None;
        let cache = match cache {
            Some(cache) => cache.values()?,
            None => own.insert(PackedCache::new(&self.config, [shape[0], pass.length])),
        };
        let hidden = self.forward(numbers(embeddings)?, pass, cache)?;
        Ok(tensor(hidden, shape, &self.device))
    }

    fn scores(&self, hidden: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let ([batch, length, _], vocab) = (hidden.dims(), self.config.vocab_size);
        let hidden = numbers(hidden)?;
        let mut scores = vec![0.0; batch * length * vocab];
        self.with_scratch(|scratch| self.score(&hidden, &mut scratch.input, &mut scores))?;
        Ok(tensor(scores, [batch, length, vocab], &self.device))
    }

    fn step(
        &self,
        token: u32,
        cache: &mut KvCache,
        scores: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        check_tokens(&self.config, [&token])?;
        // The cache of another decoder is refused before it takes note of the token.
        cache.values::<PackedCache>()?;
        let Some(position) = cache.begin_token() else {
            return parts::step(self, token, cache, scores);
        };
        let values = cache.values()?;
        scores.resize(self.config.vocab_size, 0.0);
        self.with_scratch(|scratch| self.run_token((token, position), values, scratch, scores))
    }
}

impl Layer {
    fn load(config: &LlmConfig, loader: &Loader<'_>, index: usize) -> Result<Self, ModelError> {
        let name = |part: &str| format!("model.layers.{index}.{part}.weight");
        let names = |parts: &[&str]| parts.iter().map(|part| name(part)).collect::<Vec<_>>();
        let width = config.hidden_size;
        let attention = ["q_proj", "k_proj", "v_proj"].map(|part| format!("self_attn.{part}"));
        let attention = attention.each_ref().map(String::as_str);
        Ok(Self {
            attention_norm: loader.numbers(&name("input_layernorm"))?,
            qkv: loader.stack(width, &names(&attention))?,
            output: loader.matrix(
                config.num_heads * config.head_dim,
                &name("self_attn.o_proj"),
            )?,
            mlp_norm: loader.numbers(&name("post_attention_layernorm"))?,
            gate_up: loader.stack(width, &names(&["mlp.gate_proj", "mlp.up_proj"]))?,
            down: loader.matrix(config.intermediate_size, &name("mlp.down_proj"))?,
        })
    }

    fn formats(&self) -> impl Iterator<Item = Format> {
        let single = [self.output.format(), self.down.format()];
        let stacks = self.qkv.formats().chain(self.gate_up.formats());
        stacks.chain(single)
    }

    /// Bytes of the weights.
    fn memory(&self) -> usize {
        let stacks = self.qkv.memory() + self.gate_up.memory();
        stacks + self.output.memory() + self.down.memory()
    }
}
