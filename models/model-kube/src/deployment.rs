//! How a Deployment moves its pods from one template to the next.
//!
//! # Modelled
//! Rolling updates with surge and unavailability, clean-up of unhealthy pods, proportional scaling,
//! completion, progress and its deadline; the order of a recreation. One that is paused is scaled only.
//! # Not modelled
//! History: sizes of ReplicaSets only. A rollback is a rollout to a template that has a
//! ReplicaSet already.
//! # Defaults and their sources
//! `pkg/controller/deployment/{rolling,recreate,sync,progress}.go`,
//! `pkg/controller/deployment/util/deployment_util.go`, Kubernetes 1.36.
//! # Invariants
//! A rolling update never asks for more pods than replicas and surge, and takes away no available
//! pod below replicas less the effective `maxUnavailable`.
//! # Checked against
//! `conformance/nodes-deployment.yaml`.

use std::cmp::Reverse;

use model_api::kube::IntOrPercent;
use sim_kernel::{SimSpan, SimTime};

/// What a Deployment asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeploymentSpec {
    /// `spec.replicas`.
    pub replicas: i32,
    /// `maxSurge` and `maxUnavailable` of a rolling update; `None` for `Recreate`.
    pub rolling: Option<(IntOrPercent, IntOrPercent)>,
}

/// A ReplicaSet of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.creationTimestamp`.
    pub created_at: SimTime,
    /// `spec.replicas`.
    pub size: i32,
    /// `status.availableReplicas`.
    pub available: i32,
    /// Annotation `deployment.kubernetes.io/max-replicas`: the limit when it was sized last. Without
    /// it `status.replicas` of the Deployment, as in `getReplicaSetFraction`.
    pub max_replicas: Option<i32>,
    /// Annotation `deployment.kubernetes.io/desired-replicas`.
    pub desired_replicas: Option<i32>,
}

/// Pods that may be too many and pods that may be missing (`ResolveFenceposts`): surge rounds up,
/// unavailability down; when both are nothing, one may be missing.
pub fn fenceposts(surge: IntOrPercent, unavailable: IntOrPercent, replicas: i32) -> (i32, i32) {
    let share = |percent: i32| i64::from(percent) * i64::from(replicas);
    let count = |value: i64| i32::try_from(value).unwrap_or(i32::MAX);
    let surge = match surge {
        IntOrPercent::Int(surge) => surge,
        IntOrPercent::Percent(percent) => count(-(-share(percent)).div_euclid(100)),
    };
    let unavailable = match unavailable {
        IntOrPercent::Int(unavailable) => unavailable,
        IntOrPercent::Percent(percent) => count(share(percent).div_euclid(100)),
    };
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

impl DeploymentSpec {
    /// Pods above `replicas` that are allowed (`MaxSurge`).
    pub fn max_surge(&self) -> i32 {
        self.rolling
            .map_or(0, |(surge, unavailable)| fenceposts(surge, unavailable, self.replicas).0)
    }

    /// Pods that may be unavailable, effectively (`MaxUnavailable`).
    pub fn max_unavailable(&self) -> i32 {
        match self.rolling {
            Some((surge, unavailable)) if self.replicas > 0 => {
                fenceposts(surge, unavailable, self.replicas).1.min(self.replicas)
            }
            _ => 0,
        }
    }

    fn min_available(&self) -> i32 {
        self.replicas - self.max_unavailable()
    }
}

/// Size of the new ReplicaSet after a sync (`NewRSNewReplicas`); `total` are the pods of all.
pub fn new_size(spec: &DeploymentSpec, total: i32, new: i32) -> i32 {
    if spec.rolling.is_none() {
        return spec.replicas;
    }
    let most = spec.replicas + spec.max_surge();
    if total >= most { new } else { new + (most - total).min(spec.replicas - new) }
}

fn total_size<'a>(revisions: impl IntoIterator<Item = &'a Revision>) -> i32 {
    revisions.into_iter().map(|revision| revision.size).sum()
}

