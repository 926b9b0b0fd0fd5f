//! `conformance`: how faithful the models are, case by case or beside recorded timelines.

use report_render::Options;
use scenario_format::diagnostic::has_errors;
use scenario_format::{Diagnostic, Sources};

use crate::exit::Exit;
use crate::flags::{Conformance, Form};
use crate::input::disk_for;
use crate::runs::program;
use crate::streams::{Streams, check_outputs};

/// Percent of the recorded figures that must be covered.
const COVERED_PERCENT: u64 = 95;

pub(crate) fn run(flags: &Conformance, streams: Streams) -> anyhow::Result<Exit> {
    check_outputs(&flags.output, &[Form::Human, Form::Json]).map_err(anyhow::Error::msg)?;
    if flags.traces.is_empty() { cases(flags, streams) } else { traces(flags, streams) }
}

fn cases(flags: &Conformance, streams: Streams) -> anyhow::Result<Exit> {
    let given: Vec<String> = flags.paths.iter().chain(&flags.postgres).cloned().collect();
    let disk = disk_for(&given)?;
    let read = sim_conformance::read(&flags.paths, &disk);
    let results = sim_conformance::read_results(&flags.postgres, &disk);
    let is_broken = say(&read.diagnostics, &read.sources, streams)
        | say(&results.diagnostics, &results.sources, streams);
    if is_broken {
        return Ok(Exit::BadInput);
    }
    if read.files.is_empty() && results.is_empty() {
        streams.error(&format!("there is no case in {}", given.join(", ")));
        return Ok(Exit::NothingSelected);
    }
    let mut report = sim_conformance::report(&read, program());
    if !results.is_empty() {
        let compared = sim_conformance::compare_results(&results, program());
        report.rule = compared.rule;
        report.files.extend(compared.files);
    }
    for output in &flags.output {
        let has_color = output.path.is_none() && streams.has_color_out();
        let text = match output.form {
            Form::Json => report_render::conformance_json(&report),
            _ => report_render::conformance_human(
                &report,
                Options { has_color, ..Options::default() },
            ),
        };
        streams.report(output, &text)?;
    }
    let [_, failed, not_supported] = report.counts();
    Ok(if failed + not_supported > 0 { Exit::Violated } else { Exit::Held })
}

fn traces(flags: &Conformance, streams: Streams) -> anyhow::Result<Exit> {
    let disk = disk_for(&flags.traces)?;
    let read = sim_timelines::read(&flags.traces, &disk);
    // A trace that cannot be read is no reason to hide what the others say.
    let is_broken = say(&read.diagnostics, &read.sources, streams);
    if read.traces.is_empty() && is_broken {
        return Ok(Exit::BadInput);
    }
    if read.traces.is_empty() {
        streams.error(&format!("there is no trace in {}", flags.traces.join(", ")));
        return Ok(Exit::NothingSelected);
    }
    let run_count = u64::from(flags.runs);
    let mut compared = Vec::new();
    for trace in &read.traces {
        let runs = sim_campaign::in_order(run_count, flags.threads.map(usize::from), |run| {
            trace.simulate(flags.seed, run)
        })?;
        compared.push(sim_timelines::compare(trace, &runs));
    }
    let report = sim_timelines::report(compared, flags.seed, program());
    for output in &flags.output {
        let has_color = output.path.is_none() && streams.has_color_out();
        let text = match output.form {
            Form::Json => report_render::timelines_json(&report),
            _ => {
                report_render::timelines_human(&report, Options { has_color, ..Options::default() })
            }
        };
        streams.report(output, &text)?;
    }
    let [figures, covered] = report.counts();
    Ok(if is_broken {
        Exit::BadInput
    } else if figures == 0 {
        streams.error("the traces hold nothing that is compared");
        Exit::NothingSelected
    } else if covered * 100 < figures * COVERED_PERCENT {
        Exit::Violated
    } else {
        Exit::Held
    })
}

/// Says what is wrong with the input; whether nothing can be made of it.
fn say(diagnostics: &[Diagnostic], sources: &Sources, streams: Streams) -> bool {
    for diagnostic in diagnostics {
        streams.say(&diagnostic.render(sources, streams.has_color_err()));
    }
    has_errors(diagnostics)
}
