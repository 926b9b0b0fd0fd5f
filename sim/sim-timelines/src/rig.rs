//! A cluster, what is done to it, and what is seen of it.

use model_api::kube::WorkloadKind;
use model_api::{AutoscalerId, BudgetId, Observation, PodId, ServiceId, SimTime, WorkloadId};
use model_kube::cluster::PodPhase;
use model_kube::{Cluster, KubeEvent};
use sim_kernel::{
    Context, EntityKey, Limits, Model, Priority, Purpose, Recorder, Simulation, Streams,
};

use crate::figures::{Figures, figures};
use crate::stage::Stage;
use crate::tape::{Notes, Series, Tape};

mod orders;

const PASS_LENGTH: Purpose = Purpose::new("length of a monitor pass");

/// Recorded scenarios need a hundredth of it.
const LIMITS: Limits = Limits {
    event_count_max: 10_000_000,
    pending_count_max: 1_000_000,
    instant_count_max: 1_000_000,
};

/// Whoever acts on the cluster acts before its components.
const OPERATOR: Priority = Priority::new(2);

/// What happens on a stage.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) enum StageEvent {
    /// In the cluster.
    Kube(KubeEvent),
    /// A workload is created: its position among the births.
    Birth(u32),
    /// Something is done: its position in the script.
    Operation(u32),
    /// A bare pod arrives: its position among the arrivals.
    Arrival(u32),
    /// metrics.k8s.io is renewed for a workload: the position of its load.
    Scrape(u32),
    /// A pod has been ready for long enough to be available.
    Look,
}

impl From<KubeEvent> for StageEvent {
    fn from(event: KubeEvent) -> Self {
        Self::Kube(event)
    }
}

/// The model that is run.
#[derive(Clone, Debug)]
pub(crate) struct Rig<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) cluster: Cluster,
    pub(crate) notes: Notes,
    /// By node.
    killed: Vec<bool>,
    /// Arrived bare pods: position among the arrivals and pod.
    pub(crate) arrived: Vec<(u32, PodId)>,
    /// When somebody looks next whether a pod is available.
    look_at: SimTime,
    /// The zone with most pods was not the recorded one.
    is_void: bool,
}

/// Plays a stage with the luck of one run.
pub(crate) fn play(stage: &Stage, streams: Streams) -> Option<Figures> {
    let mut cluster = stage.plan.start(streams);
    cluster.preset_autoscalers(stage.autoscalers);
    cluster.preset_set_max_unavailable(stage.has_set_max_unavailable);
    cluster.look_at_every_sync();
    let slowness = streams.draw(EntityKey::of("recorder"), PASS_LENGTH, 0);
    cluster.preset_monitor_pass(slowness.span_between(stage.passes.least, stage.passes.most));
    let rig = Rig {
        stage,
        cluster,
        notes: Notes::default(),
        killed: vec![false; stage.blueprint.nodes.len()],
        arrived: Vec::new(),
        look_at: SimTime::ZERO,
        is_void: false,
    };
    let mut simulation = Simulation::new(rig, Tape::default(), LIMITS);
    simulation.apply(|rig, ctx| rig.cluster.announce(ctx));
    let number = |idx: usize| u32::try_from(idx).expect("a trace has few entries");
    for (idx, (at, _)) in stage.births.iter().enumerate() {
        simulation.schedule_at(*at, OPERATOR, StageEvent::Birth(number(idx)));
    }
    for (idx, (at, _)) in stage.script.iter().enumerate() {
        simulation.schedule_at(*at, OPERATOR, StageEvent::Operation(number(idx)));
    }
    for (idx, (at, ..)) in stage.arrivals.iter().enumerate() {
        simulation.schedule_at(*at, OPERATOR, StageEvent::Arrival(number(idx)));
    }
    for idx in 0..stage.loads.len() {
        simulation.schedule_at(stage.begin_at(), OPERATOR, StageEvent::Scrape(number(idx)));
    }
    let outcome = simulation.run_until(stage.end_at);
    let (rig, tape) = simulation.into_parts();
    (outcome.is_complete() && !rig.is_void).then(|| figures(&rig, &tape))
}

impl Model for Rig<'_> {
    type Event = StageEvent;
    type Observation = Observation;

    fn handle<R: Recorder<Observation>>(
        &mut self,
        event: StageEvent,
        ctx: &mut Context<'_, StageEvent, R>,
    ) {
        match event {
            StageEvent::Kube(event) => {
                self.cluster.handle(event, ctx);
                if event == KubeEvent::ScheduleDue {
                    self.note_nominated(ctx.now());
                }
                if let KubeEvent::TakeoverDue(component) = event {
                    self.notes.takeovers.push((ctx.now(), component));
                }
            }
            StageEvent::Birth(idx) => {
                let (_, birth) = self.stage.births[idx as usize];
                self.cluster.scale(birth.workload, birth.replicas, ctx);
            }
            StageEvent::Operation(idx) => {
                let stage = self.stage;
                self.obey(&stage.script[idx as usize].1, ctx);
            }
            StageEvent::Arrival(idx) => {
                let workload = self.stage.arrivals[idx as usize].1;
                let pod = self.cluster.create_bare_pod(workload, ctx);
                self.arrived.push((idx, pod));
            }
            StageEvent::Scrape(idx) => self.scrape(idx, ctx),
            StageEvent::Look => {}
        }
        self.cluster.drain_notices();
        let now = ctx.now();
        self.note_steps(now);
        if let Some(at) = self.next_available(now)
            && (self.look_at <= now || at < self.look_at)
        {
            self.look_at = at;
            ctx.schedule_at(at, OPERATOR, StageEvent::Look);
        }
    }
}

