//! Zones and nodes, where it matters to requests who asks from which: stations of Services whose endpoints
//! carry hints or whose traffic policy is `Local`, where the endpoints of other Services are, and where
//! requests from outside come in.

use model_api::blueprint::Division;
use model_api::{BalancerId, NodeId, Observation, ServiceId};
use model_gateway::LocalState;
use model_kube::Cluster;
use model_kube::cluster::Route;
use model_load::{Place, Standing, Station};
use sim_kernel::{Context, Recorder};

use super::World;
use crate::event::Event;

/// What of the nodes matters to requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NodesSeen {
    /// By zone.
    reachable_counts: Vec<u32>,
    ready_cpu_millis: Vec<u64>,
    /// By node.
    are_reachable: Vec<bool>,
}

/// Where the endpoints of a Service are, while they are counted.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    /// How sites are told apart.
    sites: Division,
    places: Vec<Place>,
    /// Where it is divided.
    stations: Option<Vec<Station>>,
    division: Division,
    hinted: Option<Vec<usize>>,
    /// By position among the routes, where clients stay with a pod: its place.
    pod_places: Vec<usize>,
}

impl World {
    /// Counts the endpoints of a Service that get these by where they are; `None` where that matters to
    /// nobody.
    pub(super) fn counted(
        &self,
        service: ServiceId,
        routes: &[Route],
        pod_places: Vec<usize>,
    ) -> Option<Counted> {
        let sites = self.flows.sites_of(service);
        if sites == Division::Whole {
            return None;
        }
        let division = self.flows.division_of(service);
        let is_hinted =
            division != Division::Whole && self.blueprint.services[service.index()].has_hints();
        let mut hinted = is_hinted.then(|| self.cluster.hinted_zones(service)).flatten();
        if !self.blueprint.services[service.index()].has_topology_mode_auto {
            // The hint of each endpoint is its own zone, whoever knows of it.
            hinted = hinted.map(|_| routes.iter().map(|route| route.zone).collect());
        }
        let count = match division {
            Division::Whole => None,
            Division::Zones => Some(self.blueprint.zones.len()),
            Division::Nodes => Some(self.blueprint.nodes.len()),
            Division::Pods => Some(self.flows.pod_place_count(service)),
        };
        Some(Counted {
            sites,
            places: Vec::new(),
            stations: count.map(|count| vec![Station::default(); count]),
            division,
            hinted: hinted.map(|zones| zones.iter().map(|zone| zone.index()).collect()),
            pod_places,
        })
    }

    /// The place of each endpoint of a Service whose clients stay with a pod; none for others.
    pub(super) fn assign_pod_places(&mut self, service: ServiceId) -> Vec<usize> {
        if self.flows.division_of(service) != Division::Pods {
            return Vec::new();
        }
        let count = self.flows.pod_place_count(service);
        self.pod_places.assign(service, count, self.cluster.routes(service))
    }

    /// Tells the flows what was counted, and balancers what nodes do with connections that stay there.
    pub(super) fn tell_counted<R: Recorder<Observation>>(
        &mut self,
        service: ServiceId,
        mut counted: Counted,
        ctx: &mut Context<'_, Event, R>,
    ) {
        counted.sort();
        match counted.stations {
            Some(stations) => {
                let standing = Standing { stations, are_hinted: counted.hinted.is_some() };
                self.flows.set_stations(service, &standing);
            }
            None => self.flows.set_places(service, &counted.places),
        }
        self.tell_local(service, ctx);
    }

    /// Tells of a Service that keeps requests from outside on their node what each node does with them.
    fn tell_local<R: Recorder<Observation>>(
        &mut self,
        service: ServiceId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if !self.keeps_from_outside(service) {
            return;
        }
        let Some(balancer) = self.balancer_before(service) else {
            return self.tell_fronts_without_balancer(service);
        };
        let mut locals =
            vec![LocalState { is_ready: false, is_serving: false }; self.blueprint.nodes.len()];
        for route in self.cluster.routes(service) {
            let is_ready = !self.cluster.pod(route.pod).is_terminating;
            let local = &mut locals[route.node.index()];
            (local.is_ready, local.is_serving) = (local.is_ready || is_ready, true);
        }
        for route in self.cluster.last_resorts(service) {
            locals[route.node.index()].is_serving = true;
        }
        for (idx, local) in locals.into_iter().enumerate() {
            self.gateways.balancers.set_local(balancer, NodeId::from_index(idx), local, ctx);
        }
    }

    fn keeps_from_outside(&self, service: ServiceId) -> bool {
        self.blueprint.services[service.index()].is_local_from_outside()
            && self.flows.division_of(service) == Division::Nodes
    }

