//! Jobs: `pkg/controller/job/{job_controller,indexed_job_utils,success_policy}.go`, Kubernetes 1.36.

use std::collections::BTreeSet;

use model_api::SimTime;
use model_kube::job::{
    ActivePod, JobEnd, JobSpec, JobStatus, RecentFailures, SuccessRule, end, meets_success_policy,
    plan,
};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

/// What has become of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Active,
    Succeeded,
    Failed,
    /// It failed lately, and may be tried again at this second.
    WaitsUntil(u64),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Open),
        2 => Just(Fate::Active),
        2 => Just(Fate::Succeeded),
        1 => Just(Fate::Failed),
        1 => (0..60_u64).prop_map(Fate::WaitsUntil),
    ]
}

const NOW_SECS: u64 = 30;

fn status_of(fates: &[Fate]) -> JobStatus {
    let mut status = JobStatus::default();
    for (index, fate) in (0..).zip(fates) {
        match fate {
            Fate::Open => {}
            Fate::Active => status.active.push(ActivePod { index: Some(index), is_ready: true }),
            Fate::Succeeded => drop(status.succeeded_indexes.insert(index)),
            Fate::Failed => drop(status.failed_indexes.insert(index)),
            Fate::WaitsUntil(secs) => {
                // One failure makes ten seconds of waiting.
                let last_at = SimTime::from_secs(1000 + secs - 10);
                let failures = RecentFailures { count: 1, last_at };
                status.failures_by_index.insert(index, failures);
            }
        }
    }
    status
}

