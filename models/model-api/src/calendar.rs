//! When a schedule falls.
//!
//! Cron expressions mean what they mean to `robfig/cron`: v3, which Velero and Kubernetes use, and v1.2.0,
//! which CloudNativePG uses, agree on this (`spec.go`, `SpecSchedule.Next` and `dayMatches`): when both the day of the month and the day of
//! the week are restricted, either is enough.

use crate::backup::{Cron, Schedule};

const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 1970-01-01 to the start of a run, Monday 2026-01-05, midnight UTC: the same Monday that
/// off-peak hours count their weeks from, with a date so that days of a month mean something.
const EPOCH_DAYS: i64 = 20_458;
/// Days that are looked through for one that fits: eight years hold every 29 February.
const DAYS_MAX: i64 = 8 * 366;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl Schedule {
    /// The first moment after `after` at which it is due, in nanoseconds from the start of the run;
    /// `None` when there is none. `origin` is what a schedule of the form `@every` counts from.
    pub fn next_after(&self, after: i64, origin: i64) -> Option<i64> {
        match self {
            Self::Every(period) if period.is_zero() => None,
            Self::Every(_) if after < origin => Some(origin),
            Self::Every(period) => {
                let period = i64::try_from(period.as_nanos()).ok()?;
                let turns = after.saturating_sub(origin) / period + 1;
                Some(origin.saturating_add(period.saturating_mul(turns)))
            }
            Self::Cron(cron) => {
                let next = cron.next_after(after.div_euclid(NANOS_PER_SECOND))?;
                Some(next.saturating_mul(NANOS_PER_SECOND))
            }
        }
    }
}

impl Cron {
    /// The first second after that one at which it is due, counted from the start of the run;
    /// `None` when there is none (31 February).
    pub fn next_after(&self, second: i64) -> Option<i64> {
        let first = second + 1;
        let first_day = first.div_euclid(SECONDS_PER_DAY);
        for day in first_day..first_day + DAYS_MAX {
            if !falls_on(self, day) {
                continue;
            }
            let from = if day == first_day { first.rem_euclid(SECONDS_PER_DAY) } else { 0 };
            if let Some(second) = second_of_day(self, from) {
                return Some(day * SECONDS_PER_DAY + second);
            }
        }
        None
    }
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
