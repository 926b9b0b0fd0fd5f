//! Flows that queue, time out and are retried: what happens depends on what happened before.
//!
//! Where a call has a policy, or a queue or a rate has a limit, or workers are shared, or pods have CPU
//! quotas, or work is not exponential, or clients wait for answers, or network policies deny something,
//! a flow has a memory: requests that wait, callers that are used to retry, breakers that are open. Under
//! the same load it may be well or stay in the overload that a spike left behind. This part follows it in
//! steps that are as long as little changes, and stops when nothing does: what a change costs is its
//! transient.
//!
//! The other Services, without any of these, are as before: see `evaluation`.

use model_api::Observation;
use model_api::observation::{FlowSegment, Throttling};
use model_api::path::{Discipline, Serving, Work};
use sim_kernel::{SimSpan, SimTime};

use crate::curve::Side;
use crate::delay::{Delay, rounded};
use crate::evaluation::Inputs;
use crate::flows::Traffic;
use crate::graph::{Graph, NodeIdx, RowIdx};
use crate::sessions::Sticky;
use crate::split::Rates;
use crate::stations::{Routes, routes};
use crate::stretch::{is_changing, next_knot};

mod bunched;
mod finite;
mod habits;
mod limits;
mod queue;
mod quota;
mod sharing;
mod sweep;
mod tried;
mod varied;

pub(crate) use bunched::BunchTables;
use limits::LimitState;
use queue::Queue;
pub(crate) use queue::{lost_by_chance, wait_of};
pub(crate) use quota::Tables;
use quota::{Pod, Table};
use sweep::{EdgeState, NodePicture, NodeState, Picture, Room, State, Sweep};
pub(crate) use varied::VariedTables;

/// The first step after a change.
const PACE_FIRST: SimSpan = SimSpan::from_millis(10);
/// No step is shorter.
const PACE_MIN: SimSpan = SimSpan::from_millis(1);
/// Flows that changed less than this, relative to what is offered, in a step of a second and more,
/// do not change.
const SETTLED: f64 = 1e-6;
/// The same of what is inside, whose changes are smaller than those of what it does. Chosen: a hundred times
/// as much, as what is inside nears its end by ever smaller steps long after nothing of it shows.
const SETTLED_INSIDE: f64 = 1e-4;
/// A step that changes more is halved.
const CHANGE_MAX: f64 = 0.05;
/// A step that changes less is doubled.
const CHANGE_MIN: f64 = 0.015;
/// After so many steps without settling they are a second long: something swings.
const STEP_COUNT_MAX: u32 = 4_000;
/// Flows that differ less than this, relative to them, are told as one segment: rates, and delays.
const RATE_ERROR: f64 = 1e-5;
const DELAY_ERROR: f64 = 1e-2;
/// Rounds to find the flows of time zero, before which nothing happened.
const ROUND_COUNT: u32 = 200;

/// The memory of connected Services, and how it goes on.
#[derive(Clone, Debug)]
pub(crate) struct Fluid {
    queues: Vec<Option<Queue>>,
    /// By node: what requests meet at pods with quotas.
    tables: Vec<Option<Table>>,
    /// By node: how long its work makes requests wait, where it varies much.
    varied: Vec<Option<varied::Table>>,
    /// How calls are divided among stations.
    routes: Routes,
    state: State,
    /// When it was like that.
    from: SimTime,
    picture: Picture,
    planned: Option<Planned>,
    pace: SimSpan,
    step_count: u32,
    is_constant: bool,
    is_started: bool,
    /// The segment of each row that was not told yet.
    open: Vec<Open>,
    room: Room,
    /// By node: periods in which something ran at its pods, in which they were throttled, and seconds in
    /// which they stood still, so far.
    throttled: Vec<[f64; 3]>,
}

/// The start of a segment.
#[derive(Clone, Copy, Debug)]
struct Open {
    from: SimTime,
    picture: NodePicture,
    /// Up to when nothing changed since.
    same_until: SimTime,
}

