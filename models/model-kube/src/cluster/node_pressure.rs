//! Nodes that run out of something in time: kubelets that evict, and the kernel where they are too late.
//!
//! # Modelled
//! What all pods of a node use together of memory, disk, inodes and process ids: of memory, those
//! without a profile what they request. The passes of the
//! eviction manager that find something, images that are deleted before pods go and by the garbage
//! collection, pods that use more of
//! the disk than they may, the eviction of one pod after the other, the wait for each
//! to be gone; the conditions in the API and their taints; pods that are refused; the kernel that kills
//! a container when no memory is left.
//! # Not modelled
//! The load that a machine short of memory suffers (page faults, a slow kubelet); writes that fail on
//! a full disk and processes that cannot be started, where a kubelet comes too late or has no
//! threshold; the limit from which on the garbage collector deletes pods that failed; dead containers,
//! of which here nothing is left.
//!
//! Simplified: a pod that is evicted when its containers have TERM already keeps the time that they take
//! from then on. What a container requests counts for its `oom_score_adj` as a share of what pods may
//! use and the hard threshold; a kubelet takes all memory of the machine, what is reserved for the
//! system included. Images that nobody uses are a stated amount of bytes that does not come back: the
//! garbage collection takes as much of it as it wants, an eviction manager all of it. A kubelet that
//! evicts several pods at once waits for the last.
//! # Defaults and their sources
//! [`crate::node_pressure`], [`crate::image_collection`]; `nodeStatusUpdateFrequency` 10 s, Kubernetes
//! 1.36. What the system takes of a disk: [`model_api::Parameters`].
//! # Invariants
//! A node without pressure has no event. While a kubelet waits for a pod that it evicted there is
//! no pass.
//! # Checked against
//! Timelines worked out by hand.

use std::cmp::Reverse;

use model_api::kube::{Container, Node, ResourceList};
use model_api::observation::{EvictionReason, KillReason};
use model_api::usage::NodeResource;
use model_api::{Blueprint, NodeId, Observation, PodId, WorkloadId};
use sim_kernel::{
    Context, EntityKey, EventId, Purpose, Recorder, SimSpan, SimTime, Streams, Timer,
};

use super::holdings::HeldTable;
use super::memory::Usage;
use super::pod::{PodPhase, Refusal};
use super::{Cluster, KubeEvent, drawn, priority};
use crate::image_collection;
use crate::memory_growth::Growing;
use crate::node_pressure::{
    self, Candidate, Capacities, Condition, Conditions, EvictionManager, PERIOD, Settings,
    ThresholdKind, Wanted,
};
use crate::oom_kill::{self, Process};
use crate::scheduling::pod_requests;
use crate::{qos, rare};

const PASS_PHASE: Purpose = Purpose::new("eviction manager phase");
const IMAGES_PHASE: Purpose = Purpose::new("image collection phase");
const STATUS_PHASE: Purpose = Purpose::new("node status phase");
const STATUS_SEEN: Purpose = Purpose::new("controller sees node condition");

/// How often a kubelet looks whether it has something new to say of its node
/// (`nodeStatusUpdateFrequency`).
const STATUS_PERIOD: SimSpan = SimSpan::from_secs(10);
/// How often an eviction manager looks whether the pod it evicted is gone (`podCleanupPollFreq`).
const CLEANUP_POLL: SimSpan = SimSpan::from_secs(1);
/// How long it does so once the containers are gone (`podCleanupTimeout`).
const CLEANUP_TIMEOUT: SimSpan = SimSpan::from_secs(30);

/// What is worked out of nodes once.
#[derive(Debug)]
pub(super) struct PressureTables {
    /// By workload; empty when nothing but memory is looked at.
    held: Vec<Vec<HeldTable>>,
    /// By node: what there is of what is looked at.
    capacities: Vec<Capacities>,
    /// By node.
    settings: Vec<Settings>,
}

