//! Face preprocessing: reading photos, detection, landmarks, alignment, drawing.
