//! What can be typed. Help texts, completions and the manual all come from here.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit;

pub(crate) mod decision;
pub(crate) mod map;

/// Does the platform, configured like this, keep its promises when that happens?
///
/// Simulates a Kubernetes platform over zones in virtual time, breaks it the way a scenario says,
/// and judges each guarantee: how surely it holds, and if not, why.
#[derive(Debug, Parser)]
#[command(name = "eidp-sim", version, after_help = exit::TABLE, max_term_width = 100)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) global: Global,
}

/// Flags of every command.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// When to use color. On a terminal by default; NO_COLOR, CLICOLOR_FORCE and TERM=dumb are
    /// honored.
    #[arg(long, value_enum, default_value_t = Color::Auto, global = true, value_name = "WHEN")]
    pub(crate) color: Color,

    /// Say more on stderr about what is being done; twice for details.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,

    /// No progress bar and no summary on stderr; errors are still said.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run scenarios, judge their guarantees, report.
    Run(Run),
    /// Run the same scenarios before and after a change, on the same random numbers.
    Diff(Diff),
    /// Read the input and say what is wrong with it, without running anything.
    Check(Check),
    /// List the scenarios that would be run.
    List(List),
    /// Draw which load a platform bears, and at which a fault leaves it down for good.
    ///
    /// Every load is tried untroubled and with the faults of the scenario, for shorter and longer than
    /// it says: 5 runs of each, unless -n says otherwise.
    Map(map::Map),
    /// Draw a stored result again, in any form: it ends as the `run` that made it did.
    Report(Redraw),
    /// Run one run again and print what happened, each event with its cause.
    Replay(Replay),
    /// Put cases of the real components' decisions to the models.
    Conformance(Conformance),
    /// Explain a decision about your own manifests, or a diagnostic.
    Explain(Explain),
    /// Print a JSON Schema, for editors and for readers of results.
    Schema(Schema),
    /// Print completions for a shell.
    Completions(Completions),
    /// Print the manual page of the program or of a command.
    Man(Man),
}

/// Which scenarios, on which platform.
#[derive(Args, Debug)]
pub(crate) struct Input {
    /// A scenario file (with or without .yaml), a folder that is searched for scenarios, or the
    /// name of a shipped scenario.
    #[arg(required = true, value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<String>,

    /// Kubernetes manifests to add to the platform: a file, a folder, or `-` for stdin. Repeatable.
    ///
    /// An object of the same kind, namespace and name replaces the platform's own.
    #[arg(short = 'f', long = "manifests", value_name = "PATH")]
    pub(crate) manifests: Vec<String>,
}

/// How many runs, and how.
#[derive(Args, Debug)]
pub(crate) struct Campaign {
    /// Runs of each scenario, instead of the number it asks for. A report holds figures of every run;
    /// more runs than 8 GiB have room for are refused.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: Option<u32>,

    /// Root seed, instead of the scenario's: the same seed, input and version give the same bytes
    /// on any machine.
    #[arg(short, long, visible_alias = "root-seed", value_name = "SEED")]
    pub(crate) seed: Option<u64>,

    /// Threads; the result does not depend on it. All cores by default.
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    #[command(flatten)]
    pub(crate) requests: Requests,
}

/// How requests are treated.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Requests {
    /// Whether requests are flows with queues, which is fast, or each is an event of its own, which
    /// is exact. Both are the same model.
    #[arg(long, value_enum, default_value_t = Fidelity::Flow, value_name = "AS")]
    pub(crate) fidelity: Fidelity,
}

/// What a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fidelity {
    /// Part of a flow.
    #[default]
    Flow,
    /// An event.
    Request,
}

impl From<Fidelity> for platform::Fidelity {
    fn from(fidelity: Fidelity) -> Self {
        match fidelity {
            Fidelity::Flow => Self::Flow,
            Fidelity::Request => Self::Request,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) input: Input,

    #[command(flatten)]
    pub(crate) campaign: Campaign,

    /// Change a value of the input before running, for example
    /// `deployment/shop/frontend:spec.replicas=3`. Repeatable.
    #[arg(long, value_name = "OBJECT:PATH=VALUE")]
    pub(crate) set: Vec<String>,

    /// Where results go: human, json, junit or markdown, to stdout or to a file. Repeatable.
    #[arg(short, long, value_name = "FORMAT[=PATH]", default_value = "human")]
    pub(crate) output: Vec<Output>,

    /// Report only what did not hold.
    #[arg(long)]
    pub(crate) fail_only: bool,

    /// Execute every run twice and compare event by event; a difference ends with exit code 6.
    #[arg(long)]
    pub(crate) paranoid: bool,

    /// How a guarantee counts whose interval straddles its limit: exit code 3 by default.
    #[arg(long, value_enum, value_name = "AS")]
    pub(crate) inconclusive: Option<CountAs>,
}

#[derive(Args, Debug)]
pub(crate) struct Redraw {
    /// What `run -o json` wrote: a file, or `-` for stdin.
    #[arg(value_name = "RESULT")]
    pub(crate) result: String,

