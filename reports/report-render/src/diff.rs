//! Differences: what changed first, what did not as a count.

use std::fmt::Write as _;

use report_data::Unit;
use report_diff::{GuaranteeDiff, MetricDiff, NoteDiff, Paired, ScenarioDiff, Side};

use crate::coverage;
use crate::markdown::{escaped, list};
use crate::quantity;

/// Most changed figures that are listed; the rest is in the JSON.
const METRICS_SHOWN_MAX: usize = 12;

/// The differences as text for a terminal.
pub fn diff_human(diffs: &[ScenarioDiff]) -> String {
    let mut text = String::new();
    for diff in diffs {
        let _ = writeln!(text, "{}", sentence(diff));
        for guarantee in &diff.guarantees {
            let _ = writeln!(text, "  {}", guarantee_line(guarantee));
        }
        for metric in largest(diff) {
            let _ = writeln!(text, "  {}", metric_line(metric));
        }
        for name in &diff.unpaired {
            let _ = writeln!(text, "  {name}");
        }
        let _ = writeln!(text, "  {}", rest(diff));
        for (label, what) in told(diff) {
            let _ = writeln!(text, "  {label}: {what}");
        }
    }
    text
}

/// What the comparison leaves out. Of assumptions and warnings those that differ; of what is not
/// modelled and of faults that hit nothing all, because no difference can come of them.
fn told(diff: &ScenarioDiff) -> Vec<coverage::Told> {
    let of = |label, notes: &[NoteDiff], side| {
        let notes: Vec<_> =
            notes.iter().filter(|it| it.side == side).map(|it| it.note.clone()).collect();
        coverage::notes(label, &notes)
    };
    let hit_nothing =
        diff.hit_nothing.iter().map(|name| ("fault", format!("{name} hit nothing in any run")));
    let mut told = of("not modelled, only after", &diff.not_modelled, Side::Head);
    told.extend(of("not modelled, only before", &diff.not_modelled, Side::Base));
    told.extend(of("not modelled on both sides", &diff.not_modelled, Side::Both));
    told.extend(of("assumed, only after", &diff.assumptions, Side::Head));
    told.extend(of("assumed, only before", &diff.assumptions, Side::Base));
    told.extend(of("warning, only after", &diff.warnings, Side::Head));
    told.extend(of("warning, only before", &diff.warnings, Side::Base));
    told.extend(hit_nothing);
    told
}

/// The differences as indented JSON with a final line end.
pub fn diff_json(diffs: &[ScenarioDiff]) -> String {
    let mut text = serde_json::to_string_pretty(diffs).expect("plain data always serializes");
    text.push('\n');
    text
}

/// The differences as Markdown for a job summary or a comment.
pub fn diff_markdown(diffs: &[ScenarioDiff]) -> String {
    let mut text = String::new();
    for diff in diffs {
        let _ = writeln!(text, "**{}**\n", escaped(&sentence(diff)));
        for guarantee in &diff.guarantees {
            let _ = writeln!(text, "- {}", escaped(&guarantee_line(guarantee)));
        }
        let metrics = largest(diff);
        if !metrics.is_empty() {
            let _ =
                writeln!(text, "\n<details><summary>{} figures changed</summary>\n", metrics.len());
            for metric in metrics {
                let _ = writeln!(text, "- {}", escaped(&metric_line(metric)));
            }
            let _ = writeln!(text, "\n</details>");
        }
        let _ = writeln!(text, "\n{}", rest(diff));
        list(&mut text, &told(diff));
        text.push('\n');
    }
    text
}

/// What the change does, in one sentence.
fn sentence(diff: &ScenarioDiff) -> String {
    let change = &diff.change;
    if diff.is_equal() && diff.is_beyond_the_model() {
        return format!(
            "{}: {change} changes nothing that is modelled in {}, and something that is not",
            diff.scenario,
            quantity::counted(diff.run_count, "run")
        );
    }
    if diff.is_equal() {
        let runs = quantity::counted(diff.run_count, "run");
        return format!("{}: {change} changes nothing in {runs}", diff.scenario);
    }
    let mut parts: Vec<String> = diff
        .guarantees
        .iter()
        .filter(|guarantee| guarantee.base != guarantee.head)
        .map(|g| format!("{} goes from {} to {}", g.name, g.base.words(), g.head.words()))
        .collect();
    if parts.is_empty() {
        parts.push("no verdict changes, but figures do".to_owned());
    }
    format!("{}: with {change}, {}", diff.scenario, parts.join("; "))
}

fn guarantee_line(diff: &GuaranteeDiff) -> String {
    let value = diff.value.map(|paired| format!("; {}", change(&paired))).unwrap_or_default();
    format!(
        "{} -> {}  {} ({}): held in {} -> {} runs{value}",
        diff.base.words(),
        diff.head.words(),
        diff.name,
        diff.text,
        diff.base_held_count,
        diff.head_held_count,
    )
}

