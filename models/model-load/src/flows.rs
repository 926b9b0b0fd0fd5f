//! The flows of a run over time: applies inputs, cuts segments, waits for the next bend.

mod cached;
mod cut;
mod entering;
mod segment;
mod seldom;
mod sessions;
mod standing;
mod traffic;

use std::sync::Arc;

use model_api::limiter::StoreSeen;
use model_api::{Blueprint, DatabaseId, Observation, ServiceId};
use sim_kernel::{Context, Priority, Recorder, SimSpan, SimTime, Streams, Timer};

use crate::curve::{Shape, Side};
use crate::edges::EdgeIdx;
use crate::entrance::{Choice, Entrance};
use crate::evaluation::{Endpoints, Inputs, NodeFlow, evaluate};
use crate::fluid::{Fluid, Waiting, wait_of};
use crate::graph::{Graph, GraphError, NodeIdx, NodeLoad, Plan, pod_capacity_millirps};
use crate::limits::LimitIdx;
use crate::lookup::News;
use crate::readiness::Gates;
use crate::request::{Requests, WINDOW};
use crate::split::{Meter, Rates, Split};
use crate::stations::{Place, Told};
use crate::strain::Strains;
use crate::stretch::{self, Room, Stretch};

use cut::Cuts;
use segment::{Closing, Open, waits_of};
use seldom::{Seen, note_rare};
use sessions::Bounds;
pub use traffic::Traffic;

/// After everything else that happens at the same instant.
const PRIORITY: Priority = Priority::LAST;

/// What flows wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoadEvent {
    /// Some flow bends now.
    BendDue {
        /// Among Services that are connected: the number of their part of the graph.
        part: u32,
    },
    /// A window of single requests ends.
    WindowDue,
    /// The readiness probes of a Service have noticed that a database is away, or back.
    ReadinessDue {
        /// Among Services whose probes ask for a database.
        gate: u32,
    },
    /// No more answers are lost in place of requests that were in pods that died.
    CutOver {
        /// The number of the loss.
        cut: u32,
    },
    /// Sessions that ended moved a part of the requests of those who stay with a pod.
    SessionsDue {
        /// The number of the call that they make.
        bound: u32,
    },
}

const _: () = assert!(size_of::<LoadEvent>() <= 12);

/// All requests of a run.
#[derive(Clone, Debug)]
pub struct Flows {
    plan: Arc<Plan>,
    parts: Vec<Part>,
    /// Parts that were told something since the last [`Flows::settle`]; all of them before the
    /// first. With repetitions, in no order.
    told: Vec<usize>,
    /// Parts of which a stretch began since [`Flows::take_bends`].
    turned: Vec<u32>,
    gates: Gates,
    /// What stands behind gates whose Service is divided by zone.
    behind_gates: Told,
    strains: Strains,
    cuts: Cuts,
    bounds: Bounds,
    /// Single requests, when they are wanted; then they tell what happened, and the flows only
    /// what CPU they cost.
    requests: Option<Box<Requests>>,
    /// What was told since the last [`Flows::settle`], for the requests.
    told_requests: Vec<(usize, Input)>,
}

/// The requests of Services that are connected.
#[derive(Clone, Debug)]
struct Part {
    number: u32,
    inputs: Inputs,
    /// Told since the last [`Flows::settle`].
    pending: Vec<Input>,
    stretch: Stretch,
    bend: Timer,
    /// The segment of each row that has not been told yet.
    open: Vec<Open>,
    /// The flows at the start of the stretch; all through it when it is constant.
    current: Vec<NodeFlow>,
    is_started: bool,
    /// Somebody else tells what happens.
    is_silent: bool,
    /// Where calls have policies and queues have limits: what they remember. Then the rest of this
    /// is not used.
    fluid: Option<Box<Fluid>>,
    room: Room,
    closing: Closing,
    /// When the stretch began.
    since: SimTime,
    /// What becomes of requests to twins, by node.
    meters: Vec<(NodeIdx, Meter)>,
}

