//! Where pods can and cannot stand: W0107 to W0111, W0128.

use std::collections::{BTreeMap, BTreeSet};

use model_api::blueprint::NodeSpec;
use model_api::kube::{
    DeploymentStrategy, IntOrPercent, PodSpec, TaintEffect, UnsatisfiableAction, Workload,
    WorkloadKind,
};

use super::{Lint, is_replicated};
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::Object;
use crate::manifest::requests::of_containers;
use crate::nearest::suggestion;

const ZONE: &str = "topology.kubernetes.io/zone";

impl Lint<'_> {
    pub(super) fn placement(&mut self) {
        for (workload, object) in self.workloads() {
            if workload.replicas == 0 && !matches!(workload.kind, WorkloadKind::DaemonSet { .. }) {
                continue;
            }
            self.topology_keys(workload, object);
            if self.fits_by_size(workload, object) {
                self.fits_by_place(workload, object);
            }
            self.required_anti_affinity(workload, object);
            if is_replicated(workload) {
                self.replicas(workload, object);
            }
        }
    }

    /// W0110 and W0111.
    fn replicas(&mut self, workload: &Workload, object: &Object) {
        let services = self.services_of(workload);
        if workload.replicas == 1 && !services.is_empty() {
            let message =
                format!("{} has one replica behind Service {}", object.title(), services[0].name);
            self.warn(Code::W0110, object, "spec.replicas", message);
        }
        let zones = self.blueprint.zones.len();
        if workload.replicas >= 2 && zones > 1 && !prefers_zones(workload) {
            let spec = &workload.template.spec;
            let affinity = &spec.affinity;
            let has_hosts = affinity
                .pod_anti_preferred
                .iter()
                .map(|term| &term.term)
                .chain(&affinity.pod_anti_required)
                .any(|term| term.topology_key == "kubernetes.io/hostname")
                || !spec.topology_spread_constraints.is_empty();
            let path = match (has_hosts, spec.topology_spread_constraints.is_empty()) {
                (true, false) => workload.pod_path("topologySpreadConstraints"),
                _ => workload.pod_path("affinity"),
            };
            let why = if has_hosts { "it spreads over hosts only" } else { "nothing spreads them" };
            let message = format!(
                "{}: all {} replicas may stand in one zone, {why}",
                object.title(),
                workload.replicas
            );
            self.warn(Code::W0111, object, &path, message);
        }
    }

    /// W0108.
    fn topology_keys(&mut self, workload: &Workload, object: &Object) {
        let keys: BTreeSet<&str> = self
            .blueprint
            .nodes
            .iter()
            .flat_map(|node| node.node.labels.keys().map(String::as_str))
            .collect();
        for (path, key) in topology_keys_of(workload) {
            if keys.contains(key) || key.is_empty() {
                continue;
            }
            let message = format!("{}: no node has the label `{key}`", object.title());
            let span = object.value_span(&path);
            let help = suggestion(key, keys.iter().copied().collect::<Vec<_>>());
            self.push(object, Diagnostic::new(Code::W0108, span, message).help_if(help));
        }
    }

    /// W0107: whether some node is large enough.
    fn fits_by_size(&mut self, workload: &Workload, object: &Object) -> bool {
        let spec = &workload.template.spec;
        let request = request_of(spec);
        // Of the nodes that it may stand on; when there are none, that is what there is to say.
        let nodes = || self.blueprint.nodes.iter().filter(|node| may_stand(spec, &node.node));
        let are_all = nodes().count() == self.blueprint.nodes.len();
        if nodes().next().is_none() || nodes().any(|node| holds(node, &request)) {
            return true;
        }
        let too_large = request.iter().find(|(name, amount)| {
            !nodes()
                .any(|node| node.node.allocatable.get(name).is_some_and(|have| have >= **amount))
        });
        let (name, why) = match too_large {
            Some((name, amount)) => {
                let most = nodes().filter_map(|node| node.node.allocatable.get(name)).max();
                let have = most.map_or_else(
                    || "no node has any".to_owned(),
                    |most| {
                        let largest = if are_all { "node" } else { "of those it may stand on" };
                        format!("the largest {largest} has {}", amount_text(name, most))
                    },
                );
                (
                    name.as_str(),
                    format!("{} of {name} asked for, {have}", amount_text(name, *amount)),
                )
            }
            None => ("cpu", "no node has all of it at once".to_owned()),
        };
        let message = format!("{}: no node can hold a pod: {why}", object.title());
        let containers = &workload.template.spec.containers;
        let largest = (0..containers.len())
            .max_by_key(|idx| containers[*idx].requests.get(name).unwrap_or(0));
        let field = format!("resources.requests.{name}");
        let path = workload.container_path(largest, &field);
        self.warn(Code::W0107, object, &path, message);
        false
    }

    /// W0109: whether some node is allowed.
    fn fits_by_place(&mut self, workload: &Workload, object: &Object) {
        let spec = &workload.template.spec;
        // No scheduler looks for one.
        if spec.node_name.is_some() {
            return;
        }
        let nodes = || self.blueprint.nodes.iter().map(|node| &node.node);
        let is_selected = |node: &model_api::kube::Node| is_selected(spec, node);
        let is_matched = |node: &model_api::kube::Node| is_matched(spec, node);
        let is_tolerated = |node: &model_api::kube::Node| is_tolerated(spec, node);
        let (path, why) = if !nodes().any(is_selected) {
            (workload.pod_path("nodeSelector"), "the node selector")
        } else if !nodes().any(|node| is_selected(node) && is_matched(node)) {
            let path = workload.pod_path("affinity.nodeAffinity");
            (path, "the required node affinity")
        } else if !nodes().any(|node| is_selected(node) && is_matched(node) && is_tolerated(node)) {
            (workload.pod_path("tolerations"), "taints that the pod does not tolerate")
        } else {
            return;
        };
        let message = format!("{}: no node is left by {why}", object.title());
        self.warn(Code::W0109, object, &path, message);
    }

    /// W0128.
    fn required_anti_affinity(&mut self, workload: &Workload, object: &Object) {
        let labels = &workload.template.labels;
        let base = workload.pod_path("affinity.podAntiAffinity");
        for term in &workload.template.spec.affinity.pod_anti_required {
            let is_own = term.label_selector.as_ref().is_some_and(|it| it.matches(labels));
            if !is_own {
                continue;
            }
            let workers = self.blueprint.nodes.iter().filter(|node| !node.is_control_plane);
            let domains: BTreeSet<&String> =
                workers.filter_map(|node| node.node.labels.get(&term.topology_key)).collect();
            let places = domains.len();
            let replicas = workload.replicas as usize;
            let message = if places == 0 {
                continue;
            } else if replicas > places {
                format!(
                    "{}: {replicas} replicas, but only {places} places of `{}`: the others stay Pending",
                    object.title(),
                    term.topology_key
                )
            } else if replicas == places && cannot_shrink(workload) {
                format!(
                    "{}: a rollout cannot move: a new pod finds no place of `{}`, and no old one may go",
                    object.title(),
                    term.topology_key
                )
            } else {
                continue;
            };
            self.warn(Code::W0128, object, &base, message);
        }
    }
}

