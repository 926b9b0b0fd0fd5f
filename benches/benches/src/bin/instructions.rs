//! Instructions per event, counted by callgrind: the same on a busy machine and an idle one.
//!
//! ```text
//! cargo run --profile bench -p benches --bin instructions             compare with the baseline
//! cargo run --profile bench -p benches --bin instructions -- update   write the baseline anew
//! ```
//!
//! Needs valgrind. Each workload runs at two lengths, each in a process of its own; the
//! difference is free of start and set-up. Exits with 1 when a workload takes over 3 %
//! more instructions than `baselines/instructions.tsv` says. Counts depend on compiler and
//! target, which the baseline names.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::fmt::Write as _;
use std::process::{Command, ExitCode};

use benches::{Workload, kernel};

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../baselines/instructions.tsv");
const TOLERANCE: f64 = 1.03;
/// The shorter of the two runs: 1/40 of the full length, 1/10 where a million events are
/// to be set up and should turn over.
const DIVISORS: [u64; 6] = [40, 40, 10, 40, 40, 40];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["one", column, divisor] => run_one(column, divisor),
        [] => compare(),
        ["update"] => update(),
        _ => ExitCode::from(2),
    }
}

/// What runs under valgrind. Prints the number of events.
fn run_one(column: &str, divisor: &str) -> ExitCode {
    let workload = Workload::COLUMNS.iter().find(|(name, _)| *name == column);
    let (Some((_, workload)), Ok(divisor)) = (workload, divisor.parse()) else {
        return ExitCode::from(2);
    };
    println!("{}", kernel::prepare(workload.divided_by(divisor))().event_count);
    ExitCode::SUCCESS
}

/// Events and instructions of one run.
fn count(column: &str, divisor: u64) -> (u64, u64) {
    let program = std::env::current_exe().expect("a running program has a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["one", column, &divisor.to_string()])
        .output()
        .expect("valgrind is installed");
    let events = String::from_utf8_lossy(&output.stdout).trim().parse().ok();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let instructions = log
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok());
    match (events, instructions) {
        (Some(events), Some(instructions)) => (events, instructions),
        _ => panic!("callgrind failed on {column}: {log}"),
    }
}

/// Instructions per event of every workload.
fn measure() -> Vec<(&'static str, f64)> {
    let columns = Workload::COLUMNS.into_iter().zip(DIVISORS);
    columns
        .map(|((column, _), divisor)| {
            let (short_events, short_instructions) = count(column, divisor);
            let (long_events, long_instructions) = count(column, divisor / 2);
            let instructions = (long_instructions - short_instructions) as f64;
            (column, instructions / (long_events - short_events) as f64)
        })
        .collect()
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let wanted = |line: &&str| line.starts_with("rustc ") || line.starts_with("host: ");
    text.lines().filter(wanted).collect::<Vec<_>>().join(", ")
}

fn update() -> ExitCode {
    let mut text = format!("# Instructions per event; {}\n", compiler());
    for (column, per_event) in measure() {
        writeln!(text, "{column}\t{per_event:.1}").expect("a string takes all");
    }
    print!("{text}");
    std::fs::write(BASELINE, text).expect("the baseline can be written");
    ExitCode::SUCCESS
}

fn compare() -> ExitCode {
    let baseline = std::fs::read_to_string(BASELINE).expect("there is a baseline");
    let expected = |column: &str| -> Option<f64> {
        let line = baseline.lines().find_map(|line| line.strip_prefix(column))?;
        line.trim().parse().ok()
    };
    let mut has_grown = false;
    println!("{:12} {:>9} {:>9}", "workload", "baseline", "now");
    for (column, per_event) in measure() {
        let Some(expected) = expected(column) else {
            eprintln!("{column} is not in the baseline");
            return ExitCode::FAILURE;
        };
        let is_more = per_event > expected * TOLERANCE;
        has_grown |= is_more;
        let mark = if is_more { "  MORE" } else { "" };
        println!("{column:12} {expected:9.1} {per_event:9.1}{mark}");
    }
    ExitCode::from(u8::from(has_grown))
}
