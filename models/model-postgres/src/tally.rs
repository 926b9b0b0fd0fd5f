//! Figures of a database over a whole run: commits that waited, copies that were missing, log that lay about.
//!
//! A commit waits while its primary is there and may not answer it: a standby is missing that has to confirm,
//! or a volume hangs. Copies are missing while fewer standbys follow than the cluster has, from the
//! loss of one until it has caught up again, however that comes about.
//!
//! The log that waits for the archive, and what is free on its volume, go straight between two changes, so that
//! the most of one and the least of the other are met at a change.

use model_api::Observation;
use sim_kernel::{SimSpan, SimTime};

use crate::cluster::{Cluster, Port};

/// A condition that comes and goes.
#[derive(Clone, Copy, Debug, Default)]
struct Spell {
    since: Option<SimTime>,
    sum: SimSpan,
    count: u32,
}

impl Spell {
    fn set(&mut self, is_on: bool, now: SimTime) {
        match (is_on, self.since) {
            (true, None) => {
                self.since = Some(now);
                self.count += 1;
            }
            (false, Some(since)) => {
                self.since = None;
                self.sum = self.sum.saturating_add(now.saturating_since(since));
                // What is over in the same moment was not.
                self.count -= u32::from(now == since);
            }
            _ => {}
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    stalled: Spell,
    thin: Spell,
    backlog_bytes_max: u64,
    free_bytes_min: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let (stalled, thin) = (Spell::default(), Spell::default());
        Self { stalled, thin, backlog_bytes_max: 0, free_bytes_min: u64::MAX }
    }
}

impl Cluster {
    /// Counts on. Once everything else has taken its place.
    pub(crate) fn count_on(&mut self, now: SimTime) {
        let current = self.current;
        let following = self.ordinals().filter(|it| self.at(*it).streams_from(current)).count();
        let waits = self.lets_wait(current) && !self.can_commit(current, now);
        self.tally.stalled.set(waits, now);
        self.tally.thin.set(following + 1 < self.instances.len(), now);
        self.count_log();
    }

    /// Counts the log as it is now.
    pub(crate) fn count_log(&mut self) {
        let Some(wal) = &self.wal else { return };
        let free = wal.size_bytes.saturating_sub(wal.spec.data_bytes);
        let (backlog, free) = (wal.backlog(), free.saturating_sub(self.log_bytes()));
        self.tally.backlog_bytes_max = self.tally.backlog_bytes_max.max(backlog);
        self.tally.free_bytes_min = self.tally.free_bytes_min.min(free);
    }

    /// Tells what was counted, at the end of a run.
    pub(crate) fn tell_tally(&mut self, port: &mut impl Port) {
        let now = port.now();
        if let Some(wal) = &mut self.wal {
            wal.advance(now);
        }
        self.count_log();
        let Tally { mut stalled, mut thin, backlog_bytes_max, free_bytes_min } = self.tally;
        stalled.set(false, now);
        thin.set(false, now);
        if stalled.count > 0 || thin.count > 0 || backlog_bytes_max > 0 {
            port.observe(Observation::DatabaseTallied {
                database: self.setup.id,
                stall_count: stalled.count,
                stalled_ns: stalled.sum.as_nanos(),
                thin_ns: thin.sum.as_nanos(),
                backlog_bytes_max,
                free_bytes_min,
            });
        }
    }
}
