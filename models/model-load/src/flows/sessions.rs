//! Clients that stay with a pod: when they are told of other pods, and when sessions that end move a
//! part of them.
//!
//! Both engines hear of shares of all requests only, in steps of [`STEP`], each as it is in its middle.

use model_api::session::SessionsSeen;
use model_api::{Observation, ServiceId};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime, Stream, Streams, Timer};

use super::{Flows, Input, LoadEvent, PRIORITY};
use crate::curve::Side;
use crate::graph::{NodeIdx, Plan};
use crate::sessions::{Bindings, Moved, PodPlace, Population, Rule, Sticky, Turnover, Whose};
use crate::stations::Station;

const POD: Purpose = Purpose::new("pod of a session");
/// The share of all requests that moves from one step to the next.
const STEP: f64 = 0.02;
const WHOLE: f64 = 1e6;

/// All calls whose callers stay with a pod.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    all: Vec<Bound>,
}

/// A call whose callers stay with a pod.
#[derive(Clone, Debug)]
struct Bound {
    part: usize,
    /// Its number among those of the part.
    number: usize,
    callee: NodeIdx,
    bindings: Bindings,
    luck: Stream,
    places: Vec<PodPlace>,
    /// By node that calls: its live pods, where these are who stays.
    callers: Vec<(NodeIdx, u32)>,
    /// It was told something since the last time.
    has_news: bool,
    /// When sessions that end matter next.
    timer: Timer,
    moved: f64,
    lost: f64,
    hottest: f64,
}

impl Bounds {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut all = Vec::new();
        for (part, graph) in plan.parts.iter().enumerate() {
            for (number, sticky) in graph.stickies.iter().enumerate() {
                let callers = match &sticky.whose {
                    Whose::Pods(node) => graph.nodes_of(node).iter().map(|it| (*it, 0)).collect(),
                    Whose::Source(..) | Whose::Balancer(_) => Vec::new(),
                };
                let callee = graph.edges.all[sticky.edge].callee;
                all.push(Bound {
                    part,
                    number,
                    callee,
                    bindings: Bindings::default(),
                    luck: Streams::new(0, 0).stream(sticky.key, POD),
                    places: vec![PodPlace::default(); graph.nodes[callee].stations.len()],
                    callers,
                    has_news: true,
                    timer: Timer::NONE,
                    moved: 0.0,
                    lost: 0.0,
                    hottest: 0.0,
                });
            }
        }
        Self { all }
    }

    /// Takes note of the pods that stand behind a Service, which callers are shown or not.
    pub(super) fn stand(
        &mut self,
        part: usize,
        callee: NodeIdx,
        stations: &[Station],
        are_shown: bool,
    ) {
        for bound in self.all.iter_mut().filter(|it| (it.part, it.callee) == (part, callee)) {
            for (place, station) in bound.places.iter_mut().zip(stations) {
                let ready_count = if are_shown { station.endpoints().ready_count } else { 0 };
                let seen = PodPlace { pod: station.pod.filter(|_| ready_count > 0), ready_count };
                bound.has_news |= *place != seen;
                *place = seen;
            }
        }
    }

    /// Takes note of how many pods of a node live.
    pub(super) fn note_live(&mut self, part: usize, node: NodeIdx, live_count: u32) {
        for bound in self.all.iter_mut().filter(|bound| bound.part == part) {
            for (caller, count) in &mut bound.callers {
                if *caller == node && *count != live_count {
                    *count = live_count;
                    bound.has_news = true;
                }
            }
        }
    }
}

impl Bound {
    /// Who stays: clients of a load or a balancer, or the pods of who calls.
    fn population<'a>(
        &self,
        sticky: &'a Sticky,
        pods: &'a mut Option<Population>,
    ) -> &'a Population {
        match &sticky.whose {
            Whose::Source(_, clients) | Whose::Balancer(clients) => clients,
            Whose::Pods(_) => {
                let count = self.callers.iter().map(|(_, count)| count).sum();
                pods.insert(Population::even(count, sticky.key))
            }
        }
    }
}

impl Flows {
    /// The same at time zero, with the luck of a run in which pod each client gets.
    #[must_use]
    pub fn with_sessions(mut self, streams: Streams) -> Self {
        for bound in &mut self.bounds.all {
            let sticky = &self.plan.parts[bound.part].stickies[bound.number];
            bound.luck = streams.stream(sticky.key, POD);
        }
        self
    }

