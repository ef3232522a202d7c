//! Expressions as JSON names them, in snake case.

use expllm_core::Expression;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub(super) fn serialize<S: Serializer>(
    expression: &Expression,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(expression.snake_case())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Expression, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map_err(D::Error::custom)
}
