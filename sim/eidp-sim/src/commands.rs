//! One file for each command that does something of its own.

pub(crate) mod check;
pub(crate) mod conformance;
pub(crate) mod decision;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod list;
pub(crate) mod map;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod schema;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::exit::Exit;
use crate::flags::Flags;
use crate::streams::Streams;

/// `completions SHELL`.
pub(crate) fn completions(shell: clap_complete::Shell, streams: Streams) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Flags::command(), "eidp-sim", &mut script);
    streams.data(&String::from_utf8(script)?)?;
    Ok(Exit::Held)
}

/// `man [COMMAND]`.
pub(crate) fn man(of: Option<&str>, streams: Streams) -> anyhow::Result<Exit> {
    let mut command = Flags::command();
    command.build();
    let command = match of {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name);
            let found = found.with_context(|| format!("there is no command {name:?}"))?;
            found.clone().display_name(format!("eidp-sim-{name}"))
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    streams.data(&String::from_utf8(page)?)?;
    Ok(Exit::Held)
}
