//! How many requests a controller's API client sends.
//!
//! # Modelled
//! The token bucket of client-go in closed form: when a request may go out.
//! # Not modelled
//! What an API server does with too many requests: [`crate::priority_and_fairness`].
//! # Defaults and their sources
//! [`model_api::Parameters::controller_client`], for each controller of kube-controller-manager;
//! [`model_api::Parameters::scheduler_client`].
//! # Invariants
//! In any second no more than the burst and the rate together go out.
//! # Checked against
//! The recorded loss of a zone of twenty nodes.

use model_api::parameters::ClientRate;
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
    /// A full bucket.
    pub fn of(rate: ClientRate) -> Self {
        let second = SimSpan::from_secs(1);
        let interval = rate.per_1000_secs.map_or(SimSpan::ZERO, |rate| second * 1000 / rate.max(1));
        Self { interval, burst: rate.burst, full_at: SimTime::ZERO }
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
        let mut limiter = ClientLimiter::of(ClientRate::per_second(20, 30));
        let now = SimTime::from_secs(10);
        let sent: Vec<u64> = (0..33).map(|_| (limiter.reserve(now) - now).as_millis()).collect();
        assert_eq!(sent[29..], [0, 50, 100, 150]);
        assert_eq!(limiter.reserve(SimTime::from_secs(20)), SimTime::from_secs(20));
    }

    #[test]
    fn a_client_without_a_limit_never_waits() {
        let mut limiter = ClientLimiter::of(ClientRate { per_1000_secs: None, burst: 1 });
        let now = SimTime::from_secs(10);
        assert!((0..99).all(|_| limiter.reserve(now) == now));
    }
}
