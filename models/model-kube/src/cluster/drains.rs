//! Drains: one node after the other, as `kubectl drain` does it.
//!
//! Evictions of a node's pods go out at once; one that is refused for its budget goes out again
//! after 5 s; once accepted, the pod is waited for. Nothing is polled here: the poll that finds the
//! pod gone is computed when it goes.
//!
//! Sources: `kubectl/pkg/drain/drain.go`, `filters.go`, `kubectl/pkg/cmd/drain/drain.go`, 1.36.

use std::collections::{BTreeMap, VecDeque};

use model_api::kube::WorkloadKind;
use model_api::observation::DrainFailure;
use model_api::{NodeId, Observation, PodId};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime, Timer};

use super::pod::PodPhase;
use super::{Cluster, KubeEvent, Notice, drawn, priority};
use crate::disruption::Admission;
use crate::rare;

const REQUEST: Purpose = Purpose::new("eviction request");

/// Pause after an eviction that was refused for its budget.
const RETRY_AFTER: SimSpan = SimSpan::from_secs(5);

/// A drain of this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrainId(u32);

/// What is drained, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainSpec {
    /// The nodes, in order; one is begun when the one before is done.
    pub nodes: Vec<NodeId>,
    /// `--timeout` of each node; `None` waits for ever.
    pub timeout: Option<SimSpan>,
    /// A node that cannot be drained does not stop the drain of the others.
    pub goes_on: bool,
    /// `--force`: pods go that nothing replaces.
    pub forces: bool,
    /// What is done with a node that was drained.
    pub then: AfterDrain,
    /// How often a pod is looked for that is being deleted.
    pub poll: SimSpan,
}

impl DrainSpec {
    /// A drain of these nodes with kubectl's defaults.
    pub fn of(nodes: Vec<NodeId>) -> Self {
        Self {
            nodes,
            timeout: None,
            goes_on: false,
            forces: false,
            then: AfterDrain::Nothing,
            poll: SimSpan::from_secs(1),
        }
    }
}

/// What is done with a node that was drained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AfterDrain {
    /// It stays cordoned.
    #[default]
    Nothing,
    /// It boots anew and takes pods again once its kubelet reports; only then comes the next one.
    Reboot,
}

/// Where a pod of the node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// Its eviction is to be asked for; so often it was already.
    ForEviction(u64),
    /// It is being deleted, since then.
    ForRemoval(SimTime),
}

#[derive(Clone, Debug)]
pub(super) struct Drain {
    spec: DrainSpec,
    left: VecDeque<NodeId>,
    node: Option<NodeId>,
    /// Nodes that were not before, and still are.
    cordoned: Vec<NodeId>,
    /// The node is drained and boots.
    is_booting: bool,
    began_at: SimTime,
    waits: BTreeMap<PodId, Wait>,
    failure: Option<DrainFailure>,
    has_failed: bool,
    timeout: Timer,
}

impl Cluster {
    /// Drains nodes. Ends with [`Notice::DrainEnded`].
    pub fn drain<E, R>(&mut self, spec: DrainSpec, ctx: &mut Context<'_, E, R>) -> DrainId
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let id = DrainId(u32::try_from(self.drains.len()).expect("drains are few"));
        self.drains.push(Drain {
            left: spec.nodes.iter().copied().collect(),
            spec,
            node: None,
            cordoned: Vec::new(),
            is_booting: false,
            began_at: ctx.now(),
            waits: BTreeMap::new(),
            failure: None,
            has_failed: false,
            timeout: Timer::NONE,
        });
        self.begin_next_node(id, ctx);
        self.settle(ctx);
        id
    }

    /// Ends a drain wherever it is: nodes that it cordoned take pods again.
    pub fn end_drain<E, R>(&mut self, id: DrainId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = self.drain_state(id);
        state.waits.clear();
        state.left.clear();
        state.node = None;
        state.is_booting = false;
        let cordoned = std::mem::take(&mut state.cordoned);
        let timeout = std::mem::replace(&mut state.timeout, Timer::NONE);
        ctx.cancel(timeout);
        for node in cordoned {
            ctx.observe(|| Observation::NodeUncordoned { node });
            self.cordon(node, false, ctx);
        }
    }