/// Something the platform told.
#[derive(Clone, Debug, PartialEq)]
enum Input {
    Endpoints(NodeIdx, Endpoints),
    /// Of a source.
    Factor(usize, u64, SimSpan),
    Store(LimitIdx, StoreSeen),
    /// Of a source.
    News(usize, News),
    Inside(News),
    LookUp(SimSpan),
    Writable(DatabaseId, bool),
    Failing(NodeIdx, u32),
    Split(NodeIdx, Split),
    /// Of a million requests, how many need a call.
    Needed(EdgeIdx, u32),
    /// Where the endpoints of a node are.
    Places(NodeIdx, Box<[Place]>),
    /// Whether its endpoints carry hints, and are a last resort.
    Marked(NodeIdx, bool, bool),
    /// By site, nodes that requests from outside may enter at.
    Outside(Box<[u32]>),
    /// The same of those that stay there.
    Fronts(NodeIdx, Box<[u32]>),
    Entrance(NodeIdx, Entrance),
    Choice(EdgeIdx, Choice),
    /// Of a call whose callers stay with a pod: by place.
    Sticky(usize, Box<[f64]>),
}

/// Requests that the pods of a Service answer over a stretch of time, and what CPU they cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkFlow {
    /// At its start.
    pub from_nanocores: u64,
    /// When it bends next, and what it is then; `None` when it stays as it is.
    pub until: Option<(SimTime, u64)>,
    /// Requests that are answered, in the mean until it bends, per 1000 s.
    pub answered_millirps: u64,
    /// Requests that are in its pods in the mean, waiting and answers of others included, in
    /// thousandths: the rate times how long they are there.
    ///
    /// Simplified: where the rate ramps, as it is at the start of the stretch, or in its middle where
    /// no flow has a memory.
    pub inside_milli: u64,
}

/// What became of the requests to the Service of a canary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CanarySeen {
    /// Of a million, how many were answered well; `None` of none.
    pub success_ppm: Option<i64>,
    /// The time that all but one in a hundred are answered within, in nanoseconds, as it is at the
    /// end of the window, and of the flow where single requests are played; `None` of none.
    pub duration_ns: Option<i64>,
    /// The same, as one meets it who asks now and then.
    pub idle_duration_ns: i64,
}

impl Flows {
    /// Flows as the blueprint's loads and profiles have them; no Service has endpoints yet.
    ///
    /// # Errors
    /// When Services need each other in a circle, or a curve goes back in time.
    pub fn new(blueprint: &Blueprint) -> Result<Self, GraphError> {
        let plan = Arc::new(Plan::new(blueprint)?);
        let parts = (0_u32..)
            .zip(&plan.parts)
            .map(|(number, graph)| Part::new(number, graph, &plan.windows));
        let told = (0..plan.parts.len()).collect();
        Ok(Self {
            parts: parts.collect(),
            told,
            turned: Vec::new(),
            gates: Gates::of(blueprint),
            behind_gates: Told::default(),
            strains: Strains::default(),
            cuts: Cuts::default(),
            bounds: Bounds::of(&plan),
            requests: None,
            told_requests: Vec::new(),
            plan,
        })
    }

    /// The same at time zero, with every single request played.
    #[must_use]
    pub fn with_requests(mut self, streams: Streams) -> Self {
        self.requests = Some(Box::new(Requests::of(&self.plan, streams)));
        for part in &mut self.parts {
            part.is_silent = true;
        }
        self
    }

    /// Single requests, when they are played.
    pub fn requests(&self) -> Option<&Requests> {
        self.requests.as_deref()
    }

