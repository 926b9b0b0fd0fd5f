//! Jobs and CronJobs.

use sim_kernel::{SimSpan, SimTime};

use super::pod::RestartPolicy;
use crate::backup::Schedule;

/// A `batch/v1 Job`, or the Jobs that a `CronJob` makes one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What each of them is.
    pub spec: JobSpec,
    /// When they are made; `None` for a Job by itself.
    pub cron: Option<CronSpec>,
    /// When a Job by itself is created.
    pub starts_at: SimTime,
    /// What its pods do: no manifest says that.
    pub work: JobWork,
}

/// What a pod of a Job does once its containers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobWork {
    /// Half of all pods work for at most this; the time is log-normal.
    pub median: SimSpan,
    /// 95 of 100 pods work for at most this; not below the median.
    pub p95: SimSpan,
    /// Share of pods whose work fails at its end, in parts per million.
    pub failure_ppm: u32,
    /// The code that a container then exits with.
    pub exit_code: i32,
}

impl Default for JobWork {
    /// Five minutes, always, and it never fails. **Assumption.**
    fn default() -> Self {
        let five = SimSpan::from_mins(5);
        Self { median: five, p95: five, failure_ppm: 0, exit_code: 1 }
    }
}

/// `spec` of a Job, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSpec {
    /// `parallelism`.
    pub parallelism: u32,
    /// `completions`; `None` is a work queue, done when one pod succeeded and all have ended.
    pub completions: Option<u32>,
    /// `completionMode: Indexed`.
    pub is_indexed: bool,
    /// `backoffLimit`.
    pub backoff_limit: u32,
    /// `backoffLimitPerIndex`.
    pub backoff_limit_per_index: Option<u32>,
    /// `maxFailedIndexes`.
    pub max_failed_indexes: Option<u32>,
    /// `activeDeadlineSeconds`.
    pub active_deadline: Option<SimSpan>,
    /// `ttlSecondsAfterFinished`.
    pub ttl_after_finished: Option<SimSpan>,
    /// `suspend`.
    pub is_suspended: bool,
    /// `podReplacementPolicy: Failed`: a terminating pod is not replaced before it has ended.
    pub replaces_failed_only: bool,
    /// `podFailurePolicy.rules`.
    pub failure_rules: Vec<FailureRule>,
    /// `successPolicy.rules`, of indexed Jobs.
    pub success_rules: Vec<SuccessRule>,
    /// The template's `restartPolicy`.
    pub restart_policy: RestartPolicy,
}

impl Default for JobSpec {
    fn default() -> Self {
        Self {
            parallelism: 1,
            completions: Some(1),
            is_indexed: false,
            backoff_limit: 6,
            backoff_limit_per_index: None,
            max_failed_indexes: None,
            active_deadline: None,
            ttl_after_finished: None,
            is_suspended: false,
            replaces_failed_only: false,
            failure_rules: Vec::new(),
            success_rules: Vec::new(),
            restart_policy: RestartPolicy::Never,
        }
    }
}

/// One rule of a success policy: a Job that meets it needs no more pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuccessRule {
    /// `succeededIndexes`: the first and the last of each interval, in increasing order.
    pub indexes: Option<Vec<(u32, u32)>>,
    /// `succeededCount`: so many of these, or of all.
    pub count: Option<u32>,
}

/// One rule of a pod failure policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureRule {
    /// What a match means.
    pub action: FailureAction,
    /// What it looks at.
    pub requirement: FailureRequirement,
}

/// What a pod's failure means for its Job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum FailureAction {
    FailJob,
    FailIndex,
    Ignore,
    #[default]
    Count,
}

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureRequirement {
    /// `onExitCodes`.
    ExitCodes {
        /// Only this container, if named.
        container: Option<String>,
        /// `operator: In` (else `NotIn`).
        is_in: bool,
        /// `values`.
        values: Vec<i32>,
    },
    /// `onPodConditions`: any of these types and statuses.
    Conditions(Vec<(String, String)>),
}

/// How a Job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum JobEnd {
    Complete,
    SuccessPolicy,
    PodFailurePolicy,
    BackoffLimitExceeded,
    DeadlineExceeded,
    MaxFailedIndexesExceeded,
    FailedIndexes,
}

impl JobEnd {
    /// The Job then has the condition Complete, else Failed.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Complete | Self::SuccessPolicy)
    }
}

/// `spec` of a CronJob, defaults filled in, without its template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronSpec {
    /// `schedule`, in `timeZone`.
    pub schedule: Schedule,
    /// `concurrencyPolicy`.
    pub concurrency: ConcurrencyPolicy,
    /// `startingDeadlineSeconds`.
    pub starting_deadline: Option<SimSpan>,
    /// `suspend`.
    pub is_suspended: bool,
    /// `successfulJobsHistoryLimit`.
    pub kept_complete: u32,
    /// `failedJobsHistoryLimit`.
    pub kept_failed: u32,
}

/// What happens when a Job is due while an earlier one runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum ConcurrencyPolicy {
    #[default]
    Allow,
    Forbid,
    Replace,
}
