//! Where the bytes of an image lie.

use std::fmt;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::{GrayImage, ImageFormat};

use crate::DataError;

/// The most bytes that are read of one encoded image.
const IMAGE_LIMIT: u64 = 256 << 20;

/// A place from which the encoded bytes of one image can be read: a file, a member of a `.tar`,
/// or a row of FER2013's CSV. Cheap to clone; nothing is read before [`ImageSource::read`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSource {
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Member {
        archive: Arc<Path>,
        name: String,
        offset: u64,
        size: u64,
    },
    Pixels {
        row: usize,
        side: u32,
        grey: Arc<[u8]>,
    },
}

impl ImageSource {
    /// An image file.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            place: Place::File(path.into()),
        }
    }

    /// A range of bytes of an archive: the member `name`, `size` bytes from `offset` on.
    #[must_use]
    pub fn member(archive: Arc<Path>, name: impl Into<String>, offset: u64, size: u64) -> Self {
        let name = name.into();
        Self {
            place: Place::Member {
                archive,
                name,
                offset,
                size,
            },
        }
    }

    /// A square grey image given as pixels, row by row; `row` is its line in the CSV.
    pub(crate) fn grey(row: usize, side: u32, grey: Arc<[u8]>) -> Self {
        Self {
            place: Place::Pixels { row, side, grey },
        }
    }

    /// The path, when the image is a file of its own.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Member { .. } | Place::Pixels { .. } => None,
        }
    }

    /// The encoded bytes (JPEG, PNG, ...; rows of FER2013's CSV are encoded as PNG).
    ///
    /// # Errors
    ///
    /// [`DataError::File`] when the bytes cannot be read (also when the file is missing or
    /// shorter than the archive says), [`DataError::TooLarge`] above 256 MiB.
    pub fn read(&self) -> Result<Vec<u8>, DataError> {
        match &self.place {
            Place::File(path) => {
                let size = std::fs::metadata(path)
                    .map_err(|e| DataError::file(path, e))?
                    .len();
                read_range(path, 0, size)
            }
            Place::Member {
                archive,
                offset,
                size,
                ..
            } => read_range(archive, *offset, *size),
            Place::Pixels { side, grey, .. } => self.encode(*side, grey),
        }
    }

    fn encode(&self, side: u32, grey: &[u8]) -> Result<Vec<u8>, DataError> {
        let problem = |reason: String| DataError::Image {
            image: self.to_string(),
            reason,
        };
        let picture = GrayImage::from_raw(side, side, grey.to_vec())
            .ok_or_else(|| problem(format!("{} pixels are no square", grey.len())))?;
        let mut bytes = Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, ImageFormat::Png)
            .map_err(|e| problem(e.to_string()))?;
        Ok(bytes.into_inner())
    }
}

/// Reads a range of a file after its size has been checked.
pub(crate) fn read_range(path: &Path, offset: u64, size: u64) -> Result<Vec<u8>, DataError> {
    if size > IMAGE_LIMIT {
        return Err(DataError::TooLarge {
            path: path.to_path_buf(),
            size,
            limit: IMAGE_LIMIT,
        });
    }
    let read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = vec![0; size as usize];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|e| DataError::file(path, e))
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File(path) => write!(f, "{}", path.display()),
            Place::Member { archive, name, .. } => write!(f, "{}:{name}", archive.display()),
            Place::Pixels { row, .. } => write!(f, "row {row}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_ranges_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        std::fs::write(&path, b"0123456789").unwrap();
        assert_eq!(ImageSource::file(&path).read().unwrap(), b"0123456789");
        let archive: Arc<Path> = path.into();
        let member = ImageSource::member(archive.clone(), "m", 3, 4);
        assert_eq!(member.read().unwrap(), b"3456");
        assert!(
            ImageSource::member(archive.clone(), "m", 8, 4)
                .read()
                .is_err()
        );
        let huge = ImageSource::member(archive, "m", 0, u64::MAX).read();
        assert!(matches!(huge, Err(DataError::TooLarge { .. })));
    }

    #[test]
    fn grey_pixels_become_a_picture() {
        let grey: Arc<[u8]> = (0..9).collect::<Vec<u8>>().into();
        let bytes = ImageSource::grey(2, 3, grey.clone()).read().unwrap();
        let picture = image::load_from_memory(&bytes).unwrap().into_luma8();
        assert_eq!(picture.as_raw().as_slice(), &*grey);
    }
}
