//! Photos under the paths of the command line.

use std::path::{Path, PathBuf};

use expllm_data::is_image_file;
use walkdir::WalkDir;

/// A file to read, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file, or the place where the search failed.
    pub path: PathBuf,
    /// Why the search failed here.
    pub error: Option<String>,
}

/// All photos under the paths: files as they are named, folders in the order of file names. In a
/// folder the ending or the content makes a photo, be it of a format that can be read or not.
///
/// Links are followed; a link that leads back into its own folder becomes an entry with an error,
/// as does everything that cannot be listed.
pub fn find_photos(paths: &[PathBuf]) -> Vec<Found> {
    paths.iter().flat_map(|path| under(path)).collect()
}

fn under(path: &Path) -> Vec<Found> {
    if !path.is_dir() {
        let path = path.to_path_buf();
        return vec![Found { path, error: None }];
    }
    let walk = WalkDir::new(path).follow_links(true).sort_by_file_name();
    let found: Vec<_> = walk.into_iter().filter_map(entry).collect();
    if found.is_empty() {
        let error = Some("holds no photos".to_owned());
        let path = path.to_path_buf();
        return vec![Found { path, error }];
    }
    found
}

fn entry(entry: walkdir::Result<walkdir::DirEntry>) -> Option<Found> {
    match entry {
        Ok(entry) => {
            let wanted = entry.file_type().is_file() && is_image_file(entry.path());
            let path = entry.into_path();
            wanted.then_some(Found { path, error: None })
        }
        Err(error) => {
            let path = error.path().unwrap_or(Path::new("?")).to_path_buf();
            let text = match error.loop_ancestor() {
                Some(ancestor) => format!("is a link back to {}", ancestor.display()),
                None => format!("cannot be listed: {error}"),
            };
            let error = Some(text);
            Some(Found { path, error })
        }
    }
}
