//! Scalars with units: durations, shares, rates, factors, amounts of bytes.
//!
//! All become integers at once; what cannot be said exactly is refused.

use model_api::memory::Growth;
use model_api::{SimSpan, SimTime};
use serde_json::{Value as Json, json};

use crate::decode::FromText;
use crate::quantity::Quantity;

/// Longest duration that a scenario may name: 100 years, which leaves room for sums.
pub(crate) const SPAN_MAX: SimSpan = SimSpan::from_days(36_525);

/// So many seconds of somebody's file, at most [`SPAN_MAX`]: nothing waits longer in any run, and
/// constructors of spans panic where time ends.
pub(crate) fn span_of_secs(secs: impl Into<u64>) -> SimSpan {
    SimSpan::from_secs(secs.into().min(SPAN_MAX.as_secs()))
}

/// The same of milliseconds.
pub(crate) fn span_of_millis(millis: impl Into<u64>) -> SimSpan {
    SimSpan::from_millis(millis.into().min(SPAN_MAX.as_millis()))
}

impl FromText for SimSpan {
    const EXPECTED: &'static str = "a duration such as 90s, 500ms or 1h 30m";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.chars().all(|letter| letter.is_ascii_digit()) {
            return Err(format!("needs a unit: `{text}s`?"));
        }
        let (days, text) = days_of(text);
        if text.is_empty() {
            let span = Self::from_hours(24).saturating_mul(days);
            return if span > SPAN_MAX {
                Err("is longer than 100 years".to_owned())
            } else {
                Ok(span)
            };
        }
        if text.split(|letter: char| !letter.is_ascii_alphabetic()).any(is_of_calendar) {
            return Err(UNITS.to_owned());
        }
        let duration: jiff::SignedDuration = text.parse().map_err(|error: jiff::Error| {
            let reason = error.to_string();
            let last = reason.rsplit(": ").next().unwrap_or("is no duration");
            // Of other units the parser names types of its own.
            if reason.contains("jiff::") { UNITS.to_owned() } else { last.to_owned() }
        })?;
        if duration.is_negative() {
            return Err("is negative".to_owned());
        }
        let nanos = u64::try_from(duration.as_nanos()).map_err(|_| "is too long".to_owned())?;
        let span =
            Self::from_hours(24).saturating_mul(days).saturating_add(Self::from_nanos(nanos));
        if span > SPAN_MAX { Err("is longer than 100 years".to_owned()) } else { Ok(span) }
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "[a-zA-Z]", "examples": ["90s", "500ms", "1h 30m"]})
    }
}

/// What to write instead of what no length has without a calendar.
const UNITS: &str =
    "units are d, h, m, s, ms, us and ns: a week is 7d, and months and years are days as well";

/// A unit whose length depends on the calendar, or is written in days here.
fn is_of_calendar(word: &str) -> bool {
    let units = ["w", "wk", "wks", "week", "weeks", "mo", "mos", "month", "months"];
    let longer = ["y", "yr", "yrs", "year", "years"];
    units.iter().chain(&longer).any(|unit| unit.eq_ignore_ascii_case(word))
}

/// Whole days at the start, and the rest. Virtual time knows no summer time: a day is 24 hours.
fn days_of(text: &str) -> (u64, &str) {
    let none = (0, text);
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let Ok(days) = text[..digits].parse() else { return none };
    let rest = text[digits..].trim_start();
    let unit =
        rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_alphabetic()).len();
    match &rest[..unit] {
        "d" | "day" | "days" => (days, rest[unit..].trim_start()),
        _ => none,
    }
}

impl FromText for SimTime {
    const EXPECTED: &'static str = "a time since the start such as 10m or 1h 30m";

    fn from_text(text: &str) -> Result<Self, String> {
        if text == "0" {
            return Ok(Self::ZERO);
        }
        SimSpan::from_text(text).map(|span| Self::ZERO + span)
    }

    fn schema() -> Json {
        let mut schema = SimSpan::schema();
        schema["type"] = json!(["string", "integer"]);
        schema
    }
}

/// A share in parts per million, written as `99.9%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    /// Parts per million, at most 1 000 000.
    pub ppm: u32,
}

impl FromText for Share {
    const EXPECTED: &'static str = "a share such as 99.9%";

    fn from_text(text: &str) -> Result<Self, String> {
        let Some(percent) = text.strip_suffix('%') else {
            return Err("needs a percent sign".to_owned());
        };
        let ppm = decimal(percent.trim(), 4)?;
        match u32::try_from(ppm) {
            Ok(ppm) if ppm <= 1_000_000 => Ok(Self { ppm }),
            _ => Err("is more than 100 %".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,4})? ?%$", "examples": ["99.9%"]})
    }
}

