//! Horizontal autoscalers in time: what they remember, when they look, what they are shown.
//!
//! Upstream looks at every autoscaler each 15 s. Here a look is left out when it could only repeat
//! the last one: nothing about the pods or their load changed, every sample shows the present, and
//! nothing leaves a window. A look that was left out counts as one that proposed the same. Memory that
//! grows for days is no reason to look: the sync at which it makes a metric say something else is found
//! by halving.
//!
//! Sources: `pkg/controller/podautoscaler/horizontal.go` (resyncs every
//! `--horizontal-pod-autoscaler-sync-period`), Kubernetes 1.36; [`crate::horizontal_pod_autoscaler`].

mod memory_lines;
mod meter;
mod pieces;
mod samples;
mod tables;
mod traffic;
mod vertical;

use std::collections::BTreeMap;
use std::sync::Arc;

use model_api::kube::HorizontalPodAutoscaler;
use model_api::metric::RequestMetric;
use model_api::{AutoscalerId, Blueprint, Observation, PodId, ServiceId, WorkloadId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime, Streams, Timer};

use memory_lines::MemoryLines;
pub use meter::ServiceWork;
use meter::{Meter, RESOLUTION};
use samples::Room;
use tables::{MetricTable, RequestTable};
pub(super) use tables::{ScalerTable, ScalerTables};
pub use traffic::ServiceTraffic;
use traffic::Traffic;
use vertical::Vertical;

use super::history::{AutoscalerObject, Change};
use super::{Cluster, KubeEvent, priority};
use crate::horizontal_pod_autoscaler::limits::next_departure;
use crate::horizontal_pod_autoscaler::{
    Decision, History, PodFacts, Recommendation, Sample, Settings, Target, reconcile,
};
use crate::rare;

const SYNC_PHASE: Purpose = Purpose::new("autoscaler sync phase");
const SCRAPE_PHASE: Purpose = Purpose::new("metrics scrape phase");
const ADAPTER_PHASE: Purpose = Purpose::new("scrape phase of a metric of requests");

/// Time that passed before the run: what is there at its start is this old, so that no pod is still
/// starting and no window is cut short.
const BEFORE: SimSpan = SimSpan::from_hours(1);

/// A moment of the run with the time before it. What happened at time zero was so from the first.
fn moment(at: SimTime) -> SimTime {
    if at == SimTime::ZERO { at } else { at + BEFORE }
}

/// What one look takes: the next one is due a sync period after its end, so that looks drift apart
/// and the one of a whole stabilization window ago has left the window.
///
/// Simplified: always 10 ms, a little less than the shortest recorded (15 to 400 ms): what matters
/// is that looks drift at all.
const LOOK_LENGTH: SimSpan = SimSpan::from_millis(10);

/// All autoscalers of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Autoscaling {
    settings: Settings,
    scalers: Vec<ScalerState>,
    vertical: Vertical,
    /// By Service; used for those with a measured workload behind.
    meters: Vec<Meter>,
    scrape_phase: SimSpan,
    /// By Service; used for those whose requests an autoscaler reads.
    traffic: Vec<Traffic>,
    /// By metric of requests.
    adapter_phases: Vec<SimSpan>,
    memory: MemoryLines,
    /// Leaders of the controller manager so far.
    term: u64,
    /// Workloads of which something changed in the call that runs.
    touched: Vec<WorkloadId>,
    room: Room,
    /// What somebody else measures of the pods of a workload.
    played: BTreeMap<WorkloadId, Vec<(PodId, Sample)>>,
    /// Look at every sync, for comparison.
    is_eager: bool,
}

#[derive(Clone, Debug, Default)]
struct ScalerState {
    history: History,
    phase: SimSpan,
    due: Option<(SimTime, Timer)>,
    /// The last look, and what it proposed.
    looked: Option<(SimTime, i32)>,
    /// When something about its pods or their load changed last.
    changed_at: SimTime,
    status: AutoscalerStatus,
    /// What of it was changed since the start.
    object: AutoscalerObject,
}

