//! When a schedule falls.
//!
//! Cron expressions mean what they mean to `robfig/cron` v3.0.1 (`spec.go`, `SpecSchedule.Next` and
//! `dayMatches`), which Velero and Kubernetes use; v1.2.0, which CloudNativePG uses, agrees but for
//! midnights that a change of clocks skips. When both the day of the month and the day of the week are restricted,
//! either is enough. Fields are compared with what clocks show: what falls into an hour that is skipped
//! in spring does not happen that day, what falls into one that is repeated in autumn happens twice.

use sim_kernel::SimTime;

use crate::backup::{Cron, Schedule};
use crate::time_zone::TimeZone;

const SECONDS_PER_MINUTE: i64 = 60;
const SECONDS_PER_HOUR: i64 = 3600;
const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 1970-01-01 to the start of a run, Monday 2026-01-05, midnight UTC: the same Monday that
/// off-peak hours count their weeks from, with a date so that days of a month mean something, and
/// summer time.
const EPOCH_DAYS: i64 = 20_458;
/// The start of a run in seconds from 1970-01-01.
pub const RUN_STARTS_UNIX_SECS: i64 = EPOCH_DAYS * SECONDS_PER_DAY;
/// A schedule that is not due in so many years, other than this one, never is (`yearLimit`).
const YEARS_MAX: i64 = 5;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl Schedule {
    /// The same times by the clocks of a time zone; periods know none.
    #[must_use]
    pub fn in_zone(mut self, time_zone: TimeZone) -> Self {
        if let Self::Cron(cron) = &mut self {
            cron.time_zone = time_zone;
        }
        self
    }

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
        let mut hand = Hand { zone: &self.time_zone, second: second + 1, is_at_start: false };
        let last_year = hand.date().year + YEARS_MAX;
        loop {
            if hand.date().year > last_year {
                return None;
            }
            let has_begun_anew = hand.turn_to_month(self)
                || hand.turn_to_day(self)
                || hand.turn_to_hour(self)
                || hand.turn_to(SECONDS_PER_MINUTE, self.minutes)
                || hand.turn_to(1, self.seconds);
            if !has_begun_anew {
                return Some(hand.second);
            }
        }
    }

    fn falls_on(&self, date: Date) -> bool {
        let is_day = self.days >> date.day & 1 == 1;
        let is_weekday = self.weekdays >> date.weekday() & 1 == 1;
        if self.is_any_day || self.is_any_weekday {
            is_day && is_weekday
        } else {
            is_day || is_weekday
        }
    }
}

/// The moment that is looked at, as clocks of a zone show it.
///
/// Each turn moves on to the first value of a field that fits, and says whether a larger field began
/// anew on the way: then that one has to be looked at once more. Steps of an hour and less are steps of
/// time, larger ones are steps of the calendar, as in the source: a change of clocks tells them apart.
struct Hand<'a> {
    zone: &'a TimeZone,
    second: i64,
    /// Smaller fields than the one that was turned are at their start.
    is_at_start: bool,
}

impl Hand<'_> {
    fn local(&self) -> i64 {
        self.zone.local(self.second)
    }

    fn date(&self) -> Date {
        Date::of(self.local().div_euclid(SECONDS_PER_DAY))
    }

    fn hour(&self) -> i64 {
        self.local().rem_euclid(SECONDS_PER_DAY) / SECONDS_PER_HOUR
    }

    /// Goes back to the start of a larger unit, unless the hand is there already.
    fn start_from(&mut self, local: i64) {
        if !std::mem::replace(&mut self.is_at_start, true) {
            self.second = self.zone.moment(local);
        }
    }

    fn turn_to_month(&mut self, cron: &Cron) -> bool {
        while cron.months >> self.date().month & 1 == 0 {
            let local = self.local();
            let past_days = (self.date().day - 1) * SECONDS_PER_DAY;
            self.start_from(local - local.rem_euclid(SECONDS_PER_DAY) - past_days);
            let days = self.date().days_of_month();
            self.second = self.zone.moment(self.local() + days * SECONDS_PER_DAY);
            if self.date().month == 1 {
                return true;
            }
        }
        false
    }

    fn turn_to_day(&mut self, cron: &Cron) -> bool {
        while !cron.falls_on(self.date()) {
            let local = self.local();
            self.start_from(local - local.rem_euclid(SECONDS_PER_DAY));
            self.second = self.zone.moment(self.local() + SECONDS_PER_DAY);
            // Where clocks are changed at midnight, the next midnight is an hour off.
            let hour = self.hour();
            let hours_to_midnight = if hour > 12 { 24 - hour } else { -hour };
            self.second += hours_to_midnight * SECONDS_PER_HOUR;
            if self.date().day == 1 {
                return true;
            }
        }
        false
    }

    fn turn_to_hour(&mut self, cron: &Cron) -> bool {
        while cron.hours >> self.hour() & 1 == 0 {
            let local = self.local();
            self.start_from(local - local.rem_euclid(SECONDS_PER_HOUR));
            let steps = steps_to_next(cron.hours.into(), self.hour(), 24);
            self.step(steps, SECONDS_PER_HOUR);
            if self.hour() == 0 {
                return true;
            }
        }
        false
    }

    /// Takes steps of time, of which no value between fits: all at once, unless clocks change meanwhile.
    fn step(&mut self, steps: i64, unit_secs: i64) {
        let end = self.second + steps * unit_secs;
        let is_steady = self.zone.is_steady(self.second, end);
        self.second = if is_steady { end } else { self.second + unit_secs };
    }

    /// Minutes or seconds, by how many seconds each has.
    fn turn_to(&mut self, unit_secs: i64, values: u64) -> bool {
        let value = |hand: &Self| hand.local().div_euclid(unit_secs).rem_euclid(60);
        while values >> value(self) & 1 == 0 {
            if !std::mem::replace(&mut self.is_at_start, true) {
                self.second -= self.second.rem_euclid(unit_secs);
            }
            self.step(steps_to_next(values, value(self), 60), unit_secs);
            if value(self) == 0 {
                return true;
            }
        }
        false
    }
}

