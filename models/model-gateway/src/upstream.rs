//! When a gateway learns of endpoints, and when its checks turn on one: pure functions.
//!
//! # Modelled
//! The ingress controller reads EndpointSlices on its own grid and hands the gateway a new list, which
//! its workers take over on theirs. Active checks of a pod: one each interval, another one for pods
//! that are found unhealthy; how many must fail by time-out, or succeed. Passive checks: requests that
//! time out.
//! # Not modelled
//! Checks that fail with a status; `concurrency`; thresholds of TCP failures, because a pod that
//! refuses connections costs a gateway no time. Simplified: all pods and workers of a gateway check and
//! take over at the same moments.
//! # Defaults and their sources
//! `--proxy-sync-seconds` 3 of Kong Ingress Controller 3; `worker_state_update_frequency` 5 of Kong 3
//! (`kong.conf.default`); checks as in `lua-resty-healthcheck` 3 (`healthcheck.lua`: a timer for each
//! list runs a check of all its targets once an interval is over).
//! # Invariants
//! What is noticed is noticed after it happened.
//! # Checked against
//! GW-5 of the specification of platform services.

use model_api::gateway::ActiveChecks;
use sim_kernel::{SimSpan, SimTime};

use crate::balancer::next_on_grid;

/// When active checks find a pod unhealthy that is silent from `at` on; `None` when they never do.
pub fn found_silent_at(checks: &ActiveChecks, grid: SimTime, at: SimTime) -> Option<SimTime> {
    if checks.healthy_interval.is_zero() || checks.timeouts == 0 {
        return None;
    }
    let first = next_on_grid(grid, checks.healthy_interval, at);
    let rest = checks.healthy_interval.saturating_mul(u64::from(checks.timeouts - 1));
    Some(first.saturating_add(rest).saturating_add(checks.timeout))
}

/// When active checks find a pod healthy again that answers from `at` on; `None` when they never do.
pub fn found_live_at(checks: &ActiveChecks, grid: SimTime, at: SimTime) -> Option<SimTime> {
    if checks.unhealthy_interval.is_zero() || checks.successes == 0 {
        return None;
    }
    let first = next_on_grid(grid, checks.unhealthy_interval, at);
    let rest = checks.unhealthy_interval.saturating_mul(u64::from(checks.successes - 1));
    Some(first.saturating_add(rest))
}

/// After how long passive checks find a pod unhealthy that is silent, when so many requests must time
/// out, each after `connect_timeout`, and so many per 1000 s come to it; `None` when they never do.
pub fn noticed_after(
    timeouts: u32,
    connect_timeout: SimSpan,
    rate_millirps: u64,
) -> Option<SimSpan> {
    if timeouts == 0 || rate_millirps == 0 {
        return None;
    }
    let requests_ns = u128::from(timeouts) * 1_000_000_000_000 / u128::from(rate_millirps);
    let requests = SimSpan::from_nanos(u64::try_from(requests_ns).unwrap_or(u64::MAX));
    Some(requests.saturating_add(connect_timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_turn_after_as_many_intervals_as_they_must() {
        let secs = SimSpan::from_secs;
        let checks = ActiveChecks {
            healthy_interval: secs(5),
            unhealthy_interval: secs(10),
            timeout: secs(1),
            timeouts: 3,
            successes: 2,
        };
        let at = SimTime::from_secs;
        assert_eq!(found_silent_at(&checks, at(2), at(100)), Some(at(113)));
        assert_eq!(found_live_at(&checks, at(2), at(100)), Some(at(112)));
        let blind = ActiveChecks { timeouts: 0, successes: 0, ..checks };
        assert_eq!(found_silent_at(&blind, at(2), at(100)), None);
        assert_eq!(found_live_at(&blind, at(2), at(100)), None);
    }

    #[test]
    fn passive_checks_wait_for_requests_and_their_time() {
        let after = |timeouts, rate| noticed_after(timeouts, SimSpan::from_secs(2), rate);
        assert_eq!(after(5, 10_000), Some(SimSpan::from_millis(2_500)));
        assert_eq!((after(0, 10_000), after(5, 0)), (None, None));
    }
}
