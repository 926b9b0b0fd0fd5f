//! Who calls whom: immutable, built once, shared by all runs.

use std::sync::Arc;

use model_api::blueprint::Division;
use model_api::kube::TrafficDistribution;
use model_api::load::{Clients, Load, ServiceProfile, Thinking};
use model_api::observation::FlowSegment;
use model_api::path::{CallPolicy, Callee, Serving};
use model_api::{Blueprint, DatabaseId, LoadId, Observation, ServiceId, ZoneId};
use sim_kernel::{EntityKey, SimSpan};

use crate::curve::Curve;
use crate::edges::{Edges, Source, stages};
use crate::entrance::Door;
use crate::fluid::{BunchTables, Tables, VariedTables};
use crate::limits::{Limit, limits};
use crate::lookup::Resolvers;
use crate::quota::Quota;
use crate::sessions::{Sticky, stickies};

/// All of a million.
const ALL_PPM: u32 = 1_000_000;

/// Why a blueprint's load cannot be modelled. The reader of scenarios refuses these first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Services need each other in a circle.
    #[error("requests would go in a circle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// The points of a load curve go back in time.
    #[error("the load of {0} has points that are not in the order of time")]
    CurveOutOfOrder(String),
}

/// Position of a Service in [`Graph::nodes`].
pub(crate) type NodeIdx = usize;

/// All Services that get requests, in parts that have nothing to do with each other.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) parts: Vec<Graph>,
    /// By Service id: its part, and where it is in it.
    place_by_service: Vec<Option<(usize, NodeIdx)>>,
    cpu_per_request: Vec<SimSpan>,
    /// By Service: cores that a pod of it can use, when it cannot use all.
    cores_max: Vec<Option<u32>>,
    /// By Service: of a canary, the longest window that its metrics look back over.
    pub(crate) windows: Vec<SimSpan>,
}

/// Services that are connected by calls or by a gateway, callers before those they call.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Edges,
    /// How Services look up the names of those that they call, where they do.
    pub(crate) resolvers: Option<Resolvers>,
    /// Rate limits of the gateways among them.
    pub(crate) limits: Vec<Limit>,
    /// Calls whose callers stay with a pod.
    pub(crate) stickies: Vec<Sticky>,
    /// Databases of the blueprint.
    pub(crate) database_count: usize,
    /// Zones of the blueprint, where some Service here is divided; else none.
    pub(crate) zone_count: usize,
    /// Where callers may stand, as far as they are told apart: the zone of each zone or, where some
    /// Service here is divided by node, of each node of the cluster. See `stations`.
    pub(crate) sites: Vec<usize>,
    /// What is told of by zone: Services that are divided, with each zone.
    pub(crate) served: Vec<(NodeIdx, ZoneId)>,
    /// Some Service here has databases that a share of its requests writes to.
    pub(crate) has_part_writes: bool,
    /// Gateways that make calls of their own or write to databases: what they lose by it they do not
    /// pass on.
    pub(crate) asking_gateways: Vec<NodeIdx>,
}

