//! Photos good and bad through the reader.

#![allow(clippy::unwrap_used)] // A failure ends the test.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use expllm_face::{FaceError, PhotoReader, encode_png};
use image::{DynamicImage, ImageFormat, Rgb, Rgb32FImage, RgbImage, Rgba, RgbaImage};
use proptest::prelude::*;

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A smooth picture, so that lossy formats stay near it.
fn picture() -> RgbImage {
    RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 5) as u8, (y * 6) as u8, 90]))
}

fn decode(bytes: &[u8]) -> Result<expllm_core::Photo, FaceError> {
    PhotoReader::default().decode(bytes)
}

/// An EXIF block with nothing but an orientation, as a JPEG segment behind the start marker.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() + 2) as u16;
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xFF, 0xE1]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(exif);
    bytes.extend(&jpeg[2..]);
    bytes
}

#[test]
fn all_formats_give_the_same_picture() {
    let picture = picture();
    for format in [
        ImageFormat::Png,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::WebP,
        ImageFormat::Jpeg,
    ] {
        let photo = decode(&encoded(&picture.clone().into(), format)).unwrap();
        assert_eq!((photo.width(), photo.height()), (40, 30), "{format:?}");
        let tolerance = if format == ImageFormat::Jpeg { 12 } else { 0 };
        for (found, wanted) in photo.pixels().iter().zip(picture.as_raw()) {
            assert!(found.abs_diff(*wanted) <= tolerance, "{format:?}");
        }
    }
}

#[test]
fn the_header_tells_the_pixels() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff] {
        let bytes = encoded(&picture().into(), format);
        assert_eq!(PhotoReader::default().pixels(&bytes).unwrap(), 1200);
    }
    assert!(PhotoReader::default().pixels(b"no photo").is_err());
}

#[test]
fn every_orientation_turns_the_photo_upright() {
    let stored = RgbImage::from_fn(32, 16, |x, _| Rgb([if x < 16 { 250 } else { 5 }; 3]));
    let jpeg = encoded(&stored.into(), ImageFormat::Jpeg);
    // Where the bright half of the stored photo lies once it is upright: x and y of a bright pixel.
    let bright = [
        (4, 8),
        (28, 8),
        (28, 8),
        (4, 8),
        (8, 4),
        (8, 4),
        (8, 28),
        (8, 28),
    ];
    for (orientation, (x, y)) in (1u8..).zip(bright) {
        let photo = decode(&with_orientation(&jpeg, orientation)).unwrap();
        let turned = orientation >= 5;
        let size = if turned { (16, 32) } else { (32, 16) };
        assert_eq!((photo.width(), photo.height()), size, "{orientation}");
        assert!(photo.pixel_clamped(x, y)[0] > 200, "{orientation}");
        let (far_x, far_y) = if turned { (x, 31 - y) } else { (31 - x, y) };
        assert!(photo.pixel_clamped(far_x, far_y)[0] < 60, "{orientation}");
    }
}

#[test]
fn alpha_is_composited_onto_the_background() {
    let half = RgbaImage::from_pixel(2, 2, Rgba([0, 100, 200, 128]));
    let bytes = encoded(&half.into(), ImageFormat::Png);
    assert_eq!(decode(&bytes).unwrap().pixel_clamped(0, 0), [127, 177, 227]);
    let reader = PhotoReader {
        background: [0; 3],
        ..PhotoReader::default()
    };
    let dark = reader.decode(&bytes).unwrap();
    assert_eq!(dark.pixel_clamped(1, 1), [0, 50, 100]);
}

#[test]
fn grey_deep_and_float_samples_become_bytes() {
    let deep = DynamicImage::ImageRgb8(picture()).to_rgb16();
    let photo = decode(&encoded(&deep.into(), ImageFormat::Png)).unwrap();
    assert_eq!(photo.pixels(), picture().as_raw());
    let grey = DynamicImage::ImageRgb8(picture()).to_luma8();
    let photo = decode(&encoded(&grey.clone().into(), ImageFormat::Png)).unwrap();
    let value = grey.get_pixel(7, 9)[0];
    assert_eq!(photo.pixel_clamped(7, 9), [value; 3]);
    let float = Rgb32FImage::from_pixel(3, 3, Rgb([0.0, 0.5, 7.0]));
    let photo = decode(&encoded(&float.into(), ImageFormat::Tiff)).unwrap();
    let [red, green, blue] = photo.pixel_clamped(1, 1);
    assert!(red == 0 && green.abs_diff(128) <= 1 && blue == 255);
}

/// The header of a PNG file of any size, without data.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encoded(&picture().into(), ImageFormat::Png)[..33].to_vec();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes.extend([0, 0, 0, 0]);
    bytes.extend(b"IDAT");
    bytes.extend(crc32(b"IDAT").to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| {
            (c >> 1) ^ (0xEDB8_8320 & (c & 1).wrapping_neg())
        })
    })
}