    /// Services that are asked from outside.
    pub fn loaded_services(&self) -> impl Iterator<Item = ServiceId> + '_ {
        let nodes = self.plan.parts.iter().flat_map(|part| &part.nodes);
        nodes.filter(|node| !node.loads.is_empty()).map(|node| node.service)
    }

    /// Requests that clients make until then when no factor changes what they ask for: without
    /// retries, and without the calls that Services make for them.
    pub fn client_request_count(&self, until: SimTime) -> u64 {
        let nodes = self.plan.parts.iter().flat_map(|part| &part.nodes);
        // Those of a name have all its clients, each of which is led by one of them.
        let is_other = |load: &&NodeLoad| load.clients.found.is_none_or(|found| found.record == 0);
        let loads = nodes.flat_map(|node| &node.loads).filter(is_other);
        let count = |load: &NodeLoad| {
            let count = load.curve.request_count(until);
            // No user asks more often than it thinks.
            load.users.map_or(count, |users| {
                let think_ns = u128::from(users.mean.as_nanos().max(1));
                let most = u128::from(count) * 1_000_000_000 / think_ns;
                u64::try_from(most).unwrap_or(u64::MAX)
            })
        };
        loads.fold(0, |sum: u64, load| sum.saturating_add(count(load)))
    }

    /// CPU time that one request takes in a pod of the Service.
    pub fn cpu_per_request(&self, service: ServiceId) -> SimSpan {
        self.plan.cpu_per_request(service)
    }

    /// Requests per 1000 s that one pod of the Service with this CPU limit can answer.
    pub fn pod_capacity_millirps(&self, service: ServiceId, cpu_millis: u64) -> u64 {
        let usable_millis = self.plan.usable_millis(service, cpu_millis);
        pod_capacity_millirps(usable_millis, self.plan.cpu_per_request(service))
    }

    /// Tells what stands behind a Service: endpoints that get traffic, how many of these can
    /// answer, and what the living ones can answer together, in requests per 1000 s.
    ///
    /// # Panics
    /// When more live than are ready: only endpoints that get traffic count as live here.
    pub fn set_endpoints(
        &mut self,
        service: ServiceId,
        ready_count: u32,
        live_count: u32,
        capacity_millirps: u64,
    ) {
        self.set_endpoints_reached(service, (ready_count, live_count), capacity_millirps, None);
    }

    /// The same of endpoints, as (ready, live), of which callers know different ones: of a million
    /// attempts so many are sent to a living one.
    ///
    /// # Panics
    /// Likewise.
    pub fn set_endpoints_reached(
        &mut self,
        service: ServiceId,
        (ready_count, live_count): (u32, u32),
        capacity_millirps: u64,
        reaching_ppm: Option<u32>,
    ) {
        assert!(live_count <= ready_count, "only endpoints that get traffic count as live here");
        let endpoints = Endpoints { ready_count, live_count, capacity_millirps, reaching_ppm };
        let endpoints = self.gates.pass(service, endpoints);
        self.tell_endpoints(service, endpoints);
    }

    fn tell_endpoints(&mut self, service: ServiceId, endpoints: Endpoints) {
        if let Some((part, node)) = self.plan.place_of(service) {
            self.tell(part, Input::Endpoints(node, endpoints));
        }
    }

    /// Tells of a Service with a canary how many of [`TOTAL_WEIGHT`] requests the revision answers
    /// that is tried; or that it gets copies of all of them and answers none.
    ///
    /// [`TOTAL_WEIGHT`]: model_api::canary::TOTAL_WEIGHT
    pub fn set_split(&mut self, service: ServiceId, weight: u32, is_mirrored: bool) {
        if let Some((part, node)) = self.plan.place_of(service)
            && self.plan.parts[part].nodes[node].twin.is_some()
        {
            self.tell(part, Input::Split(node, Split { weight, is_mirrored }));
        }
    }

    /// What became of the requests to the Service of a canary in the window that ends now; to be
    /// called after everything of this instant that was told before was settled.
    pub fn canary_seen<E, R>(
        &mut self,
        service: ServiceId,
        window: SimSpan,
        ctx: &mut Context<'_, E, R>,
    ) -> CanarySeen
    where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        let Some((part, node)) = self.plan.place_of(service) else { return CanarySeen::default() };
        let now = ctx.now();
        let graph = &self.plan.parts[part];
        let from = now.saturating_sub(window);
        let mut seen = self.parts[part].seen(graph, node, from, now);
        if let Some(requests) = &mut self.requests {
            requests.advance(now);
            requests.close_window(false, ctx);
            seen.success_ppm = requests.success_ppm(part, node, from);
        }
        seen
    }

    /// Tells whether a database takes writes.
    pub fn set_database_writable(&mut self, database: DatabaseId, is_writable: bool) {
        self.gates.set_writable(database, is_writable);
        for part in 0..self.parts.len() {
            self.tell(part, Input::Writable(database, is_writable));
        }
    }

    fn tell(&mut self, part: usize, input: Input) {
        if self.requests.is_some() {
            self.told_requests.push((part, input.clone()));
        }
        if let Input::Endpoints(node, endpoints) = &input {
            self.bounds.note_live(part, *node, endpoints.live_count);
        }
        self.parts[part].pending.push(input);
        self.told.push(part);
    }

    /// Applies what was told since the last time, at the instant at which it was told.
    ///
    /// # Panics
    /// When the first call, which starts the flows, is not at time zero.
    pub fn settle<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        self.watch_gates(ctx);
        self.settle_sessions(ctx);
        self.settle_requests(ctx);
        self.told.sort_unstable();
        self.told.dedup();
        for part in self.told.drain(..) {
            if self.parts[part].settle(&self.plan.parts[part], ctx) {
                self.turned.push(self.parts[part].number);
            }
        }
    }

    fn watch_gates<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        let news: Vec<(usize, SimSpan)> = self.gates.take_news().collect();
        for (idx, delay) in news {
            let gate = u32::try_from(idx).expect("Services are limited far below 2^32");
            let watched = self.gates.get_mut(idx);
            ctx.cancel(watched.timer);
            watched.timer = ctx.timer_in(delay, PRIORITY, LoadEvent::ReadinessDue { gate });
        }
    }

    /// Plays the requests that came before what was told, then tells them.
    fn settle_requests<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        let Some(requests) = &mut self.requests else { return };
        let is_first = self.parts.iter().any(|part| !part.is_started);
        if is_first && ctx.now() == SimTime::ZERO {
            ctx.schedule_in(WINDOW, PRIORITY, LoadEvent::WindowDue);
        }
        if self.told_requests.is_empty() {
            return;
        }
        requests.advance(ctx.now());
        requests.close_window(false, ctx);
        for (part, input) in self.told_requests.drain(..) {
            match input {
                Input::Endpoints(node, endpoints) => {
                    requests.set_node_endpoints(part, node, endpoints);
                }
                Input::Factor(source, factor_milli, ramp) => {
                    requests.set_factor(part, source, factor_milli, ramp);
                }
                Input::Store(limit, seen) => requests.set_store(part, limit, seen),
                Input::News(source, news) => requests.hear(part, source, news),
                Input::Inside(news) => requests.hear_inside(part, news),
                Input::LookUp(takes) => requests.set_look_up(part, takes),
                Input::Writable(database, is_writable) => {
                    requests.set_writable(part, database, is_writable);
                }
                Input::Failing(node, failing_ppm) => {
                    requests.set_failing(part, node, failing_ppm);
                }
                Input::Needed(edge, ppm) => requests.set_needed(part, edge, ppm),
                Input::Split(node, split) => requests.set_split(part, node, split),
                Input::Places(node, places) => requests.set_places(part, node, places),
                Input::Marked(node, is_hinted, is_last) => {
                    requests.set_marked(part, node, (is_hinted, is_last));
                }
                Input::Outside(counts) => requests.set_outside(part, counts),
                Input::Fronts(node, counts) => requests.set_fronts(part, node, counts),
                Input::Entrance(node, way) => requests.set_entrance(part, node, way),
                Input::Choice(edge, choice) => requests.set_choice(part, edge, choice),
                Input::Sticky(number, shares) => requests.set_sticky(part, number, shares),
            }
        }
        requests.reroute();
    }

    /// Takes an event of this model.
    pub fn handle<E, R>(&mut self, event: LoadEvent, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        match event {
            LoadEvent::BendDue { part } => {
                let part = part as usize;
                self.parts[part].turn(&self.plan.parts[part], ctx);
                self.turned.push(self.parts[part].number);
            }
            LoadEvent::ReadinessDue { gate } => {
                let gate = self.gates.get_mut(gate as usize);
                let (service, endpoints) = (gate.service, gate.turn());
                let is_shut = gate.is_shut;
                if self.is_divided(service) {
                    self.show_stations(service, !is_shut);
                } else {
                    self.tell_endpoints(service, endpoints);
                }
            }
            LoadEvent::SessionsDue { bound } => self.move_sessions(bound as usize, ctx),
            LoadEvent::CutOver { cut } => {
                if let Some(service) = self.cuts.end(cut) {
                    self.tell_failing(service);
                }
            }
            LoadEvent::WindowDue => {
                if let Some(requests) = &mut self.requests {
                    requests.advance(ctx.now());
                    requests.close_window(false, ctx);
                    ctx.schedule_in(WINDOW, PRIORITY, LoadEvent::WindowDue);
                }
            }
        }
    }

    /// Tells every open segment. To be called once, at the end of the run.
    pub fn finish<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        self.settle(ctx);
        for (part, graph) in self.parts.iter_mut().zip(&self.plan.parts) {
            part.finish(graph, ctx);
        }
        if let Some(requests) = &mut self.requests {
            requests.advance(ctx.now());
            requests.close_window(true, ctx);
            requests.tell_latencies(ctx);
        }
        self.tell_sessions(ctx);
    }

    /// Tells of each Service whose flow may have bent since the last call what CPU its requests cost
    /// from now on.
    pub fn take_bends(&mut self, mut tell: impl FnMut(ServiceId, WorkFlow)) {
        self.turned.sort_unstable();
        self.turned.dedup();
        for number in self.turned.drain(..) {
            let (part, graph) = (&self.parts[number as usize], &self.plan.parts[number as usize]);
            for (idx, node) in graph.nodes.iter().enumerate() {
                if node.station_of.is_none() {
                    let cost = self.plan.cpu_per_request(node.service);
                    tell(node.service, part.cpu_flow(graph, idx, cost));
                }
            }
        }
    }

    /// Requests of a Service from the last bend on; `None` of one that nobody asks.
    pub fn traffic(&self, service: ServiceId) -> Option<Traffic> {
        let (part, node) = self.plan.place_of(service)?;
        Some(self.parts[part].traffic(&self.plan.parts[part], node))
    }

    /// Asks for what [`Flows::take_late_answers`] tells of a Service, for these time-outs; before the
    /// run. Nothing is told of a Service that gets no requests.
    pub fn watch_answers(&mut self, service: ServiceId, timeouts: &[SimSpan]) {
        if let Some(place) = self.plan.place_of(service).filter(|_| !timeouts.is_empty()) {
            self.strains.watch(service, place, timeouts);
        }
    }

    /// Tells of each Service that is watched how many of a million answers of its pods, of themselves
    /// alone, are later than each of its time-outs, where that changed by more than a few percent
    /// since the last time. To be called before [`Flows::take_bends`].
    pub fn take_late_answers(&mut self, tell: impl FnMut(ServiceId, &[u32])) {
        let Self { strains, parts, plan, turned, .. } = self;
        let waiting = |part: usize, node| parts[part].waiting(&plan.parts[part], node);
        strains.take(turned, waiting, tell);
    }

    /// Forgets bends that nobody asks for.
    pub fn forget_bends(&mut self) {
        self.turned.clear();
    }
}

