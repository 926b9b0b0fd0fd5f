//! Which scenarios are meant by what was typed.

use std::path::Path;

use scenario_format::diagnostic::{Code, Diagnostic};
use scenario_format::files::{Files, RawFile, ReadError};
use scenario_format::yaml;

/// Scenarios behind the words of a command line, in their order, each once: a folder stands for
/// the scenarios in and below it, anything else for itself.
pub(crate) fn select(words: &[String], files: &impl Files) -> Result<Vec<String>, Diagnostic> {
    let mut selected: Vec<String> = Vec::new();
    for word in words {
        let found = if Path::new(word).is_dir() {
            scenarios_below(word, files)?
        } else {
            vec![word.clone()]
        };
        for scenario in found {
            if !selected.contains(&scenario) {
                selected.push(scenario);
            }
        }
    }
    Ok(selected)
}

/// Scenario files in and below a folder, sorted by path.
pub(crate) fn scenarios_below(folder: &str, files: &impl Files) -> Result<Vec<String>, Diagnostic> {
    let found = files.read(folder).map_err(|error| {
        let code = match error {
            ReadError::NoManifests => Code::E0010,
            ReadError::TooLarge(_) => Code::E0002,
            _ => Code::E0001,
        };
        Diagnostic::nowhere(code, format!("{folder} cannot be searched for scenarios: {error}"))
    })?;
    Ok(found.into_iter().filter(is_scenario).map(|file| file.name).collect())
}

/// Whether a file holds a scenario of ours. A file that cannot be read to its end counts when it
/// names one, and so does a document of ours of a kind that there is not: a broken scenario must not
/// pass for none.
fn is_scenario(file: &RawFile) -> bool {
    let text = String::from_utf8_lossy(&file.bytes);
    let (documents, _) = yaml::parse(0, &text);
    let text_of = |node: &yaml::Node, key: &str| {
        node.get(key).and_then(|node| node.text().map(str::to_owned))
    };
    let is_whole = documents.iter().any(|document| {
        text_of(document, "kind").as_deref() != Some("Platform")
            && text_of(document, "apiVersion")
                .is_some_and(|version| version.starts_with("eidp-sim/"))
    });
    is_whole || (documents.is_empty() && text.lines().any(|line| line.trim() == "kind: Scenario"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> RawFile {
        RawFile { name: "a.yaml".to_owned(), bytes: text.as_bytes().to_vec() }
    }

    #[test]
    fn a_scenario_is_known_by_its_kind() {
        assert!(is_scenario(&file("apiVersion: eidp-sim/v1\nkind: Scenario\n")));
        assert!(is_scenario(&file("{\"kind\": \"Scenario\", \"apiVersion\": \"eidp-sim/v1\"}")));
        assert!(!is_scenario(&file("apiVersion: eidp-sim/v1\nkind: Platform\n")));
        assert!(is_scenario(&file("apiVersion: eidp-sim/v1\nkind: Scenaro\n")), "misspelt");
        assert!(!is_scenario(&file("apiVersion: other/v1\nkind: Scenario\n")));
        assert!(is_scenario(&file("kind: Scenario\napiVersion: [eidp-sim/v1\n")), "broken");
        assert!(!is_scenario(&file("")));
    }
}
