//! JUnit XML: one suite a scenario, one case a guarantee.
//!
//! Violated and unwinnable are failures; vacuous, inconclusive and not modelled are skipped with
//! their reason, since nothing was shown. No time stamps: the same result gives the same bytes.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use report_data::{GuaranteeResult, Report, Verdict};

use crate::Options;
use crate::quantity::{place, spread};

/// The report as JUnit XML.
pub fn junit(report: &Report, options: Options) -> String {
    let mut document = quick_junit::Report::new(report.program.name.clone());
    for result in &report.results {
        let mut suite = TestSuite::new(result.scenario.clone());
        for guarantee in result.guarantees.iter().filter(|guarantee| options.shows(guarantee)) {
            let mut case = TestCase::new(guarantee.name.clone(), status(guarantee));
            case.set_classname(result.scenario.clone());
            suite.add_test_case(case);
        }
        document.add_test_suite(suite);
    }
    document.to_string().expect("names of guarantees are plain text")
}

fn status(guarantee: &GuaranteeResult) -> TestCaseStatus {
    let mut status = match guarantee.verdict {
        Verdict::Held => return TestCaseStatus::success(),
        Verdict::Violated | Verdict::Unwinnable => {
            TestCaseStatus::non_success(NonSuccessKind::Failure)
        }
        Verdict::Vacuous | Verdict::Inconclusive | Verdict::NotModelled => {
            TestCaseStatus::skipped()
        }
    };
    status.set_message(format!("{}: {}", guarantee.verdict.words(), guarantee.reason));
    status.set_type(guarantee.verdict.words());
    let mut lines = vec![format!("wanted {}", guarantee.text)];
    lines.extend(guarantee.position.as_ref().map(|position| format!("at {}", place(position))));
    lines.extend(spread(guarantee).map(|spread| format!("measured {spread}")));
    lines.extend(guarantee.replay.as_ref().map(|replay| format!("replay {replay}")));
    status.set_description(lines.join("\n"));
    status
}