impl Part {
    fn new(number: u32, graph: &Graph, windows: &[SimSpan]) -> Self {
        let nothing = Open {
            from: SimTime::ZERO,
            offered: 0,
            served: 0,
            shape: Shape::Constant,
            signature: 0,
        };
        Self {
            number,
            inputs: Inputs::new(graph),
            pending: Vec::new(),
            stretch: Stretch { end: None, is_constant: true },
            bend: Timer::NONE,
            open: vec![nothing; graph.row_count()],
            current: vec![NodeFlow::default(); graph.row_count()],
            is_started: false,
            is_silent: false,
            fluid: Fluid::of(graph).map(Box::new),
            room: Room::default(),
            closing: Closing::default(),
            since: SimTime::ZERO,
            meters: graph
                .nodes
                .iter()
                .enumerate()
                .filter(|(_, node)| node.twin_of.is_some())
                .map(|(idx, node)| (idx, Meter::new(windows[node.service.index()])))
                .collect(),
        }
    }

    /// Whether a stretch began.
    fn settle<E, R>(&mut self, graph: &Graph, ctx: &mut Context<'_, E, R>) -> bool
    where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        if self.is_started && !self.has_news() {
            self.pending.clear();
            return false;
        }
        assert!(
            self.is_started || ctx.now() == SimTime::ZERO,
            "flows start at time zero, so that their segments begin there",
        );
        self.turn(graph, ctx);
        true
    }

