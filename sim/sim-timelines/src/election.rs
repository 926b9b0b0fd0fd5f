//! Recordings of elections: a leader is killed again and again.

use model_api::{SimSpan, SimTime};
use model_kube::etcd::{self, Voter};
use model_kube::leader_election::{ElectionConfig, takeover_at};
use scenario_format::Diagnostic;
use scenario_format::yaml::Node;
use sim_kernel::{EntityKey, Purpose, Streams};

use crate::fields::{Fields, count, refuse};
use crate::figures::Figures;
use crate::read::Timeline;
use crate::stage::flags;

const KILL: Purpose = Purpose::new("leader is killed");
const LOOK: Purpose = Purpose::new("candidate look");
const TICK: Purpose = Purpose::new("raft tick phase");
const TIMEOUT: Purpose = Purpose::new("raft election timeout");

/// Members of an etcd cluster, if nothing says how many; without one of fewer there is no quorum.
const MEMBERS: u32 = 3;
/// Most members: etcd's documentation advises seven at most, and votes of more are slow to count.
const MEMBERS_MAX: u32 = 99;

/// Most elections of one recording.
const COUNT_MAX: u32 = 10_000;
/// The longest heartbeat: etcd takes timeouts up to 50 s (`server/embed/config.go`), five heartbeats.
const MILLIS_MAX: u32 = 10_000;

/// How a leader is replaced, and how often that was recorded.
#[derive(Debug)]
pub(crate) struct Elections {
    count: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Replicas of a component and their Lease: the one that leads, and others.
    Lease { config: ElectionConfig, standby_count: u32 },
    /// Members of etcd.
    Raft { config: etcd::RaftConfig, member_count: u32 },
}

impl Elections {
    pub(crate) fn read(
        scenario: &Node,
        summary: &Node,
        timeline: &Timeline,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        const KEYS: &[&str] = &[
            "cleanup",
            "description",
            "duration",
            "flags",
            "id",
            "kind",
            "parameters",
            "recording",
            "repetition",
            "schedule",
            "seed",
        ];
        const PARAMETERS: &[&str] = &[
            "candidates",
            "component",
            "electionTimeoutMs",
            "heartbeatIntervalMs",
            "leaseDuration",
            "leaseDurationSeconds",
            "members",
            "preVote",
            "renewDeadline",
            "renewDeadlineSeconds",
            "replicas",
            "retryPeriod",
            "retryPeriodSeconds",
        ];
        let fields = Fields::of(scenario, "a trace's scenario", KEYS, diagnostics);
        // Without any, they are those of client-go.
        let parameters = match fields.get("parameters") {
            Some(node) => Fields::of(node, "`parameters`", PARAMETERS, diagnostics),
            None => Fields::known(scenario, "a trace's scenario"),
        };
        let reference = scenario.at(&["recording", "reference"]).and_then(Node::text);
        let is_etcd = reference.is_some_and(|it| it.starts_with("etcd"))
            || ["heartbeatIntervalMs", "electionTimeoutMs", "preVote", "members"]
                .iter()
                .any(|key| parameters.get(key).is_some());
        let kind = if is_etcd {
            raft(&parameters, reference.unwrap_or_default(), timeline, diagnostics)
        } else {
            lease(&fields, &parameters, diagnostics)
        };
        let counted = summary.at(&["election", "count"]);
        let count = match counted {
            Some(node) => u64::from(count(node, 1..=COUNT_MAX, diagnostics)?),
            None => 1,
        };
        Some(Self { count, kind })
    }

    /// As many elections as were recorded, with the luck of one run.
    pub(crate) fn play(&self, streams: Streams) -> Figures {
        let (mut gaps, mut terms) = (Vec::new(), Vec::new());
        for nth in 0..self.count {
            match &self.kind {
                Kind::Lease { config, standby_count } => {
                    gaps.push(take_over(config, *standby_count, streams, nth));
                }
                Kind::Raft { config, member_count } => {
                    let elected = election(config, *member_count, streams, nth);
                    gaps.push(elected.after);
                    terms.push(f64::from(elected.term_count));
                }
            }
        }
        let mut gaps: Vec<f64> = gaps.iter().map(|gap| gap.as_secs_f64() * 1000.0).collect();
        gaps.sort_by(f64::total_cmp);
        terms.sort_by(f64::total_cmp);
        let mut figures = Figures::default();
        for (idx, term_count) in terms.iter().enumerate() {
            figures.number(format!("election.terms[{idx}]"), *term_count);
        }
        quantiles("election", &gaps, &mut figures);
        if !terms.is_empty() {
            // A leader that is elected commits an entry of its own and then writes.
            quantiles("election.firstWrite", &gaps, &mut figures);
        }
        figures
    }
}

