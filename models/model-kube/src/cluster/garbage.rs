//! The pod garbage collector: pods of nodes that are deleted or declared dead.

use model_api::observation::DeletionReason;
use model_api::{Observation, PodId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime};

use super::{Cluster, KubeEvent};
use crate::node_lifecycle::Ready;

const GARBAGE: Purpose = Purpose::new("pod garbage collector phase");

impl Cluster {
    /// The first pass of the pod garbage collector at or after a moment.
    pub(super) fn garbage_pass_at_or_after(&self, at: SimTime) -> SimTime {
        let period = self.blueprint.parameters.pod_gc_period;
        let key = EntityKey::of("kube-controller-manager");
        let phase = self.draw(key, GARBAGE, 0).span_between(SimSpan::ZERO, period);
        at.next_tick(period, phase)
    }

    /// The pod garbage collector removes a pod of a deleted or dead node.
    pub(super) fn on_garbage_due<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let Some(node) = pod.node.filter(|_| pod.exists()) else { return };
        let state = &self.nodes[node.index()];
        let is_dead = state.is_out_of_service && state.ready != Ready::True && pod.is_terminating;
        if state.is_deleted || is_dead {
            if !pod.is_terminating {
                self.delete_pod(id, DeletionReason::PodGc, ctx);
            }
            self.remove_pod(id, ctx);
        }
    }
}
