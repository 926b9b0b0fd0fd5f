//! `list`: the scenarios that would be run.

use scenario_format::library;

use crate::exit::Exit;
use crate::flags::List;
use crate::input::{Wanted, disk, load_all, of};
use crate::streams::Streams;

pub(crate) fn run(flags: &List, streams: Streams) -> anyhow::Result<Exit> {
    let scenarios = if flags.scenarios.is_empty() {
        library::names().into_iter().map(str::to_owned).collect()
    } else {
        flags.scenarios.clone()
    };
    let wanted = Wanted { scenarios, ..Wanted::default() };
    let all = match load_all(&wanted, &disk(&wanted)?, streams) {
        Ok(all) => all,
        Err(exit) => return Ok(exit),
    };
    let width = all.iter().map(|(word, _)| word.chars().count()).max().unwrap_or(0);
    let mut exit = Exit::Held;
    for (word, loaded) in &all {
        match &loaded.resolved {
            Some(resolved) => streams.data(&format!(
                "{word:<width$}  {}, {}, {}: {}\n",
                of(resolved.runs as usize, "run"),
                of(resolved.faults.faults.len(), "fault"),
                of(resolved.guarantees.len(), "guarantee"),
                resolved.description,
            ))?,
            None => {
                streams.say(&loaded.render(streams.has_color_err()));
                exit = Exit::BadInput;
            }
        }
    }
    Ok(exit)
}