/// A Service that gets requests.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) service: ServiceId,
    /// Requests from outside for it.
    pub(crate) loads: Vec<NodeLoad>,
    /// Requests from outside that come in through it: for which Service, and which of its loads.
    pub(crate) through: Vec<(NodeIdx, usize)>,
    /// Who calls it, in the order of their ids.
    pub(crate) callers: Vec<NodeIdx>,
    /// What it calls, in the order written.
    pub(crate) calls: Vec<NodeIdx>,
    /// How it makes each of its calls.
    pub(crate) policies: Vec<CallPolicy>,
    /// How it calls the Services behind it.
    pub(crate) upstream: CallPolicy,
    pub(crate) serving: Serving,
    /// Where its pods have one.
    pub(crate) quota: Option<Quota>,
    /// What requests meet there.
    pub(crate) tables: Arc<Tables>,
    /// What they wait where its work varies much.
    pub(crate) varied: Arc<VariedTables>,
    /// What requests wait that call it several times.
    pub(crate) bunched: Arc<BunchTables>,
    pub(crate) key: EntityKey,
    /// Without waiting, itself alone.
    pub(crate) own_latency: SimSpan,
    /// Databases that each request writes to.
    pub(crate) databases: Vec<DatabaseId>,
    /// Those that a share of them does.
    pub(crate) part_writes: Vec<PartWrite>,
    /// Network policies deny it one of the former.
    pub(crate) is_denied_database: bool,
    /// Where its clients come in: the slowest of the gateways of its loads.
    pub(crate) entry: Option<NodeIdx>,
    /// Without waiting, with what it calls and the gateway its clients come in through.
    pub(crate) base_latency: SimSpan,
    /// The node of the revision that is tried: see `split`.
    pub(crate) twin: Option<NodeIdx>,
    /// The node that this one is the twin of.
    pub(crate) twin_of: Option<NodeIdx>,
    /// Where it is divided: the node of each zone, of each node of the cluster, or of each place for a pod,
    /// itself first and the others after it; else empty. See `stations`.
    pub(crate) stations: Vec<NodeIdx>,
    pub(crate) division: Division,
    /// Traffic policies keep requests on their node: of those from outside, and of others.
    pub(crate) is_local_from_outside: bool,
    pub(crate) is_local_inside: bool,
    /// Its endpoints carry hints for nodes.
    pub(crate) prefers_node: bool,
    /// The first of the stations that this one is another of.
    pub(crate) station_of: Option<NodeIdx>,
    /// The load balancer before it.
    pub(crate) door: Option<Door>,
    /// Gateways leave the choice of its endpoints to proxies.
    pub(crate) is_service_upstream: bool,
}

/// A database that a share of the requests of a Service writes to: always the same requests, whatever they
/// write to and however often they are tried, so that those that write at all are as many as the largest
/// share says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartWrite {
    pub(crate) database: DatabaseId,
    /// In parts per million, less than all.
    pub(crate) share_ppm: u32,
    /// Network policies deny it.
    pub(crate) is_denied: bool,
}

impl PartWrite {
    /// Whether whoever writes to it does so in vain.
    pub(crate) fn is_in_vain(&self, are_writable: &[bool]) -> bool {
        self.is_denied || !are_writable[self.database.index()]
    }
}

/// The Service that a node counts for: of a twin that of the other one.
pub(crate) fn owner(nodes: &[Node], node: NodeIdx) -> ServiceId {
    nodes[nodes[node].twin_of.unwrap_or(node)].service
}

/// Requests from outside.
#[derive(Debug)]
pub(crate) struct NodeLoad {
    pub(crate) id: LoadId,
    /// Position of its source, among all connected ones.
    pub(crate) source: usize,
    /// Whose requests they are.
    pub(crate) clients: Clients,
    pub(crate) curve: Curve,
    pub(crate) via: Option<NodeIdx>,
    /// How its clients call.
    pub(crate) client: CallPolicy,
    /// Where they wait for answers: what they do then. The curve tells how many there are.
    pub(crate) users: Option<Thinking>,
    pub(crate) key: EntityKey,
    /// The load, where its clients are counted by themselves.
    pub(crate) counted: Option<LoadId>,
    /// Without waiting, with the gateway.
    pub(crate) base_latency: SimSpan,
}

/// Position among what is told of: the nodes, then the sources whose clients are counted, then the
/// zones of Services that are divided.
pub(crate) type RowIdx = usize;

impl Graph {
    pub(crate) fn row_count(&self) -> usize {
        self.nodes.len() + self.edges.counted.len() + self.served.len()
    }

    /// The source that a row is about, when it is about one.
    pub(crate) fn source_of(&self, row: RowIdx) -> Option<&Source> {
        let counted = row.checked_sub(self.nodes.len())?;
        Some(&self.edges.sources[*self.edges.counted.get(counted)?])
    }

    /// The divided Service and the zone that a row is about, when it is about one.
    pub(crate) fn served_of(&self, row: RowIdx) -> Option<(NodeIdx, ZoneId)> {
        let served = row.checked_sub(self.nodes.len() + self.edges.counted.len())?;
        Some(self.served[served])
    }

