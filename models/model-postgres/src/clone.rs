//! Instances that lost their volume: they are empty, and copy the primary before they follow it.
//!
//! # Modelled
//! `pg_basebackup` from the primary: it waits for a checkpoint, copies the data at a rate, receives the log
//! that is written meanwhile, replays it, and goes on as any standby. Nobody promotes an instance that has
//! not come so far. One whose primary goes while it copies begins again with the next. A member of Patroni
//! that holds the leader key and finds its data directory empty gives the key away in its next turn.
//!
//! # Not modelled
//! Clones from a volume snapshot or a backup instead of the primary; the load that a clone puts on the
//! primary; a clone that fails by itself.
//! Simplified: an instance of CloudNativePG keeps its number, where upstream makes one with the next; each
//! commit since the last checkpoint left one page to be written.
//!
//! # Defaults and their sources
//! CloudNativePG 1.30: `joinReplicaInstance` of `internal/controller/cluster_create.go` (once there is a
//! primary), `pkg/management/postgres/join.go` (no `--checkpoint=fast`). Patroni 3.0.2: `_run_cycle` of
//! `ha.py` (an empty data directory), `bootstrap` (from the leader), `patroni/postgresql/bootstrap.py`.
//! PostgreSQL 17: `CheckpointWriteDelay` of `checkpointer.c` (0.1 s a page while it is ahead of its
//! schedule), `checkpoint_timeout` 5 min, `checkpoint_completion_target` 0.9. The rate is an assumption,
//! [`CLONE_BYTES_PER_SECOND`].
//!
//! # Invariants
//! An empty instance is neither promoted nor followed, and holds no commit.
//!
//! # Checked against
//! Timelines in `tests/it`, worked out by hand; every write is either lost or readable.

use model_api::observation::InstanceFact;
use model_api::parameters::Range;
use model_api::{DatabaseId, Observation};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime};

use crate::cluster::{Cluster, OldSide, Port, Target};
use crate::databases::{Databases, PgNotice, StopKind};
use crate::event::PgEvent;
use crate::instance::{Process, Role, WAL_SHIPPING_BYTES_PER_SECOND};
use crate::patroni::decision::Action;
use crate::position::{Mark, units_between};
use crate::rare;
use crate::unknown::Fate;

/// Bytes of data that an empty instance copies per second, where nothing is stated. **Assumption**: the class
/// of many block volumes; one process of `pg_basebackup` can do 300 to 500 MiB/s.
pub const CLONE_BYTES_PER_SECOND: u64 = 100_000_000;

/// Since the last checkpoint: `checkpoint_timeout`.
const CHECKPOINT_AGE: Range = Range::millis(0, 300_000);
/// A checkpoint that nobody hurries takes no longer: 0.9 of `checkpoint_timeout`.
const CHECKPOINT_MOST: SimSpan = SimSpan::from_secs(270);
/// After each page it writes while it is ahead of its schedule.
const PAGE_PAUSE: SimSpan = SimSpan::from_millis(100);

const CHECKPOINT: Purpose = Purpose::new("postgres checkpoint before a clone");

/// A copy that is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cloning {
    /// Of which instance.
    pub(crate) from: u8,
    /// Since then.
    pub(crate) since: SimTime,
}

impl Databases {
    /// The volume of an instance is gone with all that is on it, and so are its processes. It is empty when it
    /// starts again, and copies the primary then. Returns whether it held anything.
    pub fn destroy_volume<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) -> bool
    where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        if self.clusters[database.index()].at(ordinal).is_empty {
            return false;
        }
        self.one(database, ctx, notices, |cluster, io| {
            cluster.catch_up_any(io);
            cluster.destroy(io, ordinal);
        });
        true
    }

    /// Whether an instance has nothing of its database: its volume is new, and it has copied nobody yet.
    pub fn is_empty(&self, database: DatabaseId, ordinal: u8) -> bool {
        self.clusters[database.index()].at(ordinal).is_empty
    }

    /// Whether every instance of a database is empty, so that nothing brings it back but a backup.
    pub fn is_lost(&self, database: DatabaseId) -> bool {
        self.clusters[database.index()].instances.iter().all(|instance| instance.is_empty)
    }
}

