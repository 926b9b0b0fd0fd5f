//! The command line: what was typed, who gets what, and how it ends.
//!
//! Everything that thinks is in the libraries. This crate reads files for them, picks scenarios,
//! shows progress, and turns what they say into streams and exit codes. Start reading at
//! `flags.rs` (what can be typed) and `exit.rs` (how it ends); then one file for each command.

mod commands;
mod exit;
mod flags;
mod input;
mod runs;
mod select;
mod streams;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;

use crate::exit::Exit;
use crate::flags::{Command, Flags};
use crate::streams::Streams;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let streams = Streams::new(flags.global.color, flags.global.quiet);
    log_to_stderr(flags.global.verbose, streams.has_color_err());
    let exit = match run(flags.command, streams) {
        Ok(exit) => exit,
        Err(error) => {
            streams.error(&format!("{error:#}"));
            Exit::BadInput
        }
    };
    exit.into()
}

fn run(command: Command, streams: Streams) -> anyhow::Result<Exit> {
    match command {
        Command::Run(flags) => commands::run::run(&flags, streams),
        Command::Diff(flags) => commands::diff::run(&flags, streams),
        Command::Check(flags) => commands::check::run(&flags, streams),
        Command::List(flags) => commands::list::run(&flags, streams),
        Command::Map(flags) => commands::map::run(&flags, streams),
        Command::Report(flags) => commands::report::run(&flags, streams),
        Command::Replay(flags) => commands::replay::run(&flags, streams),
        Command::Conformance(flags) => commands::conformance::run(&flags, streams),
        Command::Explain(flags) => commands::explain::run(&flags, streams),
        Command::Schema(flags) => commands::schema::run(flags.of, streams),
        Command::Completions(flags) => commands::completions(flags.shell, streams),
        Command::Man(flags) => commands::man(flags.command.as_deref(), streams),
    }
}

fn log_to_stderr(verbose: u8, has_color: bool) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(has_color)
        .with_target(false)
        .without_time()
        .init();
}
