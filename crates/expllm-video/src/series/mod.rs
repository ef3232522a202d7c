//! What a face does over time: smoothing, rest, movements, blinks, micro-expressions, expressions.

mod movement;
mod person;
mod segment;
mod smooth;

pub use movement::{Movement, MovementOptions, movements};
pub use person::{MicroExpression, PersonEvents, PersonSeries, SeriesOptions, UnitMovement};
pub use segment::{ExpressionSegment, segments};
pub use smooth::{quantile, smoothed};
