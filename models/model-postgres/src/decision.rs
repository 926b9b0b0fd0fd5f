//! What the operator and the primary decide: pure functions.

use model_api::blueprint::Synchronous;

/// An instance as the operator sees it when the primary failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its number in the cluster.
    pub ordinal: u8,
    /// Its instance manager answers the operator.
    pub is_reporting: bool,
    /// Its pod is Ready.
    pub is_ready: bool,
    /// How far it has received; larger is more.
    pub received: u64,
}

/// The instance to promote: of those that report the one that received most, of equals the first by
/// name; nobody while that one is not ready, whoever else is.
///
/// Source: `PostgresqlStatusList.Less` of `pkg/postgres/status.go`. There an instance that does not
/// report sorts last, and is never chosen because it has no status. For the first of the list the operator
/// waits ("Waiting for the Kubelet to refresh the readiness probe" in
/// `internal/controller/cluster_controller.go`).
pub fn failover_candidate(candidates: &[Candidate]) -> Option<u8> {
    let reporting = candidates.iter().filter(|one| one.is_reporting);
    let first = reporting.max_by_key(|one| (one.received, std::cmp::Reverse(one.ordinal)));
    first.filter(|one| one.is_ready).map(|one| one.ordinal)
}

/// What the operator knows of synchronous replication when the primary failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumView {
    /// R: instances of the list that report and are ready.
    pub promotable_count: u32,
    /// W: standbys that had to confirm a commit.
    pub confirming_count: u32,
    /// N: standbys in `synchronous_standby_names`.
    pub listed_count: u32,
}

/// Whether some promotable instance is sure to have every commit: R + W > N.
///
/// Source: `evaluateQuorumCheckWithStatus` of `internal/controller/replicas_quorum.go`; with no
/// number or no names it refuses. It is asked once, when a failover begins: a target that dies
/// before it is promoted is replaced without asking again, and commits can be lost that way.
pub fn may_promote(view: QuorumView) -> bool {
    view.confirming_count > 0
        && view.listed_count > 0
        && view.promotable_count + view.confirming_count > view.listed_count
}

/// Whether commits wait: fewer standbys stream than must confirm.
///
/// `applied_number` is the number in `synchronous_standby_names` as the primary has it: with
/// `dataDurability: preferred` the operator has lowered it to the standbys it saw ready.
pub fn commits_stall(applied_number: u32, streaming_count: u32) -> bool {
    streaming_count < applied_number
}

/// The number that `synchronous_standby_names` should have, with so many ready standbys.
///
/// Source: `pkg/postgres/replication/explicit.go`; no ready standby makes the list empty, which
/// switches synchronous replication off.
pub(crate) fn wanted_number(synchronous: Option<Synchronous>, ready_count: u32) -> u32 {
    match synchronous {
        None => 0,
        Some(wish) if wish.is_required => wish.number,
        Some(wish) => wish.number.min(ready_count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_advanced_standby_is_promoted_once_it_is_ready() {
        // Reporting, ready, received, of each instance; whom the operator takes.
        type Instances<'a> = &'a [(bool, bool, u64)];
        let cases: &[(Instances<'_>, Option<u8>)] = &[
            (&[], None),
            (&[(true, true, 5), (true, true, 7), (true, true, 6)], Some(1)),
            (&[(true, true, 7), (true, true, 7)], Some(0)),
            (&[(true, false, 9), (true, true, 7)], None),
            (&[(true, true, 9), (true, false, 7)], Some(0)),
            (&[(true, false, 7), (true, true, 7)], None),
            (&[(false, true, 9), (true, true, 1)], Some(1)),
            (&[(false, true, 9), (true, false, 9)], None),
        ];
        for (instances, expected) in cases {
            let candidates: Vec<_> = (0_u8..)
                .zip(*instances)
                .map(|(ordinal, &(is_reporting, is_ready, received))| Candidate {
                    ordinal,
                    is_reporting,
                    is_ready,
                    received,
                })
                .collect();
            assert_eq!(failover_candidate(&candidates), *expected, "{candidates:?}");
        }
    }

    #[test]
    fn quorum_is_as_the_manual_counts_it() {
        // R, W, N. Three instances with number 1 need both standbys; five with 2 need three.
        let cases = [
            (2, 1, 2, true),
            (1, 1, 2, false),
            (3, 2, 4, true),
            (2, 2, 4, false),
            (1, 2, 2, true),
            (0, 2, 2, false),
            (2, 0, 2, false),
            (3, 3, 0, false),
        ];
        for (promotable_count, confirming_count, listed_count, expected) in cases {
            let view = QuorumView { promotable_count, confirming_count, listed_count };
            assert_eq!(may_promote(view), expected, "{view:?}");
        }
    }

    #[test]
    fn durability_decides_whether_commits_wait() {
        let wish = |number, is_required| {
            Some(Synchronous { number, is_any: true, is_required, failover_quorum: false })
        };
        // Wish, ready standbys, streaming standbys; number applied, whether commits stall.
        let cases = [
            (None, 0, 0, 0, false),
            (wish(1, true), 2, 1, 1, false),
            (wish(1, true), 0, 0, 1, true),
            (wish(2, true), 1, 1, 2, true),
            (wish(2, false), 1, 1, 1, false),
            (wish(1, false), 0, 0, 0, false),
            (wish(1, false), 1, 0, 1, true),
        ];
        for (synchronous, ready, streaming, number, stalls) in cases {
            assert_eq!(wanted_number(synchronous, ready), number);
            assert_eq!(commits_stall(number, streaming), stalls);
        }
    }
}
