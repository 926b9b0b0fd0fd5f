//! Recordings of elections: a leader is killed again and again.

use model_api::{SimSpan, SimTime};
use model_kube::etcd::{self, Voter};
use model_kube::leader_election::{ElectionConfig, takeover_at};
use scenario_format::Diagnostic;
use scenario_format::yaml::Node;
use sim_kernel::{EntityKey, Purpose, Streams};

use crate::fields::{Fields, count, refuse};
use crate::figures::Figures;
use crate::stage::flags;

const KILL: Purpose = Purpose::new("leader is killed");
const LOOK: Purpose = Purpose::new("candidate look");
const TICK: Purpose = Purpose::new("raft tick phase");
const TIMEOUT: Purpose = Purpose::new("raft election timeout");

/// Members of the recorded etcd clusters.
const MEMBERS: usize = 3;

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
    /// Two replicas of a component and their Lease.
    Lease(ElectionConfig),
    /// Members of etcd.
    Raft { tick: SimSpan, election_ticks: u64, has_pre_vote: bool },
}

impl Elections {
    pub(crate) fn read(
        scenario: &Node,
        summary: &Node,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        const KEYS: &[&str] =
            &["description", "duration", "flags", "id", "kind", "parameters", "recording"];
        const PARAMETERS: &[&str] = &[
            "electionTimeoutMs",
            "heartbeatIntervalMs",
            "leaseDuration",
            "preVote",
            "renewDeadline",
            "retryPeriod",
        ];
        let fields = Fields::of(scenario, "a trace's scenario", KEYS, diagnostics);
        let node = fields.need("parameters", diagnostics)?;
        let parameters = Fields::of(node, "`parameters`", PARAMETERS, diagnostics);
        let kind = if parameters.get("heartbeatIntervalMs").is_some() {
            let heartbeat =
                parameters.count("heartbeatIntervalMs", 100, 1..=MILLIS_MAX, diagnostics);
            // etcd refuses a timeout below five heartbeats (`server/embed/config.go`).
            let timeouts = heartbeat * 5..=MILLIS_MAX * 5;
            let timeout =
                parameters.count("electionTimeoutMs", heartbeat * 10, timeouts, diagnostics);
            Kind::Raft {
                tick: SimSpan::from_millis(u64::from(heartbeat)),
                election_ticks: u64::from(timeout / heartbeat),
                has_pre_vote: parameters.bool("preVote", true, diagnostics),
            }
        } else {
            let mut span = |key: &str, default: u64| {
                let default = SimSpan::from_secs(default);
                let Some(node) = parameters.get(key) else { return default };
                flags::span(node.text().unwrap_or_default()).unwrap_or_else(|| {
                    refuse(node, "a duration such as 15s, at most 30 days", diagnostics);
                    default
                })
            };
            let (lease, retry) = (span("leaseDuration", 15), span("retryPeriod", 2));
            Kind::Lease(ElectionConfig::new(lease, retry))
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
                Kind::Lease(config) => gaps.push(take_over(config, streams, nth)),
                Kind::Raft { tick, election_ticks, has_pre_vote } => {
                    let elected = election(*tick, *election_ticks, *has_pre_vote, streams, nth);
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

fn quantiles(name: &str, sorted: &[f64], figures: &mut Figures) {
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

/// From the death of a leader to the other replica's name in the Lease. The leader renewed last
/// within a retry period; the other one saw that at its next look.
fn take_over(config: &ElectionConfig, streams: Streams, nth: u64) -> SimSpan {
    let key = EntityKey::of("candidate").part(nth);
    let renewed_at = SimTime::ZERO;
    let kill = streams.draw(key, KILL, 0).span_between(SimSpan::ZERO, config.retry_period);
    let pause = |nth: u64| config.poll_pause(streams.draw(key, LOOK, nth));
    let first_look = renewed_at + streams.draw(key, LOOK, 0).span_between(SimSpan::ZERO, pause(1));
    let taken_at = takeover_at(first_look, config.lease, first_look, (2..40).map(pause));
    taken_at.saturating_since(renewed_at + kill)
}

fn election(
    tick: SimSpan,
    election_ticks: u64,
    has_pre_vote: bool,
    streams: Streams,
    nth: u64,
) -> etcd::Elected {
    let key = EntityKey::of("etcd").part(nth);
    // Both followers heard the same last heartbeat.
    let heard_before = streams.draw(key, KILL, 0).span_between(SimSpan::ZERO, tick);
    let voters: Vec<Voter> = (1..MEMBERS as u64)
        .map(|member| Voter {
            heard_before,
            next_tick: streams.draw(key.part(member), TICK, 0).span_between(SimSpan::ZERO, tick),
            has_leader: true,
        })
        .collect();
    let config = etcd::RaftConfig { tick, election_ticks, has_pre_vote };
    etcd::elect(&config, &voters, MEMBERS, |voter, occurrence| {
        streams.draw(key.part(voter as u64), TIMEOUT, occurrence)
    })
}
