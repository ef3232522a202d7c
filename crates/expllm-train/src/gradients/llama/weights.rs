//! The numbers of a decoder, or their gradients, as plain rows.

/// A linear layer without bias, or several over the same input, one below the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Projection {
    /// `[outputs, inputs]`; empty among gradients where it is frozen.
    pub weight: Vec<f32>,
    /// Low-rank side paths.
    pub adapters: Vec<Adapter>,
}

/// A low-rank side path of some outputs of a projection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Adapter {
    /// The first output that it adds to.
    pub first: usize,
    /// `[rank, inputs]`.
    pub a: Vec<f32>,
    /// `[outputs, rank]`.
    pub b: Vec<f32>,
}

/// Attention and gated layers with the norms before them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer {
    /// Norm before attention: `[width]`.
    pub before_attention: Vec<f32>,
    /// Queries, keys and values: `[(heads + 2 kv_heads) * head_dim, width]`.
    pub projected: Projection,
    /// Output of attention: `[width, heads * head_dim]`.
    pub mixed: Projection,
    /// Norm before the gated layers: `[width]`.
    pub before_gates: Vec<f32>,
    /// Gates and what they let through: `[2 * hidden, width]`.
    pub gates: Projection,
    /// `[width, hidden]`.
    pub down: Projection,
}

/// A decoder of the LLaMA family.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LlamaNumbers {
    /// `[vocab, width]`.
    pub embedding: Vec<f32>,
    /// From the first to the last.
    pub layers: Vec<Layer>,
    /// The last norm: `[width]`.
    pub norm: Vec<f32>,
    /// `[vocab, width]`; empty where the embedding takes its place.
    pub head: Vec<f32>,
}

impl Projection {
    fn zeros(&self, adapters_alone: bool) -> Self {
        let adapter = |adapter: &Adapter| Adapter {
            first: adapter.first,
            a: vec![0.0; adapter.a.len()],
            b: vec![0.0; adapter.b.len()],
        };
        Self {
            weight: zeros(&self.weight, adapters_alone),
            adapters: self.adapters.iter().map(adapter).collect(),
        }
    }

    fn parts(&mut self) -> impl Iterator<Item = &mut Vec<f32>> {
        let adapters = self.adapters.iter_mut();
        std::iter::once(&mut self.weight)
            .chain(adapters.flat_map(|pair| [&mut pair.a, &mut pair.b]))
    }
}

impl Layer {
    /// The projections in order.
    pub(super) fn projections(&self) -> [&Projection; 4] {
        [&self.projected, &self.mixed, &self.gates, &self.down]
    }

    fn zeros(&self, adapters_alone: bool) -> Self {
        let [projected, mixed, gates, down] =
            self.projections().map(|all| all.zeros(adapters_alone));
        Self {
            before_attention: zeros(&self.before_attention, adapters_alone),
            projected,
            mixed,
            before_gates: zeros(&self.before_gates, adapters_alone),
            gates,
            down,
        }
    }

    fn parts(&mut self) -> impl Iterator<Item = &mut Vec<f32>> {
        let projections = [
            &mut self.projected,
            &mut self.mixed,
            &mut self.gates,
            &mut self.down,
        ];
        [&mut self.before_attention, &mut self.before_gates]
            .into_iter()
            .chain(projections.into_iter().flat_map(Projection::parts))
    }
}

impl LlamaNumbers {
    /// Gradients that are zero; those of everything but adapters may be left out.
    #[must_use]
    pub fn zeros(&self, adapters_alone: bool) -> Self {
        let layers = self.layers.iter().map(|layer| layer.zeros(adapters_alone));
        Self {
            embedding: zeros(&self.embedding, adapters_alone),
            layers: layers.collect(),
            norm: zeros(&self.norm, adapters_alone),
            head: zeros(&self.head, adapters_alone),
        }
    }

    /// Every tensor.
    pub(super) fn parts(&mut self) -> impl Iterator<Item = &mut Vec<f32>> {
        [&mut self.embedding, &mut self.norm, &mut self.head]
            .into_iter()
            .chain(self.layers.iter_mut().flat_map(Layer::parts))
    }
}

fn zeros(like: &[f32], none: bool) -> Vec<f32> {
    vec![0.0; if none { 0 } else { like.len() }]
}
