//! What waits to be written while nobody can write it: the API is away, or the component whose
//! business it is has no leader.
//!
//! Sources: controllers keep what they have to do in their work queues and try again
//! (`client-go/util/workqueue`); a component without the lead does nothing ([`crate::leader_election`]).

use std::collections::BTreeSet;

use model_api::kube::WorkloadKind;
use model_api::observation::PendingWrite;
use model_api::{Observation, PodId, WorkloadId};
use sim_kernel::{Context, Recorder, SimTime};

use super::pod::PodPhase;
use super::{Cluster, KubeEvent};
use crate::node_lifecycle::Ready;

impl Cluster {
    /// Tells what an event would write that has to wait, each write once until it can happen.
    pub(super) fn tell_waiting<E, R>(&mut self, event: KubeEvent, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for write in self.writes_of(event, ctx.now()) {
            self.tell_pending(write, ctx);
        }
    }

    /// A write has to wait.
    pub(super) fn tell_pending<E, R>(&mut self, write: PendingWrite, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.pending_writes.insert(write) {
            ctx.observe(|| Observation::WriteWaits { write });
        }
    }

    /// What the kubelet knows of a pod's readiness waits for the API.
    pub(super) fn tell_readiness_waits<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        // One that is cut off waits for the network.
        let is_connected = pod.node.is_some_and(|node| self.nodes[node.index()].has_contact);
        if is_connected && pod.is_locally_ready != pod.is_ready && pod.exists() {
            let write = PendingWrite::Readiness(pod.workload);
            self.tell_pending(write, ctx);
        }
    }

    /// What an event is about to write, as far as that is known before it happens.
    fn writes_of(&self, event: KubeEvent, now: SimTime) -> BTreeSet<PendingWrite> {
        let workload = |pod: PodId| self.pods[pod.index()].workload;
        let write = match event {
            KubeEvent::MonitorPass => return self.unready_writes(now),
            KubeEvent::ScheduleDue => return self.binding_writes(),
            KubeEvent::MarkPodDue(pod) => PendingWrite::Unready(workload(pod)),
            KubeEvent::EvictionDue(pod)
            | KubeEvent::PodDeleteDue(pod)
            | KubeEvent::GarbageDue(pod) => PendingWrite::Deletion(workload(pod)),
            KubeEvent::PodCreateDue(pod) => PendingWrite::Creation(workload(pod)),
            KubeEvent::WorkloadSync(id) if self.lacks_pods(id) => PendingWrite::Creation(id),
            KubeEvent::DeploymentSync(id) if self.workloads[id.index()].is_rolling => {
                PendingWrite::Creation(id)
            }
            KubeEvent::OffPeakDue(id) => PendingWrite::Scale(id),
            KubeEvent::JobDue(id) if self.owes_job(id, now) => PendingWrite::Creation(id),
            KubeEvent::EndpointsDue(service) => PendingWrite::Endpoints(service),
            KubeEvent::AutoscalerSync(id) => match self.tables.scalers.workload_of(id) {
                Some(workload) => PendingWrite::Scale(workload),
                None => return BTreeSet::new(),
            },
            _ => return BTreeSet::new(),
        };
        BTreeSet::from([write])
    }

    /// Pods on nodes that a pass would find silent.
    fn unready_writes(&self, now: SimTime) -> BTreeSet<PendingWrite> {
        let silent = self
            .nodes
            .iter()
            .filter(|node| node.ready == Ready::True && node.expiry_at <= now && !node.is_deleted);
        let pods = silent.flat_map(|node| &node.pods).map(|pod| &self.pods[pod.index()]);
        pods.filter(|pod| pod.is_ready).map(|pod| PendingWrite::Unready(pod.workload)).collect()
    }

    fn binding_writes(&self) -> BTreeSet<PendingWrite> {
        let waits = |pod: &PodId| self.pods[pod.index()].phase == PodPhase::Pending;
        let workloads = self.workloads.iter().enumerate();
        let waiting = workloads.filter(|(_, state)| state.pods.iter().any(waits));
        waiting.map(|(idx, _)| PendingWrite::Binding(WorkloadId::from_index(idx))).collect()
    }

    /// Whether a workload has fewer pods than it should. Daemons are one to a
    /// node, and how many a Job needs its controller knows: neither is counted.
    fn lacks_pods(&self, id: WorkloadId) -> bool {
        let state = &self.workloads[id.index()];
        let active = state.pods.iter().filter(|pod| self.pods[pod.index()].is_active()).count();
        let kind = &self.blueprint.workloads[id.index()].kind;
        let is_counted = !matches!(kind, WorkloadKind::DaemonSet { .. } | WorkloadKind::Job(_));
        is_counted && active < state.replicas as usize
    }
}
