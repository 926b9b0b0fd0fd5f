//! Pods that die before they could finish what they were asked: the requests in them are lost.
//!
//! A pod that is deleted is told to end, and finishes what it has; that this takes longer than its grace
//! period is not modelled. One that crashes, is killed for its memory or by its liveness probe, or whose
//! node is lost or cut off, takes its requests with it.

use model_api::{Observation, PodId, ServiceId};
use sim_kernel::{Context, Recorder, SimTime};

use super::World;
use crate::event::Event;

/// Pods that died at this moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Deaths {
    at: SimTime,
    pods: Vec<PodId>,
    /// Those that were told of, with the Service.
    told: Vec<(ServiceId, PodId)>,
}

impl Deaths {
    fn is_news(&self, service: ServiceId, pod: PodId) -> bool {
        self.pods.contains(&pod) && !self.told.contains(&(service, pod))
    }
}

impl World {
    /// The processes of a pod ended, or nobody reaches them any more.
    pub(super) fn note_death(&mut self, pod: PodId, now: SimTime) {
        if !self.wiring.lose_requests.contains(&true) || self.cluster.pod(pod).is_terminating {
            return;
        }
        if self.deaths.at != now {
            self.deaths = Deaths { at: now, ..Deaths::default() };
        }
        self.deaths.pods.push(pod);
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
        let died: Vec<PodId> =
            dead.map(|route| route.pod).filter(|pod| self.deaths.is_news(service, *pod)).collect();
        if !died.is_empty() {
            self.deaths.told.extend(died.iter().map(|pod| (service, *pod)));
            let died_count = u32::try_from(died.len()).expect("pods are limited far below 2^32");
            self.flows.lose_requests(service, (died_count, live_count + died_count), ctx);
        }
    }
}
