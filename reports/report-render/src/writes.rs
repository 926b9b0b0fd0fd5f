//! What became of the writes to each database, in words.

use report_data::{Metric, metric_name};

use crate::quantity::{counted, span};

/// A sentence for each database of which writes were lost, never answered or taken by two instances in any run.
pub(crate) fn told(metrics: &[Metric]) -> impl Iterator<Item = String> {
    metrics.iter().filter(|metric| metric.name == metric_name::LOST_COMMITS).filter_map(|lost| {
        let of =
            |name: &str| metrics.iter().find(|it| it.name == name && it.subject == lost.subject);
        let most = |metric: Option<&Metric>| {
            let values = metric.into_iter().flat_map(|metric| metric.values.iter().flatten());
            values.copied().max().unwrap_or(0)
        };
        let lost_most = most(Some(lost));
        let unknown = of(metric_name::UNKNOWN_COMMITS);
        let unknown_most = most(unknown);
        let mut parts = Vec::new();
        let all_count: i64 =
            of(metric_name::LOST_ALL).into_iter().flat_map(|it| it.values.iter().flatten()).sum();
        if all_count > 0 {
            let runs = counted(u64::try_from(all_count).unwrap_or(0), "run");
            parts.push(format!("everything lost in {runs}"));
        } else if lost_most > 0 {
            let length = u64::try_from(most(of(metric_name::LOST_SPAN))).unwrap_or(0);
            parts.push(format!("up to {lost_most} acknowledged ones lost, of {}", span(length)));
        }
        if unknown_most > 0 {
            // How they ended in the first run with so many.
            let run = unknown?.values.iter().position(|value| *value == Some(unknown_most))?;
            let in_run = |name| of(name).and_then(|metric| *metric.values.get(run)?).unwrap_or(0);
            let (kept, gone) =
                (in_run(metric_name::UNKNOWN_DURABLE), in_run(metric_name::UNKNOWN_LOST));
            let open = unknown_most - kept - gone;
            let open = if open > 0 { format!(", {open} undecided") } else { String::new() };
            parts.push(format!(
                "up to {unknown_most} never answered ({kept} kept, {gone} lost{open})"
            ));
        }
        let split = most(of(metric_name::SPLIT_BRAIN));
        if split > 0 {
            let length = |name| span(u64::try_from(most(of(name))).unwrap_or(0));
            let (longest, all) =
                (length(metric_name::LONGEST_SPLIT_BRAIN), length(metric_name::SPLIT_BRAIN));
            parts
                .push(format!("two instances took them for up to {longest} at once, {all} in all"));
        }
        (!parts.is_empty()).then(|| format!("{}: {}", lost.subject, parts.join("; ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::count;

    #[test]
    fn writes_are_told_where_something_became_of_them() {
        let metrics = [
            count(metric_name::LOST_SPAN, "shop/a", [0, 1_500_000_000]),
            count(metric_name::LOST_COMMITS, "shop/a", [0, 30]),
            count(metric_name::UNKNOWN_COMMITS, "shop/a", [2, 9]),
            count(metric_name::UNKNOWN_DURABLE, "shop/a", [2, 3]),
            count(metric_name::UNKNOWN_LOST, "shop/a", [0, 5]),
            count(metric_name::LOST_COMMITS, "shop/b", [0, 0]),
            count(metric_name::UNKNOWN_COMMITS, "shop/b", [0, 0]),
        ];
        let split = [
            count(metric_name::SPLIT_BRAIN, "shop/b", [0, 90_000_000_000]),
            count(metric_name::LONGEST_SPLIT_BRAIN, "shop/b", [0, 60_000_000_000]),
        ];
        let expected = "shop/a: up to 30 acknowledged ones lost, of 1.5s; \
                        up to 9 never answered (3 kept, 5 lost, 1 undecided)";
        assert_eq!(told(&metrics).collect::<Vec<_>>(), [expected]);
        let metrics: Vec<Metric> = metrics.into_iter().chain(split).collect();
        let two = "shop/b: two instances took them for up to 1m 00s at once, 1m 30s in all";
        assert_eq!(told(&metrics).collect::<Vec<_>>(), [expected, two]);
        let mut metrics = metrics;
        metrics.truncate(2);
        metrics[0].values = vec![Some(0), None];
        metrics.push(count("lostAll", "shop/a", [0, 1]));
        let all = "shop/a: everything lost in 1 run";
        assert_eq!(told(&metrics).collect::<Vec<_>>(), [all]);
    }
}
