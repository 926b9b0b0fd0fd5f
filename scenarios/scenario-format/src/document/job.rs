//! What pods of Jobs do.

use model_api::{SimSpan, SimTime};

use crate::decode::record;
use crate::source::Spanned;
use crate::units::Share;

record! {
    /// What the pods of a Job do once their containers run: no manifest says it.
    pub struct JobProfileSpec("a Job profile") {
        /// The Job or CronJob, as `namespace/name`.
        job: Spanned<String>,
        /// When the Job is created; at the start of the run when left out. A CronJob has a schedule.
        at: Option<Spanned<SimTime>>,
        /// How long a pod works; 5m when left out.
        work: Option<WorkTimeSpec>,
        /// Share of pods whose work fails at its end; none when left out.
        failures: Option<Spanned<Share>>,
        /// What a container exits with then; 1 when left out. `podFailurePolicy` may ask.
        exit_code: Option<Spanned<u32>>,
    }
}

record! {
    /// How long a pod of a Job works: a log-normal time, by two of its quantiles.
    pub struct WorkTimeSpec("work") {
        /// Half of all pods work for at most this.
        median: Spanned<SimSpan>,
        /// 95 of 100 pods work for at most this; as the median when left out, so that all work equally long.
        p95: Option<Spanned<SimSpan>>,
    }
}
