//! Upstream's decisions, case by case, from the shared folder beside the repository.

use std::collections::BTreeMap;
use std::path::PathBuf;

use scenario_format::Disk;
use sim_conformance::Outcome;

/// Every file, and how many of its cases pass. A number goes up when an area gets a model; it never
/// goes down.
const PASSED: &[(&str, usize)] = &[
    ("cluster-autoscaler", 37),
    ("default-profile-placement", 10),
    ("hpa-behavior", 20),
    ("hpa-controller", 17),
    ("hpa-replica-calculator", 26),
    ("inter-pod-affinity-filter", 14),
    ("inter-pod-affinity-score", 9),
    ("node-fit-filters", 31),
    ("nodes-crashloop", 4),
    ("nodes-deployment", 25),
    ("nodes-endpointslice", 14),
    ("nodes-etcd", 5),
    ("nodes-leader-election", 6),
    ("nodes-pdb", 18),
    ("nodes-probes", 12),
    ("nodes-replicaset", 10),
    ("nodes-shutdown-podgc", 11),
    ("nodes-statefulset", 15),
    ("nodes-taint-eviction", 9),
    ("nodes-zone-state", 11),
    ("pod-topology-spread-filter", 15),
    ("pod-topology-spread-score", 9),
    ("preemption", 9),
    ("resource-scoring", 9),
    ("taints-and-node-affinity", 16),
    ("vpa", 18),
];

/// The folder of cases; `None`, with a message, when it is not there.
#[expect(clippy::disallowed_methods, reason = "a test may ask whether it runs in CI")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance"));
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "the shared folder is missing in CI");
    eprintln!("skipped: there are no conformance cases beside the repository");
    None
}

#[test]
fn every_file_passes_as_far_as_its_models_go() {
    let Some(folder) = folder() else { return };
    let path = folder.to_str().expect("the path of the checkout is UTF-8").to_owned();
    let read = sim_conformance::read(&[path], &Disk::default());
    assert_eq!(read.diagnostics, []);
    let mut passed: BTreeMap<String, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for file in &read.files {
        let stem = std::path::Path::new(&file.name).file_stem().expect("a file has a name");
        let count = passed.entry(stem.to_string_lossy().into_owned()).or_default();
        for case in &file.cases {
            match sim_conformance::check(&case.node) {
                Outcome::Passed => *count += 1,
                Outcome::Failed(differences) => {
                    failures.push(format!("{}: {differences:#?}", case.name));
                }
                Outcome::NotSupported(_) => {}
            }
        }
    }
    assert!(failures.is_empty(), "{} cases differ\n{}", failures.len(), failures.join("\n"));
    let expected: BTreeMap<String, usize> =
        PASSED.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(passed, expected);
}
