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

/// A stretch of committing at one rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Window {
    start: Mark,
    since: SimTime,
    rate_ppm: u32,
    /// Nothing is committed beyond this position: who committed up to here waits for a standby, and
    /// nobody else has a session.
    limit_ns: u64,
}

impl Window {
    fn at(&self, at: SimTime) -> Mark {
        let at = at.max(self.since);
        let whole = advance(self.start, at.saturating_since(self.since), self.rate_ppm, at);
        let limit_ns = self.limit_ns.max(self.start.position_ns);
        if whole.position_ns <= limit_ns {
            return whole;
        }
        self.reached(limit_ns)
    }

    /// When it came to a position, which is none that it never comes to.
    fn reached(&self, position_ns: u64) -> Mark {
        if position_ns <= self.start.position_ns {
            return self.start;
        }
        Mark { position_ns, committed_at: self.passes(position_ns) }
    }

    /// When it comes to a position, not before its own start.
    fn passes(&self, position_ns: u64) -> SimTime {
        let missing = position_ns.saturating_sub(self.start.position_ns);
        let room = u128::from(missing) * u128::from(FULL_RATE_PPM);
        let nanos = room / u128::from(self.rate_ppm.max(1));
        self.since.saturating_add(SimSpan::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Until when it moves; [`SimTime::MAX`] while nothing bounds it.
    fn moves_until(&self) -> SimTime {
        match (self.rate_ppm, self.limit_ns) {
            (0, _) => self.since,
            (_, u64::MAX) => SimTime::MAX,
            (_, limit_ns) => self.passes(limit_ns),
        }
    }
}

/// How much of what was before the present window is remembered at least: more than standbys that
/// keep up lag behind ([`model_api::Parameters::replication_lag`]).
const REMEMBERED: SimSpan = SimSpan::from_millis(250);

/// What a primary has committed, over time.
///
/// Simplified: the present window and the one before are kept; a standby that lags further behind
/// than both counts as having reached the start of the earlier one. Where windows are short, as while
/// a load moves, those of the last [`REMEMBERED`] count as one, at their mean rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writer {
    present: Window,
    earlier: Window,
}

impl Writer {
    /// A primary that goes on from a mark and does not commit yet.
    pub(crate) fn from(mark: Mark, now: SimTime) -> Self {
        let window = Window { start: mark, since: now, rate_ppm: 0, limit_ns: u64::MAX };
        Self { present: window, earlier: window }
    }

    /// How far it was at `at`; what comes before the earlier window is cut off there.
    pub(crate) fn at(&self, at: SimTime) -> Mark {
        if at >= self.present.since { self.present.at(at) } else { self.earlier.at(at) }
    }

    /// A mark that clients were told of, cut at a position from which on they did not hear. What comes
    /// before the earlier window is cut off there.
    pub(crate) fn told(&self, mark: Mark, until_ns: u64) -> Mark {
        if mark.position_ns <= until_ns {
            mark
        } else if until_ns >= self.present.start.position_ns {
            self.present.reached(until_ns)
        } else {
            let reached = self.earlier.reached(until_ns);
            Mark { position_ns: until_ns, ..reached }
        }
    }

    /// When something was first committed beyond what there was at `at`; `None` when nothing was yet.
    pub(crate) fn left(&self, at: SimTime) -> Option<SimTime> {
        if at < self.present.since && at < self.earlier.moves_until() {
            return Some(at.max(self.earlier.since));
        }
        let at = at.max(self.present.since);
        (at < self.present.moves_until()).then_some(at)
    }

    /// Whether nothing is committed at a moment.
    pub(crate) fn stands(&self, at: SimTime) -> bool {
        self.left(at).is_none_or(|left| left > at)
    }

    /// Moments at which it began to move or to stand, as far as it remembers. Another rate is none.
    pub(crate) fn turns(&self) -> impl Iterator<Item = SimTime> + use<> {
        let (earlier, present) = (self.earlier.moves_until(), self.present.moves_until());
        let (began, since) = (self.earlier.since, self.present.since);
        let goes_on = earlier >= since && present > since;
        let turns = [(began, true), (earlier, !goes_on), (since, !goes_on), (present, true)];
        turns.into_iter().filter(|turn| turn.1).map(|turn| turn.0)
    }

    /// Whether it moves now, and for as long as nothing changes.
    pub(crate) fn moves_for_ever(&self) -> bool {
        self.present.moves_until() == SimTime::MAX
    }

    /// At which rate it commits.
    pub(crate) fn rate_ppm(&self) -> u32 {
        self.present.rate_ppm
    }

    /// Where it stops, because everybody who may commit waits; `None` when nobody does.
    pub(crate) fn limit_ns(&self) -> Option<u64> {
        Some(self.present.limit_ns).filter(|limit| *limit != u64::MAX)
    }

