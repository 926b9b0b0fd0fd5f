//! Moments before and after the start of a run.

use sim_kernel::{SimSpan, SimTime};

/// A moment, in nanoseconds from the start of the run: negative before it, because the platform ran
/// before it is looked at and its copies of that time are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(i64);

impl Stamp {
    /// The start of the run.
    pub const ZERO: Self = Self(0);
    /// Later than anything.
    pub const MAX: Self = Self(i64::MAX);
    /// Earlier than anything.
    pub const MIN: Self = Self(i64::MIN);

    /// A moment of the run.
    pub fn of(time: SimTime) -> Self {
        Self(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Nanoseconds from the start of the run.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The moment so many nanoseconds after the start.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Later by a span; stays at the ends of time.
    #[must_use]
    pub fn plus(self, span: SimSpan) -> Self {
        Self(self.0.saturating_add(signed(span)))
    }

    /// Earlier by a span; stays at the ends of time.
    #[must_use]
    pub fn minus(self, span: SimSpan) -> Self {
        if self == Self::MAX { self } else { Self(self.0.saturating_sub(signed(span))) }
    }

    /// Time since an earlier moment; zero when that is later.
    pub fn since(self, earlier: Self) -> SimSpan {
        let nanos = i128::from(self.0) - i128::from(earlier.0);
        SimSpan::from_nanos(u64::try_from(nanos.max(0)).expect("less than twice 2^63"))
    }

    /// As a moment of the run; its start for what was before.
    pub fn time(self) -> SimTime {
        SimTime::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

fn signed(span: SimSpan) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

/// Time that so many bytes take at so many a second, rounded up; for ever when nothing flows.
pub(crate) fn transfer(bytes: u64, bytes_per_second: u64) -> SimSpan {
    if bytes == 0 {
        return SimSpan::ZERO;
    }
    if bytes_per_second == 0 {
        return SimSpan::MAX;
    }
    let nanos = (u128::from(bytes) * 1_000_000_000).div_ceil(u128::from(bytes_per_second));
    SimSpan::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
