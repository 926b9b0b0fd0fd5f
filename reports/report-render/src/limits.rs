//! What rate limits refused, in words.

use report_data::{Metric, Unit, metric_name};

use crate::quantity::value;

/// A sentence for each Service that a rate limit refused requests for; groups of clients have their own.
pub(crate) fn told(metrics: &[Metric]) -> impl Iterator<Item = String> {
    let is_whole =
        |it: &&Metric| it.name == metric_name::LIMITED_REQUESTS && !it.subject.ends_with(']');
    metrics.iter().filter(is_whole).filter_map(|limited| {
        let is_it = |it: &&Metric| {
            it.name == metric_name::ADMITTED_AVAILABILITY && it.subject == limited.subject
        };
        let most = limited.quantiles()?.max;
        let admitted = metrics.iter().find(is_it)?.quantiles()?;
        let percent = |ppm| value(ppm, Unit::PartsPerMillion);
        let answered = if admitted.min == admitted.max {
            percent(admitted.min)
        } else {
            format!("{} to {}", percent(admitted.min), percent(admitted.max))
        };
        (most > 0).then(|| {
            format!(
                "{}: up to {most} refused by rate limits; of the others {answered} answered",
                limited.subject
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::metric;

    #[test]
    fn what_limits_refused_is_told_of_services() {
        let metrics = [
            metric(metric_name::LIMITED_REQUESTS, "shop/a", Unit::Count, [12, 900]),
            metric(
                metric_name::ADMITTED_AVAILABILITY,
                "shop/a",
                Unit::PartsPerMillion,
                [990_000, 1_000_000],
            ),
            metric(metric_name::LIMITED_REQUESTS, "shop/a [tenant: b]", Unit::Count, [12, 900]),
            metric(metric_name::LIMITED_REQUESTS, "shop/b", Unit::Count, [0, 0]),
            metric(
                metric_name::ADMITTED_AVAILABILITY,
                "shop/b",
                Unit::PartsPerMillion,
                [1_000_000; 2],
            ),
        ];
        let told: Vec<String> = told(&metrics).collect();
        assert_eq!(
            told,
            [
                "shop/a: up to 900 refused by rate limits; of the others 99.0000% to 100.0000% answered"
            ]
        );
    }
}
