//! The scheduler's queue, and what it does with the pods in it.

use std::collections::BTreeMap;

use model_api::observation::UnschedulableReason;
use model_api::{NodeId, Observation, PodId};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime, Timer};

use super::history::Change;
use super::pod::{PodPhase, PodState};
use super::{Cluster, KubeEvent, Notice, drawn, priority};
use crate::client_limit::ClientLimiter;
use crate::rare;
use crate::scheduling::{Attempt, Diagnosis, Placement, SchedulerCache, VolumesId};

const PLACEMENT: Purpose = Purpose::new("placement among equals");
const QUEUE: Purpose = Purpose::new("scheduler sees pod");

/// Back-off of a pod that did not fit: 1 s doubling to 10 s
/// (pkg/scheduler/apis/config/v1/defaults.go: podInitialBackoffSeconds, podMaxBackoffSeconds).
const BACKOFF_LEAST: SimSpan = SimSpan::from_secs(1);
const BACKOFF_MOST: SimSpan = SimSpan::from_secs(10);

/// Pods that wait for a node, and the scheduler's picture of the nodes.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) cache: SchedulerCache,
    /// Pods to be tried, by when at the earliest and in order of arrival.
    active: BTreeMap<(SimTime, u64), PodId>,
    /// Pods that did not fit, until something changes, in order of arrival.
    unschedulable: BTreeMap<u64, PodId>,
    /// Pods that arrived in either.
    arrival_count: u64,
    timer: Timer,
    due_at: SimTime,
    pub(super) client: ClientLimiter,
}

impl Queue {
    pub(super) fn new(cache: SchedulerCache) -> Self {
        Self {
            cache,
            active: BTreeMap::new(),
            unschedulable: BTreeMap::new(),
            arrival_count: 0,
            timer: Timer::NONE,
            due_at: SimTime::MAX,
            client: ClientLimiter::of_scheduler(),
        }
    }

    /// Whether no pod is to be tried.
    pub(super) fn is_idle(&self) -> bool {
        self.active.is_empty()
    }

    fn next_arrival(&mut self) -> u64 {
        self.arrival_count += 1;
        self.arrival_count
    }

    /// Lets a pod wait for its next attempt.
    fn push(&mut self, id: PodId, pod: &mut PodState) {
        pod.arrival = self.next_arrival();
        self.active.insert((pod.retry_at, pod.arrival), id);
    }

    /// Lets a pod wait until something changes.
    fn push_unschedulable(&mut self, id: PodId, pod: &mut PodState) {
        pod.arrival = self.next_arrival();
        self.unschedulable.insert(pod.arrival, id);
    }

    /// Takes the pods whose time has come, in order of arrival.
    fn take_due(&mut self, now: SimTime) -> Vec<PodId> {
        let later = self.active.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.active, later);
        let mut due: Vec<(u64, PodId)> =
            due.into_iter().map(|((_, arrival), id)| (arrival, id)).collect();
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// Lets a pod wait no longer, if it does.
    fn remove(&mut self, pod: &PodState) {
        self.active.remove(&(pod.retry_at, pod.arrival));
        self.unschedulable.remove(&pod.arrival);
    }
}

