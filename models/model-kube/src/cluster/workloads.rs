//! Workloads: the controllers that keep their pods in being.
//!
//! What moves pods from one template to the next is in `rollouts`; it sizes the ReplicaSets that
//! this module keeps at their sizes.
//!
//! Sources: those of [`crate::replica_set`], [`crate::stateful_set`] and [`crate::daemon_set`];
//! `pkg/controller/controller_utils.go` (expectations, slow starts), Kubernetes 1.36.

use std::collections::BTreeMap;

use model_api::kube::{
    IntOrPercent, PodManagementPolicy, StatefulSetUpdate, Workload, WorkloadKind,
};
use model_api::observation::DeletionReason;
use model_api::parameters::{ClientRate, Parameters};
use model_api::{Blueprint, NodeId, Observation, PodId, WorkloadId, ZoneId};
use sim_kernel::{Context, EntityKey, EventId, Purpose, Recorder, SimSpan, SimTime};

use super::claims::{Claims, Volumes};
use super::history::Change;
use super::pod::{PodPhase, PodState};
use super::rollouts::DeploymentState;
use super::tables::Tables;
use super::templates::TemplateId;
use super::{Cluster, KubeEvent, Notice, drawn, priority};
use crate::client_limit::ClientLimiter;
use crate::crash_loop::Backoff;
use crate::quota::Usage;
use crate::rare;
use crate::replica_set::{self, Ages, Candidate, Difference, VictimPhase, slow_start_batches};
use crate::stateful_set::{self, SetPod, SetSpec, SetStatus, Step};

const SYNC: Purpose = Purpose::new("controller sees change");
const ROUND_TRIP: Purpose = Purpose::new("controller's request");
const SECOND: Purpose = Purpose::new("phase of the wall clock's second");

/// The API keeps the times of conditions in whole seconds (apimachinery, `metav1.Time`).
const CONDITION_RESOLUTION: SimSpan = SimSpan::from_secs(1);

#[derive(Clone, Debug)]
pub(super) struct WorkloadState {
    /// `spec.replicas`.
    pub(super) replicas: u32,
    /// `spec.template`.
    pub(super) template: TemplateId,
    /// `spec.template` before its last change.
    pub(super) previous: TemplateId,
    /// What an update has not reached yet: `currentRevision` of a StatefulSet.
    pub(super) current: TemplateId,
    /// A template was changed, and not all pods are of it yet.
    pub(super) is_rolling: bool,
    /// `spec.paused` of a Deployment, `spec.suspend` of a Job or CronJob.
    pub(super) is_held: bool,
    /// Somebody removes the scheduling gates of its pods as soon as they are there.
    has_gates_lifted: bool,
    /// Its data is not restored yet, so that its pods are not there to be bound.
    pub(super) awaits_data: bool,
    /// The ReplicaSets; of Deployments only.
    pub(super) deployment: DeploymentState,
    /// Pods that exist, in the order of creation.
    pub(super) pods: Vec<PodId>,
    is_sync_pending: bool,
    sync_count: u64,
    created_count: u32,
    /// How often the pod of an ordinal (or node) was created.
    incarnations: BTreeMap<u32, u64>,
    /// Where the volumes of an ordinal stand; ordinal 0 for kinds whose pods share them.
    volume_zones: BTreeMap<u32, ZoneId>,
    /// Where others of its volumes stand, when these are in two zones: no node reaches all of them.
    other_volume_zones: BTreeMap<u32, ZoneId>,
    /// The number in the names of its claims, when that is not the ordinal: an operator numbers an
    /// instance with new volumes anew.
    claim_numbers: BTreeMap<u32, u32>,
    /// The node on whose disks they lie, where they do.
    volume_nodes: BTreeMap<u32, NodeId>,
    pub(super) claims: Claims,
    has_ordinals: bool,
    /// By node: pods of a DaemonSet that failed there since its template changed last.
    pub(super) failed_daemons: BTreeMap<NodeId, Backoff>,
    /// When its controller looks again at those that wait.
    pub(super) failed_daemons_due: SimTime,
}

