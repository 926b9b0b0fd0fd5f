//! What gateways know of the endpoints behind them, in time.
//!
//! # Modelled
//! For each Service behind a gateway the list of pods that it chooses from: as it was when the ingress
//! controller read it last and the workers took it over, without those that checks found unhealthy.
//! While no pod of the controller is there, the list stays as it is. In DB mode the controller writes to the
//! database of the gateway, and workers ask that for changes: without it the list stays, too.
//! # Not modelled
//! Simplified: the controller reads what proxies have. Weights; hashing; pods that refuse connections
//! are passed over at no cost and count for no try.
//! # Defaults and their sources
//! See [`crate::upstream`].
//! # Invariants
//! A gateway behind which nothing changes has no event.
//! # Checked against
//! `tests/it/lists.rs`.

use std::sync::Arc;

use model_api::gateway::GatewayUpstream;
use model_api::observation::GatewayFact;
use model_api::{Blueprint, Observation, PodId, ServiceId};
use sim_kernel::{
    Context, EntityKey, Priority, Purpose, Recorder, SimSpan, SimTime, Streams, Timer,
};

use crate::balancer::next_on_grid;
use crate::balancers::GatewayEvent;
use crate::rare;
use crate::upstream::{found_live_at, found_silent_at, noticed_after};

/// After pods and proxies have changed at the same instant.
const PRIORITY: Priority = Priority::NORMAL;

const READS: Purpose = Purpose::new("first reading of an ingress controller");
const TAKES_OVER: Purpose = Purpose::new("first look of gateway workers at their lists");
const POLLS: Purpose = Purpose::new("first look of gateway workers at their database");
const CHECKS: Purpose = Purpose::new("first check of an upstream");

/// What a pod does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodState {
    /// It answers.
    Live,
    /// Packets to it are lost.
    Silent,
    /// It is not there any more, and its node says so.
    Refusing,
}

/// What a gateway chooses from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Pods that answer.
    pub live_count: u32,
    /// Pods that do not, and let a connection wait.
    pub silent_count: u32,
}

#[derive(Clone, Copy, Debug)]
struct Target {
    pod: PodId,
    state: PodState,
    is_healthy: bool,
    timer: Timer,
}

/// The pods behind a gateway's Service.
#[derive(Clone, Debug)]
struct State {
    gateway: usize,
    spec: GatewayUpstream,
    reads_from: SimTime,
    takes_from: SimTime,
    /// Where a database keeps its configuration.
    polls_from: Option<SimTime>,
    checks_from: SimTime,
    /// As proxies have them.
    routed: Vec<PodId>,
    /// As the controller read them, until workers take them over.
    read: Vec<PodId>,
    targets: Vec<Target>,
    is_started: bool,
    is_read_due: bool,
    /// The controller was away when it should have read.
    is_owed: bool,
    known: Known,
    is_dirty: bool,
}

/// The gateways of one run. A clone is a snapshot.
#[derive(Clone, Debug)]
pub struct Gateways {
    blueprint: Arc<Blueprint>,
    has_controller: Vec<bool>,
    states: Vec<State>,
}

/// The Service behind a gateway: a position among all of them.
pub type UpstreamIdx = usize;

