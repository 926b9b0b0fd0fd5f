//! Which pods may talk to which.
//!
//! # Modelled
//! Policies of both directions, which add up; selectors of pods and namespaces; address blocks; ports
//! by number, range and name, by protocol.
//! # Not modelled
//! Addresses: those of pods are in no manifest, so a block that may hold a cluster's pod network is
//! taken to hold every pod, and any block to hold a client from outside. What is denied here is denied
//! whatever the addresses are. `AdminNetworkPolicy`, policies of a network plugin of its own kind.
//! # Defaults and their sources
//! Kubernetes 1.36: `staging/src/k8s.io/api/networking/v1/types.go`,
//! `pkg/apis/networking/v1/defaults.go` (filled in by the reader).
//! # Invariants
//! One more rule never denies what was allowed; one more policy of a direction never allows a pod what
//! no policy of that direction selected it for before.

use super::pod::PodTemplate;
use super::selector::{LabelSelector, Labels};
use crate::source::Origin;

/// `networking.k8s.io/v1 NetworkPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// `metadata.namespace`: the pods it selects are there.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.podSelector`; empty selects every pod of the namespace.
    pub pod_selector: LabelSelector,
    /// Who may connect to these pods; `None` when it says nothing of that (`policyTypes`).
    pub ingress: Option<Vec<NetworkPolicyRule>>,
    /// To whom these pods may connect; `None` when it says nothing of that.
    pub egress: Option<Vec<NetworkPolicyRule>>,
    /// Where it was written.
    pub origin: Origin,
}

/// What a policy allows: any of the peers, at any of the ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkPolicyRule {
    /// `from` or `to`; empty is everybody.
    pub peers: Vec<NetworkPolicyPeer>,
    /// `ports` of the pod that is connected to; empty is all of them.
    pub ports: Vec<NetworkPolicyPort>,
}

impl NetworkPolicyRule {
    /// Whether it allows everything.
    pub fn is_open(&self) -> bool {
        self.peers.is_empty() && self.ports.is_empty()
    }
}

/// Who is on the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkPolicyPeer {
    /// Pods by labels of theirs and of their namespace.
    Pods {
        /// `podSelector`; all pods when `None`.
        pods: Option<LabelSelector>,
        /// `namespaceSelector`; the policy's own namespace when `None`.
        namespaces: Option<LabelSelector>,
    },
    /// `ipBlock`.
    Block {
        /// Whether the pod network of a cluster may lie in it.
        may_hold_pods: bool,
    },
}

/// A port that may be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkPolicyPort {
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// Which; all of the protocol when `None`.
    pub port: Option<PortMatch>,
}

/// How a port is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortMatch {
    /// From `port` to `endPort`, both included.
    Range(u16, u16),
    /// By the name of a container port.
    Name(String),
}

/// One side of a connection.
#[derive(Clone, Copy, Debug)]
pub enum Party<'a> {
    /// A pod.
    Pod {
        /// Its namespace.
        namespace: &'a str,
        /// Labels of the namespace.
        namespace_labels: &'a Labels,
        /// Its template.
        template: &'a PodTemplate,
    },
    /// Somebody who is no pod of the cluster.
    Outside,
}

/// The port of a pod that is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetPort {
    /// Number, or the name of a container port.
    pub port: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: &'static str,
}

impl TargetPort {
    /// A port of TCP.
    pub fn tcp(port: impl Into<String>) -> Self {
        Self { port: port.into(), protocol: "TCP" }
    }

    /// A port of UDP.
    pub fn udp(port: impl Into<String>) -> Self {
        Self { port: port.into(), protocol: "UDP" }
    }
}

/// Which direction of whose policies denies a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Those of the pod that is connected to.
    Ingress,
    /// Those of the pod that connects.
    Egress,
}

/// Why a connection is denied: policies select the pod, and none of them allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Which side denies it.
    pub direction: Direction,
    /// The policies that select the pod there, by position; never empty.
    pub policies: Vec<usize>,
}