impl WorkloadState {
    /// One of its pods is not one of its own any more. They are in the order of creation, which is
    /// that of ids.
    pub(super) fn forget(&mut self, pod: PodId) {
        let position = self.pods.binary_search(&pod);
        self.pods.remove(position.expect("a pod that exists is one of its workload's"));
    }

    pub(super) fn all(blueprint: &Blueprint, tables: &Tables) -> Vec<Self> {
        let state = |(id, workload): (WorkloadId, &Workload)| Self {
            replicas: tables.replicas_at_start(id, workload.replicas),
            template: TemplateId::at_start(id),
            previous: TemplateId::at_start(id),
            current: TemplateId::at_start(id),
            is_rolling: false,
            is_held: workload.kind.is_held().unwrap_or(false),
            has_gates_lifted: false,
            awaits_data: false,
            deployment: DeploymentState::at_start(id, workload, tables),
            pods: Vec::new(),
            is_sync_pending: false,
            sync_count: 0,
            created_count: 0,
            incarnations: BTreeMap::new(),
            volume_zones: BTreeMap::new(),
            other_volume_zones: BTreeMap::new(),
            claim_numbers: BTreeMap::new(),
            volume_nodes: BTreeMap::new(),
            claims: Claims::default(),
            has_ordinals: has_ordinals(&workload.kind),
            failed_daemons: BTreeMap::new(),
            failed_daemons_due: SimTime::ZERO,
        };
        let ids = (0..blueprint.workloads.len()).map(WorkloadId::from_index);
        ids.zip(&blueprint.workloads).map(state).collect()
    }

    /// How many pods were ever created, for kinds without ordinals.
    pub(super) fn created_count(&self) -> u32 {
        self.created_count
    }

    pub(super) fn volume_key(&self, ordinal: u32) -> u32 {
        if self.has_ordinals { ordinal } else { 0 }
    }

    /// The zone that holds the volumes of a pod, once they are bound.
    pub(super) fn volume_zone(&self, ordinal: u32) -> Option<ZoneId> {
        self.volume_zones.get(&self.volume_key(ordinal)).copied()
    }

    /// The node that holds the volumes of a pod, where they lie on disks of nodes.
    pub(super) fn volume_node(&self, ordinal: u32) -> Option<NodeId> {
        self.volume_nodes.get(&self.volume_key(ordinal)).copied()
    }

    /// Its volumes and their claims are gone: those of the next pod stand wherever that is bound.
    pub(super) fn forget_volumes(&mut self, ordinal: u32) {
        let key = self.volume_key(ordinal);
        self.volume_zones.remove(&key);
        self.other_volume_zones.remove(&key);
        self.volume_nodes.remove(&key);
    }

    /// Where the volumes of a pod stand, and how its claims are numbered.
    pub(super) fn volumes(&self, ordinal: u32) -> Volumes {
        Volumes {
            zone: self.volume_zone(ordinal),
            other_zone: self.other_volume_zone(ordinal),
            node: self.volume_node(ordinal),
            number: self.claim_numbers.get(&ordinal).copied(),
        }
    }

    /// Other volumes are those of a pod.
    pub(super) fn set_volumes(&mut self, ordinal: u32, volumes: Volumes) {
        self.forget_volumes(ordinal);
        self.claim_numbers.remove(&ordinal);
        let key = self.volume_key(ordinal);
        self.volume_zones.extend(volumes.zone.map(|zone| (key, zone)));
        self.other_volume_zones.extend(volumes.other_zone.map(|zone| (key, zone)));
        self.volume_nodes.extend(volumes.node.map(|node| (key, node)));
        self.claim_numbers.extend(volumes.number.map(|number| (ordinal, number)));
    }