/// How far it is from a value to the next one of a set, or to the first of the next round.
fn steps_to_next(values: u64, value: i64, count: i64) -> i64 {
    let later = values >> value >> 1;
    if later == 0 { count - value } else { i64::from(later.trailing_zeros()) + 1 }
}

/// The month that an instant of a run lies in, in UTC: months since the start of the year 0.
pub fn month_of(at: SimTime) -> u64 {
    let secs = at.as_nanos() / NANOS_PER_SECOND.unsigned_abs();
    let day = i64::try_from(secs / SECONDS_PER_DAY.unsigned_abs()).expect("runs are short");
    let date = Date::of(day);
    u64::try_from(12 * date.year + date.month - 1).expect("runs begin in 2026")
}

/// When such a month begins, in UTC; the start of the run where it began before.
pub fn month_start(month: u64) -> SimTime {
    let month = i64::try_from(month).expect("runs are short");
    // Days are counted as in `Date::of`, months from March.
    let (year, from_march) = (month.div_euclid(12), (month.rem_euclid(12) + 10) % 12);
    let year = if from_march >= 10 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * from_march + 2) / 5;
    let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let day = era * 146_097 + day_of_era - 719_468 - EPOCH_DAYS;
    let secs = u64::try_from(day * SECONDS_PER_DAY).unwrap_or(0);
    SimTime::from_nanos(secs.saturating_mul(NANOS_PER_SECOND.unsigned_abs()))
}

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Date {
    year: i64,
    /// 1 to 12.
    month: i64,
    /// 1 to 31.
    day: i64,
    /// Days since 1970-01-01.
    days: i64,
}

impl Date {
    /// The day so many days after the start of the run. Days are counted from 1 March of a year
    /// divisible by 400, so that leap days come last.
    fn of(day: i64) -> Self {
        let days = day + EPOCH_DAYS;
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Self {
            year: 400 * era + year_of_era + i64::from(month < 3),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            days,
        }
    }

    /// 0 is Sunday: 1970-01-01 was a Thursday.
    fn weekday(self) -> i64 {
        (self.days + 4).rem_euclid(7)
    }