pub(crate) fn quantiles(name: &str, sorted: &[f64], figures: &mut Figures) {
    let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else { return };
    #[expect(clippy::cast_precision_loss, reason = "elections are few")]
    let count = sorted.len() as f64;
    figures.number(format!("{name}.count"), count);
    figures.number(format!("{name}.minMs"), *least);
    figures.number(format!("{name}.maxMs"), *most);
    figures.number(format!("{name}.meanMs"), sorted.iter().sum::<f64>() / count);
    for (what, percent) in [("p25Ms", 25), ("medianMs", 50), ("p75Ms", 75), ("p90Ms", 90)] {
        let idx = (sorted.len() * percent / 100).min(sorted.len() - 1);
        figures.number(format!("{name}.{what}"), sorted[idx]);
    }
    for (idx, value) in sorted.iter().enumerate() {
        figures.number(format!("{name}.all[{idx}]"), *value);
    }
}

/// Members of etcd, of the version that the recording was of.
fn raft(
    parameters: &Fields<'_>,
    reference: &str,
    timeline: &Timeline,
    diagnostics: &mut Vec<Diagnostic>,
) -> Kind {
    let heartbeat = parameters.count("heartbeatIntervalMs", 100, 1..=MILLIS_MAX, diagnostics);
    // etcd refuses a timeout below five heartbeats (`server/embed/config.go`).
    let timeouts = heartbeat * 5..=MILLIS_MAX * 5;
    let timeout = parameters.count("electionTimeoutMs", heartbeat * 10, timeouts, diagnostics);
    // Pre-vote is on by default since 3.5 (`server/embed/config.go`).
    let mut old = ["etcd 3.0", "etcd 3.1", "etcd 3.2", "etcd 3.3", "etcd 3.4"].into_iter();
    let is_old = old.any(|version| reference.contains(version));
    // A cluster of an even number is none that anybody records: one was never the leader.
    let struck = timeline.struck_count().clamp(MEMBERS, MEMBERS_MAX) | 1;
    Kind::Raft {
        config: etcd::RaftConfig {
            tick: SimSpan::from_millis(u64::from(heartbeat)),
            election_ticks: u64::from(timeout / heartbeat),
            has_pre_vote: parameters.bool("preVote", !is_old, diagnostics),
        },
        member_count: parameters.count("members", struck, MEMBERS..=MEMBERS_MAX, diagnostics),
    }
}

