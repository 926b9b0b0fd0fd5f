//! API servers that run and are flooded, or store slowly: whose requests wait, and what comes of it.
//!
//! Nothing is played request by request. What a flood does to requests of each level is worked out
//! when it begins, ends, or a server is lost; then a request of the platform draws how often it is
//! refused, and comes that much later.
//!
//! # Modelled
//! Floods of any priority level and slow writes, several at once; writes are slow where every request is
//! to be, and where the disk of a member of etcd is that leads or is needed. Controllers, the scheduler, kubelets,
//! people who drain and operators' deliveries make their requests at the level that their schema has:
//! a refused one is tried again after a second (`Retry-After`), and after ten such retries with the
//! back-off of its controller. Leaders that cannot renew for their deadline give up; candidates cannot
//! take over. Nodes whose leases cannot be renewed for the grace period are found silent, although
//! their pods run. Who failed to renew does so again once requests get through, whatever is left of
//! what strains the API.
//! # Not modelled
//! Watches that break under load. Lists of kubelets that start. A crowd of watchers beside a flood.
//! Servers that become ready during a flood, until the next change. Operators of databases and Patroni:
//! see [`super::database_clients`].
//!
//! Simplified: what a controller does for one object counts as one request, and so does all that the
//! scheduler binds at a time. A request that nobody wants any more is withdrawn; upstream one that is on
//! its way is tried to its end. A control plane that is somebody else's has two servers (**Assumption**).
//! # Defaults and their sources
//! `client-go/rest/{request,with_retry}.go` (ten retries, each after `Retry-After`), `maxinflight.go`
//! (`Retry-After` 1), `component-helpers/apimachinery/lease/controller.go` and `pkg/kubelet/kubelet.go`
//! (a lease's client gives up after 10 s), `leaderelection/resourcelock` (after half the renew
//! deadline), `apiserver/pkg/apis/flowcontrol/bootstrap/default.go` (who belongs where, and by what
//! flows are told apart), 1.36. How long requests take: as lists in [`super::relists`].
//! # Invariants
//! Without a flood nothing is kept and nothing waits. What waits goes on when the flood is over, unless
//! nobody wants it any more.
//! # Checked against
//! `tests/it/overload.rs`.

use std::collections::BTreeMap;

use model_api::fault::{ApiFlood, Leading};
use model_api::kube::Write;
use model_api::{NodeId, Observation, WorkloadId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime, Timer};

use super::admission::Guard;
use super::relists::{LIST_EACH, LIST_LEAST};
use super::{Cluster, Component, KubeEvent, priority};
use crate::admission::{next_try, retry_after};
use crate::node_lifecycle::Ready;
use crate::priority_and_fairness::{
    Level, Limits, Odds, REQUEST_TIMEOUT, Reception, Stream, all_fail, failures, receive,
};
use crate::rare;

const HAND: Purpose = Purpose::new("queues of a flow");
const REFUSALS: Purpose = Purpose::new("refused requests");
const RELIEF: Purpose = Purpose::new("retry after a flood");
const STALL: Purpose = Purpose::new("renewals until one row fails");

/// `Retry-After` of a refused request.
pub(super) const RETRY_AFTER: SimSpan = SimSpan::from_secs(1);
/// Tries of client-go before it tells its caller: one, and ten retries.
pub(super) const TRIES: u32 = 11;
/// Failures after which nothing but the end of the flood is waited for.
const FAILURES_MAX: u32 = 20_000;
/// A kubelet gives the renewal of its lease that long.
const LEASE_TIMEOUT: SimSpan = SimSpan::from_secs(10);
/// API servers of a control plane that is somebody else's.
const SERVERS_ELSEWHERE: u32 = 2;

/// A flood or a slowness that was started: see [`Cluster::start_flood`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrainId(u32);

/// A request that has not got through yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    event: KubeEvent,
    timer: Timer,
    /// Since when webhooks refuse it, and how long each refusal takes.
    refused: Option<(SimTime, SimSpan)>,
}

/// How somebody fares who renews a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Renewing {
    /// The odds that were looked at last.
    odds: Odds,
    /// A row of renewals begins to fail, or the first one that follows such a row succeeds.
    timer: Timer,
}

impl Renewing {
    const FREE: Self = Self { odds: Odds::FREE, timer: Timer::NONE };
}

impl Default for Renewing {
    fn default() -> Self {
        Self::FREE
    }
}

