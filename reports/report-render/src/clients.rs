//! What tenants, clients of a zone, and requests to endpoints in a zone met, in a line each.

use report_data::{Metric, Quantiles, Unit, metric_name};

use crate::quantity::{span, value};

/// A sentence for each group of clients that is counted by itself.
pub(crate) fn told(metrics: &[Metric]) -> impl Iterator<Item = String> {
    metrics.iter().filter_map(|metric| {
        let (service, group) = metric.subject.strip_suffix(']')?.split_once(" [")?;
        let is_first = metric.name == metric_name::AVAILABILITY;
        is_first.then(|| format!("{service}, {group}: {}", figures(metric, metrics)))
    })
}

fn figures(availability: &Metric, metrics: &[Metric]) -> String {
    let of_group = || metrics.iter().filter(|it| it.subject == availability.subject);
    let most = |name: &str| {
        let metric = of_group().find(|metric| metric.name == name)?;
        metric.quantiles().map(|values| values.max)
    };
    let Some(Quantiles { min, max, .. }) = availability.quantiles() else {
        return "asked for nothing".to_owned();
    };
    let percent = |ppm| value(ppm, Unit::PartsPerMillion);
    let mut parts = vec![if min == max {
        format!("{} answered", percent(min))
    } else {
        format!("{} to {} answered", percent(min), percent(max))
    }];
    let within = |name| most(name).map(|ns| span(ns.unsigned_abs()));
    if let (Some(p50), Some(p99)) = (within("latencyP50"), within("latencyP99")) {
        parts.push(format!("half in up to {p50}, 99% in up to {p99}"));
    }
    if let Some(crossing) = most(metric_name::CROSS_ZONE).filter(|ppm| *ppm > 0) {
        parts.push(format!("up to {} from other zones", percent(crossing)));
    }
    if let Some(lost) = most(metric_name::LOST_REQUESTS).filter(|lost| *lost > 0) {
        let reasons = of_group().filter_map(|metric| {
            let reason = metric.name.strip_prefix("lostRequests.")?;
            let count = metric.quantiles()?.max;
            (count > 0).then(|| format!("{reason} {count}"))
        });
        let reasons: Vec<String> = reasons.collect();
        parts.push(format!("up to {lost} lost ({})", reasons.join(", ")));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::metric;

    #[test]
    fn only_groups_of_clients_are_told() {
        let tenant = "shop/web [tenant: acme]";
        let metrics = [
            metric(
                metric_name::AVAILABILITY,
                "shop/web",
                Unit::PartsPerMillion,
                [900_000, 990_000],
            ),
            metric(metric_name::AVAILABILITY, tenant, Unit::PartsPerMillion, [999_000, 1_000_000]),
            metric(metric_name::LOST_REQUESTS, tenant, Unit::Count, [12, 0]),
            metric("lostRequests.overload", tenant, Unit::Count, [10, 0]),
            metric("lostRequests.timedOut", tenant, Unit::Count, [2, 0]),
            metric("latencyP50", tenant, Unit::Nanoseconds, [5_000_000, 6_000_000]),
            metric("latencyP99", tenant, Unit::Nanoseconds, [250_000_000, 90_000_000]),
            metric(
                metric_name::AVAILABILITY,
                "shop/web [zone: a]",
                Unit::PartsPerMillion,
                [1_000_000; 2],
            ),
            metric(
                metric_name::AVAILABILITY,
                "shop/db [served_in: b]",
                Unit::PartsPerMillion,
                [800_000; 2],
            ),
            metric(
                metric_name::CROSS_ZONE,
                "shop/db [served_in: b]",
                Unit::PartsPerMillion,
                [0, 250_000],
            ),
        ];
        let told: Vec<String> = told(&metrics).collect();
        let expected = [
            "shop/web, tenant: acme: 99.9000% to 100.0000% answered; half in up to 6ms, 99% in up \
             to 250ms; up to 12 lost (overload 10, timedOut 2)",
            "shop/web, zone: a: 100.0000% answered",
            "shop/db, served_in: b: 80.0000% answered; up to 25.0000% from other zones",
        ];
        assert_eq!(told, expected);
    }
}
