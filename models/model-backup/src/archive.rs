//! How far the archive of a write-ahead log reaches, at each moment, without an event a segment.
//!
//! This is the archive that platforms run. The laboratory, which plays recorded restores again, has one
//! of its own in `model-postgres`.
//!
//! # Modelled
//! Segments that close when they are full or when `archive_timeout` is over; uploads one after
//! another (or a few at a time), each with its overhead; an archiver that is down: the backlog waits
//! on the primary and is uploaded first when it is up again; an archiver that says "done" and stores
//! nothing: the log has a gap, and only a base backup made after it leads on; a primary that does not
//! write; copies that follow with a lag and stop when their source is lost.
//! # Not modelled
//! A disk that fills up with the backlog (that is the database's doing); timelines and history files;
//! two databases that share one name in the archive.
//! # Defaults and their sources
//! CloudNativePG 1.30 `docs/src/wal_archiving.md`: segments of 16 MiB, `archive_timeout` 5 min,
//! archiving one at a time unless `wal.maxParallel` says otherwise.
//! # Invariants
//! What is archived never goes back. In the long run it follows what is written by at most a segment
//! and an upload, unless uploads are slower than writing.
//! # Checked against
//! A simulation segment by segment, in the tests below.

use model_api::backup::Archive;
use sim_kernel::SimSpan;

use crate::stamp::{Stamp, transfer};

/// Moments at which the archive reaches further: the first, and like ones at equal distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stairs {
    /// When the first of them is stored.
    pub(crate) first_at: Stamp,
    /// How far the log then reaches.
    pub(crate) first_reach: Stamp,
    /// Time from one to the next.
    pub(crate) every: SimSpan,
    /// How much further each reaches than the one before.
    pub(crate) step: SimSpan,
    /// How many there are.
    pub(crate) count: u64,
}

impl Stairs {
    /// One step.
    pub(crate) fn one(at: Stamp, reach: Stamp) -> Self {
        let every = SimSpan::from_nanos(1);
        Self { first_at: at, first_reach: reach, every, step: SimSpan::ZERO, count: 1 }
    }

    /// Steps stored before `at`.
    pub(crate) fn count_before(&self, at: Stamp) -> u64 {
        if at <= self.first_at {
            return 0;
        }
        ((at.since(self.first_at).as_nanos() - 1) / self.every.as_nanos() + 1).min(self.count)
    }

    /// How far the log reaches after so many steps, at least one.
    fn reach_of(&self, count: u64) -> Stamp {
        let steps = SimSpan::from_nanos(self.step.as_nanos().saturating_mul(count - 1));
        self.first_reach.plus(steps)
    }

    /// When the step of this number, from 0, is stored.
    pub(crate) fn at(&self, idx: u64) -> Stamp {
        self.first_at.plus(SimSpan::from_nanos(self.every.as_nanos().saturating_mul(idx)))
    }

    /// When the log reaches `wanted` for the first time, if one of these steps does it.
    pub(crate) fn passes(&self, wanted: Stamp) -> Option<Stamp> {
        if wanted <= self.first_reach {
            return Some(self.first_at);
        }
        let missing = wanted.since(self.first_reach).as_nanos();
        let idx = missing.checked_div(self.step.as_nanos())?;
        let idx = if idx * self.step.as_nanos() < missing { idx + 1 } else { idx };
        (idx < self.count).then(|| self.at(idx))
    }

    /// Only the steps stored before `at`.
    fn until(self, at: Stamp) -> Option<Self> {
        let count = self.count_before(at);
        (count > 0).then_some(Self { count, ..self })
    }
}

