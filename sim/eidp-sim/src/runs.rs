//! Making the runs of scenarios, with a bar for those who watch.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use report_data::{Note, Position, Program, Report, SCHEMA_VERSION, ScenarioResult};
use scenario_format::coverage::Fidelity;
use sim_campaign::{Campaign, CampaignError, Naming};

use crate::exit::Exit;
use crate::flags;
use crate::input::{Prepared, Wanted};
use crate::streams::Streams;

/// Single requests that are played without a second thought: a few minutes of one core. One run is
/// made whatever it takes.
pub(crate) const REQUEST_COUNT_MAX: u64 = 200_000_000;

/// How many runs, on which luck, how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    runs: Option<u32>,
    seed: Option<u64>,
    threads: Option<usize>,
    is_paranoid: bool,
}

impl Effort {
    pub(crate) fn new(flags: &flags::Campaign, is_paranoid: bool) -> Self {
        let threads = flags.threads.map(usize::from);
        Self { runs: flags.runs, seed: flags.seed, threads, is_paranoid }
    }

    /// One run of some luck, for `replay`.
    pub(crate) fn single(seed: Option<u64>) -> Self {
        Self { runs: Some(1), seed, threads: Some(1), is_paranoid: false }
    }

    /// The campaign of a scenario.
    pub(crate) fn campaign<'a>(&self, prepared: &'a Prepared) -> Campaign<'a> {
        Campaign {
            plan: &prepared.plan,
            guarantees: &prepared.resolved.guarantees,
            root_seed: self.seed.unwrap_or(prepared.resolved.seed),
            run_count: self.runs.unwrap_or(prepared.resolved.runs),
            thread_count: self.threads,
            is_paranoid: self.is_paranoid,
        }
    }
}

/// Makes all runs of all scenarios.
///
/// # Errors
/// The exit code, when there is no result; it has been said why.
pub(crate) fn results(
    prepared: &[Prepared],
    wanted: &Wanted,
    effort: Effort,
    streams: Streams,
) -> Result<Vec<ScenarioResult>, Exit> {
    for one in prepared {
        refuse_too_many(one, wanted, effort, streams)?;
    }
    let mut results = Vec::new();
    for one in prepared {
        let campaign = effort.campaign(one);
        tracing::info!(
            scenario = one.word,
            runs = campaign.run_count,
            seed = campaign.root_seed,
            "running"
        );
        let bar = bar(&one.word, campaign.run_count, streams);
        let result = campaign.run(&naming(one, wanted), || bar.inc(1));
        bar.finish_and_clear();
        results.push(result.map_err(|error| {
            streams.error(&format!("{}: {error}", one.word));
            match error {
                CampaignError::NonDeterministic { .. } => Exit::NonDeterministic,
                CampaignError::Threads(_) | CampaignError::TooManyRuns { .. } => Exit::BadInput,
            }
        })?);
    }
    Ok(results)
}

/// Refuses runs whose single requests would take too long, before any of them is made.
fn refuse_too_many(
    one: &Prepared,
    wanted: &Wanted,
    effort: Effort,
    streams: Streams,
) -> Result<(), Exit> {
    let run_count = effort.campaign(one).run_count;
    let request_count = one.plan.client_request_count();
    let run_count_max = (REQUEST_COUNT_MAX / request_count.max(1)).max(1);
    if wanted.fidelity == flags::Fidelity::Flow || u64::from(run_count) <= run_count_max {
        return Ok(());
    }
    let millions = |count: u128| count.div_ceil(1_000_000);
    let all = u128::from(request_count) * u128::from(run_count);
    streams.error(&format!(
        "{}: --fidelity request would play {} million requests, {} million in each of {run_count} \
         runs, not counting spikes, retries and calls between Services; more than {} million take \
         too long. Ask for fewer runs, at most -n {run_count_max}, or leave --fidelity request \
         out: flows are the same model",
        one.word,
        millions(all),
        millions(request_count.into()),
        millions(REQUEST_COUNT_MAX.into()),
    ));
    Err(Exit::BadInput)
}

/// What wrote a result.
pub(crate) fn program() -> Program {
    Program {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Results as a report.
pub(crate) fn report(results: Vec<ScenarioResult>) -> Report {
    Report { schema_version: SCHEMA_VERSION, program: program(), results }
}

/// A bar on stderr, where somebody looks.
pub(crate) fn bar(word: &str, runs: u32, streams: Streams) -> ProgressBar {
    let target = if streams.has_progress() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{msg} {bar:32} {pos}/{len} runs {eta}")
        .expect("the template is well-formed");
    ProgressBar::with_draw_target(Some(u64::from(runs)), target)
        .with_style(style)
        .with_message(word.to_owned())
}

/// What a scenario is called, and what its result must tell besides.
pub(crate) fn naming(prepared: &Prepared, wanted: &Wanted) -> Naming {
    let resolved = &prepared.resolved;
    let not_modelled = resolved
        .coverage
        .uses
        .iter()
        .filter(|one| one.fidelity == Fidelity::NotModelled)
        .map(|one| Note {
            text: format!("{} {}", one.kind, one.field).trim_end().to_owned(),
            position: one.places.first().and_then(|place| {
                let file = resolved.blueprint.files.get(place.file_idx as usize)?;
                Some(Position { file: file.clone(), line: place.line, column: place.column })
            }),
        })
        .collect();
    Naming {
        scenario: resolved.name.clone(),
        description: resolved.description.clone(),
        file: prepared.word.clone(),
        replay: replay(&prepared.word, wanted),
        not_modelled,
        warnings: prepared.warnings.clone(),
    }
}

/// The command that runs a scenario again on the same input, ready to be pasted.
fn replay(word: &str, wanted: &Wanted) -> String {
    let mut command = format!("eidp-sim replay {}", operand(word));
    for path in &wanted.manifests {
        command.push_str(&format!(" -f {}", operand(path)));
    }
    for value in &wanted.set {
        command.push_str(&format!(" --set {}", quoted(value)));
    }
    if wanted.fidelity == flags::Fidelity::Request {
        command.push_str(" --fidelity request");
    }
    command
}

/// A path, quoted; one that starts like a flag is named from its folder, so that it is none.
fn operand(path: &str) -> String {
    let is_flag = path.starts_with('-') && path != "-";
    quoted(&if is_flag { format!("./{path}") } else { path.to_owned() })
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_can_be_pasted() {
        let wanted = Wanted {
            manifests: vec!["my files".to_owned()],
            set: vec!["deployment/a/b:metadata.annotations[x]=it's".to_owned()],
            ..Wanted::default()
        };
        let dashes = Wanted { manifests: vec!["-m.yaml".to_owned()], ..Wanted::default() };
        assert_eq!(replay("-dash.yaml", &dashes), "eidp-sim replay ./-dash.yaml -f ./-m.yaml");
        assert_eq!(
            replay("scenarios/az-loss.yaml", &wanted),
            r"eidp-sim replay scenarios/az-loss.yaml -f 'my files' --set 'deployment/a/b:metadata.annotations[x]=it'\''s'"
        );
    }
}