/// What strains the API, and what waits for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Overload {
    floods: BTreeMap<u32, ApiFlood>,
    latencies: BTreeMap<u32, SimSpan>,
    strain_count: u32,
    /// By level; `None` while nothing strains the API.
    receptions: Option<[Reception; Level::ALL.len()]>,
    waiting: BTreeMap<u32, Waiting>,
    /// The numbers of those that wait once at most.
    waiting_once: BTreeMap<KubeEvent, u32>,
    waiting_count: u32,
    /// The event that runs has waited already.
    is_serving: bool,
    /// By component.
    leaders: [Renewing; 2],
    is_leader_stalled: [bool; 2],
    /// By node; empty until a flood begins.
    nodes: Vec<Renewing>,
    /// Webhooks that fail, of those that are asked about more than the creation of pods.
    pub(super) guards: Vec<Guard>,
}

impl Overload {
    /// Whether requests may have to wait.
    pub(super) const fn is_on(&self) -> bool {
        self.receptions.is_some() || !self.guards.is_empty()
    }

    /// Whether a request waits that waits once at most.
    pub(super) fn waits(&self, event: KubeEvent) -> bool {
        self.waiting_once.contains_key(&event)
    }
}

/// Whether a request is one and the same however often it is asked for, as work queues hold an object
/// once. What a kubelet says of the readiness of a pod is not.
const fn waits_once(event: KubeEvent) -> bool {
    !matches!(event, KubeEvent::StatusSync(_))
}

/// Who makes a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requester {
    pub(super) level: Level,
    /// What its flow is told apart by.
    pub(super) flow: EntityKey,
    /// What its luck is drawn with.
    pub(super) entity: EntityKey,
    pub(super) timeout: SimSpan,
    /// What webhooks may be asked about it.
    pub(super) write: Option<Write>,
}

/// Faults.
impl Cluster {
    /// Requests flood the API servers from now on.
    pub fn start_flood<E, R>(&mut self, flood: ApiFlood, ctx: &mut Context<'_, E, R>) -> StrainId
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let id = self.next_strain();
        self.overload.floods.insert(id, flood);
        self.refresh_overload(ctx);
        self.settle(ctx);
        StrainId(id)
    }

    /// Each write takes so much longer from now on.
    pub fn slow_api<E, R>(&mut self, latency: SimSpan, ctx: &mut Context<'_, E, R>) -> StrainId
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let id = self.next_strain();
        self.overload.latencies.insert(id, latency);
        self.refresh_overload(ctx);
        self.settle(ctx);
        StrainId(id)
    }

    /// A flood or a slowness is over.
    pub fn end_strain<E, R>(&mut self, id: StrainId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.overload.floods.remove(&id.0);
        self.overload.latencies.remove(&id.0);
        self.refresh_overload(ctx);
        self.settle(ctx);
    }

    fn next_strain(&mut self) -> u32 {
        self.overload.strain_count += 1;
        self.overload.strain_count
    }

