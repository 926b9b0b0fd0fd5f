//! Recorded timelines: figures that are not covered one by one, then a table by trace.

use report_data::{TimelineFigure, TimelineReport, TimelineTrace, TimelineUnit};

use crate::Options;

/// The results as text.
pub fn timelines_human(report: &TimelineReport, options: Options) -> String {
    let mut text = String::new();
    for trace in &report.traces {
        for figure in trace.figures.iter().filter(|figure| !figure.is_covered) {
            let word = if figure.is_simulated() { "not covered" } else { "not simulated" };
            let word = if options.has_color {
                format!("\u{1b}[1;31m{word}\u{1b}[0m")
            } else {
                word.to_owned()
            };
            text.push_str(&format!("{word} {}: {}\n", trace.name, sentence(figure)));
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(report.traces.iter().map(row));
    if report.traces.len() > 1 {
        let [figures, covered] = report.counts();
        let runs = String::new();
        rows.push([
            "all".to_owned(),
            runs,
            figures.to_string(),
            covered.to_string(),
            percent(covered, figures),
            String::new(),
            String::new(),
        ]);
    }
    table(&mut text, &rows);
    text
}

const HEAD: [&str; 7] =
    ["trace", "runs", "figures", "covered", "%", "width of times: median", "widest"];

fn row(trace: &TimelineTrace) -> [String; 7] {
    let widths = trace.widths_seconds();
    let shown =
        |width: Option<&f64>| width.map_or_else(|| "-".to_owned(), |it| format!("{it:.1}s"));
    [
        trace.name.clone(),
        trace.run_count.to_string(),
        trace.figure_count.to_string(),
        trace.covered_count.to_string(),
        percent(trace.covered_count, trace.figure_count),
        shown(widths.get(widths.len() / 2)),
        shown(widths.last()),
    ]
}

fn percent(part: u64, whole: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "figures are few")]
    let share = part as f64 * 100.0 / whole.max(1) as f64;
    // Never rounded up to all.
    format!("{:.1}", (share * 10.0).floor() / 10.0)
}

fn table(text: &mut String, rows: &[[String; 7]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = width(column).unwrap_or(0);
            match column {
                0 => text.push_str(&format!("{cell:<width$}")),
                _ => text.push_str(&format!("  {cell:>width$}")),
            }
        }
        text.push('\n');
    }
}

/// One figure in words.
fn sentence(figure: &TimelineFigure) -> String {
    let value = |value: f64| match figure.unit {
        TimelineUnit::Seconds => format!("{value:.2}s"),
        TimelineUnit::Milliseconds => format!("{value:.0}ms"),
        TimelineUnit::Count => format!("{value}"),
        TimelineUnit::Mean => format!("{value:.3}"),
        TimelineUnit::PerSecond => format!("{value:.2}/s"),
    };
    let at = figure.at_seconds.map_or_else(String::new, |at| format!(" at {at:.2}s"));
    let recorded = figure.recorded.map_or_else(|| "it never happened".to_owned(), value);
    let simulated = match (figure.least, figure.most) {
        (Some(least), Some(most)) if least == most => value(least),
        (Some(least), Some(most)) => format!("{} to {}", value(least), value(most)),
        _ => "nothing".to_owned(),
    };
    format!("{}{at}: recorded {recorded}, simulated {simulated}", figure.name)
}

/// The results as indented JSON with a final line end.
pub fn timelines_json(report: &TimelineReport) -> String {
    let mut text =
        serde_json::to_string_pretty(report).expect("plain data without maps always serializes");
    text.push('\n');
    text
}
