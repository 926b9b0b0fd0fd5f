//! Intervals of a proportion.

use statrs::distribution::{Beta, ContinuousCDF};

/// A share of runs that is surely, at a level, between two bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower bound, 0 to 1.
    pub low: f64,
    /// Upper bound, 0 to 1.
    pub high: f64,
}

/// Confidence of every verdict: 95 %.
pub(crate) const LEVEL: f64 = 0.95;

/// The exact two-sided Clopper-Pearson interval, at 95 %, of a share of which `hits` in `trials`
/// were seen. It never covers less than its level, whatever the share.
///
/// # Panics
/// When `hits` exceeds `trials`.
pub fn proportion(hits: u64, trials: u64) -> Interval {
    assert!(hits <= trials, "{hits} of {trials} runs");
    let tail = (1.0 - LEVEL) / 2.0;
    let (k, n) = (hits as f64, trials as f64);
    let quantile = |p: f64, a: f64, b: f64| {
        Beta::new(a, b).expect("both parameters are at least 1").inverse_cdf(p)
    };
    Interval {
        low: if hits == 0 { 0.0 } else { quantile(tail, k, n - k + 1.0) },
        high: if hits == trials { 1.0 } else { quantile(1.0 - tail, k + 1.0, n - k) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_the_published_ones() {
        // Clopper and Pearson's own kind of example: 8 of 10 gives 0.4439 to 0.9748 at 95 %.
        let interval = proportion(8, 10);
        assert!((interval.low - 0.443_905).abs() < 1e-5, "{interval:?}");
        assert!((interval.high - 0.974_789).abs() < 1e-5, "{interval:?}");
    }

    #[test]
    fn nothing_in_n_leaves_a_bound() {
        let interval = proportion(0, 300);
        assert_eq!(interval.low, 0.0);
        assert!((interval.high - (1.0 - 0.025_f64.powf(1.0 / 300.0))).abs() < 1e-9);
        assert_eq!(proportion(0, 0), Interval { low: 0.0, high: 1.0 });
    }
}
