//! What is and is not modelled, collected from the models' own documentation.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;

use crate::repository;

/// The headings of a model's documentation, in their order.
pub const HEADINGS: [&str; 5] =
    ["Modelled", "Not modelled", "Defaults and their sources", "Invariants", "Checked against"];

/// What one source file says of its model.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ModelDoc {
    /// The text before the first heading.
    pub summary: String,
    /// Heading and text, in the order of the file.
    pub sections: Vec<(String, String)>,
    /// What is simplified, wherever in the file it is said.
    pub simplified: Vec<String>,
}

/// Reads the documentation of one source file.
pub fn read(source: &str) -> ModelDoc {
    let mut doc = ModelDoc::default();
    for line in source.lines().map_while(|line| line.strip_prefix("//!")) {
        let line = line.strip_prefix(' ').unwrap_or(line);
        if let Some(heading) = line.strip_prefix("# ") {
            doc.sections.push((heading.trim().to_owned(), String::new()));
            continue;
        }
        let text = doc.sections.last_mut().map_or(&mut doc.summary, |(_, text)| text);
        text.push_str(line);
        text.push('\n');
    }
    doc.simplified = simplifications(source);
    doc
}

/// Paragraphs of comments that begin with `Simplified:`, on one line each.
fn simplifications(source: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_inside = false;
    for line in source.lines() {
        let words = comment(line);
        match words {
            Some(words) if words.starts_with("Simplified:") => {
                found.push(words.trim_start_matches("Simplified:").trim().to_owned());
                is_inside = true;
            }
            Some(words) if is_inside && !words.is_empty() && !words.starts_with(['#', '-']) => {
                let last = found.last_mut().expect("inside means that one was begun");
                last.push(' ');
                last.push_str(words);
            }
            _ => is_inside = false,
        }
    }
    found
}

/// The words of a comment line, without a bullet.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start().strip_prefix("//")?;
    let line = line.strip_prefix(['/', '!']).unwrap_or(line).trim();
    Some(match line.strip_prefix("- ") {
        Some(bullet) if bullet.starts_with("Simplified:") => bullet,
        _ => line,
    })
}

/// Model files whose headings are not the five in their order, and model crates without any.
///
/// # Errors
/// When the repository cannot be read.
pub fn violations() -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut has_model: BTreeMap<String, bool> = BTreeMap::new();
    for (path, source) in model_sources()? {
        let doc = read(&source);
        let titles: Vec<&str> = doc.sections.iter().map(|(title, _)| title.as_str()).collect();
        let is_model = titles.iter().any(|title| HEADINGS.contains(title));
        *has_model.entry(krate(&path)).or_default() |= is_model;
        // Others may stand before them: how the model is used.
        if is_model && !titles.ends_with(&HEADINGS) {
            found.push(format!(
                "{path}: its headings are {titles:?}, which do not end with {HEADINGS:?}"
            ));
        }
        for (title, text) in &doc.sections {
            if is_model && text.trim().is_empty() {
                found.push(format!("{path}: nothing stands under {title}"));
            }
        }
    }
    for (krate, has_model) in has_model {
        if !has_model {
            found.push(format!("{krate}: no module says what is modelled and what is not"));
        }
    }
    Ok(found)
}

/// `docs/MODELS.md`.
///
/// # Errors
/// When the repository cannot be read.
pub fn manual() -> Result<String> {
    let mut page = String::from(
        "# What is modelled, and what is not\n\n\
         Collected from the sources of the models by `cargo run -p tidy -- --bless`; a test fails \
         when this page is not fresh.\n",
    );
    let mut current = String::new();
    for (path, source) in model_sources()? {
        let doc = read(&source);
        if doc.sections.is_empty() && doc.simplified.is_empty() {
            continue;
        }
        if krate(&path) != current {
            current = krate(&path);
            write!(page, "\n## {current}\n")?;
        }
        write!(page, "\n### `{path}`\n")?;
        if !doc.sections.is_empty() {
            write!(page, "\n{}\n", plain(&doc.summary))?;
        }
        for (title, text) in &doc.sections {
            write!(page, "\n**{title}.**\n\n{}\n", plain(text))?;
        }
        if !doc.simplified.is_empty() {
            write!(page, "\n**Simplified.**\n\n")?;
            for note in &doc.simplified {
                writeln!(page, "- {note}")?;
            }
        }
    }
    Ok(page)
}

/// Rustdoc text as Markdown that stands alone: intra-doc links become plain code.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.trim();
    while let Some(start) = rest.find("[`") {
        let Some(length) = rest[start..].find("`]") else { break };
        plain.push_str(&rest[..start]);
        plain.push_str(&rest[start + 1..start + length + 1]);
        rest = &rest[start + length + 2..];
        if rest.starts_with('(')
            && let Some(end) = rest.find(')')
        {
            rest = &rest[end + 1..];
        }
    }
    plain.push_str(rest);
    plain
}

/// Sources of all models but the vocabulary, which decides nothing; tests left out.
fn model_sources() -> Result<Vec<(String, String)>> {
    let mut sources = repository::rust_sources()?;
    sources.retain(|(path, _)| {
        path.starts_with("models/")
            && path.contains("/src/")
            && !path.starts_with("models/model-api/")
            && !path.ends_with("tests.rs")
    });
    Ok(sources)
}

fn krate(path: &str) -> String {
    path.split('/').nth(1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_says_what_it_leaves_out() {
        let found = violations().expect("the repository can be read");
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn a_simplification_is_read_to_the_end_of_its_paragraph() {
        let doc = read(
            "//! A model.\n//!\n//! # Modelled\n//! One thing.\n\n\
             /// Simplified: one level,\n/// not two.\n///\n/// More.\nfn f() {\n    \
             // Simplified: no jitter.\n}\n",
        );
        assert_eq!(doc.summary.trim(), "A model.");
        assert_eq!(doc.sections, [("Modelled".to_owned(), "One thing.\n".to_owned())]);
        assert_eq!(doc.simplified, ["one level, not two.", "no jitter."]);
    }

    #[test]
    fn links_between_items_become_plain_code() {
        assert_eq!(plain("see [`Pod`] and [`Node`](crate::Node)."), "see `Pod` and `Node`.");
    }
}
