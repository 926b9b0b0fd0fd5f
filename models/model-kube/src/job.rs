//! Job controller: how many pods run, what a failure means, when a Job is over.
//!
//! # Modelled
//! `parallelism`, `completions`, fixed count and indexed completion, `backoffLimit`,
//! `backoffLimitPerIndex` with `maxFailedIndexes`, `activeDeadlineSeconds`, `podFailurePolicy` (exit
//! codes and conditions), `successPolicy`, `podReplacementPolicy`, `suspend`,
//! `ttlSecondsAfterFinished`, the wait between failures.
//! # Not modelled
//! Elastic indexed Jobs, `managedBy`, finalizers and the two-step counting of pods that they serve.
//! # Defaults and their sources
//! `pkg/controller/job/{job_controller,backoff_utils,indexed_job_utils,pod_failure_policy}.go` and
//! `success_policy.go` beside them, `pkg/apis/batch/v1/defaults.go`,
//! `pkg/controller/ttlafterfinished/ttlafterfinished_controller.go`,
//! Kubernetes 1.36: [`JobSpec::default`].
//! # Invariants
//! Never more pods than `parallelism`, nor than completions that are missing. No index runs twice at
//! a time, and none that has succeeded runs again. A finished Job has no use for a pod.
//! # Checked against
//! Upstream's rules, retold as tests; property tests that play whole Jobs.

use std::collections::{BTreeMap, BTreeSet};

use model_api::kube::RestartPolicy;
pub use model_api::kube::{
    FailureAction, FailureRequirement, FailureRule, JobEnd, JobSpec, SuccessRule,
};
use sim_kernel::{SimSpan, SimTime};

/// The first wait after a failure (`DefaultJobPodFailureBackOff`).
pub const BACKOFF_INITIAL: SimSpan = SimSpan::from_secs(10);
/// The longest wait after a failure (`MaxJobPodFailureBackOff`).
pub const BACKOFF_MAX: SimSpan = SimSpan::from_mins(10);
/// Most pods created or deleted by one sync (`MaxPodCreateDeletePerSync`).
pub const BURST: u32 = 500;

/// A pod that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedPod {
    /// Containers that ended, with their exit codes.
    pub exit_codes: Vec<(String, i32)>,
    /// Conditions: type and status.
    pub conditions: Vec<(String, String)>,
}

/// What a failure means by the rules: the first that matches decides (`matchPodFailurePolicy`). A
/// container that ended with 0 matches no rule.
pub fn failure_action(rules: &[FailureRule], pod: &FailedPod) -> FailureAction {
    let matches = |rule: &&FailureRule| match &rule.requirement {
        FailureRequirement::ExitCodes { container, is_in, values } => {
            pod.exit_codes.iter().any(|(name, code)| {
                *code != 0
                    && container.as_ref().is_none_or(|wanted| wanted == name)
                    && values.contains(code) == *is_in
            })
        }
        FailureRequirement::Conditions(patterns) => {
            patterns.iter().any(|pattern| pod.conditions.contains(pattern))
        }
    };
    rules.iter().find(matches).map_or(FailureAction::Count, |rule| rule.action)
}

/// What a Job has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobStatus {
    /// Pods that are neither finished nor terminating: their index, in indexed Jobs.
    pub active: Vec<ActivePod>,
    /// Pods that are terminating and have not ended.
    pub terminating_count: u32,
    /// Pods that succeeded; in indexed Jobs see [`Self::succeeded_indexes`].
    pub succeeded_count: u32,
    /// Failures that count against `backoffLimit`.
    pub failed_count: u32,
    /// Indexes that succeeded.
    pub succeeded_indexes: BTreeSet<u32>,
    /// Failures by index, with `backoffLimitPerIndex`: each index waits by itself.
    pub failures_by_index: BTreeMap<u32, RecentFailures>,
    /// Of these, those that no rule ignores, which count against the limit.
    pub counted_by_index: BTreeMap<u32, u32>,
    /// Indexes that may not be tried again.
    pub failed_indexes: BTreeSet<u32>,
    /// A failure that a rule said fails the Job.
    pub is_failed_by_policy: bool,
    /// Restarts of containers of running pods, which count with `restartPolicy: OnFailure`.
    pub restart_count: u32,
    /// When it started, or was resumed.
    pub started_at: Option<SimTime>,
    /// Failures since the last success, and when the last one was.
    pub recent_failures: RecentFailures,
}

