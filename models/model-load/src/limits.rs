//! Rate limits of gateways: which requests are counted together, and how many of them pass.
//!
//! # Modelled
//! Kong's `rate-limiting` plugin: requests that come in through a gateway meet the most particular of
//! its limits. Counters by tenant, Service or address; in each pod (`local`), or in a store that is asked
//! with every request (`cluster`, `redis`) or from time to time (`sync_rate`). Periods of the calendar. A
//! store that does not answer: all pass, or none does, each after the time that the gateway waits for
//! a store that is silent.
//! # Not modelled
//! Workers of one pod that count by themselves between two syncs (a pod counts as one); the way to the store
//! and back, which is part of what a request takes at the gateway; connections that are kept alive and so
//! bring all requests of a client to one pod; the sliding windows and other strategies of
//! `rate-limiting-advanced`. Simplified: what is counted in a pod that is lost is lost with it; a new one
//! starts from nothing, and in flows all pods then have counted as much less as if they shared it. In flows
//! what passes within a second comes evenly to what is behind the gateway, and who tries again within the
//! same second has the same chance as others.
//! # Defaults and their sources
//! `kong/plugins/rate-limiting/handler.lua` and `policies/init.lua`, Kong 3.
//! # Invariants
//! A limit that is not reached costs nothing: no event at the start of a period.
//! # Checked against
//! Flows against single requests (`tests/it/agreement.rs`), and the law of Poisson arrivals below.

use std::collections::BTreeMap;

use model_api::Blueprint;
use model_api::limiter::{Counters, LimitBy, Period, Store, StoreSeen, StoreState};
use model_api::observation::LossReason;
use sim_kernel::{EntityKey, SimSpan};

use crate::delay::gamma_share;
use crate::edges::{EdgeIdx, Edges};
use crate::graph::{Node, NodeIdx};

/// Position among the limits of connected Services.
pub(crate) type LimitIdx = usize;

/// Requests that are counted together, by each of several who are alike.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    /// Position in [`Blueprint::limiters`].
    pub(crate) limiter: usize,
    /// Requests in each period, the shortest first.
    pub(crate) limits: Vec<(Period, u64)>,
    /// Whoever is counted apart, each with as many requests as the others.
    pub(crate) identity_count: u32,
    pub(crate) counters: Counters,
    pub(crate) is_fault_tolerant: bool,
    pub(crate) gateway: NodeIdx,
    /// Calls of clients that meet it.
    pub(crate) edges: Vec<EdgeIdx>,
    pub(crate) key: EntityKey,
}

/// What comes through a limit while its store is away: whether requests pass, and how long each waits
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uncounted {
    pub(crate) passes: bool,
    pub(crate) after: SimSpan,
}

impl Limit {
    /// Which share of the requests meets a store that does not answer, and what happens to them; `None` while
    /// it answers all.
    pub(crate) fn lost(&self, seen: StoreSeen) -> Option<(f64, Uncounted)> {
        let share =
            f64::from(seen.lost_ppm.min(StoreSeen::ALL_PPM)) / f64::from(StoreSeen::ALL_PPM);
        self.uncounted(seen.state).filter(|_| share > 0.0).map(|uncounted| (share, uncounted))
    }

    /// What happens to requests while the store is like that for all; `None` while it answers any.
    pub(crate) fn uncounted_all(&self, seen: StoreSeen) -> Option<Uncounted> {
        self.lost(seen).filter(|(share, _)| *share >= 1.0).map(|(_, uncounted)| uncounted)
    }

    /// What happens to requests that meet a store like that; `None` while it answers.
    pub(crate) fn uncounted(&self, state: StoreState) -> Option<Uncounted> {
        let Counters::Shared { timeout, .. } = self.counters else { return None };
        let after = match state {
            StoreState::Answers => return None,
            StoreState::Refuses => SimSpan::ZERO,
            StoreState::Silent => timeout,
        };
        Some(Uncounted { passes: self.is_fault_tolerant, after })
    }

    /// Why requests are lost that do not pass because the store is away.
    pub(crate) fn store_loss(&self) -> LossReason {
        match self.counters {
            Counters::Shared { store: Some(Store::Service(service)), .. } => {
                LossReason::Dependency(service)
            }
            Counters::Shared { store: Some(Store::Database(database)), .. } => {
                LossReason::Database(database)
            }
            Counters::Shared { store: None, .. } | Counters::EachPod => LossReason::RateLimited,
        }
    }

    /// Counters for each of those who are counted apart, where so many pods live.
    pub(crate) fn counter_count(&self, live_count: u32) -> u32 {
        match self.counters {
            Counters::EachPod => live_count.max(1),
            Counters::Shared { .. } => 1,
        }
    }

    /// What a counter lets through in a period, where so many requests per second come to it: the limit,
    /// and what pods let through before they hear of each other.
    ///
    /// A pod does not know what came to the others since it asked the store, and what they had not yet
    /// told by then: together about what comes to them between two syncs.
    pub(crate) fn limit_of(&self, limit: u64, rate: f64, live_count: u32) -> f64 {
        let limit = limit as f64;
        let Counters::Shared { sync_every: Some(every), .. } = self.counters else { return limit };
        let pods = f64::from(live_count.max(1));
        let unknown = rate * every.as_secs_f64() * (pods - 1.0) / pods;
        (limit + unknown).min(limit * pods)
    }
}