    /// The rows of the zones of a divided Service, in the order of zones.
    pub(crate) fn served_rows(&self, head: NodeIdx) -> Option<std::ops::Range<RowIdx>> {
        let first = self.served.iter().position(|(node, _)| *node == head)?;
        let first = self.nodes.len() + self.edges.counted.len() + first;
        Some(first..first + self.zone_count)
    }

    /// The node that a row is about, or that it asks.
    pub(crate) fn node_of(&self, row: RowIdx) -> NodeIdx {
        match (self.source_of(row), self.served_of(row)) {
            (Some(source), _) => source.service,
            (None, Some((node, _))) => node,
            (None, None) => row,
        }
    }

    /// Whether calls to a node are divided among stations.
    pub(crate) fn is_divided(&self, node: NodeIdx) -> bool {
        !self.nodes[node].stations.is_empty()
    }

    /// The nodes that the endpoints of a Service stand behind: its stations, or just its node.
    pub(crate) fn nodes_of<'a>(&'a self, node: &'a NodeIdx) -> &'a [NodeIdx] {
        let stations = self.nodes[*node].stations.as_slice();
        if stations.is_empty() { std::slice::from_ref(node) } else { stations }
    }

    /// The first of the stations that a node is one of.
    pub(crate) fn head_of(&self, node: NodeIdx) -> NodeIdx {
        self.nodes[node].station_of.unwrap_or(node)
    }

    /// The load of a source.
    pub(crate) fn load_of(&self, source: &Source) -> &NodeLoad {
        &self.nodes[source.service].loads[source.load]
    }

    /// How long those wait who ask for a row when nothing waits.
    pub(crate) fn base_latency_of(&self, row: RowIdx) -> SimSpan {
        match self.source_of(row) {
            Some(source) => self.load_of(source).base_latency,
            None => self.nodes[self.node_of(row)].base_latency,
        }
    }

    /// Whether nothing is told of a row: of one station of several by itself.
    pub(crate) fn is_untold(&self, row: RowIdx) -> bool {
        self.nodes.get(row).is_some_and(|node| node.station_of.is_some())
    }

    /// What is told of a row; `crossing_ppm` of the requests come from another zone, where that is
    /// told.
    pub(crate) fn told(&self, row: RowIdx, segment: FlowSegment, crossing_ppm: u32) -> Observation {
        if let Some((_, zone)) = self.served_of(row) {
            return Observation::ServedFlow { zone, segment, crossing_ppm };
        }
        match self.counted_load(row) {
            Some(load) => Observation::ClientFlow { load, segment },
            None => Observation::Flow(segment),
        }
    }

    /// The same of latencies.
    pub(crate) fn told_answered(&self, row: RowIdx, within_ns: u64, count: u64) -> Observation {
        let service = self.nodes[self.node_of(row)].service;
        if let Some((_, zone)) = self.served_of(row) {
            return Observation::ServedAnswered { service, zone, within_ns, count };
        }
        match self.counted_load(row) {
            Some(load) => Observation::ClientAnswered { load, within_ns, count },
            None => Observation::Answered { service, within_ns, count },
        }
    }

    fn counted_load(&self, row: RowIdx) -> Option<LoadId> {
        self.source_of(row).and_then(|source| self.load_of(source).counted)
    }
}

