//! Garbage collection of images: which share of a disk makes a kubelet delete images, and how many.
//!
//! # Modelled
//! The thresholds of the collection that a kubelet makes every five minutes, in the whole percents in
//! which it counts.
//! # Not modelled
//! Which images go first, and that none younger than two minutes does: of images that nobody uses a sum
//! is stated. `imageMaximumGCAge`, which is off.
//! # Defaults and their sources
//! `pkg/kubelet/images/image_gc_manager.go` (GarbageCollect) and `pkg/kubelet/kubelet.go`
//! (`ImageGCPeriod`, StartGarbageCollection), `imageGCHighThresholdPercent` 85 and
//! `imageGCLowThresholdPercent` 80 (`pkg/kubelet/apis/config/v1beta1/defaults.go`), Kubernetes 1.36.
//! # Invariants
//! What is freed brings a disk to the lower threshold and not beyond it.
//! # Checked against
//! The tests below, worked out by hand from the source.

use sim_kernel::SimSpan;

/// From one collection to the next (`ImageGCPeriod`).
pub const PERIOD: SimSpan = SimSpan::from_mins(5);

/// `imageGCHighThresholdPercent`.
const HIGH_PERCENT: u64 = 85;
/// `imageGCLowThresholdPercent`.
const LOW_PERCENT: u64 = 80;

/// A collection deletes images when less than this is available, in bytes.
///
/// What is available is cut to whole percents before it is compared, so that images go from just
/// under 16 % on: before `imagefs.available` is crossed, at 15 %.
pub const fn collects_below(capacity_bytes: u64) -> u64 {
    share(capacity_bytes, 100 - HIGH_PERCENT + 1, true)
}

/// How many bytes a collection wants to free; `None` when there is enough.
pub const fn amount_to_free(capacity_bytes: u64, available_bytes: u64) -> Option<u64> {
    if available_bytes >= collects_below(capacity_bytes) {
        return None;
    }
    Some(share(capacity_bytes, 100 - LOW_PERCENT, false).saturating_sub(available_bytes))
}

/// So many percent, cut or rounded up.
#[expect(clippy::cast_possible_truncation, reason = "no more than the whole")]
const fn share(bytes: u64, percent: u64, rounds_up: bool) -> u64 {
    let product = bytes as u128 * percent as u128;
    let share = if rounds_up { product.div_ceil(100) } else { product / 100 };
    share as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_percents_decide() {
        // What upstream computes: 100 - available * 100 / capacity >= 85, in integers.
        for capacity in [1000_u64, 1001, 999, 160, 7] {
            for available in 0..=capacity {
                let is_over = 100 - available * 100 / capacity >= 85;
                let wanted = is_over.then(|| (capacity * 20 / 100).saturating_sub(available));
                assert_eq!(
                    amount_to_free(capacity, available),
                    wanted,
                    "{available} of {capacity}"
                );
            }
        }
        assert_eq!(collects_below(1000), 160);
    }
}