/// Why `from` cannot connect to `port` of `to`, if it cannot. A pod that no policy of a direction
/// selects is open in that direction (`types.go`, NetworkPolicySpec).
pub fn denial(
    policies: &[NetworkPolicy],
    from: Party<'_>,
    to: Party<'_>,
    port: &TargetPort,
) -> Option<Denial> {
    let egress = |it: &NetworkPolicy| it.egress.as_ref().map(|it| allows(it, from, to, to, port));
    let ingress = |it: &NetworkPolicy| it.ingress.as_ref().map(|it| allows(it, to, from, to, port));
    one_way(policies, from, Direction::Egress, |idx| egress(&policies[idx]))
        .or_else(|| one_way(policies, to, Direction::Ingress, |idx| ingress(&policies[idx])))
}

/// `allowed` says of a policy whether it allows the connection, if it is about that direction.
fn one_way(
    policies: &[NetworkPolicy],
    guarded: Party<'_>,
    direction: Direction,
    allowed: impl Fn(usize) -> Option<bool>,
) -> Option<Denial> {
    let Party::Pod { namespace, template, .. } = guarded else { return None };
    let mut denying = Vec::new();
    for (idx, policy) in policies.iter().enumerate() {
        if policy.namespace != namespace || !policy.pod_selector.matches(&template.labels) {
            continue;
        }
        match allowed(idx) {
            Some(true) => return None,
            Some(false) => denying.push(idx),
            None => {}
        }
    }
    (!denying.is_empty()).then_some(Denial { direction, policies: denying })
}

/// Whether any rule lets the pod `own` and its `peer` connect; ports are always those of `target`.
fn allows(
    rules: &[NetworkPolicyRule],
    own: Party<'_>,
    peer: Party<'_>,
    target: Party<'_>,
    port: &TargetPort,
) -> bool {
    rules.iter().any(|rule| {
        let is_peer = rule.peers.is_empty() || rule.peers.iter().any(|it| it.is(own, peer));
        let is_port = rule.ports.is_empty() || rule.ports.iter().any(|it| it.is(target, port));
        is_peer && is_port
    })
}

impl NetworkPolicyPeer {
    fn is(&self, own: Party<'_>, peer: Party<'_>) -> bool {
        match (self, peer) {
            (Self::Block { may_hold_pods }, Party::Pod { .. }) => *may_hold_pods,
            (Self::Block { .. }, Party::Outside) => true,
            (Self::Pods { .. }, Party::Outside) => false,
            (
                Self::Pods { pods, namespaces },
                Party::Pod { namespace, namespace_labels, template },
            ) => {
                let is_there = match (namespaces, own) {
                    (Some(selector), _) => selector.matches(namespace_labels),
                    (None, Party::Pod { namespace: own, .. }) => namespace == own,
                    (None, Party::Outside) => false,
                };
                is_there && pods.as_ref().is_none_or(|it| it.matches(&template.labels))
            }
        }
    }
}

impl NetworkPolicyPort {
    fn is(&self, target: Party<'_>, wanted: &TargetPort) -> bool {
        if self.protocol != wanted.protocol {
            return false;
        }
        match &self.port {
            None => true,
            Some(PortMatch::Name(name)) => {
                let number = number_of(target, name, wanted.protocol);
                *name == wanted.port || number.is_some() && number == wanted_number(target, wanted)
            }
            Some(PortMatch::Range(from, to)) => {
                wanted_number(target, wanted).is_some_and(|it| (*from..=*to).contains(&it))
            }
        }
    }
}

fn wanted_number(target: Party<'_>, wanted: &TargetPort) -> Option<u16> {
    wanted.port.parse().ok().or_else(|| number_of(target, &wanted.port, wanted.protocol))
}

/// The container port of that name.
fn number_of(target: Party<'_>, name: &str, protocol: &str) -> Option<u16> {
    let Party::Pod { template, .. } = target else { return None };
    let spec = &template.spec;
    let mut containers = spec.containers.iter().chain(&spec.init_containers);
    containers.find_map(|it| it.port_number(name, protocol))
}
