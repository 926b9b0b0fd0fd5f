//! Webhooks between the components of a cluster and what they write.
//!
//! The creation of a pod is a call that is played; all else that components write is put to the odds of
//! [`super::overload`]: a webhook that fails lets requests fail or wait, and leases, leaders and what
//! waits follow from that. What each webhook is asked about is worked out before a run
//! ([`model_api::kube::Write`]).
//!
//! Simplified: bindings are refused while a pod waits whose binding is, whoever else waits; a drain goes on
//! with evictions that a webhook refuses, where `kubectl drain` gives up; the controllers that a webhook
//! cuts off from statuses that nobody waits for are left out.
//!
//! Sources: those of [`crate::admission`].

use model_api::kube::{Webhook, Write};
use model_api::{Observation, PodId, ServiceId, WorkloadId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime};

use super::pod::PodPhase;
use super::{Cluster, KubeEvent, priority};
use crate::admission::{Call, Outcome, of_request, outcome, retry_after};
use crate::priority_and_fairness::{Odds, REQUEST_TIMEOUT};
use crate::rare;

const ENDPOINT: Purpose = Purpose::new("webhook endpoint");
const UPDATE: Purpose = Purpose::new("webhook about an update");

/// How the requests of a workload's controller fare.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refusals {
    /// Refused in a row.
    count: u32,
    /// Requests that were put to webhooks.
    request_count: u64,
    /// Changes of the workload itself that were put to webhooks.
    update_count: u64,
    /// When it tries again, once that is settled.
    retry_at: SimTime,
    /// Syncs in a row in which a quota refused a pod.
    over_quota_count: u32,
    /// One did in this sync.
    is_over_quota: bool,
}

impl Cluster {
    /// Lets the webhooks of a name answer or not. How many there are.
    pub fn set_webhook_answers<E, R>(
        &mut self,
        name: &str,
        answers: bool,
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
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
        self.refresh_webhooks(ctx);
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

    /// A quota refused a pod of a workload: its controller tries again. Whether that is new.
    pub(super) fn note_over_quota<E, R>(
        &mut self,
        id: WorkloadId,
        ctx: &mut Context<'_, E, R>,
    ) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.refusals[id.index()];
        let is_first = state.over_quota_count == 0;
        state.is_over_quota = true;
        // Each sync that fails counts, also one that comes before the next try
        // (`AddRateLimited`, client-go util/workqueue).
        state.over_quota_count = state.over_quota_count.saturating_add(1);
        if state.retry_at <= ctx.now() {
            state.retry_at = ctx.now() + retry_after(state.over_quota_count);
            let event = KubeEvent::WorkloadSync(id);
            ctx.schedule_at(state.retry_at, priority::CONTROLLER, event);
        }
        is_first
    }

    /// A sync is over: one in which no quota refused a pod ends the back-off.
    pub(super) fn note_synced(&mut self, id: WorkloadId) {
        let state = &mut self.refusals[id.index()];
        if !std::mem::take(&mut state.is_over_quota) {
            state.over_quota_count = 0;
        }
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

/// A webhook that fails now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    webhook: usize,
    /// How many calls fail, in parts per million.
    failed_ppm: u32,
    /// How long one takes that fails.
    after: SimSpan,
}

/// What else than pods are created.
impl Cluster {
    /// Endpoints of Services changed: webhooks behind them may fail, or answer again.
    pub(super) fn refresh_webhooks_behind<E, R>(
        &mut self,
        services: &[ServiceId],
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let is_behind = |webhook: &Webhook| {
            !webhook.asked.is_empty() && webhook.service.is_some_and(|it| services.contains(&it))
        };
        if self.blueprint.webhooks.iter().any(is_behind) {
            self.refresh_webhooks(ctx);
        }
    }

    /// Works out which webhooks fail, of those that are asked about more than the creation of pods.
    pub(super) fn refresh_webhooks<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let webhooks = self.blueprint.webhooks.iter().enumerate();
        let asked = webhooks.filter(|(_, webhook)| !webhook.asked.is_empty());
        let guards: Vec<Guard> = asked.filter_map(|(idx, _)| self.guard(idx)).collect();
        if self.overload.guards == guards {
            return;
        }
        let fails = |guards: &[Guard], idx: usize| guards.iter().any(|it| it.webhook == idx);
        for idx in 0..self.blueprint.webhooks.len() {
            let is_failing = fails(&guards, idx);
            if is_failing != fails(&self.overload.guards, idx) {
                ctx.hit(&rare::WEBHOOK_FAILED);
                let webhook = u32::try_from(idx).expect("webhooks are few");
                ctx.observe(|| Observation::WebhookTurned { webhook, is_failing });
            }
        }
        self.overload.guards = guards;
        self.review_requests(ctx);
    }

