//! Cases of upstream's decisions, put to the functions that decide here.
//!
//! A case is a [`Tree`]: `name`, `topic`, `given` (objects as the API prints them, an operation,
//! settings) and `expect`. [`check`] finds the operation, calls the same functions that the
//! [cluster](crate::cluster) calls, and says what differs. Reading files is the caller's.

mod control_plane;
mod deployment;
mod disruption;
mod endpoints;
mod kubelet;
mod nodes;
mod object;
mod pod_gc;
mod replica_set;
mod stateful_set;
mod taints;
mod tree;

pub use tree::Tree;

use std::collections::BTreeSet;
use std::fmt::Debug;

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was expected came out.
    Passed,
    /// Something else came out: sentences.
    Failed(Vec<String>),
    /// No decision here answers this operation.
    Unknown(String),
}

/// A case taken apart.
struct Case<'a> {
    given: &'a Tree,
    expect: &'a Tree,
    differences: Vec<String>,
    /// Expectations that were judged, so that none is passed over in silence.
    judged: BTreeSet<String>,
}

/// Expectations that say how to compare, or only repeat in words what others say.
const NOT_JUDGED: [&str; 8] = [
    "anyOrder",
    "conditionOnDeletedPods",
    "lateByAtMost",
    "message",
    "monitorPassDurationSeconds",
    "nodesTaintedInAnyOrder",
    "podStatus",
    "toleranceSeconds",
];

impl<'a> Case<'a> {
    fn operation(&self) -> &'a str {
        self.given.at("operation").text()
    }

    /// The objects of a kind.
    fn objects(&self, kind: &str) -> Vec<&'a Tree> {
        let objects = self.given.at("objects").items().iter();
        objects.filter(|object| object.at("kind").text() == kind).collect()
    }

    /// Notes a difference, if there is one. `what` begins with the name of the expectation.
    fn compare<T: PartialEq + Debug>(&mut self, what: &str, expected: T, got: T) {
        self.judge(what);
        if expected != got {
            self.differences.push(format!("{what}: expected {expected:?}, got {got:?}"));
        }
    }

    fn judge(&mut self, what: &str) {
        self.judged.extend(what.split('.').next().map(str::to_owned));
    }

    /// Expectations that nothing compared.
    fn passed_over(&self) -> Vec<String> {
        let names = self.expect.fields().iter().map(|(name, _)| name.as_str());
        names
            .filter(|name| !self.judged.contains(*name) && !NOT_JUDGED.contains(name))
            .map(|name| format!("{name}: nothing judges this expectation"))
            .collect()
    }

    /// The same, when the case expects anything of that name.
    fn compare_if_given<T: PartialEq + Debug>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Tree) -> T,
        got: T,
    ) {
        let expected = self.expect.at(name);
        if expected.is_given() {
            let expected = read(expected);
            self.compare(name, expected, got);
        }
    }
}

/// Puts a case to the model.
pub fn check(case: &Tree) -> Outcome {
    let mut case = Case {
        given: case.at("given"),
        expect: case.at("expect"),
        differences: Vec::new(),
        judged: BTreeSet::new(),
    };
    let controller = case.given.at("controller").text().to_owned();
    let known = match controller.as_str() {
        "node-lifecycle-controller" => nodes::check(&mut case),
        "taint-eviction-controller" => taints::check(&mut case),
        "disruption-controller" | "eviction-subresource" => disruption::check(&mut case),
        "deployment-controller" => deployment::check(&mut case),
        "replicaset-controller" => replica_set::check(&mut case),
        "statefulset-controller" => stateful_set::check(&mut case),
        "endpointslice-controller" | "kube-proxy" => endpoints::check(&mut case),
        "pod-garbage-collector" => pod_gc::check(&mut case),
        "kubelet" | "kubelet-prober" | "backoff" => kubelet::check(&mut case),
        "leader-election" | "etcd" => control_plane::check(&mut case),
        _ => None,
    };
    case.differences.extend(case.passed_over());
    match known {
        None => Outcome::Unknown(format!("{controller} {}", case.operation())),
        Some(()) if case.differences.is_empty() => Outcome::Passed,
        Some(()) => Outcome::Failed(case.differences),
    }
}