/// Events per time, written as `120/s`, `7200/min`, `5/h`, or a bare number per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    /// Per 1000 seconds.
    pub millirps: u64,
}

/// Largest rate: a thousand million a second, far beyond any platform and far below overflow.
const MILLIRPS_MAX: u64 = 1_000_000_000_000;

impl FromText for Rate {
    const EXPECTED: &'static str = "a rate such as 120/s, 7200/min or a number per second";

    fn from_text(text: &str) -> Result<Self, String> {
        let (number, per_secs) = match text.split_once('/') {
            None => (text, 1),
            Some((number, unit)) => {
                let per_secs = match unit.trim() {
                    "s" | "sec" | "second" => 1,
                    "m" | "min" | "minute" => 60,
                    "h" | "hour" => 3600,
                    "d" | "day" => 86_400,
                    other => return Err(format!("`{other}` is no unit of time: s, min, h, d")),
                };
                (number.trim(), per_secs)
            }
        };
        let micro = decimal(number, 6)?;
        // Rounded to a request per 1000 s, half up: finer differences are not observable.
        let millirps = (micro / per_secs + 500) / 1000;
        if micro > 0 && millirps == 0 {
            return Err("is less than one in 1000 s".to_owned());
        }
        if millirps > MILLIRPS_MAX { Err("is too large".to_owned()) } else { Ok(Self { millirps }) }
    }

    fn schema() -> Json {
        json!({"type": ["string", "number"], "examples": ["120/s", "7200/min"]})
    }
}

/// A factor in thousandths, written as `2`, `1.5` or `2x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Factor {
    /// Thousandths.
    pub milli: u64,
}

impl FromText for Factor {
    const EXPECTED: &'static str = "a factor such as 2, 1.5 or 2x";

    fn from_text(text: &str) -> Result<Self, String> {
        let milli = decimal(text.strip_suffix('x').unwrap_or(text), 3)?;
        if milli > 1_000_000 { Err("is more than 1000".to_owned()) } else { Ok(Self { milli }) }
    }

    fn schema() -> Json {
        json!({"type": ["string", "number"], "examples": [2, 1.5, "2x"]})
    }
}

/// Something that is on or off, written as `true` or `false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Whether it is on.
    pub is_on: bool,
}

impl FromText for Switch {
    const EXPECTED: &'static str = "true or false";

    fn from_text(text: &str) -> Result<Self, String> {
        let is_on = text.parse().map_err(|_| "is neither true nor false".to_owned())?;
        Ok(Self { is_on })
    }

    fn schema() -> Json {
        json!({"type": "boolean"})
    }
}

/// An amount of bytes, written as a Kubernetes quantity: `2Mi`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes {
    /// Bytes.
    pub count: u64,
}

impl FromText for Bytes {
    const EXPECTED: &'static str = "an amount of bytes such as 512Mi or 16Gi";

    fn from_text(text: &str) -> Result<Self, String> {
        let quantity = Quantity::parse(text).map_err(|error| error.to_string())?;
        u64::try_from(quantity.ceil())
            .map(|count| Self { count })
            .map_err(|_| "is negative".to_owned())
    }

    fn schema() -> Json {
        json!({"type": ["string", "integer"], "examples": ["512Mi", "16Gi"]})
    }
}

impl FromText for Growth {
    const EXPECTED: &'static str = "an amount of bytes per time such as 5Mi/h";

    fn from_text(text: &str) -> Result<Self, String> {
        let Some((amount, unit)) = text.split_once('/') else {
            return Err("needs a time: 5Mi/h".to_owned());
        };
        let per_day = match unit.trim() {
            "s" | "sec" | "second" => 86_400,
            "m" | "min" | "minute" => 1440,
            "h" | "hour" => 24,
            "d" | "day" => 1,
            other => return Err(format!("`{other}` is no unit of time: s, min, h, d")),
        };
        let bytes_per_day = Bytes::from_text(amount.trim())?.count.checked_mul(per_day);
        bytes_per_day
            .filter(|bytes| *bytes <= BYTES_PER_DAY_MAX)
            .map(|bytes_per_day| Self { bytes_per_day })
            .ok_or_else(|| "is too large".to_owned())
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "/", "examples": ["5Mi/h", "1Gi/d"]})
    }
}

/// Largest growth: 2^57 bytes a day, more than a tebibyte a second, so that sums over all pods fit.
const BYTES_PER_DAY_MAX: u64 = 1 << 57;

/// An amount of CPU, written as a Kubernetes quantity: `500m`, `4`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cpu {
    /// Thousandths of a CPU.
    pub millis: u64,
}

impl FromText for Cpu {
    const EXPECTED: &'static str = "an amount of CPU such as 500m or 4";

