//! Every request of connected Services, each an event.

use std::collections::VecDeque;
use std::sync::Arc;

use model_api::DatabaseId;
use model_api::observation::LossReason;
use model_api::path::CallPolicy;
use sim_kernel::{Context, Model, Priority, Purpose, Recorder, SimSpan, SimTime, Stream, Streams};

use super::policy::{BreakerState, Budget};
use super::source::{Next, Source};
use super::station::{Refusal, Station};
use super::tally::Tally;
use crate::curve::{Factor, Side};
use crate::edges;
use crate::evaluation::Endpoints;
use crate::graph::{Graph, Node, NodeIdx, Plan};

/// Requests need no order of their own at one instant but that of their coming.
const PRIORITY: Priority = Priority::NORMAL;
const ENDPOINT: Purpose = Purpose::new("endpoint of a request");

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Event {
    /// A request may come from outside.
    CandidateDue { source: u32, epoch: u32 },
    /// The load of a source bends.
    BendDue { source: u32, epoch: u32 },
    /// A Service did its own part of a visit.
    WorkedOff { visit: u32 },
    /// The outcome of an attempt reaches the caller.
    Ended { call: u32, serial: u32, outcome: Outcome },
    /// The pause before a retry is over.
    RetryDue { call: u32, serial: u32 },
    /// The oldest attempt that a caller still waits for may have taken too long.
    DeadlineDue { edge: u32 },
}

const _: () = assert!(size_of::<Event>() <= 12);

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Answered,
    TimedOut,
    /// Sent to an endpoint that cannot answer.
    Dead,
}

/// Where a request was lost, and why; [`LossReason::None`] when it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Loss {
    at: u32,
    reason: LossReason,
}

impl Loss {
    const NONE: Self = Self { at: 0, reason: LossReason::None };

    fn is_none(self) -> bool {
        self.reason == LossReason::None
    }
}

/// What a call needs to remember.
#[derive(Clone, Debug)]
struct Edge {
    callee: NodeIdx,
    policy: CallPolicy,
    /// Chooses endpoints, while some are dead.
    stream: Stream,
    budget: Option<Budget>,
    breaker: Option<BreakerState>,
    /// Attempts whose outcome is not known yet, in the order of their deadlines.
    deadlines: VecDeque<(SimTime, u32, u32)>,
}

impl Edge {
    fn new(spec: &edges::Edge, streams: Streams) -> Self {
        Self {
            callee: spec.callee,
            policy: spec.policy,
            stream: streams.stream(spec.key, ENDPOINT),
            budget: spec.policy.retry_budget_ppm.map(Budget::new),
            breaker: spec.policy.breaker.map(BreakerState::new),
            deadlines: VecDeque::new(),
        }
    }
}

/// A call with all its attempts.
#[derive(Clone, Copy, Debug)]
struct Call {
    edge: u32,
    caller: Caller,
    /// Counts attempts and reuses of this place, so that a late outcome is known as one.
    serial: u32,
    attempt: u32,
    first_at: SimTime,
    /// The window in which it was first tried.
    window: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Client(u32),
    Visit(u32),
}

/// An attempt that is being served by a Service that calls others.
#[derive(Clone, Copy, Debug)]
struct Visit {
    node: u32,
    call: u32,
    serial: u32,
    next: u32,
    came_at: SimTime,
    /// The window in which it came.
    window: u32,
    /// Where a gateway passes it on to.
    upstream: Option<u32>,
    failed: Loss,
}

/// The requests of connected Services.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    plan: Arc<Plan>,
    part: usize,
    stations: Vec<Station>,
    edges: Vec<Edge>,
    sources: Vec<Source>,
    factors: Vec<Factor>,
    are_writable: Vec<bool>,
    calls: Vec<Call>,
    free_calls: Vec<u32>,
    visits: Vec<Visit>,
    free_visits: Vec<u32>,
    pub(super) tallies: Vec<Tally>,
    /// Requests from outside so far.
    request_count: u64,
    /// The number of the window that goes on.
    window: u32,
}

