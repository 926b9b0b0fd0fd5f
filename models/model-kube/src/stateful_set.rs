//! The next step of a StatefulSet.
//!
//! # Modelled
//! Identities, OrderedReady and Parallel, rolling update with a partition, OnDelete, removal of
//! surplus pods, the counts of `status` and which revision is the current one.
//! # Not modelled
//! Claims (they are kept, as `persistentVolumeClaimRetentionPolicy` Retain says).
//! # Defaults and their sources
//! `pkg/controller/statefulset/stateful_set_control.go`, `stateful_set_utils.go`, Kubernetes
//! 1.36. There the gate of `maxUnavailable` (MaxUnavailableStatefulSet) is beta and off: it was on in
//! 1.35.0 to 1.35.3, off again since 1.35.4 (kubernetes#137904, as it broke Parallel), and is on from
//! 1.37 on (kubernetes#139466), whose controller a run does not play.
//! # Invariants
//! No pod is created under a name that exists, terminating or not. OrderedReady takes at most one
//! step a sync.
//! # Checked against
//! `conformance/nodes-statefulset.yaml`.

use model_api::kube::IntOrPercent;

/// What the controller knows of one pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetPod {
    /// Ordinal in its name.
    pub ordinal: u32,
    /// Phase Failed or Succeeded.
    pub is_finished: bool,
    /// Has a deletionTimestamp.
    pub is_terminating: bool,
    /// Phase Running and condition Ready True.
    pub is_ready: bool,
    /// Ready for `minReadySeconds`.
    pub is_available: bool,
    /// Is of the update revision.
    pub is_updated: bool,
    /// Is of the current revision, which is the update revision too while no update is on.
    pub is_current: bool,
}

impl SetPod {
    /// Neither terminating nor unavailable (`isUnavailable`).
    fn is_settled(&self) -> bool {
        self.is_ready && !self.is_terminating && self.is_available
    }
}

/// What the StatefulSet asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetSpec {
    /// `spec.replicas`.
    pub replicas: u32,
    /// `spec.ordinals.start`.
    pub start: u32,
    /// `updateStrategy.rollingUpdate.partition`.
    pub partition: u32,
    /// `status.currentReplicas` of an object without `updateStrategy.rollingUpdate`, which the API
    /// server fills in, so that only one that was stored before it did has none: ordinals below so many
    /// are created from the current revision.
    pub current_replicas: Option<u32>,
    /// `podManagementPolicy: Parallel`.
    pub is_parallel: bool,
    /// `updateStrategy.type: OnDelete`.
    pub is_on_delete: bool,
    /// Effective `updateStrategy.rollingUpdate.maxUnavailable` where its gate is on.
    pub max_unavailable: Option<u32>,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Create the pod of this ordinal.
    Create {
        /// Which.
        ordinal: u32,
        /// From the update revision rather than the current one.
        is_updated: bool,
    },
    /// Delete the pod of this ordinal, because it failed or is too many.
    Delete {
        /// Which.
        ordinal: u32,
    },
    /// Delete the pod of this ordinal, so that it comes back from the new template.
    Replace {
        /// Which.
        ordinal: u32,
    },
}

/// The steps of one sync (`updateStatefulSet`), in order. `pods` are sorted by ordinal.
pub fn sync(spec: &SetSpec, pods: &[SetPod]) -> Vec<Step> {
    let end = spec.start + spec.replicas;
    let mut steps = Vec::new();
    if !sync_replicas(spec, pods, &mut steps) {
        return steps;
    }
    let is_condemned = |pod: &&SetPod| pod.ordinal < spec.start || pod.ordinal >= end;
    let condemned: Vec<&SetPod> = pods.iter().filter(is_condemned).collect();
    if !sync_condemned(spec, pods, &condemned, &mut steps) || spec.is_on_delete {
        return steps;
    }
    update(spec, pods, &mut steps);
    steps
}

fn pod_of(pods: &[SetPod], ordinal: u32) -> Option<&SetPod> {
    pods.binary_search_by_key(&ordinal, |pod| pod.ordinal).ok().map(|idx| &pods[idx])
}

