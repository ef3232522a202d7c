//! Stands for the reader and the writer of Parquet files in a build without them.

use std::path::Path;

use super::Row;
use crate::{BuiltRecord, CotError};

pub(super) fn read(path: &Path) -> Result<std::iter::Empty<Row>, CotError> {
    Err(without(path))
}

pub(super) fn write(
    path: &Path,
    _: &mut dyn Iterator<Item = Result<BuiltRecord, CotError>>,
) -> Result<u64, CotError> {
    Err(without(path))
}

fn without(path: &Path) -> CotError {
    CotError::WithoutParquet {
        path: path.to_owned(),
    }
}
