//! One repetition of an experiment as it was recorded: what was done, and what was measured.

use model_api::SimSpan;
use model_api::blueprint::{Patroni, PatroniStore};

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

/// What was done at time zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Everything of the primary's member is killed.
    MemberKilled,
    /// The postmaster of the primary is killed; Patroni lives.
    PostmasterKilled,
    /// Everything of the primary's member is stopped, and goes on after that time.
    Frozen(SimSpan),
    /// All standbys are killed, and start again after that time.
    StandbysKilled(SimSpan),
    /// The leader is asked to hand over, to this member if one was named.
    HandedOver(Option<u8>),
}

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
    /// 99th percentile of commit latencies before the fault.
    pub(super) latency_p99: SimSpan,
    /// When the old member was started again, if nobody recovered before; counted from the fault.
    pub(super) repaired: SimSpan,
}

/// A standby that is this far behind is held back: usual lags are below a page.
const HELD_BYTES: f64 = 65_536.0;

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
    let latency_ms = node.at("latency_before_ms.p99").number().unwrap_or(10.0);
    let repaired_s = named(node, &["repaired", "restarted", "started_again"]).unwrap_or(120.0);
    Ok(Experiment {
        fault: fault(node, &names)?,
        settings: settings(node)?,
        is_store_leader_lost: node.field("etcd_leader_on_primary_member").is_true(),
        standbys,
        names,
        load_average: node.field("load_average_1min").number().unwrap_or(1.0),
        latency_p99: span("latency_before_ms.p99", latency_ms / 1000.0)?,
        repaired: span("repaired", repaired_s)?,
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
        primary_start_timeout: span("primary_start_timeout", defaults.primary_start_timeout)?,
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

/// Which fault it was: by what the title says, because the letters are those of one recorder.
fn fault(node: Tree<'_>, names: &[String; 3]) -> Result<Fault, String> {
    let title = node.field("title").text().to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| title.contains(word));
    let settings = node.field("settings");
    if says(&["sigstop", "frozen", "freeze"]) {
        let thawed = named(node, &["thaw", "frozen_for", "freeze", "sigcont", "stopped_for"]);
        let thawed = thawed.or_else(|| seconds_in(&title));
        let thawed = thawed.ok_or("it does not say when the frozen member went on")?;
        return Ok(Fault::Frozen(span("thawed_s", thawed)?));
    }
    if says(&["postmaster", "crash"]) {
        return Ok(Fault::PostmasterKilled);
    }
    if says(&["switchover", "switch over", "handover"]) {
        let candidate = node.at("switchover.candidate").text();
        let position = names.iter().position(|name| name == candidate);
        return Ok(Fault::HandedOver(position.and_then(|idx| u8::try_from(idx).ok())));
    }
    let is_strict = settings.field("synchronous_mode_strict").is_true();
    if is_strict && says(&["standby", "standbys", "replica"]) {
        let back = named(node, &["standbys_back", "standby_back", "standbys_started", "returned"]);
        let back = back.or_else(|| seconds_in(&title)).unwrap_or(30.0);
        return Ok(Fault::StandbysKilled(span("standbys_back_s", back)?));
    }
    if says(&["kill", "zone loss", "zone lost", "lost zone"]) {
        return Ok(Fault::MemberKilled);
    }
    match node.field("experiment").text() {
        "a" | "b" => Ok(Fault::MemberKilled),
        "d" => Ok(Fault::HandedOver(None)),
        _ => Err("its title names no fault that can be simulated: killed member or postmaster, \
                  frozen primary, standbys gone in strict mode, switchover, restore"
            .to_owned()),
    }
}

/// The first number whose name contains one of these words, in the repetition, its settings or its
/// phases.
pub(super) fn named(node: Tree<'_>, words: &[&str]) -> Option<f64> {
    [node, node.field("settings"), node.field("phases")].into_iter().find_map(|part| {
        part.fields().find_map(|(name, value)| {
            let is_it = words.iter().any(|word| name.contains(word));
            value.number().filter(|_| is_it)
        })
    })
}

/// The number before an `s` or `seconds` in a title.
fn seconds_in(title: &str) -> Option<f64> {
    let words: Vec<&str> = title.split([' ', ',', '(', ')', ':']).collect();
    words.iter().zip(words.iter().skip(1).chain([&""])).find_map(|(word, next)| {
        let joined = word.strip_suffix('s').and_then(|number| number.parse().ok());
        let apart = || (*next == "s" || next.starts_with("sec")).then(|| word.parse().ok());
        joined.or_else(|| apart().flatten())
    })
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
    fn titles_name_the_fault() {
        let names = MEMBERS.map(str::to_owned);
        let of = |text: &str| with(text, |node| fault(node, &names));
        let secs = |secs| SimSpan::from_secs(secs);
        let cases = [
            ("{title: 'zone loss: kill -9 of patroni, postgres and etcd'}", Fault::MemberKilled),
            ("{title: kill -9 of the postmaster only}", Fault::PostmasterKilled),
            (
                "{title: frozen primary, phases: {thawed_s: 45.5}}",
                Fault::Frozen(SimSpan::from_millis(45_500)),
            ),
            ("{title: 'primary frozen (SIGSTOP) for 60 s'}", Fault::Frozen(secs(60))),
            ("{title: switchover (REST), switchover: {candidate: c}}", Fault::HandedOver(Some(2))),
            (
                "{title: no standby for 20s, settings: {synchronous_mode_strict: true}}",
                Fault::StandbysKilled(secs(20)),
            ),
            ("{title: another, experiment: b}", Fault::MemberKilled),
        ];
        for (text, expected) in cases {
            assert_eq!(of(text), Ok(expected), "{text}");
        }
        assert!(of("{title: something else}").is_err());
        assert!(of("{title: primary frozen, phases: {thawed_s: 1e12}}").is_err());
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
