//! A case: what is given, what is expected, and what the model says instead.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use scenario_format::{Diagnostic, Span};

use crate::tree::Tree;

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was expected came out.
    Passed,
    /// Something else came out.
    Failed(Vec<Difference>),
    /// No model answers: why.
    NotSupported(String),
}

/// One expectation that did not come out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which expectation, as a path of names.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What came out.
    pub got: String,
    /// Where the expectation is written.
    pub span: Option<Span>,
}

/// What an adapter says of a case: its differences are noted in the case; an error says why no
/// model answers.
pub(crate) type Judged = Result<(), String>;

/// A case on its way through an adapter.
pub(crate) struct Case<'a> {
    /// What is given.
    pub(crate) given: Tree<'a>,
    /// What is expected.
    pub(crate) expect: Tree<'a>,
    differences: Vec<Difference>,
    /// Expectations that were judged, so that none is passed over in silence.
    judged: BTreeSet<String>,
    /// What is wrong with objects of the case: said when it fails, because it may be why.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(case: Tree<'a>) -> Self {
        Self {
            given: case.at("given"),
            expect: case.at("expect"),
            differences: Vec::new(),
            judged: BTreeSet::new(),
            diagnostics: Vec::new(),
        }
    }

    /// What the case drives, in areas that name it.
    pub(crate) fn operation(&self) -> &'a str {
        self.given.at("operation").text()
    }

    /// The objects of a kind.
    pub(crate) fn objects(&self, kind: &str) -> Vec<Tree<'a>> {
        let objects = self.given.at("objects").items();
        objects.filter(|object| object.at("kind").text() == kind).collect()
    }

    /// Notes a difference, if there is one. `what` is the path of the expectation.
    pub(crate) fn compare<T: PartialEq + Debug>(&mut self, what: &str, expected: T, got: T) {
        self.judge(what);
        if expected != got {
            self.differ(what, format!("{expected:?}"), format!("{got:?}"));
        }
    }

    /// The same for values by name: only names that differ are said.
    pub(crate) fn compare_maps<T: PartialEq + Debug>(
        &mut self,
        what: &str,
        expected: &BTreeMap<String, T>,
        got: &BTreeMap<String, T>,
    ) {
        self.judge(what);
        let shown = |value: Option<&T>| {
            value.map_or_else(|| "nothing".to_owned(), |value| format!("{value:?}"))
        };
        let names: BTreeSet<&String> = expected.keys().chain(got.keys()).collect();
        for name in names {
            let (one, other) = (expected.get(name), got.get(name));
            if one != other {
                let span = self.expect.at(what).field(name).span();
                self.differ_at(format!("{what}.{name}"), shown(one), shown(other), span);
            }
        }
    }

    /// Notes a difference.
    pub(crate) fn differ(&mut self, what: &str, expected: String, got: String) {
        self.differ_at(what.to_owned(), expected, got, None);
    }

    fn differ_at(&mut self, what: String, expected: String, got: String, span: Option<Span>) {
        let span = span.or_else(|| self.expect.at(&what).span());
        let first = what.split('.').next().unwrap_or_default();
        let span = span.or_else(|| self.expect.field(first).span());
        self.differences.push(Difference { what, expected, got, span });
    }

    /// Marks an expectation as judged, by whoever compares it.
    pub(crate) fn judge(&mut self, what: &str) {
        self.judged.extend(what.split('.').next().map(str::to_owned));
    }

    /// Compares, when the case expects anything of that name.
    pub(crate) fn compare_if_given<T: PartialEq + Debug>(
        &mut self,
        name: &str,
        read: impl FnOnce(Tree<'a>) -> T,
        got: T,
    ) {
        let expected = self.expect.at(name);
        if expected.is_given() {
            let expected = read(expected);
            self.compare(name, expected, got);
        }
    }

    /// What became of it, when `silent` are the expectations that only say how to compare.
    pub(crate) fn outcome(mut self, judged: Judged, silent: &[&str]) -> Outcome {
        if let Err(reason) = judged {
            return Outcome::NotSupported(reason);
        }
        for (name, expected) in self.expect.fields() {
            let is_judged = self.judged.contains(name) || silent.contains(&name);
            if expected.is_given() && !is_judged {
                self.differences.push(Difference {
                    what: name.to_owned(),
                    expected: "an answer".to_owned(),
                    got: "nothing judges this expectation".to_owned(),
                    span: expected.span(),
                });
            }
        }
        if self.differences.is_empty() {
            return Outcome::Passed;
        }
        self.differences.extend(self.diagnostics.into_iter().map(|diagnostic| Difference {
            what: "given".to_owned(),
            expected: "objects that can be read whole".to_owned(),
            got: diagnostic.message,
            span: diagnostic.span,
        }));
        Outcome::Failed(self.differences)
    }
}