impl PressureTables {
    pub(super) fn of(blueprint: &Blueprint) -> Self {
        let held = HeldTable::all(blueprint);
        if held.is_empty() && blueprint.memory.is_empty() {
            return Self { held, capacities: Vec::new(), settings: Vec::new() };
        }
        let nodes = blueprint.nodes.iter();
        let capacities: Vec<Capacities> = nodes.map(|it| capacities(blueprint, &it.node)).collect();
        let settings = |capacities| Settings::of(&blueprint.parameters, capacities);
        Self { held, settings: capacities.iter().map(settings).collect(), capacities }
    }

    /// Whether anything but memory is looked at.
    pub(super) fn is_used(&self) -> bool {
        !self.held.is_empty()
    }

    /// What pods of a workload hold.
    pub(super) fn held(&self, workload: WorkloadId) -> Option<&[HeldTable]> {
        self.held.get(workload.index()).map(Vec::as_slice)
    }
}

/// What there is on a node of what is looked at.
///
/// What pods may request is what is left without the reserves of the system and the hard threshold
/// (pkg/kubelet/cm/node_container_manager_linux.go, 1.36).
///
/// Simplified: the system uses its reserves of memory, no more and no less, so that neither counts.
fn capacities(blueprint: &Blueprint, node: &Node) -> Capacities {
    let parameters = &blueprint.parameters;
    let allocatable = &node.allocatable;
    let memory = allocatable.memory_bytes().and_then(|bytes| u64::try_from(bytes).ok());
    let memory = memory.map(|bytes| bytes.saturating_add(parameters.eviction_hard_memory_bytes));
    let disk = allocatable.get(ResourceList::EPHEMERAL_STORAGE);
    let disk = disk.and_then(|bytes| u64::try_from(bytes).ok()).filter(|it| *it < DISK_MAX);
    let hard_ppm = u128::from(parameters.eviction_hard_nodefs_ppm.min(999_999));
    let disk = disk.map(|bytes| {
        let capacity = (u128::from(bytes) * 1_000_000).div_ceil(1_000_000 - hard_ppm);
        u64::try_from(capacity).unwrap_or(u64::MAX)
    });
    let is_stated = |resource| blueprint.usage.iter().any(|it| it.resource == resource);
    let inodes = disk.map(|bytes| bytes / parameters.node_bytes_per_inode.max(1));
    [
        memory.filter(|_| !blueprint.memory.is_empty()),
        disk.filter(|_| is_stated(NodeResource::Disk)),
        inodes.filter(|_| is_stated(NodeResource::Inodes)),
        Some(parameters.node_pid_max).filter(|_| is_stated(NodeResource::Processes)),
    ]
}

/// Pools whose disks are not stated have more than this.
const DISK_MAX: u64 = 1 << 60;

/// What one node runs out of.
#[derive(Clone, Debug)]
pub(super) struct NodePressure {
    manager: EvictionManager,
    /// Images that no container uses, in bytes.
    unused_images_bytes: u64,
    /// The next collection of images, whether it finds something or not, and the next that does.
    next_collection: SimTime,
    collection: Timer,
    /// The next pass, whether it finds something or not.
    next_pass: SimTime,
    evicted: Option<Wait>,
    /// The next pass that finds something, or the one that ends a wait.
    pass: Timer,
    /// Nothing is left.
    exhaustion: Timer,
    status_phase: SimSpan,
    status_count: u64,
}

/// An eviction manager waits for a pod to be gone.
#[derive(Clone, Copy, Debug)]
struct Wait {
    pod: PodId,
    /// When its containers are, as far as that is known.
    gone_at: SimTime,
    /// When it goes on without that.
    until: SimTime,
}

