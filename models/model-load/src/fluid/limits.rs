//! What counters of rate limits remember, and what they let through at an instant.
//!
//! Within a second (in pods: up to ten) a limit lets a share through, which stays. What came since a longer period began is
//! followed: a counter is open until it is full, and then shut until the next period. It costs a step
//! only where a counter becomes full, and at the end of a period in which one did.

use model_api::limiter::{Counters, Period, Window};
use model_api::observation::LossReason;
use model_api::path::RateLimit;
use sim_kernel::{SimSpan, SimTime};

use super::sweep::{NodeWork, Room, State, Sweep, Worst, share};
use super::tried::Late;
use crate::curve::Side;
use crate::delay::{Delay, normal_share};
use crate::edges::EdgeIdx;
use crate::evaluation::Inputs;
use crate::graph::{Graph, NodeIdx};

use crate::limits::{Limit, Uncounted, came_when_full, open_share, passing_share};
use crate::request::limit_of_all;

/// A counter that is full with this probability, or open with it, is taken for open, or full.
const NEGLIGIBLE: f64 = 1e-4;
/// Windows of pods that are no longer than this let a share of what comes in at each moment; in longer ones
/// all come in until the limit is reached.
const AVERAGED_MAX: SimSpan = SimSpan::from_secs(10);

/// What the counters of a limit remember.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LimitState {
    /// By period longer than a second, in the order of the limit.
    counts: Vec<Count>,
    /// Pods that counted.
    live_count: u32,
}

/// What came to each counter since a period began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Count {
    number: u64,
    came: f64,
    /// What comes, per second.
    rate: f64,
}

impl Count {
    /// Lets time pass, up to just before `to` or up to it.
    fn pass(
        &mut self,
        window_at: impl Fn(SimTime) -> Window,
        (from, to): (SimTime, SimTime),
        side: Side,
    ) {
        let Window { number, from: start, .. } = window_at(last_instant(to, side));
        if number != self.number {
            (self.number, self.came) = (number, 0.0);
        }
        self.came += self.rate * to.saturating_since(from.max(start)).as_secs_f64();
    }

    /// When it begins to be full, or opens again, next; and whether it is becoming full now.
    fn next(&self, window: Window, amount: f64, now: SimTime) -> (Option<SimTime>, bool) {
        let Self { came, rate, .. } = *self;
        let by_end = came + rate * window.until.saturating_since(now).as_secs_f64();
        let in_all = rate * window.until.saturating_since(window.from).as_secs_f64();
        let is_full = |came: f64| 1.0 - open_share(amount, came) >= NEGLIGIBLE;
        if is_full(came) {
            let is_filling = open_share(amount, came) > NEGLIGIBLE && rate > 0.0;
            return (Some(window.until), is_filling);
        }
        if is_full(by_end) && rate > 0.0 {
            let left = came_when_full(amount, NEGLIGIBLE) - came;
            let after = SimSpan::from_secs_f64_rounded((left / rate).max(1e-3));
            return (Some(now.saturating_add(after).min(window.until)), false);
        }
        (is_full(in_all).then_some(window.until), false)
    }
}

/// A limit of pods on what they let in, whose windows are long enough to be followed. As single requests
/// have it: all pods together let as many in as all may. Shorter windows let a share in, which stays.
#[derive(Clone, Copy, Debug)]
pub(super) struct PodLimit {
    window: SimSpan,
    amount: f64,
}

impl PodLimit {
    /// `None` where nothing is counted, or in short windows.
    pub(super) fn of(limit: Option<RateLimit>, live_count: u32) -> Option<Self> {
        let limit = limit.filter(|limit| limit.window > AVERAGED_MAX)?;
        let amount = limit_of_all(limit, live_count) as f64;
        Some(Self { window: limit.window, amount })
    }

    /// Lets `secs` pass up to an instant, in which so many came per second; returns the share of those
    /// that come then that is let in.
    pub(super) fn let_in(
        &self,
        count: &mut Count,
        (rate, secs): (f64, f64),
        (at, side): (SimTime, Side),
    ) -> f64 {
        count.rate = rate;
        let from = at.saturating_sub(SimSpan::from_secs_f64_rounded(secs));
        count.pass(|at| self.window(at), (from, at), side);
        open_share(self.amount, count.came)
    }

