//! A platform of nothing but requests: a script of what happens to endpoints.

use std::fmt::Write as _;
use std::sync::Arc;

use model_api::blueprint::{NodeSpec, Writes, Zone};
use model_api::canary::{Analysis, Canary};
use model_api::dns::{ClusterDns, Found};
use model_api::gateway::{Failover, Gateway, GatewayUpstream, LoadBalancer, Vrrp};
use model_api::kube::{
    Labels, PodTemplate, Service, TrafficDistribution, TrafficPolicy, Workload, WorkloadKind,
};
use model_api::limiter::{Limiter, StoreSeen, StoreState};
use model_api::load::{Clients, Load, LoadPoint, ServiceProfile, Thinking};
use model_api::observation::{Counted, FlowSegment, Throttling};
use model_api::path::{CallPolicy, DeniedCall, Serving};
use model_api::session::{Sessions, SessionsSeen, Stickiness, StickyUpstream};
use model_api::{Blueprint, DatabaseId, Observation, Origin, ServiceId, WorkloadId, ZoneId};
use model_load::{
    Choice, Entrance, Flows, LoadEvent, News, Place, Standing, Station, Traffic, WorkFlow, rare,
};
use sim_kernel::{
    Context, Journal, Limits, Model, Priority, ProbeCounter, Recorder, SimSpan, SimTime,
    Simulation, Streams,
};

/// What a script can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Ready and live endpoints of a Service, and what all live ones can do, per 1000 s.
    Endpoints(u32, u32, u32, u64),
    /// Whether a database takes writes.
    Writable(u32, bool),
    /// Factor in thousandths and ramp in seconds for the load of a Service.
    Factor(u32, u64, u64),
    /// The same at once for one tenant's.
    TenantFactor(u32, &'static str, u64),
    /// What clients get to know of a record of the name that leads to the gateways of a case.
    News(usize, News),
    /// What Services get to know of those that they call.
    Inside(News),
    /// How long that takes, in milliseconds.
    LookUp(u64),
    /// What becomes of those who ask the store of a limiter.
    Store(usize, StoreState),
    /// Likewise, of so many of a million of them.
    StorePart(usize, StoreState, u32),
    /// Of a million answers of the pods behind a Service, how many are errors.
    Failing(u32, u32),
    /// Of a million requests that a Service works on, how many need its call with this number.
    Needed(u32, usize, u32),
    /// Of a hundred requests for a Service, how many its canary answers; or it gets copies.
    Split(u32, u32, bool),
    /// Of a Service that is divided by zone: ready and live endpoints of each zone, and what they can
    /// do, per 1000 s; proxies there use them and no others.
    Stations(u32, [(u32, u32, u64); ZONE_COUNT]),
    /// The same without hints.
    Pool(u32, [(u32, u32); ZONE_COUNT], u64),
    /// Ready and live endpoints of another Service in each zone.
    Places(u32, [(u32, u32); ZONE_COUNT]),
    /// Nodes of each zone that requests from outside may enter at.
    Outside([u32; ZONE_COUNT]),
    /// Of a Service that is divided by node: ready and live endpoints of each node, and what they can do,
    /// per 1000 s.
    OnNodes(u32, [(u32, u32, u64); NODE_COUNT]),
    /// The same of another Service.
    NodePlaces(u32, [(u32, u32); NODE_COUNT]),
    /// Of a Service whose clients stay with a pod, in each place: the number of a pod, zero without one;
    /// whether it lives; and what it can do, per 1000 s.
    Pods(u32, [(u64, bool, u64); PLACE_COUNT]),
    /// A Service has an endpoint on each node; that of this one is about to go.
    Going(u32, usize),
    /// Nodes that requests from outside for a Service come in at and stay on.
    Fronts(u32, [bool; NODE_COUNT]),
    /// Of so many live pods of a Service, the first so many die with the requests in them.
    Deaths(u32, u32, u32),
    /// Whether the balancer before a Service answers, nodes that it leads to, and silent ones.
    Entrance(u32, bool, u32, u32),
    /// Pods of a Service that the gateway of a case chooses from: those that answer, and silent ones.
    Choice(u32, u32, u32),
}

/// Zones of a case that has any.
pub(crate) const ZONE_COUNT: usize = 3;

