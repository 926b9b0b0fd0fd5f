//! Text for a terminal.

use std::fmt::Write as _;

use report_data::{Exposure, Report, ScenarioResult, Verdict};

use crate::Options;
use crate::coverage::{self, fault_line};
use crate::groups::{Group, groups};
use crate::quantity::{clock, counted, place, span, spread, worst};
use crate::recommended::recommended;

/// The report as text: a block a scenario, what is wrong with its cause and how to replay it.
pub fn human(report: &Report, options: Options) -> String {
    let mut text = String::new();
    for (idx, result) in report.results.iter().enumerate() {
        if idx > 0 {
            text.push('\n');
        }
        scenario(&mut text, result, options);
    }
    text
}

fn scenario(text: &mut String, result: &ScenarioResult, options: Options) {
    line(
        text,
        format_args!(
            "{} {}  {} of {}, seed {}, digest {}",
            word(result.verdict, options),
            result.scenario,
            counted(result.run_count, "run"),
            span(result.horizon_ns),
            result.root_seed,
            result.digest
        ),
    );
    for fault in &result.faults {
        line(text, format_args!("  {:<12} {}", "fault", fault_line(fault, result.run_count)));
    }
    for group in groups(result.guarantees.iter().filter(|guarantee| options.shows(guarantee))) {
        guarantee_lines(text, &group, options);
    }
    if !options.fail_only {
        for clients in crate::clients::told(&result.metrics) {
            line(text, format_args!("  {:<12} {clients}", "clients"));
        }
        for limits in crate::limits::told(&result.metrics) {
            line(text, format_args!("  {:<12} {limits}", "limits"));
        }
        for sessions in crate::sessions::told(&result.metrics) {
            line(text, format_args!("  {:<12} {sessions}", "sessions"));
        }
        for writes in crate::writes::told(&result.metrics) {
            line(text, format_args!("  {:<12} {writes}", "writes"));
        }
        for memory in crate::memory::told(&result.metrics) {
            line(text, format_args!("  {:<12} {memory}", "memory"));
        }
        for member in crate::members::told(&result.metrics) {
            line(text, format_args!("  {:<12} {member}", "member"));
        }
        for pool in crate::storage::told(&result.metrics) {
            line(text, format_args!("  {:<12} {pool}", "storage"));
        }
        for pool in &result.storage {
            let pool = crate::storage::durability(pool);
            line(text, format_args!("  {:<12} {pool}", "durability"));
        }
        exposures(text, &result.exposures);
        for told in result.recommendations.iter().filter_map(recommended) {
            line(text, format_args!("  {:<12} {told}", "recommended"));
        }
    }
    if result.limited_run_count > 0 {
        let count = result.limited_run_count;
        line(text, format_args!("  {count} runs stopped at a limit before their end"));
    }
    if !options.fail_only {
        for (label, note) in coverage::rests_on(&result.assumptions, &result.not_modelled) {
            line(text, format_args!("  {label:<12} {note}"));
        }
        if let Some(first) = result.probes_never_hit.first() {
            let count = result.probes_never_hit.len();
            let what = if count == 1 { "rare branch" } else { "rare branches" };
            let label = "never hit";
            line(text, format_args!("  {label:<12} {count} {what} ({first}; see -o json)"));
        }
    }
}

fn guarantee_lines(text: &mut String, group: &Group<'_>, options: Options) {
    let guarantee = group.first;
    if guarantee.verdict == Verdict::Held {
        // How well, and how surely: a handful of runs shows little, and says so.
        let worst = worst(guarantee).filter(|_| group.is_one);
        let worst = worst.map(|worst| format!("{worst}; ")).unwrap_or_default();
        let word = word(guarantee.verdict, options);
        let held = format_args!("  {word} {}  {worst}{}", group.name, group.reason);
        return line(text, held);
    }
    line(text, format_args!("  {} {}", word(guarantee.verdict, options), group.name));
    let position = guarantee.position.as_ref().map(place).unwrap_or_default();
    row(text, "wanted", &format!("{}  {position}", guarantee.text));
    let measured = spread(guarantee).filter(|_| group.is_one);
    let measured = measured.map(|spread| format!("; {spread}")).unwrap_or_default();
    row(text, "got", &format!("{}{measured}", guarantee.reason));
    if let Some(explanation) = &guarantee.explanation {
        for (idx, step) in explanation.steps.iter().enumerate() {
            let place = step.position.as_ref().map(|position| format!("  {}", place(position)));
            let label = if idx == 0 { "cause" } else { "" };
            let place = place.unwrap_or_default();
            row(text, label, &format!("{} {}{place}", clock(step.at_ns), step.text));
        }
        let parts: Vec<String> = explanation
            .outage_parts
            .iter()
            .map(|part| format!("{} {}", part.part.name(), span(part.length_ns)))
            .collect();
        if !parts.is_empty() {
            row(text, "spent on", &parts.join(", "));
        }
    }
    if let Some(replay) = &guarantee.replay {
        row(text, "replay", replay);
    }
}

/// A line a data set: what each disaster would have cost at its worst moment.
fn exposures(text: &mut String, exposures: &[Exposure]) {
    for group in exposures.chunk_by(|a, b| a.data_set == b.data_set) {
        let costs: Vec<String> = group
            .iter()
            .map(|exposure| {
                let back = match (exposure.back_max_ns, exposure.back_slack_ns) {
                    (Some(0), None) | (None, _) => String::new(),
                    (Some(back), None) => format!(", back in {}", span(back)),
                    (Some(back), Some(u64::MAX)) => format!(", back in at least {}", span(back)),
                    (Some(back), Some(slack)) => {
                        format!(", back in at most {}", span(back.saturating_add(slack)))
                    }
                };
                let lost = exposure.loss_max_ns.map_or_else(|| "everything".to_owned(), span);
                let at_most = if exposure.loss_is_bound { "at most " } else { "" };
                format!("{} {at_most}{lost}{back}", exposure.class)
            })
            .collect();
        line(
            text,
            format_args!("  {:<12} {}: {}", "at stake", group[0].data_set, costs.join("; ")),
        );
    }
}

fn row(text: &mut String, label: &str, value: &str) {
    line(text, format_args!("      {label:<8} {}", value.trim_end()));
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    text.write_fmt(content).expect("writing to a string cannot fail");
    text.push('\n');
}

/// The verdict, padded, in color when wanted.
fn word(verdict: Verdict, options: Options) -> String {
    let word = format!("{:<12}", verdict.words().to_uppercase());
    if !options.has_color {
        return word;
    }
    let color = match verdict {
        Verdict::Held => 32,
        Verdict::Violated | Verdict::Unwinnable => 31,
        Verdict::Vacuous | Verdict::NotModelled | Verdict::Inconclusive => 33,
    };
    format!("\x1b[1;{color}m{word}\x1b[0m")
}
