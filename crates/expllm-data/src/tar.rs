//! The index of a `.tar` archive: names and byte ranges, without unpacking.
//!
//! The `tar` crate reads the headers (ustar, GNU long names, pax names and sizes); links are
//! resolved to the member that they lead to.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use tar::{Archive, Entry, EntryType};

use crate::DataError;

/// More links behind each other than this are a circle.
const MOST_LINKS: usize = 40;

/// A regular file inside an archive, or a link to one under its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarMember {
    /// Name with `/` between folders, as the archive spells it; bytes that are not UTF-8 are
    /// replaced.
    pub name: String,
    /// Where its bytes start.
    pub offset: u64,
    /// How many bytes it has.
    pub size: u64,
}

/// What an archive holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TarIndex {
    /// The files, in archive order, links to files last.
    pub members: Vec<TarMember>,
    /// Members that are not folders and cannot be read in place, each with the reason.
    pub left_out: Vec<(String, String)>,
}

/// The files of an uncompressed `.tar`.
///
/// # Errors
///
/// [`DataError::File`] when it cannot be read, [`DataError::Archive`] when a header cannot be
/// followed or a member reaches beyond the end of the file.
pub fn read_index(path: &Path) -> Result<TarIndex, DataError> {
    let file = File::open(path).map_err(|e| DataError::file(path, e))?;
    let length = file.metadata().map_err(|e| DataError::file(path, e))?.len();
    let mut reader = IndexReader::default();
    let mut end = 0;
    let bad = |offset, reason: String| DataError::Archive {
        path: path.to_path_buf(),
        offset,
        reason,
    };
    let mut archive = Archive::new(file);
    let entries = archive
        .entries_with_seek()
        .map_err(|e| bad(0, e.to_string()))?;
    for entry in entries {
        let entry = entry.map_err(|e| bad(end, e.to_string()))?;
        let start = entry.raw_file_position();
        if entry.size() > length.saturating_sub(start) {
            return Err(bad(start, "a member beyond the end of the file".into()));
        }
        end = start + entry.size();
        reader.add(&entry);
    }
    Ok(reader.finish())
}

/// Gathers members and links until all names are known.
#[derive(Default)]
struct IndexReader {
    index: TarIndex,
    /// Name and target of each link.
    links: Vec<(String, String)>,
}

