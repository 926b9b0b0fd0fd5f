//! Which pods a ReplicaSet creates and which it deletes.
//!
//! # Modelled
//! The count of active pods against `spec.replicas`, the order of victims, slow-start batches.
//! # Not modelled
//! Creation that fails (quota, admission): batches never stop early.
//! # Defaults and their sources
//! `pkg/controller/replicaset/replica_set.go`, `pkg/controller/controller_utils.go`
//! (ActivePodsWithRanks), Kubernetes 1.36.
//! # Invariants
//! Victims are as many as asked for, never more than there are; terminating pods are never victims.
//! # Checked against
//! `conformance/nodes-replicaset.yaml`.

use std::cmp::Ordering;

use sim_kernel::SimTime;

/// Most pods created or deleted by one sync (`BurstReplicas`).
pub const BURST: usize = 500;

/// What a sync has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// As many pods as wanted.
    None,
    /// So many are missing.
    Create(usize),
    /// So many are too many.
    Delete(usize),
}

/// Compares active pods with the wanted number (`manageReplicas`). Active: neither finished nor
/// being deleted.
pub fn difference(active: usize, wanted: usize) -> Difference {
    match active.cmp(&wanted) {
        Ordering::Equal => Difference::None,
        Ordering::Less => Difference::Create((wanted - active).min(BURST)),
        Ordering::Greater => Difference::Delete((active - wanted).min(BURST)),
    }
}

/// Sizes of the batches in which `count` pods are created (`slowStartBatch`): 1, 2, 4, ...
pub fn slow_start_batches(count: usize) -> impl Iterator<Item = usize> {
    let mut remaining = count;
    let mut size = 1;
    std::iter::from_fn(move || {
        let batch = size.min(remaining);
        remaining -= batch;
        size = 2 * batch;
        (batch > 0).then_some(batch)
    })
}

/// Phase of a pod, in the order in which victims are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum VictimPhase {
    #[default]
    Pending,
    Unknown,
    Running,
}

/// What the choice of victims looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Bound to a node.
    pub has_node: bool,
    /// `status.phase`.
    pub phase: VictimPhase,
    /// Condition Ready is True.
    pub is_ready: bool,
    /// `controller.kubernetes.io/pod-deletion-cost`, default 0.
    pub deletion_cost: i32,
    /// Active pods of all ReplicaSets of the same Deployment on its node; 0 without a Deployment.
    pub related_on_node: usize,
    /// When Ready last became True; `None` when unknown.
    pub ready_since: Option<SimTime>,
    /// Most restarts of a container.
    pub restart_count: u32,
    /// Most restarts of a sidecar.
    pub sidecar_restart_count: u32,
    /// `metadata.creationTimestamp`; `None` when unknown.
    pub created_at: Option<SimTime>,
    /// Place among the UIDs in their order as text.
    pub uid: u64,
}

/// What the annotation `controller.kubernetes.io/pod-deletion-cost` says: 0 where it is no number,
/// begins with a plus sign or with zeros before it (`pkg/apis/core/helper/helpers.go`,
/// GetDeletionCostFromPodAnnotations).
pub fn deletion_cost(text: &str) -> i32 {
    let is_valid =
        text == "0" || text.starts_with(['-', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    text.parse().ok().filter(|_| is_valid).unwrap_or(0)
}

/// How ages are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ages {
    /// By their power of two at a moment, then by UID: `LogarithmicScaleDown`, on since 1.22.
    ByPowerOfTwo(SimTime),
    /// To the nanosecond.
    Exact,
}

/// Orders two pods, the first victim first (`ActivePodsWithRanks.Less`).
fn compare(a: &Candidate, b: &Candidate, ages: Ages) -> Ordering {
    let by_time = |of: fn(&Candidate) -> Option<SimTime>| match ages {
        _ if of(a) == of(b) => Ordering::Equal,
        Ages::ByPowerOfTwo(now) => compare_ages(of(a), of(b), now).then_with(|| a.uid.cmp(&b.uid)),
        // Unknown times first, then the younger.
        Ages::Exact => match (of(a), of(b)) {
            (Some(a), Some(b)) => b.cmp(&a),
            (a, b) => a.cmp(&b),
        },
    };
    let by_readiness = || {
        if a.is_ready && b.is_ready { by_time(|it| it.ready_since) } else { Ordering::Equal }
    };
    let by_age = || by_time(|it| it.created_at);
    (a.has_node.cmp(&b.has_node))
        .then_with(|| a.phase.cmp(&b.phase))
        .then_with(|| a.is_ready.cmp(&b.is_ready))
        .then_with(|| a.deletion_cost.cmp(&b.deletion_cost))
        .then_with(|| b.related_on_node.cmp(&a.related_on_node))
        .then_with(by_readiness)
        .then_with(|| b.restart_count.cmp(&a.restart_count))
        .then_with(|| b.sidecar_restart_count.cmp(&a.sidecar_restart_count))
        .then_with(by_age)
}

/// Unknown times first, then younger before older, where ages count by their power of two
/// (`logarithmicRankDiff`).
fn compare_ages(a: Option<SimTime>, b: Option<SimTime>, now: SimTime) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) => age_class(a, now).cmp(&age_class(b, now)),
    }
}