fn metric_line(diff: &MetricDiff) -> String {
    format!("{} of {}: {}", diff.name, diff.subject, change(&diff.paired))
}

/// Before, after, and the paired difference with its interval.
fn change(paired: &Paired) -> String {
    let show = |figure: f64| match paired.unit {
        Unit::Count => format!("{figure:.2}"),
        unit => quantity::value(figure.abs().round() as i64, unit),
    };
    let signed =
        |figure: f64| format!("{}{}", if figure < 0.0 { "-" } else { "+" }, show(figure.abs()));
    let interval = match (paired.difference_low, paired.difference_high) {
        (Some(low), Some(high)) => format!(" (95 % {} to {})", signed(low), signed(high)),
        _ => String::new(),
    };
    let one_sided = match paired.one_sided_count {
        0 => String::new(),
        count => format!(", and {} with a value on one side only", quantity::counted(count, "run")),
    };
    format!(
        "{} -> {} in the mean, {}{interval}, in {} of {} runs{one_sided}",
        show(paired.base_mean),
        show(paired.head_mean),
        signed(paired.difference_mean),
        paired.changed_count,
        paired.pair_count,
    )
}

/// Changed figures, those that changed in most runs first.
fn largest(diff: &ScenarioDiff) -> Vec<&MetricDiff> {
    let mut metrics: Vec<&MetricDiff> = diff.metrics.iter().collect();
    metrics.sort_by_key(|metric| std::cmp::Reverse(metric.paired.changed_count));
    metrics.truncate(METRICS_SHOWN_MAX);
    metrics
}

fn rest(diff: &ScenarioDiff) -> String {
    let more = diff.metrics.len().saturating_sub(METRICS_SHOWN_MAX);
    let more = if more > 0 { format!("{more} more figures changed; ") } else { String::new() };
    format!(
        "{more}{} and {} are exactly as before",
        quantity::counted(diff.equal_guarantee_count, "guarantee"),
        quantity::counted(diff.equal_metric_count, "figure")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use report_data::Verdict;

    fn example() -> ScenarioDiff {
        let paired = Paired {
            unit: Unit::PartsPerMillion,
            pair_count: 200,
            changed_count: 62,
            one_sided_count: 0,
            base_mean: 999_700.0,
            head_mean: 992_000.0,
            difference_mean: -7_700.0,
            difference_low: Some(-8_000.0),
            difference_high: Some(-7_400.0),
        };
        ScenarioDiff {
            schema_version: 1,
            scenario: "loss".to_owned(),
            change: "maxUnavailable 1 -> 2".to_owned(),
            root_seed: 1,
            run_count: 200,
            guarantees: vec![GuaranteeDiff {
                name: "available".to_owned(),
                text: "availability(web) >= 99.9%".to_owned(),
                base: Verdict::Held,
                head: Verdict::Violated,
                base_held_count: 200,
                head_held_count: 138,
                value: Some(paired),
            }],
            metrics: Vec::new(),
            equal_guarantee_count: 3,
            equal_metric_count: 40,
            unpaired: Vec::new(),
            not_modelled: Vec::new(),
            assumptions: Vec::new(),
            warnings: Vec::new(),
            hit_nothing: Vec::new(),
        }
    }

    #[test]
    fn the_change_comes_first() {
        insta::assert_snapshot!(diff_human(&[example()]), @r"
        loss: with maxUnavailable 1 -> 2, available goes from held to violated
          held -> violated  available (availability(web) >= 99.9%): held in 200 -> 138 runs; 99.9700% -> 99.2000% in the mean, -0.7700% (95 % -0.8000% to -0.7400%), in 62 of 200 runs
          3 guarantees and 40 figures are exactly as before
        ");
    }

    #[test]
    fn nothing_changed_is_one_sentence() {
        let diff = ScenarioDiff { guarantees: Vec::new(), ..example() };
        let text = diff_human(std::slice::from_ref(&diff));
        assert!(text.starts_with("loss: maxUnavailable 1 -> 2 changes nothing in"), "{text}");
        // Unless what was changed is nothing that the model knows.
        let note = report_data::Note { text: "ResourceQuota spec".to_owned(), position: None };
        let not_modelled = vec![NoteDiff { side: Side::Head, note }];
        let diff = ScenarioDiff { not_modelled, hit_nothing: vec!["lost".to_owned()], ..diff };
        for text in [diff_human(std::slice::from_ref(&diff)), diff_markdown(&[diff])] {
            assert!(text.contains("changes nothing that is modelled"), "{text}");
            assert!(text.contains("not modelled, only after: ResourceQuota spec"), "{text}");
            assert!(text.contains("fault: lost hit nothing in any run"), "{text}");
        }
    }
}