    /// The last stretch before `now`, where it has come to `until`, as one window.
    fn merged(&self, until: Mark, now: SimTime) -> Window {
        let since = self.earlier.since.max(now.saturating_sub(REMEMBERED));
        let start = self.at(since);
        let done = u128::from(until.position_ns.saturating_sub(start.position_ns))
            * u128::from(FULL_RATE_PPM);
        let span = u128::from(now.saturating_since(since).as_nanos());
        let rate_ppm = u32::try_from(done.div_ceil(span.max(1))).unwrap_or(u32::MAX);
        Window { start, since, rate_ppm, limit_ns: until.position_ns }
    }

    /// Commits at another rate from now on, up to a position.
    pub(crate) fn set_rate(&mut self, rate_ppm: u32, limit_ns: Option<u64>, now: SimTime) {
        let limit_ns = limit_ns.unwrap_or(u64::MAX);
        let present = self.present;
        if (rate_ppm, limit_ns) == (present.rate_ppm, present.limit_ns) {
            return;
        }
        let start = self.at(now);
        if now.saturating_since(present.since) >= REMEMBERED {
            self.earlier = present;
        } else if now > present.since {
            self.earlier = self.merged(start, now);
        }
        self.present = Window { start, since: now, rate_ppm, limit_ns };
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
        writer.set_rate(FULL_RATE_PPM, None, secs(10));
        writer.set_rate(0, None, secs(20));
        let seconds = |at| {
            let mark = writer.at(at);
            (mark.position_ns / 1_000_000_000, mark.committed_at.as_secs())
        };
        assert_eq!(seconds(secs(15)), (5, 15));
        assert_eq!(seconds(secs(20)), (10, 20));
        assert_eq!(seconds(secs(90)), (10, 20));
        assert_eq!(seconds(secs(3)), (0, 0));
        let mut third = writer;
        third.set_rate(FULL_RATE_PPM / 4, None, secs(24));
        assert_eq!(third.at(secs(28)).position_ns, 11_000_000_000);
    }

    #[test]
    fn a_rate_that_moves_all_the_time_forgets_nothing_that_a_standby_may_lack() {
        let millis = SimTime::from_millis;
        let mut writer = Writer::from(Mark::default(), millis(0));
        writer.set_rate(FULL_RATE_PPM, None, millis(0));
        for step in 0..20_u64 {
            // A little more or less, every 5 ms.
            let rate = FULL_RATE_PPM + u32::try_from(step % 2).expect("small");
            writer.set_rate(rate, None, millis(10_000 + 5 * step));
        }
        for lag in [5, 50, 100, 200] {
            let behind =
                writer.at(millis(10_095)).position_ns - writer.at(millis(10_095 - lag)).position_ns;
            assert!(behind.abs_diff(lag * 1_000_000) < 1_000, "{lag} ms: {behind} ns");
        }
    }

    #[test]
    fn commits_that_wait_fill_the_sessions_and_no_more() {
        let secs = SimTime::from_secs;
        let mut writer = Writer::from(Mark::default(), secs(0));
        writer.set_rate(FULL_RATE_PPM / 2, None, secs(0));
        writer.set_rate(FULL_RATE_PPM / 2, Some(6_000_000_000), secs(10));
        // Five committed, room for one more at half the rate.
        let at = |at| (writer.at(at).position_ns, writer.at(at).committed_at);
        assert_eq!(at(secs(11)), (5_500_000_000, secs(11)));
        assert_eq!(at(secs(12)), (6_000_000_000, secs(12)));
        assert_eq!(at(secs(90)), (6_000_000_000, secs(12)));
        let mut freed = writer;
        freed.set_rate(FULL_RATE_PPM, None, secs(90));
        assert_eq!(freed.at(secs(91)).position_ns, 7_000_000_000);
        assert_eq!(freed.at(secs(50)).position_ns, 6_000_000_000);
    }

    #[test]
    fn what_is_lost_first_was_committed_when_the_stream_went_on() {
        let secs = SimTime::from_secs;
        let mut writer = Writer::from(Mark::default(), secs(0));
        writer.set_rate(FULL_RATE_PPM, None, secs(0));
        writer.set_rate(0, None, secs(10));
        // Who has what there was then lacks nothing, or what came from then on.
        let left = |writer: &Writer, at| writer.left(secs(at)).map(SimTime::as_secs);
        assert_eq!((left(&writer, 4), left(&writer, 10), left(&writer, 90)), (Some(4), None, None));
        writer.set_rate(FULL_RATE_PPM / 2, Some(20_000_000_000), secs(100));
        // Two rates are remembered: what was before them counts as lost at the moment they began.
        assert_eq!((left(&writer, 4), left(&writer, 50)), (Some(10), Some(100)));
        assert_eq!((left(&writer, 110), left(&writer, 120)), (Some(110), None));
        assert!(!writer.stands(secs(119)) && writer.stands(secs(120)));
    }

    #[test]
    fn units_add_up() {
        let (first, second) =
            (units_between(0, 150_000_000, 10), units_between(150_000_000, 1_000_000_000, 10));
        assert_eq!((first, second), (1, 9));
        assert_eq!(units_between(5, 4, 10), 0);
    }
}