impl ScalerState {
    /// What is worked out of it as it is now.
    fn table<'a>(&'a self, first: &'a ScalerTable) -> &'a ScalerTable {
        self.object.changed.as_deref().unwrap_or(first)
    }
}

/// `status` of an autoscaler after its last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AutoscalerStatus {
    /// `currentReplicas`.
    pub current: u32,
    /// `desiredReplicas`.
    pub desired: u32,
    /// Average utilization that the first metric found, in percent.
    pub utilization: Option<i32>,
}

impl Autoscaling {
    pub(super) fn at_start(blueprint: &Blueprint, tables: &ScalerTables, streams: Streams) -> Self {
        if blueprint.autoscalers.is_empty() && blueprint.vertical_autoscalers.is_empty() {
            return Self::default();
        }
        let key = EntityKey::of("metrics-server");
        let scrape = streams.draw(key, SCRAPE_PHASE, 0);
        let mut autoscaling = Self {
            scalers: vec![ScalerState::default(); blueprint.autoscalers.len()],
            meters: vec![Meter::default(); blueprint.services.len()],
            scrape_phase: scrape.span_between(SimSpan::ZERO, RESOLUTION - SimSpan::from_nanos(1)),
            traffic: vec![Traffic::default(); blueprint.services.len()],
            adapter_phases: adapter_phases(blueprint, streams),
            ..Self::default()
        };
        autoscaling.forget(tables, streams);
        let scrape = |at| autoscaling.scrape(at);
        autoscaling.vertical = Vertical::at_start(&tables.vertical, streams, scrape);
        autoscaling
    }

    /// A new process: it knows nothing, and its syncs have other phases.
    fn forget(&mut self, tables: &ScalerTables, streams: Streams) {
        let longest = self.look_period() - SimSpan::from_nanos(1);
        for (state, table) in self.scalers.iter_mut().zip(&tables.scalers) {
            let Some(table) = table else { continue };
            let draw = streams.draw(table.key, SYNC_PHASE, self.term);
            state.history = History::default();
            state.phase = draw.span_between(SimSpan::ZERO, longest);
            state.looked = None;
        }
        self.term += 1;
    }

    /// From one look to the next.
    fn look_period(&self) -> SimSpan {
        self.settings.sync_period + LOOK_LENGTH
    }

    /// The last scrape that is over at a moment.
    fn scrape(&self, at: SimTime) -> SimTime {
        let later = at + SimSpan::from_nanos(1);
        later.next_tick(RESOLUTION, self.scrape_phase).saturating_sub(RESOLUTION)
    }
}

/// When each metric of requests is scraped.
fn adapter_phases(blueprint: &Blueprint, streams: Streams) -> Vec<SimSpan> {
    let phase = |metric: &RequestMetric| {
        let key = EntityKey::of("metric of requests").child(&metric.name);
        let last = metric.scrape_interval - SimSpan::from_nanos(1);
        streams.draw(key, ADAPTER_PHASE, 0).span_between(SimSpan::ZERO, last)
    };
    blueprint.metrics.iter().map(phase).collect()
}

impl Cluster {
    /// Whether the work of a Service matters to an autoscaler: [`Cluster::set_service_work`].
    pub fn is_metered(&self, service: ServiceId) -> bool {
        let measured_behind = &self.tables.scalers.measured_behind;
        measured_behind.get(service.index()).is_some_and(|measured| !measured.is_empty())
    }

    /// Whether the requests of a Service matter to an autoscaler: [`Cluster::set_service_traffic`].
    pub fn is_counted(&self, service: ServiceId) -> bool {
        let counted_for = &self.tables.scalers.counted_for;
        counted_for.get(service.index()).is_some_and(|counted| !counted.is_empty())
    }

    /// Whether any autoscaler, horizontal or vertical, asks for the work of Services.
    pub fn has_autoscalers(&self) -> bool {
        !self.autoscaling.scalers.is_empty() || self.autoscaling.vertical.is_watching()
    }