impl Engine {
    pub(super) fn new(plan: &Arc<Plan>, part: usize, streams: Streams) -> Self {
        let graph = &plan.parts[part];
        let sources = graph.edges.sources.iter();
        Self {
            stations: graph
                .nodes
                .iter()
                .map(|node| Station::new(node.serving, node.key, streams))
                .collect(),
            edges: graph.edges.all.iter().map(|spec| Edge::new(spec, streams)).collect(),
            sources: sources.map(|source| Source::new(source.key, streams)).collect(),
            factors: vec![Factor::ONE; graph.nodes.len()],
            are_writable: vec![true; graph.database_count],
            calls: Vec::new(),
            free_calls: Vec::new(),
            visits: Vec::new(),
            free_visits: Vec::new(),
            tallies: graph.nodes.iter().map(|_| Tally::new()).collect(),
            request_count: 0,
            window: 0,
            plan: Arc::clone(plan),
            part,
        }
    }

    pub(super) fn graph(&self) -> &Graph {
        &self.plan.parts[self.part]
    }

    /// Requests from outside so far.
    pub(super) fn request_count(&self) -> u64 {
        self.request_count
    }

    /// Begins: every source plans its first request.
    pub(super) fn begin<R: Recorder<()>>(&mut self, ctx: &mut Context<'_, Event, R>) {
        for source in 0..self.sources.len() {
            self.turn(source, ctx);
        }
    }

    pub(super) fn set_endpoints(&mut self, node: NodeIdx, endpoints: Endpoints, now: SimTime) {
        self.stations[node].set_endpoints(endpoints, now);
    }

    pub(super) fn set_writable(&mut self, database: DatabaseId, is_writable: bool) {
        self.are_writable[database.index()] = is_writable;
    }

    pub(super) fn set_factor<R: Recorder<()>>(
        &mut self,
        node: NodeIdx,
        factor_milli: u64,
        ramp: SimSpan,
        ctx: &mut Context<'_, Event, R>,
    ) {
        self.factors[node] = self.factors[node].ramp(ctx.now(), factor_milli, ramp);
        for source in 0..self.sources.len() {
            if self.graph().edges.sources[source].service == node {
                self.turn(source, ctx);
            }
        }
    }

    /// Requests that clients ask for of a Service on that side of an instant, per 1000 s; `None` when
    /// others ask it too.
    fn asked(&self, node: NodeIdx, at: SimTime, side: Side) -> Option<u64> {
        let Node { loads, callers, through, .. } = &self.graph().nodes[node];
        let rates = loads.iter().map(|load| self.factors[node].rate_of(&load.curve, at, side));
        let is_asked_by_clients = !loads.is_empty() && callers.is_empty() && through.is_empty();
        is_asked_by_clients.then(|| rates.sum())
    }

    /// Requests that wait at a node now.
    pub(super) fn waiting_count(&mut self, node: NodeIdx, now: SimTime) -> usize {
        self.stations[node].waiting_count(now)
    }

    /// A source looks at its load anew.
    fn turn<R: Recorder<()>>(&mut self, source: usize, ctx: &mut Context<'_, Event, R>) {
        let wires = self.graph().edges.sources[source];
        let curve = &self.plan.parts[self.part].nodes[wires.service].loads[wires.load].curve;
        self.sources[source].turn(curve, self.factors[wires.service], ctx.now());
        self.expect(source, ctx);
    }

    #[inline]
    fn expect<R: Recorder<()>>(&mut self, idx: usize, ctx: &mut Context<'_, Event, R>) {
        let source = number(idx);
        let epoch = self.sources[idx].epoch;
        match self.sources[idx].next(ctx.now()) {
            Next::Candidate(at) => {
                ctx.schedule_at(at, PRIORITY, Event::CandidateDue { source, epoch });
            }
            Next::Bend(at) => {
                ctx.schedule_at(at, PRIORITY, Event::BendDue { source, epoch });
            }
            Next::Nothing => {}
        }
    }

