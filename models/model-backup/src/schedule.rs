//! When something is due next.
//!
//! Cron expressions mean what they mean to `robfig/cron` v3, which both Velero and CloudNativePG use
//! (`spec.go`, `SpecSchedule.Next` and `dayMatches`): when both the day of the month and the day of
//! the week are restricted, either is enough.

use model_api::backup::{Cron, Schedule};
use sim_kernel::SimSpan;

use crate::stamp::Stamp;

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// Days from 1970-01-01 to the start of a run, Monday 2026-01-05, midnight UTC: the same Monday that
/// off-peak hours count their weeks from, with a date so that days of a month mean something.
const EPOCH_DAYS: i64 = 20_458;
/// Days that are looked through for one that fits: eight years hold every 29 February.
const DAYS_MAX: i64 = 8 * 366;

/// The first moment after `now` at which it is due; `None` when there is none (31 February).
///
/// `origin` is what a schedule of the form `@every` counts from.
pub fn next_after(schedule: &Schedule, now: Stamp, origin: Stamp) -> Option<Stamp> {
    match schedule {
        Schedule::Every(period) if period.is_zero() => None,
        Schedule::Every(period) => {
            let turns = now.since(origin).as_nanos() / period.as_nanos() + 1;
            let turns = if now < origin { 0 } else { turns };
            Some(origin.plus(SimSpan::from_nanos(period.as_nanos().saturating_mul(turns))))
        }
        Schedule::Cron(cron) => next_of_cron(cron, now),
    }
}

fn next_of_cron(cron: &Cron, now: Stamp) -> Option<Stamp> {
    let first = now.nanos().div_euclid(NANOS_PER_SECOND) + 1;
    let first_day = first.div_euclid(SECONDS_PER_DAY);
    for day in first_day..first_day + DAYS_MAX {
        if !falls_on(cron, day) {
            continue;
        }
        let from = if day == first_day { first.rem_euclid(SECONDS_PER_DAY) } else { 0 };
        if let Some(second) = second_of_day(cron, from) {
            let seconds = day * SECONDS_PER_DAY + second;
            return Some(Stamp::from_nanos(seconds.saturating_mul(NANOS_PER_SECOND)));
        }
    }
    None
}

/// Whether a day, counted from the start of the run, fits.
fn falls_on(cron: &Cron, day: i64) -> bool {
    let (month, day_of_month) = civil(day + EPOCH_DAYS);
    if cron.months >> month & 1 == 0 {
        return false;
    }
    // 1970-01-01 was a Thursday, day 4 of a week that begins on Sunday.
    let weekday = (day + EPOCH_DAYS + 4).rem_euclid(7);
    let is_day = cron.days >> day_of_month & 1 == 1;
    let is_weekday = cron.weekdays >> weekday & 1 == 1;
    if cron.is_any_day || cron.is_any_weekday { is_day && is_weekday } else { is_day || is_weekday }
}

/// The first second of the day, not before `from`, that fits.
fn second_of_day(cron: &Cron, from: i64) -> Option<i64> {
    let (hour, minute, second) = (from / 3600, from / 60 % 60, from % 60);
    let next = |bits: u64, from: i64| (from..60).find(|value| bits >> value & 1 == 1);
    for at_hour in hour..24 {
        if cron.hours >> at_hour & 1 == 0 {
            continue;
        }
        let mut minutes_from = if at_hour == hour { minute } else { 0 };
        while let Some(at_minute) = next(cron.minutes, minutes_from) {
            let is_first = at_hour == hour && at_minute == minute;
            if let Some(at_second) = next(cron.seconds, if is_first { second } else { 0 }) {
                return Some(at_hour * 3600 + at_minute * 60 + at_second);
            }
            minutes_from = at_minute + 1;
        }
    }
    None
}

/// Month and day of a day counted from 1970-01-01, in the Gregorian calendar: the days are counted
/// from 1 March of a year divisible by 400, so that leap days come last.
fn civil(days: i64) -> (u32, u32) {
    let shifted = days + 719_468;
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let small = |value: i64| u32::try_from(value).expect("a month or a day of it");
    (small(month), small(day))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        }
    }

    fn hours(stamp: Option<Stamp>) -> i64 {
        stamp.expect("it comes").nanos() / (3600 * NANOS_PER_SECOND)
    }

    fn at_hour(hour: i64) -> Stamp {
        Stamp::from_nanos(hour * 3600 * NANOS_PER_SECOND)
    }

    #[test]
    fn cron_is_read_as_its_library_reads_it() {
        let weekly = Cron { weekdays: 1 << 1, is_any_weekday: false, ..daily() };
        let first = Cron { days: 1 << 1, is_any_day: false, ..daily() };
        let either = Cron { weekdays: 1 << 1, is_any_weekday: false, ..first };
        // The run starts on Monday, 5 January: its 27th day from zero is 1 February, a Sunday.
        let cases = [
            (daily(), -1, 2),
            (daily(), 2, 26),
            (daily(), -30, -22),
            (weekly, 2, 7 * 24 + 2),
            (first, 0, 27 * 24 + 2),
            (first, 27 * 24 + 2, 55 * 24 + 2),
            (either, 2, 7 * 24 + 2),
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
    fn a_period_counts_from_its_origin() {
        let every = Schedule::Every(SimSpan::from_hours(6));
        let cases = [(-10, -7, -7), (-4, -7, -1), (-100, -7, -7), (-7, -7, -1)];
        for (now, origin, expected) in cases {
            let next = next_after(&every, at_hour(now), at_hour(origin));
            assert_eq!(hours(next), expected, "{now} from {origin}");
        }
        assert_eq!(next_after(&Schedule::Every(SimSpan::ZERO), Stamp::ZERO, Stamp::ZERO), None);
    }

    #[test]
    fn the_calendar_has_its_leap_days() {
        let cases = [
            (0, (1, 1)),
            (EPOCH_DAYS, (1, 5)),
            (11_016, (2, 29)),
            (19_782, (2, 29)),
            (-1, (12, 31)),
        ];
        for (days, expected) in cases {
            assert_eq!(civil(days), expected, "{days}");
        }
    }
}