/// The share of the requests of a Poisson flow that a counter lets through over a whole period in which
/// so many come in the mean.
pub(crate) fn passing_share(limit: f64, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    // The mean of what comes or of the limit, whichever is less: of those up to the limit that come, and
    // of the limit where more come.
    let reaches = gamma_share(limit, mean);
    let before = if limit > 1.0 { 1.0 - gamma_share(limit - 1.0, mean) } else { 0.0 };
    let passing = mean * before + limit * reaches;
    (passing / mean).clamp(0.0, 1.0)
}

/// The probability that a counter still lets a request through when so many came in the mean since its
/// period began.
pub(crate) fn open_share(limit: f64, came: f64) -> f64 {
    1.0 - gamma_share(limit, came)
}

/// How many must have come in the mean for a counter to be full with that probability.
pub(crate) fn came_when_full(limit: f64, probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 2.0 * limit + 40.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if gamma_share(limit, middle) < probability { low = middle } else { high = middle }
    }
    high
}

/// Whose counter a request meets, of those of one limiter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    Tenant(String),
    Service(NodeIdx),
    /// Those of the addresses of a load.
    Addresses(usize),
}

/// The limits of connected Services; says of each call which one it meets.
pub(crate) fn limits(nodes: &[Node], edges: &mut Edges, blueprint: &Blueprint) -> Vec<Limit> {
    let mut found: BTreeMap<(usize, Counted), LimitIdx> = BTreeMap::new();
    let mut limits: Vec<Limit> = Vec::new();
    for source in &edges.sources {
        let node_load = &nodes[source.service].loads[source.load];
        let load = &blueprint.loads[node_load.id.index()];
        let Some(idx) = blueprint.limiter_of(load) else { continue };
        let limiter = &blueprint.limiters[idx];
        let counted = match (limiter.by, &load.clients.tenant) {
            (LimitBy::Service, _) => Counted::Service(source.service),
            (LimitBy::Tenant, Some(tenant)) => Counted::Tenant(tenant.clone()),
            (LimitBy::Tenant, None) | (LimitBy::Address, _) => {
                Counted::Addresses(node_load.id.index())
            }
        };
        let identity_count = match counted {
            Counted::Addresses(_) => load.clients.addresses.unwrap_or(1).max(1),
            Counted::Tenant(_) | Counted::Service(_) => 1,
        };
        let gateway = edges.all[source.client].callee;
        let limit = *found.entry((idx, counted)).or_insert_with(|| {
            limits.push(Limit {
                limiter: idx,
                limits: limiter.limits.clone(),
                identity_count,
                counters: limiter.counters,
                is_fault_tolerant: limiter.is_fault_tolerant,
                gateway,
                edges: Vec::new(),
                key: source.key.child("limit").child(&limiter.name),
            });
            limits.len() - 1
        });
        limits[limit].edges.push(source.client);
        edges.all[source.client].limit = Some(limit);
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Poisson probabilities, one by one.
    fn passing_by_hand(limit: u32, mean: f64) -> f64 {
        let (mut term, mut below, mut passing) = (libm::exp(-mean), 0.0, 0.0);
        for count in 0..limit {
            passing += f64::from(count) * term;
            below += term;
            term *= mean / f64::from(count + 1);
        }
        (passing + f64::from(limit) * (1.0 - below)) / mean
    }

    #[test]
    fn a_counter_lets_through_what_the_law_of_poisson_says() {
        for limit in [1, 2, 5, 40, 180] {
            for part in [0.2, 0.8, 1.0, 1.3, 4.0] {
                let mean = f64::from(limit) * part;
                let (share, hand) =
                    (passing_share(f64::from(limit), mean), passing_by_hand(limit, mean));
                assert!((share - hand).abs() < 1e-6, "{limit} of {mean}: {share} {hand}");
            }
        }
        assert!((passing_share(1000.0, 500.0) - 1.0).abs() < 1e-6);
        assert!((passing_share(1000.0, 4000.0) - 0.25).abs() < 1e-6);
        assert!(passing_share(10.0, 0.0) == 1.0);
    }

    #[test]
    fn the_share_over_a_period_is_the_mean_of_the_share_at_each_instant() {
        for (limit, mean) in [(5.0, 6.0), (300.0, 400.0)] {
            let steps = 20_000;
            let at = |step: i32| (f64::from(step) + 0.5) / f64::from(steps) * mean;
            let sum: f64 = (0..steps).map(|step| open_share(limit, at(step))).sum();
            let (whole, instants) = (passing_share(limit, mean), sum / f64::from(steps));
            assert!((whole - instants).abs() < 2e-4, "{limit}: {whole} {instants}");
        }
    }

    #[test]
    fn a_counter_is_full_when_as_many_came() {
        for limit in [1.0, 5.0, 60.0, 12_000.0] {
            let (early, late) = (came_when_full(limit, 1e-4), came_when_full(limit, 1.0 - 1e-4));
            assert!(early < limit && limit < late, "{early} {limit} {late}");
            assert!(open_share(limit, early) > 0.999 && open_share(limit, late) < 1e-3);
        }
    }
}
