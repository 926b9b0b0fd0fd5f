//! The state of the API lost and restored, in words.

use model_api::{Observation, ServiceId, SourceRef, WorkloadId};
use report_data::Step;
use sim_kernel::SimTime;

use super::Story;

impl<E> Story<'_, E> {
    /// What a restore took back, before `until`, of the workloads behind a Service.
    pub(super) fn reversions(&self, service: ServiceId, until: SimTime) -> Vec<Step> {
        let selector = &self.blueprint.services[service.index()];
        let is_behind = |id: WorkloadId| {
            let workload = &self.blueprint.workloads[id.index()];
            selector.selects(&workload.namespace, &workload.template.labels)
        };
        let records = self.journal.observations().iter();
        let reverted = records.filter(|record| match record.observation {
            Observation::WorkloadReverted { workload, .. }
            | Observation::ConfigurationReverted { workload, .. }
            | Observation::VolumeOrphaned { workload, .. }
            | Observation::ClaimLost { workload, .. } => record.at <= until && is_behind(workload),
            Observation::AutoscalerReverted { autoscaler, .. } => {
                let spec = &self.blueprint.autoscalers[autoscaler.index()];
                let target = self.blueprint.horizontal_target(spec);
                record.at <= until && target.is_some_and(is_behind)
            }
            _ => false,
        });
        reverted.filter_map(|record| self.step(record.at, &record.observation)).collect()
    }

    /// A fact about the state of the API, with the place in the input that a restore overruled.
    pub(super) fn restored_sentence(
        &self,
        observation: &Observation,
    ) -> Option<(String, Option<SourceRef>)> {
        let text = match *observation {
            Observation::ApiStateLost => "the state of the Kubernetes API is lost".to_owned(),
            Observation::ApiStateRestored { lost_ns } => {
                let minutes = lost_ns / 60_000_000_000;
                let (hours, minutes) = (minutes / 60, minutes % 60);
                format!("the Kubernetes API is as it was {hours} h {minutes} min ago")
            }
            Observation::WorkloadReverted { workload, from, to, is_older_template } => {
                let name = self.blueprint.workload_name(workload);
                let size = format!("{to} replicas, not {from}");
                let text = match (from == to, is_older_template) {
                    (true, _) => format!("{name} has an older pod template again"),
                    (false, false) => format!("{name} has {size}, again"),
                    (false, true) => format!("{name} has {size}, and an older pod template again"),
                };
                let field = if from == to { "spec.template" } else { "spec.replicas" };
                let origin = &self.blueprint.workloads[workload.index()].origin;
                return Some((text, Some(origin.of(field))));
            }
            Observation::AutoscalerReverted { autoscaler, min, max, exists } => {
                let spec = &self.blueprint.autoscalers[autoscaler.index()];
                let name = format!("{}/{}", spec.namespace, spec.name);
                let text = if exists {
                    format!("the autoscaler {name} goes from {min} to {max} replicas again")
                } else {
                    format!("the autoscaler {name} is gone again")
                };
                return Some((text, Some(spec.origin.of("spec.minReplicas"))));
            }
            Observation::ConfigurationReverted { workload, is_there } => {
                let name = self.blueprint.workload_name(workload);
                if is_there {
                    format!("a Secret or ConfigMap of {name} that was deleted is there again")
                } else {
                    format!("a Secret or ConfigMap of {name} that was made since is missing again")
                }
            }
            Observation::VolumeOrphaned { workload, ordinal } => {
                let name = self.blueprint.workload_name(workload);
                format!("nobody knows the volumes that pod {ordinal} of {name} got since")
            }
            Observation::ClaimLost { workload, ordinal } => {
                let name = self.blueprint.workload_name(workload);
                format!("claims of pod {ordinal} of {name} are back whose volumes are no more")
            }
            Observation::PodVolumeMissing { workload, .. } => {
                let name = self.blueprint.workload_name(workload);
                format!("a pod of {name} waits for volumes that are no more")
            }
            _ => return None,
        };
        Some((text, None))
    }
}