/// The archive of one data set.
#[derive(Clone, Debug)]
pub(crate) struct ArchiveState {
    /// Time from the start of a segment to its close.
    period: SimSpan,
    /// Time that the uploader spends on each segment.
    upload: SimSpan,
    /// Longest lag of a copy: older steps are not asked for.
    lag_max: SimSpan,
    /// From where the log has no gap.
    era_start: Stamp,
    /// Stretches without a gap that are over: where each began and how far it reached.
    eras: Vec<(Stamp, Stamp)>,
    /// The uploader works.
    pub(crate) is_up: bool,
    /// Segments count from here: writing began, or began again.
    grid: Stamp,
    /// Segments of this grid that are stored or given up.
    done: u64,
    /// When the uploader began with the first that is not.
    upload_from: Stamp,
    /// Writing stopped.
    stopped_at: Option<Stamp>,
    /// What is stored.
    past: Vec<Stairs>,
}

impl ArchiveState {
    pub(crate) fn new(
        spec: &Archive,
        written_bytes_per_second: u64,
        write_bytes_per_second: u64,
        start: Stamp,
    ) -> Self {
        let fill = transfer(spec.segment_bytes, written_bytes_per_second);
        // `archive_timeout = 0` turns it off.
        let timeout = if spec.timeout.is_zero() { SimSpan::MAX } else { spec.timeout };
        let period = fill.min(timeout).max(SimSpan::from_nanos(1));
        let bytes = if fill <= timeout {
            spec.segment_bytes
        } else {
            // Closed by the clock, a segment is still 16 MiB; compressed, its empty rest is nothing.
            let written = u128::from(written_bytes_per_second) * u128::from(period.as_nanos())
                / 1_000_000_000;
            u64::try_from(written).unwrap_or(u64::MAX)
        };
        let one = spec.overhead.saturating_add(transfer(bytes, write_bytes_per_second));
        let each = one.as_nanos() / u64::from(spec.parallel.max(1));
        Self {
            period,
            upload: SimSpan::from_nanos(each),
            lag_max: spec.copies.iter().map(|copy| copy.lag).max().unwrap_or_default(),
            era_start: start,
            eras: Vec::new(),
            is_up: true,
            grid: start,
            done: 0,
            upload_from: start,
            stopped_at: None,
            past: vec![Stairs::one(start, start)],
        }
    }

    /// Close of a segment of the grid.
    fn close(&self, idx: u64) -> Stamp {
        let until = SimSpan::from_nanos(self.period.as_nanos().saturating_mul(idx + 1));
        let regular = self.grid.plus(until);
        self.stopped_at.map_or(regular, |stopped| regular.min(stopped))
    }

    /// Segments of the grid there will be; the last one of a stopped grid may be a part.
    fn segment_count(&self) -> u64 {
        match self.stopped_at {
            None => u64::MAX,
            Some(stopped) => stopped.since(self.grid).as_nanos().div_ceil(self.period.as_nanos()),
        }
    }

    /// What the uploader will store, if nothing changes.
    pub(crate) fn ahead(&self) -> Vec<Stairs> {
        let total = self.segment_count();
        if !self.is_up || self.done >= total {
            return Vec::new();
        }
        let (period, upload) = (self.period.as_nanos(), self.upload.as_nanos());
        // While there is a backlog, uploads follow each other. Segment `done + k` is due to begin at
        // `upload_from + k * upload`; the backlog is gone at the first that closes no earlier.
        let behind = self.upload_from.since(self.close(self.done)).as_nanos();
        let backlog = if self.upload_from <= self.close(self.done) {
            0
        } else if upload >= period {
            u64::MAX
        } else {
            behind.div_ceil(period - upload)
        };
        let queued = backlog.min(total - self.done);
        let mut ahead = Vec::new();
        if queued > 0 {
            let first_at = self.upload_from.plus(self.upload);
            self.push_stairs(
                &mut ahead,
                first_at,
                self.done,
                self.upload.max(SimSpan::from_nanos(1)),
                queued,
            );
        }
        if queued < total - self.done {
            let first = self.done + queued;
            let every = self.period.max(self.upload);
            let first_at = self.close(first).plus(self.upload);
            self.push_stairs(&mut ahead, first_at, first, every, total - first);
        }
        ahead
    }