impl Open {
    fn at(now: SimTime, picture: NodePicture) -> Self {
        Self { from: now, picture, same_until: now }
    }
}

/// A step that was thought through.
#[derive(Clone, Debug)]
struct Planned {
    until: SimTime,
    state: State,
    picture: Picture,
}

impl Fluid {
    /// The memory of these Services, when they have one.
    pub(crate) fn of(graph: &Graph) -> Option<Self> {
        let is_plain = |serving: &Serving| {
            serving.queue_limit.is_none()
                && serving.discipline == Discipline::FirstCome
                && serving.rate_limit.is_none()
                && serving.work == Work::Exponential
                && serving.quota_period.is_none()
        };
        let has_memory = !graph.sites.is_empty()
            || graph
                .edges
                .all
                .iter()
                .any(|edge| edge.is_denied || edge.door.is_some() || !edge.policy.is_plain())
            || !graph.limits.is_empty()
            || graph.resolvers.is_some()
            || graph.has_part_writes
            || graph.nodes.iter().any(|node| {
                node.is_denied_database
                    || node.calls.windows(2).any(|pair| pair[0] == pair[1])
                    || !is_plain(&node.serving)
                    || node
                        .loads
                        .iter()
                        .any(|load| load.users.is_some() || load.clients.found.is_some())
            });
        has_memory.then(|| Self {
            queues: vec![None; graph.nodes.len()],
            tables: vec![None; graph.nodes.len()],
            varied: vec![None; graph.nodes.len()],
            routes: Routes::new(),
            state: State {
                nodes: vec![NodeState::default(); graph.nodes.len()],
                edges: vec![EdgeState::default(); graph.edges.all.len()],
                limits: graph.limits.iter().map(LimitState::of).collect(),
                kept: vec![0.0; kept_count(graph)],
            },
            from: SimTime::ZERO,
            picture: Picture::default(),
            planned: None,
            pace: PACE_FIRST,
            step_count: 0,
            is_constant: true,
            is_started: false,
            open: Vec::new(),
            room: Room::default(),
            throttled: vec![[0.0; 3]; graph.nodes.len()],
        })
    }

    /// Lets time pass until now, under the inputs that held until now.
    pub(crate) fn advance(&mut self, graph: &Graph, inputs: &Inputs, now: SimTime) {
        if !self.is_started || now <= self.from {
            return;
        }
        let span = now - self.from;
        self.count_throttled(inputs, span / 2);
        match self.planned.take() {
            Some(planned) if planned.until == now => {
                (self.state, self.picture) = (planned.state, planned.picture);
            }
            _ if self.is_constant => {
                limits::pass_all(graph, inputs, &mut self.state, (self.from, now));
            }
            _ => {
                let mut state = std::mem::take(&mut self.state);
                self.picture = self.step(graph, inputs, &mut state, now);
                self.state = state;
            }
        }
        self.count_throttled(inputs, span / 2);
        self.from = now;
    }

    /// Counts what quotas do, as if for so long it were as it is now.
    fn count_throttled(&mut self, inputs: &Inputs, span: SimSpan) {
        for (node, table) in self.tables.iter().enumerate() {
            let Some(table) = table else { continue };
            let pods = f64::from(inputs.endpoints[node].live_count);
            let takes = self.picture.rows.get(node).map_or(1.0, |row| row.queue.takes);
            let rates = table.throttling(self.state.nodes[node].ratio * takes);
            for (sum, rate) in self.throttled[node].iter_mut().zip(rates) {
                *sum += pods * rate * span.as_secs_f64();
            }
        }
    }

