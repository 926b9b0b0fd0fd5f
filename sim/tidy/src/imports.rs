//! Who may import whom. An edge that is not in the table fails the build.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// One crate of ours and what it may name.
struct Rule {
    krate: &'static str,
    /// Crates of ours that it may import.
    ours: &'static [&'static str],
    /// What the absences are for.
    because: &'static str,
}

const VOCABULARY: &[&str] = &["model-api", "sim-kernel"];

/// The table of ARCHITECTURE.md.
const RULES: &[Rule] = &[
    Rule {
        krate: "sim-kernel",
        ours: &[],
        because: "the kernel knows no platform; it could run any model",
    },
    Rule {
        krate: "model-api",
        ours: &["sim-kernel"],
        because: "vocabulary only, so that nobody waits for it",
    },
    Rule {
        krate: "model-kube",
        ours: VOCABULARY,
        because: "models meet in platform only: the wiring is visible in one place",
    },
    Rule {
        krate: "model-postgres",
        ours: VOCABULARY,
        because: "models meet in platform only: the wiring is visible in one place",
    },
    Rule {
        krate: "model-backup",
        ours: VOCABULARY,
        because: "models meet in platform only: the wiring is visible in one place",
    },
    Rule {
        krate: "model-storage",
        ours: VOCABULARY,
        because: "models meet in platform only: the wiring is visible in one place",
    },
    Rule {
        krate: "model-gateway",
        ours: VOCABULARY,
        because: "models meet in platform only: the wiring is visible in one place",
    },
    Rule {
        krate: "model-load",
        ours: VOCABULARY,
        because: "models meet in platform only: the wiring is visible in one place",
    },
    Rule {
        krate: "scenario-format",
        ours: &["model-api"],
        because: "a checker for editors must be small and fast; the vocabulary is data that both \
                  sides share, a model or the kernel's engine is not",
    },
    Rule {
        krate: "platform",
        ours: &[
            "model-api",
            "model-backup",
            "model-gateway",
            "model-kube",
            "model-load",
            "model-postgres",
            "model-storage",
            "sim-kernel",
        ],
        because: "a pure function from inputs to a world: no report, no thread, no file",
    },
    Rule {
        krate: "sim-check",
        ours: &["model-api", "report-data", "sim-kernel"],
        because: "the judge shares no code with the judged",
    },
    Rule {
        krate: "sim-campaign",
        ours: &["model-api", "platform", "report-data", "sim-check", "sim-kernel"],
        because: "the run loop and the only threads: it reads no input and draws no report",
    },
    Rule {
        krate: "sim-conformance",
        ours: &[
            "model-api",
            "model-kube",
            "model-postgres",
            "report-data",
            "scenario-format",
            "sim-kernel",
        ],
        because: "it puts cases to the decisions of models, and repeats recorded experiments with \
                  one model alone; no world, no verdict",
    },
    Rule {
        krate: "sim-explain",
        ours: &["model-api", "model-kube", "report-data", "scenario-format"],
        because: "it asks the decisions of models why; no world, no run, no verdict",
    },
    Rule {
        krate: "sim-timelines",
        ours: &["model-api", "model-kube", "report-data", "scenario-format", "sim-kernel"],
        because: "it runs the cluster that every run has, beside recordings: no world, no thread, \
                  no verdict",
    },
    Rule { krate: "report-data", ours: &[], because: "results outlive versions of the program" },
    Rule {
        krate: "report-diff",
        ours: &["report-data"],
        because: "two results are compared without the program that made them",
    },
    Rule {
        krate: "report-render",
        ours: &["report-data", "report-diff"],
        because: "a report can be redrawn from an old result",
    },
    Rule {
        krate: "eidp-sim",
        ours: &[
            "platform",
            "report-data",
            "report-diff",
            "report-render",
            "scenario-format",
            "sim-campaign",
            "sim-check",
            "sim-conformance",
            "sim-explain",
            "sim-timelines",
        ],
        because: "flags, streams and exit codes: no model and no kernel by the back door",
    },
    Rule {
        krate: "tidy",
        ours: &["report-data", "report-diff", "scenario-format"],
        because: "it writes schemas and lists, nothing else",
    },
    Rule {
        krate: "benches",
        ours: &[
            "model-api",
            "model-kube",
            "model-load",
            "platform",
            "scenario-format",
            "sim-campaign",
            "sim-check",
            "sim-kernel",
        ],
        because: "it measures everything below the command line",
    },
];

/// Crates of others that only some of ours may import, and why.
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("anyhow", &["eidp-sim", "tidy"], "libraries have typed errors"),
    ("axum", &["eidp-sim"], "simulated time is not a runtime's"),
    ("cel", &["sim-check", "scenario-format"], "one place evaluates expressions, one checks them"),
    ("clap", &["eidp-sim"], "flags live in the binary"),
    ("granit-parser", &["scenario-format"], "there is one YAML reader"),
    ("indicatif", &["eidp-sim"], "progress is the binary's"),
    ("k8s-openapi", &["scenario-format"], "an upgrade of Kubernetes touches one crate"),
    ("rayon", &["sim-campaign"], "threads live in one crate"),
    ("serde-saphyr", &["scenario-format"], "there is one YAML reader"),
    (
        "serde_json",
        &[
            "eidp-sim",
            "report-data",
            "report-diff",
            "report-render",
            "scenario-format",
            "sim-check",
            "tidy",
        ],
        "models know no format",
    ),
    ("tokio", &["eidp-sim"], "simulated time is not a runtime's"),
    ("tracing-subscriber", &["eidp-sim"], "who logs where is the binary's decision"),
];

