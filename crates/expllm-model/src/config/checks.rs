//! Ranges of fields.

use super::LoraConfig;
use crate::ModelError;

/// The largest size that any single field may have; keeps products inside 64 bits.
const LARGEST_SIZE: usize = 1 << 22;

pub(super) fn check_size(field: &'static str, size: usize) -> Result<(), ModelError> {
    if (1..=LARGEST_SIZE).contains(&size) {
        return Ok(());
    }
    let reason = format!("{size} is not between 1 and {LARGEST_SIZE}");
    Err(ModelError::config(field, reason))
}

pub(super) fn check_divides(
    field: &'static str,
    part: usize,
    whole: usize,
) -> Result<(), ModelError> {
    check_size(field, part)?;
    if whole.is_multiple_of(part) {
        return Ok(());
    }
    Err(ModelError::config(
        field,
        format!("{part} does not divide {whole}"),
    ))
}

pub(super) fn check_positive(field: &'static str, number: f64) -> Result<(), ModelError> {
    if number.is_finite() && number > 0.0 {
        return Ok(());
    }
    Err(ModelError::config(
        field,
        format!("{number} is not positive"),
    ))
}

pub(super) fn check_lora(
    field: &'static str,
    lora: Option<&LoraConfig>,
    known: &[&str],
) -> Result<(), ModelError> {
    let Some(lora) = lora else { return Ok(()) };
    check_size(field, lora.rank)?;
    check_positive(field, lora.alpha)?;
    if !(0.0..1.0).contains(&lora.dropout) {
        let reason = format!("dropout {} is not in [0, 1)", lora.dropout);
        return Err(ModelError::config(field, reason));
    }
    match lora.targets.iter().find(|t| !known.contains(&t.as_str())) {
        Some(target) => {
            let reason = format!("unknown target {target:?}; known are {}", known.join(", "));
            Err(ModelError::config(field, reason))
        }
        None => Ok(()),
    }
}
