//! Where tensors come from, one at a time.

mod storage;

use burn::tensor::{DType, TensorData};
use expllm_kernels::Format;

use crate::ModelError;

pub(crate) use storage::Storage;
pub use storage::StoredBytes;

/// What is known of a tensor before its numbers are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Length of each axis, outermost first.
    pub shape: Vec<usize>,
    /// Number format in the source.
    pub dtype: DType,
}

impl TensorInfo {
    /// How many numbers the tensor holds; `None` when the product overflows.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        self.shape
            .iter()
            .try_fold(1_usize, |product, &axis| product.checked_mul(axis))
    }

    /// Bytes of the numbers; `None` when the product overflows.
    #[must_use]
    pub fn bytes(&self) -> Option<usize> {
        self.count()?.checked_mul(self.dtype.size())
    }
}

/// A set of named tensors that are read one at a time.
///
/// Names are those of the official checkpoint, such as
/// `model.layers.0.self_attn.q_proj.weight`; linear weights are `[out, in]`. Checkpoint readers
/// and [`ExpLlm`](crate::ExpLlm) itself are sources, so that converting, loading and saving are
/// one loop over [`names`](Self::names).
pub trait TensorSource: Send + Sync {
    /// Every name, in a fixed order.
    fn names(&self) -> Vec<String>;

    /// Shape and number format, or `None` for an unknown name. Reads no tensor data.
    fn info(&self, name: &str) -> Option<TensorInfo>;

    /// The numbers, in the format that [`info`](Self::info) states.
    ///
    /// # Errors
    ///
    /// [`ModelError::UnknownTensor`], or whatever stops the data from being read.
    fn read(&self, name: &str) -> Result<TensorData, ModelError>;

    /// The format of a matrix whose numbers share scales in the source; `None` for all others.
    /// [`read`](Self::read) gives the numbers of either.
    fn block_format(&self, name: &str) -> Option<Format> {
        let _ = name;
        None
    }

    /// The rows of a matrix in its [`block_format`](Self::block_format), one after the other as
    /// [`Rows::Encoded`](expllm_kernels::Rows::Encoded) takes them, so that nothing is lost by
    /// rounding twice. `None` for a tensor without such a format.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn read_blocks(&self, name: &str) -> Result<Option<Vec<u8>>, ModelError> {
        let _ = name;
        Ok(None)
    }

    /// Where the numbers of a tensor lie in a file exactly as [`read`](Self::read) gives them, or
    /// as [`read_blocks`](Self::read_blocks) does where it has a
    /// [`block_format`](Self::block_format): rows can be packed from there without a copy, and
    /// looked up one by one. `None` where they are computed, moved or held in another way.
    fn stored(&self, name: &str) -> Option<StoredBytes> {
        let _ = name;
        None
    }
}