/// Nodes of a case that has any, and their zones.
pub(crate) const NODE_COUNT: usize = 4;
const ZONES_OF_NODES: [u32; NODE_COUNT] = [0, 0, 1, 2];

/// Places for pods of a Service whose clients stay with one: four and what comes before others go.
pub(crate) const PLACE_COUNT: usize = 5;
const REPLICAS: u32 = 4;

fn places(counts: &[(u32, u32)]) -> Vec<Place> {
    let place = |(site, &(ready_count, live_count)): (usize, &(u32, u32))| Place {
        site,
        ready_count,
        live_count,
    };
    let some = counts.iter().enumerate().filter(|(_, counts)| **counts != (0, 0));
    some.map(place).collect()
}

/// Stations of which each has its own endpoints.
fn standing(own: &[(u32, u32, u64)]) -> Standing {
    let station = |(site, &(ready, live, capacity_millirps)): (usize, &(u32, u32, u64))| {
        let mut counts = vec![(0, 0); own.len()];
        counts[site] = (ready, live);
        Station { places: places(&counts), capacity_millirps, ..Station::default() }
    };
    Standing { stations: own.iter().enumerate().map(station).collect(), are_hinted: true }
}

#[derive(Clone, Copy, Debug, Hash)]
pub(crate) enum WorldEvent {
    Load(LoadEvent),
    Step(u32),
}

impl From<LoadEvent> for WorldEvent {
    fn from(event: LoadEvent) -> Self {
        Self::Load(event)
    }
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) flows: Flows,
    script: Arc<Vec<Act>>,
}

impl World {
    fn act(flows: &mut Flows, act: Act) {
        match act {
            Act::Endpoints(service, ready, live, capacity) => {
                flows.set_endpoints(ServiceId(service), ready, live, capacity);
            }
            Act::Writable(database, is) => flows.set_database_writable(DatabaseId(database), is),
            Act::Failing(service, ppm) => flows.set_failing(ServiceId(service), ppm),
            Act::Needed(service, call, ppm) => flows.set_needed(ServiceId(service), call, ppm),
            Act::Split(service, weight, is_mirrored) => {
                flows.set_split(ServiceId(service), weight, is_mirrored);
            }
            Act::Stations(service, zones) => {
                flows.set_stations(ServiceId(service), &standing(&zones));
            }
            Act::Pool(service, counts, capacity_millirps) => {
                let mut stations = vec![Station::default(); ZONE_COUNT];
                stations[0] =
                    Station { places: places(&counts), capacity_millirps, ..Station::default() };
                let standing = Standing { stations, are_hinted: false };
                flows.set_stations(ServiceId(service), &standing);
            }
            Act::Places(service, counts) => flows.set_places(ServiceId(service), &places(&counts)),
            Act::Outside(counts) => flows.set_outside(&counts, &[true; NODE_COUNT]),
            Act::OnNodes(service, nodes) => {
                flows.set_stations(ServiceId(service), &standing(&nodes));
            }
            Act::Pods(service, pods) => {
                let station = |&(pod, is_live, millirps): &(u64, bool, u64)| {
                    let live_count = u32::from(is_live);
                    let place = Place { site: 0, ready_count: 1, live_count };
                    let capacity_millirps = if is_live { millirps } else { 0 };
                    let pod = Some(pod);
                    Station { places: vec![place], capacity_millirps, pod, ..Station::default() }
                };
                let stations = pods.iter().map(|it| match it.0 {
                    0 => Station::default(),
                    _ => station(it),
                });
                let standing = Standing { stations: stations.collect(), are_hinted: false };
                flows.set_stations(ServiceId(service), &standing);
            }
            Act::NodePlaces(service, counts) => {
                flows.set_places(ServiceId(service), &places(&counts));
            }
            Act::Going(service, node) => {
                let mut standing = standing(&[(1, 1, 1_000_000); NODE_COUNT]);
                standing.stations[node].is_last_resort = true;
                flows.set_stations(ServiceId(service), &standing);
            }
            Act::Fronts(service, nodes) => flows.set_fronts(ServiceId(service), &nodes),
            Act::Deaths(..) => unreachable!("nothing is lost before the start"),
            Act::Entrance(service, is_answering, member_count, silent_count) => {
                let entrance = Entrance { is_answering, member_count, silent_count };
                flows.set_entrance(ServiceId(service), entrance);
            }
            Act::Choice(service, live_count, silent_count) => {
                let choice = Choice { live_count, silent_count };
                flows.set_choice(ServiceId(0), ServiceId(service), choice);
            }
            Act::Factor(service, milli, secs) => {
                flows
                    .set_load_factor(ServiceId(service), SimSpan::from_secs(secs), |_| Some(milli));
            }
            Act::TenantFactor(service, tenant, milli) => {
                flows.set_load_factor(ServiceId(service), SimSpan::ZERO, |whose| {
                    (whose == Some(tenant)).then_some(milli)
                });
            }
            Act::Store(limiter, state) => flows.set_store(limiter, StoreSeen::of_all(state)),
            Act::StorePart(limiter, state, lost_ppm) => {
                flows.set_store(limiter, StoreSeen { state, lost_ppm });
            }
            Act::Inside(news) => flows.hear_inside(news),
            Act::LookUp(millis) => flows.set_look_up(SimSpan::from_millis(millis)),
            Act::News(record, news) => {
                flows.hear(Found { name: 0, record, keeps: false }, news);
            }
        }
    }
}

