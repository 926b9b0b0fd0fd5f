//! Probes of running containers that wait in line with the requests of a Service.
//!
//! A probe by HTTP or gRPC at the port that a Service sends requests to is a request like the others:
//! it waits until a worker of the pod is free. So do not a TCP probe, which the kernel answers for a
//! process that listens, a command, or a probe at a port of its own.
//!
//! # Modelled
//! Liveness probes that end containers, readiness probes that take pods out of the endpoints and
//! bring them back, each tick at its time and with its own luck.
//! # Not modelled
//! Commands and other ports that suffer from a busy CPU. A pod that gets no requests any more answers
//! at once: what it still works off is left out.
//!
//! Simplified: when one container of a pod is killed, all of its pod are.
//! # Defaults and their sources
//! `pkg/kubelet/prober`, `pkg/kubelet/kuberuntime/kuberuntime_manager.go`, Kubernetes 1.36.
//! # Invariants
//! While no answer is late there is no event; a tick becomes one when it changes something.
//! # Checked against
//! Timelines worked out by hand; brute force over all ticks.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model_api::kube::{Container, PodTemplate, Probe, ProbeHandler};
use model_api::observation::{KillReason, UnreadyReason};
use model_api::{Blueprint, Observation, PodId, ServiceId};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime, Streams, Timer};

use super::kubelet::GRACE_LEAST;
use super::pod::{PodPhase, Step};
use super::standstill::Told;
use super::tables::Tables;
use super::{Cluster, KubeEvent, drawn, priority};
use crate::probes::{ContainerStatus, PodStatus, ProbeKind, Verdict, Watch};
use crate::rare;

const PHASE: Purpose = Purpose::new("probe phase");
const LATE_LIVENESS: Purpose = Purpose::new("late liveness probe");
const LATE_READINESS: Purpose = Purpose::new("late readiness probe");
/// All of a million.
const ALL_PPM: u32 = 1_000_000;

const KILL: Purpose = Purpose::new("killed container stops");

/// A probe that waits in line with requests.
#[derive(Clone, Debug)]
pub(super) struct QueuedProbe {
    container: u64,
    kind: ProbeKind,
    probe: Probe,
    /// Services whose requests it meets.
    services: Vec<ServiceId>,
}

/// Answers that come late.
#[derive(Clone, Debug)]
pub(super) struct Probing {
    /// By Service, in the order of its time-outs: of a million answers, how many come later.
    late_ppm: Vec<Vec<u32>>,
    pods: BTreeMap<PodId, Watched>,
    /// Pods whose processes stand still, and what the kubelet did about it.
    pub(super) still: BTreeMap<PodId, Told>,
}

/// The probes of a pod some of which may fail, or did.
#[derive(Clone, Debug)]
struct Watched {
    /// They are all that its processes answer, rather than those that wait in line with requests.
    is_all: bool,
    watches: Vec<Watch>,
    timer: Timer,
}

impl Probing {
    pub(super) fn of(blueprint: &Blueprint) -> Self {
        Self {
            late_ppm: vec![Vec::new(); blueprint.services.len()],
            pods: BTreeMap::new(),
            still: BTreeMap::new(),
        }
    }
}

/// The probes of a template's pods that wait in line with requests.
pub(super) fn queued_probes(
    blueprint: &Blueprint,
    services: &[(ServiceId, Option<u32>)],
    template: &PodTemplate,
) -> Vec<QueuedProbe> {
    let mut queued = Vec::new();
    for (idx, container) in template.spec.containers.iter().enumerate() {
        let is_target = |target: &str, port: u16| {
            container.port_number(target, "TCP").or_else(|| target.parse().ok()) == Some(port)
        };
        let meets = |port: u16| {
            let services = services.iter().map(|(service, _)| *service);
            let targets = |service: &ServiceId| {
                let ports = &blueprint.services[service.index()].ports;
                ports.iter().any(|it| is_target(&it.target, port))
            };
            services.filter(targets).collect::<Vec<_>>()
        };
        let probes = [
            (ProbeKind::Liveness, container.liveness),
            (ProbeKind::Readiness, container.readiness),
        ];
        for (kind, probe) in probes {
            let Some(probe) = probe else { continue };
            let waits = matches!(probe.handler, ProbeHandler::HttpGet | ProbeHandler::Grpc);
            let services = probe.port.filter(|_| waits).map(meets).unwrap_or_default();
            if !services.is_empty() {
                queued.push(QueuedProbe { container: idx as u64, kind, probe, services });
            }
        }
    }
    queued
}

