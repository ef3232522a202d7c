//! What of an aligned face the network sees.

use expllm_core::{Photo, Similarity};

use crate::{GreyImage, standardise};

/// The square of an aligned face that the network sees, brows to chin: its left and top edge and
/// its side as shares of the aligned face's side.
const VIEW: [f32; 3] = [0.0625, 0.109_375, 0.875];

/// The transform from the network's crop to the aligned face.
#[must_use]
pub fn face_crop(aligned_side: u32, side: usize) -> Similarity {
    let aligned = aligned_side as f32;
    let [left, top, share] = VIEW;
    Similarity {
        a: aligned * share / side as f32,
        tx: left * aligned,
        ty: top * aligned,
        ..Similarity::IDENTITY
    }
}

/// The look at an aligned face: `side * side` standardised grey values, row by row from the top.
#[must_use]
pub fn face_look(aligned: &Photo, side: usize) -> Vec<f32> {
    let grey = GreyImage::from_photo(aligned);
    let mut pixels = grey.crop(&face_crop(aligned.width(), side), side);
    standardise(&mut pixels);
    pixels
}
