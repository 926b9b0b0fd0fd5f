//! What the API server refuses of containers, probes, strategies and hosts.
//!
//! Kubernetes 1.36: `pkg/apis/core/validation/validation.go` (validateContainerCommon,
//! validateProbe, validateHandler, validateTopologySpreadConstraints),
//! `pkg/apis/apps/validation/validation.go` (ValidateDeploymentSpec,
//! ValidateRollingUpdateDeployment, ValidateRollingUpdateDaemonSet, ValidateStatefulSetSpec),
//! `pkg/apis/policy/validation/validation.go` (ValidatePodDisruptionBudgetSpec),
//! `pkg/apis/networking/validation/validation.go` (validateHost, ValidateIngressSpec).

use super::{items, number, port_name_error, subdomain_error};
use crate::manifest::{Object, Reader};
use crate::yaml::Node;

/// Seconds that a Deployment has for progress when it states none
/// (`pkg/apis/apps/v1/defaults.go`).
const PROGRESS_SECONDS: i64 = 600;
/// What a probe may do, by field. Those of hooks are not looked at.
const HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];

impl Reader<'_> {
    /// A container needs an image, and none of its probes has two handlers.
    pub(super) fn container_fields(&mut self, path: &str, container: &Node) {
        if container.get("image").is_none_or(Node::is_null) {
            self.refuse(&format!("{path}.image"), "is required");
        }
        for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
            if let Some(probe) = container.get(name) {
                self.probe_fields(&format!("{path}.{name}"), name, probe);
            }
        }
    }

    fn probe_fields(&mut self, path: &str, name: &str, probe: &Node) {
        let handlers =
            HANDLERS.into_iter().filter(|it| probe.get(it).is_some_and(|it| !it.is_null()));
        let handlers: Vec<&str> = handlers.collect();
        if let [first, second, ..] = handlers[..] {
            let wrong = format!("may not be there beside {first}: a probe has one handler");
            self.refuse(&format!("{path}.{second}"), wrong);
        }
        for handler in handlers {
            if let Some(port) = probe.at(&[handler, "port"]) {
                self.port_field(&format!("{path}.{handler}.port"), port);
            }
        }
        let threshold = probe.get("successThreshold").and_then(number);
        if name != "readinessProbe" && threshold.is_some_and(|it| it > 1) {
            self.refuse(&format!("{path}.successThreshold"), format!("must be 1 in a {name}"));
        }
    }

    fn port_field(&mut self, path: &str, port: &Node) {
        match number(port) {
            Some(1..=65_535) => {}
            Some(other) => self.refuse(path, format!("must be 1 to 65535, is {other}")),
            None => {
                if let Some(wrong) = port.text().and_then(port_name_error) {
                    self.refuse(path, wrong);
                }
            }
        }
    }

    /// A key and an action may be there once, and only what is never broken counts domains.
    pub(super) fn spread_fields(&mut self, path: &str) {
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for (idx, constraint) in items(self.object, path).iter().enumerate() {
            let text = |key: &str| constraint.get(key).and_then(Node::text).unwrap_or_default();
            let pair = (text("topologyKey"), text("whenUnsatisfiable"));
            let path = format!("{path}[{idx}]");
            if seen.contains(&pair) {
                let (key, action) = pair;
                let wrong = format!("`{key}` is there twice with {action}");
                self.refuse(&format!("{path}.topologyKey"), wrong);
            }
            seen.push(pair);
            let counts = constraint.get("minDomains").is_some_and(|it| !it.is_null());
            if counts && pair.1 == "ScheduleAnyway" {
                let wrong =
                    "can only be there if whenUnsatisfiable is DoNotSchedule, not ScheduleAnyway";
                self.refuse(&format!("{path}.minDomains"), wrong);
            }
        }
    }

    /// A share of the pods is no more than all of them.
    pub(super) fn shares(&mut self, kind: (&str, &str)) {
        let (path, fields): (&str, &[&str]) = match kind {
            ("apps", "Deployment") => ("spec.strategy.rollingUpdate", &["maxUnavailable"]),
            ("apps", "StatefulSet") => ("spec.updateStrategy.rollingUpdate", &["maxUnavailable"]),
            ("apps", "DaemonSet") => {
                ("spec.updateStrategy.rollingUpdate", &["maxSurge", "maxUnavailable"])
            }
            ("policy", "PodDisruptionBudget") => ("spec", &["maxUnavailable", "minAvailable"]),
            _ => return,
        };
        for field in fields {
            let path = format!("{path}.{field}");
            let text = self.object.find(&path).and_then(Node::text).unwrap_or_default();
            let percent = text.strip_suffix('%').and_then(|it| it.parse::<i64>().ok());
            if percent.is_some_and(|it| it > 100) {
                self.refuse(&path, format!("must not be more than 100%, is {text}"));
            }
        }
    }

    /// A Deployment has more time for progress than its pods take to count.
    pub(super) fn progress_deadline(&mut self) {
        let stated = |path| self.object.find(path).and_then(number);
        let min_ready = stated("spec.minReadySeconds").unwrap_or(0);
        let path = "spec.progressDeadlineSeconds";
        let deadline = stated(path).unwrap_or(PROGRESS_SECONDS);
        if deadline <= min_ready {
            let path = if self.object.find(path).is_some() { path } else { "spec.minReadySeconds" };
            let wrong = format!(
                "must keep progressDeadlineSeconds ({deadline}) greater than minReadySeconds \
                 ({min_ready})"
            );
            self.refuse(path, wrong);
        }
    }

    /// Hosts are DNS names, or have a `*` in place of their first label.
    pub(super) fn ingress_hosts(&mut self) {
        for (path, host) in hosts(self.object) {
            let name = host.strip_prefix("*.").unwrap_or(host);
            if host.parse::<std::net::IpAddr>().is_ok() {
                self.refuse(&path, format!("must be a DNS name, not the address {host}"));
            } else if let Some(wrong) = subdomain_error(name).filter(|_| !host.is_empty()) {
                self.refuse(&path, wrong);
            }
        }
    }
}

/// Hosts of the rules and certificates of an Ingress.
fn hosts(object: &Object) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    for (idx, rule) in items(object, "spec.rules").iter().enumerate() {
        let host = rule.get("host").and_then(Node::text);
        found.extend(host.map(|host| (format!("spec.rules[{idx}].host"), host)));
    }
    for (idx, _) in items(object, "spec.tls").iter().enumerate() {
        let path = format!("spec.tls[{idx}].hosts");
        for (nth, host) in items(object, &path).iter().enumerate() {
            found.extend(host.text().map(|host| (format!("{path}[{nth}]"), host)));
        }
    }
    found
}
