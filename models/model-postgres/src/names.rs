//! Sets of instances.

/// Which instances of a cluster, by number.
///
/// The reader refuses clusters of more than 100 instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(u128);

impl Names {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self(u128::MAX);

    pub(crate) fn with(self, ordinal: u8) -> Self {
        Self(self.0 | bit(ordinal))
    }

    pub(crate) fn has(self, ordinal: u8) -> bool {
        self.0 & bit(ordinal) != 0
    }

    pub(crate) fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn count(self) -> u32 {
        self.0.count_ones()
    }
}

impl FromIterator<u8> for Names {
    fn from_iter<I: IntoIterator<Item = u8>>(ordinals: I) -> Self {
        ordinals.into_iter().fold(Self::NONE, Self::with)
    }
}

fn bit(ordinal: u8) -> u128 {
    1_u128.checked_shl(u32::from(ordinal)).unwrap_or(0)
}
