//! Which pod of a Service gets a request: what the platform, a gateway and the parameters say, and what is said
//! of Services that are taken for one queue though they are so busy that it shows.

use model_api::ServiceId;
use model_api::kube::Service;
use model_api::load::ServiceProfile;
use model_api::parameters::PodCpu;
use model_api::path::Balancing;

use super::kong::annotated;
use super::stickiness::text;
use super::{Resolver, look_up};
use crate::document::PlatformDocument;

/// From this share of what pods can do on a queue of its own in each pod makes waits so much longer that it
/// matters; where more comes than they can do the queues are full, however many there are. Chosen.
const BUSY_PERCENT: std::ops::RangeInclusive<u128> = 70..=100;

impl Resolver<'_> {
    /// Takes over how gateways choose among the pods of Services that do not say it, or else the parameter.
    ///
    /// Simplified: those who ask for a Service beside its gateway choose alike.
    pub(super) fn balancings(&mut self, platform: &PlatformDocument) {
        let behind = self.behind_gateways();
        let stated = platform.spec.services.iter().filter(|it| it.balancing.is_some());
        // Whom a name does not find is told of where its profile is read.
        let mut ignored = Vec::new();
        let stated: Vec<ServiceId> = stated
            .filter_map(|it| look_up("", &it.service, &self.names.services, &mut ignored))
            .map(ServiceId::from_index)
            .collect();
        for idx in 0..self.blueprint.profiles.len() {
            let service = self.blueprint.profiles[idx].service;
            if stated.contains(&service) {
                continue;
            }
            let word = if behind.contains(&service) { self.algorithm(service) } else { None };
            self.blueprint.profiles[idx].serving.balancing = match word {
                Some("round-robin") => Balancing::RoundRobin,
                Some("least-connections") => Balancing::LeastRequests,
                _ => self.blueprint.parameters.balancing,
            };
        }
        self.assume_pools();
    }

    /// The `algorithm` that manifests state for the targets of a Service.
    fn algorithm(&self, service: ServiceId) -> Option<&str> {
        let object = self.manifests.object(&self.manifests.services[service.index()]);
        let named = |key, kind| annotated(self.manifests, object, key, kind);
        match named("upstream-policy", "KongUpstreamPolicy") {
            Some(policy) => text(policy.node.at(&["spec", "algorithm"])),
            None => text(named("override", "KongIngress")?.node.at(&["upstream", "algorithm"])),
        }
    }

    /// Says of which Services waits are too short because all pods are taken for one pool.
    ///
    /// Simplified: as busy as the loads make them at their peak, with the limits that are stated and as many
    /// replicas as autoscalers may make, whatever faults and rate limits do.
    fn assume_pools(&mut self) {
        let mut found = Vec::new();
        let rates = self.peak_rates();
        for (profile, millirps) in self.blueprint.profiles.iter().zip(rates) {
            let Some((pods, millis)) = self.serving_pods(profile) else { continue };
            // CPU time that requests take in a thousand seconds, of what pods have.
            let wanted = u128::from(millirps) * u128::from(profile.cpu_per_request.as_nanos());
            let have = u128::from(millis) * 1_000_000_000;
            let percent = wanted * 100 / have.max(1);
            if pods > 1 && BUSY_PERCENT.contains(&percent) {
                let name = self.blueprint.service_name(profile.service);
                let text = format!(
                    "{name}: {pods} pods that are {percent} % busy at the peak of its load work off one queue; \
                     with one in each pod requests wait longer: `balancing: random` is what kube-proxy does"
                );
                found.push((text, profile.origin.clone()));
            }
        }
        for (text, origin) in found {
            self.assume(text, &origin);
        }
    }

    /// By profile: requests per 1000 s at the peak of the loads, calls of others included.
    fn peak_rates(&self) -> Vec<u64> {
        let profiles = &self.blueprint.profiles;
        let mut places = vec![None; self.blueprint.services.len()];
        for (idx, profile) in profiles.iter().enumerate() {
            places[profile.service.index()] = Some(idx);
        }
        let place = |service: ServiceId| places[service.index()];
        let mut own = vec![0_u64; profiles.len()];
        for load in self.blueprint.loads.iter().filter(|load| load.users.is_none()) {
            // Those of a name have all its clients, each of which is led by one of them.
            if load.clients.found.is_some_and(|found| found.record > 0) {
                continue;
            }
            let peak = load.points.iter().map(|point| point.rate_millirps).max().unwrap_or(0);
            let asked = std::iter::once(load.service).chain(load.via);
            for idx in asked.filter_map(place) {
                own[idx] = own[idx].saturating_add(peak);
            }
        }
        // Calls make no circles, so that no chain is longer than there are Services.
        let mut rates = own.clone();
        for _ in 0..profiles.len() {
            let mut next = own.clone();
            for (caller, profile) in profiles.iter().enumerate() {
                for idx in profile.depends_on.iter().filter_map(|it| place(*it)) {
                    next[idx] = next[idx].saturating_add(rates[caller]);
                }
            }
            if next == rates {
                break;
            }
            rates = next;
        }
        rates
    }

    /// Pods of a Service that are one pool, and the CPU that all of them serve with; `None` where they are not, or
    /// nothing is known.
    fn serving_pods(&self, profile: &ServiceProfile) -> Option<(u64, u64)> {
        let blueprint = &self.blueprint;
        let service: &Service = &blueprint.services[profile.service.index()];
        let is_kept = service.session_affinity.is_some()
            || blueprint.stickies.iter().any(|it| it.service == profile.service);
        let is_pooler = blueprint.poolers.iter().any(|it| it.service == profile.service);
        let is_pool = profile.serving.balancing == Balancing::Shared
            && profile.serving.quota_period.is_none();
        if !is_pool || is_kept || is_pooler || profile.cpu_per_request.is_zero() {
            return None;
        }
        let (mut pods, mut millis) = (0_u64, 0_u64);
        let most = profile.serving.cores_max.map_or(i64::MAX, |cores| i64::from(cores) * 1_000);
        for workload in &blueprint.workloads {
            let template = &workload.template;
            if !service.selects(&workload.namespace, &template.labels) {
                continue;
            }
            let Some(container) = service.serving_container(template) else { continue };
            // Without a limit its node may give it any part of what it has.
            let is_stated = blueprint.parameters.pod_cpu == PodCpu::Stated;
            let requested = container.requests.cpu_millis().filter(|_| is_stated);
            let stated = container.limits.cpu_millis().or(requested);
            let of_pod = u64::try_from(stated?.min(most)).ok()?;
            let scaled = blueprint.autoscalers.iter().filter(|it| {
                it.namespace == workload.namespace
                    && it.target.name == workload.name
                    && it.target.kind == workload.kind.name()
            });
            let most = scaled.filter_map(|it| u64::try_from(it.max_replicas).ok()).max();
            let count = most.unwrap_or(0).max(workload.replicas.into());
            pods += count;
            millis = millis.saturating_add(of_pod.saturating_mul(count));
        }
        (millis > 0).then_some((pods, millis))
    }
}