impl NodePressure {
    pub(super) fn all(blueprint: &Blueprint, streams: Streams) -> Vec<Self> {
        let one = |name: &str| {
            let key = EntityKey::of("node").child(name);
            let phase_of = |purpose, period: SimSpan| {
                let most = period - SimSpan::from_nanos(1);
                streams.draw(key, purpose, 0).span_between(SimSpan::ZERO, most)
            };
            let phase = |purpose| phase_of(purpose, PERIOD);
            let collection_phase = phase_of(IMAGES_PHASE, image_collection::PERIOD);
            Self {
                manager: EvictionManager::default(),
                unused_images_bytes: blueprint.parameters.node_disk_unused_images_bytes,
                next_collection: SimTime::ZERO + collection_phase,
                collection: Timer::NONE,
                next_pass: SimTime::ZERO + phase(PASS_PHASE),
                evicted: None,
                pass: Timer::NONE,
                exhaustion: Timer::NONE,
                status_phase: phase(STATUS_PHASE),
                status_count: 0,
            }
        };
        blueprint.nodes.iter().map(|spec| one(&spec.node.name)).collect()
    }

    /// The next collection of images that finds too little of the disk available.
    fn collects_at(&self, capacity: u64, usage: Usage, now: SimTime) -> Option<SimTime> {
        let least = image_collection::collects_below(capacity);
        let short_at = node_pressure::below(least, capacity, |used| usage.exceeds(used));
        let at = short_at.max(self.next_collection).max(now);
        let phase = SimSpan::from_nanos(self.next_collection.as_nanos());
        (at < SimTime::MAX - SimSpan::from_days(1))
            .then(|| at.next_tick(image_collection::PERIOD, phase))
    }
}