/// Creates what is missing; whether the sync goes on.
fn sync_replicas(spec: &SetSpec, pods: &[SetPod], steps: &mut Vec<Step>) -> bool {
    for ordinal in spec.start..spec.start + spec.replicas {
        match pod_of(pods, ordinal) {
            None => {
                let is_updated = !needs_current(spec, ordinal);
                steps.push(Step::Create { ordinal, is_updated });
                if !spec.is_parallel {
                    return false;
                }
            }
            Some(pod) if pod.is_finished && !pod.is_terminating => {
                steps.push(Step::Delete { ordinal });
                if !spec.is_parallel {
                    return false;
                }
            }
            Some(pod) if !spec.is_parallel && !pod.is_settled() => return false,
            Some(_) => {}
        }
    }
    true
}

/// Whether the pod of an ordinal is created from the current revision, rather than that of the update
/// (`isCurrentRevisionNeeded`).
fn needs_current(spec: &SetSpec, ordinal: u32) -> bool {
    !spec.is_on_delete && ordinal < spec.start + spec.current_replicas.unwrap_or(spec.partition)
}

/// Deletes what is too many, highest first; whether the sync goes on.
fn sync_condemned(
    spec: &SetSpec,
    pods: &[SetPod],
    condemned: &[&SetPod],
    steps: &mut Vec<Step>,
) -> bool {
    let in_range =
        |pod: &&SetPod| pod.ordinal >= spec.start && pod.ordinal < spec.start + spec.replicas;
    let first_unsettled = (pods.iter().filter(in_range))
        .chain(condemned.iter().copied())
        .find(|pod| !pod.is_settled())
        .map(|pod| pod.ordinal);
    for pod in condemned.iter().rev() {
        if pod.is_terminating {
            if spec.is_parallel {
                continue;
            }
            return false;
        }
        let is_first_unsettled = first_unsettled == Some(pod.ordinal);
        if !spec.is_parallel && !pod.is_settled() && !is_first_unsettled {
            return false;
        }
        steps.push(Step::Delete { ordinal: pod.ordinal });
        if !spec.is_parallel {
            return false;
        }
    }
    true
}

/// Replaces pods of an old revision, the highest first: one at a time, or as many as leave no more
/// than `maxUnavailable` unavailable (`updateStatefulSetAfterInvariantEstablished`).
fn update(spec: &SetSpec, pods: &[SetPod], steps: &mut Vec<Step>) {
    let end = spec.start + spec.replicas;
    if let Some(most) = spec.max_unavailable {
        let is_settled = |ordinal: &u32| pod_of(pods, *ordinal).is_some_and(SetPod::is_settled);
        let unsettled = (spec.start..end).filter(|ordinal| !is_settled(ordinal)).count();
        let left = (most as usize).saturating_sub(unsettled);
        let old = (spec.start + spec.partition..end).rev().filter(|ordinal| {
            pod_of(pods, *ordinal).is_some_and(|pod| !pod.is_updated && !pod.is_terminating)
        });
        steps.extend(old.take(left).map(|ordinal| Step::Replace { ordinal }));
        return;
    }
    for ordinal in (spec.start + spec.partition..end).rev() {
        // A pod created by this very sync is not healthy yet.
        let Some(pod) = pod_of(pods, ordinal) else { return };
        if steps.contains(&Step::Delete { ordinal }) {
            return;
        }
        if !pod.is_updated && !pod.is_terminating {
            steps.push(Step::Replace { ordinal });
            return;
        }
        if !pod.is_settled() {
            return;
        }
    }
}

/// `status`, as a sync counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetStatus {
    /// `replicas`: all pods, terminating ones included.
    pub replicas: u32,
    /// `readyReplicas`.
    pub ready: u32,
    /// `availableReplicas`.
    pub available: u32,
    /// `currentReplicas`: pods of the current revision that are not terminating.
    pub current: u32,
    /// `updatedReplicas`: the same of the update revision.
    pub updated: u32,
}

impl SetStatus {
    /// Counts the pods (`updateStatus`).
    pub fn of(pods: &[SetPod]) -> Self {
        let count = |counts: fn(&SetPod) -> bool| {
            let counted = pods.iter().filter(|pod| counts(pod)).count();
            u32::try_from(counted).expect("pods are fewer than 2^32")
        };
        Self {
            replicas: count(|_| true),
            ready: count(|pod| pod.is_ready),
            available: count(|pod| pod.is_ready && pod.is_available),
            current: count(|pod| pod.is_current && !pod.is_terminating),
            updated: count(|pod| pod.is_updated && !pod.is_terminating),
        }
    }