    fn window(&self, at: SimTime) -> Window {
        let length = self.window.as_nanos();
        let number = at.as_nanos() / length;
        let start = |number: u64| SimTime::from_nanos(number.saturating_mul(length));
        Window { number, from: start(number), until: start(number + 1) }
    }
}

/// The limits of pods that are followed, each with its node.
fn pod_limits<'a>(
    graph: &'a Graph,
    inputs: &'a Inputs,
) -> impl Iterator<Item = (NodeIdx, PodLimit)> + 'a {
    let nodes = graph.nodes.iter().zip(&inputs.endpoints).enumerate();
    nodes.filter_map(|(idx, (node, endpoints))| {
        Some((idx, PodLimit::of(node.serving.rate_limit, endpoints.live_count)?))
    })
}

/// Lets time pass in which nothing changes.
pub(super) fn pass_all(
    graph: &Graph,
    inputs: &Inputs,
    state: &mut State,
    (from, to): (SimTime, SimTime),
) {
    for (limit, memory) in graph.limits.iter().zip(&mut state.limits) {
        memory.pass(limit, from, to);
    }
    for (node, limit) in pod_limits(graph, inputs) {
        state.nodes[node].count.pass(|at| limit.window(at), (from, to), Side::Before);
    }
}

fn last_instant(at: SimTime, side: Side) -> SimTime {
    match side {
        Side::Before => at.saturating_sub(SimSpan::from_nanos(1)),
        Side::After => at,
    }
}

/// The periods of a limit that are followed.
fn followed(limit: &Limit) -> impl Iterator<Item = (Period, u64)> + '_ {
    limit.limits.iter().copied().filter(|(period, _)| *period != Period::Second)
}

impl LimitState {
    pub(super) fn of(limit: &Limit) -> Self {
        Self { counts: vec![Count::default(); followed(limit).count()], live_count: 0 }
    }

    /// Lets time pass in which nothing changes.
    pub(super) fn pass(&mut self, limit: &Limit, from: SimTime, to: SimTime) {
        for (count, (period, _)) in self.counts.iter_mut().zip(followed(limit)) {
            count.pass(|at| period.at(at), (from, to), Side::Before);
        }
    }

    /// When a counter begins to be full, or opens again, next; and whether one is becoming full now.
    pub(super) fn next(
        &self,
        limit: &Limit,
        inputs: &Inputs,
        idx: usize,
        now: SimTime,
    ) -> (Option<SimTime>, bool) {
        let (mut next, mut is_filling) = (None, false);
        if limit.uncounted_all(inputs.stores[idx]).is_some() {
            return (None, false);
        }
        for (count, (period, amount)) in self.counts.iter().zip(followed(limit)) {
            let amount = limit.limit_of(amount, count.rate, self.live_count);
            let (at, fills) = count.next(period.at(now), amount, now);
            is_filling |= fills;
            next = next.into_iter().chain(at).min();
        }
        (next, is_filling)
    }
}

