//! Memory that grows steadily: when it reaches an amount.
//!
//! # Modelled
//! Linear growth whose rate changes now and then, and sums of such growths, exactly.
//! # Not modelled
//! Page sizes; memory that is reclaimed (caches are no part of a working set).
//! # Defaults and their sources
//! None.
//! # Invariants
//! An amount does not depend on how often it was looked at or its rate was set; it never falls.
//! # Checked against
//! Properties: the moment before an amount is reached there is less.

use model_api::memory::Growth;
use sim_kernel::{SimSpan, SimTime};

const DAY: u128 = SimSpan::from_days(1).as_nanos() as u128;

/// An amount of memory on its way up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growing {
    /// Bytes, each divided into as many parts as a day has nanoseconds, so that nothing is rounded.
    parts: u128,
    since: SimTime,
    growth: Growth,
}

impl Growing {
    /// Nothing yet at `since`.
    pub const fn from(since: SimTime, growth: Growth) -> Self {
        Self { parts: 0, since, growth }
    }

    /// Several together, from `now` on.
    pub fn sum<'a>(growing: impl IntoIterator<Item = &'a Self>, now: SimTime) -> Self {
        growing.into_iter().fold(Self::from(now, Growth::ZERO), |sum, one| Self {
            parts: sum.parts + one.parts_at(now),
            since: now,
            growth: sum.growth.plus(one.growth),
        })
    }

    /// Whether it is on its way at all.
    pub fn is_growing(&self) -> bool {
        self.growth != Growth::ZERO
    }

    /// Grows at another rate from `now` on.
    pub fn set_growth(&mut self, growth: Growth, now: SimTime) {
        *self = Self { parts: self.parts_at(now), since: now, growth };
    }

    /// Whole bytes at a moment that is not before its last change.
    pub fn bytes_at(&self, at: SimTime) -> u64 {
        u64::try_from(self.parts_at(at) / DAY).unwrap_or(u64::MAX)
    }

    /// The first moment, not before its last change, with at least so many bytes; `None` when it
    /// never comes.
    pub fn reaches(&self, bytes: u64) -> Option<SimTime> {
        let missing = (u128::from(bytes) * DAY).saturating_sub(self.parts);
        if missing == 0 {
            return Some(self.since);
        }
        let rate = u128::from(self.growth.bytes_per_day);
        let span = missing.checked_add(rate.checked_sub(1)?)?.checked_div(rate)?;
        self.since.checked_add(SimSpan::from_nanos(u64::try_from(span).ok()?))
    }

    fn parts_at(&self, at: SimTime) -> u128 {
        let span = u128::from(at.saturating_since(self.since).as_nanos());
        self.parts + span * u128::from(self.growth.bytes_per_day)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn per_hour(mebibytes: u64) -> Growth {
        Growth { bytes_per_day: 24 * mebibytes * MIB }
    }

    #[test]
    fn five_mebibytes_an_hour_are_fifty_in_ten() {
        let mut growing = Growing::from(SimTime::ZERO, per_hour(5));
        let hours = |count: u64| SimTime::ZERO + SimSpan::from_hours(count);
        assert_eq!(growing.reaches(50 * MIB), Some(hours(10)));
        growing.set_growth(per_hour(10), hours(4));
        assert_eq!(growing.reaches(50 * MIB), Some(hours(7)));
        growing.set_growth(Growth::ZERO, hours(5));
        assert_eq!(growing.bytes_at(hours(900)), 30 * MIB);
        assert_eq!(growing.reaches(30 * MIB), Some(hours(5)), "it is there already");
        assert_eq!(growing.reaches(30 * MIB + 1), None);
    }

    #[test]
    fn a_sum_grows_as_fast_as_all_of_it() {
        let mut first = Growing::from(SimTime::ZERO, per_hour(3));
        let hour = SimTime::ZERO + SimSpan::from_hours(1);
        let second = Growing::from(hour, per_hour(2));
        first.set_growth(per_hour(3), hour);
        let sum = Growing::sum([&first, &second], hour);
        assert_eq!(sum.reaches(8 * MIB), Some(hour + SimSpan::from_hours(1)));
    }

    proptest! {
        #[test]
        fn an_amount_is_reached_at_once_and_not_before(
            growth in 1..u64::from(u32::MAX),
            start in 0..1_000_000_000_000_000_u64,
            bytes in 1..1_u64 << 34,
        ) {
            let growth = Growth { bytes_per_day: growth };
            let growing = Growing::from(SimTime::from_nanos(start), growth);
            if let Some(at) = growing.reaches(bytes) {
                prop_assert!(growing.bytes_at(at) >= bytes);
                let before = SimTime::from_nanos(at.as_nanos() - 1);
                prop_assert!(before < growing.since || growing.bytes_at(before) < bytes);
            }
        }

        #[test]
        fn looking_changes_nothing(
            steps in prop::collection::vec((0..1_000_000_000_u64, 0..1_u64 << 40), 1..20),
        ) {
            let mut often = Growing::from(SimTime::ZERO, Growth::ZERO);
            let (mut now, mut parts) = (SimTime::ZERO, 0_u128);
            for (span, bytes_per_day) in steps {
                let growth = Growth { bytes_per_day };
                often.set_growth(growth, now);
                let half = now + SimSpan::from_nanos(span / 2);
                often.set_growth(growth, half);
                parts += u128::from(span) * u128::from(bytes_per_day);
                now += SimSpan::from_nanos(span);
            }
            prop_assert_eq!(u128::from(often.bytes_at(now)), parts / DAY);
        }
    }
}