/// What a crate needs for its tests and its benchmarks may reach further, but no model may know
/// another even there.
const FOR_TESTS: &[(&str, &[&str])] = &[
    ("platform", &["sim-check", "sim-campaign", "report-data"]),
    ("sim-campaign", &["scenario-format"]),
    ("sim-check", &["scenario-format"]),
    ("report-render", &["sim-check"]),
];

/// What `cargo metadata` says of the workspace.
///
/// # Errors
/// When cargo does not run.
pub fn metadata() -> Result<Metadata> {
    let manifest = crate::repository::root().join("Cargo.toml");
    Ok(MetadataCommand::new().manifest_path(manifest).no_deps().exec()?)
}

/// Every edge that the table forbids, as sentences.
pub fn violations(packages: &[&Package]) -> Vec<String> {
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let rules: BTreeMap<&str, &Rule> = RULES.iter().map(|rule| (rule.krate, rule)).collect();
    let mut found = Vec::new();
    for package in packages {
        let name = package.name.as_str();
        let Some(rule) = rules.get(name) else {
            found.push(format!("{name} has no row in the import table of sim/tidy"));
            continue;
        };
        for dependency in &package.dependencies {
            let target = dependency.name.as_str();
            let is_test = dependency.kind == DependencyKind::Development;
            if ours.contains(target) && !is_allowed(rule, target, is_test) {
                found.push(format!("{name} must not import {target}: {}", rule.because));
            }
            for (reserved, users, because) in RESERVED {
                if target == *reserved && !is_test && !users.contains(&name) {
                    found.push(format!("{name} must not import {target}: {because}"));
                }
            }
        }
    }
    found
}

fn is_allowed(rule: &Rule, target: &str, is_test: bool) -> bool {
    let for_tests = FOR_TESTS
        .iter()
        .any(|(krate, targets)| *krate == rule.krate && is_test && targets.contains(&target));
    rule.ours.contains(&target) || for_tests || (is_test && target == rule.krate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edge_is_in_the_table() {
        let metadata = metadata().expect("cargo metadata runs in a test");
        let found = violations(&metadata.workspace_packages());
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn the_table_names_only_crates_that_exist() {
        let metadata = metadata().expect("cargo metadata runs in a test");
        let packages = metadata.workspace_packages();
        let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        for rule in RULES {
            assert!(ours.contains(rule.krate), "{} is gone: remove its row", rule.krate);
            for target in rule.ours {
                assert!(ours.contains(target), "{} names {target}, which is gone", rule.krate);
            }
        }
    }

    #[test]
    fn every_edge_of_the_table_is_used() {
        let metadata = metadata().expect("cargo metadata runs in a test");
        for package in metadata.workspace_packages() {
            let name = package.name.as_str();
            let used: BTreeSet<&str> =
                package.dependencies.iter().map(|dependency| dependency.name.as_str()).collect();
            let allowed = RULES.iter().filter(|rule| rule.krate == name).flat_map(|rule| rule.ours);
            let idle: Vec<_> = allowed.filter(|target| !used.contains(**target)).collect();
            assert!(idle.is_empty(), "{name} may import {idle:?} and does not: remove the edges");
        }
    }

    #[test]
    fn a_forbidden_edge_is_found() {
        let mut metadata = metadata().expect("cargo metadata runs in a test");
        let donor = metadata
            .packages
            .iter()
            .find(|package| package.name == "platform")
            .and_then(|package| package.dependencies.iter().find(|d| d.name == "model-kube"))
            .cloned()
            .expect("platform imports model-kube");
        let kernel = metadata
            .packages
            .iter_mut()
            .find(|package| package.name == "sim-kernel")
            .expect("there is a kernel");
        kernel.dependencies.push(donor);
        let found = violations(&metadata.workspace_packages());
        assert_eq!(
            found,
            ["sim-kernel must not import model-kube: \
              the kernel knows no platform; it could run any model"]
        );
    }

    #[test]
    fn every_crate_has_the_shared_lints() {
        let metadata = metadata().expect("cargo metadata runs in a test");
        for package in metadata.workspace_packages() {
            let manifest = std::fs::read_to_string(&package.manifest_path)
                .expect("cargo has just read this manifest");
            assert!(
                manifest.contains("[lints]\nworkspace = true"),
                "{} does not use the shared lints",
                package.manifest_path
            );
            let folder = package.manifest_path.parent().and_then(|path| path.file_name());
            assert_eq!(folder, Some(package.name.as_str()), "a folder is named like its crate");
        }
    }
}