    fn days_of_month(self) -> i64 {
        let is_leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        match self.month {
            2 => 28 + i64::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time_zone::OffsetChange;

    const HOUR: i64 = SECONDS_PER_HOUR;

    fn moment(day: i64, hour: i64, minute: i64) -> i64 {
        day * SECONDS_PER_DAY + hour * HOUR + minute * SECONDS_PER_MINUTE
    }

    /// Minutes ahead of UTC at first, and from such moments on.
    fn zone(ahead: i32, changes: &[(i64, i32)]) -> TimeZone {
        let change = |&(at_secs, ahead)| OffsetChange { at_secs, offset_secs: ahead * 60 };
        TimeZone { offset_secs: ahead * 60, changes: changes.iter().map(change).collect() }
    }

    /// 29 March and 25 October 2026.
    fn berlin() -> TimeZone {
        zone(60, &[(moment(83, 1, 0), 120), (moment(293, 1, 0), 60)])
    }

    /// 8 March and 1 November 2026.
    fn new_york() -> TimeZone {
        zone(-300, &[(moment(62, 7, 0), -240), (moment(300, 6, 0), -300)])
    }

    /// Midnight of day 100 is skipped there.
    fn sao_paulo() -> TimeZone {
        zone(-180, &[(moment(100, 3, 0), -120)])
    }

    /// Half an hour from 2:00 of day 100 on is skipped there.
    fn lord_howe() -> TimeZone {
        zone(630, &[(moment(99, 15, 30), 660)])
    }

    /// At a minute of some hours, every day.
    fn daily(minute: u64, hours: &[u32], time_zone: TimeZone) -> Cron {
        Cron {
            seconds: 1,
            minutes: 1 << minute,
            hours: hours.iter().map(|hour| 1 << hour).sum(),
            days: u32::MAX,
            months: u16::MAX,
            weekdays: u8::MAX,
            is_any_day: true,
            is_any_weekday: true,
            time_zone,
        }
    }

    fn hourly(time_zone: TimeZone) -> Cron {
        Cron { hours: u32::MAX, ..daily(0, &[], time_zone) }
    }

    /// The times after a moment, as day, hour and minute.
    fn check(cron: &Cron, after: i64, expected: &[(i64, i64, i64)]) {
        let mut at = after;
        for (day, hour, minute) in expected {
            at = cron.next_after(at).expect("it is due");
            assert_eq!(at, moment(*day, *hour, *minute), "day {day}: {cron:?}");
        }
    }

    /// `spec_test.go` of robfig/cron, moved to this year.
    #[test]
    fn an_hour_that_is_skipped_is_left_out_and_one_that_is_repeated_counts_twice() {
        let start = moment(82, 0, 0);
        check(&daily(30, &[2], berlin()), start, &[(82, 1, 30), (84, 0, 30)]);
        check(&daily(0, &[3], berlin()), start, &[(82, 2, 0), (83, 1, 0), (84, 1, 0)]);
        check(&hourly(berlin()), moment(83, 0, 1), &[(83, 1, 0), (83, 2, 0)]);
        let start = moment(292, 12, 0);
        check(&daily(30, &[2], berlin()), start, &[(293, 0, 30), (293, 1, 30), (294, 1, 30)]);
        check(&daily(0, &[3], berlin()), start, &[(293, 2, 0), (294, 2, 0)]);
        check(&hourly(berlin()), moment(293, 0, 1), &[(293, 1, 0), (293, 2, 0)]);

        let start = moment(61, 12, 0);
        check(&daily(0, &[1], new_york()), start, &[(62, 6, 0), (63, 5, 0)]);
        check(&daily(0, &[2], new_york()), start, &[(63, 6, 0)]);
        check(&hourly(new_york()), moment(62, 5, 1), &[(62, 6, 0), (62, 7, 0), (62, 8, 0)]);
        let start = moment(299, 12, 0);
        check(&daily(0, &[1], new_york()), start, &[(300, 5, 0), (300, 6, 0), (301, 6, 0)]);
        check(&daily(30, &[2], new_york()), start, &[(300, 7, 30), (301, 7, 30)]);
        check(&daily(30, &[1], new_york()), moment(300, 5, 45), &[(300, 6, 30)]);
        check(&hourly(new_york()), moment(300, 4, 1), &[(300, 5, 0), (300, 6, 0), (300, 7, 0)]);
    }

    /// What the source makes of odd changes, step by step.
    #[test]
    fn midnights_that_are_skipped_and_changes_by_half_an_hour() {
        check(&daily(0, &[0], sao_paulo()), moment(98, 12, 0), &[(99, 3, 0), (101, 2, 0)]);
        // Day 100 is 15 April, the day after it a 16th.
        let on =
            |day: u32| Cron { days: 1 << day, is_any_day: false, ..daily(0, &[9], sao_paulo()) };
        check(&on(15), moment(98, 12, 0), &[(100, 11, 0)]);
        check(&on(16), moment(98, 12, 0), &[(101, 11, 0)]);
        let in_may = Cron { months: 1 << 5, ..daily(0, &[0], sao_paulo()) };
        check(&in_may, moment(98, 12, 0), &[(116, 2, 0)]);
        // Hours are counted on from 2:30 and miss 5:00.
        check(&daily(0, &[5], lord_howe()), moment(98, 0, 0), &[(98, 18, 30), (100, 18, 0)]);
        check(&daily(45, &[5], lord_howe()), moment(98, 20, 0), &[(99, 18, 45), (100, 18, 45)]);
        check(&hourly(lord_howe()), moment(99, 14, 0), &[(99, 14, 30), (99, 16, 0)]);
    }

    #[test]
    fn months_and_leap_days_are_looked_for_five_years() {
        let first = |months: u16| Cron {
            months,
            days: 1 << 1,
            is_any_day: false,
            ..daily(0, &[0], TimeZone::default())
        };
        check(&first(1 << 1), moment(0, 0, 0), &[(361, 0, 0), (726, 0, 0)]);
        check(&first(1 << 12), moment(0, 0, 0), &[(330, 0, 0)]);
        let leap_day = Cron { days: 1 << 29, ..first(1 << 2) };
        check(&leap_day, moment(0, 0, 0), &[(785, 0, 0), (2246, 0, 0)]);
        let never = Cron { days: 1 << 31, ..first(1 << 2) };
        assert_eq!(never.next_after(0), None);
    }

    #[test]
    fn the_calendar_has_its_leap_days() {
        let cases = [
            (0, (1970, 1, 1), 31),
            (EPOCH_DAYS, (2026, 1, 5), 31),
            (11_016, (2000, 2, 29), 29),
            (19_782, (2024, 2, 29), 29),
            (-1, (1969, 12, 31), 31),
            (47_540, (2100, 2, 28), 28),
            (47_541, (2100, 3, 1), 31),
        ];
        for (days, expected, length) in cases {
            let date = Date::of(days - EPOCH_DAYS);
            assert_eq!((date.year, date.month, date.day), expected, "{days}");
            assert_eq!(date.days_of_month(), length, "{days}");
        }
    }
}