impl Cluster {
    /// Places a pod at the start of the run, without an event. Whether it found a node.
    pub(super) fn place_at_start(&mut self, id: PodId, pinned: Option<NodeId>) -> bool {
        match self.find_node(id, pinned) {
            Ok(node) => {
                self.assume(id, node);
                true
            }
            Err(_) => {
                self.queue.push(id, &mut self.pods[id.index()]);
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
        let pod = &mut self.pods[id.index()];
        pod.retry_at = at;
        self.queue.push(id, pod);
        self.request_scheduling(at, ctx);
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

    /// Something changed that may make room: every pod that did not fit is tried again after its
    /// back-off.
    ///
    /// Simplified: upstream's queueing hints leave pods alone that the change cannot help; they
    /// would be refused again.
    pub(super) fn retry_unschedulable<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.queue.unschedulable.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.queue.unschedulable);
        let mut earliest = SimTime::MAX;
        for id in waiting.into_values() {
            let pod = &mut self.pods[id.index()];
            earliest = earliest.min(pod.retry_at);
            self.queue.push(id, pod);
        }
        self.request_scheduling(earliest.max(ctx.now()), ctx);
    }

    /// Tries every pod whose time has come, the most important first.
    pub(super) fn on_schedule_due<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        self.queue.due_at = SimTime::MAX;
        let mut due = self.queue.take_due(now);
        due.sort_by_key(|id| std::cmp::Reverse(self.scheduling_priority(*id)));
        for id in due {
            if self.pods[id.index()].phase == PodPhase::Pending {
                self.try_to_schedule(id, ctx);
            }
        }
        if let Some(((at, _), _)) = self.queue.active.first_key_value() {
            self.request_scheduling(*at, ctx);
        }
    }

    fn scheduling_priority(&self, id: PodId) -> i32 {
        self.tables.template_of(&self.pods[id.index()]).template.spec.priority
    }

