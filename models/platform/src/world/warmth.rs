//! What the pods behind a Service can do, which is less while they are new.

use model_api::ServiceId;
use model_kube::cluster::{PodView, Route};
use sim_kernel::{Context, Priority, Recorder, SimSpan, SimTime};

use super::World;
use super::zones::Counted;
use crate::event::Event;
use model_api::Observation;

impl World {
    /// Tells the flows what stands behind a Service; returns how many endpoints most proxies know.
    pub(super) fn tell_flows<R: Recorder<Observation>>(
        &mut self,
        service: ServiceId,
        ctx: &mut Context<'_, Event, R>,
    ) -> u32 {
        let (mut ready_count, mut live_count, mut capacity_millirps) = (0, 0, 0_u64);
        let reconnecting = self.reconnecting(service, ctx.now());
        let (speed_ppm, mut next_step) = reconnecting.unzip();
        next_step = next_step.into_iter().chain(self.tell_caches(service, ctx.now())).min();
        let pod_places = self.assign_pod_places(service);
        let sent = self.sent_differently(service);
        let routes = sent.as_ref().map_or(self.cluster.routes(service), |sent| &sent.routes);
        let mut counted = self.counted(service, routes, pod_places);
        for (position, route) in routes.iter().enumerate() {
            ready_count += 1;
            let millirps = self.millirps_of(service, route, ctx.now(), &mut next_step);
            let millirps = millirps.map(|all| speed_ppm.map_or(all, |ppm| part(all, ppm)));
            if let Some(of_pod) = millirps {
                live_count += 1;
                capacity_millirps = capacity_millirps.saturating_add(of_pod);
            }
            if let Some(counted) = &mut counted {
                counted.count(position, route, millirps);
            }
        }
        if let Some(counted) = &mut counted {
            for route in self.cluster.last_resorts(service) {
                let millirps = self.millirps_of(service, route, ctx.now(), &mut next_step);
                counted.count_last_resort(route, millirps);
            }
        }
        if let Some(left) = next_step {
            self.expect_warmth(service, ctx.now().saturating_add(left), ctx);
        }
        if !counted.as_ref().is_some_and(Counted::is_divided) {
            let reaching_ppm = sent.as_ref().and_then(|sent| sent.reaching_ppm);
            let counts = (ready_count, live_count);
            self.flows.set_endpoints_reached(service, counts, capacity_millirps, reaching_ppm);
        }
        if let Some(counted) = counted {
            self.tell_counted(service, counted, ctx);
        }
        self.tell_failing(service);
        self.tell_pooled(service, ctx);
        self.lose_requests(service, live_count, ctx);
        self.cluster.endpoint_counts(service).0
    }

    /// Requests per 1000 s that an endpoint of a Service can answer, if it lives; when it will be warmer
    /// goes to `next_step`, where that is sooner.
    fn millirps_of(
        &self,
        service: ServiceId,
        route: &Route,
        now: SimTime,
        next_step: &mut Option<SimSpan>,
    ) -> Option<u64> {
        if !route.is_live {
            return None;
        }
        let pod = self.cluster.pod(route.pod);
        let cpu_millis = self.cpu_millis(route.pod, pod.workload);
        let of_pod = self.flows.pod_capacity_millirps(service, cpu_millis);
        let cold = self.wiring.warm_ups[service.index()].zip(age(&pod, now));
        let Some((speed_ppm, left)) = cold.and_then(|(it, age)| it.speed(age)) else {
            return Some(of_pod);
        };
        *next_step = Some(next_step.map_or(left, |next| next.min(left)));
        Some(part(of_pod, speed_ppm))
    }

    /// Looks at the pods of a Service again then, or before.
    fn expect_warmth<R: Recorder<Observation>>(
        &mut self,
        service: ServiceId,
        at: SimTime,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let pending = self.warming.iter().position(|(other, _)| *other == service);
        match pending {
            Some(idx) if self.warming[idx].1 <= at => return,
            Some(idx) => self.warming[idx].1 = at,
            None => self.warming.push((service, at)),
        }
        ctx.schedule_at(at, Priority::NORMAL, Event::WarmthDue(service));
    }

    /// Some pod of a Service is a little warmer, unless something else was awaited sooner.
    pub(super) fn on_warmth<R: Recorder<Observation>>(
        &mut self,
        service: ServiceId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let due = (service, ctx.now());
        if let Some(idx) = self.warming.iter().position(|other| *other == due) {
            self.warming.swap_remove(idx);
            self.tell_flows(service, ctx);
        }
    }
}

/// How long the containers of a pod have run; `None` of those that run from the start: they are warm.
fn age(pod: &PodView, now: SimTime) -> Option<SimSpan> {
    (pod.started_at > SimTime::ZERO).then(|| now.saturating_since(pod.started_at))
}

fn part(whole: u64, ppm: u64) -> u64 {
    // A pod without bounds to what it can do has none while it is cold either.
    if whole == u64::MAX {
        return whole;
    }
    u64::try_from(u128::from(whole) * u128::from(ppm) / 1_000_000).expect("no more than the whole")
}
