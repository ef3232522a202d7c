//! Action unit detection with embedded weights: 24 intensities and expression probabilities per face.