    fn drain_state(&mut self, id: DrainId) -> &mut Drain {
        &mut self.drains[id.0 as usize]
    }

    fn begin_next_node<E, R>(&mut self, id: DrainId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = self.drain_state(id);
        state.node = state.left.pop_front();
        (state.is_booting, state.began_at, state.failure) = (false, ctx.now(), None);
        let Some(node) = state.node else {
            let is_complete = !state.has_failed;
            self.notify(Notice::DrainEnded { drain: id, is_complete });
            return;
        };
        let (timeout, forces) = (state.spec.timeout, state.spec.forces);
        let failure = if !self.is_api_available() {
            Some(DrainFailure::ApiAway)
        } else {
            self.nodes[node.index()].is_deleted.then_some(DrainFailure::NoNode)
        };
        if let Some(failure) = failure {
            self.give_node_up(id, failure, ctx);
            return;
        }
        if !self.node_taints(node).1 {
            self.drain_state(id).cordoned.push(node);
        }
        ctx.observe(|| Observation::NodeCordoned { node });
        self.cordon(node, true, ctx);
        let kind = |pod: &PodId| {
            let pod = &self.pods[pod.index()];
            (&self.blueprint.workloads[pod.workload.index()].kind, pod.phase)
        };
        let pods = self.nodes[node.index()].pods.iter().copied();
        let pods: Vec<PodId> =
            pods.filter(|pod| !matches!(kind(pod).0, WorkloadKind::DaemonSet { .. })).collect();
        let is_bare = |pod: &PodId| matches!(kind(pod), (WorkloadKind::Pod, phase) if phase < PodPhase::Finished);
        if !forces && pods.iter().any(is_bare) {
            self.give_node_up(id, DrainFailure::BarePod, ctx);
            return;
        }
        if let Some(timeout) = timeout {
            let event = KubeEvent::DrainTimeout(id);
            self.drain_state(id).timeout = ctx.timer_in(timeout, priority::CONTROLLER, event);
        }
        for pod in pods {
            self.drain_state(id).waits.insert(pod, Wait::ForEviction(0));
            self.ask_for_eviction(id, pod, 0, SimSpan::ZERO, ctx);
        }
        self.end_node_if_done(id, ctx);
    }

    /// The request reaches the API after a pause and a way that takes as long as any.
    fn ask_for_eviction<E, R>(
        &mut self,
        drain: DrainId,
        pod: PodId,
        asked: u64,
        pause: SimSpan,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let draw = self.draw(self.pods[pod.index()].key, REQUEST, asked);
        let way = drawn(draw, self.blueprint.parameters.watch_latency);
        ctx.schedule_in(pause + way, priority::CONTROLLER, KubeEvent::DrainPodDue(drain, pod));
    }

    pub(super) fn on_drain_pod_due<E, R>(
        &mut self,
        id: DrainId,
        pod: PodId,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let exists = self.pods[pod.index()].exists();
        let state = self.drain_state(id);
        let asked = match state.waits.get(&pod).copied() {
            Some(Wait::ForEviction(asked)) => asked,
            Some(Wait::ForRemoval(_)) if !exists => {
                // This is the look that finds it gone.
                state.waits.remove(&pod);
                self.end_node_if_done(id, ctx);
                return;
            }
            Some(Wait::ForRemoval(_)) | None => return,
        };
        let is_late = state.spec.timeout.is_some_and(|it| ctx.now() >= state.began_at + it);
        let outcome = if !exists {
            Ok(None)
        } else if is_late {
            Err(DrainFailure::TimedOut)
        } else {
            match self.post_eviction(pod, ctx) {
                None => Err(DrainFailure::ApiAway),
                Some(Admission::Free | Admission::Charged) => Ok(Some(Wait::ForRemoval(ctx.now()))),
                Some(Admission::TooManyRequests) => Ok(Some(Wait::ForEviction(asked + 1))),
                Some(Admission::Forbidden | Admission::SeveralBudgets) => {
                    Err(DrainFailure::Refused)
                }
            }
        };
        match outcome {
            Ok(Some(wait)) => {
                self.drain_state(id).waits.insert(pod, wait);
                if let Wait::ForEviction(asked) = wait {
                    self.ask_for_eviction(id, pod, asked, RETRY_AFTER, ctx);
                } else if !self.pods[pod.index()].exists() {
                    self.expect_last_look(id, pod, ctx);
                }
            }
            Ok(None) => drop(self.drain_state(id).waits.remove(&pod)),
            Err(failure) => {
                let state = self.drain_state(id);
                state.waits.remove(&pod);
                state.failure.get_or_insert(failure);
            }
        }
        self.end_node_if_done(id, ctx);
    }

