//! What became of Jobs.

use std::collections::BTreeMap;

use model_api::{Observation, WorkloadId};
use sim_kernel::{SimSpan, SimTime};

/// The Jobs of a workload: one, or those of a CronJob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobMeasures {
    /// Jobs that are not over, with the moment at which each was to be created.
    pub open: BTreeMap<u32, SimTime>,
    /// Jobs that are complete.
    pub complete_count: u32,
    /// The longest time that one of these took.
    pub longest: SimSpan,
    /// Jobs that failed, or that gave way to the next one.
    pub failed_count: u32,
    /// Times at which no Job was created.
    pub missed_count: u32,
}

/// Takes notice of an observation about Jobs.
pub(crate) fn fold(
    jobs: &mut BTreeMap<WorkloadId, JobMeasures>,
    at: SimTime,
    observation: &Observation,
) {
    match *observation {
        Observation::JobCreated { workload, job, due_at } => {
            jobs.entry(workload).or_default().open.insert(job, due_at);
        }
        Observation::JobEnded { workload, job, end } => {
            let measures = jobs.entry(workload).or_default();
            let due_at = measures.open.remove(&job).unwrap_or(at);
            if end.is_success() {
                measures.complete_count += 1;
                measures.longest = measures.longest.max(at.saturating_since(due_at));
            } else {
                measures.failed_count += 1;
            }
        }
        Observation::JobReplaced { workload, job } => {
            let measures = jobs.entry(workload).or_default();
            measures.open.remove(&job);
            measures.failed_count += 1;
        }
        Observation::JobMissed { workload, .. } => {
            jobs.entry(workload).or_default().missed_count += 1;
        }
        _ => {}
    }
}

impl JobMeasures {
    /// The longest time that a Job took, or has taken when the run ends at `end`; `None` when one
    /// failed or was missed: it never completes.
    pub(crate) fn longest(&self, end: SimTime) -> Option<SimSpan> {
        if self.failed_count + self.missed_count > 0 {
            return None;
        }
        let open = self.open.values().map(|due_at| end.saturating_since(*due_at));
        Some(open.chain([self.longest]).max().expect("there is one at least"))
    }
}
