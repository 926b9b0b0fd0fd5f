//! How far the archive of a write-ahead log reaches, at each moment, without an event a segment.
//!
//! This is the archive that platforms run. The laboratory, which plays recorded restores again, has one
//! of its own in `model-postgres`.
//!
//! # Modelled
//! Segments that close when they are full or when `archive_timeout` is over; uploads one after
//! another (or a few at a time), each with its overhead; an archiver that is down: the backlog waits
//! on the primary and is uploaded first when it is up again, one segment after the other; an archiver
//! that says "done" and stores nothing: the log has a gap, and only a base backup made after it leads
//! on; a failover: segments that the old primary had closed and not stored are on its disk alone, so that
//! of base backups before it no restore leads past them until that primary is back and hands them in, or
//! for ever where it was destroyed, while the new timeline is stored from the fork on; a primary that does not write, writes more or less, or does not run; copies that follow with a lag and stop when their source is lost.
//! # Not modelled
//! A disk that fills up with the backlog (that is the database's doing); loss of a history file, without
//! which no restore follows a new timeline; two databases that share one name in the archive. Simplified:
//! what an old primary hands in is of use once all of it is there.
//! # Defaults and their sources
//! CloudNativePG 1.30 `docs/src/wal_archiving.md`: segments of 16 MiB, `archive_timeout` 5 min,
//! archiving one at a time unless `wal.maxParallel` says otherwise. What a standby received counts as
//! archived when it is promoted: PostgreSQL 17, `XLogWalRcvClose` of `src/backend/replication/walreceiver.c`;
//! the segment that was open goes on in the new timeline (`XLogInitNewTimeline` of `xlog.c`).
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

/// Segments that close at equal distances and are not stored yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// When the first of them closes.
    first: Stamp,
    /// Time from one to the next.
    period: SimSpan,
    /// Time that the uploader spends on each.
    upload: SimSpan,
    /// How many there are; `u64::MAX` while no end is in sight.
    count: u64,
}

impl Run {
    /// Close of a segment, by its number from 0.
    fn close(&self, idx: u64) -> Stamp {
        self.first.plus(SimSpan::from_nanos(self.period.as_nanos().saturating_mul(idx)))
    }

    /// What an uploader will store that is free at `free_at`. While there is a backlog, uploads follow
    /// each other: segment `k` is due to begin at `free_at + k * upload`, and the backlog is gone at the
    /// first that closes no earlier.
    fn stairs(&self, free_at: Stamp) -> impl Iterator<Item = Stairs> {
        let (period, upload) = (self.period.as_nanos(), self.upload.as_nanos());
        let backlog = if free_at <= self.first {
            0
        } else if upload >= period {
            u64::MAX
        } else {
            free_at.since(self.first).as_nanos().div_ceil(period - upload)
        };
        let stairs = |first_at, idx, every: SimSpan, count| Stairs {
            first_at,
            first_reach: self.close(idx),
            every: every.max(SimSpan::from_nanos(1)),
            step: self.period,
            count,
        };
        let queued = backlog.min(self.count);
        let rest = self.count - queued;
        let behind =
            (queued > 0).then(|| stairs(free_at.plus(self.upload), 0, self.upload, queued));
        let even = (rest > 0).then(|| {
            let first_at = self.close(queued).plus(self.upload);
            stairs(first_at, queued, self.period.max(self.upload), rest)
        });
        behind.into_iter().chain(even)
    }
}

/// The segment that is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    /// When it was begun.
    at: Stamp,
    /// When it is full, at the present rate.
    full_at: Stamp,
}

/// A stretch of the log without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Era {
    start: Stamp,
    /// How far it reached.
    reach: Stamp,
    /// When what is missing after it is stored, so that it leads on into the next one.
    joins: Option<Stamp>,
    /// How far that leads at least.
    joined_reach: Stamp,
}

/// What an old primary alone has of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stranded {
    owner: u8,
    /// After which era it is missing.
    era: usize,
    count: u64,
    is_owner_back: bool,
}

