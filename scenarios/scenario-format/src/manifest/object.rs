//! Objects as they are found in files, before they are understood.

use std::fmt;

use model_api::Origin;
use model_api::kube::Labels;

use super::{kinds, origin_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;
use crate::yaml::{Node, Value};

/// Whose manifest it is. An object of a later tier replaces its namesake of an earlier one: a user
/// who brings a manifest means that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Named by the Platform.
    Platform,
    /// Named by the Scenario.
    Scenario,
    /// Named on the command line.
    CommandLine,
}

/// What an object is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectKey {
    /// API group, without the version.
    pub group: String,
    /// `kind`.
    pub kind: String,
    /// Namespace, `default` when the manifest names none, empty for kinds without.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// An object as it was written.
#[derive(Clone, Debug)]
pub struct Object {
    /// What it is called.
    pub key: ObjectKey,
    /// `apiVersion`.
    pub api_version: String,
    /// The manifest names its namespace.
    pub names_namespace: bool,
    /// Whose manifest it is.
    pub tier: Tier,
    /// All of it.
    pub node: Node,
    /// Where its name was written.
    pub name_span: Span,
    /// Where it and its fields were written.
    pub origin: Origin,
}

/// Kinds of custom resources that live in no namespace, of those that manifests usually hold.
const CLUSTER_KINDS: [&str; 10] = [
    "ClusterImageCatalog",
    "ClusterIssuer",
    "ClusterPolicy",
    "ClusterSecretStore",
    "GatewayClass",
    "KongClusterPlugin",
    "NodeClass",
    "NodePool",
    "VolumeSnapshotClass",
    "VolumeSnapshotContent",
];

impl Object {
    /// `apps/v1 Deployment`, as coverage lists it.
    pub fn kind_name(&self) -> String {
        format!("{} {}", self.api_version, self.key.kind)
    }

    /// `Deployment shop/frontend`, as messages name it.
    pub fn title(&self) -> String {
        if self.key.namespace.is_empty() {
            format!("{} {}", self.key.kind, self.key.name)
        } else {
            format!("{} {}/{}", self.key.kind, self.key.namespace, self.key.name)
        }
    }

    /// The labels of the pods that it makes, if it has a pod template as workloads have one.
    pub(crate) fn template_labels(&self) -> Labels {
        let labels = self.node.at(&["spec", "template", "metadata", "labels"]);
        let entries = labels.and_then(Node::entries).unwrap_or_default();
        entries
            .iter()
            .filter_map(|label| Some((label.key.clone(), label.value.text()?.to_owned())))
            .collect()
    }

    /// The place of the key of a field such as `spec.template.spec.containers[0]`, or of the nearest
    /// field around it that is written down, or of the name.
    pub fn span(&self, path: &str) -> Span {
        let mut place = self.name_span;
        let mut node = &self.node;
        for step in steps(path) {
            match step {
                Step::Key(key) => {
                    let Some(entry) = node.entry(key) else { return place };
                    (place, node) = (entry.key_span, &entry.value);
                }
                Step::Index(idx) => {
                    let Some(item) = node.items().and_then(|items| items.get(idx)) else {
                        return place;
                    };
                    (place, node) = (item.span, item);
                }
            }
        }
        place
    }

    /// The place of the value of a field, when it is written down; else as [`Self::span`].
    pub fn value_span(&self, path: &str) -> Span {
        self.find(path).map_or_else(|| self.span(path), |node| node.span)
    }

    /// An annotation of its own.
    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.node.at(&["metadata", "annotations", name]).and_then(Node::text)
    }

    /// The value of a field.
    pub fn find(&self, path: &str) -> Option<&Node> {
        steps(path).try_fold(&self.node, |node, step| match step {
            Step::Key(key) => node.get(key),
            Step::Index(idx) => node.items()?.get(idx),
        })
    }
}

/// A step of a field path.
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// The steps of a path of our own making: keys without dots, `[0]` for items.
fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split(['.', '[']).filter(|part| !part.is_empty()).map(|part| {
        match part.strip_suffix(']').and_then(|idx| idx.parse().ok()) {
            Some(idx) => Step::Index(idx),
            None => Step::Key(part),
        }
    })
}

/// Objects of a document; a `List` gives those in it.
pub fn read_objects(
    document: Node,
    tier: Tier,
    objects: &mut Vec<Object>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if document.is_null() {
        return;
    }
    let Value::Mapping(_) = &document.value else {
        let message = format!("a manifest is a mapping, found {}", document.describe());
        diagnostics.push(
            Diagnostic::new(Code::E0011, document.span, message)
                .help("it begins with apiVersion and kind"),
        );
        return;
    };
    let is_list = document
        .get("kind")
        .and_then(Node::text)
        .is_some_and(|kind| kind == "List" || kind.ends_with("List"))
        && document.get("items").is_some();
    if is_list {
        read_list(document, tier, objects, diagnostics);
        return;
    }
    if let Some(object) = read_object(document, tier, diagnostics) {
        objects.push(object);
    }
}

/// Items of `kind: List`, and of `DeploymentList` and the like, whose items may leave out their kind.
fn read_list(
    document: Node,
    tier: Tier,
    objects: &mut Vec<Object>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Value::Mapping(entries) = document.value else { return };
    for entry in entries {
        if entry.key != "items" {
            continue;
        }
        match entry.value.value {
            Value::Sequence(items) => {
                for item in items {
                    read_objects(item, tier, objects, diagnostics);
                }
            }
            _ if entry.value.is_null() => {}
            _ => diagnostics.push(crate::decode::wrong_type(&entry.value, "a list of objects")),
        }
    }
}

fn read_object(node: Node, tier: Tier, diagnostics: &mut Vec<Diagnostic>) -> Option<Object> {
    let text = |path: &[&str], diagnostics: &mut Vec<Diagnostic>| {
        let found = node.at(path).filter(|found| !found.is_null());
        match found.and_then(Node::text) {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                let span = found.map_or(node.span, |found| found.span);
                let message = format!("a manifest needs `{}`", path.join("."));
                diagnostics.push(Diagnostic::new(Code::E0013, span, message));
                None
            }
        }
    };
    let api_version = text(&["apiVersion"], diagnostics);
    let kind = text(&["kind"], diagnostics);
    let (api_version, kind) = (api_version?, kind?);
    let kind_span = node.entry("kind").map_or(node.span, |entry| entry.value.span);
    if api_version.starts_with("eidp-sim/") {
        let message = format!("a {kind} stands among the manifests");
        diagnostics.push(
            Diagnostic::new(Code::E0026, kind_span, message)
                .help("scenarios and platforms are files of their own"),
        );
        return None;
    }
    let name = text(&["metadata", "name"], diagnostics)?;
    let name_span = node.at(&["metadata", "name"])?.span;
    let written = node.at(&["metadata", "namespace"]).and_then(Node::text);
    let names_namespace = written.is_some_and(|namespace| !namespace.is_empty());
    let group = api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
    if let Some(diagnostic) = kinds::unknown(&api_version, &group, &kind, kind_span) {
        diagnostics.push(diagnostic);
        return None;
    }
    let is_of_cluster = kinds::is_namespaced(&group, &kind)
        .map_or_else(|| CLUSTER_KINDS.contains(&kind.as_str()), |is_namespaced| !is_namespaced);
    let namespace = if is_of_cluster {
        String::new()
    } else {
        written.filter(|namespace| !namespace.is_empty()).unwrap_or("default").to_owned()
    };
    let origin = origin_of(&node, name_span);
    let key = ObjectKey { group, kind, namespace, name };
    Some(Object { key, api_version, names_namespace, tier, node, name_span, origin })
}
