//! Amounts as people write them in manifests.

use model_api::SimSpan;
use model_api::kube::{IntOrPercent, ResourceList};

/// `250m`, `2`: cores.
pub(crate) fn cpu(millis: i64) -> String {
    if millis % 1000 == 0 { (millis / 1000).to_string() } else { format!("{millis}m") }
}

/// `64Mi`, `1.5Gi`, `100`: bytes. Exact where it can be, else with one digit.
pub(crate) fn bytes(bytes: i64) -> String {
    for (unit, shift) in [("Gi", 30), ("Mi", 20), ("Ki", 10)] {
        let one = 1_i64 << shift;
        if bytes >= one && bytes % one == 0 {
            return format!("{}{unit}", bytes / one);
        }
        if bytes >= one * 10 {
            let tenths = bytes / (one / 10);
            return format!("{}.{}{unit}", tenths / 10, tenths % 10);
        }
    }
    bytes.to_string()
}

/// An amount of a resource by its name.
pub(crate) fn of(resource: &str, amount: i64) -> String {
    match resource {
        ResourceList::CPU => cpu(amount),
        ResourceList::PODS => amount.to_string(),
        _ => bytes(amount),
    }
}

/// `cpu 100m, memory 64Mi`; `nothing` without any.
pub(crate) fn list(resources: &ResourceList) -> String {
    let amounts = resources.0.iter().map(|(name, amount)| format!("{name} {}", of(name, *amount)));
    let text: Vec<String> = amounts.collect();
    if text.is_empty() { "nothing".to_owned() } else { text.join(", ") }
}

/// Thousandths: `0.3`, `12`.
pub(crate) fn thousandths(value: i64) -> String {
    if value % 1000 == 0 { (value / 1000).to_string() } else { format!("{value}m") }
}

/// `25%`, `3`.
pub(crate) fn share(value: IntOrPercent) -> String {
    match value {
        IntOrPercent::Int(count) => count.to_string(),
        IntOrPercent::Percent(percent) => format!("{percent}%"),
    }
}

/// `90s`, `5m`, `1h 10m`; parts of a second only below a minute.
pub(crate) fn span(span: SimSpan) -> String {
    let secs = span.as_secs();
    let millis = span.as_millis() % 1000;
    match secs {
        0..60 if millis > 0 => format!("{:.1}s", span.as_secs_f64()),
        0..120 => format!("{secs}s"),
        120..3600 if secs.is_multiple_of(60) => format!("{}m", secs / 60),
        120..3600 => format!("{}m {:02}s", secs / 60, secs % 60),
        _ => format!("{}h {:02}m", secs / 3600, secs % 3600 / 60),
    }
}

/// `1 pod`, `2 pods`.
pub(crate) fn count(count: impl Into<i64>, noun: &str) -> String {
    let count = count.into();
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_in_manifests() {
        assert_eq!([cpu(100), cpu(2000), cpu(2500)], ["100m", "2", "2500m"]);
        assert_eq!([bytes(64 << 20), bytes(3 << 29), bytes(200)], ["64Mi", "1536Mi", "200"]);
        assert_eq!(bytes(100_000_000), "95.3Mi");
        assert_eq!([thousandths(1500), thousandths(3000)], ["1500m", "3"]);
        let spans = [0, 90, 120, 300, 350, 4200].map(|secs| span(SimSpan::from_secs(secs)));
        assert_eq!(spans, ["0s", "90s", "2m", "5m", "5m 50s", "1h 10m"]);
        assert_eq!(span(SimSpan::from_millis(47_700)), "47.7s");
        assert_eq!([count(1, "pod"), count(3, "pod")], ["1 pod", "3 pods"]);
    }
}
