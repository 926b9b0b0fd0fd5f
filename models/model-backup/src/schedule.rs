//! When something is due next.

use model_api::backup::Schedule;

use crate::stamp::Stamp;

/// Most times of a timetable: two months of every quarter of an hour are 5,760.
const TIMES_MAX: usize = 8_192;

/// The first moment after `now` at which it is due; `None` when there is none (31 February).
///
/// `origin` is what a schedule of the form `@every` counts from.
pub fn next_after(schedule: &Schedule, now: Stamp, origin: Stamp) -> Option<Stamp> {
    schedule.next_after(now.nanos(), origin.nanos()).map(Stamp::from_nanos)
}

/// The first times of a schedule, worked out once for all runs; later ones when they are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Timetable(Vec<Stamp>);

impl Timetable {
    /// Times after `origin` and no later than `until`.
    pub(crate) fn new(schedule: &Schedule, origin: Stamp, until: Stamp) -> Self {
        let next = |at: &Stamp| next_after(schedule, *at, origin);
        let times = std::iter::successors(next(&origin), next).take_while(|at| *at <= until);
        Self(times.take(TIMES_MAX).collect())
    }

    /// What [`next_after`] says of the same schedule and origin, for a moment that is no earlier.
    pub(crate) fn next_after(
        &self,
        schedule: &Schedule,
        now: Stamp,
        origin: Stamp,
    ) -> Option<Stamp> {
        let passed = self.0.partition_point(|at| *at <= now);
        self.0.get(passed).copied().or_else(|| next_after(schedule, now, origin))
    }
}

#[cfg(test)]
mod tests {
    use model_api::backup::Cron;
    use model_api::time_zone::TimeZone;
    use sim_kernel::SimSpan;

    use super::*;

    const NANOS_PER_SECOND: i64 = 1_000_000_000;

    const ALL: u64 = (1 << 60) - 1;

    fn daily() -> Cron {
        Cron {
            seconds: 1,
            minutes: 1,
            hours: 1 << 2,
            days: u32::MAX,
            months: u16::MAX,
            weekdays: u8::MAX,
            is_any_day: true,
            is_any_weekday: true,
            time_zone: TimeZone::default(),
        }
    }

    fn hours(stamp: Option<Stamp>) -> i64 {
        stamp.expect("it comes").nanos() / (3600 * NANOS_PER_SECOND)
    }

    fn next_of_cron(cron: &Cron, now: Stamp) -> Option<Stamp> {
        next_after(&Schedule::Cron(cron.clone()), now, Stamp::ZERO)
    }

    fn at_hour(hour: i64) -> Stamp {
        Stamp::from_nanos(hour * 3600 * NANOS_PER_SECOND)
    }

    #[test]
    fn cron_is_read_as_its_library_reads_it() {
        let weekly = Cron { weekdays: 1 << 1, is_any_weekday: false, ..daily() };
        let first = Cron { days: 1 << 1, is_any_day: false, ..daily() };
        let either = Cron { weekdays: 1 << 1, is_any_weekday: false, ..first.clone() };
        // The run starts on Monday, 5 January: its 27th day from zero is 1 February, a Sunday.
        let cases = [
            (daily(), -1, 2),
            (daily(), 2, 26),
            (daily(), -30, -22),
            (weekly, 2, 7 * 24 + 2),
            (first.clone(), 0, 27 * 24 + 2),
            (first, 27 * 24 + 2, 55 * 24 + 2),
            (either.clone(), 2, 7 * 24 + 2),
            (either, 21 * 24 + 2, 27 * 24 + 2),
            (Cron { hours: u32::MAX, ..daily() }, 5, 6),
        ];
        for (cron, now, expected) in cases {
            assert_eq!(hours(next_of_cron(&cron, at_hour(now))), expected, "{cron:?} {now}");
        }
        let often = Cron { seconds: ALL, minutes: ALL, hours: u32::MAX, ..daily() };
        let next = next_of_cron(&often, Stamp::from_nanos(5)).expect("every second");
        assert_eq!(next.nanos(), NANOS_PER_SECOND);
        let never = Cron { days: 1 << 31, months: 1 << 2, is_any_day: false, ..daily() };
        assert_eq!(next_of_cron(&never, Stamp::ZERO), None);
    }

    #[test]
    fn a_timetable_says_what_its_schedule_does() {
        let often = Cron { minutes: 1 | 1 << 7, hours: u32::MAX, ..daily() };
        let schedules = [
            Schedule::Cron(daily()),
            Schedule::Cron(often),
            Schedule::Every(SimSpan::from_mins(37)),
            Schedule::Every(SimSpan::from_days(90)),
            Schedule::Every(SimSpan::ZERO),
        ];
        let origin = at_hour(-100);
        for schedule in schedules {
            // It ends before the moments that are asked about do.
            let table = Timetable::new(&schedule, origin, at_hour(-20));
            for minute in -100 * 60..30 * 60 {
                let now = Stamp::from_nanos(minute * 60 * NANOS_PER_SECOND);
                let expected = next_after(&schedule, now, origin);
                assert_eq!(table.next_after(&schedule, now, origin), expected, "{schedule:?}");
            }
        }
    }

    #[test]
    fn a_period_counts_from_its_origin() {
        let every = Schedule::Every(SimSpan::from_hours(6));
        let cases = [(-10, -7, -7), (-4, -7, -1), (-100, -7, -7), (-7, -7, -1)];
        for (now, origin, expected) in cases {
            let next = next_after(&every, at_hour(now), at_hour(origin));
            assert_eq!(hours(next), expected, "{now} from {origin}");
        }
        assert_eq!(next_after(&Schedule::Every(SimSpan::ZERO), Stamp::ZERO, Stamp::ZERO), None);
    }
}
