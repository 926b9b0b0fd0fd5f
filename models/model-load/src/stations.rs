//! Services whose endpoints are divided by zone, by node or by pod, and which of them each call goes to.
//!
//! Such a Service is several nodes in the graph: a *station* for each zone, for each node of the
//! cluster, or for each pod that clients stay with, with a queue of its own. The first of them is where its calls lead to, and each call is
//! divided among all of them by what proxies do at the *sites* that it comes from: zones, or nodes where
//! some Service among those that are connected is divided by node.
//!
//! By hints for zones: a zone that has a station with endpoints sends everything there, however few they
//! are, and any other zone spreads over all. While there are no hints, all endpoints stand behind the
//! first station. By node: under a traffic policy `Local` a site sends everything to its own station, and
//! drops it where that has no endpoint; hints for nodes send it to the own station, else to those of the
//! zone, else to all. By pod: those who stay with one go there (`sessions`), all others spread over all.
//!
//! What proxies do: kube-proxy's `CategorizeEndpoints` (`pkg/proxy/topology.go`, Kubernetes 1.36), and
//! that it drops packets where a policy leaves no endpoint (`pkg/proxy/iptables/proxier.go`: "has no local
//! endpoints"). Kong's ingress controller goes to endpoints itself and knows neither hints nor policies,
//! unless the Service has `ingress.kubernetes.io/service-upstream: "true"` (Kong Ingress Controller 3.x).
//!
//! Simplified: a rate limit that pods count together is counted by those of each station for themselves, and
//! errors of faulty pods are spread over all. Calls of a Service come from the sites of its live endpoints in equal parts, whatever
//! it loses where; those of a gateway that is divided itself, from the sites that its requests are
//! sent to. Clients from outside enter at a node of the zone that they have nearest while it has
//! one, and otherwise at any node: a load balancer has all nodes as members. Where the policy of a Service
//! keeps requests from outside on their node they enter where the balancer leads to, each node as often as
//! another; without one in the scenario, where there are endpoints. Of a Service that is divided by node,
//! hints of `topology-mode: Auto` are those of its endpoints' own zones.

use model_api::ServiceId;
use model_api::blueprint::Division;

use crate::edges::{Caller, EdgeIdx};
use crate::evaluation::{Endpoints, Inputs};
use crate::graph::{Graph, NodeIdx};

/// Position of a zone, or of a node of the cluster.
pub(crate) type SiteIdx = usize;

/// Endpoints at a site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The position of the zone or, where callers are told apart by node, of the node.
    pub site: usize,
    /// Those that get requests.
    pub ready_count: u32,
    /// Of these, those that can answer.
    pub live_count: u32,
}

impl Place {
    /// Both, told as one.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            site: self.site,
            ready_count: self.ready_count + other.ready_count,
            live_count: self.live_count + other.live_count,
        }
    }
}

/// Endpoints that proxies at a site use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Station {
    /// Where they are, in the order of sites.
    pub places: Vec<Place>,
    /// What the living ones can answer together, in requests per 1000 s.
    pub capacity_millirps: u64,
    /// They are about to go and get only what a policy keeps on their node: others are ready elsewhere.
    pub is_last_resort: bool,
    /// Of a place for a pod that clients stay with: the pod, as a number that no other one has.
    pub pod: Option<u64>,
}

impl Station {
    pub(crate) fn endpoints(&self) -> Endpoints {
        Endpoints {
            ready_count: self.places.iter().map(|place| place.ready_count).sum(),
            live_count: self.places.iter().map(|place| place.live_count).sum(),
            capacity_millirps: self.capacity_millirps,
            reaching_ppm: None,
        }
    }
}

/// What stands behind the stations of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// By zone, by node, or by place for a pod.
    pub stations: Vec<Station>,
    /// Every endpoint that gets requests carries a hint. By zone that shows in the stations.
    pub are_hinted: bool,
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