/// Sizes the new ReplicaSet (`reconcileNewReplicaSet`); whether that changed it.
pub fn reconcile_new(spec: &DeploymentSpec, old: &[Revision], new: &mut Revision) -> bool {
    let total = total_size(old) + new.size;
    let size =
        if new.size > spec.replicas { spec.replicas } else { new_size(spec, total, new.size) };
    let has_changed = size != new.size;
    new.size = size;
    has_changed
}

/// Shrinks the old ReplicaSets as far as enough pods stay available (`reconcileOldReplicaSets`);
/// whether that changed one.
pub fn reconcile_old(spec: &DeploymentSpec, old: &mut [Revision], new: &Revision) -> bool {
    if total_size(old.iter()) == 0 {
        return false;
    }
    let total = total_size(old.iter()) + new.size;
    let most = total - spec.min_available() - (new.size - new.available);
    if most <= 0 {
        return false;
    }
    // An error ends the sync without a word.
    let Some(cleaned) = clean_up_unhealthy(old, most) else { return false };
    cleaned + scale_down_old(spec, old, new.available) > 0
}

fn oldest_first(old: &[Revision]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..old.len()).collect();
    order.sort_by(|a, b| {
        (old[*a].created_at, &old[*a].name).cmp(&(old[*b].created_at, &old[*b].name))
    });
    order
}

/// Takes away pods that are not available, at most so many, oldest ReplicaSet first
/// (`cleanupUnhealthyReplicas`); how many. `None` is an error: a ReplicaSet has more available pods
/// than its size, as its controller has not followed its last change yet.
pub fn clean_up_unhealthy(old: &mut [Revision], most: i32) -> Option<i32> {
    let mut done = 0;
    for idx in oldest_first(old) {
        let revision = &mut old[idx];
        if done >= most {
            break;
        }
        if revision.size == 0 || revision.size == revision.available {
            continue;
        }
        if revision.available > revision.size {
            return None;
        }
        let count = (most - done).min(revision.size - revision.available);
        revision.size -= count;
        done += count;
    }
    Some(done)
}

/// Takes away available pods above the least number, oldest ReplicaSet first
/// (`scaleDownOldReplicaSetsForRollingUpdate`); how many.
pub fn scale_down_old(spec: &DeploymentSpec, old: &mut [Revision], new_available: i32) -> i32 {
    let available = old.iter().map(|revision| revision.available).sum::<i32>() + new_available;
    let most = available - spec.min_available();
    let mut done = 0;
    for idx in oldest_first(old) {
        if done >= most {
            break;
        }
        let count = old[idx].size.min(most - done);
        old[idx].size -= count;
        done += count;
    }
    done
}

/// One sync of a rolling update (`rolloutRolling`): creates the new ReplicaSet when it is missing,
/// then changes the new one or else the old ones. Whether anything changed.
pub fn sync_rolling(
    spec: &DeploymentSpec,
    old: &mut [Revision],
    new: &mut Option<Revision>,
    fresh: impl FnOnce() -> Revision,
) -> bool {
    let is_fresh = new.is_none();
    let new = new.get_or_insert_with(|| {
        let mut revision = fresh();
        revision.size = new_size(spec, total_size(old.iter()), 0);
        revision
    });
    // A ReplicaSet that was just created has its size and does not count as scaled.
    if !is_fresh && reconcile_new(spec, old, new) {
        return true;
    }
    reconcile_old(spec, old, new) || is_fresh
}

/// One sync of a recreation (`rolloutRecreate`): takes all old pods away, waits until none exists
/// (`has_old_pods`: of another template and not finished, terminating ones included), then creates
/// the new ReplicaSet. Whether anything changed.
pub fn sync_recreate(
    spec: &DeploymentSpec,
    old: &mut [Revision],
    new: &mut Option<Revision>,
    has_old_pods: bool,
    fresh: impl FnOnce() -> Revision,
) -> bool {
    let mut has_changed = false;
    for revision in old.iter_mut().filter(|revision| revision.size > 0) {
        revision.size = 0;
        has_changed = true;
    }
    if has_changed || has_old_pods {
        return has_changed;
    }
    let new = new.get_or_insert_with(|| {
        has_changed = true;
        fresh()
    });
    has_changed |= new.size != spec.replicas;
    new.size = spec.replicas;
    has_changed
}

