//! `map`: which load is stable, vulnerable or too much.

use indicatif::ProgressBar;
use report_data::{LoadMapReport, SCHEMA_VERSION};
use report_render::Options;
use sim_campaign::{LoadMapping, MapProgress};

use crate::exit::Exit;
use crate::flags::map::Map;
use crate::flags::{Form, Output};
use crate::input::{Prepared, Wanted, disk, prepare};
use crate::runs::{Effort, REQUEST_COUNT_MAX, bar, naming, program};
use crate::streams::{Streams, check_outputs};

/// Runs of a cell when the command line names no number: a map has a hundred cells.
const RUN_COUNT: u32 = 5;

pub(crate) fn run(flags: &Map, streams: Streams) -> anyhow::Result<Exit> {
    check_outputs(&flags.output, &[Form::Human, Form::Json, Form::Markdown])
        .map_err(anyhow::Error::msg)?;
    let loads_ppm = flags.loads_ppm().map_err(anyhow::Error::msg)?;
    let wanted =
        Wanted::new(&flags.input, &flags.set).with_fidelity(flags.campaign.requests.fidelity);
    let disk = disk(&wanted)?;
    let prepared = match prepare(&wanted, &disk, streams) {
        Ok(prepared) => prepared,
        Err(exit) => return Ok(exit),
    };
    let mappings: Vec<LoadMapping<'_>> =
        prepared.iter().map(|one| mapping(one, flags, &loads_ppm)).collect();
    let mut exit = Exit::Held;
    for (one, mapping) in prepared.iter().zip(&mappings) {
        if let Err(error) = mapping.check() {
            streams.error(&format!("{}: {error}", one.word));
            exit = Exit::BadInput;
        } else if let Some(reason) = too_many(one, mapping) {
            streams.error(&format!("{}: {reason}", one.word));
            exit = Exit::BadInput;
        }
    }
    if exit != Exit::Held {
        return Ok(exit);
    }
    let mut maps = Vec::new();
    for (one, mapping) in prepared.iter().zip(&mappings) {
        if mapping.is_momentary() && mapping.lengths_ppm.len() > 1 {
            streams.mention(&format!(
                "{}: its trigger takes no time, so that --lengths change nothing: one row",
                one.word
            ));
        }
        let bar = bar(&one.word, 0, streams);
        let mut map = mapping.draw(&one.resolved.name, |step| tell(&bar, step))?;
        let naming = naming(one, &wanted);
        (map.not_modelled, map.warnings) = (naming.not_modelled, naming.warnings);
        bar.finish_and_clear();
        if map.limited_count > 0 {
            streams.error(&format!("{}: some runs stopped at a limit before their end", one.word));
            exit = Exit::Incomplete;
        }
        maps.push(map);
    }
    let report = LoadMapReport { schema_version: SCHEMA_VERSION, program: program(), maps };
    for output in &flags.output {
        streams.report(output, &draw(&report, output, streams))?;
    }
    Ok(exit)
}

fn mapping<'a>(one: &'a Prepared, flags: &Map, loads_ppm: &[u32]) -> LoadMapping<'a> {
    let campaign = Effort::new(&flags.campaign, false).campaign(one);
    LoadMapping {
        blueprint: &one.resolved.blueprint,
        trigger: &one.resolved.faults,
        horizon: one.resolved.horizon,
        fidelity: flags.campaign.requests.fidelity.into(),
        root_seed: campaign.root_seed,
        run_count: flags.campaign.runs.unwrap_or(RUN_COUNT),
        thread_count: campaign.thread_count,
        loads_ppm: loads_ppm.to_vec(),
        lengths_ppm: flags.lengths_ppm(),
        share_ppm: flags.share.ppm(),
        within: flags.within,
    }
}

/// Why the single requests of a map are more than anybody waits for, if they are.
fn too_many(one: &Prepared, mapping: &LoadMapping<'_>) -> Option<String> {
    if mapping.fidelity == platform::Fidelity::Flow {
        return None;
    }
    let count = u128::from(one.plan.client_request_count()) * mapping.load_ppm_max() / 1_000_000;
    (count > u128::from(REQUEST_COUNT_MAX)).then(|| {
        format!(
            "--fidelity request would play up to {} million requests, not counting spikes and retries; \
             more than {} million take too long. Ask for fewer loads, lengths or runs, or leave \
             --fidelity request out: flows are the same model",
            count.div_ceil(1_000_000),
            REQUEST_COUNT_MAX / 1_000_000,
        )
    })
}

fn tell(bar: &ProgressBar, step: MapProgress) {
    match step {
        MapProgress::Planned(count) => bar.inc_length(count),
        MapProgress::Made => bar.inc(1),
    }
}

fn draw(report: &LoadMapReport, output: &Output, streams: Streams) -> String {
    match output.form {
        Form::Json => report_render::load_map_json(report),
        Form::Markdown => report_render::load_map_markdown(report),
        Form::Human | Form::Junit => {
            let has_color = output.path.is_none() && streams.has_color_out();
            report_render::load_map_human(report, Options { has_color, ..Options::default() })
        }
    }
}
