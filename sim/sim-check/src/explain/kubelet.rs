//! What kubelets do to containers, in words.

use model_api::observation::KillReason;
use model_api::{SourceRef, WorkloadId};

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
        };
        let path = format!("spec.template.spec.containers[0].{field}");
        (text, Some(self.blueprint.workloads[id.index()].origin.of(&path)))
    }
}
