//! Figures of a simulated failover, by the names under which they were recorded.

use std::collections::BTreeMap;

use model_api::SimTime;

use super::client::{Outcome, outage};
use super::experiment::Experiment;
use super::fault::parts;
use super::lab::{FAULT_AT, Lab, run};
use crate::tree::Tree;

/// Figures by their path in a repetition. What did not happen has none.
pub(super) type Figures = BTreeMap<&'static str, f64>;

/// Figures that are the difference of two others, and what they are of.
///
/// Absolute moments spread over the phase of Patroni's loop; these do not, so they say more.
const GAPS: &[(&str, &str, &str)] = &[
    (
        "leader_key_gone_s - last_leader_loop_s",
        "phases.leader_key_gone_s",
        "phases.last_leader_loop_s",
    ),
    (
        "pg_promote_request_s - leader_key_gone_s",
        "phases.pg_promote_request_s",
        "phases.leader_key_gone_s",
    ),
    ("pg_promoted_s - pg_promote_request_s", "phases.pg_promoted_s", "phases.pg_promote_request_s"),
    ("recovered_s - pg_promoted_s", "phases.recovered_s", "phases.pg_promoted_s"),
];

/// Lengths of time that other recorders may name differently, by a word in their name.
const BY_WORD: &[(&str, &str)] =
    &[("split_brain", "split_brain_s"), ("stall", "stall_s"), ("lost_window", "lost_window_s")];
/// Words of names that are no lengths: moments and counts.
const BEGINS: &[&str] = &["start", "starts", "started", "begin", "begins", "began", "from"];
const ENDS: &[&str] = &["end", "ends", "ended", "until", "to"];
const OTHERS: &[&str] = &[
    "ack",
    "acks",
    "acked",
    "acknowledged",
    "row",
    "rows",
    "count",
    "at",
    "first",
    "last",
    "after",
    "lost",
    "writes",
];

fn seconds(at: SimTime) -> f64 {
    let nanos = i128::from(at.as_nanos()) - i128::from(FAULT_AT.as_nanos());
    nanos as f64 / 1e9
}

/// The figures of the run with that luck.
pub(super) fn simulated(experiment: &Experiment, number: u64) -> Figures {
    let lab = run(experiment, number);
    let mut figures = Figures::new();
    let count = |is: &dyn Fn(&super::client::Row) -> bool| {
        lab.rows.iter().filter(|row| is(row)).count() as f64
    };
    let is_lost = |row: &super::client::Row| row.is_acknowledged() && !row.is_present();
    figures.insert("lost_acknowledged", count(&is_lost));
    figures.insert(
        "lost_acknowledged_after_fault",
        count(&|row| is_lost(row) && row.ended > FAULT_AT),
    );
    figures.insert("attempts.unknown", count(&|row| row.outcome == Outcome::Unknown));
    let is_unknown_present =
        |row: &super::client::Row| row.outcome == Outcome::Unknown && row.is_present();
    figures.insert("unknown_present", count(&is_unknown_present));
    figures
        .insert("failed_present", count(&|row| row.outcome == Outcome::Failed && row.is_present()));
    figures.insert("split_brain_s", lab.split.as_secs_f64());
    figures.insert("stall_s", longest_silence(&lab));
    let lost = || lab.rows.iter().filter(|row| is_lost(row)).map(|row| row.ended);
    if let Some((first, last)) = lost().min().zip(lost().max()) {
        figures.insert("lost_window_s", (last - first).as_secs_f64());
    }
    let outage = outage(&lab.rows, FAULT_AT);
    moments(&lab, outage.map(|found| found.first_failed_sent), &mut figures);
    if let Some(found) = outage {
        figures.insert("phases.first_failed_sent_s", seconds(found.first_failed_sent));
        if let Some(recovered) = found.recovered {
            figures.insert("phases.recovered_s", seconds(recovered));
            figures.insert("rto_s", seconds(recovered) - seconds(found.first_failed_sent));
        }
    }
    gaps(&mut figures);
    figures
}

