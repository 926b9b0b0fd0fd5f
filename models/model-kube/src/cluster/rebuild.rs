//! A platform that is built again after everything that it stood on is gone.
//!
//! # Modelled
//! Machines of the same names and sizes, without images, that boot; members of the control plane on them. The
//! objects of the API are those that there were, but for pods, which their controllers create anew. Pods of
//! workloads whose data is restored later wait for it: whoever restores them makes their objects after their
//! volumes (Velero 1.16, `pkg/restore/restore.go`: default priorities of resources).
//!
//! # Not modelled
//! Other sizes and names of the new machines; machines that an autoscaler had added and that are not there at
//! first; pods that nobody controls; what a restored state of the API lacks of the newest changes.
//!
//! # Defaults and their sources
//! None of its own.
//!
//! # Invariants
//! No pod that was there before exists afterwards.
//!
//! # Checked against
//! `platform/tests/it/losses.rs`: a region that is lost.

use model_api::observation::DeletionReason;
use model_api::{PodId, WorkloadId, ZoneId};
use sim_kernel::{Context, Recorder, SimTime};

use super::{Cluster, KubeEvent};
use crate::rare;

impl Cluster {
    /// Builds all zones again. Pods of the workloads that are named are not bound before
    /// [`Self::release_data`].
    pub fn rebuild<E, R>(&mut self, awaiting: &[WorkloadId], ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<model_api::Observation>,
    {
        ctx.hit(&rare::REBUILT);
        for workload in awaiting {
            self.workloads[workload.index()].awaits_data = true;
        }
        for idx in 0..self.workloads.len() {
            for pod in self.workloads[idx].pods.clone() {
                self.delete_pod(pod, DeletionReason::VolumeLost, ctx);
                self.remove_pod(pod, ctx);
            }
            let workload = WorkloadId::from_index(idx);
            for key in self.workloads[idx].volumes_in(|_| true) {
                self.unclaim_volumes(workload, key, ctx.now());
                self.workloads[idx].forget_volumes(key);
                self.attachments.remove(&(workload, key));
            }
        }
        for node in &mut self.nodes {
            node.drop_images(|_, _| true);
            node.pull_free_at = SimTime::ZERO;
        }
        for zone in (0..self.zones.len()).map(ZoneId::from_index) {
            self.restore_zone(zone, ctx);
        }
    }

    /// Whether pods of a workload wait for their data.
    pub fn awaits_data(&self, workload: WorkloadId) -> bool {
        self.workloads[workload.index()].awaits_data
    }

    /// The data of a workload is there: its pods may be bound.
    pub fn release_data<E, R>(&mut self, workload: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<model_api::Observation>,
    {
        if !std::mem::take(&mut self.workloads[workload.index()].awaits_data) {
            return;
        }
        let pods = self.workloads[workload.index()].pods.iter().copied();
        let waiting: Vec<PodId> = pods.filter(|pod| !self.has_gates(*pod)).collect();
        for pod in waiting {
            self.ungate_pod(pod, ctx);
        }
        self.settle(ctx);
    }

    /// Whether a pod has scheduling gates that nobody removes.
    fn has_gates(&self, pod: PodId) -> bool {
        let pod = &self.pods[pod.index()];
        let gates = &self.tables.templates[pod.template.index()].template.spec.scheduling_gates;
        !gates.is_empty() && !self.has_gates_lifted(pod.workload)
    }
}
