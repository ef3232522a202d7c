//! Where the pixels of maps lie that have a zero between their lines.

use expllm_kernels::{TILE_LINE, TILE_LINES};

/// Where the positions of some faces lie in a padded map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Padded {
    pub faces: usize,
    pub side: usize,
    /// From a line to the next.
    pub width: usize,
    /// From a face to the next.
    pub area: usize,
    /// Zeros before the first face.
    pub lead: usize,
    /// Positions of all faces, whole tiles.
    pub positions: usize,
    /// Numbers of a channel.
    pub length: usize,
}

impl Padded {
    pub fn new(side: usize, faces: usize) -> Self {
        let width = side + 1;
        let (area, lead) = (width * width, width + 1);
        let positions = (faces * area).next_multiple_of(TILE_LINE);
        // Not a multiple of a page, which would put all lines of a tile in one place of the cache.
        let length = (lead + positions + width + 1).next_multiple_of(TILE_LINE) + TILE_LINES;
        Self {
            faces,
            side,
            width,
            area,
            lead,
            positions,
            length,
        }
    }

    /// Where a line begins, the zeros before the first face not counted.
    pub fn line(&self, face: usize, y: usize) -> usize {
        face * self.area + y * self.width
    }

    /// Where what a place reads for the first position begins, or what it wrote it from.
    pub fn moved(&self, [lines, columns]: [isize; 2]) -> usize {
        let by = lines * self.width as isize + columns;
        self.lead.saturating_add_signed(by)
    }
}