/// The archive of one data set.
#[derive(Clone, Debug)]
pub(crate) struct ArchiveState {
    spec: Archive,
    write_bytes_per_second: u64,
    written_bytes_per_second: u64,
    /// Time to fill a segment, at the present rate.
    fill: SimSpan,
    /// Time from the start of a segment to its close: `archive_timeout` may come first.
    period: SimSpan,
    /// Time that the uploader spends on each segment, at the present rate.
    upload: SimSpan,
    /// Longest lag of a copy: older steps are not asked for.
    lag_max: SimSpan,
    /// From where the log has no gap.
    era_start: Stamp,
    /// Stretches without a gap that are over.
    eras: Vec<Era>,
    /// Segments that old primaries had closed and not stored.
    stranded: Vec<Stranded>,
    /// When the segment was closed that was open when writing stopped.
    tail: Option<Stamp>,
    /// The uploader works.
    pub(crate) is_up: bool,
    /// The log is written to.
    is_writing: bool,
    /// Segments that are not stored, in order; while the log is written to, the last run has no end.
    runs: Vec<Run>,
    /// The first segment of the run without end, and when it closes.
    open: Open,
    closes_at: Stamp,
    /// When the uploader began with the first of them.
    upload_from: Stamp,
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
        let mut state = Self {
            spec: spec.clone(),
            write_bytes_per_second,
            written_bytes_per_second,
            fill: SimSpan::MAX,
            period: SimSpan::MAX,
            upload: SimSpan::ZERO,
            lag_max: spec.copies.iter().map(|copy| copy.lag).max().unwrap_or_default(),
            era_start: start,
            eras: Vec::new(),
            stranded: Vec::new(),
            tail: None,
            is_up: true,
            is_writing: false,
            runs: Vec::new(),
            open: Open { at: start, full_at: start },
            closes_at: start,
            upload_from: start,
            past: vec![Stairs::one(start, start)],
        };
        state.pace(written_bytes_per_second);
        state.set_writing(true, start);
        state
    }

    /// Time after which an open segment is closed: `archive_timeout = 0` turns that off.
    fn timeout(&self) -> SimSpan {
        if self.spec.timeout.is_zero() { SimSpan::MAX } else { self.spec.timeout }
    }

    /// How often segments close at a rate, and how long each takes to store.
    fn pace(&mut self, written_bytes_per_second: u64) {
        self.written_bytes_per_second = written_bytes_per_second;
        let (spec, timeout) = (&self.spec, self.timeout());
        let fill = transfer(spec.segment_bytes, written_bytes_per_second);
        self.fill = fill;
        self.period = fill.min(timeout).max(SimSpan::from_nanos(1));
        let bytes = if fill <= timeout {
            spec.segment_bytes
        } else {
            // Closed by the clock, a segment is still 16 MiB; compressed, its empty rest is nothing.
            let written = u128::from(written_bytes_per_second) * u128::from(self.period.as_nanos())
                / 1_000_000_000;
            u64::try_from(written).unwrap_or(u64::MAX)
        };
        let one = spec.overhead.saturating_add(transfer(bytes, self.write_bytes_per_second));
        self.upload = SimSpan::from_nanos(one.as_nanos() / u64::from(spec.parallel.max(1)));
    }

    /// What the uploader will store, if nothing changes.
    pub(crate) fn ahead(&self) -> Vec<Stairs> {
        let mut ahead = Vec::new();
        if self.is_up {
            let mut free_at = self.upload_from;
            for run in &self.runs {
                for stairs in run.stairs(free_at) {
                    free_at = stairs.at(stairs.count - 1);
                    ahead.push(stairs);
                }
            }
        }
        ahead
    }

    /// Everything stored and to be stored, in order.
    pub(crate) fn stairs(&self) -> Vec<Stairs> {
        let mut all = self.past.clone();
        all.extend(self.ahead());
        all
    }

    /// Segments that were closed before `now` and are not stored by then.
    pub(crate) fn backlog(&self, now: Stamp) -> u64 {
        let mut later = self.clone();
        later.settle(now);
        later.runs.iter().map(|run| closed_before(run, now)).sum()
    }

    /// Notes what is stored before `now`, so that a change can follow.
    fn settle(&mut self, now: Stamp) {
        while self.is_up && !self.runs.is_empty() {
            let run = self.runs[0];
            for stairs in run.stairs(self.upload_from) {
                let Some(stored) = stairs.until(now) else { break };
                let run = &mut self.runs[0];
                run.first = run.close(stored.count);
                run.count -= if run.count == u64::MAX { 0 } else { stored.count };
                self.upload_from = stored.at(stored.count - 1);
                self.past.push(stored);
                if stored.count < stairs.count {
                    break;
                }
            }
            if self.runs[0].count > 0 {
                break;
            }
            self.runs.remove(0);
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
        self.send_stranded(now);
    }

    /// A standby took over from `owner`. Returns how many segments that one had closed and not stored.
    pub(crate) fn fork(&mut self, now: Stamp, owner: u8) -> u64 {
        self.settle(now);
        let open = self.is_writing.then(|| self.cut(now));
        let tail = self.tail.filter(|_| !self.is_writing);
        let is_tail = |run: &Run| run.count == 1 && tail == Some(run.first);
        let closed = self.runs.iter().filter(|run| !is_tail(run));
        let (mut count, mut through) = (0_u64, self.era_start);
        for run in closed {
            count = count.saturating_add(run.count);
            through = run.close(run.count - 1);
        }
        if count > 0 {
            let reach = Self::reach(&self.past, now).unwrap_or(self.era_start);
            let start = self.era_start;
            self.eras.push(Era { start, reach, joins: None, joined_reach: through });
            let era = self.eras.len() - 1;
            self.stranded.push(Stranded { owner, era, count, is_owner_back: false });
            self.runs.retain(is_tail);
            (self.era_start, self.upload_from) = (now, now);
        }
        if let Some(open) = open {
            self.go_on(open, now);
        }
        count
    }

    /// An old primary is back and hands in what it has; whether it has anything.
    pub(crate) fn hand_in(&mut self, now: Stamp, owner: u8) -> bool {
        let mut has_any = false;
        for stranded in self.stranded.iter_mut().filter(|it| it.owner == owner) {
            has_any |= !std::mem::replace(&mut stranded.is_owner_back, true);
        }
        self.send_stranded(now);
        has_any
    }

    /// What old primaries hand in is on its way while the archive takes it.
    fn send_stranded(&mut self, now: Stamp) {
        for stranded in self.stranded.iter().filter(|it| it.is_owner_back) {
            let era = &mut self.eras[stranded.era];
            let takes = self.upload.saturating_mul(stranded.count);
            match era.joins {
                None if self.is_up => era.joins = Some(now.plus(takes)),
                Some(at) if !self.is_up && at > now => era.joins = None,
                _ => {}
            }
        }
    }

    /// When gaps are closed, of those that will be.
    pub(crate) fn joins(&self) -> impl Iterator<Item = Stamp> + '_ {
        self.eras.iter().filter_map(|era| era.joins)
    }

    /// What is not stored by now never will be: the log has a gap, and begins anew.
    pub(crate) fn break_era(&mut self, now: Stamp) {
        self.settle(now);
        if let Some(reach) = Self::reach(&self.past, now) {
            let start = self.era_start;
            self.eras.push(Era { start, reach, joins: None, joined_reach: reach });
        }
        self.era_start = now;
        self.upload_from = now;
        self.runs.clear();
        self.tail = None;
        if self.is_writing {
            self.go_on(self.begun(now), now);
        }
    }

    /// Writing stops, or begins again. A segment that was begun closes when it stops.
    pub(crate) fn set_writing(&mut self, is_writing: bool, now: Stamp) {
        if is_writing == self.is_writing {
            return;
        }
        self.settle(now);
        self.is_writing = is_writing;
        self.tail = None;
        if is_writing {
            self.go_on(self.begun(now), now);
        } else if self.cut(now).at < now {
            self.tail = Some(now);
            let upload = self.upload;
            self.runs.push(Run { first: now, period: SimSpan::from_nanos(1), upload, count: 1 });
        }
    }

    /// Another rate of writing: the open segment closes sooner or later by what it lacks.
    pub(crate) fn set_rate(&mut self, written_bytes_per_second: u64, now: Stamp) {
        self.settle(now);
        let open = self.is_writing.then(|| self.cut(now));
        let before = u128::from(self.fill.as_nanos().max(1));
        self.pace(written_bytes_per_second);
        if let Some(open) = open {
            let lacking = u128::from(open.full_at.since(now).as_nanos());
            let nanos = lacking * u128::from(self.fill.as_nanos()) / before;
            let full_in = SimSpan::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            self.go_on(Open { full_at: now.plus(full_in), ..open }, now);
        }
    }

    /// Another rate of storing: what waits is stored at it.
    pub(crate) fn set_write_rate(&mut self, bytes_per_second: u64, now: Stamp) {
        if bytes_per_second == self.write_bytes_per_second {
            return;
        }
        self.settle(now);
        let open = self.is_writing.then(|| self.cut(now));
        self.write_bytes_per_second = bytes_per_second;
        self.pace(self.written_bytes_per_second);
        for run in &mut self.runs {
            run.upload = self.upload;
        }
        if let Some(open) = open {
            self.go_on(open, now);
        }
    }

    /// A segment that begins now.
    fn begun(&self, now: Stamp) -> Open {
        Open { at: now, full_at: now.plus(self.fill) }
    }

    /// Writing goes on in an open segment.
    fn go_on(&mut self, open: Open, now: Stamp) {
        let (period, upload) = (self.period, self.upload);
        let first = open.full_at.min(open.at.plus(self.timeout())).max(now);
        // An uploader with nothing to do waits for whatever closes first.
        if self.runs.is_empty() {
            self.upload_from = self.upload_from.max(now);
        }
        (self.open, self.closes_at) = (open, first);
        self.runs.push(Run { first, period, upload, count: u64::MAX });
    }

    /// Ends the run without end: what of it closed by now is left. Returns the open segment.
    fn cut(&mut self, now: Stamp) -> Open {
        let Some(run) = self.runs.pop() else { return self.begun(now) };
        let closed = closed_before(&run, now);
        let is_first = closed == 0 && run.first == self.closes_at;
        if closed > 0 {
            self.runs.push(Run { count: closed, ..run });
        }
        if is_first {
            return self.open;
        }
        let at = run.close(closed).minus(run.period);
        Open { at, full_at: at.plus(self.fill) }
    }

    /// How far the log leads on from a base backup that was begun at `started_at`, of what was stored
    /// before `at`.
    pub(crate) fn reach_from(
        &self,
        stairs: &[Stairs],
        started_at: Stamp,
        at: Stamp,
    ) -> Option<Stamp> {
        let era = self.era_from(started_at, at)?;
        let reach = match self.eras.get(era) {
            Some(era) => Some(era.reach),
            None => Self::reach(stairs, at),
        };
        // Across a gap that was closed it leads as far as what closed it.
        let begun = self.eras.get(era).map_or(self.era_start, |era| era.start);
        let before = era.checked_sub(1).filter(|_| started_at < begun);
        reach.max(before.map(|before| self.eras[before].joined_reach))
    }

    /// In which stretch without a gap the log ends that leads on from a base backup begun at
    /// `started_at`, of what was stored before `at`; behind the others is the present one.
    fn era_from(&self, started_at: Stamp, at: Stamp) -> Option<usize> {
        if started_at >= self.era_start {
            return Some(self.eras.len());
        }
        let mut era = self.eras.iter().rposition(|era| started_at >= era.start)?;
        while self.eras.get(era).is_some_and(|it| it.joins.is_some_and(|joins| joins < at)) {
            era += 1;
        }
        Some(era)
    }

    /// Whether a log that leads on from a base backup begun at `started_at` has no gap and is stored to
    /// its end when the server shuts down in good order, of what was stored before `at` otherwise.
    pub(crate) fn is_complete(&self, started_at: Stamp, at: Stamp) -> bool {
        self.is_up && self.era_from(started_at, at) == Some(self.eras.len())
    }

    /// How far the log reaches that was stored before `at`.
    pub(crate) fn reach(stairs: &[Stairs], at: Stamp) -> Option<Stamp> {
        stairs.iter().rev().find_map(|stairs| match stairs.count_before(at) {
            0 => None,
            count => Some(stairs.reach_of(count)),
        })
    }
}