impl Model for World {
    type Event = WorldEvent;
    type Observation = Observation;

    fn handle<R: Recorder<Observation>>(
        &mut self,
        event: WorldEvent,
        ctx: &mut Context<'_, WorldEvent, R>,
    ) {
        match event {
            WorldEvent::Load(event) => self.flows.handle(event, ctx),
            WorldEvent::Step(idx) => match self.script[idx as usize] {
                Act::Deaths(service, died, live) => {
                    let died = vec![SimSpan::ZERO; died as usize];
                    self.flows.lose_requests(ServiceId(service), &died, live, ctx);
                }
                act => Self::act(&mut self.flows, act),
            },
        }
        self.flows.settle(ctx);
    }
}

/// Seconds, and requests per 1000 s.
pub(crate) type Points = Vec<(u64, u64)>;

/// A Service of a case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) calls: Vec<u32>,
    pub(crate) databases: Vec<u32>,
    /// Of a million of its requests, how many write to these; all where `None`.
    pub(crate) write_ppm: Option<u32>,
    pub(crate) base_millis: u64,
    /// Gateway and points of each load.
    pub(crate) loads: Vec<(Option<u32>, Points)>,
    pub(crate) serving: Serving,
    /// How it calls the others, and those behind it.
    pub(crate) policy: CallPolicy,
    /// Of its calls, the first so many are made at the same time.
    pub(crate) parallel_count: usize,
    /// How the clients of its loads call.
    pub(crate) client: CallPolicy,
    /// Where the clients of its loads wait for answers: what they do then.
    pub(crate) users: Option<Thinking>,
    /// By load: the tenant that its clients belong to, and how they call; of the others as above.
    pub(crate) tenants: Vec<(&'static str, CallPolicy)>,
    /// By load: the zone that its clients have nearest.
    pub(crate) zones: Vec<u32>,
    /// From how many addresses each of its loads comes.
    pub(crate) addresses: Option<u32>,
    /// By load: the record of the name by which its clients found their gateway.
    pub(crate) records: Vec<usize>,
    /// Its endpoints carry hints.
    pub(crate) has_hints: bool,
    /// What keeps its requests on their node.
    pub(crate) keeps: Option<Keeps>,
    /// A load balancer is before it, which gives each node so many milliseconds.
    pub(crate) connect_millis: Option<u64>,
    /// The gateway of a case, which is its first Service, gives each of its pods so many milliseconds,
    /// and tries so many more.
    pub(crate) chosen: Option<(u64, u32)>,
    /// Gateways leave the choice of its endpoints to proxies.
    pub(crate) is_service_upstream: bool,
    /// Clients stay with a pod of it.
    pub(crate) sticky: Option<Stickiness>,
    /// By load: those who do.
    pub(crate) sessions: Sessions,
}

/// What keeps requests to a Service on their node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// `internalTrafficPolicy: Local`.
    Inside,
    /// `externalTrafficPolicy: Local`.
    FromOutside,
    /// `trafficDistribution: PreferSameNode`.
    Hints,
}

