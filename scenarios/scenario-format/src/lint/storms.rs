//! Retries that can keep a Service overloaded: W0410.
//!
//! A queue that comes to wait as long as its callers do makes them ask again, and what they ask again makes
//! it longer: under one load there are two ways to go on, one of which stays overloaded (Bronson, Aghayev,
//! Charapko and Zhu 2021, HotOS; Huang et al. 2022, OSDI). It needs retries that together with first
//! attempts are more than the pods can do, and something that begins it: a fault, or in a small queue near
//! its capacity nothing but chance. How likely a queue of several workers waits so long is Erlang's C formula
//! with the exponential tail of its waits, stretched for work of another law by Allen and Cunneen's factor.

use model_api::ServiceId;
use model_api::load::ServiceProfile;
use model_api::path::{Balancing, CallPolicy};

use super::Lint;
use crate::diagnostic::{Code, Diagnostic};

/// Fewer requests than this an hour meet the time-out by chance: no run of usual length sees one.
const LATE_AN_HOUR_MIN: f64 = 1.0;
/// Workers beyond this are told by their utilization.
const WORKER_COUNT_MAX: u32 = 100_000;

/// What comes to a Service at the peak of all its loads, per second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    pub(super) first: f64,
    /// With the retries of everybody who gives up.
    tries: f64,
    /// The shortest that somebody waits for its own queue, in seconds, who tries again.
    patience: Option<f64>,
}

/// What caches before calls have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caches {
    /// All that they ever have.
    Full,
    /// Nothing.
    Cold,
}

/// What its pods can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workers {
    count: u32,
    /// Queues before them: one of all pods, or one in each.
    lines: u32,
    /// Requests per second.
    pub(super) capacity: f64,
    /// Allen and Cunneen: `(1 + c²) / 2`.
    stretch: f64,
}

