//! How members of the control plane fared, in words.

use report_data::{Metric, metric_name};

use crate::quantity::{counted, span};

/// A sentence for each API server and member of etcd to which something happened in any run.
pub(crate) fn told(metrics: &[Metric]) -> impl Iterator<Item = String> {
    metrics.iter().filter(|metric| metric.name == metric_name::MEMBER_DOWN).filter_map(|down| {
        let most = |name: &str| {
            let found = metrics.iter().find(|it| it.name == name && it.subject == down.subject);
            let values = found.into_iter().flat_map(|it| it.values.iter().flatten());
            values.copied().max().and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
        };
        let told = |count: u64, text: String| (count > 0).then_some(text);
        let (time, times) = (most(metric_name::MEMBER_DOWN), most(metric_name::MEMBER_DOWN_COUNT));
        let elected = most(metric_name::MEMBER_ELECTED);
        let in_vain = most(metric_name::MEMBER_DIALED_IN_VAIN);
        let often = if times > 1 { format!(", {times} times") } else { String::new() };
        let parts: Vec<String> = [
            told(time, format!("away for up to {}{often}", span(time))),
            told(elected, format!("elected up to {}", counted(elected, "time"))),
            told(in_vain, format!("up to {} led to it in vain", counted(in_vain, "connection"))),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| format!("{}: {}", down.subject, parts.join("; ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::count;

    #[test]
    fn members_to_which_nothing_happened_are_not_told_of() {
        let metrics = [
            count(metric_name::MEMBER_DOWN, "kube-apiserver in a", [0, 60_000_000_000]),
            count(metric_name::MEMBER_DOWN_COUNT, "kube-apiserver in a", [0, 2]),
            count(metric_name::MEMBER_DIALED_IN_VAIN, "kube-apiserver in a", [1, 0]),
            count(metric_name::MEMBER_DOWN, "etcd in a", [0, 0]),
            count(metric_name::MEMBER_ELECTED, "etcd in a", [3, 1]),
            count(metric_name::MEMBER_DOWN, "etcd in b", [0, 0]),
        ];
        let told: Vec<String> = told(&metrics).collect();
        let expected = [
            "kube-apiserver in a: away for up to 1m 00s, 2 times; up to 1 connection led to it in vain",
            "etcd in a: elected up to 3 times",
        ];
        assert_eq!(told, expected);
    }
}