/// How a call is divided.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Route {
    /// In the order of stations.
    pub(crate) branches: Vec<Branch>,
    /// Share of the attempts that no station gets, because a policy keeps them where there is none.
    pub(crate) dropped: f64,
}

impl Route {
    pub(crate) fn branch_to(&self, station: NodeIdx) -> Option<&Branch> {
        let found = self.branches.binary_search_by_key(&station, |branch| branch.station);
        found.ok().map(|idx| &self.branches[idx])
    }
}

/// By call; without branches where its callee is not divided.
pub(crate) type Routes = Vec<Route>;

/// Shares of sites, in their order.
type Origin = Vec<(SiteIdx, f64)>;

/// What proxies do with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// They stay on the node.
    Local,
    /// Hints narrow what they use, where there are any.
    Hints,
    /// Nobody looks at hints or policies.
    Spread,
}

/// How each call is divided under these inputs.
pub(crate) fn routes(graph: &Graph, inputs: &Inputs) -> Routes {
    if graph.sites.is_empty() {
        return Routes::new();
    }
    // A gateway's own calls come before what it passes on: their origin is known by then.
    let mut routes = vec![Route::default(); graph.edges.all.len()];
    for edge in 0..routes.len() {
        if graph.is_divided(graph.edges.all[edge].callee) {
            let origin = origin(graph, inputs, &routes, edge).unwrap_or_else(|| {
                let count = graph.sites.len();
                (0..count).map(|site| (site, 1.0 / count as f64)).collect()
            });
            routes[edge] = route(graph, inputs, edge, &origin);
        }
    }
    routes
}

/// By site, the share of the attempts of a call that come from there; `None` when nobody calls.
fn origin(graph: &Graph, inputs: &Inputs, routes: &[Route], edge: EdgeIdx) -> Option<Origin> {
    match graph.edges.all[edge].from {
        Caller::Client(source) => {
            let spec = &graph.edges.all[edge];
            let load = graph.load_of(&graph.edges.sources[source]);
            let nearest = load.clients.zone.map(|zone| zone.index());
            let callee = &graph.nodes[spec.callee];
            if callee.is_local_from_outside && callee.division == Division::Nodes {
                // A balancer knows no zones.
                let nearest = nearest.filter(|_| spec.door.is_none());
                return entering(graph, &inputs.fronts[spec.callee], nearest);
            }
            entering(graph, &inputs.outside, nearest)
        }
        Caller::Gateway(source) => {
            let client = graph.edges.sources[source].client;
            let gateway = graph.edges.all[client].callee;
            if !graph.is_divided(gateway) {
                return standing(graph, inputs, gateway);
            }
            let mut origin = vec![0.0; graph.sites.len()];
            for branch in &routes[client].branches {
                for (site, share) in standing(graph, inputs, branch.station)? {
                    origin[site] += branch.share * share;
                }
            }
            // What was dropped on the way to the gateway does not come from there.
            let whole: f64 = 1.0 - routes[client].dropped;
            let some = origin.iter().copied().enumerate().filter(|(_, share)| *share > 0.0);
            if whole < 1.0 {
                return Some(some.map(|(site, share)| (site, share / whole)).collect())
                    .filter(|origin: &Origin| !origin.is_empty());
            }
            Some(some.collect())
        }
        Caller::Service(caller) => standing(graph, inputs, caller),
    }
}

/// Where requests from outside meet the first proxy.
fn entering(graph: &Graph, outside: &[u32], nearest: Option<usize>) -> Option<Origin> {
    let sites = || outside.iter().copied().enumerate();
    let near = nearest.and_then(|zone| shares(sites().filter(|(at, _)| graph.sites[*at] == zone)));
    near.or_else(|| shares(sites()))
}

