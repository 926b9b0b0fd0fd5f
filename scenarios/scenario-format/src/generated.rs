//! Files of the repository that are made from this crate; `tidy` writes them and keeps them fresh.

use crate::diagnostic::{Severity, explanations};
use crate::{coverage, schema};

/// Paths relative to the folder `scenarios`, and texts.
pub fn files() -> Vec<(&'static str, String)> {
    vec![
        ("schema/scenario.json", schema::to_text(&schema::scenario())),
        ("schema/platform.json", schema::to_text(&schema::platform())),
        ("COVERAGE.md", coverage::markdown()),
        ("DIAGNOSTICS.md", diagnostics()),
    ]
}

/// Every code with its explanation, as Markdown.
fn diagnostics() -> String {
    let mut text = String::from(
        "# Diagnostics\n\n\
         Generated from `scenario-format/src/diagnostic/codes.rs`; `eidp-sim explain CODE` prints the \
         same. With an error nothing is run; a warning is surely a mistake, but can be run.\n",
    );
    for (title, severity) in [("Errors", Severity::Error), ("Warnings", Severity::Warning)] {
        text.push_str(&format!("\n## {title}\n"));
        for explanation in explanations().iter().filter(|it| it.code.severity() == severity) {
            text.push_str(&format!(
                "\n### {}: {}\n\n{}\n\n{}\n",
                explanation.code, explanation.title, explanation.why, explanation.what_to_do
            ));
        }
    }
    text
}