/// `floor(log2(nanoseconds))`; `None`, the least, for no age at all.
fn age_class(since: SimTime, now: SimTime) -> Option<u32> {
    now.saturating_since(since).as_nanos().checked_ilog2()
}

/// Positions of the `count` victims among `candidates`, in order; all of them, unsorted, when
/// `count` reaches their number (`getPodsToDelete`).
pub fn victims(candidates: &[Candidate], count: usize, ages: Ages) -> Vec<usize> {
    if count >= candidates.len() {
        return (0..candidates.len()).collect();
    }
    let mut order = order(candidates, ages);
    order.truncate(count);
    order
}

/// Positions of all `candidates`, the first victim first.
pub fn order(candidates: &[Candidate], ages: Ages) -> Vec<usize> {
    // Upstream's order is no total one: pods of one age are equal, and others lie between them by
    // their UIDs. The sorting of the standard library may panic on that; insertion never does.
    let mut order: Vec<usize> = Vec::with_capacity(candidates.len());
    for idx in 0..candidates.len() {
        let is_before = |known: &usize| {
            compare(&candidates[*known], &candidates[idx], ages) != Ordering::Greater
        };
        order.insert(order.partition_point(is_before), idx);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_double() {
        assert_eq!(slow_start_batches(10).collect::<Vec<_>>(), [1, 2, 4, 3]);
        assert_eq!(slow_start_batches(0).count(), 0);
    }

    #[test]
    fn costs_are_plain_numbers() {
        for (text, cost) in
            [("10", 10), ("-5", -5), ("0", 0), ("+10", 0), ("008", 0), ("", 0), ("3000000000", 0)]
        {
            assert_eq!(deletion_cost(text), cost, "{text}");
        }
    }

    #[test]
    fn an_order_that_is_none_is_no_panic() {
        let pod = |idx: u64| Candidate {
            is_ready: true,
            ready_since: Some(SimTime::from_secs(idx % 3)),
            created_at: Some(SimTime::from_secs(idx % 3)),
            uid: idx.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            ..Candidate::default()
        };
        let pods: Vec<Candidate> = (0..200).map(pod).collect();
        let ages = Ages::ByPowerOfTwo(SimTime::from_secs(900));
        assert_eq!(order(&pods, ages).len(), 200);
        let mut victims = victims(&pods, 150, ages);
        victims.sort_unstable();
        victims.dedup();
        assert_eq!(victims.len(), 150);
    }

    /// Pods that have been ready for the same time are told apart by restarts, not by their UIDs.
    #[test]
    fn equal_times_decide_nothing() {
        let calm = Candidate {
            is_ready: true,
            ready_since: Some(SimTime::from_secs(5)),
            created_at: Some(SimTime::from_secs(1)),
            uid: 1,
            ..Candidate::default()
        };
        let restless = Candidate { restart_count: 3, uid: 2, ..calm };
        let now = Ages::ByPowerOfTwo(SimTime::from_secs(900));
        assert_eq!(compare(&calm, &restless, now), Ordering::Greater);
        assert_eq!(compare(&restless, &calm, now), Ordering::Less);
        let older = Candidate { ready_since: Some(SimTime::from_secs(1)), ..restless };
        assert_eq!(compare(&calm, &older, now), Ordering::Less, "ready for a shorter time");
    }

    #[test]
    fn restarts_of_sidecars_come_last() {
        let calm = Candidate { is_ready: true, uid: 1, ..Candidate::default() };
        let restless = Candidate { sidecar_restart_count: 3, uid: 2, ..calm };
        let now = Ages::ByPowerOfTwo(SimTime::from_secs(900));
        assert_eq!(compare(&restless, &calm, now), Ordering::Less);
        let broken = Candidate { restart_count: 1, uid: 3, ..calm };
        assert_eq!(compare(&broken, &restless, now), Ordering::Less, "its own count more");
    }

    #[test]
    fn exact_ages_tell_more_apart() {
        let at = |secs, uid| Candidate {
            is_ready: true,
            ready_since: Some(SimTime::from_secs(secs)),
            uid,
            ..Candidate::default()
        };
        let unknown = Candidate { ready_since: None, ..at(0, 3) };
        let pods = [at(100, 1), at(101, 2), unknown];
        assert_eq!(order(&pods, Ages::ByPowerOfTwo(SimTime::from_secs(900))), [2, 0, 1]);
        assert_eq!(order(&pods, Ages::Exact), [2, 1, 0]);
    }

    #[test]
    fn the_unready_and_the_crowded_go_first() {
        let ready = Candidate {
            has_node: true,
            phase: VictimPhase::Running,
            is_ready: true,
            related_on_node: 1,
            ..Candidate::default()
        };
        let crowded = Candidate { related_on_node: 2, ..ready };
        let unready = Candidate { is_ready: false, ..ready };
        let pods = [ready, crowded, unready];
        assert_eq!(victims(&pods, 2, Ages::Exact), [2, 1]);
        assert_eq!(victims(&pods, 3, Ages::Exact), [0, 1, 2]);
    }
}