    fn cpu_flow(&self, graph: &Graph, idx: NodeIdx, cost: SimSpan) -> WorkFlow {
        let spent = |accepted: u64| {
            let spent = u128::from(accepted) * u128::from(cost.as_nanos()) / 1000;
            u64::try_from(spent).unwrap_or(u64::MAX)
        };
        let (now, until) = match &self.fluid {
            Some(fluid) => fluid.worked_millirps(graph, idx),
            None => {
                let until = self.stretch.end.filter(|_| !self.stretch.is_constant);
                let last = |at| (at, self.room.last(idx).accepted);
                (self.current[idx].accepted, until.map(last))
            }
        };
        WorkFlow {
            from_nanocores: spent(now),
            until: until.map(|(at, then)| (at, spent(then))),
            answered_millirps: until.map_or(now, |(_, then)| now.midpoint(then)),
            inside_milli: self.inside_milli(graph, idx),
        }
    }

    fn inside_milli(&self, graph: &Graph, idx: NodeIdx) -> u64 {
        let inside = match &self.fluid {
            Some(fluid) => fluid.inside(graph, idx),
            None => {
                let stretch = if self.stretch.is_constant {
                    &self.current[idx]
                } else {
                    &self.room.middle[idx]
                };
                let wait = self.waiting(graph, idx).mean_secs();
                let secs = graph.nodes[idx].base_latency.as_secs_f64() + wait;
                stretch.accepted as f64 / 1000.0 * secs
            }
        };
        SimSpan::from_secs_f64_rounded(inside).as_millis()
    }

