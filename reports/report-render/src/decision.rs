//! Explained decisions: the answer first, then how it came about, then the tables.

use std::fmt::Write as _;

use report_data::{Datum, DecisionReport, DecisionStep, DecisionTable};

use crate::Options;
use crate::quantity::place;

/// Narrowest last column of a table; below it a terminal wraps as it likes.
const LAST_COLUMN_MIN: usize = 16;

/// The explanation as text for a terminal of that width.
pub fn decision_human(report: &DecisionReport, options: Options, width: usize) -> String {
    let bold = |text: &str| {
        if options.has_color { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    };
    let mut text = String::new();
    let title = format!("{} {}", report.decision.name(), report.subject);
    line(&mut text, &bold(&title));
    wrap(&mut text, "  ", &report.answer, width);
    if !report.steps.is_empty() {
        text.push('\n');
        let names = report.steps.iter().map(|step| step.what.chars().count());
        let name_width = names.max().unwrap_or(0).min(24);
        for step in &report.steps {
            step_lines(&mut text, step, name_width, width);
        }
    }
    for table in report.tables.iter().filter(|table| !table.rows.is_empty()) {
        text.push('\n');
        line(&mut text, &bold(&table.title));
        table_lines(&mut text, table, width);
    }
    if !report.notes.is_empty() {
        text.push('\n');
        for note in &report.notes {
            wrap(&mut text, "note: ", note, width);
        }
    }
    text
}

/// The explanation as indented JSON with a final line end.
pub fn decision_json(report: &DecisionReport) -> String {
    let mut text =
        serde_json::to_string_pretty(report).expect("maps with text as keys always serialize");
    text.push('\n');
    text
}

fn line(text: &mut String, content: &str) {
    text.push_str(content.trim_end());
    text.push('\n');
}

/// Words behind a lead; lines after the first stand under the first word.
fn wrap(text: &mut String, lead: &str, words: &str, width: usize) {
    let indent = " ".repeat(lead.chars().count());
    let room = width.saturating_sub(indent.len()).max(LAST_COLUMN_MIN);
    for (idx, piece) in pieces(words, room).into_iter().enumerate() {
        line(text, &format!("{}{piece}", if idx == 0 { lead } else { &indent }));
    }
}

/// Words in lines that fit, if the words do.
fn pieces(words: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let last = lines.last_mut().expect("there is a first line");
        let is_full = last.chars().count() + 1 + word.chars().count() > room;
        if last.is_empty() {
            last.push_str(word);
        } else if is_full {
            lines.push(word.to_owned());
        } else {
            last.push(' ');
            last.push_str(word);
        }
    }
    lines
}

fn step_lines(text: &mut String, step: &DecisionStep, name_width: usize, width: usize) {
    let what = &step.what;
    if what.chars().count() > name_width {
        line(text, &format!("  {what}"));
        wrap(text, &format!("  {:name_width$}  ", ""), &step.result, width);
    } else {
        wrap(text, &format!("  {what:name_width$}  "), &step.result, width);
    }
    let Some(position) = &step.position else { return };
    let field = step.field.as_deref().unwrap_or_default();
    line(text, &format!("  {:name_width$}  {} {field}", "", place(position)));
}

fn shown(datum: Option<&Datum>) -> String {
    match datum {
        None => String::new(),
        Some(Datum::Truth(truth)) => if *truth { "yes" } else { "no" }.to_owned(),
        Some(Datum::Number(number)) => number.to_string(),
        Some(Datum::Text(text)) => text.clone(),
        Some(Datum::Score(score)) if score.raw == score.normalized => score.raw.to_string(),
        Some(Datum::Score(score)) => format!("{}: {}", score.raw, score.normalized),
    }
}

fn is_figure(datum: Option<&Datum>) -> bool {
    matches!(datum, None | Some(Datum::Number(_) | Datum::Score(_)))
}

