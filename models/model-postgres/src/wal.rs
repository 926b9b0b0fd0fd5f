//! How much write-ahead log lies on the volume of a primary, and when it will be too much.
//!
//! # Modelled
//! Log goes once it is archived and every standby has it: what the archive does not take stays, and
//! what a standby that is away still needs stays in its replication slot, unless
//! `max_slot_wal_keep_size` is less. A segment that `archive_timeout` closes is as large on disk as a
//! full one, so that a database that hardly writes fills its volume too. When no further segment
//! fits, PostgreSQL stops: that moment is computed from rates, and computed anew when one changes.
//!
//! # Not modelled
//! Simplified: log counts in bytes and goes at once, where PostgreSQL removes whole segments at a
//! checkpoint; standbys keep what their primary keeps on volumes of the same size, so that the primary's
//! fills first; what a promoted standby has counts as handed to the archive by whom it followed, so that it
//! begins with nothing to archive, as upstream (where that was not so the archive has a gap, which the
//! model of backups knows); deleting the pod of a primary that stopped does not let its operator forget why. Reserved blocks and metadata of file systems.
//!
//! # Defaults and their sources
//! PostgreSQL 17: `KeepLogSeg` and `InstallXLogFileSegment` of `src/backend/access/transam/xlog.c`,
//! `XLogWalRcvClose` of `walreceiver.c` (a standby marks what it received as archived). CloudNativePG
//! 1.30: `archive_timeout` 5 min, `wal_keep_size` 512 MB, high-availability slots on
//! (`pkg/postgres/configuration.go`, `docs/src/replication.md`).
//!
//! # Invariants
//! What is archived never exceeds what is written. A crossing lies where the log first takes so much,
//! if no rate changes.
//!
//! # Checked against
//! A count by tenths of a second, and crossings worked out by hand, in the tests below.

use model_api::blueprint::WalVolume;
use sim_kernel::{EventId, SimSpan, SimTime};

const SECOND_NS: u128 = 1_000_000_000;

/// What keeps log on the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Archiver {
    /// Nobody archives: nothing is kept for it.
    None,
    /// A segment takes so long.
    Stores(SimSpan),
    /// It fails: everything is kept.
    Fails,
}

/// The log of a cluster: positions in it count bytes, the empty rest of segments included.
#[derive(Clone, Debug)]
pub(crate) struct Wal {
    pub(crate) spec: WalVolume,
    /// Present size of the volume.
    pub(crate) size_bytes: u64,
    /// Size that it is to have.
    pub(crate) wanted_bytes: u64,
    now: SimTime,
    written: u64,
    archived: u64,
    per_second: u64,
    archiver: Archiver,
    /// The primary runs, and its archiver with it.
    is_archiving: bool,
    /// What made the archiver fail.
    pub(crate) failed_by: EventId,
    /// Since when the primary is stopped for want of room, until it runs again.
    pub(crate) full_since: Option<SimTime>,
    /// Shares of the volume that somebody waits for, in parts per million.
    pub(crate) watched_ppm: Vec<u32>,
}

impl Wal {
    pub(crate) fn new(spec: WalVolume) -> Self {
        Self {
            size_bytes: spec.size_bytes,
            wanted_bytes: spec.size_bytes,
            spec: WalVolume { segment_bytes: spec.segment_bytes.max(1), ..spec },
            now: SimTime::ZERO,
            written: 0,
            archived: 0,
            per_second: 0,
            archiver: Archiver::None,
            is_archiving: true,
            failed_by: EventId::NONE,
            full_since: None,
            watched_ppm: Vec::new(),
        }
    }

    /// Brings both positions forward.
    pub(crate) fn advance(&mut self, now: SimTime) {
        let elapsed = u128::from(now.saturating_since(self.now).as_nanos());
        self.now = self.now.max(now);
        let grown = elapsed * u128::from(self.per_second) / SECOND_NS;
        self.written = self.written.saturating_add(clamp(grown));
        let stored = match self.archiver {
            Archiver::None => u128::MAX,
            Archiver::Stores(each) if self.is_archiving => {
                let segment = u128::from(self.spec.segment_bytes);
                (elapsed * segment).checked_div(u128::from(each.as_nanos())).unwrap_or(u128::MAX)
            }
            Archiver::Stores(_) | Archiver::Fails => 0,
        };
        self.archived = self.archived.saturating_add(clamp(stored)).min(self.written);
    }

