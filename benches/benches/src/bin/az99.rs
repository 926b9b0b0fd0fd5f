//! A third of 99 nodes goes at once: what a peer's simulator answers, and what Kubernetes would do.
//!
//! ```text
//! cargo run --profile bench -p benches --bin az99             20 runs
//! cargo run --profile bench -p benches --bin az99 -- RUNS
//! ```
//! The peer's answer, and where it was measured, is in `../shared/guides/k8s-simulators.md` (AZ99):
//! it queues the lost pods one second after the loss and runs all of them again after two.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::process::ExitCode;

use benches::{Az99, az99};

fn main() -> ExitCode {
    let Ok(runs) = std::env::args().nth(1).as_deref().unwrap_or("20").parse::<u64>() else {
        return ExitCode::from(2);
    };
    let answers: Vec<Az99> = (0..runs).map(az99).collect();
    let Some(first) = answers.first() else { return ExitCode::from(2) };
    println!("pods after settling        {}", first.settled_count);
    println!("scale events, settled      {}", most(&answers, |it| it.idle_rescale_count));
    println!("scale events, zone lost    {}", spread(&answers, |it| Some(it.late_rescale_count)));
    println!("first node NotReady        {}", spread(&answers, |it| it.first_not_ready_secs));
    println!("first pod evicted          {}", spread(&answers, |it| it.first_evicted_secs));
    println!("last pod evicted           {}", spread(&answers, |it| it.last_evicted_secs));
    println!("all pods answer again      {}", spread(&answers, |it| it.recovered_secs));
    println!("events a run               {}", spread(&answers, |it| Some(it.event_count)));
    ExitCode::SUCCESS
}

fn most(answers: &[Az99], figure: impl Fn(&Az99) -> u64) -> u64 {
    answers.iter().map(figure).max().unwrap_or(0)
}

/// Least, middle and most, where there is one.
fn spread(answers: &[Az99], figure: impl Fn(&Az99) -> Option<u64>) -> String {
    let mut figures: Vec<u64> = answers.iter().filter_map(figure).collect();
    figures.sort_unstable();
    let never_count = answers.len() - figures.len();
    match figures.as_slice() {
        [] => "never".to_owned(),
        [least, .., most] => {
            let middle = figures[figures.len() / 2];
            format!("{least} to {most}, median {middle} ({never_count} runs: never)")
        }
        [only] => only.to_string(),
    }
}