impl Plan {
    pub(crate) fn new(blueprint: &Blueprint) -> Result<Self, GraphError> {
        let edges = Calls::of(blueprint);
        let order = edges.order(blueprint)?;
        let part_by_service = edges.parts();
        let mut parts: Vec<Graph> = Vec::new();
        let mut part_by_root = vec![None; edges.calls.len()];
        let mut place_by_service = vec![None; edges.calls.len()];
        for &service in &order {
            let part = *part_by_root[part_by_service[service]].get_or_insert_with(|| {
                let database_count = blueprint.databases.len();
                parts.push(Graph { database_count, ..Graph::default() });
                parts.len() - 1
            });
            place_by_service[service] = Some((part, parts[part].nodes.len()));
            parts[part].nodes.push(edges.node(service, service, blueprint));
            if let Some(canary) = edges.canaries[service] {
                let nodes = &mut parts[part].nodes;
                let (node, twin) = (nodes.len() - 1, nodes.len());
                nodes.push(edges.node(canary, service, blueprint));
                (nodes[node].twin, nodes[twin].twin_of) = (Some(twin), Some(node));
                place_by_service[canary] = Some((part, twin));
            }
            if blueprint.is_divided(ServiceId::from_index(service)) {
                edges.add_stations(&mut parts[part], service, blueprint);
            }
        }
        parts.iter_mut().for_each(|part| part.sites = sites(part, blueprint));
        let mut windows = vec![SimSpan::ZERO; edges.calls.len()];
        for canary in &blueprint.canaries {
            windows[canary.canary_service.index()] = canary.analysis.window_max();
        }
        let mut plan = Self {
            parts,
            place_by_service,
            cpu_per_request: Vec::new(),
            cores_max: cores_max(blueprint),
            windows,
        };
        plan.add_calls(&edges);
        plan.add_loads(blueprint)?;
        for part in &mut plan.parts {
            add_latencies(&mut part.nodes);
            let loads = part.nodes.iter_mut().flat_map(|node| &mut node.loads);
            (0..).zip(loads).for_each(|(source, load)| load.source = source);
            part.asking_gateways = asking_gateways(&part.nodes);
            part.has_part_writes = part.nodes.iter().any(|node| !node.part_writes.is_empty());
            part.edges = Edges::of(&part.nodes, blueprint);
            let has_calls = part.edges.of_node.iter().any(|calls| !calls.is_empty());
            part.resolvers =
                blueprint.cluster_dns.as_ref().filter(|_| has_calls).map(Resolvers::of);
            part.limits = limits(&part.nodes, &mut part.edges, blueprint);
            part.stickies = stickies(&part.nodes, &mut part.edges, blueprint);
        }
        plan.cpu_per_request = edges.cpu_per_request;
        Ok(plan)
    }

    fn add_calls(&mut self, edges: &Calls) {
        for (service, calls) in edges.calls.iter().enumerate() {
            let Some((part, caller)) = self.place_by_service[service] else { continue };
            for &callee in calls {
                let callee = self.place(callee).1;
                let nodes = &mut self.parts[part].nodes;
                let stations = nodes[caller].stations.iter().skip(1).copied();
                let others = nodes[caller].twin.into_iter().chain(stations);
                let callers: Vec<NodeIdx> = std::iter::once(caller).chain(others).collect();
                for caller in callers {
                    nodes[caller].calls.push(callee);
                    nodes[callee].callers.push(caller);
                }
            }
        }
    }

    fn add_loads(&mut self, blueprint: &Blueprint) -> Result<(), GraphError> {
        for (idx, load) in blueprint.loads.iter().enumerate() {
            let curve = Curve::through(&load.points)
                .ok_or_else(|| GraphError::CurveOutOfOrder(blueprint.service_name(load.service)))?;
            let (part, node) = self.place(load.service.index());
            let via = load.via.map(|gateway| self.place(gateway.index()).1);
            let nodes = &mut self.parts[part].nodes;
            if let Some(via) = via {
                let load_idx = nodes[node].loads.len();
                nodes[via].through.push((node, load_idx));
            }
            let key = key_of(load, &nodes[node], blueprint);
            nodes[node].loads.push(NodeLoad {
                id: LoadId::from_index(idx),
                source: 0,
                clients: load.clients.clone(),
                curve,
                via,
                client: load.client,
                users: load.users,
                key,
                counted: load.clients.are_counted().then(|| LoadId::from_index(idx)),
                base_latency: SimSpan::ZERO,
            });
        }
        Ok(())
    }

    fn place(&self, service: usize) -> (usize, NodeIdx) {
        self.place_by_service[service].expect("every Service that a load reaches has a place")
    }

    /// Where a Service is, if it gets requests.
    pub(crate) fn place_of(&self, service: ServiceId) -> Option<(usize, NodeIdx)> {
        self.place_by_service.get(service.index()).copied().flatten()
    }

    /// CPU that a pod of a Service uses at most when it may use so much.
    pub(crate) fn usable_millis(&self, service: ServiceId, cpu_millis: u64) -> u64 {
        let cores_max = self.cores_max.get(service.index()).copied().flatten();
        cores_max.map_or(cpu_millis, |cores| cpu_millis.min(u64::from(cores) * 1000))
    }

