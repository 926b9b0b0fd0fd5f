use report_data::{
    Explanation, FaultResult, GuaranteeResult, Metric, OutagePart, Part, Position, Program, Report,
    ScenarioResult, Step, Unit, Verdict,
};

use crate::{CountAs, Options, human, json, junit, markdown};

/// A figure of some runs.
pub(crate) fn metric<const RUNS: usize>(
    name: &str,
    subject: &str,
    unit: Unit,
    values: [i64; RUNS],
) -> Metric {
    Metric {
        name: name.to_owned(),
        subject: subject.to_owned(),
        unit,
        values: values.map(Some).to_vec(),
    }
}

/// The same where the unit does not matter.
pub(crate) fn count<const RUNS: usize>(name: &str, subject: &str, values: [i64; RUNS]) -> Metric {
    metric(name, subject, Unit::Count, values)
}

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
        figures: Vec::new(),
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
            storage: Vec::new(),
            recommendations: Vec::new(),
            event_count: 1234,
            limited_run_count: 0,
            assumptions: Vec::new(),
            not_modelled: Vec::new(),
            warnings: Vec::new(),
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
fn what_held_says_how_well_in_every_form() {
    let mut report = report();
    let held = |text: &str, unit, values: [i64; 2]| GuaranteeResult {
        text: text.to_owned(),
        unit,
        values: values.map(Some).to_vec(),
        ..guarantee("it", Verdict::Held)
    };
    let share = Unit::PartsPerMillion;
    let cases = [
        (
            held("rto(shop/a) <= 90s for 95% of runs", Unit::Nanoseconds, [1_000_000_000, 0]),
            "worst 1.0s, wanted <= 90s; ",
        ),
        (
            held("availability(shop/a) >= 99%", share, [1_000_000, 995_000]),
            "worst 99.5000%, wanted >= 99%; ",
        ),
        (
            held("completes(a -> b) <= 1m", Unit::Nanoseconds, [2_000_000_000, 0]),
            "worst 2.0s, wanted <= 1m; ",
        ),
        (held("returns(goodput(shop/a), 95%, 10m)", Unit::Nanoseconds, [0, 0]), "worst 0s; "),
        (held("never failover", Unit::Count, [0, 0]), ""),
    ];
    for (case, worst) in cases {
        report.results[0].guarantees = vec![case];
        let options = Options::default();
        let told = format!("{worst}held in 2 of 3 runs");
        assert!(human(&report, options).contains(&format!("it  {told}")), "{told}");
        assert!(markdown(&report, options).contains(&told.replace('<', "&lt;")), "{told}");
        let read = quick_junit::Report::deserialize_from_str(&junit(&report, options));
        let suites = read.expect("our own output").test_suites;
        let output = suites[0].test_cases[0].system_out.as_ref().expect("it says something");
        assert_eq!(output.to_string(), told);
    }
}

/// An expression shows what it looked at, whether it held or not.
#[test]
fn an_expression_shows_its_figures_in_every_form() {
    let expression = |verdict, figures: Vec<Metric>| GuaranteeResult {
        text: "services['shop/web'].lostRequests < 100".to_owned(),
        unit: Unit::Count,
        values: Vec::new(),
        figures,
        ..guarantee("it", verdict)
    };
    let lost = count("lostRequests", "shop/web", [3, 120, 7]);
    let gone = count("lostBytes", "buckets", [0, 3 << 30, 0]);
    let away = metric("outageSeconds", "shop/web", Unit::Nanoseconds, [0, 0, 0]);
    let nobody = Metric {
        values: vec![None; 3],
        ..metric("availability", "shop/api", Unit::PartsPerMillion, [0; 3])
    };
    let told = "lostRequests of shop/web 3 to 120 (median 7, worst run 120), outageSeconds of shop/web 0s, \
                availability of shop/api was not measured, lostBytes of buckets 0 bytes to 3.0 GiB \
                (median 0 bytes, worst run 3.0 GiB)";
    for verdict in [Verdict::Held, Verdict::Violated] {
        let figures = vec![lost.clone(), away.clone(), nobody.clone(), gone.clone()];
        let mut report = report();
        report.results[0].guarantees = vec![expression(verdict, figures)];
        let options = Options::default();
        assert!(human(&report, options).contains(told), "{}", human(&report, options));
        assert!(markdown(&report, options).contains(told), "{}", markdown(&report, options));
    }
    let many = (0..6).map(|nth| count("lostRequests", &format!("shop/s{nth}"), [0; 3]));
    let mut report = report();
    report.results[0].guarantees = vec![expression(Verdict::Held, many.collect())];
    assert!(human(&report, Options::default()).contains("lostRequests of shop/s3 0, 2 more; held"));
    let read: Report = serde_json::from_str(&json(&report)).expect("our own output");
    assert_eq!(read, report);
}

