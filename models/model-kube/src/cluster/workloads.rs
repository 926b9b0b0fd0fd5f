//! Workloads: the controllers that keep their pods in being, and voluntary eviction.

use std::collections::BTreeMap;

use model_api::kube::{PodManagementPolicy, Workload, WorkloadKind};
use model_api::observation::DeletionReason;
use model_api::{Blueprint, BudgetId, NodeId, Observation, PodId, WorkloadId, ZoneId};
use sim_kernel::{Context, EventId, Purpose, Recorder, SimTime};

use super::pod::{PodPhase, PodState};
use super::tables::Tables;
use super::{Cluster, KubeEvent, Notice, drawn, priority};
use crate::client_limit::ClientLimiter;
use crate::disruption::{self, Admission, BudgetStatus, Demand, EvictionRequest};
use crate::rare;
use crate::replica_set::{self, Candidate, Difference, VictimPhase};
use crate::stateful_set::{self, SetPod, SetSpec, Step};

const SYNC: Purpose = Purpose::new("controller sees change");

#[derive(Clone, Debug)]
pub(super) struct WorkloadState {
    /// `spec.replicas`.
    pub(super) replicas: u32,
    /// Pods that exist, in the order of creation.
    pub(super) pods: Vec<PodId>,
    is_sync_pending: bool,
    sync_count: u64,
    created_count: u32,
    /// How often the pod of an ordinal (or node) was created.
    incarnations: BTreeMap<u32, u64>,
    /// Where the volumes of an ordinal stand; ordinal 0 for kinds whose pods share them.
    volume_zones: BTreeMap<u32, ZoneId>,
    has_ordinals: bool,
}

impl WorkloadState {
    pub(super) fn all(blueprint: &Blueprint, tables: &Tables) -> Vec<Self> {
        let state = |(id, workload): (WorkloadId, &Workload)| Self {
            replicas: tables.scalers.replicas_at_start(id, workload.replicas),
            pods: Vec::new(),
            is_sync_pending: false,
            sync_count: 0,
            created_count: 0,
            incarnations: BTreeMap::new(),
            volume_zones: BTreeMap::new(),
            has_ordinals: has_ordinals(&workload.kind),
        };
        let ids = (0..blueprint.workloads.len()).map(WorkloadId::from_index);
        ids.zip(&blueprint.workloads).map(state).collect()
    }

    fn volume_key(&self, ordinal: u32) -> u32 {
        if self.has_ordinals { ordinal } else { 0 }
    }

    /// The zone that holds the volumes of a pod, once they are bound.
    pub(super) fn volume_zone(&self, ordinal: u32) -> Option<ZoneId> {
        self.volume_zones.get(&self.volume_key(ordinal)).copied()
    }

    pub(super) fn set_volume_zone(&mut self, ordinal: u32, zone: ZoneId) {
        let key = self.volume_key(ordinal);
        self.volume_zones.entry(key).or_insert(zone);
    }
}

fn has_ordinals(kind: &WorkloadKind) -> bool {
    matches!(kind, WorkloadKind::StatefulSet { .. } | WorkloadKind::DatabaseInstances)
}

/// Clients of the controllers: each has its own limit.
#[derive(Clone, Debug)]
pub(super) struct ControllerClients {
    by_kind: BTreeMap<&'static str, ClientLimiter>,
}

impl ControllerClients {
    pub(super) fn new() -> Self {
        Self { by_kind: BTreeMap::new() }
    }

    fn reserve(&mut self, kind: &WorkloadKind, now: SimTime) -> SimTime {
        let name = match kind {
            WorkloadKind::Deployment { .. } => WorkloadKind::ReplicaSet.name(),
            kind => kind.name(),
        };
        let client = self.by_kind.entry(name).or_insert_with(ClientLimiter::of_controller);
        client.reserve(now)
    }
}

impl Cluster {
    /// Creates and places all pods at the start, ready at once.
    pub(super) fn place_initial_pods(&mut self) {
        for idx in 0..self.workloads.len() {
            let id = WorkloadId::from_index(idx);
            let blueprint = self.blueprint.clone();
            match &blueprint.workloads[idx].kind {
                WorkloadKind::DaemonSet => {
                    for node in (0..self.nodes.len()).map(NodeId::from_index) {
                        if self.wants_daemon(id, node) {
                            let pod =
                                self.new_pod(id, node.0, Some(node), SimTime::ZERO, EventId::NONE);
                            self.start_ready(pod, Some(node));
                        }
                    }
                }
                kind => {
                    let first = first_ordinal(kind);
                    for nth in 0..self.workloads[idx].replicas {
                        let pod = self.new_pod(id, first + nth, None, SimTime::ZERO, EventId::NONE);
                        self.start_ready(pod, None);
                    }
                }
            }
        }
        self.know_initial_endpoints();
    }

