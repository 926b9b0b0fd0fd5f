//! JUnit XML: one suite a scenario, one case a guarantee.
//!
//! Violated and unwinnable are failures; inconclusive is an error, because runs were made and do not
//! decide, which must not pass for a test that was left out, unless the caller counts it as passed
//! (skipped) or failed (a failure); vacuous and not modelled are skipped with their reason, since
//! nothing was put to the test. The output of a case that passed says how well and how surely it held;
//! what the result rests on and leaves out is the output of its suite.
//! No time stamps: the same result gives the same bytes.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use report_data::{GuaranteeResult, Report, ScenarioResult, Verdict};

use crate::quantity::{place, spread, worst};
use crate::{CountAs, Options};

/// The report as JUnit XML.
pub fn junit(report: &Report, options: Options) -> String {
    let mut document = quick_junit::Report::new(report.program.name.clone());
    for result in &report.results {
        let name = suite_name(report, result);
        let mut suite = TestSuite::new(name.clone());
        for guarantee in result.guarantees.iter().filter(|guarantee| options.shows(guarantee)) {
            let mut case =
                TestCase::new(plain(&guarantee.name), status(guarantee, options.inconclusive));
            case.set_classname(name.clone());
            if guarantee.verdict == Verdict::Held {
                let worst = worst(guarantee).map(|worst| format!("{worst}; ")).unwrap_or_default();
                case.set_system_out(plain(&format!("{worst}{}", guarantee.reason)));
            }
            suite.add_test_case(case);
        }
        let told = crate::coverage::told(result);
        if !told.is_empty() {
            let lines: Vec<String> =
                told.iter().map(|(label, what)| format!("{label}: {what}")).collect();
            suite.set_system_out(plain(&lines.join("\n")));
        }
        document.add_test_suite(suite);
    }
    document.to_string().expect("names of guarantees are plain text")
}

/// The name of a scenario, with its file where another one has the same name: who collects results
/// tells suites by their names.
fn suite_name(report: &Report, result: &ScenarioResult) -> String {
    let namesakes = report.results.iter().filter(|other| other.scenario == result.scenario);
    if namesakes.count() > 1 {
        return plain(&format!("{} ({})", result.scenario, result.file));
    }
    plain(&result.scenario)
}

fn status(guarantee: &GuaranteeResult, inconclusive: Option<CountAs>) -> TestCaseStatus {
    let mut status = match guarantee.verdict {
        Verdict::Held => return TestCaseStatus::success(),
        Verdict::Violated | Verdict::Unwinnable => {
            TestCaseStatus::non_success(NonSuccessKind::Failure)
        }
        Verdict::Inconclusive => match inconclusive {
            None => TestCaseStatus::non_success(NonSuccessKind::Error),
            Some(CountAs::Pass) => TestCaseStatus::skipped(),
            Some(CountAs::Fail) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        },
        Verdict::Vacuous | Verdict::NotModelled => TestCaseStatus::skipped(),
    };
    status.set_message(plain(&format!("{}: {}", guarantee.verdict.words(), guarantee.reason)));
    status.set_type(guarantee.verdict.words());
    let mut lines = vec![format!("wanted {}", guarantee.text)];
    lines.extend(guarantee.position.as_ref().map(|position| format!("at {}", place(position))));
    lines.extend(spread(guarantee).map(|spread| format!("measured {spread}")));
    lines.extend(guarantee.replay.as_ref().map(|replay| format!("replay {replay}")));
    status.set_description(plain(&lines.join("\n")));
    status
}

/// Text without what XML 1.0 has no way to write (section 2.2, Char): control characters, surrogates
/// and the two non-characters at the end of the first plane.
fn plain(text: &str) -> String {
    let is_char = |letter: &char| matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|letter| if is_char(&letter) { letter } else { '\u{fffd}' }).collect()
}
