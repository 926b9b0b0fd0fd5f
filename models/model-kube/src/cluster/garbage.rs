//! The pod garbage collector in time: its passes are those of [`Collector`], and only the ones that
//! may find something are made.
//!
//! Sources: those of [`crate::pod_gc`].

use model_api::observation::DeletionReason;
use model_api::{NodeId, Observation, Parameters, PodId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime, Timer};

use super::pod::PodPhase;
use super::{Cluster, KubeEvent, priority};
use crate::node_lifecycle::Ready;
use crate::pod_gc::{Collector, GcNode, GcPod, is_stuck};
use crate::rare;

const GARBAGE: Purpose = Purpose::new("pod garbage collector phase");

/// What a pass sees is this old at least: a watch event has to reach the cache. **Assumption:** as late
/// as [`Parameters::watch_latency`] at most.
const CACHE_LAG: SimSpan = SimSpan::from_millis(100);

/// The collector of a run.
#[derive(Clone, Debug)]
pub(super) struct Garbage {
    collector: Collector<NodeId>,
    timer: Timer,
    due_at: SimTime,
    /// Pods that are over and still there.
    finished_count: usize,
}

impl Garbage {
    pub(super) fn at_start(parameters: &Parameters) -> Self {
        Self {
            collector: collector(parameters),
            timer: Timer::NONE,
            due_at: SimTime::MAX,
            finished_count: 0,
        }
    }
}

fn collector(parameters: &Parameters) -> Collector<NodeId> {
    let threshold = parameters.terminated_pod_gc_threshold as usize;
    Collector::new(threshold, parameters.pod_gc_quarantine)
}

impl Cluster {
    /// The phase of a pod changes. Finished ones are counted.
    pub(super) fn set_phase(&mut self, id: PodId, phase: PodPhase) {
        let pod = &mut self.pods[id.index()];
        let was_finished = pod.phase == PodPhase::Finished;
        pod.phase = phase;
        match (was_finished, phase == PodPhase::Finished) {
            (false, true) => self.garbage.finished_count += 1,
            (true, false) => self.garbage.finished_count -= 1,
            _ => {}
        }
    }

    /// The first pass of the pod garbage collector at or after a moment.
    fn garbage_pass_at_or_after(&self, at: SimTime) -> SimTime {
        let period = self.blueprint.parameters.pod_gc_period;
        let key = EntityKey::of("kube-controller-manager");
        let phase = self.draw(key, GARBAGE, 0).span_between(SimSpan::ZERO, period);
        at.next_tick(period, phase)
    }

    fn request_garbage_pass<E, R>(&mut self, at: SimTime, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let at = self.garbage_pass_at_or_after(at);
        if ctx.is_pending(self.garbage.timer) && self.garbage.due_at <= at {
            return;
        }
        ctx.cancel(self.garbage.timer);
        self.garbage.due_at = at;
        self.garbage.timer = ctx.timer_at(at, priority::CONTROLLER, KubeEvent::GarbagePass);
    }

    /// A pod as the collector sees it.
    fn gc_pod(&self, id: PodId) -> GcPod<PodId, NodeId> {
        let pod = &self.pods[id.index()];
        let is_finished = pod.phase == PodPhase::Finished && pod.is_end_told;
        GcPod {
            name: id,
            node: pod.node,
            is_finished,
            is_evicted: is_finished && pod.eviction_grace.is_some() && !pod.is_shut_down,
            is_terminating: pod.is_terminating,
            created_at: pod.created_at,
        }
    }

    /// A node as the collector sees it: its cache is the API, a moment ago.
    fn gc_node(&self, id: NodeId) -> GcNode<NodeId> {
        let node = &self.nodes[id.index()];
        GcNode {
            name: id,
            is_ready: node.ready == Ready::True,
            is_out_of_service: node.is_out_of_service,
            is_cached: true,
        }
    }

