//! Hints of the endpoints that proxies route to.
//!
//! Sources: those of [`crate::endpoints`].

use model_api::{NodeId, ServiceId, ZoneId};

use super::Cluster;
use crate::endpoints::{allocated_zones, hints};

impl Cluster {
    /// By route of a Service, the zone that its hint names; `None` when proxies heed none, because some
    /// endpoint has none, so that every zone uses all routes. A zone that no hint names does so too.
    ///
    /// With `PreferSameNode` they name nodes too. Simplified: hints change with the endpoints and, of
    /// `topology-mode: Auto`, with the nodes, without a delay of their own.
    pub fn hinted_zones(&self, service: ServiceId) -> Option<Vec<ZoneId>> {
        let spec = &self.blueprint.services[service.index()];
        let routes = self.routes(service);
        let known = |route: &super::Route| self.known_of(service, route.pod);
        if !routes.iter().all(|route| known(route).is_some_and(|it| it.is_ready)) {
            return None;
        }
        if spec.has_topology_mode_auto {
            let zones: Vec<ZoneId> = routes.iter().map(|route| route.zone).collect();
            return allocated_zones(&zones, &self.ready_cpu_millis());
        }
        let hint = |route: &super::Route| {
            let conditions = known(route)?;
            let (zone, node) = (Some(route.zone), Some(route.node));
            let hints = hints(spec.traffic_distribution, conditions, zone, node);
            hints.for_zones.first().copied()
        };
        routes.iter().map(hint).collect()
    }

    /// By zone, allocatable CPU of ready nodes that do not carry the control plane.
    pub fn ready_cpu_millis(&self) -> Vec<u64> {
        let mut cpu_millis = vec![0; self.blueprint.zones.len()];
        for (idx, spec) in self.blueprint.nodes.iter().enumerate() {
            if !spec.is_control_plane && self.is_node_ready(NodeId::from_index(idx)) {
                let allocatable = spec.node.allocatable.cpu_millis().unwrap_or(0);
                cpu_millis[spec.zone.index()] += u64::try_from(allocatable).unwrap_or(0);
            }
        }
        cpu_millis
    }

    /// By zone, nodes that clients outside reach.
    pub fn reachable_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.blueprint.zones.len()];
        for (idx, spec) in self.blueprint.nodes.iter().enumerate() {
            if self.is_reachable(NodeId::from_index(idx)) {
                counts[spec.zone.index()] += 1;
            }
        }
        counts
    }

    /// By node, whether clients outside reach it.
    pub fn reachable_nodes(&self) -> Vec<bool> {
        let nodes = (0..self.blueprint.nodes.len()).map(NodeId::from_index);
        nodes.map(|node| self.is_reachable(node)).collect()
    }
}
