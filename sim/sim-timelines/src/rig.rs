//! A cluster, what is done to it, and what is seen of it.

use model_api::kube::WorkloadKind;
use model_api::{
    AutoscalerId, BudgetId, NodeId, Observation, PodId, ServiceId, SimSpan, SimTime, WorkloadId,
};
use model_kube::cluster::{DrainSpec, PodPhase};
use model_kube::{Cluster, KubeEvent};
use sim_kernel::{
    Context, EntityKey, Limits, Model, Priority, Purpose, Recorder, Simulation, Streams,
};

use crate::figures::{Figures, figures};
use crate::operation::{Nodes, Operation, Pods};
use crate::stage::{SCRAPE, Stage};
use crate::tape::{Notes, Series, Tape};

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
    /// metrics.k8s.io is renewed.
    Scrape,
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
    if stage.load.is_some() {
        simulation.schedule_at(stage.begin_at(), OPERATOR, StageEvent::Scrape);
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
            StageEvent::Scrape => self.scrape(ctx),
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
    fn obey<R: Recorder<Observation>>(
        &mut self,
        operation: &Operation,
        ctx: &mut Context<'_, StageEvent, R>,
    ) {
        match operation {
            Operation::Kill(nodes) => {
                for node in self.nodes(nodes) {
                    self.killed[node.index()] = true;
                    self.cluster.isolate_node(node, ctx);
                }
            }
            Operation::Revive(nodes) => {
                for node in self.nodes(nodes) {
                    self.killed[node.index()] = false;
                    self.cluster.rejoin_node(node, ctx);
                }
            }
            Operation::Delete(nodes) => {
                for node in self.nodes(nodes) {
                    self.notes.node_changes.push((ctx.now(), node, "deleted"));
                    self.cluster.delete_node(node, ctx);
                }
            }
            Operation::OutOfService(nodes, is_out) => {
                let what = if *is_out { "taintOutOfService" } else { "taintOutOfServiceRemoved" };
                for node in self.nodes(nodes) {
                    self.notes.node_changes.push((ctx.now(), node, what));
                    self.cluster.set_out_of_service(node, *is_out, ctx);
                }
            }
            Operation::Cordon(nodes, is_cordoned) => {
                for node in self.nodes(nodes) {
                    self.cluster.cordon(node, *is_cordoned, ctx);
                }
            }
            Operation::Drain(nodes, how) => {
                let nodes = self.nodes(nodes);
                let spec = DrainSpec {
                    timeout: how.timeout,
                    goes_on: how.goes_on,
                    // The recorder drained whatever there was, and saw at once that it was gone.
                    forces: true,
                    poll: SimSpan::from_millis(10),
                    ..DrainSpec::of(nodes)
                };
                self.cluster.drain(spec, ctx);
            }
            Operation::KillLeader(component) => {
                self.notes.killed_leaders.push((ctx.now(), *component));
                self.cluster.kill_leader(*component, ctx);
            }
            Operation::Scale(workload, replicas) => self.cluster.scale(*workload, *replicas, ctx),
            Operation::Patch(idx) => {
                self.cluster.patch_template(self.stage.plan.template(*idx), ctx);
            }
            Operation::Hold(workload, is_held) => {
                self.cluster.hold_workload(*workload, *is_held, ctx);
            }
            Operation::Strategy(workload, to) => {
                self.cluster.change_strategy(*workload, to, ctx);
            }
            Operation::Budget(budget, to) => self.cluster.change_budget(*budget, to),
            Operation::Evict(which) => {
                for pod in self.pods(which) {
                    self.cluster.evict(pod, ctx);
                }
            }
            Operation::DeletePods(which) => {
                let pods = self.pods(which);
                self.cluster.delete_pods(&pods, ctx);
            }
            Operation::Autoscaler(id, to) => {
                self.cluster.change_autoscaler(*id, to.as_ref().clone(), ctx);
            }
        }
    }

    /// Pods that are there and not being deleted.
    fn pods(&self, which: &[Pods]) -> Vec<PodId> {
        let mut found = Vec::new();
        for pods in which {
            match pods {
                Pods::Of(workload) => found.extend_from_slice(self.cluster.pods_of(*workload)),
                Pods::Ordinal(workload, ordinal) => {
                    let all = self.cluster.pods_of(*workload).iter().copied();
                    found.extend(all.filter(|pod| self.cluster.pod(*pod).ordinal == *ordinal));
                }
                Pods::Arrived(nth) => {
                    let arrived = self.arrived.iter().filter(|(position, _)| position == nth);
                    found.extend(arrived.map(|(_, pod)| *pod));
                }
            }
        }
        found.retain(|pod| {
            let pod = self.cluster.pod(*pod);
            !pod.is_terminating && pod.phase != PodPhase::Gone
        });
        found
    }

    /// Notes pods for which others were preempted.
    fn note_nominated(&mut self, now: SimTime) {
        for pod in (0..self.cluster.pod_count()).map(PodId::from_index) {
            if self.cluster.pod(pod).nominated_node.is_some() {
                self.notes.nominated.entry(pod).or_insert(now);
            }
        }
    }

    fn nodes(&mut self, which: &Nodes) -> Vec<NodeId> {
        let all = (0..self.killed.len()).map(NodeId::from_index);
        let zone_of = |node: &NodeId| self.stage.blueprint.nodes[node.index()].zone;
        match which {
            Nodes::All => all.collect(),
            Nodes::Killed => all.filter(|node| self.killed[node.index()]).collect(),
            Nodes::Of(zone) => all.filter(|node| zone_of(node) == *zone).collect(),
            Nodes::Listed(nodes) => nodes.clone(),
            Nodes::MostOf(workload) => {
                let mut counts = vec![0u32; self.stage.blueprint.zones.len()];
                for pod in self.cluster.pods_of(*workload) {
                    if let Some(zone) = self.cluster.pod(*pod).zone {
                        counts[zone.index()] += 1;
                    }
                }
                let Some((zone, count)) = self.stage.most else { return Vec::new() };
                // Another start than the recorded one: this run says nothing about it.
                self.is_void |=
                    counts[zone.index()] != count || counts.iter().any(|other| *other > count);
                all.filter(|node| zone_of(node) == zone).collect()
            }
        }
    }

    /// What the recorder's metrics.k8s.io shows from now on.
    fn scrape<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, StageEvent, R>) {
        let Some(load) = &self.stage.load else { return };
        let mut running = Vec::new();
        for id in self.cluster.pods_of(load.workload) {
            let pod = self.cluster.pod(*id);
            if pod.phase == PodPhase::Running && !pod.is_terminating {
                running.push((*id, pod.is_ready));
            }
        }
        let samples = load.samples(self.stage.secs(ctx.now()), ctx.now(), &running);
        self.cluster.play_metrics(load.workload, samples, ctx);
        ctx.schedule_in(SCRAPE, OPERATOR, StageEvent::Scrape);
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
