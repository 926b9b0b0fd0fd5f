//! Python's `random.Random`, as far as published workloads draw from it.
//!
//! The generator is MT19937 (Matsumoto and Nishimura 1998) seeded by `init_by_array`; `uniform`,
//! `choice` and `randint` are those of CPython 3 (`Lib/random.py`).

const SIZE: usize = 624;
const SHIFT: usize = 397;

/// The generator.
#[derive(Clone, Debug)]
pub struct Mersenne {
    state: Vec<u32>,
    next_idx: usize,
}

impl Mersenne {
    /// `random.Random(seed)`.
    pub fn new(seed: u32) -> Self {
        let mut state = vec![0_u32; SIZE];
        state[0] = 19_650_218;
        for idx in 1..SIZE {
            state[idx] = mixed(state[idx - 1], 1_812_433_253).wrapping_add(count(idx));
        }
        let mut idx = 1;
        for _ in 0..SIZE {
            state[idx] = (state[idx] ^ mixed(state[idx - 1], 1_664_525)).wrapping_add(seed);
            idx = step(&mut state, idx);
        }
        for _ in 1..SIZE {
            state[idx] =
                (state[idx] ^ mixed(state[idx - 1], 1_566_083_941)).wrapping_sub(count(idx));
            idx = step(&mut state, idx);
        }
        state[0] = 0x8000_0000;
        Self { state, next_idx: SIZE }
    }

    fn word(&mut self) -> u32 {
        if self.next_idx == SIZE {
            for idx in 0..SIZE {
                let (this, next) = (self.state[idx], self.state[(idx + 1) % SIZE]);
                let joined = (this & 0x8000_0000) | (next & 0x7fff_ffff);
                let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[idx] = self.state[(idx + SHIFT) % SIZE] ^ (joined >> 1) ^ odd;
            }
            self.next_idx = 0;
        }
        let mut word = self.state[self.next_idx];
        self.next_idx += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// `uniform(low, high)`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        let (a, b) = (self.word() >> 5, self.word() >> 6);
        let unit = (f64::from(a) * 67_108_864.0 + f64::from(b)) / 9_007_199_254_740_992.0;
        low + (high - low) * unit
    }

    /// A number below `limit`: the position that `choice` takes.
    pub fn below(&mut self, limit: u32) -> u32 {
        let bit_count = u32::BITS - limit.leading_zeros();
        loop {
            let drawn = self.word() >> (u32::BITS - bit_count);
            if drawn < limit {
                return drawn;
            }
        }
    }
}

fn mixed(word: u32, factor: u32) -> u32 {
    (word ^ (word >> 30)).wrapping_mul(factor)
}

fn count(idx: usize) -> u32 {
    u32::try_from(idx).expect("the state is small")
}

/// The next position of seeding, which passes over the first one.
fn step(state: &mut [u32], idx: usize) -> usize {
    if idx + 1 < SIZE {
        return idx + 1;
    }
    state[0] = state[SIZE - 1];
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_draws_what_python_draws() {
        let mut luck = Mersenne::new(42);
        // random.Random(42).random(), twice.
        assert_eq!(luck.uniform(0.0, 1.0), 0.639_426_798_457_883_8);
        assert_eq!(luck.uniform(0.0, 1.0), 0.025_010_755_222_666_936);
        // random.Random(42): [r.randrange(541) for _ in range(5)], and of 4.
        let mut luck = Mersenne::new(42);
        assert_eq!([0; 5].map(|_| luck.below(541)), PYTHON_541);
        let mut luck = Mersenne::new(42);
        assert_eq!([0; 8].map(|_| luck.below(4)), PYTHON_4);
    }

    const PYTHON_541: [u32; 5] = [114, 25, 281, 250, 228];
    const PYTHON_4: [u32; 8] = [0, 0, 2, 1, 1, 1, 0, 0];
}
