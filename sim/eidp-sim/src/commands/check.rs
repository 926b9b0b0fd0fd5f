//! `check`: what is wrong with the input, and what of it is modelled. Nothing is run.

use std::fmt::Write as _;

use report_data::{BlackStart, BlackStartFrom, BlackStartReport, BlackStartStage, SCHEMA_VERSION};
use scenario_format::coverage::{Coverage, Fidelity};
use scenario_format::{Loaded, Resolved, Severity, Sources, Stage, StartFrom, black_start};

use crate::exit::Exit;
use crate::flags::{self, Check, Form, Output};
use crate::input::{Wanted, count, disk, load_all, of, plan};
use crate::runs::program;
use crate::streams::{Streams, check_outputs};

pub(crate) fn run(flags: &Check, streams: Streams) -> anyhow::Result<Exit> {
    check_outputs(&flags.output, &[Form::Human, Form::Json]).map_err(anyhow::Error::msg)?;
    let wanted = Wanted::new(&flags.input, &flags.set);
    let disk = disk(&wanted)?;
    let all = match load_all(&wanted, &disk, streams) {
        Ok(all) => all,
        Err(exit) => return Ok(exit),
    };
    let mut exit = Exit::Held;
    let mut orders = Vec::new();
    for (word, mut loaded) in all {
        if let Some(Err(diagnostic)) = loaded.resolved.as_ref().map(plan) {
            loaded.diagnostics.push(diagnostic);
        }
        if flags.short {
            streams.data(&short(&loaded))?;
        } else {
            streams.say(&loaded.render(streams.has_color_err()));
            if let Some(resolved) = &loaded.resolved
                && let Some(from) = flags.black_start
            {
                orders.push(order(resolved, from));
            } else if let Some(resolved) = &loaded.resolved {
                streams.data(&coverage(&resolved.coverage, &loaded.sources, flags.all))?;
            }
        }
        let errors = count(&loaded.diagnostics, Severity::Error);
        let warnings = count(&loaded.diagnostics, Severity::Warning);
        streams.mention(&summary(&word, &loaded, errors, warnings));
        if errors > 0 || (flags.strict && warnings > 0) {
            exit = Exit::BadInput;
        }
    }
    if flags.black_start.is_some() {
        write_orders(orders, &flags.output, streams)?;
    }
    Ok(exit)
}

/// One line for each finding.
fn short(loaded: &Loaded) -> String {
    let mut text = String::new();
    for diagnostic in &loaded.diagnostics {
        text.push_str(&diagnostic.one_line(&loaded.sources));
        text.push('\n');
    }
    text
}

/// What is approximated or not modelled (and what is, if wanted), with the first place of each.
fn coverage(coverage: &Coverage, sources: &Sources, is_all: bool) -> String {
    let mut text = String::new();
    let fidelities = [Fidelity::NotModelled, Fidelity::Approximated, Fidelity::Modelled];
    for fidelity in fidelities.into_iter().take(if is_all { 3 } else { 2 }) {
        let uses: Vec<_> = coverage.uses.iter().filter(|one| one.fidelity == fidelity).collect();
        if uses.is_empty() {
            continue;
        }
        writeln!(text, "{}:", fidelity.as_str()).expect("writing to a String cannot fail");
        for one in uses {
            let place = one.places.first().and_then(|place| {
                let name = &sources.get(place.file_idx)?.name;
                let more = one.places.len() - 1;
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                Some(format!("  {name}:{}:{}{more}", place.line, place.column))
            });
            let note = if one.note.is_empty() { String::new() } else { format!(": {}", one.note) };
            let what = format!("{} {}", one.kind, one.field);
            let place = place.unwrap_or_default();
            writeln!(text, "  {}{note}{place}", what.trim_end())
                .expect("writing to a String cannot fail");
        }
    }
    text
}

/// The stages of a black start, as data.
fn order(resolved: &Resolved, from: flags::StartFrom) -> BlackStart {
    let stage = |stage| match stage {
        Stage::Start { workloads, waits_for } => BlackStartStage::Start { workloads, waits_for },
        Stage::ByHand { because, step } => BlackStartStage::ByHand { because, step },
    };
    let (from, left) = match from {
        flags::StartFrom::Nodes => (StartFrom::Nodes, BlackStartFrom::Nodes),
        flags::StartFrom::Etcd => (StartFrom::Etcd, BlackStartFrom::Etcd),
        flags::StartFrom::Git => (StartFrom::Git, BlackStartFrom::Git),
    };
    let stages = black_start(&resolved.blueprint, from).into_iter().map(stage).collect();
    BlackStart { scenario: resolved.name.clone(), from: left, stages }
}

fn write_orders(
    orders: Vec<BlackStart>,
    outputs: &[Output],
    streams: Streams,
) -> anyhow::Result<()> {
    let program = program();
    let report = BlackStartReport { schema_version: SCHEMA_VERSION, program, scenarios: orders };
    for output in outputs {
        let text = match output.form {
            Form::Json => report_render::black_start_json(&report),
            _ => report_render::black_start_human(&report),
        };
        streams.report(output, &text)?;
    }
    Ok(())
}

fn summary(word: &str, loaded: &Loaded, errors: usize, warnings: usize) -> String {
    let findings = format!("{}, {}", of(errors, "error"), of(warnings, "warning"));
    let Some(resolved) = &loaded.resolved else { return format!("{word}: {findings}") };
    let with =
        |fidelity| resolved.coverage.uses.iter().filter(|one| one.fidelity == fidelity).count();
    format!(
        "{word}: {findings}; of the kinds and fields used {} are modelled, {} approximated, {} not modelled",
        with(Fidelity::Modelled),
        with(Fidelity::Approximated),
        with(Fidelity::NotModelled),
    )
}
