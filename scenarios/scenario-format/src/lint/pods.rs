//! What pods look like: W0112 to W0114, W0185, W0215, W0216.

use model_api::kube::{Probe, Workload, WorkloadKind};

use super::{Lint, is_replicated};
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

    /// W0185, W0215, W0216.
    fn workers(&mut self, workload: &Workload, object: &Object) {
        let containers = &workload.template.spec.containers;
        let of_workload = self.services_of(workload);
        let profiles = self.blueprint.profiles.iter().filter(|profile| {
            let service = &self.blueprint.services[profile.service.index()];
            of_workload
                .iter()
                .any(|it| it.namespace == service.namespace && it.name == service.name)
        });
        let (mut cores, mut has_quota) = (None, false);
        for profile in profiles {
            cores = cores.max(profile.serving.cores_max);
            has_quota |= profile.serving.quota_period.is_some();
        }
        let limits = containers.iter().map(|container| container.limits.cpu_millis());
        let path = workload.pod_path("containers[0]");
        // Without a limit nobody says how much it should use.
        let Some(limit_millis) = limits.sum::<Option<i64>>() else {
            if has_quota {
                let message =
                    format!("{}: without limits.cpu it has no quota to use up", object.title());
                self.warn(Code::W0216, object, &format!("{path}.name"), message);
            }
            return;
        };
        let Some(cores) = cores else { return };
        let (threads_millis, limit) = (i64::from(cores) * 1000, limit_millis as f64 / 1e3);
        let path = format!("{path}.resources.limits.cpu");
        if threads_millis < limit_millis {
            let what = if cores == 1 { "worker uses" } else { "workers use" };
            let message = format!(
                "{}: its {cores} {what} no more than {cores} of the {limit} cores of its limit",
                object.title(),
            );
            self.warn(Code::W0185, object, &path, message);
        } else if threads_millis > limit_millis && !has_quota {
            let message = format!(
                "{}: its {cores} workers use up a limit of {limit} cores early in each period",
                object.title(),
            );
            self.warn(Code::W0215, object, &path, message);
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
        self.warn(Code::W0112, object, &workload.pod_path("containers[0].name"), message);
    }

    /// W0113.
    fn liveness(&mut self, workload: &Workload, object: &Object) {
        for (idx, container) in workload.template.spec.containers.iter().enumerate() {
            let (Some(readiness), Some(liveness)) = (container.readiness, container.liveness)
            else {
                continue;
            };
            let path = workload.pod_path(&format!("containers[{idx}]"));
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
                let path = workload.pod_path(&format!("containers[{idx}]"));
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
