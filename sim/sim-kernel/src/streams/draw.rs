//! One random value and the distributions it can be turned into.
//!
//! Promises: each method uses the draw up, so that no value serves twice; logarithms
//! and cosines come from the `libm` crate, not from the platform, so that every value
//! is the same everywhere; a span is rounded to whole nanoseconds at once.

use crate::digest::{GOLDEN_GAMMA, halves, mix};
use crate::time::SimSpan;

/// One random value, to be used once.
#[derive(Debug)]
#[must_use = "a draw that is not used changes nothing"]
pub struct Draw {
    word: u64,
}

impl Draw {
    pub(crate) const fn from_word(word: u64) -> Self {
        Draw { word }
    }

    /// The `idx`-th extra word, for the few methods that need more than one.
    const fn extra_word(&self, idx: u64) -> u64 {
        mix(self.word ^ mix(idx.wrapping_add(GOLDEN_GAMMA)))
    }

    /// 64 uniform bits.
    pub const fn word(self) -> u64 {
        self.word
    }

    /// Uniform in `[0, 1)`, a multiple of 2^-53.
    #[inline]
    pub fn unit(self) -> f64 {
        unit_of(self.word)
    }

    /// True with probability `p`; never for `p <= 0`, always for `p >= 1`.
    pub fn chance(self, p: f64) -> bool {
        self.unit() < p
    }

    /// Uniform in `0..bound`, without bias (Lemire: "Fast random integer generation in
    /// an interval", 2019). Panics when `bound` is zero.
    #[inline]
    pub fn below(self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero to draw");
        let product = |word: u64| halves(u128::from(word) * u128::from(bound));
        let (mut value, mut remainder) = product(self.word);
        if remainder < bound {
            let rejected_below = bound.wrapping_neg() % bound;
            let mut idx = 0;
            while remainder < rejected_below {
                (value, remainder) = product(self.extra_word(idx));
                idx += 1;
            }
        }
        value
    }

    /// Uniform in `first..=last`. Panics when the range is empty.
    pub fn range_inclusive(self, first: u64, last: u64) -> u64 {
        assert!(first <= last, "the range {first}..={last} is empty");
        match (last - first).checked_add(1) {
            Some(count) => first + self.below(count),
            None => self.word,
        }
    }

    /// An index of a slice of that length. Panics when `len` is zero.
    #[expect(clippy::cast_possible_truncation, reason = "the result is below a usize")]
    pub fn index(self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// One of the items, each as likely as the others; `None` of none.
    pub fn pick<T>(self, items: &[T]) -> Option<&T> {
        if items.is_empty() { None } else { items.get(self.index(items.len())) }
    }

    /// Uniform in `shortest..=longest`. Panics when the range is empty.
    pub fn span_between(self, shortest: SimSpan, longest: SimSpan) -> SimSpan {
        SimSpan::from_nanos(self.range_inclusive(shortest.as_nanos(), longest.as_nanos()))
    }

    /// `span * (1 + U)` with `U` uniform in `[0, factor)`; the addition is rounded down,
    /// as `wait.Jitter` of `k8s.io/apimachinery` does. A negative factor counts as zero.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and a negative product becomes zero"
    )]
    pub fn jitter(self, span: SimSpan, factor: f64) -> SimSpan {
        let extra = self.unit() * factor * span.as_nanos() as f64;
        span.saturating_add(SimSpan::from_nanos(extra as u64))
    }

    /// Exponential with mean 1; at most 36.8.
    #[inline]
    pub fn standard_exponential(self) -> f64 {
        // 1 - unit is in (0, 1], so the logarithm is finite.
        -libm::log(1.0 - self.unit())
    }

    /// Exponential with that mean, rounded to nanoseconds.
    #[inline]
    pub fn exponential(self, mean: SimSpan) -> SimSpan {
        scaled(mean, self.standard_exponential())
    }

    /// Weibull with that scale and shape, rounded to nanoseconds: shape below 1 fails
    /// early, above 1 wears out, 1 is exponential. Panics when the shape is not positive.
    pub fn weibull(self, scale: SimSpan, shape: f64) -> SimSpan {
        assert!(shape > 0.0, "the shape of a Weibull distribution must be positive");
        scaled(scale, libm::pow(self.standard_exponential(), 1.0 / shape))
    }

    /// Normal with mean 0 and standard deviation 1 (Box and Muller).
    pub fn standard_normal(self) -> f64 {
        let angle = std::f64::consts::TAU * unit_of(self.extra_word(0));
        libm::sqrt(2.0 * self.standard_exponential()) * libm::cos(angle)
    }

    /// Normal, rounded to nanoseconds; what would be negative is zero.
    pub fn normal(self, mean: SimSpan, deviation: SimSpan) -> SimSpan {
        let offset = self.standard_normal() * deviation.as_nanos() as f64;
        nanos_rounded(mean.as_nanos() as f64 + offset)
    }

    /// Log-normal: `median * exp(sigma * N)`, rounded to nanoseconds.
    pub fn lognormal(self, median: SimSpan, sigma: f64) -> SimSpan {
        scaled(median, libm::exp(sigma * self.standard_normal()))
    }

    /// Log-normal by its median and its 95th percentile; the median itself when that is zero.
    pub fn lognormal_by(self, median: SimSpan, p95: SimSpan) -> SimSpan {
        if median.is_zero() {
            return median;
        }
        let ratio = p95.as_nanos() as f64 / median.as_nanos() as f64;
        self.lognormal(median, libm::log(ratio) / NORMAL_P95)
    }
}

