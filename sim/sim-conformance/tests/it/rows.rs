//! Rows of cases, written as given and expected in one line each.

use scenario_format::files::{Files, RawFile, ReadError};
use sim_conformance::Outcome;

struct OneFile(String);

impl Files for OneFile {
    fn read(&self, path: &str) -> Result<Vec<RawFile>, ReadError> {
        Ok(vec![RawFile { name: path.to_owned(), bytes: self.0.as_bytes().to_vec() }])
    }

    fn is_file(&self, _path: &str) -> bool {
        true
    }
}

/// Each row: what is given and what is expected, as flow mappings.
pub(crate) fn check(rows: &[(&str, &str)]) {
    let cases = rows.iter().enumerate().map(|(idx, (given, expect))| {
        format!("- name: row-{idx}\n  given: {given}\n  expect: {expect}\n")
    });
    let read = sim_conformance::read(&["rows.yaml".to_owned()], &OneFile(cases.collect()));
    assert_eq!(read.diagnostics, []);
    assert_eq!(read.files[0].cases.len(), rows.len());
    for (case, (given, _)) in read.files[0].cases.iter().zip(rows) {
        assert_eq!(sim_conformance::check(&case.node), Outcome::Passed, "{given}");
    }
}
