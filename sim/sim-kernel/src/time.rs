//! Virtual time: instants and spans in whole nanoseconds.
//!
//! Promises: integers only, so that time compares, adds and hashes alike everywhere;
//! arithmetic that would leave the 584 years of a `u64` panics with a message rather
//! than wrapping; `f64` comes out only for statistics.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};

const NANOS_PER_MICRO: u64 = 1_000;
const NANOS_PER_MILLI: u64 = 1_000_000;
const NANOS_PER_SEC: u64 = 1_000_000_000;
const SECS_PER_MIN: u64 = 60;
const SECS_PER_HOUR: u64 = 3_600;
const SECS_PER_DAY: u64 = 86_400;

/// A moment of virtual time: nanoseconds since the simulation started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(u64);

/// A length of virtual time in nanoseconds; never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimSpan(u64);

/// `count * nanos_per_unit`, refusing to wrap. `const` so that models may write constants.
const fn scaled(count: u64, nanos_per_unit: u64) -> u64 {
    match count.checked_mul(nanos_per_unit) {
        Some(nanos) => nanos,
        None => panic!("virtual time overflows 584 years"),
    }
}

/// Constructors and readers that instants and spans have in common.
macro_rules! nanosecond_count {
    ($type:ident) => {
        impl $type {
            #[doc = concat!("`", stringify!($type), "` of nought nanoseconds.")]
            pub const ZERO: Self = Self(0);
            /// The largest value there is, 584 years; used as "never".
            pub const MAX: Self = Self(u64::MAX);

            /// From nanoseconds.
            pub const fn from_nanos(nanos: u64) -> Self {
                Self(nanos)
            }

            /// From microseconds. Panics beyond 584 years.
            pub const fn from_micros(micros: u64) -> Self {
                Self(scaled(micros, NANOS_PER_MICRO))
            }

            /// From milliseconds. Panics beyond 584 years.
            pub const fn from_millis(millis: u64) -> Self {
                Self(scaled(millis, NANOS_PER_MILLI))
            }

            /// From seconds. Panics beyond 584 years.
            pub const fn from_secs(secs: u64) -> Self {
                Self(scaled(secs, NANOS_PER_SEC))
            }

            /// From minutes. Panics beyond 584 years.
            pub const fn from_mins(mins: u64) -> Self {
                Self(scaled(mins, SECS_PER_MIN * NANOS_PER_SEC))
            }

            /// From hours. Panics beyond 584 years.
            pub const fn from_hours(hours: u64) -> Self {
                Self(scaled(hours, SECS_PER_HOUR * NANOS_PER_SEC))
            }

            /// From days of 24 hours. Panics beyond 584 years.
            pub const fn from_days(days: u64) -> Self {
                Self(scaled(days, SECS_PER_DAY * NANOS_PER_SEC))
            }

            /// In nanoseconds.
            pub const fn as_nanos(self) -> u64 {
                self.0
            }

            /// In whole milliseconds, rounded down.
            pub const fn as_millis(self) -> u64 {
                self.0 / NANOS_PER_MILLI
            }

            /// In whole seconds, rounded down.
            pub const fn as_secs(self) -> u64 {
                self.0 / NANOS_PER_SEC
            }

            /// In seconds. For statistics and display only: nothing may be ordered by it.
            pub fn as_secs_f64(self) -> f64 {
                self.0 as f64 / NANOS_PER_SEC as f64
            }
        }
    };
}

nanosecond_count!(SimTime);
nanosecond_count!(SimSpan);

