//! Whether a metric passes (`scheduler_metrics.go`, runBuiltinMetricChecks and runMetricChecks).

/// A metric with the range in which it passes. Values are whole numbers in a unit of the metric's
/// own: parts per million of successful requests, nanoseconds of a duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricCheck {
    /// `thresholdRange.min`.
    pub min: Option<i64>,
    /// `thresholdRange.max`.
    pub max: Option<i64>,
}

impl MetricCheck {
    /// `request-success-rate` of at least so much.
    pub const fn success_rate(min_ppm: i64) -> Self {
        Self { min: Some(min_ppm), max: None }
    }

    /// `request-duration`, at the 99th percentile, of at most so much.
    pub const fn duration(max_ns: i64) -> Self {
        Self { min: None, max: Some(max_ns) }
    }
}

/// Whether a value lies within the range, both ends included. A metric without a value fails: a
/// canary that gets no requests does not advance.
pub fn passes(check: MetricCheck, value: Option<i64>) -> bool {
    value.is_some_and(|value| {
        check.min.is_none_or(|min| value >= min) && check.max.is_none_or(|max| value <= max)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_requests_are_no_success() {
        let check = MetricCheck::success_rate(990_000);
        assert!(passes(check, Some(990_000)) && !passes(check, Some(989_999)));
        assert!(!passes(check, None));
        assert!(passes(MetricCheck::duration(500), Some(500)));
    }
}