fn moments(lab: &Lab, first_failed: Option<SimTime>, figures: &mut Figures) {
    let acknowledged = || lab.rows.iter().filter(|row| row.is_acknowledged());
    let from_old = |row: &&super::client::Row| row.committed.is_some_and(|(at, _)| at == 0);
    let is_same = matches!(lab.moments.promoted_ordinal, None | Some(0));
    let last_from_old = acknowledged().filter(from_old).map(|row| row.ended).max();
    let first_after = acknowledged()
        .filter(|row| row.sent > FAULT_AT)
        .filter(|row| if is_same { first_failed < Some(row.sent) } else { !from_old(row) })
        .map(|row| row.ended)
        .min();
    let requested = lab.moments.requested;
    let named = [
        ("phases.last_leader_loop_s", lab.moments.last_renewal),
        ("phases.last_ack_from_old_primary_s", last_from_old.filter(|_| !is_same)),
        ("phases.leader_key_gone_s", lab.moments.key_gone),
        ("phases.leader_key_taken_s", lab.moments.key_taken),
        ("phases.patroni_promotes_s", lab.moments.promotes),
        ("phases.pg_promote_request_s", requested),
        ("phases.pg_timeline_selected_s", requested),
        ("phases.pg_promoted_s", lab.moments.promoted),
        ("phases.first_ack_after_s", first_after),
    ];
    for (name, at) in named {
        if let Some(at) = at {
            figures.insert(name, seconds(at));
        }
    }
}

/// The longest time between two acknowledgements from the fault on.
fn longest_silence(lab: &Lab) -> f64 {
    let mut acknowledged: Vec<SimTime> =
        lab.rows.iter().filter(|row| row.is_acknowledged()).map(|row| row.ended).collect();
    acknowledged.sort_unstable();
    let pairs = acknowledged.windows(2).filter(|pair| pair[1] > FAULT_AT);
    pairs.map(|pair| (pair[1] - pair[0]).as_secs_f64()).fold(0.0, f64::max)
}

/// The figures of a repetition that are compared.
pub(super) fn recorded(node: Tree<'_>) -> Vec<(&'static str, f64, Tree<'_>)> {
    let mut found = Vec::new();
    let old = node.field("old_primary").text();
    let is_same = !old.is_empty() && old == node.field("new_primary").text();
    for &name in NAMES {
        let value = node.at(name);
        // Whether the last answer before an outage or of the run counts, nothing says.
        let is_open = is_same && name == "phases.last_ack_from_old_primary_s";
        if let Some(number) = value.number().filter(|_| !is_open) {
            found.push((name, number, value));
        }
    }
    for &(word, name) in BY_WORD {
        found.extend(length_of(node, word).map(|(number, value)| (name, number, value)));
    }
    let mut all: Figures = found.iter().map(|&(name, number, _)| (name, number)).collect();
    gaps(&mut all);
    for &(name, later, _) in GAPS {
        if let Some(&number) = all.get(name) {
            found.push((name, number, node.at(later)));
        }
    }
    found
}

/// The length of time whose name has that word: as it is, or from its two ends.
fn length_of<'a>(node: Tree<'a>, word: &str) -> Option<(f64, Tree<'a>)> {
    let mut all = Vec::new();
    for (outer, part) in parts(node) {
        for (inner, value) in part.fields() {
            let is_own = outer.is_empty() || outer == "phases";
            let name = if is_own { inner.to_owned() } else { format!("{outer}_{inner}") };
            let rest = name.replace(word, "");
            if rest.len() < name.len()
                && inner.ends_with("_s")
                && let Some(number) = value.number()
            {
                all.push((rest, number, value));
            }
        }
    }
    let says = |rest: &str, words: &[&str]| rest.split('_').any(|one| words.contains(&one));
    let find = |is: &dyn Fn(&str) -> bool| all.iter().find(|(rest, ..)| is(rest));
    let is_length = |rest: &str| ![BEGINS, ENDS, OTHERS].iter().any(|words| says(rest, words));
    let is_end = |rest: &str, words: &[&str]| says(rest, words) && !says(rest, OTHERS);
    if let Some(&(_, number, value)) = find(&is_length) {
        return Some((number, value));
    }
    let (_, from, _) = find(&|rest| is_end(rest, BEGINS))?;
    let &(_, until, value) = find(&|rest| is_end(rest, ENDS))?;
    Some((until - from, value))
}

fn gaps(figures: &mut Figures) {
    for &(name, later, earlier) in GAPS {
        if let (Some(later), Some(earlier)) = (figures.get(later), figures.get(earlier)) {
            figures.insert(name, later - earlier);
        }
    }
}

