//! A share of a flow: exact enough that rounding never shows.

/// A number between 0 and 1 in steps of 2^-62.
///
/// Rounded to nearest, so that a share made from two rates below 2^60 and applied to one of them
/// gives the other back exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Share(u64);

const BITS: u32 = 62;
const HALF: u128 = 1 << (BITS - 1);

impl Share {
    /// Nothing.
    pub(crate) const ZERO: Self = Self(0);
    /// Everything.
    pub(crate) const ONE: Self = Self(1 << BITS);

    /// `part / whole`, at most 1; everything of nothing.
    pub(crate) fn of(part: u64, whole: u64) -> Self {
        if part >= whole {
            return Self::ONE;
        }
        let whole = u128::from(whole);
        Self(narrow(((u128::from(part) << BITS) + whole / 2) / whole))
    }

    /// This share of a rate, to nearest.
    pub(crate) fn apply(self, rate: u64) -> u64 {
        narrow((u128::from(self.0) * u128::from(rate) + HALF) >> BITS)
    }

    /// This share of one thing and the rest of another.
    pub(crate) fn mix(self, one: Self, other: Self) -> Self {
        Self((self.and(one).0 + Self(Self::ONE.0 - self.0).and(other).0).min(Self::ONE.0))
    }

    /// Between this one and another.
    pub(crate) fn midpoint(self, other: Self) -> Self {
        Self(self.0.midpoint(other.0))
    }

    /// Whether it differs from another one by less than rates can tell.
    pub(crate) fn is_close(self, other: Self) -> bool {
        self.0.abs_diff(other.0) < 1 << (BITS - 44)
    }

    /// Both, when each fails on its own.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(narrow((u128::from(self.0) * u128::from(other.0) + HALF) >> BITS))
    }
}

/// A value that is at most its 64-bit input.
fn narrow(value: u128) -> u64 {
    u64::try_from(value).expect("a share of a 64-bit number fits 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_give_back_what_they_were_made_of() {
        for (part, whole) in [(1, 3), (2, 3), (7, 1_000_003), (999_999_999_999, 1_000_000_000_000)]
        {
            assert_eq!(Share::of(part, whole).apply(whole), part);
        }
        assert_eq!(Share::of(0, 0), Share::ONE);
        assert_eq!(Share::of(0, 5), Share::ZERO);
        assert_eq!(Share::ONE.apply(u64::MAX), u64::MAX);
        assert_eq!(Share::ONE.and(Share::of(1, 4)), Share::of(1, 4));
        assert_eq!(Share::of(1, 2).and(Share::of(1, 2)), Share::of(1, 4));
    }
}
