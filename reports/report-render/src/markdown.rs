//! Markdown for a job summary: a heading, a table, details folded.

use std::fmt::Write as _;

use report_data::{Report, ScenarioResult, Verdict};

use crate::Options;
use crate::groups::{Group, groups};
use crate::quantity::{clock, place, span, spread};
use crate::recommended::recommended;

/// Most bytes of a Markdown report. A job summary of GitHub is dropped whole above 1 MiB and a
/// comment above 64 KiB, so what does not fit is cut and said.
pub const MARKDOWN_BYTES_MAX: usize = 60_000;

/// The report as Markdown.
pub fn markdown(report: &Report, options: Options) -> String {
    let mut text = String::new();
    let mut left_out_count = 0;
    for result in &report.results {
        let block = scenario(result, options);
        if text.len() + block.len() > MARKDOWN_BYTES_MAX {
            left_out_count += 1;
        } else {
            text.push_str(&block);
        }
    }
    if left_out_count > 0 {
        let _ = writeln!(text, "\n*{left_out_count} scenarios left out for length; see the JSON.*");
    }
    text
}

fn scenario(result: &ScenarioResult, options: Options) -> String {
    let mut text = format!(
        "## {} {}: {}\n\n{} runs of {}, seed {}.\n\n",
        sign(result.verdict),
        result.scenario,
        result.verdict.words(),
        result.run_count,
        span(result.horizon_ns),
        result.root_seed
    );
    text.push_str("| | guarantee | verdict | why |\n| --- | --- | --- | --- |\n");
    let shown = groups(result.guarantees.iter().filter(|guarantee| options.shows(guarantee)));
    for group in &shown {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            sign(group.first.verdict),
            cell(&group.name),
            group.first.verdict.words(),
            cell(&group.reason)
        );
    }
    for (idx, clients) in crate::clients::told(&result.metrics).enumerate() {
        let _ = writeln!(text, "{}- clients of {clients}", if idx == 0 { "\n" } else { "" });
    }
    for (idx, memory) in crate::memory::told(&result.metrics).enumerate() {
        let _ = writeln!(text, "{}- memory of {memory}", if idx == 0 { "\n" } else { "" });
    }
    for (idx, writes) in crate::writes::told(&result.metrics).enumerate() {
        let _ = writeln!(text, "{}- writes to {writes}", if idx == 0 { "\n" } else { "" });
    }
    let fared = crate::storage::told(&result.metrics).map(|pool| format!("storage {pool}"));
    let durable = result.storage.iter().map(crate::storage::durability);
    let durable = durable.map(|pool| format!("durability of {pool}"));
    for (idx, pool) in fared.chain(durable).enumerate() {
        let _ = writeln!(text, "{}- {pool}", if idx == 0 { "\n" } else { "" });
    }
    for (idx, told) in result.recommendations.iter().filter_map(recommended).enumerate() {
        let _ = writeln!(text, "{}- recommended: {told}", if idx == 0 { "\n" } else { "" });
    }
    for group in shown.iter().filter(|group| group.first.verdict != Verdict::Held) {
        details(&mut text, group);
    }
    text.push('\n');
    text
}

fn details(text: &mut String, group: &Group<'_>) {
    let guarantee = group.first;
    let _ = writeln!(text, "\n<details><summary>{}</summary>\n", cell(&group.name));
    let position = guarantee.position.as_ref().map(place).unwrap_or_default();
    let _ = writeln!(text, "- wanted `{}` ({position})", guarantee.text);
    if let Some(spread) = spread(guarantee).filter(|_| group.is_one) {
        let _ = writeln!(text, "- measured {spread}");
    }
    for step in guarantee.explanation.iter().flat_map(|explanation| &explanation.steps) {
        let _ = writeln!(text, "- {} {}", clock(step.at_ns), step.text);
    }
    if let Some(replay) = &guarantee.replay {
        let _ = writeln!(text, "- replay `{replay}`");
    }
    text.push_str("\n</details>\n");
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "✅",
        Verdict::Violated | Verdict::Unwinnable => "❌",
        Verdict::Vacuous | Verdict::Inconclusive | Verdict::NotModelled => "⚠️",
    }
}
