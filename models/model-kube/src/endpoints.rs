//! Which pods are endpoints of a Service, and which of them a proxy uses.
//!
//! # Modelled
//! Readiness, serving and terminating of an endpoint; hints of `trafficDistribution` and of
//! `service.kubernetes.io/topology-mode: Auto`; kube-proxy's choice for cluster and for local traffic.
//! # Not modelled
//! Slices of more than 1000 endpoints; hints of `topology-mode: Auto` that stay because their slice does
//! not change otherwise.
//! # Defaults and their sources
//! `k8s.io/endpointslice/{utils,trafficdist/trafficdist,topologycache,util/controller_utils}.go`,
//! `pkg/proxy/topology.go`, Kubernetes 1.36.
//! # Invariants
//! A ready endpoint is serving and not terminating, unless its Service publishes all addresses.
//! # Checked against
//! `conformance/nodes-endpointslice.yaml`; hints of `topology-mode: Auto` against the expectations of
//! upstream's own tests.

mod allocation;

pub use allocation::allocated_zones;

use model_api::ZoneId;
use model_api::kube::TrafficDistribution;

/// What the API knows of a pod that a Service selects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodView {
    /// Has an address.
    pub has_address: bool,
    /// Phase Failed or Succeeded.
    pub is_finished: bool,
    /// Condition Ready is True.
    pub is_ready: bool,
    /// Has a deletionTimestamp.
    pub is_terminating: bool,
}

/// `conditions` of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conditions {
    /// `ready`: gets traffic.
    pub is_ready: bool,
    /// `serving`: ready, whether terminating or not.
    pub is_serving: bool,
    /// `terminating`.
    pub is_terminating: bool,
}

/// The endpoint of a pod, `None` when it has none (`ShouldPodBeInEndpoints`, `podToEndpoint`).
pub fn conditions(pod: &PodView, publishes_not_ready: bool) -> Option<Conditions> {
    if !pod.has_address || pod.is_finished {
        return None;
    }
    Some(Conditions {
        is_ready: publishes_not_ready || (pod.is_ready && !pod.is_terminating),
        is_serving: pod.is_ready,
        is_terminating: pod.is_terminating,
    })
}

/// Where an endpoint would like to be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints<Node> {
    /// `hints.forZones`; empty when there is none.
    pub for_zones: Vec<ZoneId>,
    /// `hints.forNodes`; empty when there is none.
    pub for_nodes: Vec<Node>,
}

/// Hints for a ready endpoint (`preferCloseHeuristic.update` of `trafficdist/trafficdist.go`): its
/// zone and, where that is preferred, its node, whichever is known.
pub fn hints<Node>(
    distribution: TrafficDistribution,
    conditions: Conditions,
    zone: Option<ZoneId>,
    node: Option<Node>,
) -> Hints<Node> {
    let (zone, node) = match distribution {
        _ if !conditions.is_ready => (None, None),
        TrafficDistribution::None => (None, None),
        TrafficDistribution::PreferSameZone => (zone, None),
        TrafficDistribution::PreferSameNode => (zone, node),
    };
    Hints { for_zones: zone.into_iter().collect(), for_nodes: node.into_iter().collect() }
}

/// An endpoint as a proxy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint<Node> {
    /// Its conditions.
    pub conditions: Conditions,
    /// Its node.
    pub node: Node,
    /// Its hints.
    pub hints: Hints<Node>,
}

/// Positions of the endpoints that a proxy on `node` in `zone` uses for cluster traffic
/// (`CategorizeEndpoints`): ready ones, narrowed by hints when all have them and one fits; without
/// a ready one, those that still serve while terminating.
pub fn for_cluster_traffic<Node: PartialEq>(
    endpoints: &[Endpoint<Node>],
    node: &Node,
    zone: Option<ZoneId>,
) -> Vec<usize> {
    let ready = positions(endpoints, |endpoint| endpoint.conditions.is_ready);
    if ready.is_empty() {
        return positions(endpoints, is_last_resort);
    }
    let all = |has: fn(&Hints<Node>) -> bool| ready.iter().all(|at| has(&endpoints[*at].hints));
    if all(|hints| !hints.for_nodes.is_empty()) {
        let near = narrowed(&ready, |at| endpoints[at].hints.for_nodes.contains(node));
        if !near.is_empty() {
            return near;
        }
    }
    if let Some(zone) = zone.filter(|_| all(|hints| !hints.for_zones.is_empty())) {
        let near = narrowed(&ready, |at| endpoints[at].hints.for_zones.contains(&zone));
        if !near.is_empty() {
            return near;
        }
    }
    ready
}

