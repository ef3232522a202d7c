//! What one kernel call works on.

use std::ops::Range;

use crate::format::PanelLayout;
use crate::input::TileInput;

/// A few panels of weights times a few tokens.
#[derive(Debug)]
pub(crate) struct Tile<'a> {
    pub(crate) layout: PanelLayout,
    /// The panels, one after the other.
    pub(crate) panels: &'a [u8],
    pub(crate) panel_bytes: usize,
    /// The blocks of columns that are multiplied.
    pub(crate) blocks: Range<usize>,
    pub(crate) input: TileInput<'a>,
    /// Where the first row of the first token is written.
    pub(crate) output: *mut f32,
    /// Numbers from one token to the next.
    pub(crate) stride: usize,
    /// Rows of the panels that are written; those beyond are padding.
    pub(crate) rows: usize,
    /// Whether products are added to what is there.
    pub(crate) add: bool,
}

impl Tile<'_> {
    /// Checks what the pointers of kernels rely on: that weights and activations reach as far as
    /// the blocks say. The output is the caller's promise.
    pub(crate) fn assert_fits(&self, panels: usize, tokens: usize) {
        let columns = self.layout.blocks * crate::BLOCK;
        let bytes = self.layout.bytes().unwrap_or(usize::MAX);
        let input = match self.input {
            TileInput::F32(numbers) => numbers.len(),
            TileInput::Bf16(numbers) => numbers.len(),
            TileInput::Q8(numbers, metas) if metas.len() == tokens * self.layout.blocks => {
                numbers.len()
            }
            TileInput::Q8(..) => 0,
        };
        assert!(
            self.panel_bytes >= bytes
                && self.panels.len() >= panels * self.panel_bytes
                && self.blocks.end <= self.layout.blocks
                && self.blocks.start <= self.blocks.end
                && input == tokens * columns
                && self.rows > (panels - 1) * crate::format::LANES
                && self.rows <= panels * crate::format::LANES,
            "a tile that does not fit its matrix"
        );
    }
}

/// Multiplies a tile of a fixed number of panels and tokens.
///
/// # Safety
///
/// The processor has the instructions of the kernel; [`Tile::assert_fits`] holds for its panels
/// and tokens; `rows` numbers may be read and written at `output` for each token, `stride` apart,
/// and no other thread uses them.
pub(crate) type Kernel = unsafe fn(&Tile<'_>);

/// The kernel for a number of tokens, which is a constant of it: `by_tokens!(tokens, name, [A, B],
/// 1 2 3)` chooses among `name::<A, B, 1>` and so on.
macro_rules! by_tokens {
    (@one $kernel:ident, [$($constant:tt),*], $count:literal) => {
        $kernel::<$($constant,)* $count>
    };
    ($tokens:expr, $kernel:ident, $constants:tt, $($count:literal)*) => {
        match $tokens {
            $($count => Some(by_tokens!(@one $kernel, $constants, $count) as Kernel),)*
            _ => None,
        }
    };
}
pub(crate) use by_tokens;
