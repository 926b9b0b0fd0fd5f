//! Files that are written by a program: one list, so that none is forgotten.

use anyhow::{Context, Result};
use scenario_format::{generated, schema};

use crate::{models, repository};

/// Every generated file: path from the root, and what must stand in it.
///
/// # Errors
/// When the repository cannot be read.
pub fn all() -> Result<Vec<(String, String)>> {
    let mut files = vec![
        ("docs/MODELS.md".to_owned(), models::manual()?),
        (
            "reports/schema/report.schema.json".to_owned(),
            schema::to_text(report_data::schema().as_value()),
        ),
        (
            "reports/schema/diff.schema.json".to_owned(),
            schema::to_text(report_diff::schema().as_value()),
        ),
        (
            "reports/schema/conformance.schema.json".to_owned(),
            schema::to_text(report_data::conformance_schema().as_value()),
        ),
        (
            "reports/schema/decision.schema.json".to_owned(),
            schema::to_text(report_data::decision_schema().as_value()),
        ),
        (
            "reports/schema/black-start.schema.json".to_owned(),
            schema::to_text(report_data::black_start_schema().as_value()),
        ),
        (
            "reports/schema/load-map.schema.json".to_owned(),
            schema::to_text(report_data::load_map_schema().as_value()),
        ),
        (
            "reports/schema/timelines.schema.json".to_owned(),
            schema::to_text(report_data::timelines_schema().as_value()),
        ),
    ];
    let of_scenarios = generated::files().into_iter();
    files.extend(of_scenarios.map(|(path, text)| (format!("scenarios/{path}"), text)));
    Ok(files)
}

/// Writes those that are not fresh and returns their paths.
///
/// # Errors
/// When one cannot be written.
pub fn bless() -> Result<Vec<String>> {
    let mut written = Vec::new();
    for (path, wanted) in all()? {
        let target = repository::root().join(&path);
        if std::fs::read_to_string(&target).is_ok_and(|found| found == wanted) {
            continue;
        }
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("failed to make {path}"))?;
        }
        std::fs::write(&target, wanted).with_context(|| format!("failed to write {path}"))?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_are_fresh() {
        for (path, wanted) in all().expect("the repository can be read") {
            let found = std::fs::read_to_string(repository::root().join(&path)).unwrap_or_default();
            assert!(
                found == wanted,
                "{path} is not fresh: run `cargo run -p tidy -- --bless` and commit it"
            );
        }
    }
}
