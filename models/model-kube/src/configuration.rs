//! When a kubelet tries again to configure a container whose Secret, ConfigMap or vault is not there.
//!
//! # Modelled
//! Tries one after the other, by the way that the configuration takes: into the environment
//! (`CreateContainerConfigError`) by the pod worker, into a volume (`FailedMount`) by the volume manager, by
//! an agent that a vault injected (the pod waits for its init container).
//! # Not modelled
//! Agents that end on their own (`exit_after_auth` succeeds or goes on).
//! # Defaults and their sources
//! `pkg/kubelet/pod_workers.go` (`workerBackOffPeriodJitterFactor` 0.5) and `pkg/kubelet/kubelet.go`
//! (`backOffPeriod` 10 s); `pkg/util/goroutinemap/exponentialbackoff` (500 ms, doubled up to 2 min 2 s),
//! Kubernetes 1.36. `command/agentproxyshared/auth/auth.go` of Vault 1.21 (`min_backoff` 1 s, `max_backoff`
//! 5 min, doubled, less up to a quarter).
//! # Invariants
//! No try succeeds before what it needs is there.
//! # Checked against
//! The tests below; `tests/it/sources.rs`.

use model_api::observation::ConfigurationWay;
use sim_kernel::{Draw, SimSpan, SimTime};

const WORKER_PAUSE: SimSpan = SimSpan::from_secs(10);
const MOUNT_LEAST: SimSpan = SimSpan::from_millis(500);
const MOUNT_MOST: SimSpan = SimSpan::from_secs(122);
const AGENT_LEAST: SimSpan = SimSpan::from_secs(1);
const AGENT_MOST: SimSpan = SimSpan::from_secs(300);
/// Doubled so often, the shortest pause is longer than the longest one.
const DOUBLINGS_MAX: u64 = 9;

/// The pause after a try that failed, from the number of those before it.
fn pause(way: ConfigurationWay, nth: u64, draw: Draw) -> SimSpan {
    let doubled = |least: SimSpan, most| (least * (1 << nth.min(DOUBLINGS_MAX))).min(most);
    match way {
        ConfigurationWay::Environment => draw.jitter(WORKER_PAUSE, 0.5),
        ConfigurationWay::Volume => doubled(MOUNT_LEAST, MOUNT_MOST),
        ConfigurationWay::Agent => {
            let whole = doubled(AGENT_LEAST, AGENT_MOST);
            draw.span_between(whole * 3 / 4, whole)
        }
    }
}

/// The first try at or after `there_at`, when the first one was made at `start`.
pub fn try_at_or_after(
    way: ConfigurationWay,
    start: SimTime,
    there_at: SimTime,
    draw: impl Fn(u64) -> Draw,
) -> SimTime {
    let (mut at, mut nth) = (start, 0);
    while at < there_at {
        at += pause(way, nth, draw(nth));
        nth += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use sim_kernel::{EntityKey, Purpose, Streams};

    use super::*;

    fn tried(way: ConfigurationWay, secs: u64) -> f64 {
        let streams = Streams::new(1, 0);
        let draw = |nth| streams.draw(EntityKey::of("pod"), Purpose::new("try"), nth);
        let start = SimTime::from_secs(100);
        let at = try_at_or_after(way, start, start + SimSpan::from_secs(secs), draw);
        (at - start).as_secs_f64()
    }

    #[test]
    fn the_environment_is_looked_at_again_every_ten_to_fifteen_seconds() {
        for secs in 1..200 {
            let late = tried(ConfigurationWay::Environment, secs) - secs as f64;
            assert!((0.0..15.0).contains(&late), "{secs}: {late}");
        }
    }

    #[test]
    fn mounts_are_tried_ever_more_slowly() {
        assert_eq!(tried(ConfigurationWay::Volume, 0), 0.0);
        assert_eq!(tried(ConfigurationWay::Volume, 1), 1.5);
        assert_eq!(tried(ConfigurationWay::Volume, 60), 63.5);
        // From 127.5 s on every 122 s.
        assert_eq!(tried(ConfigurationWay::Volume, 128), 127.5 + 122.0);
    }

    #[test]
    fn an_agent_waits_five_minutes_at_most() {
        for secs in [1, 10, 100, 1000, 5000] {
            let late = tried(ConfigurationWay::Agent, secs) - secs as f64;
            assert!((0.0..300.0).contains(&late), "{secs}: {late}");
        }
    }
}
