//! The node lifecycle and taint-eviction controllers: what they do about nodes that fall silent.
//!
//! Sources: those of [`crate::node_lifecycle`] and [`crate::taint_eviction`].

use model_api::kube::TaintEffect;
use model_api::observation::DeletionReason;
use model_api::{Blueprint, NodeId, Observation, Parameters, PodId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime, Streams, Timer};

use super::nodes::{LONG_BEFORE, shifted};
use super::pod::PodPhase;
use super::tables::Tables;
use super::{Cluster, KubeEvent, Notice, priority};
use crate::client_limit::ClientLimiter;
use crate::node_lifecycle::{
    DisruptionChange, EvictionRates, MonitorPasses, Ready, ZoneCount, ZoneEvictor,
};
use crate::rare;
use crate::taint_eviction::{Review, Stay, review, stay};

const MONITOR_PHASE: Purpose = Purpose::new("node monitor phase");
const TAINT_PHASE: Purpose = Purpose::new("tainter phase");
const CACHE: Purpose = Purpose::new("tainter's cache sees status");

/// The tainting pass runs every 100 ms (nodelifecycle, `nodeEvictionPeriod`).
const TAINT_PERIOD: SimSpan = SimSpan::from_millis(100);
/// How late the tainter's cache may show a status that the monitor has just written: a node that is
/// looked at before is dropped until the next pass, and its token is spent. 0 to 10 ms make that
/// happen in one loss of twenty, as recorded.
const CACHE_LAG_MOST: SimSpan = SimSpan::from_millis(10);

/// The node lifecycle controller's clockwork.
#[derive(Clone, Debug)]
pub(super) struct Monitor {
    /// Passes of the present leader, shifted.
    passes: MonitorPasses,
    pause: SimSpan,
    pass_length: SimSpan,
    taint_phase: SimSpan,
    timer: Timer,
    next_at: SimTime,
    taint_timer: Timer,
    taint_at: SimTime,
    client: ClientLimiter,
}

impl Monitor {
    pub(super) fn at_start(parameters: &Parameters, streams: Streams) -> Self {
        let pause = parameters.node_monitor_period;
        let draw = streams.draw(EntityKey::of("kube-controller-manager"), MONITOR_PHASE, 0);
        let phase = draw.span_between(SimSpan::ZERO, pause);
        let taint = streams.draw(EntityKey::of("kube-controller-manager"), TAINT_PHASE, 0);
        Self {
            passes: MonitorPasses::new(SimTime::ZERO + phase, pause),
            pause,
            pass_length: MonitorPasses::PASS_LENGTH,
            taint_phase: taint.span_between(SimSpan::ZERO, TAINT_PERIOD),
            timer: Timer::NONE,
            next_at: SimTime::MAX,
            taint_timer: Timer::NONE,
            taint_at: SimTime::MAX,
            client: ClientLimiter::of(parameters.controller_client),
        }
    }

    pub(super) fn pass_at_or_after(&self, at: SimTime) -> SimTime {
        self.passes.at_or_after(shifted(at)) - LONG_BEFORE
    }

    /// When the last renewal expires for this leader.
    fn expiry(&self, renewed_at: SimTime, grace: SimSpan, now: SimTime) -> SimTime {
        let expiry = self.passes.expiry(renewed_at, grace).saturating_sub(LONG_BEFORE);
        expiry.max(self.pass_at_or_after(now))
    }
}

/// Zones and limiters of a cluster that just started.
pub(super) fn evictor(blueprint: &Blueprint, tables: &Tables) -> ZoneEvictor {
    let rates = EvictionRates::of(&blueprint.parameters);
    let mut evictor = ZoneEvictor::new(rates, tables.evictor_zone_count);
    let mut counts = vec![ZoneCount::default(); tables.evictor_zone_count];
    for (zone, is_spare) in tables.evictor_zones.iter().zip(blueprint.spare_nodes()) {
        counts[*zone].ready_count += u32::from(!is_spare);
    }
    evictor.handle_disruption(&counts, SimTime::ZERO);
    evictor
}

