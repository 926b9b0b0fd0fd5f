//! What Jobs do, in words.

use model_api::kube::JobEnd;
use model_api::{Observation, SourceRef, WorkloadId};
use report_data::Explanation;

use super::Story;

impl<E> Story<'_, E> {
    /// Explains what kept a Job from completing in time: that it failed or was missed, that a pod
    /// waited, that a pod was lost, else that it began.
    pub fn job(&self, run: u64, job: WorkloadId) -> Option<Explanation> {
        use Observation as O;
        let is_end = |seen: &O| match *seen {
            O::JobEnded { workload, end, .. } => workload == job && !end.is_success(),
            O::JobReplaced { workload, .. } | O::JobMissed { workload, .. } => workload == job,
            _ => false,
        };
        let is_wait = |seen: &O| matches!(seen, O::PodBecameUnschedulable { workload, .. } if *workload == job);
        let is_loss =
            |seen: &O| matches!(seen, O::PodDeletionRequested { workload, .. } if *workload == job);
        let is_start =
            |seen: &O| matches!(seen, O::JobCreated { workload, .. } if *workload == job);
        (self.first(run, is_end))
            .or_else(|| self.first(run, is_wait))
            .or_else(|| self.first(run, is_loss))
            .or_else(|| self.first(run, is_start))
    }

    /// A fact about a Job, with the place in the input that has it so.
    pub(super) fn job_sentence(
        &self,
        observation: &Observation,
    ) -> Option<(String, Option<SourceRef>)> {
        use Observation as O;
        let workload = |id: WorkloadId| self.blueprint.workload_name(id);
        let field = |id: WorkloadId, name: &str| {
            let spec = &self.blueprint.workloads[id.index()];
            let path = match spec.kind.name() {
                "CronJob" => format!("spec.jobTemplate.spec.{name}"),
                _ => format!("spec.{name}"),
            };
            spec.origin.of(&path)
        };
        let (text, place) = match *observation {
            O::JobCreated { workload: id, job, .. } => {
                (format!("Job {} of {} is created", job + 1, workload(id)), None)
            }
            O::JobEnded { workload: id, job, end } => {
                let (how, name) = match end {
                    JobEnd::Complete => ("is complete", None),
                    JobEnd::SuccessPolicy => {
                        ("is complete by its success policy", Some("successPolicy"))
                    }
                    JobEnd::PodFailurePolicy => {
                        ("fails by its pod failure policy", Some("podFailurePolicy"))
                    }
                    JobEnd::BackoffLimitExceeded => {
                        ("fails: more pods failed than its back-off limit", Some("backoffLimit"))
                    }
                    JobEnd::DeadlineExceeded => {
                        ("fails: its deadline is over", Some("activeDeadlineSeconds"))
                    }
                    JobEnd::MaxFailedIndexesExceeded => {
                        ("fails: too many indexes failed", Some("maxFailedIndexes"))
                    }
                    JobEnd::FailedIndexes => {
                        ("fails: an index failed too often", Some("backoffLimitPerIndex"))
                    }
                };
                let place = name.map(|name| field(id, name));
                (format!("Job {} of {} {how}", job + 1, workload(id)), place)
            }
            O::JobReplaced { workload: id, job } => {
                let spec = &self.blueprint.workloads[id.index()];
                let place = spec.origin.of("spec.concurrencyPolicy");
                let text = format!("Job {} of {} gives way to the next", job + 1, workload(id));
                (text, Some(place))
            }
            O::JobMissed { workload: id, due_at } => {
                let spec = &self.blueprint.workloads[id.index()];
                let place = spec.origin.of("spec.startingDeadlineSeconds");
                (format!("{} makes no Job for {due_at}", workload(id)), Some(place))
            }
            _ => return None,
        };
        Some((text, place))
    }
}
