//! CronJob controller: which Job is due, and which finished ones are kept.
//!
//! # Modelled
//! `schedule`, `concurrencyPolicy`, `startingDeadlineSeconds`, `suspend`, the limits of history; that
//! of several times that passed without a Job only the last one gets it.
//! # Not modelled
//! `timeZone`: times are read as UTC.
//! # Defaults and their sources
//! `pkg/controller/cronjob/{cronjob_controllerv2,utils}.go` (`syncCronJob`, `nextScheduleTime`,
//! `mostRecentScheduleTime`, `cleanupFinishedJobs`), `pkg/apis/batch/v1/defaults.go`, Kubernetes 1.36.
//! # Invariants
//! A time gets one Job at most. Each time that passed is started or missed, never both.
//! # Checked against
//! Upstream's rules, retold as tests.

use model_api::backup::Schedule;
use model_api::kube::{ConcurrencyPolicy, CronSpec};
use sim_kernel::{SimSpan, SimTime};

/// The controller looks this long after a time at the earliest (`nextScheduleDelta`).
pub const LOOK_DELAY: SimSpan = SimSpan::from_millis(100);

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Start the Job of this time.
    pub start: Option<SimTime>,
    /// Delete the Jobs that run first.
    pub replaces: bool,
    /// Times that will get no Job any more.
    pub missed: Vec<SimTime>,
}

/// The first time of a schedule after a moment.
///
/// Simplified: `@every` counts from the start of the run.
pub fn next_after(schedule: &Schedule, after: SimTime) -> Option<SimTime> {
    let next = schedule.next_after(i64::try_from(after.as_nanos()).ok()?, 0)?;
    u64::try_from(next).ok().map(SimTime::from_nanos)
}

/// Looks at a CronJob (`syncCronJob`). `last` is the last time that got its Job or was missed for
/// good, at first when the CronJob was created; `active_count` is how many of its Jobs run.
pub fn decide(spec: &CronSpec, last: SimTime, active_count: usize, now: SimTime) -> Decision {
    let mut decision = Decision::default();
    if spec.is_suspended {
        return decision;
    }
    let mut unmet = Vec::new();
    let mut at = last;
    while let Some(next) = next_after(&spec.schedule, at).filter(|at| *at <= now) {
        unmet.push(next);
        at = next;
    }
    let is_too_late = |at: SimTime| spec.starting_deadline.is_some_and(|it| at + it < now);
    let Some(due) = unmet.last().copied().filter(|at| !is_too_late(*at)) else {
        decision.missed = unmet;
        return decision;
    };
    unmet.pop();
    decision.missed = unmet;
    let is_active = active_count > 0;
    // A Job that is held up by an earlier one is still started when that has ended.
    if spec.concurrency != ConcurrencyPolicy::Forbid || !is_active {
        decision.start = Some(due);
        decision.replaces = spec.concurrency == ConcurrencyPolicy::Replace && is_active;
    }
    decision
}

/// How many of the oldest finished Jobs go, of so many that completed and that failed
/// (`cleanupFinishedJobs`).
pub fn surplus(spec: &CronSpec, complete_count: usize, failed_count: usize) -> (usize, usize) {
    (
        complete_count.saturating_sub(spec.kept_complete as usize),
        failed_count.saturating_sub(spec.kept_failed as usize),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mins(minutes: u64) -> SimTime {
        SimTime::ZERO + SimSpan::from_mins(minutes)
    }

    fn every_ten_minutes() -> CronSpec {
        CronSpec {
            schedule: Schedule::Every(SimSpan::from_mins(10)),
            concurrency: ConcurrencyPolicy::Allow,
            starting_deadline: None,
            is_suspended: false,
            kept_complete: 3,
            kept_failed: 1,
        }
    }

    /// Minutes of the start and of what is missed.
    fn look(spec: &CronSpec, last: u64, active_count: usize, now: u64) -> (Option<u64>, Vec<u64>) {
        let decision = decide(spec, mins(last), active_count, mins(now));
        let minute = |at: SimTime| (at - SimTime::ZERO).as_secs() / 60;
        (decision.start.map(minute), decision.missed.into_iter().map(minute).collect())
    }

    #[test]
    fn the_last_of_the_times_that_passed_gets_its_job() {
        let spec = every_ten_minutes();
        assert_eq!(look(&spec, 0, 0, 9), (None, vec![]));
        assert_eq!(look(&spec, 0, 0, 10), (Some(10), vec![]));
        assert_eq!(look(&spec, 10, 1, 45), (Some(40), vec![20, 30]));
        let suspended = CronSpec { is_suspended: true, ..spec };
        assert_eq!(look(&suspended, 10, 0, 45), (None, vec![]));
    }

    #[test]
    fn a_job_is_not_started_after_its_deadline() {
        let deadline = Some(SimSpan::from_mins(3));
        let spec = CronSpec { starting_deadline: deadline, ..every_ten_minutes() };
        assert_eq!(look(&spec, 0, 0, 13), (Some(10), vec![]));
        assert_eq!(look(&spec, 0, 0, 14), (None, vec![10]));
        assert_eq!(look(&spec, 0, 0, 24), (None, vec![10, 20]));
    }

    #[test]
    fn concurrency_is_allowed_forbidden_or_replaced() {
        let with = |concurrency| CronSpec { concurrency, ..every_ten_minutes() };
        let replaces = |spec, active_count| decide(&spec, mins(0), active_count, mins(10)).replaces;
        assert_eq!(look(&with(ConcurrencyPolicy::Allow), 0, 1, 10), (Some(10), vec![]));
        assert_eq!(look(&with(ConcurrencyPolicy::Forbid), 0, 1, 10), (None, vec![]));
        assert_eq!(look(&with(ConcurrencyPolicy::Forbid), 0, 1, 27), (None, vec![10]));
        assert_eq!(look(&with(ConcurrencyPolicy::Forbid), 10, 0, 27), (Some(20), vec![]));
        assert!(replaces(with(ConcurrencyPolicy::Replace), 1));
        assert!(!replaces(with(ConcurrencyPolicy::Replace), 0));
    }

    #[test]
    fn history_has_its_limits() {
        assert_eq!(surplus(&every_ten_minutes(), 4, 3), (1, 2));
        assert_eq!(surplus(&every_ten_minutes(), 3, 0), (0, 0));
    }
}