    /// Whether a pod is being deleted on a node that is surely dead.
    fn is_stuck_for_good(&self, id: PodId) -> bool {
        let node = self.pods[id.index()].node.filter(|node| self.node_exists(*node));
        node.is_some_and(|node| is_stuck(&self.gc_pod(id), &self.gc_node(node)))
    }

    /// A node became dead for sure, or a pod on one began to terminate: the collector sees that
    /// after a while, and removes the pods that are stuck.
    pub(super) fn expect_garbage<E, R>(&mut self, pods: &[PodId], ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if pods.iter().any(|pod| self.is_stuck_for_good(*pod)) {
            self.request_garbage_pass(ctx.now() + CACHE_LAG, ctx);
        }
    }

    /// The node of these pods does not exist: the next pass puts it into quarantine.
    pub(super) fn expect_quarantined_garbage<E, R>(
        &mut self,
        pods: &[PodId],
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !pods.is_empty() {
            self.request_garbage_pass(ctx.now(), ctx);
        }
    }

    /// The API learned that a pod is over: there may be too many such.
    pub(super) fn expect_surplus<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.garbage.collector.is_surplus(self.garbage.finished_count) {
            self.request_garbage_pass(ctx.now() + CACHE_LAG, ctx);
        }
    }

    /// A pass: what it finds it asks the API to remove.
    pub(super) fn on_garbage_pass<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.garbage.due_at = SimTime::MAX;
        let of_workloads = self.workloads.iter().flat_map(|state| &state.pods);
        let pods: Vec<GcPod<PodId, NodeId>> = of_workloads.map(|pod| self.gc_pod(*pod)).collect();
        let all_nodes = (0..self.nodes.len()).map(NodeId::from_index);
        let nodes: Vec<GcNode<NodeId>> = all_nodes
            .filter(|node| self.node_exists(*node))
            .map(|node| self.gc_node(node))
            .collect();
        for removal in self.garbage.collector.pass(&pods, &nodes, ctx.now()) {
            let pod = pods[removal.pod_idx].name;
            ctx.schedule_in(SimSpan::ZERO, priority::CONTROLLER, KubeEvent::GarbageDue(pod));
        }
        if let Some(at) = self.garbage.collector.next_due() {
            self.request_garbage_pass(at, ctx);
        }
    }

    /// The API has the collector's request to remove a pod, without a grace period. Before it, the pod
    /// of a node that does not exist got the condition `DisruptionTarget`, terminating or not
    /// (`gcOrphaned`, `pkg/controller/podgc/gc_controller.go`, 1.36; `gcTerminating` writes none).
    pub(super) fn on_garbage_due<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        if !pod.exists() {
            return;
        }
        if pod.phase == PodPhase::Finished && !pod.is_terminating {
            ctx.hit(&rare::FINISHED_POD_COLLECTED);
        }
        let has_node = pod.node.is_none_or(|node| self.node_exists(node));
        if !pod.is_terminating {
            self.delete_pod(id, DeletionReason::PodGc, ctx);
        } else if !has_node && pod.phase < PodPhase::Finished {
            self.disrupt_terminating(id, DeletionReason::PodGc, ctx);
        }
        self.remove_pod(id, ctx);
    }

    /// A new leader's collector has seen nothing.
    pub(super) fn restart_garbage<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.garbage.collector = collector(&self.blueprint.parameters);
        self.deferred.retain(|(event, _)| *event != KubeEvent::GarbagePass);
        ctx.cancel(self.garbage.timer);
        let pods = self.workloads.iter().flat_map(|state| &state.pods);
        let is_orphan =
            |id: &PodId| self.pods[id.index()].node.is_some_and(|node| !self.node_exists(node));
        let mut pods = pods.copied();
        if pods.any(|pod| is_orphan(&pod) || self.is_stuck_for_good(pod)) {
            self.request_garbage_pass(ctx.now(), ctx);
        }
        self.expect_surplus(ctx);
    }
}