    /// Works out how requests fare from now on, and looks again at all that waits.
    pub(super) fn refresh_overload<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let receptions = self.receptions(ctx);
        if self.overload.receptions == receptions {
            return;
        }
        self.tell_overload(receptions.as_ref(), ctx);
        self.overload.receptions = receptions;
        self.review_requests(ctx);
    }

    /// Requests fare otherwise from now on: looks again at all that waits, and at all who renew.
    pub(super) fn review_requests<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for number in self.overload.waiting.keys().copied().collect::<Vec<u32>>() {
            let waiting = self.overload.waiting[&number];
            ctx.cancel(waiting.timer);
            let timer = self.expect_service(number, &waiting, ctx);
            let refused = waiting.refused.or_else(|| self.refused_from(waiting.event, ctx.now()));
            self.overload.waiting.insert(number, Waiting { timer, refused, ..waiting });
        }
        for component in Component::ALL {
            self.expect_leader_stall(component, ctx);
        }
        self.overload.nodes.resize(self.nodes.len(), Renewing::FREE);
        for node in (0..self.nodes.len()).map(NodeId::from_index) {
            self.expect_lease_stall(node, ctx);
        }
        self.expect_database_clients(ctx);
    }

    fn receptions<E, R>(&self, ctx: &Context<'_, E, R>) -> Option<[Reception; Level::ALL.len()]>
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        let Overload { floods, latencies, .. } = &self.overload;
        let latency = latencies.values().copied().sum::<SimSpan>() + self.commit_wait();
        if floods.is_empty() && latency == SimSpan::ZERO {
            return None;
        }
        let stream = |flood: &ApiFlood| Stream {
            level: Level::of(flood.level),
            millirps: flood.millirps,
            objects: flood.objects,
            takes: flood.takes.unwrap_or(LIST_LEAST + LIST_EACH * flood.objects),
            flows: flood.flows,
            is_mutating: flood.is_mutating,
        };
        let streams: Vec<Stream> = floods.values().map(stream).collect();
        let limits = Limits::of(&self.blueprint.parameters);
        let servers = self.ready_servers(ctx.now()).unwrap_or(SERVERS_ELSEWHERE);
        Some(receive(&streams, servers, limits, latency))
    }

    /// Tells what is new about levels and writes.
    fn tell_overload<E, R>(
        &self,
        receptions: Option<&[Reception; Level::ALL.len()]>,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy,
        R: Recorder<Observation>,
    {
        let before = self.overload.receptions.unwrap_or_default();
        let Some(receptions) = receptions else {
            let is_strained = |it: &Reception| it.refused_ppm > 0 || it.latency != SimSpan::ZERO;
            if before.iter().any(is_strained) {
                ctx.observe(|| Observation::ApiRelieved);
            }
            return;
        };
        let latency = receptions[0].latency;
        if latency != before[0].latency {
            ctx.observe(|| Observation::ApiSlowed { latency_ns: latency.as_nanos() });
        }
        for (idx, level) in Level::ALL.into_iter().enumerate() {
            let (now, before) = (receptions[idx], before[idx]);
            if now.refused_ppm > 0
                && (now.refused_ppm, now.wait) != (before.refused_ppm, before.wait)
            {
                ctx.hit(&rare::API_OVERLOADED);
                ctx.observe(|| Observation::ApiOverloaded {
                    level: level.named(),
                    crowded_ppm: now.crowded_ppm,
                    refused_ppm: now.refused_ppm,
                    wait_ns: now.wait.as_nanos(),
                });
            }
        }
    }
}

/// Requests.
impl Cluster {
    /// Who makes the request that an event is, if it is one.
    fn requester(&self, event: KubeEvent) -> Option<Requester> {
        let everywhere = EntityKey::of("cluster");
        let in_namespace = |workload: WorkloadId| {
            let workload = &self.blueprint.workloads[workload.index()];
            EntityKey::of("namespace").child(&workload.namespace)
        };
        let workload_key = |id: WorkloadId| self.tables.workload_keys[id.index()];
        let node_key = |id: NodeId| self.tables.node_keys[id.index()];
        let timeout = REQUEST_TIMEOUT;
        let write = self.write_of(event);
        let high =
            |flow, entity| Requester { level: Level::WorkloadHigh, flow, entity, timeout, write };
        Some(match event {
            KubeEvent::MonitorPass
            | KubeEvent::TaintPass
            | KubeEvent::ScheduleDue
            | KubeEvent::LeaderStarted(_) => high(everywhere, everywhere),
            KubeEvent::MarkPodDue(pod)
            | KubeEvent::EvictionDue(pod)
            | KubeEvent::PodCreateDue(pod)
            | KubeEvent::PodDeleteDue(pod)
            | KubeEvent::GarbageDue(pod) => {
                let pod = &self.pods[pod.index()];
                high(in_namespace(pod.workload), pod.key)
            }
            KubeEvent::WorkloadSync(id) | KubeEvent::DeploymentSync(id) | KubeEvent::JobDue(id) => {
                high(in_namespace(id), workload_key(id))
            }
            KubeEvent::EndpointsDue(id) => {
                let namespace = &self.blueprint.services[id.index()].namespace;
                let flow = EntityKey::of("namespace").child(namespace);
                high(flow, self.tables.service_keys[id.index()])
            }
            KubeEvent::AutoscalerSync(id) => {
                let workload = self.tables.scalers.workload_of(id)?;
                high(in_namespace(workload), workload_key(workload))
            }
            KubeEvent::PressureSeen(id)
            | KubeEvent::RemovalDue(id)
            | KubeEvent::CloudPassDue(id) => high(everywhere, node_key(id)),
            KubeEvent::StatusSync(pod) | KubeEvent::PodClearedTold(pod) => {
                let pod = &self.pods[pod.index()];
                Requester {
                    level: Level::System,
                    flow: node_key(pod.node?),
                    entity: pod.key,
                    timeout,
                    write,
                }
            }
            KubeEvent::HeartbeatResumed(id) => self.of_lease(id),
            KubeEvent::TakeoverDue(component) => self.of_leader(component),
            KubeEvent::OffPeakDue(id) => {
                let flow = EntityKey::of("downscaler");
                let entity = workload_key(id);
                Requester { level: Level::WorkloadLow, flow, entity, timeout, write }
            }
            KubeEvent::DeliveryDue(_) => {
                let flow = EntityKey::of("flagger");
                Requester { level: Level::WorkloadLow, flow, entity: flow, timeout, write }
            }
            KubeEvent::DrainPodDue(_, pod) => {
                let entity = self.pods[pod.index()].key;
                let flow = EntityKey::of("people");
                Requester { level: Level::GlobalDefault, flow, entity, timeout, write }
            }
            _ => return None,
        })
    }

