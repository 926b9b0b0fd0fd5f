//! What a member of a Patroni cluster decides: pure functions.
//!
//! Source: `patroni/ha.py`, 3.0.2.

use crate::names::Names;

/// Who holds the leader key, as a member knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// The store does not answer.
    Unreachable,
    /// There is no leader key.
    Free,
    /// This member.
    Mine,
    /// Another one.
    Others,
}

/// What PostgreSQL of a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Postgres {
    /// It does not run.
    Down,
    /// It follows, or waits for somebody to follow.
    Standby,
    /// It takes writes.
    Primary,
}

/// What a member does beside its loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// PostgreSQL recovers, rewinds or starts.
    Start,
    /// Its data directory was empty, and it copies the primary.
    Clone,
    /// It is to be promoted, and `pg_ctl promote` was not called yet.
    Promote,
    /// It was told to promote itself.
    Promoting,
    /// The primary is to be handed over.
    Demote,
    /// It is shut down, and the key is to be given away.
    Release,
}

/// What a member knows when a turn of its loop begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The leader key.
    pub lock: Lock,
    /// Its PostgreSQL.
    pub postgres: Postgres,
    /// What goes on beside the loop.
    pub action: Option<Action>,
}

/// What a member does in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it is told nothing, or waits for something that goes on.
    Wait,
    /// Asks the store again, and gives up its primary when `retry_timeout` is over.
    Retry,
    /// Renews the key while something else goes on.
    Renew,
    /// Renews the key, sees to synchronous standbys and to a wish to hand over.
    Lead,
    /// Renews the key and promotes its standby: it had the key before.
    Promote,
    /// Starts PostgreSQL; renews the key first if it has it.
    Restart,
    /// Joins the race for the key.
    Race,
    /// Takes the key at once: it is primary and nobody has the key.
    Retake,
    /// Follows whoever has the key.
    Follow,
    /// Stops its primary at once (`demote('immediate-nolock')`).
    Halt,
    /// Does not promote after all: it lost the key.
    Cancel,
}

/// The step of a turn: `_run_cycle` with `handle_long_action_in_progress`, `recover`,
/// `process_unhealthy_cluster` and `process_healthy_cluster`.
pub fn next_step(turn: Turn) -> Step {
    match turn {
        Turn { lock: Lock::Unreachable, postgres: Postgres::Primary, .. } => Step::Retry,
        Turn { lock: Lock::Unreachable, .. } => Step::Wait,
        Turn { lock: Lock::Mine, action: Some(_), .. } => Step::Renew,
        Turn { action: Some(Action::Promote), .. } => Step::Cancel,
        Turn { action: Some(_), postgres: Postgres::Primary, lock: Lock::Others } => Step::Halt,
        Turn { action: Some(_), .. } => Step::Wait,
        Turn { postgres: Postgres::Down, .. } => Step::Restart,
        Turn { lock: Lock::Mine, postgres: Postgres::Primary, .. } => Step::Lead,
        Turn { lock: Lock::Mine, .. } => Step::Promote,
        Turn { lock: Lock::Free, postgres: Postgres::Primary, .. } => Step::Retake,
        Turn { lock: Lock::Free, .. } => Step::Race,
        Turn { postgres: Postgres::Primary, .. } => Step::Halt,
        Turn { .. } => Step::Follow,
    }
}

/// The `/sync` key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyncKey {
    pub(crate) leader: u8,
    pub(crate) standbys: Names,
}

impl SyncKey {
    /// `SyncState.matches`.
    pub(crate) fn names(self) -> Names {
        self.standbys.with(self.leader)
    }
}

/// Whom a member that joins a race compares itself with, itself included: everybody, but in
/// synchronous mode the last primary and its synchronous standbys. `None`: it must not race.
pub(crate) fn rivals(is_synchronous: bool, key: Option<SyncKey>, me: u8) -> Option<Names> {
    match key {
        Some(key) if is_synchronous => key.names().has(me).then(|| key.names()),
        _ => Some(Names::ALL),
    }
}

/// What a member that answers says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// It takes writes.
    pub is_primary: bool,
    /// How far it is; larger is more.
    pub position: u64,
    /// It is the leader of the `/sync` key.
    pub is_former_leader: bool,
}

/// Whether a member may take the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// It may.
    Fit,
    /// It is further behind the last known position than `maximum_lag_on_failover`.
    Lagging,
    /// A primary still answers.
    PrimaryAlive,
    /// Another one has more.
    Behind,
}

/// Whether a member is the healthiest: `_is_healthiest_node` without the check of timelines, which
/// is off by default. `lag` is what it is behind the position the leader last wrote to the store,
/// `None` in a manual failover, where it does not count.
pub fn fitness(
    position: u64,
    lag: Option<u64>,
    lag_max: u64,
    is_synchronous: bool,
    peers: &[Peer],
) -> Fitness {
    if lag.is_some_and(|lag| lag > lag_max) {
        return Fitness::Lagging;
    }
    for peer in peers {
        if peer.is_primary {
            return Fitness::PrimaryAlive;
        }
        let is_excused = is_synchronous && peer.is_former_leader;
        if peer.position > position && !is_excused {
            return Fitness::Behind;
        }
    }
    Fitness::Fit
}

