//! Between the modules of burn and plain numbers.

use burn::module::Param;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use expllm_model::nn::llama::{DecoderLayer, Llama, Rotary};
use expllm_model::nn::{Linear, LoraAdapter};

use super::{
    Adapter, Found, Layer, LlamaByHand, LlamaNumbers, LlamaSizes, LoraSettings, Projection,
    Sentence,
};

/// Steps of a language model by hand.
#[derive(Debug)]
pub struct LlamaSteps {
    by_hand: LlamaByHand,
    numbers: LlamaNumbers,
    adapters_alone: bool,
}

impl LlamaSteps {
    /// Steps of a model all of whose weights are trained, or none but adapters; `None` for another
    /// one and for other numbers than f32.
    #[must_use]
    pub fn new(llm: &Llama) -> Option<Self> {
        Self::with(llm, LlamaByHand::new)
    }

    /// The same with products of f32 on every processor, to compare with.
    #[must_use]
    pub fn exact(llm: &Llama) -> Option<Self> {
        Self::with(llm, LlamaByHand::exact)
    }

    fn with(llm: &Llama, plan: fn(LlamaSizes, bool) -> LlamaByHand) -> Option<Self> {
        let mut trained = weights(llm);
        let first = trained.next()?;
        if llm.dtype() != DType::F32 || trained.any(|other| other != first) {
            return None;
        }
        Some(Self {
            by_hand: plan(sizes(llm), !first),
            numbers: LlamaNumbers::default(),
            adapters_alone: !first,
        })
    }

