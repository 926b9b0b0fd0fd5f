//! Paths of single requests, for measuring the engine that plays them.

use model_api::kube::Service;
use model_api::load::{Clients, Load, LoadPoint, ServiceProfile};
use model_api::path::{CallPolicy, Serving};
use model_api::{Blueprint, Origin, ServiceId, SimSpan, SimTime};
use model_load::Requests;
use sim_kernel::Streams;

/// A chain of Services, each with as many workers, each calling the next.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    /// Services that a request passes.
    pub hops: u32,
    /// Workers of each.
    pub workers: u32,
    /// Requests per second that come from outside.
    pub rps: u64,
    /// Share of its workers that each Service needs for them.
    pub utilization: f64,
    /// How each call is made, that of the clients included.
    pub policy: CallPolicy,
    /// One in so many endpoints of the last Service is dead; none when zero.
    pub dead_one_in: u32,
}

impl Chain {
    /// One M/M/c service: 16 workers, 80 % busy.
    pub const SINGLE: Self = Self {
        hops: 1,
        workers: 16,
        rps: 100_000,
        utilization: 0.8,
        policy: NO_POLICY,
        dead_one_in: 0,
    };

    /// Three hops with time-outs, retries and a retry budget; a hundredth of the endpoints of the
    /// last one is dead, so that there is something to retry.
    pub fn three_hops() -> Self {
        Self {
            hops: 3,
            policy: CallPolicy {
                timeout: Some(SimSpan::from_millis(50)),
                retries: 3,
                backoff: SimSpan::from_millis(5),
                retry_budget_ppm: Some(200_000),
                breaker: None,
                is_parallel: false,
                cache: None,
            },
            dead_one_in: 100,
            ..Self::SINGLE
        }
    }

    /// Everything that there is, at time zero, with endpoints.
    ///
    /// # Panics
    /// Never: a chain has no circle.
    pub fn requests(&self, seed: u64) -> Requests {
        let mut requests =
            Requests::new(&self.blueprint(), Streams::new(seed, 0)).expect("a chain has no circle");
        let capacity = self.rps as f64 / self.utilization * 1000.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "far below")]
        let capacity = capacity as u64;
        for hop in 0..self.hops {
            let is_last = hop + 1 == self.hops && self.dead_one_in > 0;
            let (ready, live) =
                if is_last { (self.dead_one_in, self.dead_one_in - 1) } else { (1, 1) };
            requests.set_endpoints(ServiceId(hop), ready, live, capacity);
        }
        requests
    }

    fn blueprint(&self) -> Blueprint {
        let profile = |hop: u32| {
            let depends_on: Vec<ServiceId> =
                (hop + 1 < self.hops).then(|| ServiceId(hop + 1)).into_iter().collect();
            ServiceProfile {
                service: ServiceId(hop),
                cpu_per_request: SimSpan::from_millis(1),
                base_latency: SimSpan::from_millis(1),
                policies: vec![self.policy; depends_on.len()],
                depends_on,
                upstream: NO_POLICY,
                writes_to: Vec::new(),
                serving: Serving { workers: self.workers, ..Serving::default() },
                readiness: model_api::path::Readiness::default(),
                origin: Origin::default(),
            }
        };
        Blueprint {
            services: (0..self.hops).map(|_| Service::default()).collect(),
            profiles: (0..self.hops).map(profile).collect(),
            loads: vec![Load {
                service: ServiceId(0),
                via: None,
                clients: Clients::default(),
                client: self.policy,
                users: None,
                points: vec![LoadPoint { at: SimTime::ZERO, rate_millirps: self.rps * 1000 }],
                origin: Origin::default(),
            }],
            ..Blueprint::default()
        }
    }
}

const NO_POLICY: CallPolicy = CallPolicy {
    timeout: None,
    retries: 0,
    backoff: SimSpan::ZERO,
    retry_budget_ppm: None,
    breaker: None,
    is_parallel: false,
    cache: None,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_answer_nearly_everything() {
        for chain in [Chain::SINGLE, Chain::three_hops()] {
            let mut requests = chain.requests(1);
            requests.advance(SimTime::from_secs(1));
            let (ended, served) = requests.ended_and_served(ServiceId(0));
            assert!(ended > 99_000, "{chain:?}: {ended}");
            assert!(ended - served < ended / 1000, "{chain:?}: {served} of {ended}");
        }
    }
}