#[test]
fn json_reads_back_as_it_was() {
    let read: Report = serde_json::from_str(&json(&report())).expect("our own output");
    assert_eq!(read, report());
}

#[test]
fn junit_counts_failures_errors_and_skips() {
    let text = junit(&report(), Options::default());
    let read = quick_junit::Report::deserialize_from_str(&text).expect("our own output");
    let suite = &read.test_suites[0];
    assert_eq!((suite.tests, suite.failures, suite.errors), (6, 2, 1));
    assert_eq!(text.matches("<skipped").count(), 2);
    assert!(text.contains("replay eidp-sim replay loss --run 1 --seed 7"));
}

/// The suite says what the exit code says.
#[test]
fn junit_counts_the_inconclusive_as_the_caller_does() {
    for (inconclusive, expected) in
        [(None, (2, 1, 2)), (Some(CountAs::Pass), (2, 0, 3)), (Some(CountAs::Fail), (3, 0, 2))]
    {
        let text = junit(&report(), Options { inconclusive, ..Options::default() });
        let read = quick_junit::Report::deserialize_from_str(&text).expect("our own output");
        let suite = &read.test_suites[0];
        let skipped = text.matches("<skipped").count();
        assert_eq!((suite.failures, suite.errors, skipped), expected, "{inconclusive:?}");
    }
}

/// A result that leaves something out says so in whatever form it is read.
#[test]
fn every_form_says_what_it_rests_on() {
    let mut report = report();
    let note = |text: &str| report_data::Note { text: text.to_owned(), position: None };
    let result = &mut report.results[0];
    result.not_modelled = vec![note("ResourceQuota spec")];
    result.assumptions = vec![note("etcd: small")];
    result.warnings = vec![note("W0001: odd")];
    (result.faults[0].hit_run_count, result.faults[0].target_count_max) = (0, 0);
    for text in [markdown(&report, Options::default()), junit(&report, Options::default())] {
        for expected in
            ["not modelled: ResourceQuota spec", "assumed: etcd: small", "warning: W0001: odd"]
        {
            assert!(text.contains(expected), "{text}");
        }
        assert!(text.contains("fault: zone lost: power of a zone is gone"), "{text}");
        assert!(text.contains("hit nothing"), "{text}");
    }
}

#[test]
fn names_open_no_tag_in_markdown() {
    let mut report = report();
    let result = &mut report.results[0];
    result.scenario = "<b>loss".to_owned();
    result.faults[0].name = "</details>".to_owned();
    result.faults[0].hit_run_count = 0;
    result.guarantees[0].text = "a `b` <i>".to_owned();
    let explanation = result.guarantees[0].explanation.as_mut().expect("it is broken");
    explanation.steps[0].text = "fault </details> strikes".to_owned();
    let text = markdown(&report, Options::default());
    assert!(text.contains(" &lt;b>loss: violated") && text.contains("fault &lt;/details> strikes"));
    assert!(text.contains("- wanted `` a `b` <i> ``"), "{text}");
    assert_eq!(text.matches("<details>").count(), text.matches("\n</details>\n").count());
    assert_eq!(text.matches("</details>").count(), text.matches("<details>").count(), "{text}");
}

#[test]
fn junit_is_xml_whatever_names_hold() {
    let mut report = report();
    let name = "a\u{fffe}b\u{0}c\u{7}d\u{ffff}<e>&\u{1f600}";
    report.results[0].scenario = name.to_owned();
    for guarantee in &mut report.results[0].guarantees {
        (guarantee.name, guarantee.text) = (name.to_owned(), name.to_owned());
        guarantee.reason = name.to_owned();
    }
    let text = junit(&report, Options::default());
    let is_char = |letter: char| !letter.is_control() || letter == '\n';
    assert!(text.chars().all(|it| is_char(it) && !matches!(it, '\u{fffe}' | '\u{ffff}')));
    assert!(text.contains("&lt;e&gt;&amp;\u{1f600}"), "{text}");
}