/// By Service: the time-outs of the probes that wait in line with its requests, in order.
pub(super) fn timeouts<'a>(
    service_count: usize,
    probes: impl Iterator<Item = &'a QueuedProbe>,
) -> Vec<Vec<SimSpan>> {
    let mut timeouts = vec![Vec::new(); service_count];
    for probe in probes {
        for service in &probe.services {
            timeouts[service.index()].push(probe.probe.timeout);
        }
    }
    for of_service in &mut timeouts {
        of_service.sort_unstable();
        of_service.dedup();
    }
    timeouts
}

impl QueuedProbe {
    /// Whether the try at a time comes late, drawn.
    fn is_late(
        &self,
        streams: Streams,
        pod: sim_kernel::EntityKey,
    ) -> impl Fn(SimTime, u32) -> bool + use<> {
        let purpose = if self.kind == ProbeKind::Liveness { LATE_LIVENESS } else { LATE_READINESS };
        let key = pod.part(self.container);
        move |tick, late_ppm| {
            streams.draw(key, purpose, tick.as_nanos()).below(1_000_000) < u64::from(late_ppm)
        }
    }
}

impl Tables {
    pub(super) fn probes_of(&self, pod: &super::pod::PodState) -> &[QueuedProbe] {
        &self.template_of(pod).queued_probes
    }

    /// The probes of a pod that are watched: those that wait in line with requests, or all that its
    /// processes answer. The kernel takes connections for a process that stands still.
    fn watched_probes(&self, pod: &super::pod::PodState, is_all: bool) -> Cow<'_, [QueuedProbe]> {
        if !is_all {
            return Cow::Borrowed(self.probes_of(pod));
        }
        let mut all = Vec::new();
        for (idx, container) in self.template_of(pod).template.spec.containers.iter().enumerate() {
            let probes = [
                (ProbeKind::Liveness, container.liveness),
                (ProbeKind::Readiness, container.readiness),
            ];
            for (kind, probe) in probes {
                let asks = |probe: &Probe| probe.handler != ProbeHandler::TcpSocket;
                if let Some(probe) = probe.filter(asks) {
                    let (container, services) = (idx as u64, Vec::new());
                    all.push(QueuedProbe { container, kind, probe, services });
                }
            }
        }
        Cow::Owned(all)
    }
}

impl Cluster {
    /// The time-outs of all probes that wait in line with the requests of a Service, in order:
    /// [`Self::set_late_answers`] wants to know of these.
    pub fn probe_timeouts(&self, service: ServiceId) -> &[SimSpan] {
        &self.tables.probe_timeouts[service.index()]
    }

    /// From now on so many of a million answers of a pod behind a Service come later than each of
    /// [`Self::probe_timeouts`], or not at all.
    pub fn set_late_answers<E, R>(
        &mut self,
        service: ServiceId,
        late_ppm: &[u32],
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let known = &mut self.probing.late_ppm[service.index()];
        known.clear();
        if late_ppm.iter().any(|ppm| *ppm > 0) {
            known.extend_from_slice(late_ppm);
        }
        self.watch_probes_of(service, ctx);
    }

    /// The answers of a Service, or which pods get its requests, changed.
    pub(super) fn watch_probes_of<E, R>(&mut self, service: ServiceId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let is_strained = !self.probing.late_ppm[service.index()].is_empty();
        if !is_strained && self.probing.pods.is_empty() {
            return;
        }
        let selects = |pod: &PodId| {
            let probes = self.tables.probes_of(&self.pods[pod.index()]);
            probes.iter().any(|probe| probe.services.contains(&service))
        };
        let mut pods: Vec<PodId> = self.probing.pods.keys().copied().filter(selects).collect();
        if is_strained {
            pods.extend(self.services[service.index()].live_pods().filter(selects));
            pods.sort_unstable();
            pods.dedup();
        }
        for pod in pods {
            self.watch_probes(pod, ctx);
        }
    }