    /// How a webhook fails; `None` where it answers.
    fn guard(&self, webhook: usize) -> Option<Guard> {
        let spec = &self.blueprint.webhooks[webhook];
        if self.silent_webhooks.contains(&webhook) {
            return Some(Guard { webhook, failed_ppm: 1_000_000, after: spec.timeout });
        }
        let routes = self.routes(spec.service?);
        let dead = routes.iter().filter(|route| !route.is_live).count();
        if routes.is_empty() {
            return Some(Guard { webhook, failed_ppm: 1_000_000, after: SimSpan::ZERO });
        }
        let failed = dead * 1_000_000 / routes.len();
        let failed_ppm = u32::try_from(failed).expect("a share of a million");
        (dead > 0).then_some(Guard { webhook, failed_ppm, after: spec.timeout })
    }

    /// How webhooks let a write fare whose client gives it so much time. One that fails open lets the
    /// write pass once its own time is out, which may be too late for the client.
    pub(super) fn guard_odds(&self, write: Option<Write>, timeout: SimSpan) -> Odds {
        let Some(write) = write else { return Odds::FREE };
        let webhooks = &self.blueprint.webhooks;
        let asked =
            self.overload.guards.iter().filter(|it| webhooks[it.webhook].asked.contains(&write));
        let odds = asked.map(|guard| {
            let is_fatal = webhooks[guard.webhook].fails_closed || guard.after >= timeout;
            if is_fatal {
                let failed_after = guard.after.min(timeout);
                return Odds { failed_ppm: guard.failed_ppm, failed_after, ..Odds::FREE };
            }
            let nanos = u128::from(guard.after.as_nanos()) * u128::from(guard.failed_ppm);
            let wait = u64::try_from(nanos / 1_000_000).expect("less than a time-out");
            Odds { wait: SimSpan::from_nanos(wait), ..Odds::FREE }
        });
        odds.fold(Odds::FREE, Odds::and)
    }

    /// Whether a webhook that fails refuses somebody's change of a workload, who tries once.
    pub fn is_update_refused(&mut self, id: WorkloadId) -> bool {
        let write = Some(Write::Update(id));
        let failed_ppm = self.guard_odds(write, REQUEST_TIMEOUT).failed_ppm;
        let state = &mut self.refusals[id.index()];
        state.update_count += 1;
        let (key, occurrence) = (self.tables.workload_keys[id.index()], state.update_count);
        self.draw(key, UPDATE, occurrence).below(1_000_000) < u64::from(failed_ppm)
    }

    /// Since when a request is refused by webhooks, if it is from now on, and after what time each time.
    pub(super) fn refused_from(
        &self,
        event: KubeEvent,
        now: SimTime,
    ) -> Option<(SimTime, SimSpan)> {
        let odds = self.guard_odds(self.write_of(event), REQUEST_TIMEOUT);
        (odds.failed_ppm > 0).then_some((now, odds.failed_after))
    }

    /// What an event writes, as far as webhooks may be asked about it.
    pub(super) fn write_of(&self, event: KubeEvent) -> Option<Write> {
        if self.overload.guards.is_empty() {
            return None;
        }
        let workload = |pod: PodId| self.pods[pod.index()].workload;
        Some(match event {
            KubeEvent::MonitorPass => Write::NodeStatus,
            KubeEvent::TaintPass | KubeEvent::PressureSeen(_) => Write::NodeTaints,
            KubeEvent::MarkPodDue(pod) => Write::PodMark(workload(pod)),
            KubeEvent::EvictionDue(pod)
            | KubeEvent::PodDeleteDue(pod)
            | KubeEvent::GarbageDue(pod) => Write::PodDeletion(workload(pod)),
            KubeEvent::PodClearedTold(pod) => Write::PodRemoval(workload(pod)),
            KubeEvent::StatusSync(pod) => Write::PodStatus(workload(pod)),
            KubeEvent::DrainPodDue(_, pod) => Write::PodEviction(workload(pod)),
            KubeEvent::ScheduleDue => return self.refused_binding(),
            KubeEvent::DeploymentSync(id) => Write::Revision(id),
            KubeEvent::JobDue(id) => Write::JobCreation(id),
            KubeEvent::AutoscalerSync(id) => Write::Scale(self.tables.scalers.workload_of(id)?),
            KubeEvent::EndpointsDue(id) => Write::EndpointSlices(id),
            KubeEvent::HeartbeatResumed(_) => Write::NodeLease,
            KubeEvent::TakeoverDue(_) => Write::LeaderLease,
            _ => return None,
        })
    }

    /// The binding of a pod that waits, if webhooks that fail are asked about it.
    fn refused_binding(&self) -> Option<Write> {
        let guards = self.overload.guards.iter();
        let asked = guards.flat_map(|guard| &self.blueprint.webhooks[guard.webhook].asked);
        let waits = |pod: &PodId| self.pods[pod.index()].phase == PodPhase::Pending;
        asked.copied().find(|write| match write {
            Write::PodBinding(id) => self.workloads[id.index()].pods.iter().any(waits),
            _ => false,
        })
    }
}
