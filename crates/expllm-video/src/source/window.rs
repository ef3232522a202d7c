//! Which pictures of a stream are wanted.

use super::{ClipOptions, Side};

/// Counts the pictures of the wanted stretch of time.
#[derive(Debug)]
pub(super) struct Window {
    options: ClipOptions,
    /// Pictures of the stretch so far.
    within: u64,
    /// Whether nothing more is wanted.
    pub over: bool,
}

impl Window {
    pub const fn new(options: ClipOptions) -> Self {
        Self {
            options,
            within: 0,
            over: false,
        }
    }

    /// The number of the picture at a time, if it is wanted; after the stretch all is over.
    pub fn number(&mut self, time: f64) -> Option<u64> {
        match self.options.side(time) {
            Side::Before => None,
            Side::After => {
                self.over = true;
                None
            }
            Side::Within => {
                let number = self.within;
                self.within += 1;
                self.options.takes(number).then_some(number)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nth_picture_of_the_stretch_is_wanted() {
        let mut window = Window::new(ClipOptions {
            from: 1.0,
            to: Some(3.0),
            every: 2,
            ..ClipOptions::default()
        });
        let numbers = [0.5, 1.0, 1.5, 2.0, 3.0, 3.5].map(|time| window.number(time));
        assert_eq!(numbers, [None, Some(0), None, Some(2), None, None]);
        assert!(window.over);
    }
}
