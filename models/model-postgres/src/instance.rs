//! One PostgreSQL instance: its process, its role, its link to a primary.

use model_api::parameters::Range;
use model_api::{PodId, ZoneId};
use sim_kernel::{EventId, SimTime, Timer};

use crate::clone::Cloning;
use crate::names::Names;
use crate::position::{Mark, Writer};
use crate::update::Lack;
use crate::waiting::Waiting;

/// WAL that a standby can receive and write per second. **Assumption.**
pub const WAL_SHIPPING_BYTES_PER_SECOND: u64 = 100_000_000;
/// Log that a standby can fetch from the archive per second. **Assumption.**
pub const ARCHIVE_FETCH_BYTES_PER_SECOND: u64 = 80_000_000;
/// From a new primary to the streaming of a standby again, apart from what it has to catch up.
/// **Assumption**, from the 1 to 10 s that commits wait after a failover.
pub const REATTACH: Range = Range::millis(1_000, 10_000);
/// A standby that just started asks its primary at once; others wait for the rest of
/// `wal_retrieve_retry_interval`, 5 s (`WaitForWALToBecomeAvailable` of PostgreSQL's `xlogrecovery.c`, which
/// sleeps only after a source failed). **Assumption**, up to the length of a handshake on a loaded
/// machine.
pub(crate) const FIRST_ATTACH: Range = Range::millis(100, 2_000);
/// `pg_rewind` of an old primary. **Assumption.**
pub const REWIND: Range = Range::millis(2_000, 15_000);
/// Fast shutdown of a primary that still runs when another is to be promoted. **Assumption**;
/// the limit is `switchoverDelay`, 3600 s.
pub const FAST_SHUTDOWN: Range = Range::millis(500, 5_000);

/// What an instance is in its cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It takes writes, or did when it last ran.
    Primary,
    /// It follows.
    #[default]
    Standby,
}

/// What the process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Process {
    /// There is none.
    #[default]
    Down,
    /// The instance manager waits for the API server.
    Waiting,
    /// Shuts down, recovers or rewinds; `Instance::work` says when it is done.
    Working,
    /// It ends again and again, because there is no room for another segment of log.
    Full,
    /// PostgreSQL is kept off.
    Fenced,
    /// PostgreSQL answers.
    Running,
}