    fn try_to_schedule<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pinned = self.pods[id.index()].pinned;
        let cause = self.pods[id.index()].cause;
        match self.find_node(id, pinned) {
            Ok(node) => self.bind(id, node, &mut ctx.because(cause)),
            Err(diagnosis) => {
                self.put_back(id, diagnosis.main_reason(), &mut ctx.because(cause));
                if diagnosis.may_preempt {
                    self.preempt_for(id, &mut ctx.because(cause));
                }
            }
        }
    }

    fn bind<E, R>(&mut self, id: PodId, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let workload = self.pods[id.index()].workload;
        self.assume(id, node);
        let bound_at = self.queue.client.reserve(ctx.now());
        if bound_at > ctx.now() {
            ctx.hit(&rare::BINDING_THROTTLED);
        }
        self.note_change(Change::PodBound(id), ctx.now());
        ctx.observe(|| Observation::PodBound { pod: id, workload, node });
        self.notify(Notice::PodBound(id));
        self.begin_start(id, bound_at, ctx);
        self.queue.cache.set_started(id, self.pods[id.index()].worker_at);
        self.review_eviction(id, ctx);
    }

    /// A pod that fits nowhere waits until something changes, for its back-off at least.
    fn put_back<E, R>(
        &mut self,
        id: PodId,
        reason: UnschedulableReason,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        ctx.hit(&rare::UNSCHEDULABLE);
        if matches!(reason, UnschedulableReason::VolumeBinding | UnschedulableReason::VolumeZone) {
            ctx.hit(&rare::VOLUME_HELD_POD);
        }
        let now = ctx.now();
        let pod = &mut self.pods[id.index()];
        let doublings = pod.attempt_count.min(8);
        let backoff = (BACKOFF_LEAST * (1 << doublings)).min(BACKOFF_MOST);
        if backoff == BACKOFF_MOST {
            ctx.hit(&rare::BACKOFF_REACHED_ITS_END);
        }
        pod.attempt_count += 1;
        pod.retry_at = now + backoff;
        self.queue.push_unschedulable(id, pod);
        let workload = pod.workload;
        if !std::mem::replace(&mut pod.was_refused, true) {
            ctx.observe(|| Observation::PodBecameUnschedulable { pod: id, workload, reason });
            self.notify(Notice::PodUnschedulable(id));
        }
    }

    /// A pod as the scheduler tries it.
    pub(super) fn attempt_of(&mut self, id: PodId) -> Attempt {
        let pod = &self.pods[id.index()];
        let (workload, nominated_node) = (pod.workload, pod.nominated);
        let shape = self.tables.template_of(pod).shape;
        let zone = self.workloads[workload.index()].volume_zone(pod.ordinal);
        let blueprint = &self.blueprint;
        let zone = zone.map(|zone| blueprint.zones[zone.index()].name.as_str());
        let cache = &mut self.queue.cache;
        Attempt {
            volumes: zone.map_or(VolumesId::NONE, |zone| cache.volumes_in_zone(zone)),
            pod: Some(id),
            nominated_node,
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
                _ => Err(Diagnosis {
                    refused_counts: vec![(UnschedulableReason::NodeAffinity, 1)],
                    // Simplified: daemons preempt nobody.
                    may_preempt: false,
                }),
            };
        }
        let pod = &self.pods[id.index()];
        let draw = self.draw(pod.key, PLACEMENT, u64::from(pod.attempt_count));
        match self.queue.cache.attempt(attempt, |count| draw.index(count)) {
            Placement::Node(node) => Ok(node),
            Placement::Unschedulable(diagnosis) => Err(diagnosis),
        }
    }

    /// Binds a pod to a node: its place is taken, its volumes are where the node is.
    pub(super) fn assume(&mut self, id: PodId, node: NodeId) {
        let pod = &mut self.pods[id.index()];
        pod.node = Some(node);
        pod.was_refused = false;
        let (workload, ordinal) = (pod.workload, pod.ordinal);
        let table = self.tables.template_of(pod);
        self.queue.cache.add_pod(id, table.shape, node);
        self.nodes[node.index()].pods.push(id);
        self.pods[id.index()].nominated = None;
        if table.has_zonal_claims {
            let zone = self.blueprint.nodes[node.index()].zone;
            self.workloads[workload.index()].set_volume_zone(ordinal, zone);
        }
    }

    /// Tells the scheduler that a pod takes no place any more.
    pub(super) fn release_from_scheduler(&mut self, id: PodId) {
        self.queue.cache.remove_pod(id);
        self.queue.remove(&self.pods[id.index()]);
    }

    pub(super) fn mark_terminating_in_scheduler(&mut self, id: PodId) {
        self.queue.cache.mark_terminating(id);
    }

    /// Tells the scheduler what a node looks like now.
    pub(super) fn tell_scheduler_of(&mut self, id: NodeId) {
        if self.nodes[id.index()].is_in_scheduler && !self.nodes[id.index()].is_deleted {
            let (taints, is_cordoned) = self.node_taints(id);
            self.queue.cache.update_node(id, taints, is_cordoned);
            return;
        }
        match self.node_object(id) {
            Some(node) => {
                self.queue.cache.add_node(id, &node);
                self.nodes[id.index()].is_in_scheduler = true;
                for pod in &self.nodes[id.index()].pods {
                    let state = &self.pods[pod.index()];
                    if state.is_orphan {
                        continue;
                    }
                    let shape = self.tables.template_of(state).shape;
                    self.queue.cache.add_pod(*pod, shape, id);
                    if state.is_terminating {
                        self.queue.cache.mark_terminating(*pod);
                    }
                }
            }
            None if self.nodes[id.index()].is_in_scheduler => {
                for pod in &self.nodes[id.index()].pods {
                    self.queue.cache.remove_pod(*pod);
                }
                self.queue.cache.remove_node(id);
                self.nodes[id.index()].is_in_scheduler = false;
            }
            None => {}
        }
    }

    /// Every pod that the scheduler may try is tried: a new leader's queue is fresh.
    pub(super) fn restart_scheduler<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let unschedulable = std::mem::take(&mut self.queue.unschedulable).into_values();
        let active = std::mem::take(&mut self.queue.active).into_values();
        let mut waiting: Vec<PodId> = unschedulable.chain(active).collect();
        waiting.sort_unstable();
        self.queue.client = ClientLimiter::of_scheduler();
        for id in waiting {
            let pod = &mut self.pods[id.index()];
            pod.retry_at = ctx.now();
            self.queue.push(id, pod);
        }
        if !self.queue.is_idle() {
            self.request_scheduling(ctx.now(), ctx);
        }
    }
}
