//! What a file is, by its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use image::ImageFormat;

/// Bytes that [`is_image`] and [`not_an_archive`] look at, at most.
const HEAD: usize = 64;

/// Endings of files that are taken for images, in lower case; others are by their content.
const IMAGE_ENDINGS: [&str; 14] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "bmp", "webp", "tif", "tiff", "gif", "avif", "heic",
    "heif", "jxl",
];

/// Whether a file is an image, by its ending or by its first bytes; one of a format that cannot be
/// read is an image too, so that it can be named instead of passed over.
#[must_use]
pub fn is_image_file(path: &Path) -> bool {
    has_image_ending(&path.to_string_lossy()) || head_of(path).is_ok_and(|head| is_image(&head))
}

/// The first bytes of a file.
pub(crate) fn head_of(path: &Path) -> std::io::Result<Vec<u8>> {
    first_bytes(File::open(path)?)
}

pub(crate) fn first_bytes(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(HEAD);
    from.take(HEAD as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a file's name says that it is an image, be it one that can be read or not.
pub(crate) fn has_image_ending(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, ending)| {
        let ending = ending.to_ascii_lowercase();
        IMAGE_ENDINGS.contains(&ending.as_str())
    })
}

/// Whether the first bytes are those of an image.
pub(crate) fn is_image(head: &[u8]) -> bool {
    use ImageFormat::{Avif, Gif, Jpeg, Png, Tiff, WebP};
    let brand = head.get(4..12);
    matches!(
        image::guess_format(head),
        Ok(Avif | Gif | Jpeg | Png | Tiff | WebP)
    ) || matches!(
        brand,
        Some(b"ftypheic" | b"ftypheix" | b"ftypmif1" | b"ftypmsf1")
    ) || (head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4]))
}

/// What a file is that was given as an archive and is none, and what to do with it.
pub(crate) fn not_an_archive(head: &[u8]) -> Option<&'static str> {
    const COMPRESSED: &str = "is compressed, so that its members cannot be read in place; unpack \
                              it and give the folder, or the .tar without compression";
    const KINDS: [(&[u8], &str); 9] = [
        (b"\x1f\x8b", COMPRESSED),
        (b"BZh", COMPRESSED),
        (b"\xfd7zXZ\0", COMPRESSED),
        (b"\x28\xb5\x2f\xfd", COMPRESSED),
        (
            b"PK\x03\x04",
            "is a ZIP archive; unpack it and give the folder, or pack it as .tar",
        ),
        (
            b"7z\xbc\xaf\x27\x1c",
            "is a 7z archive; unpack it and give the folder, or pack it as .tar",
        ),
        (
            b"Rar!",
            "is a RAR archive; unpack it and give the folder, or pack it as .tar",
        ),
        (
            b"version https://git-lfs",
            "is a pointer of Git LFS in place of the file; fetch it with `git lfs pull`",
        ),
        (
            b"<",
            "is a web page or XML, not an archive; look whether the download went wrong",
        ),
    ];
    if is_image(head) {
        return Some("is an image; give the folder that holds it");
    }
    let known = KINDS.iter().find(|(start, _)| head.starts_with(start));
    known.map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        for head in [
            b"\xff\xd8\xff\xe0".as_slice(),
            b"\x89PNG\r\n\x1a\n",
            b"GIF89a",
            b"\0\0\0\x18ftypheic",
            b"BM\x10\0\0\0\0\0\0\0",
        ] {
            assert!(is_image(head), "{head:?}");
            assert!(not_an_archive(head).is_some());
        }
        for head in [b"".as_slice(), b"BMI,age,sex", b"P3 was ill", b"file,label"] {
            assert!(!is_image(head), "{head:?}");
            assert_eq!(not_an_archive(head), None);
        }
        let zip = not_an_archive(b"PK\x03\x04....").unwrap();
        assert!(zip.contains("ZIP"), "{zip}");
        assert!(has_image_ending("a.b/c.JFIF") && !has_image_ending("jpg"));
    }
}
