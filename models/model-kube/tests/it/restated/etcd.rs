//! etcd: majorities, commits and elections (etcd-io/raft 3.6 `raft.go`).

use model_api::SimSpan;
use model_kube::etcd::{
    RaftConfig, Voter, commit_wait, elect, failure_tolerance, has_quorum, majority,
};
use proptest::collection::vec;
use proptest::prelude::*;
use sim_kernel::{EntityKey, Purpose, Streams};

const TIMEOUT: Purpose = Purpose::new("restated time-out");

/// A follower, in microseconds and ticks.
struct Follower {
    next_tick: u64,
    /// Ticks since it heard of a leader or stood last (`electionElapsed`).
    elapsed: u64,
    timeout: u64,
    has_leader: bool,
    term: u32,
    has_voted: bool,
    draws: u64,
}

/// From a candidate's request to a follower that has it, and from its candidacy to its lead.
const REQUEST: u64 = 5_000;
const ROUNDS: u64 = 10_000;
const TICK: u64 = 100_000;

impl Follower {
    /// Whether it will not listen when a request arrives: it still takes somebody for its leader, or
    /// stands itself by then.
    fn refuses(&self, arrives: u64) -> bool {
        let mut elapsed = self.elapsed;
        let mut tick = self.next_tick;
        while tick <= arrives {
            elapsed += 1;
            tick += TICK;
        }
        (self.has_leader && elapsed < 10) || elapsed >= self.timeout
    }
}

/// Raft tick by tick; microseconds after the loss, terms, and who leads.
fn restated(
    voters: &[(u64, u64, bool)],
    member_count: usize,
    has_pre_vote: bool,
    draw: impl Fn(usize, u64) -> u64,
) -> (u64, u32, usize) {
    let lost_at = voters.iter().map(|it| it.0).max().unwrap_or(0);
    let mut all = Vec::new();
    for (idx, (heard_before, next_tick, has_leader)) in voters.iter().enumerate() {
        all.push(Follower {
            next_tick: lost_at - heard_before + next_tick,
            elapsed: 0,
            timeout: draw(idx, 0),
            has_leader: *has_leader,
            term: 0,
            has_voted: false,
            draws: 1,
        });
    }
    loop {
        let turn = (0..all.len()).min_by_key(|idx| all[*idx].next_tick).expect("some are left");
        let now = all[turn].next_tick;
        all[turn].next_tick += TICK;
        all[turn].elapsed += 1;
        if all[turn].elapsed < all[turn].timeout {
            continue;
        }
        let mut listening = Vec::new();
        for idx in (0..all.len()).filter(|idx| *idx != turn) {
            if !all[idx].refuses(now + REQUEST) {
                listening.push(idx);
            }
        }
        let is_majority = |granted: usize| 2 * (granted + 1) > member_count;
        all[turn].elapsed = 0;
        all[turn].has_leader = false;
        if has_pre_vote && !is_majority(listening.len()) {
            continue;
        }
        let term = all[turn].term + 1;
        listening.retain(|idx| {
            all[*idx].term < term || (all[*idx].term == term && !all[*idx].has_voted)
        });
        let wins = is_majority(listening.len());
        for idx in listening.into_iter().chain([turn]) {
            let it = &mut all[idx];
            (it.term, it.has_voted, it.has_leader, it.elapsed) = (term, true, false, 0);
            it.timeout = draw(idx, it.draws);
            it.draws += 1;
        }
        if wins {
            return (now + ROUNDS - lost_at, term, turn);
        }
    }
}

proptest! {
    /// Of all ways to part the members in two, at most one part has a quorum; and as many as may be
    /// lost leave one.
    #[test]
    fn two_parts_never_both_have_a_quorum(count in 1..10_usize) {
        for part in 0..=count {
            prop_assert!(!(has_quorum(part, count) && has_quorum(count - part, count)));
            prop_assert_eq!(has_quorum(part, count), 2 * part > count);
        }
        prop_assert!(has_quorum(count - failure_tolerance(count), count));
        prop_assert!(!has_quorum(count - failure_tolerance(count) - 1, count));
        prop_assert_eq!(majority(count), count - failure_tolerance(count));
    }

    /// A commit is done when the leader and enough others have it on disk: of all sets that are a
    /// majority with the leader, the one whose slowest disk is quickest.
    #[test]
    fn a_commit_waits_for_the_quickest_majority(
        leader in 0..500_u64,
        followers in vec(0..500_u64, 0..6),
        away in 0..4_usize,
    ) {
        let member_count = followers.len() + 1 + away;
        let mut quickest = None;
        for set in 0..1_usize << followers.len() {
            let of_set = |idx: &usize| set >> idx & 1 == 1;
            let members: Vec<u64> =
                (0..followers.len()).filter(of_set).map(|idx| followers[idx]).collect();
            if 2 * (members.len() + 1) > member_count {
                let slowest = members.into_iter().fold(leader, u64::max);
                quickest = Some(quickest.map_or(slowest, |known: u64| known.min(slowest)));
            }
        }
        let ms = SimSpan::from_millis;
        let got = commit_wait(ms(leader), followers.iter().map(|it| ms(*it)), member_count);
        prop_assert_eq!(got, quickest.map(ms));
    }

    /// Elections, however late each follower heard of the leader that is lost and wherever its ticks
    /// are; without two ticks at the same moment, whose order nobody states.
    #[test]
    fn elections_tick_by_tick(
        voters in vec((0..100_000_u64, 0..100_000_u64, prop::bool::weighted(0.9)), 2..6),
        away in 0..5_usize,
        has_pre_vote: bool,
        seed: u64,
    ) {
        let count = voters.len();
        let voters: Vec<(u64, u64, bool)> = (0_u64..)
            .zip(voters)
            .map(|(idx, (heard, tick, led))| (heard / 10 * 10, tick / 10 * 10 + idx, led))
            .collect();
        let member_count = count + away.min(count - 1);
        let streams = Streams::new(seed, 0);
        let draw = |voter: usize, nth: u64| {
            streams.draw(EntityKey::of("voter").part(voter as u64), TIMEOUT, nth)
        };
        let config = RaftConfig { has_pre_vote, ..RaftConfig::default() };
        let given: Vec<Voter> = voters
            .iter()
            .map(|(heard_before, next_tick, has_leader)| Voter {
                heard_before: SimSpan::from_micros(*heard_before),
                next_tick: SimSpan::from_micros(*next_tick),
                has_leader: *has_leader,
            })
            .collect();
        let got = elect(&config, &given, member_count, draw);
        let ticks = |voter, nth| draw(voter, nth).range_inclusive(10, 19);
        let (after, terms, voter) = restated(&voters, member_count, has_pre_vote, ticks);
        prop_assert_eq!(got.after, SimSpan::from_micros(after));
        prop_assert_eq!((got.term_count, got.voter), (terms, voter));
    }
}
