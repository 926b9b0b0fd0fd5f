//! What vertical autoscalers recommend, in a line each.

use report_data::Recommendation;

use crate::quantity::place;

/// The container, what it requests, what is recommended; `None` when nothing is.
pub(crate) fn recommended(of: &Recommendation) -> Option<String> {
    let target = of.target()?;
    let targets = if target.min == target.max {
        cpu(target.p50)
    } else {
        format!("{} ({} to {})", cpu(target.p50), cpu(target.min), cpu(target.max))
    };
    let requests = of.request_cpu_millis.map_or_else(|| "none".to_owned(), cpu);
    let bounds = of.bounds().map(|(lower, upper)| {
        if upper >= Recommendation::UNBOUNDED_MILLIS {
            format!(", at least {}", cpu(lower))
        } else {
            format!(", {} to {} would do", cpu(lower), cpu(upper))
        }
    });
    let position = of.position.as_ref().map(|position| format!("  {}", place(position)));
    Some(format!(
        "{} {}: CPU {targets} instead of {requests}{}{}",
        of.workload,
        of.container,
        bounds.unwrap_or_default(),
        position.unwrap_or_default(),
    ))
}

/// Millicores as a manifest has them.
fn cpu(millis: i64) -> String {
    format!("{millis}m")
}
