//! Patroni beside each instance: who may lead is decided by a key in a store.
//!
//! The state of all members and of the store, and what leads to a turn of a member's loop. A
//! member's turns come every `loop_wait`; while nothing changes they change nothing, so they are
//! not events then: the moment of the last renewal is computed from the phase of the loop.
//!
//! # Modelled
//! The loop of every member with its phase, turns that a change of the key brings forward, the
//! lease of each member (etcd: checked every 0.5 s, given its full length anew by a new leader of
//! etcd; API server: judged by the members at their turns), the race for the key with its requests
//! to the other members and their time-outs, maximum lag, the `/sync` key in both modes, promotion
//! beside the loop, restart of a crashed primary by itself, demotion when the key or the store is
//! lost, failsafe mode, switchover, a frozen member and what it does when it thaws.
//!
//! # Not modelled
//! Pause, watchdog, callbacks and scripts, tags, standby clusters, Citus, slots, the comparison of
//! timelines (`check_timeline`, off by default), `maximum_lag_on_syncnode` (off by default),
//! `primary_stop_timeout`, members whose data diverged and that are cloned anew.
//!
//! # Defaults and their sources
//! Patroni 3.0.2: `patroni/ha.py`, `patroni/__main__.py` (`schedule_next_run`),
//! `patroni/dcs/etcd3.py`, `patroni/dcs/kubernetes.py`, `patroni/postgresql/{__init__,sync}.py`.
//! etcd 3.4: `lease/lessor.go` (`Promote`, `revokeExpiredLeases`).
//!
//! # Invariants
//! At most one member holds the key. A member that does not hold it does not promote itself. A
//! quiet cluster has no events.
//!
//! # Checked against
//! Recorded failovers of a real cluster (`sim-conformance`), PG-14 to PG-16 (`tests/it`).

mod action;
mod cycle;
pub(crate) mod decision;
mod race;
mod store;
mod synchronous;

use model_api::blueprint::Patroni as Settings;
use sim_kernel::{SimSpan, SimTime, Timer};

use crate::position::Mark;
use decision::{Action, SyncKey};

/// How long a member waits for the answer of another one (`fetch_node_status`).
const ANSWER_TIMEOUT: SimSpan = SimSpan::from_secs(2);

/// Which processes of a member are stopped.
///
/// Simplified: Patroni beside a stopped PostgreSQL counts as stopped, because the next query of its
/// loop and of its REST API waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Freeze {
    /// Patroni, PostgreSQL, and etcd beside them.
    #[default]
    Everything,
    /// Patroni and PostgreSQL; etcd goes on.
    PatroniAndPostgres,
    /// Patroni alone: its PostgreSQL goes on as it was.
    Patroni,
}

/// What the main thread of a member is in the middle of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It waits for its next turn.
    #[default]
    Idle,
    /// Asks the store again and again.
    Retrying,
    /// Asks the other members how far they are.
    Asking,
    /// Asks the store for the key.
    Taking,
    /// Has the key and prepares its promotion.
    Preparing,
    /// Gives others time to take the key in a manual failover.
    Yielding,
    /// Asks whether somebody can take over.
    Offering,
    /// Waits for a new synchronous standby to be one.
    Listing,
    /// Stops its primary at once.
    Halting,
}

/// Patroni beside one instance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Member {
    /// Patroni runs.
    pub(crate) is_alive: bool,
    /// Its address answers, if only with a refusal.
    pub(crate) answers: bool,
    /// Its member of etcd runs.
    pub(crate) has_store: bool,
    /// Its Patroni is stopped and will go on.
    pub(crate) is_frozen: bool,
    /// What else is stopped with it.
    pub(crate) freeze: Freeze,
    /// It thawed and still believes that it holds the key.
    pub(crate) is_deluded: bool,
    /// Its lease lives.
    pub(crate) has_lease: bool,
    pub(crate) renewed_at: SimTime,
    pub(crate) lease: Timer,
    /// When its next regular turn is.
    pub(crate) next_turn: SimTime,
    pub(crate) turn: Timer,
    /// Turns in a row without any change.
    pub(crate) quiet_turns: u8,
    pub(crate) stage: Stage,
    pub(crate) step: Timer,
    /// Something changed while it was busy: its next turn comes at once.
    pub(crate) is_woken: bool,
    pub(crate) action: Option<Action>,
    pub(crate) action_timer: Timer,
    /// Its data were not shut down cleanly.
    pub(crate) needs_recovery: bool,
    /// Numbers its draws.
    pub(crate) draw_count: u32,
}

impl Member {
    /// Its member of etcd answers.
    pub(crate) fn has_live_store(&self) -> bool {
        self.has_store && !(self.is_frozen && self.freeze == Freeze::Everything)
    }
}

/// A wish to hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handover {
    pub(crate) leader: u8,
    pub(crate) candidate: Option<u8>,
}

/// All members of a cluster, and the store.
#[derive(Clone, Debug)]
pub(crate) struct Patroni {
    pub(crate) settings: Settings,
    pub(crate) members: Vec<Member>,
    /// The leader key.
    pub(crate) holder: Option<u8>,
    /// What the leader last wrote of its position.
    pub(crate) status: Mark,
    /// The `/sync` key.
    pub(crate) sync: Option<SyncKey>,
    /// The `/failover` key.
    pub(crate) handover: Option<Handover>,
    /// The member of etcd that leads; drawn when the run begins unless it was placed.
    pub(crate) store_leader: u8,
    pub(crate) is_store_leader_placed: bool,
    pub(crate) election: Timer,
    pub(crate) election_count: u32,
}

impl Patroni {
    pub(crate) fn new(settings: Settings, instance_count: usize) -> Self {
        Self {
            settings,
            members: vec![Member::default(); instance_count],
            holder: None,
            status: Mark::default(),
            sync: None,
            handover: None,
            store_leader: 0,
            is_store_leader_placed: false,
            election: Timer::NONE,
            election_count: 0,
        }
    }

    pub(crate) fn at(&self, ordinal: u8) -> &Member {
        &self.members[usize::from(ordinal)]
    }

    pub(crate) fn at_mut(&mut self, ordinal: u8) -> &mut Member {
        &mut self.members[usize::from(ordinal)]
    }
}