impl Lint<'_> {
    pub(super) fn storms(&mut self) {
        let asked = self.asked(Caches::Full);
        for (service, object) in self.services() {
            let Some(id) = self.id_of(service) else { continue };
            let Asked { first, tries, patience } = asked[id.index()];
            let Some(patience) = patience else { continue };
            let Some(workers) = self.workers_of(id) else { continue };
            if first >= workers.capacity || tries <= workers.capacity {
                continue;
            }
            let late_an_hour = 3600.0 * first * workers.late(first, patience);
            if late_an_hour < LATE_AN_HOUR_MIN {
                continue;
            }
            let message = format!(
                "{}: by chance alone about {late_an_hour:.0} of its requests an hour wait longer than their callers do, and with their retries up to {tries:.0} a second come to pods that do {:.0}: it may become overloaded at any time, and stay so",
                object.title(),
                workers.capacity,
            );
            let diagnostic = Diagnostic::new(Code::W0410, object.span("metadata.name"), message);
            let help = "flows have no luck: play it with `--fidelity request`, give callers a `retryBudget`, or let fewer requests wait (`queueLimit`)";
            self.push(object, diagnostic.help(help));
        }
    }

    /// By Service.
    pub(super) fn asked(&self, caches: Caches) -> Vec<Asked> {
        let mut asked = vec![Asked::default(); self.blueprint.services.len()];
        for load in &self.blueprint.loads {
            let peak = load.points.iter().map(|point| point.rate_millirps).max().unwrap_or(0);
            let rate = peak as f64 / 1000.0;
            let entry = load.via.unwrap_or(load.service);
            let depth = self.blueprint.services.len();
            if load.users.is_some() {
                continue;
            }
            let tries = self.ask(&mut asked, entry, &load.client, (rate, rate), (caches, depth));
            if let Some(profile) = load.via.and_then(|via| self.profile(via)) {
                self.ask(
                    &mut asked,
                    load.service,
                    &profile.upstream,
                    (rate, tries),
                    (caches, depth),
                );
            }
        }
        asked
    }

    /// Adds what a caller asks of a Service and what this asks of others; returns its attempts.
    fn ask(
        &self,
        asked: &mut [Asked],
        id: ServiceId,
        policy: &CallPolicy,
        (first, before): (f64, f64),
        (caches, depth): (Caches, usize),
    ) -> f64 {
        let per_first = match (policy.retry_budget_ppm, policy.breaker) {
            (_, Some(_)) => 0.0,
            (Some(ppm), None) => (f64::from(ppm) / 1e6).min(f64::from(policy.retries)),
            (None, None) => f64::from(policy.retries),
        };
        let tries = before * (1.0 + if policy.timeout.is_some() { per_first } else { 0.0 });
        let its = &mut asked[id.index()];
        (its.first, its.tries) = (its.first + first, its.tries + tries);
        if let Some(timeout) = policy.timeout.filter(|_| per_first > 0.0) {
            let left = (timeout.as_secs_f64() - self.without_waiting(id, depth)).max(0.0);
            its.patience = Some(its.patience.map_or(left, |known| known.min(left)));
        }
        if let (Some(profile), Some(depth)) = (self.profile(id), depth.checked_sub(1)) {
            for (idx, callee) in profile.depends_on.iter().enumerate() {
                let policy = profile.policy(idx);
                let needed = match (caches, policy.cache) {
                    (Caches::Full, Some(cache)) => 1.0 - f64::from(cache.hits_ppm) / 1e6,
                    (Caches::Cold, _) | (Caches::Full, None) => 1.0,
                };
                let rates = (first * needed, tries * needed);
                self.ask(asked, *callee, &policy, rates, (caches, depth));
            }
        }
        tries
    }

    fn profile(&self, id: ServiceId) -> Option<&ServiceProfile> {
        self.blueprint.profiles.iter().find(|profile| profile.service == id)
    }

    /// How long an answer takes when nobody waits, in seconds.
    fn without_waiting(&self, id: ServiceId, depth: usize) -> f64 {
        let (Some(profile), Some(depth)) = (self.profile(id), depth.checked_sub(1)) else {
            return 0.0;
        };
        let calls = profile.depends_on.iter().map(|callee| self.without_waiting(*callee, depth));
        profile.base_latency.as_secs_f64() + calls.sum::<f64>()
    }

    /// The workers behind a Service, as its manifests have them; `None` where a request costs nothing or it is
    /// not known how much CPU a pod has.
    pub(super) fn workers_of(&self, id: ServiceId) -> Option<Workers> {
        let profile = self.profile(id)?;
        let service = &self.blueprint.services[id.index()];
        let cost = profile.cpu_per_request.as_secs_f64();
        let (mut count, mut cores, mut all) = (0_u32, 0.0, 0_u32);
        for (workload, _) in self.workloads() {
            if !service.selects(&workload.namespace, &workload.template.labels) {
                continue;
            }
            let container = service.serving_container(&workload.template)?;
            let millis = container.limits.cpu_millis().or(container.requests.cpu_millis())?;
            let most = profile.serving.cores_max.map_or(f64::INFINITY, f64::from);
            let pods = u32::try_from(self.pod_count(workload)).unwrap_or(0);
            all = all.saturating_add(pods);
            count = count.saturating_add(pods.saturating_mul(profile.serving.workers));
            cores += f64::from(pods) * (millis as f64 / 1000.0).min(most);
        }
        let is_known = cost > 0.0 && cores > 0.0 && (1..=WORKER_COUNT_MAX).contains(&count);
        let has_lines = profile.serving.quota_period.is_some()
            || matches!(profile.serving.balancing, Balancing::Random | Balancing::RoundRobin);
        is_known.then(|| Workers {
            count,
            lines: if has_lines { all.max(1) } else { 1 },
            capacity: cores / cost,
            stretch: f64::midpoint(1.0, profile.serving.work.variation_squared()),
        })
    }
}

impl Workers {
    /// Which share of so many requests a second waits longer than so many seconds.
    fn late(&self, rate: f64, patience: f64) -> f64 {
        let busy = rate / self.capacity;
        let count = (self.count / self.lines).max(1);
        let spare = (self.capacity - rate) / f64::from(self.lines);
        let erlangs = busy * f64::from(count);
        let blocking = (1..=count).fold(1.0, |blocking, workers| {
            let carried = erlangs * blocking;
            carried / (f64::from(workers) + carried)
        });
        let waits = blocking / (1.0 - busy * (1.0 - blocking));
        waits * libm::exp(-spare * patience / self.stretch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_waits_longer_by_the_exponential_law() {
        // One, and one of four in each of which as many come.
        for lines in [1, 4] {
            let capacity = 100.0 * f64::from(lines);
            let workers = Workers { count: lines, lines, capacity, stretch: 1.0 };
            let late = workers.late(capacity / 2.0, 0.1);
            assert!((late - 0.5 * (-5.0_f64).exp()).abs() < 1e-12, "{late}");
        }
    }
}
