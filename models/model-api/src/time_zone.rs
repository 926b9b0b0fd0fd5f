//! What clocks show in a time zone.
//!
//! Moments and local times are whole seconds, both counted from the start of the run
//! ([`RUN_STARTS_UNIX_SECS`](crate::calendar::RUN_STARTS_UNIX_SECS)): in UTC they are the same number.

/// A time zone: how far its clocks are ahead of UTC, and when that changes.
///
/// The default is UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeZone {
    /// Seconds that clocks are ahead of UTC before the first change.
    pub offset_secs: i32,
    /// When they are set forward or back, the earliest first.
    pub changes: Vec<OffsetChange>,
}

/// Clocks are set to another offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetChange {
    /// The first second that has the new offset.
    pub at_secs: i64,
    /// Seconds ahead of UTC from then on.
    pub offset_secs: i32,
}

impl TimeZone {
    /// What clocks show at a moment.
    pub fn local(&self, second: i64) -> i64 {
        second + self.offset_at(second)
    }

    /// The moment at which clocks show a local time.
    ///
    /// A time that is skipped or shown twice has more than one answer: it is the one of Go, whose
    /// programs read the schedules (`src/time/time.go`, `Date`, Go 1.25). The offset is looked up
    /// as if the local time were UTC, and again where that is on the other side of a change.
    pub fn moment(&self, local: i64) -> i64 {
        let (guess, turn) = self.period(local);
        // Without an offset nothing is looked up again.
        if guess == 0 || self.period(local - guess).1 == turn {
            return local - guess;
        }
        local - self.offset_at(local - guess)
    }

    /// Every moment at which clocks show a local time: none when it is skipped, two when it is repeated.
    pub fn moments(&self, local: i64) -> impl Iterator<Item = i64> + use<> {
        // Between the two no zone changes its clocks twice.
        const DAY: i64 = 86_400;
        let mut found = [local - DAY, local + DAY].map(|near| local - self.offset_at(near));
        found.sort_unstable();
        let is_shown = found.map(|at| self.local(at) == local);
        let is_other = found[0] != found[1];
        let kept = [is_shown[0], is_shown[1] && is_other];
        found.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(at, _)| at)
    }

    /// Whether clocks are not changed after one moment and up to another.
    pub(crate) fn is_steady(&self, from: i64, until: i64) -> bool {
        self.changes.is_empty() || self.period(from).1 == self.period(until).1
    }

    fn offset_at(&self, second: i64) -> i64 {
        self.period(second).0
    }

    /// The offset of a moment, and how many changes were before.
    fn period(&self, second: i64) -> (i64, usize) {
        let turn = self.changes.partition_point(|change| change.at_secs <= second);
        let offset = match turn.checked_sub(1) {
            Some(last) => self.changes[last].offset_secs,
            None => self.offset_secs,
        };
        (i64::from(offset), turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    /// Clocks are set forward at hour 100 and back at hour 200, by an hour; all in hours.
    fn zone(standard: i32) -> TimeZone {
        let change = |hour, ahead| OffsetChange { at_secs: hour * HOUR, offset_secs: ahead * 3600 };
        let changes = vec![change(100, standard + 1), change(200, standard)];
        TimeZone { offset_secs: standard * 3600, changes }
    }

    /// Moments of local times, in hours; `x` of a hundred is a half.
    fn moments(zone: &TimeZone, locals: [i64; 5]) -> [i64; 5] {
        locals.map(|local| zone.moment(local * HOUR) / HOUR)
    }

    #[test]
    fn clocks_are_ahead_of_utc_or_behind_it() {
        assert_eq!(TimeZone::default().local(5), 5);
        assert_eq!(TimeZone::default().moment(-5), -5);
        let east = zone(1);
        assert_eq!(
            [99, 100, 199, 200].map(|at| east.local(at * HOUR) / HOUR),
            [100, 102, 201, 201]
        );
        let west = zone(-5);
        assert_eq!([99, 100, 199, 200].map(|at| west.local(at * HOUR) / HOUR), [94, 96, 195, 195]);
    }

    /// East of Greenwich a local time that does not exist counts by the old offset and one that is there
    /// twice is the second; to the west it is the other way round.
    #[test]
    fn times_that_are_skipped_or_repeated_are_those_of_go() {
        assert_eq!(moments(&zone(1), [100, 101, 102, 201, 202]), [99, 100, 100, 200, 201]);
        assert_eq!(moments(&zone(0), [99, 100, 101, 200, 201]), [99, 100, 100, 200, 201]);
        assert_eq!(moments(&zone(-5), [94, 95, 96, 195, 196]), [99, 99, 100, 199, 201]);
    }

    #[test]
    fn clocks_show_a_time_never_once_or_twice() {
        let shown = |local: i64| -> Vec<i64> {
            zone(1).moments(local * HOUR).map(|at| at / HOUR).collect()
        };
        assert_eq!([100, 101, 102].map(shown), [vec![99], vec![], vec![100]]);
        assert_eq!([200, 201, 202].map(shown), [vec![198], vec![199, 200], vec![201]]);
    }
}
