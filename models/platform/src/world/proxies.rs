//! Proxies that differ in what they know of a Service: which endpoints get its requests, and how many of
//! these come to one that lives.
//!
//! # Modelled
//! Requests of clients outside come in at every node that they reach alike, those of pods at the nodes of
//! the live endpoints of their Service. Each is sent on by what the proxy of its node knows. Where requests
//! are divided by zone or by node, what stands in a zone or on a node is what proxies there know.
//! # Not modelled
//! Shares of those who ask by how much they ask: each Service that asks counts alike, and so do clients
//! outside. Endpoints that get fewer requests because some do not know them yet are not less loaded: what
//! all can do together counts. Hints of `topology-mode: Auto`, and endpoints behind a traffic policy that
//! are about to go, are what most proxies know; and so is where clients go that stay with a pod.
//! # Defaults and their sources
//! [`model_kube::reflector`] says how long proxies differ.
//! # Invariants
//! While all proxies know the same, this is not asked for.
//! # Checked against
//! `tests/it/proxies.rs`, in flows and in single requests.

use std::collections::BTreeMap;

use model_api::blueprint::Division;
use model_api::{NodeId, Observation, ServiceId, ZoneId};
use model_kube::cluster::Route;
use sim_kernel::{Context, Recorder};

use super::World;
use crate::event::Event;

const WHOLE: u64 = 1_000_000;

/// What those who ask a Service send its requests to.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// Endpoints that get some, by pod.
    pub(super) routes: Vec<Route>,
    /// Of a million, how many come to one that lives; `None` where each stands where it is known.
    pub(super) reaching_ppm: Option<u32>,
}

impl World {
    /// What requests to a Service are sent to, where proxies differ.
    pub(super) fn sent_differently(&self, service: ServiceId) -> Option<Sent> {
        if !self.cluster.is_seen_differently(service) {
            return None;
        }
        let spec = &self.blueprint.services[service.index()];
        match self.flows.division_of(service) {
            Division::Zones if spec.has_topology_mode_auto => None,
            Division::Zones => {
                let zones = (0..self.blueprint.zones.len()).map(ZoneId::from_index);
                let seen = |zone| self.cluster.routes_in(service, zone).iter().copied();
                let routes = zones.flat_map(|zone| seen(zone).filter(move |it| it.zone == zone));
                Some(Sent { routes: by_pod(routes), reaching_ppm: None })
            }
            Division::Nodes => {
                let nodes = (0..self.blueprint.nodes.len()).map(NodeId::from_index);
                let seen = |node| self.cluster.routes_from(service, node).iter().copied();
                let routes = nodes.flat_map(|node| seen(node).filter(move |it| it.node == node));
                Some(Sent { routes: by_pod(routes), reaching_ppm: None })
            }
            Division::Pods => None,
            Division::Whole => Some(self.sent_from_anywhere(service)),
        }
    }

    fn sent_from_anywhere(&self, service: ServiceId) -> Sent {
        let askers = &self.wiring.askers[service.index()];
        let places = askers.iter().map(|asker| self.nodes_of_asker(*asker));
        let mut places: Vec<Vec<NodeId>> = places.filter(|nodes| !nodes.is_empty()).collect();
        if places.is_empty() {
            places.push(self.nodes_of_asker(None));
        }
        // Nodes that know the same are many: each view is looked at once, with how many have it.
        let views: Vec<BTreeMap<Option<u64>, (NodeId, u64)>> = places
            .iter()
            .map(|nodes| {
                let mut views = BTreeMap::new();
                for node in nodes {
                    let view = self.cluster.view_from(service, *node);
                    views.entry(view).or_insert((*node, 0)).1 += 1;
                }
                views
            })
            .collect();
        let heads = views.iter().flat_map(BTreeMap::values);
        let seen = heads.flat_map(|(node, _)| self.cluster.routes_from(service, *node)).copied();
        let routes = by_pod(seen);
        let reaching = views.iter().zip(&places).map(|(views, nodes)| {
            let of = |(node, count): &(NodeId, u64)| {
                count * reaching_ppm(self.cluster.routes_from(service, *node))
            };
            views.values().map(of).sum::<u64>() / (nodes.len() as u64).max(1)
        });
        let reaching = reaching.sum::<u64>() / places.len() as u64;
        let reaching_ppm = u32::try_from(reaching).expect("a share is at most all");
        Sent { routes, reaching_ppm: Some(reaching_ppm) }
    }

    /// Where requests of an asker meet their first proxy; one node for each endpoint.
    fn nodes_of_asker(&self, asker: Option<ServiceId>) -> Vec<NodeId> {
        match asker {
            None => {
                let nodes = (0..self.blueprint.nodes.len()).map(NodeId::from_index);
                nodes.filter(|node| self.cluster.is_reachable(*node)).collect()
            }
            Some(service) => {
                let routes = self.cluster.routes(service).iter();
                routes.filter(|route| route.is_live).map(|route| route.node).collect()
            }
        }
    }

    /// The endpoints of a Service have moved: its requests may come from nodes that know something else.
    pub(super) fn tell_asked<R: Recorder<Observation>>(
        &mut self,
        service: ServiceId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let wiring = self.wiring.clone();
        for asked in &wiring.asked[service.index()] {
            if self.cluster.is_seen_differently(*asked) {
                self.tell_flows(*asked, ctx);
            }
        }
    }
}

/// Of a million requests that are spread over these, how many come to one that lives.
fn reaching_ppm(routes: &[Route]) -> u64 {
    let live = routes.iter().filter(|route| route.is_live).count() as u64;
    (live * WHOLE).checked_div(routes.len() as u64).unwrap_or(0)
}

fn by_pod(routes: impl Iterator<Item = Route>) -> Vec<Route> {
    let mut routes: Vec<Route> = routes.collect();
    routes.sort_unstable_by_key(|route| route.pod);
    routes.dedup_by_key(|route| route.pod);
    routes
}
