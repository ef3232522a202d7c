//! What a face does over time: smoothing, rest, movements, blinks, micro-expressions, expressions.

mod micro;
mod movement;
mod person;
mod segment;
mod smooth;

pub use micro::MicroExpression;
pub use movement::{Movement, MovementOptions, movements};
pub use person::{PersonEvents, PersonSeries, SeriesOptions, UnitMovement};
pub use segment::{ExpressionSegment, segments};
pub use smooth::{quantile, smoothed};