/// Segments of a run that close before `now`.
fn closed_before(run: &Run, now: Stamp) -> u64 {
    if now <= run.first {
        return 0;
    }
    ((now.since(run.first).as_nanos() - 1) / run.period.as_nanos() + 1).min(run.count)
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

    #[test]
    fn a_segment_that_is_open_when_the_rate_changes_closes_by_what_it_lacks() {
        let mut state = ArchiveState::new(&spec(300, 2, 1), 1 << 20, u64::MAX, secs(0));
        // Half of the segment of 20 s is there after 8 s; the rest takes a second at 8 MiB/s.
        state.set_rate(8 << 20, secs(8));
        let reach = |state: &ArchiveState, at| ArchiveState::reach(&state.stairs(), secs(at));
        assert_eq!(reach(&state, 11), Some(secs(0)));
        assert_eq!(reach(&state, 12), Some(secs(9)));
        // Uploads take 2 s and segments close every 2 s: what waited keeps its distance.
        assert_eq!((reach(&state, 14), state.backlog(secs(14))), (Some(secs(11)), 1));
        // Slow enough for the clock: the open segment is a second old.
        state.set_rate(1 << 10, secs(12));
        assert_eq!(reach(&state, 313), Some(secs(11)));
        assert_eq!(reach(&state, 314), Some(secs(311)));
    }

    #[test]
    fn what_waited_when_writing_stopped_is_stored_one_after_the_other() {
        let mut state = ArchiveState::new(&spec(300, 2, 1), 1 << 20, u64::MAX, secs(0));
        state.set_up(false, secs(0));
        state.set_writing(false, secs(40));
        state.set_writing(true, secs(100));
        state.set_up(true, secs(200));
        // 16 s, 32 s and the part that was open at 40 s; then what closed at 116 s and later.
        let reach = |at| ArchiveState::reach(&state.stairs(), secs(at));
        let expected = [(202, 0), (203, 16), (205, 32), (207, 40), (209, 116), (211, 132)];
        for (at, until) in expected {
            assert_eq!(reach(at), Some(secs(until)), "{at}");
        }
    }

    #[test]
    fn what_an_old_primary_had_not_stored_is_missing_until_it_is_back() {
        // Segments every 16 s, stored in 2 s each; none from 40 s on. At 100 s the primary is gone: those that
        // closed at 48, 64, 80 and 96 s wait on its disk, the one that was open goes on with the heir.
        let state = |owner_back: Option<i64>| {
            let mut state = ArchiveState::new(&spec(300, 2, 1), 1 << 20, u64::MAX, secs(0));
            state.set_up(false, secs(40));
            state.set_writing(false, secs(100));
            assert_eq!(state.fork(secs(130), 0), 4);
            state.set_writing(true, secs(130));
            state.set_up(true, secs(200));
            if let Some(back) = owner_back {
                assert!(!state.hand_in(secs(back), 1) && state.hand_in(secs(back), 0));
            }
            state
        };
        let reach = |state: &ArchiveState, base, at| {
            state.reach_from(&state.stairs(), secs(base), secs(at))
        };
        let (lost, back) = (state(None), state(Some(300)));
        // A base backup of before leads to the gap, one made after the fork beyond it.
        assert_eq!(reach(&lost, 10, 10_000), Some(secs(32)));
        assert_eq!(reach(&lost, 140, 10_003), reach(&back, 140, 10_003));
        assert!(reach(&lost, 140, 10_003) > Some(secs(9_980)));
        // Four segments take 8 s; then it leads on as if nothing had been.
        assert_eq!(reach(&back, 10, 308), Some(secs(32)));
        assert_eq!(reach(&back, 10, 309), reach(&back, 140, 309).max(Some(secs(96))));
        assert!(reach(&back, 10, 10_003) > Some(secs(9_980)));
        assert!(back.is_complete(secs(10), secs(400)) && !lost.is_complete(secs(10), secs(400)));
    }

    #[test]
    fn a_failover_from_a_primary_that_had_stored_everything_leaves_no_gap() {
        let mut state = ArchiveState::new(&spec(300, 2, 1), 1 << 20, u64::MAX, secs(0));
        state.set_writing(false, secs(40));
        state.set_up(false, secs(40));
        assert_eq!(state.fork(secs(60), 0), 0);
        state.set_up(true, secs(60));
        state.set_writing(true, secs(60));
        let reach = |at| state.reach_from(&state.stairs(), secs(10), secs(at));
        assert_eq!((reach(62), reach(63)), (Some(secs(32)), Some(secs(40))));
    }

    proptest! {
        #[test]
        fn telling_the_same_rate_again_changes_nothing(
            period in 1_u64..40, overhead in 1_u64..30, told in prop::collection::vec(0_u64..500, 0..6), at in 1_u64..900,
        ) {
            let spec = spec(period, overhead, 1);
            let mut state = ArchiveState::new(&spec, 1, u64::MAX, secs(0));
            let expected = state.clone();
            let mut told = told;
            told.sort_unstable();
            for moment in told.into_iter().filter(|moment| *moment < at) {
                state.set_rate(1, secs(i64::try_from(moment).expect("small")));
            }
            let at = secs(i64::try_from(at).expect("small"));
            let reach = |state: &ArchiveState| ArchiveState::reach(&state.stairs(), at);
            prop_assert_eq!(reach(&state), reach(&expected));
            prop_assert_eq!(state.backlog(at), expected.backlog(at));
        }

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
