//! Every single request an event: the exact form of the model that [`Flows`](crate::Flows) solves.
//!
//! Each request comes from its source, waits for a worker, is worked on, calls what it needs, is
//! timed out, retried and counted. Requests influence nothing outside themselves, so they are
//! played only when somebody looks: up to the moment of the next change, in an order of their own.
//! Windows of a second, cut at every change, tell what became of them.

use std::hash::Hasher as _;
use std::sync::Arc;

use model_api::limiter::StoreSeen;
use model_api::observation::{Counted, FlowSegment, WAIT_SHAPE_EXPONENTIAL, WaitLaw};
use model_api::{Blueprint, DatabaseId, Observation, ServiceId};
use sim_kernel::{Context, Outcome, Recorder, SimSpan, SimTime, StableHasher, Streams};

use crate::entrance::{Choice, Entrance};
use crate::evaluation::Endpoints;
use crate::graph::{GraphError, Plan, RowIdx};
use crate::lookup::News;
use crate::split::Split;
use crate::stations::Place;

mod balancer;
mod calendar;
mod engine;
mod limits;
mod line;
mod pods;
mod policy;
mod quota;
mod sharing;
mod source;
mod station;
mod tally;
mod users;
mod wiring;
mod ziggurat;

use engine::Engine;
pub(crate) use engine::pause_before;
pub(crate) use station::work_factor;
pub(crate) use station::{limit_of_all, line_count, waiting_max_of_line};
use tally::Window;
pub(crate) use ziggurat::standard_exponential;

/// How long a window is, when nothing changes.
pub const WINDOW: SimSpan = SimSpan::from_secs(1);

/// All requests of a run, one by one.
#[derive(Clone, Debug)]
pub struct Requests {
    plan: Arc<Plan>,
    /// By part of the graph.
    engines: Vec<Engine>,
    window_from: SimTime,
    /// How the first part that met a limit ended.
    limit: Option<Outcome>,
}

/// Latencies of one Service so far, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latencies {
    /// Requests that were answered well.
    pub count: u64,
    /// The sum of their latencies, exactly.
    pub sum_ns: u128,
}

impl Requests {
    /// Requests as the blueprint's loads and profiles have them, at time zero; no Service has
    /// endpoints yet.
    ///
    /// # Errors
    /// When Services need each other in a circle, or a curve goes back in time.
    pub fn new(blueprint: &Blueprint, streams: Streams) -> Result<Self, GraphError> {
        Ok(Self::of(&Arc::new(Plan::new(blueprint)?), streams))
    }

    pub(crate) fn of(plan: &Arc<Plan>, streams: Streams) -> Self {
        let engines = (0..plan.parts.len()).map(|part| {
            let mut engine = Engine::new(plan, part, streams);
            engine.begin();
            engine
        });
        Self {
            engines: engines.collect(),
            plan: Arc::clone(plan),
            window_from: SimTime::ZERO,
            limit: None,
        }
    }

    /// Plays all requests up to and including `until`.
    pub fn advance(&mut self, until: SimTime) {
        for engine in &mut self.engines {
            let limit = engine.advance(until);
            self.limit = self.limit.or(limit);
        }
    }

    /// The limit that ended the requests before their time, if one did.
    pub fn limit(&self) -> Option<Outcome> {
        self.limit
    }

    /// The digest of a run whose other events have the digest `of_others`.
    pub fn digest(&self, of_others: u64) -> u64 {
        let mut digest = StableHasher::default();
        digest.write_u64(of_others);
        for engine in &self.engines {
            digest.write_u64(engine.digest());
        }
        digest.finish()
    }

    /// Requests from outside so far.
    pub fn request_count(&self) -> u64 {
        self.engines.iter().map(Engine::request_count).sum()
    }

    /// Tells what stands behind a Service, from the moment on up to which was played.
    pub fn set_endpoints(
        &mut self,
        service: ServiceId,
        ready_count: u32,
        live_count: u32,
        capacity_millirps: u64,
    ) {
        if let Some((part, node)) = self.plan.place_of(service) {
            let endpoints =
                Endpoints { ready_count, live_count, capacity_millirps, reaching_ppm: None };
            self.set_node_endpoints(part, node, endpoints);
        }
    }