    /// Stairs of segments `first..first + count`. Of a stopped grid the last closes early, and is a
    /// step of its own.
    fn push_stairs(
        &self,
        into: &mut Vec<Stairs>,
        first_at: Stamp,
        first: u64,
        every: SimSpan,
        count: u64,
    ) {
        let stairs =
            Stairs { first_at, first_reach: self.close(first), every, step: self.period, count };
        let is_last = self.stopped_at.is_some() && first + count == self.segment_count();
        if !is_last || count == 1 {
            into.push(stairs);
            return;
        }
        into.push(Stairs { count: count - 1, ..stairs });
        let last = self.segment_count() - 1;
        let begins = self.close(last).max(stairs.at(count - 2));
        into.push(Stairs::one(begins.plus(self.upload), self.close(last)));
    }

    /// Everything stored and to be stored, in order.
    pub(crate) fn stairs(&self) -> Vec<Stairs> {
        let mut all = self.past.clone();
        all.extend(self.ahead());
        all
    }

    /// Notes what is stored before `now`, so that a change can follow.
    fn settle(&mut self, now: Stamp) {
        for stairs in self.ahead() {
            let Some(stored) = stairs.until(now) else { continue };
            self.done += stored.count;
            self.upload_from = stored.at(stored.count - 1);
            self.past.push(stored);
        }
        // A step that every copy has long had stands for all before it.
        let horizon = now.minus(self.lag_max);
        let is_old = |stairs: &Stairs| stairs.at(stairs.count - 1) < horizon;
        let old = self.past.iter().take_while(|stairs| is_old(stairs)).count();
        if old > 1 {
            self.past.drain(..old - 1);
        }
    }

    /// Time that the uploader spends on each segment.
    pub(crate) fn upload(&self) -> SimSpan {
        self.upload
    }

    /// The uploader works, or does not.
    pub(crate) fn set_up(&mut self, is_up: bool, now: Stamp) {
        if is_up == self.is_up {
            return;
        }
        self.settle(now);
        self.is_up = is_up;
        // What was on its way is sent again.
        self.upload_from = now;
    }

    /// What is not stored by now never will be: the log has a gap, and begins anew.
    pub(crate) fn break_era(&mut self, now: Stamp) {
        self.settle(now);
        if let Some(reach) = Self::reach(&self.past, now) {
            self.eras.push((self.era_start, reach));
        }
        self.era_start = now;
        let is_writing = self.stopped_at.is_none();
        self.resume(now);
        self.stopped_at = (!is_writing).then_some(now);
    }

    /// Writing stops, or begins again.
    pub(crate) fn set_writing(&mut self, is_writing: bool, now: Stamp) {
        if is_writing != self.stopped_at.is_some() {
            return;
        }
        self.settle(now);
        if is_writing {
            // What is still waiting goes first: the era goes on, unless the backlog is lost.
            self.resume(now);
        } else {
            self.stopped_at = Some(now);
        }
    }

    /// Goes on writing where it stopped.
    ///
    /// Simplified: the segments that waited while nothing was written are counted with the first
    /// that closes afterwards.
    fn resume(&mut self, now: Stamp) {
        self.stopped_at = None;
        self.grid = now;
        self.done = 0;
        self.upload_from = now;
    }

    /// How far the log leads on from a base backup that was begun at `started_at`, of what was stored
    /// before `at`.
    pub(crate) fn reach_from(
        &self,
        stairs: &[Stairs],
        started_at: Stamp,
        at: Stamp,
    ) -> Option<Stamp> {
        if started_at >= self.era_start {
            return Self::reach(stairs, at);
        }
        let era = self.eras.iter().rfind(|(start, _)| started_at >= *start)?;
        Some(era.1)
    }

    /// Whether a log that leads on from a base backup begun at `started_at` has no gap and is stored to
    /// its end when the server shuts down in good order.
    pub(crate) fn is_complete(&self, started_at: Stamp) -> bool {
        self.is_up && started_at >= self.era_start
    }

