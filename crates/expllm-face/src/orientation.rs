//! How a stored photo must be turned to stand upright.
//!
//! The tag is looked for where Pillow's `ImageOps.exif_transpose` looks: in the EXIF block of any
//! format, behind the image data of a PNG too, in the raw profile that ImageMagick writes into
//! PNG files, and, where there is no such tag, in XMP.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{ImageDecoder, ImageFormat};

/// Tag 0x0112 of TIFF 6.0 and EXIF.
const TAG: u16 = 0x0112;
/// Key of the raw profile in a PNG.
const RAW_PROFILE: &str = "Raw profile type exif";
/// The most bytes that a compressed profile may unpack to.
const PROFILE_LIMIT: usize = 4 << 20;

/// The orientation of a photo; upright where nothing says otherwise, since a broken block is no
/// reason to refuse a photo.
pub(crate) fn of(
    bytes: &[u8],
    format: ImageFormat,
    decoder: &mut impl ImageDecoder,
) -> Orientation {
    let found = match format {
        // The file is built like an EXIF block.
        ImageFormat::Tiff => from_exif(bytes),
        ImageFormat::Png => from_png(bytes),
        _ => {
            let exif = decoder.exif_metadata().ok().flatten();
            let mut xmp = || decoder.xmp_metadata().ok().flatten();
            let tag = exif.and_then(|block| from_exif(&block));
            tag.or_else(|| from_xmp(&String::from_utf8_lossy(&xmp()?)))
        }
    };
    found.unwrap_or(Orientation::NoTransforms)
}

/// The tag in the first directory of an EXIF block; cameras write it as SHORT, editors also as
/// BYTE or LONG.
fn from_exif(block: &[u8]) -> Option<Orientation> {
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    let big = match block.get(..4)? {
        b"MM\0*" => true,
        b"II*\0" => false,
        _ => return None,
    };
    let number = |at: usize, size: usize| -> Option<u64> {
        let bytes = block.get(at..at.checked_add(size)?)?.iter();
        let join = |sum, &byte| sum << 8 | u64::from(byte);
        Some(match big {
            true => bytes.fold(0, join),
            false => bytes.rev().fold(0, join),
        })
    };
    let directory = usize::try_from(number(4, 4)?).ok()?;
    let entries = (0..number(directory, 2)?).map(|n| directory + 2 + 12 * n as usize);
    let entry = entries
        .take_while(|&at| at < block.len())
        .find(|&at| number(at, 2) == Some(TAG.into()))?;
    let size = match number(entry + 2, 2)? {
        1 => 1,
        3 => 2,
        4 => 4,
        _ => return None,
    };
    orientation(number(entry + 8, size)?)
}

fn orientation(number: u64) -> Option<Orientation> {
    Orientation::from_exif(u8::try_from(number).ok()?)
}

/// The tag in XMP, as an element or an attribute.
fn from_xmp(xmp: &str) -> Option<Orientation> {
    let (_, value) = xmp.split_once("tiff:Orientation")?;
    let value = value.strip_prefix("=\"").or(value.strip_prefix('>'))?;
    orientation(value.chars().next()?.to_digit(10)?.into())
}

/// The tag of a PNG, in chunks before and behind its image data.
fn from_png(bytes: &[u8]) -> Option<Orientation> {
    if !has_metadata(bytes) {
        return None;
    }
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().ok()?;
    // A file that breaks off behind its metadata has said enough.
    let _ = reader.finish();
    let info = reader.info();
    let chunk = info.exif_metadata.as_deref().map(<[u8]>::to_vec);
    let tag = chunk.or_else(|| raw_profile(info));
    tag.and_then(|block| from_exif(&block)).or_else(|| {
        let chunks = info.utf8_text.iter();
        let mut xmp = chunks
            .filter(|chunk| chunk.keyword.contains("com.adobe.xmp"))
            .cloned();
        let mut chunk = xmp.next()?;
        chunk.decompress_text_with_limit(PROFILE_LIMIT).ok()?;
        from_xmp(&chunk.get_text().ok()?)
    })
}

