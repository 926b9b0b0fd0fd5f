//! `diff`: the same runs before and after a change, on the same random numbers.

use std::path::Path;

use report_diff::ScenarioDiff;
use scenario_format::{Disk, Sources};

use crate::exit::Exit;
use crate::flags::{Diff, Form, Output};
use crate::input::{Prepared, Wanted, disk, prepare};
use crate::runs::{Effort, results};
use crate::select::scenarios_below;
use crate::streams::{Streams, check_outputs};

/// The two sides of one comparison.
struct Sides {
    base: Wanted,
    head: Wanted,
}

pub(crate) fn run(flags: &Diff, streams: Streams) -> anyhow::Result<Exit> {
    check_outputs(&flags.output, &[Form::Human, Form::Json, Form::Markdown])
        .map_err(anyhow::Error::msg)?;
    let common = Wanted {
        scenarios: flags.scenarios.clone(),
        manifests: flags.manifests.clone(),
        set: Vec::new(),
        fidelity: flags.campaign.requests.fidelity,
    };
    let disk = disk(&common)?;
    match compare(flags, &common, &disk, streams) {
        Err(exit) => Ok(exit),
        Ok((diffs, mut exit)) => {
            for output in &flags.output {
                streams.report(output, &draw(&diffs, output))?;
            }
            if diffs.iter().any(|diff| !diff.is_equal()) {
                exit = exit.worse(Exit::Violated);
            } else if diffs.iter().any(ScenarioDiff::is_beyond_the_model) {
                // Nothing differs, because the model does not know what was changed.
                exit = exit.worse(Exit::Inconclusive);
            }
            Ok(exit)
        }
    }
}

fn compare(
    flags: &Diff,
    common: &Wanted,
    disk: &Disk,
    streams: Streams,
) -> Result<(Vec<ScenarioDiff>, Exit), Exit> {
    let (pairs, mut exit) = pairs(flags, common, disk, streams)?;
    // Everything is read before anything is run, so that a mistake shows at once.
    let mut prepared = Vec::new();
    for sides in pairs {
        let base = prepare(&sides.base, disk, streams)?;
        let head = prepare(&sides.head, disk, streams)?;
        prepared.push((sides, base, head));
    }
    let change = change(flags);
    let mut diffs = Vec::new();
    for (sides, base, head) in &prepared {
        let (found, incomplete) = one(flags, (sides, base, head), &change, streams)?;
        diffs.extend(found);
        exit = exit.worse(incomplete);
    }
    Ok((diffs, exit))
}

/// Runs both sides and compares them, scenario by scenario.
fn one(
    flags: &Diff,
    (sides, base, head): (&Sides, &[Prepared], &[Prepared]),
    change: &str,
    streams: Streams,
) -> Result<(Vec<ScenarioDiff>, Exit), Exit> {
    let effort = Effort::new(&flags.campaign, false);
    let base = results(base, &sides.base, effort, streams)?;
    let head = results(head, &sides.head, effort, streams)?;
    let is_limited = base.iter().chain(&head).any(|result| result.limited_run_count > 0);
    let mut diffs = Vec::new();
    for (base, head) in base.iter().zip(&head) {
        match report_diff::diff(base, head, change) {
            Ok(diff) => diffs.push(diff),
            Err(error) => {
                streams.error(&format!("{} cannot be compared: {error}", base.scenario));
                return Err(Exit::BadInput);
            }
        }
    }
    Ok((diffs, if is_limited { Exit::Incomplete } else { Exit::Held }))
}

/// What is compared with what.
fn pairs(
    flags: &Diff,
    common: &Wanted,
    disk: &Disk,
    streams: Streams,
) -> Result<(Vec<Sides>, Exit), Exit> {
    let (Some(base), Some(head)) = (&flags.base, &flags.head) else {
        let head = Wanted { set: flags.set.clone(), ..common.clone() };
        return Ok((vec![Sides { base: common.clone(), head }], Exit::Held));
    };
    if common.scenarios.is_empty() {
        return folders(flags, common, (base, head), disk, streams);
    }
    let with = |more: &String, set: &[String]| {
        let mut wanted = Wanted { set: set.to_vec(), ..common.clone() };
        wanted.manifests.push(more.clone());
        wanted
    };
    Ok((vec![Sides { base: with(base, &[]), head: with(head, &flags.set) }], Exit::Held))
}

/// Scenarios of the same relative path in two folders; one that only one folder has is a
/// difference of its own.
fn folders(
    flags: &Diff,
    common: &Wanted,
    (base, head): (&str, &str),
    disk: &Disk,
    streams: Streams,
) -> Result<(Vec<Sides>, Exit), Exit> {
    let below = |folder: &str| -> Result<Vec<(String, String)>, Exit> {
        let found = scenarios_below(folder, disk).map_err(|diagnostic| {
            streams.say(&diagnostic.render(&Sources::default(), streams.has_color_err()));
            Exit::BadInput
        })?;
        Ok(found.into_iter().map(|path| (relative(&path, folder), path)).collect())
    };
    let (bases, heads) = (below(base)?, below(head)?);
    let mut exit = Exit::Held;
    let mut pairs = Vec::new();
    for (name, path) in &bases {
        match heads.iter().find(|(other, _)| other == name) {
            None => {
                streams.say(&format!("{name} is only in {base}"));
                exit = Exit::Violated;
            }
            Some((_, head)) => {
                let with = |path: &String, set: &[String]| Wanted {
                    scenarios: vec![path.clone()],
                    set: set.to_vec(),
                    ..common.clone()
                };
                pairs.push(Sides { base: with(path, &[]), head: with(head, &flags.set) });
            }
        }
    }
    for (name, _) in heads.iter().filter(|(name, _)| bases.iter().all(|(base, _)| base != name)) {
        streams.say(&format!("{name} is only in {head}"));
        exit = Exit::Violated;
    }
    if bases.is_empty() && heads.is_empty() {
        streams.error(&format!("there is no scenario in {base} or {head}"));
        return Err(Exit::NothingSelected);
    }
    Ok((pairs, exit))
}

fn relative(path: &str, folder: &str) -> String {
    Path::new(path)
        .strip_prefix(folder)
        .map_or_else(|_| path.to_owned(), |inner| inner.to_string_lossy().into_owned())
}

/// What was changed, as the user said it.
fn change(flags: &Diff) -> String {
    match (&flags.base, &flags.head) {
        (Some(base), Some(head)) => format!("{base} -> {head}"),
        _ => flags.set.join(", "),
    }
}

fn draw(diffs: &[ScenarioDiff], output: &Output) -> String {
    match output.form {
        Form::Json => report_render::diff_json(diffs),
        Form::Markdown => report_render::diff_markdown(diffs),
        Form::Human | Form::Junit => report_render::diff_human(diffs),
    }
}
