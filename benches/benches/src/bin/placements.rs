//! One scheduling workload, once: for `time` and for profilers.
//!
//! ```text
//! time target/release/placements W2
//! time target/release/placements HD1000
//! time target/release/placements spread 10000 1000
//! ```
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::process::ExitCode;

use benches::batch::{Batch, place_spread};
use benches::day::Day;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["spread", pods, nodes] => {
            let (Ok(pod_count), Ok(node_count)) = (pods.parse(), nodes.parse()) else {
                return ExitCode::from(2);
            };
            println!("{} of {pod_count} pods placed", place_spread(pod_count, node_count));
        }
        [name] if name.starts_with("HD") => {
            let Some((_, day)) = Day::ALL.iter().find(|(known, _)| known == name) else {
                return ExitCode::from(2);
            };
            println!("{:?}", day.run());
        }
        [name] => {
            let Some((_, batch)) = Batch::ALL.iter().find(|(known, _)| known == name) else {
                return ExitCode::from(2);
            };
            println!("{:?}", batch.prepare().run());
        }
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}
