//! `conformance`: how faithful the models are, case by case.

use report_data::Program;
use report_render::Options;
use scenario_format::diagnostic::has_errors;

use crate::exit::Exit;
use crate::flags::{Conformance, Form};
use crate::input::disk_for;
use crate::streams::{Streams, check_outputs};

pub(crate) fn run(flags: &Conformance, streams: Streams) -> anyhow::Result<Exit> {
    check_outputs(&flags.output, &[Form::Human, Form::Json]).map_err(anyhow::Error::msg)?;
    let program =
        Program { name: "eidp-sim".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let given: Vec<String> = flags.paths.iter().chain(&flags.postgres).cloned().collect();
    let disk = disk_for(&given)?;
    let read = sim_conformance::read(&flags.paths, &disk);
    let results = sim_conformance::read_results(&flags.postgres, &disk);
    for (diagnostics, sources) in
        [(&read.diagnostics, &read.sources), (&results.diagnostics, &results.sources)]
    {
        for diagnostic in diagnostics {
            streams.say(&diagnostic.render(sources, streams.has_color_err()));
        }
    }
    if has_errors(&read.diagnostics) || has_errors(&results.diagnostics) {
        return Ok(Exit::BadInput);
    }
    if read.files.is_empty() && results.is_empty() {
        streams.error(&format!("there is no case in {}", given.join(", ")));
        return Ok(Exit::NothingSelected);
    }
    let mut report = sim_conformance::report(&read, program.clone());
    if !results.is_empty() {
        let compared = sim_conformance::compare_results(&results, program);
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