/// The synchronous standbys that a leader picks: present ones stay, others follow by what they
/// have (`SyncHandler.current_state` of `patroni/postgresql/sync.py`, without
/// `maximum_lag_on_syncnode`, which is off by default).
///
/// `seen` are members that stream and whose key is in the store, with their positions.
pub(crate) fn picked(current: Names, seen: &[(u8, u64)], count: u32) -> Names {
    let mut order: Vec<_> = seen.to_vec();
    order.sort_by_key(|&(ordinal, position)| {
        (!current.has(ordinal), std::cmp::Reverse(position), ordinal)
    });
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    order.into_iter().take(count).map(|(ordinal, _)| ordinal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_has_its_step() {
        use Lock::{Free, Mine, Others, Unreachable};
        use Postgres::{Down, Primary, Standby};
        let cases = [
            (Unreachable, Primary, None, Step::Retry),
            (Unreachable, Standby, None, Step::Wait),
            (Unreachable, Down, None, Step::Wait),
            (Mine, Primary, None, Step::Lead),
            (Mine, Standby, None, Step::Promote),
            (Mine, Down, None, Step::Restart),
            (Mine, Standby, Some(Action::Promoting), Step::Renew),
            (Mine, Primary, Some(Action::Demote), Step::Renew),
            (Free, Standby, None, Step::Race),
            (Free, Primary, None, Step::Retake),
            (Free, Down, None, Step::Restart),
            (Free, Standby, Some(Action::Demote), Step::Wait),
            (Others, Standby, None, Step::Follow),
            (Others, Primary, None, Step::Halt),
            (Others, Down, None, Step::Restart),
            (Others, Standby, Some(Action::Promote), Step::Cancel),
            (Free, Standby, Some(Action::Promote), Step::Cancel),
            (Others, Primary, Some(Action::Promoting), Step::Halt),
            (Others, Down, Some(Action::Start), Step::Wait),
        ];
        for (lock, postgres, action, expected) in cases {
            let turn = Turn { lock, postgres, action };
            assert_eq!(next_step(turn), expected, "{turn:?}");
        }
    }

    #[test]
    fn the_healthiest_takes_the_key() {
        let peer = |position| Peer { is_primary: false, position, is_former_leader: false };
        let alive = Peer { is_primary: true, position: 0, is_former_leader: true };
        let former = Peer { is_primary: false, position: 9, is_former_leader: true };
        let cases: &[(Option<u64>, bool, &[Peer], Fitness)] = &[
            (Some(0), false, &[], Fitness::Fit),
            (Some(10), false, &[peer(5), peer(4)], Fitness::Fit),
            (Some(11), false, &[], Fitness::Lagging),
            (None, false, &[peer(5)], Fitness::Fit),
            (Some(0), false, &[peer(6)], Fitness::Behind),
            (Some(0), false, &[alive], Fitness::PrimaryAlive),
            (Some(0), false, &[former], Fitness::Behind),
            (Some(0), true, &[former], Fitness::Fit),
        ];
        for &(lag, is_synchronous, peers, expected) in cases {
            assert_eq!(fitness(5, lag, 10, is_synchronous, peers), expected, "{peers:?}");
        }
    }

    #[test]
    fn only_synchronous_standbys_race_in_synchronous_mode() {
        let key = |standbys: &[u8]| {
            Some(SyncKey { leader: 0, standbys: standbys.iter().copied().collect() })
        };
        let may = |is_synchronous, key, me| rivals(is_synchronous, key, me).is_some();
        assert!(may(true, key(&[1]), 1) && may(true, key(&[1]), 0));
        assert!(!may(true, key(&[1]), 2) && !may(true, key(&[]), 1));
        assert!(may(false, key(&[1]), 2) && may(true, None, 2));
    }

    #[test]
    fn present_synchronous_standbys_stay() {
        let names = |ordinals: &[u8]| ordinals.iter().copied().collect::<Names>();
        // Current ones, those seen with their positions, how many are wanted; who is picked.
        type Row<'a> = (&'a [u8], &'a [(u8, u64)], u32, &'a [u8]);
        let cases: &[Row<'_>] = &[
            (&[2], &[(1, 9), (2, 5)], 1, &[2]),
            (&[2], &[(1, 9)], 1, &[1]),
            (&[], &[(1, 5), (2, 9)], 1, &[2]),
            (&[], &[(1, 5), (2, 5)], 1, &[1]),
            (&[2], &[(1, 9), (2, 5), (3, 1)], 2, &[1, 2]),
            (&[2], &[], 1, &[]),
        ];
        for &(current, seen, count, expected) in cases {
            assert_eq!(picked(names(current), seen, count), names(expected), "{seen:?}");
        }
    }
}
