//! Every request of connected Services, each an event, unless nothing can come between one and the
//! next.

use std::collections::VecDeque;
use std::sync::Arc;

use model_api::DatabaseId;
use model_api::observation::LossReason;
use model_api::path::CallPolicy;
use sim_kernel::{
    Context, EntityKey, Model, Priority, Purpose, Recorder, SimSpan, SimTime, Stream, Streams,
};

use super::policy::{BreakerState, Budget};
use super::source::{Next, Source};
use super::station::{Refusal, Station, Turn};
use super::tally::Tally;
use super::wiring::{Hop, Wire, hops, number, wires};
use crate::curve::{Factor, Side};
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
    /// The first of the visits that share the workers of a Service is done.
    SharedDue { node: u32 },
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
    /// Network policies drop its packets.
    Denied,
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

/// What becomes of an attempt, as far as it is known when it is made.
#[derive(Clone, Copy, Debug)]
enum Sent {
    /// The breaker is open.
    NotMade,
    Refused(LossReason),
    Ends(SimTime, Outcome),
    /// The callee did its own work then, and has more to do.
    Worked(SimTime),
    /// The callee does its own work for several at once.
    Shares,
}

/// A call that can be made, and what is remembered of it.
#[derive(Clone, Debug)]
struct Edge {
    wire: Wire,
    /// Chooses endpoints, while some are dead.
    stream: Stream,
    budget: Option<Budget>,
    breaker: Option<BreakerState>,
    /// Attempts whose outcome is not known yet, in the order of their deadlines.
    deadlines: VecDeque<(SimTime, u32, u32)>,
}

impl Edge {
    fn new(wire: Wire, key: EntityKey, streams: Streams) -> Self {
        Self {
            wire,
            stream: streams.stream(key, ENDPOINT),
            budget: wire.policy.retry_budget_ppm.map(Budget::new),
            breaker: wire.policy.breaker.map(BreakerState::new),
            deadlines: VecDeque::new(),
        }
    }

