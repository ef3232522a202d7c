//! Metrics of facial expression, action unit, text and calibration quality as pure functions.
