//! What pods look like: W0112 to W0114.

use model_api::kube::{Probe, Workload, WorkloadKind};

use super::{Lint, is_replicated, pod_path};
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::Object;
use crate::yaml::Node;

impl Lint<'_> {
    pub(super) fn pods(&mut self) {
        for (workload, object) in self.workloads() {
            if workload.kind == WorkloadKind::DatabaseInstances {
                continue;
            }
            self.readiness(workload, object);
            self.liveness(workload, object);
            self.requests(workload, object);
        }
    }

    /// W0112.
    fn readiness(&mut self, workload: &Workload, object: &Object) {
        let containers = &workload.template.spec.containers;
        let has_probe = containers.iter().any(|container| container.readiness.is_some());
        if has_probe || !is_replicated(workload) {
            return;
        }
        let services = self.services_of(workload);
        // Who publishes pods that are not ready does not wait for readiness.
        let Some(service) = services.iter().find(|service| !service.publishes_not_ready) else {
            return;
        };
        let message = format!(
            "{}: no readiness probe, though Service {} sends requests to it",
            object.title(),
            service.name
        );
        self.warn(
            Code::W0112,
            object,
            &format!("{}.containers[0].name", pod_path(workload)),
            message,
        );
    }

    /// W0113.
    fn liveness(&mut self, workload: &Workload, object: &Object) {
        for (idx, container) in workload.template.spec.containers.iter().enumerate() {
            let (Some(readiness), Some(liveness)) = (container.readiness, container.liveness)
            else {
                continue;
            };
            let path = format!("{}.containers[{idx}]", pod_path(workload));
            let asks = |probe: &str| object.find(&format!("{path}.{probe}")).and_then(asked);
            let is_same =
                asks("livenessProbe").is_some() && asks("livenessProbe") == asks("readinessProbe");
            if is_same && patience_ns(&liveness) <= patience_ns(&readiness) {
                let message = format!(
                    "{}: container {} is killed as soon as it would be taken out of service",
                    object.title(),
                    container.name
                );
                let other = object.span(&format!("{path}.readinessProbe"));
                let span = object.span(&format!("{path}.livenessProbe"));
                self.push(
                    object,
                    Diagnostic::new(Code::W0113, span, message)
                        .label("same check, no more patience")
                        .related(other, "than this"),
                );
            }
        }
    }

    /// W0114.
    fn requests(&mut self, workload: &Workload, object: &Object) {
        let spec = &workload.template.spec;
        if !spec.requests.0.is_empty() {
            return;
        }
        for (idx, container) in spec.containers.iter().enumerate() {
            let missing: Vec<&str> = ["cpu", "memory"]
                .into_iter()
                .filter(|name| container.requests.get(name).is_none())
                .collect();
            if !missing.is_empty() {
                let message = format!(
                    "{}: container {} requests no {}",
                    object.title(),
                    container.name,
                    missing.join(" and no ")
                );
                let path = format!("{}.containers[{idx}]", pod_path(workload));
                let path = match object.find(&format!("{path}.resources")) {
                    Some(_) => format!("{path}.resources"),
                    None => format!("{path}.name"),
                };
                self.warn(Code::W0114, object, &path, message);
            }
        }
    }
}

/// Time of failing checks until a probe acts, in nanoseconds.
fn patience_ns(probe: &Probe) -> u64 {
    probe.period.as_nanos().saturating_mul(u64::from(probe.failure_threshold))
}

/// What a probe asks, as far as two can be compared: kind, path, port, command.
fn asked(probe: &Node) -> Option<Vec<String>> {
    for kind in ["httpGet", "tcpSocket", "grpc", "exec"] {
        let Some(handler) = probe.get(kind) else { continue };
        let mut parts = vec![kind.to_owned()];
        for field in ["path", "port", "service"] {
            parts.push(handler.get(field).and_then(Node::text).unwrap_or_default().to_owned());
        }
        let command = handler.get("command").and_then(Node::items).unwrap_or_default();
        parts.extend(command.iter().filter_map(|word| word.text().map(str::to_owned)));
        return Some(parts);
    }
    None
}
