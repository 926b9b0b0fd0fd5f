//! Memory of pods in time: it grows, and at its limit the kernel kills the container.
//!
//! Nothing is looked at in between: what a pod uses is a line until something changes it, and the
//! moment at which it meets its limit is worked out.
//!
//! # Modelled
//! What the container of a profile uses: a base, growth since its start, leaks, what requests in the
//! pod hold. Its limit: `OOMKilled`, then the restart and the back-off of a crash.
//! # Not modelled
//! The limit of the pod as such; `memory.high`; swap; memory of the other containers beyond what they
//! request; how long a container takes to use its base.
//!
//! Simplified: when one container of a pod is killed, all of its pod are. A pod that is stopped uses
//! nothing from TERM on, although its containers hold their memory until they are gone.
//! # Defaults and their sources
//! What pods use is stated by the platform or the scenario; limits are those of the pod template.
//! # Invariants
//! Without a profile nothing is kept and nothing happens. A container never uses more than its limit.
//! # Checked against
//! Timelines worked out by hand.

use std::collections::BTreeMap;

use model_api::kube::{Container, PodSpec};
use model_api::memory::{Growth, MemoryProfile};
use model_api::observation::KillReason;
use model_api::usage::NodeResource;
use model_api::{Blueprint, NodeId, Observation, PodId, ServiceId, WorkloadId};
use sim_kernel::{Context, EventId, Purpose, Recorder, SimTime, Streams, Timer};

use super::jobs::EXIT_KILLED;
use super::node_pressure::NodePressure;
use super::pod::PodPhase;
use super::{Cluster, KubeEvent, priority};
use crate::memory_growth::Growing;
use crate::oom_kill::{self, Process};
use crate::{qos, rare};

const VARIATION: Purpose = Purpose::new("memory growth of a pod");

/// What is worked out of the profiles once.
#[derive(Debug)]
pub(super) struct MemoryTables {
    /// By workload; empty when memory is not looked at.
    profiles: Vec<Option<MemoryProfile>>,
}

impl MemoryTables {
    pub(super) fn of(blueprint: &Blueprint) -> Self {
        let mut profiles = Vec::new();
        if !blueprint.memory.is_empty() {
            profiles.resize(blueprint.workloads.len(), None);
        }
        for profile in &blueprint.memory {
            profiles[profile.workload.index()] = Some(profile.clone());
        }
        Self { profiles }
    }

    /// Whether memory is looked at.
    pub(super) fn is_used(&self) -> bool {
        !self.profiles.is_empty()
    }

    /// Whether requests hold memory.
    fn holds_requests(&self) -> bool {
        self.profiles.iter().flatten().any(|profile| profile.per_request_bytes > 0)
    }

    pub(super) fn profile(&self, workload: WorkloadId) -> Option<&MemoryProfile> {
        self.profiles.get(workload.index())?.as_ref()
    }
}

/// A leak that was started: see [`Cluster::start_leak`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeakId(u32);

#[derive(Clone, Debug)]
struct Leak {
    workload: WorkloadId,
    resource: NodeResource,
    /// `None` means all of the workload.
    pods: Option<Vec<PodId>>,
    growth: Growth,
    /// When it was mended.
    ended_at: Option<SimTime>,
    /// The event that started it.
    cause: EventId,
}

impl Leak {
    /// Whether it is, or was before it was mended, in a pod.
    fn concerns(&self, pod: PodId, workload: WorkloadId) -> bool {
        let is_one = self.pods.as_ref().is_none_or(|pods| pods.contains(&pod));
        self.workload == workload && is_one
    }
}

/// What pods and nodes use.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// Pods that run and have a profile.
    pods: BTreeMap<PodId, PodMemory>,
    leaks: Vec<Leak>,
    /// By Service: requests in each of its endpoints, in thousandths.
    inside_milli: Vec<u64>,
    /// By node; empty when nothing that it may run out of is looked at.
    pub(super) nodes: Vec<NodePressure>,
    /// Nodes on which something changed in the call that runs.
    pub(super) touched: Vec<NodeId>,
}

