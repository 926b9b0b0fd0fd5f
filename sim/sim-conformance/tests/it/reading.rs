//! What is said of case files that are wrong, and of cases that nothing answers.

use report_data::{ConformanceOutcome, Program};
use scenario_format::files::{Files, RawFile, ReadError};
use sim_conformance::{Outcome, Read, read};

/// One file that is asked for by its name.
struct OneFile(&'static str);

impl Files for OneFile {
    fn read(&self, path: &str) -> Result<Vec<RawFile>, ReadError> {
        if !self.is_file(path) {
            return Err(ReadError::Missing);
        }
        Ok(vec![RawFile { name: path.to_owned(), bytes: self.0.as_bytes().to_vec() }])
    }

    fn is_file(&self, path: &str) -> bool {
        path == "cases.yaml"
    }
}

fn read_text(text: &'static str) -> Read {
    read(&["cases.yaml".to_owned()], &OneFile(text))
}

#[test]
fn what_is_wrong_with_a_file_is_said_at_its_place() {
    let cases = [
        ("kind: Pod\n", "cases.yaml:1:1: E0011: a case file is a list of cases, found a mapping"),
        ("- name: a\n  expect: {}\n", "cases.yaml:1:3: E0013: a case needs `given`"),
        ("- 1\n", "cases.yaml:1:3: E0011: a case is a mapping, found a number"),
        (
            "- name: a\n  given: [1]\n  expect: {}\n",
            "cases.yaml:2:10: E0011: `given` of a case is a mapping, found a list",
        ),
    ];
    for (text, expected) in cases {
        let read = read_text(text);
        let said: Vec<String> =
            read.diagnostics.iter().map(|it| it.one_line(&read.sources)).collect();
        assert_eq!(said, [expected], "{text}");
        assert!(read.files.is_empty(), "{text}");
    }
    for nothing in ["[]\n", "# nothing\n"] {
        let read = read_text(nothing);
        assert_eq!((read.files.len(), read.diagnostics.as_slice()), (0, &[][..]), "{nothing}");
    }
    let missing = read(&["other.yaml".to_owned()], &OneFile(""));
    assert_eq!(missing.diagnostics.len(), 1);
    assert!(!read_text("- name: [\n").diagnostics.is_empty());
}

fn outcome(text: &'static str) -> Outcome {
    let read = read_text(text);
    assert_eq!(read.diagnostics, []);
    sim_conformance::check(&read.files[0].cases[0].node)
}

#[test]
fn a_case_passes_or_says_what_differs_and_where() {
    let quorum =
        "- name: a\n  given: {controller: etcd, operation: quorum, members: 5}\n  expect:\n    ";
    let cases = [
        ("majority: 3\n", None),
        ("majority: 4\n", Some(("majority", "4", "3", 4))),
        ("quorate: true\n", Some(("quorate", "an answer", "nothing judges this expectation", 4))),
    ];
    for (expect, difference) in cases {
        let text: &'static str = format!("{quorum}{expect}").leak();
        match (outcome(text), difference) {
            (Outcome::Passed, None) => {}
            (Outcome::Failed(found), Some((what, expected, got, line))) => {
                let [found] = found.as_slice() else { panic!("{found:?}") };
                assert_eq!(
                    (found.what.as_str(), found.expected.as_str(), found.got.as_str()),
                    (what, expected, got)
                );
                assert_eq!(found.span.expect("it has a place").at.line, line);
            }
            (other, _) => panic!("{expect}: {other:?}"),
        }
    }
}

#[test]
fn what_no_model_answers_is_not_supported() {
    let disabled = |point: &str, plugin: &str| {
        format!(
            "{{plugin: TaintToleration, nodes: [], pods: [], pod: {{metadata: {{name: a}}}}, \
             schedulerConfiguration: {{profiles: [{{plugins: {{{point}: {{disabled: [{{name: {plugin}}}]}}}}}}]}}}}"
        )
    };
    let cases = [
        ("{controller: etcd, operation: defragment}", "`defragment` of etcd"),
        ("{controller: nobody}", "`nobody` has no model"),
        ("{weather: fine}", "does not say what decides"),
        ("{plugin: DynamicResources, pod: {metadata: {name: a}}}", "`DynamicResources`"),
        (&disabled("filter", "TaintToleration"), "disabled at filter"),
        (&disabled("multiPoint", "NodeAffinity"), "NodeAffinity that is disabled at all points"),
    ];
    for (given, expected) in cases {
        let text = format!("- name: a\n  given: {given}\n  expect: {{filter: {{}}}}\n").leak();
        match outcome(text) {
            Outcome::NotSupported(reason) => assert!(reason.contains(expected), "{reason}"),
            other => panic!("{given}: {other:?}"),
        }
    }
}

/// A sample that weighs less than nothing breaks what a histogram relies on; the case after it is judged
/// all the same.
#[test]
fn a_case_that_no_model_bears_takes_no_other_with_it() {
    let case = |name: &str, weight: i32| {
        format!(
            "- name: {name}\n  given: {{computation: histogram, options: {{type: linear, maxValue: 10.0, bucketSize: 1.0, epsilon: 1.0e-15}}, samples: [{{value: 1, weight: {weight}}}]}}\n  expect: {{percentiles: [{{percentile: 0.5, value: 2}}]}}\n"
        )
    };
    let text = format!("{}{}", case("light", -1), case("heavy", 1));
    let program = Program { name: "test".to_owned(), version: "0".to_owned() };
    let report = sim_conformance::report(&read_text(text.leak()), program);
    let outcomes: Vec<_> = report.files[0].cases.iter().map(|case| case.outcome).collect();
    assert_eq!(outcomes, [ConformanceOutcome::Failed, ConformanceOutcome::Passed]);
}
