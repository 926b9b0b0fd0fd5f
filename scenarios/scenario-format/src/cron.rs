//! Cron expressions, as `robfig/cron` reads them (`parser.go`, `spec.go`): Velero and Kubernetes use
//! v3.0.1, CloudNativePG v1.2.0.

use std::str::FromStr as _;

use model_api::SimSpan;
use model_api::backup::{Cron, Schedule};
use model_api::time_zone::TimeZone;
use serde_json::{Value as Json, json};

use crate::decode::FromText;
use crate::time_zone;

/// A schedule, written as a cron expression (with or without seconds), a word such as `@daily`, or a
/// period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronText {
    /// When it is due.
    pub schedule: Schedule,
}

impl FromText for CronText {
    const EXPECTED: &'static str = "a schedule such as \"0 2 * * *\", @daily or 6h";

    fn from_text(text: &str) -> Result<Self, String> {
        let (_, times) = split_zone(text);
        let schedule = match times.split_whitespace().count() {
            6 => parse(text, 6),
            5 => parse(text, 5),
            _ if times.starts_with('@') || times.len() < text.len() => parse(text, 5),
            _ => period(text),
        }?;
        Ok(Self { schedule })
    }

    fn schema() -> Json {
        let examples = ["0 2 * * *", "CRON_TZ=Europe/Berlin 0 2 * * *", "@daily", "6h"];
        json!({"type": "string", "minLength": 1, "examples": examples})
    }
}

fn period(text: &str) -> Result<Schedule, String> {
    let span = SimSpan::from_text(text)?;
    if span < SimSpan::from_secs(1) {
        Err("is shorter than a second".to_owned())
    } else {
        Ok(Schedule::Every(span))
    }
}

/// The time zone that a schedule begins with, if any, and what follows it. Of a program's own clock
/// (`Local`, or none) it is taken that it shows UTC, as clocks of containers do.
pub(crate) fn split_zone(text: &str) -> (Option<&str>, &str) {
    let text = text.trim();
    let zone = text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ="));
    let Some(zone) = zone else { return (None, text) };
    let (zone, times) = zone.split_once(' ').unwrap_or((zone, ""));
    ((zone != "Local").then_some(zone), times.trim_start())
}

/// Reads an expression of so many fields: six begin with seconds.
///
/// # Errors
/// What is wrong, as a fragment without the text.
pub(crate) fn parse(text: &str, field_count: usize) -> Result<Schedule, String> {
    let (zone, times) = split_zone(text);
    let time_zone = zone.map(time_zone::named).transpose()?.unwrap_or_default();
    times_of(times, field_count).map(|schedule| schedule.in_zone(time_zone))
}