/// Whether `spec.replicas` changed since the ReplicaSets were sized (`isScalingEvent`): a sync that
/// finds so does nothing but [`scale`].
pub fn is_scaling_event(spec: &DeploymentSpec, revisions: &[Revision]) -> bool {
    revisions.iter().any(|revision| {
        revision.size > 0 && revision.desired_replicas.is_some_and(|it| it != spec.replicas)
    })
}

/// Distributes a changed number of replicas over the ReplicaSets (`scale`). `new` is the position
/// of the newest template's one, if it exists.
pub fn scale(spec: &DeploymentSpec, revisions: &mut [Revision], new: Option<usize>) {
    let active: Vec<usize> = (0..revisions.len()).filter(|idx| revisions[*idx].size > 0).collect();
    if active.len() < 2 {
        let age = |idx: &usize| (revisions[*idx].created_at, revisions[*idx].name.as_str());
        let newest = || (0..revisions.len()).max_by_key(age);
        if let Some(idx) = active.first().copied().or(new).or_else(newest) {
            revisions[idx].size = spec.replicas;
        }
        return;
    }
    if new.is_some_and(|idx| is_saturated(spec, &revisions[idx])) {
        for idx in active.into_iter().filter(|idx| Some(*idx) != new) {
            revisions[idx].size = 0;
        }
    } else if spec.rolling.is_some() {
        scale_proportionally(spec, revisions, active);
    }
}

/// The new ReplicaSet is all there is meant to be (`IsSaturated`).
fn is_saturated(spec: &DeploymentSpec, new: &Revision) -> bool {
    new.size == spec.replicas
        && new.desired_replicas == Some(spec.replicas)
        && new.available == spec.replicas
}

fn scale_proportionally(spec: &DeploymentSpec, revisions: &mut [Revision], active: Vec<usize>) {
    let allowed = if spec.replicas > 0 { spec.replicas + spec.max_surge() } else { 0 };
    let to_add = allowed - active.iter().map(|idx| revisions[*idx].size).sum::<i32>();
    if to_add == 0 {
        return;
    }
    let mut order = active;
    // Larger first; among equals the newer when growing, the older when shrinking.
    order.sort_by(|a, b| {
        let (a, b) = (&revisions[*a], &revisions[*b]);
        let by_age = (a.created_at, &a.name).cmp(&(b.created_at, &b.name));
        let by_age = if to_add > 0 { by_age.reverse() } else { by_age };
        Reverse(a.size).cmp(&Reverse(b.size)).then(by_age)
    });
    let mut added = 0;
    for idx in &order {
        let share = if added == to_add { 0 } else { fraction(spec, &revisions[*idx]) };
        let left = to_add - added;
        let share = if to_add > 0 { share.min(left) } else { share.max(left) };
        revisions[*idx].size += share;
        added += share;
    }
    let first = &mut revisions[order[0]];
    first.size = (first.size + to_add - added).max(0);
}

/// By how much a ReplicaSet changes when it keeps its share (`getReplicaSetFraction`).
fn fraction(spec: &DeploymentSpec, revision: &Revision) -> i32 {
    if spec.replicas == 0 {
        return -revision.size;
    }
    let Some(before) = revision.max_replicas.filter(|before| *before > 0) else { return 0 };
    let wanted = i64::from(revision.size) * i64::from(spec.replicas + spec.max_surge());
    // Half away from zero; neither is negative.
    let before = i64::from(before);
    let rounded = (2 * wanted + before).div_euclid(2 * before);
    i32::try_from(rounded).unwrap_or(i32::MAX) - revision.size
}

/// `status` of a Deployment, as far as progress is judged by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeploymentStatus {
    /// `replicas`: pods of all ReplicaSets.
    pub replicas: i32,
    /// `updatedReplicas`.
    pub updated: i32,
    /// `readyReplicas`.
    pub ready: i32,
    /// `availableReplicas`.
    pub available: i32,
    /// `observedGeneration` is the newest.
    pub is_current: bool,
}

/// Whether a rollout is done (`DeploymentComplete`).
pub fn is_complete(replicas: i32, status: &DeploymentStatus) -> bool {
    status.updated == replicas
        && status.replicas == replicas
        && status.available == replicas
        && status.is_current
}