#[test]
fn assumptions_of_one_kind_are_one_line() {
    let mut report = report();
    let note = |text: &str| report_data::Note { text: text.to_owned(), position: None };
    report.results[0].assumptions = ["shop/a: small", "people are quick", "shop/b: small"]
        .into_iter()
        .chain(["shop/c: small", "etcd: large", "shop/d: small"])
        .map(note)
        .collect();
    let text = human(&report, Options::default());
    let told: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("  assumed      ")).collect();
    let expected = ["shop/a, shop/b, shop/c and 1 more: small", "people are quick", "etcd: large"];
    assert_eq!(told, expected);
}

#[test]
fn what_held_says_how_surely() {
    let text = human(&report(), Options::default());
    let held = text.lines().find(|line| line.contains("HELD")).expect("one held");
    assert!(held.contains("held in 2 of 3 runs"), "{held}");
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

/// What a sentence with `*` came to is one line, unless somebody broke it.
#[test]
fn wide_promises_are_put_together() {
    let mut report = report();
    let of = |subject: &str, verdict| guarantee(&format!("all answer [shop/{subject}]"), verdict);
    let mut strange = of("f", Verdict::Vacuous);
    strange.reason = "nobody asked".to_owned();
    report.results[0].guarantees = ["a", "b", "c", "d", "e"]
        .map(|it| of(it, if it == "b" { Verdict::Violated } else { Verdict::Held }))
        .into_iter()
        .chain([of("g", Verdict::Vacuous), strange, of("h", Verdict::Vacuous)])
        .chain([of("i", Verdict::Violated), guarantee("all answer", Verdict::Held)])
        .collect();
    report.results[0].guarantees[3].reason = "held in 3 of 3 runs".to_owned();
    let text = human(&report, Options::default());
    let shown = text.lines().filter(|line| line.contains("all answer"));
    // A verdict and its spaces take 15; behind the name of what held stands how surely.
    let shown: Vec<&str> =
        shown.map(|line| line[15..].split("  ").next().expect("one").trim()).collect();
    let expected = [
        "all answer [shop/a, shop/c, shop/d and 1 more]",
        "all answer [shop/b]",
        "all answer [shop/g, shop/h]",
        "all answer [shop/f]",
        "all answer [shop/i]",
        "all answer",
    ];
    assert_eq!(shown, expected);
    // Figures are of one subject: b, f, i and the last, not g and h together.
    assert_eq!(text.matches("75.2s").count() + text.matches("1m 15s").count(), 4, "{text}");
    let table = markdown(&report, Options::default());
    assert_eq!(table.matches("- measured").count(), 3, "{table}");
    assert!(table.contains("| held | each of these 4 did, see the JSON for figures |"), "{table}");
    assert_eq!(table.matches("<details>").count(), 4, "{table}");
    assert!(json(&report).contains("all answer [shop/e]"));
}

#[test]
fn suites_of_one_name_are_told_apart_by_their_files() {
    let mut report = report();
    let other = ScenarioResult { file: "other.yaml".to_owned(), ..report.results[0].clone() };
    report.results.push(other);
    let read = quick_junit::Report::deserialize_from_str(&junit(&report, Options::default()));
    let suites = read.expect("our own output").test_suites;
    let names: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(names, ["loss (loss.yaml)", "loss (other.yaml)"]);
    let class = suites[1].test_cases[0].classname.as_ref().map(|it| it.as_str());
    assert_eq!(class, Some("loss (other.yaml)"));
}

#[test]
fn a_table_of_what_failed_is_left_out_where_nothing_did() {
    let mut report = report();
    report.results[0].guarantees = vec![guarantee("it", Verdict::Held)];
    let only_failed = Options { fail_only: true, ..Options::default() };
    let text = markdown(&report, only_failed);
    assert!(
        text.contains("Nothing failed: 1 guarantee held.") && !text.contains("| ---"),
        "{text}"
    );
    assert!(markdown(&report, Options::default()).contains("| ---"));
}
