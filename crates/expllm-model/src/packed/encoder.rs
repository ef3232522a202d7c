//! The vision encoder.

use burn::tensor::{Device, Tensor};
use expllm_kernels::{
    Attention, AttentionShape, Cached, CachedNumbers, Input, Isa, KernelError, Visible, gelu,
    layer_norm, on_pool,
};
use rayon::prelude::*;

use super::affine::Affine;
use super::{Loader, failed, is_halved, tensor};
use crate::nn::dinov2::PositionResampler;
use crate::parts::{Encoder, numbers};
use crate::{Dinov2Config, ModelError};

#[derive(Debug)]
struct Norm([Vec<f32>; 2]);

impl Norm {
    fn load(loader: &Loader<'_>, name: &str) -> Result<Self, ModelError> {
        Ok(Self([
            loader.numbers(&format!("{name}.weight"))?,
            loader.numbers(&format!("{name}.bias"))?,
        ]))
    }

    fn apply(&self, isa: Isa, eps: f32, tokens: &[f32], normed: &mut Vec<f32>) {
        let [weight, bias] = &self.0;
        normed.resize(tokens.len(), 0.0);
        let width = weight.len();
        let rows = tokens.par_chunks(width).zip(normed.par_chunks_mut(width));
        rows.for_each(|(row, normed)| layer_norm(isa, row, [weight, bias], eps, normed));
    }
}

#[derive(Debug)]
struct Block {
    norm1: Norm,
    qkv: Affine,
    proj: Affine,
    norm2: Norm,
    fc1: Affine,
    fc2: Affine,
}

/// A DINOv2 vision transformer with packed weights.
#[derive(Debug)]
pub(crate) struct PackedEncoder {
    isa: Isa,
    config: Dinov2Config,
    patch: Affine,
    class: Vec<f32>,
    /// `[1 + patches, width]`.
    positions: Vec<f32>,
    blocks: Vec<Block>,
    norm: Norm,
}

#[derive(Default)]
struct Buffers {
    normed: Vec<f32>,
    wide: Vec<f32>,
    mixed: Vec<f32>,
    input: Input,
}

impl PackedEncoder {
    /// Loads the weights; positions are resampled on a device.
    pub(crate) fn load(
        config: &Dinov2Config,
        loader: &Loader<'_>,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let patch = 3 * config.patch_size * config.patch_size;
        let block = |index: usize| {
            let name = |part: &str| format!("vision_model.blocks.{index}.{part}");
            let width = config.embed_dim;
            Ok(Block {
                norm1: Norm::load(loader, &name("norm1"))?,
                qkv: Affine::load(loader, &name("attn.qkv"), width)?,
                proj: Affine::load_scaled(loader, &name("attn.proj"), width, &name("ls1.gamma"))?,
                norm2: Norm::load(loader, &name("norm2"))?,
                fc1: Affine::load(loader, &name("mlp.fc1"), width)?,
                fc2: {
                    let inner = config.mlp_dim();
                    Affine::load_scaled(loader, &name("mlp.fc2"), inner, &name("ls2.gamma"))?
                },
            })
        };
        Ok(Self {
            isa: Isa::detect(),
            config: config.clone(),
            patch: Affine::load(loader, "vision_model.patch_embed.proj", patch)?,
            class: loader.numbers("vision_model.cls_token")?,
            positions: positions(config, loader, device)?,
            blocks: (0..config.depth)
                .map(block)
                .collect::<Result<_, ModelError>>()?,
            norm: Norm::load(loader, "vision_model.norm")?,
        })
    }

    /// Patch tokens of images: `[batch, 3, side, side]` to `[batch, patches, width]`.
    fn forward(&self, images: &[f32]) -> Result<Vec<f32>, ModelError> {
        on_pool(|| self.run(images)).map_err(failed)
    }