/// An active pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActivePod {
    /// Its completion index, in indexed Jobs.
    pub index: Option<u32>,
    /// It is bound to a node and ready: such pods are deleted last.
    pub is_ready: bool,
}

/// Failures since the last success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecentFailures {
    /// How many.
    pub count: u32,
    /// When the last of them ended.
    pub last_at: SimTime,
}

impl RecentFailures {
    fn add(&mut self, at: SimTime) {
        *self = Self { count: self.count + 1, last_at: at };
    }

    /// From when pods may be created again (`getRemainingTime`): 10 s after one failure, doubled by
    /// each further one.
    pub fn not_before(self) -> SimTime {
        let Some(doublings) = self.count.checked_sub(1) else { return SimTime::ZERO };
        // Ten minutes are reached long before sixteen doublings.
        let wait = BACKOFF_INITIAL.saturating_mul(1 << doublings.min(16)).min(BACKOFF_MAX);
        self.last_at + wait
    }
}

/// What a Job has come to, when that is certain (`syncJob`): the condition FailureTarget or
/// SuccessCriteriaMet, which stays whatever its pods do then. Failure is looked for first, in
/// upstream's order.
pub fn end(spec: &JobSpec, status: &JobStatus, now: SimTime) -> Option<JobEnd> {
    if status.is_failed_by_policy {
        return Some(JobEnd::PodFailurePolicy);
    }
    if exceeds_backoff_limit(spec, status) {
        return Some(JobEnd::BackoffLimitExceeded);
    }
    if let (Some(deadline), Some(started_at), false) =
        (spec.active_deadline, status.started_at, spec.is_suspended)
        && started_at + deadline <= now
    {
        return Some(JobEnd::DeadlineExceeded);
    }
    let failed_indexes = count_of(&status.failed_indexes);
    let succeeded = succeeded_count(spec, status);
    if spec.backoff_limit_per_index.is_some() {
        if spec.max_failed_indexes.is_some_and(|max| failed_indexes > max) {
            return Some(JobEnd::MaxFailedIndexesExceeded);
        }
        let all_tried = spec.completions.is_some_and(|all| failed_indexes + succeeded >= all);
        if failed_indexes > 0 && all_tried {
            return Some(JobEnd::FailedIndexes);
        }
    }
    if meets_success_policy(&spec.success_rules, &status.succeeded_indexes) {
        return Some(JobEnd::SuccessPolicy);
    }
    let is_idle = status.active.is_empty();
    let is_complete = match spec.completions {
        None => succeeded > 0 && is_idle,
        Some(completions) => succeeded >= completions && is_idle,
    };
    is_complete.then_some(JobEnd::Complete)
}

/// Whether the indexes that succeeded are enough by any rule (`matchSuccessPolicy`,
/// `matchSucceededIndexesRule`): all that it names, or as many of them as it says. Before the first
/// success none is met, not even one that asks for nothing.
pub fn meets_success_policy(rules: &[SuccessRule], succeeded: &BTreeSet<u32>) -> bool {
    let is_met = |rule: &SuccessRule| {
        let Some(wanted) = &rule.indexes else {
            return rule.count.is_some_and(|count| count_of(succeeded) >= count);
        };
        let total: usize = wanted.iter().map(|(first, last)| (last - first) as usize + 1).sum();
        let met: usize =
            wanted.iter().map(|(first, last)| succeeded.range(first..=last).count()).sum();
        total > 0 && (met == total || rule.count.is_some_and(|count| met >= count as usize))
    };
    !succeeded.is_empty() && rules.iter().any(is_met)
}

fn count_of(indexes: &BTreeSet<u32>) -> u32 {
    u32::try_from(indexes.len()).unwrap_or(u32::MAX)
}

fn succeeded_count(spec: &JobSpec, status: &JobStatus) -> u32 {
    if spec.is_indexed { count_of(&status.succeeded_indexes) } else { status.succeeded_count }
}

/// `failed > backoffLimit`, or restarts in place reach it (`pastBackoffLimitOnFailure`).
fn exceeds_backoff_limit(spec: &JobSpec, status: &JobStatus) -> bool {
    let restarts_exceed = spec.restart_policy == RestartPolicy::OnFailure
        && status.restart_count >= spec.backoff_limit.max(1);
    // With limits per index the total is unlimited unless it is stated, which the API server fills
    // in as the largest number there is.
    status.failed_count > spec.backoff_limit || restarts_exceed
}

