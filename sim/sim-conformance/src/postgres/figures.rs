//! Figures of a simulated failover, by the names under which they were recorded.

use std::collections::BTreeMap;

use model_api::SimTime;

use super::client::{Outcome, outage};
use super::experiment::Experiment;
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

/// Names that other recorders may use, by a word in them.
const BY_WORD: &[(&str, &str)] = &[("split_brain", "split_brain_s"), ("stall", "stall_s")];

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
    moments(&lab, &mut figures);
    if let Some(found) = outage(&lab.rows, FAULT_AT) {
        figures.insert("phases.first_failed_sent_s", seconds(found.first_failed_sent));
        if let Some(recovered) = found.recovered {
            figures.insert("phases.recovered_s", seconds(recovered));
            figures.insert("rto_s", seconds(recovered) - seconds(found.first_failed_sent));
        }
    }
    gaps(&mut figures);
    figures
}

fn moments(lab: &Lab, figures: &mut Figures) {
    let acknowledged = || lab.rows.iter().filter(|row| row.is_acknowledged());
    let from_old = |row: &&super::client::Row| row.committed.is_some_and(|(at, _)| at == 0);
    let is_same = lab.moments.promoted.is_none();
    let last_from_old = acknowledged().filter(from_old).map(|row| row.ended).max();
    let first_after = acknowledged()
        .filter(|row| row.sent > FAULT_AT && (is_same || !from_old(row)))
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
    for &name in NAMES {
        let value = node.at(name);
        if let Some(number) = value.number() {
            found.push((name, number, value));
        }
    }
    for &(word, name) in BY_WORD {
        let is_it =
            |(key, value): &(&str, Tree<'_>)| key.contains(word) && value.number().is_some();
        let mut places = [node, node.field("phases")].into_iter();
        if let Some((_, value)) = places.find_map(|part| part.fields().find(is_it)) {
            found.extend(value.number().map(|number| (name, number, value)));
        }
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
