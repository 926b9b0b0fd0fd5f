//! What vertical autoscalers recommend, in a line each.

use report_data::{Quantiles, Recommendation};

use crate::quantity::place;

/// The container, what it requests, what is recommended; `None` when nothing is.
pub(crate) fn recommended(of: &Recommendation) -> Option<String> {
    let cpu_part = of
        .target()
        .map(|target| format!("CPU {}", instead(&target, of.request_cpu_millis, of.bounds(), cpu)));
    let memory_part = of.target_memory().map(|target| {
        let bounds = of.memory_bounds();
        format!("memory {}", instead(&target, of.request_memory_bytes, bounds, memory))
    });
    let parts: Vec<String> = cpu_part.into_iter().chain(memory_part).collect();
    let position = of.position.as_ref().map(|position| format!("  {}", place(position)));
    (!parts.is_empty()).then(|| {
        format!(
            "{} {}: {}{}",
            of.workload,
            of.container,
            parts.join("; "),
            position.unwrap_or_default(),
        )
    })
}

/// What is recommended of one resource instead of what is requested.
fn instead(
    target: &Quantiles,
    request: Option<i64>,
    bounds: Option<(i64, i64)>,
    amount: fn(i64) -> String,
) -> String {
    let targets = if target.min == target.max {
        amount(target.p50)
    } else {
        format!("{} ({} to {})", amount(target.p50), amount(target.min), amount(target.max))
    };
    let requests = request.map_or_else(|| "none".to_owned(), amount);
    let bounds = bounds.map(|(lower, upper)| {
        if upper >= Recommendation::UNBOUNDED {
            format!(", at least {}", amount(lower))
        } else {
            format!(", {} to {} would do", amount(lower), amount(upper))
        }
    });
    format!("{targets} instead of {requests}{}", bounds.unwrap_or_default())
}

/// Millicores as a manifest has them.
fn cpu(millis: i64) -> String {
    format!("{millis}m")
}

/// Bytes in whole MiB, rounded up, as a manifest has them.
fn memory(bytes: i64) -> String {
    format!("{}Mi", bytes.saturating_add((1 << 20) - 1) >> 20)
}
