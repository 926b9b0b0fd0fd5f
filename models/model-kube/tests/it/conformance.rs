//! Upstream's decisions, case by case, from the shared folder beside the repository.

use std::path::PathBuf;

use model_kube::conformance::{Outcome, Tree, check};

/// Every file of cases about nodes, workloads, kubelets, endpoints and the control plane.
const FILES: [&str; 12] = [
    "nodes-crashloop",
    "nodes-deployment",
    "nodes-endpointslice",
    "nodes-etcd",
    "nodes-leader-election",
    "nodes-pdb",
    "nodes-probes",
    "nodes-replicaset",
    "nodes-shutdown-podgc",
    "nodes-statefulset",
    "nodes-taint-eviction",
    "nodes-zone-state",
];

fn tree(value: serde_json::Value) -> Tree {
    match value {
        serde_json::Value::Null => Tree::Null,
        serde_json::Value::Bool(value) => Tree::Bool(value),
        serde_json::Value::Number(value) => match value.as_i64() {
            Some(whole) => Tree::Int(whole),
            None => Tree::Float(value.as_f64().expect("a number of JSON")),
        },
        serde_json::Value::String(text) => Tree::Text(text),
        serde_json::Value::Array(items) => Tree::List(items.into_iter().map(tree).collect()),
        serde_json::Value::Object(fields) => {
            Tree::Map(fields.into_iter().map(|(name, value)| (name, tree(value))).collect())
        }
    }
}

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

fn check_file(name: &str) {
    let Some(folder) = folder() else { return };
    let text = std::fs::read_to_string(folder.join(name).with_extension("yaml"))
        .expect("a listed file is there");
    let cases: Vec<serde_json::Value> = serde_saphyr::from_str(&text).expect("cases are YAML");
    assert!(!cases.is_empty(), "{name} has cases");
    let mut failures = Vec::new();
    for case in cases {
        let case = tree(case);
        match check(&case) {
            Outcome::Passed => {}
            Outcome::Failed(differences) => {
                failures.push(format!(
                    "{}\n    {}",
                    case.at("name").text(),
                    differences.join("\n    ")
                ));
            }
            Outcome::Unknown(what) => {
                failures.push(format!("{}\n    nothing answers {what}", case.at("name").text()));
            }
        }
    }
    assert!(failures.is_empty(), "{name}: {} differ\n{}", failures.len(), failures.join("\n"));
}

macro_rules! files {
    ($($test:ident = $file:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            check_file($file);
        })*

        #[test]
        fn every_file_has_a_test() {
            assert_eq!([$($file),*], FILES);
            let Some(folder) = folder() else { return };
            let entries = std::fs::read_dir(folder).expect("the folder is readable");
            let names = entries.map(|entry| entry.expect("an entry").path());
            let mut there: Vec<String> = names
                .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
                .filter(|name| name.starts_with("nodes-"))
                .collect();
            there.sort();
            assert_eq!(there, FILES);
        }
    };
}

files! {
    crash_loops = "nodes-crashloop",
    deployments = "nodes-deployment",
    endpoint_slices = "nodes-endpointslice",
    etcd = "nodes-etcd",
    leader_election = "nodes-leader-election",
    disruption_budgets = "nodes-pdb",
    probes = "nodes-probes",
    replica_sets = "nodes-replicaset",
    shutdown_and_garbage = "nodes-shutdown-podgc",
    stateful_sets = "nodes-statefulset",
    taint_eviction = "nodes-taint-eviction",
    zone_states = "nodes-zone-state",
}
