//! Services, Ingresses, HTTPRoutes.

use k8s_openapi::api::{core, networking};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use model_api::SimSpan;
use model_api::kube::{Ingress, Service, ServicePort, TrafficDistribution, TrafficPolicy};
use model_api::session::Stickiness;

use super::Reader;
use crate::yaml::Node;

/// `MaxClientIPServiceAffinitySeconds` (`pkg/apis/core/types.go`, Kubernetes 1.36).
const AFFINITY_SECS_MAX: u64 = 86_400;

impl Reader<'_> {
    pub(crate) fn service(&mut self, spec: &core::v1::ServiceSpec) -> Service {
        let annotated = |key: &str| {
            let written = self.object.node.at(&["metadata", "annotations", key]);
            written.and_then(Node::text).map(str::to_owned)
        };
        // The older name goes before the newer one (`hintsEnabled`, `k8s.io/endpointslice`).
        let mode = annotated("service.kubernetes.io/topology-aware-hints")
            .or_else(|| annotated("service.kubernetes.io/topology-mode"));
        let has_topology_mode_auto = mode.is_some_and(|mode| mode == "Auto" || mode == "auto");
        let is_service_upstream = annotated("ingress.kubernetes.io/service-upstream")
            .is_some_and(|value| value == "true");
        let policies = [("Cluster", TrafficPolicy::Cluster), ("Local", TrafficPolicy::Local)];
        let kind = spec.type_.as_deref().unwrap_or("ClusterIP");
        let mut ports = Vec::new();
        for (idx, port) in spec.ports.iter().flatten().enumerate() {
            let path = format!("spec.ports[{idx}]");
            let number = self.port(&format!("{path}.port"), port.port);
            let target = match &port.target_port {
                None => number.to_string(),
                Some(IntOrString::Int(target)) => target.to_string(),
                Some(IntOrString::String(target)) => target.clone(),
            };
            ports.push(ServicePort { name: port.name.clone(), port: number, target });
        }
        if ports.is_empty() && spec.cluster_ip.as_deref() != Some("None") && kind != "ExternalName"
        {
            self.refuse("spec.ports", "must not be empty");
        }
        let mut choose = |field: &str, value: Option<&str>| {
            self.choice(&format!("spec.{field}"), value, TrafficPolicy::Cluster, &policies)
        };
        let internal_traffic_policy =
            choose("internalTrafficPolicy", spec.internal_traffic_policy.as_deref());
        let external_traffic_policy =
            choose("externalTrafficPolicy", spec.external_traffic_policy.as_deref());
        let session_affinity = self.session_affinity(spec);
        Service {
            namespace: self.object.key.namespace.clone(),
            name: self.object.key.name.clone(),
            selector: spec.selector.clone().unwrap_or_default(),
            ports,
            publishes_not_ready: spec.publish_not_ready_addresses.unwrap_or(false),
            internal_traffic_policy,
            external_traffic_policy,
            traffic_distribution: self.choice(
                "spec.trafficDistribution",
                spec.traffic_distribution.as_deref(),
                TrafficDistribution::None,
                &[
                    // The old name of the same thing, deprecated since 1.34.
                    ("PreferClose", TrafficDistribution::PreferSameZone),
                    ("PreferSameZone", TrafficDistribution::PreferSameZone),
                    ("PreferSameNode", TrafficDistribution::PreferSameNode),
                ],
            ),
            has_topology_mode_auto,
            is_service_upstream,
            session_affinity,
            is_headless: spec.cluster_ip.as_deref() == Some("None"),
            is_external: self.choice(
                "spec.type",
                Some(kind),
                false,
                &[
                    ("ClusterIP", false),
                    ("NodePort", true),
                    ("LoadBalancer", true),
                    ("ExternalName", false),
                ],
            ),
            strange_source: None,
            origin: self.origin(),
        }
    }

    /// For how long proxies remember addresses (`ValidateService` and defaults of
    /// `pkg/apis/core/v1/defaults.go`, Kubernetes 1.36).
    fn session_affinity(&mut self, spec: &core::v1::ServiceSpec) -> Option<SimSpan> {
        let kinds = [("None", false), ("ClientIP", true)];
        let is_kept =
            self.choice("spec.sessionAffinity", spec.session_affinity.as_deref(), false, &kinds);
        let config = spec.session_affinity_config.as_ref();
        if !is_kept {
            if config.is_some() {
                let message = "must not be set when session affinity is None";
                self.refuse("spec.sessionAffinityConfig", message);
            }
            return None;
        }
        let stated = config.and_then(|it| it.client_ip.as_ref()).and_then(|it| it.timeout_seconds);
        let Some(secs) = stated else { return Some(Stickiness::TIMEOUT) };
        match u64::try_from(secs) {
            Ok(secs @ 1..=AFFINITY_SECS_MAX) => Some(SimSpan::from_secs(secs)),
            _ => {
                let message = format!("must be between 1 and {AFFINITY_SECS_MAX}");
                self.refuse("spec.sessionAffinityConfig.clientIP.timeoutSeconds", message);
                Some(Stickiness::TIMEOUT)
            }
        }
    }

    /// One entry a host and Service, in the order they are written.
    pub(crate) fn ingress(&mut self, spec: &networking::v1::IngressSpec) -> Vec<Ingress> {
        let class = spec.ingress_class_name.as_deref();
        let mut result: Vec<Ingress> = Vec::new();
        let mut add = |host: &str, backend: &networking::v1::IngressBackend, prefix| {
            if let Some(service) = &backend.service {
                self.lead(&mut result, class, (host, &service.name), prefix);
            }
        };
        if let Some(backend) = &spec.default_backend {
            add("", backend, Some("/"));
        }
        for rule in spec.rules.iter().flatten() {
            let host = rule.host.as_deref().unwrap_or_default();
            for path in rule.http.iter().flat_map(|http| &http.paths) {
                // Kong reads what follows `/~` as a regular expression.
                let text = path.path.as_deref().unwrap_or("/");
                let is_prefix = path.path_type != "Exact" && !text.starts_with("/~");
                add(host, &path.backend, is_prefix.then_some(text));
            }
        }
        result
    }

    /// Adds a path of a host to what leads to a Service.
    fn lead(
        &self,
        ingresses: &mut Vec<Ingress>,
        class: Option<&str>,
        (host, service): (&str, &str),
        prefix: Option<&str>,
    ) {
        let prefix = prefix.map(str::to_owned);
        let known = ingresses.iter_mut().find(|it| it.host == host && it.service_name == service);
        match known {
            Some(ingress) => ingress.prefixes.extend(prefix),
            None => ingresses.push(Ingress {
                namespace: self.object.key.namespace.clone(),
                name: self.object.key.name.clone(),
                class: class.map(str::to_owned),
                host: host.to_owned(),
                service_name: service.to_owned(),
                prefixes: prefix.into_iter().collect(),
                origin: self.origin(),
            }),
        }
    }

    /// `gateway.networking.k8s.io` HTTPRoute, read as an Ingress of each host and Service.
    pub(crate) fn http_route(&mut self) -> Vec<Ingress> {
        let node = &self.object.node;
        let texts = |list: Option<&Node>| -> Vec<String> {
            let items = list.and_then(Node::items).unwrap_or_default();
            items.iter().filter_map(|item| item.text().map(str::to_owned)).collect()
        };
        let mut hosts = texts(node.at(&["spec", "hostnames"]));
        if hosts.is_empty() {
            hosts.push(String::new());
        }
        let gateway = node
            .at(&["spec", "parentRefs"])
            .and_then(|refs| refs.items()?.first()?.get("name")?.text());
        let mut result: Vec<Ingress> = Vec::new();
        let rules = node.at(&["spec", "rules"]).and_then(Node::items).unwrap_or_default();
        for rule in rules {
            let backends = rule.get("backendRefs").and_then(Node::items).unwrap_or_default();
            let prefixes = prefixes_of(rule);
            for backend in backends {
                let kind = backend.get("kind").and_then(Node::text).unwrap_or("Service");
                let Some(name) = backend.get("name").and_then(Node::text) else { continue };
                let is_elsewhere = backend.get("namespace").is_some();
                if kind != "Service" || is_elsewhere {
                    continue;
                }
                for host in &hosts {
                    for prefix in &prefixes {
                        self.lead(&mut result, gateway, (host, name), *prefix);
                    }
                }
            }
        }
        result
    }
}

/// Prefixes of paths of a rule of an HTTPRoute, `None` for a match of another type. Defaults:
/// `HTTPRouteRule` and `HTTPPathMatch` of Gateway API, `apis/v1/httproute_types.go`, v1.4.
fn prefixes_of(rule: &Node) -> Vec<Option<&str>> {
    let matches = rule.get("matches").and_then(Node::items).unwrap_or_default();
    if matches.is_empty() {
        return vec![Some("/")];
    }
    let prefix = |it| {
        let text = |field: &str| Node::at(it, &["path", field]).and_then(Node::text);
        let is_prefix = text("type").is_none_or(|kind| kind == "PathPrefix");
        is_prefix.then(|| text("value").unwrap_or("/"))
    };
    matches.iter().map(prefix).collect()
}