    /// Where the report goes: human, json, junit or markdown, to stdout or to a file. Repeatable.
    #[arg(short, long, value_name = "FORMAT[=PATH]", default_value = "human")]
    pub(crate) output: Vec<Output>,

    /// Report only what did not hold.
    #[arg(long)]
    pub(crate) fail_only: bool,

    /// How a guarantee counts whose interval straddles its limit: exit code 3 by default.
    #[arg(long, value_enum, value_name = "AS")]
    pub(crate) inconclusive: Option<CountAs>,
}

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub(crate) struct Diff {
    /// A scenario file (with or without .yaml), a folder that is searched for scenarios, or the
    /// name of a shipped scenario. Without any, --base and --head are searched for scenarios, and
    /// those of the same relative path are compared.
    #[arg(value_name = "SCENARIO", required_unless_present = "base")]
    pub(crate) scenarios: Vec<String>,

    /// Kubernetes manifests to add to the platform on both sides: a file, a folder, or `-` for
    /// stdin. Repeatable.
    #[arg(short = 'f', long = "manifests", value_name = "PATH")]
    pub(crate) manifests: Vec<String>,

    /// The change: a value that is set on the head side. Repeatable.
    #[arg(long, value_name = "OBJECT:PATH=VALUE", group = "change")]
    pub(crate) set: Vec<String>,

    /// As it was: manifests that are added on the base side as with -f, or, when no scenario is
    /// named, a folder of scenarios.
    #[arg(long, value_name = "PATH", requires = "head", group = "change")]
    pub(crate) base: Option<String>,

    /// As it will be: the same for the head side.
    #[arg(long, value_name = "PATH", requires = "base")]
    pub(crate) head: Option<String>,

    #[command(flatten)]
    pub(crate) campaign: Campaign,

    /// Where the difference goes: human, json or markdown, to stdout or to a file. Repeatable.
    #[arg(short, long, value_name = "FORMAT[=PATH]", default_value = "human")]
    pub(crate) output: Vec<Output>,
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) input: Input,

    /// Change a value of the input first, as with `run`. Repeatable.
    #[arg(long, value_name = "OBJECT:PATH=VALUE")]
    pub(crate) set: Vec<String>,

    /// Count warnings as errors.
    #[arg(long)]
    pub(crate) strict: bool,

    /// List every kind and field that is modelled too, not only what is approximated or not.
    #[arg(long)]
    pub(crate) all: bool,

    /// One line for each finding, `file:line:column: CODE: text`, for tools.
    #[arg(long)]
    pub(crate) short: bool,

    /// Print in which order everything starts when nothing runs, and what somebody has to do by hand
    /// where pods need each other: from the nodes that were, from etcd as it was with new nodes, or
    /// from Git with an empty etcd, where Secrets are made anew.
    #[arg(
        long,
        value_enum,
        value_name = "FROM",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "etcd",
        conflicts_with_all = ["all", "short"]
    )]
    pub(crate) black_start: Option<StartFrom>,

    /// Where that order goes: human or json, to stdout or to a file. Repeatable.
    #[arg(
        short,
        long,
        value_name = "FORMAT[=PATH]",
        default_value = "human",
        requires = "black_start"
    )]
    pub(crate) output: Vec<Output>,
}

/// What a black start begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StartFrom {
    /// The nodes are those that were, with their pods and images, as after a power cut.
    Nodes,
    /// The nodes are new; all other objects are in etcd, Secrets that operators made among them.
    Etcd,
    /// The nodes are new, and what is in the input is applied to an empty etcd.
    Git,
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Files or folders; the shipped scenarios when none is given.
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// A scenario file (with or without .yaml) or the name of a shipped scenario.
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: String,

    /// Kubernetes manifests, as they were given to `run`.
    #[arg(short = 'f', long = "manifests", value_name = "PATH")]
    pub(crate) manifests: Vec<String>,

    /// Changed values, as they were given to `run`.
    #[arg(long, value_name = "OBJECT:PATH=VALUE")]
    pub(crate) set: Vec<String>,

    /// Which run, from 0.
    #[arg(long, value_name = "N")]
    pub(crate) run: u32,

    /// Root seed of the campaign; the scenario's when none is given.
    #[arg(short, long = "root-seed", visible_alias = "seed", value_name = "SEED")]
    pub(crate) seed: Option<u64>,

    #[command(flatten)]
    pub(crate) requests: Requests,

    /// Print every observation, flows of requests included.
    #[arg(long)]
    pub(crate) journal: bool,

    /// The digest this run had elsewhere; exit code 6 when it is another one here.
    ///
    /// It is over the events of the run. A run in which nothing happens has none: its digest is all
    /// zeros, and proves nothing.
    #[arg(long, value_name = "HEX")]
    pub(crate) digest: Option<Digest>,
}

