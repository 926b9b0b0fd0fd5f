//! What of the input is modelled, approximated, or not modelled.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model_api::SourceRef;

use crate::manifest::Object;
use crate::yaml::{Node, Value};

mod misspelt;
mod table;

pub(crate) use misspelt::misspelt;
use table::{KINDS, KindRows, POD, RANKING, Row, SWITCHES};

/// How far something is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fidelity {
    /// As upstream does it, as far as the documentation of the models says.
    Modelled,
    /// In a simpler way, which the note says.
    Approximated,
    /// Read and left aside.
    NotModelled,
}

impl Fidelity {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Modelled => "modelled",
            Self::Approximated => "approximated",
            Self::NotModelled => "not modelled",
        }
    }
}

/// What the input used, in the order of kind and field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// One entry a kind and field.
    pub uses: Vec<Use>,
}

/// A kind or a field that the input used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// `apps/v1 Deployment`.
    pub kind: String,
    /// Path of the field, `spec.template.spec.containers[].securityContext`; empty for the kind.
    pub field: String,
    /// How far it is modelled.
    pub fidelity: Fidelity,
    /// What that means, in a sentence; may be empty.
    pub note: &'static str,
    /// Where it was used, in the order of the input.
    pub places: Vec<SourceRef>,
}

/// The name of the ConfigMap that ranks node groups for the cluster autoscaler's expander `priority`
/// (cluster-autoscaler `expander/priority/priority.go`, PriorityConfigMapName).
pub(crate) const NODE_GROUP_RANKING: &str = "cluster-autoscaler-priority-expander";

/// Fields that say which object it is, or that the cluster itself writes.
const IDENTITY: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];

impl Coverage {
    /// What objects use.
    pub fn of(objects: &[Object]) -> Self {
        let mut uses: BTreeMap<(String, String), Use> = BTreeMap::new();
        for object in objects {
            let rows = rows_of(object);
            let (fidelity, note) = match rows {
                Some(rows) => (rows.fidelity, rows.note),
                None => (Fidelity::NotModelled, "an unknown kind"),
            };
            let mut walk = Walk { kind: object.kind_name(), rows, uses: &mut uses };
            walk.record("", fidelity, note, object.name_span.at);
            walk.switches(&object.node);
            // Of a kind that is left aside as a whole, no field needs a line.
            if fidelity != Fidelity::NotModelled {
                walk.fields(&object.node);
            }
        }
        Self { uses: uses.into_values().collect() }
    }

    /// Uses of one fidelity.
    pub fn of_fidelity(&self, fidelity: Fidelity) -> impl Iterator<Item = &Use> {
        self.uses.iter().filter(move |one| one.fidelity == fidelity)
    }
}

/// Whether the kind of an object is one that anything is known of.
pub(crate) fn is_known(object: &Object) -> bool {
    rows_of(object).is_some()
}

fn rows_of(object: &Object) -> Option<&'static KindRows> {
    if object.key.kind == RANKING.kind && object.key.name == NODE_GROUP_RANKING {
        return Some(&RANKING);
    }
    KINDS.iter().find(|rows| rows.group == object.key.group && rows.kind == object.key.kind)
}

/// What an annotation or label switches on that no model looks at.
fn switch_note(key: &str) -> Option<&'static str> {
    SWITCHES.iter().find(|(prefix, _)| key.starts_with(prefix)).map(|(_, note)| *note)
}

/// A walk over one object.
struct Walk<'a> {
    kind: String,
    rows: Option<&'static KindRows>,
    uses: &'a mut BTreeMap<(String, String), Use>,
}

