//! Where texts come from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::yaml::FILE_BYTES_MAX;

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFile {
    /// Name as the user knows it.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// It does not exist.
    Missing,
    /// It has more than [`FILE_BYTES_MAX`] bytes.
    TooLarge(u64),
    /// A directory in which nothing ends in `.yaml`, `.yml` or `.json`.
    NoManifests,
    /// More than [`FILES_MAX`] files in a directory.
    TooMany,
    /// Anything else, in the words of the operating system.
    Other(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "there is no such file or directory"),
            Self::TooLarge(bytes) => {
                write!(f, "it has {bytes} bytes, more than the {FILE_BYTES_MAX} that are read")
            }
            Self::NoManifests => write!(f, "nothing in it ends in .yaml, .yml or .json"),
            Self::TooMany => write!(f, "it holds more than {FILES_MAX} files"),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for ReadError {}

/// Most files read from one directory.
pub const FILES_MAX: usize = 10_000;
/// Deepest directory read.
const DIRECTORY_DEPTH_MAX: usize = 32;

/// Gives the texts behind a path.
pub trait Files {
    /// The file at `path`, or all manifests in and below a directory, sorted by path. `-` is the
    /// standard input, when the caller has read it.
    fn read(&self, path: &str) -> Result<Vec<RawFile>, ReadError>;

    /// Whether there is a file (not a directory) at `path`.
    fn is_file(&self, path: &str) -> bool;
}

/// The file system.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// What was read from standard input, for the path `-`.
    pub stdin: Option<Vec<u8>>,
    /// What was read from pipes and devices, by the path that named each: it can be read once only.
    pub pipes: BTreeMap<String, Vec<u8>>,
}

impl Files for Disk {
    fn read(&self, path: &str) -> Result<Vec<RawFile>, ReadError> {
        if path == "-" {
            let bytes = self.stdin.clone().ok_or(ReadError::Missing)?;
            return Ok(vec![RawFile { name: "<stdin>".to_owned(), bytes }]);
        }
        if let Some(bytes) = self.pipes.get(path) {
            return Ok(vec![RawFile { name: path.to_owned(), bytes: bytes.clone() }]);
        }
        let mut paths = Vec::new();
        if Path::new(path).is_dir() {
            collect(Path::new(path), 0, &mut paths)?;
            if paths.is_empty() {
                return Err(ReadError::NoManifests);
            }
        } else {
            paths.push(PathBuf::from(path));
        }
        paths.iter().map(|path| read_file(path)).collect()
    }

    fn is_file(&self, path: &str) -> bool {
        if path == "-" {
            return self.stdin.is_some();
        }
        self.pipes.contains_key(path) || Path::new(path).is_file()
    }
}

/// Files below a directory, sorted, so that the order does not depend on the file system.
fn collect(directory: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), ReadError> {
    if depth > DIRECTORY_DEPTH_MAX {
        return Err(ReadError::Other("directories are nested too deeply".to_owned()));
    }
    let entries = std::fs::read_dir(directory).map_err(|error| read_error(&error))?;
    let mut found = Vec::new();
    for entry in entries {
        found.push(entry.map_err(|error| read_error(&error))?.path());
    }
    found.sort();
    for path in found {
        let is_hidden =
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_hidden {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            collect(&path, depth + 1, paths)?;
        } else if is_manifest(&path) && path.is_file() {
            paths.push(path);
        }
        if paths.len() > FILES_MAX {
            return Err(ReadError::TooMany);
        }
    }
    Ok(())
}

/// Whether a file of a directory is read. A kustomization may be one without an ending
/// (`api/konfig/general.go` of kustomize 5), and has to be seen, since it says how the others are made.
fn is_manifest(path: &Path) -> bool {
    if path.file_name().is_some_and(|name| name == "Kustomization") {
        return true;
    }
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    matches!(extension.as_deref(), Some("yaml" | "yml" | "json"))
}

fn read_file(path: &Path) -> Result<RawFile, ReadError> {
    use std::io::Read as _;

    let file = std::fs::File::open(path).map_err(|error| read_error(&error))?;
    let metadata = file.metadata().map_err(|error| read_error(&error))?;
    if metadata.len() > FILE_BYTES_MAX as u64 {
        return Err(ReadError::TooLarge(metadata.len()));
    }
    // A pipe or a growing file says nothing true about its length.
    let mut bytes = Vec::new();
    let limit = FILE_BYTES_MAX as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| read_error(&error))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(ReadError::TooLarge(bytes.len() as u64));
    }
    Ok(RawFile { name: path.to_string_lossy().into_owned(), bytes })
}

fn read_error(error: &std::io::Error) -> ReadError {
    match error.kind() {
        std::io::ErrorKind::NotFound => ReadError::Missing,
        _ => ReadError::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_known_by_their_names() {
        for name in ["a.yaml", "a.YML", "a.json", "Kustomization"] {
            assert!(is_manifest(Path::new(name)), "{name}");
        }
        for name in ["a.txt", "yaml", "kustomization", "Chart.lock"] {
            assert!(!is_manifest(Path::new(name)), "{name}");
        }
    }
}
