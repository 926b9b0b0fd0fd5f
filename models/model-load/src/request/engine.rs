//! Every request of connected Services, each an event, unless nothing can come between one and the
//! next.
//!
//! Requests influence nothing outside themselves, so they are not events of the world: what comes
//! next among them is kept in a [calendar](super::calendar) of their own.

use std::collections::VecDeque;
use std::sync::Arc;

use model_api::DatabaseId;
use model_api::observation::{LossReason, Throttling};
use model_api::path::CallPolicy;
use sim_kernel::{EntityKey, Purpose, SimSpan, SimTime, Stream, Streams};

use super::calendar::Calendar;
use super::limits::LimitCounters;
use super::policy::{BreakerState, Budget};
use super::source::{Next, Source};
use super::station::{Refusal, Station, Turn};
use super::tally::Tally;
use super::wiring::{Hop, Wire, hops, number, wires};
use crate::curve::{Factor, Side};
use crate::evaluation::{Endpoints, Inputs};
use crate::graph::{Graph, NodeIdx, Plan};
use crate::lookup::Kept;
use crate::split::Split;
use crate::stations::Routes;

mod backlog;
mod cached;
mod call;
mod clients;
mod connect;
mod deadlines;
mod limited;
mod lookup;
mod outcome;
mod stages;
mod twin;
mod writes;
mod zones;

use backlog::Pace;
use cached::{Cached, cached};
use call::{Call, Caller, Loss, Visit};
use connect::MEMBER;
use deadlines::Deadline;
use outcome::Sent;
pub(super) use outcome::{Loose, Outcome, Worked};
use twin::{ERROR, SIDE};
use writes::lucks;
use zones::{STATION, ZONE};

const ENDPOINT: Purpose = Purpose::new("endpoint of a request");

/// Events of one run: ten times those of anything else.
const EVENT_COUNT_MAX: u64 = 10_000_000_000;
/// Calls that are under way at once.
const CALL_COUNT_MAX: usize = 1 << 26;

/// What a row of the calendar is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    /// The next request of a source, or the bend of its load.
    Source(u32),
    /// What a Service does in the order in which it came.
    Work(u32),
    /// The first of those that share the workers of a Service.
    Shared(u32),
    /// The oldest attempt along a call that its caller may still wait for.
    Deadline(u32),
    /// What has no row.
    Other,
}

/// A call that can be made, and what is remembered of it.
#[derive(Clone, Debug)]
struct Edge {
    wire: Wire,
    /// Chooses endpoints, while some are dead.
    stream: Stream,
    /// Chooses between the pods of a Service and those of a revision that is tried, or among its
    /// stations.
    side: Stream,
    /// Chooses nodes, where a load balancer does.
    member: Stream,
    /// Finds names, or does not, where that is not certain.
    names: Stream,
    budget: Option<Budget>,
    breaker: Option<BreakerState>,
    /// Attempts that may end by their callers giving up, in the order in which they do.
    deadlines: VecDeque<Deadline>,
}

impl Edge {
    fn new(wire: Wire, key: EntityKey, streams: Streams) -> Self {
        Self {
            wire,
            stream: streams.stream(key, ENDPOINT),
            side: streams.stream(key, if wire.is_divided { STATION } else { SIDE }),
            member: streams.stream(key, MEMBER),
            names: streams.stream(key, lookup::NAME),
            budget: wire.policy.retry_budget_ppm.map(Budget::new),
            breaker: wire.policy.breaker.map(BreakerState::new),
            deadlines: VecDeque::new(),
        }
    }

    fn deadline(&self, now: SimTime) -> Option<SimTime> {
        self.wire.policy.timeout.map(|timeout| now.saturating_add(timeout))
    }
}

