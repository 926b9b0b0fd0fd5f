//! When a load balancer notices something: pure functions of its settings and of phases.
//!
//! # Modelled
//! Checks of members, as HAProxy makes them: the next one begins its interval after the last one
//! ended, and a node that is silent keeps one busy for as long as a connection may take. The standby
//! machine that hears no advertisement. The health manager that hears no heartbeat.
//! # Not modelled
//! Nodes that refuse connections instead of being silent; a router that answers for a node that is
//! gone; the reload of HAProxy when a member is added, after which all members count as up for a
//! while. Simplified: a check that is under way while a node comes back fails.
//! # Defaults and their sources
//! `process_chk_conn` of HAProxy 2.8 (`src/check.c`: a check is scheduled anew when it ends) and its
//! `tcpcheck_main` (a connection may take no longer than `inter` and `timeout connect`); the settings
//! that Octavia 14 writes (`macros.j2`: `check inter … fall … rise …`). keepalived: RFC 3768, 6.1.
//! `octavia/controller/healthmanager/health_manager.py` and `get_stale_amphora`, Octavia 14.
//! # Invariants
//! What is noticed is noticed after it happened.
//! # Checked against
//! GW-3: a pair takes over after 3 to 4 s, a single machine is away for 2 to 5 min. With the defaults
//! a silent node is found down after 25 to 30 s: GW-4 says 15 to 18 s, which leaves out that a check
//! of a silent node takes as long as a connection may.

use model_api::gateway::{Failover, HealthMonitor, Vrrp};
use sim_kernel::{SimSpan, SimTime};

/// The first moment of a grid from `origin` on, with this period, that is not before `at`.
pub fn next_on_grid(origin: SimTime, period: SimSpan, at: SimTime) -> SimTime {
    let period_ns = period.as_nanos().max(1);
    let since = at.saturating_since(origin).as_nanos();
    origin.saturating_add(SimSpan::from_nanos(since.div_ceil(period_ns).saturating_mul(period_ns)))
}

/// How long a check of a silent node takes.
pub fn vain_check(monitor: &HealthMonitor, connect_timeout: SimSpan) -> SimSpan {
    monitor.delay.min(connect_timeout)
}

/// When a node is found down that is silent since then; `first` is the first check that it does not
/// answer.
pub fn down_at(monitor: &HealthMonitor, connect_timeout: SimSpan, first: SimTime) -> SimTime {
    let vain = vain_check(monitor, connect_timeout);
    let between = vain.saturating_add(monitor.delay);
    let rest = between.saturating_mul(u64::from(monitor.fall.max(1) - 1));
    first.saturating_add(rest).saturating_add(vain)
}

/// The first check that a node answers that is back at `at`, when `first` is the first that it did
/// not answer.
pub fn next_after_silence(
    monitor: &HealthMonitor,
    connect_timeout: SimSpan,
    first: SimTime,
    at: SimTime,
) -> SimTime {
    if at <= first {
        return first;
    }
    let between = vain_check(monitor, connect_timeout).saturating_add(monitor.delay);
    next_on_grid(first, between, at)
}

/// When a node that was down counts as well again whose first good check is at `good`.
pub fn up_at(monitor: &HealthMonitor, good: SimTime) -> SimTime {
    good.saturating_add(monitor.delay.saturating_mul(u64::from(monitor.rise.max(1) - 1)))
}

/// When the machine that stands by takes over, after the one that holds the address was lost `since`
/// after its last advertisement: three intervals and the skew of its priority after that.
pub fn takeover_after(vrrp: &Vrrp, since: SimSpan) -> SimSpan {
    let skew_ns = u64::from(256 - vrrp.standby_priority.min(256)) * 1_000_000_000 / 256;
    let silent = vrrp.advert_interval.saturating_mul(3);
    silent.saturating_add(SimSpan::from_nanos(skew_ns)).saturating_sub(since)
}

/// When the health manager gives a machine up whose last heartbeat was at `heard`, when it looks on
/// this grid.
pub fn given_up_at(failover: &Failover, heard: SimTime, looks_from: SimTime) -> SimTime {
    let stale = heard.saturating_add(failover.heartbeat_timeout);
    let look = next_on_grid(looks_from, failover.check_interval, stale);
    // Stale is what is older than the time-out, not what is just as old.
    if look == stale { look.saturating_add(failover.check_interval) } else { look }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECT: SimSpan = SimSpan::from_secs(5);

    fn secs(at: u64) -> SimTime {
        SimTime::from_secs(at)
    }

    #[test]
    fn a_silent_node_is_down_after_as_many_checks_that_each_take_their_time() {
        let monitor = HealthMonitor::default();
        // 5 s in vain, 5 s pause, three times.
        assert_eq!(down_at(&monitor, CONNECT, secs(100)), secs(125));
        let quick = HealthMonitor { fall: 1, ..monitor };
        assert_eq!(down_at(&quick, CONNECT, secs(100)), secs(105));
        let slow = HealthMonitor { delay: SimSpan::from_secs(30), ..monitor };
        assert_eq!(down_at(&slow, CONNECT, secs(100)), secs(175), "a connection takes 5 s at most");
        let hasty = SimSpan::from_secs(1);
        assert_eq!(down_at(&monitor, hasty, secs(100)), secs(113));
    }

    #[test]
    fn a_node_is_up_when_a_check_meets_it() {
        let monitor = HealthMonitor { rise: 3, ..HealthMonitor::default() };
        for (back, good) in [(99, 100), (100, 100), (101, 110), (110, 110), (111, 120)] {
            let seen = next_after_silence(&monitor, CONNECT, secs(100), secs(back));
            assert_eq!(seen, secs(good), "back at {back}");
            assert_eq!(up_at(&monitor, seen), secs(good + 10));
        }
    }

    #[test]
    fn a_standby_takes_over_after_three_to_four_seconds() {
        let vrrp = Vrrp::default();
        let after = |millis| takeover_after(&vrrp, SimSpan::from_millis(millis)).as_secs_f64();
        assert!((after(0) - 3.648).abs() < 1e-3 && (after(1000) - 2.648).abs() < 1e-3);
    }

    #[test]
    fn a_machine_is_given_up_at_the_first_look_after_its_time() {
        let failover = Failover::default();
        assert_eq!(given_up_at(&failover, secs(10), secs(2)), secs(71));
        assert_eq!(given_up_at(&failover, secs(10), secs(1)), secs(73), "just as old is not older");
        assert_eq!(given_up_at(&failover, secs(12), secs(1)), secs(73));
    }
}