    /// A second zone in which volumes of a pod stand, so that it fits no node.
    pub(super) fn other_volume_zone(&self, ordinal: u32) -> Option<ZoneId> {
        self.other_volume_zones.get(&self.volume_key(ordinal)).copied()
    }

    /// Notes where another volume of a pod was made.
    pub(super) fn add_volume_zone(&mut self, ordinal: u32, zone: ZoneId) {
        let key = self.volume_key(ordinal);
        if *self.volume_zones.entry(key).or_insert(zone) != zone {
            self.other_volume_zones.entry(key).or_insert(zone);
        }
    }

    /// The number by which the claims of an ordinal are named.
    pub(super) fn claim_number(&self, ordinal: u32) -> u32 {
        self.claim_numbers.get(&ordinal).copied().unwrap_or(ordinal)
    }

    /// The claims of an ordinal will be named by the next number that no other had.
    pub(super) fn number_anew(&mut self, ordinal: u32) {
        // The first instances have the first numbers.
        let first = self.created_count.checked_sub(1);
        let highest = self.claim_numbers.values().copied().chain(first).max();
        self.claim_numbers.insert(ordinal, highest.map_or(0, |number| number + 1));
    }

    /// Whose volumes stand in some zones.
    pub(super) fn volumes_in(&self, is_gone: impl Fn(ZoneId) -> bool) -> Vec<u32> {
        let gone = self.volume_zones.iter().filter(|(_, zone)| is_gone(**zone));
        gone.map(|(key, _)| *key).collect()
    }

    pub(super) fn set_volume_node(&mut self, ordinal: u32, node: NodeId) {
        let key = self.volume_key(ordinal);
        self.volume_nodes.entry(key).or_insert(node);
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
    rate: ClientRate,
}

impl ControllerClients {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self { by_kind: BTreeMap::new(), rate: parameters.controller_client }
    }

    /// When a request about pods goes out that the controller of this kind makes now.
    pub(super) fn reserve(&mut self, kind: &WorkloadKind, now: SimTime) -> SimTime {
        self.reserve_of(kind.controller().map_or(kind.name(), |(_, kind)| kind), now)
    }

    /// The same, for the controller of this name.
    pub(super) fn reserve_of(&mut self, controller: &'static str, now: SimTime) -> SimTime {
        let client = self.by_kind.entry(controller);
        client.or_insert_with(|| ClientLimiter::of(self.rate)).reserve(now)
    }
}

/// A pod that a controller is to create.
#[derive(Clone, Copy, Debug)]
pub(super) struct PodOrder {
    pub(super) template: TemplateId,
    pub(super) ordinal: u32,
    /// The only node it may go to.
    pub(super) pinned: Option<NodeId>,
}

impl Cluster {
    /// Creates and places all pods at the start, ready at once.
    pub(super) fn place_initial_pods(&mut self) {
        for idx in 0..self.workloads.len() {
            let id = WorkloadId::from_index(idx);
            let blueprint = self.blueprint.clone();
            let mut used = self.quota_usage(id, SimTime::ZERO);
            match &blueprint.workloads[idx].kind {
                WorkloadKind::DaemonSet { .. } => {
                    for node in (0..self.nodes.len()).map(NodeId::from_index) {
                        if self.wants_daemon(id, node) && self.is_allowed_at_start(id, &mut used) {
                            let pod = self.first_pod(id, node.0, Some(node));
                            self.start_ready(pod, Some(node));
                        }
                    }
                }
                WorkloadKind::Job(_) => {}
                kind => {
                    let first = first_ordinal(kind);
                    for nth in 0..self.workloads[idx].replicas {
                        if self.is_allowed_at_start(id, &mut used) {
                            let pod = self.first_pod(id, first + nth, None);
                            self.start_ready(pod, None);
                        }
                    }
                }
            }
        }
        self.know_initial_endpoints();
    }