fn is_selected(spec: &PodSpec, node: &model_api::kube::Node) -> bool {
    spec.node_selector.iter().all(|(key, value)| node.labels.get(key) == Some(value))
}

fn is_matched(spec: &PodSpec, node: &model_api::kube::Node) -> bool {
    let required = spec.affinity.node.required.as_ref();
    required.is_none_or(|required| {
        required.terms.iter().any(|term| term.matches(&node.name, &node.labels))
    })
}

fn is_tolerated(spec: &PodSpec, node: &model_api::kube::Node) -> bool {
    node.taints.iter().all(|taint| {
        taint.effect == TaintEffect::PreferNoSchedule
            || spec.tolerations.iter().any(|toleration| toleration.tolerates(taint))
    })
}

/// Whether an empty node has what a pod requests.
pub(super) fn holds(node: &NodeSpec, request: &BTreeMap<String, i64>) -> bool {
    request.iter().all(|(name, amount)| {
        *amount == 0 || node.node.allocatable.get(name).is_some_and(|have| have >= *amount)
    })
}

/// Whether its labels and taints let a pod stand on a node.
pub(crate) fn may_stand(spec: &PodSpec, node: &model_api::kube::Node) -> bool {
    is_selected(spec, node) && is_matched(spec, node) && is_tolerated(spec, node)
}