    /// Goes on from now under these inputs, `are_new` or as before; tells the segments that end now.
    /// Returns when it has to be called next.
    pub(crate) fn go_on(
        &mut self,
        graph: &Graph,
        inputs: &Inputs,
        now: SimTime,
        are_new: bool,
        mut tell: impl FnMut(Observation),
    ) -> Option<SimTime> {
        if are_new || !self.is_started {
            self.take_in(graph, inputs);
        }
        let until = std::mem::take(&mut self.picture);
        let (mut state, mut room) = (self.state.clone(), std::mem::take(&mut self.room));
        let sweep = self.sweep(graph, inputs, now, Side::After);
        if !self.is_started {
            for _ in 0..ROUND_COUNT {
                sweep.pass(&mut state, 1e4, &mut room);
            }
        }
        let mut picture = sweep.pass(&mut state, 0.0, &mut room);
        if is_withheld_otherwise(&self.state, &state) {
            picture = sweep.pass(&mut state, 0.0, &mut room);
        }
        self.picture = picture;
        (self.state, self.room) = (state, room);
        if self.is_started {
            for row in (0..graph.row_count()).filter(|row| !graph.is_untold(*row)) {
                self.tell_row(graph, row, &until.rows[row], now, &mut tell);
            }
        } else {
            self.open = self.picture.rows.iter().map(|row| Open::at(now, *row)).collect();
            self.is_started = true;
        }
        self.plan(graph, inputs, now)
    }

    /// Tells every open segment.
    pub(crate) fn finish(
        &mut self,
        graph: &Graph,
        now: SimTime,
        mut tell: impl FnMut(Observation),
    ) {
        for row in (0..self.open.len()).filter(|row| !graph.is_untold(*row)) {
            let last = self.picture.rows[row];
            self.close(graph, row, &last, now, &mut tell);
            self.open[row] = Open::at(now, last);
        }
        for (node, spec) in graph.nodes.iter().enumerate() {
            if spec.quota.is_none() || spec.station_of.is_some() {
                continue;
            }
            let sum =
                |of: usize| graph.nodes_of(&node).iter().map(|it| self.throttled[*it][of]).sum();
            let seen = Throttling {
                periods: rounded_whole(sum(0)),
                throttled: rounded_whole(sum(1)),
                stood_ns: SimSpan::from_secs_f64_rounded(sum(2)).as_nanos(),
            };
            tell(Observation::Throttled { service: spec.service, seen });
        }
    }

    /// What the workers of a Service do now, and at the end of the step: requests per 1000 s.
    pub(crate) fn worked_millirps(
        &self,
        graph: &Graph,
        node: NodeIdx,
    ) -> (u64, Option<(SimTime, u64)>) {
        let nodes = graph.nodes_of(&node);
        let of =
            |picture: &Picture| millirps(nodes.iter().map(|it| picture.rows[*it].worked).sum());
        let planned = self.planned.as_ref().filter(|_| !self.is_constant);
        let until = planned.map(|planned| (planned.until, of(&planned.picture)));
        (if self.is_started { of(&self.picture) } else { 0 }, until)
    }

    /// Requests that are in the pods of a Service.
    pub(crate) fn inside(&self, graph: &Graph, node: NodeIdx) -> f64 {
        if self.is_started { inside(graph, &self.picture.rows, node) } else { 0.0 }
    }

    /// Requests of a Service now, and at the end of the step.
    pub(crate) fn traffic(&self, graph: &Graph, node: NodeIdx) -> Traffic {
        let of = |picture: &Picture| {
            let rows = &picture.rows;
            let worked: f64 = graph.nodes_of(&node).iter().map(|it| rows[*it].worked).sum();
            let inside = SimSpan::from_secs_f64_rounded(inside(graph, rows, node)).as_millis();
            (millirps(rows[node].offered), millirps(worked), inside)
        };
        let first = if self.is_started { of(&self.picture) } else { Default::default() };
        let planned = self.planned.as_ref().filter(|_| !self.is_constant);
        let last = planned.map_or(first, |planned| of(&planned.picture));
        let until = planned.map(|planned| planned.until);
        Traffic {
            until,
            offered_millirps: (first.0, last.0),
            answered_millirps: (first.1, last.1),
            inside_milli: (first.2, until.map(|at| (at, last.2)).into_iter().collect()),
        }
    }

    /// The flow of a node as it was when it was looked at last.
    pub(crate) fn rates(&self, node: NodeIdx) -> Rates {
        self.picture.rows.get(node).map_or(Rates::default(), rates)
    }