    /// A pod is gone: the drains that wait for it see that at their next looks.
    pub(super) fn note_drained_pod<E, R>(&mut self, pod: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for drain in 0..self.drains.len() {
            let id = DrainId(u32::try_from(drain).expect("drains are few"));
            self.expect_last_look(id, pod, ctx);
        }
    }

    fn expect_last_look<E, R>(&mut self, id: DrainId, pod: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let drain = self.drain_state(id);
        if let Some(Wait::ForRemoval(since)) = drain.waits.get(&pod).copied() {
            let seen_at =
                ctx.now().next_tick(drain.spec.poll, since.saturating_since(SimTime::ZERO));
            ctx.schedule_at(seen_at, priority::CONTROLLER, KubeEvent::DrainPodDue(id, pod));
        }
    }

    /// Pods that are being deleted are waited for no longer; refused evictions end with their next
    /// try.
    pub(super) fn on_drain_timeout<E, R>(&mut self, id: DrainId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = self.drain_state(id);
        let count = state.waits.len();
        state.waits.retain(|_, wait| matches!(wait, Wait::ForEviction(_)));
        if state.waits.len() < count {
            state.failure.get_or_insert(DrainFailure::TimedOut);
        }
        self.end_node_if_done(id, ctx);
    }

    fn end_node_if_done<E, R>(&mut self, id: DrainId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = self.drain_state(id);
        let Some(node) = state.node.filter(|_| state.waits.is_empty() && !state.is_booting) else {
            return;
        };
        if let Some(failure) = state.failure {
            self.give_node_up(id, failure, ctx);
            return;
        }
        let then = state.spec.then;
        let timeout = std::mem::replace(&mut state.timeout, Timer::NONE);
        ctx.cancel(timeout);
        ctx.observe(|| Observation::NodeDrained { node });
        match then {
            AfterDrain::Nothing => self.begin_next_node(id, ctx),
            AfterDrain::Reboot => {
                self.drain_state(id).is_booting = true;
                // One that is down for another reason boots when that is over.
                if self.is_running(node) {
                    self.reboot_node(node, ctx);
                }
            }
        }
    }

    fn give_node_up<E, R>(&mut self, id: DrainId, reason: DrainFailure, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        ctx.hit(&rare::DRAIN_FAILED);
        let state = self.drain_state(id);
        state.has_failed = true;
        state.waits.clear();
        if !state.spec.goes_on {
            state.left.clear();
        }
        let timeout = std::mem::replace(&mut state.timeout, Timer::NONE);
        let node = state.node.expect("only the node a drain is at is given up");
        ctx.cancel(timeout);
        ctx.observe(|| Observation::DrainFailed { node, reason });
        self.begin_next_node(id, ctx);
    }

    /// A kubelet reports: if its node was rebooted by a drain, it takes pods again.
    pub(super) fn note_upgraded_node<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let is_waiting = |drain: &Drain| drain.is_booting && drain.node == Some(node);
        let Some(found) = self.drains.iter().position(is_waiting) else { return };
        self.drains[found].cordoned.retain(|cordoned| *cordoned != node);
        self.note_new_kubelet(node);
        ctx.observe(|| Observation::NodeUncordoned { node });
        self.cordon(node, false, ctx);
        self.begin_next_node(DrainId(u32::try_from(found).expect("drains are few")), ctx);
    }
}