    fn of_lease(&self, id: NodeId) -> Requester {
        let key = self.tables.node_keys[id.index()];
        let (timeout, write) = (LEASE_TIMEOUT, Some(Write::NodeLease));
        Requester { level: Level::NodeHigh, flow: key, entity: key, timeout, write }
    }

    fn of_leader(&self, component: Component) -> Requester {
        let key = component.key();
        let timeout = self.election_config().renew_deadline / 2;
        let write = Some(Write::LeaderLease);
        Requester { level: Level::LeaderElection, flow: key, entity: key, timeout, write }
    }

    pub(super) fn odds(&self, of: Requester) -> Odds {
        self.reception_odds(of).and(self.guard_odds(of.write, of.timeout))
    }

    fn reception_odds(&self, of: Requester) -> Odds {
        let Some(receptions) = &self.overload.receptions else { return Odds::FREE };
        let position = Level::ALL.iter().position(|level| *level == of.level);
        let reception = &receptions[position.expect("it is one of all")];
        // The hand of a flow is a matter of its hash, and stays the same.
        let draw = self.draw(of.flow.child(of.level.named().name()), HAND, 0);
        let is_crowded = draw.below(1_000_000) < u64::from(reception.crowded_ppm);
        reception.odds(is_crowded, of.timeout)
    }

    /// Lets an event wait that is a request, where the API is flooded or slow. Whether it does.
    pub(super) fn hold<E, R>(&mut self, event: KubeEvent, ctx: &mut Context<'_, E, R>) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !self.overload.is_on() || self.overload.is_serving {
            return false;
        }
        let Some(of) = self.requester(event) else { return false };
        if self.odds(of) == Odds::FREE {
            return false;
        }
        if self.overload.waits(event) {
            return true;
        }
        ctx.hit(&rare::REQUEST_WAITED);
        let number = self.overload.waiting_count;
        self.overload.waiting_count += 1;
        if waits_once(event) {
            self.overload.waiting_once.insert(event, number);
        }
        let refused = self.refused_from(event, ctx.now());
        let waiting = Waiting { event, timer: Timer::NONE, refused };
        let timer = self.expect_service(number, &waiting, ctx);
        self.overload.waiting.insert(number, Waiting { timer, ..waiting });
        true
    }

    /// Withdraws a request that waits, when nobody wants any more what it asks for.
    pub(super) fn withdraw<E, R>(&mut self, event: KubeEvent, ctx: &mut Context<'_, E, R>)
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        let Some(number) = self.overload.waiting_once.remove(&event) else { return };
        if let Some(waiting) = self.overload.waiting.remove(&number) {
            ctx.hit(&rare::REQUEST_WITHDRAWN);
            ctx.cancel(waiting.timer);
        }
    }

    /// Draws when a request gets through, as things are now; [`Timer::NONE`] when it never does.
    fn expect_service<E, R>(
        &self,
        number: u32,
        waiting: &Waiting,
        ctx: &mut Context<'_, E, R>,
    ) -> Timer
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let served = KubeEvent::RequestServed(number);
        // A restored API may have taken the node from a pod whose kubelet had something to say of it:
        // nobody asks any more, and what happens then finds that there is nothing to do.
        let Some(of) = self.requester(waiting.event) else {
            return ctx.timer_in(SimSpan::ZERO, priority::CONTROLLER, served);
        };
        if let Some((since, each)) = waiting.refused.filter(|_| self.odds(of) == Odds::FREE) {
            let most = most_pause(waiting.event);
            let at = next_try(since, each, most, ctx.now());
            return ctx.timer_at(at, priority::CONTROLLER, served);
        }
        let span = self.served_after(of, ctx.now());
        span.map_or(Timer::NONE, |span| ctx.timer_in(span, priority::CONTROLLER, served))
    }

    /// How long a request takes to get through; `None` when it never does.
    fn served_in(&self, of: Requester, odds: Odds, occurrence: u64) -> Option<SimSpan> {
        if odds == Odds::FREE {
            // It was refused last within the time after which it tries again.
            let draw = self.draw(of.entity, RELIEF, occurrence);
            return Some(draw.span_between(SimSpan::ZERO, RETRY_AFTER));
        }
        let unit = self.draw(of.entity, REFUSALS, occurrence).unit();
        let failed = failures(odds.failed_ppm, unit, FAILURES_MAX);
        (failed < FAILURES_MAX).then(|| delay(failed, &odds))
    }

    /// Draws how long a request that fails goes on failing, as things are now; `None` when it never gets
    /// through.
    pub(super) fn served_after(&self, of: Requester, now: SimTime) -> Option<SimSpan> {
        self.served_in(of, self.odds(of), now.as_nanos())
    }

    /// A request got through.
    pub(super) fn on_request_served<E, R>(&mut self, number: u32, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(Waiting { event, .. }) = self.overload.waiting.remove(&number) else { return };
        if waits_once(event) {
            self.overload.waiting_once.remove(&event);
        }
        self.overload.is_serving = true;
        self.happen(event, ctx);
        self.overload.is_serving = false;
    }
}

