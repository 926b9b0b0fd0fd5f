//! What can be done with a placement group that lacks some of its chunks.
//!
//! # Modelled
//! `min_size` chunks must answer for reads and writes; `k` of an erasure code, or one copy, must exist
//! for the data to be there; a chunk that exists and does not answer comes back with its disk.
//! # Not modelled
//! Reads and writes of a group below `min_size` by force. What was written while a disk was away is
//! handed to it from a log when it is back: Simplified: in no time.
//! # Defaults and their sources
//! Ceph 19 `doc/rados/operations/pools.rst` (`min_size`), `erasure-code.rst` (recovery below
//! `min_size` while `k` are left).
//! # Invariants
//! With a chunk less a group is never better off.
//! # Checked against
//! OS-2 and OS-3 of the specification of platform services.

use model_api::storage::Redundancy;

/// What becomes of the reads and writes of a group, and of its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// All chunks answer.
    Whole,
    /// Some are missing; reads and writes go on, and one more may be lost.
    Degraded,
    /// Reads and writes go on, or could, and one more loss takes the data.
    AtOne,
    /// Fewer answer than `min_size`: nothing is read or written.
    Inactive,
    /// Fewer exist than the data can be had from.
    Lost,
}

/// Where a group stands of whose chunks `up` answer and `left` exist.
pub fn health(redundancy: Redundancy, min_size: u32, up: u32, left: u32) -> Health {
    let needed = redundancy.needed();
    if left < needed {
        Health::Lost
    } else if up < min_size.max(needed) {
        Health::Inactive
    } else if up == redundancy.width() {
        Health::Whole
    } else if up == needed {
        Health::AtOne
    } else {
        Health::Degraded
    }
}

/// Whether one more chunk lost takes the data, whether it can be read now or not.
pub fn is_at_one(redundancy: Redundancy, left: u32) -> bool {
    left == redundancy.needed() && left < redundancy.width()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COPIES: Redundancy = Redundancy::Replicated { size: 3 };

    const fn code(k: u32, m: u32) -> Redundancy {
        Redundancy::Erasure { k, m }
    }

    #[test]
    fn groups_after_losses() {
        use Health::{AtOne, Degraded, Inactive, Lost, Whole};
        let cases = [
            (COPIES, 2, 3, 3, Whole),
            // A zone of three is dark, then a disk besides.
            (COPIES, 2, 2, 3, Degraded),
            (COPIES, 2, 1, 3, Inactive),
            (COPIES, 1, 1, 1, AtOne),
            (COPIES, 2, 0, 1, Inactive),
            (COPIES, 2, 0, 0, Lost),
            // 4+2 keeps its data and stops, 3+3 and 5+4 go on.
            (code(4, 2), 5, 4, 4, Inactive),
            (code(4, 2), 4, 4, 4, AtOne),
            (code(3, 3), 4, 4, 4, Degraded),
            (code(5, 4), 6, 6, 6, Degraded),
            (code(4, 2), 5, 3, 3, Lost),
        ];
        for (redundancy, min_size, up, left, expected) in cases {
            assert_eq!(
                health(redundancy, min_size, up, left),
                expected,
                "{redundancy:?} {up} {left}"
            );
        }
    }

    #[test]
    fn fewer_chunks_are_never_better() {
        for redundancy in [COPIES, code(4, 2), code(7, 5), code(2, 1)] {
            let min_size = redundancy.min_size_default();
            for left in 0..=redundancy.width() {
                for up in 1..=left {
                    let worse = health(redundancy, min_size, up - 1, left);
                    assert!(worse >= health(redundancy, min_size, up, left));
                }
            }
        }
    }

    #[test]
    fn the_last_copy_is_one_too_many_to_lose() {
        assert!(is_at_one(COPIES, 1) && !is_at_one(COPIES, 2));
        assert!(is_at_one(code(4, 2), 4) && !is_at_one(code(4, 2), 5));
        // A single copy is all that was ever promised.
        assert!(!is_at_one(Redundancy::Replicated { size: 1 }, 1));
    }
}