    /// Whether quotas leave room for one more pod beside what is used; it is counted then.
    fn is_allowed_at_start(&self, id: WorkloadId, used: &mut Option<Usage>) -> bool {
        let Some(used) = used else { return true };
        self.take_of_quotas(id, TemplateId::at_start(id), used).is_ok()
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
        self.attach_at_start(id);
        let tables = self.tables.clone();
        for image in &tables.template_of(&self.pods[id.index()]).images {
            self.nodes[node.index()].add_image(*image, SimTime::ZERO);
        }
    }

    fn first_pod(&mut self, workload: WorkloadId, ordinal: u32, pinned: Option<NodeId>) -> PodId {
        let order = PodOrder { template: TemplateId::at_start(workload), ordinal, pinned };
        self.new_pod(workload, order, SimTime::ZERO, EventId::NONE)
    }

    pub(super) fn new_pod(
        &mut self,
        workload: WorkloadId,
        order: PodOrder,
        created_at: SimTime,
        cause: EventId,
    ) -> PodId {
        let PodOrder { template, ordinal, pinned } = order;
        let key = self.tables.workload_keys[workload.index()];
        let base = match pinned {
            // Not by number: another node before it must not change its luck.
            Some(node) => key.child(&self.blueprint.nodes[node.index()].node.name),
            None => key.part(u64::from(ordinal)),
        };
        let state = &mut self.workloads[workload.index()];
        let incarnation = state.incarnations.entry(ordinal).or_default();
        let key = base.part(*incarnation);
        *incarnation += 1;
        state.created_count = state.created_count.max(ordinal + 1);
        let id = PodId::from_index(self.pods.len());
        state.pods.push(id);
        let mut pod = PodState::new(workload, template, ordinal, key, created_at, cause);
        pod.pinned = pinned;
        let gates = &self.tables.templates[template.index()].template.spec.scheduling_gates;
        let state = &self.workloads[workload.index()];
        pod.is_gated = state.awaits_data || !gates.is_empty() && !state.has_gates_lifted;
        self.pods.push(pod);
        self.make_early_volumes(workload, ordinal);
        id
    }

    /// Changes `spec.replicas` of a workload.
    pub fn scale<E, R>(&mut self, workload: WorkloadId, replicas: u32, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.note_spec(workload, ctx.now());
        self.workloads[workload.index()].replicas = replicas;
        self.touch_scaler(workload);
        self.expect_off_peak_look(workload, ctx);
        if self.is_deployment(workload) {
            self.request_deployment_sync(workload, ctx);
        } else {
            self.request_sync(workload, ctx);
        }
        self.settle(ctx);
    }

    /// Whether a Deployment is paused, or a Job or CronJob suspended.
    pub fn is_held(&self, workload: WorkloadId) -> bool {
        self.workloads[workload.index()].is_held
    }

    /// Pauses a Deployment, or suspends a Job or CronJob; or lets it go on. Of other kinds there is
    /// nothing to hold.
    pub fn hold_workload<E, R>(
        &mut self,
        workload: WorkloadId,
        is_held: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let kind = &self.blueprint.workloads[workload.index()].kind;
        if kind.is_held().is_none() || self.is_held(workload) == is_held {
            return;
        }
        self.workloads[workload.index()].is_held = is_held;
        if self.is_deployment(workload) {
            self.note_pause(workload, ctx.now());
            self.request_deployment_sync(workload, ctx);
        } else {
            self.request_sync(workload, ctx);
        }
        self.settle(ctx);
    }

    /// Whether somebody removes the scheduling gates of a workload's pods.
    pub fn has_gates_lifted(&self, workload: WorkloadId) -> bool {
        self.workloads[workload.index()].has_gates_lifted
    }

    /// How many of a workload's pods have scheduling gates.
    pub fn gated_pods(&self, workload: WorkloadId) -> usize {
        let pods = self.workloads[workload.index()].pods.iter();
        pods.filter(|pod| self.pods[pod.index()].is_gated).count()
    }