impl Cluster {
    /// Works out which pass finds a node silent that has just lost contact.
    pub(super) fn expect_expiry<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let grace = self.blueprint.parameters.node_monitor_grace_period;
        let node = &mut self.nodes[id.index()];
        if node.ready != Ready::True || node.is_deleted {
            return;
        }
        let renewed_at = node.last_renewal(ctx.now());
        node.expiry_at = self.monitor.expiry(renewed_at, grace, ctx.now());
        let at = node.expiry_at;
        self.request_pass(at, ctx);
    }

    pub(super) fn request_pass<E, R>(&mut self, at: SimTime, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let at = self.monitor.pass_at_or_after(at.max(ctx.now()));
        if ctx.is_pending(self.monitor.timer) && self.monitor.next_at <= at {
            return;
        }
        ctx.cancel(self.monitor.timer);
        self.monitor.next_at = at;
        self.monitor.timer = ctx.timer_at(at, priority::CONTROLLER, KubeEvent::MonitorPass);
    }

    pub(super) fn on_monitor_pass<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.monitor.next_at = SimTime::MAX;
        let now = ctx.now();
        for idx in 0..self.nodes.len() {
            let (id, node) = (NodeId::from_index(idx), &self.nodes[idx]);
            if node.is_deleted {
                continue;
            }
            if node.ready == Ready::True && node.expiry_at <= now {
                self.mark_node_unknown(id, ctx);
            } else if node.ready == Ready::True && node.is_queued {
                self.mark_node_reachable(id, ctx);
            }
            if self.nodes[idx].ready != Ready::True && !self.nodes[idx].is_queued {
                if self.nodes[idx].ready == Ready::False {
                    self.mark_pods_unready(id, ctx);
                }
                self.enqueue_node(id, now);
            }
        }
        self.judge_zones(ctx);
        let next = self.nodes.iter().map(|node| node.expiry_at).min().unwrap_or(SimTime::MAX);
        if next != SimTime::MAX {
            self.request_pass(next, ctx);
        }
        self.request_taint_pass(ctx);
    }

    /// A pass found a node silent for longer than the grace period.
    fn mark_node_unknown<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.node_change_count += 1;
        let node = &mut self.nodes[id.index()];
        node.ready = Ready::Unknown;
        node.expiry_at = SimTime::MAX;
        node.loss_count += 1;
        let (cause, occurrence) = (node.cause, node.loss_count);
        let lag = self.draw(self.tables.node_keys[id.index()], CACHE, occurrence);
        self.nodes[id.index()].status_seen_at =
            ctx.now() + lag.span_between(SimSpan::ZERO, CACHE_LAG_MOST);
        self.tell_scheduler_of(id, ctx);
        ctx.observe_because(cause, || Observation::NodeBecameNotReady { node: id });
        self.notify(Notice::NodeDetected(id));
        if !self.nodes[id.index()].has_machine {
            self.expect_cloud_pass(id, ctx);
        }
        let pods = self.nodes[id.index()].pods.clone();
        self.expect_garbage(&pods, ctx);
        self.mark_pods_unready(id, ctx);
    }

    /// The pods of a node that is not ready are not (`MarkPodsNotReady`).
    fn mark_pods_unready<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let cause = self.nodes[id.index()].cause;
        for pod in self.nodes[id.index()].pods.clone() {
            if !self.pods[pod.index()].is_ready {
                continue;
            }
            let at = self.monitor.client.reserve(ctx.now());
            let mut ctx = ctx.because(cause);
            if at > ctx.now() {
                ctx.hit(&rare::NODE_CLIENT_THROTTLED);
                ctx.schedule_at(at, priority::CONTROLLER, KubeEvent::MarkPodDue(pod));
            } else {
                self.mark_pod_unready(pod, &mut ctx);
            }
        }
    }

    pub(super) fn on_mark_pod_due<E, R>(&mut self, pod: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let node = self.pods[pod.index()].node;
        if node.is_some_and(|node| self.nodes[node.index()].ready != Ready::True) {
            self.mark_pod_unready(pod, ctx);
        }
    }

    fn enqueue_node(&mut self, id: NodeId, now: SimTime) {
        let zone = self.tables.evictor_zones[id.index()];
        self.evictor.enqueue(zone, self.tables.name_ranks[id.index()], now);
        self.nodes[id.index()].is_queued = true;
    }

    /// Takes a node out of the queue and its taint away (`markNodeAsReachable`).
    fn mark_node_reachable<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let rank = self.tables.name_ranks[id.index()];
        self.evictor.dequeue(self.tables.evictor_zones[id.index()], rank);
        let node = &mut self.nodes[id.index()];
        node.is_queued = false;
        if !std::mem::take(&mut node.has_no_execute) {
            return;
        }
        let cause = node.cause;
        ctx.observe_because(cause, || Observation::NodeUntainted { node: id });
        self.tell_scheduler_of(id, ctx);
        self.review_evictions(id, ctx);
    }

    fn judge_zones<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let mut counts = vec![ZoneCount::default(); self.tables.evictor_zone_count];
        for (node, zone) in self.nodes.iter().zip(&self.tables.evictor_zones) {
            if node.is_deleted {
                continue;
            }
            if node.ready == Ready::True {
                counts[*zone].ready_count += 1;
            } else {
                counts[*zone].not_ready_count += 1;
            }
        }
        match self.evictor.handle_disruption(&counts, now) {
            DisruptionChange::None => {}
            DisruptionChange::Entered => {
                ctx.hit(&rare::ALL_ZONES_DISRUPTED);
                ctx.observe(|| Observation::MasterDisruptionStarted);
                for idx in 0..self.nodes.len() {
                    let id = NodeId::from_index(idx);
                    self.mark_node_reachable(id, ctx);
                    // The next pass queues them again, behind a limiter without tokens.
                    if !self.nodes[idx].is_deleted {
                        self.enqueue_node(id, now);
                    }
                }
            }
            DisruptionChange::Left => {
                ctx.hit(&rare::DISRUPTION_LEFT);
                let grace = self.blueprint.parameters.node_monitor_grace_period;
                for node in self.nodes.iter_mut().filter(|node| node.expiry_at != SimTime::MAX) {
                    node.expiry_at = self.monitor.expiry(shifted(now), grace, now);
                }
            }
        }
    }

    fn request_taint_pass<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(due) = self.evictor.next_due(ctx.now()) else { return };
        let at = due.next_tick(TAINT_PERIOD, self.monitor.taint_phase);
        if ctx.is_pending(self.monitor.taint_timer) && self.monitor.taint_at <= at {
            return;
        }
        ctx.cancel(self.monitor.taint_timer);
        self.monitor.taint_at = at;
        self.monitor.taint_timer = ctx.timer_at(at, priority::CONTROLLER, KubeEvent::TaintPass);
    }

    pub(super) fn on_taint_pass<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        while let Some(rank) = self.evictor.take_due(ctx.now()) {
            let id = self.tables.node_of_rank(rank);
            let node = &mut self.nodes[id.index()];
            // A node that recovered is dropped; its token is spent.
            if node.ready == Ready::True {
                ctx.hit(&rare::NODE_BACK_BEFORE_TAINT);
                continue;
            }
            // So is one that seems to have: the next pass finds it again.
            if ctx.now() < node.status_seen_at {
                ctx.hit(&rare::NODE_TAINTED_TOO_EARLY);
                node.is_queued = false;
                let at = self.monitor.pass_at_or_after(ctx.now());
                self.request_pass(at, ctx);
                continue;
            }
            node.has_no_execute = true;
            let cause = node.cause;
            let mut ctx = ctx.because(cause);
            ctx.observe(|| Observation::NodeTaintedNoExecute { node: id });
            self.tell_scheduler_of(id, &mut ctx);
            self.review_evictions(id, &mut ctx);
        }
        self.request_taint_pass(ctx);
    }

    /// The taints of a node changed.
    pub(super) fn review_evictions<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for pod in self.nodes[node.index()].pods.clone() {
            self.review_eviction(pod, ctx);
        }
    }

    /// How long a pod stays where it is.
    ///
    /// Simplified: a node that says that it is not ready is tolerated for as long as one that is silent.
    fn stay_of(&self, id: PodId) -> Stay {
        let pod = &self.pods[id.index()];
        let Some(node) = pod.node else { return Stay::ForEver };
        let id = node;
        let (node, template) = (&self.nodes[id.index()], self.tables.template_of(pod));
        let taints = [
            (node.has_no_execute, template.stay_unreachable),
            (node.is_out_of_service, template.stay_out_of_service),
        ];
        // What one taint evicts, the other does not keep; of two times the shorter one counts.
        let stays = taints.into_iter().filter(|(is_set, _)| *is_set).map(|(_, stay)| stay);
        let stated = &self.blueprint.nodes[id.index()].node.taints;
        let of_stated = stay(&template.template.spec.tolerations, stated);
        stays.chain([of_stated]).min().unwrap_or(Stay::ForEver)
    }

    /// The taint-eviction controller sees a pod, or that the taints of its node changed. A pod that is
    /// being deleted is among those of its node until it is gone
    /// (`pkg/controller/tainteviction/taint_eviction.go`, 1.36, `getPodsAssignedToNode`).
    pub(super) fn review_eviction<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        if pod.is_orphan || pod.phase >= PodPhase::Finished {
            return;
        }
        let set_at = self.is_eviction_near(id, ctx).then_some(pod.eviction_set_at);
        let span = match review(self.stay_of(id), set_at, ctx.now()) {
            Review::Kept => return,
            Review::Cancelled => return self.cancel_eviction(id, ctx),
            Review::SetIn(span) => span,
        };
        let pod = &mut self.pods[id.index()];
        ctx.cancel(pod.eviction);
        pod.eviction = ctx.timer_in(span, priority::CONTROLLER, KubeEvent::EvictionDue(id));
        pod.eviction_set_at = ctx.now();
    }

    /// Whether the time of a pod runs, or the request that deletes it waits.
    fn is_eviction_near<E, R>(&self, id: PodId, ctx: &Context<'_, E, R>) -> bool
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        ctx.is_pending(self.pods[id.index()].eviction)
            || self.overload.waits(KubeEvent::EvictionDue(id))
    }

    pub(super) fn cancel_eviction<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let eviction = std::mem::replace(&mut self.pods[id.index()].eviction, Timer::NONE);
        if ctx.cancel(eviction) {
            ctx.hit(&rare::NODE_BACK_BEFORE_EVICTION);
        }
        self.withdraw(KubeEvent::EvictionDue(id), ctx);
    }

    /// The time of a pod is over. The condition is patched and the deletion asked for whether or not
    /// there is one already (`addConditionAndDeletePod`).
    pub(super) fn on_eviction_due<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.stay_of(id) == Stay::ForEver {
            return;
        }
        let pod = &self.pods[id.index()];
        if pod.is_active() {
            self.delete_pod(id, DeletionReason::Taint, ctx);
        } else if pod.is_terminating && !pod.is_orphan && pod.phase < PodPhase::Finished {
            self.disrupt_terminating(id, DeletionReason::Taint, ctx);
        }
    }

    /// A new leader knows no node: its own taints go, grace periods and tolerations start anew.
    pub(super) fn restart_node_controllers<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        ctx.cancel(self.monitor.timer);
        ctx.cancel(self.monitor.taint_timer);
        self.withdraw(KubeEvent::MonitorPass, ctx);
        self.withdraw(KubeEvent::TaintPass, ctx);
        let passes = MonitorPasses::new(shifted(now), self.monitor.pause);
        self.monitor.passes = passes.taking(self.monitor.pass_length);
        self.monitor.client = ClientLimiter::of(self.blueprint.parameters.controller_client);
        self.evictor.reset();
        for idx in 0..self.nodes.len() {
            let id = NodeId::from_index(idx);
            if self.nodes[idx].is_queued {
                self.mark_node_reachable(id, ctx);
            }
            let stated = &self.blueprint.nodes[idx].node.taints;
            let has_stated = stated.iter().any(|taint| taint.effect == TaintEffect::NoExecute);
            if self.nodes[idx].is_out_of_service || has_stated {
                self.review_evictions(id, ctx);
            }
            self.nodes[idx].expiry_at = SimTime::MAX;
            if !self.nodes[idx].has_contact || self.nodes[idx].is_lease_stalled {
                self.expect_expiry(id, ctx);
            }
        }
        self.request_pass(now, ctx);
    }

    /// Takes away what only lived in the memory of a leader that is gone.
    pub(super) fn forget_evictions<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        // So are its requests that found no API.
        self.deferred.retain(|(event, _)| !matches!(event, KubeEvent::EvictionDue(_)));
        for idx in 0..self.nodes.len() {
            for pod in self.nodes[idx].pods.clone() {
                self.cancel_eviction(pod, ctx);
            }
        }
    }

    /// Lets every pass of the node monitor take that long: a slow API, or nodes of others that the
    /// same controller looks after. Before the run.
    pub fn preset_monitor_pass(&mut self, length: SimSpan) {
        self.monitor.passes = MonitorPasses::new(self.monitor.passes.first_at, self.monitor.pause);
        self.monitor.passes = self.monitor.passes.taking(length);
        self.monitor.pass_length = length;
    }
}