    /// What a request meets at the pods of a Service.
    fn waiting(&self, graph: &Graph, idx: NodeIdx) -> Waiting {
        if let Some(fluid) = &self.fluid {
            return fluid.waiting(graph, &self.inputs, idx);
        }
        let NodeFlow { reached, accepted, .. } =
            if self.stretch.is_constant { self.current[idx] } else { self.room.middle[idx] };
        let refused = if reached > 0 { 1.0 - accepted as f64 / reached as f64 } else { 0.0 };
        let wait = wait_of(&graph.nodes[idx].serving, self.inputs.endpoints[idx], reached);
        Waiting { refused, wait }
    }

    /// What became of the requests to a twin since an instant.
    fn seen(&mut self, graph: &Graph, idx: NodeIdx, from: SimTime, now: SimTime) -> CanarySeen {
        let Some(position) = self.meters.iter().position(|(node, _)| *node == idx) else {
            return CanarySeen::default();
        };
        let (first, last, duration_ns) = match &mut self.fluid {
            Some(fluid) => {
                let first = fluid.rates(idx);
                let (last, duration_ns) = fluid.look(graph, &self.inputs, idx, now);
                (first, last, duration_ns)
            }
            None => {
                let mut flows = Vec::new();
                evaluate(graph, &self.inputs, now, Side::Before, &mut flows);
                let mut waits = Vec::new();
                waits_of(graph, &self.inputs, &flows, &mut waits);
                let rates = |flow: &NodeFlow| Rates { offered: flow.offered, served: flow.served };
                let base = graph.nodes[idx].base_latency.as_nanos();
                let waits_ns = SimSpan::from_secs_f64_rounded(waits[idx].quantile(0.99)).as_nanos();
                let duration_ns = base.saturating_add(waits_ns);
                (rates(&self.current[idx]), rates(&flows[idx]), duration_ns)
            }
        };
        let meter = &self.meters[position].1;
        let mut open = Meter::new(SimSpan::MAX);
        open.tell((self.since, now), first, last);
        let (told, going) = (meter.sums(from, now), open.sums(from, now));
        let sums = told.and(going);
        let duration_ns = i64::try_from(duration_ns).unwrap_or(i64::MAX);
        CanarySeen {
            success_ppm: sums.success_ppm(),
            duration_ns: sums.success_ppm().map(|_| duration_ns),
            idle_duration_ns: duration_ns,
        }
    }

