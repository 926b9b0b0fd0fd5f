//! The scheduler's queue in time: what reaches it and when, and what is done with the pods in it.
//!
//! Sources: `pkg/scheduler/{eventhandlers,schedule_one}.go` and `pkg/scheduler/backend/queue`, Kubernetes
//! 1.36; [`crate::scheduling::queue`].

use std::collections::BTreeMap;

use model_api::observation::{RefusedNodes, UnschedulableReason};
use model_api::parameters::ClientRate;
use model_api::{NodeId, Observation, PodId};
use sim_kernel::{Context, Purpose, Recorder, SimTime, Timer};

use super::history::Change;
use super::pod::{PodPhase, PodState};
use super::preemption::Preempted;
use super::{Cluster, KubeEvent, Notice, drawn, priority};
use crate::client_limit::ClientLimiter;
use crate::rare;
use crate::scheduling::queue::{ClusterEvent, Failure, QueueTimers, SchedulingQueue};
use crate::scheduling::{
    Attempt, Diagnosis, Placement, SchedulerCache, ShapeId, Subject, VolumesId, looks_at_pods,
};

const PLACEMENT: Purpose = Purpose::new("placement among equals");
const QUEUE: Purpose = Purpose::new("scheduler sees pod");
const UNGATED: Purpose = Purpose::new("scheduler sees that a pod has no gates");

/// Attempts in vain after which a back-off is as long as it gets: 1, 2, 4, 8, 10 s.
const ATTEMPTS_TO_LONGEST_BACKOFF: u32 = 5;

/// Pods that wait for a node, and the scheduler's picture of the nodes.
///
/// Simplified: attempts take no time, so that an idle scheduler, which takes pods whose back-off
/// still runs, tries each of them at once when something happens that may help it.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) cache: SchedulerCache,
    waiting: SchedulingQueue<Kind>,
    /// Pods that the scheduler's watch has not shown it yet, by when it will and in the order of
    /// their creation.
    arriving: BTreeMap<(SimTime, u64), PodId>,
    arrival_count: u64,
    /// What the cache said when it was looked at last, and when it last said something new.
    change_count: u64,
    changed_at: SimTime,
    timer: Timer,
    due_at: SimTime,
    pub(super) client: ClientLimiter,
}

/// Pods that are alike to a queueing hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    shape: ShapeId,
    pinned: Option<NodeId>,
}

/// What refused pods of one template a moment ago refuses the next one as well.
type Refusals = BTreeMap<(ShapeId, VolumesId), Refused>;

#[derive(Clone, Debug)]
struct Refused {
    diagnosis: Diagnosis,
    /// Preemption was tried in vain.
    is_hopeless: bool,
}

impl Queue {
    pub(super) fn new(cache: SchedulerCache, client: ClientRate) -> Self {
        Self {
            cache,
            waiting: SchedulingQueue::new(QueueTimers::default(), SimTime::ZERO),
            arriving: BTreeMap::new(),
            arrival_count: 0,
            change_count: 0,
            changed_at: SimTime::ZERO,
            timer: Timer::NONE,
            due_at: SimTime::MAX,
            client: ClientLimiter::of(client),
        }
    }

    /// Whether no pod is to be tried.
    pub(super) fn is_idle(&self) -> bool {
        self.arriving.is_empty() && self.waiting.next_ready(SimTime::ZERO).is_none()
    }

    /// Lets a pod arrive later.
    fn expect(&mut self, id: PodId, at: SimTime) {
        self.arrival_count += 1;
        self.arriving.insert((at, self.arrival_count), id);
    }

    /// The next moment at which a pod is to be tried. Pods that wait for an event are tried again
    /// after minutes when something changed meanwhile that an attempt may see; without that they
    /// would be refused again.
    fn next_due(&self, now: SimTime) -> Option<SimTime> {
        let arrival = self.arriving.first_key_value().map(|((at, _), _)| (*at).max(now));
        let last_flush = self.changed_at + self.waiting.flush_cycle();
        let flush = self.waiting.next_flush(now).filter(|at| *at <= last_flush);
        let ready = self.waiting.next_ready(now);
        [arrival, flush, ready].into_iter().flatten().min()
    }
}

