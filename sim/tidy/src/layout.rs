//! What lies where, and what may not be written anywhere.

use anyhow::Result;

use crate::repository;

/// Everything that may lie at the top.
const TOP: &[&str] = &[
    ".ci",
    ".config",
    ".gitignore",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "STYLE.md",
    "benches",
    "clippy.toml",
    "deny.toml",
    "docs",
    "models",
    "reports",
    "rustfmt.toml",
    "scenarios",
    "sim",
];

/// Longest Rust file, in lines: beyond it a file has more than one noun.
const FILE_LINES_MAX: usize = 900;

/// Files that may be longer, and why.
const LONG_FILES: &[(&str, &str)] = &[(
    "models/model-api/src/observation.rs",
    "one enum, a variant for each fact; families of facts have files of their own already",
)];

/// Names that own nothing.
const EMPTY_NOUNS: &[&str] =
    &["common", "helper", "helpers", "manager", "misc", "mod", "util", "utils"];

/// Files outside the layout.
///
/// # Errors
/// When the repository cannot be read.
pub fn strays() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for path in repository::files()? {
        let top = path.split('/').next().unwrap_or(&path);
        if !TOP.contains(&top) {
            found.push(format!("{path}: nothing else lies at the top than {}", TOP.join(", ")));
        }
        if path.ends_with(".snap.new") || path.ends_with(".orig") || path.ends_with(".rej") {
            found.push(format!("{path}: left over"));
        }
    }
    Ok(found)
}

/// Rust files that are too long, or whose name owns nothing.
///
/// # Errors
/// When the repository cannot be read.
pub fn unruly_sources() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (path, text) in repository::rust_sources()? {
        let lines = text.lines().count();
        let is_excused = LONG_FILES.iter().any(|(excused, _)| *excused == path);
        if lines > FILE_LINES_MAX && !is_excused {
            found.push(format!(
                "{path} has {lines} lines, more than {FILE_LINES_MAX}: split it by nouns, or give \
                 a reason in sim/tidy/src/layout.rs"
            ));
        }
        if lines <= FILE_LINES_MAX && is_excused {
            found.push(format!("{path} is short now: remove its excuse"));
        }
        let stem = path.rsplit('/').next().unwrap_or(&path).trim_end_matches(".rs");
        if EMPTY_NOUNS.contains(&stem) {
            found.push(format!("{path}: a module is named after the noun it owns"));
        }
    }
    Ok(found)
}

/// Text that names one machine, and tests that nobody runs.
///
/// # Errors
/// When the repository cannot be read.
pub fn unwanted_words() -> Result<Vec<String>> {
    // Put together here so that this file does not find itself.
    let places = ["work", "root", "home", "tmp/brief"].map(|name| format!("/{name}/"));
    let ignored = format!("#[{}", "ignore");
    let mut found = Vec::new();
    for path in repository::files()? {
        let Some(text) = repository::text(&path)? else { continue };
        for (idx, line) in text.lines().enumerate() {
            for place in &places {
                if names_place(line, place) {
                    found.push(format!("{path}:{}: names a path of one machine", idx + 1));
                }
            }
            if path.ends_with(".rs") && line.contains(&ignored) {
                found.push(format!("{path}:{}: a test that nobody runs", idx + 1));
            }
        }
    }
    Ok(found)
}

/// Whether `line` has `place` as an absolute path, not as the middle of another one.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "._-/}$*".contains(letter))
    })
}

/// Shipped scenarios that no test runs.
///
/// # Errors
/// When the repository cannot be read.
pub fn scenarios_without_test() -> Result<Vec<String>> {
    let tests = repository::text("sim/eidp-sim/tests/it/library.rs")?.unwrap_or_default();
    let mut found = Vec::new();
    for path in repository::files()? {
        if !path.starts_with("scenarios/library/") || !path.ends_with(".yaml") {
            continue;
        }
        let text = repository::text(&path)?.unwrap_or_default();
        let is_scenario = text.lines().any(|line| line.trim_end() == "kind: Scenario");
        let name = path.trim_start_matches("scenarios/library/").trim_end_matches(".yaml");
        if is_scenario && !tests.contains(&format!("\"{name}\"")) {
            found.push(format!(
                "{path}: no test runs it; add a row to sim/eidp-sim/tests/it/library.rs"
            ));
        }
        let first = text.lines().next().unwrap_or_default();
        if is_scenario && !first.starts_with("# yaml-language-server: $schema=") {
            found.push(format!("{path}: its first line tells editors no schema"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: Result<Vec<String>>) {
        let found = found.expect("the repository can be read");
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn the_top_level_is_as_agreed() {
        check(strays());
    }

    #[test]
    fn sources_have_one_noun_each() {
        check(unruly_sources());
    }

    #[test]
    fn no_machine_is_named_and_no_test_is_switched_off() {
        check(unwanted_words());
    }

    #[test]
    fn every_shipped_scenario_is_a_test() {
        check(scenarios_without_test());
    }

    #[test]
    fn a_path_is_told_from_the_middle_of_one() {
        let place = format!("/{}/", "work");
        assert!(names_place(&format!("see {place}notes"), &place));
        assert!(!names_place(&format!("https://host.example{place}notes"), &place));
    }
}
