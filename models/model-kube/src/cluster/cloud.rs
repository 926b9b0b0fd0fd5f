//! The control plane of the cloud, as far as a cluster asks it for something.
//!
//! # Modelled
//! While it answers nothing, volumes of the cloud are attached to no other node, the cluster autoscaler is
//! refused what it asks for, machines that were asked for are not started, and nodes whose removal is done but
//! for their machine stay. The cloud controller deletes no node, as it cannot know whether its machine is there.
//! # Not modelled
//! Machines that boot already come up. Simplified: attachers try again as the controller of Kubernetes
//! does, ever more slowly up to 2 min 2 s, and volumes that are let go are detached with the next attachment.
//! # Defaults and their sources
//! cluster-autoscaler `core/scaleup/orchestrator/executor.go` (a request that fails: back-off); cloud-provider
//! `controllers/nodelifecycle/node_lifecycle_controller.go` (an error of the provider: the node is
//! looked at again), 1.36. Who attaches: [`model_api::kube::attacher`].
//! # Invariants
//! What waits is done when the cloud answers again.
//! # Checked against
//! `tests/it/cloud.rs`.

use model_api::kube::Attacher;
use model_api::observation::PendingWrite;
use model_api::{Observation, WorkloadId};
use sim_kernel::{Context, Recorder};

use super::{Cluster, Component, KubeEvent};
use crate::rare;

impl Cluster {
    /// Says whether the control plane of the cloud answers from now on. Returns whether it did.
    pub fn set_cloud_available<E, R>(
        &mut self,
        is_available: bool,
        ctx: &mut Context<'_, E, R>,
    ) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let was_available = !std::mem::replace(&mut self.is_cloud_away, !is_available);
        if is_available && !was_available {
            let is_of_cloud = |write: &PendingWrite| {
                matches!(write, PendingWrite::Attachment(_) | PendingWrite::Machines(_))
            };
            self.pending_writes.retain(|write| !is_of_cloud(write));
            self.start_all_machines(ctx);
            self.resume_attachments(ctx);
            self.resume_deferred(ctx);
        }
        self.settle(ctx);
        was_available
    }

    /// Whether the control plane of the cloud answers.
    pub fn is_cloud_available(&self) -> bool {
        !self.is_cloud_away
    }

    /// Whether those answer who attach the volumes of a workload's pods.
    pub(super) fn can_attach(&self, workload: WorkloadId) -> bool {
        match self.tables.attachers[workload.index()] {
            Attacher::Nobody => true,
            Attacher::Cluster => self.runs(Component::ControllerManager),
            Attacher::Cloud => !self.is_cloud_away && self.runs(Component::ControllerManager),
        }
    }

    /// A volume is to be attached, and somebody whom that takes does not answer.
    pub(super) fn tell_attachment_waits<E, R>(
        &mut self,
        workload: WorkloadId,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        ctx.hit(&rare::ATTACH_WAITED);
        self.tell_pending(PendingWrite::Attachment(workload), ctx);
    }
}
