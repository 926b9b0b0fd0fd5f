//! How long something takes: a fixed part, and a random one that only some meet.

use model_api::observation::{WAIT_SHAPE_EXPONENTIAL, WaitLaw};
use sim_kernel::SimSpan;

/// A fixed time, and with some probability a random one on top whose law is taken for that of the
/// gamma distribution with the same mean and variance: exact for one exponential wait, and for the
/// sum of equal ones. Where lognormal work is shared it is lognormal, and in a queue that is nearly always full
/// normal; and so is a sum of which that is the part that varies most (Fenton 1960). All in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Delay {
    pub(crate) fixed: f64,
    /// Probability that there is a random part.
    pub(crate) waits: f64,
    /// Its mean.
    pub(crate) mean: f64,
    /// Its variance.
    pub(crate) variance: f64,
    /// Its law.
    pub(crate) law: WaitLaw,
}

impl Delay {
    pub(crate) fn fixed(secs: f64) -> Self {
        Self { fixed: secs, ..Self::default() }
    }

    /// One after the other.
    pub(crate) fn then(self, next: Self) -> Self {
        let waits = 1.0 - (1.0 - self.waits) * (1.0 - next.waits);
        let fixed = self.fixed + next.fixed;
        if waits <= 0.0 {
            return Self::fixed(fixed);
        }
        let sum = self.waits * self.mean + next.waits * next.mean;
        let (own, others) = (self.whole_variance(), next.whole_variance());
        let mean = sum / waits;
        Self {
            fixed,
            waits,
            mean,
            variance: ((own + others + sum * sum) / waits - mean * mean).max(0.0),
            law: if others > own { next.law } else { self.law },
        }
    }

    /// Mean of it all.
    pub(crate) fn whole_mean(self) -> f64 {
        self.fixed + self.waits * self.mean
    }

    /// Variance of it all.
    pub(crate) fn whole_variance(self) -> f64 {
        let sum = self.waits * self.mean;
        (self.waits * (self.variance + self.mean * self.mean) - sum * sum).max(0.0)
    }

    /// The shape of the gamma distribution of the random part: 1 is exponential.
    pub(crate) fn shape(self) -> f64 {
        if self.variance <= 0.0 {
            SHAPE_MAX
        } else {
            (self.mean * self.mean / self.variance).min(SHAPE_MAX)
        }
    }

    /// What is told of the random part: its probability in parts per million, its mean in nanoseconds,
    /// and its shape in thousandths.
    pub(crate) fn told_waits(self) -> (u32, u64, u32) {
        match rounded(self.waits, 1e6) {
            0 => (0, 0, WAIT_SHAPE_EXPONENTIAL),
            ppm => {
                let mean = SimSpan::from_secs_f64_rounded(self.mean);
                (ppm.min(1_000_000), mean.as_nanos(), rounded(self.shape(), 1e3))
            }
        }
    }

    /// Probability that it is over after so long.
    pub(crate) fn is_over(self, secs: f64) -> f64 {
        let left = secs - self.fixed;
        if left < 0.0 {
            return 0.0;
        }
        if self.waits <= 0.0 || self.mean <= 0.0 {
            return 1.0;
        }
        1.0 - self.waits * (1.0 - self.share_within(left))
    }

    /// Share of the random parts that are over after so long.
    fn share_within(self, secs: f64) -> f64 {
        match self.law {
            WaitLaw::Gamma => gamma_share(self.shape(), self.shape() * secs / self.mean),
            WaitLaw::Lognormal => self.lognormal_share(secs, 0.0),
            WaitLaw::Normal => normal_share(self.score(secs)),
        }
    }

    /// How many deviations from its mean a random part is that is over after so long.
    fn score(self, secs: f64) -> f64 {
        (secs - self.mean) / libm::sqrt(self.variance)
    }

    /// Of a lognormal law: the part of a moment that what is over after so long has.
    fn lognormal_share(self, secs: f64, moment: f64) -> f64 {
        let spread = libm::sqrt(libm::log1p(1.0 / self.shape()));
        let middle = libm::log(self.mean) - spread * spread / 2.0;
        normal_share((libm::log(secs) - middle) / spread - moment * spread)
    }

