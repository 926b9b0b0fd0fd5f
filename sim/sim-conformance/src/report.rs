//! From outcomes to plain data.

use std::panic;

use model_api::SourceRef;
use report_data::{
    ConformanceCase, ConformanceDifference, ConformanceFile, ConformanceOutcome, ConformanceReport,
    Position, Program, SCHEMA_VERSION,
};
use scenario_format::Sources;

use crate::case::{Difference, Outcome};
use crate::file::{CaseNode, Read};

/// Puts every case to the models.
pub fn report(read: &Read, program: Program) -> ConformanceReport {
    let files = read.files.iter().map(|file| {
        let cases: Vec<_> = file.cases.iter().map(|case| judged(case, &read.sources)).collect();
        let count = |outcome| cases.iter().filter(|case| case.outcome == outcome).count() as u64;
        ConformanceFile {
            file: file.name.clone(),
            passed_count: count(ConformanceOutcome::Passed),
            failed_count: count(ConformanceOutcome::Failed),
            not_supported_count: count(ConformanceOutcome::NotSupported),
            cases,
        }
    });
    ConformanceReport {
        schema_version: SCHEMA_VERSION,
        program,
        rule: None,
        files: files.collect(),
    }
}

fn judged(case: &CaseNode, sources: &Sources) -> ConformanceCase {
    let mut judged = ConformanceCase {
        name: case.name.clone(),
        source: case.source.clone(),
        position: position(case.at(), sources),
        outcome: ConformanceOutcome::Passed,
        reason: None,
        differences: Vec::new(),
        ranges: Vec::new(),
    };
    // A case that a model cannot bear fails, and takes no other with it.
    let outcome = panic::catch_unwind(|| crate::check(&case.node));
    match outcome.unwrap_or_else(|_| Outcome::Failed(vec![panicked()])) {
        Outcome::Passed => {}
        Outcome::NotSupported(reason) => {
            judged.outcome = ConformanceOutcome::NotSupported;
            judged.reason = Some(reason);
        }
        Outcome::Failed(differences) => {
            judged.outcome = ConformanceOutcome::Failed;
            let differences = differences.into_iter().map(|difference| ConformanceDifference {
                expectation: difference.what,
                expected: difference.expected,
                got: difference.got,
                position: position(difference.span.map_or(case.at(), |span| span.at), sources),
            });
            judged.differences = differences.collect();
        }
    }
    judged
}

fn panicked() -> Difference {
    Difference {
        what: "a decision".to_owned(),
        expected: "of some kind".to_owned(),
        got: "none: the model panicked, which is a fault of this program".to_owned(),
        span: None,
    }
}

fn position(at: SourceRef, sources: &Sources) -> Position {
    let file = sources.get(at.file_idx).map_or_else(String::new, |source| source.name.clone());
    Position { file, line: at.line, column: at.column }
}