    fn deadline(&self, now: SimTime) -> Option<SimTime> {
        self.wire.policy.timeout.map(|timeout| now.saturating_add(timeout))
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
    Client,
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
    hops: Vec<Hop>,
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
    /// Up to when nothing changes from outside, and the window goes on.
    pub(super) until: SimTime,
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
            hops: hops(graph).collect(),
            edges: wires(graph)
                .zip(&graph.edges.all)
                .map(|(wire, edge)| Edge::new(wire, edge.key, streams))
                .collect(),
            sources: sources
                .map(|source| Source::new(number(source.client), source.key, streams))
                .collect(),
            factors: vec![Factor::ONE; graph.nodes.len()],
            are_writable: vec![true; graph.database_count],
            calls: Vec::new(),
            free_calls: Vec::new(),
            visits: Vec::new(),
            free_visits: Vec::new(),
            tallies: graph.nodes.iter().map(|_| Tally::new()).collect(),
            request_count: 0,
            window: 0,
            until: SimTime::ZERO,
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

    pub(super) fn set_endpoints<R: Recorder<()>>(
        &mut self,
        node: NodeIdx,
        endpoints: Endpoints,
        ctx: &mut Context<'_, Event, R>,
    ) {
        self.stations[node].set_endpoints(endpoints, ctx.now());
        self.expect_shared(node, ctx.now(), ctx);
    }

    /// Waits for the first of the visits that share the workers of a Service, if they do.
    fn expect_shared<R: Recorder<()>>(
        &mut self,
        node: NodeIdx,
        now: SimTime,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let Some(sharing) = &mut self.stations[node].sharing else { return };
        ctx.cancel(sharing.timer);
        if let Some(at) = sharing.next_at(now) {
            let event = Event::SharedDue { node: number(node) };
            sharing.timer = ctx.timer_at(at, PRIORITY, event);
        }
    }

    /// The first of those is done: the rest of its time needs no worker.
    fn shared<R: Recorder<()>>(&mut self, node: u32, ctx: &mut Context<'_, Event, R>) {
        let now = ctx.now();
        let station = &mut self.stations[node as usize];
        let done = station.sharing.as_mut().and_then(|sharing| sharing.leave(now));
        let rest = station.beyond_work(self.plan.parts[self.part].nodes[node as usize].own_latency);
        self.expect_shared(node as usize, now, ctx);
        if let Some(visit) = done {
            ctx.schedule_at(now.saturating_add(rest), PRIORITY, Event::WorkedOff { visit });
        }
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
        let next = self.sources[idx].next(ctx.now());
        self.wait_for(idx, next, ctx);
    }

    #[inline]
    fn wait_for<R: Recorder<()>>(
        &mut self,
        idx: usize,
        next: Next,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let source = number(idx);
        let epoch = self.sources[idx].epoch;
        match next {
            Next::Candidate(at) => {
                ctx.schedule_at(at, PRIORITY, Event::CandidateDue { source, epoch });
            }
            Next::Bend(at) => {
                ctx.schedule_at(at, PRIORITY, Event::BendDue { source, epoch });
            }
            Next::Nothing => {}
        }
    }

    /// A request may come from outside; and those after it, as long as nothing can come between.
    fn candidate<R: Recorder<()>>(&mut self, source: u32, ctx: &mut Context<'_, Event, R>) {
        let idx = source as usize;
        let mut now = ctx.now();
        loop {
            let comes = self.comes(idx, now);
            let next = self.sources[idx].next(now);
            if comes {
                self.request_count += 1;
                self.call(self.sources[idx].client, Caller::Client, now, ctx);
            }
            match next {
                Next::Candidate(at) if at <= self.until && self.is_alone(idx) => now = at,
                _ => return self.wait_for(idx, next, ctx),
            }
        }
    }

    #[inline]
    fn comes(&mut self, idx: usize, now: SimTime) -> bool {
        if self.sources[idx].is_constant() {
            return true;
        }
        let wires = self.graph().edges.sources[idx];
        let curve = &self.plan.parts[self.part].nodes[wires.service].loads[wires.load].curve;
        let rate = self.factors[wires.service].rate_of(curve, now, Side::After);
        self.sources[idx].keeps(rate)
    }

    /// Whether nobody but the clients of a source calls a Service, which calls nobody, and none of
    /// their requests is under way: then no event comes between this one and their next.
    #[inline]
    fn is_alone(&self, idx: usize) -> bool {
        self.calls.len() == self.free_calls.len()
            && self.edges[self.sources[idx].client as usize].wire.is_only
    }

    /// Makes a call.
    #[inline]
    fn call<R: Recorder<()>>(
        &mut self,
        edge_idx: u32,
        caller: Caller,
        now: SimTime,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let edge = &mut self.edges[edge_idx as usize];
        if let Some(budget) = &mut edge.budget {
            budget.deposit(now);
        }
        if let Some(node) = edge.wire.told {
            self.tallies[node].asked();
        }
        let window = self.window;
        let call = Call { edge: edge_idx, caller, serial: 0, attempt: 0, first_at: now, window };
        self.attempt(call, None, now, ctx);
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

    /// Makes an attempt. The call gets a `place` when somebody has to come back to it.
    #[inline]
    fn attempt<R: Recorder<()>>(
        &mut self,
        call: Call,
        place: Option<u32>,
        now: SimTime,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let sent = self.send(&call, now);
        if let (Sent::Ends(at, Outcome::Answered), Caller::Client) = (sent, call.caller)
            && self.edges[call.edge as usize].breaker.is_none()
        {
            // Nobody but the figures has to hear of it.
            if let Some(place) = place {
                self.free(place);
            }
            return self.tell_client(&call, at - call.first_at, Loss::NONE);
        }
        let call_idx = place.unwrap_or_else(|| self.place(call));
        match sent {
            Sent::NotMade => self.failed(call_idx, LossReason::BreakerOpen, now, ctx),
            Sent::Refused(reason) => {
                self.note_breaker(call.edge, true, now);
                self.failed(call_idx, reason, now, ctx);
            }
            Sent::Ends(at, outcome) => {
                let serial = self.calls[call_idx as usize].serial;
                let event = Event::Ended { call: call_idx, serial, outcome };
                ctx.schedule_at(at, PRIORITY, event);
            }
            Sent::Worked(at) => {
                let visit = self.visit(call_idx, now, ctx);
                ctx.schedule_at(at, PRIORITY, Event::WorkedOff { visit });
            }
            Sent::Shares => {
                let visit = self.visit(call_idx, now, ctx);
                let node = self.edges[call.edge as usize].wire.callee;
                self.stations[node].enter(visit, now);
                self.expect_shared(node, now, ctx);
            }
        }
    }

    /// Sends an attempt off.
    #[inline]
    fn send(&mut self, call: &Call, now: SimTime) -> Sent {
        let edge = &mut self.edges[call.edge as usize];
        if let Some(breaker) = &mut edge.breaker
            && !breaker.permits(now)
        {
            return Sent::NotMade;
        }
        let wire = &edge.wire;
        if wire.is_denied {
            let at = edge.deadline(now).unwrap_or(now);
            self.tell_refused(call.edge, LossReason::Denied);
            return Sent::Ends(at, Outcome::Denied);
        }
        let station = &mut self.stations[wire.callee];
        let dead_share = station.dead_share();
        if dead_share > 0.0 && edge.stream.draw().chance(dead_share) {
            let at = edge.deadline(now).unwrap_or(now);
            self.tell_refused(call.edge, LossReason::DeadEndpoints);
            return Sent::Ends(at, Outcome::Dead);
        }
        let start = match station.admit(now) {
            Ok(Turn::Starts(start)) => start,
            Ok(Turn::Shares) => return Sent::Shares,
            Err(refusal) => {
                let reason = reason_of(refusal);
                self.tell_refused(call.edge, reason);
                return Sent::Refused(reason);
            }
        };
        let at = start.saturating_add(wire.own_latency);
        if !wire.is_last {
            return Sent::Worked(at);
        }
        // Nothing can change what becomes of it.
        match edge.deadline(now) {
            Some(deadline) if deadline < at => Sent::Ends(deadline, Outcome::TimedOut),
            _ => Sent::Ends(at, Outcome::Answered),
        }
    }

    /// A Service works on an attempt from now on, and it is not known yet what becomes of it.
    fn visit<R: Recorder<()>>(
        &mut self,
        call_idx: u32,
        now: SimTime,
        ctx: &mut Context<'_, Event, R>,
    ) -> u32 {
        let window = self.window;
        let Call { edge: edge_idx, serial, .. } = self.calls[call_idx as usize];
        let edge = &self.edges[edge_idx as usize];
        let Wire { callee, upstream, .. } = edge.wire;
        let deadline = edge.deadline(now);
        let blank = Visit {
            node: number(callee),
            call: call_idx,
            serial,
            next: 0,
            came_at: now,
            window,
            upstream,
            failed: Loss::NONE,
        };
        if upstream.is_some() {
            self.tallies[callee].asked();
        }
        let visit = match self.free_visits.pop() {
            Some(idx) => {
                self.visits[idx as usize] = blank;
                idx
            }
            None => {
                self.visits.push(blank);
                number(self.visits.len() - 1)
            }
        };
        if let Some(deadline) = deadline {
            self.watch(edge_idx, (deadline, call_idx, serial), ctx);
        }
        visit
    }

    /// Gives a call a place, under a number that no earlier one had there.
    fn place(&mut self, call: Call) -> u32 {
        let Some(idx) = self.free_calls.pop() else {
            self.calls.push(call);
            return number(self.calls.len() - 1);
        };
        let place = &mut self.calls[idx as usize];
        *place = Call { serial: place.serial.wrapping_add(1), ..call };
        idx
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
        let (edge, now) = (self.calls[call as usize].edge, ctx.now());
        self.note_breaker(edge, outcome != Outcome::Answered, now);
        match outcome {
            Outcome::Answered => self.finish(call, Loss::NONE, now, ctx),
            Outcome::TimedOut => self.failed(call, LossReason::TimedOut, now, ctx),
            Outcome::Dead => self.failed(call, LossReason::DeadEndpoints, now, ctx),
            Outcome::Denied => self.failed(call, LossReason::Denied, now, ctx),
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
        now: SimTime,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let at = number(self.edges[self.calls[call as usize].edge as usize].wire.callee);
        self.lost(call, Loss { at, reason }, now, ctx);
    }

    /// An attempt was lost: tries again, or gives up.
    fn lost<R: Recorder<()>>(
        &mut self,
        call_idx: u32,
        loss: Loss,
        now: SimTime,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let call = &mut self.calls[call_idx as usize];
        let edge = &mut self.edges[call.edge as usize];
        let may_retry = call.attempt < edge.wire.policy.retries
            && edge.budget.as_mut().is_none_or(|budget| budget.withdraw(now));
        if !may_retry {
            return self.finish(call_idx, loss, now, ctx);
        }
        let pause = pause_before(&edge.wire.policy, call.attempt);
        call.attempt += 1;
        call.serial = call.serial.wrapping_add(1);
        let event = Event::RetryDue { call: call_idx, serial: call.serial };
        ctx.schedule_at(now.saturating_add(pause), PRIORITY, event);
    }

    /// A call is over.
    fn finish<R: Recorder<()>>(
        &mut self,
        call_idx: u32,
        loss: Loss,
        now: SimTime,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let call = self.calls[call_idx as usize];
        self.free(call_idx);
        let latency = now - call.first_at;
        let Wire { callee, told, is_denied, .. } = self.edges[call.edge as usize].wire;
        match call.caller {
            Caller::Client => self.tell_client(&call, latency, loss),
            Caller::Visit(visit) => {
                if let Some(node) = told {
                    tell(&mut self.tallies[node], call.window, latency, loss.reason);
                }
                let blamed = if is_denied {
                    LossReason::Denied
                } else {
                    LossReason::Dependency(self.graph().nodes[callee].service)
                };
                self.resume(visit, blamed, loss, ctx);
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
    #[inline]
    fn tell_client(&mut self, call: &Call, latency: SimSpan, loss: Loss) {
        let Wire { callee: entry, told, is_denied, .. } = self.edges[call.edge as usize].wire;
        let service = told.expect("requests from outside count for the Service they ask for");
        // Without an answer in time, or without having asked, a client blames nobody.
        let is_of_client = matches!(loss.reason, LossReason::TimedOut | LossReason::BreakerOpen);
        let is_own = loss.is_none() || loss.at as usize == service || is_of_client || is_denied;
        let reason = if is_own {
            loss.reason
        } else {
            LossReason::Dependency(self.graph().nodes[entry].service)
        };
        tell(&mut self.tallies[service], call.window, latency, reason);
    }

    /// A gateway did not take an attempt, or a dead endpoint of it did.
    fn tell_refused(&mut self, edge: u32, reason: LossReason) {
        let Wire { callee, upstream, .. } = self.edges[edge as usize].wire;
        if upstream.is_some() {
            self.tallies[callee].asked();
            self.tallies[callee].lost(self.window, reason);
        }
    }

    /// A call of a visit came back; `blamed` is what its Service says when it was lost.
    fn resume<R: Recorder<()>>(
        &mut self,
        visit_idx: u32,
        blamed: LossReason,
        loss: Loss,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if !loss.is_none() {
            self.note_failure(visit_idx, blamed, loss);
        }
        self.go_on(visit_idx, ctx);
    }

    /// A call of a visit, or what it was passed on to, was lost; the first such loss counts.
    fn note_failure(&mut self, visit_idx: u32, blamed: LossReason, loss: Loss) {
        let visit = &mut self.visits[visit_idx as usize];
        if visit.failed.is_none() {
            let is_upstream = visit.next as usize > self.hops[visit.node as usize].calls.len();
            visit.failed = if is_upstream { loss } else { Loss { at: visit.node, reason: blamed } };
        }
    }

    /// The next call of a visit, or its answer. All calls are made, one after the other, even when
    /// one fails: as the flow has it.
    fn go_on<R: Recorder<()>>(&mut self, visit_idx: u32, ctx: &mut Context<'_, Event, R>) {
        let visit = &mut self.visits[visit_idx as usize];
        let calls = &self.hops[visit.node as usize].calls;
        let next = visit.next as usize;
        visit.next += 1;
        let edge = match calls.get(next) {
            Some(edge) => Some(*edge),
            None if next == calls.len() => self.pass_on(visit_idx, ctx.now()),
            None => None,
        };
        match edge {
            Some(edge) => self.call(edge, Caller::Visit(visit_idx), ctx.now(), ctx),
            None => self.answer(visit_idx, ctx),
        }
    }

    /// All that a Service does itself for a visit is done, its own calls too. Returns where it is
    /// passed on to, if at all.
    ///
    /// Only this part counts in the figures of a gateway, whether or not somebody still waits.
    fn pass_on(&mut self, visit_idx: u32, now: SimTime) -> Option<u32> {
        let visit = &mut self.visits[visit_idx as usize];
        if self.hops[visit.node as usize].has_databases && visit.failed.is_none() {
            let node = &self.plan.parts[self.part].nodes[visit.node as usize];
            let away = node.databases.iter().find(|database| !self.are_writable[database.index()]);
            let reason = match away {
                _ if node.is_denied_database => LossReason::Denied,
                Some(&database) => LossReason::Database(database),
                None => LossReason::None,
            };
            if reason != LossReason::None {
                visit.failed = Loss { at: visit.node, reason };
            }
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
        let (edge, now) = (self.calls[visit.call as usize].edge, ctx.now());
        self.note_breaker(edge, !visit.failed.is_none(), now);
        if visit.failed.is_none() {
            self.finish(visit.call, Loss::NONE, now, ctx);
        } else {
            self.lost(visit.call, visit.failed, now, ctx);
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
            Event::SharedDue { node } => self.shared(node, ctx),
            Event::WorkedOff { visit } => self.go_on(visit, ctx),
            Event::Ended { call, serial, outcome } => {
                if is_awaited(self, call, serial) {
                    self.ended(call, outcome, ctx);
                }
            }
            Event::RetryDue { call, serial } => {
                if is_awaited(self, call, serial) {
                    self.attempt(self.calls[call as usize], Some(call), ctx.now(), ctx);
                }
            }
            Event::DeadlineDue { edge } => self.deadline(edge, ctx),
        }
    }
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