    /// Removes the scheduling gates of a workload's pods, of those to come as well; or lets those to
    /// come keep theirs.
    pub fn lift_gates<E, R>(
        &mut self,
        workload: WorkloadId,
        has_gates_lifted: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.workloads[workload.index()].has_gates_lifted = has_gates_lifted;
        if has_gates_lifted {
            for pod in self.workloads[workload.index()].pods.clone() {
                self.ungate_pod(pod, ctx);
            }
        }
        self.settle(ctx);
    }

    pub(super) fn is_deployment(&self, workload: WorkloadId) -> bool {
        let kind = &self.blueprint.workloads[workload.index()].kind;
        matches!(kind, WorkloadKind::Deployment { .. })
    }

    /// The template that pods of a workload are to have.
    pub fn template(&self, workload: WorkloadId) -> TemplateId {
        self.workloads[workload.index()].template
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
        let draw = self.draw(self.tables.workload_keys[id.index()], SYNC, occurrence);
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
            if matches!(self.blueprint.workloads[idx].kind, WorkloadKind::DaemonSet { .. }) {
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
        self.clients = ControllerClients::new(&self.blueprint.parameters);
        for idx in 0..self.workloads.len() {
            let id = WorkloadId::from_index(idx);
            self.workloads[idx].failed_daemons.clear();
            self.workloads[idx].failed_daemons_due = SimTime::ZERO;
            self.request_sync(id, ctx);
            if self.is_deployment(id) && self.workloads[idx].is_rolling {
                self.request_deployment_sync(id, ctx);
            }
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
        let is_ordered = matches!(&spec.kind,
            WorkloadKind::StatefulSet { pod_management, .. } if *pod_management == policy);
        if !is_ordered && !self.workloads[workload.index()].is_rolling {
            return;
        }
        if is_ready && !spec.min_ready.is_zero() {
            let at = self.available_at(id, spec.min_ready).max(ctx.now());
            ctx.schedule_at(at, priority::CONTROLLER, KubeEvent::WorkloadSync(workload));
        }
        self.request_sync(workload, ctx);
    }

    /// From when a pod that is ready now is available (`FindMinNextPodAvailabilityCheck`): counted
    /// from its condition's time, which is kept in whole seconds.
    fn available_at(&self, id: PodId, min_ready: SimSpan) -> SimTime {
        self.condition_time(self.pods[id.index()].ready_since) + min_ready
    }

    /// From when a pod counts as available: its workload's `minReadySeconds` after it became ready.
    /// `None` for one that is not ready.
    pub fn available_since(&self, id: PodId) -> Option<SimTime> {
        let pod = &self.pods[id.index()];
        let min_ready = self.blueprint.workloads[pod.workload.index()].min_ready;
        let since =
            if min_ready.is_zero() { pod.ready_since } else { self.available_at(id, min_ready) };
        pod.is_ready.then_some(since)
    }

    pub(super) fn is_available(&self, id: PodId, min_ready: SimSpan, now: SimTime) -> bool {
        let is_ready = self.pods[id.index()].is_ready;
        is_ready && (min_ready.is_zero() || self.available_at(id, min_ready) <= now)
    }

    /// A time as a condition keeps it. Where the second of the wall clock begins is a matter of luck.
    pub(super) fn condition_time(&self, at: SimTime) -> SimTime {
        let draw = self.draw(EntityKey::of("wall clock"), SECOND, 0);
        let phase = draw.span_between(SimSpan::ZERO, CONDITION_RESOLUTION);
        let since = at.saturating_since(SimTime::ZERO + phase).as_nanos();
        if since == 0 {
            return at.min(SimTime::ZERO + phase);
        }
        SimTime::ZERO + phase + CONDITION_RESOLUTION * (since / CONDITION_RESOLUTION.as_nanos())
    }

    pub(super) fn on_workload_sync<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.workloads[id.index()].is_sync_pending = false;
        let blueprint = self.blueprint.clone();
        match &blueprint.workloads[id.index()].kind {
            WorkloadKind::Deployment { .. } => self.sync_replica_sets(id, ctx),
            WorkloadKind::Job(_) => self.sync_jobs(id, ctx),
            WorkloadKind::ReplicaSet => {
                let (template, wanted) = (self.template(id), self.replicas(id) as usize);
                self.sync_replicas(id, None, template, wanted, ctx);
            }
            WorkloadKind::StatefulSet { pod_management, ordinals_start, update, .. } => {
                let spec = SetSpec {
                    replicas: self.replicas(id),
                    start: *ordinals_start,
                    partition: partition(*update),
                    current_replicas: None,
                    is_parallel: *pod_management == PodManagementPolicy::Parallel,
                    is_on_delete: *update == StatefulSetUpdate::OnDelete,
                    max_unavailable: self.max_unavailable(*update, self.replicas(id)),
                };
                self.sync_stateful_set(id, &spec, ctx);
            }
            // Simplified: an operator re-creates its missing instances like a parallel
            // StatefulSet, whether it runs or not. Which of them are deleted for an update, the
            // model of databases says.
            WorkloadKind::DatabaseInstances => {
                let spec = SetSpec {
                    replicas: self.replicas(id),
                    start: 1,
                    is_parallel: true,
                    is_on_delete: true,
                    ..SetSpec::default()
                };
                self.sync_stateful_set(id, &spec, ctx);
            }
            WorkloadKind::DaemonSet { update } => self.sync_daemon_set(id, *update, ctx),
            WorkloadKind::Pod => {}
        }
        self.note_synced(id);
    }

    /// `maxUnavailable` of a StatefulSet where its gate is on: 1 unless it says otherwise
    /// (`getStatefulSetMaxUnavailable`, pkg/controller/statefulset/stateful_set_control.go, 1.36).
    fn max_unavailable(&self, update: StatefulSetUpdate, replicas: u32) -> Option<u32> {
        let StatefulSetUpdate::RollingUpdate { max_unavailable, .. } = update else { return None };
        let stated = max_unavailable.unwrap_or(IntOrPercent::Int(1));
        self.has_set_max_unavailable.then(|| stateful_set::max_unavailable(stated, replicas))
    }

    /// Brings the pods of a ReplicaSet to their number (`manageReplicas`): those of one template of
    /// a Deployment, else all of the workload.
    pub(super) fn sync_replicas<E, R>(
        &mut self,
        id: WorkloadId,
        only: Option<TemplateId>,
        template: TemplateId,
        wanted: usize,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let is_active = |pod: &PodId| {
            let pod = &self.pods[pod.index()];
            pod.is_active() && !pod.is_doomed
        };
        let of_workload: Vec<PodId> =
            self.workloads[id.index()].pods.iter().copied().filter(is_active).collect();
        let is_own = |pod: &PodId| only.is_none_or(|it| it == self.pods[pod.index()].template);
        let active: Vec<PodId> = of_workload.iter().copied().filter(is_own).collect();
        match replica_set::difference(active.len(), wanted) {
            Difference::None => {}
            Difference::Create(count) => {
                let first = self.workloads[id.index()].created_count;
                let count = u32::try_from(count).expect("a burst is 500");
                let order = |nth| PodOrder { template, ordinal: first + nth, pinned: None };
                let orders: Vec<PodOrder> = (0..count).map(order).collect();
                self.create_pods(id, &orders, ctx);
            }
            Difference::Delete(count) => {
                let mut on_node: BTreeMap<Option<NodeId>, usize> = BTreeMap::new();
                for pod in &of_workload {
                    *on_node.entry(self.pods[pod.index()].node).or_default() += 1;
                }
                let candidates: Vec<Candidate> = active
                    .iter()
                    .map(|pod| self.candidate(*pod, on_node[&self.pods[pod.index()].node]))
                    .collect();
                for position in
                    replica_set::victims(&candidates, count, Ages::ByPowerOfTwo(ctx.now()))
                {
                    self.delete_by_controller(active[position], ctx);
                }
            }
        }
    }

    /// A pod that may have to go; `active_on_node` counts the active ones of its workload there.
    fn candidate(&self, id: PodId, active_on_node: usize) -> Candidate {
        let pod = &self.pods[id.index()];
        let workload = &self.blueprint.workloads[pod.workload.index()];
        let is_deployment = matches!(workload.kind, WorkloadKind::Deployment { .. });
        let annotations = &self.tables.template_of(pod).template.annotations;
        let cost = annotations.get("controller.kubernetes.io/pod-deletion-cost");
        Candidate {
            has_node: pod.node.is_some(),
            phase: if pod.has_address { VictimPhase::Running } else { VictimPhase::Pending },
            is_ready: pod.is_ready,
            deletion_cost: cost.map_or(0, |cost| replica_set::deletion_cost(cost)),
            related_on_node: if is_deployment { active_on_node } else { 0 },
            ready_since: Some(pod.ready_since),
            restart_count: pod.restart_count,
            sidecar_restart_count: 0,
            created_at: Some(pod.created_at),
            // UIDs are random upstream; the pod's key is as good and the same in every variant.
            uid: pod.key.value(),
        }
    }

    /// Creates one more bare pod of a workload of that kind, as somebody's `kubectl create` does.
    pub fn create_bare_pod<E, R>(
        &mut self,
        workload: WorkloadId,
        ctx: &mut Context<'_, E, R>,
    ) -> PodId
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = &self.workloads[workload.index()];
        let (template, ordinal) = (state.template, state.created_count);
        let order = PodOrder { template, ordinal, pinned: None };
        let pod = self.new_pod(workload, order, ctx.now(), ctx.cause());
        self.on_pod_create_due(pod, ctx);
        self.settle(ctx);
        pod
    }