    /// Lets autoscalers look at every sync, as upstream does, instead of only when the outcome may
    /// differ. It costs time and changes nothing: for checks of just that.
    pub fn look_at_every_sync(&mut self) {
        self.autoscaling.is_eager = true;
    }

    /// Lets the autoscalers run with these flags. Before the run.
    pub fn preset_autoscalers(&mut self, settings: Settings) {
        self.autoscaling.settings = settings;
        self.autoscaling.term = 0;
        self.autoscaling.forget(&self.tables.scalers, self.streams);
    }

    /// Changes `minReplicas`, `maxReplicas`, `behavior` and `metrics` of an autoscaler, as an apply
    /// does. Its target stays what it was, and what is measured of Services is what the first metrics
    /// needed.
    pub fn change_autoscaler<E, R>(
        &mut self,
        id: AutoscalerId,
        spec: HorizontalPodAutoscaler,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let tables = Arc::clone(&self.tables);
        let Some(table) = &tables.scalers.scalers[id.index()] else { return };
        let spec = HorizontalPodAutoscaler { target: table.spec.target.clone(), ..spec };
        let Some(changed) = ScalerTable::of(&self.blueprint, &spec) else { return };
        let changed = ScalerTable { selector: table.selector, ..changed };
        self.note_autoscaler(id, ctx.now());
        self.autoscaling.scalers[id.index()].object.changed = Some(Arc::new(changed));
        self.touch_scaler(table.workload);
        self.settle(ctx);
    }

