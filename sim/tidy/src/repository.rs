//! The repository on disk: its root and its files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate lies two folders below the root").to_path_buf()
}

/// Every file that is tracked, or would be after `git add`, relative to the root, sorted.
///
/// # Errors
/// When git does not run here.
pub fn files() -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root())
        .output()
        .context("failed to run git")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut files: Vec<String> = listed
        .split_terminator('\0')
        .filter(|path| root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// The text of a file; `None` when it is not text.
///
/// # Errors
/// When it cannot be read.
pub fn text(path: &str) -> Result<Option<String>> {
    let bytes =
        std::fs::read(root().join(path)).with_context(|| format!("failed to read {path}"))?;
    Ok(String::from_utf8(bytes).ok())
}

/// Every Rust source with its text, sorted by path.
///
/// # Errors
/// When one cannot be read.
pub fn rust_sources() -> Result<Vec<(String, String)>> {
    let mut sources = Vec::new();
    for path in files()? {
        if path.ends_with(".rs")
            && let Some(source) = text(&path)?
        {
            sources.push((path, source));
        }
    }
    Ok(sources)
}
