//! YAML files that are none of our documents, as trees with places.

use super::Loader;
use crate::diagnostic::{self, Diagnostic};
use crate::files::Files;
use crate::source::Sources;
use crate::yaml::{self, Node};

/// Files read as trees.
#[derive(Clone, Debug, Default)]
pub struct Trees {
    /// What can be read, in the order of the paths, sorted within a directory.
    pub files: Vec<TreeFile>,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// All texts, for messages.
    pub sources: Sources,
}

/// One file.
#[derive(Clone, Debug)]
pub struct TreeFile {
    /// Its name.
    pub name: String,
    /// Position in [`Trees::sources`].
    pub file_idx: u32,
    /// It was found in a directory, so that nobody asked for this very file.
    pub is_found: bool,
    /// Its documents.
    pub documents: Vec<Node>,
}

/// Reads files, and all YAML in and below directories. Never panics, whatever they hold.
pub fn read_trees(paths: &[String], files: &dyn Files) -> Trees {
    let files = super::WithLibrary { first: files };
    let mut loader = Loader { files, sources: Sources::default(), diagnostics: Vec::new() };
    let mut read = Vec::new();
    for path in paths {
        let is_found = !loader.files.first.is_file(path);
        for file in loader.read(path, None) {
            let name = file.name.clone();
            let Some((file_idx, text)) = loader.text(file) else { continue };
            let (documents, diagnostics) = yaml::parse(file_idx, &text);
            loader.diagnostics.extend(diagnostics);
            read.push(TreeFile { name, file_idx, is_found, documents });
        }
    }
    let Loader { sources, mut diagnostics, .. } = loader;
    diagnostic::sort(&mut diagnostics);
    Trees { files: read, diagnostics, sources }
}
