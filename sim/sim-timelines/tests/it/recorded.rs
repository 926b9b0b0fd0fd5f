//! The recorded timelines of the shared folder, simulated with a few seeds each.

use std::path::PathBuf;

use report_data::TimelineTrace;
use scenario_format::Disk;

/// Runs of each trace: fewer than the command makes, so that ranges are narrower here, not wider.
const RUNS: u64 = 60;

/// The folder of traces; `None`, with a message, when it is not there.
#[expect(clippy::disallowed_methods, reason = "a test may ask whether it runs in CI")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/traces"));
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "the shared folder is missing in CI");
    eprintln!("skipped: there are no recorded timelines beside the repository");
    None
}

#[test]
fn at_least_95_percent_of_all_figures_are_covered() {
    let Some(folder) = folder() else { return };
    let path = folder.to_str().expect("the path of the checkout is UTF-8").to_owned();
    let read = sim_timelines::read(&[path], &Disk::default());
    assert_eq!(read.diagnostics, []);
    let traces = read.traces.iter().map(|trace| {
        let runs: Vec<_> = (0..RUNS).map(|run| trace.simulate(1, run)).collect();
        sim_timelines::compare(trace, &runs)
    });
    let traces: Vec<TimelineTrace> = traces.collect();
    let mut text = String::new();
    for trace in &traces {
        for figure in trace.figures.iter().filter(|figure| !figure.is_covered) {
            text.push_str(&format!("{}: {figure:?}\n", trace.name));
        }
    }
    for trace in &traces {
        let TimelineTrace { name, figure_count, covered_count, .. } = trace;
        text.push_str(&format!("{name}: {covered_count} of {figure_count}\n"));
    }
    let figure_count: u64 = traces.iter().map(|trace| trace.figure_count).sum();
    let covered_count: u64 = traces.iter().map(|trace| trace.covered_count).sum();
    assert!(figure_count > 0, "the folder holds no figure");
    assert!(
        covered_count * 100 >= figure_count * 95,
        "{text}{covered_count} of {figure_count} figures are covered"
    );
}
