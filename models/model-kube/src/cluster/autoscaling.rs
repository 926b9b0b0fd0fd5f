//! Horizontal autoscalers in time: what they remember, when they look, what they are shown.
//!
//! Upstream looks at every autoscaler each 15 s. Here a look is left out when it could only repeat
//! the last one: nothing about the pods or their load changed, every sample shows the present, and
//! nothing leaves a window. A look that was left out counts as one that proposed the same.

mod meter;
mod vertical;

use std::collections::BTreeMap;
use std::sync::Arc;

use model_api::kube::{
    HorizontalPodAutoscaler, MetricSource, ResourceList, Workload, WorkloadKind,
};
use model_api::{AutoscalerId, Blueprint, Observation, PodId, ServiceId, WorkloadId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime, Streams, Timer};

pub use meter::ServiceWork;
use meter::{FRESH_MIN, Meter, RESOLUTION};
use vertical::{Vertical, VerticalTables};

use super::pod::PodPhase;
use super::{Cluster, KubeEvent, priority};
use crate::horizontal_pod_autoscaler::limits::next_departure;
use crate::horizontal_pod_autoscaler::{
    ConditionStatus, Decision, History, Measurement, PodFacts, PodPhase as ApiPhase,
    ReadyCondition, Recommendation, Requests, Sample, Selector, Settings, Target, reconcile,
    request_of,
};

const SYNC_PHASE: Purpose = Purpose::new("autoscaler sync phase");
const SCRAPE_PHASE: Purpose = Purpose::new("metrics scrape phase");

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

/// What is worked out of an autoscaler once.
#[derive(Debug)]
pub(super) struct ScalerTable {
    /// With those of its metrics that are played.
    spec: HorizontalPodAutoscaler,
    workload: WorkloadId,
    /// What its pods request of each metric, or who requests nothing.
    requests: Vec<Result<i64, String>>,
    /// Parts per million of what a pod uses that each metric is about.
    shares_ppm: Vec<u64>,
    selector: Selector,
    key: EntityKey,
}

/// What is worked out of all autoscalers once.
#[derive(Debug, Default)]
pub(super) struct ScalerTables {
    /// By autoscaler; `None` for one that can scale nothing.
    scalers: Vec<Option<ScalerTable>>,
    by_workload: Vec<Vec<AutoscalerId>>,
    vertical: VerticalTables,
    /// By Service: the workloads behind it whose metrics an autoscaler reads.
    measured_behind: Vec<Vec<WorkloadId>>,
}

impl ScalerTables {
    pub(super) fn of(
        blueprint: &Blueprint,
        services: impl Fn(WorkloadId) -> Vec<ServiceId>,
    ) -> Self {
        let mut tables = Self {
            scalers: Vec::new(),
            by_workload: vec![Vec::new(); blueprint.workloads.len()],
            vertical: VerticalTables::of(blueprint),
            measured_behind: vec![Vec::new(); blueprint.services.len()],
        };
        for workload in tables.vertical.workloads() {
            for service in services(workload) {
                tables.measured_behind[service.index()].push(workload);
            }
        }
        for (idx, autoscaler) in blueprint.autoscalers.iter().enumerate() {
            let table = ScalerTable::of(blueprint, autoscaler);
            if let Some(table) = &table {
                let scalers = &mut tables.by_workload[table.workload.index()];
                scalers.push(AutoscalerId::from_index(idx));
                for service in services(table.workload) {
                    tables.measured_behind[service.index()].push(table.workload);
                }
            }
            tables.scalers.push(table);
        }
        for idx in 0..tables.scalers.len() {
            let Some(workload) = tables.scalers[idx].as_ref().map(|it| it.workload) else {
                continue;
            };
            if tables.by_workload[workload.index()].len() > 1
                && let Some(table) = &mut tables.scalers[idx]
            {
                table.selector = Selector::Ambiguous;
            }
        }
        tables
    }

    /// The workload that an autoscaler looks after, if it is played.
    pub(super) fn workload_of(&self, id: AutoscalerId) -> Option<WorkloadId> {
        self.scalers.get(id.index())?.as_ref().map(|table| table.workload)
    }

    /// How many replicas a workload has at the start: a cluster that has run for a while has been
    /// brought within the limits of its autoscaler.
    pub(super) fn replicas_at_start(&self, id: WorkloadId, stated: u32) -> u32 {
        let [scaler] = self.by_workload[id.index()].as_slice() else { return stated };
        let Some(table) = &self.scalers[scaler.index()] else { return stated };
        if stated == 0 {
            return stated;
        }
        let count = |replicas: i32| u32::try_from(replicas).unwrap_or(0);
        stated.max(count(table.spec.min_replicas)).min(count(table.spec.max_replicas))
    }
}