    /// Goes on with the probes of a pod under what its answers are like now.
    pub(super) fn watch_probes<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let pod = &self.pods[id.index()];
        if pod.phase != PodPhase::Running
            || !pod.answers
            || pod.is_stopping
            || pod.step == Step::Killed
        {
            return;
        }
        let (tables, status) = (self.tables.clone(), self.status_of(id));
        let is_all = match self.probing.pods.get(&id) {
            Some(watched) => watched.is_all,
            None => self.probing.still.contains_key(&id),
        };
        let probes = tables.watched_probes(pod, is_all);
        let probes = &*probes;
        let late: Vec<u32> = probes.iter().map(|probe| self.late_ppm(id, probe)).collect();
        if !self.probing.pods.contains_key(&id) {
            if late.iter().all(|ppm| *ppm == 0) {
                return;
            }
            let watches = probes.iter().map(|probe| self.begin_watch(id, probe, now)).collect();
            self.probing.pods.insert(id, Watched { is_all, watches, timer: Timer::NONE });
        }
        let (key, streams) = (self.pods[id.index()].key, self.streams);
        let watched = self.probing.pods.get_mut(&id).expect("it was just put there");
        let mut next = None;
        for ((watch, probe), late) in watched.watches.iter_mut().zip(probes).zip(late) {
            let is_late = probe.is_late(streams, key);
            watch.look(&status, now, &is_late);
            watch.set_late(late);
            next = next.into_iter().chain(watch.next_look(&status, is_late)).min();
        }
        ctx.cancel(watched.timer);
        watched.timer = match next {
            Some(at) => ctx.timer_at(at.max(now), priority::KUBELET, KubeEvent::ProbeDue(id)),
            None => Timer::NONE,
        };
    }

    /// Of a million tries of a probe, how many are late: pods that get no requests answer at once.
    fn late_ppm(&self, id: PodId, probe: &QueuedProbe) -> u32 {
        if self.probing.still.contains_key(&id) {
            return ALL_PPM;
        }
        let of_service = |service: &ServiceId| {
            let late = &self.probing.late_ppm[service.index()];
            let timeouts = &self.tables.probe_timeouts[service.index()];
            let position = timeouts.binary_search(&probe.probe.timeout);
            let ppm = late.get(position.expect("it is that of one of its probes")).copied()?;
            self.services[service.index()].routes_to(id).then_some(ppm)
        };
        probe.services.iter().filter_map(of_service).max().unwrap_or(0)
    }

    fn begin_watch(&self, id: PodId, probe: &QueuedProbe, now: SimTime) -> Watch {
        let pod = &self.pods[id.index()];
        let period = probe.probe.period.max(SimSpan::from_secs(1));
        let origin = match probe.kind {
            // Its ticker was reset when it succeeded first.
            ProbeKind::Readiness => pod.plan.ready_at,
            ProbeKind::Liveness | ProbeKind::Startup => pod.worker_at,
        };
        let phase = if origin == SimTime::ZERO {
            // It started at some time before the run.
            let key = pod.key.part(probe.container);
            let draw = self.draw(key, PHASE, u64::from(probe.kind == ProbeKind::Liveness));
            draw.span_between(SimSpan::ZERO, period)
        } else {
            SimSpan::from_nanos(origin.as_nanos())
        };
        let container = u64::from(pod.restart_count);
        Watch::new(probe.kind, probe.probe, container, now.next_tick(period, phase))
    }

    fn status_of(&self, id: PodId) -> PodStatus {
        let pod = &self.pods[id.index()];
        PodStatus {
            is_finished: false,
            is_terminating: pod.is_stopping,
            restarts: true,
            container: Some(ContainerStatus {
                id: Some(u64::from(pod.restart_count)),
                running_since: Some(pod.plan.started_at),
                is_terminated: false,
                is_started: true,
            }),
        }
    }

    /// A verdict about a pod may be known.
    pub(super) fn on_probe_due<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let (now, tables, status) = (ctx.now(), self.tables.clone(), self.status_of(id));
        let (key, streams) = (self.pods[id.index()].key, self.streams);
        let Some(watched) = self.probing.pods.get_mut(&id) else { return };
        let probes = tables.watched_probes(&self.pods[id.index()], watched.is_all);
        let probes = &*probes;
        let (mut is_dead, mut readiness) = (false, None);
        for (watch, probe) in watched.watches.iter_mut().zip(probes) {
            watch.look(&status, now, probe.is_late(streams, key));
            match (watch.take_verdict(now), probe.kind) {
                (None, _) => {}
                (Some(verdict), ProbeKind::Liveness) => is_dead |= verdict == Verdict::Failure,
                (Some(verdict), _) => readiness = Some(verdict == Verdict::Success),
            }
        }
        if is_dead {
            ctx.hit(&rare::LIVENESS_FAILED);
            self.kill_containers(id, KillReason::LivenessProbe, ctx);
            return;
        }
        if let Some(is_ready) = readiness {
            if !is_ready {
                ctx.hit(&rare::READINESS_FAILED);
            }
            self.pods[id.index()].is_locally_ready = is_ready;
            self.publish_status(id, UnreadyReason::Probe, ctx);
        }
        self.watch_probes(id, ctx);
    }

    /// The kubelet ends the containers of a pod and starts them again: preStop, then TERM.
    pub(super) fn kill_containers<E, R>(
        &mut self,
        id: PodId,
        reason: KillReason,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.forget_probes(id, ctx);
        let pod = &self.pods[id.index()];
        // A worker is on hold until there is another container (pkg/kubelet/prober/worker.go).
        if pod.is_stopping || pod.step == Step::Killed {
            return;
        }
        let workload = pod.workload;
        ctx.observe(|| Observation::ContainersKilled { pod: id, workload, reason });
        let grace = self.kill_grace(id, reason);
        self.pods[id.index()].kill_grace = grace;
        if self.waits_for_kill(id, ctx) {
            return;
        }
        let at = ctx.now() + self.pre_stop(id).min(grace);
        self.set_step(id, Step::Killed, at, ctx);
    }

    /// How long the containers of a pod have to end that a probe has killed: as its probes say, or else its pod
    /// (`setTerminationGracePeriod`, pkg/kubelet/kuberuntime/kuberuntime_container.go, 1.36).
    ///
    /// Simplified: all containers end with the one whose probe failed; of several the longest counts.
    fn kill_grace(&self, id: PodId, reason: KillReason) -> SimSpan {
        let spec = &self.tables.template_of(&self.pods[id.index()]).template.spec;
        let probe = |container: &Container| match reason {
            KillReason::StartupProbe => container.startup,
            KillReason::LivenessProbe => container.liveness,
            KillReason::MemoryLimit | KillReason::NodeMemory => None,
        };
        let probes = spec.containers.iter().filter_map(probe);
        let graces = probes.map(|probe| probe.termination_grace.unwrap_or(spec.termination_grace));
        graces.max().unwrap_or(spec.termination_grace)
    }

    /// The containers of a pod get TERM, and will be started again.
    pub(super) fn on_killed<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.waits_for_kill(id, ctx) {
            return;
        }
        let pod = &self.pods[id.index()];
        let range = self.blueprint.parameters.container_stop;
        let stop = drawn(self.draw(pod.key, KILL, u64::from(pod.restart_count)), range);
        let left = pod.kill_grace.saturating_sub(self.pre_stop(id)).max(GRACE_LEAST);
        let exits_at = ctx.now() + stop.min(left);
        self.end_processes(id, PodPhase::Waiting, ctx);
        self.pods[id.index()].is_killed = true;
        self.set_step(id, Step::ExitSeen, exits_at, ctx);
    }

    /// The containers that were probed are gone.
    pub(super) fn forget_probes<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        if let Some(watched) = self.probing.pods.remove(&id) {
            ctx.cancel(watched.timer);
        }
    }
}