    /// The flow of a node now, under inputs that hold since it was looked at last, and the time that
    /// all but one in a hundred of its answers are there within, in nanoseconds.
    pub(crate) fn look(
        &mut self,
        graph: &Graph,
        inputs: &Inputs,
        node: NodeIdx,
        now: SimTime,
    ) -> (Rates, u64) {
        let picture = if self.is_constant || now <= self.from {
            self.picture.rows[node]
        } else {
            let mut state = self.state.clone();
            self.step(graph, inputs, &mut state, now).rows[node]
        };
        (rates(&picture), SimSpan::from_secs_f64_rounded(picture.delay.quantile(0.99)).as_nanos())
    }

    /// What a request meets at the pods of a Service now.
    ///
    /// Simplified: of a Service that is divided by zone, at any of them.
    pub(crate) fn waiting(&self, graph: &Graph, inputs: &Inputs, node: NodeIdx) -> Waiting {
        if !graph.is_divided(node) {
            return self.waiting_at(node);
        }
        let (mut whole, mut count) = (Waiting::default(), 0.0);
        for &station in &graph.nodes[node].stations {
            let live = f64::from(inputs.endpoints[station].live_count);
            if live > 0.0 {
                count += live;
                whole = whole.or(self.waiting_at(station), live / count);
            }
        }
        whole
    }

    fn waiting_at(&self, node: NodeIdx) -> Waiting {
        let Some(picture) = self.picture.rows.get(node) else { return Waiting::default() };
        let queue = &picture.queue;
        if self.queues[node].as_ref().is_some_and(Queue::is_shared) {
            // All are worked on at once, and a probe is little work.
            return Waiting { refused: queue.blocked, wait: Delay::default() };
        }
        let wait = Delay {
            fixed: 0.0,
            waits: queue.waits,
            mean: queue.wait_mean,
            variance: queue.wait_variance,
            ..Delay::default()
        };
        Waiting { refused: queue.blocked, wait }
    }

    /// Whether fewer requests to a Service are answered than are asked for.
    pub(crate) fn is_lossy(&self, node: NodeIdx) -> bool {
        let picture = &self.picture.rows[node];
        millirps(picture.served) < millirps(picture.offered)
    }

    /// Whether more requests reach the workers of a Service than they can do.
    pub(crate) fn is_overloaded(&self, inputs: &Inputs, node: NodeIdx) -> bool {
        millirps(self.picture.rows[node].admitted) > inputs.endpoints[node].capacity_millirps
    }

    /// Whether the flow of a Service is about to change.
    pub(crate) fn is_changing(&self, node: NodeIdx) -> bool {
        let is_other =
            |planned: &Planned| !is_same(&self.picture.rows[node], &planned.picture.rows[node]);
        self.planned.as_ref().is_some_and(is_other)
    }

    fn tell_row(
        &mut self,
        graph: &Graph,
        row: RowIdx,
        until: &NodePicture,
        now: SimTime,
        tell: &mut impl FnMut(Observation),
    ) {
        let first = self.picture.rows[row];
        let opened = &mut self.open[row];
        if is_same(&opened.picture, until) && is_same(&opened.picture, &first) {
            opened.same_until = now;
            return;
        }
        self.close(graph, row, until, now, tell);
        self.open[row] = Open::at(now, first);
    }

    /// Tells the open segment of a row, which ends now; where it began to change at its last step
    /// only, in two.
    fn close(
        &self,
        graph: &Graph,
        row: RowIdx,
        until: &NodePicture,
        now: SimTime,
        tell: &mut impl FnMut(Observation),
    ) {
        let Open { mut from, picture, same_until } = self.open[row];
        let mut told = |from, until, last| {
            if from < until {
                let crossing_ppm = rounded(picture.crossing, 1e6);
                let segment = segment(graph, row, (from, until), &picture, last);
                tell(graph.told(row, segment, crossing_ppm));
            }
        };
        if !is_same(&picture, until) {
            told(from, same_until, &picture);
            from = same_until;
        }
        told(from, now, until);
    }