/// Whether a PNG has chunks in which the tag can stand.
fn has_metadata(bytes: &[u8]) -> bool {
    let mut at = 8;
    while let Some(&[a, b, c, d, ref kind @ ..]) = bytes.get(at..at + 8) {
        if matches!(kind, b"eXIf" | b"tEXt" | b"zTXt" | b"iTXt") {
            return true;
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        at = at.saturating_add(length).saturating_add(12);
        if at >= bytes.len() {
            break;
        }
    }
    false
}

/// The EXIF block that is written in hexadecimal digits behind three lines of heading.
fn raw_profile(info: &png::Info<'_>) -> Option<Vec<u8>> {
    let plain = info.uncompressed_latin1_text.iter();
    let plain = plain
        .filter(|chunk| chunk.keyword == RAW_PROFILE)
        .map(|chunk| chunk.text.clone());
    let packed = info.compressed_latin1_text.iter();
    let packed = packed
        .filter(|chunk| chunk.keyword == RAW_PROFILE)
        .filter_map(|chunk| {
            let mut chunk = chunk.clone();
            chunk.decompress_text_with_limit(PROFILE_LIMIT).ok()?;
            chunk.get_text().ok()
        });
    let text = plain.chain(packed).next()?;
    let digits: Vec<u8> = text.lines().skip(3).flat_map(str::bytes).collect();
    let (pairs, _) = digits.as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4 | digit(*low)?) as u8);
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An EXIF block with nothing but the tag, of any type.
    fn block(big: bool, kind: u16, value: &[u8]) -> Vec<u8> {
        let two = |n: u16| {
            if big {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let four = |n: u32| {
            if big {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let mut bytes = if big { b"MM\0*" } else { b"II*\0" }.to_vec();
        bytes.extend(four(8));
        for short in [1, TAG, kind] {
            bytes.extend(two(short));
        }
        bytes.extend(four(1));
        bytes.extend(value);
        bytes.resize(26, 0);
        bytes
    }

    #[test]
    fn every_type_of_number_is_read() {
        let six = Some(Orientation::Rotate90);
        for (big, kind, value) in [
            (true, 3, [0, 6, 0, 0].as_slice()),
            (true, 4, &[0, 0, 0, 6]),
            (true, 1, &[6]),
            (false, 3, &[6, 0]),
            (false, 4, &[6, 0, 0, 0]),
        ] {
            assert_eq!(from_exif(&block(big, kind, value)), six, "{big} {kind}");
        }
        assert_eq!(from_exif(&block(true, 4, &[1, 0, 0, 6])), None);
        let prefixed = [b"Exif\0\0".to_vec(), block(false, 3, &[6, 0])].concat();
        assert_eq!(from_exif(&prefixed), six);
    }

    #[test]
    fn xmp_is_an_element_or_an_attribute() {
        for text in [
            "<x tiff:Orientation=\"8\"/>",
            "<tiff:Orientation>8</tiff:Orientation>",
        ] {
            assert_eq!(from_xmp(text), Some(Orientation::Rotate270));
        }
        assert_eq!(from_xmp("tiff:Orientation"), None);
    }

    /// A PNG of two pixels beside each other with a chunk before or behind its data.
    fn png_with(kind: png::chunk::ChunkType, data: &[u8], behind: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(png::ColorType::Grayscale);
        let mut writer = encoder.write_header().unwrap();
        if !behind {
            writer.write_chunk(kind, data).unwrap();
        }
        writer.write_image_data(&[0, 255]).unwrap();
        if behind {
            writer.write_chunk(kind, data).unwrap();
        }
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn a_png_is_read_to_its_end() {
        let exif = block(true, 3, &[0, 3]);
        let hex: String = exif.iter().map(|byte| format!("{byte:02x}")).collect();
        let profile = format!("{RAW_PROFILE}\0\nexif\n{:8}\n{hex}\n", exif.len());
        for behind in [false, true] {
            for (kind, data) in [
                (png::chunk::eXIf, exif.as_slice()),
                (png::chunk::tEXt, profile.as_bytes()),
            ] {
                let bytes = png_with(kind, data, behind);
                let found = from_png(&bytes);
                assert_eq!(found, Some(Orientation::Rotate180), "{kind:?} {behind}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_block_is_read_or_passed_over(
            mut block in prop::collection::vec(any::<u8>(), 0..64), big: bool,
        ) {
            let start = if big { b"MM\0*" } else { b"II*\0" };
            for (to, from) in block.iter_mut().zip(start) {
                *to = *from;
            }
            let _ = from_exif(&block);
        }
    }
}