impl ScalerTable {
    fn of(blueprint: &Blueprint, autoscaler: &HorizontalPodAutoscaler) -> Option<Self> {
        let is_target = |workload: &Workload| {
            workload.namespace == autoscaler.namespace
                && workload.name == autoscaler.target.name
                && workload.kind.name() == autoscaler.target.kind
        };
        let idx = blueprint.workloads.iter().position(is_target)?;
        let workload = &blueprint.workloads[idx];
        // Simplified: the number of instances of a database is never changed.
        let has_scale =
            workload.kind.has_scale() && workload.kind != WorkloadKind::DatabaseInstances;
        // Simplified: metrics that nothing plays take no part, as if they were not stated.
        let mut spec = autoscaler.clone();
        spec.metrics.retain(|metric| played_container(&metric.source).is_some());
        if !has_scale || spec.metrics.is_empty() {
            return None;
        }
        let pod = &workload.template.spec;
        let request = |container: Option<&str>| request_of(pod, ResourceList::CPU, container);
        let containers: Vec<Option<&str>> =
            spec.metrics.iter().filter_map(|it| played_container(&it.source)).collect();
        let requests = containers.iter().map(|container| request(*container)).collect();
        let whole = request(None).unwrap_or(0);
        let share = |container: &Option<&str>| match container {
            // Simplified: containers use CPU as they request it.
            Some(name) if whole > 0 => {
                let part = request(Some(name)).unwrap_or(0).max(0).unsigned_abs();
                part * 1_000_000 / whole.unsigned_abs()
            }
            _ => 1_000_000,
        };
        Some(Self {
            shares_ppm: containers.iter().map(share).collect(),
            requests,
            workload: WorkloadId::from_index(idx),
            selector: Selector::Good,
            key: EntityKey::of("HorizontalPodAutoscaler")
                .child(&autoscaler.namespace)
                .child(&autoscaler.name),
            spec,
        })
    }
}

/// The container that a metric is about, inside `Some` when the metric is played: CPU only.
fn played_container(source: &MetricSource) -> Option<Option<&str>> {
    match source {
        MetricSource::Resource { name } if name == ResourceList::CPU => Some(None),
        MetricSource::ContainerResource { name, container } if name == ResourceList::CPU => {
            Some(Some(container.as_str()))
        }
        _ => None,
    }
}

/// All autoscalers of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Autoscaling {
    settings: Settings,
    scalers: Vec<ScalerState>,
    vertical: Vertical,
    /// By Service; used for those with a measured workload behind.
    meters: Vec<Meter>,
    scrape_phase: SimSpan,
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

