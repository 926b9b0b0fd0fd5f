//! Parts of Kubernetes objects as the API prints them.

use model_api::kube::{
    IntOrPercent, LabelSelector, Labels, Node, PodTemplate, Probe, ProbeHandler, Taint, Toleration,
};
use model_api::{SimSpan, SimTime};
use scenario_format::Diagnostic;
use scenario_format::manifest::live;
use scenario_format::yaml;

use crate::tree::Tree;

/// `namespace/name`.
pub(crate) fn full_name(object: Tree<'_>) -> String {
    format!("{}/{}", object.at("metadata.namespace").text(), name(object))
}

/// The text at a path.
pub(crate) fn text(object: Tree<'_>, path: &str) -> String {
    object.at(path).text().to_owned()
}

/// `metadata.name`.
pub(crate) fn name(object: Tree<'_>) -> String {
    object.at("metadata.name").text().to_owned()
}

/// `metadata.creationTimestamp`; the start of time when absent.
pub(crate) fn created_at(object: Tree<'_>) -> SimTime {
    object.at("metadata.creationTimestamp").time().unwrap_or(SimTime::ZERO)
}

/// Has a deletionTimestamp.
pub(crate) fn is_terminating(object: Tree<'_>) -> bool {
    object.at("metadata.deletionTimestamp").is_given()
}

/// `status` of a condition; empty when absent.
pub(crate) fn condition<'a>(object: Tree<'a>, kind: &str) -> Option<Tree<'a>> {
    object.at("status.conditions").items().find(|it| it.at("type").text() == kind)
}

/// Condition Ready is True.
pub(crate) fn is_ready(object: Tree<'_>) -> bool {
    condition(object, "Ready").is_some_and(|it| it.at("status").text() == "True")
}

/// Phase Failed or Succeeded.
pub(crate) fn is_finished(pod: Tree<'_>) -> bool {
    matches!(pod.at("status.phase").text(), "Failed" | "Succeeded")
}

/// The controller among the owners, as `kind/name`.
pub(crate) fn controller(object: Tree<'_>) -> Option<String> {
    let owners = object.at("metadata.ownerReferences").items();
    let owner = owners.into_iter().find(|owner| owner.at("controller").is_true())?;
    Some(format!("{}/{}", owner.at("kind").text(), owner.at("name").text()))
}

pub(crate) fn labels(tree: Tree<'_>) -> Labels {
    tree.fields().map(|(key, value)| (key.to_owned(), value.text().to_owned())).collect()
}

/// Reads with one of scenario-format's readers; an absent value is none.
pub(crate) fn read<T>(
    tree: Tree<'_>,
    diagnostics: &mut Vec<Diagnostic>,
    read: fn(&yaml::Node, &mut Vec<Diagnostic>) -> Option<T>,
) -> Option<T> {
    read(tree.node()?, diagnostics)
}

/// A pod as a cluster shows it.
pub(crate) fn pod(pod: Tree<'_>, diagnostics: &mut Vec<Diagnostic>) -> PodTemplate {
    read(pod, diagnostics, live::pod).unwrap_or_default()
}

/// A node as a cluster shows it.
pub(crate) fn node(node: Tree<'_>, diagnostics: &mut Vec<Diagnostic>) -> Node {
    let unreadable = || Node { name: name(node), ..Node::default() };
    read(node, diagnostics, live::node).unwrap_or_else(unreadable)
}

pub(crate) fn selector(tree: Tree<'_>) -> Option<LabelSelector> {
    read(tree, &mut Vec::new(), live::label_selector)
}

pub(crate) fn int_or_percent(tree: Tree<'_>) -> Option<IntOrPercent> {
    if let Some(percent) = tree.text().strip_suffix('%') {
        return Some(IntOrPercent::Percent(percent.parse().ok()?));
    }
    tree.int().map(|_| IntOrPercent::Int(tree.int32()))
}

/// `spec.taints`.
pub(crate) fn taints(node: Tree<'_>) -> Vec<Taint> {
    let taints = node.at("spec.taints").items();
    taints.filter_map(|it| read(it, &mut Vec::new(), live::taint)).collect()
}

/// `spec.tolerations`.
pub(crate) fn tolerations(pod: Tree<'_>) -> Vec<Toleration> {
    let tolerations = pod.at("spec.tolerations").items();
    tolerations.filter_map(|it| read(it, &mut Vec::new(), live::toleration)).collect()
}

/// A probe of a container, with the API's defaults for what is absent.
pub(crate) fn probe(tree: Tree<'_>) -> Probe {
    let secs = |name: &str, default| {
        SimSpan::from_secs(
            tree.at(name).int().map_or(default, |secs| u64::try_from(secs).unwrap_or(0)),
        )
    };
    let count =
        |name: &str, default| tree.at(name).int().map_or(default, |_| tree.at(name).count());
    Probe {
        handler: ProbeHandler::Exec,
        port: None,
        initial_delay: secs("initialDelaySeconds", 0),
        period: secs("periodSeconds", 10),
        timeout: secs("timeoutSeconds", 1),
        success_threshold: count("successThreshold", 1),
        failure_threshold: count("failureThreshold", 3),
        termination_grace: None,
    }
}
