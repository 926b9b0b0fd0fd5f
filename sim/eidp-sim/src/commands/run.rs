//! `run`: run, judge, report.

use report_data::{Report, ScenarioResult, Verdict};
use report_render::Options;

use crate::exit::Exit;
use crate::flags::{CountAs, Form, Output, Run};
use crate::input::{Wanted, disk, prepare};
use crate::runs::{Effort, report, results};
use crate::streams::{Streams, check_outputs};

pub(crate) fn run(flags: &Run, streams: Streams) -> anyhow::Result<Exit> {
    check_outputs(&flags.output, &[Form::Human, Form::Json, Form::Junit, Form::Markdown])
        .map_err(anyhow::Error::msg)?;
    let wanted =
        Wanted::new(&flags.input, &flags.set).with_fidelity(flags.campaign.requests.fidelity);
    let disk = disk(&wanted)?;
    let effort = Effort::new(&flags.campaign, flags.paranoid);
    let made = prepare(&wanted, &disk, streams)
        .and_then(|prepared| results(&prepared, &wanted, effort, streams));
    let report = match made {
        Ok(results) => report(results),
        Err(exit) => return Ok(exit),
    };
    for output in &flags.output {
        streams
            .report(output, &draw(&report, output, flags.fail_only, flags.inconclusive, streams))?;
    }
    Ok(exit(&report, flags.inconclusive))
}

/// What a script must hear of a report.
pub(super) fn exit(report: &Report, inconclusive: Option<CountAs>) -> Exit {
    let exits = report.results.iter().map(|result| exit_of(result, inconclusive));
    exits.fold(Exit::Held, Exit::worse)
}

/// A report in one of its forms.
pub(super) fn draw(
    report: &Report,
    output: &Output,
    fail_only: bool,
    inconclusive: Option<CountAs>,
    streams: Streams,
) -> String {
    let options = Options {
        has_color: output.path.is_none() && streams.has_color_out(),
        fail_only,
        inconclusive: inconclusive.map(|it| match it {
            CountAs::Pass => report_render::CountAs::Pass,
            CountAs::Fail => report_render::CountAs::Fail,
        }),
    };
    match output.form {
        Form::Human => report_render::human(report, options),
        Form::Json => report_render::json(report),
        Form::Junit => report_render::junit(report, options),
        Form::Markdown => report_render::markdown(report, options),
    }
}

/// What a script must hear of a result.
fn exit_of(result: &ScenarioResult, inconclusive: Option<CountAs>) -> Exit {
    let exits = result.guarantees.iter().map(|guarantee| match guarantee.verdict {
        Verdict::Held => Exit::Held,
        Verdict::Violated | Verdict::Unwinnable => Exit::Violated,
        Verdict::Vacuous | Verdict::NotModelled => Exit::Inconclusive,
        Verdict::Inconclusive => match inconclusive {
            None => Exit::Inconclusive,
            Some(CountAs::Pass) => Exit::Held,
            Some(CountAs::Fail) => Exit::Violated,
        },
    });
    // A scenario that promises nothing proves nothing.
    let nothing = if result.guarantees.is_empty() { Exit::Inconclusive } else { Exit::Held };
    let limited = if result.limited_run_count > 0 { Exit::Incomplete } else { Exit::Held };
    exits.fold(nothing.worse(limited), Exit::worse)
}