/// Positions of the endpoints that a proxy on `node` uses under a traffic policy `Local`.
pub fn for_local_traffic<Node: PartialEq>(endpoints: &[Endpoint<Node>], node: &Node) -> Vec<usize> {
    let here = |endpoint: &Endpoint<Node>| endpoint.node == *node;
    let ready = positions(endpoints, |endpoint| here(endpoint) && endpoint.conditions.is_ready);
    if ready.is_empty() {
        positions(endpoints, |endpoint| here(endpoint) && is_last_resort(endpoint))
    } else {
        ready
    }
}

fn is_last_resort<Node>(endpoint: &Endpoint<Node>) -> bool {
    endpoint.conditions.is_serving && endpoint.conditions.is_terminating
}

fn positions<Node>(
    endpoints: &[Endpoint<Node>],
    accepts: impl Fn(&Endpoint<Node>) -> bool,
) -> Vec<usize> {
    let accepted = endpoints.iter().enumerate().filter(|(_, endpoint)| accepts(endpoint));
    accepted.map(|(at, _)| at).collect()
}

fn narrowed(positions: &[usize], accepts: impl Fn(usize) -> bool) -> Vec<usize> {
    positions.iter().copied().filter(|at| accepts(*at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(node: u32, is_ready: bool, is_terminating: bool) -> Endpoint<u32> {
        let pod = PodView { has_address: true, is_finished: false, is_ready, is_terminating };
        let conditions = conditions(&pod, false).expect("a pod with an address has an endpoint");
        let distribution = TrafficDistribution::PreferSameZone;
        let hints = hints(distribution, conditions, Some(ZoneId(node)), Some(node));
        Endpoint { conditions, node, hints }
    }

    #[test]
    fn a_pod_has_an_endpoint_from_its_address_to_its_end() {
        let pod = |has_address, is_finished| PodView {
            has_address,
            is_finished,
            is_ready: true,
            is_terminating: false,
        };
        let has = |has_address, is_finished| conditions(&pod(has_address, is_finished), true);
        assert!(has(true, false).is_some());
        assert_eq!([has(false, false), has(true, true), has(false, true)], [None; 3]);
    }

    #[test]
    fn terminating_endpoints_serve_only_when_nothing_else_does() {
        let both = [endpoint(0, true, true), endpoint(1, true, false)];
        assert_eq!(for_cluster_traffic(&both, &0, None), [1]);
        assert_eq!(for_cluster_traffic(&both[..1], &0, None), [0]);
        assert_eq!(for_local_traffic(&both, &0), [0]);
    }

    #[test]
    fn a_node_is_hinted_at_without_a_zone() {
        let ready = endpoint(7, true, false).conditions;
        let of = |distribution, conditions| {
            let hints = hints(distribution, conditions, None, Some(7));
            (hints.for_zones.len(), hints.for_nodes)
        };
        assert_eq!(of(TrafficDistribution::PreferSameNode, ready), (0, vec![7]));
        assert_eq!(of(TrafficDistribution::PreferSameNode, Conditions::default()), (0, vec![]));
        assert_eq!(of(TrafficDistribution::PreferSameZone, ready), (0, vec![]));
    }

    /// Endpoints are grouped by the zone of their hints; a zone that no hint names uses all of them.
    #[test]
    fn zones_of_hints_are_what_proxies_use() {
        let ready = Conditions { is_ready: true, is_serving: true, is_terminating: false };
        for case in 0..64_u32 {
            let zones = [case % 4, case / 4 % 4, case / 16 % 4].map(ZoneId);
            let endpoints = zones.map(|zone| Endpoint {
                conditions: ready,
                node: zone.0,
                hints: Hints { for_zones: vec![zone], for_nodes: Vec::new() },
            });
            for zone in (0..4).map(ZoneId) {
                let near: Vec<usize> = (0..3).filter(|at| zones[*at] == zone).collect();
                let wanted = if near.is_empty() { vec![0, 1, 2] } else { near };
                assert_eq!(for_cluster_traffic(&endpoints, &9, Some(zone)), wanted);
            }
        }
    }

    #[test]
    fn a_zone_without_endpoints_falls_back_to_all() {
        let both = [endpoint(0, true, false), endpoint(1, true, false)];
        assert_eq!(for_cluster_traffic(&both, &9, Some(ZoneId(1))), [1]);
        assert_eq!(for_cluster_traffic(&both, &9, Some(ZoneId(2))), [0, 1]);
    }
}
