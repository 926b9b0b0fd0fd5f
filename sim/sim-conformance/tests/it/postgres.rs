//! Recorded failovers and restores of a real PostgreSQL.

use std::path::PathBuf;

use report_data::{ConformanceOutcome, ConformanceReport, Program};
use scenario_format::Disk;
use sim_conformance::{compare_results, read_results};

/// The recorded results; `None`, with a message, when they are not there.
#[expect(clippy::disallowed_methods, reason = "a test may ask whether it runs in CI")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn recorded() -> Option<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/traces-postgres/results.yaml");
    if PathBuf::from(path).is_file() {
        return Some(path.to_owned());
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "the shared folder is missing in CI");
    eprintln!("skipped: there are no recorded failovers beside the repository");
    None
}

fn report_of(path: &str) -> ConformanceReport {
    let results = read_results(&[path.to_owned()], &Disk::default());
    assert_eq!(results.diagnostics, []);
    assert!(!results.is_empty(), "{path} holds no repetition");
    let program = Program { name: "test".to_owned(), version: "0".to_owned() };
    compare_results(&results, program)
}

#[test]
fn recorded_repetitions_lie_in_the_simulated_ranges() {
    let Some(path) = recorded() else { return };
    let report = report_of(&path);
    for case in report.files.iter().flat_map(|file| &file.cases) {
        assert_eq!(case.outcome, ConformanceOutcome::Passed, "{:?}", case.differences);
        // A range as wide as the outage says nothing: beside the phase of the loop, 10 s, the
        // overload of the recorder's machine is all that spreads.
        for range in case
            .ranges
            .iter()
            .filter(|range| !case.name.starts_with("i-") && range.figure == "rto_s")
        {
            assert!(range.width.is_some_and(|width| width < 16.0), "{range:?}");
        }
    }
}