/// Reads an expression without a time zone.
fn times_of(text: &str, field_count: usize) -> Result<Schedule, String> {
    if let Some(word) = text.strip_prefix('@') {
        return descriptor(word);
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != field_count {
        return Err(format!("has {} fields, where {field_count} are wanted", fields.len()));
    }
    let (seconds, fields) =
        if field_count == 6 { (fields[0], &fields[1..]) } else { ("0", &fields[..]) };
    let narrow = |bits: u64| u32::try_from(bits).expect("checked against its bounds");
    Ok(Schedule::Cron(Cron {
        seconds: bits(seconds, 0, 59, &[])?,
        minutes: bits(fields[0], 0, 59, &[])?,
        hours: narrow(bits(fields[1], 0, 23, &[])?),
        days: narrow(bits(fields[2], 1, 31, &[])?),
        months: u16::try_from(bits(fields[3], 1, 12, &MONTHS)?).expect("twelve bits"),
        // Sunday is 0 and never 7, other than in other crons (`parser.go`, `dow`).
        weekdays: u8::try_from(bits(fields[4], 0, 6, &WEEKDAYS)?).expect("seven bits"),
        is_any_day: is_any(fields[2]),
        is_any_weekday: is_any(fields[4]),
        time_zone: TimeZone::default(),
    }))
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

fn descriptor(word: &str) -> Result<Schedule, String> {
    if let Some(span) = word.strip_prefix("every ") {
        return period(span.trim());
    }
    let fields = match word {
        "yearly" | "annually" => "0 0 1 1 *",
        "monthly" => "0 0 1 * *",
        "weekly" => "0 0 * * 0",
        "daily" | "midnight" => "0 0 * * *",
        "hourly" => "0 * * * *",
        _ => return Err(format!("`@{word}` is no word for a schedule")),
    };
    times_of(fields, 5)
}

/// Whether a field says nothing of its unit: a star with no step, or a step of one (`parser.go`,
/// `getRange`, which sets the star bit).
fn is_any(field: &str) -> bool {
    field.split(',').any(|part| {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        matches!(range, "*" | "?") && u64::from_str(step) == Ok(1)
    })
}

/// The values of a field, as bits.
fn bits(field: &str, least: u64, most: u64, names: &[&str]) -> Result<u64, String> {
    let first = if names.len() == 12 { 1 } else { 0 };
    let value = |text: &str| -> Result<u64, String> {
        let lower = text.to_ascii_lowercase();
        if let Some(idx) = names.iter().position(|name| *name == lower) {
            return Ok(first + idx as u64);
        }
        let number = u64::from_str(text).map_err(|_| format!("`{text}` is no number"))?;
        if (least..=most).contains(&number) {
            Ok(number)
        } else {
            Err(format!("{number} is not within {least} to {most}"))
        }
    };
    let mut all = 0;
    for part in field.split(',') {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let step = u64::from_str(step).ok().filter(|step| *step > 0);
        let step = step.ok_or_else(|| format!("`{part}` has no step that counts"))?;
        let (from, until) = match range {
            "*" | "?" => (least, most),
            _ => match range.split_once('-') {
                Some((from, until)) => (value(from)?, value(until)?),
                // `5/15` goes on to the end.
                None if part.contains('/') => (value(range)?, most),
                None => (value(range)?, value(range)?),
            },
        };
        if from > until {
            return Err(format!("`{range}` ends before it begins"));
        }
        let mut next = Some(from);
        while let Some(at) = next.filter(|at| *at <= until) {
            all |= 1 << at;
            next = at.checked_add(step);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(text: &str) -> Cron {
        match CronText::from_text(text).map(|it| it.schedule) {
            Ok(Schedule::Cron(cron)) => cron,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn expressions_are_read() {
        let daily = cron("0 2 * * *");
        assert_eq!((daily.seconds, daily.minutes, daily.hours), (1, 1, 4));
        assert!(daily.is_any_day && daily.is_any_weekday);
        let with_seconds = cron("30 0 2 * * *");
        assert_eq!((with_seconds.seconds, with_seconds.hours), (1 << 30, 4));
        assert_eq!(cron("*/15 * * * *").minutes, 1 | 1 << 15 | 1 << 30 | 1 << 45);
        assert_eq!(cron("0 0 1,15 jan-mar MON-FRI").weekdays, 0b11_1110);
        assert_eq!(cron("0 0 1,15 jan-mar ?").months, 0b1110);
        assert_eq!(cron("0 0 * * 0").weekdays, 1);
        let is_any_day = ["*", "?", "*/1", "3,*", "*/2", "1-31"]
            .map(|days| cron(&format!("0 0 {days} * 1")).is_any_day);
        assert_eq!(is_any_day, [true, true, true, true, false, false]);
        let once = cron("0 0 5/18446744073709551615 * *").days;
        assert_eq!(once, 1 << 5, "a step beyond the end ends there");
        assert_eq!(cron("@daily"), cron("0 0 * * *"));
        let every = CronText::from_text("@every 1h30m").map(|it| it.schedule);
        assert_eq!(every, Ok(Schedule::Every(SimSpan::from_mins(90))));
        assert_eq!(
            CronText::from_text("6h").map(|it| it.schedule),
            Ok(Schedule::Every(SimSpan::from_hours(6)))
        );
    }

    #[test]
    fn a_time_zone_comes_first() {
        let utc = cron("0 2 * * *");
        let berlin = Cron { time_zone: time_zone::named("Europe/Berlin").expect("it is"), ..utc };
        let written = ["CRON_TZ=Europe/Berlin 0 2 * * *", " TZ=Europe/Berlin  0 0 2 * * * "];
        assert_eq!(written.map(cron), [berlin.clone(), berlin]);
        assert_eq!(cron("TZ=Local 0 2 * * *"), cron("TZ=UTC 0 2 * * *"));
        assert_eq!(cron("TZ=Asia/Tokyo @daily").time_zone.local(0), 9 * 3600);
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("61 * * * *", "61 is not within"),
            ("* * *", "expected duration"),
            ("0 0 0 * *", "0 is not within 1"),
            ("0 0 * * 7", "7 is not within 0 to 6"),
            ("0 0 * * fri-7", "7 is not within 0 to 6"),
            ("@fortnightly", "no word"),
            ("5-1 * * * *", "ends before"),
            ("*/0 * * * *", "no step"),
            ("x * * * *", "no number"),
            ("TZ=Europe/Berln 0 2 * * *", "did you mean `Europe/Berlin`?"),
            ("TZ=Europe/Berlin", "has 0 fields"),
            ("TZ=Europe/Berlin 6h", "has 1 fields"),
        ];
        for (text, part) in cases {
            let error = CronText::from_text(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
