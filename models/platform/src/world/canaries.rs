//! Revisions that are tried: what the load tells of them, and who answers the requests.
//!
//! Simplified: a check counts every request that is sent to the revision, whoever loses it. Where it
//! gets none and a webhook sends some, it sees what one of its answers is like.

use model_api::canary::MetricKind;
use model_api::{CanaryId, Observation, ServiceId};
use sim_kernel::{Context, Recorder};

use super::World;
use super::poolers::either;
use crate::event::Event;

impl World {
    /// Requests to the Service of a canary are divided otherwise.
    pub(super) fn split_requests(&mut self, canary: CanaryId) {
        let routes = self.cluster.canary_routes(canary);
        let service = self.blueprint.canaries[canary.index()].service;
        self.flows.set_split(service, routes.canary, routes.mirrored);
    }

    /// Tells the flows how many answers of the pods behind a Service are errors.
    pub(super) fn tell_failing(&mut self, service: ServiceId) {
        let pooler = self.wiring.pooler_by_service[service.index()];
        if self.wiring.has_failing || self.wiring.has_stalled || pooler.is_some() {
            let of_pods = self.failing_ppm(service).unwrap_or(0);
            let of_pool = pooler.map_or(0, |pooler| self.pooler_fails(pooler));
            self.flows.set_failing(service, either(of_pods, of_pool));
        }
    }

    /// Of a million answers of the pods that get requests of a Service and answer them, how many are
    /// errors; `None` when there is no such pod.
    fn failing_ppm(&self, service: ServiceId) -> Option<u32> {
        let live = self.cluster.routes(service).iter().filter(|route| route.is_live);
        let (mut count, mut sum) = (0_u64, 0_u64);
        for route in live {
            count += 1;
            let is_stalled = self.wiring.has_stalled && self.is_stalled(route.pod);
            let failing_ppm =
                if is_stalled { 1_000_000 } else { self.cluster.failing_ppm(route.pod) };
            sum += u64::from(failing_ppm);
        }
        let mean = (sum + count / 2).checked_div(count)?;
        Some(u32::try_from(mean).expect("a share of a million"))
    }

    /// Works out what the metrics of a canary are now.
    pub(super) fn measure_canary<R: Recorder<Observation>>(
        &mut self,
        canary: CanaryId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let blueprint = self.blueprint.clone();
        let spec = &blueprint.canaries[canary.index()];
        let mut values = Vec::with_capacity(spec.analysis.metrics.len());
        for metric in &spec.analysis.metrics {
            let seen = self.flows.canary_seen(spec.canary_service, metric.window, ctx);
            let tested = self.tested_success(spec.canary_service);
            let tested = tested.filter(|_| spec.analysis.has_load_test);
            values.push(match metric.kind {
                MetricKind::SuccessRate => seen.success_ppm.or(tested),
                MetricKind::Duration => {
                    seen.duration_ns.or_else(|| tested.map(|_| seen.idle_duration_ns))
                }
            });
        }
        self.cluster.set_canary_values(canary, values);
    }

    /// Of a million requests of a test, how many pods behind a Service answer well; `None` when it has
    /// no endpoints.
    fn tested_success(&self, service: ServiceId) -> Option<i64> {
        let (ready_count, live_count) = self.cluster.endpoint_counts(service);
        let well = u64::from(1_000_000 - self.failing_ppm(service).unwrap_or(0));
        let ppm = (well * u64::from(live_count)).checked_div(u64::from(ready_count))?;
        i64::try_from(ppm).ok()
    }
}
