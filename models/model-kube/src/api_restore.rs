//! What becomes of pods when the state of the API is put back to an older one.
//!
//! # Modelled
//! What etcd held of a pod before the loss and what its snapshot holds, side by side, and what that
//! means: containers whose object is gone are killed by their kubelet, objects that come back have
//! no containers until their kubelet starts them, what was being deleted is so no longer.
//! # Not modelled
//! What an operator wrote down (CloudNativePG's `status.currentPrimary`) is as it was before the loss, as are
//! objects that nothing changes in a run: Services, budgets, quotas, webhooks.
//! # Defaults and their sources
//! etcd documentation, "Disaster recovery" (v3.6): `etcdutl snapshot restore --bump-revision
//! --mark-compacted`, so that every watch is refused and every informer lists again. Kubernetes
//! documentation, "Operating etcd clusters for Kubernetes": API servers are stopped first, and the
//! controller manager, the scheduler and the kubelets are restarted afterwards.
//! `pkg/kubelet/kubelet_pods.go` (`HandlePodCleanups`, 1.36): containers that run and belong to no pod
//! of the API are killed with a grace of one second.
//! # Invariants
//! A snapshot taken at the moment of the loss changes nothing.
//! # Checked against
//! The tests below; timelines worked out by hand.

use sim_kernel::SimSpan;

/// Between TERM and KILL of containers that belong to no pod.
pub const ORPHAN_GRACE: SimSpan = SimSpan::from_secs(1);

/// A pod as etcd holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodObject {
    /// It has a node.
    pub is_bound: bool,
    /// It has a deletionTimestamp.
    pub is_terminating: bool,
}

/// What a restore means for a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Nothing.
    Kept,
    /// Its object is gone, and with it all there was.
    Forgotten,
    /// Its object is gone, its containers run on until their kubelet finds them.
    Orphaned,
    /// Its object is back, on a node that has nothing of it.
    Returned,
    /// Its object is back and waits for a node.
    ReturnedUnbound,
    /// Its object waits for a node again, while the node that it had runs its containers.
    Unbound,
    /// It is not being deleted any more.
    Undeleted,
}

/// Compares a pod before a restore with what the snapshot holds; `None` where there is no object.
///
/// Simplified: what was being deleted at the time of the snapshot and is gone stays gone, because its
/// kubelet confirms the deletion as soon as it lists its pods.
pub fn fate(before: Option<PodObject>, snapshot: Option<PodObject>) -> Fate {
    match (before, snapshot) {
        (None, None) => Fate::Kept,
        (Some(before), None) if before.is_bound => Fate::Orphaned,
        (Some(_), None) => Fate::Forgotten,
        (None, Some(then)) if then.is_terminating => Fate::Kept,
        (None, Some(then)) if then.is_bound => Fate::Returned,
        (None, Some(_)) => Fate::ReturnedUnbound,
        (Some(before), Some(then)) if before.is_bound && !then.is_bound => Fate::Unbound,
        (Some(before), Some(then)) if before.is_terminating && !then.is_terminating => {
            Fate::Undeleted
        }
        (Some(_), Some(_)) => Fate::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn object(is_bound: bool, is_terminating: bool) -> Option<PodObject> {
        Some(PodObject { is_bound, is_terminating })
    }

    #[test]
    fn objects_are_compared() {
        let (runs, ends, waits) = (object(true, false), object(true, true), object(false, false));
        let table = [
            (None, None, Fate::Kept),
            (runs, None, Fate::Orphaned),
            (ends, None, Fate::Orphaned),
            (waits, None, Fate::Forgotten),
            (None, runs, Fate::Returned),
            (None, ends, Fate::Kept),
            (None, waits, Fate::ReturnedUnbound),
            (runs, waits, Fate::Unbound),
            (ends, runs, Fate::Undeleted),
        ];
        for (before, snapshot, expected) in table {
            assert_eq!(fate(before, snapshot), expected, "{before:?} {snapshot:?}");
        }
        for same in [runs, ends, waits] {
            assert_eq!(fate(same, same), Fate::Kept);
        }
    }
}
