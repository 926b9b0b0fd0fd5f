//! Recorded failovers and restores of a real PostgreSQL, simulated again.
//!
//! A results file lists repetitions: what was done to a cluster, how it was configured, and what was
//! measured. Each is simulated many times with other luck (phases of loops, of the client and of
//! readers, work of an overloaded machine), and each measured figure must lie in the range of the
//! simulated ones. [`RULE`] says how.
//!
//! Nothing here decides anything of PostgreSQL or Patroni: the laboratory runs the model of failovers
//! that every simulated platform runs. Restores are those of `model_postgres::recovery` and its archive,
//! which follow a recorded load segment by segment; platforms restore as `model-backup` says.

mod client;
mod experiment;
mod fault;
mod figures;
mod lab;
mod latency;
mod restore;

use report_data::{
    ConformanceCase, ConformanceDifference, ConformanceFile, ConformanceOutcome, ConformanceRange,
    ConformanceReport, Position, Program, SCHEMA_VERSION,
};
use scenario_format::files::Files;
use scenario_format::yaml::Node;
use scenario_format::{Code, Diagnostic, Sources, Span, read_trees};

use crate::tree::Tree;
use figures::Figures;

/// Runs of each repetition.
pub const RUN_COUNT: u64 = 1000;

/// How a figure is judged.
pub const RULE: &str = "a measured figure passes when it lies between the least and the most of \
                        1000 simulated runs of its experiment, each with its own phase of the loops \
                        and its own share of the recorder's overload, 20 ms or 2 % of the width \
                        given on both sides; counts must lie between least and most";

/// What a file of results holds.
#[derive(Debug, Default)]
pub struct Results {
    files: Vec<(String, Vec<Node>)>,
    /// What is wrong with the files.
    pub diagnostics: Vec<Diagnostic>,
    /// All texts, for messages.
    pub sources: Sources,
}

impl Results {
    /// Whether there is no repetition in them.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// Reads files of results; of a directory those that are such files.
pub fn read_results(paths: &[String], files: &dyn Files) -> Results {
    let trees = read_trees(paths, files);
    let mut read =
        Results { files: Vec::new(), diagnostics: trees.diagnostics, sources: trees.sources };
    for file in trees.files {
        let mut repetitions = Vec::new();
        for document in file.documents.into_iter().filter(|document| !document.is_null()) {
            match document.get("repetitions").and_then(Node::items) {
                Some(items) => {
                    let (whole, other): (Vec<&Node>, Vec<&Node>) =
                        items.iter().partition(|item| item.entries().is_some());
                    repetitions.extend(whole.into_iter().cloned());
                    read.diagnostics.extend(other.into_iter().map(|node| {
                        let message =
                            format!("a repetition is a mapping, found {}", node.describe());
                        Diagnostic::new(Code::E0011, node.span, message)
                    }));
                }
                None if file.is_found => {}
                None => {
                    let message = "a results file needs a list of `repetitions`";
                    read.diagnostics.push(Diagnostic::new(Code::E0013, document.span, message));
                }
            }
        }
        if !repetitions.is_empty() {
            read.files.push((file.name, repetitions));
        }
    }
    read
}

/// Simulates every repetition and compares.
pub fn compare_results(read: &Results, program: Program) -> ConformanceReport {
    let files = read.files.iter().map(|(name, repetitions)| {
        let cases: Vec<_> = repetitions.iter().map(|node| compare(node, &read.sources)).collect();
        let count = |outcome| cases.iter().filter(|case| case.outcome == outcome).count() as u64;
        ConformanceFile {
            file: name.clone(),
            passed_count: count(ConformanceOutcome::Passed),
            failed_count: count(ConformanceOutcome::Failed),
            not_supported_count: count(ConformanceOutcome::NotSupported),
            cases,
        }
    });
    ConformanceReport {
        schema_version: SCHEMA_VERSION,
        program,
        rule: Some(RULE.to_owned()),
        files: files.collect(),
    }
}

fn compare(node: &Node, sources: &Sources) -> ConformanceCase {
    let repetition = Tree::of(node);
    let place = |span: Option<Span>| position(span.unwrap_or(node.span), sources);
    let mut case = ConformanceCase {
        name: repetition.field("id").text().to_owned(),
        source: repetition.field("title").text().to_owned(),
        position: place(None),
        outcome: ConformanceOutcome::Passed,
        reason: None,
        differences: Vec::new(),
        ranges: Vec::new(),
    };
    let (measured, runs) = match simulate(repetition) {
        Ok(both) => both,
        Err(reason) => {
            case.outcome = ConformanceOutcome::NotSupported;
            case.reason = Some(reason);
            return case;
        }
    };
    for (name, value, tree) in measured {
        let range = range_of(name, value, &runs);
        if !range.is_inside {
            case.outcome = ConformanceOutcome::Failed;
            case.differences.push(ConformanceDifference {
                expectation: name.to_owned(),
                expected: shown(value),
                got: match (range.least, range.most) {
                    (Some(least), Some(most)) => format!("{} to {}", shown(least), shown(most)),
                    _ => "no run in which it happened".to_owned(),
                },
                position: place(tree.span()),
            });
        }
        case.ranges.push(range);
    }
    case
}

type Measured<'a> = Vec<(&'static str, f64, Tree<'a>)>;

fn simulate(repetition: Tree<'_>) -> Result<(Measured<'_>, Vec<Figures>), String> {
    let (measured, runs): (Measured<'_>, Vec<Figures>) = if restore::is_restore(repetition) {
        let experiment = restore::read(repetition)?;
        let named = restore::NAMES.iter().filter_map(|&name| {
            let value = repetition.at(name);
            value.number().map(|number| (name, number, value))
        });
        let runs = (0..RUN_COUNT).map(|run| restore::simulated(&experiment, run));
        (named.collect(), runs.collect())
    } else {
        let experiment = experiment::read(repetition)?;
        let runs = (0..RUN_COUNT).map(|run| figures::simulated(&experiment, run));
        (figures::recorded(repetition), runs.collect())
    };
    if measured.is_empty() {
        return Err("it has no figure that is compared".to_owned());
    }
    Ok((measured, runs))
}

fn is_count(name: &str) -> bool {
    !name.ends_with("_s")
}

fn range_of(name: &str, measured: f64, runs: &[Figures]) -> ConformanceRange {
    let mut values: Vec<f64> = runs.iter().filter_map(|run| run.get(name).copied()).collect();
    values.sort_by(f64::total_cmp);
    let (least, most) = (values.first().copied(), values.last().copied());
    let is_inside = least.zip(most).is_some_and(|(least, most)| {
        let given = if is_count(name) { 0.0 } else { (0.02 * (most - least)).max(0.02) };
        least - given <= measured && measured <= most + given
    });
    let median = values.get(values.len() / 2).copied();
    ConformanceRange {
        figure: name.to_owned(),
        measured: rounded(measured),
        least: least.map(rounded),
        median: median.map(rounded),
        most: most.map(rounded),
        width: least.zip(most).map(|(least, most)| rounded(most - least)),
        is_inside,
    }
}

/// To milliseconds, so that a result has no digits that say nothing.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn shown(value: f64) -> String {
    format!("{}", rounded(value))
}

fn position(span: Span, sources: &Sources) -> Position {
    let at = span.at;
    let file = sources.get(at.file_idx).map_or_else(String::new, |source| source.name.clone());
    Position { file, line: at.line, column: at.column }
}