    /// After how long it is over with this probability.
    pub(crate) fn quantile(self, share: f64) -> f64 {
        let (mut low, mut high) = (self.fixed, self.fixed + self.mean.max(1e-9));
        for _ in 0..60 {
            if self.is_over(high) >= share {
                break;
            }
            high = self.fixed + (high - self.fixed) * 2.0;
        }
        if self.is_over(low) >= share {
            return low;
        }
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.is_over(middle) >= share { high = middle } else { low = middle }
        }
        high
    }

    /// The delay of those of whom a share takes another one.
    pub(crate) fn or(self, other: Self, share: f64) -> Self {
        if share <= 0.0 {
            return self;
        }
        let mix = |one: f64, other: f64| (1.0 - share) * one + share * other;
        let fixed = mix(self.fixed, other.fixed);
        let waits = mix(self.waits, other.waits);
        if waits <= 0.0 {
            return Self::fixed(fixed);
        }
        let square = |it: Self| it.waits * (it.variance + it.mean * it.mean);
        let mean = mix(self.waits * self.mean, other.waits * other.mean) / waits;
        let variance = mix(square(self), square(other)) / waits - mean * mean;
        let is_others = share * square(other) > (1.0 - share) * square(self);
        let law = if is_others { other.law } else { self.law };
        Self { fixed, waits, mean, variance: variance.max(0.0), law }
    }

    /// The delay of those for which it is over after so long.
    pub(crate) fn given_over(self, secs: f64) -> Self {
        let (left, shape) = (secs - self.fixed, self.shape());
        if left <= 0.0 || self.waits <= 0.0 || self.mean <= 0.0 {
            return Self::fixed(self.fixed.min(secs));
        }
        let share = self.share_within(left);
        if share > 0.999_999 {
            return self;
        }
        if share <= 1e-9 {
            return Self::fixed(self.fixed);
        }
        let waits = self.waits * share / (1.0 - self.waits * (1.0 - share));
        if self.law == WaitLaw::Normal {
            let score = self.score(left);
            let density = libm::exp(-score * score / 2.0) / libm::sqrt(std::f64::consts::TAU);
            let (below, deviation) = (density / share, libm::sqrt(self.variance));
            let mean = (self.mean - deviation * below).max(0.0);
            let variance = self.variance * (1.0 - score * below - below * below).max(0.0);
            return Self { waits, mean, variance, ..self };
        }
        // Moments of a cut gamma distribution are those of the next shapes.
        let of = |moment: f64| match self.law {
            WaitLaw::Lognormal => self.lognormal_share(left, moment),
            WaitLaw::Gamma | WaitLaw::Normal => {
                gamma_share(shape + moment, shape * left / self.mean)
            }
        };
        let mean = self.mean * of(1.0) / share;
        let square = self.mean * self.mean * (1.0 + 1.0 / shape) * of(2.0) / share;
        Self { waits, mean, variance: (square - mean * mean).max(0.0), ..self }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares and shapes are positive and limited, and `as` saturates"
)]
pub(crate) fn rounded(share: f64, whole: f64) -> u32 {
    (share * whole + 0.5) as u32
}

/// Shapes above this are as good as fixed.
const SHAPE_MAX: f64 = 1e6;
/// Shapes above this are taken for normal, by Wilson and Hilferty's cube root (1931).
const SHAPE_NORMAL: f64 = 200.0;
const TERM_COUNT_MAX: u32 = 500;
const PRECISION: f64 = 1e-12;

/// Share of a gamma distribution of this shape and scale 1 below a point: the regularized incomplete
/// gamma function, by its series below the shape and by its continued fraction above.
pub(crate) fn gamma_share(shape: f64, point: f64) -> f64 {
    if point <= 0.0 {
        return 0.0;
    }
    if shape > SHAPE_NORMAL {
        let spread = 1.0 / (9.0 * shape);
        let score = (libm::cbrt(point / shape) - (1.0 - spread)) / libm::sqrt(spread);
        return normal_share(score);
    }
    let front = libm::exp(shape * libm::log(point) - point - libm::lgamma(shape));
    if point < shape + 1.0 {
        let (mut term, mut sum, mut step) = (1.0 / shape, 1.0 / shape, shape);
        for _ in 0..TERM_COUNT_MAX {
            step += 1.0;
            term *= point / step;
            sum += term;
            if term < sum * PRECISION {
                break;
            }
        }
        return (front * sum).min(1.0);
    }
    // Lentz's way to evaluate a continued fraction.
    let mut bottom = point + 1.0 - shape;
    let (mut upper, mut lower) = (1e300, 1.0 / bottom);
    let mut value = lower;
    for count in 1..=TERM_COUNT_MAX {
        let count = f64::from(count);
        let factor = -count * (count - shape);
        bottom += 2.0;
        lower = 1.0 / nonzero(factor * lower + bottom);
        upper = nonzero(bottom + factor / upper);
        let change = upper * lower;
        value *= change;
        if (change - 1.0).abs() < PRECISION {
            break;
        }
    }
    (1.0 - front * value).clamp(0.0, 1.0)
}

