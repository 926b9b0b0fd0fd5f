//! What became of pods that memory ran out for, in words.

use report_data::{Metric, metric_name};

/// A sentence for each workload of whose pods some were killed, evicted or refused in any run.
pub(crate) fn told(metrics: &[Metric]) -> impl Iterator<Item = String> {
    metrics.iter().filter(|metric| metric.name == metric_name::MEMORY_KILLS).filter_map(|kills| {
        let of = |name: &str, what: &str| {
            let metric =
                metrics.iter().find(|it| it.name == name && it.subject == kills.subject)?;
            let values = || metric.values.iter().flatten().copied();
            let (least, most) = (values().min()?, values().max()?);
            let plural = if most == 1 { "" } else { "s" };
            let what = what.replacen('$', plural, 1);
            match (least, most) {
                (_, 0) => None,
                (least, most) if least == most => Some(format!("{most} {what}")),
                (least, most) => Some(format!("{least} to {most} {what}")),
            }
        };
        let parts: Vec<String> = [
            of(metric_name::MEMORY_KILLS, "container$ killed"),
            of(metric_name::MEMORY_EVICTIONS, "pod$ evicted"),
            of(metric_name::MEMORY_REFUSALS, "pod$ refused"),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| format!("{}: {} in a run", kills.subject, parts.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::count;

    #[test]
    fn what_happened_in_some_run_is_told() {
        let metrics = [
            count(metric_name::MEMORY_KILLS, "shop/a", [7, 4, 5]),
            count(metric_name::MEMORY_EVICTIONS, "shop/a", [0, 1, 0]),
            count(metric_name::MEMORY_REFUSALS, "shop/a", [0, 0, 0]),
            count(metric_name::MEMORY_KILLS, "shop/b", [2, 2, 2]),
            count(metric_name::LOST_REQUESTS, "shop/b", [9, 9, 9]),
        ];
        let told: Vec<String> = told(&metrics).collect();
        let expected = [
            "shop/a: 4 to 7 containers killed, 0 to 1 pod evicted in a run",
            "shop/b: 2 containers killed in a run",
        ];
        assert_eq!(told, expected);
    }
}