/// Room for one look, kept to spare allocations.
#[derive(Clone, Debug, Default)]
struct Room {
    facts: Vec<PodFacts>,
    usage: Vec<Option<Sample>>,
    samples: Vec<Vec<Option<Sample>>>,
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

impl Cluster {
    /// Whether the work of a Service matters to an autoscaler: [`Cluster::set_service_work`].
    pub fn is_metered(&self, service: ServiceId) -> bool {
        let measured_behind = &self.tables.scalers.measured_behind;
        measured_behind.get(service.index()).is_some_and(|measured| !measured.is_empty())
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

    /// The pods behind a Service that answer changed.
    pub(super) fn meter_routes(&mut self, service: ServiceId, now: SimTime) {
        if self.is_metered(service) {
            let live = self.services[service.index()].live_pods();
            self.autoscaling.meters[service.index()].set_served(moment(now), live);
            let tables = Arc::clone(&self.tables);
            let measured = &tables.scalers.measured_behind[service.index()];
            self.autoscaling.touched.extend_from_slice(measured);
        }
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
        self.autoscaling.scalers[id.index()].due = None;
        let tables = Arc::clone(&self.tables);
        let table = tables.scalers.scalers[id.index()].as_ref().expect("only these are scheduled");
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
        let measurements: Vec<Measurement<'_>> = (0..table.spec.metrics.len())
            .map(|idx| Measurement::OfPods {
                samples: &room.samples[idx],
                stray: &[],
                requests: match &table.requests[idx] {
                    Ok(request) => Requests::Same(*request),
                    Err(what) => Requests::Missing(what),
                },
            })
            .collect();
        let active = self.pods_of(table.workload).iter();
        let active = active.filter(|pod| self.pods[pod.index()].is_active()).count();
        let count = |pods: usize| i32::try_from(pods).expect("pods are fewer than 2^31");
        let target = Target {
            spec_replicas: count(self.replicas(table.workload) as usize),
            status_replicas: count(active),
            selector: table.selector,
            pods: &room.facts,
            was_scaled_to_zero: false,
        };
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
        let services = &self.tables.templates[self.template(table.workload).index()].services;
        let is_changing =
            services.iter().any(|(service, _)| autoscaling.meters[service.index()].is_changing());
        // The last sample lies after the change, all of it.
        let is_settled = autoscaling.scrape(at) >= state.changed_at + RESOLUTION;
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
        if let Some(next) = next {
            // At that moment it is so, and a sync at that very moment sees it.
            let after = next.saturating_sub(BEFORE + SimSpan::from_nanos(1));
            self.look_after(id, after.max(now), ctx);
        }
    }

    /// What the API and the metrics pipeline show of the pods of a target.
    fn gather(&self, table: &ScalerTable, now: SimTime, room: &mut Room) {
        let at = now + BEFORE;
        let scrape = self.autoscaling.scrape(at);
        room.facts.clear();
        room.usage.clear();
        for id in self.pods_of(table.workload) {
            room.facts.push(self.facts(*id));
            room.usage.push(self.usage(*id, scrape));
        }
        room.samples.resize_with(table.spec.metrics.len(), Vec::new);
        for (samples, share_ppm) in room.samples.iter_mut().zip(&table.shares_ppm) {
            samples.clear();
            let share = i64::try_from(*share_ppm).expect("a share is at most a million");
            samples.extend(room.usage.iter().map(|usage| {
                usage.map(|it| {
                    // Metrics come in nanocores, which the controller rounds up to millicores.
                    let nanocores = i128::from(it.value) * i128::from(share) / 1_000_000;
                    let millicores = (nanocores + 999_999) / 1_000_000;
                    let value = i64::try_from(millicores).unwrap_or(i64::MAX);
                    Sample { value, ..it }
                })
            }));
        }
    }

    fn facts(&self, id: PodId) -> PodFacts {
        let pod = &self.pods[id.index()];
        // Restarts leave `startTime` as it is, and with it when the kubelet saw the pod first.
        let started_at = if pod.restart_count > 0 { pod.created_at } else { pod.worker_at };
        let was_ready = pod.created_at == SimTime::ZERO || pod.ready_since > pod.created_at;
        let ready = match (pod.is_ready, was_ready) {
            (true, _) => {
                ReadyCondition { status: ConditionStatus::True, since: moment(pod.ready_since) }
            }
            // Simplified: one that is not ready any more was ready for a while.
            (false, true) => ReadyCondition { status: ConditionStatus::False, since: SimTime::MAX },
            (false, false) => {
                ReadyCondition { status: ConditionStatus::False, since: moment(started_at) }
            }
        };
        PodFacts {
            is_deleted: pod.is_terminating,
            phase: match pod.phase {
                PodPhase::Finished | PodPhase::Gone => ApiPhase::Failed,
                _ if pod.has_address => ApiPhase::Running,
                _ => ApiPhase::Pending,
            },
            ready: Some(ready),
            started_at: pod.node.map(|_| moment(started_at)),
        }
    }

    /// What the last scrape says of a pod, in nanocores.
    ///
    /// Simplified: the metrics of a node that is lost are gone at once, not at the next scrape, and
    /// metrics-server itself never fails.
    fn usage(&self, id: PodId, scrape: SimTime) -> Option<Sample> {
        let pod = &self.pods[id.index()];
        if let Some(played) = self.autoscaling.played.get(&pod.workload) {
            return played.iter().find(|(known, _)| *known == id).map(|(_, sample)| *sample);
        }
        if pod.phase != PodPhase::Running || !self.is_in_contact(id) {
            return None;
        }
        let age = scrape.checked_since(moment(pod.plan.started_at))?;
        if age < FRESH_MIN {
            return None;
        }
        let window = age.min(RESOLUTION);
        let from = scrape.saturating_sub(window);
        let services = &self.tables.template_of(pod).services;
        let spent: u128 = services
            .iter()
            .filter_map(|(service, _)| {
                let meter = &self.autoscaling.meters[service.index()];
                let since = meter.served_since(id)?;
                Some(meter.spent(from.max(since), scrape))
            })
            .sum();
        let value = i64::try_from(spent / u128::from(window.as_nanos())).unwrap_or(i64::MAX);
        Some(Sample { value, at: scrape, window })
    }
}