/// The requests of connected Services.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    plan: Arc<Plan>,
    part: usize,
    calendar: Calendar<Loose>,
    /// By row of the calendar.
    rows: Box<[Row]>,
    /// By node: its row, where requests share its workers.
    shared_rows: Box<[Option<u32>]>,
    /// By node: what it works on, in the order in which it is done.
    work: Vec<VecDeque<(SimTime, Worked)>>,
    stations: Vec<Station>,
    hops: Vec<Hop>,
    edges: Vec<Edge>,
    limits: Vec<LimitCounters>,
    /// By source: what names say to its clients.
    names: Vec<Stream>,
    /// By call: those who keep the answer to the question for whom it is made.
    kept: Vec<Vec<Kept>>,
    cached: Vec<Option<Cached>>,
    /// By source: which of its requests write; empty where all do.
    lucks: Vec<Stream>,
    sources: Vec<Source>,
    factors: Vec<Factor>,
    are_writable: Vec<bool>,
    /// By node.
    splits: Vec<Split>,
    failing_ppm: Vec<u32>,
    errors: Vec<Stream>,
    /// Where endpoints are, as far as calls are divided by it; the rest of it is not used.
    known: Inputs,
    routes: Routes,
    /// Whether they are as `known` has it.
    is_rerouted: bool,
    /// By node: chooses the zones of endpoints.
    zone_draws: Vec<Stream>,
    calls: Vec<Call>,
    free_calls: Vec<u32>,
    visits: Vec<Visit>,
    free_visits: Vec<u32>,
    /// By row of the graph.
    pub(super) tallies: Vec<Tally>,
    /// By node.
    paces: Vec<Pace>,
    /// The row of the zone that the attempt was sent to that is being sent, where that counts.
    served: Option<usize>,
    /// The attempt that is being sent to a station comes to a node that drops it.
    is_dropped: bool,
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
        let rows = rows(graph);
        Self {
            calendar: Calendar::new(rows.len() - 1),
            shared_rows: (0..number(graph.nodes.len()))
                .map(|node| rows.iter().position(|row| *row == Row::Shared(node)).map(number))
                .collect(),
            rows,
            work: vec![VecDeque::new(); graph.nodes.len()],
            stations: graph
                .nodes
                .iter()
                .map(|node| Station::new(node.serving, node.quota, node.key, streams))
                .collect(),
            hops: hops(graph).collect(),
            edges: wires(graph)
                .zip(&graph.edges.all)
                .map(|(wire, edge)| Edge::new(wire, edge.key, streams))
                .collect(),
            limits: graph.limits.iter().map(|it| LimitCounters::new(it, streams)).collect(),
            names: sources.clone().map(|source| streams.stream(source.key, lookup::NAME)).collect(),
            kept: vec![
                Vec::new();
                if graph.resolvers.is_some() { graph.edges.all.len() } else { 0 }
            ],
            cached: cached(graph, streams),
            lucks: lucks(graph, streams),
            sources: sources
                .map(|source| {
                    let users = graph.load_of(source).users;
                    Source::new(number(source.client), users, source.key, streams)
                })
                .collect(),
            factors: vec![Factor::ONE; graph.edges.sources.len()],
            are_writable: vec![true; graph.database_count],
            splits: vec![Split::default(); graph.nodes.len()],
            failing_ppm: vec![0; graph.nodes.len()],
            errors: graph.nodes.iter().map(|node| streams.stream(node.key, ERROR)).collect(),
            known: Inputs::new(graph),
            routes: Routes::new(),
            is_rerouted: true,
            zone_draws: graph.nodes.iter().map(|node| streams.stream(node.key, ZONE)).collect(),
            calls: Vec::new(),
            free_calls: Vec::new(),
            visits: Vec::new(),
            free_visits: Vec::new(),
            tallies: graph
                .nodes
                .iter()
                .map(|node| plan.windows[node.service.index()])
                .chain(graph.edges.counted.iter().map(|_| SimSpan::ZERO))
                .chain(graph.served.iter().map(|_| SimSpan::ZERO))
                .map(Tally::new)
                .collect(),
            paces: vec![Pace::default(); graph.nodes.len()],
            served: None,
            is_dropped: false,
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

    /// Plays all requests up to and including `until`; returns the limit that it met.
    pub(super) fn advance(&mut self, until: SimTime) -> Option<sim_kernel::Outcome> {
        self.until = until;
        while let Some(row) = self.calendar.next(until) {
            self.happen(self.rows[row as usize], row);
            let at = self.calendar.now();
            if self.calendar.handled_count() >= EVENT_COUNT_MAX {
                return Some(sim_kernel::Outcome::EventLimit { at });
            }
            if self.calls.len() >= CALL_COUNT_MAX {
                return Some(sim_kernel::Outcome::PendingLimit { at });
            }
        }
        None
    }

    /// A digest of what happened so far.
    pub(super) fn digest(&self) -> u64 {
        self.calendar.digest()
    }

    /// The head of a row is due.
    #[inline]
    fn happen(&mut self, what: Row, row: u32) {
        match what {
            Row::Source(source) => match self.sources[source as usize].expected {
                Next::Candidate(_) => self.candidate(source as usize),
                Next::User(_) => self.user(source as usize),
                Next::Bend(_) | Next::Nothing => self.turn(source as usize),
            },
            Row::Work(node) => {
                let work = &mut self.work[node as usize];
                let done = work.pop_front();
                let next = work.front().map_or(SimTime::MAX, |(at, _)| *at);
                self.calendar.set(row, next);
                if let Some((_, worked)) = done {
                    self.worked(worked);
                }
            }
            Row::Shared(node) => self.shared(node),
            Row::Deadline(edge) => self.deadline(edge, row),
            Row::Other => match self.calendar.pop() {
                Some(Loose::WorkedOff(worked)) => self.worked(worked),
                Some(Loose::Ended { call, serial, outcome }) if self.is_awaited(call, serial) => {
                    self.ended(call, outcome);
                }
                Some(Loose::RetryDue { call, serial }) if self.is_awaited(call, serial) => {
                    let now = self.calendar.now();
                    self.attempt(self.calls[call as usize], Some(call), now);
                }
                Some(Loose::Connected { call, serial }) if self.is_awaited(call, serial) => {
                    self.connected(call);
                }
                _ => {}
            },
        }
    }

    #[inline]
    fn is_awaited(&self, call: u32, serial: u32) -> bool {
        self.calls[call as usize].serial == serial
    }

    #[inline]
    fn worked(&mut self, worked: Worked) {
        match worked {
            Worked::Visit(visit) => self.go_on(visit),
            Worked::Attempt { call, serial } => {
                if self.is_awaited(call, serial) {
                    self.ended(call, Outcome::Answered);
                }
            }
        }
    }

    /// A Service will have done its own part then.
    #[inline]
    fn work_until(&mut self, node: NodeIdx, at: SimTime, worked: Worked) {
        let work = &mut self.work[node];
        match work.back() {
            // Workers came while others waited for those that were there.
            Some((last, _)) if *last > at => self.calendar.push(at, Loose::WorkedOff(worked)),
            Some(_) => work.push_back((at, worked)),
            None => {
                work.push_back((at, worked));
                self.calendar.set(number(self.sources.len() + node), at);
            }
        }
    }

    /// Begins: every source plans its first request.
    pub(super) fn begin(&mut self) {
        for source in 0..self.sources.len() {
            self.turn(source);
        }
    }

    pub(super) fn set_endpoints(&mut self, node: NodeIdx, endpoints: Endpoints) {
        self.known.endpoints[node] = endpoints;
        self.is_rerouted &= self.graph().sites.is_empty();
        self.stations[node].set_endpoints(endpoints, self.calendar.now());
        self.expect_shared(node);
    }

    /// Waits for the first of the visits that share the workers of a Service, if they do.
    fn expect_shared(&mut self, node: NodeIdx) {
        if let Some(row) = self.shared_rows[node] {
            let next = self.stations[node].next_at();
            self.calendar.set(row, next.unwrap_or(SimTime::MAX));
        }
    }

    /// The first of those is done, or something else happens: the rest of its time needs no worker.
    fn shared(&mut self, node: u32) {
        let (now, node) = (self.calendar.now(), node as usize);
        let own_latency = self.plan.parts[self.part].nodes[node].own_latency;
        let done = self.stations[node].happen(own_latency, now);
        self.expect_shared(node);
        if let Some((visit, rest)) = done {
            let call = self.visits[visit as usize].call as usize;
            let rest = rest.saturating_add(self.held(self.calls[call].edge));
            self.work_until(node, now.saturating_add(rest), Worked::Visit(visit));
        }
    }

    pub(super) fn set_writable(&mut self, database: DatabaseId, is_writable: bool) {
        self.are_writable[database.index()] = is_writable;
    }

    pub(super) fn set_factor(&mut self, source: usize, factor_milli: u64, ramp: SimSpan) {
        self.factors[source] = self.factors[source].ramp(self.calendar.now(), factor_milli, ramp);
        self.turn(source);
    }

    /// What quotas did to the pods behind a node so far, those of its other stations included; `None` where
    /// there are none, and of another station.
    pub(super) fn throttling(&self, node: NodeIdx) -> Option<Throttling> {
        let graph = self.graph();
        if graph.nodes[node].station_of.is_some() {
            return None;
        }
        let seen = graph.nodes_of(&node).iter().filter_map(|it| self.stations[*it].throttling());
        seen.reduce(super::quota::sum)
    }

    /// Requests that wait at a node now.
    pub(super) fn waiting_count(&mut self, node: NodeIdx) -> usize {
        let now = self.calendar.now();
        self.stations[node].waiting_count(now)
    }

    /// A source looks at its load anew.
    fn turn(&mut self, source: usize) {
        let wires = self.graph().edges.sources[source];
        let curve = &self.plan.parts[self.part].nodes[wires.service].loads[wires.load].curve;
        self.sources[source].turn(curve, self.factors[source], self.calendar.now());
        self.expect(source);
    }

    #[inline]
    fn expect(&mut self, idx: usize) {
        let next = self.sources[idx].next_of_all(self.calendar.now());
        self.wait_for(idx, next);
    }

    #[inline]
    fn wait_for(&mut self, idx: usize, next: Next) {
        let source = &mut self.sources[idx];
        source.expected = next;
        let at = match next {
            Next::Candidate(at) | Next::User(at) | Next::Bend(at) => at,
            Next::Nothing => SimTime::MAX,
        };
        self.calendar.set(number(idx), at);
    }

    /// A request may come from outside; and those after it, as long as nothing can come between.
    fn candidate(&mut self, idx: usize) {
        let mut now = self.calendar.now();
        loop {
            let comes = self.comes(idx, now)
                && (!self.edges[self.sources[idx].client as usize].wire.is_named
                    || self.is_led(idx, now));
            let next = self.sources[idx].next(now);
            if comes {
                self.request_count += 1;
                self.call(self.sources[idx].client, Caller::Client, now);
            }
            match next {
                Next::Candidate(at) if at <= self.until && self.is_alone(idx) => now = at,
                _ => return self.wait_for(idx, next),
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
        let rate = self.factors[idx].rate_of(curve, now, Side::After);
        self.sources[idx].keeps(rate)
    }

    /// Whether nobody but the clients of a source calls a Service, which calls nobody, and none of
    /// their requests is under way or still worked on for nobody: then no event comes between this one and their next.
    #[inline]
    fn is_alone(&self, idx: usize) -> bool {
        self.calls.len() == self.free_calls.len()
            && self.visits.len() == self.free_visits.len()
            && self.edges[self.sources[idx].client as usize].wire.is_only
    }

    /// Makes a call.
    #[inline(always)]
    fn call(&mut self, edge_idx: u32, caller: Caller, now: SimTime) {
        let edge = &mut self.edges[edge_idx as usize];
        if let Some(budget) = &mut edge.budget {
            budget.deposit(now);
        }
        if let Some(node) = edge.wire.told {
            self.tallies[node].asked();
        }
        if let Some(row) = edge.wire.counted {
            self.tallies[row].asked();
        }
        let (window, node) = (self.window, number(edge.wire.callee));
        let edge = edge_idx;
        let luck = if self.lucks.is_empty() { 0 } else { self.luck(edge, caller) };
        let call = Call {
            edge,
            node,
            caller,
            serial: 0,
            attempt: 0,
            first_at: now,
            held_since: None,
            window,
            luck,
        };
        self.attempt(call, None, now);
    }

    /// Ends the window that goes on.
    pub(super) fn close_window(&mut self, now: SimTime) {
        self.window += 1;
        self.note_backlog(now);
        for row in 0..self.tallies.len() {
            let is_piled_up = self.is_piled_up(row);
            let from = self.tallies[row].window_from();
            let asked = self.asked(row, from, Side::After).zip(self.asked(row, now, Side::Before));
            self.tallies[row].close_window(now, asked, is_piled_up);
        }
    }

    /// Makes an attempt. The call gets a `place` when somebody has to come back to it.
    #[inline]
    fn attempt(&mut self, mut call: Call, place: Option<u32>, now: SimTime) {
        let has_door = self.edges[call.edge as usize].wire.door.is_some();
        let is_named = self.edges[call.edge as usize].wire.is_named && call.held_since.is_none();
        let unfound = if is_named { self.look_up(&call, now) } else { None };
        if has_door
            && call.held_since.is_none()
            && unfound.is_none()
            && self.is_held_up(&call, place, now)
        {
            return;
        }
        if is_named && unfound.is_none() && self.is_looking_up(&call, place, now) {
            return;
        }
        call.node = self.pick(&call);
        let sent = unfound.unwrap_or_else(|| self.send(&call, now));
        if !matches!(sent, Sent::NotMade) {
            self.copy(&call, now);
        }
        if call.caller == Caller::Nobody && !matches!(sent, Sent::Worked(_) | Sent::Shares) {
            return;
        }
        if let (Sent::Ends(at, Outcome::Answered), Caller::Client) = (sent, call.caller)
            && self.edges[call.edge as usize].breaker.is_none()
        {
            // Nobody but the figures has to hear of it.
            if let Some(place) = place {
                self.free(place);
            }
            return self.tell_client(&call, at - call.first_at, Loss::NONE);
        }
        let call_idx = match place {
            Some(place) => {
                self.calls[place as usize].node = call.node;
                place
            }
            None => self.place(call),
        };
        let node = call.node as usize;
        match sent {
            Sent::NotMade => self.failed(call_idx, LossReason::BreakerOpen, now),
            Sent::Refused(reason) => {
                self.note_breaker(call.edge, true, now);
                self.failed(call_idx, reason, now);
            }
            Sent::Ends(at, outcome) => {
                let serial = self.calls[call_idx as usize].serial;
                let Wire { policy, is_named, .. } = &self.edges[call.edge as usize].wire;
                match outcome {
                    Outcome::Answered => {
                        self.work_until(node, at, Worked::Attempt { call: call_idx, serial });
                    }
                    _ if policy.timeout.is_none()
                        || matches!(
                            outcome,
                            Outcome::Erred | Outcome::Uncounted | Outcome::GivenUp
                        ) =>
                    {
                        self.calendar.push(at, Loose::Ended { call: call_idx, serial, outcome });
                    }
                    // The caller of one that a balancer held up has a deadline already.
                    _ if call.is_watched(*is_named) => {}
                    Outcome::TimedOut
                    | Outcome::Dead
                    | Outcome::Denied
                    | Outcome::NotLocal
                    | Outcome::Erred
                    | Outcome::Unconnected
                    | Outcome::Uncounted
                    | Outcome::Lost
                    | Outcome::GivenUp
                    | Outcome::Unknown => {
                        self.watch(call.edge, Deadline { at, call: call_idx, serial, outcome });
                    }
                }
            }
            Sent::Worked(at) => {
                let visit = self.visit(call_idx, now);
                self.work_until(node, at, Worked::Visit(visit));
            }
            Sent::Shares => {
                let visit = self.visit(call_idx, now);
                self.stations[node].enter(visit, now);
                self.expect_shared(node);
            }
        }
    }

    /// Sends an attempt off.
    #[inline]
    fn send(&mut self, call: &Call, now: SimTime) -> Sent {
        let (node, window) = (call.node as usize, self.window);
        let edge = &mut self.edges[call.edge as usize];
        if let Some(breaker) = &mut edge.breaker
            && call.caller != Caller::Nobody
            && call.held_since.is_none()
            && !breaker.permits(now)
        {
            return Sent::NotMade;
        }
        let wire = &edge.wire;
        if wire.is_denied {
            let at = edge.deadline(now).unwrap_or(now);
            self.tell_refused(call, LossReason::Denied);
            return Sent::Ends(at, Outcome::Denied);
        }
        if wire.is_divided && self.is_dropped {
            let at = edge.deadline(now).unwrap_or(now);
            self.tell_refused(call, LossReason::NotLocal);
            return Sent::Ends(at, Outcome::NotLocal);
        }
        let station = &mut self.stations[node];
        let dead_share = station.dead_share();
        if dead_share > 0.0 && !wire.is_chosen && edge.stream.draw().chance(dead_share) {
            let at = edge.deadline(now).unwrap_or(now);
            self.ask_twin(node);
            let zone = self.ask_zone(call, true);
            self.tell_zone(zone, window, SimSpan::ZERO, LossReason::DeadEndpoints);
            self.tell_twin(node, window, SimSpan::ZERO, LossReason::DeadEndpoints);
            self.tell_refused(call, LossReason::DeadEndpoints);
            return Sent::Ends(at, Outcome::Dead);
        }
        let mut held = SimSpan::ZERO;
        if let Some(limit) = wire.limit
            && call.caller != Caller::Nobody
            && station.live_count() > 0
        {
            let live_count = station.live_count();
            match self.meet_limit(limit, call, live_count, now) {
                Ok(after) => held = after,
                Err(sent) => return sent,
            }
        }
        let (edge, station) = (&mut self.edges[call.edge as usize], &mut self.stations[node]);
        let wire = &edge.wire;
        let start = match station.admit(now) {
            Ok(Turn::Starts(start)) => start,
            Ok(Turn::Shares) => {
                self.ask_twin(node);
                self.served = self.ask_zone(call, false);
                return Sent::Shares;
            }
            Err(refusal) => {
                let reason = reason_of(refusal);
                self.ask_twin(node);
                let zone = self.ask_zone(call, false);
                self.tell_zone(zone, window, SimSpan::ZERO, reason);
                self.tell_twin(node, window, SimSpan::ZERO, reason);
                self.tell_refused(call, reason);
                return Sent::Refused(reason);
            }
        };
        let at = start.saturating_add(wire.own_latency).saturating_add(held);
        let (is_last, is_named, deadline) = (wire.is_last, wire.is_named, edge.deadline(now));
        self.ask_twin(node);
        let zone = self.ask_zone(call, false);
        if !is_last {
            self.served = zone;
            return Sent::Worked(at);
        }
        // Nothing can change what becomes of it.
        let errs = self.errs(node);
        let reason = if errs { LossReason::Errors } else { LossReason::None };
        self.tell_twin(node, window, at - now, reason);
        self.tell_zone(zone, window, at - now, reason);
        let deadline = if call.is_watched(is_named) { self.deadline_of(call) } else { deadline };
        match deadline {
            Some(deadline) if deadline < at => Sent::Ends(deadline, Outcome::TimedOut),
            _ if errs => Sent::Ends(at, Outcome::Erred),
            _ => Sent::Ends(at, Outcome::Answered),
        }
    }

    /// A Service works on an attempt from now on, and it is not known yet what becomes of it.
    fn visit(&mut self, call_idx: u32, now: SimTime) -> u32 {
        let window = self.window;
        let Call { edge: edge_idx, serial, node, caller, luck, .. } = self.calls[call_idx as usize];
        let failed = self.first_failure(node as usize);
        let edge = &self.edges[edge_idx as usize];
        let is_copy = caller == Caller::Nobody;
        let Wire { callee, .. } = edge.wire;
        let upstream = edge.wire.upstream.filter(|_| !is_copy);
        let is_watched = self.calls[call_idx as usize].is_watched(edge.wire.is_named);
        let deadline = edge.deadline(now).filter(|_| !is_copy && !is_watched);
        let served = self.served.take().map(number);
        let blank = Visit {
            node,
            call: call_idx,
            serial,
            next: 0,
            others: 0,
            came_at: now,
            window,
            luck,
            upstream,
            served,
            failed,
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
            let outcome = Outcome::TimedOut;
            self.watch(edge_idx, Deadline { at: deadline, call: call_idx, serial, outcome });
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

    /// An attempt ended that its caller still waits for.
    fn ended(&mut self, call: u32, outcome: Outcome) {
        let (edge, now) = (self.calls[call as usize].edge, self.calendar.now());
        self.note_breaker(edge, outcome != Outcome::Answered, now);
        match outcome {
            Outcome::Erred => self.failed(call, LossReason::Errors, now),
            Outcome::Answered => self.finish(call, Loss::NONE, now),
            Outcome::TimedOut => self.failed(call, LossReason::TimedOut, now),
            Outcome::Dead => self.failed(call, LossReason::DeadEndpoints, now),
            Outcome::Denied => self.failed(call, LossReason::Denied, now),
            Outcome::NotLocal => self.failed(call, LossReason::NotLocal, now),
            Outcome::Unconnected => self.failed(call, LossReason::LoadBalancer, now),
            Outcome::Unknown => self.failed(call, LossReason::NoEndpoints, now),
            Outcome::Lost | Outcome::GivenUp => self.failed(call, LossReason::Name, now),
            Outcome::Uncounted => self.failed(call, self.store_loss(edge), now),
        }
    }

    fn note_breaker(&mut self, edge: u32, is_failure: bool, now: SimTime) {
        if let Some(breaker) = &mut self.edges[edge as usize].breaker {
            breaker.note(is_failure, now);
        }
    }

    /// An attempt was lost at the Service that was called.
    fn failed(&mut self, call: u32, reason: LossReason, now: SimTime) {
        let at = number(self.edges[self.calls[call as usize].edge as usize].wire.callee);
        self.lost(call, Loss { at, reason }, now);
    }

    /// An attempt was lost: tries again, or gives up.
    fn lost(&mut self, call_idx: u32, loss: Loss, now: SimTime) {
        let call = &mut self.calls[call_idx as usize];
        let edge = &mut self.edges[call.edge as usize];
        let may_retry = call.attempt < edge.wire.policy.retries
            && call.caller != Caller::Nobody
            && edge.budget.as_mut().is_none_or(|budget| budget.withdraw(now));
        if !may_retry {
            return self.finish(call_idx, loss, now);
        }
        let pause = pause_before(&edge.wire.policy, call.attempt);
        (call.attempt, call.held_since) = (call.attempt + 1, None);
        call.serial = call.serial.wrapping_add(1);
        let retry = Loose::RetryDue { call: call_idx, serial: call.serial };
        self.calendar.push(now.saturating_add(pause), retry);
    }

    /// A call is over.
    fn finish(&mut self, call_idx: u32, loss: Loss, now: SimTime) {
        let call = self.calls[call_idx as usize];
        self.free(call_idx);
        let latency = now - call.first_at;
        let Wire { callee, told, is_denied, .. } = self.edges[call.edge as usize].wire;
        match call.caller {
            Caller::Nobody => {}
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
                self.resume(visit, blamed, loss);
            }
        }
    }

    /// Gives the place of a call that is over away; whatever still comes back finds another number.
    fn free(&mut self, call: u32) {
        let serial = &mut self.calls[call as usize].serial;
        *serial = serial.wrapping_add(1);
        self.free_calls.push(call);
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
                None => writes::loss(&node.part_writes, visit.luck, &self.are_writable),
            };
            if reason != LossReason::None {
                visit.failed = Loss { at: self.hops[visit.node as usize].owner, reason };
            }
        }
        let upstream = visit.upstream?;
        // What is behind a gateway is no time of its own, in its row as in those of zones.
        let (window, latency, reason) = (visit.window, now - visit.came_at, visit.failed.reason);
        let (zone, is_passed) = (visit.served.take(), visit.failed.is_none());
        let tally = &mut self.tallies[self.hops[visit.node as usize].owner as usize];
        tell(tally, window, latency, reason);
        self.tell_zone(zone.map(|row| row as usize), window, latency, reason);
        is_passed.then_some(upstream)
    }

    fn answer(&mut self, visit_idx: u32) {
        let visit = self.visits[visit_idx as usize];
        self.free_visits.push(visit_idx);
        let (node, came_at) = (visit.node as usize, visit.came_at);
        let latency = self.calendar.now() - came_at;
        self.tell_twin(node, visit.window, latency, visit.failed.reason);
        let zone = visit.served.map(|row| row as usize);
        self.tell_zone(zone, visit.window, latency, visit.failed.reason);
        if self.calls[visit.call as usize].serial != visit.serial {
            // Nobody waits for it any more: work for nothing.
            return;
        }
        let Call { edge, caller, .. } = self.calls[visit.call as usize];
        let now = self.calendar.now();
        if caller != Caller::Nobody {
            self.note_breaker(edge, !visit.failed.is_none(), now);
        }
        if visit.failed.is_none() {
            self.finish(visit.call, Loss::NONE, now);
        } else {
            self.lost(visit.call, visit.failed, now);
        }
    }
}

/// What the rows of the calendar are about.
fn rows(graph: &Graph) -> Box<[Row]> {
    let nodes = 0..number(graph.nodes.len());
    let is_shared = |node: &u32| graph.nodes[*node as usize].serving.is_worked_on_together();
    (0..number(graph.edges.sources.len()))
        .map(Row::Source)
        .chain(nodes.clone().map(Row::Work))
        .chain((0..number(graph.edges.all.len())).map(Row::Deadline))
        .chain(nodes.filter(is_shared).map(Row::Shared))
        .chain([Row::Other])
        .collect()
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
