//! Zones, where it matters to requests who asks from which: stations of Services whose endpoints carry
//! hints, where the endpoints of other Services are, and where requests from outside come in.

use model_api::{Observation, ServiceId};
use model_kube::Cluster;
use model_load::{Place, Station};
use sim_kernel::{Context, Recorder};

use super::World;
use crate::event::Event;

/// What of the nodes matters to requests, by zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NodesSeen {
    reachable_counts: Vec<u32>,
    ready_cpu_millis: Vec<u64>,
}

/// Where the endpoints of a Service are, while they are counted.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    places: Vec<Place>,
    /// Where they carry hints.
    stations: Option<Vec<Station>>,
    hinted: Option<Vec<usize>>,
}

impl World {
    /// Counts the endpoints of a Service by zone; `None` where that matters to nobody.
    pub(super) fn standing(&self, service: ServiceId) -> Option<Standing> {
        if !self.flows.has_places(service) {
            return None;
        }
        let zone_count = self.blueprint.zones.len();
        let places = vec![Place::default(); zone_count];
        let station = Station { places: places.clone(), capacity_millirps: 0 };
        let is_divided = self.flows.is_divided(service);
        let hinted = is_divided.then(|| self.cluster.hinted_zones(service)).flatten();
        Some(Standing {
            places,
            stations: is_divided.then(|| vec![station; zone_count]),
            hinted: hinted.map(|zones| zones.iter().map(|zone| zone.index()).collect()),
        })
    }

    /// Tells the flows what was counted.
    pub(super) fn tell_standing(&mut self, service: ServiceId, standing: &Standing) {
        match &standing.stations {
            Some(stations) => self.flows.set_stations(service, stations),
            None => self.flows.set_places(service, &standing.places),
        }
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
        self.flows.set_outside(&seen.reachable_counts);
        let is_first = self.nodes_seen.ready_cpu_millis.is_empty();
        let is_other = seen.ready_cpu_millis != self.nodes_seen.ready_cpu_millis && !is_first;
        self.nodes_seen = seen;
        let services = (0..self.blueprint.services.len()).map(ServiceId::from_index);
        let are_allocated = |service: &ServiceId| {
            self.blueprint.services[service.index()].has_topology_mode_auto
                && self.flows.is_divided(*service)
        };
        let allocated: Vec<ServiceId> =
            services.filter(|_| is_other).filter(are_allocated).collect();
        for service in allocated {
            self.tell_flows(service, ctx);
        }
    }
}

impl NodesSeen {
    pub(super) fn of(cluster: &Cluster) -> Self {
        Self {
            reachable_counts: cluster.reachable_counts(),
            ready_cpu_millis: cluster.ready_cpu_millis(),
        }
    }
}

impl Standing {
    /// Whether the endpoints carry hints, or may.
    pub(super) fn is_divided(&self) -> bool {
        self.stations.is_some()
    }

    /// Counts the endpoint at a position among the routes: its zone, and what it can do when it lives.
    pub(super) fn count(&mut self, position: usize, zone: usize, millirps: Option<u64>) {
        let place = |places: &mut Vec<Place>| {
            places[zone].ready_count += 1;
            places[zone].live_count += u32::from(millirps.is_some());
        };
        place(&mut self.places);
        if let Some(stations) = &mut self.stations {
            let hinted = self.hinted.as_ref().map_or(0, |zones| zones[position]);
            let station = &mut stations[hinted];
            place(&mut station.places);
            let millirps = millirps.unwrap_or(0);
            station.capacity_millirps = station.capacity_millirps.saturating_add(millirps);
        }
    }
}