impl Cluster {
    fn destroy(&mut self, port: &mut impl Port, ordinal: u8) {
        self.stopped(port, ordinal, StopKind::Process);
        let instance = self.at_mut(ordinal);
        instance.is_empty = true;
        instance.received = Mark::default();
        (instance.fork, instance.behind_since) = (None, None);
        (instance.is_diverged, instance.is_outrun) = (false, false);
        if let Some(patroni) = &mut self.patroni {
            patroni.at_mut(ordinal).needs_recovery = false;
        }
        if let Some(wal) = self.wal.as_mut().filter(|_| ordinal == self.current) {
            // The volume that was full is gone.
            wal.full_since = None;
        }
        self.refresh(port);
    }

    /// At the end of a run in which the volume of a primary is gone and nobody took its place: one that it had
    /// replaced and that still is a primary goes on where it was, unless a standby has more. The key of a member
    /// that is gone runs out, and a primary takes a free key without a race (`process_healthy_cluster` and
    /// `process_unhealthy_cluster` of `ha.py`); so what it wrote is not what is lost.
    pub(crate) fn go_on_with_old_side(&mut self, port: &mut impl Port) {
        if !self.at(self.current).is_empty {
            return;
        }
        let now = port.now();
        let has = |ordinal: &u8| self.at(*ordinal).mark(now);
        let left = self.ordinals().filter(|&ordinal| !self.at(ordinal).is_empty);
        if let Some(best) = left.max_by_key(has).filter(|&best| self.at(best).is_open) {
            self.reclaim(port, best);
            self.settle_losses(port);
        }
    }

    /// At the end of a run in which the volume of a primary is gone and nobody took its place: tells what
    /// whoever has most of those that are left lacks.
    pub(crate) fn tell_orphaned(&mut self, port: &mut impl Port) {
        if !self.at(self.current).is_empty {
            return;
        }
        let left = self.ordinals().filter(|&ordinal| !self.at(ordinal).is_empty);
        let Some(best) = left.max_by_key(|&ordinal| self.kept(ordinal)) else { return };
        let (survivor, lost_from) = (self.kept(best), self.at(best).behind_since);
        let ordinal = self.current;
        self.observe_loss(port, OldSide { ordinal, survivor, lost_from });
        self.settle_unknowns(port, ordinal, Fate::Kept(survivor.position_ns));
        self.unknowns.retain(|unknown| unknown.ordinal != ordinal);
    }

    /// Whom an empty instance can copy: the primary, as far as it reaches it.
    pub(crate) fn clone_source(&self, port: &impl Port, ordinal: u8) -> Option<u8> {
        let (from, zone) = (self.current, self.at(ordinal).zone);
        let primary = self.at(from);
        let is_there = from != ordinal
            && primary.is_open
            && !primary.is_closing
            && !self.is_frozen(from)
            && !self.at(ordinal).is_starved
            && port.is_reachable(primary.zone, zone);
        is_there.then_some(from)
    }

    /// Begins clones, and gives up those whose primary is gone.
    pub(crate) fn tend_clones(&mut self, port: &mut impl Port) {
        for ordinal in self.ordinals() {
            let Some(cloning) = self.at(ordinal).cloning else {
                self.begin_waiting_clone(port, ordinal);
                continue;
            };
            if self.clone_source(port, ordinal) != Some(cloning.from) {
                self.abandon_clone(port, ordinal);
            }
        }
    }

    /// The operator makes a Job that copies the primary, as soon as there is one.
    fn begin_waiting_clone(&mut self, port: &mut impl Port, ordinal: u8) {
        let is_due = self.patroni.is_none()
            && self.at(ordinal).is_empty
            && self.at(ordinal).process == Process::Waiting
            && !self.at(ordinal).is_fenced
            && self.target == Target::Current
            && self.has_operator(port)
            && self.hears(port, ordinal);
        if let Some(from) = self.clone_source(port, ordinal).filter(|_| is_due) {
            let span = self.begin_clone(port, ordinal, from);
            self.work(port, ordinal, span);
        }
    }

