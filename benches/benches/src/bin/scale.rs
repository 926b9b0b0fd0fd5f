//! How long large platforms take, and how much memory: one run each, in a process of its own.
//!
//! ```text
//! cargo run --profile bench -p benches --bin scale            every case
//! cargo run --profile bench -p benches --bin scale -- CASE    one of them
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::process::{Command, ExitCode};

use benches::{Estate, live_count, zone_loss};
use model_api::SimSpan;
use model_api::fault::FaultPlan;
use platform::Plan;
use sim_check::{Monitor, Subjects};

/// Name, size, whether it loses a zone for eight hours, hours of virtual time.
const CASES: [(&str, Estate, bool, u64); 5] = [
    ("large-hour", Estate::LARGE, false, 1),
    ("large-year", Estate::LARGE, false, 365 * 24),
    ("large-year-zone-loss", Estate::LARGE, true, 365 * 24),
    ("largest-hour", Estate::LARGEST, false, 1),
    ("largest-zone-loss", Estate::LARGEST, true, 12),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.len() > 1 {
        return ExitCode::from(2);
    }
    let Some(wanted) = args.first() else { return measure_all() };
    match CASES.iter().find(|(name, ..)| name == wanted) {
        Some(case) => {
            measure(case);
            ExitCode::SUCCESS
        }
        None => ExitCode::from(2),
    }
}

fn measure_all() -> ExitCode {
    println!(
        "{:22} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "case", "plan", "start", "run", "clone", "events", "MiB"
    );
    let program = std::env::current_exe().expect("a running program has a path");
    for (name, ..) in CASES {
        let status = Command::new(&program).arg(name).status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("{name} failed");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn measure((name, estate, loses_zone, hours): &(&str, Estate, bool, u64)) {
    let blueprint = estate.blueprint();
    let faults =
        if *loses_zone { zone_loss(Some(SimSpan::from_hours(8))) } else { FaultPlan::default() };
    let (planned, plan) = timed(|| {
        Plan::new(blueprint, faults, SimSpan::from_hours(*hours)).expect("nothing goes in a circle")
    });
    let subjects = Subjects::new(plan.blueprint(), plan.faults(), &[]);
    let (started, mut simulation) = timed(|| plan.simulation(1, 0, Monitor::new(&subjects)));
    let (ran, outcome) = timed(|| simulation.run_until(plan.horizon()));
    assert!(outcome.is_complete(), "{outcome:?}");
    let pod_count = estate.pod_count;
    assert_eq!(live_count(simulation.model()), pod_count, "every pod answers at the end");
    let memory = peak_mebibytes();
    let (cloned, copy) = timed(|| simulation.branch(sim_kernel::NoRecorder));
    println!(
        "{name:22} {planned:>8.3}s {started:>8.3}s {ran:>8.3}s {cloned:>8.4}s {:>9} {memory:>9}",
        copy.stats().handled_count,
    );
}

/// Seconds that something takes.
#[expect(clippy::disallowed_types, reason = "what is measured is real time")]
fn timed<T>(act: impl FnOnce() -> T) -> (f64, T) {
    let start = std::time::Instant::now();
    let made = act();
    (start.elapsed().as_secs_f64(), made)
}

/// The most memory that this process ever had, by Linux; zero elsewhere.
fn peak_mebibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or(0) / 1024
}
