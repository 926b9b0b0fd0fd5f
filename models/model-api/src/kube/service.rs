//! Services and what leads to them.

use sim_kernel::SimSpan;

use super::pod::{Container, ContainerPort, PodTemplate};
use super::selector::Labels;
use crate::source::Origin;

/// Which container of a pod people mean when they name none (kubectl, pkg/cmd/util/podcmd).
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// `v1 Service`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.selector`; empty selects no pods (endpoints are managed by somebody else).
    pub selector: Labels,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
    /// `spec.publishNotReadyAddresses`.
    pub publishes_not_ready: bool,
    /// `spec.internalTrafficPolicy`.
    pub internal_traffic_policy: TrafficPolicy,
    /// `spec.externalTrafficPolicy`.
    pub external_traffic_policy: TrafficPolicy,
    /// `spec.trafficDistribution`.
    pub traffic_distribution: TrafficDistribution,
    /// The annotation `service.kubernetes.io/topology-mode: Auto` (or its older name
    /// `topology-aware-hints`), which goes before `spec.trafficDistribution`
    /// (`pkg/controller/endpointslice` and `k8s.io/endpointslice/reconciler.go`, Kubernetes 1.36).
    pub has_topology_mode_auto: bool,
    /// The annotation `ingress.kubernetes.io/service-upstream: "true"`: Kong's ingress controller
    /// sends requests to the address of the Service, so that kube-proxy chooses the endpoint.
    pub is_service_upstream: bool,
    /// `spec.sessionAffinity: ClientIP`: for how long after its last connection the address of a client
    /// is led to the same endpoint (`sessionAffinityConfig.clientIP.timeoutSeconds`).
    pub session_affinity: Option<SimSpan>,
    /// `clusterIP: None`.
    pub is_headless: bool,
    /// Type `LoadBalancer` or `NodePort`: reachable from outside.
    pub is_external: bool,
    /// What makes its pods where nothing that is modelled does, such as `Rollout shop/web`: without them
    /// nothing can be said of the Service.
    pub strange_source: Option<String>,
    /// Where it was written.
    pub origin: Origin,
}

impl Service {
    /// Whether its endpoints may carry hints for zones. A headless Service has no proxy that would
    /// heed them.
    pub fn has_hints(&self) -> bool {
        let is_distributed = self.traffic_distribution != TrafficDistribution::None;
        !self.is_headless && (is_distributed || self.has_topology_mode_auto)
    }

    /// Whether requests that come to a node from outside stay on it (`ExternalPolicyLocal` of
    /// `pkg/proxy/serviceport.go`, Kubernetes 1.36): the policy counts only where something outside
    /// leads to it.
    pub fn is_local_from_outside(&self) -> bool {
        self.is_external
            && !self.is_headless
            && self.external_traffic_policy == TrafficPolicy::Local
    }

    /// Whether requests of pods on a node stay on it (`InternalPolicyLocal`, likewise).
    pub fn is_local_inside(&self) -> bool {
        !self.is_headless && self.internal_traffic_policy == TrafficPolicy::Local
    }

    /// Whether it matters on which node who asks stands.
    pub fn is_by_node(&self) -> bool {
        let prefers_node =
            !self.is_headless && self.traffic_distribution == TrafficDistribution::PreferSameNode;
        self.is_local_from_outside() || self.is_local_inside() || prefers_node
    }

    /// The container of a pod that its requests come to: the one with the port that they are sent to, else
    /// the one that `kubectl.kubernetes.io/default-container` names, else the first that is asked whether
    /// it is ready, else the first.
    pub fn serving_container<'a>(&self, template: &'a PodTemplate) -> Option<&'a Container> {
        let containers = &template.spec.containers;
        let takes = |container: &&Container| {
            let mut targets = self.ports.iter().map(|port| port.target.as_str());
            targets.any(|target| {
                let is_it = |port: &ContainerPort| {
                    port.name.as_deref() == Some(target)
                        || target.parse().is_ok_and(|number: u16| port.container_port == number)
                };
                container.ports.iter().any(is_it)
            })
        };
        let named = template.annotations.get(DEFAULT_CONTAINER);
        let is_named = |container: &&Container| Some(&container.name) == named;
        containers
            .iter()
            .find(takes)
            .or_else(|| containers.iter().find(is_named))
            .or_else(|| containers.iter().find(|container| container.readiness.is_some()))
            .or_else(|| containers.first())
    }

    /// Whether it sends requests to pods with these labels; an empty selector selects none.
    pub fn selects(&self, namespace: &str, labels: &Labels) -> bool {
        self.namespace == namespace
            && !self.selector.is_empty()
            && self.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePort {
    /// Name, if any.
    pub name: Option<String>,
    /// `port`.
    pub port: u16,
    /// `targetPort`: a number or the name of a container port.
    pub target: String,
}

/// Which endpoints a node may choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum TrafficPolicy {
    #[default]
    Cluster,
    Local,
}

/// Which endpoints are preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum TrafficDistribution {
    #[default]
    None,
    PreferSameZone,
    PreferSameNode,
}

/// One backend of an Ingress (or HTTPRoute): a host and path that lead to a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ingress {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.ingressClassName`.
    pub class: Option<String>,
    /// Host, empty for all.
    pub host: String,
    /// Name of the Service, in the same namespace.
    pub service_name: String,
    /// Prefixes of the paths that lead there, as written; `/` for all. Paths that match as a whole, or
    /// as a regular expression, are not among them.
    pub prefixes: Vec<String>,
    /// Where it was written.
    pub origin: Origin,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_to_the_container_with_the_port_or_to_the_one_that_is_meant() {
        let container = |name: &str, port: u16| Container {
            name: name.to_owned(),
            ports: vec![ContainerPort {
                name: Some(format!("{name}-port")),
                container_port: port,
                ..ContainerPort::default()
            }],
            ..Container::default()
        };
        let found = |target: &str, meant: Option<&str>| {
            let ports = vec![ServicePort { target: target.to_owned(), ..ServicePort::default() }];
            let service = Service { ports, ..Service::default() };
            let mut template = PodTemplate::default();
            template.spec.containers = vec![container("proxy", 15_001), container("app", 8080)];
            if let Some(name) = meant {
                template.annotations.insert(DEFAULT_CONTAINER.to_owned(), name.to_owned());
            }
            service.serving_container(&template).map(|it| it.name.clone()).unwrap_or_default()
        };
        let cases = [
            ("8080", None, "app"),
            ("app-port", None, "app"),
            ("15001", Some("app"), "proxy"),
            ("80", Some("app"), "app"),
            ("80", None, "proxy"),
        ];
        for (target, meant, expected) in cases {
            assert_eq!(found(target, meant), expected, "{target} {meant:?}");
        }
    }
}
