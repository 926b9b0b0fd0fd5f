//! One repetition of an experiment as it was recorded: what was done, and what was measured.

use model_api::SimSpan;
use model_api::blueprint::{Patroni, PatroniStore};

use super::client::ROW_PERIOD;
use super::fault::{Fault, exactly, fault, named};
use super::latency::Latency;
use crate::amounts::whole;
use crate::tree::Tree;

/// No experiment took longer, and moments of the simulation stay far from the end of time.
const LONGEST: SimSpan = SimSpan::from_days(30);
/// More bytes than any server has.
const BYTES_MAX: f64 = 1e15;
/// The shortest pause between two turns of Patroni's loop.
const LOOP_WAIT_LEAST: SimSpan = SimSpan::from_secs(1);
/// Of a standby whose lag was not recorded.
const USUAL_LAG: SimSpan = SimSpan::from_micros(500);

/// Members of the recorded clusters, in the order of their zones.
pub(super) const MEMBERS: [&str; 3] = ["a", "b", "c"];

/// A standby at the moment of the fault, by the number it has in the simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct StandbyAtFault {
    /// Bytes it had not flushed.
    pub(super) flush_bytes: f64,
    /// Its usual lag.
    pub(super) flush_lag: SimSpan,
    /// It was a synchronous standby.
    pub(super) is_sync: bool,
}

/// A failover to be simulated.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Experiment {
    pub(super) fault: Fault,
    pub(super) settings: Patroni,
    /// etcd's leader stood on the primary's member.
    pub(super) is_store_leader_lost: bool,
    /// Standbys in the order in which the simulation numbers them, from 1.
    pub(super) standbys: [StandbyAtFault; 2],
    /// Names of the members in that order, the primary first.
    pub(super) names: [String; 3],
    /// Length of the run queue when it was recorded.
    pub(super) load_average: f64,
    pub(super) latency: Latency,
    /// When the old member was started again, if that is known; counted from the fault.
    pub(super) repaired: Option<SimSpan>,
    /// From the first row to the last.
    pub(super) length: Option<SimSpan>,
    /// The same member was primary after the outage.
    pub(super) is_same_primary: bool,
    /// How long before the fault a standby was held back, if that is known.
    pub(super) held: Option<SimSpan>,
    /// `max_connections`.
    pub(super) connections_max: Option<u32>,
}

/// A standby that is this far behind is held back: usual lags are below a page, and held ones lack
/// what is written in a second or more.
const HELD_BYTES: f64 = 16_384.0;

impl StandbyAtFault {
    pub(super) fn is_held(&self) -> bool {
        self.flush_bytes > HELD_BYTES
    }
}

/// Reads a repetition.
///
/// # Errors
/// Says why no model answers it.
pub(super) fn read(node: Tree<'_>) -> Result<Experiment, String> {
    let (names, standbys) = members(node)?;
    let settings = settings(node)?;
    let load_average = node.field("load_average_1min").number().unwrap_or(1.0);
    let millis = |name: &str, default: f64| -> Result<f64, String> {
        let value = node.field("latency_before_ms").field(name).number().unwrap_or(default);
        Ok(span("latency_before_ms", value / 1000.0)?.as_secs_f64())
    };
    let p50 = millis("p50", 2.0)?;
    let p99 = millis("p99", 20.0 * p50 * 1000.0)?.max(p50);
    let latency = Latency::new(p50, p99, millis("max", 2.0 * p99 * 1000.0)?, load_average);
    let optional = |name: &str, value: Option<f64>| value.map(|it| span(name, it)).transpose();
    let repaired = named(node, &["repaired", "restarted", "started_again", "old_member_started"])
        .or_else(|| exactly(node, &["old_member_start_s", "old_member_back_s", "started_s"]));
    let held = exactly(node, &["held_s", "held_for_s", "held_back_s", "hold_s", "held_back_for_s"])
        .or_else(|| exactly(node, &["held_since_s", "held_from_s", "hold_starts_s"]).map(f64::abs));
    let rows: f64 = node.field("attempts").fields().filter_map(|(_, value)| value.number()).sum();
    let length = Some(rows * ROW_PERIOD.as_secs_f64()).filter(|secs| *secs > 0.0);
    let old = node.field("old_primary").text();
    let is_held = standbys.iter().any(StandbyAtFault::is_held);
    Ok(Experiment {
        fault: fault(node, &names, &settings, is_held)?,
        settings,
        is_store_leader_lost: node.field("etcd_leader_on_primary_member").is_true(),
        standbys,
        names,
        load_average,
        latency,
        repaired: optional("repaired", repaired)?,
        length: optional("attempts", length)?,
        is_same_primary: !old.is_empty() && old == node.field("new_primary").text(),
        held: optional("held_s", held)?,
        connections_max: Some(node.at("settings.max_connections").count())
            .filter(|count| *count > 0),
    })
}