    /// So many bytes of commits are written per second from now on, by a primary that runs or by none.
    pub(crate) fn set_rate(&mut self, bytes_per_second: u64, is_running: bool) {
        self.is_archiving = is_running;
        let closed =
            self.spec.switch_after.filter(|after| bytes_per_second > 0 && !after.is_zero());
        let least = closed.map_or(0, |after| {
            clamp(u128::from(self.spec.segment_bytes) * SECOND_NS / u128::from(after.as_nanos()))
        });
        self.per_second = bytes_per_second.max(least);
    }

    pub(crate) fn set_archiver(&mut self, archiver: Archiver) {
        self.archiver = archiver;
    }

    /// Whether the archive has what was removed here.
    pub(crate) fn can_fetch(&self) -> bool {
        matches!(self.archiver, Archiver::Stores(_))
    }

    /// How long a server that shuts down is busy with its archive: it stores what is left, or tries each
    /// segment three times, a second apart, and gives up with the first (`NUM_ARCHIVE_RETRIES` of
    /// PostgreSQL's `pgarch.c`).
    pub(crate) fn time_to_store(&self) -> SimSpan {
        let count = self.backlog().div_ceil(self.spec.segment_bytes);
        match self.archiver {
            Archiver::None => SimSpan::ZERO,
            Archiver::Stores(each) => each.saturating_mul(count),
            Archiver::Fails => SimSpan::from_secs(if count > 0 { 3 } else { 0 }),
        }
    }

    /// Another instance goes on, which has nothing left to archive.
    pub(crate) fn forget_backlog(&mut self) {
        self.archived = self.written;
    }

