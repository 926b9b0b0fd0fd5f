//! Whether a metric passes (`scheduler_metrics.go`, runBuiltinMetricChecks and runMetricChecks).

use model_api::canary::MetricCheck;

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