/// What is compared, in the order in which it is told.
const NAMES: &[&str] = &[
    "rto_s",
    "lost_acknowledged",
    "lost_acknowledged_after_fault",
    "attempts.unknown",
    "unknown_present",
    "failed_present",
    "phases.last_leader_loop_s",
    "phases.last_ack_from_old_primary_s",
    "phases.first_failed_sent_s",
    "phases.leader_key_gone_s",
    "phases.leader_key_taken_s",
    "phases.patroni_promotes_s",
    "phases.pg_promote_request_s",
    "phases.pg_timeline_selected_s",
    "phases.pg_promoted_s",
    "phases.first_ack_after_s",
    "phases.recovered_s",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The least and the most of a figure in some runs, all of which have it.
    fn spread(text: &str, name: &str) -> (f64, f64) {
        let text = format!("{{old_primary: b, load_average_1min: 20, {text}}}");
        let (documents, diagnostics) = scenario_format::yaml::parse(0, &text);
        assert_eq!(diagnostics, []);
        let experiment = crate::postgres::experiment::read(Tree::of(&documents[0]));
        let experiment = experiment.expect("it can be simulated");
        let values = (0..40).map(|run| simulated(&experiment, run).get(name).copied());
        let values = values.map(|value| value.unwrap_or_else(|| panic!("{text} has no {name}")));
        values.fold((f64::MAX, f64::MIN), |(least, most), one| (least.min(one), most.max(one)))
    }

    #[test]
    fn each_fault_gives_what_a_cluster_would() {
        let strict = "settings: {synchronous_mode: true, synchronous_mode_strict: true}";
        let held = "{standby: c, flush_bytes: 500000, flush_lag_ms: 6000}";
        let far = "flush_bytes: 9000000";
        let cases: &[(&str, String, f64, f64)] = &[
            // The 99th percentile is that of rows that connect: an outage ends nevertheless.
            (
                "rto_s",
                "title: zone loss, latency_before_ms: {p50: 16, p99: 900, max: 2000}".to_owned(),
                19.0,
                40.0,
            ),
            ("attempts.unknown", "title: zone loss".to_owned(), 20.0, 21.0),
            // A standby that is held neither ages the lease nor makes the other one lag.
            (
                "phases.last_leader_loop_s",
                format!("title: one replica held back, replication_at_fault: [{held}]"),
                -10.1,
                0.9,
            ),
            (
                "lost_acknowledged",
                format!("title: one replica held back, replication_at_fault: [{held}]"),
                0.0,
                5.0,
            ),
            // Both are too far behind: the old primary leads again once it is back.
            (
                "phases.recovered_s",
                format!(
                    "title: maximum lag, new_primary: b, repaired_s: 60, held_s: 30, \
                     replication_at_fault: [{{standby: a, {far}}}, {{standby: c, {far}}}]"
                ),
                60.0,
                85.0,
            ),
            ("phases.first_ack_after_s", "title: postmaster killed".to_owned(), 0.3, 25.0),
            // So many backends wait for a standby as there may be connections.
            ("attempts.unknown", format!("title: both standbys killed, {strict}"), 88.0, 102.0),
            ("unknown_present", format!("title: both standbys killed, {strict}"), 85.0, 102.0),
            ("rto_s", format!("title: SIGSTOP of both standbys for 30 s, {strict}"), 29.0, 36.0),
            // The third member leaves the frozen primary for its successor. Before 3.0.3 the old one
            // may take the key back when it thaws.
            (
                "rto_s",
                format!("title: primary frozen for 70 s, patroni: 3.0.4, {strict}"),
                20.0,
                60.0,
            ),
            ("split_brain_s", "title: SIGSTOP of patroni of the primary".to_owned(), 22.0, 48.0),
        ];
        for (name, text, least, most) in cases {
            let (low, high) = spread(text, name);
            assert!(*least <= low && high <= *most, "{name} of {text}: {low} to {high}");
        }
    }

    #[test]
    fn lengths_are_told_from_moments_and_counts() {
        let cases = [
            ("split_brain_s: 1.2", Some(1.2)),
            ("phases: {split_brain_s: 1.2, split_brain_starts_s: 60}", Some(1.2)),
            ("split_brain: {window_s: 1.2, acks: 40}", Some(1.2)),
            ("phases: {split_brain_starts_s: 60, split_brain_ends_s: 61.5}", Some(1.5)),
            ("phases: {split_brain_from_s: 60, split_brain_until_s: 61.5}", Some(1.5)),
            ("split_brain_starts_s: 60", None),
            ("split_brain_rows: 60, split_brain_acks: 3", None),
            ("split_brain: true", None),
        ];
        for (text, expected) in cases {
            let (documents, diagnostics) = scenario_format::yaml::parse(0, &format!("{{{text}}}"));
            assert_eq!(diagnostics, []);
            let found = length_of(Tree::of(&documents[0]), "split_brain").map(|(number, _)| number);
            assert_eq!(found, expected, "{text}");
        }
    }
}
