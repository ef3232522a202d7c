//! DINOv2 vision transformer ([Oquab et al. 2023](https://arxiv.org/abs/2304.07193)), as in
//! `dinov2/models/vision_transformer.py` of the authors (Apache-2.0), without register tokens.

mod attention;
mod block;
mod encoder;
mod patch;
mod position;

pub use attention::VisionAttention;
pub use block::{Block, LayerScale, VisionMlp};
pub use encoder::VisionTransformer;
pub use patch::{PatchEmbed, PatchProjection};
pub use position::PositionResampler;
