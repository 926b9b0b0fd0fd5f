//! Memory of nodes in time: kubelets that evict, and the kernel where they are too late.
//!
//! # Modelled
//! What all pods of a node use together: those without a profile what they request. The passes of the
//! eviction manager that find something, the eviction of one pod after the other, the wait for each
//! to be gone; the condition in the API and its taint; pods that are refused; the kernel that kills
//! a container when nothing is left.
//! # Not modelled
//! The load that a machine short of memory suffers (page faults, a slow kubelet); node-level reclaim,
//! of which there is none for memory; the limit from which on the garbage collector deletes pods that
//! failed.
//!
//! Simplified: a pod that is evicted when its containers have TERM already keeps the time that they
//! take from then on. What a container requests counts for its `oom_score_adj` as a share of what pods
//! may use and the hard threshold; a kubelet takes all memory of the machine, what is reserved for the
//! system included.
//! # Defaults and their sources
//! [`crate::node_pressure`]; `nodeStatusUpdateFrequency` 10 s, Kubernetes 1.36.
//! # Invariants
//! A node without pressure has no event. A pass evicts one pod, and while that is waited for there is
//! no pass.
//! # Checked against
//! Timelines worked out by hand.

use std::cmp::Reverse;

use model_api::observation::KillReason;
use model_api::{Blueprint, NodeId, Observation, PodId};
use sim_kernel::{
    Context, EntityKey, EventId, Purpose, Recorder, SimSpan, SimTime, Streams, Timer,
};

use super::memory::Usage;
use super::pod::PodPhase;
use super::{Cluster, KubeEvent, drawn, priority};
use crate::memory_growth::Growing;
use crate::node_pressure::{self, Candidate, EvictionManager, PERIOD, ThresholdKind};
use crate::oom_kill::{self, Process};
use crate::scheduling::pod_requests;
use crate::{qos, rare};

const PASS_PHASE: Purpose = Purpose::new("eviction manager phase");
const STATUS_PHASE: Purpose = Purpose::new("node status phase");
const STATUS_SEEN: Purpose = Purpose::new("controller sees node condition");

/// How often a kubelet looks whether it has something new to say of its node
/// (`nodeStatusUpdateFrequency`).
const STATUS_PERIOD: SimSpan = SimSpan::from_secs(10);
/// How often an eviction manager looks whether the pod it evicted is gone (`podCleanupPollFreq`).
const CLEANUP_POLL: SimSpan = SimSpan::from_secs(1);
/// How long it does so once the containers are gone (`podCleanupTimeout`).
const CLEANUP_TIMEOUT: SimSpan = SimSpan::from_secs(30);