    /// Losses and gradients of records by the model as it is now; the same `seed` leaves out the
    /// same inputs of adapters.
    pub fn step(&mut self, llm: &Llama, records: &[Sentence<'_>], seed: u64) -> Found {
        let all = !self.adapters_alone || self.numbers.layers.is_empty();
        read(llm, all, &mut self.numbers);
        self.by_hand.pack(&self.numbers);
        self.by_hand.step(&self.numbers, records, seed)
    }
}

impl LlamaNumbers {
    /// Adds these gradients to those of an optimiser step; `device` is one without gradients.
    pub fn register(&self, llm: &Llama, found: &mut GradientsParams, device: &Device) {
        let mut to = Register { found, device };
        to.one(&llm.embed_tokens.weight, &self.embedding);
        for (layer, gradient) in llm.layers.iter().zip(&self.layers) {
            let linears = projections(layer).into_iter();
            for (linears, gradient) in linears.zip(gradient.projections()) {
                to.projection(&linears, gradient);
            }
            to.one(&layer.input_layernorm.weight, &gradient.before_attention);
            to.one(
                &layer.post_attention_layernorm.weight,
                &gradient.before_gates,
            );
        }
        to.one(&llm.norm.weight, &self.norm);
        if let Some(head) = &llm.lm_head {
            to.one(&head.weight, &self.head);
        }
    }
}

/// Whether each of the weights that are no adapters is trained.
fn weights(llm: &Llama) -> impl Iterator<Item = bool> {
    let linears = llm.layers.iter().flat_map(projections).flatten();
    let linears = linears.chain(&llm.lm_head);
    let norms = llm.layers.iter().flat_map(|layer| {
        [&layer.input_layernorm, &layer.post_attention_layernorm].map(|norm| &norm.weight)
    });
    let norms = norms.chain([&llm.norm.weight]);
    let tables = linears.map(|linear| &linear.weight);
    let tables = tables.chain([&llm.embed_tokens.weight]);
    let tables = tables.map(|table| table.val().is_require_grad());
    tables.chain(norms.map(|norm| norm.val().is_require_grad()))
}

fn sizes(llm: &Llama) -> LlamaSizes {
    let config = llm.config();
    let rotary = Rotary::new(config);
    let [mut cos, mut sin] = [Vec::new(), Vec::new()];
    for position in 0..config.max_positions {
        rotary.append(position, &mut cos, &mut sin);
    }
    let lora = config.lora.as_ref().map(|lora| LoraSettings {
        rank: lora.rank,
        scale: lora.scale() as f32,
        dropout: lora.dropout as f32,
    });
    LlamaSizes {
        width: config.hidden_size,
        hidden: config.intermediate_size,
        heads: config.num_heads,
        kv_heads: config.num_kv_heads,
        head_dim: config.head_dim,
        eps: config.rms_norm_eps as f32,
        angles: [cos, sin],
        lora: lora.unwrap_or_default(),
    }
}

/// Linear layers over the same input belong together.
fn projections(layer: &DecoderLayer) -> [Vec<&Linear>; 4] {
    let (attention, mlp) = (&layer.self_attn, &layer.mlp);
    [
        vec![&attention.q_proj, &attention.k_proj, &attention.v_proj],
        vec![&attention.o_proj],
        vec![&mlp.gate_proj, &mlp.up_proj],
        vec![&mlp.down_proj],
    ]
}

/// Reads all numbers, or those of adapters.
fn read(llm: &Llama, all: bool, numbers: &mut LlamaNumbers) {
    if all {
        numbers.embedding = values(&llm.embed_tokens.weight);
        numbers.norm = values(&llm.norm.weight);
        let head = llm.lm_head.as_ref();
        numbers.head = head.map_or_else(Vec::new, |head| values(&head.weight));
        numbers.layers.resize_with(llm.layers.len(), Layer::default);
    }
    for (layer, numbers) in llm.layers.iter().zip(&mut numbers.layers) {
        if all {
            numbers.before_attention = values(&layer.input_layernorm.weight);
            numbers.before_gates = values(&layer.post_attention_layernorm.weight);
        }
        let to = [
            &mut numbers.projected,
            &mut numbers.mixed,
            &mut numbers.gates,
            &mut numbers.down,
        ];
        for (linears, numbers) in projections(layer).into_iter().zip(to) {
            read_projection(&linears, all, numbers);
        }
    }
}

fn read_projection(linears: &[&Linear], all: bool, numbers: &mut Projection) {
    if all {
        let weights = linears.iter().flat_map(|linear| values(&linear.weight));
        numbers.weight = weights.collect();
    }
    numbers.adapters.clear();
    let mut first = 0;
    for linear in linears {
        if let Some(lora) = &linear.lora {
            numbers.adapters.push(Adapter {
                first,
                a: values(&lora.a),
                b: values(&lora.b),
            });
        }
        first += linear.weight.lazy_shape()[0];
    }
}

fn values<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f32> {
    let data = param.val().into_data().convert::<f32>();
    data.try_to_vec().unwrap_or_default()
}

/// Hands gradients back.
struct Register<'a> {
    found: &'a mut GradientsParams,
    device: &'a Device,
}

impl Register<'_> {
    fn projection(&mut self, linears: &[&Linear], gradient: &Projection) {
        let mut rest = &gradient.weight[..];
        for linear in linears {
            let count = linear.weight.lazy_shape().num_elements();
            if let Some((own, others)) = rest.split_at_checked(count) {
                self.one(&linear.weight, own);
                rest = others;
            }
        }
        let adapters = linears.iter().filter_map(|linear| linear.lora.as_ref());
        for (lora, gradient) in adapters.zip(&gradient.adapters) {
            self.adapter(lora, gradient);
        }
    }

    fn adapter(&mut self, lora: &LoraAdapter, gradient: &Adapter) {
        self.one(&lora.a, &gradient.a);
        self.one(&lora.b, &gradient.b);
    }

    fn one<const D: usize>(&mut self, param: &Param<Tensor<D>>, numbers: &[f32]) {
        if numbers.is_empty() || !param.val().is_require_grad() {
            return;
        }
        let data = TensorData::new(numbers.to_vec(), param.lazy_shape());
        let gradient = Tensor::<D>::from_data(data, self.device);
        self.found.register(param.id, gradient);
    }
}
