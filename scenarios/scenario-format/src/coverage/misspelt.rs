//! Keys of custom resources that are most likely another one, misspelt.

use super::{IDENTITY, KindRows, rows_of};
use crate::manifest::{Object, is_namespaced};
use crate::source::Span;
use crate::yaml::{Node, Value};

/// From so many letters on, two may differ; of a shorter key only one.
const LONG_CHARS: usize = 8;

/// A key that nothing is known of, and the one that is probably meant.
pub(crate) struct Misspelt {
    /// Its path.
    pub(crate) path: String,
    /// Where it stands.
    pub(crate) span: Span,
    /// The key that is known there.
    pub(crate) meant: &'static str,
}

/// Keys of a custom resource of a known kind that are close to a key that the kind has and that is
/// not there. The types of built-in kinds say more, and their keys are looked at when they are read.
pub(crate) fn misspelt(object: &Object) -> Vec<Misspelt> {
    let mut found = Vec::new();
    if is_namespaced(&object.key.group, &object.key.kind).is_none()
        && let Some(rows) = rows_of(object)
    {
        look(rows, "", &object.node, &mut found);
    }
    found
}

fn look(rows: &'static KindRows, path: &str, node: &Node, found: &mut Vec<Misspelt>) {
    match &node.value {
        Value::Mapping(entries) => {
            let known: Vec<&'static str> = keys_below(rows, path).collect();
            for entry in entries {
                let key = entry.key.as_str();
                let below = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                if known.contains(&key) {
                    look(rows, &below, &entry.value, found);
                } else if !(path.is_empty() && IDENTITY.contains(&key)) {
                    let is_free = |other: &&str| node.get(other).is_none();
                    let close = known.iter().copied().filter(is_free).find(|it| is_close(key, it));
                    found.extend(close.map(|meant| Misspelt {
                        path: below,
                        span: entry.key_span,
                        meant,
                    }));
                }
            }
        }
        Value::Sequence(items) => {
            for item in items {
                look(rows, &format!("{path}[]"), item, found);
            }
        }
        Value::Scalar(_) => {}
    }
}

/// The next steps of the paths that rows have below one.
fn keys_below(rows: &'static KindRows, path: &str) -> impl Iterator<Item = &'static str> {
    let known = rows.rows.iter().map(|(row, ..)| *row);
    let known = known.chain(Some(rows.template).filter(|it| !it.is_empty()));
    known.filter_map(move |row| {
        let rest = if path.is_empty() { row } else { row.strip_prefix(path)?.strip_prefix('.')? };
        rest.split(['.', '[']).next()
    })
}

/// Settings of programs (`max_wal_size`) have namesakes that differ by two letters.
fn is_close(key: &str, known: &str) -> bool {
    let most = if key.chars().count() < LONG_CHARS { 1 } else { 2 };
    !key.contains(['_', '.', '/', '-']) && strsim::damerau_levenshtein(key, known) <= most
}
