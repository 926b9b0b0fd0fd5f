//! Quorum of etcd, and how long an election takes.
//!
//! # Modelled
//! Majorities; elections tick by tick, with and without pre-vote: candidacies that followers ignore
//! because they heard the dead leader too lately, and split votes.
//! What slow disks do: a commit waits for the leader's own and for as many followers as make a majority,
//! and a member whose disk is slower than the election time-out can neither lead nor vote.
//! # Not modelled
//! Size limits, defragmentation, learners, logs of different length.
//! # Defaults and their sources
//! etcd 3.6 `server/embed/config.go` (heartbeat 100 ms, election time-out 1000 ms, pre-vote on; off
//! before 3.5), check-quorum always on (`server/etcdserver/bootstrap.go`); etcd-io/raft 3.6
//! `raft.go`: the time-out is drawn from 10 to 19 ticks whenever a term begins.
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

/// Whether a member whose disk takes so long to flush still leads and votes. Who flushes neither sends
/// heartbeats nor answers them (`server/etcdserver/raft.go`, one loop for both), so that followers leave
/// such a leader, and a leader that checks its quorum counts such a follower as away.
///
/// Simplified: one that flushes more slowly than the election time-out takes no part at all, although it
/// answers between two flushes.
pub fn keeps_up(flush: SimSpan, election_timeout: SimSpan) -> bool {
    flush < election_timeout
}

/// How long a commit waits for disks: for the leader's, as its loop takes the next entries only then,
/// and for the quickest followers of `member_count` members that make a majority with it. `None` when
/// these are too few.
pub fn commit_wait(
    leader: SimSpan,
    followers: impl IntoIterator<Item = SimSpan>,
    member_count: usize,
) -> Option<SimSpan> {
    let mut followers: Vec<SimSpan> = followers.into_iter().collect();
    followers.sort_unstable();
    match majority(member_count) - 1 {
        0 => Some(leader),
        needed => followers.get(needed - 1).map(|slowest| leader.max(*slowest)),
    }
}

/// Two rounds of messages and a flush.
///
/// Simplified: 10 ms; in a healthy region it is 2 to 20 ms.
const VOTE_ROUNDS: SimSpan = SimSpan::from_millis(10);

/// From a candidate's request to a follower that has it, within a region.
///
/// Simplified: 5 ms, flush included; in a healthy region it is 1 to 10 ms.
const REQUEST: SimSpan = SimSpan::from_millis(5);
/// Elections end long before: each round draws anew.
const ROUNDS_MAX: u32 = 1000;

/// Clockwork of Raft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftConfig {
    /// One tick: the heartbeat interval.
    pub tick: SimSpan,
    /// Ticks of the election time-out.
    pub election_ticks: u64,
    /// A member asks whether it could win before it begins a term (`--pre-vote`).
    pub has_pre_vote: bool,
}

impl Default for RaftConfig {
    fn default() -> Self {
        Self { tick: SimSpan::from_millis(100), election_ticks: 10, has_pre_vote: true }
    }
}

/// A follower at the moment the leader is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voter {
    /// How long ago it heard the last heartbeat.
    pub heard_before: SimSpan,
    /// From that heartbeat to its first tick, at most one tick.
    pub next_tick: SimSpan,
    /// It followed the leader that was lost; otherwise it has had none for long.
    pub has_leader: bool,
}

/// How an election went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elected {
    /// From the loss of the leader to the new one.
    pub after: SimSpan,
    /// Terms that were begun.
    pub term_count: u32,
    /// Position of the new leader among the voters.
    pub voter: usize,
}

/// A voter during an election. Times count from the last heartbeat of the dead leader.
#[derive(Clone, Copy, Debug)]
struct Elector {
    /// When it heard of a leader or began to wait anew; its ticks count from there.
    waits_from: SimSpan,
    next_tick: SimSpan,
    timeout_ticks: u64,
    /// It still takes the dead leader for its leader.
    has_leader: bool,
    /// Terms since the dead leader's.
    term: u32,
    /// It voted in its term, or stands itself.
    has_voted: bool,
    draw_count: u64,
}

impl Elector {
    /// Its `count`-th tick after it began to wait.
    fn tick(&self, count: u64, config: &RaftConfig) -> SimSpan {
        let behind = self.waits_from.saturating_sub(self.next_tick);
        let skipped = if self.waits_from < self.next_tick {
            0
        } else {
            behind.as_nanos() / config.tick.as_nanos() + 1
        };
        self.next_tick + config.tick * (skipped + count - 1)
    }

    /// When it stands for election.
    fn times_out_at(&self, config: &RaftConfig) -> SimSpan {
        self.tick(self.timeout_ticks, config)
    }

    /// Whether it ignores candidates because it heard of a leader within the election time-out
    /// (`inLease` of `Step`).
    fn is_in_lease(&self, at: SimSpan, config: &RaftConfig) -> bool {
        self.has_leader && at < self.tick(config.election_ticks, config)
    }
}