    /// Takes note of what stands behind the Services.
    fn take_in(&mut self, graph: &Graph, inputs: &Inputs) {
        for (node, spec) in graph.nodes.iter().enumerate() {
            let endpoints = inputs.endpoints[node];
            let queue = match &spec.quota {
                // Threads are as fast as cores, of which a pod has as many in the mean as its limit.
                Some(quota) => {
                    let workers = quota.cores_of_pod(endpoints);
                    Queue::new(&Serving { workers, ..spec.serving }, endpoints)
                }
                None => Queue::new(&spec.serving, endpoints),
            };
            if queue != self.queues[node] {
                let memory = &mut self.state.nodes[node];
                match &queue {
                    Some(queue) => memory.ratio = queue.ratio_of(memory.inside, memory.decline),
                    None => {
                        let NodeState { withheld, count, .. } = *memory;
                        *memory = NodeState { withheld, count, ..NodeState::default() };
                    }
                }
                self.queues[node] = queue;
            }
            self.varied[node] = spec.varied.of(&spec.serving, endpoints);
            if spec.quota.is_some() {
                let pod = Pod::of(spec, inputs.endpoints[node]);
                self.tables[node] = pod.map(|pod| spec.tables.of(pod));
            }
        }
        self.routes = routes(graph, inputs);
        forget_gone(graph, &self.routes, &mut self.state);
        self.pace = PACE_FIRST;
        self.step_count = 0;
    }

    /// Thinks the next step through.
    fn plan(&mut self, graph: &Graph, inputs: &Inputs, now: SimTime) -> Option<SimTime> {
        let is_changing = is_changing(graph, inputs, now);
        let opens = self.state.edges.iter().filter_map(|edge| edge.open_until);
        let (full_at, is_filling) = limits::next_of_all(graph, inputs, &self.state, now);
        let is_changing = is_changing || is_filling;
        let stop = next_knot(graph, inputs, now)
            .into_iter()
            .chain(full_at)
            .chain(opens.filter(|until| *until > now))
            .min()
            .unwrap_or(SimTime::MAX);
        self.step_count += 1;
        loop {
            let span = self.pace.min(stop.saturating_since(now));
            let until = now.saturating_add(span);
            let mut state = self.state.clone();
            let picture = self.step(graph, inputs, &mut state, until);
            let habits = habit_change(&self.state, &state);
            let change = change(&self.picture, &picture) + habits;
            // What is saved up shows later: when all that callers do is to save, time must pass.
            let is_saving = savings_change(&self.state, &state) >= SETTLED;
            // So does what drains or fills while all who come wait too long in any case.
            let is_draining = inside_change(&self.state, &state) >= SETTLED_INSIDE;
            let is_swinging = self.step_count > STEP_COUNT_MAX;
            let breakers = |state: &State| -> Vec<Option<SimTime>> {
                state.edges.iter().map(|edge| edge.open_until).collect()
            };
            let is_switching = breakers(&self.state) != breakers(&state);
            if is_switching && span > PACE_FIRST {
                self.pace = PACE_FIRST;
                continue;
            }
            if change > CHANGE_MAX && span > PACE_MIN && !is_swinging {
                self.pace = SimSpan::from_nanos(span.as_nanos() / 2).max(PACE_MIN);
                continue;
            }
            let is_long = span >= SimSpan::from_secs(1);
            let is_still = change < SETTLED && !is_saving && !is_draining;
            if is_long && is_still && !is_changing && !is_switching {
                self.is_constant = true;
                self.planned = None;
                if full_at.is_some() {
                    // A counter that is full in each period swings, and settles each time.
                    self.step_count = 0;
                }
                return (stop < SimTime::MAX).then_some(stop);
            }
            if change < CHANGE_MIN || is_swinging {
                let least = if is_swinging { SimSpan::from_secs(1) } else { SimSpan::ZERO };
                self.pace = self.pace.saturating_mul(2).max(least);
            }
            self.is_constant = false;
            self.planned = Some(Planned { until, state, picture });
            return Some(until);
        }
    }