impl Sweep<'_> {
    /// Lets requests that came to a gateway meet its limits; returns the share of all that passes, and
    /// the same of those limits that let everything in at the start of each second.
    pub(super) fn meet_limits(
        &self,
        node: NodeIdx,
        state: &mut State,
        secs: f64,
        room: &mut Room,
    ) -> (f64, f64) {
        let endpoints = self.inputs.endpoints[node];
        let alive = endpoints.reaching_share().unwrap_or(0.0);
        for (idx, limit) in self.graph.limits.iter().enumerate().filter(|it| it.1.gateway == node) {
            let is_told = |edge: &&EdgeIdx| !self.graph.edges.all[**edge].is_denied;
            let edges = limit.edges.iter().filter(is_told);
            let come: f64 =
                edges.clone().map(|&edge| room.edges[edge].reaching).sum::<f64>() * alive;
            let memory = &mut state.limits[idx];
            let (let_in, at_once) = match limit.lost(self.inputs.stores[idx]) {
                Some((share, Uncounted { passes, .. })) if share >= 1.0 => {
                    self.count(limit, memory, (0.0, 0.0), endpoints.live_count, secs);
                    (f64::from(u8::from(passes)), 1.0)
                }
                Some((share, Uncounted { passes, .. })) => {
                    let counted = come * (1.0 - share);
                    let (let_in, at_once) =
                        self.let_in(limit, memory, counted, endpoints.live_count, secs);
                    let uncounted = share * f64::from(u8::from(passes));
                    (uncounted + (1.0 - share) * let_in, share + (1.0 - share) * at_once)
                }
                None => self.let_in(limit, memory, come, endpoints.live_count, secs),
            };
            for &edge in limit.edges.iter().filter(is_told) {
                (room.edges[edge].let_in, room.edges[edge].at_once) = (let_in, at_once);
            }
        }
        let (mut all, mut passing, mut at_once) = (0.0, 0.0, 0.0);
        for &edge in &self.graph.edges.to_node[node] {
            let call = &room.edges[edge];
            if !self.graph.edges.all[edge].is_denied {
                all += call.reaching;
                passing += call.reaching * call.let_in;
                at_once += call.reaching * call.at_once;
            }
        }
        if all > 0.0 { (passing / all, at_once / all) } else { (1.0, 1.0) }
    }

    /// The share of those who come that the counters of a limit let through: in all, and over each second.
    fn let_in(
        &self,
        limit: &Limit,
        memory: &mut LimitState,
        come: f64,
        live_count: u32,
        secs: f64,
    ) -> (f64, f64) {
        let counters = f64::from(limit.identity_count) * f64::from(limit.counter_count(live_count));
        let rate = come / counters;
        let of_seconds = limit.limits.iter().find(|(period, _)| *period == Period::Second);
        let at_once = of_seconds.map_or(1.0, |&(_, amount)| {
            passing_share(limit.limit_of(amount, rate, live_count), rate)
        });
        let counts_refused =
            matches!(limit.counters, Counters::Shared { counts_refused: true, .. });
        let counted = if counts_refused { rate } else { rate * at_once };
        self.count(limit, memory, (counted, counted), live_count, secs);
        let mut open = 1.0;
        for (count, (_, amount)) in memory.counts.iter().zip(followed(limit)) {
            open *= open_share(limit.limit_of(amount, count.rate, live_count), count.came);
        }
        (at_once * open, at_once)
    }

    /// Takes note of what comes to each counter, and of what came.
    fn count(
        &self,
        limit: &Limit,
        memory: &mut LimitState,
        (before, after): (f64, f64),
        live_count: u32,
        secs: f64,
    ) {
        let from = self.at.saturating_sub(SimSpan::from_secs_f64_rounded(secs));
        let known = f64::from(limit.counter_count(memory.live_count));
        let grown = (known / f64::from(limit.counter_count(live_count))).min(1.0);
        for (count, (period, _)) in memory.counts.iter_mut().zip(followed(limit)) {
            count.rate = before;
            count.pass(|at| period.at(at), (from, self.at), self.side);
            count.rate = after;
            if memory.live_count > 0 {
                count.came *= grown;
            }
        }
        memory.live_count = live_count;
    }

    /// What those meet who make a call that a limit is before, when they would meet this without.
    pub(super) fn limited(&self, edge: EdgeIdx, room: &Room, whole: NodeWork) -> NodeWork {
        let Some(idx) = self.graph.edges.all[edge].limit else { return whole };
        let limit = &self.graph.limits[idx];
        let let_in = room.edges[edge].let_in;
        let refused = whole.alive * (1.0 - let_in);
        // Of these, those that get an error because the store does not answer.
        let uncounted = match limit.lost(self.inputs.stores[idx]) {
            Some((share, _)) if share >= 1.0 => refused,
            Some((share, Uncounted { passes: false, .. })) => whole.alive * share,
            Some(_) | None => 0.0,
        };
        let counted = refused - uncounted;
        let reason = if uncounted > counted { limit.store_loss() } else { LossReason::RateLimited };
        let is_before =
            matches!(whole.worst.reason, LossReason::DeadEndpoints | LossReason::NoEndpoints);
        let part = if is_before { 1.0 } else { let_in };
        let worst = Worst { share: whole.worst.share * part, ..whole.worst };
        let mut limited = whole;
        limited.answered *= let_in;
        limited.limited *= let_in;
        limited.limited += counted;
        limited.delay = whole.delay.then(self.held(edge));
        limited.worst = worst.or(reason, refused);
        limited
    }

    /// How long requests wait for a store of which no pod says anything.
    pub(super) fn held(&self, edge: EdgeIdx) -> Delay {
        let Some(idx) = self.graph.edges.all[edge].limit else { return Delay::default() };
        let uncounted = self.graph.limits[idx].uncounted_all(self.inputs.stores[idx]);
        Delay::fixed(uncounted.map_or(0.0, |it| it.after.as_secs_f64()))
    }

    /// What those make of the answers of a call that wait for a store of which some pod says nothing, and then
    /// pass.
    pub(super) fn held_by_some(&self, edge: EdgeIdx, room: &Room) -> Late {
        let Some(idx) = self.graph.edges.all[edge].limit else { return Late::default() };
        match self.graph.limits[idx].lost(self.inputs.stores[idx]) {
            Some((lost, Uncounted { passes: true, after })) if lost < 1.0 && !after.is_zero() => {
                let of_passing = share(lost, room.edges[edge].let_in).min(1.0);
                Late { share: of_passing, by: after.as_secs_f64(), again: 0.0, times: 1 }
            }
            _ => Late::default(),
        }
    }

    /// Of the attempts of a call, those that fail after a wait for a store that says nothing: for so much
    /// of the time-out.
    pub(super) fn silent_of_store(&self, edge: EdgeIdx, alive: f64, room: &Room) -> f64 {
        let Some(idx) = self.graph.edges.all[edge].limit else { return 0.0 };
        let Some((lost, uncounted)) = self.graph.limits[idx].lost(self.inputs.stores[idx]) else {
            return 0.0;
        };
        let held = uncounted.after.as_secs_f64();
        let timeout = self.graph.edges.all[edge].policy.timeout.map_or(0.0, SimSpan::as_secs_f64);
        if held <= 0.0 || timeout <= 0.0 {
            return 0.0;
        }
        let fail = if lost >= 1.0 {
            1.0 - room.edges[edge].let_in
        } else if uncounted.passes {
            0.0
        } else {
            lost
        };
        alive * fail * (held / timeout).min(1.0)
    }
}