/// Plays an election among the voters that are left of `member_count` members, which must be a
/// quorum. `draw` gives the draw of a voter's `n`-th time-out.
///
/// # Panics
/// When the voters are no quorum.
pub fn elect(
    config: &RaftConfig,
    voters: &[Voter],
    member_count: usize,
    draw: impl Fn(usize, u64) -> Draw,
) -> Elected {
    assert!(has_quorum(voters.len(), member_count), "only a quorum elects");
    let timeout = |voter: usize, nth: u64| {
        draw(voter, nth).range_inclusive(config.election_ticks, 2 * config.election_ticks - 1)
    };
    let lost_at = voters.iter().map(|voter| voter.heard_before).max().unwrap_or(SimSpan::ZERO);
    let mut electors: Vec<Elector> = voters
        .iter()
        .enumerate()
        .map(|(idx, voter)| {
            let waits_from = lost_at - voter.heard_before;
            let (next_tick, timeout_ticks) = (waits_from + voter.next_tick, timeout(idx, 0));
            Elector {
                waits_from,
                next_tick,
                timeout_ticks,
                has_leader: voter.has_leader,
                term: 0,
                has_voted: false,
                draw_count: 1,
            }
        })
        .collect();
    for _ in 0..ROUNDS_MAX {
        let due = (0..electors.len()).min_by_key(|idx| electors[*idx].times_out_at(config));
        let voter = due.expect("a quorum has members");
        let at = electors[voter].times_out_at(config);
        if stand(voter, at, config, &mut electors, member_count, &timeout) {
            let after = (at + VOTE_ROUNDS).saturating_sub(lost_at);
            return Elected { after, term_count: electors[voter].term, voter };
        }
    }
    unreachable!("{ROUNDS_MAX} elections in a row failed")
}

/// One candidacy; whether it succeeds.
fn stand(
    voter: usize,
    at: SimSpan,
    config: &RaftConfig,
    electors: &mut [Elector],
    member_count: usize,
    timeout: &impl Fn(usize, u64) -> u64,
) -> bool {
    // One that stands itself before the request arrives does not grant it.
    let listens = |other: &Elector| {
        !other.is_in_lease(at + REQUEST, config) && other.times_out_at(config) > at + REQUEST
    };
    let others = || (0..electors.len()).filter(|idx| *idx != voter);
    if config.has_pre_vote {
        let granted = others().filter(|idx| listens(&electors[*idx])).count();
        if !has_quorum(granted + 1, member_count) {
            // A failed pre-candidate waits as long again, and follows nobody.
            electors[voter].waits_from = at;
            electors[voter].has_leader = false;
            return false;
        }
    }
    let term = electors[voter].term + 1;
    let granting: Vec<usize> = others()
        .filter(|idx| {
            let other = &electors[*idx];
            let is_free = other.term < term || (other.term == term && !other.has_voted);
            is_free && listens(other)
        })
        .collect();
    let is_elected = has_quorum(granting.len() + 1, member_count);
    for idx in granting.into_iter().chain([voter]) {
        let elector = &mut electors[idx];
        elector.term = term;
        elector.has_voted = true;
        elector.has_leader = false;
        elector.waits_from = at;
        elector.timeout_ticks = timeout(idx, elector.draw_count);
        elector.draw_count += 1;
    }
    is_elected
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_kernel::{EntityKey, Purpose, Streams};

    const TICK: SimSpan = SimSpan::from_millis(100);

    /// Many elections of three members, of which one was lost.
    fn elections(has_pre_vote: bool) -> Vec<Elected> {
        let config = RaftConfig { has_pre_vote, ..RaftConfig::default() };
        let streams = Streams::new(1, 0);
        let elect = |nth: u64| {
            let key = EntityKey::of("election").part(nth);
            let span = |name, member| {
                streams.draw(key, Purpose::new(name), member).span_between(SimSpan::ZERO, TICK)
            };
            let heard_before = span("heard", 0);
            let voters = [1, 2].map(|it| {
                let next_tick = span("tick", it);
                Voter { heard_before, next_tick, has_leader: true }
            });
            elect(&config, &voters, 3, |voter, occurrence| {
                streams.draw(key.part(voter as u64), Purpose::new("timeout"), occurrence)
            })
        };
        (0..2000).map(elect).collect()
    }

    #[test]
    fn elections_take_the_first_time_out_and_sometimes_another() {
        for has_pre_vote in [false, true] {
            let elections = elections(has_pre_vote);
            let millis = |it: &Elected| it.after.as_millis();
            let least = elections.iter().map(millis).min().expect("there are some");
            assert!((800..1000).contains(&least), "{least}");
            let again = elections.iter().filter(|it| it.term_count > 1).count();
            // A lost candidacy costs a term only where nobody asks before.
            let expected = if has_pre_vote { 0..40 } else { 60..300 };
            assert!(expected.contains(&again), "{again} of 2000, pre-vote {has_pre_vote}");
            let late = elections.iter().filter(|it| millis(it) > 1910).count();
            assert!(has_pre_vote == (late < 30), "{late} of 2000, pre-vote {has_pre_vote}");
        }
    }

    #[test]
    fn a_slow_disk_counts_where_it_leads_or_is_needed() {
        let ms = SimSpan::from_millis;
        let wait = |leader, followers: &[u64], count| {
            commit_wait(ms(leader), followers.iter().map(|it| ms(*it)), count)
        };
        let cases: [(u64, &[u64], usize, Option<u64>); 7] = [
            (0, &[0, 500], 3, Some(0)),
            (500, &[0, 0], 3, Some(500)),
            // One is away: the slow one is needed.
            (0, &[500], 3, Some(500)),
            (0, &[0, 0, 500, 700], 5, Some(0)),
            (0, &[0, 500, 700], 5, Some(500)),
            (0, &[0], 5, None),
            (300, &[], 1, Some(300)),
        ];
        for (leader, followers, count, expected) in cases {
            assert_eq!(wait(leader, followers, count), expected.map(ms), "{followers:?}");
        }
        assert!(keeps_up(ms(999), ms(1000)) && !keeps_up(ms(1000), ms(1000)));
    }

    #[test]
    fn an_even_member_adds_no_tolerance() {
        let table: Vec<_> =
            (1..=7).map(|count| (majority(count), failure_tolerance(count))).collect();
        assert_eq!(table, [(1, 0), (2, 0), (2, 1), (3, 1), (3, 2), (4, 2), (4, 3)]);
        assert!(!has_quorum(0, 0));
    }
}
