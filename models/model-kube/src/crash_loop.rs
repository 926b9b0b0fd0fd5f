//! When the kubelet restarts a container that ended.
//!
//! # Modelled
//! The back-off of one container: none before the first restart, then 10 s doubling to a maximum,
//! and its end after a long run; which end it counts from when the kubelet killed the container.
//! # Not modelled
//! Per-container restart rules (`ContainerRestartRules`).
//! # Defaults and their sources
//! `pkg/kubelet/kuberuntime/kuberuntime_manager.go` (doBackOff),
//! `client-go/util/flowcontrol/backoff.go`, Kubernetes 1.36.
//! # Invariants
//! A delay is never longer than the maximum.
//! # Checked against
//! `conformance/nodes-crashloop.yaml`.

use model_api::Parameters;
use sim_kernel::{SimSpan, SimTime};

/// Delays of a back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffConfig {
    /// First delay.
    pub initial: SimSpan,
    /// Longest delay.
    pub longest: SimSpan,
    /// A container that ran for longer since its last restart starts anew.
    pub reset_after: SimSpan,
}

impl BackoffConfig {
    /// The kubelet's, among all parameters.
    pub fn of(parameters: &Parameters) -> Self {
        Self {
            initial: parameters.crash_loop_initial,
            longest: parameters.crash_loop_max,
            reset_after: parameters.crash_loop_reset,
        }
    }
}

/// Default of `crashLoopBackOff.maxContainerRestartPeriod` (`pkg/kubelet/apis/config/v1beta1/defaults.go`).
const MAX_RESTART_PERIOD: SimSpan = SimSpan::from_secs(300);

/// Gates and settings of the kubelet that change its back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffGates {
    /// `KubeletCrashLoopBackOffMax`: on since 1.35.
    pub is_max_configurable: bool,
    /// `crashLoopBackOff.maxContainerRestartPeriod`.
    pub max_restart_period: Option<SimSpan>,
    /// `ReduceDefaultCrashLoopBackOffDecay`: off.
    pub is_decay_reduced: bool,
}

impl Default for BackoffGates {
    fn default() -> Self {
        Self { is_max_configurable: true, max_restart_period: None, is_decay_reduced: false }
    }
}

impl BackoffConfig {
    /// The delays that gates and settings give (kubelet.go, newCrashLoopBackOff).
    pub fn of_gates(gates: &BackoffGates) -> Self {
        let (initial_secs, longest_secs) = if gates.is_decay_reduced { (1, 60) } else { (10, 300) };
        // The setting has a default, so that its gate alone sets the longest delay.
        let longest = if gates.is_max_configurable {
            gates.max_restart_period.unwrap_or(MAX_RESTART_PERIOD)
        } else {
            SimSpan::from_secs(longest_secs)
        };
        Self {
            initial: SimSpan::from_secs(initial_secs).min(longest),
            longest,
            reset_after: SimSpan::from_secs(600),
        }
    }
}

/// The back-off entry of one container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    delay: SimSpan,
    updated_at: SimTime,
}

impl Backoff {
    /// The delay in force.
    pub const fn delay(self) -> SimSpan {
        self.delay
    }

    /// Notes a restart at `now` of what ended at `ended_at` (`Backoff.Next`): the first one, or
    /// one long after the last, sets the initial delay; any other doubles it.
    pub fn next(&mut self, ended_at: SimTime, now: SimTime, config: &BackoffConfig) {
        self.delay = if self.delay.is_zero() || self.is_expired(ended_at, config) {
            config.initial.min(config.longest)
        } else {
            self.delay.saturating_mul(2).min(config.longest)
        };
        self.updated_at = now;
    }

    /// Whether a container that ended at `ended_at` must wait at `now`
    /// (`Backoff.IsInBackOffSince`).
    pub fn is_waiting(&self, ended_at: SimTime, now: SimTime, config: &BackoffConfig) -> bool {
        !self.is_expired(ended_at, config) && now.saturating_since(ended_at) < self.delay
    }

