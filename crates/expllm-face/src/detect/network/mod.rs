//! CenterFace (Xu et al. 2019): MobileNetV2 and a way back up, one look for faces of any size.

mod block;
mod depthwise;

mod neck;

mod stem;
mod weights;

use std::ops::Range;

use expllm_core::GoOn;
use pulp::Simd;
use rayon::prelude::*;

use crate::simd::{Isa, Pointwise, Store, Work};
use block::{Expanded, Map, Narrow, Part, Scratch, Widen};
use depthwise::Depthwise;
use neck::{CHANNELS, Head, OUTPUTS, Up};

pub(super) use stem::Pixels;
use stem::Seen;
use weights::Weights;

use crate::FaceError;

/// Sides of images are multiples of this.
pub(super) const UNIT: usize = 32;

/// Pixels per cell of the output.
pub(super) const CELL: usize = 4;

/// Channels after the stem.
const STEM: usize = 32;

/// The blocks: wide channels, channels that go out, stride. Where the channels that come in are
/// as many as those that go out and the stride is 1, the input is added to the output.
const BLOCKS: [(usize, usize, usize); 17] = [
    (STEM, 16, 1),
    (96, 24, 2),
    (144, 24, 1),
    (144, 32, 2),
    (192, 32, 1),
    (192, 32, 1),
    (192, 64, 2),
    (384, 64, 1),
    (384, 64, 1),
    (384, 64, 1),
    (384, 96, 1),
    (576, 96, 1),
    (576, 96, 1),
    (576, 160, 2),
    (960, 160, 1),
    (960, 160, 1),
    (960, 320, 1),
];

/// Blocks whose output the neck looks at, the smallest map first.
const LATERAL: [usize; 3] = [12, 5, 2];

/// Rows that a thread works on at a time, at least: those at the seam are made twice.
const MIN_ROWS: usize = 4;

/// Most threads that share a map.
const MAX_BANDS: usize = 16;

/// What the network says of an image.
#[derive(Debug)]
pub(super) struct Cells {
    map: Map,
}

/// What the network says of one cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'a>(&'a [f32]);

impl Cells {
    /// Height and width in cells.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.map.height, self.map.width)
    }

    /// One cell.
    pub(super) fn at(&self, y: usize, x: usize) -> Cell<'_> {
        let start = (y * self.map.width + x) * OUTPUTS;
        Cell(&self.map.values[start..start + OUTPUTS])
    }
}

impl Cell<'_> {
    /// Logit of a face having its centre here.
    pub(super) fn logit(&self) -> f32 {
        self.0[0]
    }

    /// Height and width of the face in pixels.
    pub(super) fn size(&self) -> [f32; 2] {
        [self.0[1], self.0[2]].map(|log| log.exp() * CELL as f32)
    }

    /// Where in the cell the centre lies, down and to the right, in cells from its middle.
    pub(super) fn offset(&self) -> [f32; 2] {
        [self.0[3], self.0[4]]
    }

    /// The five points down and to the right, in units of the box from its top left corner.
    pub(super) fn points(&self) -> [[f32; 2]; 5] {
        std::array::from_fn(|i| [self.0[5 + 2 * i], self.0[6 + 2 * i]])
    }
}

/// One block: `expand` is absent from the first one, which follows the stem.
#[derive(Debug, Clone)]
struct Block {
    expand: Pointwise,
    narrow: Narrow,
    residual: bool,
}

/// The network with its weights packed for this processor.
#[derive(Debug, Clone)]
pub(super) struct CenterFace {
    isa: Isa,
    /// The expansion of the first block is the stem.
    blocks: Vec<Block>,
    top: Pointwise,
    ups: Vec<Up>,
    head: Head,
}