    fn candidate<R: Recorder<()>>(&mut self, source: u32, ctx: &mut Context<'_, Event, R>) {
        let idx = source as usize;
        let wires = self.graph().edges.sources[idx];
        let curve = &self.plan.parts[self.part].nodes[wires.service].loads[wires.load].curve;
        let comes = self.sources[idx].keeps(curve, self.factors[wires.service], ctx.now());
        self.expect(idx, ctx);
        if comes {
            self.request_count += 1;
            self.call(number(wires.client), Caller::Client(source), ctx);
        }
    }

    /// Makes a call.
    fn call<R: Recorder<()>>(
        &mut self,
        edge_idx: u32,
        caller: Caller,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let now = ctx.now();
        if let Some(budget) = &mut self.edges[edge_idx as usize].budget {
            budget.deposit(now);
        }
        let window = self.window;
        let blank = Call { edge: edge_idx, caller, serial: 0, attempt: 0, first_at: now, window };
        if let Some(node) = self.told_to(edge_idx, caller) {
            self.tallies[node].asked();
        }
        let call = place(&mut self.calls, &mut self.free_calls, blank, |new, old| Call {
            serial: old.serial.wrapping_add(1),
            ..new
        });
        self.attempt(call, ctx);
    }

    /// The Service whose figures a call counts in: none for what a gateway passes on, which counts
    /// as part of the request from outside.
    #[inline]
    fn told_to(&self, edge: u32, caller: Caller) -> Option<NodeIdx> {
        match caller {
            Caller::Client(source) => Some(self.graph().edges.sources[source as usize].service),
            Caller::Visit(visit) => {
                let is_upstream = self.visits[visit as usize].upstream == Some(edge);
                (!is_upstream).then(|| self.edges[edge as usize].callee)
            }
        }
    }

    /// Ends the window that goes on.
    pub(super) fn close_window(&mut self, now: SimTime) {
        self.window += 1;
        for node in 0..self.tallies.len() {
            let from = self.tallies[node].window_from();
            let asked =
                self.asked(node, from, Side::After).zip(self.asked(node, now, Side::Before));
            self.tallies[node].close_window(now, asked);
        }
    }

    /// Sends an attempt off.
    fn attempt<R: Recorder<()>>(&mut self, call_idx: u32, ctx: &mut Context<'_, Event, R>) {
        let now = ctx.now();
        let call = self.calls[call_idx as usize];
        let edge = &mut self.edges[call.edge as usize];
        if let Some(breaker) = &mut edge.breaker
            && !breaker.permits(now)
        {
            return self.failed(call_idx, LossReason::BreakerOpen, ctx);
        }
        let deadline = edge.policy.timeout.map(|timeout| now.saturating_add(timeout));
        let station = &mut self.stations[edge.callee];
        let dead_share = station.dead_share();
        if dead_share > 0.0 && edge.stream.draw().chance(dead_share) {
            let outcome = Outcome::Dead;
            let at = deadline.unwrap_or(now);
            let event = Event::Ended { call: call_idx, serial: call.serial, outcome };
            ctx.schedule_at(at, PRIORITY, event);
            let callee = edge.callee;
            return self.tell_refused(callee, call.caller, LossReason::DeadEndpoints);
        }
        let start = match station.admit(now) {
            Ok(start) => start,
            Err(refusal) => {
                let (callee, reason) = (edge.callee, reason_of(refusal));
                self.note_breaker(call.edge, true, now);
                self.tell_refused(callee, call.caller, reason);
                return self.failed(call_idx, reason, ctx);
            }
        };
        let (callee, has_breaker) = (edge.callee, edge.breaker.is_some());
        let node = &self.plan.parts[self.part].nodes[callee];
        let upstream = self.upstream_of(callee, call.caller);
        let at = start.saturating_add(node.own_latency);
        if node.calls.is_empty() && node.databases.is_empty() && upstream.is_none() {
            // Nothing can change what becomes of it.
            let (outcome, at) = match deadline {
                Some(deadline) if deadline < at => (Outcome::TimedOut, deadline),
                _ => (Outcome::Answered, at),
            };
            if let (Caller::Client(source), Outcome::Answered) = (call.caller, outcome)
                && !has_breaker
            {
                // Nobody but the figures has to hear of it.
                self.free(call_idx);
                return self.tell_client(source, &call, at - call.first_at, Loss::NONE);
            }
            let event = Event::Ended { call: call_idx, serial: call.serial, outcome };
            ctx.schedule_at(at, PRIORITY, event);
            return;
        }
        let blank = Visit {
            node: number(callee),
            call: call_idx,
            serial: call.serial,
            next: 0,
            came_at: now,
            window: self.window,
            upstream,
            failed: Loss::NONE,
        };
        if upstream.is_some() {
            self.tallies[callee].asked();
        }
        let visit = place(&mut self.visits, &mut self.free_visits, blank, |new, _| new);
        ctx.schedule_at(at, PRIORITY, Event::WorkedOff { visit });
        if let Some(deadline) = deadline {
            self.watch(call.edge, (deadline, call_idx, call.serial), ctx);
        }
    }