impl Rig<'_> {
    /// Notes pods for which others were preempted.
    fn note_nominated(&mut self, now: SimTime) {
        for pod in (0..self.cluster.pod_count()).map(PodId::from_index) {
            if self.cluster.pod(pod).nominated_node.is_some() {
                self.notes.nominated.entry(pod).or_insert(now);
            }
        }
    }

    /// What the recorder's metrics.k8s.io shows from now on.
    fn scrape<R: Recorder<Observation>>(&mut self, idx: u32, ctx: &mut Context<'_, StageEvent, R>) {
        let load = &self.stage.loads[idx as usize];
        let mut running = Vec::new();
        for id in self.cluster.pods_of(load.workload) {
            let pod = self.cluster.pod(*id);
            if pod.phase == PodPhase::Running && !pod.is_terminating {
                running.push((*id, pod.is_ready));
            }
        }
        let samples = load.samples(self.stage.secs(ctx.now()), ctx.now(), &running);
        self.cluster.play_metrics(load.workload, samples, ctx);
        ctx.schedule_in(load.scrape, OPERATOR, StageEvent::Scrape(idx));
    }

    /// Notes what objects show now.
    fn note_steps(&mut self, now: SimTime) {
        let stage = self.stage;
        for service in (0..stage.blueprint.services.len()).map(ServiceId::from_index) {
            let (mut ready, mut live) = (0, 0);
            for pod in self.cluster.ready_pods(service) {
                ready += 1;
                let node = self.cluster.pod(pod).node;
                live += i64::from(node.is_some_and(|node| !self.killed[node.index()]));
            }
            self.notes.step(Series::Ready(service), now, ready);
            self.notes.step(Series::Live(service), now, live);
        }
        for budget in (0..stage.blueprint.budgets.len()).map(BudgetId::from_index) {
            let status = self.cluster.budget_status(budget).unwrap_or_default();
            self.notes.step(Series::Healthy(budget), now, status.current_healthy.into());
            self.notes.step(Series::HealthyWanted(budget), now, status.desired_healthy.into());
            self.notes.step(Series::Allowed(budget), now, status.disruptions_allowed.into());
        }
        for id in (0..stage.blueprint.autoscalers.len()).map(AutoscalerId::from_index) {
            let status = self.cluster.autoscaler_status(id);
            self.notes.step(Series::Current(id), now, status.current.into());
            self.notes.step(Series::Desired(id), now, status.desired.into());
            let utilization = status.utilization.map_or(-1, i64::from);
            self.notes.step(Series::Utilization(id), now, utilization);
        }
        for (idx, workload) in stage.blueprint.workloads.iter().enumerate() {
            if has_status(&workload.kind) {
                self.note_status(WorkloadId::from_index(idx), now);
            }
        }
    }

    /// When the next pod of a Deployment or StatefulSet will be available that is ready now.
    fn next_available(&self, now: SimTime) -> Option<SimTime> {
        let workloads = self.stage.blueprint.workloads.iter().enumerate();
        let waits = workloads
            .filter(|(_, workload)| !workload.min_ready.is_zero() && has_status(&workload.kind));
        let pods = waits.flat_map(|(idx, _)| self.cluster.pods_of(WorkloadId::from_index(idx)));
        let since = pods.filter_map(|pod| self.cluster.available_since(*pod));
        since.filter(|at| *at > now).min()
    }

    fn note_status(&mut self, id: WorkloadId, now: SimTime) {
        let (mut active, mut available) = (0, 0);
        for id in self.cluster.pods_of(id) {
            let pod = self.cluster.pod(*id);
            let is_active = !pod.is_terminating && pod.phase != PodPhase::Finished;
            let is_available = self.cluster.available_since(*id).is_some_and(|at| at <= now);
            active += i64::from(is_active);
            available += i64::from(is_active && is_available);
        }
        self.notes.step(Series::Available(id), now, available);
        self.notes.step(Series::Replicas(id), now, active);
    }
}

/// Whether summaries have figures of its status.
fn has_status(kind: &WorkloadKind) -> bool {
    matches!(kind, WorkloadKind::Deployment { .. } | WorkloadKind::StatefulSet { .. })
}