impl CenterFace {
    /// The network of a weights file.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, FaceError> {
        let isa = Isa::available()[0];
        Self::with_isa(bytes, isa)
    }

    fn with_isa(bytes: &[u8], isa: Isa) -> Result<Self, FaceError> {
        let (weights, lanes) = (Weights::new(bytes)?, isa.lanes());
        let last = BLOCKS[BLOCKS.len() - 1].1;
        let (weight, bias) = weights.layer("neck.top", &[CHANNELS, last, 1, 1])?;
        let up =
            |(index, &block): (usize, &usize)| Up::load(&weights, lanes, (index, BLOCKS[block].1));
        Ok(Self {
            isa,
            blocks: blocks(&weights, lanes)?,
            top: Pointwise::pack(lanes, &weight, &bias, true),
            ups: LATERAL
                .iter()
                .enumerate()
                .map(up)
                .collect::<Result<_, _>>()?,
            head: Head::load(&weights, lanes)?,
        })
    }

    /// Looks at an image whose sides are multiples of [`UNIT`]; `None` when `go_on` ended it
    /// between two layers.
    pub(super) fn forward(&self, pixels: Pixels<'_>, go_on: &GoOn<'_>) -> Option<Cells> {
        self.isa.run(Forward(self, pixels, go_on))
    }
}

fn blocks(weights: &Weights<'_>, lanes: usize) -> Result<Vec<Block>, FaceError> {
    let mut inputs = STEM;
    let mut found = Vec::with_capacity(BLOCKS.len());
    for (index, (wide, outputs, stride)) in BLOCKS.into_iter().enumerate() {
        let name = |step: &str| format!("blocks.{index}.{step}");
        let expand = if index == 0 {
            stem::load(weights, lanes, STEM)?
        } else {
            let (weight, bias) = weights.layer(&name("expand"), &[wide, inputs, 1, 1])?;
            Pointwise::pack(lanes, &weight, &bias, true)
        };
        let (weight, bias) = weights.layer(&name("depthwise"), &[wide, 1, 3, 3])?;
        let depthwise = Depthwise::pack(lanes, &weight, &bias, stride);
        let (weight, bias) = weights.layer(&name("project"), &[outputs, wide, 1, 1])?;
        let project = Pointwise::pack(lanes, &weight, &bias, false);
        found.push(Block {
            expand,
            narrow: Narrow { depthwise, project },
            residual: index > 0 && stride == 1 && inputs == outputs,
        });
        inputs = outputs;
    }
    Ok(found)
}

/// One look at an image.
struct Forward<'a>(&'a CenterFace, Pixels<'a>, &'a GoOn<'a>);

impl Work for Forward<'_> {
    type Output = Option<Cells>;

    fn with<S: Simd>(self, simd: S) -> Option<Cells> {
        let (small, beside) = self.down(simd)?;
        let low = self.up(simd, &small, &beside)?;
        let mut cells = Map::zeros(low.height, low.width, OUTPUTS);
        each_band(&mut cells, |rows, output| {
            self.0.head.rows(simd, &low, rows, output)
        });
        Some(Cells { map: cells })
    }
}

impl Forward<'_> {
    /// The way down through all blocks: the last map, and those that the neck looks at.
    fn down<S: Simd>(&self, simd: S) -> Option<(Map, Vec<Map>)> {
        let Self(network, pixels, go_on) = *self;
        let mut bands = Bands::default();
        let mut kept = Vec::new();
        let mut map = Map::default();
        for (index, block) in network.blocks.iter().enumerate() {
            if !go_on() {
                return None;
            }
            let (layer, narrow) = (&block.expand, &block.narrow);
            let next = if index == 0 {
                let wide = Seen { pixels, layer };
                bands.narrow(simd, &wide, narrow, None)
            } else {
                let wide = Expanded { map: &map, layer };
                bands.narrow(simd, &wide, narrow, block.residual.then_some(&map))
            };
            let seen = std::mem::replace(&mut map, next);
            if index > 0 && LATERAL.contains(&(index - 1)) {
                kept.push(seen);
            }
        }
        Some((map, kept))
    }

    /// The way back up through the neck, to a quarter of the image's sides.
    fn up<S: Simd>(&self, simd: S, small: &Map, kept: &[Map]) -> Option<Map> {
        let Self(network, _, go_on) = *self;
        let mut low = Map::zeros(small.height, small.width, CHANNELS);
        network
            .top
            .run(simd, &small.values, &mut low.values, Store::Set);
        for (up, beside) in network.ups.iter().zip(kept.iter().rev()) {
            if !go_on() {
                return None;
            }
            let mut next = Map::zeros(beside.height, beside.width, CHANNELS);
            each_band(&mut next, |rows, output| {
                up.rows(simd, (&low, beside), rows, output)
            });
            low = next;
        }
        Some(low)
    }
}