proptest! {
    /// The lowest indexes that are open come next, as many as there is room for; one that waits keeps
    /// its turn.
    #[test]
    fn indexes_that_come_next(fates in vec(fate(), 1..12), parallelism in 0..8_u32) {
        let now = SimTime::from_secs(1000 + NOW_SECS);
        let spec = JobSpec {
            parallelism,
            completions: u32::try_from(fates.len()).ok(),
            is_indexed: true,
            backoff_limit: u32::MAX,
            backoff_limit_per_index: Some(5),
            ..JobSpec::default()
        };
        let status = status_of(&fates);
        let is = |wanted: Fate| fates.iter().filter(|it| **it == wanted).count();
        let done = is(Fate::Succeeded) + is(Fate::Failed);
        let wanted = (fates.len() - done).min(parallelism as usize);
        let got = plan(&spec, &status, now);
        let active = is(Fate::Active);
        if active > wanted {
            prop_assert_eq!(got.delete.len(), active - wanted);
            prop_assert_eq!(got.create_indexes, []);
            return Ok(());
        }
        let mut turns = Vec::new();
        for (index, fate) in (0_u32..).zip(&fates) {
            if matches!(fate, Fate::Open | Fate::WaitsUntil(_)) && turns.len() < wanted - active {
                turns.push((index, *fate));
            }
        }
        let (mut next, mut first_wait) = (Vec::new(), None);
        for (index, fate) in turns {
            match fate {
                Fate::WaitsUntil(secs) if secs > NOW_SECS => {
                    let sooner = first_wait.is_none_or(|known| secs < known);
                    first_wait = if sooner { Some(secs) } else { first_wait };
                }
                _ => next.push(index),
            }
        }
        let retry_at = first_wait.filter(|_| next.is_empty());
        prop_assert_eq!(got.create_indexes, next);
        prop_assert_eq!(got.retry_at, retry_at.map(|secs| SimTime::from_secs(1000 + secs)));
        prop_assert_eq!(got.delete, Vec::<usize>::new());
    }

    /// How many pods there are of a Job without indexes.
    #[test]
    fn pods_that_are_wanted(
        active in 0..10_usize,
        succeeded in 0..10_u32,
        terminating in 0..5_u32,
        parallelism in 0..10_u32,
        completions in prop::option::of(0..12_u32),
        is_suspended in prop::bool::weighted(0.2),
        replaces_failed_only: bool,
    ) {
        let spec = JobSpec {
            parallelism, completions, is_suspended, replaces_failed_only, ..JobSpec::default()
        };
        let status = JobStatus {
            active: vec![ActivePod::default(); active],
            succeeded_count: succeeded,
            terminating_count: terminating,
            ..JobStatus::default()
        };
        let mut wanted = match completions {
            None if succeeded > 0 => active,
            None => parallelism as usize,
            Some(all) => (all.saturating_sub(succeeded)).min(parallelism) as usize,
        };
        if is_suspended {
            wanted = 0;
        }
        let got = plan(&spec, &status, SimTime::from_secs(1));
        let mut there = active;
        if replaces_failed_only {
            there += terminating as usize;
        }
        prop_assert_eq!(got.delete.len(), active.saturating_sub(wanted));
        let missing = if active > wanted { 0 } else { wanted.saturating_sub(there) };
        prop_assert_eq!(got.create_count as usize, missing);
    }

    /// The first of these that holds is what a Job has come to.
    #[test]
    fn what_a_job_has_come_to(
        fates in vec(fate(), 1..8),
        failed_count in 0..4_u32,
        backoff_limit in 0..4_u32,
        per_index in any::<bool>(),
        max_failed_indexes in prop::option::of(0..3_u32),
        deadline in prop::option::of(1..60_u64),
        is_failed_by_policy in prop::bool::weighted(0.1),
    ) {
        let spec = JobSpec {
            parallelism: 3,
            completions: u32::try_from(fates.len()).ok(),
            is_indexed: true,
            backoff_limit,
            backoff_limit_per_index: per_index.then_some(1),
            max_failed_indexes: max_failed_indexes.filter(|_| per_index),
            active_deadline: deadline.map(model_api::SimSpan::from_secs),
            ..JobSpec::default()
        };
        let status = JobStatus {
            failed_count,
            is_failed_by_policy,
            started_at: Some(SimTime::ZERO),
            ..status_of(&fates)
        };
        let count = |wanted: Fate| fates.iter().filter(|it| **it == wanted).count() as u32;
        let (failed, succeeded) = (count(Fate::Failed), count(Fate::Succeeded));
        let all = fates.len() as u32;
        let mut came_to = None;
        let mut unless_known = |holds: bool, what: JobEnd| {
            if came_to.is_none() && holds {
                came_to = Some(what);
            }
        };
        unless_known(is_failed_by_policy, JobEnd::PodFailurePolicy);
        unless_known(failed_count > backoff_limit, JobEnd::BackoffLimitExceeded);
        unless_known(deadline.is_some_and(|secs| secs <= NOW_SECS), JobEnd::DeadlineExceeded);
        if per_index {
            let too_many = max_failed_indexes.is_some_and(|most| failed > most);
            unless_known(too_many, JobEnd::MaxFailedIndexesExceeded);
            unless_known(failed > 0 && failed + succeeded >= all, JobEnd::FailedIndexes);
        }
        unless_known(succeeded == all, JobEnd::Complete);
        prop_assert_eq!(end(&spec, &status, SimTime::from_secs(NOW_SECS)), came_to);
    }

    /// A rule is met by all indexes that it names, or by as many of them as it says, or by as many of
    /// all when it names none.
    #[test]
    fn successes_that_are_enough(
        succeeded in btree_set(0..10_u32, 0..8),
        named in prop::option::of(btree_set(0..10_u32, 1..6)),
        count in prop::option::of(1..6_u32),
    ) {
        let indexes = named.as_ref().map(|it| it.iter().map(|at| (*at, *at)).collect());
        let rule = SuccessRule { indexes, count };
        let of_rule: BTreeSet<u32> = match &named {
            Some(named) => named.intersection(&succeeded).copied().collect(),
            None => succeeded.clone(),
        };
        let has_count = count.is_some_and(|it| of_rule.len() >= it as usize);
        let has_all = named.as_ref().is_some_and(|named| of_rule.len() == named.len());
        let is_met = !succeeded.is_empty() && (has_count || has_all);
        prop_assert_eq!(meets_success_policy(&[rule], &succeeded), is_met);
    }
}