    pub(crate) fn set_node_endpoints(&mut self, part: usize, node: usize, endpoints: Endpoints) {
        self.engines[part].set_endpoints(node, endpoints);
    }

    pub(crate) fn set_writable(&mut self, part: usize, database: DatabaseId, is_writable: bool) {
        self.engines[part].set_writable(database, is_writable);
    }

    pub(crate) fn set_failing(&mut self, part: usize, node: usize, failing_ppm: u32) {
        self.engines[part].set_failing(node, failing_ppm);
    }

    /// Tells how many of a million requests need a call.
    pub(crate) fn set_needed(&mut self, part: usize, edge: usize, ppm: u32) {
        self.engines[part].set_needed(edge, ppm);
    }

    pub(crate) fn set_places(&mut self, part: usize, node: usize, places: Box<[Place]>) {
        self.engines[part].set_places(node, places.into_vec());
    }

    /// Tells whether the endpoints of a node carry hints, and are a last resort.
    pub(crate) fn set_marked(&mut self, part: usize, node: usize, marks: (bool, bool)) {
        self.engines[part].set_marked(node, marks);
    }

    /// Tells at which sites requests from outside come in that stay there.
    pub(crate) fn set_fronts(&mut self, part: usize, node: usize, counts: Box<[u32]>) {
        self.engines[part].set_fronts(node, counts.into_vec());
    }

    /// Tells which pods a gateway chooses from along a call.
    pub(crate) fn set_choice(&mut self, part: usize, edge: usize, choice: Choice) {
        self.engines[part].set_choice(edge, choice);
    }

    /// Tells where the load balancer before a node leads to.
    pub(crate) fn set_entrance(&mut self, part: usize, node: usize, entrance: Entrance) {
        self.engines[part].set_entrance(node, entrance);
    }

    /// Tells which share of those who stay with a pod has each of them.
    pub(crate) fn set_sticky(&mut self, part: usize, number: usize, shares: Box<[f64]>) {
        self.engines[part].set_sticky(number, shares.into_vec());
    }

    pub(crate) fn set_outside(&mut self, part: usize, counts: Box<[u32]>) {
        self.engines[part].set_outside(counts.into_vec());
    }

    /// Takes note of where endpoints are from now on, where calls are divided by it.
    pub(crate) fn reroute(&mut self) {
        self.engines.iter_mut().for_each(Engine::reroute);
    }

    pub(crate) fn set_split(&mut self, part: usize, node: usize, split: Split) {
        self.engines[part].set_split(node, split);
    }

    /// Of a million requests that came to a node since an instant, how many were answered well.
    pub(crate) fn success_ppm(&self, part: usize, node: usize, from: SimTime) -> Option<i64> {
        let (ended, served) = self.engines[part].tallies[node].ended_and_served_since(from);
        i64::try_from((served * 1_000_000).checked_div(ended)?).ok()
    }

    pub(crate) fn set_factor(&mut self, part: usize, source: usize, factor: u64, ramp: SimSpan) {
        self.engines[part].set_factor(source, factor, ramp);
    }

    /// Tells the clients of a source what they get to know.
    pub(crate) fn hear(&mut self, part: usize, source: usize, news: News) {
        self.engines[part].hear_of(source, news);
    }

    /// Tells Services that look up whom they call what they get to know.
    pub(crate) fn hear_inside(&mut self, part: usize, news: News) {
        self.engines[part].hear_inside(news);
    }

    /// Tells Services that look up whom they call how long that takes.
    pub(crate) fn set_look_up(&mut self, part: usize, takes: SimSpan) {
        self.engines[part].set_look_up(takes);
    }

    /// Tells what becomes of those who ask the store of a rate limit.
    pub(crate) fn set_store(&mut self, part: usize, limit: usize, seen: StoreSeen) {
        self.engines[part].set_store(limit, seen);
    }

    /// Latencies of the requests to a Service, as its callers see them.
    pub fn latencies(&self, service: ServiceId) -> Option<Latencies> {
        let (part, node) = self.plan.place_of(service)?;
        let tally = &self.engines[part].tallies[node];
        Some(Latencies { count: tally.latencies().len(), sum_ns: tally.latency_sum_ns() })
    }

