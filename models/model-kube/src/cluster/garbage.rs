//! The pod garbage collector: pods of nodes that are deleted or declared dead.

use model_api::observation::DeletionReason;
use model_api::{Observation, PodId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime};

use super::pod::PodState;
use super::{Cluster, KubeEvent, priority};
use crate::node_lifecycle::Ready;

const GARBAGE: Purpose = Purpose::new("pod garbage collector phase");

/// What a pass sees is this old at least.
const CACHE_LAG: SimSpan = SimSpan::from_secs(1);

impl Cluster {
    /// The first pass of the pod garbage collector at or after a moment.
    pub(super) fn garbage_pass_at_or_after(&self, at: SimTime) -> SimTime {
        let period = self.blueprint.parameters.pod_gc_period;
        let key = EntityKey::of("kube-controller-manager");
        let phase = self.draw(key, GARBAGE, 0).span_between(SimSpan::ZERO, period);
        at.next_tick(period, phase)
    }

    /// Whether a pod is being deleted on a node that is surely dead (`gcTerminating`).
    fn is_stuck_for_good(&self, pod: &PodState) -> bool {
        let node = pod.node.map(|node| &self.nodes[node.index()]);
        pod.is_terminating
            && node.is_some_and(|node| node.is_out_of_service && node.ready != Ready::True)
    }

    /// A node became dead for sure, or a pod on one began to terminate: the collector sees that
    /// after a while, and removes the pods that are stuck.
    pub(super) fn expect_garbage<E, R>(&mut self, pods: &[PodId], ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let at = self.garbage_pass_at_or_after(ctx.now() + CACHE_LAG);
        for pod in pods {
            if self.is_stuck_for_good(&self.pods[pod.index()]) {
                ctx.schedule_at(at, priority::CONTROLLER, KubeEvent::GarbageDue(*pod));
            }
        }
    }

    /// The node of these pods does not exist: they are garbage after the quarantine.
    pub(super) fn expect_quarantined_garbage<E, R>(
        &mut self,
        pods: &[PodId],
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let quarantine = self.blueprint.parameters.pod_gc_quarantine;
        let found_at = self.garbage_pass_at_or_after(ctx.now());
        let at = self.garbage_pass_at_or_after(found_at + quarantine);
        for pod in pods {
            ctx.schedule_at(at, priority::CONTROLLER, KubeEvent::GarbageDue(*pod));
        }
    }

    /// The pod garbage collector removes a pod of a deleted or dead node.
    pub(super) fn on_garbage_due<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let Some(node) = pod.node.filter(|_| pod.exists()) else { return };
        if self.nodes[node.index()].is_deleted || self.is_stuck_for_good(pod) {
            if !pod.is_terminating {
                self.delete_pod(id, DeletionReason::PodGc, ctx);
            }
            self.remove_pod(id, ctx);
        }
    }
}