    /// Gives those who stay with a pod others, where theirs are gone.
    pub(super) fn settle_sessions<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        if !self.bounds.all.iter().any(|bound| bound.has_news) {
            return;
        }
        for idx in 0..self.bounds.all.len() {
            if !self.bounds.all[idx].has_news {
                continue;
            }
            let now = ctx.now();
            let turnover = self.turnover(idx, now);
            let plan = std::sync::Arc::clone(&self.plan);
            let bound = &mut self.bounds.all[idx];
            let sticky = &plan.parts[bound.part].stickies[bound.number];
            let mut pods = None;
            let clients = bound.population(sticky, &mut pods);
            let moved = bound.bindings.rebind(
                &bound.places,
                clients,
                (sticky.rule, turnover),
                now,
                &mut bound.luck,
            );
            bound.has_news = false;
            bound.moved += moved.count;
            let service = plan.parts[bound.part].nodes[bound.callee].service;
            if matches!(sticky.whose, Whose::Source(..))
                && plan.parts[bound.part].nodes[bound.callee].serving.loses_sessions
            {
                bound.lost += moved.count;
                self.lose_sessions(service, moved, turnover.rate, ctx);
            }
            self.tell_shares(idx, turnover, ctx);
        }
    }

    /// Sessions that ended moved a part of those who stay with a pod.
    pub(super) fn move_sessions<E, R>(&mut self, idx: usize, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        let turnover = self.turnover(idx, ctx.now());
        self.tell_shares(idx, turnover, ctx);
    }

    /// Tells the shares of a call, as they are in the middle of the time until that matters again.
    fn tell_shares<E, R>(&mut self, idx: usize, turnover: Turnover, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        let plan = std::sync::Arc::clone(&self.plan);
        let bound = &mut self.bounds.all[idx];
        let sticky = &plan.parts[bound.part].stickies[bound.number];
        let mut pods = None;
        let clients = bound.population(sticky, &mut pods);
        let now = ctx.now();
        let span = bound.bindings.next_step(clients, turnover, now, STEP);
        let middle = now.saturating_add(span.unwrap_or_default() / 2);
        let shares = bound.bindings.shares(clients, turnover, middle);
        bound.hottest = bound.hottest.max(bound.bindings.hottest(&shares));
        ctx.cancel(bound.timer);
        bound.timer = span.map_or(Timer::NONE, |span| {
            let bound = u32::try_from(idx).expect("calls are limited far below 2^32");
            ctx.timer_in(span, PRIORITY, LoadEvent::SessionsDue { bound })
        });
        let (part, number) = (bound.part, bound.number);
        self.tell(part, Input::Sticky(number, shares.into_boxed_slice()));
    }

    /// How those who make a call come to an end.
    fn turnover(&self, idx: usize, now: SimTime) -> Turnover {
        let bound = &self.bounds.all[idx];
        let graph = &self.plan.parts[bound.part];
        let sticky = &graph.stickies[bound.number];
        let timeout = match sticky.rule {
            Rule::Kept(timeout) => timeout,
            Rule::Hashed(_) => None,
        };
        let Whose::Source(source, _) = &sticky.whose else {
            return Turnover { rate: 0.0, timeout };
        };
        let load = graph.load_of(&graph.edges.sources[*source]);
        let factor = self.parts[bound.part].inputs.factors[load.source];
        let asked = factor.rate_of(&load.curve, now, Side::After) as f64 / 1000.0;
        let each = load.users.map_or(1.0, |thinking| thinking.mean.as_secs_f64().max(1e-9));
        Turnover { rate: asked / each, timeout }
    }

    /// The first request of each session that pods kept in memory is lost at another one.
    ///
    /// Simplified: as many of all requests to the Service are, for as long as it takes until each of these
    /// clients has come once in the mean.
    fn lose_sessions<E, R>(
        &mut self,
        service: ServiceId,
        moved: Moved,
        rate: f64,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        let Some((part, node)) = self.plan.place_of(service) else { return };
        let cost = self.plan.cpu_per_request(service);
        let flow = self.parts[part].cpu_flow(&self.plan.parts[part], node, cost);
        let answered = flow.answered_millirps as f64 / 1000.0;
        if moved.count <= 0.0 || moved.share <= 0.0 || rate <= 0.0 || answered <= 0.0 {
            return;
        }
        let secs = moved.count / (moved.share * rate);
        let lost = (moved.count / (answered * secs)).min(1.0);
        let kept_ppm = whole((1.0 - lost) * WHOLE);
        let cut = self.cuts.begin(service, kept_ppm);
        let span = SimSpan::from_secs_f64_rounded(secs);
        ctx.schedule_in(span, PRIORITY, LoadEvent::CutOver { cut });
        self.tell_failing(service);
    }

    /// Tells what became of sessions. To be called once, at the end of the run.
    pub(super) fn tell_sessions<E, R>(&self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        let mut told: Vec<(ServiceId, SessionsSeen)> = Vec::new();
        for bound in &self.bounds.all {
            let service = self.plan.parts[bound.part].nodes[bound.callee].service;
            let seen = SessionsSeen {
                moved: whole(bound.moved),
                lost: whole(bound.lost),
                hottest_milli: whole(bound.hottest * 1000.0),
            };
            match told.iter_mut().find(|(other, _)| *other == service) {
                Some((_, sum)) => {
                    sum.moved += seen.moved;
                    sum.lost += seen.lost;
                    sum.hottest_milli = sum.hottest_milli.max(seen.hottest_milli);
                }
                None => told.push((service, seen)),
            }
        }
        for (service, seen) in told {
            ctx.observe(|| Observation::Sessions { service, seen });
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are positive, and `as` saturates"
)]
fn whole(count: f64) -> u64 {
    (count + 0.5) as u64
}
