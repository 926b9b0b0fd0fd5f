//! Objects as a cluster shows them, after admission and defaulting: `kubectl get -o yaml`.
//!
//! Nothing is filled in, because what had to be is there. What the API would refuse is said, and
//! read as far as it goes. Clusters print words such as `y` in quotes; programs that write YAML 1.2
//! do not, so that plain scalars are read by its rules.

use k8s_openapi::api::autoscaling::v2 as autoscaling;
use k8s_openapi::api::core::v1 as core;
use model_api::SimSpan;
use model_api::kube::{
    HorizontalPodAutoscaler, LabelSelector, Node, NodeAffinity, NodeSelector, PodTemplate, Taint,
    TaintEffect, Toleration, TopologySpreadConstraint,
};
use serde::de::DeserializeOwned;

use super::pod::Admission;
use super::{Object, ObjectKey, Reader, Tier, from_node_as};
use crate::diagnostic::Diagnostic;
use crate::yaml::{self, Dialect};

const ADMITTED: Admission<'static> =
    Admission { default_toleration: SimSpan::ZERO, priority_classes: &[], is_over: true };

/// Reads one object or a part of one as a Kubernetes type and hands it on with a reader for it.
fn read<T: DeserializeOwned, R>(
    node: &yaml::Node,
    kind: &str,
    diagnostics: &mut Vec<Diagnostic>,
    convert: impl FnOnce(&mut Reader<'_>, T) -> R,
) -> Option<R> {
    let text =
        |path: &[&str]| node.at(path).and_then(yaml::Node::text).unwrap_or_default().to_owned();
    let key = ObjectKey {
        group: String::new(),
        kind: kind.to_owned(),
        namespace: text(&["metadata", "namespace"]),
        name: text(&["metadata", "name"]),
    };
    let object = Object {
        key,
        api_version: text(&["apiVersion"]),
        names_namespace: true,
        tier: Tier::CommandLine,
        node: node.clone(),
        name_span: node.span,
        origin: node.span.origin(),
    };
    let value = from_node_as(Dialect::Core, node, &object.title(), diagnostics)?;
    Some(convert(&mut Reader { object: &object, diagnostics }, value))
}

/// A `v1 Pod`.
pub fn pod(node: &yaml::Node, diagnostics: &mut Vec<Diagnostic>) -> Option<PodTemplate> {
    read(node, "Pod", diagnostics, |reader, pod: core::Pod| reader.running_pod(&pod, ADMITTED))
}

/// A `v1 Node`. What it does not say it can give is taken to be its capacity.
pub fn node(node: &yaml::Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Node> {
    read(node, "Node", diagnostics, |reader, node: core::Node| {
        let spec = node.spec.unwrap_or_default();
        let status = node.status.unwrap_or_default();
        let (path, amounts) = match &status.allocatable {
            Some(allocatable) => ("status.allocatable", Some(allocatable)),
            None => ("status.capacity", status.capacity.as_ref()),
        };
        let taints = spec.taints.unwrap_or_default();
        let images = status.images.unwrap_or_default().into_iter();
        Node {
            name: node.metadata.name.unwrap_or_default(),
            labels: node.metadata.labels.unwrap_or_default(),
            annotations: node.metadata.annotations.unwrap_or_default(),
            taints: taints
                .into_iter()
                .enumerate()
                .map(|(idx, taint)| reader.taint(&format!("spec.taints[{idx}]"), taint))
                .collect(),
            unschedulable: spec.unschedulable.unwrap_or(false),
            allocatable: reader.resources(path, amounts),
            images: images
                .map(|image| (image.names.unwrap_or_default(), image.size_bytes.unwrap_or(0)))
                .collect(),
            // Its CSINode is an object of its own.
            attach_limit: None,
        }
    })
}

/// An `autoscaling/v2 HorizontalPodAutoscaler`.
pub fn autoscaler(
    node: &yaml::Node,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<HorizontalPodAutoscaler> {
    type Read = autoscaling::HorizontalPodAutoscaler;
    read(node, "HorizontalPodAutoscaler", diagnostics, |reader, object: Read| {
        reader.autoscaler(&object.spec)
    })
}

/// A `v1 NodeSelector`.
pub fn node_selector(node: &yaml::Node, diagnostics: &mut Vec<Diagnostic>) -> Option<NodeSelector> {
    read(node, "NodeSelector", diagnostics, |reader, selector: core::NodeSelector| {
        let affinity = core::NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(selector),
            ..core::NodeAffinity::default()
        };
        reader.node_affinity("", &affinity).required.unwrap_or_default()
    })
}

/// A `v1 NodeAffinity`.
pub fn node_affinity(node: &yaml::Node, diagnostics: &mut Vec<Diagnostic>) -> Option<NodeAffinity> {
    read(node, "NodeAffinity", diagnostics, |reader, affinity: core::NodeAffinity| {
        reader.node_affinity("", &affinity)
    })
}

/// A `v1 LabelSelector`.
pub fn label_selector(
    node: &yaml::Node,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<LabelSelector> {
    read(node, "LabelSelector", diagnostics, |reader, selector| {
        reader.label_selector("", &selector)
    })
}

/// A `v1 Toleration`.
pub fn toleration(node: &yaml::Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Toleration> {
    read(node, "Toleration", diagnostics, |reader, toleration| reader.toleration("", &toleration))
}

/// A `v1 Taint`.
pub fn taint(node: &yaml::Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Taint> {
    read(node, "Taint", diagnostics, |reader, taint| reader.taint("", taint))
}

/// A `v1 TopologySpreadConstraint`, as a scheduler profile lists them too.
pub fn spread_constraint(
    node: &yaml::Node,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<TopologySpreadConstraint> {
    read(node, "TopologySpreadConstraint", diagnostics, |reader, constraint| {
        reader.spread_constraint("", &constraint)
    })
}

impl Reader<'_> {
    fn taint(&mut self, path: &str, taint: core::Taint) -> Taint {
        let effects = [
            ("NoSchedule", TaintEffect::NoSchedule),
            ("PreferNoSchedule", TaintEffect::PreferNoSchedule),
            ("NoExecute", TaintEffect::NoExecute),
        ];
        let effect = Some(taint.effect.as_str());
        Taint {
            effect: self.choice(
                &format!("{path}.effect"),
                effect,
                TaintEffect::NoSchedule,
                &effects,
            ),
            value: taint.value.unwrap_or_default(),
            key: taint.key,
        }
    }
}
