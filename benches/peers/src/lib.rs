//! The networks of the large model in candle-transformers, for comparison.