impl Gateways {
    /// The gateways of a blueprint, which know no pods yet.
    pub fn new(blueprint: &Arc<Blueprint>, streams: Streams) -> Self {
        let mut states = Vec::new();
        for (gateway, spec) in blueprint.gateways.iter().enumerate() {
            let key = EntityKey::of("gateway").child(&blueprint.service_name(spec.service));
            let phase = |key: EntityKey, purpose, period: SimSpan| {
                let draw = streams.draw(key, purpose, 0);
                SimTime::from_nanos(draw.range_inclusive(0, period.as_nanos()))
            };
            for upstream in &spec.upstreams {
                let own = key.child(&blueprint.service_name(upstream.service));
                states.push(State {
                    gateway,
                    spec: *upstream,
                    // One controller, and one timer of each worker, for all Services.
                    reads_from: phase(key, READS, spec.sync_period),
                    takes_from: phase(key, TAKES_OVER, spec.update_period),
                    polls_from: spec.database.map(|_| phase(key, POLLS, spec.poll_period)),
                    checks_from: phase(own, CHECKS, upstream.active.healthy_interval),
                    routed: Vec::new(),
                    read: Vec::new(),
                    targets: Vec::new(),
                    is_started: false,
                    is_read_due: false,
                    is_owed: false,
                    known: Known::default(),
                    is_dirty: true,
                });
            }
        }
        Self {
            has_controller: vec![true; blueprint.gateways.len()],
            states,
            blueprint: Arc::clone(blueprint),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The Services behind gateways: each gateway, and the Service.
    pub fn upstreams(&self) -> impl Iterator<Item = (ServiceId, ServiceId)> + '_ {
        let gateways = &self.blueprint.gateways;
        self.states.iter().map(|state| (gateways[state.gateway].service, state.spec.service))
    }

    /// Pods that a gateway chooses from, healthy or not.
    pub fn targets(&self, upstream: UpstreamIdx) -> impl Iterator<Item = PodId> + '_ {
        self.states[upstream].targets.iter().map(|target| target.pod)
    }

    /// Tells whether some pod of a gateway's controller works.
    pub fn set_controller<E, R>(&mut self, gateway: usize, works: bool, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        self.has_controller[gateway] = works;
        for idx in 0..self.states.len() {
            let state = &mut self.states[idx];
            if state.gateway == gateway && works && std::mem::take(&mut state.is_owed) {
                self.expect_reading(idx, ctx);
            }
        }
    }

    /// Tells which pods proxies route to.
    pub fn set_routed<E, R>(
        &mut self,
        upstream: UpstreamIdx,
        pods: impl Iterator<Item = PodId> + Clone,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.states[upstream];
        if state.is_started && pods.clone().eq(state.routed.iter().copied()) {
            return;
        }
        state.routed.clear();
        state.routed.extend(pods);
        if !state.is_started {
            // Before the run everybody knew.
            state.is_started = true;
            state.read.clone_from(&state.routed);
            self.take_over(upstream, ctx);
        } else if !state.is_read_due {
            self.expect_reading(upstream, ctx);
        }
    }

    fn expect_reading<E, R>(&mut self, idx: UpstreamIdx, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.states[idx];
        let period = self.blueprint.gateways[state.gateway].sync_period;
        let at = next_on_grid(state.reads_from, period, ctx.now());
        state.is_read_due = true;
        ctx.schedule_at(at, PRIORITY, GatewayEvent::ReadDue(number(idx)));
    }

    /// Tells what a pod does that a gateway may choose, and how many requests per 1000 s a pod of the
    /// Service gets from each pod of the gateway.
    pub fn set_pod<E, R>(
        &mut self,
        upstream: UpstreamIdx,
        pod: PodId,
        pod_state: PodState,
        rate_millirps: u64,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.states[upstream];
        let Some(target) = state.targets.iter_mut().find(|target| target.pod == pod) else {
            return;
        };
        if target.state == pod_state {
            return;
        }
        target.state = pod_state;
        state.is_dirty = true;
        ctx.cancel(target.timer);
        target.timer = Timer::NONE;
        let (spec, now) = (&state.spec, ctx.now());
        let at = match (pod_state, target.is_healthy) {
            (PodState::Silent, true) => {
                let active = found_silent_at(&spec.active, state.checks_from, now);
                let passive =
                    noticed_after(spec.passive_timeouts, spec.connect_timeout, rate_millirps);
                let passive = passive.map(|after| now.saturating_add(after));
                active.into_iter().chain(passive).min()
            }
            (PodState::Live, false) => found_live_at(&spec.active, state.checks_from, now),
            _ => None,
        };
        if let Some(at) = at {
            let event = GatewayEvent::TargetDue(number(upstream), pod);
            target.timer = ctx.timer_at(at, PRIORITY, event);
        }
    }

