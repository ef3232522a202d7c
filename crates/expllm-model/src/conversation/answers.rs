//! Answers in numbers, as the official data set class writes them.

/// The square that an image is padded to, with the image in its middle.
///
/// Positions in answers are shares of its side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PaddedSquare {
    side: f64,
    left: f64,
    top: f64,
}

impl PaddedSquare {
    /// The square of an image of this size in pixels; an empty image has a side of one pixel.
    #[must_use]
    pub fn of(width: u32, height: u32) -> Self {
        let side = width.max(height).max(1);
        Self {
            side: f64::from(side),
            // Whole pixels: the reference pads so.
            left: f64::from((side - width) / 2),
            top: f64::from((side - height) / 2),
        }
    }

    /// `[left, top, width, height]` of a box in pixels.
    #[must_use]
    pub fn face_box(&self, [left, top, width, height]: [f64; 4]) -> String {
        let [x, y] = self.share([left, top]);
        decimals(&[x, y, width / self.side, height / self.side])
    }

    /// `[[x, y], ..]` of points in pixels.
    #[must_use]
    pub fn landmarks(&self, points: &[[f64; 2]]) -> String {
        let points: Vec<_> = points
            .iter()
            .map(|&point| decimals(&self.share(point)))
            .collect();
        format!("[{}]", points.join(", "))
    }

    fn share(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [(x + self.left) / self.side, (y + self.top) / self.side]
    }
}

/// Numbers with four decimals, as head poses in degrees are written too.
#[must_use]
pub fn decimals(numbers: &[f64]) -> String {
    let numbers: Vec<_> = numbers
        .iter()
        .map(|number| format!("{number:.4}"))
        .collect();
    format!("[{}]", numbers.join(", "))
}

/// Class numbers, as attributes and demographics are written.
#[must_use]
pub fn classes(numbers: &[i64]) -> String {
    let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
    format!("[{}]", numbers.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_shares_of_the_padded_side() {
        let wide = PaddedSquare::of(150, 64);
        assert_eq!(
            wide.face_box([10.0, 20.0, 50.0, 60.0]),
            "[0.0667, 0.4200, 0.3333, 0.4000]"
        );
        let tall = PaddedSquare::of(80, 120);
        assert_eq!(tall.landmarks(&[[10.0, 20.0]]), "[[0.2500, 0.1667]]");
        assert_eq!(PaddedSquare::of(0, 0).landmarks(&[]), "[]");
    }

    #[test]
    fn numbers_have_four_decimals_and_classes_none() {
        assert_eq!(decimals(&[1.5, -2.25, 0.0]), "[1.5000, -2.2500, 0.0000]");
        assert_eq!(classes(&[3, 1, 2]), "[3, 1, 2]");
    }
}