    /// Up to when the positions are known.
    pub(crate) fn now(&self) -> SimTime {
        self.now
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Log that the archive still has to take.
    pub(crate) fn backlog(&self) -> u64 {
        self.written - self.archived
    }

    /// Most that the log may take with one more segment to come.
    pub(crate) fn room(&self) -> u64 {
        let taken = self.spec.data_bytes.saturating_add(self.spec.segment_bytes);
        self.size_bytes.saturating_sub(taken)
    }

    /// What the log may take until the volume is full to a share.
    pub(crate) fn room_to(&self, share_ppm: u32) -> u64 {
        let share = u128::from(self.size_bytes) * u128::from(share_ppm) / 1_000_000;
        clamp(share).saturating_sub(self.spec.data_bytes)
    }

    /// When the backlog first takes so many bytes.
    pub(crate) fn backlog_reaches(&self, bytes: u64) -> Option<SimTime> {
        let missing = bytes.saturating_sub(self.backlog());
        if missing == 0 {
            return Some(self.now);
        }
        let segment = u128::from(self.spec.segment_bytes);
        // Bytes in `span` nanoseconds: `grown` more than before.
        let (span, grown) = match self.archiver {
            Archiver::None => return None,
            // So slow that it stores less than a byte a second, it fails.
            Archiver::Stores(each)
                if self.is_archiving && u128::from(each.as_nanos()) <= segment * SECOND_NS =>
            {
                let each = u128::from(each.as_nanos());
                let written = u128::from(self.per_second) * each;
                (SECOND_NS * each, written.saturating_sub(segment * SECOND_NS))
            }
            Archiver::Stores(_) | Archiver::Fails => (SECOND_NS, u128::from(self.per_second)),
        };
        self.later(u128::from(missing), span, grown)
    }

    /// When log that is kept from a position on first takes so many bytes.
    pub(crate) fn kept_reaches(&self, from: u64, bytes: u64) -> Option<SimTime> {
        let missing = from.saturating_add(bytes).saturating_sub(self.written);
        if missing == 0 {
            return Some(self.now);
        }
        self.later(u128::from(missing), SECOND_NS, u128::from(self.per_second))
    }

    fn later(&self, missing: u128, span: u128, grown: u128) -> Option<SimTime> {
        let nanos = missing.checked_mul(span)?.checked_add(grown.checked_sub(1)?)? / grown;
        self.now.checked_add(SimSpan::from_nanos(u64::try_from(nanos).ok()?))
    }
}

fn clamp(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// When the kubelet next starts a container that has ended again and again since a moment: at once,
/// then after a back-off that doubles from its first to its longest.
///
/// Source: `pkg/kubelet/kuberuntime/kuberuntime_manager.go`, `doBackOff`. Simplified: a container that
/// finds no room ends in no time.
pub(crate) fn next_start(since: SimTime, now: SimTime, first: SimSpan, most: SimSpan) -> SimTime {
    let (mut at, mut pause) = (since, first.min(most));
    while at < now && pause < most {
        at = at.saturating_add(pause);
        pause = pause.saturating_mul(2).min(most);
    }
    if at < now && !most.is_zero() {
        let count = now.saturating_since(at).as_nanos().div_ceil(most.as_nanos());
        at = at.saturating_add(most.saturating_mul(count));
    }
    at.max(now)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wal(size_bytes: u64, switch_after: Option<u64>) -> Wal {
        Wal::new(WalVolume {
            size_bytes,
            data_bytes: 0,
            segment_bytes: 16,
            switch_after: switch_after.map(SimSpan::from_secs),
            least_bytes: 0,
            kept_bytes: None,
            kept_for: None,
        })
    }

    #[test]
    fn a_segment_that_is_closed_early_takes_its_whole_size() {
        let mut wal = wal(1_000, Some(2));
        for (rate, expected) in [(0, 0), (1, 80), (7, 80), (8, 80), (20, 200)] {
            let before = wal.written();
            wal.set_rate(rate, true);
            wal.advance(wal.now + SimSpan::from_secs(10));
            assert_eq!(wal.written() - before, expected, "{rate}");
        }
    }

    #[test]
    fn an_archive_that_is_too_slow_fills_the_volume_too() {
        let mut wal = wal(1_016, None);
        wal.set_archiver(Archiver::Stores(SimSpan::from_secs(2)));
        wal.set_rate(8, true);
        assert_eq!(wal.backlog_reaches(wal.room()), None);
        wal.set_rate(10, true);
        // 10 come and 8 go each second.
        assert_eq!(wal.backlog_reaches(wal.room()), Some(SimTime::from_secs(500)));
        // Nothing goes while the primary does not run.
        wal.set_rate(10, false);
        assert_eq!(wal.backlog_reaches(wal.room()), Some(SimTime::from_secs(100)));
    }

    #[test]
    fn a_container_that_ends_is_started_less_and_less_often() {
        let secs = SimTime::from_secs;
        let at = |now| {
            let (first, most) = (SimSpan::from_secs(10), SimSpan::from_secs(300));
            next_start(secs(100), secs(now), first, most).as_secs() - 100
        };
        let expected =
            [(100, 0), (101, 10), (111, 30), (170, 70), (251, 310), (411, 610), (1_011, 1_210)];
        for (now, start) in expected {
            assert_eq!(at(now), start, "{now}");
        }
    }

    proptest! {
        #[test]
        fn a_crossing_is_where_counting_finds_it(
            rate in 1_u64..40, each in 1_u64..9, fails in prop::bool::ANY, before in 0_u64..200, bytes in 1_u64..300,
        ) {
            let mut wal = wal(10_000_000, None);
            wal.spec.segment_bytes = 16_000;
            let bytes = bytes * 1_000;
            // A backlog, then an archive that works or does not.
            wal.set_archiver(Archiver::Fails);
            wal.set_rate(1_000, true);
            wal.advance(SimTime::from_secs(before));
            wal.set_archiver(if fails { Archiver::Fails } else { Archiver::Stores(SimSpan::from_secs(each)) });
            wal.set_rate(rate * 1_000, true);
            let mut counted = None;
            for step in 0..2_000_u64 {
                let mut later = wal.clone();
                later.advance(SimTime::from_secs(before) + SimSpan::from_millis(step * 100));
                if later.backlog() >= bytes {
                    counted = Some(step * 100);
                    break;
                }
            }
            let found = wal.backlog_reaches(bytes).map(|at| (at - SimTime::from_secs(before)).as_nanos() / 1_000_000);
            match (counted, found) {
                (Some(counted), Some(found)) => prop_assert!(found <= counted + 1 && counted <= found + 200, "{counted} {found}"),
                (None, found) => prop_assert!(found.is_none_or(|found| found >= 199_800)),
                (Some(_), None) => prop_assert!(false, "{counted:?}"),
            }
        }
    }
}
