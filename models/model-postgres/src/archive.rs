//! The archive of write-ahead log: up to when every commit lies in it.
//!
//! This is the archive of the laboratory, which plays recorded restores again segment by segment under a
//! load that changes. Platforms run the one of `model-backup`, which says for whole stretches of time what
//! a restore would find.
//!
//! Segments close when they are full or when `archive_timeout` is over, and are archived one after
//! the other. At one rate of writing they close at regular intervals, so nothing is done for a
//! segment by itself: a quiet year costs nothing.
//!
//! # Modelled
//! Segments of a given size, `archive_timeout` (only after something was written), forced switches
//! (the end of a base backup), archiving in sequence with a time for each segment, an archive that
//! is away, its backlog, and how much WAL that keeps from being removed.
//! # Not modelled
//! Parallel archiving by a plugin counts as a shorter time for each segment; compression as well.
//! # Defaults and their sources
//! PostgreSQL 15: `CheckArchiveTimeout` of `src/backend/postmaster/checkpointer.c`, `pgarch.c`.
//! Segments have 16 MiB; CloudNativePG sets `archive_timeout` to 5 min, PostgreSQL to none.
//! # Invariants
//! What is archived grows and never lies beyond what was written.
//! # Checked against
//! A restore of a real server (`sim-conformance`), and a segment-by-segment count in its tests.

use sim_kernel::{SimSpan, SimTime};

/// Size of a segment unless a server was initialized otherwise.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// Segments that close at regular intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Closings {
    first: SimTime,
    period: SimSpan,
    count: u64,
}

impl Closings {
    fn at(&self, idx: u64) -> SimTime {
        self.first.saturating_add(self.period.saturating_mul(idx))
    }
}

/// The archive of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    segment_bytes: u64,
    timeout: Option<SimSpan>,
    /// Time to archive one segment.
    upload: SimSpan,
    is_available: bool,
    now: SimTime,
    bytes_per_second: u64,
    /// The open segment was begun then.
    opened_at: SimTime,
    /// What it held at `now`.
    filled_bytes: u64,
    /// Closed and not archived, in order.
    waiting: Vec<Closings>,
    /// Whoever archives is busy until then.
    busy_until: SimTime,
    archived_until: SimTime,
}

impl Archive {
    /// An archive to which nothing was written, at time zero. `timeout` is `archive_timeout`.
    pub fn new(segment_bytes: u64, timeout: Option<SimSpan>, upload: SimSpan) -> Self {
        Self {
            segment_bytes: segment_bytes.max(1),
            timeout: timeout.filter(|timeout| !timeout.is_zero()),
            upload,
            is_available: true,
            now: SimTime::ZERO,
            bytes_per_second: 0,
            opened_at: SimTime::ZERO,
            filled_bytes: 0,
            waiting: Vec::new(),
            busy_until: SimTime::ZERO,
            archived_until: SimTime::ZERO,
        }
    }

    /// So much is written per second from now on.
    pub fn set_rate(&mut self, bytes_per_second: u64, now: SimTime) {
        self.advance(now);
        self.bytes_per_second = bytes_per_second;
    }

    /// The archive can be written to from now on, or cannot.
    pub fn set_available(&mut self, is_available: bool, now: SimTime) {
        self.advance(now);
        if is_available && !self.is_available {
            self.busy_until = self.busy_until.max(now);
        }
        self.is_available = is_available;
    }

    /// The open segment is closed now.
    pub fn switch(&mut self, now: SimTime) {
        self.advance(now);
        self.close(Closings { first: now, period: SimSpan::ZERO, count: 1 });
        self.opened_at = now;
        self.filled_bytes = 0;
    }

    /// When the open segment was begun: the last one was closed then.
    pub fn opened_at(&mut self, now: SimTime) -> SimTime {
        self.advance(now);
        self.opened_at
    }

    /// Every commit up to this moment is in the archive. Time does not go back: to be asked with a
    /// moment not before that of any earlier call.
    pub fn archived_until(&mut self, now: SimTime) -> SimTime {
        self.advance(now);
        self.archived_until
    }

    /// Closed segments that are not archived.
    pub fn backlog(&mut self, now: SimTime) -> u64 {
        self.advance(now);
        self.waiting.iter().map(|closings| closings.count).sum()
    }

