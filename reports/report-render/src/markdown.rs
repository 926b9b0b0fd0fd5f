//! Markdown for a job summary: a heading, a table, details folded.

use std::fmt::Write as _;

use report_data::{Report, ScenarioResult, Verdict};

use crate::Options;
use crate::coverage;
use crate::groups::{Group, groups};
use crate::quantity::{clock, counted, place, span, spread, worst};
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
        "## {} {}: {}\n\n{} of {}, seed {}.\n\n",
        sign(result.verdict),
        escaped(&result.scenario),
        result.verdict.words(),
        counted(result.run_count, "run"),
        span(result.horizon_ns),
        result.root_seed
    );
    let shown = groups(result.guarantees.iter().filter(|guarantee| options.shows(guarantee)));
    if shown.is_empty() && !result.guarantees.is_empty() {
        let count = result.guarantees.len() as u64;
        let _ = writeln!(text, "Nothing failed: {} held.", counted(count, "guarantee"));
    } else {
        text.push_str("| | guarantee | verdict | why |\n| --- | --- | --- | --- |\n");
    }
    for group in &shown {
        let is_plain = group.is_one && group.first.verdict == Verdict::Held;
        let worst = worst(group.first).filter(|_| is_plain);
        let worst = worst.map(|worst| format!("{worst}; ")).unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            sign(group.first.verdict),
            cell(&group.name),
            group.first.verdict.words(),
            cell(&format!("{worst}{}", group.reason))
        );
    }
    for (idx, clients) in crate::clients::told(&result.metrics).enumerate() {
        let _ = writeln!(
            text,
            "{}- clients of {}",
            if idx == 0 { "\n" } else { "" },
            escaped(&clients)
        );
    }
    let limits = crate::limits::told(&result.metrics).map(|it| format!("limits of {it}"));
    let sessions = crate::sessions::told(&result.metrics).map(|it| format!("sessions of {it}"));
    for (idx, told) in limits.chain(sessions).enumerate() {
        let _ = writeln!(text, "{}- {}", if idx == 0 { "\n" } else { "" }, escaped(&told));
    }
    for (idx, memory) in crate::memory::told(&result.metrics).enumerate() {
        let _ =
            writeln!(text, "{}- memory of {}", if idx == 0 { "\n" } else { "" }, escaped(&memory));
    }
    for (idx, writes) in crate::writes::told(&result.metrics).enumerate() {
        let _ =
            writeln!(text, "{}- writes to {}", if idx == 0 { "\n" } else { "" }, escaped(&writes));
    }
    for (idx, member) in crate::members::told(&result.metrics).enumerate() {
        let _ = writeln!(text, "{}- {}", if idx == 0 { "\n" } else { "" }, escaped(&member));
    }
    let fared = crate::storage::told(&result.metrics).map(|pool| format!("storage {pool}"));
    let durable = result.storage.iter().map(crate::storage::durability);
    let durable = durable.map(|pool| format!("durability of {pool}"));
    for (idx, pool) in fared.chain(durable).enumerate() {
        let _ = writeln!(text, "{}- {}", if idx == 0 { "\n" } else { "" }, escaped(&pool));
    }
    for (idx, told) in result.recommendations.iter().filter_map(recommended).enumerate() {
        let _ =
            writeln!(text, "{}- recommended: {}", if idx == 0 { "\n" } else { "" }, escaped(&told));
    }
    list(&mut text, &coverage::told(result));
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
    let _ = writeln!(text, "- wanted {} ({})", code(&guarantee.text), escaped(&position));
    if let Some(spread) = spread(guarantee).filter(|_| group.is_one) {
        let _ = writeln!(text, "- measured {spread}");
    }
    for step in guarantee.explanation.iter().flat_map(|explanation| &explanation.steps) {
        let _ = writeln!(text, "- {} {}", clock(step.at_ns), escaped(&step.text));
    }
    if let Some(replay) = &guarantee.replay {
        let _ = writeln!(text, "- replay {}", code(replay));
    }
    text.push_str("\n</details>\n");
}

/// What a result rests on, as a list of its own.
pub(crate) fn list(text: &mut String, told: &[coverage::Told]) {
    for (idx, (label, what)) in told.iter().enumerate() {
        let start = if idx == 0 { "\n" } else { "" };
        let _ = writeln!(text, "{start}- {label}: {}", escaped(what));
    }
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    escaped(text).replace('|', "\\|")
}

/// Text in which names that users chose open no tag, no entity and no paragraph.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace(['\n', '\r'], " ")
}

/// Text as code, between more backticks than stand anywhere in it.
fn code(text: &str) -> String {
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let (fence, space) = ("`".repeat(longest + 1), if longest > 0 { " " } else { "" });
    format!("{fence}{space}{}{space}{fence}", text.replace(['\n', '\r'], " "))
}

fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "✅",
        Verdict::Violated | Verdict::Unwinnable => "❌",
        Verdict::Vacuous | Verdict::Inconclusive | Verdict::NotModelled => "⚠️",
    }
}
