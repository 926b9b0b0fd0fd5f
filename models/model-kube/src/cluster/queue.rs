//! The scheduler's queue, and what it does with the pods in it.

use model_api::observation::UnschedulableReason;
use model_api::{NodeId, Observation, PodId};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime, Timer};

use super::pod::PodPhase;
use super::{Cluster, KubeEvent, Notice, drawn, priority};
use crate::client_limit::ClientLimiter;
use crate::rare;
use crate::scheduling::{Placement, SchedulerCache};

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
    /// Pods to be tried, in order of arrival.
    active: Vec<PodId>,
    /// Pods that did not fit, until something changes.
    unschedulable: Vec<PodId>,
    timer: Timer,
    due_at: SimTime,
    client: ClientLimiter,
}

impl Queue {
    pub(super) fn new(cache: SchedulerCache) -> Self {
        Self {
            cache,
            active: Vec::new(),
            unschedulable: Vec::new(),
            timer: Timer::NONE,
            due_at: SimTime::MAX,
            client: ClientLimiter::of_scheduler(),
        }
    }

    /// Whether no pod is to be tried.
    pub(super) fn is_idle(&self) -> bool {
        self.active.is_empty()
    }

    pub(super) fn push(&mut self, pod: PodId) {
        self.active.push(pod);
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
                self.queue.push(id);
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
        self.pods[id.index()].retry_at = at;
        self.queue.push(id);
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
        for id in waiting {
            earliest = earliest.min(self.pods[id.index()].retry_at);
            self.queue.push(id);
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
        let waiting = std::mem::take(&mut self.queue.active);
        let (mut due, later): (Vec<PodId>, Vec<PodId>) =
            waiting.into_iter().partition(|id| self.pods[id.index()].retry_at <= now);
        self.queue.active = later;
        due.sort_by_key(|id| std::cmp::Reverse(self.scheduling_priority(*id)));
        for id in due {
            if self.pods[id.index()].phase == PodPhase::Pending {
                self.try_to_schedule(id, ctx);
            }
        }
        let next = self.queue.active.iter().map(|id| self.pods[id.index()].retry_at).min();
        if let Some(at) = next {
            self.request_scheduling(at, ctx);
        }
    }

    fn scheduling_priority(&self, id: PodId) -> i32 {
        let workload = self.pods[id.index()].workload;
        self.tables.workloads[workload.index()].template.spec.priority
    }

    fn try_to_schedule<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pinned = self.pods[id.index()].pinned;
        let cause = self.pods[id.index()].cause;
        let workload = self.pods[id.index()].workload;
        match self.find_node(id, pinned) {
            Ok(node) => {
                self.assume(id, node);
                let bound_at = self.queue.client.reserve(ctx.now());
                if bound_at > ctx.now() {
                    ctx.hit(&rare::BINDING_THROTTLED);
                }
                let mut ctx = ctx.because(cause);
                ctx.observe(|| Observation::PodBound { pod: id, workload, node });
                self.notify(Notice::PodBound(id));
                self.begin_start(id, bound_at, &mut ctx);
                self.begin_eviction(id, &mut ctx);
            }
            Err(reason) => {
                ctx.hit(&rare::UNSCHEDULABLE);
                if matches!(
                    reason,
                    UnschedulableReason::VolumeBinding | UnschedulableReason::VolumeZone
                ) {
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
                self.queue.unschedulable.push(id);
                if !std::mem::replace(&mut pod.was_refused, true) {
                    ctx.observe_because(cause, || Observation::PodBecameUnschedulable {
                        pod: id,
                        workload,
                        reason,
                    });
                    self.notify(Notice::PodUnschedulable(id));
                }
            }
        }
    }

    /// The node for a pod: its own one for a daemon's, else what the scheduler finds.
    fn find_node(
        &mut self,
        id: PodId,
        pinned: Option<NodeId>,
    ) -> Result<NodeId, UnschedulableReason> {
        let pod = &self.pods[id.index()];
        let (workload, ordinal) = (pod.workload, pod.ordinal);
        let shape = self.tables.workloads[workload.index()].shape;
        let draw = self.draw(pod.key, PLACEMENT, u64::from(pod.attempt_count));
        let zone = self.workloads[workload.index()].volume_zone(ordinal);
        let zone = zone.map(|zone| self.blueprint.zones[zone.index()].name.as_str());
        if let Some(node) = pinned {
            let known = !self.nodes[node.index()].is_deleted();
            let fits = known && self.queue.cache.check(shape, zone, node).is_ok();
            return if fits { Ok(node) } else { Err(UnschedulableReason::NodeAffinity) };
        }
        match self.queue.cache.schedule(shape, zone, |count| draw.index(count)) {
            Placement::Node(node) => Ok(node),
            Placement::Unschedulable(diagnosis) => Err(diagnosis.main_reason()),
        }
    }

    /// Binds a pod to a node: its place is taken, its volumes are where the node is.
    fn assume(&mut self, id: PodId, node: NodeId) {
        let pod = &mut self.pods[id.index()];
        pod.node = Some(node);
        pod.was_refused = false;
        let (workload, ordinal) = (pod.workload, pod.ordinal);
        let table = &self.tables.workloads[workload.index()];
        self.queue.cache.add_pod(id, table.shape, node);
        self.nodes[node.index()].pods.push(id);
        if table.has_zonal_claims {
            let zone = self.blueprint.nodes[node.index()].zone;
            self.workloads[workload.index()].set_volume_zone(ordinal, zone);
        }
    }

    /// Tells the scheduler that a pod takes no place any more.
    pub(super) fn release_from_scheduler(&mut self, id: PodId) {
        self.queue.cache.remove_pod(id);
        self.queue.active.retain(|other| *other != id);
        self.queue.unschedulable.retain(|other| *other != id);
    }

    pub(super) fn mark_terminating_in_scheduler(&mut self, id: PodId) {
        self.queue.cache.mark_terminating(id);
    }

    /// Tells the scheduler what a node looks like now.
    pub(super) fn tell_scheduler_of(&mut self, id: NodeId) {
        match self.node_object(id) {
            Some(node) if self.nodes[id.index()].is_in_scheduler => {
                self.queue.cache.update_node(id, node.taints, node.unschedulable);
            }
            Some(node) => {
                self.queue.cache.add_node(id, &node);
                self.nodes[id.index()].is_in_scheduler = true;
                for pod in &self.nodes[id.index()].pods {
                    let state = &self.pods[pod.index()];
                    let shape = self.tables.workloads[state.workload.index()].shape;
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
        let mut waiting = std::mem::take(&mut self.queue.unschedulable);
        waiting.append(&mut self.queue.active);
        waiting.sort_unstable();
        self.queue.client = ClientLimiter::of_scheduler();
        for id in &waiting {
            self.pods[id.index()].retry_at = ctx.now();
        }
        self.queue.active = waiting;
        if !self.queue.is_idle() {
            self.request_scheduling(ctx.now(), ctx);
        }
    }
}
