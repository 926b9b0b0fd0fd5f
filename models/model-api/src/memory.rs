//! How much memory pods use.

use crate::ids::WorkloadId;
use crate::source::Origin;

/// Memory that the pods of a workload use, their working set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryProfile {
    /// Whose pods.
    pub workload: WorkloadId,
    /// The container that uses it: position among `containers` of the pod template. The others use
    /// what they request.
    pub container: usize,
    /// What it uses as soon as it runs, in bytes.
    pub base_bytes: u64,
    /// What it takes on while it runs, and gives back when it ends.
    pub growth: Growth,
    /// How much faster or slower than that a pod may grow, in parts per million, drawn for each.
    pub variation_ppm: u32,
    /// What each request holds that is in the pod, in bytes.
    pub per_request_bytes: u64,
    /// Where it was written.
    pub origin: Origin,
}

/// How fast something grows: memory, files, processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Growth {
    /// Bytes, or files or processes, in a day: every second, minute and hour divides it.
    pub bytes_per_day: u64,
}

impl Growth {
    /// None at all.
    pub const ZERO: Self = Self { bytes_per_day: 0 };

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { bytes_per_day: self.bytes_per_day.saturating_add(other.bytes_per_day) }
    }

    /// A share of it, in parts per million.
    #[must_use]
    pub fn times_ppm(self, ppm: u32) -> Self {
        let product = u128::from(self.bytes_per_day) * u128::from(ppm) / 1_000_000;
        Self { bytes_per_day: u64::try_from(product).unwrap_or(u64::MAX) }
    }
}