impl Cluster {
    /// Places a pod at the start of the run, without an event. Whether it found a node.
    pub(super) fn place_at_start(&mut self, id: PodId, pinned: Option<NodeId>) -> bool {
        if let Some(node) = self.named_node(id) {
            let is_there = !self.nodes[node.index()].is_deleted;
            if is_there && self.not_admitted(id).is_none() {
                self.assume(id, node);
                return true;
            }
            // What its kubelet makes of it belongs to the run.
            self.queue.expect(id, SimTime::ZERO);
            return false;
        }
        if self.pods[id.index()].is_gated {
            self.add_to_queue(id, SimTime::ZERO);
            return false;
        }
        match self.find_node(id, pinned) {
            Ok(node) => {
                self.assume(id, node);
                true
            }
            Err(_) => {
                self.add_to_queue(id, SimTime::ZERO);
                false
            }
        }
    }

    /// Puts a new pod into the queue, as the scheduler's watch does a little later.
    pub(super) fn queue_pod<E, R>(
        &mut self,
        id: PodId,
        created_at: SimTime,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let key = self.pods[id.index()].key;
        let watch = drawn(self.draw(key, QUEUE, 0), self.blueprint.parameters.watch_latency);
        let at = created_at + watch;
        self.queue.expect(id, at);
        self.request_scheduling(at, ctx);
    }

    fn add_to_queue(&mut self, id: PodId, now: SimTime) {
        let pod = &self.pods[id.index()];
        let table = self.tables.template_of(pod);
        let kind = Kind { shape: table.shape, pinned: pod.pinned };
        self.queue.waiting.add(id, kind, table.template.spec.priority, now);
        if pod.is_gated {
            self.queue.waiting.gate(id);
        }
    }

    /// Tells of a pod that it is held back (PreEnqueue of SchedulingGates: condition PodScheduled False,
    /// reason SchedulingGated; pkg/scheduler/framework/plugins/schedulinggates, 1.36).
    pub(super) fn tell_gated<E, R>(&self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        let PodState { workload, cause, .. } = self.pods[id.index()];
        let reason = UnschedulableReason::SchedulingGates;
        ctx.observe_because(cause, || Observation::PodBecameUnschedulable {
            pod: id,
            workload,
            reason,
            refused: RefusedNodes::default(),
        });
    }