/// The primary first, then the standbys: a synchronous one, and one that is ahead, come first,
/// because that is how the model numbers them.
fn members(node: Tree<'_>) -> Result<([String; 3], [StandbyAtFault; 2]), String> {
    let old = node.field("old_primary").text();
    let old = if old.is_empty() { MEMBERS[0] } else { old };
    let mut found: Vec<(String, StandbyAtFault)> = MEMBERS
        .iter()
        .filter(|name| **name != old)
        .map(|name| {
            ((*name).to_owned(), StandbyAtFault { flush_lag: USUAL_LAG, ..Default::default() })
        })
        .collect();
    for row in node.field("replication_at_fault").items() {
        let Some(entry) = found.iter_mut().find(|(name, _)| name == row.field("standby").text())
        else {
            continue;
        };
        let number = |field: &str, default| row.field(field).number().unwrap_or(default);
        entry.1 = StandbyAtFault {
            flush_bytes: bytes("flush_bytes", number("flush_bytes", 0.0))? as f64,
            flush_lag: span("flush_lag_ms", number("flush_lag_ms", 0.5) / 1000.0)?,
            is_sync: row.field("sync_state").text() == "sync",
        };
    }
    found.sort_by_key(|(_, standby)| !standby.is_sync);
    let [first, second] = [found[0].clone(), found[1].clone()];
    Ok(([old.to_owned(), first.0, second.0], [first.1, second.1]))
}

/// A recorded length of time, from seconds.
///
/// # Errors
/// Says so when it is negative or longer than any experiment.
pub(super) fn span(name: &str, secs: f64) -> Result<SimSpan, String> {
    if (0.0..=LONGEST.as_secs_f64()).contains(&secs) {
        return Ok(SimSpan::from_secs_f64_rounded(secs));
    }
    Err(format!("`{name}` says {secs} s, which is not between 0 s and 30 days"))
}

/// A recorded number of bytes.
///
/// # Errors
/// Says so when it is negative or more than any server holds.
pub(super) fn bytes(name: &str, bytes: f64) -> Result<u64, String> {
    if (0.0..=BYTES_MAX).contains(&bytes) {
        return Ok(whole(bytes));
    }
    Err(format!("`{name}` says {bytes} bytes, which is not between 0 and 1 PB"))
}

fn settings(node: Tree<'_>) -> Result<Patroni, String> {
    let given = node.field("settings");
    let defaults = Patroni::default();
    let span = |name: &str, default: SimSpan| match given.field(name) {
        value if value.is_given() => value
            .duration()
            .filter(|span| *span <= LONGEST)
            .ok_or_else(|| format!("`settings.{name}` is no length of time up to 30 days")),
        _ => Ok(default),
    };
    let loop_wait = span("loop_wait", defaults.loop_wait)?;
    // Patroni's `docs/dynamic_configuration.rst` allows no shorter one; a loop without a pause would
    // never let time go on.
    if loop_wait < LOOP_WAIT_LEAST {
        return Err("`settings.loop_wait` is below 1 s".to_owned());
    }
    let version = node.field("patroni").text();
    Ok(Patroni {
        ttl: span("ttl", defaults.ttl)?,
        loop_wait,
        retry_timeout: span("retry_timeout", defaults.retry_timeout)?,
        primary_start_timeout: span(
            // Its name before 3.0, which is still read (`config.py`).
            if given.field("master_start_timeout").is_given() {
                "master_start_timeout"
            } else {
                "primary_start_timeout"
            },
            defaults.primary_start_timeout,
        )?,
        maximum_lag_on_failover_bytes: given
            .field("maximum_lag_on_failover")
            .int()
            .and_then(|bytes| u64::try_from(bytes).ok())
            .unwrap_or(defaults.maximum_lag_on_failover_bytes),
        is_synchronous: given.field("synchronous_mode").is_true(),
        is_strict: given.field("synchronous_mode_strict").is_true(),
        synchronous_node_count: match given.field("synchronous_node_count").count() {
            0 => 1,
            count => count,
        },
        has_failsafe: given.field("failsafe_mode").is_true(),
        // The recorded old members rejoin by themselves.
        has_rewind: true,
        store: PatroniStore::Etcd,
        is_key_guarded: is_key_guarded(version),
    })
}

/// Since 3.0.3 a leader without lease does not overwrite the key; files without a version are
/// recorded with 3.0.2.
fn is_key_guarded(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next()) >= (3, 0, 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(text: &str, ask: impl FnOnce(Tree<'_>) -> T) -> T {
        let (documents, diagnostics) = scenario_format::yaml::parse(0, text);
        assert_eq!(diagnostics, []);
        ask(Tree::of(&documents[0]))
    }

    #[test]
    fn what_no_experiment_was_is_refused() {
        let whole = "title: kill, experiment: b";
        assert!(with(&format!("{{{whole}}}"), read).is_ok());
        let cases = [
            "settings: {ttl: 1e12}",
            "settings: {loop_wait: 0}",
            "latency_before_ms: {p99: 1e20}",
            "repaired_s: -1",
            "replication_at_fault: [{standby: b, flush_bytes: 1e30}]",
            "replication_at_fault: [{standby: b, flush_lag_ms: 1e20}]",
        ];
        for case in cases {
            let said = with(&format!("{{{whole}, {case}}}"), read);
            assert!(said.is_err(), "{case}");
        }
    }

    #[test]
    fn synchronous_standbys_are_numbered_first() {
        let text = "{old_primary: b, replication_at_fault: [{standby: c, sync_state: async}, \
                    {standby: a, sync_state: sync, flush_bytes: 70000}]}";
        let (names, standbys) = with(text, members).expect("nothing is out of bounds");
        assert_eq!(names, ["b", "a", "c"]);
        assert!(standbys[0].is_sync && standbys[0].is_held() && !standbys[1].is_held());
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let cases =
            [("3.0.2", false), ("3.0.3", true), ("3.0.10", true), ("4.0", true), ("", false)];
        for (version, expected) in cases {
            assert_eq!(is_key_guarded(version), expected, "{version}");
        }
    }
}