    pub(crate) fn cpu_per_request(&self, service: ServiceId) -> SimSpan {
        self.cpu_per_request.get(service.index()).copied().unwrap_or_default()
    }
}

/// The zone of each site at which callers are told apart.
fn sites(part: &Graph, blueprint: &Blueprint) -> Vec<usize> {
    if part.nodes.iter().any(|node| node.division == Division::Nodes) {
        blueprint.nodes.iter().map(|node| node.zone.index()).collect()
    } else {
        (0..part.zone_count).collect()
    }
}

fn cores_max(blueprint: &Blueprint) -> Vec<Option<u32>> {
    let mut cores_max = vec![None; blueprint.services.len()];
    for profile in &blueprint.profiles {
        cores_max[profile.service.index()] = profile.serving.cores_max;
    }
    for canary in &blueprint.canaries {
        cores_max[canary.canary_service.index()] = cores_max[canary.service.index()];
    }
    cores_max
}

/// The name of the clients of a load, which comes next among those of a Service.
fn key_of(load: &Load, node: &Node, blueprint: &Blueprint) -> EntityKey {
    let key = node.key.child("clients");
    if !load.clients.are_counted() {
        let others = node.loads.iter().filter(|load| load.counted.is_none());
        return key.part(others.count() as u64);
    }
    let tenant = load.clients.tenant.iter().fold(key, |key, name| key.child("tenant").child(name));
    let zone = load.clients.zone.map(|zone| &blueprint.zones[zone.index()].name);
    let key = zone.iter().fold(tenant, |key, name| key.child("zone").child(name));
    let Some(found) = load.clients.found else { return key };
    key.child("record").part(2 * found.record as u64 + u64::from(found.keeps))
}

