//! Quorum of etcd, and how long an election takes.
//!
//! # Modelled
//! Majorities; the gap without writes after the leader is lost.
//! # Not modelled
//! Disk latency, size limits, defragmentation, learners, split votes.
//! # Defaults and their sources
//! etcd 3.6 `server/embed/config.go` (heartbeat 100 ms, election time-out 1000 ms, pre-vote on),
//! `raft`: the time-out is drawn anew from 10 to 19 ticks.
//! # Invariants
//! Two disjoint sets of members never both have a quorum.
//! # Checked against
//! `conformance/nodes-etcd.yaml`; recorded elections.

use sim_kernel::{Draw, SimSpan};

/// Members that must agree: `floor(n/2) + 1`.
pub const fn majority(member_count: usize) -> usize {
    member_count / 2 + 1
}

/// Members that may be lost.
pub const fn failure_tolerance(member_count: usize) -> usize {
    member_count.saturating_sub(majority(member_count))
}

/// Whether the living members can elect a leader and commit.
pub const fn has_quorum(living_count: usize, member_count: usize) -> bool {
    member_count > 0 && living_count >= majority(member_count)
}

/// Random part of the election time-out: up to nine ticks of a tenth of it each.
const EXTRA_TICKS: u64 = 9;

/// Two rounds of messages and a flush.
///
/// Simplified: 10 ms; in a healthy region it is 2 to 20 ms.
const VOTE_ROUNDS: SimSpan = SimSpan::from_millis(10);

/// When one follower, having heard the last heartbeat `heard_before` the leader was lost, calls an
/// election after the loss.
pub fn follower_timeout(election_timeout: SimSpan, heard_before: SimSpan, draw: Draw) -> SimSpan {
    let tick = election_timeout / 10;
    (election_timeout + tick * draw.range_inclusive(0, EXTRA_TICKS)).saturating_sub(heard_before)
}

/// From the loss of the leader to the first write: the first follower's time-out and the vote.
/// `None` when nobody is left to call one.
pub fn election_gap(timeouts: impl IntoIterator<Item = SimSpan>) -> Option<SimSpan> {
    timeouts.into_iter().min().map(|first| first + VOTE_ROUNDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_member_adds_no_tolerance() {
        let table: Vec<_> =
            (1..=7).map(|count| (majority(count), failure_tolerance(count))).collect();
        assert_eq!(table, [(1, 0), (2, 0), (2, 1), (3, 1), (3, 2), (4, 2), (4, 3)]);
        assert!(!has_quorum(0, 0));
    }
}
