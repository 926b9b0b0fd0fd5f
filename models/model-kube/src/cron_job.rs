//! CronJob controller: which Job is due, and which finished ones are kept.
//!
//! # Modelled
//! `schedule`, `timeZone` with the hours that summer time skips and repeats, `concurrencyPolicy`,
//! `startingDeadlineSeconds`, `suspend`, the limits of history; that of several times that passed
//! without a Job only the last one gets it, and none where upstream's estimate overlooks it.
//! # Not modelled
//! Changes of a CronJob during a run. The clock of the controller manager, by which times are read
//! without a `timeZone`, is taken to show UTC.
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

/// How far a CronJob has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last time that got its Job (`status.lastScheduleTime`), at first when it was created.
    pub last: SimTime,
    /// The last time that ever got its Job or will get none any more; a restored API may know less.
    pub settled: SimTime,
}

/// Looks at a CronJob (`syncCronJob`); `active_count` is how many of its Jobs run.
pub fn decide(spec: &CronSpec, done: Progress, active_count: usize, now: SimTime) -> Decision {
    let mut decision = Decision::default();
    if spec.is_suspended {
        return decision;
    }
    let deadline = spec.starting_deadline.unwrap_or(SimSpan::MAX);
    let due = most_recent(&spec.schedule, done.last.max(now.saturating_sub(deadline)), now);
    let times = std::iter::successors(next_after(&spec.schedule, done.settled), |at| {
        next_after(&spec.schedule, *at)
    });
    decision.missed =
        times.take_while(|at| *at <= now).filter(|at| due.is_none_or(|due| *at < due)).collect();
    let is_active = active_count > 0;
    // A Job that is held up by an earlier one is still started when that has ended.
    if spec.concurrency != ConcurrencyPolicy::Forbid || !is_active {
        decision.start = due;
        decision.replaces =
            due.is_some() && spec.concurrency == ConcurrencyPolicy::Replace && is_active;
    }
    decision
}

/// The last time after `earliest` that has passed (`mostRecentScheduleTime`).
///
/// Where more than one has passed it is looked for from one to two periods ago on, a period being what
/// lies between the first two. Of a schedule with longer gaps (`0 3 * * 1-5` on a Sunday) that may be
/// after the last time: then there is none.
fn most_recent(schedule: &Schedule, earliest: SimTime, now: SimTime) -> Option<SimTime> {
    let first = next_after(schedule, earliest).filter(|at| *at <= now)?;
    let second = next_after(schedule, first)?;
    if second > now {
        return Some(first);
    }
    let period_secs = (second - first).as_secs();
    let periods = (now - first).as_secs() / period_secs.max(1);
    let mut last = None;
    let mut at = first + SimSpan::from_secs(period_secs).saturating_mul(periods.saturating_sub(1));
    while let Some(next) = next_after(schedule, at).filter(|at| *at <= now) {
        last = Some(next);
        at = next;
    }
    last
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
    use model_api::backup::Cron;
    use model_api::time_zone::TimeZone;

    use super::*;

    fn mins(minutes: u64) -> SimTime {
        SimTime::ZERO + SimSpan::from_mins(minutes)
    }

    fn since(minutes: u64) -> Progress {
        Progress { last: mins(minutes), settled: mins(minutes) }
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
        let decision = decide(spec, since(last), active_count, mins(now));
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
        assert_eq!(look(&spec, 0, 0, 12), (Some(10), vec![]));
        assert_eq!(look(&spec, 0, 0, 13), (None, vec![10]));
        assert_eq!(look(&spec, 0, 0, 24), (None, vec![10, 20]));
    }

    /// The estimate of the last time looks back less than two periods, which are days on weekdays.
    #[test]
    fn a_night_before_the_weekend_is_found_until_it_is_a_period_old() {
        const DAY: u64 = 24 * 60;
        let nightly = Cron {
            seconds: 1,
            minutes: 1,
            hours: 1 << 3,
            days: u32::MAX,
            months: u16::MAX,
            weekdays: 0b11_1110,
            is_any_day: true,
            is_any_weekday: false,
            time_zone: TimeZone::default(),
        };
        let spec = CronSpec { schedule: Schedule::Cron(nightly), ..every_ten_minutes() };
        let at = |day: u64| day * DAY + 180;
        // Day 0 is a Monday; nobody looked since Wednesday.
        let wednesday = at(2);
        for (now, start, missed) in [
            (at(3), Some(at(3)), vec![]),
            (at(4), Some(at(4)), vec![at(3)]),
            (at(5) - 1, Some(at(4)), vec![at(3)]),
            (at(5), None, vec![at(3), at(4)]),
            (at(6), None, vec![at(3), at(4)]),
            (at(7), Some(at(7)), vec![at(3), at(4)]),
        ] {
            assert_eq!(look(&spec, wednesday, 0, now), (start, missed), "day {}", now / DAY);
        }
        let deadline = Some(SimSpan::from_hours(60));
        let spec = CronSpec { starting_deadline: deadline, ..spec };
        assert_eq!(look(&spec, wednesday, 0, at(6)), (Some(at(4)), vec![at(3)]));
        assert_eq!(look(&spec, wednesday, 0, at(6) + 12 * 60), (None, vec![at(3), at(4)]));
    }

    #[test]
    fn concurrency_is_allowed_forbidden_or_replaced() {
        let with = |concurrency| CronSpec { concurrency, ..every_ten_minutes() };
        let replaces =
            |spec, active_count| decide(&spec, since(0), active_count, mins(10)).replaces;
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
