//! `check`: what is wrong with the input, and what of it is modelled. Nothing is run.

use std::fmt::Write as _;

use scenario_format::coverage::{Coverage, Fidelity};
use scenario_format::{Loaded, Resolved, Severity, Sources, Stage, black_start};

use crate::exit::Exit;
use crate::flags::Check;
use crate::input::{Wanted, count, disk, load_all, of, plan};
use crate::streams::Streams;

pub(crate) fn run(flags: &Check, streams: Streams) -> anyhow::Result<Exit> {
    let wanted = Wanted::new(&flags.input, &flags.set);
    let disk = disk(&wanted)?;
    let all = match load_all(&wanted, &disk, streams) {
        Ok(all) => all,
        Err(exit) => return Ok(exit),
    };
    let mut exit = Exit::Held;
    for (word, mut loaded) in all {
        if let Some(Err(diagnostic)) = loaded.resolved.as_ref().map(plan) {
            loaded.diagnostics.push(diagnostic);
        }
        if flags.short {
            streams.data(&short(&loaded))?;
        } else {
            streams.say(&loaded.render(streams.has_color_err()));
            if let Some(resolved) = &loaded.resolved
                && flags.black_start
            {
                streams.data(&order(resolved))?;
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

/// The stages of a black start, numbered.
fn order(resolved: &Resolved) -> String {
    let mut text = String::new();
    let mut number = 0;
    for stage in black_start(&resolved.blueprint) {
        match stage {
            Stage::Start { workloads, waits_for } => {
                number += 1;
                writeln!(text, "{number:>3}  {}", workloads.join(", "))
                    .expect("writing to a String cannot fail");
                for wait in waits_for {
                    writeln!(text, "     after {wait}").expect("writing to a String cannot fail");
                }
            }
            Stage::ByHand { because, step } => {
                writeln!(text, "  !  by hand: {step}").expect("writing to a String cannot fail");
                for reason in because {
                    writeln!(text, "     because {reason}")
                        .expect("writing to a String cannot fail");
                }
            }
        }
    }
    text
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