    /// Whether the update revision becomes the current one (`completeRollingUpdate`): all pods are of it
    /// and ready. With `OnDelete` it never does.
    pub fn completes(&self, spec: &SetSpec) -> bool {
        !spec.is_on_delete && self.updated == self.replicas && self.ready == self.replicas
    }
}

/// Whether every pod is there and works, those from the partition on of the update revision
/// (`kubectl rollout status`).
pub fn is_rolled_out(spec: &SetSpec, pods: &[SetPod]) -> bool {
    let end = spec.start + spec.replicas;
    pods.len() == spec.replicas as usize
        && (spec.start..end).all(|ordinal| {
            let is_reached = ordinal >= spec.start + spec.partition;
            pod_of(pods, ordinal).is_some_and(|pod| {
                pod.is_settled() && !pod.is_finished && (pod.is_updated || !is_reached)
            })
        })
}

/// Effective `maxUnavailable` (`getStatefulSetMaxUnavailable`): percentages round down, at least 1.
pub fn max_unavailable(value: IntOrPercent, replicas: u32) -> u32 {
    let count = match value {
        IntOrPercent::Int(count) => i64::from(count),
        IntOrPercent::Percent(percent) => i64::from(percent) * i64::from(replicas) / 100,
    };
    u32::try_from(count.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(ordinal: u32) -> SetPod {
        SetPod {
            ordinal,
            is_ready: true,
            is_available: true,
            is_updated: true,
            ..SetPod::default()
        }
    }

    #[test]
    fn a_terminating_pod_keeps_its_name_and_its_successors_wait() {
        let spec = SetSpec { replicas: 3, ..SetSpec::default() };
        let lost = SetPod { is_terminating: true, is_ready: false, ..settled(1) };
        assert_eq!(sync(&spec, &[settled(0), lost]), []);
        let parallel = SetSpec { is_parallel: true, ..spec };
        let created = Step::Create { ordinal: 2, is_updated: true };
        assert_eq!(sync(&parallel, &[settled(0), lost]), [created]);
    }

    #[test]
    fn in_parallel_a_failed_pod_holds_nothing_up() {
        let spec = SetSpec { replicas: 3, is_parallel: true, ..SetSpec::default() };
        let failed = SetPod { is_finished: true, is_ready: false, ..settled(0) };
        let steps = [Step::Delete { ordinal: 0 }, Step::Create { ordinal: 1, is_updated: true }];
        assert_eq!(sync(&spec, &[failed, settled(2)]), steps);
        let ordered = SetSpec { is_parallel: false, ..spec };
        assert_eq!(sync(&ordered, &[failed, settled(2)]), steps[..1]);
    }

    #[test]
    fn a_pod_comes_back_of_the_revision_that_its_ordinal_has() {
        let created = |spec: SetSpec, ordinal: u32| {
            let others: Vec<SetPod> = (0..4).filter(|it| *it != ordinal).map(settled).collect();
            let spec = SetSpec { replicas: 4, is_parallel: true, ..spec };
            match sync(&spec, &others)[..] {
                [Step::Create { is_updated, .. }] => is_updated,
                ref steps => panic!("{steps:?}"),
            }
        };
        let none = SetSpec::default();
        let stored = SetSpec { current_replicas: Some(2), ..none };
        assert_eq!([1, 2].map(|it| created(stored, it)), [false, true]);
        let parted = SetSpec { partition: 3, ..none };
        assert_eq!([2, 3].map(|it| created(parted, it)), [false, true]);
        let on_delete = SetSpec { is_on_delete: true, current_replicas: Some(2), ..none };
        assert_eq!([1, 2].map(|it| created(on_delete, it)), [true, true]);
        assert!(created(none, 0), "a block that is filled in has the partition 0");
    }

    #[test]
    fn an_update_is_complete_when_all_are_of_it_and_ready() {
        let old = |ordinal| SetPod { is_updated: false, is_current: true, ..settled(ordinal) };
        let spec = SetSpec { replicas: 3, ..SetSpec::default() };
        let status = SetStatus::of(&[old(0), settled(1), settled(2)]);
        assert_eq!((status.replicas, status.current, status.updated), (3, 1, 2));
        assert!(!status.completes(&spec));
        let going = SetPod { is_terminating: true, ..old(0) };
        let status = SetStatus::of(&[going, settled(1), settled(2)]);
        assert_eq!((status.replicas, status.current, status.updated), (3, 0, 2));
        assert!(!status.completes(&spec), "it still counts");
        let starting = SetPod { is_ready: false, ..settled(0) };
        assert!(!SetStatus::of(&[starting, settled(1), settled(2)]).completes(&spec));
        let done = SetStatus::of(&[settled(0), settled(1), settled(2)]);
        assert!(done.completes(&spec));
        assert!(!done.completes(&SetSpec { is_on_delete: true, ..spec }));
    }

    #[test]
    fn max_unavailable_counts_what_is_unavailable_already() {
        let old = |ordinal| SetPod { is_updated: false, ..settled(ordinal) };
        let broken = SetPod { is_ready: false, ..old(0) };
        let replaced = |most, pods: &[SetPod]| {
            let spec = SetSpec {
                replicas: 4,
                is_parallel: true,
                max_unavailable: Some(most),
                ..SetSpec::default()
            };
            sync(&spec, pods)
        };
        let replace = |ordinal| Step::Replace { ordinal };
        let all = [old(0), old(1), old(2), settled(3)];
        assert_eq!(replaced(2, &all), [replace(2), replace(1)]);
        let all = [broken, old(1), old(2), old(3)];
        assert_eq!(replaced(2, &all), [replace(3)]);
        assert_eq!(replaced(1, &all), []);
    }

    #[test]
    fn an_update_goes_from_the_highest_ordinal_down() {
        let spec = SetSpec { replicas: 3, ..SetSpec::default() };
        let old = |ordinal| SetPod { is_updated: false, ..settled(ordinal) };
        assert_eq!(sync(&spec, &[old(0), old(1), old(2)]), [Step::Replace { ordinal: 2 }]);
        assert_eq!(sync(&spec, &[old(0), old(1), settled(2)]), [Step::Replace { ordinal: 1 }]);
    }

    /// Surplus pods go before anything is updated, one at a time and the highest first; one that is not
    /// well goes only when nothing before it is unwell either (`processCondemned`).
    #[test]
    fn surplus_pods_go_before_an_update_goes_on() {
        let spec = SetSpec { replicas: 1, ..SetSpec::default() };
        let parallel = SetSpec { is_parallel: true, ..spec };
        let old = SetPod { is_updated: false, ..settled(0) };
        let going = |ordinal| SetPod { is_terminating: true, ..settled(ordinal) };
        let broken = |ordinal| SetPod { is_ready: false, ..settled(ordinal) };
        let (delete, replace) =
            (|ordinal| Step::Delete { ordinal }, |ordinal| Step::Replace { ordinal });
        let rows: [(&[SetPod], &[Step], &[Step]); 5] = [
            (&[old, settled(1), settled(2)], &[delete(2)], &[delete(2), delete(1), replace(0)]),
            (&[old, settled(1), going(2)], &[], &[delete(1), replace(0)]),
            (&[old, settled(1), broken(2)], &[delete(2)], &[delete(2), delete(1), replace(0)]),
            (&[old, broken(1), broken(2)], &[], &[delete(2), delete(1), replace(0)]),
            (&[old, broken(1), settled(2)], &[delete(2)], &[delete(2), delete(1), replace(0)]),
        ];
        for (pods, ordered, at_once) in rows {
            assert_eq!(sync(&spec, pods), ordered, "{pods:?}");
            assert_eq!(sync(&parallel, pods), at_once, "{pods:?}");
        }
        // Pods below the first ordinal are surplus too.
        let moved = SetSpec { start: 2, ..spec };
        assert_eq!(sync(&moved, &[settled(0), settled(1), old_at(2)]), [delete(1)]);
        let on_delete = SetSpec { is_on_delete: true, ..parallel };
        assert_eq!(sync(&on_delete, &[old, settled(1)]), [delete(1)]);
    }

    fn old_at(ordinal: u32) -> SetPod {
        SetPod { is_updated: false, ..settled(ordinal) }
    }
}