/// The memory of one node.
#[derive(Clone, Debug)]
pub(super) struct NodeMemory {
    manager: EvictionManager,
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

impl NodeMemory {
    pub(super) fn all(blueprint: &Blueprint, streams: Streams) -> Vec<Self> {
        let one = |name: &str| {
            let key = EntityKey::of("node").child(name);
            let most = PERIOD - SimSpan::from_nanos(1);
            let phase = |purpose| streams.draw(key, purpose, 0).span_between(SimSpan::ZERO, most);
            Self {
                manager: EvictionManager::default(),
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
        for timer in [&mut node.pass, &mut node.exhaustion] {
            ctx.cancel(std::mem::replace(timer, Timer::NONE));
        }
        for pod in self.nodes[id.index()].pods.clone() {
            self.pods[pod.index()].eviction_grace = None;
        }
    }

    /// Whether the kubelet of a node takes a pod.
    pub(super) fn is_let_in(&self, id: PodId) -> bool {
        let pod = &self.pods[id.index()];
        let spec = &self.tables.template_of(pod).template.spec;
        let state = pod.node.and_then(|node| self.memory.nodes.get(node.index()));
        state.is_none_or(|it| !it.manager.is_under_pressure()) || node_pressure::admits(spec)
    }

    /// What the pods of a node use together.
    fn node_usage(&self, id: NodeId, now: SimTime) -> Usage {
        let mut steady_bytes = 0_u64;
        let mut growing = Vec::new();
        for usage in self.running_on(id).map(|pod| self.usage_of(pod)) {
            steady_bytes = steady_bytes.saturating_add(usage.steady_bytes);
            growing.push(usage.growing);
        }
        Usage { steady_bytes, growing: Growing::sum(&growing, now) }
    }

    /// What made the pod leak that will have grown most on a node at a moment, of all that leaked.
    fn worst_leak_on(&self, id: NodeId, at: SimTime) -> Option<EventId> {
        let leaking = self.running_on(id).filter_map(|pod| {
            let leak = self.leak_of(pod)?;
            Some((self.usage_of(pod).growing.bytes_at(at), Reverse(pod), leak))
        });
        leaking.max_by_key(|(grown_bytes, pod, _)| (*grown_bytes, *pod)).map(|(_, _, leak)| leak)
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
        let Some(capacity) = self.tables.memory.capacities[id.index()] else { return };
        if !self.nodes[id.index()].is_running {
            return;
        }
        let now = ctx.now();
        let usage = self.node_usage(id, now);
        let can_evict = self.evictable(id).next().is_some();
        let settings = self.tables.memory.settings;
        let exhausted_at = usage.exceeds(capacity).map(|at| at.max(now));
        let node = &mut self.memory.nodes[id.index()];
        ctx.cancel(node.exhaustion);
        ctx.cancel(node.pass);
        let pass_at = if let Some(wait) = node.evicted {
            Some(wait.until.max(now))
        } else {
            node.next_pass = node.manager.take_up(node.next_pass, now);
            let below = |bytes| node_pressure::below(bytes, capacity, |used| usage.exceeds(used));
            node.manager.next_look(&settings, node.next_pass, below, can_evict)
        };
        let mut timer = |at: Option<SimTime>, priority, event| {
            let Some(at) = at else { return Timer::NONE };
            let cause = self.worst_leak_on(id, at).unwrap_or(ctx.cause());
            ctx.because(cause).timer_at(at, priority, event)
        };
        let exhaustion = timer(exhausted_at, priority::MACHINE, KubeEvent::NodeMemoryExhausted(id));
        let pass = timer(pass_at, priority::KUBELET, KubeEvent::EvictionPass(id));
        let node = &mut self.memory.nodes[id.index()];
        (node.exhaustion, node.pass) = (exhaustion, pass);
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

    /// A pass of the eviction manager that finds something, or the first one after a wait in vain.
    pub(super) fn on_eviction_pass<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let capacity = self.tables.memory.capacities[id.index()];
        let capacity = capacity.expect("passes are planned where it is known");
        let available = capacity.saturating_sub(self.node_usage(id, now).bytes_at(now));
        let settings = self.tables.memory.settings;
        let node = &mut self.memory.nodes[id.index()];
        // There were no passes while it waited.
        if node.evicted.take().is_none() {
            node.manager.take_up(node.next_pass, now);
        }
        node.next_pass = now + PERIOD;
        let was_under_pressure = node.manager.is_under_pressure();
        let wanted = node.manager.synchronize(&settings, available, now);
        let is_under_pressure = node.manager.is_under_pressure();
        if is_under_pressure != was_under_pressure {
            ctx.hit(&rare::NODE_UNDER_PRESSURE);
            ctx.observe(|| match is_under_pressure {
                true => Observation::NodePressureStarted { node: id },
                false => Observation::NodePressureEnded { node: id },
            });
            self.expect_status(id, ctx);
        }
        if let Some(kind) = wanted {
            self.evict_one(id, kind, ctx);
        }
        self.memory.touched.push(id);
    }

    /// Evicts the pod of a node that comes first.
    fn evict_one<E, R>(&mut self, id: NodeId, kind: ThresholdKind, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pods: Vec<PodId> = self.evictable(id).collect();
        let candidate = |pod: &PodId| {
            let state = &self.pods[pod.index()];
            let spec = &self.tables.template_of(state).template.spec;
            let requested = pod_requests(spec).memory_bytes().unwrap_or(0);
            Candidate {
                used_bytes: match state.phase {
                    PodPhase::Running => Some(self.usage_of(*pod).bytes_at(ctx.now())),
                    // Its sandbox is there, and next to nothing in it.
                    _ => state.has_address.then_some(0),
                },
                requested_bytes: u64::try_from(requested).unwrap_or(0),
                priority: spec.priority,
            }
        };
        let candidates: Vec<Candidate> = pods.iter().map(candidate).collect();
        let Some(first) = node_pressure::rank(&candidates).first().copied() else { return };
        let pod = pods[first];
        let state = &self.pods[pod.index()];
        let workload = state.workload;
        let of_pod = self.tables.template_of(state).template.spec.termination_grace;
        let grace = self.tables.memory.settings.grace(kind, of_pod);
        let gone_by = ctx.now() + node_pressure::kill_timeout(grace);
        let until = gone_by + CLEANUP_TIMEOUT;
        self.memory.nodes[id.index()].evicted = Some(Wait { pod, gone_at: ctx.now(), until });
        let state = &mut self.pods[pod.index()];
        state.is_disrupted = true;
        // A grace period only ever becomes shorter (`calculateEffectiveGracePeriod`,
        // pkg/kubelet/pod_workers.go), and then preStop begins anew.
        let former = state.eviction_grace;
        state.eviction_grace = Some(former.map_or(grace, |former| former.min(grace)));
        if former.is_none() {
            ctx.observe(|| Observation::PodEvicted { pod, workload, node: id });
        }
        let was_stopping = std::mem::replace(&mut state.is_stopping, true);
        let has_term_due = was_stopping && ctx.is_pending(state.term);
        if !was_stopping || has_term_due {
            let term_at = if has_term_due { state.term_at } else { SimTime::MAX };
            let runs = state.phase == PodPhase::Running;
            let pre_stop = if runs { self.pre_stop(pod) } else { SimSpan::ZERO };
            self.expect_term(pod, term_at.min(ctx.now() + pre_stop), ctx);
        }
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
        let capacity = self.tables.memory.capacities[id.index()];
        let capacity = capacity.expect("it is planned where it is known");
        let signed = i64::try_from(capacity).unwrap_or(i64::MAX);
        let (mut processes, mut owners) = (Vec::new(), Vec::new());
        // Pods are in the order of binding, which is that of their starts.
        for pod in self.running_on(id) {
            let spec = &self.tables.template_of(&self.pods[pod.index()]).template.spec;
            for (container, usage) in self.usages_of(pod) {
                owners.push(pod);
                processes.push(Process {
                    used_bytes: usage.bytes_at(ctx.now()),
                    oom_score_adj: qos::oom_score_adj(spec, container, signed),
                });
            }
        }
        self.memory.touched.push(id);
        if let Some(victim) = oom_kill::victim(&processes, capacity) {
            ctx.hit(&rare::NODE_OUT_OF_MEMORY);
            self.kill_for_memory(owners[victim], KillReason::NodeMemory, ctx);
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
        let is_under_pressure = memory.manager.is_under_pressure();
        let node = &mut self.nodes[id.index()];
        if node.has_contact && node.is_under_pressure != is_under_pressure {
            node.is_under_pressure = is_under_pressure;
            self.tell_scheduler_of(id, ctx);
        }
    }
}