    /// Takes an event of gateways.
    pub fn handle<E, R>(&mut self, event: GatewayEvent, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        match event {
            GatewayEvent::ReadDue(upstream) => self.read(upstream as usize, ctx),
            GatewayEvent::TakeOverDue(upstream) => self.take_over(upstream as usize, ctx),
            GatewayEvent::TargetDue(upstream, pod) => self.judge(upstream as usize, pod, ctx),
            _ => {}
        }
    }

    /// The controller reads what is routed, if it is there.
    fn read<E, R>(&mut self, idx: UpstreamIdx, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.states[idx];
        state.is_read_due = false;
        if !self.has_controller[state.gateway] {
            ctx.hit(&rare::LIST_STAYED);
            state.is_owed = true;
            return;
        }
        if state.read == state.routed {
            return;
        }
        state.read.clone_from(&state.routed);
        let gateway = &self.blueprint.gateways[state.gateway];
        let there = match state.polls_from {
            Some(polls_from) => next_on_grid(polls_from, gateway.poll_period, ctx.now()),
            None => ctx.now(),
        };
        let at = next_on_grid(state.takes_from, gateway.update_period, there);
        ctx.schedule_at(at, PRIORITY, GatewayEvent::TakeOverDue(number(idx)));
    }

    /// The workers choose from the list that was read last.
    fn take_over<E, R>(&mut self, idx: UpstreamIdx, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.states[idx];
        let fresh = |pod: PodId| Target {
            pod,
            state: PodState::Live,
            is_healthy: true,
            timer: Timer::NONE,
        };
        let before = std::mem::take(&mut state.targets);
        for target in before.iter().filter(|target| !state.read.contains(&target.pod)) {
            ctx.cancel(target.timer);
        }
        let known = |pod: PodId| before.iter().find(|target| target.pod == pod).copied();
        state.targets = state.read.iter().map(|pod| known(*pod).unwrap_or(fresh(*pod))).collect();
        state.is_dirty = true;
    }

    fn judge<E, R>(&mut self, idx: UpstreamIdx, pod: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.states[idx];
        let (gateway, service) =
            (self.blueprint.gateways[state.gateway].service, state.spec.service);
        let Some(target) = state.targets.iter_mut().find(|target| target.pod == pod) else {
            return;
        };
        target.is_healthy = target.state == PodState::Live;
        state.is_dirty = true;
        let is_healthy = target.is_healthy;
        if !is_healthy {
            ctx.hit(&rare::FOUND_UNHEALTHY);
        }
        ctx.observe(|| {
            Observation::Gateway(GatewayFact::PodJudged { gateway, service, pod, is_healthy })
        });
    }

    /// Tells of each Service behind a gateway that chooses from other pods than when it was looked at
    /// last: the gateway, and the Service.
    pub fn take_known<E, R>(
        &mut self,
        ctx: &mut Context<'_, E, R>,
        mut tell: impl FnMut(ServiceId, ServiceId, Known),
    ) where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        for state in &mut self.states {
            if !std::mem::take(&mut state.is_dirty) {
                continue;
            }
            let mut known = Known::default();
            for target in state.targets.iter().filter(|target| target.is_healthy) {
                match target.state {
                    PodState::Live => known.live_count += 1,
                    PodState::Silent => known.silent_count += 1,
                    PodState::Refusing => {}
                }
            }
            if known == state.known {
                continue;
            }
            let gateway = self.blueprint.gateways[state.gateway].service;
            let service = state.spec.service;
            let Known { live_count, silent_count } = known;
            if live_count == 0 && silent_count == 0 {
                ctx.hit(&rare::NO_TARGET);
            }
            ctx.observe(|| {
                let fact = GatewayFact::Knows { gateway, service, live_count, silent_count };
                Observation::Gateway(fact)
            });
            state.known = known;
            tell(gateway, service, known);
        }
    }
}

fn number(idx: UpstreamIdx) -> u32 {
    u32::try_from(idx).expect("Services are limited far below 2^32")
}