fn nonzero(value: f64) -> f64 {
    if value.abs() < 1e-300 { 1e-300 } else { value }
}

/// Share of the standard normal distribution below a point.
pub(crate) fn normal_share(point: f64) -> f64 {
    libm::erfc(-point / std::f64::consts::SQRT_2) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_shares_are_those_of_known_laws() {
        for point in [0.1, 1.0, 3.0, 10.0] {
            let exponential = 1.0 - libm::exp(-point);
            assert!((gamma_share(1.0, point) - exponential).abs() < 1e-10);
            let erlang = 1.0 - libm::exp(-point) * (1.0 + point + point * point / 2.0);
            assert!((gamma_share(3.0, point) - erlang).abs() < 1e-10);
            let root = libm::erf(libm::sqrt(point));
            assert!((gamma_share(0.5, point) - root).abs() < 1e-10);
        }
        // Either side of where the normal law takes over.
        let (below, above) = (gamma_share(199.9, 210.0), gamma_share(200.1, 210.2));
        assert!((below - above).abs() < 1e-4, "{below} {above}");
    }

    #[test]
    fn sums_keep_mean_and_variance() {
        let one = Delay { fixed: 1.0, waits: 0.5, mean: 2.0, variance: 4.0, ..Delay::default() };
        let two = Delay { fixed: 0.5, waits: 0.2, mean: 1.0, variance: 1.0, ..Delay::default() };
        let both = one.then(two);
        assert!((both.whole_mean() - one.whole_mean() - two.whole_mean()).abs() < 1e-12);
        let variance = one.whole_variance() + two.whole_variance();
        assert!((both.whole_variance() - variance).abs() < 1e-12);
        assert!((both.is_over(1.5) - 0.4).abs() < 1e-12, "nobody waits");
    }

    #[test]
    fn lognormal_laws_are_those_of_their_logarithms() {
        // Variation 3: the logarithm varies by the root of ln 10, around -ln(10) / 2.
        let one = Delay {
            waits: 1.0,
            mean: 2.0,
            variance: 36.0,
            law: WaitLaw::Lognormal,
            ..Delay::default()
        };
        let spread = libm::sqrt(libm::log(10.0));
        for (share, score) in [(0.5, 0.0), (0.95, 1.644_854), (0.99, 2.326_348)] {
            let wanted = 2.0 * libm::exp(score * spread - spread * spread / 2.0);
            assert!((one.quantile(share) / wanted - 1.0).abs() < 1e-5, "{share}");
        }
        let cut = one.given_over(2.0);
        assert!(cut.mean < 0.7 && cut.variance < 0.5, "{cut:?}");
        assert!((one.given_over(1e9).mean - 2.0).abs() < 1e-9);
        let more = one.then(Delay { waits: 1.0, mean: 9.0, variance: 1.0, ..Delay::default() });
        assert_eq!(more.law, WaitLaw::Lognormal);
    }

    #[test]
    fn normal_laws_are_cut_as_tables_have_it() {
        let law = WaitLaw::Normal;
        let one = Delay { fixed: 1.0, waits: 1.0, mean: 10.0, variance: 4.0, law };
        assert!((one.quantile(0.95) - (11.0 + 2.0 * 1.644_854)).abs() < 1e-5);
        // Cut at its mean: the half-normal distribution.
        let cut = one.given_over(11.0);
        assert!((cut.mean - (10.0 - 2.0 * libm::sqrt(2.0 / std::f64::consts::PI))).abs() < 1e-9);
        assert!((cut.variance - 4.0 * (1.0 - 2.0 / std::f64::consts::PI)).abs() < 1e-9);
    }

    #[test]
    fn what_is_over_soon_took_less() {
        let one = Delay { fixed: 1.0, waits: 1.0, mean: 2.0, variance: 4.0, ..Delay::default() };
        let cut = one.given_over(3.0);
        // An exponential wait cut at its mean: 1 - 1 / (e - 1) of it.
        assert!((cut.mean - 2.0 * (1.0 - 1.0 / (libm::exp(1.0) - 1.0))).abs() < 1e-9);
        assert!(one.given_over(1e9) == one);
    }
}
