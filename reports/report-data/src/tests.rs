use serde_json::json;

use crate::{Explanation, OutagePart, Part, Position, Quantiles, Report, Step, Unit, Verdict};

const EXAMPLE: &str = include_str!("../../examples/every-verdict.json");
const SCHEMA: &str = include_str!("../../schema/report.schema.json");

fn example() -> serde_json::Value {
    serde_json::from_str(EXAMPLE).expect("the example is JSON")
}

fn is_valid(report: &serde_json::Value) -> bool {
    let schema = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    jsonschema::draft7::is_valid(&schema, report)
}

#[test]
fn the_schema_is_one_of_draft_07() {
    let schema = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    assert!(jsonschema::draft7::meta::is_valid(&schema));
}

/// The example is of version 1 and stays as it is: whoever breaks this must raise the version.
#[test]
fn results_of_version_1_are_read() {
    let read: Report = serde_json::from_str(EXAMPLE).expect("an old result");
    assert_eq!(read.schema_version, 1);
    let written = serde_json::to_value(&read).expect("plain data");
    let mut stored = example();
    for result in stored["results"].as_array_mut().expect("a list") {
        // Lists that were left out when they were empty.
        result.as_object_mut().expect("an object").entry("warnings").or_insert_with(|| json!([]));
    }
    assert_eq!(written, stored, "nothing is lost on the way");
    assert!(is_valid(&example()));
    for verdict in Verdict::ALL {
        assert!(read.results[0].count_of(verdict) > 0, "no example of {}", verdict.words());
    }
}

#[test]
fn schema_and_reader_refuse_the_same() {
    type Break = fn(&mut serde_json::Value);
    let breaks: [(&str, Break); 6] = [
        ("an unknown key", |report| report["results"][0]["luck"] = 1.into()),
        ("a missing key", |report| {
            report["results"][0].as_object_mut().expect("an object").remove("digest");
        }),
        ("an unknown verdict", |report| {
            report["results"][0]["guarantees"][0]["verdict"] = "fine".into();
        }),
        ("a negative count", |report| report["results"][0]["runCount"] = (-1).into()),
        ("a number as text", |report| report["results"][0]["rootSeed"] = "7".into()),
        ("an unknown part", |report| {
            let parts = serde_json::json!([{"part": "nap", "lengthNs": 1}]);
            report["results"][0]["guarantees"][0]["explanation"] =
                serde_json::json!({"run": 0, "steps": [], "outageParts": parts});
        }),
    ];
    for (what, damage) in breaks {
        let mut report = example();
        damage(&mut report);
        assert!(!is_valid(&report), "the schema accepts {what}");
        assert!(serde_json::from_value::<Report>(report).is_err(), "the reader accepts {what}");
    }
}

#[test]
fn quantiles_are_values_that_were_seen() {
    let of = |values: &[i64]| {
        let values: Vec<Option<i64>> = values.iter().copied().map(Some).collect();
        Quantiles::of(&values).map(|seen| (seen.min, seen.p50, seen.p99, seen.max))
    };
    let hundred: Vec<i64> = (1..=100).rev().collect();
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[7]), Some((7, 7, 7, 7)));
    assert_eq!(of(&[4, 1]), Some((1, 1, 4, 4)));
    assert_eq!(of(&hundred), Some((1, 50, 99, 100)));
    let some = Quantiles::of(&[None, Some(-3), None]).expect("one was measured");
    assert_eq!((some.measured_count, some.max), (1, -3));
}

#[test]
fn the_costliest_step_is_the_one_that_was_waited_for() {
    let step = |at_ns, line: u32| Step {
        at_ns,
        text: format!("at {at_ns}"),
        position: (line > 0).then(|| Position { file: "f".to_owned(), line, column: 1 }),
    };
    let explanation = |steps| Explanation {
        run: 0,
        steps,
        outage_parts: vec![
            OutagePart { part: Part::Detect, length_ns: 40 },
            OutagePart { part: Part::Act, length_ns: 2 },
        ],
    };
    let line = |steps| {
        let explanation = explanation(steps);
        let step = explanation.costliest_step().cloned();
        step.and_then(|step| step.position).map(|position| position.line)
    };
    assert_eq!(line(vec![]), None);
    assert_eq!(line(vec![step(0, 0), step(90, 0)]), None, "no field is to blame");
    assert_eq!(line(vec![step(5, 1), step(300, 2), step(310, 3), step(320, 0)]), Some(2));
    assert_eq!(line(vec![step(5, 0), step(300, 0), step(310, 3)]), Some(3));
    assert_eq!(line(vec![step(5, 1), step(5, 2)]), Some(1), "the first of equals");
    assert_eq!(line(vec![step(9, 1), step(7, 2), step(10, 3)]), Some(3), "time does not run back");
    assert_eq!(explanation(vec![]).outage_ns(), Some(42));
    assert_eq!(Explanation { run: 0, steps: vec![], outage_parts: vec![] }.outage_ns(), None);
}

#[test]
fn the_worst_run_has_a_value() {
    let report: Report = serde_json::from_str(EXAMPLE).expect("an old result");
    let result = &report.results[0];
    let violated = result.guarantees.iter().find(|one| one.verdict == Verdict::Violated);
    let violated = violated.expect("one of every verdict");
    assert_eq!(violated.unit, Unit::Nanoseconds);
    let outage_ns = violated.explanation.as_ref().and_then(Explanation::outage_ns);
    assert_eq!(violated.worst_value().map(i64::cast_unsigned), outage_ns);
    assert_eq!(violated.broken_count(), 5);
    assert_eq!(report.verdict(), Verdict::Violated);
    assert_eq!(Verdict::ALL.iter().max(), Verdict::ALL.last(), "from best to worst");
}