/// Whose requests are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// All to a Service.
    Service(u32),
    /// Those of a load.
    Load(u32),
    /// Those that endpoints of a Service in a zone got.
    Served(u32, u32),
}

/// Services, and what happens to them, in milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) nodes: Vec<Node>,
    pub(crate) start: Vec<Act>,
    pub(crate) script: Vec<(u64, Act)>,
    pub(crate) millis: u64,
    /// What network policies deny.
    pub(crate) denied: Vec<DeniedCall>,
    /// Services look up whom they call.
    pub(crate) looks_up: bool,
    /// How long somebody keeps the answers, for each pod that asks.
    pub(crate) keeps_secs: u64,
    /// Of a million calls, those that ask; all where `None`.
    pub(crate) connecting_ppm: Option<u32>,
    /// Rate limits that the first Service keeps.
    pub(crate) limiters: Vec<Limiter>,
    /// Services with canaries, each with the node of the revision that is tried.
    pub(crate) canaries: Vec<(u32, u32)>,
}

/// What a run told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) segments: Vec<(SimTime, FlowSegment)>,
    /// Load, end and segment of clients that are counted by themselves.
    pub(crate) clients: Vec<(u32, SimTime, FlowSegment)>,
    /// Service, zone, end, segment and share in parts per million that came from other zones.
    pub(crate) served: Vec<(u32, u32, SimTime, FlowSegment, u32)>,
    /// Latency in nanoseconds, answers.
    pub(crate) answered: Vec<(Of, u64, u64)>,
    /// What quotas did to the pods of a Service.
    pub(crate) throttled: Vec<(u32, Throttling)>,
    /// What became of the sessions of a Service.
    pub(crate) sessions: Vec<(u32, SessionsSeen)>,
    pub(crate) event_count: u64,
    pub(crate) digest: u64,
    /// How often each of `rare::ALL` happened.
    pub(crate) hits: Vec<u64>,
}