    /// Where a gateway passes a request on to: only requests from outside have such a place, and
    /// only at the gateway itself.
    #[inline]
    fn upstream_of(&self, callee: NodeIdx, caller: Caller) -> Option<u32> {
        let Caller::Client(source) = caller else { return None };
        let wires = &self.graph().edges.sources[source as usize];
        wires.upstream.filter(|_| wires.service != callee).map(number)
    }

    /// Remembers when an attempt has taken too long. Attempts of one edge time out in the order in
    /// which they were made, so one event for the oldest of them is enough.
    fn watch<R: Recorder<()>>(
        &mut self,
        edge: u32,
        attempt: (SimTime, u32, u32),
        ctx: &mut Context<'_, Event, R>,
    ) {
        let deadlines = &mut self.edges[edge as usize].deadlines;
        deadlines.push_back(attempt);
        if deadlines.len() == 1 {
            ctx.schedule_at(attempt.0, PRIORITY, Event::DeadlineDue { edge });
        }
    }

    fn deadline<R: Recorder<()>>(&mut self, edge: u32, ctx: &mut Context<'_, Event, R>) {
        while let Some(&(at, call, serial)) = self.edges[edge as usize].deadlines.front() {
            let is_awaited = self.calls[call as usize].serial == serial;
            if is_awaited && at > ctx.now() {
                ctx.schedule_at(at, PRIORITY, Event::DeadlineDue { edge });
                return;
            }
            self.edges[edge as usize].deadlines.pop_front();
            if is_awaited {
                // Nothing joins this row meanwhile: a retry comes by an event of its own, and a
                // caller that goes on calls along another edge.
                self.ended(call, Outcome::TimedOut, ctx);
            }
        }
    }

    /// An attempt ended that its caller still waits for.
    fn ended<R: Recorder<()>>(
        &mut self,
        call: u32,
        outcome: Outcome,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let edge = self.calls[call as usize].edge;
        self.note_breaker(edge, outcome != Outcome::Answered, ctx.now());
        match outcome {
            Outcome::Answered => self.finish(call, Loss::NONE, ctx),
            Outcome::TimedOut => self.failed(call, LossReason::TimedOut, ctx),
            Outcome::Dead => self.failed(call, LossReason::DeadEndpoints, ctx),
        }
    }

    fn note_breaker(&mut self, edge: u32, is_failure: bool, now: SimTime) {
        if let Some(breaker) = &mut self.edges[edge as usize].breaker {
            breaker.note(is_failure, now);
        }
    }

    /// An attempt was lost at the Service that was called.
    fn failed<R: Recorder<()>>(
        &mut self,
        call: u32,
        reason: LossReason,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let at = number(self.edges[self.calls[call as usize].edge as usize].callee);
        self.lost(call, Loss { at, reason }, ctx);
    }