/// Requests per 1000 s that a pod with so much CPU can answer, rounded down; without end when a
/// request takes no CPU time.
pub fn pod_capacity_millirps(cpu_millis: u64, cpu_per_request: SimSpan) -> u64 {
    if cpu_per_request.is_zero() {
        return u64::MAX;
    }
    let nanos = u128::from(cpu_millis) * 1_000_000_000 / u128::from(cpu_per_request.as_nanos());
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

fn asking_gateways(nodes: &[Node]) -> Vec<NodeIdx> {
    let is_asking = |node: &Node| {
        let writes = !node.databases.is_empty() || !node.part_writes.is_empty();
        !node.through.is_empty() && (!node.calls.is_empty() || writes)
    };
    (0..nodes.len()).filter(|idx| is_asking(&nodes[*idx])).collect()
}

/// Sums the latency of each path, callees first, then the gateways. Of calls that are made at the same
/// time the longest counts.
fn add_latencies(nodes: &mut [Node]) {
    for idx in (0..nodes.len()).rev() {
        let node = &nodes[idx];
        let policy = |call: usize| node.policies.get(call).copied().unwrap_or_default();
        let calls: Vec<(NodeIdx, bool)> = (0..node.calls.len())
            .map(|call| (node.calls[call], policy(call).is_parallel))
            .collect();
        let longest = |stage: &[(NodeIdx, bool)]| {
            let all = stage.iter().map(|(call, _)| nodes[*call].base_latency);
            all.max().unwrap_or_default()
        };
        let called: SimSpan = stages(&calls, |(_, is_parallel)| *is_parallel).map(longest).sum();
        nodes[idx].base_latency = nodes[idx].base_latency.saturating_add(called);
    }
    let own: Vec<SimSpan> = nodes.iter().map(|node| node.base_latency).collect();
    for (idx, node) in nodes.iter_mut().enumerate() {
        for load in &mut node.loads {
            let entry = load.via.map_or(SimSpan::ZERO, |via| own[via]);
            load.base_latency = own[idx].saturating_add(entry);
        }
        // The first of equals, so that the order written decides.
        let gateways = node.loads.iter().rev().filter_map(|load| load.via);
        node.entry = gateways.max_by_key(|&via| own[via]);
        let entry = node.entry.map_or(SimSpan::ZERO, |via| own[via]);
        node.base_latency = node.base_latency.saturating_add(entry);
    }
}

/// The databases that each request of a Service writes to, and those that a share of them does.
fn writes(profile: &ServiceProfile, blueprint: &Blueprint) -> (Vec<DatabaseId>, Vec<PartWrite>) {
    let share_of = |database: DatabaseId| {
        let known = blueprint.databases.get(database.index());
        let mut writers = known.into_iter().flat_map(|it| &it.writers);
        writers.find(|it| it.service == profile.service).map_or(ALL_PPM, |it| it.share_ppm)
    };
    let (all, parts): (Vec<DatabaseId>, Vec<DatabaseId>) =
        profile.writes_to.iter().partition(|database| share_of(**database) >= ALL_PPM);
    let part = |database: DatabaseId| PartWrite {
        database,
        share_ppm: share_of(database),
        is_denied: blueprint.is_denied(Some(profile.service), Callee::Database(database)),
    };
    (all, parts.into_iter().map(part).collect())
}

/// The graph as the blueprint has it, by position of the Service.
struct Calls {
    calls: Vec<Vec<usize>>,
    /// Services behind a gateway: they must come after it.
    behind: Vec<Vec<usize>>,
    databases: Vec<Vec<DatabaseId>>,
    part_writes: Vec<Vec<PartWrite>>,
    base_latency: Vec<SimSpan>,
    cpu_per_request: Vec<SimSpan>,
    roots: Vec<usize>,
    /// The Service of the revision that is tried.
    canaries: Vec<Option<usize>>,
}

impl Calls {
    fn of(blueprint: &Blueprint) -> Self {
        let count = blueprint.services.len();
        let mut edges = Self {
            calls: vec![Vec::new(); count],
            behind: vec![Vec::new(); count],
            databases: vec![Vec::new(); count],
            part_writes: vec![Vec::new(); count],
            base_latency: vec![SimSpan::ZERO; count],
            cpu_per_request: vec![SimSpan::ZERO; count],
            roots: Vec::new(),
            canaries: vec![None; count],
        };
        for profile in &blueprint.profiles {
            let service = profile.service.index();
            edges.calls[service] = profile.depends_on.iter().map(|id| id.index()).collect();
            (edges.databases[service], edges.part_writes[service]) = writes(profile, blueprint);
            edges.base_latency[service] = profile.base_latency;
            edges.cpu_per_request[service] = profile.cpu_per_request;
        }
        for load in &blueprint.loads {
            edges.roots.push(load.service.index());
            if let Some(gateway) = load.via {
                edges.roots.push(gateway.index());
                edges.behind[gateway.index()].push(load.service.index());
            }
        }
        for canary in &blueprint.canaries {
            let (service, twin) = (canary.service.index(), canary.canary_service.index());
            edges.canaries[service] = Some(twin);
            edges.cpu_per_request[twin] = edges.cpu_per_request[service];
        }
        edges
    }

    /// A Service that nobody calls yet, which serves as `like` does.
    fn node(&self, named: usize, like: usize, blueprint: &Blueprint) -> Node {
        let (named, id, service) =
            (ServiceId::from_index(named), ServiceId::from_index(like), like);
        let profile = blueprint.profiles.iter().rfind(|profile| profile.service == id);
        let quota = profile.and_then(|it| Quota::of(&it.serving, it.cpu_per_request));
        Node {
            service: named,
            loads: Vec::new(),
            through: Vec::new(),
            callers: Vec::new(),
            calls: Vec::new(),
            policies: profile.map_or_else(Vec::new, |profile| {
                (0..profile.depends_on.len()).map(|call| profile.policy(call)).collect()
            }),
            upstream: profile.map_or_else(CallPolicy::default, |profile| profile.upstream),
            serving: profile.map_or_else(Serving::default, |profile| profile.serving),
            quota,
            tables: Arc::default(),
            varied: Arc::default(),
            bunched: Arc::default(),
            key: EntityKey::of("service").child(&blueprint.service_name(named)),
            own_latency: self.base_latency[service],
            databases: self.databases[service].clone(),
            part_writes: self.part_writes[service].clone(),
            is_denied_database: self.databases[service]
                .iter()
                .any(|&database| blueprint.is_denied(Some(id), Callee::Database(database))),
            entry: None,
            base_latency: self.base_latency[service],
            twin: None,
            twin_of: None,
            stations: Vec::new(),
            station_of: None,
            division: blueprint.division_of(id),
            is_local_from_outside: blueprint.services[service].is_local_from_outside(),
            is_local_inside: blueprint.services[service].is_local_inside(),
            prefers_node: blueprint.services[service].traffic_distribution
                == TrafficDistribution::PreferSameNode,
            door: blueprint.balancer_of(id).map(Door::of),
            is_service_upstream: blueprint.services[service].is_service_upstream,
        }
    }

    /// Makes the last node of a part the station of the first zone, cluster node or pod, and adds those
    /// of the others.
    fn add_stations(&self, part: &mut Graph, service: usize, blueprint: &Blueprint) {
        let head = part.nodes.len() - 1;
        part.zone_count = blueprint.zones.len();
        part.nodes[head].stations.push(head);
        let key = part.nodes[head].key;
        let keys: Vec<EntityKey> = match part.nodes[head].division {
            Division::Nodes => {
                blueprint.nodes.iter().map(|it| key.child("node").child(&it.node.name)).collect()
            }
            Division::Zones | Division::Whole => {
                blueprint.zones.iter().map(|zone| key.child("zone").child(&zone.name)).collect()
            }
            Division::Pods => {
                let count = blueprint.pod_place_count(ServiceId::from_index(service));
                (0..count as u64).map(|place| key.child("pod").part(place)).collect()
            }
        };
        for key in &keys[1..] {
            let mut station = self.node(service, service, blueprint);
            station.key = *key;
            station.station_of = Some(head);
            // What requests meet at pods follows from these alone.
            station.tables = Arc::clone(&part.nodes[head].tables);
            station.varied = Arc::clone(&part.nodes[head].varied);
            station.bunched = Arc::clone(&part.nodes[head].bunched);
            let number = part.nodes.len();
            part.nodes[head].stations.push(number);
            part.nodes.push(station);
        }
        let zones = (0..blueprint.zones.len()).map(ZoneId::from_index);
        part.served.extend(zones.map(|zone| (head, zone)));
    }

    /// For each Service one that stands for all it is connected with.
    fn parts(&self) -> Vec<usize> {
        let mut root: Vec<usize> = (0..self.calls.len()).collect();
        let find = |root: &[usize], mut service: usize| {
            while root[service] != service {
                service = root[service];
            }
            service
        };
        for (service, calls) in self.calls.iter().enumerate() {
            for &other in calls.iter().chain(&self.behind[service]) {
                let (one, other) = (find(&root, service), find(&root, other));
                root[one.max(other)] = one.min(other);
            }
        }
        (0..root.len()).map(|service| find(&root, service)).collect()
    }

    /// Every Service that a load reaches, callers before callees.
    fn order(&self, blueprint: &Blueprint) -> Result<Vec<usize>, GraphError> {
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let mut marks = vec![Mark::New; self.calls.len()];
        let mut done = Vec::new();
        for &root in &self.roots {
            // A path from the root, each with the position of the next edge to follow.
            let mut path = vec![(root, 0)];
            if marks[root] != Mark::New {
                continue;
            }
            marks[root] = Mark::Open;
            while let Some((service, edge)) = path.last_mut() {
                let service = *service;
                let mut next = self.calls[service].iter().chain(&self.behind[service]);
                let Some(&callee) = next.nth(*edge) else {
                    marks[service] = Mark::Done;
                    done.push(service);
                    path.pop();
                    continue;
                };
                *edge += 1;
                match marks[callee] {
                    Mark::Done => {}
                    Mark::New => {
                        marks[callee] = Mark::Open;
                        path.push((callee, 0));
                    }
                    Mark::Open => return Err(cycle(blueprint, &path, callee)),
                }
            }
        }
        done.reverse();
        Ok(done)
    }
}

fn cycle(blueprint: &Blueprint, path: &[(usize, usize)], callee: usize) -> GraphError {
    let name = |service: usize| blueprint.service_name(ServiceId::from_index(service));
    let circle = path.iter().map(|&(service, _)| service).skip_while(|&service| service != callee);
    GraphError::Cycle(circle.chain([callee]).map(name).collect())
}
