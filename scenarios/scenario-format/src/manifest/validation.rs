//! What the API server refuses of objects that are well-formed otherwise.
//!
//! Kubernetes 1.36: `pkg/apis/core/validation/validation.go` (ValidatePodSpec, ValidateTolerations,
//! validateContainerPorts, ValidateVolumeMounts, validateSleepAction, ValidateService),
//! `pkg/apis/apps/validation/validation.go` (the restart policy of templates),
//! `apimachinery/pkg/util/validation/validation.go` (names, labels, ports). Looked at are names,
//! labels, and what of a pod or a Service the models read; the rest is for
//! `kubectl apply --dry-run=server`.

use super::{Object, Reader};
use crate::yaml::Node;

mod spec;

/// Longest name of most objects (`DNS1123SubdomainMaxLength`).
const SUBDOMAIN_CHARS_MAX: usize = 253;
/// Longest label value, name of a label, and name of a Service or container (`DNS1123LabelMaxLength`).
const LABEL_CHARS_MAX: usize = 63;
/// Longest name of a port of a container (`IsValidPortName`).
const PORT_NAME_CHARS_MAX: usize = 15;
/// Grace period of a pod that states none (`DefaultTerminationGracePeriodSeconds`).
const GRACE_SECONDS: i64 = 30;