#[derive(Args, Debug)]
pub(crate) struct Conformance {
    /// Files of cases, or folders that are searched for such files; `-` is stdin.
    #[arg(required_unless_present_any = ["postgres", "traces"], value_name = "PATH")]
    pub(crate) paths: Vec<String>,

    /// Files of failovers and restores that were measured on a real PostgreSQL: each repetition is
    /// simulated many times, and what was measured must lie in the simulated range.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) postgres: Vec<String>,

    /// Folders of recorded timelines, each simulated many times and compared figure by figure.
    #[arg(long, num_args = 1.., value_name = "DIR", conflicts_with_all = ["paths", "postgres"])]
    pub(crate) traces: Vec<String>,

    /// How often each timeline is simulated.
    #[arg(
        long,
        default_value_t = 200,
        requires = "traces",
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) runs: u32,

    /// Root seed of the simulated timelines.
    #[arg(
        short,
        long = "root-seed",
        visible_alias = "seed",
        default_value_t = 1,
        requires = "traces",
        value_name = "SEED"
    )]
    pub(crate) seed: u64,

    /// Threads; all cores when not given. No result depends on it.
    #[arg(
        long,
        requires = "traces",
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    pub(crate) threads: Option<u16>,

    /// Where results go: human or json, to stdout or to a file. Repeatable.
    #[arg(short, long, value_name = "FORMAT[=PATH]", default_value = "human")]
    pub(crate) output: Vec<Output>,
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_value_name = "DECISION")]
pub(crate) struct Explain {
    /// Number of a diagnostic, for example E0001. All of them are listed when none is given.
    pub(crate) code: Option<String>,

    #[command(subcommand)]
    pub(crate) decision: Option<decision::Decision>,
}

#[derive(Args, Debug)]
pub(crate) struct Schema {
    /// Of what.
    #[arg(value_enum)]
    pub(crate) of: SchemaOf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Scenario files.
    Scenario,
    /// Platform files.
    Platform,
    /// What `run -o json` writes.
    Result,
    /// What `diff -o json` writes.
    Diff,
    /// What `conformance -o json` writes.
    Conformance,
    /// What `explain DECISION -o json` writes.
    Decision,
    /// What `check --black-start -o json` writes.
    BlackStart,
    /// What `map -o json` writes.
    LoadMap,
    /// What `conformance --traces … -o json` writes.
    Timelines,
}

#[derive(Args, Debug)]
pub(crate) struct Completions {
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
pub(crate) struct Man {
    /// Of this command; of the program when none is given.
    pub(crate) command: Option<String>,
}

/// When to use color.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What an inconclusive guarantee counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CountAs {
    /// As held.
    Pass,
    /// As violated.
    Fail,
}

/// A form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    Human,
    /// For programs; versioned.
    Json,
    /// For CI systems.
    Junit,
    /// For comments and job summaries.
    Markdown,
}

/// The digest of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) u64);

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_one = text.len() == 16 && text.chars().all(|digit| digit.is_ascii_hexdigit());
        let value = u64::from_str_radix(text, 16).ok().filter(|_| is_one);
        value.map(Self).ok_or_else(|| "a digest has 16 hexadecimal digits".to_owned())
    }
}

/// `FORMAT[=PATH]`: a form of a report, and the file it goes to (stdout when there is none).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) form: Form,
    pub(crate) path: Option<PathBuf>,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, path) = match text.split_once('=') {
            Some((_, "")) => return Err("there is no path behind the `=`".to_owned()),
            Some((name, path)) => (name, Some(PathBuf::from(path))),
            None => (text, None),
        };
        let form = Form::from_str(name, false).map_err(|_| {
            format!("there is no format {name:?}; there are human, json, junit and markdown")
        })?;
        Ok(Self { form, path })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Flags::command().debug_assert();
    }

    #[test]
    fn an_output_is_a_format_and_maybe_a_path() {
        let check = |text: &str| text.parse::<Output>().map_err(|error| error.to_string());
        assert_eq!(check("json"), Ok(Output { form: Form::Json, path: None }));
        let file = Output { form: Form::Junit, path: Some("a=b.xml".into()) };
        assert_eq!(check("junit=a=b.xml"), Ok(file));
        assert!(check("junit=").is_err());
        assert!(check("jsonn").is_err_and(|error| error.contains("markdown")));
        assert!(check("").is_err());
    }
}
