//! Exact integers under flows: quantities that are linear over a stretch of time, and their
//! integrals.
//!
//! Promises: no rounding and no floating point; every comparison is exact up to [`LEVEL_MAX`] and
//! over all of virtual time.

use std::cmp::Ordering;

use sim_kernel::SimTime;

/// Largest magnitude of a quantity that is computed with exactly; beyond it, it is clamped. As a
/// rate in millirequests per second this is a million million requests per second.
pub(crate) const LEVEL_MAX: i128 = 1 << 57;

/// `whole + part / of`, with `part < of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exact {
    whole: i128,
    part: u64,
    of: u64,
}

impl Exact {
    /// `sum + factor * numerator / denominator`.
    fn new(sum: i128, numerator: i128, denominator: u64) -> Self {
        let of = i128::from(denominator);
        let part = numerator.rem_euclid(of);
        Self {
            whole: sum + numerator.div_euclid(of),
            part: u64::try_from(part).expect("a remainder is less than its divisor"),
            of: denominator,
        }
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Exact {
    fn cmp(&self, other: &Self) -> Ordering {
        let scaled = |part: u64, of: u64| u128::from(part) * u128::from(of);
        self.whole
            .cmp(&other.whole)
            .then_with(|| scaled(self.part, other.of).cmp(&scaled(other.part, self.of)))
    }
}

/// A quantity that is linear from `from` to `until`, which is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) from: SimTime,
    pub(crate) until: SimTime,
    first: i128,
    last: i128,
}

impl Line {
    /// # Panics
    /// When `until` is not later than `from`.
    pub(crate) fn new(from: SimTime, until: SimTime, first: i128, last: i128) -> Self {
        assert!(until > from, "a stretch of time has a length");
        let clamp = |level: i128| level.clamp(-LEVEL_MAX, LEVEL_MAX);
        Self { from, until, first: clamp(first), last: clamp(last) }
    }

    fn length(&self) -> u64 {
        (self.until - self.from).as_nanos()
    }

    /// The level at a time within the stretch, both ends included.
    pub(crate) fn at(&self, time: SimTime) -> Exact {
        let offset = i128::from((time - self.from).as_nanos());
        Exact::new(self.first, (self.last - self.first) * offset, self.length())
    }

    /// Twice the integral over the whole stretch.
    pub(crate) fn doubled(&self) -> i128 {
        (self.first + self.last) * i128::from(self.length())
    }

    /// `base` plus twice the integral from the start to `time`.
    pub(crate) fn doubled_until(&self, base: i128, time: SimTime) -> Exact {
        let offset = i128::from((time - self.from).as_nanos());
        let length = i128::from(self.length());
        // 2 * first * offset + (last - first) * offset^2 / length, divided before it overflows.
        let climb = (self.last - self.first) * offset;
        let (quotient, rest) = (climb.div_euclid(length), climb.rem_euclid(length));
        Exact::new(base + (2 * self.first + quotient) * offset, rest * offset, self.length())
    }

    /// The part of the stretch in which the level is below zero, as `[start, end)`.
    pub(crate) fn below_zero(&self) -> Option<(SimTime, SimTime)> {
        let fall = self.first - self.last;
        let length = i128::from(self.length());
        // The level after `offset` is below zero when first * length < fall * offset.
        let level = self.first * length;
        let (start, end) = match (self.first < 0, self.last < 0) {
            (true, true) => (0, length),
            (false, false) => return None,
            (false, true) => (level.div_euclid(fall) + 1, length),
            (true, false) => (0, (-level - fall - 1) / -fall),
        };
        let time = |offset: i128| {
            let offset = u64::try_from(offset).expect("an offset lies within its stretch");
            SimTime::from_nanos(self.from.as_nanos() + offset)
        };
        (start < end).then(|| (time(start), time(end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nanos(at: u64) -> SimTime {
        SimTime::from_nanos(at)
    }

    #[test]
    fn the_largest_quantities_do_not_overflow() {
        let line = Line::new(SimTime::ZERO, SimTime::MAX, i128::MAX, i128::MIN);
        assert_eq!(line.doubled(), 0);
        let last = line.doubled_until(0, SimTime::MAX);
        assert_eq!(last, Exact::new(0, 0, u64::MAX));
        assert!(line.doubled_until(0, nanos(u64::MAX / 2)) > last);
    }

    proptest! {
        #[test]
        fn integrals_are_exact(first in -50_i128..50, last in -50_i128..50, length in 1_u64..60) {
            let line = Line::new(nanos(7), nanos(7 + length), first, last);
            for offset in 0..=length {
                // Over `length` as the common denominator.
                let (o, l) = (i128::from(offset), i128::from(length));
                let expected = 2 * first * o * l + (last - first) * o * o;
                let found = line.doubled_until(3, nanos(7 + offset));
                prop_assert_eq!(found, Exact::new(3, expected, length));
                prop_assert_eq!(line.at(nanos(7 + offset)), Exact::new(0, first * l + (last - first) * o, length));
            }
            prop_assert_eq!(line.doubled_until(0, line.until), Exact::new(line.doubled(), 0, length));
        }

        #[test]
        fn the_part_below_zero_is_found(first in -50_i128..50, last in -50_i128..50, length in 1_u64..60) {
            let line = Line::new(nanos(7), nanos(7 + length), first, last);
            let zero = Exact::new(0, 0, 1);
            let below: Vec<u64> =
                (7..7 + length).filter(|at| line.at(nanos(*at)) < zero).collect();
            let found: Option<Vec<u64>> = line.below_zero().map(|(start, end)| (start.as_nanos()..end.as_nanos()).collect());
            prop_assert_eq!(found.unwrap_or_default(), below);
        }
    }
}