/// Kinds whose names are DNS labels, and kinds whose names are DNS subdomains, by group.
const NAMED_AS_LABEL: [(&str, &str); 2] = [("", "Namespace"), ("", "Service")];
const NAMED_AS_SUBDOMAIN: [(&str, &str); 14] = [
    ("", "ConfigMap"),
    ("", "PersistentVolumeClaim"),
    ("", "Pod"),
    ("", "Secret"),
    ("apps", "DaemonSet"),
    ("apps", "Deployment"),
    ("apps", "ReplicaSet"),
    ("apps", "StatefulSet"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("batch", "CronJob"),
    ("batch", "Job"),
    ("networking.k8s.io", "Ingress"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("policy", "PodDisruptionBudget"),
];

impl Reader<'_> {
    /// Says what the API server would refuse.
    pub(super) fn validate(&mut self) {
        let key = &self.object.key;
        let kind = (key.group.as_str(), key.kind.as_str());
        let name = key.name.as_str();
        let wrong = if NAMED_AS_LABEL.contains(&kind) {
            label_error(name)
        } else if NAMED_AS_SUBDOMAIN.contains(&kind) {
            subdomain_error(name)
        } else {
            return;
        };
        if let Some(wrong) = wrong {
            self.refuse("metadata.name", wrong);
        }
        if self.object.names_namespace
            && let Some(wrong) = label_error(&self.object.key.namespace)
        {
            self.refuse("metadata.namespace", wrong);
        }
        self.labels("metadata.labels");
        self.shares(kind);
        match kind {
            ("", "Service") => self.service_ports(),
            ("networking.k8s.io", "Ingress") => self.ingress_hosts(),
            ("", "Pod") => self.pod("spec"),
            ("apps", _) => {
                self.labels("spec.template.metadata.labels");
                self.pod("spec.template.spec");
                if kind.1 == "Deployment" {
                    self.progress_deadline();
                }
                let path = "spec.template.spec.restartPolicy";
                let policy = self.object.find(path).and_then(Node::text).unwrap_or("Always");
                if matches!(policy, "Never" | "OnFailure") {
                    let kind = &self.object.key.kind;
                    let wrong = format!("must be Always in a {kind}, is {policy}");
                    self.refuse(path, wrong);
                }
            }
            ("batch", "Job") => self.pod("spec.template.spec"),
            ("batch", "CronJob") => self.pod("spec.jobTemplate.spec.template.spec"),
            _ => {}
        }
    }

    fn labels(&mut self, path: &str) {
        let Some(entries) = self.object.find(path).and_then(Node::entries) else { return };
        for entry in entries {
            let wrong = label_key_error(&entry.key)
                .or_else(|| label_value_error(entry.value.text().unwrap_or_default()));
            if let Some(wrong) = wrong {
                self.refuse_at(entry.value.span, &format!("{path}.{}", entry.key), &wrong);
            }
        }
    }

    fn refuse_at(&mut self, span: crate::source::Span, path: &str, wrong: &str) {
        let message = format!("{}: `{path}` {wrong}", self.object.title());
        let code = crate::diagnostic::Code::E0022;
        self.diagnostics.push(crate::diagnostic::Diagnostic::new(code, span, message));
    }

    /// Names of ports must be there when there are several, and each only once.
    fn service_ports(&mut self) {
        let ports = items(self.object, "spec.ports");
        let mut seen: Vec<&str> = Vec::new();
        for (idx, port) in ports.iter().enumerate() {
            let path = format!("spec.ports[{idx}].name");
            match port.get("name").and_then(Node::text) {
                None | Some("") if ports.len() > 1 => {
                    self.refuse(&path, "is required where there are several ports");
                }
                None | Some("") => {}
                Some(name) if seen.contains(&name) => {
                    self.refuse(&path, format!("`{name}` is there twice"));
                }
                Some(name) => {
                    if let Some(wrong) = label_error(name) {
                        self.refuse(&path, wrong);
                    }
                    seen.push(name);
                }
            }
        }
    }

    fn pod(&mut self, path: &str) {
        let object = self.object;
        for (idx, toleration) in items(object, &format!("{path}.tolerations")).iter().enumerate() {
            self.toleration_seconds(&format!("{path}.tolerations[{idx}]"), toleration);
        }
        self.spread_fields(&format!("{path}.topologySpreadConstraints"));
        let mut volumes: Vec<&str> = Vec::new();
        for (idx, volume) in items(object, &format!("{path}.volumes")).iter().enumerate() {
            let Some(name) = volume.get("name").and_then(Node::text) else { continue };
            let field = format!("{path}.volumes[{idx}].name");
            if volumes.contains(&name) {
                self.refuse(&field, format!("`{name}` is there twice"));
            } else if let Some(wrong) = label_error(name) {
                self.refuse(&field, wrong);
            }
            volumes.push(name);
        }
        // The controller makes a volume of each claim template, under its name.
        for claim in items(object, "spec.volumeClaimTemplates") {
            volumes.extend(claim.at(&["metadata", "name"]).and_then(Node::text));
        }
        let grace = object.find(&format!("{path}.terminationGracePeriodSeconds"));
        let grace = grace.and_then(number).unwrap_or(GRACE_SECONDS);
        let mut names: Vec<&str> = Vec::new();
        for field in ["initContainers", "containers"] {
            let containers = items(object, &format!("{path}.{field}"));
            for (idx, container) in containers.iter().enumerate() {
                let path = format!("{path}.{field}[{idx}]");
                if let Some(name) = container.get("name").and_then(Node::text) {
                    if names.contains(&name) {
                        self.refuse(&format!("{path}.name"), format!("`{name}` is there twice"));
                    } else if let Some(wrong) = label_error(name) {
                        self.refuse(&format!("{path}.name"), wrong);
                    }
                    names.push(name);
                }
                self.container_fields(&path, container);
                self.container_ports(&path, container);
                self.mounts(&path, container, &volumes);
                self.sleep(&path, container, grace);
            }
        }
    }

    fn toleration_seconds(&mut self, path: &str, toleration: &Node) {
        let text = |key: &str| toleration.get(key).and_then(Node::text).unwrap_or_default();
        let has_seconds = toleration.get("tolerationSeconds").is_some_and(|it| !it.is_null());
        if has_seconds && text("effect") != "NoExecute" {
            self.refuse(&format!("{path}.effect"), "must be NoExecute with tolerationSeconds");
        }
        if text("key").is_empty() && text("operator") != "Exists" {
            self.refuse(&format!("{path}.operator"), "must be Exists when `key` is empty");
        }
        if text("operator") == "Exists" && !text("value").is_empty() {
            self.refuse(&format!("{path}.value"), "must be empty when `operator` is Exists");
        }
    }

    fn container_ports(&mut self, path: &str, container: &Node) {
        let mut seen: Vec<&str> = Vec::new();
        let ports = container.get("ports").and_then(Node::items).unwrap_or_default();
        for (idx, port) in ports.iter().enumerate() {
            let Some(name) = port.get("name").and_then(Node::text) else { continue };
            let field = format!("{path}.ports[{idx}].name");
            if seen.contains(&name) {
                self.refuse(&field, format!("`{name}` is there twice"));
            } else if let Some(wrong) = port_name_error(name) {
                self.refuse(&field, wrong);
            }
            seen.push(name);
        }
    }

    fn mounts(&mut self, path: &str, container: &Node, volumes: &[&str]) {
        let mut seen: Vec<&str> = Vec::new();
        let mounts = container.get("volumeMounts").and_then(Node::items).unwrap_or_default();
        for (idx, mount) in mounts.iter().enumerate() {
            let field = |name: &str| format!("{path}.volumeMounts[{idx}].{name}");
            let text = |name: &str| mount.get(name).and_then(Node::text);
            if let Some(name) = text("name").filter(|name| !volumes.contains(name)) {
                let close = crate::nearest::nearest(name, volumes.iter().copied());
                let close = close.map(|it| format!("; did you mean `{it}`?")).unwrap_or_default();
                self.refuse(&field("name"), format!("is no volume of the pod{close}"));
            }
            if let Some(place) = text("mountPath") {
                if seen.contains(&place) {
                    self.refuse(&field("mountPath"), format!("`{place}` is there twice"));
                }
                seen.push(place);
            }
        }
    }

    fn sleep(&mut self, path: &str, container: &Node, grace: i64) {
        let seconds = container.at(&["lifecycle", "preStop", "sleep", "seconds"]);
        if seconds.and_then(number).is_some_and(|seconds| seconds > grace) {
            let field = format!("{path}.lifecycle.preStop.sleep.seconds");
            let wrong = format!("must not be more than terminationGracePeriodSeconds ({grace})");
            self.refuse(&field, wrong);
        }
    }
}

fn items<'a>(object: &'a Object, path: &str) -> &'a [Node] {
    object.find(path).and_then(Node::items).unwrap_or_default()
}