    /// Notes that an instance copies another one from now on; returns how long that takes.
    pub(crate) fn begin_clone(&mut self, port: &mut impl Port, ordinal: u8, from: u8) -> SimSpan {
        port.hit(&rare::CLONED);
        self.set_role(port, ordinal, Role::Standby);
        let cloning = Cloning { from, since: port.now() };
        self.at_mut(ordinal).cloning = Some(cloning);
        let age = self.work_span(port, ordinal, CHECKPOINT, CHECKPOINT_AGE);
        let position_ns = u128::from(age.as_nanos()) * u128::from(self.load_ppm) / 1_000_000;
        let position_ns = u64::try_from(position_ns).unwrap_or(u64::MAX);
        let pages = units_between(0, position_ns, self.setup.commits_per_second);
        let checkpoint = PAGE_PAUSE.saturating_mul(pages).min(CHECKPOINT_MOST);
        let copy = time_for(self.setup.data_bytes, self.setup.clone_bytes_per_second);
        let span = checkpoint.saturating_add(copy);
        self.tell_clone(port, ordinal, InstanceFact::CloneStarted { takes_ns: span.as_nanos() });
        span
    }

    /// Whoever it copies is gone: what it has of it is worth nothing.
    fn abandon_clone(&mut self, port: &mut impl Port, ordinal: u8) {
        port.hit(&rare::CLONE_BROKEN);
        port.cancel(self.at(ordinal).work);
        let process = if self.patroni.is_some() { Process::Down } else { Process::Waiting };
        let instance = self.at_mut(ordinal);
        (instance.cloning, instance.process) = (None, process);
        if self.patroni.is_some() {
            self.drop_action(port, ordinal);
            self.stir(port);
        }
    }

    /// The copy is there. Returns how long the log that came with it takes to replay.
    pub(crate) fn cloned(&mut self, port: &mut impl Port, ordinal: u8) -> SimSpan {
        let now = port.now();
        let Some(Cloning { from, since }) = self.at_mut(ordinal).cloning.take() else {
            return SimSpan::ZERO;
        };
        let (received, left) = (self.at(from).writer.at(now), self.at(from).writer.left(now));
        let instance = self.at_mut(ordinal);
        instance.is_empty = false;
        (instance.received, instance.fork, instance.behind_since) = (received, None, left);
        // The log that it had and nobody else went with its volume.
        instance.owes_log = false;
        self.tell_clone(port, ordinal, InstanceFact::Cloned);
        let seconds = now.saturating_since(since);
        let log = u128::from(self.wal_bytes_per_second()) * u128::from(seconds.as_nanos());
        let log = u64::try_from(log / 1_000_000_000).unwrap_or(u64::MAX);
        time_for(log, WAL_SHIPPING_BYTES_PER_SECOND)
    }

    fn tell_clone(&self, port: &mut impl Port, ordinal: u8, fact: InstanceFact) {
        if let Some(pod) = self.at(ordinal).pod {
            port.observe(Observation::Instance { database: self.setup.id, pod, fact });
        }
    }

    /// A member of Patroni whose data directory is empty copies the leader once there is one.
    pub(crate) fn bootstrap(&mut self, port: &mut impl Port, ordinal: u8) {
        if self.at(ordinal).cloning.is_none()
            && let Some(from) = self.clone_source(port, ordinal)
            && self.patroni().holder == Some(from)
        {
            let span = self.begin_clone(port, ordinal, from);
            self.at_mut(ordinal).process = Process::Working;
            self.act_for(port, ordinal, Action::Clone, span);
        }
    }
}

/// How long so many bytes take.
fn time_for(bytes: u64, bytes_per_second: u64) -> SimSpan {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_second.max(1));
    SimSpan::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
