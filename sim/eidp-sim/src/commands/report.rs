//! `report`: a stored result, drawn anew.

use std::io::Read as _;

use anyhow::{Context as _, bail};
use report_data::{Report, SCHEMA_VERSION};

use super::run;
use crate::exit::Exit;
use crate::flags::{Form, Redraw};
use crate::streams::{Streams, check_outputs};

/// Ends as the `run` that made the result did.
pub(crate) fn run(flags: &Redraw, streams: Streams) -> anyhow::Result<Exit> {
    check_outputs(&flags.output, &[Form::Human, Form::Json, Form::Junit, Form::Markdown])
        .map_err(anyhow::Error::msg)?;
    let report =
        parse(&text(&flags.result)?).with_context(|| format!("{} is no result", flags.result))?;
    for output in &flags.output {
        let drawn = run::draw(&report, output, flags.fail_only, flags.inconclusive, streams);
        streams.report(output, &drawn)?;
    }
    Ok(run::exit(&report, flags.inconclusive))
}

fn text(path: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = match path {
        "-" => std::io::stdin().read_to_string(&mut text).map(|_| text),
        _ => std::fs::read_to_string(path),
    };
    read.with_context(|| format!("failed to read {path}"))
}

fn parse(text: &str) -> anyhow::Result<Report> {
    // Before the rest: another version may have any shape.
    let any: serde_json::Value = serde_json::from_str(text)?;
    let version = any["schemaVersion"].as_u64().context("it has no `schemaVersion`")?;
    let known = u64::from(SCHEMA_VERSION);
    if version > known {
        bail!(
            "it has format {version}, and this program knows {SCHEMA_VERSION}: a newer eidp-sim reads it"
        );
    }
    if version < known {
        bail!("it has format {version}, and this program knows {SCHEMA_VERSION}");
    }
    serde_json::from_str(text).context("it is not what `run -o json` writes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../../reports/examples/every-verdict.json");

    #[test]
    fn a_stored_result_is_read_whole() {
        let report = parse(EXAMPLE).expect("this is a result");
        let redrawn: serde_json::Value =
            serde_json::from_str(&report_render::json(&report)).expect("JSON");
        let mut stored: serde_json::Value = serde_json::from_str(EXAMPLE).expect("JSON");
        for result in stored["results"].as_array_mut().expect("a list") {
            // A list that was left out when it was empty.
            result["warnings"] = serde_json::json!([]);
        }
        assert_eq!(redrawn, stored);
    }

    #[test]
    fn what_is_no_result_says_why() {
        let version = format!("\"schemaVersion\": {SCHEMA_VERSION}");
        assert!(EXAMPLE.contains(&version));
        let with = |other: &str| EXAMPLE.replacen(&version, other, 1);
        let cases = [
            (
                with("\"schemaVersion\": 999"),
                "it has format 999, and this program knows 1: a newer",
            ),
            (with("\"schemaVersion\": 0"), "it has format 0, and this program knows 1"),
            (with("\"version\": 1"), "it has no `schemaVersion`"),
            (format!("{{{version}}}"), "it is not what `run -o json` writes: missing field"),
            ("apiVersion: v1".to_owned(), "expected value at line 1"),
            (String::new(), "EOF while parsing"),
        ];
        for (text, expected) in cases {
            let error = parse(&text).expect_err(expected);
            assert!(format!("{error:#}").starts_with(expected), "{error:#}");
        }
    }
}