/// Whether a status is a step forward (`DeploymentProgressing`).
pub fn is_progressing(before: &DeploymentStatus, after: &DeploymentStatus) -> bool {
    let old = |status: &DeploymentStatus| status.replicas - status.updated;
    after.updated > before.updated
        || old(after) < old(before)
        || after.ready > before.ready
        || after.available > before.available
}

/// Why the Progressing condition is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressReason {
    /// `NewReplicaSetAvailable`: nothing to wait for.
    Available,
    /// `ProgressDeadlineExceeded`.
    DeadlineExceeded,
    /// A rollout is on its way.
    Other,
}

/// The Progressing condition with the deadline it is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its reason.
    pub reason: ProgressReason,
    /// `lastUpdateTime`.
    pub updated_at: SimTime,
    /// `spec.progressDeadlineSeconds`.
    pub deadline: SimSpan,
}

impl Progress {
    /// Whether a rollout that is not complete took too long (`DeploymentTimedOut`).
    pub fn is_timed_out(&self, now: SimTime) -> bool {
        match self.reason {
            ProgressReason::Available => false,
            ProgressReason::DeadlineExceeded => true,
            ProgressReason::Other => self.updated_at + self.deadline < now,
        }
    }

    /// When a rollout that is not complete is looked at again (`requeueStuckDeployment`): `None`
    /// never, zero at once, else after so long and one second.
    pub fn requeue_after(&self, now: SimTime) -> Option<SimSpan> {
        if self.reason == ProgressReason::DeadlineExceeded {
            return None;
        }
        let after = (self.updated_at + self.deadline).saturating_since(now);
        Some(if after < SimSpan::from_secs(1) { SimSpan::ZERO } else { after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(replicas: i32, surge: IntOrPercent, unavailable: IntOrPercent) -> DeploymentSpec {
        DeploymentSpec { replicas, rolling: Some((surge, unavailable)) }
    }

    /// Every step of a rollout in which all pods become available between syncs.
    fn rollout(spec: &DeploymentSpec) -> Vec<(i32, i32)> {
        let mut old =
            [Revision { size: spec.replicas, available: spec.replicas, ..Revision::default() }];
        let (mut new, mut steps) = (None, Vec::new());
        while sync_rolling(spec, &mut old, &mut new, Revision::default) {
            let new = new.as_mut().expect("the first sync creates it");
            steps.push((old[0].size, new.size));
            old[0].available = old[0].size;
            new.available = new.size;
        }
        steps
    }

    #[test]
    fn a_share_is_rounded_half_up() {
        let ten = spec(10, IntOrPercent::Int(0), IntOrPercent::Int(1));
        for (size, before, change) in [(3, 8, 1), (5, 8, 1), (1, 4, 2), (2, 9, 0)] {
            let revision = Revision { size, max_replicas: Some(before), ..Revision::default() };
            assert_eq!(fraction(&ten, &revision), change, "{size} of {before}");
        }
    }

    #[test]
    fn an_empty_revision_tells_no_change_of_size() {
        let ten = spec(10, IntOrPercent::Int(0), IntOrPercent::Int(1));
        let sized = |size, desired| Revision {
            size,
            desired_replicas: Some(desired),
            ..Revision::default()
        };
        assert!(is_scaling_event(&ten, &[sized(3, 5)]));
        assert!(!is_scaling_event(&ten, &[sized(0, 5), sized(10, 10)]));
    }

    #[test]
    fn a_quarter_each_way_moves_ten_pods_in_five_steps() {
        let quarter = IntOrPercent::Percent(25);
        let steps = rollout(&spec(10, quarter, quarter));
        assert_eq!(steps, [(8, 3), (8, 5), (3, 5), (3, 10), (0, 10)]);
    }

    #[test]
    fn limits_hold_at_every_step() {
        for replicas in 1..=12 {
            for surge in 0..=3 {
                for unavailable in 0..=3 {
                    let spec =
                        spec(replicas, IntOrPercent::Int(surge), IntOrPercent::Int(unavailable));
                    let steps = rollout(&spec);
                    assert_eq!(steps.last(), Some(&(0, replicas)), "{spec:?}");
                    for (old, new) in &steps {
                        assert!(old + new <= replicas + spec.max_surge(), "{spec:?} {steps:?}");
                    }
                }
            }
        }
    }

    /// Its controller has not followed yet: the sync gives up, after what it did for older ones.
    #[test]
    fn an_old_replica_set_with_more_available_pods_than_its_size_ends_the_sync() {
        let spec = spec(10, IntOrPercent::Int(3), IntOrPercent::Int(2));
        let sized = |name: &str, size, available| Revision {
            name: name.to_owned(),
            size,
            available,
            ..Revision::default()
        };
        let mut old = [sized("a", 2, 1), sized("b", 5, 6), sized("c", 2, 1)];
        let new = sized("d", 4, 4);
        assert!(!reconcile_old(&spec, &mut old, &new));
        assert_eq!(old.map(|it| it.size), [1, 5, 2]);
    }

    /// Size of the new ReplicaSet before and after, and whether the sync changed anything.
    #[test]
    fn recreate_says_whether_it_changed_something() {
        let spec = DeploymentSpec { replicas: 3, rolling: None };
        let sized = |size| Revision { size, ..Revision::default() };
        for (before, changes) in [(None, true), (Some(2), true), (Some(3), false), (Some(5), true)]
        {
            let mut new = before.map(sized);
            let changed = sync_recreate(&spec, &mut [], &mut new, false, || sized(3));
            assert_eq!((changed, new.map(|it| it.size)), (changes, Some(3)), "{before:?}");
        }
    }

    /// Of two that are as large the newer one grows first, and the older one shrinks first.
    #[test]
    fn a_pod_more_is_of_the_newer_and_a_pod_less_of_the_older_replica_set() {
        let revision = |name: &str| Revision {
            name: name.to_owned(),
            size: 2,
            max_replicas: Some(4),
            ..Revision::default()
        };
        for (replicas, expected) in [(5, [2, 3]), (3, [1, 2]), (4, [2, 2]), (6, [3, 3])] {
            let spec = spec(replicas, IntOrPercent::Int(0), IntOrPercent::Int(1));
            let mut revisions = [revision("a"), revision("b")];
            scale(&spec, &mut revisions, None);
            assert_eq!([revisions[0].size, revisions[1].size], expected, "{replicas}");
        }
    }

    /// Old pods are let go only when the new ReplicaSet is all there is meant to be.
    #[test]
    fn scaling_ends_a_rollout_only_when_the_new_pods_are_available() {
        let spec = spec(4, IntOrPercent::Int(1), IntOrPercent::Int(1));
        let new = |size, desired, available| Revision {
            size,
            desired_replicas: Some(desired),
            available,
            ..Revision::default()
        };
        let rows = [
            (new(4, 4, 4), 0),
            (new(4, 4, 3), 2),
            (new(4, 3, 4), 2),
            (new(3, 4, 4), 2),
            (new(3, 3, 3), 2),
        ];
        for (new, left) in rows {
            let old = Revision { size: 2, available: 2, ..Revision::default() };
            let mut revisions = [old, new.clone()];
            scale(&spec, &mut revisions, Some(1));
            assert_eq!(revisions[0].size, left, "{new:?}");
        }
    }

    #[test]
    fn a_stuck_rollout_is_looked_at_when_its_deadline_is_over() {
        let progress = |reason| Progress {
            reason,
            updated_at: SimTime::from_secs(100),
            deadline: SimSpan::from_secs(600),
        };
        let (secs, millis) = (SimSpan::from_secs, SimTime::from_millis);
        let rows = [
            (millis(100_000), Some(secs(600))),
            (millis(699_000), Some(secs(1))),
            (millis(699_001), Some(SimSpan::ZERO)),
            (millis(800_000), Some(SimSpan::ZERO)),
        ];
        for (now, after) in rows {
            assert_eq!(progress(ProgressReason::Other).requeue_after(now), after, "{now:?}");
            assert_eq!(progress(ProgressReason::DeadlineExceeded).requeue_after(now), None);
        }
    }
}