    fn has_news(&self) -> bool {
        let known = &self.inputs;
        self.pending.iter().any(|input| match input {
            Input::Endpoints(node, endpoints) => known.endpoints[*node] != *endpoints,
            Input::Writable(database, is) => known.are_writable[database.index()] != *is,
            Input::Factor(..) | Input::News(..) | Input::Inside(_) => true,
            Input::LookUp(takes) => known.look_up != *takes,
            Input::Store(limit, seen) => known.stores[*limit] != *seen,
            Input::Failing(node, failing_ppm) => known.failing_ppm[*node] != *failing_ppm,
            Input::Needed(edge, ppm) => known.needed_ppm[*edge] != *ppm,
            Input::Split(node, split) => known.splits[*node] != *split,
            Input::Places(node, places) => known.places[*node] != **places,
            Input::Marked(node, is_hinted, is_last) => {
                known.are_hinted[*node] != *is_hinted || known.are_last_resort[*node] != *is_last
            }
            Input::Outside(counts) => known.outside != **counts,
            Input::Fronts(node, counts) => known.fronts[*node] != **counts,
            Input::Entrance(node, way) => known.entrances[*node] != *way,
            Input::Choice(edge, choice) => known.choices[*edge] != *choice,
            Input::Sticky(number, shares) => known.sticky[*number] != **shares,
        })
    }

    /// Ends the stretch and begins the next one.
    fn turn<E, R>(&mut self, graph: &Graph, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        if let Some(fluid) = self.fluid.take() {
            return self.turn_fluid(fluid, graph, ctx);
        }
        let now = ctx.now();
        let mut closing = self.begin_closing(graph, now);
        for (idx, meter) in &mut self.meters {
            let rates = |flow: &NodeFlow| Rates { offered: flow.offered, served: flow.served };
            let (first, last) = (rates(&self.current[*idx]), rates(&closing.until[*idx]));
            meter.tell((self.since, now), first, last);
        }
        self.since = now;
        self.apply(now);
        let mut room = std::mem::take(&mut self.room);
        let next = stretch::next(graph, &self.inputs, now, &mut room);
        for (idx, open) in self.open.iter_mut().enumerate() {
            let opened = Open::of(&room, next, idx, now);
            if idx < graph.nodes.len() {
                let flow = if next.is_constant { &room.first[idx] } else { &room.middle[idx] };
                let seen = Seen {
                    is_lossy: flow.offered > flow.served,
                    is_overloaded: flow.accepted < flow.reached,
                    is_curved: flow.shape == Shape::Curved,
                };
                note_rare(graph, &self.inputs, seen, idx, ctx);
            }
            if !self.is_started {
                *open = opened;
            } else if opened.signature != open.signature {
                if !self.is_silent {
                    closing.tell(graph, idx, open, ctx);
                }
                *open = opened;
            }
        }
        std::mem::swap(&mut self.current, &mut room.first);
        self.room = room;
        self.closing = closing;
        self.stretch = next;
        self.is_started = true;
        self.wait_for(next.end, ctx);
    }

    fn wait_for<E, R>(&mut self, end: Option<SimTime>, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        ctx.cancel(self.bend);
        let bend = LoadEvent::BendDue { part: self.number };
        self.bend = end.map_or(Timer::NONE, |at| ctx.timer_at(at, PRIORITY, bend));
    }

