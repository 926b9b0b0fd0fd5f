//! Jobs as an older state of the API has them.
//!
//! A Job keeps what each of its pods counted as and when, so that its status at an earlier moment is
//! counted again from these. Only what is deleted has to be kept besides, by clusters whose state
//! may be put back.
//!
//! # Modelled
//! A restore brings back a Job's status, its CronJob's `lastScheduleTime`, and Jobs that were deleted
//! since. A Job that had ended since goes on, pods that had been counted since are counted again as
//! their kubelets report them, and a CronJob makes the last Job that the API forgot once more.
//! # Not modelled
//! `uncountedTerminatedPods`: a pod is counted in one step, so that no snapshot holds half of one. A
//! Job by itself that the API forgot is created by nobody.
//! # Defaults and their sources
//! `pkg/controller/job/job_controller.go` (`syncJob`), `pkg/controller/cronjob/cronjob_controllerv2.go`
//! (`getJobName`: a Job is called by its time, so that the same time has the same Job), Kubernetes 1.36.
//! # Invariants
//! A Job of one time has one number, however often it is made.
//! # Checked against
//! Timelines worked out by hand.

use model_api::WorkloadId;
use model_api::kube::{JobSpec, WorkloadKind};
use sim_kernel::SimTime;

use super::{Cluster, JobState, OneJob, Outcome};
use crate::job::JobStatus;

/// What Jobs of a workload were before.
#[derive(Clone, Debug, Default)]
pub(super) struct JobsPast {
    /// When each Job was created, and the time that it is of.
    pub(super) created: Vec<(SimTime, SimTime)>,
    /// Jobs that were deleted, and when.
    deleted: Vec<(SimTime, OneJob)>,
    /// Jobs that a restored API does not know: their times and numbers.
    forgotten: Vec<(SimTime, u32)>,
}

impl Cluster {
    /// Keeps a Job that is deleted, where its object may come back.
    pub(super) fn keep_past_job(&mut self, id: WorkloadId, job: OneJob, now: SimTime) {
        if self.history.is_some() {
            self.job_state_mut(id).past.deleted.push((now, job));
        }
    }

    /// Jobs are as they were before `until`.
    pub(in crate::cluster) fn restore_jobs(&mut self, until: SimTime) {
        let blueprint = self.blueprint.clone();
        for (id, state) in &mut self.jobs {
            if let WorkloadKind::Job(job) = &blueprint.workloads[id.index()].kind {
                state.rewind(until, &job.spec);
            }
        }
    }
}

impl JobState {
    /// The number of the Job of a time: that of the one that was forgotten, if there is one.
    pub(super) fn number_for(&mut self, due_at: SimTime) -> u32 {
        let forgotten = &mut self.past.forgotten;
        if let Some(place) = forgotten.iter().position(|(at, _)| *at == due_at) {
            return forgotten.remove(place).1;
        }
        self.created_count += 1;
        self.created_count - 1
    }

    fn rewind(&mut self, until: SimTime, spec: &JobSpec) {
        let deleted = std::mem::take(&mut self.past.deleted);
        let (back, still_gone): (Vec<_>, Vec<_>) =
            deleted.into_iter().partition(|(at, _)| *at >= until);
        self.past.deleted = still_gone;
        self.jobs.extend(back.into_iter().map(|(_, job)| job));
        self.jobs.sort_by_key(|job| job.created_at);
        let forgotten = self.jobs.iter().filter(|job| job.created_at >= until);
        self.past.forgotten.extend(forgotten.map(|job| (job.due_at, job.number)));
        self.jobs.retain(|job| job.created_at < until);
        for job in &mut self.jobs {
            job.rewind(until, spec);
        }
        self.past.created.retain(|(at, _)| *at < until);
        self.done.last = self.past.created.last().map_or(SimTime::ZERO, |(_, due_at)| *due_at);
    }
}

impl OneJob {
    fn rewind(&mut self, until: SimTime, spec: &JobSpec) {
        self.verdict = self.verdict.filter(|(_, at)| *at < until);
        self.end = self.end.filter(|(_, at)| *at < until);
        let started_at = self.status.started_at;
        self.status = JobStatus { started_at, ..JobStatus::default() };
        let mut counted = Vec::new();
        for pod in &mut self.pods {
            pod.counted = pod.counted.filter(|(at, _)| *at < until);
            counted.extend(pod.counted.map(|(at, outcome)| (at, pod.index, outcome)));
        }
        // Of one look in the order of the pods, as they were counted.
        counted.sort_by_key(|(at, ..)| *at);
        for (_, index, outcome) in counted {
            match outcome {
                Outcome::Success => self.status.succeeded(index),
                Outcome::Failure(action, ended_at) => {
                    self.status.count_failure(spec, index, action, ended_at);
                }
                Outcome::Nothing => {}
            }
        }
    }
}
