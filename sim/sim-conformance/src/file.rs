//! Case files.

use model_api::SourceRef;
use scenario_format::files::Files;
use scenario_format::yaml::Node;
use scenario_format::{Code, Diagnostic, Sources, read_trees};

/// What was read of all paths.
#[derive(Debug, Default)]
pub struct Read {
    /// Files that hold cases.
    pub files: Vec<CaseFile>,
    /// What is wrong. With any error nothing should be judged: cases may be missing.
    pub diagnostics: Vec<Diagnostic>,
    /// All texts, for messages.
    pub sources: Sources,
}

/// One file of cases.
#[derive(Debug)]
pub struct CaseFile {
    /// Its name, as it was given or found.
    pub name: String,
    /// Its cases in order.
    pub cases: Vec<CaseNode>,
}

/// One case as it was written.
#[derive(Debug)]
pub struct CaseNode {
    /// `name`.
    pub name: String,
    /// `source`: what it was taken from.
    pub source: String,
    /// All of it.
    pub node: Node,
}

impl CaseNode {
    /// Where it begins.
    pub fn at(&self) -> SourceRef {
        self.node.span.at
    }
}

/// Reads files of cases; of a directory those that are such files, and a file that was named must
/// be one.
pub fn read(paths: &[String], files: &dyn Files) -> Read {
    // A directory without any YAML is no mistake: there is nothing in it.
    let is_empty = |path: &&String| {
        matches!(files.read(path), Err(scenario_format::files::ReadError::NoManifests))
    };
    let paths: Vec<String> = paths.iter().filter(|path| !is_empty(path)).cloned().collect();
    let trees = read_trees(&paths, files);
    let mut read =
        Read { files: Vec::new(), diagnostics: trees.diagnostics, sources: trees.sources };
    for file in trees.files {
        let mut cases = Vec::new();
        for document in file.documents.into_iter().filter(|document| !document.is_null()) {
            if file.is_found && !is_list_of_cases(&document) {
                continue;
            }
            take(document, &mut cases, &mut read.diagnostics);
        }
        if !cases.is_empty() {
            read.files.push(CaseFile { name: file.name, cases });
        }
    }
    read
}

/// Whether a document found in a directory is meant as cases.
fn is_list_of_cases(document: &Node) -> bool {
    let first = document.items().and_then(<[Node]>::first);
    first.is_some_and(|first| first.get("given").is_some() || first.get("expect").is_some())
}

fn take(document: Node, cases: &mut Vec<CaseNode>, diagnostics: &mut Vec<Diagnostic>) {
    let scenario_format::yaml::Value::Sequence(items) = document.value else {
        let message = format!("a case file is a list of cases, found {}", document.describe());
        diagnostics.push(Diagnostic::new(Code::E0011, document.span, message));
        return;
    };
    for node in items {
        if node.entries().is_none() {
            let message = format!("a case is a mapping, found {}", node.describe());
            diagnostics.push(Diagnostic::new(Code::E0011, node.span, message));
            continue;
        }
        let mut is_whole = true;
        for (key, wants_mapping) in [("name", false), ("given", true), ("expect", true)] {
            match node.get(key).filter(|value| !value.is_null()) {
                None => {
                    let message = format!("a case needs `{key}`");
                    diagnostics.push(Diagnostic::new(Code::E0013, node.span, message));
                    is_whole = false;
                }
                Some(value) if wants_mapping != value.entries().is_some() => {
                    let wanted = if wants_mapping { "a mapping" } else { "text" };
                    let found = value.describe();
                    let message = format!("`{key}` of a case is {wanted}, found {found}");
                    diagnostics.push(Diagnostic::new(Code::E0011, value.span, message));
                    is_whole = false;
                }
                Some(_) => {}
            }
        }
        if is_whole {
            let text = |key| node.get(key).and_then(Node::text).unwrap_or_default().to_owned();
            cases.push(CaseNode { name: text("name"), source: text("source"), node });
        }
    }
}