/// Replicas of a component.
fn lease(
    scenario: &Fields<'_>,
    parameters: &Fields<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Kind {
    // What the parameters do not say, the flags of the components may.
    let flags = flags::read(scenario, diagnostics).parameters;
    let candidates = ["candidates", "replicas"].into_iter().find(|it| parameters.get(it).is_some());
    let candidates =
        candidates.map_or(2, |key| parameters.count(key, 2, 2..=MEMBERS_MAX, diagnostics));
    let mut span = |key: &str, key_of_seconds: &str, default: SimSpan| {
        let found = parameters.get(key).or_else(|| parameters.get(key_of_seconds));
        let Some(node) = found else { return default };
        // A number alone is one of seconds.
        let text = node.text().unwrap_or_default();
        let given = flags::span(text).or_else(|| flags::span(&format!("{text}s")));
        given.unwrap_or_else(|| {
            refuse(node, "a duration such as 15s, at most 30 days", diagnostics);
            default
        })
    };
    let lease = span("leaseDuration", "leaseDurationSeconds", flags.leader_lease_duration);
    let retry = span("retryPeriod", "retryPeriodSeconds", flags.leader_retry_period);
    Kind::Lease { config: ElectionConfig::new(lease, retry), standby_count: candidates - 1 }
}

/// From the death of a leader to another replica's name in the Lease. The leader renewed last within a
/// retry period; each of the others saw that at its next look, and the first to look when the Lease has
/// run out takes it.
fn take_over(config: &ElectionConfig, standby_count: u32, streams: Streams, nth: u64) -> SimSpan {
    let key = EntityKey::of("candidate").part(nth);
    let renewed_at = SimTime::ZERO;
    let kill = streams.draw(key, KILL, 0).span_between(SimSpan::ZERO, config.retry_period);
    let taken = (0..u64::from(standby_count)).map(|standby| {
        let key = if standby == 0 { key } else { key.part(standby) };
        let pause = |nth: u64| config.poll_pause(streams.draw(key, LOOK, nth));
        let first_look =
            renewed_at + streams.draw(key, LOOK, 0).span_between(SimSpan::ZERO, pause(1));
        takeover_at(first_look, config.lease, first_look, (2..40).map(pause))
    });
    let taken_at = taken.min().expect("somebody waits");
    taken_at.saturating_since(renewed_at + kill)
}

fn election(
    config: &etcd::RaftConfig,
    member_count: u32,
    streams: Streams,
    nth: u64,
) -> etcd::Elected {
    let (key, tick) = (EntityKey::of("etcd").part(nth), config.tick);
    // All followers heard the same last heartbeat.
    let heard_before = streams.draw(key, KILL, 0).span_between(SimSpan::ZERO, tick);
    let voters: Vec<Voter> = (1..u64::from(member_count))
        .map(|member| Voter {
            heard_before,
            next_tick: streams.draw(key.part(member), TICK, 0).span_between(SimSpan::ZERO, tick),
            has_leader: true,
        })
        .collect();
    etcd::elect(config, &voters, member_count as usize, |voter, occurrence| {
        streams.draw(key.part(voter as u64), TIMEOUT, occurrence)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Node {
        let (mut documents, diagnostics) = scenario_format::yaml::parse(0, text);
        assert_eq!(diagnostics, []);
        documents.remove(0)
    }

    #[test]
    fn what_a_scenario_does_not_say_follows_from_what_it_does() {
        let etcd = |version: &str, parameters: &str| {
            format!("{{recording: {{reference: etcd {version}}}, parameters: {{{parameters}}}}}")
        };
        let lease = |secs: u64, retry: u64| {
            let config = ElectionConfig::new(SimSpan::from_secs(secs), SimSpan::from_secs(retry));
            Kind::Lease { config, standby_count: 1 }
        };
        let raft = |has_pre_vote, member_count| Kind::Raft {
            config: etcd::RaftConfig { has_pre_vote, ..etcd::RaftConfig::default() },
            member_count,
        };
        let none = "";
        let five = r#"{"t":1,"k":"fault","op":"kill","nodes":["m1","m3"]}
            {"t":2,"k":"fault","op":"kill","nodes":["m5","m2"]}"#;
        let cases = [
            ("{seed: 3}".to_owned(), none, lease(15, 2)),
            ("{parameters: {component: kube-scheduler}}".to_owned(), none, lease(15, 2)),
            ("{parameters: {leaseDuration: 60, retryPeriod: 5s}}".to_owned(), none, lease(60, 5)),
            ("{parameters: {leaseDurationSeconds: 30}}".to_owned(), none, lease(30, 2)),
            (etcd("3.4.23", "electionTimeoutMs: 1000"), none, raft(false, 3)),
            (etcd("3.6.1", "heartbeatIntervalMs: 100"), none, raft(true, 3)),
            (etcd("3.6.1", "preVote: false"), none, raft(false, 3)),
            (etcd("3.6.1", "members: 7"), none, raft(true, 7)),
            (etcd("3.6.1", ""), five, raft(true, 5)),
        ];
        for (scenario, timeline, expected) in cases {
            let mut diagnostics = Vec::new();
            let timeline = Timeline::of(timeline);
            let read =
                Elections::read(&parsed(&scenario), &parsed("{}"), &timeline, &mut diagnostics);
            assert_eq!(diagnostics, [], "{scenario}");
            let kind = read.map(|it| format!("{:?}", it.kind));
            assert_eq!(kind, Some(format!("{expected:?}")), "{scenario}");
        }
    }

    #[test]
    fn flags_say_what_parameters_do_not() {
        let scenario = "{flags: {kube-controller-manager: [--leader-elect-lease-duration=60s, \
                        --leader-elect-retry-period=5s]}, parameters: {candidates: 4}}";
        let mut diagnostics = Vec::new();
        let read =
            Elections::read(&parsed(scenario), &parsed("{}"), &Timeline::of(""), &mut diagnostics);
        assert_eq!(diagnostics, []);
        let config = ElectionConfig::new(SimSpan::from_secs(60), SimSpan::from_secs(5));
        let expected = Kind::Lease { config, standby_count: 3 };
        assert_eq!(read.map(|it| format!("{:?}", it.kind)), Some(format!("{expected:?}")));
    }

    /// The first of the others that looks takes the lease.
    #[test]
    fn more_candidates_take_over_sooner() {
        let mean = |candidates: u32| {
            let text = format!("{{parameters: {{candidates: {candidates}}}}}");
            let summary = parsed("{election: {count: 200}}");
            let timeline = Timeline::of("");
            let read = Elections::read(&parsed(&text), &summary, &timeline, &mut Vec::new());
            read.expect("it is one").play(Streams::new(1, 0)).numbers["election.meanMs"]
        };
        assert!(mean(2) > mean(3) && mean(3) > mean(6));
    }

    /// The time-out is the least of all followers, so that more of them elect sooner.
    #[test]
    fn more_members_elect_sooner() {
        let mean = |members: u32| {
            let text = format!("{{parameters: {{members: {members}}}}}");
            let summary = parsed("{election: {count: 200}}");
            let mut diagnostics = Vec::new();
            let timeline = Timeline::of("");
            let read = Elections::read(&parsed(&text), &summary, &timeline, &mut diagnostics);
            read.expect("it is one").play(Streams::new(1, 0)).numbers["election.meanMs"]
        };
        assert!(mean(3) > mean(5) && mean(5) > mean(9));
    }
}
