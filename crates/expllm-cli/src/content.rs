//! What a run depends on beside its options: the program and the files of a model.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::CliError;

/// First 16 hexadecimal digits of the SHA-256 of the program, which holds the weights that read
/// faces, and of the files of a model.
///
/// # Errors
///
/// [`CliError::File`] for a file that cannot be read.
pub fn content_hash(model: Option<&Path>) -> Result<String, CliError> {
    let program = std::env::current_exe().map_err(|e| CliError::file("the program", e))?;
    let mut files = vec![program];
    if let Some(model) = model {
        files.extend(files_of(model)?);
    }
    let mut hasher = Sha256::new();
    for path in files {
        add(&mut hasher, &path).map_err(|e| CliError::file(path, e))?;
    }
    let digest = hasher.finalize();
    Ok(digest.iter().take(8).map(|b| format!("{b:02x}")).collect())
}

/// The files of a folder, by name, or the file itself.
fn files_of(model: &Path) -> Result<Vec<PathBuf>, CliError> {
    if !model.is_dir() {
        return Ok(vec![model.to_path_buf()]);
    }
    let entries = std::fs::read_dir(model).map_err(|e| CliError::file(model, e))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|e| e.path()));
    let mut files: Vec<_> = paths.filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

/// Adds the length and the content of a file.
fn add(hasher: &mut Sha256, path: &Path) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    hasher.update(file.metadata()?.len().to_le_bytes());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_decide_and_names_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for (folder, weights) in [(&a, "12"), (&b, "12")] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("model.safetensors"), weights).unwrap();
        }
        let hash = |folder: &Path| content_hash(Some(folder)).unwrap();
        assert_eq!(hash(&a), hash(&b));
        std::fs::write(b.join("model.safetensors"), "13").unwrap();
        assert_ne!(hash(&a), hash(&b));
        assert_ne!(hash(&a), content_hash(None).unwrap());
    }
}