    /// The flows at `until`, just before whatever happens then.
    fn step(
        &mut self,
        graph: &Graph,
        inputs: &Inputs,
        state: &mut State,
        until: SimTime,
    ) -> Picture {
        let secs = until.saturating_since(self.from).as_secs_f64();
        let mut room = std::mem::take(&mut self.room);
        let picture = self.sweep(graph, inputs, until, Side::Before).pass(state, secs, &mut room);
        self.room = room;
        picture
    }

    fn sweep<'a>(
        &'a self,
        graph: &'a Graph,
        inputs: &'a Inputs,
        at: SimTime,
        side: Side,
    ) -> Sweep<'a> {
        Sweep {
            graph,
            inputs,
            queues: &self.queues,
            tables: &self.tables,
            varied: &self.varied,
            routes: &self.routes,
            at,
            side,
        }
    }
}

/// What a request meets at the pods of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Waiting {
    /// Share of those that find the queue full.
    pub(crate) refused: f64,
    /// Until a worker takes it.
    pub(crate) wait: Delay,
}

impl Waiting {
    /// What those meet of whom a share meets another one.
    fn or(self, other: Self, share: f64) -> Self {
        let refused = (1.0 - share) * self.refused + share * other.refused;
        Self { refused, wait: self.wait.or(other.wait, share) }
    }

    /// Until a worker takes a request, in the mean.
    pub(crate) fn mean_secs(&self) -> f64 {
        self.wait.whole_mean()
    }

    /// Share of those that are not answered within this time.
    pub(crate) fn late_share(&self, secs: f64) -> f64 {
        1.0 - (1.0 - self.refused) * self.wait.is_over(secs)
    }
}

/// How much two pictures differ, relative to what is asked for.
fn change(first: &Picture, last: &Picture) -> f64 {
    let pairs = first.rows.iter().zip(&last.rows);
    pairs.fold(0.0, |change: f64, (first, last)| {
        let scale = first.offered.max(last.offered).max(1e-3);
        let moved = (last.served - first.served).abs() + (last.worked - first.worked).abs();
        let waits = (last.delay.whole_mean() - first.delay.whole_mean()).abs();
        let wait_scale = 1e-3 + first.delay.whole_mean().max(last.delay.whole_mean());
        change.max(moved / scale).max(waits / wait_scale)
    })
}

/// How much the habits of callers differ.
fn habit_change(first: &State, last: &State) -> f64 {
    let pairs = first.edges.iter().zip(&last.edges);
    pairs.fold(0.0, |change: f64, (first, last)| {
        let scale = 1.0 + first.extra.max(last.extra);
        change.max((last.extra - first.extra).abs() / scale)
    })
}

/// How much the numbers inside differ.
fn inside_change(first: &State, last: &State) -> f64 {
    let pairs = first.nodes.iter().zip(&last.nodes);
    pairs.fold(0.0, |change: f64, (first, last)| {
        let scale = 1.0 + first.inside.max(last.inside);
        change.max((last.inside - first.inside).abs() / scale)
    })
}

/// How much differs what budgets saved up, and what breakers counted.
fn savings_change(first: &State, last: &State) -> f64 {
    let pairs = first.edges.iter().zip(&last.edges);
    pairs.fold(0.0, |change: f64, (first, last)| {
        let of = |one: f64, other: f64| (other - one).abs() / (1.0 + one.max(other));
        change
            .max(of(first.saved, last.saved))
            .max(of(first.counted, last.counted))
            .max(of(first.failing, last.failing))
    })
}

/// Places that callers who stay with a pod remember something of.
fn kept_count(graph: &Graph) -> usize {
    let callee = |sticky: &Sticky| graph.edges.all[sticky.edge].callee;
    graph.stickies.iter().map(|sticky| graph.nodes[callee(sticky)].stations.len()).sum()
}