impl IndexReader {
    fn add<R: Read + Seek>(&mut self, entry: &Entry<'_, R>) {
        let name = text(&entry.path_bytes());
        let target = || text(&entry.link_name_bytes().unwrap_or_default());
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => self.index.members.push(TarMember {
                name,
                offset: entry.raw_file_position(),
                size: entry.size(),
            }),
            // The target of a hard link counts from the root, that of a symbolic one from the
            // folder of the link.
            EntryType::Link => self.links.push((name, plain(&target()))),
            EntryType::Symlink => {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                let target = plain(&format!("{folder}/{}", target()));
                self.links.push((name, target));
            }
            EntryType::GNUSparse => {
                let reason = "is stored with holes; pack it without --sparse".to_owned();
                self.index.left_out.push((name, reason));
            }
            _ => {}
        }
    }

    /// Gives each link the bytes of the member that it leads to.
    fn finish(mut self) -> TarIndex {
        let spans: HashMap<_, _> = (self.index.members.iter())
            .map(|m| (plain(&m.name), (m.offset, m.size)))
            .collect();
        let links: HashMap<_, _> = (self.links.iter())
            .map(|(name, target)| (plain(name), target.as_str()))
            .collect();
        for (name, first) in &self.links {
            let mut target = first.as_str();
            for _ in 0..MOST_LINKS {
                match links.get(target) {
                    Some(next) if !spans.contains_key(target) => target = next,
                    _ => break,
                }
            }
            let name = name.clone();
            match spans.get(target) {
                Some(&(offset, size)) => self.index.members.push(TarMember { name, offset, size }),
                None => {
                    let reason = format!("is a link to {first:?}, which is no file of the archive");
                    self.index.left_out.push((name, reason));
                }
            }
        }
        self.index
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A path without `.`, `..` and doubled slashes.
fn plain(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use tar::{Builder, Header};

    use super::*;

    /// An archive of some files.
    pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, data) in files {
            builder.append_data(&mut header(data), name, *data).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn header(data: &[u8]) -> Header {
        let mut header = Header::new_ustar();
        header.set_size(data.len() as u64);
        header
    }

    fn index(bytes: &[u8]) -> Result<TarIndex, DataError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read_index(file.path())
    }

    fn content<'a>(bytes: &'a [u8], index: &TarIndex, name: &str) -> &'a [u8] {
        let member = index.members.iter().find(|m| m.name == name).unwrap();
        &bytes[member.offset as usize..(member.offset + member.size) as usize]
    }

    #[test]
    fn members_and_long_names_are_found() {
        let long = format!("{}name", "folder/".repeat(40));
        let bytes = archive(&[(&long, b"abc"), ("b", b"")]);
        let index = index(&bytes).unwrap();
        let names: Vec<_> = index.members.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, [long.as_str(), "b"]);
        assert_eq!(content(&bytes, &index, names[0]), b"abc");
    }

    #[test]
    fn sizes_of_pax_headers_count() {
        let mut builder = Builder::new(Vec::new());
        builder
            .append_pax_extensions([("size", b"3".as_slice()), ("path", b"some/where")])
            .unwrap();
        // Archives of files above 8 GiB say 0 here and the size above.
        let mut header = Header::new_ustar();
        header.set_path("short").unwrap();
        header.set_size(0);
        header.set_cksum();
        let mut bytes = builder.into_inner().unwrap();
        bytes.truncate(bytes.len() - 1024);
        bytes.extend(header.as_bytes());
        bytes.extend(b"abc");
        bytes.resize(bytes.len().div_ceil(512) * 512, 0);
        bytes.extend(archive(&[("next", b"x")]));
        let index = index(&bytes).unwrap();
        assert_eq!(content(&bytes, &index, "some/where"), b"abc");
        assert_eq!(content(&bytes, &index, "next"), b"x");
    }

    #[test]
    fn links_lead_to_their_files_or_are_counted() {
        let mut builder = Builder::new(Vec::new());
        let mut link = |kind, name: &str, target: &str| {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            builder.append_link(&mut header, name, target).unwrap();
        };
        link(EntryType::Symlink, "a/soft", "../a/./hard");
        link(EntryType::Link, "a/hard", "a/file");
        link(EntryType::Symlink, "out", "../../etc/passwd");
        link(EntryType::Symlink, "round", "trip");
        link(EntryType::Symlink, "trip", "round");
        builder
            .append_data(&mut header(b"bytes"), "a/file", b"bytes".as_slice())
            .unwrap();
        let bytes = builder.into_inner().unwrap();
        let index = index(&bytes).unwrap();
        for name in ["a/file", "a/hard", "a/soft"] {
            assert_eq!(content(&bytes, &index, name), b"bytes", "{name}");
        }
        let left: Vec<_> = index.left_out.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(left, ["out", "round", "trip"]);
    }

    #[test]
    fn damage_is_an_error() {
        let good = archive(&[("a", &[7; 600])]);
        assert!(index(&good[..700]).is_err(), "member beyond the end");
        let mut sum = good.clone();
        sum[0] = b'z';
        assert!(index(&sum).is_err(), "check sum");
        assert!(index(b"plain text").is_err(), "no archive");
        assert_eq!(index(b"").unwrap(), TarIndex::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..1500), sign: bool) {
            if sign && bytes.len() >= 512 {
                let mut header = Header::new_old();
                header.as_mut_bytes().copy_from_slice(&bytes[..512]);
                header.set_cksum();
                bytes[..512].copy_from_slice(header.as_bytes());
            }
            let _ = index(&bytes);
        }
    }
}