    /// The same for flows that have a memory.
    fn turn_fluid<E, R>(
        &mut self,
        mut fluid: Box<Fluid>,
        graph: &Graph,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let firsts: Vec<Rates> = self.meters.iter().map(|(idx, _)| fluid.rates(*idx)).collect();
        fluid.advance(graph, &self.inputs, now);
        for ((idx, meter), first) in self.meters.iter_mut().zip(firsts) {
            meter.tell((self.since, now), first, fluid.rates(*idx));
        }
        self.since = now;
        let are_new = !self.pending.is_empty();
        self.apply(now);
        let is_silent = self.is_silent;
        let end = fluid.go_on(graph, &self.inputs, now, are_new, |seen| {
            if !is_silent {
                ctx.observe(|| seen);
            }
        });
        let is_asked_otherwise = stretch::is_changing(graph, &self.inputs, now);
        for idx in 0..graph.nodes.len() {
            let seen = Seen {
                is_lossy: fluid.is_lossy(idx),
                is_overloaded: fluid.is_overloaded(&self.inputs, idx),
                is_curved: !is_asked_otherwise && fluid.is_changing(idx),
            };
            note_rare(graph, &self.inputs, seen, idx, ctx);
        }
        self.fluid = Some(fluid);
        self.is_started = true;
        self.wait_for(end, ctx);
    }

    fn finish<E, R>(&mut self, graph: &Graph, ctx: &mut Context<'_, E, R>)
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        if let Some(fluid) = &mut self.fluid {
            fluid.advance(graph, &self.inputs, now);
            if !self.is_silent {
                fluid.finish(graph, now, |seen| ctx.observe(|| seen));
            }
            return;
        }
        let mut closing = self.begin_closing(graph, now);
        for (idx, open) in self.open.iter_mut().enumerate() {
            if !self.is_silent {
                closing.tell(graph, idx, open, ctx);
            }
            open.from = now;
            open.offered = closing.until[idx].offered;
            open.served = closing.until[idx].served;
        }
        self.closing = closing;
    }

    /// Keeps the world as it was until now, from which segments that end now are told.
    fn begin_closing(&mut self, graph: &Graph, now: SimTime) -> Closing {
        let mut closing = std::mem::take(&mut self.closing);
        closing.inputs.clone_from(&self.inputs);
        closing.now = now;
        closing.middle_at = None;
        closing.has_waits_until = false;
        if self.stretch.is_constant {
            closing.until.clone_from(&self.current);
        } else {
            evaluate(graph, &self.inputs, now, Side::Before, &mut closing.until);
        }
        closing
    }

    fn apply(&mut self, now: SimTime) {
        for input in self.pending.drain(..) {
            match input {
                Input::Endpoints(node, endpoints) => self.inputs.endpoints[node] = endpoints,
                Input::Writable(database, is_writable) => {
                    self.inputs.are_writable[database.index()] = is_writable;
                }
                Input::Failing(node, failing_ppm) => self.inputs.failing_ppm[node] = failing_ppm,
                Input::Needed(edge, ppm) => self.inputs.needed_ppm[edge] = ppm,
                Input::Split(node, split) => self.inputs.splits[node] = split,
                Input::Places(node, places) => self.inputs.places[node] = places.into_vec(),
                Input::Marked(node, is_hinted, is_last) => {
                    self.inputs.are_hinted[node] = is_hinted;
                    self.inputs.are_last_resort[node] = is_last;
                }
                Input::Outside(counts) => self.inputs.outside = counts.into_vec(),
                Input::Fronts(node, counts) => self.inputs.fronts[node] = counts.into_vec(),
                Input::Entrance(node, way) => self.inputs.entrances[node] = way,
                Input::Choice(edge, choice) => self.inputs.choices[edge] = choice,
                Input::Sticky(number, shares) => self.inputs.sticky[number] = shares.into_vec(),
                Input::Store(limit, seen) => self.inputs.stores[limit] = seen,
                Input::News(source, news) => {
                    let lookup = &mut self.inputs.lookups[source];
                    *lookup = lookup.hear(news, now);
                }
                Input::Inside(news) => self.inputs.inside = self.inputs.inside.hear(news, now),
                Input::LookUp(takes) => self.inputs.look_up = takes,
                Input::Factor(source, factor_milli, ramp) => {
                    let factor = &mut self.inputs.factors[source];
                    *factor = factor.ramp(now, factor_milli, ramp);
                }
            }
        }
    }
}