    fn run(&self, images: &[f32]) -> Result<Vec<f32>, KernelError> {
        let (side, width) = (self.config.image_size, self.config.embed_dim);
        let (isa, eps) = (self.isa, self.config.layer_norm_eps as f32);
        let mut buffers = Buffers::default();
        let mut tokens = Vec::new();
        for image in images.chunks_exact(3 * side * side) {
            let patches = self.patches(image);
            let columns = patches.len() / self.config.num_patches();
            let format = self.patch.weight.format();
            buffers.input.set(isa, format, &patches, columns);
            let start = tokens.len();
            tokens.extend_from_slice(&self.positions);
            let image = &mut tokens[start..];
            image.iter_mut().zip(&self.class).for_each(|(x, c)| *x += c);
            self.patch
                .add_to(isa, &buffers.input, &mut image[width..])?;
        }
        for block in &self.blocks {
            self.block(block, &mut tokens, &mut buffers)?;
        }
        self.norm.apply(isa, eps, &tokens, &mut buffers.normed);
        let images = buffers.normed.chunks_exact(self.positions.len());
        Ok(images.flat_map(|image| &image[width..]).copied().collect())
    }

    /// The pixels of each patch: `[patches, 3 * patch * patch]`.
    fn patches(&self, image: &[f32]) -> Vec<f32> {
        let (side, patch, grid) = (
            self.config.image_size,
            self.config.patch_size,
            self.config.grid(),
        );
        let mut patches = Vec::with_capacity(image.len());
        for (row, column) in (0..grid).flat_map(|row| (0..grid).map(move |column| (row, column))) {
            for channel in image.chunks_exact(side * side) {
                for y in row * patch..(row + 1) * patch {
                    let start = y * side + column * patch;
                    patches.extend_from_slice(&channel[start..start + patch]);
                }
            }
        }
        patches
    }

    fn block(
        &self,
        block: &Block,
        tokens: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<(), KernelError> {
        let (isa, eps) = (self.isa, self.config.layer_norm_eps as f32);
        let width = self.config.embed_dim;
        let Buffers {
            normed,
            wide,
            mixed,
            input,
        } = buffers;
        block.norm1.apply(isa, eps, tokens, normed);
        input.set(isa, block.qkv.weight.format(), normed, width);
        block.qkv.write(isa, input, wide, |_| ())?;
        mixed.resize(tokens.len(), 0.0);
        self.attend(wide, mixed, is_halved(block.qkv.weight.format()));
        input.set(isa, block.proj.weight.format(), mixed, width);
        block.proj.add_to(isa, input, tokens)?;
        block.norm2.apply(isa, eps, tokens, normed);
        input.set(isa, block.fc1.weight.format(), normed, width);
        block.fc1.write(isa, input, wide, |row| gelu(isa, row))?;
        let format = block.fc2.weight.format();
        input.set(isa, format, wide, self.config.mlp_dim());
        block.fc2.add_to(isa, input, tokens)
    }

    fn attend(&self, qkv: &[f32], mixed: &mut [f32], halved: bool) {
        let (width, heads) = (self.config.embed_dim, self.config.num_heads);
        let count = self.positions.len() / width;
        let images = qkv.chunks_exact(count * 3 * width);
        for (qkv, mixed) in images.zip(mixed.chunks_exact_mut(count * width)) {
            let attention = Attention {
                shape: AttentionShape {
                    heads,
                    kv_heads: heads,
                    head_dim: width / heads,
                },
                query: qkv,
                query_stride: 3 * width,
                tokens: count,
                cached: Cached {
                    keys: CachedNumbers::F32(&qkv[width..]),
                    values: CachedNumbers::F32(&qkv[2 * width..]),
                    head_stride: width / heads,
                    position_stride: 3 * width,
                    length: count,
                },
                visible: Visible::All,
                halved,
            };
            attention.run(self.isa, mixed);
        }
    }
}

impl Encoder for PackedEncoder {
    fn tokens(&self, images: Tensor<4>) -> Result<Tensor<3>, ModelError> {
        let (batch, device) = (images.dims()[0], images.device());
        let width = self.config.embed_dim;
        let patches = self.positions.len() / width - 1;
        let tokens = self.forward(&numbers(images)?)?;
        Ok(tensor(tokens, [batch, patches, width], &device))
    }
}

/// Positions of the class token and of the grid of the image.
fn positions(
    config: &Dinov2Config,
    loader: &Loader<'_>,
    device: &Device,
) -> Result<Vec<f32>, ModelError> {
    let width = config.embed_dim;
    let stored = loader.numbers("vision_model.pos_embed")?;
    let shape = [1, stored.len() / width, width];
    let resampler = PositionResampler::new(config.pretrain_grid(), config.grid());
    numbers(resampler.with_class(tensor(stored, shape, device)))
}