impl Case {
    pub(crate) fn blueprint(&self) -> Blueprint {
        let (denied, limiters) = (self.denied.clone(), self.limiters.clone());
        let mut blueprint = Blueprint { denied, limiters, ..Blueprint::default() };
        blueprint.cluster_dns = self.looks_up.then(|| ClusterDns {
            service: ServiceId(0),
            kept_for: SimSpan::from_secs(self.keeps_secs),
            connecting_ppm: self.connecting_ppm.unwrap_or(1_000_000),
            latency: SimSpan::ZERO,
            question_count: 1,
            gives_up_after: SimSpan::from_secs(10),
            origin: Origin::default(),
        });
        let is_divided = |it: &Node| it.has_hints || it.keeps.is_some() || it.sticky.is_some();
        if self.nodes.iter().any(is_divided) {
            let zone = |name: &str| Zone { name: name.to_owned(), ..Zone::default() };
            blueprint.zones = ["a", "b", "c"].map(zone).to_vec();
        }
        if self.nodes.iter().any(|node| node.keeps.is_some()) {
            let node = |zone| NodeSpec { zone: ZoneId(zone), ..NodeSpec::default() };
            blueprint.nodes = ZONES_OF_NODES.map(node).to_vec();
            for (number, node) in blueprint.nodes.iter_mut().enumerate() {
                node.node.name = format!("n{number}");
            }
        }
        for (idx, node) in (0_u32..).zip(&self.nodes) {
            blueprint.services.push(Service {
                namespace: "shop".into(),
                name: format!("s{idx}"),
                traffic_distribution: match (node.has_hints, node.keeps) {
                    (_, Some(Keeps::Hints)) => TrafficDistribution::PreferSameNode,
                    (true, _) => TrafficDistribution::PreferSameZone,
                    (false, _) => TrafficDistribution::None,
                },
                internal_traffic_policy: policy(node.keeps == Some(Keeps::Inside)),
                external_traffic_policy: policy(node.keeps == Some(Keeps::FromOutside)),
                is_external: node.keeps == Some(Keeps::FromOutside),
                is_service_upstream: node.is_service_upstream,
                selector: labels(idx),
                session_affinity: match node.sticky {
                    Some(Stickiness::Address { timeout }) => Some(timeout),
                    _ => None,
                },
                ..Service::default()
            });
            if let Some(stickiness) = node.sticky {
                let service = ServiceId(idx);
                blueprint.stickies.push(StickyUpstream { service, stickiness });
                blueprint.workloads.push(workload(idx));
            }
            blueprint.profiles.push(ServiceProfile {
                service: ServiceId(idx),
                cpu_per_request: SimSpan::from_millis(10),
                base_latency: SimSpan::from_millis(node.base_millis),
                depends_on: node.calls.iter().copied().map(ServiceId).collect(),
                policies: (0..node.calls.len())
                    .map(|call| CallPolicy {
                        is_parallel: call < node.parallel_count,
                        ..node.policy
                    })
                    .collect(),
                upstream: node.policy,
                serving: node.serving,
                writes_to: node.databases.iter().copied().map(DatabaseId).collect(),
                readiness: model_api::path::Readiness::default(),
                origin: Origin::default(),
            });
            if let Some(millis) = node.connect_millis {
                blueprint.balancers.push(LoadBalancer {
                    name: format!("s{idx}"),
                    service: ServiceId(idx),
                    machine_zones: vec![ZoneId(0)],
                    zones: vec![ZoneId(0)],
                    monitor: None,
                    connect_timeout: SimSpan::from_millis(millis),
                    try_count: LoadBalancer::TRY_COUNT,
                    vrrp: Vrrp::default(),
                    failover: Failover::default(),
                    origin: Origin::default(),
                });
            }
            if let Some((millis, retries)) = node.chosen {
                let upstream = GatewayUpstream {
                    retries,
                    connect_timeout: SimSpan::from_millis(millis),
                    ..GatewayUpstream::of(ServiceId(idx))
                };
                blueprint.gateways.push(Gateway {
                    service: ServiceId(0),
                    controller: None,
                    database: None,
                    poll_period: Gateway::POLL_PERIOD,
                    workloads: Vec::new(),
                    sync_period: Gateway::SYNC_PERIOD,
                    update_period: Gateway::UPDATE_PERIOD,
                    upstreams: vec![upstream],
                    origin: Origin::default(),
                });
            }
            for (load, (via, points)) in node.loads.iter().enumerate() {
                let tenant = node.tenants.get(load).copied();
                let point = |&(secs, rate_millirps): &(u64, u64)| LoadPoint {
                    at: SimTime::from_secs(secs),
                    rate_millirps,
                };
                blueprint.loads.push(Load {
                    service: ServiceId(idx),
                    via: via.map(ServiceId),
                    clients: Clients {
                        tenant: tenant.map(|(name, _)| name.to_owned()),
                        zone: node.zones.get(load).copied().map(ZoneId),
                        addresses: node.addresses,
                        sessions: node.sessions,
                        found: node.records.get(load).map(|&record| Found {
                            name: 0,
                            record,
                            keeps: false,
                        }),
                    },
                    client: tenant.map_or(node.client, |(_, client)| client),
                    users: node.users,
                    points: points.iter().map(point).collect(),
                    origin: Origin::default(),
                });
            }
        }
        blueprint.canaries =
            self.canaries.iter().map(|&(service, tried)| canary(service, tried)).collect();
        let databases = self.nodes.iter().flat_map(|node| &node.databases).max();
        for _ in 0..databases.map_or(0, |last| last + 1) {
            blueprint.databases.push(model_api::blueprint::Database {
                namespace: "shop".into(),
                name: "db".into(),
                workload: WorkloadId(0),
                read_write_service: ServiceId(0),
                read_only_service: ServiceId(0),
                instances: 1,
                switchover_delay: SimSpan::from_hours(1),
                has_isolation_check: true,
                session_count: 100,
                ..model_api::blueprint::Database::default()
            });
        }
        for (service, node) in (0..).map(ServiceId).zip(&self.nodes) {
            for database in &node.databases {
                let writers = &mut blueprint.databases[*database as usize].writers;
                writers.extend(node.write_ppm.map(|share_ppm| Writes { service, share_ppm }));
            }
        }
        blueprint
    }

    pub(crate) fn run(&self) -> Run {
        self.run_of(Flows::new(&self.blueprint()).expect("a case is well formed"))
    }

