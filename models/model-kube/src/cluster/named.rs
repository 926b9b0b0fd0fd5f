//! Pods that name their node (`spec.nodeName`): they are bound when they are created, and the scheduler
//! only counts them. Whether they run, their kubelet says ([`crate::kubelet_admission`]).
//!
//! Simplified: a kubelet that refuses a pod knows of others what the scheduler knows.

use model_api::observation::UnschedulableReason;
use model_api::{NodeId, Observation, PodId};
use sim_kernel::{Context, Recorder};

use super::Cluster;
use super::KubeEvent;
use crate::kubelet_admission;

impl Cluster {
    /// The node that a pod names. The input names none that does not exist.
    pub(super) fn named_node(&self, id: PodId) -> Option<NodeId> {
        self.tables.template_of(&self.pods[id.index()]).named_node
    }

    /// The API server has a pod that names its node.
    pub(super) fn bind_named<E, R>(&mut self, id: PodId, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.promise(id, node, ctx);
        self.tell_bound(id, node, ctx.now(), ctx);
        if self.nodes[node.index()].is_deleted {
            self.expect_quarantined_garbage(&[id], ctx);
        }
    }

    /// Why its kubelet does not take a pod that names its node, if it does not.
    pub(super) fn not_admitted(&mut self, id: PodId) -> Option<UnschedulableReason> {
        let node = self.named_node(id)?;
        let attempt = self.attempt_of(id);
        let (taints, _) = self.node_taints(node);
        let tables = self.tables.clone();
        let spec = &tables.template_of(&self.pods[id.index()]).template.spec;
        // It counts among those of its node already.
        let is_counted = self.queue.cache.node_of(id).is_some();
        self.queue.cache.remove_pod(id);
        let admitted = kubelet_admission::admit(&self.queue.cache, attempt, node, spec, &taints);
        if is_counted {
            self.add_to_scheduler(id, attempt.shape, node);
        }
        admitted.err()
    }
}