    /// Answers of a Service so far that took at most so long, with a thousandth of rounding.
    pub fn answered_within(&self, service: ServiceId, limit: SimSpan) -> u64 {
        let Some((part, node)) = self.plan.place_of(service) else { return 0 };
        let histogram = self.engines[part].tallies[node].latencies();
        histogram.count_between(0, limit.as_nanos())
    }

    /// Requests that ended so far, and how many of them were answered well.
    pub fn ended_and_served(&self, service: ServiceId) -> (u64, u64) {
        self.plan
            .place_of(service)
            .map_or((0, 0), |(part, node)| self.engines[part].tallies[node].ended_and_served())
    }

    /// Requests that wait for a worker of a Service now.
    pub fn waiting_count(&mut self, service: ServiceId) -> usize {
        let Some((part, node)) = self.plan.place_of(service) else { return 0 };
        self.engines[part].waiting_count(node)
    }

    /// Ends the window that goes on, unless it is empty, and tells those of which everything is
    /// known; all of them when the run `is_over`.
    pub(crate) fn close_window<E, R>(&mut self, is_over: bool, ctx: &mut Context<'_, E, R>)
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        if self.window_from < now {
            self.window_from = now;
            for engine in &mut self.engines {
                engine.close_window(now);
            }
        }
        for engine in &mut self.engines {
            for row in 0..engine.tallies.len() {
                while let Some(window) = engine.tallies[row].take_window(is_over) {
                    if !engine.graph().is_untold(row) {
                        let crossing_ppm = window.crossing_ppm();
                        ctx.observe(|| {
                            let segment = segment(engine, row, &window);
                            engine.graph().told(row, segment, crossing_ppm)
                        });
                    }
                }
            }
        }
    }

    /// Tells how long answers took, and what quotas did. To be called once, at the end of the run.
    pub(crate) fn tell_latencies<E, R>(&self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        for engine in &self.engines {
            for (row, tally) in engine.tallies.iter().enumerate() {
                for bucket in tally.latencies().iter_recorded() {
                    let (within_ns, count) =
                        (bucket.value_iterated_to(), bucket.count_since_last_iteration());
                    ctx.observe(|| engine.graph().told_answered(row, within_ns, count));
                }
            }
            for (node, spec) in engine.graph().nodes.iter().enumerate() {
                if let Some(seen) = engine.throttling(node) {
                    let service = spec.service;
                    ctx.observe(|| Observation::Throttled { service, seen });
                }
            }
        }
    }
}

/// What became of the requests of a row in a window.
///
/// Where the outside asks, the rate is that of the load and the share answered is what was seen, so
/// that the chance of arrivals does not look like a change of the service. In a window in which nobody
/// asked it is as it was when somebody did last: a Service that is seldom asked and does not answer is
/// not well in between. How many asked and were answered is told besides.
fn segment(engine: &Engine, row: RowIdx, window: &Window) -> FlowSegment {
    let graph = engine.graph();
    let Window { from, until, ended, served, .. } = *window;
    let nanos = u128::from((until - from).as_nanos()).max(1);
    let seen = (u128::from(ended) * 1_000_000_000_000 + nanos / 2) / nanos;
    let seen = u64::try_from(seen).unwrap_or(u64::MAX);
    let (first, last) = window.asked_millirps.unwrap_or((seen, seen));
    FlowSegment {
        service: graph.nodes[graph.node_of(row)].service,
        from,
        until,
        offered_from_millirps: first,
        offered_until_millirps: last,
        served_from_millirps: window.answered_of(first),
        served_until_millirps: window.answered_of(last),
        limited_from_millirps: window.limited_of(first),
        limited_until_millirps: window.limited_of(last),
        base_latency_ns: graph.base_latency_of(row).as_nanos(),
        wait_probability_ppm: 0,
        wait_mean_ns: 0,
        wait_law: WaitLaw::Gamma,
        wait_shape_milli: WAIT_SHAPE_EXPONENTIAL,
        late_ppm: 0,
        late_by_ns: 0,
        late_again_ppm: 0,
        late_times: 1,
        is_piled_up: window.is_piled_up,
        loss: window.loss(),
        counted: Some(Counted { asked: ended, answered: served, limited: window.limited() }),
    }
}