/// The container of a profile, while it runs.
#[derive(Clone, Copy, Debug)]
struct PodMemory {
    /// Base, and what requests hold.
    steady_bytes: u64,
    growing: Growing,
    began_at: SimTime,
    /// How it grows, compared with what is stated.
    factor_ppm: u32,
    /// It reaches its limit.
    timer: Timer,
}

impl Memory {
    pub(super) fn at_start(blueprint: &Blueprint, is_looked_at: bool, streams: Streams) -> Self {
        let nodes = if is_looked_at { NodePressure::all(blueprint, streams) } else { Vec::new() };
        let inside_milli = vec![0; blueprint.services.len()];
        Self { nodes, inside_milli, ..Self::default() }
    }
}

/// What a container may use.
fn limit(container: &Container) -> Option<u64> {
    container.limits.memory_bytes().and_then(|bytes| u64::try_from(bytes).ok())
}

/// What a container requests.
fn request(container: &Container) -> u64 {
    container.requests.memory_bytes().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
}

/// Containers and sidecars, which run together; containers first.
fn running_containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.containers.iter().chain(spec.init_containers.iter().filter(|it| it.restart_always))
}

/// A line that what is used moves along.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) steady_bytes: u64,
    pub(super) growing: Growing,
}

impl Usage {
    pub(super) fn bytes_at(&self, at: SimTime) -> u64 {
        self.steady_bytes.saturating_add(self.growing.bytes_at(at))
    }

    /// The first moment with more than so many bytes.
    pub(super) fn exceeds(&self, bytes: u64) -> Option<SimTime> {
        self.growing.reaches(bytes.saturating_add(1).saturating_sub(self.steady_bytes))
    }
}

/// Leaks.
impl Cluster {
    /// From now on pods of a workload take a resource faster: those that are named, or all, those to
    /// come included.
    pub fn start_leak<E, R>(
        &mut self,
        workload: WorkloadId,
        resource: NodeResource,
        pods: Option<&[PodId]>,
        growth: Growth,
        ctx: &mut Context<'_, E, R>,
    ) -> LeakId
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let id = LeakId(u32::try_from(self.memory.leaks.len()).expect("faults are fewer"));
        let pods = pods.map(<[PodId]>::to_vec);
        let cause = ctx.cause();
        self.memory.leaks.push(Leak { workload, resource, pods, growth, ended_at: None, cause });
        self.change_growth(workload, resource, ctx);
        id
    }

    /// They grow as before; what they took stays theirs.
    pub fn end_leak<E, R>(&mut self, id: LeakId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let leak = &mut self.memory.leaks[id.0 as usize];
        leak.ended_at = Some(ctx.now());
        let (workload, resource) = (leak.workload, leak.resource);
        self.change_growth(workload, resource, ctx);
    }

    fn change_growth<E, R>(
        &mut self,
        workload: WorkloadId,
        resource: NodeResource,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for pod in self.pods_of(workload).to_vec() {
            if resource != NodeResource::Memory {
                self.change_held_growth(pod, resource, ctx.now());
                continue;
            }
            let stated = self.tables.memory.profile(workload).map_or(Growth::ZERO, |it| it.growth);
            let growth = self.growth_of(pod, resource, stated);
            self.take_up_memory(pod, ctx.now());
            if let Some(memory) = self.memory.pods.get_mut(&pod) {
                memory.growing.set_growth(growth.times_ppm(memory.factor_ppm), ctx.now());
                self.expect_limit(pod, ctx);
            }
        }
        self.settle(ctx);
    }
}

/// Requests.
impl Cluster {
    /// Whether requests hold memory of pods: then [`Self::set_requests_inside`] wants to be told.
    pub fn holds_memory(&self) -> bool {
        self.tables.memory.holds_requests()
    }