impl Cluster {
    /// Works out anew what comes on the nodes on which something changed.
    pub(super) fn settle_memory<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.memory.touched.is_empty() {
            return;
        }
        let mut touched = std::mem::take(&mut self.memory.touched);
        touched.sort_unstable();
        touched.dedup();
        for node in &touched {
            self.plan_node_memory(*node, ctx);
        }
        touched.clear();
        self.memory.touched = touched;
    }

    /// A node booted: its kubelet has found nothing yet, and looks at once.
    pub(super) fn begin_node_memory(&mut self, id: NodeId, now: SimTime) {
        if let Some(node) = self.memory.nodes.get_mut(id.index()) {
            node.next_pass = now;
            node.next_collection = now;
            self.memory.touched.push(id);
        }
    }

    /// A node stopped, and what its kubelet knew is gone.
    pub(super) fn end_node_memory<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        let Some(node) = self.memory.nodes.get_mut(id.index()) else { return };
        node.manager = EvictionManager::default();
        node.evicted = None;
        for timer in [&mut node.pass, &mut node.exhaustion, &mut node.collection] {
            ctx.cancel(std::mem::replace(timer, Timer::NONE));
        }
        for pod in self.nodes[id.index()].pods.clone() {
            self.pods[pod.index()].eviction_grace = None;
        }
    }

    /// Why the kubelet of a node does not take a pod, if it does not.
    pub(super) fn refused_for(&self, id: PodId) -> Option<Refusal> {
        let pod = &self.pods[id.index()];
        if pod.node.is_some_and(|node| self.nodes[node.index()].shutdown.is_some()) {
            return Some(Refusal::Shutdown);
        }
        let spec = &self.tables.template_of(pod).template.spec;
        let state = pod.node.and_then(|node| self.memory.nodes.get(node.index()))?;
        node_pressure::refusal(spec, state.manager.conditions()).map(Refusal::Pressure)
    }

    /// What is used of a node.
    fn node_usage(&self, id: NodeId, resource: NodeResource, now: SimTime) -> Usage {
        let mut steady_bytes = match resource {
            NodeResource::Disk => {
                let system = self.blueprint.parameters.node_disk_system_bytes;
                system.saturating_add(self.memory.nodes[id.index()].unused_images_bytes)
            }
            _ => 0,
        };
        let mut growing = Vec::new();
        let pods = self.nodes[id.index()].pods.iter().copied();
        let runs = |pod: &PodId| self.pods[pod.index()].phase == PodPhase::Running;
        for pod in pods.filter(|pod| resource != NodeResource::Memory || runs(pod)) {
            let usage = self.used_of(pod, resource);
            steady_bytes = steady_bytes.saturating_add(usage.steady_bytes);
            growing.push(usage.growing);
        }
        Usage { steady_bytes, growing: Growing::sum(&growing, now) }
    }

    /// What a pod uses of something.
    fn used_of(&self, id: PodId, resource: NodeResource) -> Usage {
        match resource {
            NodeResource::Memory => self.usage_of(id),
            _ => self.held_of(id, resource),
        }
    }

    /// What made the pod leak that will have grown most on a node at a moment, of all that leaked.
    fn worst_leak_on(&self, id: NodeId, resource: NodeResource, at: SimTime) -> Option<EventId> {
        let leaking = self.nodes[id.index()].pods.iter().filter_map(|pod| {
            let (grown, leak) = match resource {
                NodeResource::Memory => self.memory_leak_of(*pod, at)?,
                _ => self.held_leak_of(*pod, resource, at)?,
            };
            Some((grown, Reverse(*pod), leak))
        });
        leaking.max_by_key(|(grown, pod, _)| (*grown, *pod)).map(|(_, _, leak)| leak)
    }

    /// What leaked most of what is short on a node first.
    fn cause_on(&self, id: NodeId, at: SimTime) -> Option<EventId> {
        NodeResource::ALL.into_iter().find_map(|resource| {
            let is_looked_at =
                self.tables.pressure.capacities[id.index()][resource.index()].is_some();
            if is_looked_at { self.worst_leak_on(id, resource, at) } else { None }
        })
    }

    fn running_on(&self, id: NodeId) -> impl Iterator<Item = PodId> + '_ {
        let runs = |pod: &PodId| self.pods[pod.index()].phase == PodPhase::Running;
        self.nodes[id.index()].pods.iter().copied().filter(runs)
    }

    fn plan_node_memory<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let tables = self.tables.clone();
        let Some(capacities) = tables.pressure.capacities.get(id.index()) else { return };
        if !self.nodes[id.index()].is_running {
            return;
        }
        let now = ctx.now();
        let usages = NodeResource::ALL.map(|resource| {
            let capacity = capacities[resource.index()]?;
            Some((capacity, self.node_usage(id, resource, now)))
        });
        let can_evict = self.evictable(id).next().is_some();
        let exceeds_at = self.evictable(id).filter_map(|pod| self.exceeds_storage_limit(pod)).min();
        let settings = &tables.pressure.settings[id.index()];
        let memory = usages[NodeResource::Memory.index()];
        let exhausted_at = memory.and_then(|(capacity, usage)| usage.exceeds(capacity));
        let exhausted_at = exhausted_at.map(|at| at.max(now));
        let node = &mut self.memory.nodes[id.index()];
        ctx.cancel(node.exhaustion);
        ctx.cancel(node.pass);
        ctx.cancel(node.collection);
        let collects_at = usages[NodeResource::Disk.index()]
            .filter(|_| node.unused_images_bytes > 0)
            .and_then(|(capacity, usage)| node.collects_at(capacity, usage, now));
        let pass_at = if let Some(wait) = node.evicted {
            Some(wait.until.max(now))
        } else {
            node.next_pass = node.manager.take_up(settings, node.next_pass, now);
            let below = |resource: NodeResource, amount| match usages[resource.index()] {
                Some((capacity, usage)) => {
                    node_pressure::below(amount, capacity, |used| usage.exceeds(used))
                }
                None => SimTime::MAX,
            };
            let next = node.next_pass;
            let limit = exceeds_at.and_then(|at| node_pressure::pass_at(at, next));
            let threshold = node.manager.next_look(settings, next, below, can_evict);
            limit.into_iter().chain(threshold).min()
        };
        let mut timer = |at: Option<SimTime>, priority, event| {
            let Some(at) = at else { return Timer::NONE };
            let cause = self.cause_on(id, at).unwrap_or(ctx.cause());
            ctx.because(cause).timer_at(at, priority, event)
        };
        let exhaustion = timer(exhausted_at, priority::MACHINE, KubeEvent::NodeMemoryExhausted(id));
        let pass = timer(pass_at, priority::KUBELET, KubeEvent::EvictionPass(id));
        let collection = timer(collects_at, priority::KUBELET, KubeEvent::ImagesDue(id));
        let node = &mut self.memory.nodes[id.index()];
        (node.exhaustion, node.pass, node.collection) = (exhaustion, pass, collection);
    }

    /// Pods that a kubelet may evict, in no order. Those that have ended are none
    /// (`filterOutInactivePods`, pkg/kubelet/kubelet_pods.go), and a kubelet that booted knows none yet.
    fn evictable(&self, id: NodeId) -> impl Iterator<Item = PodId> + '_ {
        let is_evictable = |pod: &PodId| {
            let pod = &self.pods[pod.index()];
            let spec = &self.tables.template_of(pod).template.spec;
            let is_known = !pod.awaits_kubelet && !pod.is_orphan;
            let is_active = pod.phase < PodPhase::Stopped && !pod.has_ended;
            is_active && is_known && !qos::is_critical(spec)
        };
        self.nodes[id.index()].pods.iter().copied().filter(is_evictable)
    }

    /// What is left of everything on a node.
    fn available_on(&self, id: NodeId, now: SimTime) -> [u64; NodeResource::ALL.len()] {
        let capacities = self.tables.pressure.capacities[id.index()];
        NodeResource::ALL.map(|resource| match capacities[resource.index()] {
            Some(capacity) => {
                capacity.saturating_sub(self.node_usage(id, resource, now).bytes_at(now))
            }
            None => u64::MAX,
        })
    }

    /// A pass of the eviction manager that finds something, or the first one after a wait in vain.
    pub(super) fn on_eviction_pass<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let available = self.available_on(id, now);
        let settings = self.tables.pressure.settings[id.index()];
        let node = &mut self.memory.nodes[id.index()];
        // There were no passes while it waited.
        if node.evicted.take().is_none() {
            node.manager.take_up(&settings, node.next_pass, now);
        }
        node.next_pass = now + PERIOD;
        let before = node.manager.conditions();
        let wanted = node.manager.synchronize(&settings, &available, now);
        let conditions = node.manager.conditions();
        for (idx, condition) in Condition::ALL.into_iter().enumerate() {
            if conditions[idx] == before[idx] {
                continue;
            }
            ctx.hit(&rare::NODE_UNDER_PRESSURE);
            let resource = condition.resource();
            ctx.observe(|| match conditions[idx] {
                true => Observation::NodePressureStarted { node: id, resource },
                false => Observation::NodePressureEnded { node: id, resource },
            });
        }
        if conditions != before {
            self.expect_status(id, ctx);
        }
        self.memory.touched.push(id);
        if self.evict_beyond_limits(id, ctx) {
            return;
        }
        if let Some(wanted) = wanted
            && !self.collect_images(id, wanted.resource, ctx)
        {
            self.evict_one(id, wanted, ctx);
        }
    }

    /// Evicts all pods of a node that use more of the disk than they may; whether there are some.
    fn evict_beyond_limits<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let is_beyond = |pod: &PodId| self.exceeds_storage_limit(*pod).is_some_and(|at| at <= now);
        let pods: Vec<PodId> = self.evictable(id).filter(is_beyond).collect();
        for pod in &pods {
            self.evict_from(id, *pod, ThresholdKind::Hard, EvictionReason::StorageLimit, ctx);
        }
        !pods.is_empty()
    }

    /// A garbage collection of images that finds the disk too full.
    pub(super) fn on_images_due<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let place = NodeResource::Disk.index();
        let capacity = self.tables.pressure.capacities[id.index()][place];
        let capacity = capacity.expect("it is planned where it is known");
        let available = self.available_on(id, now)[place];
        let node = &mut self.memory.nodes[id.index()];
        node.next_collection = now + image_collection::PERIOD;
        self.memory.touched.push(id);
        let Some(wanted) = image_collection::amount_to_free(capacity, available) else { return };
        let bytes = wanted.min(node.unused_images_bytes);
        node.unused_images_bytes -= bytes;
        ctx.observe(|| Observation::ImagesCollected { node: id, bytes });
    }

    /// Deletes images that nobody uses, where the disk or its inodes are short; whether that is enough.
    fn collect_images<E, R>(
        &mut self,
        id: NodeId,
        resource: NodeResource,
        ctx: &mut Context<'_, E, R>,
    ) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let bytes = self.memory.nodes[id.index()].unused_images_bytes;
        if !matches!(resource, NodeResource::Disk | NodeResource::Inodes) || bytes == 0 {
            return false;
        }
        self.memory.nodes[id.index()].unused_images_bytes = 0;
        ctx.observe(|| Observation::ImagesCollected { node: id, bytes });
        let available = self.available_on(id, ctx.now());
        self.tables.pressure.settings[id.index()].is_enough(&available)
    }

    /// Evicts the pod of a node that comes first.
    fn evict_one<E, R>(&mut self, id: NodeId, wanted: Wanted, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Wanted { resource, kind } = wanted;
        let pods: Vec<PodId> = self.evictable(id).collect();
        let candidate = |pod: &PodId| {
            let state = &self.pods[pod.index()];
            let spec = &self.tables.template_of(state).template.spec;
            let requests = pod_requests(spec);
            let requested = match resource {
                NodeResource::Memory => requests.memory_bytes(),
                NodeResource::Disk => requests.get(ResourceList::EPHEMERAL_STORAGE),
                NodeResource::Inodes | NodeResource::Processes => None,
            };
            Candidate {
                used: match state.phase {
                    PodPhase::Running => Some(self.used_of(*pod, resource).bytes_at(ctx.now())),
                    // Its sandbox is there, and next to nothing in it but its volumes.
                    _ if !state.has_address => None,
                    _ => Some(self.in_volumes_of(*pod, resource, ctx.now())),
                },
                requested: u64::try_from(requested.unwrap_or(0)).unwrap_or(0),
                priority: spec.priority,
            }
        };
        let candidates: Vec<Candidate> = pods.iter().map(candidate).collect();
        if let Some(first) = node_pressure::rank(resource, &candidates).first() {
            if resource == NodeResource::Memory {
                self.note_evicted_memory(pods[*first], ctx.now());
            }
            self.evict_from(id, pods[*first], kind, EvictionReason::Pressure(resource), ctx);
        }
    }

    /// The event of an eviction for want of memory names containers that use more than they request
    /// (`evictionMessage`, pkg/kubelet/eviction/helpers.go), which the recommender reads.
    fn note_evicted_memory(&mut self, id: PodId, now: SimTime) {
        let beyond = |(idx, (container, usage)): (usize, (&Container, Usage))| {
            let requested = container.requests.memory_bytes().unwrap_or(0);
            let used = usage.bytes_at(now);
            (i128::from(used) > i128::from(requested)).then_some((idx, used))
        };
        let offending: Vec<(usize, u64)> =
            self.usages_of(id).enumerate().filter_map(beyond).collect();
        for (container, used) in offending {
            self.note_out_of_memory(id, container, Some(used), now);
        }
    }

    fn evict_from<E, R>(
        &mut self,
        id: NodeId,
        pod: PodId,
        kind: ThresholdKind,
        reason: EvictionReason,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = &self.pods[pod.index()];
        let workload = state.workload;
        let of_pod = self.tables.template_of(state).template.spec.termination_grace;
        let grace = self.tables.pressure.settings[id.index()].grace(kind, of_pod);
        let gone_by = ctx.now() + node_pressure::kill_timeout(grace);
        let until = gone_by + CLEANUP_TIMEOUT;
        self.memory.nodes[id.index()].evicted = Some(Wait { pod, gone_at: ctx.now(), until });
        let state = &mut self.pods[pod.index()];
        state.is_disrupted = true;
        if state.eviction_grace.is_none() {
            ctx.observe(|| Observation::PodEvicted { pod, workload, node: id, reason });
        }
        self.stop_with_grace(pod, grace, ctx);
    }

    /// The containers of a pod are gone at `gone_at`.
    pub(super) fn note_containers_gone(&mut self, id: PodId, gone_at: SimTime) {
        if let Some(node) = self.pods[id.index()].node
            && let Some(state) = self.memory.nodes.get_mut(node.index())
            && let Some(wait) = &mut state.evicted
            && wait.pod == id
        {
            wait.gone_at = gone_at;
            wait.until = wait.until.min(gone_at + CLEANUP_TIMEOUT);
        }
    }

    /// Nothing of a pod is left: the eviction manager that waited for it goes on.
    pub(super) fn note_pod_cleared(&mut self, id: PodId, now: SimTime) {
        self.let_go(id);
        if let Some(node) = self.pods[id.index()].node
            && let Some(state) = self.memory.nodes.get_mut(node.index())
            && let Some(wait) = state.evicted
            && wait.pod == id
        {
            state.evicted = None;
            let phase = SimSpan::from_nanos(wait.gone_at.as_nanos());
            state.next_pass = now.next_tick(CLEANUP_POLL, phase);
            self.memory.touched.push(node);
        }
    }

    /// No memory is left on a node: the kernel kills a container.
    pub(super) fn on_node_memory_exhausted<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let capacity = self.tables.pressure.capacities[id.index()][NodeResource::Memory.index()];
        let capacity = capacity.expect("it is planned where it is known");
        let signed = i64::try_from(capacity).unwrap_or(i64::MAX);
        let (mut processes, mut owners) = (Vec::new(), Vec::new());
        // Pods are in the order of binding, which is that of their starts.
        for pod in self.running_on(id) {
            let spec = &self.tables.template_of(&self.pods[pod.index()]).template.spec;
            for (idx, (container, usage)) in self.usages_of(pod).enumerate() {
                owners.push((pod, idx));
                processes.push(Process {
                    used_bytes: usage.bytes_at(ctx.now()),
                    oom_score_adj: qos::oom_score_adj(spec, container, signed),
                });
            }
        }
        self.memory.touched.push(id);
        if let Some(victim) = oom_kill::victim(&processes, capacity) {
            ctx.hit(&rare::NODE_OUT_OF_MEMORY);
            let (pod, container) = owners[victim];
            self.kill_for_memory(pod, container, KillReason::NodeMemory, ctx);
        }
    }
}

/// The condition in the API.
impl Cluster {
    /// The kubelet of a node posts its condition with its next look at its node.
    fn expect_status<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let node = &mut self.memory.nodes[id.index()];
        node.status_count += 1;
        let (phase, occurrence) = (node.status_phase, node.status_count);
        let draw = self.draw(self.tables.node_keys[id.index()], STATUS_SEEN, occurrence);
        let watch = drawn(draw, self.blueprint.parameters.watch_latency);
        let at = ctx.now().next_tick(STATUS_PERIOD, phase) + watch;
        ctx.schedule_at(at, priority::CONTROLLER, KubeEvent::PressureSeen(id));
    }

    /// The node lifecycle controller sees the condition, and taints the node or takes its taint away.
    /// What a kubelet without contact found is posted with its next heartbeat.
    pub(super) fn on_pressure_seen<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(memory) = self.memory.nodes.get(id.index()) else { return };
        let conditions: Conditions = memory.manager.conditions();
        let node = &mut self.nodes[id.index()];
        if node.has_contact && node.conditions != conditions {
            node.conditions = conditions;
            self.tell_scheduler_of(id, ctx);
        }
    }
}