/// When some counter begins to be full, or opens again, next; and whether one is becoming full now.
pub(super) fn next_of_all(
    graph: &Graph,
    inputs: &Inputs,
    state: &State,
    now: SimTime,
) -> (Option<SimTime>, bool) {
    let mut all = (None, false);
    for (idx, (limit, memory)) in graph.limits.iter().zip(&state.limits).enumerate() {
        let (next, is_filling) = memory.next(limit, inputs, idx, now);
        all = (all.0.into_iter().chain(next).min(), all.1 || is_filling);
    }
    for (node, limit) in pod_limits(graph, inputs) {
        let count = &state.nodes[node].count;
        let (next, is_filling) = count.next(limit.window(now), limit.amount, now);
        all = (all.0.into_iter().chain(next).min(), all.1 || is_filling);
    }
    all
}

/// The share of a Poisson flow that a limit of so many in each window lets in, by the normal law.
pub(super) fn share_let_in(rate: f64, limit_count: f64, window: SimSpan) -> f64 {
    let mean = rate * window.as_secs_f64();
    if mean <= 0.0 {
        return 1.0;
    }
    let deviation = libm::sqrt(mean);
    let score = (limit_count - mean) / deviation;
    let density = libm::exp(-score * score / 2.0) / libm::sqrt(std::f64::consts::TAU);
    let beyond = deviation * (density - score * normal_share(-score));
    (1.0 - beyond / mean).clamp(0.0, 1.0)
}