/// Where the living endpoints of a node stand, or all of them while none lives.
fn standing(graph: &Graph, inputs: &Inputs, node: NodeIdx) -> Option<Origin> {
    let places = &inputs.places[node];
    shares(places.iter().map(|place| (place.site, place.live_count)))
        .or_else(|| shares(places.iter().map(|place| (place.site, place.ready_count))))
        .or_else(|| {
            let count = graph.sites.len();
            Some((0..count).map(|site| (site, 1.0 / count as f64)).collect())
        })
}

/// Of counts by position, the share of each of them that is not zero.
fn shares(counts: impl Iterator<Item = (usize, u32)> + Clone) -> Option<Origin> {
    let sum: u32 = counts.clone().map(|(_, count)| count).sum();
    let some = counts.filter(|(_, count)| *count > 0);
    (sum > 0).then(|| some.map(|(at, count)| (at, f64::from(count) / f64::from(sum))).collect())
}

fn rule_of(graph: &Graph, edge: EdgeIdx) -> Rule {
    let spec = &graph.edges.all[edge];
    let head = &graph.nodes[spec.callee];
    let is_local = match spec.from {
        Caller::Client(_) => head.is_local_from_outside,
        Caller::Gateway(_) if !head.is_service_upstream => return Rule::Spread,
        Caller::Gateway(_) | Caller::Service(_) => head.is_local_inside,
    };
    if is_local && head.division == Division::Nodes { Rule::Local } else { Rule::Hints }
}

fn route(graph: &Graph, inputs: &Inputs, edge: EdgeIdx, origin: &Origin) -> Route {
    let head = &graph.nodes[graph.edges.all[edge].callee];
    let rule = rule_of(graph, edge);
    let comes = match head.division {
        Division::Nodes => by_node(graph, inputs, head.stations.as_slice(), rule, origin),
        Division::Pods => by_pod(graph, inputs, edge, head.stations.as_slice(), origin),
        Division::Zones | Division::Whole => {
            by_zone(graph, inputs, head.stations.as_slice(), rule, origin)
        }
    };
    let branch = |(station, from): (&NodeIdx, Vec<f64>)| {
        let share: f64 = from.iter().sum();
        let crossing = from.iter().map(|it| if share > 0.0 { 1.0 - it / share } else { 0.0 });
        Branch { station: *station, share, crossing: crossing.collect() }
    };
    let all = head.stations.iter().zip(comes).map(branch);
    let branches: Vec<Branch> = all.filter(|branch| branch.share > 0.0).collect();
    let kept: f64 = branches.iter().map(|branch| branch.share).sum();
    let dropped = if rule == Rule::Local && kept < 1.0 - 1e-9 { 1.0 - kept } else { 0.0 };
    Route { branches, dropped }
}

/// By station of a Service that hints divide by zone: the share of all that comes to it from each zone.
fn by_zone(
    graph: &Graph,
    inputs: &Inputs,
    stations: &[NodeIdx],
    rule: Rule,
    origin: &Origin,
) -> Vec<Vec<f64>> {
    let ready = |station: NodeIdx| inputs.endpoints[station].ready_count;
    let spread = spread(inputs, stations);
    let zones = by_zone_of(graph, origin);
    // The share of what comes from a zone that goes to a station.
    let reach = |zone: usize, station: usize| {
        if rule != Rule::Spread && ready(stations[zone]) > 0 {
            f64::from(u8::from(zone == station))
        } else {
            spread[station]
        }
    };
    let from = |station: usize| {
        zones.iter().enumerate().map(|(zone, part)| part * reach(zone, station)).collect()
    };
    (0..stations.len()).map(from).collect()
}

/// The share of each station of what is spread over all their endpoints.
fn spread(inputs: &Inputs, stations: &[NodeIdx]) -> Vec<f64> {
    let ready = |station: &NodeIdx| inputs.endpoints[*station].ready_count;
    let mut spread = vec![0.0; stations.len()];
    match shares(stations.iter().map(ready).enumerate()) {
        Some(shares) => shares.into_iter().for_each(|(at, share)| spread[at] = share),
        None => spread[0] = 1.0,
    }
    spread
}

