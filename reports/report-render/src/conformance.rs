//! Conformance results: failing cases one by one, then a table by file.

use report_data::{ConformanceCase, ConformanceDifference, ConformanceOutcome, ConformanceReport};

use crate::Options;
use crate::quantity::place;

/// The results as text.
pub fn conformance_human(report: &ConformanceReport, options: Options) -> String {
    let mut text = String::new();
    for case in report.files.iter().flat_map(|file| &file.cases) {
        range_lines(&mut text, case, options);
        case_lines(&mut text, case, options);
    }
    if let Some(rule) = &report.rule {
        text.push_str(&format!("\nrule: {rule}\n"));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let mut rows = vec![["file", "passed", "failed", "not supported"].map(str::to_owned)];
    let row = |name: &str, counts: [u64; 3]| {
        let [passed, failed, not_supported] = counts.map(|count| count.to_string());
        [name.to_owned(), passed, failed, not_supported]
    };
    for file in &report.files {
        let counts = [file.passed_count, file.failed_count, file.not_supported_count];
        rows.push(row(&file.file, counts));
    }
    if report.files.len() > 1 {
        rows.push(row("all", report.counts()));
    }
    let widths = [0, 1, 2, 3]
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    for [name, passed, failed, not_supported] in &rows {
        let [name_width, passed_width, failed_width, other_width] = widths;
        text.push_str(&format!(
            "{name:<name_width$}  {passed:>passed_width$}  {failed:>failed_width$}  \
             {not_supported:>other_width$}\n"
        ));
    }
    text
}

/// A table of the measured figures of a case, each beside the range of the simulated ones.
fn range_lines(text: &mut String, case: &ConformanceCase, options: Options) {
    if case.ranges.is_empty() {
        return;
    }
    text.push_str(&format!("{} {}\n", case.name, case.source));
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |it| it.to_string());
    let mut rows =
        vec![["", "measured", "least", "median", "most", "width", ""].map(str::to_owned)];
    rows.extend(case.ranges.iter().map(|range| {
        [
            range.figure.clone(),
            range.measured.to_string(),
            number(range.least),
            number(range.median),
            number(range.most),
            number(range.width),
            if range.is_inside { String::new() } else { "outside".to_owned() },
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4, 5].map(width);
    for row in &rows {
        let [figure, numbers @ .., verdict] = row;
        let mut line = format!("  {figure:<0$}", widths[0]);
        for (number, width) in numbers.iter().zip(&widths[1..]) {
            line.push_str(&format!("  {number:>width$}"));
        }
        if !verdict.is_empty() {
            let red = if options.has_color { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
            line.push_str(&format!("  {}{verdict}{}", red.0, red.1));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// A line for a case that failed, at its first difference, or that is not supported.
fn case_lines(text: &mut String, case: &ConformanceCase, options: Options) {
    let word = |word: &str, color: &str| {
        if options.has_color {
            format!("\u{1b}[1;{color}m{word}\u{1b}[0m")
        } else {
            word.to_owned()
        }
    };
    let source = if case.source.is_empty() { String::new() } else { format!(" ({})", case.source) };
    match case.outcome {
        ConformanceOutcome::Passed => {}
        ConformanceOutcome::NotSupported => text.push_str(&format!(
            "{} {}: {}: {}{source}\n",
            word("not supported", "33"),
            place(&case.position),
            case.name,
            case.reason.as_deref().unwrap_or("no model answers it"),
        )),
        ConformanceOutcome::Failed => {
            let differences: Vec<String> = case.differences.iter().map(difference).collect();
            let position = case.differences.first().map_or(&case.position, |it| &it.position);
            text.push_str(&format!(
                "{} {}: {}: {}{source}\n",
                word("failed", "31"),
                place(position),
                case.name,
                differences.join("; "),
            ));
        }
    }
}

fn difference(difference: &ConformanceDifference) -> String {
    let ConformanceDifference { expectation, expected, got, .. } = difference;
    format!("{expectation}: expected {expected}, got {got}")
}

/// The results as indented JSON with a final line end.
pub fn conformance_json(report: &ConformanceReport) -> String {
    let mut text =
        serde_json::to_string_pretty(report).expect("plain data without maps always serializes");
    text.push('\n');
    text
}