    /// The scheduling gates of a pod are gone: one that waits is tried.
    pub(super) fn ungate_pod<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !std::mem::take(&mut self.pods[id.index()].is_gated) {
            return;
        }
        self.pods[id.index()].cause = ctx.cause();
        if self.queue.waiting.contains(id) {
            self.queue.waiting.release(id, ctx.now());
            // Its watch shows the scheduler the change like any other.
            let key = self.pods[id.index()].key;
            let watch = drawn(self.draw(key, UNGATED, 0), self.blueprint.parameters.watch_latency);
            self.request_scheduling(ctx.now() + watch, ctx);
        }
    }

    pub(super) fn request_scheduling<E, R>(&mut self, at: SimTime, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if ctx.is_pending(self.queue.timer) && self.queue.due_at <= at {
            return;
        }
        ctx.cancel(self.queue.timer);
        self.queue.due_at = at;
        self.queue.timer = ctx.timer_at(at, priority::SCHEDULER, KubeEvent::ScheduleDue);
    }

    /// Something happened that may help pods that no node fitted.
    pub(super) fn tell_queue<E, R>(
        &mut self,
        event: ClusterEvent,
        subject: Subject,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Queue { cache, waiting, .. } = &mut self.queue;
        if !waiting.has_refused() {
            return;
        }
        waiting.on_event(event, ctx.now(), |kind: Kind, filter| {
            let is_elsewhere = kind.pinned.is_some() && kind.pinned != subject.node();
            (looks_at_pods(filter) || !is_elsewhere)
                && cache.may_help(kind.shape, filter, event, subject)
        });
        if let Some(at) = waiting.next_ready(ctx.now()) {
            self.request_scheduling(at, ctx);
        }
    }

    /// A pod lost the node that it was promised: it looks for another one.
    pub(super) fn retry_pod<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.queue.waiting.activate(id, ctx.now());
        self.request_scheduling(ctx.now(), ctx);
    }

    /// After every change: pods that wait for an event are tried again after minutes, in case that
    /// no event told of it.
    pub(super) fn settle_queue<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let queue = &mut self.queue;
        if !queue.waiting.has_refused() || queue.change_count == queue.cache.change_count() {
            return;
        }
        queue.waiting.pass_over_flushes(ctx.now());
        queue.change_count = queue.cache.change_count();
        queue.changed_at = ctx.now();
        if let Some(at) = queue.next_due(ctx.now()) {
            self.request_scheduling(at, ctx);
        }
    }

    /// Tries every pod whose time has come, the most important first.
    pub(super) fn on_schedule_due<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        self.queue.due_at = SimTime::MAX;
        let later = self.queue.arriving.split_off(&(now, u64::MAX));
        for ((at, _), id) in std::mem::replace(&mut self.queue.arriving, later) {
            if self.pods[id.index()].phase != PodPhase::Pending {
                continue;
            }
            if let Some(node) = self.named_node(id) {
                self.bind_named(id, node, ctx);
                continue;
            }
            self.add_to_queue(id, at);
            if self.pods[id.index()].is_gated {
                self.tell_gated(id, ctx);
            }
        }
        let mut refusals = Refusals::new();
        while let Some(id) = self.queue.waiting.pop(now) {
            self.try_to_schedule(id, &mut refusals, ctx);
        }
        if let Some(at) = self.queue.next_due(now) {
            self.request_scheduling(at, ctx);
        }
    }

    fn try_to_schedule<E, R>(
        &mut self,
        id: PodId,
        refusals: &mut Refusals,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let PodState { pinned, nominated, cause, .. } = self.pods[id.index()];
        let ctx = &mut ctx.because(cause);
        let attempt = self.attempt_of(id);
        let is_like_others = pinned.is_none() && nominated.is_none();
        let alike = (attempt.shape, attempt.volumes);
        let known = refusals.get(&alike).filter(|_| is_like_others).cloned();
        let is_hopeless = known.as_ref().is_some_and(|it| it.is_hopeless);
        let found = known.map_or_else(|| self.find_node(id, pinned), |it| Err(it.diagnosis));
        match found {
            Ok(node) => {
                self.bind(id, node, ctx);
                // Less room helps nobody, but company may, and so does a promise that is kept.
                refusals.retain(|_, it| nominated.is_none() && !it.diagnosis.looks_at_pods());
            }
            Err(diagnosis) => {
                self.put_back(id, &diagnosis, ctx);
                let may_preempt = diagnosis.may_preempt && !is_hopeless;
                let preemption = may_preempt.then(|| self.preempt_for(id, ctx));
                if preemption == Some(Preempted::Some) {
                    refusals.clear();
                } else if is_like_others {
                    let is_hopeless = is_hopeless || preemption == Some(Preempted::Hopeless);
                    refusals.insert(alike, Refused { diagnosis, is_hopeless });
                }
            }
        }
    }

    fn bind<E, R>(&mut self, id: PodId, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.queue.waiting.done(id);
        self.promise(id, node, ctx);
        let bound_at = self.queue.client.reserve(ctx.now());
        if bound_at > ctx.now() {
            ctx.hit(&rare::BINDING_THROTTLED);
        }
        self.tell_bound(id, node, bound_at, ctx);
    }

    /// The place of a pod is taken, which pods that wait may like.
    pub(super) fn promise<E, R>(&mut self, id: PodId, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let PodState { workload, ordinal, .. } = self.pods[id.index()];
        let had_volumes = self.workloads[workload.index()].volume_zone(ordinal).is_some();
        let shape = self.assume(id, node);
        self.tell_queue(ClusterEvent::PodAssigned, Subject::Pod { shape, node }, ctx);
        if !had_volumes && self.workloads[workload.index()].volume_zone(ordinal).is_some() {
            self.tell_queue(ClusterEvent::ClaimChanged, Subject::Other, ctx);
        }
    }

    /// The API knows that a pod is bound, and its kubelet begins with it.
    pub(super) fn tell_bound<E, R>(
        &mut self,
        id: PodId,
        node: NodeId,
        bound_at: SimTime,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let workload = self.pods[id.index()].workload;
        self.note_change(Change::PodBound(id), ctx.now());
        ctx.observe(|| Observation::PodBound { pod: id, workload, node });
        self.notify(Notice::PodBound(id));
        self.begin_start(id, bound_at, ctx);
        self.queue.cache.set_started(id, self.pods[id.index()].worker_at);
        self.review_eviction(id, ctx);
    }

    /// A pod that fits nowhere waits until something happens that may help it.
    fn put_back<E, R>(&mut self, id: PodId, diagnosis: &Diagnosis, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let reason = diagnosis.main_reason();
        ctx.hit(&rare::UNSCHEDULABLE);
        if matches!(reason, UnschedulableReason::VolumeBinding | UnschedulableReason::VolumeZone) {
            ctx.hit(&rare::VOLUME_HELD_POD);
        }
        let failure = Failure::Unschedulable(diagnosis.filters());
        self.queue.waiting.fail(id, failure, ctx.now());
        let pod = &mut self.pods[id.index()];
        pod.attempt_count += 1;
        if pod.attempt_count == ATTEMPTS_TO_LONGEST_BACKOFF {
            ctx.hit(&rare::BACKOFF_REACHED_ITS_END);
        }
        let workload = pod.workload;
        if !std::mem::replace(&mut pod.was_refused, true) {
            let refused = diagnosis.refused_nodes();
            ctx.observe(|| Observation::PodBecameUnschedulable {
                pod: id,
                workload,
                reason,
                refused,
            });
            self.notify(Notice::PodUnschedulable(id));
        }
    }

    /// A pod as the scheduler tries it.
    pub(super) fn attempt_of(&mut self, id: PodId) -> Attempt {
        let pod = &self.pods[id.index()];
        let (nominated_node, only_node) = (pod.nominated, pod.pinned);
        let shape = self.tables.template_of(pod).shape;
        Attempt {
            volumes: self.volumes_of(id),
            pod: Some(id),
            nominated_node,
            only_node,
            ..Attempt::new(shape)
        }
    }

    /// The node for a pod: its own one for a daemon's, else what the scheduler finds.
    fn find_node(&mut self, id: PodId, pinned: Option<NodeId>) -> Result<NodeId, Diagnosis> {
        let attempt = self.attempt_of(id);
        if let Some(node) = pinned {
            let known = !self.nodes[node.index()].is_deleted;
            return match self.queue.cache.check_attempt(attempt, node) {
                Ok(()) if known => Ok(node),
                Err(rejection) if known => {
                    Err(Diagnosis::of_only_node(rejection, self.queue.cache.node_count()))
                }
                _ => Err(Diagnosis::default()),
            };
        }
        // The draw of the one attempt that succeeds: those that fail draw nothing.
        let draw = self.draw(self.pods[id.index()].key, PLACEMENT, 0);
        match self.queue.cache.attempt(attempt, |count| draw.index(count)) {
            Placement::Node(node) => Ok(node),
            Placement::Unschedulable(diagnosis) => Err(diagnosis),
        }
    }

    /// Binds a pod to a node: its place is taken, its volumes are where the node is.
    pub(super) fn assume(&mut self, id: PodId, node: NodeId) -> ShapeId {
        let pod = &mut self.pods[id.index()];
        pod.node = Some(node);
        pod.was_refused = false;
        let (workload, ordinal) = (pod.workload, pod.ordinal);
        let table = self.tables.template_of(pod);
        let (shape, has_zonal, has_local) =
            (table.shape, table.has_zonal_claims, table.has_local_claims);
        // A node that is not registered brings its pods along when it is.
        if self.nodes[node.index()].is_in_scheduler {
            self.add_to_scheduler(id, shape, node);
        }
        self.nodes[node.index()].pods.push(id);
        if has_zonal {
            let zone = self.blueprint.nodes[node.index()].zone;
            self.workloads[workload.index()].set_volume_zone(ordinal, zone);
            if has_local {
                self.workloads[workload.index()].set_volume_node(ordinal, node);
            }
        }
        self.pods[id.index()].nominated = None;
        shape
    }

    /// Tells the scheduler that a pod takes no place any more.
    pub(super) fn release_from_scheduler<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let node = self.queue.cache.node_of(id);
        self.queue.cache.remove_pod(id);
        self.queue.waiting.remove(id);
        if let Some(node) = node {
            let shape = self.tables.template_of(&self.pods[id.index()]).shape;
            self.tell_queue(ClusterEvent::PodDeleted, Subject::Pod { shape, node }, ctx);
        }
    }

    pub(super) fn mark_terminating_in_scheduler(&mut self, id: PodId) {
        self.queue.cache.mark_terminating(id);
    }

    /// Tells the scheduler what a node looks like now.
    pub(super) fn tell_scheduler_of<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if let Some(event) = self.refresh_cached_node(id) {
            self.tell_queue(event, Subject::Node(id), ctx);
        }
    }

    /// What the scheduler's picture of a node has to go through to be true again.
    fn refresh_cached_node(&mut self, id: NodeId) -> Option<ClusterEvent> {
        if self.nodes[id.index()].is_in_scheduler && !self.nodes[id.index()].is_deleted {
            let (taints, is_cordoned) = self.node_taints(id);
            let is_changed = self.queue.cache.update_node(id, taints, is_cordoned);
            return is_changed.then_some(ClusterEvent::NodeTaintsChanged);
        }
        match self.node_object(id) {
            Some(node) => {
                self.queue.cache.add_node(id, &node);
                self.nodes[id.index()].is_in_scheduler = true;
                for idx in 0..self.nodes[id.index()].pods.len() {
                    let pod = self.nodes[id.index()].pods[idx];
                    let state = &self.pods[pod.index()];
                    if state.is_orphan || state.phase == PodPhase::Finished {
                        continue;
                    }
                    let is_terminating = state.is_terminating;
                    let shape = self.tables.template_of(state).shape;
                    self.add_to_scheduler(pod, shape, id);
                    if is_terminating {
                        self.queue.cache.mark_terminating(pod);
                    }
                }
                Some(ClusterEvent::NodeAdded)
            }
            None if self.nodes[id.index()].is_in_scheduler => {
                for pod in &self.nodes[id.index()].pods {
                    self.queue.cache.remove_pod(*pod);
                }
                self.queue.cache.remove_node(id);
                self.nodes[id.index()].is_in_scheduler = false;
                Some(ClusterEvent::NodeDeleted)
            }
            None => None,
        }
    }

    /// Every pod that the scheduler may try is tried: a new leader's queue is fresh.
    pub(super) fn restart_scheduler<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let arriving = std::mem::take(&mut self.queue.arriving).into_values();
        let fresh = SchedulingQueue::new(QueueTimers::default(), now);
        let earlier = std::mem::replace(&mut self.queue.waiting, fresh);
        let mut waiting: Vec<PodId> = earlier.pods().chain(arriving).collect();
        waiting.sort_unstable();
        waiting.dedup();
        self.queue.client = ClientLimiter::of(self.blueprint.parameters.scheduler_client);
        for id in waiting {
            if self.pods[id.index()].phase != PodPhase::Pending {
                continue;
            }
            match self.named_node(id) {
                Some(node) => self.bind_named(id, node, ctx),
                None => self.add_to_queue(id, now),
            }
        }
        if !self.queue.is_idle() {
            self.request_scheduling(now, ctx);
        }
    }
}
