//! The workloads of `benches` in other kernels and in ours, side by side.
//!
//! ```text
//! cargo run --release -- [--rounds N] [--divide N] [--only KERNEL]... [--column TEXT]...
//! ```
//!
//! Every measurement is a process of its own, so that no kernel inherits the memory of
//! another. Rounds are interleaved: in each, every kernel runs every workload once, so
//! that a slow minute of the machine hits all alike. Measured is the CPU time of the loop
//! alone, without set-up. Before anything is printed, every kernel must have done the
//! same work: the same number of events and the same sum over the model's state.

mod desque;
mod nexosim;
mod odem;
mod ours;
mod simcore;
mod simrs;
mod table;
mod watch;

use std::process::{Command, ExitCode};

use benches::{Work, Workload};
use table::{Cell, Table};
use watch::Watch;

/// Runs a workload, the watch around the loop; `None` when the kernel cannot express it.
type Runner = fn(Workload, &mut Watch) -> Option<Work>;

/// Ours first: every ratio refers to it.
const KERNELS: [(&str, Runner); 6] = [
    ("sim-kernel", ours::run),
    ("desque 0.4.0", desque::run),
    ("simrs 0.2.0", simrs::run),
    ("simcore 0.1.0", simcore::run),
    ("odem-rs 0.4.0", odem::run),
    ("nexosim 1.0.0", nexosim::run),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, kernel, column, divisor] = args.as_slice()
        && mode == "one"
    {
        return measure_one(kernel, column, divisor);
    }
    match Options::parse(&args) {
        Some(options) => measure_all(&options),
        None => {
            eprintln!(
                "usage: peers [--rounds N] [--divide N] [--only KERNEL]... [--column TEXT]..."
            );
            ExitCode::from(2)
        }
    }
}

struct Options {
    round_count: usize,
    divisor: u64,
    kernels: Vec<String>,
    columns: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Option<Options> {
        let mut options =
            Options { round_count: 5, divisor: 1, kernels: Vec::new(), columns: Vec::new() };
        for pair in args.chunks(2) {
            let [flag, value] = pair else { return None };
            match flag.as_str() {
                "--rounds" => options.round_count = value.parse().ok()?,
                "--divide" => options.divisor = value.parse().ok()?,
                "--only" => options.kernels.push(value.clone()),
                "--column" => options.columns.push(value.clone()),
                _ => return None,
            }
        }
        Some(options)
    }
}

/// Whether a name is wanted: always when nothing was asked for.
fn is_wanted(name: &str, wanted: &[String]) -> bool {
    wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()))
}

fn measure_all(options: &Options) -> ExitCode {
    let columns: Vec<_> = Workload::COLUMNS
        .into_iter()
        .filter(|(name, _)| is_wanted(name, &options.columns))
        .collect();
    let kernels: Vec<_> =
        KERNELS.into_iter().filter(|(name, _)| is_wanted(name, &options.kernels)).collect();
    let mut table = Table::new(
        kernels.iter().map(|(name, _)| *name).collect(),
        columns.iter().map(|(name, _)| *name).collect(),
    );
    for round in 0..options.round_count {
        for (column_idx, (column, _)) in columns.iter().enumerate() {
            for (kernel_idx, (kernel, _)) in kernels.iter().enumerate() {
                eprintln!("round {} of {}: {column} {kernel}", round + 1, options.round_count);
                if let Some(cell) = run_child(kernel, column, options.divisor) {
                    table.add(kernel_idx, column_idx, cell);
                }
            }
        }
    }
    match table.check_equal_work() {
        Ok(()) => {
            print!("{table}");
            ExitCode::SUCCESS
        }
        Err(difference) => {
            eprintln!("{difference}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one measurement in a process of its own.
fn run_child(kernel: &str, column: &str, divisor: u64) -> Option<Cell> {
    let program = std::env::current_exe().expect("a running program has a path");
    let output = Command::new(program)
        .args(["one", kernel, column, &divisor.to_string()])
        .output()
        .expect("this program can be started again");
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        panic!("{kernel}, {column}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut numbers = text.split_whitespace().map(|word| word.parse::<u64>());
    let mut next = || numbers.next()?.ok();
    Some(Cell { event_count: next()?, check: next()?, cpu_ns: next()? })
}

fn measure_one(kernel: &str, column: &str, divisor: &str) -> ExitCode {
    let runner = KERNELS.iter().find(|(name, _)| *name == kernel);
    let workload = Workload::COLUMNS.iter().find(|(name, _)| *name == column);
    let (Some((_, run)), Some((_, workload)), Ok(divisor)) = (runner, workload, divisor.parse())
    else {
        return ExitCode::from(2);
    };
    let mut watch = Watch::new();
    if let Some(work) = run(workload.divided_by(divisor), &mut watch) {
        println!("{} {} {}", work.event_count, work.check, watch.cpu_ns());
    }
    ExitCode::SUCCESS
}
