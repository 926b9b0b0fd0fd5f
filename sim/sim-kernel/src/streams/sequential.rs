//! A sequential generator, for many numbers whose order is the model's own.
//!
//! Promise: xoshiro256++ 1.0 as published (Blackman and Vigna: "Scrambled linear
//! pseudorandom number generators", 2021), seeded by SplitMix64 as its authors advise;
//! pinned by a test, so no dependency can change it.

use crate::digest::{GOLDEN_GAMMA, mix};
use crate::streams::Draw;

/// xoshiro256++: 32 bytes of state, period 2^256 - 1. A clone repeats the same numbers.
#[derive(Clone, Debug)]
pub struct Stream {
    state: [u64; 4],
}

impl Stream {
    pub(crate) fn from_seed(seed: u64) -> Self {
        // Four consecutive outputs of SplitMix64 are never all zero.
        let word = |count: u64| mix(seed.wrapping_add(count.wrapping_mul(GOLDEN_GAMMA)));
        Stream { state: [word(1), word(2), word(3), word(4)] }
    }

    /// The next 64 uniform bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [s0, s1, s2, s3] = &mut self.state;
        let output = s0.wrapping_add(*s3).rotate_left(23).wrapping_add(*s0);
        let shifted = *s1 << 17;
        *s2 ^= *s0;
        *s3 ^= *s1;
        *s1 ^= *s2;
        *s0 ^= *s3;
        *s2 ^= shifted;
        *s3 = s3.rotate_left(45);
        output
    }

    /// The next draw, to be turned into any distribution.
    #[inline]
    pub fn draw(&mut self) -> Draw {
        Draw::from_word(self.next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_those_of_the_published_generator() {
        let mut stream = Stream { state: [1, 2, 3, 4] };
        let outputs: [u64; 4] = std::array::from_fn(|_| stream.next_u64());
        assert_eq!(outputs, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn the_seeding_is_splitmix64() {
        // Outputs of SplitMix64 from seed 1234567, as many implementations pin them.
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(Stream::from_seed(1_234_567).state[..3], expected);
    }
}