/// Whether a rollout must bring a new pod before an old one goes (`maxUnavailable` rounds down).
fn cannot_shrink(workload: &Workload) -> bool {
    let WorkloadKind::Deployment {
        strategy: DeploymentStrategy::RollingUpdate { max_unavailable, .. },
        ..
    } = workload.kind
    else {
        return false;
    };
    match max_unavailable {
        IntOrPercent::Int(count) => count == 0,
        IntOrPercent::Percent(percent) => i64::from(workload.replicas) * i64::from(percent) < 100,
    }
}

/// Whether something at least prefers different zones for replicas.
fn prefers_zones(workload: &Workload) -> bool {
    let labels = &workload.template.labels;
    let spec = &workload.template.spec;
    let is_own = |selector: &Option<model_api::kube::LabelSelector>| {
        selector.as_ref().is_some_and(|selector| selector.matches(labels))
    };
    let by_constraint = spec.topology_spread_constraints.iter().any(|constraint| {
        let is_strict = constraint.when_unsatisfiable == UnsatisfiableAction::DoNotSchedule;
        constraint.topology_key == ZONE
            && is_own(&constraint.label_selector)
            // A skew as large as the number of replicas asks for nothing.
            && (!is_strict || i64::from(constraint.max_skew) < i64::from(workload.replicas))
    });
    let affinity = &spec.affinity;
    let terms = affinity.pod_anti_preferred.iter().map(|term| &term.term);
    let by_affinity = terms
        .chain(&affinity.pod_anti_required)
        .any(|term| term.topology_key == ZONE && is_own(&term.label_selector));
    by_constraint || by_affinity
}

/// Paths and values of all topology keys.
fn topology_keys_of(workload: &Workload) -> Vec<(String, &str)> {
    let spec = &workload.template.spec;
    let affinity = &spec.affinity;
    let mut keys = Vec::new();
    if workload.kind == WorkloadKind::DatabaseInstances {
        let terms = affinity.pod_anti_preferred.iter().map(|term| &term.term);
        for term in terms.chain(&affinity.pod_anti_required) {
            keys.push(("spec.affinity.topologyKey".to_owned(), term.topology_key.as_str()));
        }
        return keys;
    }
    for (idx, constraint) in spec.topology_spread_constraints.iter().enumerate() {
        let path = workload.pod_path(&format!("topologySpreadConstraints[{idx}].topologyKey"));
        keys.push((path, constraint.topology_key.as_str()));
    }
    let hard =
        [("podAffinity", &affinity.pod_required), ("podAntiAffinity", &affinity.pod_anti_required)];
    for (kind, terms) in hard {
        for (idx, term) in terms.iter().enumerate() {
            let list = "requiredDuringSchedulingIgnoredDuringExecution";
            let path = workload.pod_path(&format!("affinity.{kind}.{list}[{idx}].topologyKey"));
            keys.push((path, term.topology_key.as_str()));
        }
    }
    let soft = [
        ("podAffinity", &affinity.pod_preferred),
        ("podAntiAffinity", &affinity.pod_anti_preferred),
    ];
    for (kind, terms) in soft {
        for (idx, term) in terms.iter().enumerate() {
            let list = "preferredDuringSchedulingIgnoredDuringExecution";
            let path = workload
                .pod_path(&format!("affinity.{kind}.{list}[{idx}].podAffinityTerm.topologyKey"));
            keys.push((path, term.term.topology_key.as_str()));
        }
    }
    keys
}

/// What a pod asks for: the larger of its containers together and its largest init container, with
/// sidecars in both (component-helpers `resource/helpers.go`, PodRequests).
pub(super) fn request_of(spec: &PodSpec) -> BTreeMap<String, i64> {
    let mut running = of_containers(&spec.init_containers, &spec.containers).0;
    for (name, amount) in &spec.requests.0 {
        running.insert(name.clone(), *amount);
    }
    for (name, amount) in &spec.overhead.0 {
        let total = running.entry(name.clone()).or_insert(0);
        *total = total.saturating_add(*amount);
    }
    running
}

pub(super) fn amount_text(name: &str, amount: i64) -> String {
    match name {
        "cpu" => format!("{amount}m"),
        "memory" | "ephemeral-storage" => format!("{} MiB", amount >> 20),
        _ => amount.to_string(),
    }
}