fn by_zone_of(graph: &Graph, origin: &Origin) -> Vec<f64> {
    let mut zones = vec![0.0; graph.zone_count];
    for &(site, share) in origin {
        zones[graph.sites[site]] += share;
    }
    zones
}

/// The same of a Service whose clients stay with a pod.
fn by_pod(
    graph: &Graph,
    inputs: &Inputs,
    edge: EdgeIdx,
    stations: &[NodeIdx],
    origin: &Origin,
) -> Vec<Vec<f64>> {
    let zones = by_zone_of(graph, origin);
    let known = graph.edges.all[edge].sticky.map(|number| &inputs.sticky[number]);
    let parts = match known.filter(|shares| shares.iter().any(|share| *share > 0.0)) {
        Some(shares) => shares.clone(),
        None => spread(inputs, stations),
    };
    parts.iter().map(|part| zones.iter().map(|zone| part * zone).collect()).collect()
}

/// The same of a Service that is divided by node.
fn by_node(
    graph: &Graph,
    inputs: &Inputs,
    stations: &[NodeIdx],
    rule: Rule,
    origin: &Origin,
) -> Vec<Vec<f64>> {
    let zone_count = graph.zone_count;
    let ready = |site: SiteIdx| inputs.endpoints[stations[site]].ready_count;
    let for_all = |site: SiteIdx| {
        if inputs.are_last_resort[stations[site]] { 0 } else { ready(site) }
    };
    let mut by_zone = vec![0_u32; zone_count];
    for (site, zone) in graph.sites.iter().enumerate() {
        by_zone[*zone] += for_all(site);
    }
    let all: u32 = by_zone.iter().sum();
    let is_nobody = (0..stations.len()).all(|site| ready(site) == 0);
    let are_hinted = rule == Rule::Hints && inputs.are_hinted[stations[0]];
    let head = &graph.nodes[stations[0]];
    let mut comes = vec![vec![0.0; zone_count]; stations.len()];
    // From each zone: what is spread over the endpoints of the zone, and over all.
    let (mut to_zone, mut to_all) = (vec![0.0; zone_count], vec![0.0; zone_count]);
    for &(site, share) in origin {
        let zone = graph.sites[site];
        if rule == Rule::Local && !is_nobody {
            if ready(site) > 0 {
                comes[site][zone] += share;
            }
        } else if are_hinted && head.prefers_node && for_all(site) > 0 {
            comes[site][zone] += share;
        } else if are_hinted && by_zone[zone] > 0 {
            to_zone[zone] += share;
        } else {
            to_all[zone] += share;
        }
    }
    for (site, comes) in comes.iter_mut().enumerate().filter(|(site, _)| for_all(*site) > 0) {
        let (zone, count) = (graph.sites[site], f64::from(for_all(site)));
        comes[zone] += to_zone[zone] * count / f64::from(by_zone[zone]);
        for (comes, part) in comes.iter_mut().zip(&to_all) {
            *comes += part * count / f64::from(all);
        }
    }
    if all == 0 {
        // There is nobody, which they are told where they ask.
        comes[0].iter_mut().zip(&to_all).for_each(|(comes, part)| *comes += part);
    }
    comes
}

/// What the platform told of the stations of Services, and whether callers see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    all: Vec<(ServiceId, Standing)>,
}

impl Told {
    pub(crate) fn set(&mut self, service: ServiceId, standing: &Standing) {
        match self.all.iter_mut().find(|(other, _)| *other == service) {
            Some((_, told)) => told.clone_from(standing),
            None => self.all.push((service, standing.clone())),
        }
    }

    pub(crate) fn of(&self, service: ServiceId) -> Option<&Standing> {
        let found = self.all.iter().find(|(other, _)| *other == service);
        found.map(|(_, standing)| standing)
    }
}
