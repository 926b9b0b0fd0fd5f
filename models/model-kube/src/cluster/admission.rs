//! Webhooks between a controller and the pods it wants.

use model_api::{Observation, WorkloadId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime};

use super::{Cluster, KubeEvent, priority};
use crate::admission::{Call, Outcome, of_request, outcome, retry_after};
use crate::rare;

const ENDPOINT: Purpose = Purpose::new("webhook endpoint");

/// How the requests of a workload's controller fare.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refusals {
    /// Refused in a row.
    count: u32,
    /// Requests that were put to webhooks.
    request_count: u64,
    /// When it tries again, once that is settled.
    retry_at: SimTime,
}

impl Cluster {
    /// Lets the webhooks of a name answer or not. How many there are.
    pub fn set_webhook_answers(&mut self, name: &str, answers: bool) -> u32 {
        let blueprint = self.blueprint.clone();
        let named = blueprint
            .webhooks
            .iter()
            .enumerate()
            .filter(|(_, webhook)| webhook.name == name || webhook.configuration == name);
        let mut count = 0;
        for (idx, _) in named {
            count += 1;
            self.silent_webhooks.retain(|silent| *silent != idx);
            if !answers {
                self.silent_webhooks.push(idx);
            }
        }
        count
    }

    /// Asks the webhooks that guard the pods of a workload whether one may be created, and how long
    /// that takes. When it may not, its controller is made to try again.
    pub(super) fn ask_webhooks<E, R>(
        &mut self,
        id: WorkloadId,
        ctx: &mut Context<'_, E, R>,
    ) -> Option<SimSpan>
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.blueprint.webhooks.is_empty() {
            return Some(SimSpan::ZERO);
        }
        let blueprint = self.blueprint.clone();
        self.refusals[id.index()].request_count += 1;
        let outcome_of = |idx: usize| {
            let webhook = &blueprint.webhooks[idx];
            outcome(self.call(idx, id), webhook.fails_closed, webhook.timeout)
        };
        let guards = |idx: &usize| blueprint.webhooks[*idx].guards.contains(&id);
        let (mut mutating, validating): (Vec<usize>, Vec<usize>) = (0..blueprint.webhooks.len())
            .filter(guards)
            .partition(|idx| blueprint.webhooks[*idx].is_mutating);
        mutating.sort_by_key(|idx| &blueprint.webhooks[*idx].configuration);
        let Outcome { is_admitted, span } = of_request(
            mutating.into_iter().map(outcome_of),
            validating.into_iter().map(outcome_of),
        );
        let state = &mut self.refusals[id.index()];
        if is_admitted {
            state.count = 0;
            return Some(span);
        }
        ctx.hit(&rare::CREATION_REFUSED);
        let is_first = state.count == 0;
        if state.retry_at <= ctx.now() {
            state.count += 1;
            state.retry_at = ctx.now() + span + retry_after(state.count);
            let event = KubeEvent::WorkloadSync(id);
            ctx.schedule_at(state.retry_at, priority::CONTROLLER, event);
        }
        if is_first {
            ctx.observe(|| Observation::PodCreationRefused { workload: id });
        }
        None
    }

    /// What a call of a webhook comes to: one endpoint is picked, dead or alive.
    fn call(&self, webhook: usize, workload: WorkloadId) -> Call {
        let spec = &self.blueprint.webhooks[webhook];
        let key = EntityKey::of("webhook").child(&spec.configuration).child(&spec.name);
        let service = spec.service;
        let occurrence = self.refusals[workload.index()].request_count;
        if self.silent_webhooks.contains(&webhook) {
            return Call::TimedOut;
        }
        // One outside the cluster is taken to answer.
        let Some(service) = service else { return Call::Answered };
        let routes = self.routes(service);
        let key = key.child(&self.blueprint.workload_name(workload));
        match self.draw(key, ENDPOINT, occurrence).pick(routes) {
            None => Call::Refused,
            Some(route) if route.is_live => Call::Answered,
            Some(_) => Call::TimedOut,
        }
    }
}