    /// How far the log reaches that was stored before `at`.
    pub(crate) fn reach(stairs: &[Stairs], at: Stamp) -> Option<Stamp> {
        stairs.iter().rev().find_map(|stairs| match stairs.count_before(at) {
            0 => None,
            count => Some(stairs.reach_of(count)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model_api::{DataSetId, Origin, PlaceId};
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn spec(timeout_secs: u64, overhead_secs: u64, parallel: u32) -> Archive {
        Archive {
            data_set: DataSetId(0),
            to: PlaceId(0),
            copies: Vec::new(),
            key: None,
            segment_bytes: 16 << 20,
            timeout: SimSpan::from_secs(timeout_secs),
            overhead: SimSpan::from_secs(overhead_secs),
            parallel,
            origin: Origin::default(),
        }
    }

    fn secs(at: i64) -> Stamp {
        Stamp::from_nanos(at * 1_000_000_000)
    }

    #[test]
    fn a_healthy_archive_lags_by_a_segment_and_an_upload() {
        // 1 MiB/s fills 16 MiB in 16 s, before five minutes are over; an upload takes 2 s.
        let state = ArchiveState::new(&spec(300, 2, 1), 1 << 20, u64::MAX, secs(0));
        let reach = |at| ArchiveState::reach(&state.stairs(), secs(at));
        assert_eq!(reach(18), Some(secs(0)));
        assert_eq!(reach(19), Some(secs(16)));
        assert_eq!(reach(16 * 1000 + 3), Some(secs(16 * 1000)));
        let slow = ArchiveState::new(&spec(300, 2, 1), 1 << 10, u64::MAX, secs(0));
        assert_eq!(ArchiveState::reach(&slow.stairs(), secs(303)), Some(secs(300)));
        // Without a time-out only full segments close: 1 KiB/s takes 16384 s.
        let untimed = ArchiveState::new(&spec(0, 2, 1), 1 << 10, u64::MAX, secs(0));
        assert_eq!(ArchiveState::reach(&untimed.stairs(), secs(16_386)), Some(secs(0)));
        assert_eq!(ArchiveState::reach(&untimed.stairs(), secs(16_387)), Some(secs(16_384)));
    }

    /// What is stored before `at`, segment by segment, with one pause of the uploader.
    fn by_hand(period: u64, upload: u64, down: (u64, u64), at: u64) -> u64 {
        let (mut free_at, mut reach) = (0, 0);
        for idx in 0.. {
            let close = (idx + 1) * period;
            let mut begins = close.max(free_at);
            if begins >= down.0 && begins < down.1 {
                begins = down.1;
            }
            let mut ends = begins + upload;
            // What is not stored before the uploader goes down is sent again.
            if begins < down.0 && ends >= down.0 && down.0 < down.1 {
                begins = down.1;
                ends = begins + upload;
            }
            if ends >= at {
                return reach;
            }
            (free_at, reach) = (ends, close);
        }
        reach
    }

    proptest! {
        #[test]
        fn stairs_are_what_one_segment_after_another_gives(
            period in 1_u64..40, upload in 1_u64..30, from in 0_u64..300, length in 0_u64..300, at in 1_u64..900,
        ) {
            let down = (from, from + length);
            let mut state = ArchiveState::new(&spec(period, upload, 1), 1, u64::MAX, secs(0));
            let at_stamp = secs(i64::try_from(at).expect("small"));
            for (change, is_up) in [(down.0, false), (down.1, true)] {
                if change < at && down.0 < down.1 {
                    state.set_up(is_up, secs(i64::try_from(change).expect("small")));
                }
            }
            let reach = ArchiveState::reach(&state.stairs(), at_stamp).expect("it began");
            let expected = by_hand(period * SECOND, upload * SECOND, (down.0 * SECOND, down.1 * SECOND), at * SECOND);
            prop_assert_eq!(reach.nanos(), i64::try_from(expected).expect("small"));
        }
    }
}