/// The 95th percentile of the standard normal distribution.
const NORMAL_P95: f64 = 1.644_853_626_951_472_2;

/// The upper 53 bits as a fraction: every value is exact.
#[inline]
fn unit_of(word: u64) -> f64 {
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    (word >> 11) as f64 * STEP
}

#[inline]
fn scaled(span: SimSpan, factor: f64) -> SimSpan {
    nanos_rounded(span.as_nanos() as f64 * factor)
}

/// Nearest whole nanosecond; negative becomes zero, too large [`SimSpan::MAX`].
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is promised"
)]
#[inline]
fn nanos_rounded(nanos: f64) -> SimSpan {
    SimSpan::from_nanos((nanos + 0.5) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::{EntityKey, Purpose, Streams};

    const SAMPLE_COUNT: u64 = 20_000;

    fn draws() -> impl Iterator<Item = Draw> {
        let streams = Streams::new(7, 0);
        (0..SAMPLE_COUNT).map(move |occurrence| {
            streams.draw(EntityKey::of("entity"), Purpose::new("test"), occurrence)
        })
    }

    /// The mean of a sample and how far it may be off: five standard errors.
    fn check_mean(samples: impl Iterator<Item = f64>, expected: f64, deviation: f64) {
        let mean = samples.sum::<f64>() / SAMPLE_COUNT as f64;
        let tolerance = 5.0 * deviation / (SAMPLE_COUNT as f64).sqrt();
        assert!((mean - expected).abs() < tolerance, "mean {mean}, expected {expected}");
    }

    #[test]
    fn means_are_as_the_distributions_say() {
        let second = SimSpan::from_secs(1);
        let fifth = SimSpan::from_millis(200);
        check_mean(draws().map(Draw::unit), 0.5, 0.289);
        check_mean(draws().map(|draw| draw.below(10) as f64), 4.5, 2.88);
        check_mean(draws().map(|draw| draw.exponential(second).as_secs_f64()), 1.0, 1.0);
        check_mean(draws().map(|draw| draw.weibull(second, 2.0).as_secs_f64()), 0.8862, 0.464);
        check_mean(draws().map(Draw::standard_normal), 0.0, 1.0);
        check_mean(draws().map(|draw| draw.normal(second, fifth).as_secs_f64()), 1.0, 0.2);
        check_mean(draws().map(|draw| draw.lognormal(second, 0.5).as_secs_f64()), 1.1331, 0.604);
        check_mean(draws().map(|draw| draw.jitter(second, 0.5).as_secs_f64()), 1.25, 0.145);
        check_mean(draws().map(|draw| f64::from(u8::from(draw.chance(0.3)))), 0.3, 0.459);
    }

    #[test]
    fn ranges_include_their_ends_and_nothing_else() {
        let (mut first_seen, mut last_seen) = (false, false);
        for draw in draws() {
            let value = draw.range_inclusive(3, 6);
            assert!((3..=6).contains(&value));
            first_seen |= value == 3;
            last_seen |= value == 6;
        }
        assert!(first_seen && last_seen);
        assert_eq!(Draw::from_word(9).range_inclusive(4, 4), 4);
        assert_eq!(Draw::from_word(9).range_inclusive(0, u64::MAX), 9);
        assert_eq!(Draw::from_word(9).pick::<u8>(&[]), None);
        assert_eq!(Draw::from_word(u64::MAX).index(5), 4);
    }

    #[test]
    fn a_rejected_word_is_replaced() {
        // Below 3 * 2^62 one word in four is rejected; word 0 is one of them.
        let bound = 3 << 62;
        assert!(Draw::from_word(0).below(bound) < bound);
        assert_ne!(Draw::from_word(0).below(bound), 0);
    }

    #[test]
    fn extremes_stay_in_range() {
        assert_eq!(Draw::from_word(0).unit(), 0.0);
        assert!(Draw::from_word(u64::MAX).unit() < 1.0);
        assert_eq!(Draw::from_word(0).exponential(SimSpan::from_secs(1)), SimSpan::ZERO);
        let longest = Draw::from_word(u64::MAX).exponential(SimSpan::from_secs(1));
        assert_eq!(longest, SimSpan::from_nanos(36_736_800_570));
        assert_eq!(Draw::from_word(u64::MAX).exponential(SimSpan::MAX), SimSpan::MAX);
        assert_eq!(Draw::from_word(5).jitter(SimSpan::MAX, 1.0), SimSpan::MAX);
        assert!(!Draw::from_word(0).chance(0.0) && Draw::from_word(u64::MAX).chance(1.0));
    }
}