    fn start_ready(&mut self, id: PodId, pinned: Option<NodeId>) {
        if !self.place_at_start(id, pinned) {
            return;
        }
        let pod = &mut self.pods[id.index()];
        pod.phase = PodPhase::Running;
        pod.answers = true;
        pod.is_locally_ready = true;
        pod.is_ready = true;
        pod.has_address = true;
        let node = pod.node.expect("it was just placed");
        let tables = self.tables.clone();
        for image in &tables.workloads[self.pods[id.index()].workload.index()].images {
            self.nodes[node.index()].add_image(*image, SimTime::ZERO);
        }
    }

    fn new_pod(
        &mut self,
        workload: WorkloadId,
        ordinal: u32,
        pinned: Option<NodeId>,
        now: SimTime,
        cause: EventId,
    ) -> PodId {
        let table = &self.tables.workloads[workload.index()];
        let base = match pinned {
            // Not by number: another node before it must not change its luck.
            Some(node) => table.key.child(&self.blueprint.nodes[node.index()].node.name),
            None => table.key.part(u64::from(ordinal)),
        };
        let state = &mut self.workloads[workload.index()];
        let incarnation = state.incarnations.entry(ordinal).or_default();
        let key = base.part(*incarnation);
        *incarnation += 1;
        state.created_count = state.created_count.max(ordinal + 1);
        let id = PodId::from_index(self.pods.len());
        state.pods.push(id);
        let mut pod = PodState::new(workload, ordinal, key, now, cause);
        pod.pinned = pinned;
        self.pods.push(pod);
        id
    }

    /// Changes `spec.replicas` of a workload.
    pub fn scale<E, R>(&mut self, workload: WorkloadId, replicas: u32, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.workloads[workload.index()].replicas = replicas;
        self.touch_scaler(workload);
        self.request_sync(workload, ctx);
        self.settle(ctx);
    }