impl SimTime {
    /// `self + span`, or `None` beyond the end of time.
    pub const fn checked_add(self, span: SimSpan) -> Option<Self> {
        match self.0.checked_add(span.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// `self - span`, or `None` before the start.
    pub const fn checked_sub(self, span: SimSpan) -> Option<Self> {
        match self.0.checked_sub(span.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// `self + span`, or [`SimTime::MAX`] ("never") beyond the end of time.
    pub const fn saturating_add(self, span: SimSpan) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// `self - span`, or the start.
    pub const fn saturating_sub(self, span: SimSpan) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// The span since `earlier`, or `None` when `earlier` is in fact later.
    pub const fn checked_since(self, earlier: SimTime) -> Option<SimSpan> {
        match self.0.checked_sub(earlier.0) {
            Some(nanos) => Some(SimSpan(nanos)),
            None => None,
        }
    }

    /// The span since `earlier`, or nought when `earlier` is in fact later.
    pub const fn saturating_since(self, earlier: SimTime) -> SimSpan {
        SimSpan(self.0.saturating_sub(earlier.0))
    }

    /// The first moment at or after `self` that is `phase` after a multiple of `period`.
    ///
    /// This is how a periodic thing is computed instead of simulated: the next tick
    /// follows from the period and the phase. Panics when `period` is zero or the tick
    /// lies beyond the end of time.
    pub const fn next_tick(self, period: SimSpan, phase: SimSpan) -> Self {
        assert!(period.0 > 0, "a period must be longer than nothing");
        let offset = phase.0 % period.0;
        let beyond = (self.0 % period.0 + (period.0 - offset)) % period.0;
        if beyond == 0 {
            return self;
        }
        match self.0.checked_add(period.0 - beyond) {
            Some(nanos) => Self(nanos),
            None => panic!("the next tick lies beyond the end of virtual time"),
        }
    }
}

impl SimSpan {
    /// Whether this is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `self + other`, or `None` beyond 584 years.
    pub const fn checked_add(self, other: SimSpan) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// `self - other`, or `None` when it would be negative.
    pub const fn checked_sub(self, other: SimSpan) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// `self * factor`, or `None` beyond 584 years.
    pub const fn checked_mul(self, factor: u64) -> Option<Self> {
        match self.0.checked_mul(factor) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// `self + other`, or [`SimSpan::MAX`].
    pub const fn saturating_add(self, other: SimSpan) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// `self - other`, or nought.
    pub const fn saturating_sub(self, other: SimSpan) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `self * factor`, or [`SimSpan::MAX`].
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// The span of `secs` seconds, rounded to the nearest nanosecond, ties to even;
    /// negative and NaN become nought, too large becomes [`SimSpan::MAX`].
    /// For results of distributions only.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates and maps NaN to 0, which is what is promised here"
    )]
    pub fn from_secs_f64_rounded(secs: f64) -> Self {
        Self((secs * NANOS_PER_SEC as f64).round_ties_even() as u64)
    }
}

impl Add<SimSpan> for SimTime {
    type Output = SimTime;
    fn add(self, span: SimSpan) -> SimTime {
        self.checked_add(span).expect("SimTime + SimSpan leaves the 584 years of virtual time")
    }
}

impl Sub<SimSpan> for SimTime {
    type Output = SimTime;
    fn sub(self, span: SimSpan) -> SimTime {
        self.checked_sub(span).expect("SimTime - SimSpan lies before the start of virtual time")
    }
}

impl Sub for SimTime {
    type Output = SimSpan;
    fn sub(self, earlier: SimTime) -> SimSpan {
        self.checked_since(earlier).expect("SimTime - SimTime would be a negative span")
    }
}

impl Add for SimSpan {
    type Output = SimSpan;
    fn add(self, other: SimSpan) -> SimSpan {
        self.checked_add(other).expect("SimSpan + SimSpan exceeds 584 years")
    }
}

impl Sub for SimSpan {
    type Output = SimSpan;
    fn sub(self, other: SimSpan) -> SimSpan {
        self.checked_sub(other).expect("SimSpan - SimSpan would be negative")
    }
}

impl std::ops::Mul<u64> for SimSpan {
    type Output = SimSpan;
    fn mul(self, factor: u64) -> SimSpan {
        self.checked_mul(factor).expect("SimSpan * factor exceeds 584 years")
    }
}

impl std::ops::Div<u64> for SimSpan {
    type Output = SimSpan;
    /// Rounded down. Panics when `divisor` is zero.
    fn div(self, divisor: u64) -> SimSpan {
        SimSpan(self.0 / divisor)
    }
}

impl AddAssign<SimSpan> for SimTime {
    fn add_assign(&mut self, span: SimSpan) {
        *self = *self + span;
    }
}

impl AddAssign for SimSpan {
    fn add_assign(&mut self, other: SimSpan) {
        *self = *self + other;
    }
}

impl SubAssign for SimSpan {
    fn sub_assign(&mut self, other: SimSpan) {
        *self = *self - other;
    }
}

impl std::iter::Sum for SimSpan {
    fn sum<I: Iterator<Item = SimSpan>>(spans: I) -> SimSpan {
        spans.fold(SimSpan::ZERO, |total, span| total + span)
    }
}

/// Writes the part below a second: at least milliseconds, as many digits as are needed.
fn write_fraction(f: &mut fmt::Formatter<'_>, nanos: u64) -> fmt::Result {
    let fraction = nanos % NANOS_PER_SEC;
    if fraction.is_multiple_of(NANOS_PER_MILLI) {
        write!(f, ".{:03}", fraction / NANOS_PER_MILLI)
    } else if fraction.is_multiple_of(NANOS_PER_MICRO) {
        write!(f, ".{:06}", fraction / NANOS_PER_MICRO)
    } else {
        write!(f, ".{fraction:09}")
    }
}

/// `01:02:03.250`, from a day on `2d 01:02:03.250`. Exact: no digit is rounded away.
impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.as_secs();
        let days = secs / SECS_PER_DAY;
        if days > 0 {
            write!(f, "{days}d ")?;
        }
        let (hours, mins) = (secs % SECS_PER_DAY / SECS_PER_HOUR, secs % SECS_PER_HOUR / 60);
        write!(f, "{hours:02}:{mins:02}:{:02}", secs % SECS_PER_MIN)?;
        write_fraction(f, self.0)
    }
}

/// `1h 02m 03.250s`, `2m 03.000s`, `3.250s`; below a second `250ms`, `250µs`, `17ns`.
/// Exact: no digit is rounded away.
impl fmt::Display for SimSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0;
        let secs = self.as_secs();
        if nanos == 0 {
            return f.write_str("0s");
        }
        if secs == 0 {
            return match nanos {
                _ if nanos.is_multiple_of(NANOS_PER_MILLI) => {
                    write!(f, "{}ms", nanos / NANOS_PER_MILLI)
                }
                _ if nanos.is_multiple_of(NANOS_PER_MICRO) => {
                    write!(f, "{}µs", nanos / NANOS_PER_MICRO)
                }
                _ => write!(f, "{nanos}ns"),
            };
        }
        let (days, hours) = (secs / SECS_PER_DAY, secs % SECS_PER_DAY / SECS_PER_HOUR);
        let (mins, rest) = (secs % SECS_PER_HOUR / SECS_PER_MIN, secs % SECS_PER_MIN);
        if days > 0 {
            write!(f, "{days}d {hours:02}h {mins:02}m {rest:02}")?;
        } else if hours > 0 {
            write!(f, "{hours}h {mins:02}m {rest:02}")?;
        } else if mins > 0 {
            write!(f, "{mins}m {rest:02}")?;
        } else {
            write!(f, "{rest}")?;
        }
        write_fraction(f, nanos)?;
        f.write_str("s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_like_a_person_says_them() {
        let cases = [
            (SimSpan::ZERO, "0s"),
            (SimSpan::from_nanos(17), "17ns"),
            (SimSpan::from_micros(250), "250µs"),
            (SimSpan::from_millis(250), "250ms"),
            (SimSpan::from_nanos(1_250_001), "1250001ns"),
            (SimSpan::from_millis(3_250), "3.250s"),
            (SimSpan::from_secs(123), "2m 03.000s"),
            (SimSpan::from_millis(3_723_250), "1h 02m 03.250s"),
            (SimSpan::from_days(2) + SimSpan::from_nanos(1), "2d 00h 00m 00.000000001s"),
        ];
        for (span, text) in cases {
            assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn times_read_like_a_clock() {
        let cases = [
            (SimTime::ZERO, "00:00:00.000"),
            (SimTime::from_millis(3_723_250), "01:02:03.250"),
            (SimTime::from_micros(1_000_001), "00:00:01.000001"),
            (SimTime::from_hours(24), "1d 00:00:00.000"),
            (SimTime::from_nanos(86_399_999_999_999), "23:59:59.999999999"),
        ];
        for (time, text) in cases {
            assert_eq!(time.to_string(), text);
        }
    }

    #[test]
    fn the_next_tick_is_the_first_not_before_now() {
        let cases =
            [(0, 10, 3, 3), (3, 10, 3, 3), (4, 10, 3, 13), (13, 10, 23, 13), (99, 7, 0, 105)];
        for (now, period, phase, tick) in cases {
            let next = SimTime::from_secs(now)
                .next_tick(SimSpan::from_secs(period), SimSpan::from_secs(phase));
            assert_eq!(next, SimTime::from_secs(tick), "after {now} every {period} from {phase}");
        }
    }

    #[test]
    fn arithmetic_refuses_to_wrap() {
        assert_eq!(SimTime::MAX.checked_add(SimSpan::from_nanos(1)), None);
        assert_eq!(SimTime::ZERO.checked_sub(SimSpan::from_nanos(1)), None);
        assert_eq!(SimTime::MAX.saturating_add(SimSpan::from_secs(1)), SimTime::MAX);
        assert_eq!(SimTime::ZERO.saturating_since(SimTime::from_secs(1)), SimSpan::ZERO);
        assert_eq!(SimSpan::MAX.checked_mul(2), None);
        let wraps = std::panic::catch_unwind(|| SimTime::MAX + SimSpan::from_nanos(1));
        assert!(wraps.is_err());
    }

    #[test]
    fn seconds_from_a_distribution_round_to_nanoseconds() {
        assert_eq!(SimSpan::from_secs_f64_rounded(1.5e-9), SimSpan::from_nanos(2));
        assert_eq!(SimSpan::from_secs_f64_rounded(-1.0), SimSpan::ZERO);
        assert_eq!(SimSpan::from_secs_f64_rounded(f64::NAN), SimSpan::ZERO);
        assert_eq!(SimSpan::from_secs_f64_rounded(1e300), SimSpan::MAX);
    }
}
