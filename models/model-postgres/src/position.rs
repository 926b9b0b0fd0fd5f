//! How far a stream of commits has come.
//!
//! A position is the time that clients spent committing at the configured rate, in nanoseconds.
//! Commits and WAL bytes are both proportional to it, so one integer stands for all three.

use sim_kernel::{SimSpan, SimTime};

/// Commits at the configured rate, in parts per million.
pub(crate) const FULL_RATE_PPM: u32 = 1_000_000;

/// A place in the stream of commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// Nanoseconds of committing at the full rate.
    pub(crate) position_ns: u64,
    /// When the newest commit up to here was made.
    pub(crate) committed_at: SimTime,
}

/// What a primary has committed, over time.
///
/// Simplified: the present window and the one before are kept; a standby that lags further behind
/// than both counts as having reached the start of the earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writer {
    start: Mark,
    since: SimTime,
    rate_ppm: u32,
    earlier_start: Mark,
    earlier_since: SimTime,
    earlier_rate_ppm: u32,
}

impl Writer {
    /// A primary that goes on from a mark and does not commit yet.
    pub(crate) fn from(mark: Mark, now: SimTime) -> Self {
        Self { start: mark, since: now, earlier_start: mark, earlier_since: now, ..Self::default() }
    }

    /// How far it was at `at`; what comes before the earlier window is cut off there.
    pub(crate) fn at(&self, at: SimTime) -> Mark {
        if at >= self.since {
            advance(self.start, at.saturating_since(self.since), self.rate_ppm, at)
        } else {
            let at = at.max(self.earlier_since);
            let elapsed = at.saturating_since(self.earlier_since);
            advance(self.earlier_start, elapsed, self.earlier_rate_ppm, at)
        }
    }

    /// Commits at another rate from now on.
    pub(crate) fn set_rate(&mut self, rate_ppm: u32, now: SimTime) {
        if rate_ppm == self.rate_ppm {
            return;
        }
        let start = self.at(now);
        if now > self.since {
            self.earlier_start = self.start;
            self.earlier_since = self.since;
            self.earlier_rate_ppm = self.rate_ppm;
        }
        self.start = start;
        self.since = now;
        self.rate_ppm = rate_ppm;
    }
}

fn advance(start: Mark, elapsed: SimSpan, rate_ppm: u32, at: SimTime) -> Mark {
    if rate_ppm == 0 || elapsed.is_zero() {
        return start;
    }
    let full = u128::from(elapsed.as_nanos()) * u128::from(rate_ppm) / u128::from(FULL_RATE_PPM);
    let position_ns = start.position_ns.saturating_add(u64::try_from(full).unwrap_or(u64::MAX));
    Mark { position_ns, committed_at: at }
}

/// Units (commits, bytes) between two positions at so many per second: exactly those whose turn
/// came in between, so that losses add up.
pub(crate) fn units_between(from_ns: u64, until_ns: u64, per_second: u64) -> u64 {
    let until = |position_ns: u64| u128::from(position_ns) * u128::from(per_second) / 1_000_000_000;
    u64::try_from(until(until_ns).saturating_sub(until(from_ns))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_follow_the_rate_and_remember_the_window_before() {
        let secs = SimTime::from_secs;
        let mut writer = Writer::from(Mark::default(), secs(0));
        writer.set_rate(FULL_RATE_PPM, secs(10));
        writer.set_rate(0, secs(20));
        let seconds = |at| {
            let mark = writer.at(at);
            (mark.position_ns / 1_000_000_000, mark.committed_at.as_secs())
        };
        assert_eq!(seconds(secs(15)), (5, 15));
        assert_eq!(seconds(secs(20)), (10, 20));
        assert_eq!(seconds(secs(90)), (10, 20));
        assert_eq!(seconds(secs(3)), (0, 0));
        let mut third = writer;
        third.set_rate(FULL_RATE_PPM / 4, secs(24));
        assert_eq!(third.at(secs(28)).position_ns, 11_000_000_000);
    }

    #[test]
    fn units_add_up() {
        let (first, second) =
            (units_between(0, 150_000_000, 10), units_between(150_000_000, 1_000_000_000, 10));
        assert_eq!((first, second), (1, 9));
        assert_eq!(units_between(5, 4, 10), 0);
    }
}