    /// Lets a container that ended at `ended_at` restart and returns when: at once, or after the
    /// delay in force.
    ///
    /// Simplified: at that very moment. The pod worker that carries it out comes up to half of the
    /// delay (at most 30 s) later; the caller adds that, drawn.
    pub fn restart_at(&mut self, ended_at: SimTime, config: &BackoffConfig) -> SimTime {
        let waits = self.is_waiting(ended_at, ended_at, config);
        let at = if waits { ended_at + self.delay } else { ended_at };
        self.next(ended_at, at, config);
        at
    }

    /// The same for a container that the kubelet ends itself at `now`, as a probe failed. It starts it
    /// again in the same sync, which knows the end of the container before (`former_end`), not this
    /// one (kuberuntime_manager.go, SyncPod with the status from before the kill): unless the back-off
    /// runs since then, there is none.
    pub fn restart_after_kill(
        &mut self,
        former_end: Option<SimTime>,
        now: SimTime,
        config: &BackoffConfig,
    ) -> SimTime {
        match former_end {
            None => now,
            Some(end) if self.is_waiting(end, now, config) => self.restart_at(now, config),
            Some(end) => {
                self.next(end, now, config);
                now
            }
        }
    }

    /// Whether at `now` the delay still runs that began with the last entry
    /// (`Backoff.IsInBackOffSinceUpdate`).
    pub fn runs_at(&self, now: SimTime, config: &BackoffConfig) -> bool {
        !self.is_expired(now, config) && now.saturating_since(self.updated_at) < self.delay
    }

    fn is_expired(&self, event_at: SimTime, config: &BackoffConfig) -> bool {
        event_at.saturating_since(self.updated_at) > config.reset_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_waits_for_the_end_before_it() {
        let config = BackoffConfig::of(&Parameters::default());
        let mut backoff = Backoff::default();
        let (mut former, mut now) = (None, SimTime::from_secs(1000));
        let mut waits = Vec::new();
        // Each container runs for 35 s until it is killed.
        for _ in 0..6 {
            now += SimSpan::from_secs(35);
            let at = backoff.restart_after_kill(former, now, &config);
            former = Some(now);
            waits.push((at - now).as_secs());
            now = at;
        }
        // The delays in force are 0, 0, 10, 20, 40 (over the 35 s that it ran), 80.
        assert_eq!(waits, [0, 0, 0, 0, 40, 80]);
    }

    #[test]
    fn delays_double_to_five_minutes_and_a_long_run_starts_over() {
        let config = BackoffConfig::of(&Parameters::default());
        let mut backoff = Backoff::default();
        let mut now = SimTime::from_secs(1000);
        let mut delays = Vec::new();
        for run_secs in [0, 0, 0, 0, 0, 0, 0, 0, 601, 0] {
            let ended_at = now + SimSpan::from_secs(run_secs);
            now = backoff.restart_at(ended_at, &config);
            delays.push((now - ended_at).as_secs());
        }
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300, 0, 10]);
    }

    #[test]
    fn the_edges_of_a_delay_and_of_a_long_run() {
        let config = BackoffConfig::of(&Parameters::default());
        let (end, delay) = (SimTime::from_secs(1000), SimSpan::from_secs(10));
        let mut backoff = Backoff::default();
        backoff.next(end, end, &config);
        let before = end + delay - SimSpan::from_nanos(1);
        assert!(backoff.is_waiting(end, before, &config));
        assert!(!backoff.is_waiting(end, end + delay, &config), "it is over at its end");
        // A run of exactly ten minutes is not long enough to start over.
        let later = end + config.reset_after;
        let mut long = backoff;
        assert_eq!(long.restart_at(later, &config), later + delay);
        let after = later + SimSpan::from_nanos(1);
        assert_eq!(backoff.restart_at(after, &config), after);
    }
}