#[test]
fn bad_files_say_what_is_wrong() {
    assert!(matches!(decode(b""), Err(FaceError::Empty)));
    assert!(matches!(decode(b"no image"), Err(FaceError::UnknownFormat)));
    assert!(matches!(decode(b"GIF89a...."), Err(FaceError::Decode(_))));
    for (bytes, name) in [
        (b"\0\0\0\x18ftypheic....".as_slice(), "HEIC"),
        (b"\0\0\0\x18ftypavif....", "AVIF"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "git lfs pull",
        ),
    ] {
        let error = decode(bytes).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    assert!(matches!(
        decode(&png_header(50_000, 50_000)),
        Err(FaceError::TooManyPixels {
            width: 50_000,
            height: 50_000,
            limit: 100_000_000
        })
    ));
    let jpeg = encoded(&picture().into(), ImageFormat::Jpeg);
    let cut = decode(&jpeg[..jpeg.len() - 20]);
    assert!(matches!(cut, Err(FaceError::Damaged(_))), "{cut:?}");
    let png = encoded(&picture().into(), ImageFormat::Png);
    assert!(matches!(
        decode(&png[..png.len() / 2]),
        Err(FaceError::Decode(_))
    ));
    assert!(decode(&encoded(&RgbImage::new(1, 1).into(), ImageFormat::Png)).is_ok());
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

#[test]
fn a_photo_that_is_not_whole_is_an_error_whatever_marker_ends_it() {
    for name in ["cut58.jpg", "base_bitrot.jpg"] {
        let error = PhotoReader::default().read(data(name)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("is damaged"), "{name}: {text}");
    }
}

#[test]
fn the_orientation_is_found_where_pillow_finds_it() {
    let read = |name| PhotoReader::default().read(data(name)).unwrap();
    // All are stored lying, with orientation 6.
    for name in ["le_long.jpg", "xmp_only.jpg"] {
        let photo = read(name);
        assert_eq!((photo.width(), photo.height()), (400, 393), "{name}");
    }
    let before = read("control_exif_before_idat.png");
    assert_eq!((before.width(), before.height()), (300, 295));
    assert_eq!(read("exif_after_idat.png"), before);
}

/// A CMYK TIFF: the ink values of one pixel, four samples of eight bits, no compression.
fn cmyk_tiff(ink: [u8; 4]) -> Vec<u8> {
    let mut bytes = b"II*\0\x0c\0\0\0".to_vec();
    bytes.extend(ink);
    let entries: [(u16, u16, u32, u32); 9] = [
        (256, 3, 1, 1),
        (257, 3, 1, 1),
        (258, 3, 4, 126),
        (259, 3, 1, 1),
        (262, 3, 1, 5),
        (273, 4, 1, 8),
        (277, 3, 1, 4),
        (278, 3, 1, 1),
        (279, 4, 1, 4),
    ];
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    assert_eq!(bytes.len(), 126);
    bytes.extend([8, 0, 8, 0, 8, 0, 8, 0]);
    bytes
}

#[test]
fn cmyk_becomes_rgb() {
    let photo = decode(&cmyk_tiff([255, 0, 0, 0])).unwrap();
    assert_eq!(photo.pixel_clamped(0, 0), [0, 255, 255]);
    let photo = decode(&cmyk_tiff([0, 0, 0, 255])).unwrap();
    assert_eq!(photo.pixel_clamped(0, 0), [0, 0, 0]);
}

#[test]
fn errors_name_the_file_and_limits_hold() {
    let folder = tempfile::tempdir().unwrap();
    let reader = PhotoReader {
        max_bytes: 100,
        ..PhotoReader::default()
    };
    let path = folder.path().join("large.png");
    std::fs::write(&path, [0; 101]).unwrap();
    let error = reader.read(&path).unwrap_err().to_string();
    assert!(error.contains("large.png") && error.contains("100 bytes"));
    let error = reader.read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
    let error = reader.read(folder.path().join("none.png")).unwrap_err();
    assert!(matches!(error, FaceError::InFile { .. }));
    let named_wrong = folder.path().join("photo.jpg");
    let photo = expllm_core::Photo::new(1, 1, vec![1, 2, 3]).unwrap();
    std::fs::write(&named_wrong, encode_png(&photo).unwrap()).unwrap();
    assert_eq!(reader.read(&named_wrong).unwrap(), photo);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any damage gives a photo or an error.
    #[test]
    fn damaged_files_never_panic(
        which in 0usize..5, at in any::<prop::sample::Index>(), byte in any::<u8>(),
        keep in any::<prop::sample::Index>(), cut in any::<bool>(),
    ) {
        let formats = [
            ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP,
            ImageFormat::Jpeg,
        ];
        let mut bytes = encoded(&picture().into(), formats[which]);
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        if let Ok(photo) = decode(&bytes) {
            prop_assert!(photo.width() > 0);
        }
    }
}