/// The longest pause of whoever makes a request that webhooks refuse: the scheduler's back-off
/// (`podMaxBackoffSeconds`) and the period of a kubelet's status manager are 10 s, that of controllers is
/// long.
const fn most_pause(event: KubeEvent) -> SimSpan {
    match event {
        KubeEvent::ScheduleDue | KubeEvent::StatusSync(_) | KubeEvent::PodClearedTold(_) => {
            SimSpan::from_secs(10)
        }
        _ => SimSpan::MAX,
    }
}

/// How long a request takes that fails so often first.
fn delay(failed: u32, odds: &Odds) -> SimSpan {
    let tries = (odds.failed_after + RETRY_AFTER) * u64::from(failed);
    let rows = (1..=failed / TRIES).map(retry_after);
    tries + rows.sum() + odds.wait
}

/// Leases.
impl Cluster {
    /// Draws when a row of renewals fails that is too long, each row with the same chance: so long
    /// after now, or `None` when not for ages.
    pub(super) fn stall_after(
        &self,
        of: Requester,
        occurrence: u64,
        allowed: SimSpan,
        period: SimSpan,
    ) -> Option<SimSpan> {
        let odds = self.odds(of);
        if odds.is_hopeless() {
            return Some(SimSpan::ZERO);
        }
        let pause = odds.failed_after + RETRY_AFTER;
        let tries = allowed.as_nanos() / pause.as_nanos();
        let stalls = all_fail(odds.failed_ppm, u32::try_from(tries).unwrap_or(u32::MAX).max(1));
        let draw = self.draw(of.entity, STALL, occurrence);
        // Exponential, as rows that fail are rare.
        let rows = draw.standard_exponential() / stalls.max(f64::MIN_POSITIVE);
        let secs = rows * period.as_secs_f64();
        (stalls > 0.0 && secs < 1e9).then(|| SimSpan::from_secs_f64_rounded(secs))
    }

    /// Works out when a leader fails to renew.
    pub(super) fn expect_leader_stall<E, R>(
        &mut self,
        component: Component,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let idx = component.index();
        let (of, occurrence) = (self.of_leader(component), ctx.now().as_nanos());
        let odds = self.odds(of);
        let former = self.overload.leaders[idx];
        if self.overload.is_leader_stalled[idx] && former.odds == odds {
            return;
        }
        ctx.cancel(former.timer);
        let (after, event) = if self.overload.is_leader_stalled[idx] {
            (self.served_in(of, odds, occurrence), KubeEvent::LeaderRenewed(component))
        } else if odds == Odds::FREE {
            (None, KubeEvent::LeaderStalled(component))
        } else {
            let config = self.election_config();
            let (deadline, period) = (config.renew_deadline, config.retry_period);
            let after = self.stall_after(of, occurrence, deadline, period);
            (after, KubeEvent::LeaderStalled(component))
        };
        let timer =
            after.map_or(Timer::NONE, |after| ctx.timer_in(after, priority::CONTROL_PLANE, event));
        self.overload.leaders[idx] = Renewing { odds, timer };
    }

