//! Jobs and CronJobs of a tiny world.

use model_api::backup::Schedule;
use model_api::kube::{
    ConcurrencyPolicy, CronSpec, Job, JobSpec, JobWork, RestartPolicy, SuccessRule,
};
use sim_kernel::{SimSpan, SimTime};

use super::value_of;

pub(super) fn job(rest: &[&str]) -> Job {
    let number = |key: &str| value_of(rest, key).map(|it| u32::try_from(it).expect("small"));
    let span = |key: &str| value_of(rest, key).map(SimSpan::from_secs);
    let parallelism = rest[0].parse().expect("a count");
    let work = span("work").unwrap_or(SimSpan::from_secs(60));
    let concurrency = match rest {
        _ if rest.contains(&"forbid") => ConcurrencyPolicy::Forbid,
        _ if rest.contains(&"replace") => ConcurrencyPolicy::Replace,
        _ => ConcurrencyPolicy::Allow,
    };
    let cron = |period| CronSpec {
        schedule: Schedule::Every(period),
        concurrency,
        starting_deadline: span("start-within"),
        is_suspended: false,
        kept_complete: 3,
        kept_failed: 1,
    };
    Job {
        spec: JobSpec {
            parallelism,
            completions: Some(number("completions").unwrap_or(parallelism)),
            backoff_limit: number("backoff").unwrap_or(6),
            backoff_limit_per_index: number("per-index"),
            is_indexed: rest.contains(&"indexed"),
            success_rules: number("enough")
                .map(|count| SuccessRule { indexes: None, count: Some(count) })
                .into_iter()
                .collect(),
            active_deadline: span("deadline"),
            ttl_after_finished: span("ttl"),
            restart_policy: restart_policy(rest),
            ..JobSpec::default()
        },
        cron: span("every").map(cron),
        starts_at: SimTime::from_secs(value_of(rest, "at").unwrap_or(0)),
        work: JobWork {
            median: work,
            p95: work,
            failure_ppm: number("fails").unwrap_or(0) * 10_000,
            exit_code: 1,
        },
    }
}

/// Pods of Jobs are never restarted, unless `on-failure`.
pub(super) fn restart_policy(rest: &[&str]) -> RestartPolicy {
    if rest.contains(&"on-failure") { RestartPolicy::OnFailure } else { RestartPolicy::Never }
}
