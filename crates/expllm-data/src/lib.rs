//! Facial expression and action unit data set layouts as one record type.
