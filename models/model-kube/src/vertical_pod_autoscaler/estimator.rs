//! Amounts and the steps from a percentile to a recommended amount
//! (`pkg/recommender/{model/types,logic/estimator}.go`).
//!
//! Amounts are millicores or bytes. Every step cuts its result to an integer; the order of the
//! steps is therefore part of the result.

use super::float;

/// `MaxResourceAmount`: what infinite amounts are cut to.
pub const MAX_AMOUNT: i64 = 100_000_000_000_000;

/// `resourceAmountFromFloat`: cut to an integer between 0 and [`MAX_AMOUNT`].
pub fn amount_from_float(amount: f64) -> i64 {
    if amount > MAX_AMOUNT as f64 { MAX_AMOUNT } else { amount.max(0.0) as i64 }
}

/// `ScaleResource`.
pub fn scaled(amount: i64, factor: f64) -> i64 {
    amount_from_float(amount as f64 * factor)
}

/// `WithCPUMargin`, `WithMemoryMargin`: adds a share of the amount.
pub fn with_margin(base: i64, fraction: f64) -> i64 {
    base + scaled(base, fraction)
}

/// `WithCPUConfidenceMultiplier`, `WithMemoryConfidenceMultiplier`: times
/// `(1 + multiplier / confidence) ^ exponent`. Without confidence that is infinity or 0.
pub fn with_confidence(base: i64, multiplier: f64, exponent: i32, confidence: f64) -> i64 {
    scaled(base, float::pow(1.0 + multiplier / confidence, exponent))
}

/// `WithCPUMinResource`, `WithMemoryMinResource`.
pub fn at_least(base: i64, least: i64) -> i64 {
    base.max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_cut_at_every_step() {
        assert_eq!(with_margin(3140, 0.1), 3454);
        assert_eq!(with_confidence(3140, 0.1, 2, 0.5), 4521);
        assert_eq!(with_confidence(3_140_000_000, 0.1, 2, 0.5), 4_521_600_000);
        assert_eq!(with_confidence(3140, 1.0, 1, 0.0), MAX_AMOUNT);
        assert_eq!(with_confidence(3140, 1.0, -1, 0.0), 0);
    }
}