impl Walk<'_> {
    /// Annotations and labels by which somebody else's controller changes what requests meet.
    fn switches(&mut self, node: &Node) {
        let template: &[&str] = match self.rows.map_or("", |rows| rows.template) {
            "" => &[],
            "spec.jobTemplate.spec.template" => &["spec", "jobTemplate", "spec", "template"],
            _ => &["spec", "template"],
        };
        let roots: &[&[&str]] = if template.is_empty() { &[&[]] } else { &[&[], template] };
        for root in roots {
            for field in ["annotations", "labels"] {
                let path: Vec<&str> = root.iter().copied().chain(["metadata", field]).collect();
                let entries = node.at(&path).and_then(Node::entries).unwrap_or_default();
                for entry in entries {
                    let Some(note) = switch_note(&entry.key) else { continue };
                    let field = format!("{}[{}]", path.join("."), entry.key);
                    self.record(&field, Fidelity::NotModelled, note, entry.key_span.at);
                }
            }
        }
    }

    fn fields(&mut self, node: &Node) {
        for entry in node.entries().unwrap_or_default() {
            if !IDENTITY.contains(&entry.key.as_str()) {
                self.field(&entry.key, &entry.value, entry.key_span.at);
            }
        }
    }

    /// Records a field where a row says something about it, or where no row below it does.
    fn field(&mut self, path: &str, node: &Node, at: SourceRef) {
        if let Some((_, fidelity, note)) = self.row(path) {
            self.record(path, *fidelity, note, at);
            return;
        }
        if !self.has_rows_below(path) {
            self.record(path, Fidelity::NotModelled, "", at);
            return;
        }
        match &node.value {
            Value::Mapping(entries) => {
                for entry in entries {
                    self.field(&format!("{path}.{}", entry.key), &entry.value, entry.key_span.at);
                }
            }
            Value::Sequence(items) => {
                for item in items {
                    self.field(&format!("{path}[]"), item, item.span.at);
                }
            }
            Value::Scalar(_) => {}
        }
    }

    fn row(&self, path: &str) -> Option<&'static Row> {
        let rows = self.rows?;
        let own = rows.rows.iter().find(|(known, ..)| *known == path);
        own.or_else(|| {
            let inner = below_template(rows, path)?;
            POD.iter().find(|(known, ..)| *known == inner)
        })
    }

    fn has_rows_below(&self, path: &str) -> bool {
        let Some(rows) = self.rows else { return false };
        let is_below = |known: &str, path: &str| {
            known.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        let in_template = match below_template(rows, path) {
            Some(inner) => inner.is_empty() || POD.iter().any(|(known, ..)| is_below(known, inner)),
            None => !rows.template.is_empty() && is_below(rows.template, path),
        };
        in_template || rows.rows.iter().any(|(known, ..)| is_below(known, path))
    }

    fn record(&mut self, field: &str, fidelity: Fidelity, note: &'static str, at: SourceRef) {
        let key = (self.kind.clone(), field.to_owned());
        let one = self.uses.entry(key).or_insert_with(|| Use {
            kind: self.kind.clone(),
            field: field.to_owned(),
            fidelity,
            note,
            places: Vec::new(),
        });
        one.places.push(at);
    }
}

/// The part of a path inside the pod template, when the kind has one and the path lies in it.
fn below_template<'a>(rows: &KindRows, path: &'a str) -> Option<&'a str> {
    if rows.kind == "Pod" && rows.group.is_empty() {
        return Some(path);
    }
    if rows.template.is_empty() {
        return None;
    }
    let rest = path.strip_prefix(rows.template)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('.') }
}

/// The table as Markdown, for the manual.
pub fn markdown() -> String {
    let mut text = String::from(
        "# What of a manifest is modelled\n\n\
         Generated from `scenario-format/src/coverage/table.rs`. A field in no row, and a kind in \
         none, is not modelled; `eidp-sim check` lists what an input uses, with places.\n",
    );
    let line = |text: &mut String, field: &str, fidelity: Fidelity, note: &str| {
        let _ = writeln!(text, "| `{field}` | {} | {note} |", fidelity.as_str());
    };
    let head = "\n| field | how far | what that means |\n| --- | --- | --- |\n";
    text.push_str("\n## Pod templates of every kind\n");
    text.push_str(head);
    for (field, fidelity, note) in POD {
        line(&mut text, field, *fidelity, note);
    }
    for rows in KINDS.iter().chain([&RANKING]) {
        let group = if rows.group.is_empty() { "core" } else { rows.group };
        let _ = write!(text, "\n## {} ({group}): {}", rows.kind, rows.fidelity.as_str());
        text.push('\n');
        if !rows.note.is_empty() {
            let _ = writeln!(text, "\n{}.", capitalized(rows.note));
        }
        if !rows.rows.is_empty() {
            text.push_str(head);
        }
        for (field, fidelity, note) in rows.rows {
            line(&mut text, field, *fidelity, note);
        }
    }
    text
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_unique() {
        let is_sorted = |rows: &[Row]| rows.windows(2).all(|pair| pair[0].0 < pair[1].0);
        assert!(is_sorted(POD), "pod rows");
        for rows in KINDS {
            assert!(is_sorted(rows.rows), "{}", rows.kind);
        }
        let kinds: Vec<(&str, &str)> = KINDS.iter().map(|rows| (rows.group, rows.kind)).collect();
        assert!(kinds.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_row_never_hides_another() {
        let all = |rows: &'static [Row]| {
            for (path, ..) in rows {
                for (other, ..) in rows {
                    let hides =
                        other.strip_prefix(path).is_some_and(|it| it.starts_with(['.', '[']));
                    assert!(!hides, "{path} hides {other}");
                }
            }
        };
        all(POD);
        KINDS.iter().for_each(|rows| all(rows.rows));
    }
}