/// What is to be done with pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodPlan {
    /// Positions of active pods to delete.
    pub delete: Vec<usize>,
    /// How many pods to create.
    pub create_count: u32,
    /// Their indexes, in indexed Jobs.
    pub create_indexes: Vec<u32>,
    /// Pods are wanted, but only from this moment on.
    pub retry_at: Option<SimTime>,
}

/// Compares active pods with the wanted number (`manageJob`). Meant for Jobs that are not over.
pub fn plan(spec: &JobSpec, status: &JobStatus, now: SimTime) -> PodPlan {
    let active = u32::try_from(status.active.len()).unwrap_or(u32::MAX);
    let wanted = wanted_active(spec, status, active);
    let mut plan = PodPlan::default();
    if active > wanted {
        plan.delete = victims(&status.active, (active - wanted).min(BURST));
        return plan;
    }
    let held = if spec.replaces_failed_only { status.terminating_count } else { 0 };
    let missing = wanted.saturating_sub(active.saturating_add(held)).min(BURST);
    if missing == 0 {
        return plan;
    }
    let not_before = status.recent_failures.not_before();
    if spec.backoff_limit_per_index.is_none() && not_before > now {
        plan.retry_at = Some(not_before);
        return plan;
    }
    plan.create_count = missing;
    if spec.is_indexed {
        let not_before = |index: &u32| {
            let failures = status.failures_by_index.get(index).copied().unwrap_or_default();
            failures.not_before()
        };
        // Those that wait keep their turn: no higher index overtakes them
        // (`getPodCreationInfoForIndependentIndexes`).
        let mut first = pending_indexes(spec, status);
        first.truncate(missing as usize);
        plan.create_indexes = first.iter().copied().filter(|it| not_before(it) <= now).collect();
        plan.create_count = u32::try_from(plan.create_indexes.len()).unwrap_or(missing);
        if plan.create_count == 0 {
            plan.retry_at = first.iter().map(not_before).min();
        }
    }
    plan
}

/// How many pods should be active.
fn wanted_active(spec: &JobSpec, status: &JobStatus, active: u32) -> u32 {
    if spec.is_suspended {
        return 0;
    }
    let succeeded = succeeded_count(spec, status);
    match spec.completions {
        // Once one has succeeded the others are left to end by themselves.
        None if succeeded > 0 => active,
        None => spec.parallelism,
        Some(completions) => {
            let done = succeeded + count_of(&status.failed_indexes);
            completions.saturating_sub(done).min(spec.parallelism)
        }
    }
}

/// The first pods to go: those that are not ready (`activePodsForRemoval`).
fn victims(active: &[ActivePod], count: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..active.len()).collect();
    order.sort_by_key(|idx| active[*idx].is_ready);
    order.truncate(count as usize);
    order
}

/// The indexes that nobody works on, lowest first (`firstPendingIndexes`).
fn pending_indexes(spec: &JobSpec, status: &JobStatus) -> Vec<u32> {
    let busy: BTreeSet<u32> = status.active.iter().filter_map(|pod| pod.index).collect();
    let is_open = |index: &u32| {
        !busy.contains(index)
            && !status.succeeded_indexes.contains(index)
            && !status.failed_indexes.contains(index)
    };
    (0..spec.completions.unwrap_or(0)).filter(is_open).collect()
}

impl JobStatus {
    /// Keeps `startTime` at the end of a sync (`syncJob`): a Job that is suspended has none, which is
    /// what the gate MutableSchedulingDirectivesForSuspendedJobs does in 1.36, and its deadline counts
    /// from when it goes on.
    pub fn note_suspension(&mut self, spec: &JobSpec, now: SimTime) {
        self.started_at = match self.started_at {
            _ if spec.is_suspended => None,
            None => Some(now),
            started_at => started_at,
        };
    }

    /// A pod succeeded; it is no longer active.
    pub fn succeeded(&mut self, index: Option<u32>) {
        self.recent_failures = RecentFailures::default();
        match index {
            Some(index) => drop(self.succeeded_indexes.insert(index)),
            None => self.succeeded_count += 1,
        }
    }

