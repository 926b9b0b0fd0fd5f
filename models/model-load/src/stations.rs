//! Services whose endpoints are divided by zone, and which of them each call goes to.
//!
//! Where the endpoints of a Service carry hints, it is several nodes in the graph: a *station* for each
//! zone, with a queue of its own. The first of them is where its calls lead to, and each call is
//! divided among all of them by what proxies do in the zones that it comes from: a zone that has a
//! station with endpoints sends everything there, however few they are, and any other zone spreads
//! over all. While there are no hints, all endpoints stand behind the first station.
//!
//! What proxies do: kube-proxy's `CategorizeEndpoints` (`pkg/proxy/topology.go`, Kubernetes 1.36).
//! Kong's ingress controller goes to endpoints itself and knows no hints, unless the Service has
//! `ingress.kubernetes.io/service-upstream: "true"` (Kong Ingress Controller 3.x).
//!
//! Simplified: a rate limit that pods count together is counted by those of each zone for themselves, and
//! errors of faulty pods are spread over all zones. Calls of a Service come from the zones of its live endpoints in equal parts, whatever
//! it loses where; those of a gateway that is divided itself, from the zones that its requests are
//! sent to. Clients from outside enter at a node of the zone that they have nearest while it has
//! one, and otherwise at any node: a load balancer has all nodes as members.

use model_api::ServiceId;

use crate::edges::{Caller, EdgeIdx};
use crate::evaluation::{Endpoints, Inputs};
use crate::graph::{Graph, NodeIdx};

/// Endpoints in a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Those that get requests.
    pub ready_count: u32,
    /// Of these, those that can answer.
    pub live_count: u32,
}

/// The endpoints that proxies in a zone use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Station {
    /// By zone: where they are.
    pub places: Vec<Place>,
    /// What the living ones can answer together, in requests per 1000 s.
    pub capacity_millirps: u64,
}

impl Station {
    pub(crate) fn endpoints(&self) -> Endpoints {
        Endpoints {
            ready_count: self.places.iter().map(|place| place.ready_count).sum(),
            live_count: self.places.iter().map(|place| place.live_count).sum(),
            capacity_millirps: self.capacity_millirps,
        }
    }
}

/// A part of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Branch {
    /// Where it goes.
    pub(crate) station: NodeIdx,
    /// Which share of the attempts.
    pub(crate) share: f64,
    /// By zone: of the attempts of this part that an endpoint there gets, the share that comes from
    /// another zone.
    pub(crate) crossing: Vec<f64>,
}

/// By call: how it is divided; empty where its callee is not.
pub(crate) type Routes = Vec<Vec<Branch>>;

/// How each call is divided under these inputs.
pub(crate) fn routes(graph: &Graph, inputs: &Inputs) -> Routes {
    if graph.zone_count == 0 {
        return Routes::new();
    }
    // A gateway's own calls come before what it passes on: their origin is known by then.
    let mut routes = vec![Vec::new(); graph.edges.all.len()];
    for edge in 0..routes.len() {
        if graph.is_divided(graph.edges.all[edge].callee) {
            let origin = origin(graph, inputs, &routes, edge);
            routes[edge] = branches(graph, inputs, edge, origin.as_deref());
        }
    }
    routes
}

/// By zone, the share of the attempts of a call that come from there; `None` when nobody calls.
fn origin(
    graph: &Graph,
    inputs: &Inputs,
    routes: &[Vec<Branch>],
    edge: EdgeIdx,
) -> Option<Vec<f64>> {
    match graph.edges.all[edge].from {
        Caller::Client(source) => {
            let load = graph.load_of(&graph.edges.sources[source]);
            let nearest = load.zone.map(|zone| zone.index());
            entering(&inputs.outside, nearest)
        }
        Caller::Gateway(source) => {
            let client = graph.edges.sources[source].client;
            let gateway = graph.edges.all[client].callee;
            if !graph.is_divided(gateway) {
                return standing(inputs, gateway);
            }
            let mut origin = vec![0.0; graph.zone_count];
            for branch in &routes[client] {
                for (zone, share) in standing(inputs, branch.station)?.into_iter().enumerate() {
                    origin[zone] += branch.share * share;
                }
            }
            Some(origin)
        }
        Caller::Service(caller) => standing(inputs, caller),
    }
}

/// Where requests from outside meet the first proxy.
fn entering(outside: &[u32], nearest: Option<usize>) -> Option<Vec<f64>> {
    match nearest.filter(|zone| outside[*zone] > 0) {
        None => shares(outside.iter().copied()),
        Some(nearest) => {
            Some((0..outside.len()).map(|zone| f64::from(u8::from(zone == nearest))).collect())
        }
    }
}

/// Where the living endpoints of a node stand, or all of them while none lives.
fn standing(inputs: &Inputs, node: NodeIdx) -> Option<Vec<f64>> {
    let places = &inputs.places[node];
    shares(places.iter().map(|place| place.live_count))
        .or_else(|| shares(places.iter().map(|place| place.ready_count)))
        .or_else(|| Some(vec![1.0 / places.len() as f64; places.len()]))
}

fn shares(counts: impl Iterator<Item = u32> + Clone) -> Option<Vec<f64>> {
    let sum: u32 = counts.clone().sum();
    (sum > 0).then(|| counts.map(|count| f64::from(count) / f64::from(sum)).collect())
}

fn branches(graph: &Graph, inputs: &Inputs, edge: EdgeIdx, origin: Option<&[f64]>) -> Vec<Branch> {
    let spec = &graph.edges.all[edge];
    let head = &graph.nodes[spec.callee];
    let ready = |station: NodeIdx| inputs.endpoints[station].ready_count;
    let counts = head.stations.iter().map(|station| ready(*station));
    let spread = shares(counts).unwrap_or_else(|| {
        (0..head.stations.len()).map(|station| f64::from(u8::from(station == 0))).collect()
    });
    let heeds_hints = !matches!(spec.from, Caller::Gateway(_)) || head.is_service_upstream;
    // The share of what comes from a zone that goes to a station.
    let reach = |zone: usize, station: usize| {
        if heeds_hints && ready(head.stations[zone]) > 0 {
            f64::from(u8::from(zone == station))
        } else {
            spread[station]
        }
    };
    let uniform = vec![1.0 / graph.zone_count as f64; graph.zone_count];
    let origin = origin.unwrap_or(&uniform);
    let branch = |station: usize| {
        let from: Vec<f64> =
            origin.iter().enumerate().map(|(zone, part)| part * reach(zone, station)).collect();
        let share: f64 = from.iter().sum();
        let crossing = from.iter().map(|it| if share > 0.0 { 1.0 - it / share } else { 0.0 });
        Branch { station: head.stations[station], share, crossing: crossing.collect() }
    };
    let all = (0..head.stations.len()).map(branch);
    all.filter(|branch| branch.share > 0.0).collect()
}

/// What the platform told of the stations of Services whose readiness depends on databases.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    all: Vec<(ServiceId, Vec<Station>)>,
}

impl Told {
    pub(crate) fn set(&mut self, service: ServiceId, stations: &[Station]) {
        match self.all.iter_mut().find(|(other, _)| *other == service) {
            Some((_, told)) => stations.clone_into(told),
            None => self.all.push((service, stations.to_vec())),
        }
    }

    pub(crate) fn of(&self, service: ServiceId) -> Option<&[Station]> {
        let found = self.all.iter().find(|(other, _)| *other == service);
        found.map(|(_, stations)| stations.as_slice())
    }
}
