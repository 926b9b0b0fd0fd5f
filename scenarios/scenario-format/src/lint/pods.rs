//! What pods look like: W0112 to W0114, W0185.

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
            self.workers(workload, object);
        }
    }

    /// W0185.
    fn workers(&mut self, workload: &Workload, object: &Object) {
        let containers = &workload.template.spec.containers;
        let limits = containers.iter().map(|container| container.limits.cpu_millis());
        // Without a limit nobody says how much it should use.
        let Some(limit_millis) = limits.sum::<Option<i64>>() else { return };
        let of_workload = self.services_of(workload);
        let profiles = self.blueprint.profiles.iter().filter(|profile| {
            let service = &self.blueprint.services[profile.service.index()];
            of_workload
                .iter()
                .any(|it| it.namespace == service.namespace && it.name == service.name)
        });
        let cores = profiles.filter_map(|profile| profile.serving.cores_max).max();
        if let Some(cores) = cores.filter(|cores| i64::from(*cores) * 1000 < limit_millis) {
            let what = if cores == 1 { "worker uses" } else { "workers use" };
            let message = format!(
                "{}: its {cores} {what} no more than {cores} of the {} cores of its limit",
                object.title(),
                limit_millis as f64 / 1e3,
            );
            let path = format!("{}.containers[0].resources.limits.cpu", pod_path(workload));
            self.warn(Code::W0185, object, &path, message);
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
