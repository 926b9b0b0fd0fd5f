//! Where endpoints are, as far as it matters to whom requests go: told by zone, by node or by pod.

use model_api::ServiceId;
use model_api::blueprint::Division;

use super::{Flows, Input};
use crate::evaluation::Endpoints;
use crate::graph::NodeIdx;
use crate::stations::{Place, Standing, Station};

impl Flows {
    /// How the requests to a Service are divided, so that its endpoints are told with
    /// [`Flows::set_stations`] unless they are not.
    pub fn division_of(&self, service: ServiceId) -> Division {
        self.plan.place_of(service).map_or(Division::Whole, |(part, node)| {
            let graph = &self.plan.parts[part];
            if graph.is_divided(node) { graph.nodes[node].division } else { Division::Whole }
        })
    }

    /// Pods of a Service that are told apart, where clients stay with one of them.
    pub fn pod_place_count(&self, service: ServiceId) -> usize {
        let place = self.plan.place_of(service);
        place.map_or(0, |(part, node)| self.plan.parts[part].nodes[node].stations.len())
    }

    pub(super) fn is_divided(&self, service: ServiceId) -> bool {
        self.division_of(service) != Division::Whole
    }

    /// How places of the endpoints of a Service are told apart: by zone or by node where it is divided,
    /// or may call one that is.
    pub fn sites_of(&self, service: ServiceId) -> Division {
        let place = self.plan.place_of(service);
        place.map_or(Division::Whole, |(part, _)| self.sites_of_part(part))
    }

    fn sites_of_part(&self, part: usize) -> Division {
        let graph = &self.plan.parts[part];
        if graph.sites.is_empty() {
            Division::Whole
        } else if graph.nodes.iter().any(|node| node.division == Division::Nodes) {
            Division::Nodes
        } else {
            Division::Zones
        }
    }

    /// Tells what stands behind a Service that [is divided](Self::division_of): for each zone, in order,
    /// the endpoints that proxies there use, or all of them for the first zone while there are no hints;
    /// for each node those that are on it; or each pod by itself, where clients stay with one.
    ///
    /// # Panics
    /// When there are not as many stations as zones, nodes or [places for pods](Self::pod_place_count), or
    /// more live than are ready.
    pub fn set_stations(&mut self, service: ServiceId, standing: &Standing) {
        let Some((part, head)) = self.plan.place_of(service) else { return };
        let count = self.plan.parts[part].nodes[head].stations.len();
        assert_eq!(standing.stations.len(), count, "one station for each zone, node or pod");
        let all = standing.stations.iter().map(Station::endpoints);
        let all = all.fold(Endpoints::default(), Endpoints::and);
        let shown = self.gates.pass(service, all);
        self.behind_gates.set(service, standing);
        self.show_stations(service, shown == all);
    }

    /// Shows callers the stations of a divided Service, or none while its probes fail.
    pub(super) fn show_stations(&mut self, service: ServiceId, are_shown: bool) {
        let Some((part, head)) = self.plan.place_of(service) else { return };
        let Some(Standing { stations, are_hinted }) = self.behind_gates.of(service).cloned() else {
            return;
        };
        let graph = &self.plan.parts[part];
        let (nodes, is_by_node) =
            (graph.nodes[head].stations.clone(), graph.nodes[head].division == Division::Nodes);
        if graph.nodes[head].division == Division::Pods {
            self.bounds.stand(part, head, &stations, are_shown);
        }
        for (node, station) in nodes.into_iter().zip(stations) {
            let endpoints = if are_shown { station.endpoints() } else { Endpoints::default() };
            self.tell(part, Input::Endpoints(node, endpoints));
            self.tell_places(part, node, &station.places);
            if is_by_node {
                self.tell(part, Input::Marked(node, are_hinted, station.is_last_resort));
            }
        }
    }

    /// Tells where the endpoints of a Service are, in the order of [sites](Self::sites_of), where that
    /// matters and the Service itself is not divided.
    pub fn set_places(&mut self, service: ServiceId, places: &[Place]) {
        if let Some((part, node)) = self.plan.place_of(service) {
            self.tell_places(part, node, places);
        }
    }

    fn tell_places(&mut self, part: usize, node: NodeIdx, places: &[Place]) {
        for place in places {
            assert!(place.live_count <= place.ready_count, "only those that get requests are live");
        }
        self.tell(part, Input::Places(node, places.into()));
    }

    /// Tells how many nodes of each zone requests from outside may enter at, and whether they may at
    /// each node.
    pub fn set_outside(&mut self, by_zone: &[u32], by_node: &[bool]) {
        for part in 0..self.parts.len() {
            let counts: Box<[u32]> = match self.sites_of_part(part) {
                Division::Whole => continue,
                Division::Zones | Division::Pods => by_zone.into(),
                Division::Nodes => by_node.iter().copied().map(u32::from).collect(),
            };
            self.tell(part, Input::Outside(counts));
        }
    }

    /// Tells at which nodes requests from outside come in to a Service whose policy keeps them there.
    pub fn set_fronts(&mut self, service: ServiceId, by_node: &[bool]) {
        let Some((part, node)) = self.plan.place_of(service) else { return };
        let spec = &self.plan.parts[part].nodes[node];
        if spec.is_local_from_outside && spec.division == Division::Nodes {
            let counts = by_node.iter().copied().map(u32::from).collect();
            self.tell(part, Input::Fronts(node, counts));
        }
    }
}