    fn from_text(text: &str) -> Result<Self, String> {
        let quantity = Quantity::parse(text).map_err(|error| error.to_string())?;
        u64::try_from(quantity.ceil_millis())
            .map(|millis| Self { millis })
            .map_err(|_| "is negative".to_owned())
    }

    fn schema() -> Json {
        json!({"type": ["string", "number"], "examples": ["500m", 4]})
    }
}

/// Largest exponent of a number: no amount needs more.
const EXPONENT_MAX: u32 = 18;

/// A decimal number times 10^`places`, exactly; `1e3` is one, as YAML has it.
fn decimal(text: &str, places: u32) -> Result<u64, String> {
    if text.starts_with('-') {
        return Err("is negative".to_owned());
    }
    if let Some((mantissa, exponent)) = text.split_once(['e', 'E']) {
        let exponent: u32 = exponent
            .strip_prefix('+')
            .unwrap_or(exponent)
            .parse()
            .ok()
            .filter(|exponent| *exponent <= EXPONENT_MAX)
            .ok_or_else(|| "is no number that fits".to_owned())?;
        return decimal(mantissa, places)?
            .checked_mul(10_u64.pow(exponent))
            .ok_or_else(|| "is too large".to_owned());
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.chars().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return Err("is no number".to_owned());
    }
    if fraction.len() > places as usize {
        return Err(format!("has more than {places} decimal places"));
    }
    let padded = format!("{whole}{fraction:0<width$}", width = places as usize);
    padded.parse().map_err(|_| "is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_become_nanoseconds() {
        let cases = [
            ("90s", Ok(SimSpan::from_secs(90))),
            ("1h 30m", Ok(SimSpan::from_mins(90))),
            ("1h30m", Ok(SimSpan::from_mins(90))),
            ("500ms", Ok(SimSpan::from_millis(500))),
            ("PT1M", Ok(SimSpan::from_secs(60))),
            ("30d", Ok(SimSpan::from_days(30))),
            ("1d 12h", Ok(SimSpan::from_hours(36))),
            ("2 days", Ok(SimSpan::from_hours(48))),
            ("1.5s", Ok(SimSpan::from_millis(1500))),
            ("2 hours", Ok(SimSpan::from_hours(2))),
        ];
        for (text, expected) in cases {
            assert_eq!(SimSpan::from_text(text), expected, "{text}");
        }
        for (text, part) in [
            ("10", "unit"),
            ("-5s", "negative"),
            ("5 parsecs", ""),
            ("", ""),
            ("999999999h", ""),
            ("99999d", "100 years"),
            ("1w", "a week is 7d"),
            ("100y", "a week is 7d"),
            ("1month", "a week is 7d"),
        ] {
            let error = SimSpan::from_text(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn shares_rates_and_factors_are_exact() {
        assert_eq!(Share::from_text("99.95%"), Ok(Share { ppm: 999_500 }));
        assert_eq!(Share::from_text("100 %"), Ok(Share { ppm: 1_000_000 }));
        assert!(Share::from_text("0.999").is_err());
        assert!(Share::from_text("101%").is_err());
        assert!(Share::from_text("99.99999%").is_err());
        assert_eq!(Rate::from_text("120/s"), Ok(Rate { millirps: 120_000 }));
        assert_eq!(Rate::from_text("7200/min"), Ok(Rate { millirps: 120_000 }));
        assert_eq!(Rate::from_text("2.5"), Ok(Rate { millirps: 2_500 }));
        assert_eq!(Rate::from_text("1e3"), Ok(Rate { millirps: 1_000_000 }));
        assert_eq!(Rate::from_text("1.5E+2/min"), Ok(Rate { millirps: 2_500 }));
        for bad in ["1e", "e3", "1e400", "1e-3", "1e18", "1e3e3"] {
            assert!(Rate::from_text(bad).is_err(), "{bad}");
        }
        assert!(Rate::from_text("-1/s").is_err());
        assert!(Rate::from_text("1/fortnight").is_err());
        assert!(Rate::from_text("99999999999999999999/s").is_err());
        assert_eq!(Factor::from_text("1.5x"), Ok(Factor { milli: 1500 }));
        assert_eq!(Bytes::from_text("2Mi"), Ok(Bytes { count: 2 << 20 }));
        assert_eq!(Growth::from_text("5Mi/h"), Ok(Growth { bytes_per_day: 120 << 20 }));
        assert_eq!(Growth::from_text("1Ki / min"), Ok(Growth { bytes_per_day: 1440 << 10 }));
        assert!(Growth::from_text("5Mi").is_err());
        assert!(Growth::from_text("5Mi/week").is_err());
        assert!(Growth::from_text("-5Mi/h").is_err());
        assert!(Growth::from_text("9Ei/s").is_err());
        assert_eq!(Cpu::from_text("0.5"), Ok(Cpu { millis: 500 }));
    }
}