/// Those who tried again at a pod that is gone do so at the others.
fn forget_gone(graph: &Graph, routes: &Routes, state: &mut State) {
    for sticky in &graph.stickies {
        let (route, callee) = (&routes[sticky.edge], graph.edges.all[sticky.edge].callee);
        let count = graph.nodes[callee].stations.len();
        let mut gone = 0.0;
        for place in 0..count {
            if route.branch_to(callee + place).is_none() {
                gone += std::mem::take(&mut state.kept[sticky.at + place]);
            }
        }
        for branch in route.branches.iter().filter(|_| gone > 0.0) {
            state.kept[sticky.at + branch.station - callee] += gone * branch.share;
        }
    }
}

/// Requests in the pods of a Service: what its workers do times how long an answer takes.
fn inside(graph: &Graph, rows: &[NodePicture], node: NodeIdx) -> f64 {
    let of = |row: &NodePicture| row.worked * row.delay.whole_mean();
    match graph.served_rows(node) {
        Some(zones) => rows.get(zones).unwrap_or_default().iter().map(of).sum(),
        None => rows.get(node).map_or(0.0, of),
    }
}

/// Whether gateways do not pass on what they did before, so that the flows behind them are others.
fn is_withheld_otherwise(first: &State, last: &State) -> bool {
    let mut pairs = first.nodes.iter().zip(&last.nodes);
    pairs.any(|(first, last)| (first.withheld - last.withheld).abs() > SETTLED)
}

fn rates(picture: &NodePicture) -> Rates {
    let offered = millirps(picture.offered);
    Rates { offered, served: millirps(picture.served).min(offered) }
}

fn is_same(one: &NodePicture, other: &NodePicture) -> bool {
    let is_close = |one: f64, other: f64, share: f64| {
        (one - other).abs() <= share * one.abs().max(other.abs())
    };
    is_close(one.offered, other.offered, RATE_ERROR)
        && is_close(one.served, other.served, RATE_ERROR)
        && is_close(one.delay.whole_mean(), other.delay.whole_mean(), DELAY_ERROR)
        && is_close(one.limited, other.limited, RATE_ERROR)
        && one.loss == other.loss
        && one.is_piled_up == other.is_piled_up
        && is_close(one.tried, other.tried, DELAY_ERROR)
        && (one.crossing - other.crossing).abs() <= RATE_ERROR
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are positive, and `as` saturates"
)]
fn rounded_whole(count: f64) -> u64 {
    (count + 0.5) as u64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are positive and far below the limits, and `as` saturates"
)]
fn millirps(rps: f64) -> u64 {
    (rps * 1000.0 + 0.5) as u64
}

fn segment(
    graph: &Graph,
    row: RowIdx,
    (from, until): (SimTime, SimTime),
    first: &NodePicture,
    last: &NodePicture,
) -> FlowSegment {
    let nanos = |secs: f64| SimSpan::from_secs_f64_rounded(secs).as_nanos();
    let (offered_from, offered_until) = (millirps(first.offered), millirps(last.offered));
    let limited = |row: &NodePicture| {
        let lost = millirps(row.offered).saturating_sub(millirps(row.served));
        millirps(row.limited).min(lost)
    };
    let is_lossy = first.served < first.offered || last.served < last.offered;
    let (wait_probability_ppm, wait_mean_ns, wait_shape_milli) = last.delay.told_waits();
    FlowSegment {
        service: graph.nodes[graph.node_of(row)].service,
        from,
        until,
        offered_from_millirps: offered_from,
        offered_until_millirps: offered_until,
        served_from_millirps: millirps(first.served).min(offered_from),
        served_until_millirps: millirps(last.served).min(offered_until),
        limited_from_millirps: limited(first),
        limited_until_millirps: limited(last),
        base_latency_ns: nanos(last.delay.fixed),
        wait_probability_ppm,
        wait_mean_ns,
        wait_law: last.delay.law,
        wait_shape_milli,
        late_ppm: rounded(last.late.share, 1e6),
        late_by_ns: nanos(last.late.by),
        late_again_ppm: rounded(last.late.again, 1e6),
        late_times: last.late.times.max(1),
        is_piled_up: last.is_piled_up,
        loss: if is_lossy { last.loss } else { Default::default() },
        counted: None,
    }
}
