//! Maps of load, drawn.

use report_data::{LoadEdge, LoadMap, LoadMapCell, LoadMapReport, LoadRegion};

use crate::Options;
use crate::coverage;
use crate::markdown;
use crate::quantity::{self, span};

/// What a cell is drawn as, and in which color (ANSI).
struct Mark {
    letter: char,
    color: u8,
    meaning: &'static str,
}

const WELL: Mark = Mark { letter: '.', color: 32, meaning: "comes back" };
const PARTLY: Mark = Mark { letter: 'o', color: 33, meaning: "stays down in some runs" };
const DOWN: Mark = Mark { letter: 'X', color: 31, meaning: "stays down in every run" };
const OVER: Mark = Mark { letter: '#', color: 35, meaning: "too much without the trigger" };

impl Mark {
    fn of(cell: Option<&LoadMapCell>, run_count: u64) -> &'static Self {
        match cell {
            None => &OVER,
            Some(cell) if cell.well_count == run_count => &WELL,
            Some(cell) if cell.well_count > 0 => &PARTLY,
            Some(_) => &DOWN,
        }
    }

    fn drawn(&self, options: Options) -> String {
        if options.has_color {
            format!("\u{1b}[{}m{}\u{1b}[0m", self.color, self.letter)
        } else {
            self.letter.to_string()
        }
    }
}

/// The maps, one letter a cell.
pub fn load_map_human(report: &LoadMapReport, options: Options) -> String {
    let maps: Vec<String> = report.maps.iter().map(|map| human(map, options)).collect();
    maps.join("\n")
}

fn human(map: &LoadMap, options: Options) -> String {
    /// Wide enough for `10000%`.
    const CELL: usize = 6;
    let cell = |mark: &Mark| format!("{}{}", " ".repeat(CELL - 1), mark.drawn(options));
    let mut text = format!("{}  {}\n\n", map.scenario, subtitle(map));
    let loads = map.columns.iter().map(|it| format!("{:>CELL$}", percent(it.load_ppm)));
    text.push_str(&format!("{:<14}{}\n", "load", loads.collect::<String>()));
    let alone = map.columns.iter().map(|column| match column.region {
        LoadRegion::Overloaded => cell(&OVER),
        LoadRegion::Stable | LoadRegion::Vulnerable => cell(&WELL),
    });
    text.push_str(&format!("{:<14}{}\n", "untroubled", alone.collect::<String>()));
    for row in &map.rows {
        let cells = row.cells.iter().map(|it| cell(Mark::of(it.as_ref(), map.run_count)));
        let name = format!("trigger {:>5}", percent(row.length_ppm));
        text.push_str(&format!("{name:<14}{}\n", cells.collect::<String>()));
    }
    let legend = [&WELL, &PARTLY, &DOWN, &OVER]
        .map(|mark| format!("{} {}", mark.drawn(options), mark.meaning))
        .join("   ");
    text.push_str(&format!("\n{legend}\n\n"));
    for sentence in sentences(map) {
        text.push_str(&format!("{sentence}\n"));
    }
    for (label, what) in told(map) {
        text.push_str(&format!("{label}: {what}\n"));
    }
    text
}

/// What the map rests on and leaves out.
fn told(map: &LoadMap) -> Vec<coverage::Told> {
    let mut told = coverage::rests_on(&map.assumptions, &map.not_modelled);
    told.extend(coverage::notes("warning", &map.warnings));
    told
}

/// The maps as tables, for comments and job summaries.
pub fn load_map_markdown(report: &LoadMapReport) -> String {
    let mut text = String::new();
    for map in &report.maps {
        text.push_str(&format!(
            "### {}\n\n{}\n\n",
            markdown::escaped(&map.scenario),
            markdown::escaped(&subtitle(map))
        ));
        let loads: Vec<String> = map.columns.iter().map(|it| percent(it.load_ppm)).collect();
        text.push_str(&format!("| load | {} |\n", loads.join(" | ")));
        text.push_str(&format!("|---|{}\n", ":-:|".repeat(loads.len())));
        let alone: Vec<String> =
            map.columns.iter().map(|it| counted(Some(&it.alone), map.run_count)).collect();
        text.push_str(&format!("| untroubled | {} |\n", alone.join(" | ")));
        for row in &map.rows {
            let cells: Vec<String> =
                row.cells.iter().map(|it| counted(it.as_ref(), map.run_count)).collect();
            text.push_str(&format!(
                "| trigger {} | {} |\n",
                percent(row.length_ppm),
                cells.join(" | ")
            ));
        }
        text.push('\n');
        sentences(map)
            .iter()
            .for_each(|sentence| text.push_str(&format!("- {}\n", markdown::escaped(sentence))));
        markdown::list(&mut text, &told(map));
        text.push('\n');
    }
    text
}

/// Runs of a cell that were well, with the longest return where all were.
fn counted(cell: Option<&LoadMapCell>, run_count: u64) -> String {
    match cell {
        None => "–".to_owned(),
        Some(cell) if cell.well_count == run_count => {
            let longest = cell.longest_ns.filter(|ns| *ns > 0);
            longest.map_or_else(|| "✓".to_owned(), |ns| format!("✓ {}", span(ns)))
        }
        Some(cell) => format!("{} of {run_count}", cell.well_count),
    }
}