    /// Creates pods in batches of 1, 2, 4, ... (`slowStartBatch`): each batch waits for the answers
    /// to the one before, and each request for the limit of the controller's client.
    pub(super) fn create_pods<E, R>(
        &mut self,
        workload: WorkloadId,
        orders: &[PodOrder],
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let mut rest = orders;
        let mut from = ctx.now();
        let mut used = self.quota_usage(workload, ctx.now());
        for size in slow_start_batches(orders.len()) {
            let (batch, later) = rest.split_at(size);
            rest = later;
            let mut answered_at = from;
            for order in batch {
                let Some(asked_for) = self.ask_webhooks(workload, ctx) else { return };
                if let Some(used) = &mut used
                    && !self.ask_quotas(workload, order.template, used, ctx)
                {
                    return;
                }
                let kind = &self.blueprint.workloads[workload.index()].kind;
                let sent_at = self.clients.reserve(kind, from);
                if sent_at > from {
                    ctx.hit(&rare::CONTROLLER_THROTTLED);
                }
                let sent_at = sent_at + asked_for;
                let pod = self.new_pod(workload, *order, sent_at, ctx.cause());
                let draw = self.draw(self.pods[pod.index()].key, ROUND_TRIP, 0);
                let round_trip = drawn(draw, self.blueprint.parameters.watch_latency);
                answered_at = answered_at.max(sent_at + round_trip);
                if sent_at > ctx.now() {
                    let event = KubeEvent::PodCreateDue(pod);
                    ctx.schedule_at(sent_at, priority::CONTROLLER, event);
                } else {
                    self.on_pod_create_due(pod, ctx);
                }
            }
            from = answered_at;
        }
    }

