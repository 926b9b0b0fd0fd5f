//! Figures as people write them.

use report_data::{GuaranteeResult, Metric, Position, Unit};

use crate::storage::bytes;

/// A span: `0s`, `350ms`, `12.5s`, `5m 12s`, `2h 03m`.
pub(crate) fn span(ns: u64) -> String {
    const MILLI: u64 = 1_000_000;
    const SECOND: u64 = 1_000 * MILLI;
    let secs = ns / SECOND;
    match ns {
        // What has no bound is stored as the largest figure there is.
        _ if ns >= i64::MAX as u64 => "no bound".to_owned(),
        0 => "0s".to_owned(),
        _ if ns < MILLI => format!("{:.3}ms", ns as f64 / MILLI as f64),
        _ if ns < SECOND => format!("{}ms", ns / MILLI),
        _ if secs < 60 => {
            let tenths = ns / (100 * MILLI);
            format!("{}.{}s", tenths / 10, tenths % 10)
        }
        _ if secs < 3600 => format!("{}m {:02}s", secs / 60, secs % 60),
        _ => format!("{}h {:02}m", secs / 3600, secs % 3600 / 60),
    }
}

/// So many of something: `1 run`, `5 runs`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A moment of a run: `00:25:03.250`.
pub(crate) fn clock(ns: u64) -> String {
    let millis = ns / 1_000_000;
    let (secs, millis) = (millis / 1000, millis % 1000);
    format!("{:02}:{:02}:{:02}.{millis:03}", secs / 3600, secs % 3600 / 60, secs % 60)
}

/// A value with its unit.
pub(crate) fn value(value: i64, unit: Unit) -> String {
    match unit {
        Unit::Nanoseconds => span(value.unsigned_abs()),
        Unit::PartsPerMillion => format!("{:.4}%", value as f64 / 10_000.0),
        Unit::Count => value.to_string(),
    }
}

/// Figures of an expression that are named before the rest is counted.
const FIGURES_MAX: usize = 4;

/// What was measured of the figures that an expression names; `None` when it names none.
fn figures(guarantee: &GuaranteeResult) -> Option<String> {
    let worst_run = guarantee.worst_run.and_then(|run| usize::try_from(run).ok());
    let told = |figure: &Metric| {
        let is_of_bytes = figure.unit == Unit::Count && figure.name.ends_with("Bytes");
        let show = |it: i64| match u64::try_from(it) {
            Ok(count) if is_of_bytes => bytes(count),
            _ => value(it, figure.unit),
        };
        let worst = worst_run.and_then(|run| *figure.values.get(run)?);
        let measured = match figure.quantiles() {
            None => "was not measured".to_owned(),
            Some(it) if it.min == it.max => show(it.min),
            Some(it) => {
                let median = format!("median {}", show(it.p50));
                let worst = worst.map(|it| format!(", worst run {}", show(it))).unwrap_or_default();
                format!("{} to {} ({median}{worst})", show(it.min), show(it.max))
            }
        };
        format!("{} of {} {measured}", figure.name, figure.subject)
    };
    let mut all: Vec<String> = guarantee.figures.iter().take(FIGURES_MAX).map(told).collect();
    let rest = guarantee.figures.len().saturating_sub(FIGURES_MAX);
    if rest > 0 {
        all.push(format!("{rest} more"));
    }
    (!all.is_empty()).then(|| all.join(", "))
}

/// Least, median and greatest of the measured values; `None` when nothing was measured.
pub(crate) fn spread(guarantee: &GuaranteeResult) -> Option<String> {
    if let Some(figures) = figures(guarantee) {
        return Some(figures);
    }
    let mut values: Vec<i64> = guarantee.values.iter().flatten().copied().collect();
    values.sort_unstable();
    let (least, greatest) = (*values.first()?, *values.last()?);
    let median = values[(values.len() - 1) / 2];
    let show = |figure| value(figure, guarantee.unit);
    if guarantee.unit == Unit::Count {
        return None;
    }
    Some(if least == greatest {
        let is_each = guarantee.values.iter().all(Option::is_some);
        let which = if is_each { "every run" } else { "the others" };
        format!("{} in {which}", show(least))
    } else {
        format!("{} to {}, median {}", show(least), show(greatest), show(median))
    })
}

/// The worst of the measured values beside what was promised: `worst 1m 06s, wanted <= 90s`; `None` when
/// nothing was measured that has a unit.
pub(crate) fn worst(guarantee: &GuaranteeResult) -> Option<String> {
    if let Some(figures) = figures(guarantee) {
        return Some(figures);
    }
    if guarantee.unit == Unit::Count {
        return None;
    }
    let limit = limit(&guarantee.text);
    let values = guarantee.values.iter().flatten().copied();
    let worst = match limit {
        Some(limit) if limit.starts_with('>') => values.min(),
        _ => values.max(),
    };
    let worst = value(worst?, guarantee.unit);
    Some(match limit {
        Some(limit) => format!("worst {worst}, wanted {limit}"),
        None => format!("worst {worst}"),
    })
}

/// The comparison of a promise: `<= 90s` of `rto(shop/web) <= 90s for 95% of runs`.
fn limit(text: &str) -> Option<&str> {
    // Names stand in the parentheses before it.
    let text = &text[text.rfind(')')?..];
    let text = &text[text.find(['<', '>', '='])?..];
    Some(text.split(" for ").next().unwrap_or(text).trim_end())
}

/// `file:line:column`.
pub(crate) fn place(position: &Position) -> String {
    format!("{}:{}:{}", position.file, position.line, position.column)
}
