//! Parts of Kubernetes objects as the API prints them.

use model_api::kube::{
    IntOrPercent, LabelSelector, Labels, Operator, Probe, ProbeHandler, Requirement, Taint,
    TaintEffect, Toleration, TolerationOperator,
};
use model_api::{SimSpan, SimTime};

use super::Tree;

/// `namespace/name`.
pub(super) fn full_name(object: &Tree) -> String {
    format!("{}/{}", object.at("metadata.namespace").text(), name(object))
}

/// `metadata.name`.
pub(super) fn name(object: &Tree) -> String {
    object.at("metadata.name").text().to_owned()
}

/// `metadata.creationTimestamp`; the start of time when absent.
pub(super) fn created_at(object: &Tree) -> SimTime {
    object.at("metadata.creationTimestamp").time().unwrap_or(SimTime::ZERO)
}

/// Has a deletionTimestamp.
pub(super) fn is_terminating(object: &Tree) -> bool {
    object.at("metadata.deletionTimestamp").is_given()
}

/// `status` of a condition; empty when absent.
pub(super) fn condition<'a>(object: &'a Tree, kind: &str) -> Option<&'a Tree> {
    object.at("status.conditions").items().iter().find(|it| it.at("type").text() == kind)
}

/// Condition Ready is True.
pub(super) fn is_ready(object: &Tree) -> bool {
    condition(object, "Ready").is_some_and(|it| it.at("status").text() == "True")
}

/// Phase Failed or Succeeded.
pub(super) fn is_finished(pod: &Tree) -> bool {
    matches!(pod.at("status.phase").text(), "Failed" | "Succeeded")
}

/// The controller among the owners, as `kind/name`.
pub(super) fn controller(object: &Tree) -> Option<String> {
    let owners = object.at("metadata.ownerReferences").items().iter();
    let owner = owners.into_iter().find(|owner| owner.at("controller").is_true())?;
    Some(format!("{}/{}", owner.at("kind").text(), owner.at("name").text()))
}

pub(super) fn labels(tree: &Tree) -> Labels {
    let fields = tree.fields().iter();
    fields.map(|(key, value)| (key.clone(), value.text().to_owned())).collect()
}

pub(super) fn selector(tree: &Tree) -> Option<LabelSelector> {
    let requirement = |tree: &Tree| Requirement {
        key: tree.at("key").text().to_owned(),
        operator: match tree.at("operator").text() {
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            _ => Operator::In,
        },
        values: tree.at("values").texts(),
    };
    tree.is_given().then(|| LabelSelector {
        match_labels: labels(tree.at("matchLabels")),
        match_expressions: tree.at("matchExpressions").items().iter().map(requirement).collect(),
    })
}

pub(super) fn int_or_percent(tree: &Tree) -> Option<IntOrPercent> {
    match tree {
        Tree::Int(_) => Some(IntOrPercent::Int(tree.int32())),
        Tree::Text(text) => {
            let percent = text.strip_suffix('%')?.parse().ok()?;
            Some(IntOrPercent::Percent(percent))
        }
        _ => None,
    }
}

fn effect(tree: &Tree) -> Option<TaintEffect> {
    match tree.text() {
        "NoSchedule" => Some(TaintEffect::NoSchedule),
        "PreferNoSchedule" => Some(TaintEffect::PreferNoSchedule),
        "NoExecute" => Some(TaintEffect::NoExecute),
        _ => None,
    }
}

/// `spec.taints`.
pub(super) fn taints(node: &Tree) -> Vec<Taint> {
    let taint = |tree: &Tree| {
        Some(Taint {
            key: tree.at("key").text().to_owned(),
            value: tree.at("value").text().to_owned(),
            effect: effect(tree.at("effect"))?,
        })
    };
    node.at("spec.taints").items().iter().filter_map(taint).collect()
}

/// `spec.tolerations`.
pub(super) fn tolerations(pod: &Tree) -> Vec<Toleration> {
    let toleration = |tree: &Tree| Toleration {
        key: tree.at("key").text().to_owned(),
        operator: match tree.at("operator").text() {
            "Exists" => TolerationOperator::Exists,
            _ => TolerationOperator::Equal,
        },
        value: tree.at("value").text().to_owned(),
        effect: effect(tree.at("effect")),
        toleration: tree
            .at("tolerationSeconds")
            .int()
            .map(|secs| SimSpan::from_secs(u64::try_from(secs).unwrap_or(0))),
    };
    pod.at("spec.tolerations").items().iter().map(toleration).collect()
}

/// A probe of a container, with the API's defaults for what is absent.
pub(super) fn probe(tree: &Tree) -> Probe {
    let secs = |name: &str, default| {
        SimSpan::from_secs(
            tree.at(name).int().map_or(default, |secs| u64::try_from(secs).unwrap_or(0)),
        )
    };
    let count =
        |name: &str, default| tree.at(name).int().map_or(default, |_| tree.at(name).count());
    Probe {
        handler: ProbeHandler::Exec,
        initial_delay: secs("initialDelaySeconds", 0),
        period: secs("periodSeconds", 10),
        timeout: secs("timeoutSeconds", 1),
        success_threshold: count("successThreshold", 1),
        failure_threshold: count("failureThreshold", 3),
    }
}
