use report_data::{
    Explanation, FaultResult, GuaranteeResult, OutagePart, Part, Position, Program, Report,
    ScenarioResult, Step, Unit, Verdict,
};

use crate::{Options, human, json, junit, markdown};

fn guarantee(name: &str, verdict: Verdict) -> GuaranteeResult {
    GuaranteeResult {
        name: name.to_owned(),
        text: "rto(shop/orders) <= 60s for 99% of runs".to_owned(),
        position: Some(Position { file: "loss.yaml".to_owned(), line: 14, column: 5 }),
        verdict,
        reason: "held in 2 of 3 runs".to_owned(),
        held_count: 2,
        judged_count: 3,
        share_low: 0.1,
        share_high: 0.9,
        unit: Unit::Nanoseconds,
        values: vec![Some(0), Some(75_250_000_000), None],
        worst_run: Some(1),
        explanation: None,
        replay: Some("eidp-sim replay loss --run 1 --seed 7".to_owned()),
    }
}

/// One scenario with a guarantee of every verdict.
fn report() -> Report {
    let mut broken = guarantee("orders", Verdict::Violated);
    broken.explanation = Some(Explanation {
        run: 1,
        steps: vec![
            Step {
                at_ns: 600_000_000_000,
                text: "zone az-a lost power".to_owned(),
                position: None,
            },
            Step {
                at_ns: 647_500_000_000,
                text: "its nodes are not ready".to_owned(),
                position: Some(Position { file: "p.yaml".to_owned(), line: 3, column: 1 }),
            },
        ],
        outage_parts: vec![
            OutagePart { part: Part::Detect, length_ns: 47_500_000_000 },
            OutagePart { part: Part::Act, length_ns: 27_750_000_000 },
        ],
    });
    let others = [
        Verdict::Held,
        Verdict::Vacuous,
        Verdict::NotModelled,
        Verdict::Inconclusive,
        Verdict::Unwinnable,
    ];
    let guarantees = others.map(|verdict| guarantee(verdict.words(), verdict));
    Report {
        schema_version: report_data::SCHEMA_VERSION,
        program: Program { name: "eidp-sim".to_owned(), version: "0.1.0".to_owned() },
        results: vec![ScenarioResult {
            scenario: "loss".to_owned(),
            description: "A zone is lost.".to_owned(),
            file: "loss.yaml".to_owned(),
            root_seed: 7,
            run_count: 3,
            horizon_ns: 7_200_000_000_000,
            digest: "00000000000000ff".to_owned(),
            verdict: Verdict::Violated,
            guarantees: std::iter::once(broken).chain(guarantees).collect(),
            faults: vec![FaultResult {
                name: "zone lost".to_owned(),
                text: "power of a zone is gone".to_owned(),
                position: None,
                struck_run_count: 3,
                hit_run_count: 3,
                target_count_min: 5,
                target_count_max: 5,
            }],
            metrics: Vec::new(),
            exposures: Vec::new(),
            event_count: 1234,
            limited_run_count: 0,
            assumptions: Vec::new(),
            not_modelled: Vec::new(),
            probes_never_hit: Vec::new(),
        }],
    }
}

#[test]
fn human_says_what_why_and_how_to_repeat_it() {
    let text = human(&report(), Options { fail_only: true, ..Options::default() });
    insta::assert_snapshot!(text.lines().take(11).collect::<Vec<_>>().join("\n"));
    assert!(!text.contains("HELD"), "only what failed was asked for");
    assert!(!text.contains('\x1b'), "no color was asked for");
}

#[test]
fn json_reads_back_as_it_was() {
    let read: Report = serde_json::from_str(&json(&report())).expect("our own output");
    assert_eq!(read, report());
}

#[test]
fn junit_counts_failures_and_skips() {
    let text = junit(&report(), Options::default());
    let read = quick_junit::Report::deserialize_from_str(&text).expect("our own output");
    let suite = &read.test_suites[0];
    assert_eq!((suite.tests, suite.failures), (6, 2));
    assert_eq!(text.matches("<skipped").count(), 3);
    assert!(text.contains("replay eidp-sim replay loss --run 1 --seed 7"));
}

#[test]
fn markdown_keeps_its_table_whole() {
    let mut report = report();
    report.results[0].guarantees[0].name = "a|b <script>".to_owned();
    let text = markdown(&report, Options::default());
    assert!(text.contains("a\\|b &lt;script>"));
    let rows = text.lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(rows, 2 + 6);
}

#[test]
fn markdown_never_exceeds_its_budget() {
    let mut report = report();
    let one = report.results[0].clone();
    report.results = vec![one; 200];
    let text = markdown(&report, Options::default());
    assert!(text.len() <= crate::MARKDOWN_BYTES_MAX + 100);
    assert!(text.contains("scenarios left out"));
}