    fn balancer_before(&self, service: ServiceId) -> Option<BalancerId> {
        let position = self.blueprint.balancers.iter().position(|it| it.service == service)?;
        Some(BalancerId::from_index(position))
    }

    /// Without a balancer in the scenario, requests from outside come in wherever they are answered.
    fn tell_fronts_without_balancer(&mut self, service: ServiceId) {
        let mut fronts = vec![false; self.blueprint.nodes.len()];
        for route in self.cluster.routes(service) {
            fronts[route.node.index()] |= self.cluster.is_reachable(route.node);
        }
        self.flows.set_fronts(service, &fronts);
    }

    /// Whether all that flows and balancers know of nodes is so.
    pub(super) fn knows_nodes(&self) -> bool {
        (!self.wiring.has_stations || self.nodes_seen == NodesSeen::of(&self.cluster))
            && self.do_balancers_know_nodes()
    }

    /// Tells the flows where requests may come in and how hints change, where nodes came, went or
    /// became ready since the last time.
    pub(super) fn tell_nodes<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, Event, R>) {
        if !self.wiring.has_stations {
            return;
        }
        let seen = NodesSeen::of(&self.cluster);
        if seen == self.nodes_seen {
            return;
        }
        self.flows.set_outside(&seen.reachable_counts, &seen.are_reachable);
        let is_first = self.nodes_seen.ready_cpu_millis.is_empty();
        let is_other = seen.ready_cpu_millis != self.nodes_seen.ready_cpu_millis && !is_first;
        self.nodes_seen = seen;
        let services: Vec<ServiceId> =
            (0..self.blueprint.services.len()).map(ServiceId::from_index).collect();
        for service in services {
            let is_auto = self.blueprint.services[service.index()].has_topology_mode_auto;
            if is_other && is_auto && self.flows.division_of(service) != Division::Whole {
                self.tell_flows(service, ctx);
            } else if self.keeps_from_outside(service) && self.balancer_before(service).is_none() {
                self.tell_fronts_without_balancer(service);
            }
        }
    }
}

impl NodesSeen {
    pub(super) fn of(cluster: &Cluster) -> Self {
        Self {
            reachable_counts: cluster.reachable_counts(),
            ready_cpu_millis: cluster.ready_cpu_millis(),
            are_reachable: cluster.reachable_nodes(),
        }
    }
}

impl Counted {
    /// Whether it is told where the endpoints are instead of how many there are.
    pub(super) fn is_divided(&self) -> bool {
        self.stations.is_some()
    }

    /// Counts the endpoint at a position among the routes, and what it can do when it lives.
    pub(super) fn count(&mut self, position: usize, route: &Route, millirps: Option<u64>) {
        let at = match self.division {
            Division::Nodes => route.node.index(),
            Division::Pods => self.pod_places[position],
            Division::Zones | Division::Whole => {
                self.hinted.as_ref().map_or(0, |zones| zones[position])
            }
        };
        self.count_at(at, route, millirps);
        if self.division == Division::Pods
            && let Some(stations) = &mut self.stations
        {
            stations[at].pod.get_or_insert(route.pod.index() as u64);
        }
    }

    /// Counts one that gets only what a policy keeps on its node.
    pub(super) fn count_last_resort(&mut self, route: &Route, millirps: Option<u64>) {
        if self.division == Division::Nodes {
            let at = route.node.index();
            self.count_at(at, route, millirps);
            self.stations.as_mut().expect("it is divided")[at].is_last_resort = true;
        }
    }

    fn count_at(&mut self, at: usize, route: &Route, millirps: Option<u64>) {
        let site = match self.sites {
            Division::Nodes => route.node.index(),
            _ => route.zone.index(),
        };
        let is_live = millirps.is_some();
        let Some(stations) = &mut self.stations else {
            return count_in(&mut self.places, site, is_live);
        };
        let station = &mut stations[at];
        count_in(&mut station.places, site, is_live);
        let millirps = millirps.unwrap_or(0);
        station.capacity_millirps = station.capacity_millirps.saturating_add(millirps);
    }

    fn sort(&mut self) {
        self.places.sort_unstable_by_key(|place| place.site);
        for station in self.stations.iter_mut().flatten() {
            station.places.sort_unstable_by_key(|place| place.site);
        }
    }
}

fn count_in(places: &mut Vec<Place>, site: usize, is_live: bool) {
    let known = places.iter().position(|place| place.site == site).unwrap_or_else(|| {
        places.push(Place { site, ..Place::default() });
        places.len() - 1
    });
    places[known].ready_count += 1;
    places[known].live_count += u32::from(is_live);
}
