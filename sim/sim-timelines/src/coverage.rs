//! Recorded figures beside the distribution of simulated ones.

use report_data::{
    Program, SCHEMA_VERSION, TimelineFigure, TimelineReport, TimelineTrace, TimelineUnit,
};

use crate::figures::{Figures, value_at};
use crate::read::Trace;
use crate::recorded::{Recorded, SLACK_SECS, Unit, What};

/// The range of simulated values that counts: from this share of the runs to its opposite.
const TAIL: f64 = 0.005;

/// What was simulated of one figure.
struct Simulated {
    range: Option<(f64, f64)>,
    is_covered: bool,
}

/// Compares a trace with its runs; `None` stands for a run that drew another start.
pub fn compare(trace: &Trace, runs: &[Option<Figures>]) -> TimelineTrace {
    let runs: Vec<&Figures> = runs.iter().flatten().collect();
    let figures: Vec<TimelineFigure> =
        trace.recorded.iter().map(|recorded| judged(recorded, &runs)).collect();
    let count = |count: usize| u64::try_from(count).expect("figures are few");
    TimelineTrace {
        name: trace.name.clone(),
        kind: trace.kind.clone(),
        run_count: count(runs.len()),
        figure_count: count(figures.len()),
        covered_count: count(figures.iter().filter(|figure| figure.is_covered).count()),
        figures,
    }
}

/// All traces that were compared.
pub fn report(traces: Vec<TimelineTrace>, root_seed: u64, program: Program) -> TimelineReport {
    TimelineReport { schema_version: SCHEMA_VERSION, program, root_seed, traces }
}

fn judged(recorded: &Recorded, runs: &[&Figures]) -> TimelineFigure {
    let simulated = match &recorded.what {
        What::Number { of, value } => number(of, *value, recorded, runs),
        What::Step { of, at, value } => step(of, *at, *value, runs),
        What::Never { of } => never(of, runs),
    };
    let (at, value) = match recorded.what {
        What::Number { value, .. } => (None, Some(value)),
        What::Step { at, value, .. } => (Some(at), Some(value)),
        What::Never { .. } => (None, None),
    };
    TimelineFigure {
        name: recorded.name.clone(),
        unit: unit(recorded.unit),
        at_seconds: at,
        recorded: value,
        least: simulated.range.map(|range| range.0),
        most: simulated.range.map(|range| range.1),
        slack: recorded.slack,
        is_covered: simulated.is_covered,
    }
}

fn unit(unit: Unit) -> TimelineUnit {
    match unit {
        Unit::Seconds => TimelineUnit::Seconds,
        Unit::Milliseconds => TimelineUnit::Milliseconds,
        Unit::Count => TimelineUnit::Count,
        Unit::Mean => TimelineUnit::Mean,
        Unit::PerSecond => TimelineUnit::PerSecond,
    }
}

/// Runs that a share of the tail stands for; one at least.
fn tail_count(run_count: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "runs are fewer than 2^32"
    )]
    let count = (run_count as f64 * TAIL).floor() as usize;
    count.max(1)
}

/// A number: of a count, a run that knows nothing of it has none.
fn number(of: &str, value: f64, recorded: &Recorded, runs: &[&Figures]) -> Simulated {
    let is_count = recorded.unit == Unit::Count;
    let is_known = runs.iter().any(|run| run.numbers.contains_key(of));
    let values = runs.iter().filter_map(|run| {
        let found = run.numbers.get(of).copied();
        if is_count && is_known { Some(found.unwrap_or(0.0)) } else { found }
    });
    let values: Vec<f64> = values.collect();
    if values.len() < tail_count(runs.len()) {
        return Simulated { range: None, is_covered: false };
    }
    let (least, most) = (quantile(values.clone(), TAIL), quantile(values, 1.0 - TAIL));
    let is_covered = (least - recorded.slack..=most + recorded.slack).contains(&value);
    Simulated { range: Some((least, most)), is_covered }
}

