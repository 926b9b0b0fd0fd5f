//! A path of single requests, a million of them, so many times: for `time` and for profilers.
//!
//! ```text
//! time target/release/paths single 10
//! time target/release/paths three-hops 10
//! ```
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::process::ExitCode;

use benches::Chain;
use model_api::{ServiceId, SimTime};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [name, count] = args.as_slice() else { return ExitCode::from(2) };
    let Ok(count) = count.parse::<u64>() else { return ExitCode::from(2) };
    let chain = match *name {
        "single" => Chain::SINGLE,
        "three-hops" => Chain::three_hops(),
        _ => return ExitCode::from(2),
    };
    for seed in 1..=count {
        let mut requests = chain.requests(seed);
        requests.advance(SimTime::from_secs(1_000_000 / chain.rps));
        let (ended, served) = requests.ended_and_served(ServiceId(0));
        println!("{ended} requests, {served} answered well");
    }
    ExitCode::SUCCESS
}