    /// With every single request.
    pub(crate) fn run_requests(&self, seed: u64) -> Run {
        let flows = Flows::new(&self.blueprint()).expect("a case is well formed");
        self.run_of(flows.with_requests(Streams::new(seed, 0)))
    }

    /// Requests in the pods of each Service at the start, in thousandths.
    pub(crate) fn inside_milli(&self) -> Vec<(ServiceId, u64)> {
        let mut inside = Vec::new();
        let look = |service, flow: WorkFlow| inside.push((service, flow.inside_milli));
        self.started(|flows| flows.take_bends(look));
        inside
    }

    /// What comes to a Service at the start, and is in its pods.
    pub(crate) fn traffic(&self, service: u32) -> Traffic {
        self.started(|flows| flows.traffic(ServiceId(service)).expect("somebody asks for it"))
    }

    fn started<T>(&self, look: impl FnOnce(&mut Flows) -> T) -> T {
        let flows = Flows::new(&self.blueprint()).expect("a case is well formed");
        let world = World { flows, script: Arc::default() };
        let mut sim = Simulation::new(world, Journal::new(), Limits::default());
        sim.apply(|world, ctx| {
            for &act in &self.start {
                World::act(&mut world.flows, act);
            }
            world.flows.settle(ctx);
            look(&mut world.flows)
        })
    }

    fn run_of(&self, flows: Flows) -> Run {
        let script = Arc::new(self.script.iter().map(|&(_, act)| act).collect());
        let recorder = ProbeCounter::new(Journal::new());
        let mut sim = Simulation::new(World { flows, script }, recorder, Limits::default());
        sim.apply(|world, ctx| {
            for &act in &self.start {
                World::act(&mut world.flows, act);
            }
            world.flows.settle(ctx);
        });
        for (idx, &(at, _)) in (0_u32..).zip(&self.script) {
            sim.schedule_at(SimTime::from_millis(at), Priority::NORMAL, WorldEvent::Step(idx));
        }
        let outcome = sim.run_until(SimTime::from_millis(self.millis));
        assert!(outcome.is_complete(), "{outcome}");
        sim.apply(|world, ctx| world.flows.finish(ctx));
        let (mut segments, mut clients, mut answered) = (Vec::new(), Vec::new(), Vec::new());
        let (mut served, mut throttled, mut sessions) = (Vec::new(), Vec::new(), Vec::new());
        let (event_count, digest) = (sim.stats().handled_count, sim.digest());
        let (_, recorder) = sim.into_parts();
        let (journal, hits) = recorder.into_parts();
        for record in journal.observations() {
            match record.observation {
                Observation::Flow(segment) => segments.push((segment.until, segment)),
                Observation::Answered { service, within_ns, count } => {
                    answered.push((Of::Service(service.0), within_ns, count));
                }
                Observation::ClientFlow { load, segment } => {
                    clients.push((load.0, segment.until, segment));
                }
                Observation::ClientAnswered { load, within_ns, count } => {
                    answered.push((Of::Load(load.0), within_ns, count));
                }
                Observation::ServedFlow { zone, segment, crossing_ppm } => {
                    served.push((segment.service.0, zone.0, segment.until, segment, crossing_ppm));
                }
                Observation::ServedAnswered { service, zone, within_ns, count } => {
                    answered.push((Of::Served(service.0, zone.0), within_ns, count));
                }
                Observation::Throttled { service, seen } => throttled.push((service.0, seen)),
                Observation::Sessions { service, seen } => sessions.push((service.0, seen)),
                other => panic!("only flows are told, not {other:?}"),
            }
        }
        let script_count = self.script.iter().filter(|&&(at, _)| at <= self.millis).count() as u64;
        Run {
            segments,
            clients,
            served,
            answered,
            throttled,
            sessions,
            event_count: event_count - script_count,
            digest,
            hits: rare::ALL.iter().map(|probe| hits.count(probe)).collect(),
        }
    }
}

fn labels(service: u32) -> Labels {
    [("app".to_owned(), format!("s{service}"))].into_iter().collect()
}

