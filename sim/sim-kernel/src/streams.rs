//! Chance: every random number is a pure function of
//! `(root seed, run, entity, purpose, occurrence)` and of nothing else.
//!
//! Promises: adding an entity, drawing once more or drawing in another order leaves
//! every other draw as it was, so that two variants of one scenario share their luck
//! (common random numbers); the values are the same on every machine and pinned by
//! tests; no draw is biased.
//!
//! The k-th draw of an entity for a purpose is the k-th output of a SplitMix64 sequence
//! whose seed is a hash of the other four coordinates; it can be had without the k-1
//! before it. Where many numbers are needed and their order is the model's own,
//! [`Streams::stream`] gives a sequential xoshiro256++ for the same coordinates.

mod draw;
mod sequential;

pub use draw::Draw;
pub use sequential::Stream;

use crate::digest::{GOLDEN_GAMMA, mix};

/// The name of a thing that has luck of its own, as a number.
///
/// Made from a stable name (`"node/zone-a/3"`), never from an index that depends on
/// what else there is: 64-bit FNV-1a over the bytes, then the SplitMix64 finalizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityKey(u64);

impl EntityKey {
    /// The key of a stable name.
    pub const fn of(name: &str) -> Self {
        EntityKey(name_hash(name))
    }

    /// The key of the `index`-th part of this entity, such as a pod of a workload.
    pub const fn part(self, index: u64) -> Self {
        EntityKey(mix(self.0 ^ mix(index.wrapping_add(GOLDEN_GAMMA))))
    }

    /// The key of a named part of this entity. `of("a").child("b")` is not `of("ab")`.
    pub const fn child(self, name: &str) -> Self {
        self.part(name_hash(name))
    }

    /// The key as a number, for digests and reports.
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// What a random number is for: `Purpose::new("time to failure")`. One per kind of
/// decision, as a `const`, so that no two decisions share their luck by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purpose(u64);

impl Purpose {
    /// The purpose of that name; hashed as an [`EntityKey`] is.
    pub const fn new(name: &'static str) -> Self {
        Purpose(name_hash(name))
    }
}

const fn name_hash(name: &str) -> u64 {
    const FNV_OFFSET: u64 = 0xCBF2_9CE4_8422_2325;
    const FNV_PRIME: u64 = 0x0000_0100_0000_01B3;
    let bytes = name.as_bytes();
    let mut hash = FNV_OFFSET;
    let mut idx = 0;
    while idx < bytes.len() {
        hash = (hash ^ bytes[idx] as u64).wrapping_mul(FNV_PRIME);
        idx += 1;
    }
    mix(hash)
}

/// All the luck of one run: 16 bytes, `Copy`, without state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Streams {
    root: u64,
    run: u64,
}

impl Streams {
    /// The luck of run number `run` under `root_seed`.
    pub const fn new(root_seed: u64, run: u64) -> Self {
        let root = mix(root_seed.wrapping_add(GOLDEN_GAMMA));
        Streams { root, run: mix(root ^ mix(run.wrapping_add(GOLDEN_GAMMA))) }
    }

    /// Other luck from here on, for the `branch`-th continuation of a snapshot.
    pub const fn branch(self, branch: u64) -> Self {
        Streams { root: self.root, run: mix(self.run ^ mix(branch.wrapping_sub(GOLDEN_GAMMA))) }
    }

    /// The draw number `occurrence` (from 0) of this entity for this purpose.
    #[inline]
    pub const fn draw(self, entity: EntityKey, purpose: Purpose, occurrence: u64) -> Draw {
        let seed = self.seed_of(entity, purpose);
        let offset = occurrence.wrapping_add(1).wrapping_mul(GOLDEN_GAMMA);
        Draw::from_word(mix(seed.wrapping_add(offset)))
    }

    /// A sequential generator for this entity and purpose, at its beginning. It shares
    /// no value with [`Streams::draw`].
    pub fn stream(self, entity: EntityKey, purpose: Purpose) -> Stream {
        Stream::from_seed(!self.seed_of(entity, purpose))
    }

    #[inline]
    const fn seed_of(self, entity: EntityKey, purpose: Purpose) -> u64 {
        mix(self.run ^ mix(self.root ^ entity.0).wrapping_add(purpose.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: EntityKey = EntityKey::of("node/zone-a/3");
    const FAILURE: Purpose = Purpose::new("time to failure");

    #[test]
    fn every_coordinate_matters() {
        let base = Streams::new(1, 0);
        let word = |streams: Streams, entity, purpose, occurrence| {
            streams.draw(entity, purpose, occurrence).word()
        };
        let words = [
            word(base, NODE, FAILURE, 0),
            word(base, NODE, FAILURE, 1),
            word(base, NODE, Purpose::new("time to repair"), 0),
            word(base, EntityKey::of("node/zone-a/4"), FAILURE, 0),
            word(base, NODE.part(0), FAILURE, 0),
            word(base, NODE.part(1), FAILURE, 0),
            word(base, NODE.child("disk"), FAILURE, 0),
            word(Streams::new(1, 1), NODE, FAILURE, 0),
            word(Streams::new(2, 0), NODE, FAILURE, 0),
            word(Streams::new(0, 1), NODE, FAILURE, 0),
            word(base.branch(0), NODE, FAILURE, 0),
            word(base.branch(1), NODE, FAILURE, 0),
            base.stream(NODE, FAILURE).next_u64(),
        ];
        let distinct: std::collections::BTreeSet<_> = words.iter().collect();
        assert_eq!(distinct.len(), words.len());
    }

    #[test]
    fn neighbouring_coordinates_are_uncorrelated() {
        // Bit balance over a grid of the smallest coordinates: each of the 64 bits is
        // set in half of 64,000 words, within 5 standard deviations (126.5 each).
        let mut set_counts = [0_u32; 64];
        for run in 0..40 {
            for part in 0..40 {
                for occurrence in 0..40 {
                    let entity = NODE.part(part);
                    let word = Streams::new(0, run).draw(entity, FAILURE, occurrence).word();
                    for (bit, count) in set_counts.iter_mut().enumerate() {
                        *count += u32::from(word >> bit & 1 == 1);
                    }
                }
            }
        }
        for (bit, count) in set_counts.into_iter().enumerate() {
            assert!(count.abs_diff(32_000) < 633, "bit {bit} set {count} times of 64,000");
        }
    }
}
