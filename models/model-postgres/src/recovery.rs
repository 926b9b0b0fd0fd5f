//! How long a restore takes: a base backup is copied back, WAL is replayed, the server opens.
//!
//! Of the laboratory, as [`crate::archive`] is: restores of platforms are those of `model-backup`.
//!
//! # Modelled
//! The phases of a recovery from a base backup and an archive, each from sizes and rates; clones of
//! the other instances; where the time goes.
//! # Not modelled
//! What people do before and after (detection, decision, repointing clients); parallel restores that
//! share one network.
//! # Defaults and their sources
//! PG-20 and PG-21 of the specification of platform services; PostgreSQL replays with one process
//! (`src/backend/access/transam/xlogrecovery.c`).
//! # Invariants
//! The phases add up to the whole.
//! # Checked against
//! PG-22 (its tests), a restore of a real server (`sim-conformance`).

use sim_kernel::SimSpan;

/// What storage and server can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Base backup copied back, bytes per second.
    pub copy_bytes_per_second: u64,
    /// WAL fetched and replayed, bytes per second: the slower of the two.
    pub replay_bytes_per_second: u64,
    /// From the start of the server to the first record of WAL.
    pub start: SimSpan,
    /// From the last record to the first connection that may write: end-of-recovery checkpoint and
    /// new timeline.
    pub end: SimSpan,
}

/// The phases of a restore, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The base backup is copied back.
    pub copy: SimSpan,
    /// The server starts and fetches its first segment.
    pub start: SimSpan,
    /// WAL from the base backup to the target is replayed.
    pub replay: SimSpan,
    /// The server ends recovery.
    pub end: SimSpan,
}

impl Recovery {
    /// A restore of so much with such rates.
    pub fn new(base_bytes: u64, wal_bytes: u64, rates: &Rates) -> Self {
        Self {
            copy: time_of(base_bytes, rates.copy_bytes_per_second),
            start: rates.start,
            replay: time_of(wal_bytes, rates.replay_bytes_per_second),
            end: rates.end,
        }
    }

    /// Until the first connection that may write.
    pub fn total(&self) -> SimSpan {
        self.copy.saturating_add(self.start).saturating_add(self.replay).saturating_add(self.end)
    }
}

/// Time that so many bytes take; for ever at no rate.
pub fn time_of(bytes: u64, bytes_per_second: u64) -> SimSpan {
    let nanos = u128::from(bytes) * 1_000_000_000;
    match nanos.checked_div(u128::from(bytes_per_second)) {
        Some(nanos) => SimSpan::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)),
        None if bytes == 0 => SimSpan::ZERO,
        None => SimSpan::from_nanos(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn worked_values_of_the_specification() {
        // PG-22: 100 GiB at 100 MiB/s, 1 MiB/s of WAL for a day or a week at 60 MiB/s, 5 min besides.
        let rates = Rates {
            copy_bytes_per_second: 100 * MIB,
            replay_bytes_per_second: 60 * MIB,
            start: SimSpan::from_mins(5),
            end: SimSpan::ZERO,
        };
        let minutes = |days: u64| {
            let recovery = Recovery::new(102_400 * MIB, days * 86_400 * MIB, &rates);
            let phases = [recovery.copy, recovery.start, recovery.replay, recovery.end];
            let sum: u64 = phases.iter().map(|phase| phase.as_nanos()).sum();
            assert_eq!(sum, recovery.total().as_nanos());
            recovery.total().as_secs_f64() / 60.0
        };
        assert!((minutes(1) - 46.0).abs() < 0.2, "{}", minutes(1));
        assert!((minutes(7) - 190.0).abs() < 0.5, "{}", minutes(7));
    }

    #[test]
    fn nothing_takes_no_time_and_no_rate_takes_for_ever() {
        assert_eq!(time_of(0, 0), SimSpan::ZERO);
        assert_eq!(time_of(1, 0), SimSpan::from_nanos(u64::MAX));
        assert_eq!(time_of(3_000, 1_000), SimSpan::from_secs(3));
    }
}