fn workload(service: u32) -> Workload {
    Workload {
        kind: WorkloadKind::ReplicaSet,
        namespace: "shop".into(),
        name: format!("s{service}"),
        replicas: REPLICAS,
        selector: None,
        min_ready: SimSpan::ZERO,
        template: PodTemplate { labels: labels(service), ..PodTemplate::default() },
        origin: Origin::default(),
    }
}

const fn policy(is_local: bool) -> TrafficPolicy {
    if is_local { TrafficPolicy::Local } else { TrafficPolicy::Cluster }
}

fn canary(service: u32, tried: u32) -> Canary {
    Canary {
        namespace: "shop".into(),
        name: format!("s{service}"),
        target: WorkloadId(0),
        primary: WorkloadId(0),
        service: ServiceId(service),
        canary_service: ServiceId(tried),
        label: "app".into(),
        replicas: None,
        analysis: Analysis::default(),
        is_suspended: false,
        origin: Origin::default(),
    }
}

impl Run {
    pub(crate) fn of(&self, service: u32) -> Vec<(SimTime, FlowSegment)> {
        let is = |(_, segment): &&(SimTime, FlowSegment)| segment.service == ServiceId(service);
        self.segments.iter().filter(is).copied().collect()
    }

    pub(crate) fn segments_of(&self, of: Of) -> Vec<(SimTime, FlowSegment)> {
        match of {
            Of::Service(service) => self.of(service),
            Of::Load(load) => {
                let its = self.clients.iter().filter(|(other, ..)| *other == load);
                its.map(|&(_, until, segment)| (until, segment)).collect()
            }
            Of::Served(service, zone) => {
                let is =
                    |it: &&(u32, u32, SimTime, FlowSegment, u32)| (it.0, it.1) == (service, zone);
                self.served.iter().filter(is).map(|it| (it.2, it.3)).collect()
            }
        }
    }

    /// Of the requests that endpoints of a Service got, the share that came from another zone.
    pub(crate) fn crossing(&self, service: u32) -> f64 {
        let (mut all, mut crossed) = (0.0, 0.0);
        for (_, _, until, it, ppm) in self.served.iter().filter(|it| it.0 == service) {
            let rate = (it.offered_from_millirps + it.offered_until_millirps) as f64;
            let count = rate * (*until - it.from).as_secs_f64();
            all += count;
            crossed += count * f64::from(*ppm) / 1e6;
        }
        crossed / all
    }

    /// Requests offered and served over the run.
    pub(crate) fn totals(&self, of: Of) -> (f64, f64) {
        self.segments_of(of).iter().fold((0.0, 0.0), |(offered, served), (until, segment)| {
            let secs = (*until - segment.from).as_secs_f64() / 2e3;
            if let Some(Counted { asked, answered, .. }) = segment.counted {
                return (offered + asked as f64, served + answered as f64);
            }
            let sum = |first: u64, last: u64| (first as f64 + last as f64) * secs;
            (
                offered + sum(segment.offered_from_millirps, segment.offered_until_millirps),
                served + sum(segment.served_from_millirps, segment.served_until_millirps),
            )
        })
    }

    /// Requests that a rate limit refused over the run.
    pub(crate) fn limited(&self, of: Of) -> f64 {
        self.segments_of(of).iter().fold(0.0, |sum, (until, segment)| {
            let secs = (*until - segment.from).as_secs_f64() / 2e3;
            let (first, last) = (segment.limited_from_millirps, segment.limited_until_millirps);
            sum + segment
                .counted
                .map_or((first as f64 + last as f64) * secs, |counted| counted.limited as f64)
        })
    }

    /// The segments of a Service, one line each: times in s, rates in requests per s.
    pub(crate) fn text(&self, service: u32) -> String {
        let mut text = String::new();
        let secs = |at: SimTime| at.as_nanos() as f64 / 1e9;
        let rate = |millirps: u64| millirps as f64 / 1e3;
        for (until, segment) in self.of(service) {
            let _ = writeln!(
                text,
                "{}-{} asked {}-{} served {}-{} {:?}",
                secs(segment.from),
                secs(until),
                rate(segment.offered_from_millirps),
                rate(segment.offered_until_millirps),
                rate(segment.served_from_millirps),
                rate(segment.served_until_millirps),
                segment.loss,
            );
        }
        text
    }
}