    /// A leader that could not renew does so before it gives up.
    pub(super) fn on_leader_renewed<E, R>(
        &mut self,
        component: Component,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        // When the API is back, leaders are looked at anew.
        if self.is_api_available() && self.overload.is_leader_stalled[component.index()] {
            self.resume_leader(component, ctx);
        }
    }

    /// A leader cannot renew any more.
    pub(super) fn on_leader_stalled<E, R>(
        &mut self,
        component: Component,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let is_leading = self.has_leader(component) && !self.is_leader_cut(component);
        if self.is_api_available() && is_leading {
            ctx.hit(&rare::LEADER_STALLED);
            let of = match component {
                Component::ControllerManager => Leading::ControllerManager,
                Component::Scheduler => Leading::Scheduler,
            };
            ctx.observe(|| Observation::LeaderStalled { of });
            self.expect_expiry_of_leader(component, ctx);
            self.overload.is_leader_stalled[component.index()] = true;
        }
    }

    /// Whether a leader that still leads cannot renew at API servers that run.
    pub(super) const fn is_leader_stalled(&self, component: Component) -> bool {
        self.overload.is_leader_stalled[component.index()]
    }

    /// A leader gave up, was lost or can renew again: what was planned of its failing is void.
    pub(super) fn forget_leader_stall<E, R>(
        &mut self,
        component: Component,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy,
        R: Recorder<Observation>,
    {
        self.overload.is_leader_stalled[component.index()] = false;
        ctx.cancel(std::mem::take(&mut self.overload.leaders[component.index()]).timer);
    }

    /// Works out when the kubelet of a node fails to renew, or lets it renew again.
    pub(super) fn expect_lease_stall<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let of = self.of_lease(id);
        let odds = self.odds(of);
        let Some(renewing) = self.overload.nodes.get_mut(id.index()) else { return };
        let former = std::mem::replace(renewing, Renewing { odds, timer: Timer::NONE });
        ctx.cancel(former.timer);
        let node = &self.nodes[id.index()];
        if node.is_lease_stalled {
            // A row that fails goes on while things are as they were.
            if former.odds != odds {
                self.expect_renewal(id, ctx);
            }
            return;
        }
        if !node.has_contact || node.is_deleted || odds == Odds::FREE {
            return;
        }
        let period = self.blueprint.parameters.lease_renew_period;
        let grace = self.blueprint.parameters.node_monitor_grace_period;
        // The last renewal was up to a period ago when the first of a row fails.
        let allowed = grace.saturating_sub(period);
        let after = self.stall_after(of, ctx.now().as_nanos(), allowed, period);
        if let Some(after) = after {
            let event = KubeEvent::LeaseStalled(id);
            self.overload.nodes[id.index()].timer = ctx.timer_in(after, priority::KUBELET, event);
        }
    }

    /// The kubelet of a node whose renewals failed tries on, at other odds than before.
    fn expect_renewal<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let resume = std::mem::replace(&mut self.nodes[id.index()].resume, Timer::NONE);
        ctx.cancel(resume);
        let event = KubeEvent::HeartbeatResumed(id);
        if self.hold(event, ctx) {
            return;
        }
        let draw = self.draw(self.of_lease(id).entity, RELIEF, ctx.now().as_nanos());
        let span = draw.span_between(SimSpan::ZERO, RETRY_AFTER);
        self.nodes[id.index()].resume = ctx.timer_in(span, priority::KUBELET, event);
    }

    /// The kubelet of a node fails to renew its lease, for the grace period at least.
    pub(super) fn on_lease_stalled<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let node = &mut self.nodes[id.index()];
        if !node.has_contact || node.is_deleted || node.ready != Ready::True {
            return;
        }
        node.is_lease_stalled = true;
        node.cause = ctx.cause();
        ctx.hit(&rare::LEASE_STALLED);
        ctx.observe(|| Observation::LeaseStalled { node: id });
        self.expect_expiry(id, ctx);
        let grace = self.blueprint.parameters.node_monitor_grace_period;
        let node = &mut self.nodes[id.index()];
        ctx.cancel(node.resume);
        let event = KubeEvent::HeartbeatResumed(id);
        node.resume = ctx.timer_in(grace, priority::KUBELET, event);
    }
}