/// The data itself.
pub fn load_map_json(report: &LoadMapReport) -> String {
    let mut text = serde_json::to_string_pretty(report).expect("text and lists always serialize");
    text.push('\n');
    text
}

fn subtitle(map: &LoadMap) -> String {
    format!(
        "100% is {} requests/s in the mean; trigger: {}; {} a cell, seed {}",
        rate(map.mean_millirps),
        map.trigger.join(", "),
        quantity::counted(map.run_count, "run"),
        map.root_seed,
    )
}

/// What the map says, in words.
fn sentences(map: &LoadMap) -> Vec<String> {
    let mut stable = format!("stable: {}", extent(&map.stable_up_to, map));
    if map.stable_up_to.up_to_ppm.is_some() {
        stable.push_str(&format!(
            ", it answers {} of its requests within {} of the trigger's end, for good",
            percent(map.share_ppm),
            span(map.within_ns),
        ));
    }
    let mut sentences = vec![
        stable,
        match (map.stable_up_to.up_to_ppm, map.borne_up_to.up_to_ppm) {
            (stable, Some(borne)) if stable != Some(borne) => format!(
                "vulnerable: {}, it bears the load, but the trigger can leave it down",
                extent(&map.borne_up_to, map),
            ),
            _ => "vulnerable: nowhere that was tried".to_owned(),
        },
        match map.borne_up_to.below_ppm {
            Some(from) => format!("overloaded: from {}", with_rate(from, map)),
            None => "overloaded: nowhere that was tried".to_owned(),
        },
    ];
    let mut down: Vec<&str> = cells(map).flat_map(|it| &it.down).map(String::as_str).collect();
    down.sort_unstable();
    down.dedup();
    if !down.is_empty() {
        sentences.push(format!("down, where it is: {}", down.join(", ")));
    }
    let mut triggered = map.rows.iter().flat_map(|row| row.cells.iter().flatten()).peekable();
    if triggered.peek().is_some() && triggered.all(|cell| cell.struck_count == 0) {
        sentences.push("the trigger never struck: the map says nothing of it".to_owned());
    }
    sentences
}

fn cells(map: &LoadMap) -> impl Iterator<Item = &LoadMapCell> {
    let alone = map.columns.iter().map(|column| &column.alone);
    alone.chain(map.rows.iter().flat_map(|row| row.cells.iter().flatten()))
}

fn extent(edge: &LoadEdge, map: &LoadMap) -> String {
    match (edge.up_to_ppm, edge.below_ppm) {
        (Some(up_to), Some(_)) => format!("up to {}", with_rate(up_to, map)),
        (Some(up_to), None) => format!("up to {} at least", with_rate(up_to, map)),
        (None, _) => "nowhere that was tried".to_owned(),
    }
}

fn with_rate(load_ppm: u32, map: &LoadMap) -> String {
    let rate_of = u128::from(map.mean_millirps) * u128::from(load_ppm) / 1_000_000;
    format!(
        "{} ({} requests/s)",
        percent(load_ppm),
        rate(u64::try_from(rate_of).unwrap_or(u64::MAX))
    )
}

fn percent(ppm: u32) -> String {
    let tenths = ppm / 1_000;
    if tenths.is_multiple_of(10) {
        format!("{}%", tenths / 10)
    } else {
        format!("{}.{}%", tenths / 10, tenths % 10)
    }
}

/// Requests per second, to three places at most.
fn rate(millirps: u64) -> String {
    let text = format!("{}.{:03}", millirps / 1_000, millirps % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> report_data::Program {
        report_data::Program { name: "eidp-sim".to_owned(), version: String::new() }
    }

    fn quota() -> report_data::Note {
        report_data::Note { text: "ResourceQuota spec".to_owned(), position: None }
    }

    #[test]
    fn nothing_is_said_of_a_region_that_was_not_found() {
        let nowhere = LoadEdge { up_to_ppm: None, below_ppm: Some(100_000) };
        let map = LoadMap {
            scenario: "loss".to_owned(),
            root_seed: 1,
            run_count: 5,
            share_ppm: 950_000,
            within_ns: 600_000_000_000,
            mean_millirps: 90_000,
            trigger: vec!["lost".to_owned()],
            limited_count: 0,
            stable_up_to: nowhere,
            borne_up_to: nowhere,
            columns: Vec::new(),
            rows: Vec::new(),
            assumptions: Vec::new(),
            not_modelled: vec![quota()],
            warnings: Vec::new(),
        };
        let said = |map: &LoadMap| sentences(map).join("\n");
        assert_eq!(
            said(&map),
            "stable: nowhere that was tried\nvulnerable: nowhere that was tried\noverloaded: from 10% (9 requests/s)"
        );
        let report =
            LoadMapReport { schema_version: 1, program: program(), maps: vec![map.clone()] };
        assert!(
            load_map_human(&report, Options::default()).contains("not modelled: ResourceQuota")
        );
        assert!(load_map_markdown(&report).contains("\n- not modelled: ResourceQuota"));
        let all = LoadEdge { up_to_ppm: Some(2_000_000), below_ppm: None };
        let bearing = LoadMap { stable_up_to: all, borne_up_to: all, ..map };
        assert!(said(&bearing).starts_with(
            "stable: up to 200% (180 requests/s) at least, it answers 95% of its requests within 10m 00s"
        ));
    }
}
