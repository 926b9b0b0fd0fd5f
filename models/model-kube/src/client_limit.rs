//! How many requests a controller's API client sends.
//!
//! # Modelled
//! The token bucket of client-go in closed form: when a request may go out.
//! # Not modelled
//! What an API server does with too many requests: [`crate::priority_and_fairness`].
//! # Defaults and their sources
//! `--kube-api-qps` 20 and `--kube-api-burst` 30 of kube-controller-manager, for each of its
//! controllers (pkg/controller/apis/config/v1alpha1/defaults.go, 1.36); 50 and 100 of the scheduler.
//! # Invariants
//! In any second no more than the burst and the rate together go out.
//! # Checked against
//! The recorded loss of a zone of twenty nodes.

use sim_kernel::{SimSpan, SimTime};

/// A token bucket that is asked in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimiter {
    interval: SimSpan,
    burst: u64,
    /// When the bucket would be full again.
    full_at: SimTime,
}

impl ClientLimiter {
    /// A full bucket of `burst` tokens, `rate` of which come back every second.
    pub fn new(rate: u64, burst: u64) -> Self {
        Self { interval: SimSpan::from_secs(1) / rate, burst, full_at: SimTime::ZERO }
    }

    /// The client of one controller of kube-controller-manager.
    pub fn of_controller() -> Self {
        Self::new(20, 30)
    }

    /// The client of kube-scheduler.
    pub fn of_scheduler() -> Self {
        Self::new(50, 100)
    }

    /// When a request that is made now goes out.
    pub fn reserve(&mut self, now: SimTime) -> SimTime {
        let full_at = self.full_at.max(now) + self.interval;
        self.full_at = full_at;
        full_at.saturating_sub(self.interval * self.burst).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut limiter = ClientLimiter::of_controller();
        let now = SimTime::from_secs(10);
        let sent: Vec<u64> = (0..33).map(|_| (limiter.reserve(now) - now).as_millis()).collect();
        assert_eq!(sent[29..], [0, 50, 100, 150]);
        assert_eq!(limiter.reserve(SimTime::from_secs(20)), SimTime::from_secs(20));
    }
}