    /// An attempt was lost: tries again, or gives up.
    fn lost<R: Recorder<()>>(
        &mut self,
        call_idx: u32,
        loss: Loss,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let call = &mut self.calls[call_idx as usize];
        let edge = &mut self.edges[call.edge as usize];
        let may_retry = call.attempt < edge.policy.retries
            && edge.budget.as_mut().is_none_or(|budget| budget.withdraw(ctx.now()));
        if !may_retry {
            return self.finish(call_idx, loss, ctx);
        }
        let pause = pause_before(&edge.policy, call.attempt);
        call.attempt += 1;
        call.serial = call.serial.wrapping_add(1);
        let event = Event::RetryDue { call: call_idx, serial: call.serial };
        ctx.schedule_in(pause, PRIORITY, event);
    }

    /// A call is over.
    fn finish<R: Recorder<()>>(
        &mut self,
        call_idx: u32,
        loss: Loss,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let call = self.calls[call_idx as usize];
        self.free(call_idx);
        let latency = ctx.now() - call.first_at;
        let callee = self.edges[call.edge as usize].callee;
        match call.caller {
            Caller::Client(source) => self.tell_client(source, &call, latency, loss),
            Caller::Visit(visit) => {
                if let Some(node) = self.told_to(call.edge, call.caller) {
                    tell(&mut self.tallies[node], call.window, latency, loss.reason);
                }
                self.resume(visit, callee, loss, ctx);
            }
        }
    }

    /// Gives the place of a call that is over away; whatever still comes back finds another number.
    fn free(&mut self, call: u32) {
        let serial = &mut self.calls[call as usize].serial;
        *serial = serial.wrapping_add(1);
        self.free_calls.push(call);
    }

    /// A request from outside is over. What its gateway lost counts as the fault of that, which was
    /// told of it already.
    fn tell_client(&mut self, source: u32, call: &Call, latency: SimSpan, loss: Loss) {
        let entry = self.edges[call.edge as usize].callee;
        let service = self.graph().edges.sources[source as usize].service;
        // Without an answer in time, or without having asked, a client blames nobody.
        let is_of_client = matches!(loss.reason, LossReason::TimedOut | LossReason::BreakerOpen);
        let reason = if loss.is_none() || loss.at as usize == service || is_of_client {
            loss.reason
        } else {
            LossReason::Dependency(self.graph().nodes[entry].service)
        };
        tell(&mut self.tallies[service], call.window, latency, reason);
    }

    /// A gateway did not take an attempt, or a dead endpoint of it did.
    fn tell_refused(&mut self, callee: NodeIdx, caller: Caller, reason: LossReason) {
        if self.upstream_of(callee, caller).is_some() {
            self.tallies[callee].asked();
            self.tallies[callee].lost(self.window, reason);
        }
    }

    /// A call of a visit came back.
    fn resume<R: Recorder<()>>(
        &mut self,
        visit_idx: u32,
        callee: NodeIdx,
        loss: Loss,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let lost_by = self.graph().nodes[callee].service;
        let node = self.visits[visit_idx as usize].node as usize;
        let call_count = number(self.graph().edges.of_node[node].len());
        let visit = &mut self.visits[visit_idx as usize];
        if !loss.is_none() && visit.failed.is_none() {
            let is_upstream = visit.next > call_count;
            visit.failed = if is_upstream {
                loss
            } else {
                Loss { at: visit.node, reason: LossReason::Dependency(lost_by) }
            };
        }
        self.go_on(visit_idx, ctx);
    }

    /// The next call of a visit, or its answer. All calls are made, one after the other, even when
    /// one fails: as the flow has it.
    fn go_on<R: Recorder<()>>(&mut self, visit_idx: u32, ctx: &mut Context<'_, Event, R>) {
        let visit = &mut self.visits[visit_idx as usize];
        let calls = &self.plan.parts[self.part].edges.of_node[visit.node as usize];
        let next = visit.next as usize;
        visit.next += 1;
        let edge = match calls.get(next) {
            Some(edge) => Some(number(*edge)),
            None if next == calls.len() => self.pass_on(visit_idx, ctx.now()),
            None => None,
        };
        match edge {
            Some(edge) => self.call(edge, Caller::Visit(visit_idx), ctx),
            None => self.answer(visit_idx, ctx),
        }
    }