/// Memory of the threads.
#[derive(Default)]
struct Bands(Vec<Scratch>);

impl Bands {
    /// A whole block, its rows shared among threads.
    fn narrow<S: Simd>(
        &mut self,
        simd: S,
        wide: &impl Widen,
        narrow: &Narrow,
        residual: Option<&Map>,
    ) -> Map {
        let mut output = narrow.output(wide.size());
        let mut store = Store::Set;
        if let Some(map) = residual {
            output.values.copy_from_slice(&map.values);
            store = Store::Add;
        }
        let (rows, length) = (rows_per_band(output.height), output.row_length());
        let bands = output.height.div_ceil(rows);
        self.0
            .resize_with(bands.max(self.0.len()), Scratch::default);
        let parts = output.values.par_chunks_mut(rows * length).zip(&mut self.0);
        parts.enumerate().for_each(|(band, (output, scratch))| {
            let rows = band * rows..band * rows + output.len() / length;
            narrow.rows(simd, wide, Part { rows, store }, scratch, output);
        });
        output
    }
}

/// Rows that one thread works on.
fn rows_per_band(height: usize) -> usize {
    let bands = rayon::current_num_threads().clamp(1, MAX_BANDS);
    height.div_ceil(bands).max(MIN_ROWS)
}

/// Hands ranges of rows of a map to threads.
fn each_band(map: &mut Map, work: impl Fn(Range<usize>, &mut [f32]) + Sync) {
    let (rows, length) = (rows_per_band(map.height), map.row_length());
    let bands = map.values.par_chunks_mut(rows * length);
    bands.enumerate().for_each(|(band, output)| {
        work(band * rows..band * rows + output.len() / length, output);
    });
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;
    use crate::detect::WEIGHTS;

    static EXPECTED: &[u8] = include_bytes!("../../../tests/data/centerface_expected.safetensors");

    /// Images of odd shapes, and what another runtime makes of them.
    #[test]
    fn every_instruction_set_agrees_with_onnxruntime() {
        let expected = SafeTensors::deserialize(EXPECTED).unwrap();
        for isa in Isa::available() {
            let network = CenterFace::with_isa(WEIGHTS, isa).unwrap();
            for index in 0..3 {
                let image = expected.tensor(&format!("image.{index}")).unwrap();
                let output = expected.tensor(&format!("output.{index}")).unwrap();
                let (height, width) = (image.shape()[0], image.shape()[1]);
                let pixels = Pixels {
                    height,
                    width,
                    bytes: image.data(),
                };
                let cells = network.forward(pixels, &|| true).unwrap();
                let numbers = output.data().as_chunks::<4>().0.iter();
                let mut furthest = 0.0_f32;
                for (index, (found, bytes)) in cells.map.values.iter().zip(numbers).enumerate() {
                    let wanted = f32::from_le_bytes(*bytes);
                    let found = match index % OUTPUTS {
                        0 => 1.0 / (1.0 + (-found).exp()),
                        _ => *found,
                    };
                    furthest = furthest.max((found - wanted).abs());
                }
                println!("{isa:?}, {width} x {height}: off by {furthest} at most");
                assert_eq!(cells.map.values.len(), output.data().len() / 4);
                assert!(furthest < 0.02, "{isa:?} {index}: {furthest}");
            }
        }
    }
}
