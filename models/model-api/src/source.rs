//! Where in the user's files a thing was said.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A place in an input file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceRef {
    /// Position in [`Blueprint::files`](crate::Blueprint::files).
    pub file_idx: u32,
    /// Line, from 1; 0 means that the place is unknown.
    pub line: u32,
    /// Column, from 1, in characters.
    pub column: u32,
}

/// Where an object and each of its fields came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The object itself: the position of its `metadata.name`, or of its first key.
    pub object: SourceRef,
    /// Field path (`spec.template.spec.affinity`, list items as `containers[0]`) to position of
    /// its key. Shared, because every pod of a workload points at the same manifest.
    pub fields: Arc<BTreeMap<String, SourceRef>>,
}

impl Origin {
    /// The position of `path`, or of the nearest enclosing field that is written down, or of the
    /// object itself.
    pub fn of(&self, path: &str) -> SourceRef {
        let mut prefix = path;
        loop {
            if let Some(found) = self.fields.get(prefix) {
                return *found;
            }
            match prefix.rfind(['.', '[']) {
                Some(end) => prefix = &prefix[..end],
                None => return self.object,
            }
        }
    }
}
