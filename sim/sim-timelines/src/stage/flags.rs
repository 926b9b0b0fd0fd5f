//! Flags of the components that a trace was recorded with.

use model_api::{Parameters, SimSpan};
use scenario_format::yaml::Node;
use scenario_format::{Code, Diagnostic};

use crate::fields::{Fields, LONGEST_SECS};

/// Flags that change neither decisions nor timing here.
const WITHOUT_EFFECT: &[&str] =
    &["authorization-mode", "disable-admission-plugins", "leader-elect"];

/// Applies what is stated.
pub(super) fn apply(
    fields: &Fields<'_>,
    parameters: &mut Parameters,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let components = fields.get("flags").and_then(Node::entries).unwrap_or_default();
    for component in components {
        for flag in component.value.items().unwrap_or_default() {
            let text = flag.text().unwrap_or_default().trim_start_matches("--");
            let (name, value) = text.split_once('=').unwrap_or((text, "true"));
            if WITHOUT_EFFECT.contains(&name) {
                continue;
            }
            if set(name, value, parameters).is_none() {
                let message = format!("the flag `{text}` of {} is not simulated", component.key);
                diagnostics.push(Diagnostic::new(Code::E0014, flag.span, message));
            }
        }
    }
}

/// Sets one flag; `None` when it or its value is not known.
fn set(name: &str, value: &str, parameters: &mut Parameters) -> Option<()> {
    match name {
        "node-monitor-period" => {
            parameters.node_monitor_period = span(value).filter(|period| !period.is_zero())?;
        }
        "node-monitor-grace-period" => parameters.node_monitor_grace_period = span(value)?,
        "node-eviction-rate" => parameters.node_eviction_rate_milli = thousandths(value)?,
        "secondary-node-eviction-rate" => {
            parameters.secondary_node_eviction_rate_milli = thousandths(value)?;
        }
        "large-cluster-size-threshold" => {
            parameters.large_cluster_size_threshold = value.parse().ok()?;
        }
        "unhealthy-zone-threshold" => {
            let ppm = thousandths(value)?.checked_mul(1000)?;
            parameters.unhealthy_zone_threshold_ppm = u32::try_from(ppm).ok()?;
        }
        "default-not-ready-toleration-seconds" | "default-unreachable-toleration-seconds" => {
            parameters.default_toleration = span(&format!("{value}s"))?;
        }
        "leader-elect-lease-duration" => parameters.leader_lease_duration = span(value)?,
        "leader-elect-retry-period" => {
            parameters.leader_retry_period = span(value).filter(|period| !period.is_zero())?;
        }
        _ => return None,
    }
    Some(())
}

/// A duration as Go writes it: `1m30s`, `500ms`; none above [`LONGEST_SECS`].
pub(crate) fn span(text: &str) -> Option<SimSpan> {
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (amount, behind) = rest.split_at(digits);
        let letters = behind.find(|letter: char| letter.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at(letters);
        let secs = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        sum += amount.parse::<f64>().ok()? * secs;
        rest = next;
    }
    let is_some = !text.is_empty() && sum <= LONGEST_SECS;
    is_some.then(|| SimSpan::from_secs_f64_rounded(sum))
}

fn thousandths(text: &str) -> Option<u64> {
    let value: f64 = text.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates and shares are small and checked"
    )]
    let milli = (value * 1000.0).round() as u64;
    (0.0..=1e6).contains(&value).then_some(milli)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_in_go() {
        let cases = [("40s", Some(40_000)), ("1m30s", Some(90_000)), ("500ms", Some(500))];
        for (text, millis) in cases {
            assert_eq!(span(text), millis.map(SimSpan::from_millis), "{text}");
        }
        assert_eq!([span(""), span("5"), span("5x"), span("999h"), span("1e9s")], [None; 5]);
    }
}
