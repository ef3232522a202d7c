//! From a file to an upright RGB photo.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use expllm_core::Photo;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::error::contained;
use crate::{FaceError, jpeg, orientation};

/// Reads JPEG, PNG, WebP, BMP, TIFF and GIF files; the content decides, not the file's name.
///
/// The orientation of EXIF or XMP is applied, alpha is composited onto [`PhotoReader::background`], grey becomes
/// RGB, 16 bit and float samples become 8 bit, CMYK becomes RGB by the plain formula. Colour
/// profiles are ignored. Of animations the first frame is read. A JPEG whose data does not hold
/// the whole picture is refused, whatever its end marker says.
///
/// ```no_run
/// let photo = expllm_face::PhotoReader::default().read("photo.jpg")?;
/// println!("{} x {}", photo.width(), photo.height());
/// # Ok::<(), expllm_face::FaceError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PhotoReader {
    /// The most pixels a photo may have, checked against its header before decoding;
    /// 100 million by default.
    pub max_pixels: u64,
    /// The most bytes a file may have; 256 MiB by default.
    pub max_bytes: u64,
    /// RGB colour that shows through transparent pixels; white by default.
    pub background: [u8; 3],
}

impl Default for PhotoReader {
    fn default() -> Self {
        Self {
            max_pixels: 100_000_000,
            max_bytes: 256 << 20,
            background: [255; 3],
        }
    }
}

impl PhotoReader {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`FaceError::InFile`] with the path, around one of the errors of [`Self::decode`],
    /// [`FaceError::Io`], [`FaceError::NotAFile`] or [`FaceError::TooManyBytes`].
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Photo, FaceError> {
        let path = path.as_ref();
        self.bytes_of(path)
            .and_then(|bytes| self.decode(&bytes))
            .map_err(|error| error.in_file(path))
    }

    /// Decodes the bytes of a file.
    ///
    /// # Errors
    ///
    /// [`FaceError::Empty`], [`FaceError::UnknownFormat`], [`FaceError::Foreign`],
    /// [`FaceError::TooManyPixels`], [`FaceError::Damaged`], [`FaceError::Decode`] or
    /// [`FaceError::Library`].
    pub fn decode(&self, bytes: &[u8]) -> Result<Photo, FaceError> {
        if bytes.is_empty() {
            return Err(FaceError::Empty);
        }
        let format = format_of(bytes)?;
        let image = contained("the image decoder", || self.decode_as(bytes, format))??;
        self.flatten(image)
    }

    /// How many pixels a photo has by its header, decoding none.
    ///
    /// # Errors
    ///
    /// Those of [`Self::decode`] that a header can cause.
    pub fn pixels(&self, bytes: &[u8]) -> Result<u64, FaceError> {
        let format = format_of(bytes)?;
        let reader = || {
            self.decoder(bytes, format)
                .map(|decoder| decoder.dimensions())
        };
        let (width, height) = contained("the image decoder", reader)??;
        Ok(u64::from(width) * u64::from(height))
    }

    fn bytes_of(&self, path: &Path) -> Result<Vec<u8>, FaceError> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(FaceError::NotAFile);
        }
        let limit = self.max_bytes;
        if metadata.len() > limit {
            return Err(FaceError::TooManyBytes { limit });
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        // The file may grow while it is read.
        File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(FaceError::TooManyBytes { limit });
        }
        Ok(bytes)
    }

    /// A decoder that has read the header.
    fn decoder<'a>(
        &self,
        bytes: &'a [u8],
        format: ImageFormat,
    ) -> Result<impl ImageDecoder + 'a, FaceError> {
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = Limits::default();
        // Sixteen bytes a pixel hold the widest samples; the rest is for the decoder's tables.
        limits.max_alloc = Some(self.max_pixels.saturating_mul(16).saturating_add(64 << 20));
        reader.limits(limits);
        Ok(reader.into_decoder()?)
    }

    fn decode_as(&self, bytes: &[u8], format: ImageFormat) -> Result<DynamicImage, FaceError> {
        let mut decoder = self.decoder(bytes, format)?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > self.max_pixels {
            let limit = self.max_pixels;
            return Err(FaceError::TooManyPixels {
                width,
                height,
                limit,
            });
        }
        // The decoder fills what is missing with grey instead of saying so.
        if format == ImageFormat::Jpeg {
            jpeg::check(bytes).map_err(FaceError::Damaged)?;
        }
        let orientation = orientation::of(bytes, format, &mut decoder);
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok(image)
    }

    fn flatten(&self, image: DynamicImage) -> Result<Photo, FaceError> {
        let (width, height) = (image.width(), image.height());
        let pixels = if image.color().has_alpha() {
            let rgba = image.into_rgba8().into_raw();
            let over = |pixel: &[u8]| -> [u8; 3] {
                let alpha = u32::from(pixel[3]);
                std::array::from_fn(|i| {
                    let front = u32::from(pixel[i]) * alpha;
                    let back = u32::from(self.background[i]) * (255 - alpha);
                    ((front + back + 127) / 255) as u8
                })
            };
            rgba.chunks_exact(4).flat_map(over).collect()
        } else {
            image.into_rgb8().into_raw()
        };
        // The decoder has checked the sizes; what is left is an image without pixels.
        Photo::new(width, height, pixels).map_err(|_| FaceError::Empty)
    }
}

/// The format of a file, when it is read.
fn format_of(bytes: &[u8]) -> Result<ImageFormat, FaceError> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    let brand = bytes.get(4..12).unwrap_or_default();
    match image::guess_format(bytes) {
        Ok(format @ (Bmp | Gif | Jpeg | Png | Tiff | WebP)) => Ok(format),
        Ok(ImageFormat::Avif) => Err(FaceError::Foreign("an AVIF image")),
        _ if [b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1"]
            .iter()
            .any(|b| *b == brand) =>
        {
            Err(FaceError::Foreign("a HEIC image"))
        }
        _ if bytes.starts_with(b"version https://git-lfs") => Err(FaceError::Pointer),
        _ => Err(FaceError::UnknownFormat),
    }
}
