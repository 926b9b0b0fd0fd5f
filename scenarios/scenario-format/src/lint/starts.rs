//! Pods that never start or never become ready, and ports that are not there: W0242 to W0245, W0253.

use model_api::action::Action;
use model_api::fault::FaultKind;
use model_api::kube::Workload;

use super::Lint;
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::Object;
use crate::nearest::{nearest, suggestion};
use crate::yaml::Node;

/// The scheduler that kube-scheduler runs under its default configuration.
const DEFAULT_SCHEDULER: &str = "default-scheduler";

/// Annotations of a workload that kube-downscaler reads or writes (caas-team/py-kube-downscaler 24.x,
/// `kube_downscaler/scaler.py`).
const DOWNSCALER: [&str; 10] = [
    "downscaler/downscale-period",
    "downscaler/downtime",
    "downscaler/downtime-replicas",
    "downscaler/exclude",
    "downscaler/exclude-until",
    "downscaler/force-downtime",
    "downscaler/force-uptime",
    "downscaler/original-replicas",
    "downscaler/upscale-period",
    "downscaler/uptime",
];

impl Lint<'_> {
    pub(super) fn starts(&mut self) {
        for (workload, object) in self.workloads() {
            if object.find(workload.pod_spec_path()).is_none() {
                continue;
            }
            self.never_starts(workload, object);
            self.probe_ports(workload, object);
        }
        self.ingress_ports();
        self.downscaler_keys();
    }

    /// W0242.
    fn never_starts(&mut self, workload: &Workload, object: &Object) {
        let mut found: Vec<(String, String)> = Vec::new();
        let has_items = |path: &str| {
            object.find(path).and_then(Node::items).is_some_and(|items| !items.is_empty())
        };
        let path = workload.pod_path("readinessGates");
        if has_items(&path) {
            let why = "somebody has to set the conditions of its readiness gates";
            found.push((path, why.to_owned()));
        }
        let path = workload.pod_path("schedulingGates");
        if has_items(&path) && !self.lifts_gates(workload) {
            let message = format!(
                "{}: nobody removes the scheduling gates of its pods, so they wait for ever",
                object.title()
            );
            self.warn(Code::W0253, object, &path, message);
        }
        let path = workload.pod_path("schedulerName");
        let scheduler = object.find(&path).and_then(Node::text).unwrap_or(DEFAULT_SCHEDULER);
        let is_there = self.workloads().any(|(other, _)| other.name == scheduler);
        if !scheduler.is_empty() && scheduler != DEFAULT_SCHEDULER && !is_there {
            found.push((path, format!("a scheduler `{scheduler}` has to bind its pods")));
        }
        for field in ["initContainers", "containers"] {
            let list = workload.pod_path(field);
            let containers = object.find(&list).and_then(Node::items).unwrap_or_default();
            for (idx, container) in containers.iter().enumerate() {
                if container.get("imagePullPolicy").and_then(Node::text) == Some("Never") {
                    let why = "its image has to be on the node already, as nobody pulls it";
                    found.push((format!("{list}[{idx}].imagePullPolicy"), why.to_owned()));
                }
            }
        }
        for (path, why) in found {
            let message =
                format!("{}: {why}, and a run takes it that this is done", object.title());
            self.warn(Code::W0242, object, &path, message);
        }
    }

    /// Whether something in the scenario removes the scheduling gates of a workload's pods.
    fn lifts_gates(&self, workload: &Workload) -> bool {
        let names = |it: &Workload| (it.namespace.clone(), it.name.clone(), it.kind.name());
        self.faults.faults.iter().any(|fault| match &fault.kind {
            FaultKind::Action(Action::LiftGates { workload: id }) => {
                names(&self.blueprint.workloads[id.index()]) == names(workload)
            }
            _ => false,
        })
    }

    /// W0243: a name is looked up among the ports of the container itself
    /// (`pkg/probe/util.go`, ResolveContainerPort, 1.36).
    fn probe_ports(&mut self, workload: &Workload, object: &Object) {
        for field in ["initContainers", "containers"] {
            let list = workload.pod_path(field);
            let containers = object.find(&list).and_then(Node::items).unwrap_or_default();
            for (idx, container) in containers.iter().enumerate() {
                let ports = container.get("ports").and_then(Node::items).unwrap_or_default();
                let names: Vec<&str> =
                    ports.iter().filter_map(|port| port.get("name").and_then(Node::text)).collect();
                for probe in ["readinessProbe", "livenessProbe", "startupProbe"] {
                    for handler in ["httpGet", "tcpSocket"] {
                        let port = container.at(&[probe, handler, "port"]);
                        let Some(name) = port.and_then(Node::text) else { continue };
                        if name.parse::<u32>().is_ok() || names.contains(&name) {
                            continue;
                        }
                        let path = format!("{list}[{idx}].{probe}.{handler}.port");
                        let message = format!(
                            "{}: its container has no port named `{name}`, so no try of the \
                             probe has a result",
                            object.title()
                        );
                        let span = object.value_span(&path);
                        let help = suggestion(name, names.clone());
                        let diagnostic = Diagnostic::new(Code::W0243, span, message);
                        self.push(object, diagnostic.help_if(help));
                    }
                }
            }
        }
    }

    /// W0244.
    fn ingress_ports(&mut self) {
        for object in &self.manifests.objects {
            if object.key.group != "networking.k8s.io" || object.key.kind != "Ingress" {
                continue;
            }
            let mut backends: Vec<&Node> = object.find("spec.defaultBackend").into_iter().collect();
            for rule in object.find("spec.rules").and_then(Node::items).unwrap_or_default() {
                let paths = rule.at(&["http", "paths"]).and_then(Node::items).unwrap_or_default();
                backends.extend(paths.iter().filter_map(|path| path.get("backend")));
            }
            for backend in backends {
                self.ingress_port(object, backend);
            }
        }
    }

    fn ingress_port(&mut self, object: &Object, backend: &Node) {
        let name = backend.at(&["service", "name"]).and_then(Node::text).unwrap_or_default();
        let mut services = self.blueprint.services.iter();
        let service = services.find(|it| it.namespace == object.key.namespace && it.name == name);
        let Some(service) = service else { return };
        let number = backend.at(&["service", "port", "number"]);
        let port_name = backend.at(&["service", "port", "name"]);
        let Some((wanted, place)) =
            number.or(port_name).and_then(|node| Some((node.text()?, node.span)))
        else {
            return;
        };
        let is_there = service.ports.iter().any(|port| match number {
            Some(_) => wanted.parse() == Ok(port.port),
            None => port.name.as_deref() == Some(wanted),
        });
        if is_there {
            return;
        }
        let ports: Vec<String> = service
            .ports
            .iter()
            .map(|port| match (&port.name, number) {
                (Some(name), None) => name.clone(),
                _ => port.port.to_string(),
            })
            .collect();
        let message = format!("{}: Service {name} has no port `{wanted}`", object.title());
        let help = format!("it has {}", ports.join(", "));
        self.push(object, Diagnostic::new(Code::W0244, place, message).help(help));
    }

    /// W0245.
    fn downscaler_keys(&mut self) {
        for object in &self.manifests.objects {
            let annotations = object.node.at(&["metadata", "annotations"]).and_then(Node::entries);
            for entry in annotations.unwrap_or_default() {
                let key = entry.key.as_str();
                if DOWNSCALER.contains(&key) {
                    continue;
                }
                let close = nearest(key, DOWNSCALER.iter().copied());
                if close.is_none() && !key.starts_with("downscaler/") {
                    continue;
                }
                let message =
                    format!("{}: the downscaler reads no annotation `{key}`", object.title());
                let help = close.map(|close| format!("did you mean `{close}`?"));
                let diagnostic = Diagnostic::new(Code::W0245, entry.key_span, message);
                self.push(object, diagnostic.help_if(help));
            }
        }
    }
}