    /// Bytes that cannot be removed because they are not archived.
    pub fn pinned_bytes(&mut self, now: SimTime) -> u64 {
        self.backlog(now).saturating_mul(self.segment_bytes).saturating_add(self.filled_bytes)
    }

    fn close(&mut self, closings: Closings) {
        if closings.count > 0 {
            self.waiting.push(closings);
        }
    }

    /// How long a segment that begins empty stays open.
    fn period(&self) -> Option<SimSpan> {
        let full = self.time_to_fill(self.segment_bytes);
        match (full, self.timeout) {
            (Some(full), Some(timeout)) => Some(full.min(timeout)),
            (full, timeout) => full.or(timeout.filter(|_| self.bytes_per_second > 0)),
        }
    }

    fn time_to_fill(&self, bytes: u64) -> Option<SimSpan> {
        let nanos = u128::from(bytes) * 1_000_000_000;
        let nanos = nanos.checked_div(u128::from(self.bytes_per_second))?;
        Some(SimSpan::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// When the open segment closes if nothing changes.
    fn next_close(&self) -> Option<SimTime> {
        let full = self.time_to_fill(self.segment_bytes.saturating_sub(self.filled_bytes));
        let full = full.map(|span| self.now.saturating_add(span));
        let is_begun = self.filled_bytes > 0 || self.bytes_per_second > 0;
        let due = self.timeout.filter(|_| is_begun);
        let due = due.map(|timeout| self.opened_at.saturating_add(timeout).max(self.now));
        match (full, due) {
            (Some(full), Some(due)) => Some(full.min(due)),
            (full, due) => full.or(due),
        }
    }

    fn advance(&mut self, to: SimTime) {
        if to > self.now {
            self.write_until(to);
            self.now = to;
        }
        if self.is_available {
            self.archive_until(to);
        }
    }

    fn write_until(&mut self, to: SimTime) {
        let written = |elapsed: SimSpan| {
            let bytes = u128::from(elapsed.as_nanos()) * u128::from(self.bytes_per_second);
            u64::try_from(bytes / 1_000_000_000).unwrap_or(u64::MAX)
        };
        match self.next_close().filter(|first| *first <= to) {
            None => {
                self.filled_bytes = self.filled_bytes.saturating_add(written(to - self.now));
            }
            Some(first) => {
                let period = self.period().filter(|period| !period.is_zero());
                let more = period.map_or(0, |period| (to - first).as_nanos() / period.as_nanos());
                let period = period.unwrap_or(SimSpan::ZERO);
                let closings = Closings { first, period, count: more + 1 };
                self.opened_at = closings.at(more);
                self.filled_bytes = written(to - self.opened_at);
                self.close(closings);
            }
        }
    }

    /// Archives what can be by then, one segment after the other.
    fn archive_until(&mut self, to: SimTime) {
        let mut done = 0;
        for closings in &mut self.waiting {
            let (busy, upload) = (self.busy_until, self.upload);
            // The segment is done one upload after it closed, or after those before it.
            let done_at = |idx: u64| {
                let queued =
                    busy.max(closings.first).saturating_add(upload.saturating_mul(idx + 1));
                queued.max(closings.at(idx).saturating_add(upload))
            };
            let (mut least, mut most) = (0, closings.count);
            while least < most {
                let middle = least + (most - least) / 2;
                if done_at(middle) <= to { least = middle + 1 } else { most = middle }
            }
            if least == 0 {
                break;
            }
            self.busy_until = done_at(least - 1);
            self.archived_until = closings.at(least - 1);
            let rest = closings.count - least;
            *closings = Closings { first: closings.at(least), count: rest, ..*closings };
            if rest > 0 {
                break;
            }
            done += 1;
        }
        self.waiting.drain(..done);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(secs: u64) -> SimSpan {
        SimSpan::from_secs(secs)
    }

    fn at(secs: u64) -> SimTime {
        SimTime::from_secs(secs)
    }

    #[test]
    fn a_segment_closes_when_it_is_full_or_too_old() {
        // 100 bytes a segment, 60 s: at 1 byte/s the time counts, at 10 bytes/s the size.
        let mut archive = Archive::new(100, Some(secs(60)), secs(1));
        archive.set_rate(1, at(0));
        assert_eq!(archive.archived_until(at(60)), at(0));
        assert_eq!(archive.archived_until(at(61)), at(60));
        archive.set_rate(10, at(120));
        assert_eq!(archive.archived_until(at(131)), at(130));
        assert_eq!(archive.archived_until(at(145)), at(140));
    }

    #[test]
    fn nothing_is_archived_of_an_idle_server() {
        let mut archive = Archive::new(100, Some(secs(60)), secs(1));
        assert_eq!(archive.archived_until(at(86_400)), at(0));
        archive.set_rate(1, at(86_400));
        assert_eq!(archive.archived_until(at(86_402)), at(86_400));
        // Without a time-out a small server archives rarely.
        let mut archive = Archive::new(100, None, secs(1));
        archive.set_rate(1, at(0));
        assert_eq!(
            (archive.archived_until(at(99)), archive.archived_until(at(150))),
            (at(0), at(100))
        );
    }

    #[test]
    fn a_backlog_grows_while_the_archive_is_away_and_is_worked_off_after() {
        let mut archive = Archive::new(100, Some(secs(10)), secs(2));
        archive.set_rate(1, at(0));
        archive.set_available(false, at(100));
        assert_eq!(archive.archived_until(at(1100)), at(90));
        assert_eq!(archive.backlog(at(1100)), 101);
        archive.set_available(true, at(1100));
        // 2 s each, while another comes every 10 s.
        assert_eq!(archive.backlog(at(1200)), 101 - 50 + 10);
        assert_eq!(archive.archived_until(at(1500)), at(1490));
        assert_eq!(archive.pinned_bytes(at(1505)), 5);
    }

    /// The same, segment by segment and second by second.
    fn counted(rates: &[(u64, u64)], timeout: u64, upload: u64, away: (u64, u64), end: u64) -> u64 {
        let (mut opened, mut filled, mut closed, mut done) = (0, 0, Vec::new(), 0_usize);
        let (mut busy, mut until) = (0, 0);
        let mut uploading: Option<u64> = None;
        for second in 1..=end {
            let rate = rates.iter().rev().find(|(from, _)| *from < second).map_or(0, |it| it.1);
            filled += rate;
            if filled >= 100 || filled > 0 && second - opened >= timeout {
                closed.push(second);
                (opened, filled) = (second, 0);
            }
            if second > away.0 && second <= away.1 {
                // What was under way when it went is begun anew.
                uploading = None;
                busy = away.1;
                continue;
            }
            loop {
                if uploading.is_none() && done < closed.len() {
                    uploading = Some(closed[done].max(busy) + upload);
                }
                match uploading {
                    Some(due) if due <= second => {
                        until = closed[done];
                        (busy, uploading) = (due, None);
                        done += 1;
                    }
                    _ => break,
                }
            }
        }
        until
    }

    proptest! {
        #[test]
        fn counting_segments_agrees(
            rate in prop::sample::select(vec![1_u64, 2, 4, 5, 10, 20]),
            timeout in 5_u64..70,
            upload in 1_u64..9,
            away in 20_u64..200,
            back in 1_u64..300,
            end in 200_u64..900,
        ) {
            // One rate that divides a segment, so that whole seconds are exact.
            let mut archive = Archive::new(100, Some(secs(timeout)), secs(upload));
            archive.set_rate(rate, at(0));
            archive.set_available(false, at(away));
            archive.set_available(true, at(away + back));
            let end = end.max(away + back);
            let expected = counted(&[(0, rate)], timeout, upload, (away, away + back), end);
            prop_assert_eq!(archive.archived_until(at(end)), at(expected));
        }

        #[test]
        fn what_is_archived_grows_and_was_written(
            changes in prop::collection::vec((0_u64..500, 0_u64..50, prop::bool::ANY), 1..20),
        ) {
            let mut archive = Archive::new(1000, Some(secs(30)), secs(3));
            let (mut now, mut before) = (0, SimTime::ZERO);
            for (pause, rate, is_available) in changes {
                now += pause;
                archive.set_rate(rate, at(now));
                archive.set_available(is_available, at(now));
                let until = archive.archived_until(at(now));
                prop_assert!(until >= before && until <= at(now));
                before = until;
            }
        }
    }
}