fn table_lines(text: &mut String, table: &DecisionTable, width: usize) {
    let mut widths = Vec::new();
    let mut is_right = Vec::new();
    for column in &table.columns {
        let cells = || table.rows.iter().map(|row| row.get(&column.name));
        let longest = cells().map(|cell| shown(cell).chars().count()).max().unwrap_or(0);
        widths.push(longest.max(column.title.chars().count()));
        is_right.push(cells().all(is_figure));
    }
    let last = table.columns.len().saturating_sub(1);
    let before: usize = widths[..last].iter().map(|width| width + 2).sum();
    let room = width.saturating_sub(before + 2).max(LAST_COLUMN_MIN);
    let mut row = |cells: Vec<String>| {
        let mut lead = "  ".to_owned();
        for (idx, cell) in cells[..last].iter().enumerate() {
            let width = widths[idx];
            let _ = match is_right[idx] {
                true => write!(lead, "{cell:>width$}  "),
                false => write!(lead, "{cell:<width$}  "),
            };
        }
        let own = cells.get(last).map_or("", String::as_str);
        if is_right.get(last) == Some(&true) {
            line(text, &format!("{lead}{own:>width$}", width = widths[last]));
        } else {
            wrap(text, &lead, own, lead.chars().count() + room);
        }
    };
    row(table.columns.iter().map(|column| column.title.clone()).collect());
    for cells in &table.rows {
        row(table.columns.iter().map(|column| shown(cells.get(&column.name))).collect());
    }
}

#[cfg(test)]
mod tests {
    use report_data::{DecisionColumn, DecisionKind, PluginScore, Position, Program};

    use super::*;

    fn report() -> DecisionReport {
        let column = |name: &str, title: &str| DecisionColumn {
            name: name.to_owned(),
            title: title.to_owned(),
        };
        let row = |cells: &[(&str, Datum)]| {
            cells.iter().map(|(name, datum)| ((*name).to_owned(), datum.clone())).collect()
        };
        DecisionReport {
            schema_version: 1,
            program: Program { name: "eidp-sim".to_owned(), version: "0".to_owned() },
            decision: DecisionKind::Schedule,
            subject: "shop/web".to_owned(),
            answer: "n1 takes it, because of all the nodes that were looked at it is the best"
                .to_owned(),
            figures: [("total".to_owned(), Datum::from(3_i64))].into(),
            steps: vec![DecisionStep {
                what: "asks for".to_owned(),
                result: "cpu 100m".to_owned(),
                field: Some("spec.containers[0].resources".to_owned()),
                position: Some(Position { file: "a.yaml".to_owned(), line: 3, column: 5 }),
            }],
            tables: vec![DecisionTable {
                name: "nodes".to_owned(),
                title: "nodes".to_owned(),
                columns: vec![column("node", "node"), column("fit", "fit"), column("why", "why")],
                rows: vec![
                    row(&[
                        ("node", "n1".into()),
                        ("fit", PluginScore { raw: 2, normalized: 100, weight: 1 }.into()),
                    ]),
                    row(&[
                        ("node", "n22".into()),
                        ("why", "the taint is not tolerated here".into()),
                    ]),
                ],
            }],
            notes: vec!["nodes are assumed".to_owned()],
        }
    }

    #[test]
    fn lines_are_as_long_as_the_terminal_is_wide() {
        let text = decision_human(&report(), Options::default(), 40);
        let expected = "\
schedule shop/web
  n1 takes it, because of all the nodes
  that were looked at it is the best

  asks for  cpu 100m
            a.yaml:3:5 spec.containers[0].resources

nodes
  node     fit  why
  n1    2: 100
  n22           the taint is not
                tolerated here

note: nodes are assumed
";
        assert_eq!(text, expected);
    }

    #[test]
    fn json_reads_back() {
        let report = report();
        let read: DecisionReport =
            serde_json::from_str(&decision_json(&report)).expect("it was written so");
        assert_eq!(read, report);
    }
}