/// Where a standby gets its WAL from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Link {
    /// From nowhere.
    #[default]
    Broken,
    /// Connecting and catching up with that instance; `Instance::attach` says when it is done.
    Attaching(u8),
    /// Streams from that instance since then.
    Streaming(u8, SimTime),
    /// Its connection to that instance stands, but nothing comes: one of the two is held.
    Silent(u8),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Instance {
    pub(crate) pod: Option<PodId>,
    pub(crate) zone: ZoneId,
    /// The Ready condition as the API has it.
    pub(crate) is_ready: bool,
    pub(crate) process: Process,
    pub(crate) role: Role,
    /// It takes writes as far as it is concerned.
    pub(crate) is_open: bool,
    /// `synchronous_standby_names` as it has it: how many must confirm.
    pub(crate) applied_number: u32,
    /// Of whom.
    pub(crate) listed: Names,
    /// It is made to receive nothing, until the connection that it holds ends.
    pub(crate) is_held: bool,
    /// Nothing that a primary sends reaches it.
    pub(crate) is_starved: bool,
    /// Nothing comes over its connection since then, where its link is silent.
    pub(crate) silent_since: SimTime,
    /// All its processes stand still since then.
    pub(crate) paused_since: Option<SimTime>,
    /// It stood still, and its manager reads nothing until then.
    pub(crate) deaf_until: SimTime,
    /// Its manager waits for the API server.
    pub(crate) waiting: Option<Waiting>,
    /// It was told to end, and waits for the sessions that it has: nobody else gets one.
    pub(crate) is_closing: bool,
    /// Share of the clients that are connected to it wherever the Service leads, in parts per million: they
    /// wait for what stood still, or have sessions that a smart shutdown lets go on.
    pub(crate) old_sessions_ppm: u32,
    /// Its volume is new: it has nothing of the database.
    pub(crate) is_empty: bool,
    /// It copies another one.
    pub(crate) cloning: Option<Cloning>,
    /// Its volume neither reads nor writes.
    pub(crate) is_stalled: bool,
    /// It was primary, has what nobody else has, and nothing rewinds it.
    pub(crate) is_diverged: bool,
    /// It went without a word: until then its primary takes its connection for alive.
    pub(crate) ghost_until: SimTime,
    /// Which primary that is.
    pub(crate) ghost_of: u8,
    /// As a primary, it waits until then for a silent standby that has priority.
    pub(crate) silent_until: SimTime,
    /// What it committed, as a primary.
    pub(crate) writer: Writer,
    /// What it acknowledged for sure, as a primary.
    pub(crate) acknowledged: Mark,
    pub(crate) link: Link,
    /// What it has, as a standby without a link.
    pub(crate) received: Mark,
    /// When the database first went on beyond what it has, as a standby without a link; `None` while it
    /// has not.
    pub(crate) behind_since: Option<SimTime>,
    /// The primary goes on from here: what this one has beyond is not part of the database any more.
    pub(crate) fork: Option<Mark>,
    /// When PostgreSQL last came up.
    pub(crate) up_since: Option<SimTime>,
    /// It is to be kept off.
    pub(crate) is_fenced: bool,
    /// Its manager keeps it off, or starts it after that, and says so.
    pub(crate) is_excused: bool,
    /// Its node takes no pods.
    pub(crate) is_cordoned: bool,
    /// What it needs to be of the newest template.
    pub(crate) lack: Lack,
    /// The operator has deleted its pod for an update, and none has come in its place.
    pub(crate) is_leaving: bool,
    /// It was replaced as primary, and may have log that nobody else hands to the archive.
    pub(crate) owes_log: bool,
    /// It is away, and its primary keeps log for it from here on.
    pub(crate) kept_from: Option<u64>,
    /// When it went away.
    pub(crate) left_at: SimTime,
    /// What took it away.
    pub(crate) left_by: EventId,
    /// Its primary does not have what it lacks any more.
    pub(crate) is_outrun: bool,
    pub(crate) work: Timer,
    pub(crate) attach: Timer,
    pub(crate) isolation: Timer,
    pub(crate) work_count: u32,
    pub(crate) attach_count: u32,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            pod: None,
            zone: ZoneId(0),
            is_ready: false,
            process: Process::Down,
            role: Role::Standby,
            is_open: false,
            applied_number: 0,
            listed: Names::ALL,
            is_held: false,
            is_starved: false,
            silent_since: SimTime::ZERO,
            paused_since: None,
            deaf_until: SimTime::ZERO,
            waiting: None,
            is_closing: false,
            old_sessions_ppm: 0,
            is_empty: false,
            cloning: None,
            is_stalled: false,
            is_diverged: false,
            ghost_until: SimTime::ZERO,
            ghost_of: 0,
            silent_until: SimTime::ZERO,
            writer: Writer::default(),
            acknowledged: Mark::default(),
            link: Link::Broken,
            received: Mark::default(),
            behind_since: None,
            fork: None,
            up_since: None,
            is_fenced: false,
            is_excused: false,
            is_cordoned: false,
            lack: Lack::Nothing,
            is_leaving: false,
            owes_log: false,
            kept_from: None,
            left_at: SimTime::ZERO,
            left_by: EventId::NONE,
            is_outrun: false,
            work: Timer::NONE,
            attach: Timer::NONE,
            isolation: Timer::NONE,
            work_count: 0,
            attach_count: 0,
        }
    }
}

impl Instance {
    pub(crate) fn is_running(&self) -> bool {
        self.process == Process::Running
    }

    /// What it has of the database, at an instant.
    pub(crate) fn mark(&self, now: SimTime) -> Mark {
        if self.is_open {
            self.writer.at(now)
        } else {
            self.fork.map_or(self.received, |fork| fork.min(self.received))
        }
    }

    pub(crate) fn streams_from(&self, primary: u8) -> bool {
        matches!(self.link, Link::Streaming(from, _) if from == primary)
    }
}