    /// A pod failed; it is no longer active. Returns what the rules make of it.
    pub fn failed(
        &mut self,
        spec: &JobSpec,
        index: Option<u32>,
        pod: &FailedPod,
        now: SimTime,
    ) -> FailureAction {
        let action = failure_action(&spec.failure_rules, pod);
        self.count_failure(spec, index, action, now);
        action
    }

    /// Counts a failure of which it is known what the rules make of it. One that they ignore makes the
    /// next pod wait all the same (`newBackoffRecord`, `getIndexAbsoluteFailureCount`).
    pub fn count_failure(
        &mut self,
        spec: &JobSpec,
        index: Option<u32>,
        action: FailureAction,
        now: SimTime,
    ) {
        self.recent_failures.add(now);
        let index = index.zip(spec.backoff_limit_per_index);
        if let Some((index, _)) = index {
            self.failures_by_index.entry(index).or_default().add(now);
        }
        match action {
            FailureAction::Ignore => return,
            FailureAction::FailJob => self.is_failed_by_policy = true,
            FailureAction::FailIndex | FailureAction::Count => {}
        }
        self.failed_count += 1;
        if let Some((index, limit)) = index {
            let counted = self.counted_by_index.entry(index).or_default();
            *counted += 1;
            if *counted > limit || action == FailureAction::FailIndex {
                self.failed_indexes.insert(index);
            }
        }
    }
}