    /// So many requests, in thousandths, are from now on in the pods behind a Service, evenly in all
    /// that answer.
    pub fn set_requests_inside<E, R>(
        &mut self,
        service: ServiceId,
        inside_milli: u64,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let (_, live_count) = self.endpoint_counts(service);
        let each_milli = inside_milli / u64::from(live_count.max(1));
        self.memory.inside_milli[service.index()] = each_milli;
        let is_behind = |pod: &PodId| {
            let services = &self.tables.template_of(&self.pods[pod.index()]).services;
            services.iter().any(|(behind, _)| *behind == service)
        };
        let pods: Vec<PodId> = self.memory.pods.keys().copied().filter(is_behind).collect();
        for pod in pods {
            let steady_bytes = self.steady_bytes(pod);
            self.take_up_memory(pod, ctx.now());
            let memory = self.memory.pods.get_mut(&pod).expect("it is one of them");
            if memory.steady_bytes != steady_bytes {
                memory.steady_bytes = steady_bytes;
                self.expect_limit(pod, ctx);
            }
        }
        self.settle(ctx);
    }

    /// The base of the container of a profile, and what the requests in its pod hold.
    fn steady_bytes(&self, id: PodId) -> u64 {
        let pod = &self.pods[id.index()];
        let Some(profile) = self.tables.memory.profile(pod.workload) else { return 0 };
        let services = self.tables.template_of(pod).services.iter();
        let inside = services.filter_map(|(service, _)| {
            let is_routed = self.services[service.index()].routes_to(id) && pod.answers;
            is_routed.then_some(u128::from(self.memory.inside_milli[service.index()]))
        });
        let held = inside.sum::<u128>() * u128::from(profile.per_request_bytes) / 1000;
        profile.base_bytes.saturating_add(u64::try_from(held).unwrap_or(u64::MAX))
    }
}

/// Pods.
impl Cluster {
    /// Memory that a pod uses now, its working set in bytes; `None` when memory is not looked at, or
    /// its containers do not run.
    pub fn memory_used(&self, pod: PodId, now: SimTime) -> Option<u64> {
        let runs = self.pods[pod.index()].phase == PodPhase::Running;
        (runs && self.tables.memory.is_used()).then(|| self.usage_of(pod).bytes_at(now))
    }

    /// How fast a pod takes a resource now, that is said to take so much anyway.
    pub(super) fn growth_of(&self, id: PodId, resource: NodeResource, stated: Growth) -> Growth {
        let workload = self.pods[id.index()].workload;
        let is_in = |leak: &&Leak| {
            leak.resource == resource && leak.ended_at.is_none() && leak.concerns(id, workload)
        };
        let leaks = self.memory.leaks.iter().filter(is_in);
        leaks.fold(stated, |growth, leak| growth.plus(leak.growth))
    }

    /// What made a pod leak since its container runs, if anything did: what comes of its memory comes
    /// of that, also when it is mended.
    fn leak_of(&self, id: PodId) -> Option<EventId> {
        self.leak_since(id, NodeResource::Memory, self.memory.pods.get(&id)?.began_at)
    }

    /// What made a pod take a resource since it began to, if a leak did.
    pub(super) fn leak_since(
        &self,
        id: PodId,
        resource: NodeResource,
        began_at: SimTime,
    ) -> Option<EventId> {
        let workload = self.pods[id.index()].workload;
        let took = |leak: &&Leak| {
            let is_of = leak.resource == resource && leak.concerns(id, workload);
            is_of && leak.ended_at.is_none_or(|at| at > began_at)
        };
        self.memory.leaks.iter().find(took).map(|leak| leak.cause)
    }

    /// The same of memory, with what the pod grew by at a moment.
    pub(super) fn memory_leak_of(&self, id: PodId, at: SimTime) -> Option<(u64, EventId)> {
        let leak = self.leak_of(id)?;
        Some((self.usage_of(id).growing.bytes_at(at), leak))
    }