    /// Deletes an autoscaler, or makes it anew: as it was, and with no memory of it. Returns whether that is
    /// a change.
    pub fn set_autoscaler_exists<E, R>(
        &mut self,
        id: AutoscalerId,
        exists: bool,
        ctx: &mut Context<'_, E, R>,
    ) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(workload) = self.tables.scalers.workload_of(id) else { return false };
        self.note_autoscaler(id, ctx.now());
        let state = &mut self.autoscaling.scalers[id.index()];
        let existed = !std::mem::replace(&mut state.object.is_deleted, !exists);
        if !exists {
            (state.history, state.looked) = (History::default(), None);
        }
        self.touch_scaler(workload);
        self.settle(ctx);
        existed != exists
    }

    /// `spec` of an autoscaler, while there is one.
    pub fn autoscaler_spec(&self, id: AutoscalerId) -> Option<&HorizontalPodAutoscaler> {
        let state = self.autoscaling.scalers.get(id.index())?;
        let table = self.tables.scalers.scalers[id.index()].as_ref()?;
        (!state.object.is_deleted).then(|| &state.table(table).spec)
    }

    /// Notes that an autoscaler is about to change.
    fn note_autoscaler(&mut self, id: AutoscalerId, now: SimTime) {
        if self.history.is_some() {
            let object = self.autoscaling.scalers[id.index()].object.clone();
            self.note_change(Change::Autoscaler(id, object), now);
        }
    }

    /// Puts an autoscaler back to what a snapshot says.
    pub(super) fn restore_autoscaler<E, R>(
        &mut self,
        id: AutoscalerId,
        then: AutoscalerObject,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let tables = Arc::clone(&self.tables);
        let Some(table) = &tables.scalers.scalers[id.index()] else { return };
        let state = &mut self.autoscaling.scalers[id.index()];
        let exists = !then.is_deleted;
        let now = std::mem::replace(&mut state.object, then);
        if now != state.object {
            let HorizontalPodAutoscaler { min_replicas: min, max_replicas: max, .. } =
                state.table(table).spec;
            ctx.hit(&rare::SPEC_REVERTED);
            let fact = Observation::AutoscalerReverted { autoscaler: id, min, max, exists };
            ctx.observe(|| fact);
        }
        self.touch_scaler(table.workload);
    }

    /// `status` of an autoscaler, as its last look left it.
    pub fn autoscaler_status(&self, id: AutoscalerId) -> AutoscalerStatus {
        self.autoscaling.scalers.get(id.index()).map(|state| state.status).unwrap_or_default()
    }

    /// Takes the metrics of a workload's pods away from the pipeline: from now on the metrics API
    /// shows these samples, of CPU in nanocores, and nothing of pods that are not among them.
    pub fn play_metrics<E, R>(
        &mut self,
        workload: WorkloadId,
        samples: Vec<(PodId, Sample)>,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let shown =
            |(pod, sample): (PodId, Sample)| (pod, Sample { at: moment(sample.at), ..sample });
        self.autoscaling.played.insert(workload, samples.into_iter().map(shown).collect());
        self.touch_scaler(workload);
        self.settle(ctx);
    }

    /// Tells what CPU the requests of a Service cost from now on, all its endpoints together.
    pub fn set_service_work<E, R>(
        &mut self,
        service: ServiceId,
        work: ServiceWork,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let tables = Arc::clone(&self.tables);
        let measured = &tables.scalers.measured_behind[service.index()];
        for workload in measured {
            self.take_up_usage(*workload, ctx.now());
        }
        let (_, live_count) = self.endpoint_counts(service);
        let until = work.until.map(|(at, nanocores)| (moment(at), nanocores));
        let work = ServiceWork { until, ..work };
        self.autoscaling.meters[service.index()].tell(moment(ctx.now()), work, live_count);
        self.autoscaling.touched.extend_from_slice(measured);
        self.settle(ctx);
    }

    /// Tells what comes to a Service from now on, and how much of it is in its pods.
    pub fn set_service_traffic<E, R>(
        &mut self,
        service: ServiceId,
        traffic: &ServiceTraffic,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let tables = Arc::clone(&self.tables);
        let span = tables.scalers.counted_spans[service.index()];
        let (_, live_count) = self.endpoint_counts(service);
        let known = &mut self.autoscaling.traffic[service.index()];
        known.tell(moment(ctx.now()), traffic, live_count, span, moment);
        let counted = &tables.scalers.counted_for[service.index()];
        self.autoscaling.touched.extend_from_slice(counted);
        self.settle(ctx);
    }

    /// The pods behind a Service that answer changed.
    pub(super) fn meter_routes(&mut self, service: ServiceId, now: SimTime) {
        if self.is_metered(service) || self.is_counted(service) {
            let live = self.services[service.index()].live_pods();
            self.autoscaling.meters[service.index()].set_served(moment(now), live);
            let tables = Arc::clone(&self.tables);
            for readers in [&tables.scalers.measured_behind, &tables.scalers.counted_for] {
                self.autoscaling.touched.extend_from_slice(&readers[service.index()]);
            }
        }
    }

    /// The memory of a pod goes on otherwise.
    pub(super) fn remember_memory(&mut self, pod: PodId, now: SimTime) {
        let workload = self.pods[pod.index()].workload;
        if self.tables.scalers.reads_memory[workload.index()]
            && let Some(usage) = self.container_usage(pod)
        {
            self.autoscaling.memory.tell(pod, usage, moment(now));
            self.touch_scaler(workload);
        }
    }

    /// The containers of a pod use nothing any more.
    pub(super) fn forget_memory(&mut self, pod: PodId) {
        self.autoscaling.memory.forget(pod);
    }

    /// Something about a pod changed.
    pub(super) fn touch_scaler_of(&mut self, pod: PodId) {
        if self.has_autoscalers() {
            self.touch_scaler(self.pods[pod.index()].workload);
        }
    }

    /// Something about a workload changed.
    pub(super) fn touch_scaler(&mut self, workload: WorkloadId) {
        let tables = &self.tables.scalers;
        if self.has_autoscalers()
            && (!tables.by_workload[workload.index()].is_empty()
                || tables.vertical.watches(workload))
            && self.autoscaling.touched.last() != Some(&workload)
        {
            self.autoscaling.touched.push(workload);
        }
    }

    /// Schedules the next look of the autoscalers of which something changed.
    pub(super) fn settle_autoscaling<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.settle_node_groups(ctx);
        if self.autoscaling.touched.is_empty() {
            return;
        }
        let mut touched = std::mem::take(&mut self.autoscaling.touched);
        touched.sort_unstable();
        touched.dedup();
        let tables = Arc::clone(&self.tables);
        for workload in touched.drain(..) {
            for id in &tables.scalers.by_workload[workload.index()] {
                self.autoscaling.scalers[id.index()].changed_at = moment(ctx.now());
                self.look_after(*id, ctx.now(), ctx);
            }
            self.measure_pods(workload, ctx.now());
        }
        self.autoscaling.touched = touched;
    }

    /// Whether there are metrics at all changed: they come over the API.
    pub(super) fn touch_measured(&mut self) {
        let tables = Arc::clone(&self.tables);
        tables.scalers.vertical.workloads().for_each(|workload| self.touch_scaler(workload));
    }

    /// Autoscalers look for the first time.
    pub(super) fn begin_autoscaling<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let tables = Arc::clone(&self.tables);
        for table in tables.scalers.scalers.iter().flatten() {
            self.touch_scaler(table.workload);
        }
        self.touch_measured();
        for service in 0..self.autoscaling.meters.len() {
            self.meter_routes(ServiceId::from_index(service), SimTime::ZERO);
        }
        self.settle_autoscaling(ctx);
    }

    /// A new leader of the controller manager looks at every autoscaler.
    pub(super) fn restart_autoscaling<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let tables = Arc::clone(&self.tables);
        let streams = self.streams;
        self.autoscaling.forget(&tables.scalers, streams);
        for idx in 0..self.autoscaling.scalers.len() {
            if let Some((_, timer)) = self.autoscaling.scalers[idx].due.take() {
                ctx.cancel(timer);
            }
            if let Some(table) = &tables.scalers.scalers[idx] {
                self.touch_scaler(table.workload);
            }
        }
        self.settle_autoscaling(ctx);
    }

    /// Lets an autoscaler look at its first sync after `after`, unless it does so earlier anyway.
    fn look_after<E, R>(&mut self, id: AutoscalerId, after: SimTime, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let period = self.autoscaling.look_period();
        let state = &mut self.autoscaling.scalers[id.index()];
        let at = (after + SimSpan::from_nanos(1)).next_tick(period, state.phase);
        if let Some((due_at, timer)) = state.due {
            if due_at <= at {
                return;
            }
            ctx.cancel(timer);
        }
        let event = KubeEvent::AutoscalerSync(id);
        state.due = Some((at, ctx.timer_at(at, priority::CONTROLLER, event)));
    }

    pub(super) fn on_autoscaler_sync<E, R>(&mut self, id: AutoscalerId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let is_due = |state: &ScalerState| state.due.is_some_and(|(at, _)| at <= now);
        if !is_due(&self.autoscaling.scalers[id.index()]) {
            // Of a leader that is gone.
            return;
        }
        let state = &mut self.autoscaling.scalers[id.index()];
        state.due = None;
        if state.object.is_deleted {
            return;
        }
        let tables = Arc::clone(&self.tables);
        let changed = self.autoscaling.scalers[id.index()].object.changed.clone();
        let table = changed.as_deref().or(tables.scalers.scalers[id.index()].as_ref());
        let table = table.expect("only these are scheduled");
        let decision = self.decide(id, table, now);
        self.plan_next_look(id, table, &decision, ctx);
        if decision.rescales {
            let from = self.replicas(table.workload);
            let to = u32::try_from(decision.desired).unwrap_or(0);
            let workload = table.workload;
            ctx.observe(|| Observation::Rescaled { workload, from, to });
            self.scale(workload, to, ctx);
        }
    }

    fn decide(&mut self, id: AutoscalerId, table: &ScalerTable, now: SimTime) -> Decision {
        let mut room = std::mem::take(&mut self.autoscaling.room);
        self.gather(table, now, &mut room);
        let measurements = table.measurements(&room);
        let target = self.scale_target(table, &room.facts);
        let at = now + BEFORE;
        let settings = self.autoscaling.settings;
        let period = self.autoscaling.look_period();
        let state = &mut self.autoscaling.scalers[id.index()];
        if let Some((looked_at, replicas)) = state.looked
            && at > looked_at + period
        {
            let at = at.saturating_sub(period);
            state.history.renew(Recommendation { replicas, at });
        }
        let decision =
            reconcile(&table.spec, &settings, &target, &measurements, &mut state.history, at);
        state.looked = decision.proposal.map(|proposal| (at, proposal));
        let utilization = decision.metrics.first().and_then(|it| it.as_ref().ok());
        state.status = AutoscalerStatus {
            current: u32::try_from(target.spec_replicas).unwrap_or(0),
            desired: u32::try_from(decision.desired).unwrap_or(0),
            utilization: utilization.and_then(|it| it.average_utilization),
        };
        drop(measurements);
        self.autoscaling.room = room;
        decision
    }

    /// The target of an autoscaler as its scale subresource shows it.
    fn scale_target<'a>(&self, table: &ScalerTable, pods: &'a [PodFacts]) -> Target<'a> {
        let active = self.pods_of(table.workload).iter();
        let active = active.filter(|pod| self.pods[pod.index()].is_active()).count();
        let count = |pods: usize| i32::try_from(pods).expect("pods are fewer than 2^31");
        Target {
            spec_replicas: count(self.replicas(table.workload) as usize),
            status_replicas: count(active),
            selector: table.selector,
            pods,
            was_scaled_to_zero: false,
        }
    }

    /// Schedules the next look that could come to another end.
    fn plan_next_look<E, R>(
        &mut self,
        id: AutoscalerId,
        table: &ScalerTable,
        decision: &Decision,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let (now, autoscaling) = (ctx.now(), &self.autoscaling);
        let at = now + BEFORE;
        let state = &autoscaling.scalers[id.index()];
        // The last sample lies after the change, all of it.
        let is_settled = table.metrics.iter().all(|metric| {
            let scraped = match metric {
                MetricTable::Requests(requests) => self.reading(requests, at).last_scrape(),
                _ => autoscaling.scrape(at),
            };
            scraped >= state.changed_at + metric.memory_span()
        });
        let is_changing = self.is_measured_changing(table, at);
        if is_changing || !is_settled || autoscaling.is_eager {
            self.look_after(id, now, ctx);
            return;
        }
        let departure = decision.proposal.and_then(|proposal| {
            next_departure(&table.spec, &autoscaling.settings, &state.history, proposal, at)
        });
        let period = autoscaling.settings.cpu_initialization_period;
        let starts = autoscaling.room.facts.iter().filter(|pod| pod.ready.is_some());
        let initialized = starts.filter_map(|pod| Some(pod.started_at? + period));
        let next = departure.into_iter().chain(initialized.filter(|end| *end > at)).min();
        let grown = self.next_growth(id, table, decision, now);
        if let Some(next) = next {
            // At that moment it is so, and a sync at that very moment sees it.
            let after = next.saturating_sub(BEFORE + SimSpan::from_nanos(1));
            self.look_after(id, after.max(now), ctx);
        }
        if let Some(sync) = grown {
            self.look_after(id, sync.saturating_sub(SimSpan::from_nanos(1)), ctx);
        }
    }

    /// Whether CPU or requests that an autoscaler reads change even if nothing happens.
    fn is_measured_changing(&self, table: &ScalerTable, at: SimTime) -> bool {
        let autoscaling = &self.autoscaling;
        let services = &self.tables.templates[self.template(table.workload).index()].services;
        let works =
            |(service, _): &(ServiceId, _)| autoscaling.meters[service.index()].is_changing(at);
        let comes = |requests: &RequestTable| {
            let mut services = requests.services.iter();
            services.any(|it| autoscaling.traffic[it.index()].is_changing(requests, at))
        };
        table.reads_cpu() && services.iter().any(works) || table.requests().any(comes)
    }
}