/// When a finished Job and its pods are deleted (`needsCleanup`); `None` is never.
pub fn deleted_at(spec: &JobSpec, finished_at: SimTime) -> Option<SimTime> {
    spec.ttl_after_finished.map(|ttl| finished_at + ttl)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: u64) -> SimTime {
        SimTime::from_secs(secs)
    }

    fn running(count: usize) -> Vec<ActivePod> {
        vec![ActivePod::default(); count]
    }

    #[test]
    fn no_more_pods_than_completions_that_are_missing() {
        let spec = JobSpec { parallelism: 5, completions: Some(8), ..JobSpec::default() };
        let create = |active, succeeded_count| {
            let status =
                JobStatus { active: running(active), succeeded_count, ..JobStatus::default() };
            let plan = plan(&spec, &status, at(0));
            (plan.create_count, plan.delete.len())
        };
        assert_eq!(create(0, 0), (5, 0));
        assert_eq!(create(5, 2), (0, 0));
        assert_eq!(create(2, 4), (2, 0));
        assert_eq!(create(3, 6), (0, 1));
    }

    /// Indexes that failed for good are as done as those that succeeded.
    #[test]
    fn an_index_that_failed_for_good_needs_no_pod() {
        let spec = JobSpec {
            parallelism: 5,
            completions: Some(6),
            is_indexed: true,
            backoff_limit_per_index: Some(0),
            ..JobSpec::default()
        };
        let status = JobStatus {
            succeeded_indexes: [0, 1].into(),
            failed_indexes: [2, 3, 4].into(),
            active: vec![ActivePod { index: Some(5), is_ready: true }],
            ..JobStatus::default()
        };
        assert_eq!(plan(&spec, &status, at(0)), PodPlan::default());
        let surplus = JobStatus { active: vec![status.active[0]; 2], ..status };
        assert_eq!(plan(&spec, &surplus, at(0)).delete.len(), 1);
    }

    #[test]
    fn the_lowest_indexes_that_nobody_works_on_come_next() {
        let indexes = |busy: &[u32], succeeded: &[u32], failed: &[u32]| {
            let (completions, is_indexed) = (Some(6), true);
            let spec = JobSpec { parallelism: 3, completions, is_indexed, ..JobSpec::default() };
            let pod = |index: &u32| ActivePod { index: Some(*index), is_ready: true };
            let status = JobStatus {
                active: busy.iter().map(pod).collect(),
                succeeded_indexes: succeeded.iter().copied().collect(),
                failed_indexes: failed.iter().copied().collect(),
                ..JobStatus::default()
            };
            plan(&spec, &status, at(0)).create_indexes
        };
        assert_eq!(indexes(&[], &[], &[]), [0, 1, 2]);
        assert_eq!(indexes(&[1], &[0], &[]), [2, 3]);
        assert_eq!(indexes(&[2], &[0], &[3]), [1, 4]);
        assert_eq!(indexes(&[1, 2, 4], &[0], &[]), [0; 0], "three at a time");
    }

    #[test]
    fn a_work_queue_ends_with_its_last_pod() {
        let spec = JobSpec { parallelism: 3, completions: None, ..JobSpec::default() };
        let mut status = JobStatus { active: running(2), ..JobStatus::default() };
        status.succeeded(None);
        assert_eq!(plan(&spec, &status, at(0)), PodPlan::default(), "the others go on");
        assert_eq!(end(&spec, &status, at(0)), None);
        status.active.clear();
        assert_eq!(end(&spec, &status, at(0)), Some(JobEnd::Complete));
    }

    #[test]
    fn waits_double_up_to_ten_minutes_and_a_success_ends_them() {
        let spec = JobSpec { backoff_limit: 20, ..JobSpec::default() };
        let mut status = JobStatus::default();
        let mut waits = Vec::new();
        for _ in 0..8 {
            status.failed(&spec, None, &FailedPod::default(), at(1000));
            let retry_at = plan(&spec, &status, at(1000)).retry_at.expect("it waits");
            waits.push((retry_at - at(1000)).as_secs());
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600]);
        status.succeeded(None);
        assert_eq!(status.recent_failures.not_before(), SimTime::ZERO);
    }

    /// It counts against no limit, and the next pod waits for it (`newBackoffRecord`).
    #[test]
    fn a_failure_that_is_ignored_makes_others_wait() {
        let ignored = FailureRule {
            action: FailureAction::Ignore,
            requirement: FailureRequirement::Conditions(vec![(
                "DisruptionTarget".to_owned(),
                "True".to_owned(),
            )]),
        };
        let evicted = FailedPod {
            conditions: vec![("DisruptionTarget".to_owned(), "True".to_owned())],
            ..FailedPod::default()
        };
        let spec = JobSpec { failure_rules: vec![ignored], backoff_limit: 0, ..JobSpec::default() };
        let per_index = JobSpec {
            completions: Some(1),
            is_indexed: true,
            backoff_limit: u32::MAX,
            backoff_limit_per_index: Some(0),
            ..spec.clone()
        };
        for (spec, index) in [(spec, None), (per_index, Some(0))] {
            let mut status = JobStatus::default();
            for wait in [10, 20] {
                status.failed(&spec, index, &evicted, at(100));
                assert_eq!(plan(&spec, &status, at(100)).retry_at, Some(at(100 + wait)));
            }
            assert_eq!((status.failed_count, end(&spec, &status, at(100))), (0, None));
            assert_eq!(plan(&spec, &status, at(120)).create_count, 1);
        }
    }

    /// Indexes 0 and 1 have failed: a higher one takes the place of neither (`firstPendingIndexes`).
    #[test]
    fn an_index_that_waits_keeps_its_turn() {
        let spec = |parallelism| JobSpec {
            parallelism,
            completions: Some(10),
            is_indexed: true,
            backoff_limit: u32::MAX,
            backoff_limit_per_index: Some(1),
            ..JobSpec::default()
        };
        let mut status = JobStatus::default();
        for (index, secs) in [(1, 95), (0, 98)] {
            status.failed(&spec(1), Some(index), &FailedPod::default(), at(secs));
        }
        for (parallelism, created, retry_at) in
            [(1, vec![], Some(at(108))), (2, vec![], Some(at(105))), (3, vec![2], None)]
        {
            let plan = plan(&spec(parallelism), &status, at(100));
            assert_eq!((plan.create_indexes, plan.retry_at), (created, retry_at), "{parallelism}");
        }
    }

    #[test]
    fn the_seventh_failure_ends_a_job_by_default() {
        let spec = JobSpec::default();
        let mut status = JobStatus::default();
        for _ in 0..6 {
            status.failed(&spec, None, &FailedPod::default(), at(0));
            assert_eq!(end(&spec, &status, at(0)), None);
        }
        status.failed(&spec, None, &FailedPod::default(), at(0));
        assert_eq!(end(&spec, &status, at(0)), Some(JobEnd::BackoffLimitExceeded));
        let in_place = JobSpec { restart_policy: RestartPolicy::OnFailure, ..spec };
        let status = JobStatus { restart_count: 6, ..JobStatus::default() };
        assert_eq!(end(&in_place, &status, at(0)), Some(JobEnd::BackoffLimitExceeded));
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rule = |action, requirement| FailureRule { action, requirement };
        let codes = |is_in, values: &[i32]| FailureRequirement::ExitCodes {
            container: Some("main".into()),
            is_in,
            values: values.to_vec(),
        };
        let disrupted = ("DisruptionTarget".to_owned(), "True".to_owned());
        let rules = [
            rule(FailureAction::FailJob, codes(true, &[42])),
            rule(FailureAction::Ignore, FailureRequirement::Conditions(vec![disrupted.clone()])),
            rule(FailureAction::FailIndex, codes(false, &[1, 2])),
        ];
        let action = |name: &str, code, conditions: &[(String, String)]| {
            let exit_codes = vec![(name.to_owned(), code)];
            let conditions = conditions.to_vec();
            failure_action(&rules, &FailedPod { exit_codes, conditions })
        };
        assert_eq!(action("main", 42, &[]), FailureAction::FailJob);
        assert_eq!(action("other", 42, &[]), FailureAction::Count);
        assert_eq!(action("main", 137, &[disrupted]), FailureAction::Ignore);
        assert_eq!(action("main", 137, &[]), FailureAction::FailIndex);
        assert_eq!(action("main", 1, &[]), FailureAction::Count);
        assert_eq!(action("main", 0, &[]), FailureAction::Count);
    }

    #[test]
    fn any_rule_of_a_success_policy_is_enough() {
        let rule = |indexes: Option<&[(u32, u32)]>, count| SuccessRule {
            indexes: indexes.map(<[_]>::to_vec),
            count,
        };
        let some: &[(u32, u32)] = &[(0, 0), (2, 4)];
        let table = [
            (rule(Some(some), None), &[0, 2, 3, 4][..], true),
            (rule(Some(some), None), &[0, 1, 2, 3, 5], false),
            (rule(Some(some), Some(2)), &[1, 2, 4], true),
            (rule(Some(some), Some(2)), &[1, 2, 5], false),
            (rule(Some(some), Some(0)), &[1], true),
            (rule(Some(some), Some(0)), &[], false),
            (rule(Some(&[]), None), &[1], false),
            (rule(Some(&[]), Some(0)), &[1], false),
            (rule(None, Some(2)), &[1, 5], true),
            (rule(None, Some(3)), &[1, 5], false),
            (rule(None, Some(0)), &[], false),
        ];
        for (rule, succeeded, expected) in table {
            let succeeded: BTreeSet<u32> = succeeded.iter().copied().collect();
            let rules = [SuccessRule::default(), rule];
            assert_eq!(
                meets_success_policy(&rules, &succeeded),
                expected,
                "{rules:?} {succeeded:?}"
            );
        }
    }

    /// A failure counts first, completion by all indexes last.
    #[test]
    fn a_success_policy_has_its_place_in_the_order() {
        let first_alone = SuccessRule { indexes: Some(vec![(0, 0)]), count: None };
        let spec = JobSpec {
            completions: Some(2),
            is_indexed: true,
            backoff_limit: 0,
            backoff_limit_per_index: Some(0),
            max_failed_indexes: Some(1),
            success_rules: vec![first_alone],
            ..JobSpec::default()
        };
        let met = JobStatus { succeeded_indexes: [0].into(), ..JobStatus::default() };
        let ends = |spec: &JobSpec, status: &JobStatus| end(spec, status, at(0));
        let with = |change: &dyn Fn(&mut JobStatus)| {
            let mut status = met.clone();
            change(&mut status);
            ends(&spec, &status)
        };
        assert_eq!(with(&|_| {}), Some(JobEnd::SuccessPolicy));
        assert_eq!(with(&|it| it.active = running(1)), Some(JobEnd::SuccessPolicy));
        assert_eq!(
            with(&|it| {
                it.succeeded_indexes.insert(1);
            }),
            Some(JobEnd::SuccessPolicy),
            "though all have succeeded"
        );
        assert_eq!(with(&|it| it.is_failed_by_policy = true), Some(JobEnd::PodFailurePolicy));
        assert_eq!(with(&|it| it.failed_count = 1), Some(JobEnd::BackoffLimitExceeded));
        assert_eq!(
            with(&|it| {
                it.failed_indexes.insert(1);
            }),
            Some(JobEnd::FailedIndexes)
        );
        let plain = JobSpec { success_rules: Vec::new(), ..spec.clone() };
        assert_eq!(ends(&plain, &met), None);
    }

    #[test]
    fn the_deadline_counts_while_it_is_not_suspended() {
        let deadline = Some(SimSpan::from_secs(60));
        let spec = JobSpec { active_deadline: deadline, ..JobSpec::default() };
        let status =
            JobStatus { started_at: Some(at(10)), active: running(1), ..JobStatus::default() };
        assert_eq!(end(&spec, &status, at(69)), None);
        assert_eq!(end(&spec, &status, at(70)), Some(JobEnd::DeadlineExceeded));
        let suspended = JobSpec { is_suspended: true, ..spec.clone() };
        let mut resumed = status.clone();
        resumed.note_suspension(&suspended, at(70));
        assert_eq!(resumed.started_at, None);
        resumed.note_suspension(&spec, at(500));
        assert_eq!((resumed.started_at, end(&spec, &resumed, at(559))), (Some(at(500)), None));
        assert_eq!(end(&spec, &resumed, at(560)), Some(JobEnd::DeadlineExceeded));
        assert_eq!(end(&suspended, &status, at(70)), None);
        assert_eq!(plan(&suspended, &status, at(70)).delete, [0]);
        let kept = JobSpec { ttl_after_finished: Some(SimSpan::from_secs(5)), ..suspended };
        assert_eq!(deleted_at(&kept, at(100)), Some(at(105)));
    }

    #[derive(Clone, Copy, Debug)]
    enum Fate {
        Succeeds,
        Fails,
    }

    fn specs() -> impl Strategy<Value = JobSpec> {
        let limits = (0..4_u32, prop::option::of(0..3_u32), prop::option::of(0..3_u32));
        (0..6_u32, prop::option::of(0..9_u32), any::<[bool; 2]>(), limits).prop_map(
            |(parallelism, completions, flags, limits)| {
                let is_indexed = flags[0] && completions.is_some();
                JobSpec {
                    parallelism,
                    completions,
                    is_indexed,
                    backoff_limit: if limits.1.is_some() && is_indexed {
                        u32::MAX
                    } else {
                        limits.0
                    },
                    backoff_limit_per_index: limits.1.filter(|_| is_indexed),
                    max_failed_indexes: limits.2.filter(|_| is_indexed),
                    replaces_failed_only: flags[1],
                    ..JobSpec::default()
                }
            },
        )
    }

    proptest! {
        #[test]
        fn whole_jobs_keep_their_bounds(
            spec in specs(),
            fates in prop::collection::vec(
                (0..8_usize, prop_oneof![3 => Just(Fate::Succeeds), 1 => Just(Fate::Fails)]),
                1..120,
            ),
        ) {
            let mut status = JobStatus { started_at: Some(at(0)), ..JobStatus::default() };
            let mut now = at(0);
            for (which, fate) in fates {
                if end(&spec, &status, now).is_some() {
                    break;
                }
                let mut todo = plan(&spec, &status, now);
                if let Some(retry_at) = todo.retry_at {
                    prop_assert!(retry_at > now);
                    if todo.create_count == 0 {
                        now = retry_at;
                        todo = plan(&spec, &status, now);
                        prop_assert!(todo.create_count > 0, "it waited for nothing");
                    }
                }
                todo.delete.sort_unstable();
                for idx in todo.delete.into_iter().rev() {
                    status.active.remove(idx);
                }
                let mut indexes = todo.create_indexes.into_iter();
                for _ in 0..todo.create_count {
                    let pod = ActivePod { index: indexes.next(), is_ready: true };
                    prop_assert_eq!(pod.index.is_some(), spec.is_indexed);
                    status.active.push(pod);
                }
                prop_assert!(status.active.len() <= spec.parallelism as usize);
                let busy: BTreeSet<u32> = status.active.iter().filter_map(|it| it.index).collect();
                if spec.is_indexed {
                    prop_assert_eq!(busy.len(), status.active.len(), "an index runs twice");
                }
                prop_assert!(busy.is_disjoint(&status.succeeded_indexes));
                prop_assert!(busy.is_disjoint(&status.failed_indexes));
                if let Some(completions) = spec.completions {
                    let done = succeeded_count(&spec, &status);
                    prop_assert!(done as usize + status.active.len() <= completions as usize);
                }
                if status.active.is_empty() {
                    continue;
                }
                let pod = status.active.remove(which % status.active.len());
                now += SimSpan::from_secs(1);
                match fate {
                    Fate::Succeeds => status.succeeded(pod.index),
                    Fate::Fails => {
                        status.failed(&spec, pod.index, &FailedPod::default(), now);
                    }
                }
            }
        }
    }
}