    /// The API server has a pod that a controller asked for.
    ///
    /// Simplified: until then the pod counts among those of its workload already, as it does in the
    /// controller's expectations.
    pub(super) fn on_pod_create_due<E, R>(&mut self, pod: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = &self.pods[pod.index()];
        if !state.exists() {
            return;
        }
        let workload = state.workload;
        self.note_change(Change::PodCreated(pod), ctx.now());
        let ordinal = self.pods[pod.index()].ordinal;
        self.claim_volumes(workload, ordinal, ctx.now());
        ctx.observe(|| Observation::PodCreated { pod, workload });
        self.notify(Notice::PodCreated(pod));
        match self.named_node(pod) {
            Some(node) => self.bind_named(pod, node, ctx),
            None => self.queue_pod(pod, ctx.now(), ctx),
        }
        if self.workloads[workload.index()].is_rolling {
            self.request_sync(workload, ctx);
        }
    }

    /// A controller deletes a pod, once the limit of its client lets it.
    pub(super) fn delete_by_controller<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let workload = self.pods[id.index()].workload;
        let kind = &self.blueprint.workloads[workload.index()].kind;
        let sent_at = self.clients.reserve(kind, ctx.now());
        if sent_at > ctx.now() {
            ctx.hit(&rare::CONTROLLER_THROTTLED);
            self.pods[id.index()].is_doomed = true;
            ctx.schedule_at(sent_at, priority::CONTROLLER, KubeEvent::PodDeleteDue(id));
        } else {
            self.on_pod_delete_due(id, ctx);
        }
    }

    pub(super) fn on_pod_delete_due<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let is_replaced = pod.template != self.template(pod.workload);
        let reason = if is_replaced { DeletionReason::Rollout } else { DeletionReason::ScaleDown };
        self.delete_pod(id, reason, ctx);
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
        let (update, current) = (self.template(id), self.workloads[id.index()].current);
        let mut pods: Vec<(SetPod, PodId)> = Vec::new();
        for pod in &self.workloads[id.index()].pods {
            let state = &self.pods[pod.index()];
            let set_pod = SetPod {
                ordinal: state.ordinal,
                is_finished: state.phase == PodPhase::Finished,
                is_terminating: state.is_terminating,
                is_ready: state.is_ready,
                is_available: self.is_available(*pod, min_ready, ctx.now()),
                is_updated: state.template == update,
                is_current: state.template == current,
            };
            pods.push((set_pod, *pod));
        }
        pods.sort_by_key(|(pod, _)| pod.ordinal);
        let set_pods: Vec<SetPod> = pods.iter().map(|(pod, _)| *pod).collect();
        let steps = stateful_set::sync(spec, &set_pods);
        let created = steps.iter().filter_map(|step| match *step {
            Step::Create { ordinal, is_updated } => {
                let template = if is_updated { update } else { current };
                Some(PodOrder { template, ordinal, pinned: None })
            }
            Step::Delete { .. } | Step::Replace { .. } => None,
        });
        let created: Vec<PodOrder> = created.collect();
        for step in &steps {
            if let Step::Delete { ordinal } | Step::Replace { ordinal } = step {
                let found = pods.iter().find(|(pod, _)| pod.ordinal == *ordinal);
                let (_, pod) = found.expect("steps delete pods that were given");
                self.delete_by_controller(*pod, ctx);
            }
        }
        self.create_pods(id, &created, ctx);
        // Counted before the steps were made (`performUpdate`).
        if current != update && SetStatus::of(&set_pods).completes(spec) {
            self.note_spec(id, ctx.now());
            self.workloads[id.index()].current = update;
        }
        if steps.is_empty() && stateful_set::is_rolled_out(spec, &set_pods) {
            self.end_rollout(id, ctx);
        }
    }

    /// Whether a daemon belongs on a node (`NodeShouldRunDaemonPod`): its affinity matches and it
    /// tolerates the node's taints.
    pub(super) fn wants_daemon(&self, id: WorkloadId, node: NodeId) -> bool {
        let Some(object) = self.node_object(node) else { return false };
        let spec = &self.tables.templates[self.template(id).index()].template.spec;
        crate::daemon_set::should_run(spec, &object)
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

fn partition(update: StatefulSetUpdate) -> u32 {
    match update {
        StatefulSetUpdate::OnDelete => 0,
        StatefulSetUpdate::RollingUpdate { partition, .. } => partition,
    }
}