/// A step: the recorded value must be one that a simulated one takes around that moment.
fn step(of: &str, at: f64, value: f64, runs: &[&Figures]) -> Simulated {
    let around = |run: &&Figures| {
        let steps = run.steps.get(of)?;
        let (from, until) = (at - SLACK_SECS, at + SLACK_SECS);
        let within = steps.iter().filter(|(step_at, _)| (from..=until).contains(step_at));
        let first = value_at(steps, from);
        let values = within.map(|(_, value)| *value).chain([first]);
        Some(values.fold((first, first), |(least, most), it| (least.min(it), most.max(it))))
    };
    let ranges: Vec<(f64, f64)> = runs.iter().filter_map(around).collect();
    if ranges.is_empty() {
        return Simulated { range: None, is_covered: false };
    }
    let least = quantile(ranges.iter().map(|range| range.0).collect(), TAIL);
    let most = quantile(ranges.iter().map(|range| range.1).collect(), 1.0 - TAIL);
    Simulated { range: Some((least, most)), is_covered: (least..=most).contains(&value) }
}

/// Something that did not happen: some of the runs must go without it as well.
fn never(of: &str, runs: &[&Figures]) -> Simulated {
    let values: Vec<f64> = runs.iter().filter_map(|run| run.numbers.get(of).copied()).collect();
    let without = runs.len() - values.len();
    let range = (!values.is_empty())
        .then(|| (quantile(values.clone(), TAIL), quantile(values, 1.0 - TAIL)));
    Simulated { range, is_covered: without >= tail_count(runs.len()) }
}

/// The value below which a share of all lies: the next one outside, so that a range never shrinks
/// by rounding.
fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "runs are fewer than 2^32")]
    let place = share * (values.len() - 1) as f64;
    let place = if share < 0.5 { place.floor() } else { place.ceil() };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies between nought and the number of values"
    )]
    let idx = place as usize;
    values[idx]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(values: impl Iterator<Item = u32>) -> Vec<Figures> {
        let run = |value: u32| {
            let mut figures = Figures::default();
            figures.number("x", f64::from(value));
            figures.steps.insert("s".into(), vec![(0.0, 6.0), (f64::from(value), 5.0)]);
            figures
        };
        values.map(run).collect()
    }

    fn covers(what: What, unit: Unit, slack: f64, runs: &[Figures]) -> (bool, Option<(f64, f64)>) {
        let recorded = Recorded { name: "x".into(), what, unit, slack };
        let runs: Vec<&Figures> = runs.iter().collect();
        let figure = judged(&recorded, &runs);
        (figure.is_covered, figure.least.zip(figure.most))
    }

    fn seconds(value: f64, runs: &[Figures]) -> bool {
        covers(What::Number { of: "x".into(), value }, Unit::Seconds, SLACK_SECS, runs).0
    }

    #[test]
    fn a_number_is_covered_within_the_range_and_the_slack() {
        let runs = runs(40..=50);
        for (value, is_covered) in [(38.4, false), (38.6, true), (51.4, true), (51.6, false)] {
            assert_eq!(seconds(value, &runs), is_covered, "{value}");
        }
    }

    #[test]
    fn the_outermost_half_percent_does_not_count() {
        let runs = runs((0..1000).map(|nth| if nth < 4 { 10 } else { 40 }));
        assert!(!seconds(10.0, &runs));
        assert!(seconds(40.0, &runs));
    }

    #[test]
    fn a_step_is_covered_when_some_runs_show_the_value_around_its_moment() {
        let runs = runs(40..=50);
        let step =
            |at, value| covers(What::Step { of: "s".into(), at, value }, Unit::Count, 0.0, &runs).0;
        let cases = [(45.0, 5.0, true), (38.4, 5.0, false), (38.6, 5.0, true), (51.6, 6.0, false)];
        for (at, value, is_covered) in cases {
            assert_eq!(step(at, value), is_covered, "{value} at {at}");
        }
    }

    #[test]
    fn what_nothing_simulates_is_not_covered() {
        let runs = runs(40..=50);
        let unknown = What::Number { of: "y".into(), value: 0.0 };
        assert_eq!(covers(unknown, Unit::Count, 0.0, &runs), (false, None));
        let never = |of: &str| covers(What::Never { of: of.into() }, Unit::Seconds, 0.0, &runs);
        assert!(never("y").0);
        assert_eq!(never("x"), (false, Some((40.0, 50.0))));
    }
}