    /// All that is there at the start uses its base.
    pub(super) fn begin_memory<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.tables.memory.is_used() || self.tables.pressure.is_used() {
            for pod in (0..self.pods.len()).map(PodId::from_index) {
                if self.pods[pod.index()].phase == PodPhase::Running {
                    self.begin_use(pod, ctx);
                }
            }
        }
    }

    /// The containers of a pod run.
    pub(super) fn begin_use<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.hold_more(id, ctx.now());
        if !self.tables.memory.is_used() {
            return;
        }
        self.touch_node_of(id);
        let pod = &self.pods[id.index()];
        let Some(profile) = self.tables.memory.profile(pod.workload) else { return };
        let variation = u64::from(profile.variation_ppm);
        let draw = self.draw(pod.key, VARIATION, 0);
        let factor = draw.range_inclusive(1_000_000 - variation, 1_000_000 + variation);
        let factor_ppm = u32::try_from(factor).expect("at most twice a million");
        let growth = self.growth_of(id, NodeResource::Memory, profile.growth);
        let memory = PodMemory {
            steady_bytes: profile.base_bytes,
            growing: Growing::from(ctx.now(), growth.times_ppm(factor_ppm)),
            began_at: ctx.now(),
            factor_ppm,
            timer: Timer::NONE,
        };
        self.memory.pods.insert(id, memory);
        self.expect_limit(id, ctx);
    }

    /// The containers of a pod ended or have TERM, and use nothing any more.
    pub(super) fn end_use<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        self.hold_no_more(id, ctx.now());
        if !self.tables.memory.is_used() {
            return;
        }
        self.touch_node_of(id);
        self.take_up_memory(id, ctx.now());
        if let Some(memory) = self.memory.pods.remove(&id) {
            self.forget_memory(id);
            ctx.cancel(memory.timer);
        }
    }

    pub(super) fn touch_node_of(&mut self, id: PodId) {
        if let Some(node) = self.pods[id.index()].node
            && self.memory.touched.last() != Some(&node)
        {
            self.memory.touched.push(node);
        }
    }

    /// Since when the container of a profile runs.
    pub(super) fn memory_began_at(&self, id: PodId) -> Option<SimTime> {
        self.memory.pods.get(&id).map(|memory| memory.began_at)
    }

    /// Works out when the container of a profile meets its limit.
    fn expect_limit<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.touch_node_of(id);
        self.remember_memory(id, ctx.now());
        let own = self.limit_of(id).and_then(|limit| self.container_usage(id)?.exceeds(limit));
        let whole = self.pod_limit_of(id).and_then(|limit| self.usage_of(id).exceeds(limit));
        let at = own.into_iter().chain(whole).min();
        let cause = self.leak_of(id).unwrap_or(ctx.cause());
        let Some(memory) = self.memory.pods.get_mut(&id) else { return };
        ctx.cancel(memory.timer);
        let at = at.map(|at| at.max(ctx.now()));
        memory.timer = at.map_or(Timer::NONE, |at| {
            let event = KubeEvent::MemoryLimitReached(id);
            ctx.because(cause).timer_at(at, priority::KUBELET, event)
        });
    }

    /// The limit of the container of a profile.
    fn limit_of(&self, id: PodId) -> Option<u64> {
        let pod = &self.pods[id.index()];
        let profile = self.tables.memory.profile(pod.workload)?;
        let containers = &self.tables.template_of(pod).template.spec.containers;
        limit(containers.get(profile.container)?)
    }

    /// What all containers of a pod may use together: the limit of its control group
    /// (pkg/kubelet/cm/helpers_linux.go, ResourceConfigForPod, 1.36).
    fn pod_limit_of(&self, id: PodId) -> Option<u64> {
        let spec = &self.tables.template_of(&self.pods[id.index()]).template.spec;
        spec.limits.memory_bytes().and_then(|bytes| u64::try_from(bytes).ok())
    }

    /// The container that the kernel kills when its own limit or that of the pod is reached: within a
    /// control group the one with most points.
    fn victim_at_limit(&self, id: PodId, now: SimTime) -> usize {
        let workload = self.pods[id.index()].workload;
        let own = self.tables.memory.profile(workload).map_or(0, |it| it.container);
        let reaches = |limit: u64, usage: Usage| usage.bytes_at(now) > limit;
        let is_own = self
            .limit_of(id)
            .zip(self.container_usage(id))
            .is_some_and(|(it, used)| reaches(it, used));
        let Some(limit) = self.pod_limit_of(id).filter(|_| !is_own) else { return own };
        let spec = &self.tables.template_of(&self.pods[id.index()]).template.spec;
        let capacity = self.pods[id.index()].node.and_then(|node| {
            let of_node = self.blueprint.nodes[node.index()].node.allocatable.memory_bytes();
            of_node.map(|bytes| {
                bytes.saturating_add_unsigned(self.blueprint.parameters.eviction_hard_memory_bytes)
            })
        });
        let process = |(container, usage): (&Container, Usage)| Process {
            used_bytes: usage.bytes_at(now),
            oom_score_adj: qos::oom_score_adj(spec, container, capacity.unwrap_or(i64::MAX)),
        };
        let processes: Vec<Process> = self.usages_of(id).map(process).collect();
        oom_kill::victim(&processes, limit).unwrap_or(own)
    }

    pub(super) fn container_usage(&self, id: PodId) -> Option<Usage> {
        let PodMemory { steady_bytes, growing, .. } = *self.memory.pods.get(&id)?;
        Some(Usage { steady_bytes, growing })
    }

    /// What each container of a pod that runs uses: without a profile what it requests, and its share
    /// in what the pod as such requests beyond that.
    pub(super) fn usages_of(&self, id: PodId) -> impl Iterator<Item = (&Container, Usage)> {
        self.usages_with(id, self.container_usage(id))
    }

    /// The same, when the container of its profile uses that.
    fn usages_with(
        &self,
        id: PodId,
        own: Option<Usage>,
    ) -> impl Iterator<Item = (&Container, Usage)> {
        let pod = &self.pods[id.index()];
        let spec = &self.tables.template_of(pod).template.spec;
        let profile = self.tables.memory.profile(pod.workload);
        let unallocated = u64::try_from(qos::unallocated_per_container(spec)).unwrap_or(0);
        let own = profile.and_then(|profile| Some((profile.container, own?)));
        running_containers(spec).enumerate().map(move |(idx, container)| {
            let usage = match own {
                Some((position, usage)) if position == idx => usage,
                _ => Usage {
                    steady_bytes: request(container).saturating_add(unallocated),
                    growing: Growing::default(),
                },
            };
            (container, usage)
        })
    }

    /// What a pod, or the container at a position, uses at a moment when the container of its profile
    /// uses that.
    pub(super) fn bytes_of(
        &self,
        id: PodId,
        container: Option<usize>,
        own: Usage,
        at: SimTime,
    ) -> u64 {
        let usages = (0..).zip(self.usages_with(id, Some(own)));
        let wanted = usages.filter(|(idx, _)| container.is_none_or(|wanted| wanted == *idx));
        wanted.fold(0, |sum: u64, (_, (_, usage))| sum.saturating_add(usage.bytes_at(at)))
    }

    /// Whether a pod uses more and more.
    pub(super) fn is_growing(&self, id: PodId) -> bool {
        self.memory.pods.get(&id).is_some_and(|memory| memory.growing.is_growing())
    }

    /// What a pod that runs uses in all.
    pub(super) fn usage_of(&self, id: PodId) -> Usage {
        let mut whole = Usage { steady_bytes: 0, growing: Growing::default() };
        for (_, usage) in self.usages_of(id) {
            whole.steady_bytes = whole.steady_bytes.saturating_add(usage.steady_bytes);
            if usage.growing != Growing::default() {
                whole.growing = usage.growing;
            }
        }
        whole
    }

    pub(super) fn on_memory_limit_reached<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        ctx.hit(&rare::MEMORY_LIMIT_REACHED);
        let container = self.victim_at_limit(id, ctx.now());
        self.kill_for_memory(id, container, KillReason::MemoryLimit, ctx);
    }

    /// The kernel kills a container of a pod, with which all of it end. Its kubelet sees that with its
    /// next look.
    pub(super) fn kill_for_memory<E, R>(
        &mut self,
        id: PodId,
        container: usize,
        reason: KillReason,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let workload = self.pods[id.index()].workload;
        self.note_out_of_memory(id, container, None, ctx.now());
        ctx.observe(|| Observation::ContainersKilled { pod: id, workload, reason });
        self.pods[id.index()].exit = Some(EXIT_KILLED);
        self.expect_exit(id, ctx);
    }
}
