//! What became of clients that stay with a pod, in words.

use report_data::{Metric, metric_name};

/// A sentence for each Service whose clients stay with a pod.
pub(crate) fn told(metrics: &[Metric]) -> impl Iterator<Item = String> {
    metrics.iter().filter(|metric| metric.name == metric_name::HOTTEST_POD).filter_map(|hottest| {
        let most = |name: &str| {
            let is_it = |it: &&Metric| it.name == name && it.subject == hottest.subject;
            metrics.iter().find(is_it)?.quantiles().map(|values| values.max)
        };
        let busiest = hottest.quantiles()?.max as f64 / 1e6;
        let (moved, lost) = (most(metric_name::MOVED_SESSIONS)?, most(metric_name::LOST_SESSIONS)?);
        let moved = match (moved, lost) {
            (0, _) => String::new(),
            (moved, 0) => format!("; up to {moved} sessions moved to another pod"),
            (moved, lost) => format!("; up to {moved} sessions moved to another pod, {lost} lost"),
        };
        Some(format!(
            "{}: the busiest pod had up to {busiest:.2} times an even share{moved}",
            hottest.subject
        ))
    })
}

#[cfg(test)]
mod tests {
    use report_data::Unit;

    use super::*;
    use crate::tests::metric;

    #[test]
    fn uneven_pods_and_sessions_that_moved_are_told() {
        let of = |subject, moved, lost, hottest| {
            [
                metric(metric_name::MOVED_SESSIONS, subject, Unit::Count, moved),
                metric(metric_name::LOST_SESSIONS, subject, Unit::Count, lost),
                metric(metric_name::HOTTEST_POD, subject, Unit::PartsPerMillion, hottest),
            ]
        };
        let metrics: Vec<Metric> = [
            of("shop/a", [7, 900], [7, 900], [1_200_000, 2_500_000]),
            of("shop/b", [0, 3], [0, 0], [1_000_000, 1_000_000]),
            of("shop/c", [0, 0], [0, 0], [1_500_000, 1_100_000]),
        ]
        .into_iter()
        .flatten()
        .collect();
        let told: Vec<String> = told(&metrics).collect();
        let expected = [
            "shop/a: the busiest pod had up to 2.50 times an even share; up to 900 sessions moved to another pod, 900 lost",
            "shop/b: the busiest pod had up to 1.00 times an even share; up to 3 sessions moved to another pod",
            "shop/c: the busiest pod had up to 1.50 times an even share",
        ];
        assert_eq!(told, expected);
    }
}