    /// All that a Service does itself for a visit is done, its own calls too. Returns where it is
    /// passed on to, if at all.
    ///
    /// Only this part counts in the figures of a gateway, whether or not somebody still waits.
    fn pass_on(&mut self, visit_idx: u32, now: SimTime) -> Option<u32> {
        let visit = &mut self.visits[visit_idx as usize];
        let databases = &self.plan.parts[self.part].nodes[visit.node as usize].databases;
        let away = databases.iter().find(|database| !self.are_writable[database.index()]);
        if let Some(&database) = away
            && visit.failed.is_none()
        {
            visit.failed = Loss { at: visit.node, reason: LossReason::Database(database) };
        }
        let upstream = visit.upstream?;
        let tally = &mut self.tallies[visit.node as usize];
        tell(tally, visit.window, now - visit.came_at, visit.failed.reason);
        visit.failed.is_none().then_some(upstream)
    }

    fn answer<R: Recorder<()>>(&mut self, visit_idx: u32, ctx: &mut Context<'_, Event, R>) {
        let visit = self.visits[visit_idx as usize];
        self.free_visits.push(visit_idx);
        if self.calls[visit.call as usize].serial != visit.serial {
            // Nobody waits for it any more: work for nothing.
            return;
        }
        let edge = self.calls[visit.call as usize].edge;
        self.note_breaker(edge, !visit.failed.is_none(), ctx.now());
        if visit.failed.is_none() {
            self.finish(visit.call, Loss::NONE, ctx);
        } else {
            self.lost(visit.call, visit.failed, ctx);
        }
    }
}

impl Model for Engine {
    type Event = Event;
    type Observation = ();

    #[inline]
    fn handle<R: Recorder<()>>(&mut self, event: Event, ctx: &mut Context<'_, Event, R>) {
        let is_awaited =
            |engine: &Self, call: u32, serial| engine.calls[call as usize].serial == serial;
        match event {
            Event::CandidateDue { source, epoch } => {
                if self.sources[source as usize].epoch == epoch {
                    self.candidate(source, ctx);
                }
            }
            Event::BendDue { source, epoch } => {
                if self.sources[source as usize].epoch == epoch {
                    self.turn(source as usize, ctx);
                }
            }
            Event::WorkedOff { visit } => self.go_on(visit, ctx),
            Event::Ended { call, serial, outcome } => {
                if is_awaited(self, call, serial) {
                    self.ended(call, outcome, ctx);
                }
            }
            Event::RetryDue { call, serial } => {
                if is_awaited(self, call, serial) {
                    self.attempt(call, ctx);
                }
            }
            Event::DeadlineDue { edge } => self.deadline(edge, ctx),
        }
    }
}

/// Puts a value into a free place, or a new one.
#[inline]
fn place<T: Copy>(places: &mut Vec<T>, free: &mut Vec<u32>, value: T, over: fn(T, T) -> T) -> u32 {
    match free.pop() {
        Some(idx) => {
            let place = &mut places[idx as usize];
            *place = over(value, *place);
            idx
        }
        None => {
            places.push(value);
            number(places.len() - 1)
        }
    }
}

fn number(idx: usize) -> u32 {
    u32::try_from(idx).expect("memory ends long before 2^32 of these")
}

/// The pause after attempt number `attempt` (from zero): doubled each time.
pub(crate) fn pause_before(policy: &CallPolicy, attempt: u32) -> SimSpan {
    policy.backoff.saturating_mul(1_u64 << attempt.min(20))
}

fn reason_of(refusal: Refusal) -> LossReason {
    match refusal {
        Refusal::NoEndpoints => LossReason::NoEndpoints,
        Refusal::Overload => LossReason::Overload,
        Refusal::RateLimited => LossReason::RateLimited,
    }
}

#[inline]
fn tell(tally: &mut Tally, window: u32, latency: SimSpan, reason: LossReason) {
    if reason == LossReason::None {
        tally.answered(window, latency);
    } else {
        tally.lost(window, reason);
    }
}
