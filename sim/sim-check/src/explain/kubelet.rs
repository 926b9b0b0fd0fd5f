//! What kubelets do to containers, in words.

use model_api::observation::KillReason;
use model_api::{NodeId, Observation, SourceRef, WorkloadId};

use super::Story;

impl<E> Story<'_, E> {
    /// Why containers are ended by force, and the field that has it so.
    pub(super) fn kill_sentence(
        &self,
        id: WorkloadId,
        reason: KillReason,
    ) -> (String, Option<SourceRef>) {
        let name = self.blueprint.workload_name(id);
        let (text, field) = match reason {
            KillReason::StartupProbe => (
                format!("a pod of {name} takes too long to start for its probe, and is restarted"),
                "startupProbe",
            ),
            KillReason::LivenessProbe => (
                format!("a pod of {name} fails its liveness probe, and is restarted"),
                "livenessProbe",
            ),
            KillReason::MemoryLimit => (
                format!("a container of {name} reaches its limit of memory and is killed"),
                "resources.limits.memory",
            ),
            KillReason::NodeMemory => (
                format!("no memory is left on a node: the kernel kills a container of {name}"),
                "resources.requests.memory",
            ),
        };
        let container = match reason {
            KillReason::MemoryLimit | KillReason::NodeMemory => self.leaking_container(id),
            KillReason::StartupProbe | KillReason::LivenessProbe => 0,
        };
        let path = format!("spec.template.spec.containers[{container}].{field}");
        (text, Some(self.blueprint.workloads[id.index()].origin.of(&path)))
    }

    /// The container of a workload whose memory is stated.
    fn leaking_container(&self, id: WorkloadId) -> usize {
        let profile = self.blueprint.memory.iter().find(|profile| profile.workload == id);
        profile.map_or(0, |profile| profile.container)
    }

    /// What kubelets do when memory runs out.
    pub(super) fn pressure_sentence(
        &self,
        observation: &Observation,
    ) -> Option<(String, Option<SourceRef>)> {
        use Observation as O;
        let node = |id: NodeId| self.blueprint.nodes[id.index()].node.name.as_str();
        let workload = |id: WorkloadId| self.blueprint.workload_name(id);
        let request = |id: WorkloadId| {
            let container = self.leaking_container(id);
            let path =
                format!("spec.template.spec.containers[{container}].resources.requests.memory");
            Some(self.blueprint.workloads[id.index()].origin.of(&path))
        };
        Some(match *observation {
            O::NodePressureStarted { node: id } => {
                (format!("the kubelet of {} finds that memory runs out", node(id)), None)
            }
            O::NodePressureEnded { node: id } => {
                (format!("the kubelet of {} finds memory enough again", node(id)), None)
            }
            O::PodEvicted { workload: id, node: at, .. } => {
                let text = format!("the kubelet of {} evicts a pod of {}", node(at), workload(id));
                (text, request(id))
            }
            O::PodRefused { workload: id, node: at, .. } => {
                let text = format!("the kubelet of {} refuses a pod of {}", node(at), workload(id));
                (text, request(id))
            }
            _ => return None,
        })
    }
}