fn number(node: &Node) -> Option<i64> {
    node.text()?.parse().ok()
}

fn is_small(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter.is_ascii_digit()
}

/// What is wrong with a DNS label (RFC 1123).
fn label_error(name: &str) -> Option<String> {
    let is_label = |part: &str| {
        part.chars().all(|letter| is_small(letter) || letter == '-')
            && part.starts_with(is_small)
            && part.ends_with(is_small)
    };
    if name.chars().count() > LABEL_CHARS_MAX {
        return Some(format!("must have at most {LABEL_CHARS_MAX} letters"));
    }
    (!is_label(name)).then(|| {
        format!(
            "`{name}` must be small letters, digits and `-`, with a letter or digit at both ends"
        )
    })
}

/// What is wrong with a DNS subdomain (RFC 1123).
fn subdomain_error(name: &str) -> Option<String> {
    if name.chars().count() > SUBDOMAIN_CHARS_MAX {
        return Some(format!("must have at most {SUBDOMAIN_CHARS_MAX} letters"));
    }
    let is_part = |part: &str| {
        part.chars().all(|letter| is_small(letter) || letter == '-')
            && part.starts_with(is_small)
            && part.ends_with(is_small)
    };
    (!name.split('.').all(is_part)).then(|| {
        format!("`{name}` must be small letters, digits, `-` and `.`, with a letter or digit at both ends")
    })
}

/// Whether a text is a name or value of a label: letters, digits, `-`, `_` and `.`.
fn is_qualified(text: &str) -> bool {
    let is_inner = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let is_end = |letter: char| letter.is_ascii_alphanumeric();
    text.len() <= LABEL_CHARS_MAX
        && text.chars().all(is_inner)
        && text.starts_with(is_end)
        && text.ends_with(is_end)
}

fn label_value_error(value: &str) -> Option<String> {
    (!value.is_empty() && !is_qualified(value)).then(|| {
        format!(
            "is no value of a label: at most {LABEL_CHARS_MAX} letters, digits, `-`, `_` and `.`, with a letter or digit at both ends"
        )
    })
}

fn label_key_error(key: &str) -> Option<String> {
    let is_key = match key.split_once('/') {
        None => is_qualified(key),
        Some((prefix, name)) => subdomain_error(prefix).is_none() && is_qualified(name),
    };
    (!is_key).then(|| "is no name of a label".to_owned())
}

/// What is wrong with the name of a container's port (`IsValidPortName`, RFC 6335).
fn port_name_error(name: &str) -> Option<String> {
    if name.chars().count() > PORT_NAME_CHARS_MAX {
        return Some(format!("`{name}` must have at most {PORT_NAME_CHARS_MAX} letters"));
    }
    let has_letter = name.chars().any(|letter| letter.is_ascii_lowercase());
    if let Some(wrong) = label_error(name) {
        return Some(wrong);
    }
    (!has_letter || name.contains("--"))
        .then(|| format!("`{name}` must have a letter, and no two `-` beside each other"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_follow_their_rfc() {
        let long = "a".repeat(64);
        for good in ["web", "web-1", "1web", "a"] {
            assert_eq!(label_error(good), None, "{good}");
        }
        for bad in ["Web", "web_1", "-web", "web-", "a.b", "", long.as_str()] {
            assert!(label_error(bad).is_some(), "{bad}");
        }
        assert_eq!(subdomain_error("web.v1"), None);
        assert!(subdomain_error("web..v1").is_some());
        for good in ["", "v1.2_3-x", "X"] {
            assert_eq!(label_value_error(good), None, "{good}");
        }
        for bad in ["a b", "-a", "a/b", "é", long.as_str()] {
            assert!(label_value_error(bad).is_some(), "{bad}");
        }
        assert_eq!(label_key_error("app.kubernetes.io/name"), None);
        assert!(label_key_error("a/b/c").is_some());
        assert_eq!(port_name_error("http-metrics"), None);
        for bad in ["http-metrics-two", "80", "a--b", "HTTP"] {
            assert!(port_name_error(bad).is_some(), "{bad}");
        }
    }
}
