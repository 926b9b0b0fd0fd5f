//! Pods that die before they could finish what they were asked: the requests in them are lost.
//!
//! One that crashes, is killed for its memory or by its liveness probe, or whose node is lost or cut off,
//! takes its requests with it. A pod that is deleted is told to end, takes nothing new and goes on with
//! what it has until its grace period is over (`killContainersWithSyncResult` of `pkg/kubelet/kuberuntime`,
//! Kubernetes 1.36: TERM, then KILL), so that only what takes longer is lost.
//!
//! Simplified: a pod that proxies forgot before TERM finishes all that it has.

use model_api::{Observation, PodId, ServiceId, SimSpan};
use sim_kernel::{Context, Recorder, SimTime};

use super::World;
use crate::event::Event;

/// Pods that died at this moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Deaths {
    at: SimTime,
    /// Each with how long it may go on with what it has.
    pods: Vec<(PodId, SimSpan)>,
    /// Those that were told of, with the Service.
    told: Vec<(ServiceId, PodId)>,
}

impl Deaths {
    fn news(&self, service: ServiceId, pod: PodId) -> Option<(PodId, SimSpan)> {
        let is_told = self.told.contains(&(service, pod));
        self.pods.iter().find(|(died, _)| *died == pod && !is_told).copied()
    }
}

impl World {
    /// The processes of a pod take nothing any more, or nobody reaches them.
    pub(super) fn note_death(&mut self, pod: PodId, now: SimTime) {
        if !self.wiring.lose_requests.contains(&true) {
            return;
        }
        let is_cut_off = self.cluster.pod(pod).answers;
        let left = if is_cut_off { SimSpan::ZERO } else { self.cluster.time_to_finish(pod) };
        if self.deaths.at != now {
            self.deaths = Deaths { at: now, ..Deaths::default() };
        }
        self.deaths.pods.push((pod, left));
    }

    /// Tells the flows of the pods behind a Service that just died, of which so many are left.
    pub(super) fn lose_requests<R: Recorder<Observation>>(
        &mut self,
        service: ServiceId,
        live_count: u32,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if !self.wiring.lose_requests[service.index()] || self.deaths.at != ctx.now() {
            return;
        }
        let dead = self.cluster.routes(service).iter().filter(|route| !route.is_live);
        let died: Vec<(PodId, SimSpan)> =
            dead.filter_map(|route| self.deaths.news(service, route.pod)).collect();
        if !died.is_empty() {
            self.deaths.told.extend(died.iter().map(|(pod, _)| (service, *pod)));
            let died: Vec<SimSpan> = died.into_iter().map(|(_, left)| left).collect();
            let died_count = u32::try_from(died.len()).expect("pods are limited far below 2^32");
            self.flows.lose_requests(service, &died, live_count + died_count, ctx);
        }
    }
}