    /// Lets a workload's controller look at its pods soon.
    pub(super) fn request_sync<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.workloads[id.index()];
        if std::mem::replace(&mut state.is_sync_pending, true) {
            return;
        }
        state.sync_count += 1;
        let occurrence = state.sync_count;
        let draw = self.draw(self.tables.workloads[id.index()].key, SYNC, occurrence);
        let watch = drawn(draw, self.blueprint.parameters.watch_latency);
        ctx.schedule_in(watch, priority::CONTROLLER, KubeEvent::WorkloadSync(id));
    }

    /// A node may want its daemons.
    pub(super) fn request_daemon_syncs<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for idx in 0..self.workloads.len() {
            if self.blueprint.workloads[idx].kind == WorkloadKind::DaemonSet {
                self.request_sync(WorkloadId::from_index(idx), ctx);
            }
        }
    }

    /// A new leader looks at every workload.
    pub(super) fn sync_all_workloads<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.clients = ControllerClients::new();
        for idx in 0..self.workloads.len() {
            self.request_sync(WorkloadId::from_index(idx), ctx);
        }
    }

    /// A pod's readiness changed: controllers that wait for it look again.
    pub(super) fn note_readiness<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let (workload, is_ready) = (pod.workload, pod.is_ready);
        let spec = &self.blueprint.workloads[workload.index()];
        let policy = PodManagementPolicy::OrderedReady;
        let waits = matches!(&spec.kind,
            WorkloadKind::StatefulSet { pod_management, .. } if *pod_management == policy);
        if !waits {
            return;
        }
        if is_ready && !spec.min_ready.is_zero() {
            let event = KubeEvent::WorkloadSync(workload);
            ctx.schedule_in(spec.min_ready, priority::CONTROLLER, event);
        }
        self.request_sync(workload, ctx);
    }

    pub(super) fn on_workload_sync<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.workloads[id.index()].is_sync_pending = false;
        let blueprint = self.blueprint.clone();
        match &blueprint.workloads[id.index()].kind {
            WorkloadKind::Deployment { .. }
            | WorkloadKind::ReplicaSet
            | WorkloadKind::Job { .. } => {
                self.sync_replicas(id, ctx);
            }
            WorkloadKind::StatefulSet { pod_management, ordinals_start, partition, .. } => {
                let spec = SetSpec {
                    replicas: self.replicas(id),
                    start: *ordinals_start,
                    partition: *partition,
                    is_parallel: *pod_management == PodManagementPolicy::Parallel,
                    is_on_delete: false,
                    max_unavailable: None,
                };
                self.sync_stateful_set(id, &spec, ctx);
            }
            // Simplified: an operator re-creates its missing instances like a parallel
            // StatefulSet, whether it runs or not.
            WorkloadKind::DatabaseInstances => {
                let spec = SetSpec {
                    replicas: self.replicas(id),
                    start: 1,
                    is_parallel: true,
                    ..SetSpec::default()
                };
                self.sync_stateful_set(id, &spec, ctx);
            }
            WorkloadKind::DaemonSet => self.sync_daemon_set(id, ctx),
            WorkloadKind::Pod => {}
        }
    }

    fn sync_replicas<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pods = self.workloads[id.index()].pods.iter().copied();
        let active: Vec<PodId> = pods.filter(|pod| self.pods[pod.index()].is_active()).collect();
        let wanted = self.replicas(id) as usize;
        match replica_set::difference(active.len(), wanted) {
            Difference::None => {}
            Difference::Create(count) => {
                for _ in 0..count {
                    let nth = self.workloads[id.index()].created_count;
                    self.create_pod(id, nth, None, ctx);
                }
            }
            Difference::Delete(count) => {
                let mut on_node: BTreeMap<Option<NodeId>, usize> = BTreeMap::new();
                for pod in &active {
                    *on_node.entry(self.pods[pod.index()].node).or_default() += 1;
                }
                let candidates: Vec<Candidate> = active
                    .iter()
                    .map(|pod| self.candidate(*pod, on_node[&self.pods[pod.index()].node]))
                    .collect();
                for position in replica_set::victims(&candidates, count, ctx.now()) {
                    self.delete_pod(active[position], DeletionReason::ScaleDown, ctx);
                }
            }
        }
    }

    /// A pod that may have to go; `active_on_node` counts the active ones of its workload there.
    fn candidate(&self, id: PodId, active_on_node: usize) -> Candidate {
        let pod = &self.pods[id.index()];
        let workload = &self.blueprint.workloads[pod.workload.index()];
        let is_deployment = matches!(workload.kind, WorkloadKind::Deployment { .. });
        let cost = workload.template.annotations.get("controller.kubernetes.io/pod-deletion-cost");
        Candidate {
            has_node: pod.node.is_some(),
            phase: if pod.has_address { VictimPhase::Running } else { VictimPhase::Pending },
            is_ready: pod.is_ready,
            deletion_cost: cost.and_then(|cost| cost.parse().ok()).unwrap_or(0),
            related_on_node: if is_deployment { active_on_node } else { 0 },
            ready_since: Some(pod.ready_since),
            restart_count: pod.restart_count,
            sidecar_restart_count: 0,
            created_at: Some(pod.created_at),
            // UIDs are random upstream; the pod's key is as good and the same in every variant.
            uid: pod.key.value(),
        }
    }

    fn create_pod<E, R>(
        &mut self,
        workload: WorkloadId,
        ordinal: u32,
        pinned: Option<NodeId>,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let kind = &self.blueprint.workloads[workload.index()].kind;
        let sent_at = self.clients.reserve(kind, ctx.now());
        let pod = self.new_pod(workload, ordinal, pinned, ctx.now(), ctx.cause());
        ctx.observe(|| Observation::PodCreated { pod, workload });
        self.notify(Notice::PodCreated(pod));
        self.queue_pod(pod, sent_at, ctx);
    }

    fn sync_stateful_set<E, R>(
        &mut self,
        id: WorkloadId,
        spec: &SetSpec,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let min_ready = self.blueprint.workloads[id.index()].min_ready;
        let mut pods: Vec<(SetPod, PodId)> = Vec::new();
        for pod in &self.workloads[id.index()].pods {
            let state = &self.pods[pod.index()];
            let set_pod = SetPod {
                ordinal: state.ordinal,
                is_finished: state.phase == PodPhase::Finished,
                is_terminating: state.is_terminating,
                is_ready: state.is_ready,
                is_available: state.is_available(min_ready, ctx.now()),
                is_updated: true,
            };
            pods.push((set_pod, *pod));
        }
        pods.sort_by_key(|(pod, _)| pod.ordinal);
        let set_pods: Vec<SetPod> = pods.iter().map(|(pod, _)| *pod).collect();
        for step in stateful_set::sync(spec, &set_pods) {
            match step {
                Step::Create { ordinal, .. } => self.create_pod(id, ordinal, None, ctx),
                Step::Delete { ordinal } | Step::Replace { ordinal } => {
                    let found = pods.iter().find(|(pod, _)| pod.ordinal == ordinal);
                    let (_, pod) = found.expect("steps delete pods that were given");
                    self.delete_pod(*pod, DeletionReason::ScaleDown, ctx);
                }
            }
        }
    }

    fn sync_daemon_set<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let mut has_pod = vec![false; self.nodes.len()];
        for pod in self.workloads[id.index()].pods.clone() {
            let Some(node) = self.pods[pod.index()].pinned else { continue };
            has_pod[node.index()] = true;
            if self.pods[pod.index()].phase == PodPhase::Finished {
                self.delete_pod(pod, DeletionReason::Rollout, ctx);
            }
        }
        for node in (0..self.nodes.len()).map(NodeId::from_index) {
            if !has_pod[node.index()] && self.wants_daemon(id, node) {
                self.create_pod(id, node.0, Some(node), ctx);
            }
        }
    }

    /// Whether a daemon belongs on a node (`NodeShouldRunDaemonPod`): its affinity matches and it
    /// tolerates the node's taints.
    fn wants_daemon(&self, id: WorkloadId, node: NodeId) -> bool {
        let Some(object) = self.node_object(node) else { return false };
        let spec = &self.tables.workloads[id.index()].template.spec;
        crate::daemon_set::should_run(spec, &object)
    }

    /// `status` of a budget, as its controller would write it now.
    ///
    /// Simplified: there is no delay between a pod's change and the status.
    pub fn budget_status(&self, budget: BudgetId) -> Option<BudgetStatus> {
        let demand = Demand::of(&self.blueprint.budgets[budget.index()])?;
        let (mut pod_count, mut healthy_count, mut scale) = (0, 0, 0);
        for (idx, table) in self.tables.workloads.iter().enumerate() {
            if !table.budgets.contains(&budget) {
                continue;
            }
            let state = &self.workloads[idx];
            match self.blueprint.workloads[idx].kind {
                WorkloadKind::DaemonSet | WorkloadKind::Job { .. } if demand.counts_scale() => {
                    // No /scale: the sync fails and nothing is allowed.
                    return Some(BudgetStatus::default());
                }
                WorkloadKind::Pod => {}
                _ => scale += state.replicas,
            }
            let finished = |pod: &&PodId| self.pods[pod.index()].phase == PodPhase::Finished;
            for pod in state.pods.iter().filter(|pod| !finished(pod)) {
                let pod = &self.pods[pod.index()];
                pod_count += 1;
                healthy_count += u32::from(pod.is_ready && !pod.is_terminating);
            }
        }
        let [pod_count, scale, healthy_count] = [pod_count, scale, healthy_count]
            .map(|count| i32::try_from(count).expect("pods are fewer than 2^31"));
        Some(disruption::status(demand, pod_count, scale, healthy_count))
    }

    /// Posts an eviction of a pod; `None` while the API is down.
    pub fn evict<E, R>(&mut self, pod: PodId, ctx: &mut Context<'_, E, R>) -> Option<Admission>
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !self.is_api_available() {
            return None;
        }
        let state = &self.pods[pod.index()];
        let budgets = &self.tables.workloads[state.workload.index()].budgets;
        let request = EvictionRequest {
            ignores_budgets: !state.is_active() || state.node.is_none() || !state.has_address,
            is_ready: state.is_ready,
            budget_count: budgets.len(),
            // Simplified: no budget ever has 2000 pods entered that are still there.
            disrupted_count: 0,
        };
        let budget = budgets.first().copied();
        let status = budget.and_then(|budget| self.budget_status(budget));
        let policy = budget.map(|budget| self.blueprint.budgets[budget.index()].unhealthy_pods);
        let admission =
            disruption::admit(request, policy.unwrap_or_default(), status.as_ref(), true);
        if matches!(admission, Admission::Free | Admission::Charged) {
            self.delete_pod(pod, DeletionReason::Eviction, ctx);
        } else {
            ctx.hit(&rare::EVICTION_REFUSED);
        }
        self.settle(ctx);
        Some(admission)
    }
}

/// The ordinal of the first pod: database instances are numbered from 1.
fn first_ordinal(kind: &WorkloadKind) -> u32 {
    match kind {
        WorkloadKind::StatefulSet { ordinals_start, .. } => *ordinals_start,
        WorkloadKind::DatabaseInstances => 1,
        _ => 0,
    }
}
