//! A cluster in virtual time: the thin stateful part that applies the decisions of this crate.
//!
//! # How the platform uses it
//! 1. [`Cluster::start`] places all pods at time zero, ready at once, without an event; [`Cluster::announce`]
//!    reports that state as observations.
//! 2. The platform's event enum wraps [`KubeEvent`] and hands it back to [`Cluster::handle`].
//! 3. Faults are commands: [`Cluster::lose_zone`], [`Cluster::restore_zone`],
//!    [`Cluster::isolate_zone`], [`Cluster::rejoin_zone`], the same four for a node, [`Cluster::shut_down_node`],
//!    [`Cluster::crash_pods`], [`Cluster::scale`], [`Cluster::lift_gates`], [`Cluster::patch_template`],
//!    [`Cluster::evict`], [`Cluster::cordon`], [`Cluster::drain`], [`Cluster::delete_node`],
//!    [`Cluster::set_member_power`], [`Cluster::set_part`], [`Cluster::set_flush`],
//!    [`Cluster::set_api_balancer`], [`Cluster::kill_leader`], [`Cluster::kill_etcd_leader`],
//!    [`Cluster::set_api_available`], [`Cluster::set_registry_available`],
//!    [`Cluster::set_webhook_answers`], [`Cluster::lose_api_state`],
//!    [`Cluster::restore_api_state`], [`Cluster::upgrade_control_plane`],
//!    [`Cluster::start_leak`], [`Cluster::start_flood`], [`Cluster::slow_api`];
//!    [`Cluster::set_late_answers`] tells what load does to probes. Zones and nodes are lost
//!    independently: a node in a lost zone that
//!    was also lost by itself comes back when both are over.
//! 4. After every call, [`Cluster::drain_notices`] tells the other models what changed; state is
//!    read through [`Cluster::routes`], [`Cluster::pod`], [`Cluster::pods_of`],
//!    [`Cluster::is_api_available`].
//!
//! # Modelled
//! Leases and their silence in closed form, the monitor's passes, taints, evictions, workloads that
//! keep their pods and move them to new templates, drains, the scheduling queue, preemption, image
//! pulls one at a time a node, volumes bound to zones, horizontal autoscalers by CPU, by memory and by
//! requests of Services, node groups and the cluster autoscaler, start, readiness and crash loops of pods,
//! probes that fail under load, endpoints as proxies know them, disruption budgets, Jobs and CronJobs,
//! off-peak hours, etcd's quorum and elections; memory of pods that grows, containers that are killed for
//! it, disks, inodes and process ids that pods take; kubelets that evict when their nodes run out of them;
//! leaders of the controller manager and the scheduler; canaries; kubelets that hang on a lost API server,
//! proxies that go on with what they knew, webhooks that fail closed, registries that do not answer,
//! volumes that a silent node holds; the API's state lost and restored from a snapshot; API servers that are
//! flooded while they run, or store slowly; upgrades of the control plane (each in the module of its noun).
//! # Not modelled
//! Autoscalers by other metrics than these: such a metric fails, as one that no adapter serves (memory
//! that is not stated takes no part). Watchers other than kubelets, proxies, operators and controllers
//! of gateways that hang on a lost API server.
//! # Defaults and their sources
//! [`model_api::Parameters`]; the modules of the decisions name theirs.
//! # Invariants
//! Cost follows change: while everything is healthy there is no event at all. Nothing is
//! rescheduled or re-routed while the API is down. Every draw is keyed by stable names.
//! # Checked against
//! Recorded timelines of a real control plane: zone losses and returns, stuck StatefulSets, rollouts,
//! drains, autoscaling, leaders and elections (`sim-timelines`).

mod admission;
mod api_balancer;
mod api_clients;
mod api_service;
mod autoscaling;
mod catch_up;
mod claims;
mod cloud;
mod configured;
mod connections;
mod control_plane;
mod database_clients;
mod deferred;
mod deliveries;
mod drains;
mod evictions;
mod garbage;
mod hints;
mod history;
mod holdings;
mod images;
mod jobs;
mod kubelet;
mod memory;
mod named;
mod node_groups;
mod node_lifecycle;
mod node_pressure;
mod nodes;
mod off_peak;
mod operators;
mod overload;
mod pod;
mod preemption;
mod probing;
mod proxies;
mod queue;
mod quotas;
mod rebuild;
mod relists;
mod restore;
mod rollouts;
mod routing;
mod shutdowns;
mod sources;
mod specs;
mod standstill;
mod tables;
mod templates;
mod upgrade;
mod volumes;
mod waiting;
mod workloads;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model_api::observation::PendingWrite;
use model_api::{
    AutoscalerId, Blueprint, CanaryId, DatabaseId, NodeId, Observation, PodId, ServiceId,
    WorkloadId, ZoneId,
};
use sim_kernel::{Context, Draw, EntityKey, EventId, Purpose, Recorder, SimSpan, Streams};

pub use api_clients::ApiCaller;
pub use autoscaling::{AutoscalerStatus, ServiceTraffic, ServiceWork};
pub use control_plane::Component;
pub use drains::{AfterDrain, DrainId, DrainSpec};
pub use memory::LeakId;
pub use node_groups::Capacity;
pub use overload::StrainId;
pub use pod::{PodPhase, PodView};
pub use routing::Route;
pub use templates::{NewTemplate, TemplateHealth, TemplateId};

use crate::node_lifecycle::ZoneEvictor;
use crate::rare;
use crate::scheduling::SchedulerCache;
use admission::Refusals;
use api_balancer::ApiPool;
use api_clients::ApiClients;
use api_service::ApiService;
use autoscaling::Autoscaling;
use configured::Unconfigured;
use connections::{Connection, Serving};
use control_plane::ControlPlane;
use database_clients::DatabaseClient;
use deliveries::DeliveryState;
use drains::Drain;
use evictions::InstanceGuard;
use garbage::Garbage;
use history::History;
use holdings::Holdings;
use jobs::JobState;
use memory::Memory;
use node_groups::NodeGroups;
use node_lifecycle::Monitor;
use nodes::NodeState;
use off_peak::OffPeakStates;
use operators::Operators;
use overload::Overload;
use pod::PodState;
use probing::Probing;
use proxies::Proxies;
use queue::Queue;
use relists::Relists;
use routing::ServiceState;
use sources::Sources;
use tables::Tables;
use upgrade::{Upgrade, Versions};
use volumes::Attachments;
use workloads::{ControllerClients, WorkloadState};

/// Turns within one instant: what physically happens, then what a kubelet does about it, then
/// controllers, then proxies, then the scheduler, then what depends on what it left over.
pub mod priority {
    use sim_kernel::Priority;

    /// Power, contact, machines.
    pub const MACHINE: Priority = Priority::new(3);
    /// Kubelets and containers.
    pub const KUBELET: Priority = Priority::new(5);
    /// Members of the control plane.
    pub const CONTROL_PLANE: Priority = Priority::new(6);
    /// Controllers.
    pub const CONTROLLER: Priority = Priority::new(7);
    /// Proxies.
    pub const PROXY: Priority = Priority::new(9);
    /// The scheduler.
    pub const SCHEDULER: Priority = Priority::new(10);
    /// The cluster autoscaler, which sees what the scheduler left.
    pub const NODE_GROUPS: Priority = Priority::new(11);
}

/// What can happen in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KubeEvent {
    /// A node that got its power back runs its kubelet.
    NodeBooted(NodeId),
    /// A node's heartbeat reaches the API again.
    HeartbeatResumed(NodeId),
    /// A kubelet gives up the connection to an API server that is gone.
    ConnectionDropped(NodeId),
    /// A member of the control plane runs again.
    MemberBooted(u32),
    /// A pass of the node monitor that finds something.
    MonitorPass,
    /// The `NoExecute` taint of a waiting node may be due.
    TaintPass,
    /// The node lifecycle controller's client may mark this pod not ready.
    MarkPodDue(PodId),
    /// A pod's toleration has run out.
    EvictionDue(PodId),
    /// A workload's controller looks at its pods.
    WorkloadSync(WorkloadId),
    /// The Deployment controller looks at a Deployment.
    DeploymentSync(WorkloadId),
    /// Something of a Job is due: its beginning, a retry, a deadline.
    JobDue(WorkloadId),
    /// The work of a pod of a Job is done.
    WorkDone(PodId),
    /// The downscaler looks at a workload.
    OffPeakDue(WorkloadId),
    /// A controller's request for a pod goes out.
    PodCreateDue(PodId),
    /// A controller's request to delete a pod goes out.
    PodDeleteDue(PodId),
    /// A drain posts an eviction, or sees that the pod is gone.
    DrainPodDue(DrainId, PodId),
    /// The time for the node that a drain is at has run out.
    DrainTimeout(DrainId),
    /// The scheduler looks at its queue.
    ScheduleDue,
    /// The next step in the life of a pod's containers.
    PodStep(PodId),
    /// A terminating pod's containers get TERM.
    TermDue(PodId),
    /// Nothing of a pod that its kubelet stopped is left on its node.
    PodCleared(PodId),
    /// A kubelet reports a pod's readiness again.
    StatusSync(PodId),
    /// Proxies learn of a change of a Service's endpoints.
    EndpointsDue(ServiceId),
    /// A pass of the pod garbage collector that may find something.
    GarbagePass,
    /// The pod garbage collector removes a pod.
    GarbageDue(PodId),
    /// etcd has a leader again.
    EtcdElected,
    /// API servers answer again.
    ApiReady,
    /// A leader that could not renew gives up.
    LeaderExpired(Component),
    /// A candidate finds the lease free.
    TakeoverDue(Component),
    /// An autoscaler looks at its target.
    AutoscalerSync(AutoscalerId),
    /// A new leader's caches are filled.
    LeaderStarted(Component),
    /// The cluster autoscaler looks.
    GroupsLook,
    /// The next step of the removal of a node.
    RemovalDue(NodeId),
    /// The provider may have room for machines that a node group lacks.
    MachinesDue(u32),
    /// The cloud controller looks for the machine of a node.
    CloudPassDue(NodeId),
    /// The next step of the upgrade of a member.
    UpgradeDue,
    /// A verdict of a probe of a running container may be known.
    ProbeDue(PodId),
    /// Flagger looks at a canary.
    DeliveryDue(CanaryId),
    /// A container uses all the memory it may.
    MemoryLimitReached(PodId),
    /// Pods use all the memory of a node.
    NodeMemoryExhausted(NodeId),
    /// A machine that shuts down goes on with the next group of its pods.
    ShutdownDue(NodeId),
    /// A pass of an eviction manager that finds something.
    EvictionPass(NodeId),
    /// The node lifecycle controller sees what runs out on a node.
    PressureSeen(NodeId),
    /// A request that waited for a flooded or slow API gets through.
    RequestServed(u32),
    /// A leader fails to renew its lease at API servers that run.
    LeaderStalled(Component),
    /// A kubelet fails to renew the lease of its node at API servers that run.
    LeaseStalled(NodeId),
    /// A leader that failed to renew does so again.
    LeaderRenewed(Component),
    /// A kubelet tells the API that nothing of a pod is left.
    PodClearedTold(PodId),
    /// Requests about a database begin to fail at API servers that run, or get through again.
    DatabaseClientTurned(DatabaseId),
    /// The API server beside a leader that could not renew answers.
    LeaderServed(Component),
    /// The load balancer before the API servers takes one out, or in again.
    BalancerTurned(u32),
    /// The proxy of a node that heard nothing lists endpoints anew.
    ProxyLists(NodeId),
    /// A leader of an operator gives up, or a candidate takes over.
    OperatorDue(WorkloadId),
    /// A kubelet collects images that nobody uses.
    ImagesDue(NodeId),
    /// A pod of a vault is unsealed that somebody waits for.
    VaultUnsealed,
    /// The Service `kubernetes` leads to an API server no more, or again.
    ApiAddressDue(u32),
    /// Somebody gives up a connection to an API server, or dials again.
    ApiClientDue(ApiCaller),
}

const _: () = assert!(size_of::<KubeEvent>() <= 12);

/// What other models may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// The endpoints that proxies route to, or which of them can answer, changed.
    EndpointsChanged(ServiceId),
    /// A pod object was created.
    PodCreated(PodId),
    /// A pod was bound to a node.
    PodBound(PodId),
    /// Processes of a pod run and can answer (its readiness may not be known yet).
    PodStarted(PodId),
    /// Processes of a pod ended: crash, power loss, or TERM.
    PodStopped(PodId),
    /// Processes of a pod run on, but nobody outside reaches them.
    PodCutOff(PodId),
    /// A pod that was cut off is reachable again.
    PodReconnected(PodId),
    /// The API shows the pod as ready.
    PodReady(PodId),
    /// The API does not show the pod as ready any more.
    PodUnready(PodId),
    /// A pod has a deletionTimestamp.
    PodTerminating(PodId),
    /// A pod object is gone.
    PodGone(PodId),
    /// No node fits the pod.
    PodUnschedulable(PodId),
    /// The API shows a node as not ready.
    NodeDetected(NodeId),
    /// A node takes no pods any more, or does again: [`Cluster::is_cordoned`].
    NodeCordoned(NodeId),
    /// All pods of a workload are of its newest template and available.
    RolloutCompleted(WorkloadId),
    /// A rollout made no progress within its deadline.
    RolloutStalled(WorkloadId),
    /// A drain has done, or given up, what it was asked for.
    DrainEnded {
        /// Which.
        drain: DrainId,
        /// Every node was drained.
        is_complete: bool,
    },
    /// Writes to the API succeed (true) or fail (false) from now on.
    ApiChanged(bool),
    /// Every member of the control plane is upgraded.
    UpgradeEnded,
    /// Requests to the Service of a canary are divided otherwise: [`Cluster::canary_routes`].
    RoutesShifted(CanaryId),
    /// What looks after a database fails at a flooded API, or gets through again.
    DatabaseClientTurned {
        /// The database.
        database: DatabaseId,
        /// It fails.
        is_stalled: bool,
    },
    /// An operator stops looking after what it is there for, or does so again.
    OperatorTurned {
        /// The workload that runs it.
        workload: WorkloadId,
        /// One of its pods leads, and is on the same side of the network as the API.
        is_at_work: bool,
    },
}

impl Notice {
    /// The pod that it is about.
    fn pod(self) -> Option<PodId> {
        match self {
            Self::PodCreated(pod)
            | Self::PodBound(pod)
            | Self::PodStarted(pod)
            | Self::PodStopped(pod)
            | Self::PodCutOff(pod)
            | Self::PodReconnected(pod)
            | Self::PodReady(pod)
            | Self::PodUnready(pod)
            | Self::PodTerminating(pod)
            | Self::PodGone(pod)
            | Self::PodUnschedulable(pod) => Some(pod),
            Self::EndpointsChanged(_)
            | Self::NodeDetected(_)
            | Self::NodeCordoned(_)
            | Self::RolloutCompleted(_)
            | Self::RolloutStalled(_)
            | Self::DrainEnded { .. }
            | Self::ApiChanged(_)
            | Self::UpgradeEnded
            | Self::RoutesShifted(_)
            | Self::DatabaseClientTurned { .. }
            | Self::OperatorTurned { .. } => None,
        }
    }
}

/// A cluster of one run. A clone is a snapshot.
#[derive(Clone, Debug)]
pub struct Cluster {
    blueprint: Arc<Blueprint>,
    tables: Arc<Tables>,
    streams: Streams,
    nodes: Vec<NodeState>,
    /// See [`Self::node_change_count`].
    node_change_count: u64,
    pods: Vec<PodState>,
    workloads: Vec<WorkloadState>,
    services: Vec<ServiceState>,
    zones: Vec<ZoneLink>,
    monitor: Monitor,
    evictor: ZoneEvictor,
    control_plane: ControlPlane,
    /// By node.
    connections: Vec<Connection>,
    serving: Serving,
    api_pool: ApiPool,
    api_service: ApiService,
    api_clients: ApiClients,
    queue: Queue,
    clients: ControllerClients,
    autoscaling: Autoscaling,
    drains: Vec<Drain>,
    guards: Vec<InstanceGuard>,
    /// Gate MaxUnavailableStatefulSet.
    has_set_max_unavailable: bool,
    attachments: Attachments,
    /// By workload.
    refusals: Vec<Refusals>,
    /// Webhooks that do not answer.
    silent_webhooks: Vec<usize>,
    /// Registries that do not answer.
    silent_registries: Vec<usize>,
    node_groups: NodeGroups,
    probing: Probing,
    proxies: Proxies,
    memory: Memory,
    holdings: Holdings,
    garbage: Garbage,
    overload: Overload,
    unconfigured: Unconfigured,
    sources: Sources,
    operators: Operators,
    /// By database; empty until something strains the API.
    database_clients: Vec<DatabaseClient>,
    /// Services whose endpoints somebody else chooses.
    services_with_backends: Vec<ServiceId>,
    /// Those of the workloads that have off-peak hours.
    off_peak: OffPeakStates,
    /// By canary.
    deliveries: Vec<DeliveryState>,
    /// Those of the workloads that are Jobs.
    jobs: BTreeMap<WorkloadId, JobState>,
    /// What could not be done because the API or its component was away, in order.
    deferred: Vec<(KubeEvent, EventId)>,
    /// Writes that are known to wait.
    pending_writes: BTreeSet<PendingWrite>,
    /// Services whose routes changed in the call that runs.
    changed_services: Vec<ServiceId>,
    notices: Vec<Notice>,
    /// What changed in the API, where that may be put back.
    history: Option<History>,
    upgrade: Option<Upgrade>,
    /// The control plane of the cloud answers nothing.
    is_cloud_away: bool,
    versions: Versions,
    relists: Relists,
    /// Pods of a restored API that proxies hear of when it answers.
    unlisted_pods: Vec<PodId>,
}

/// What is worked out of a blueprint once, for all its runs.
#[derive(Clone, Debug)]
pub struct ClusterPlan {
    blueprint: Arc<Blueprint>,
    tables: Arc<Tables>,
    /// All nodes and templates, no pods.
    cache: SchedulerCache,
}

impl ClusterPlan {
    /// Works it out.
    pub fn new(blueprint: Arc<Blueprint>) -> Self {
        Self::with_templates(blueprint, &[])
    }

    /// Works it out, with the templates that workloads get during runs: see [`Self::template`].
    pub fn with_templates(blueprint: Arc<Blueprint>, templates: &[NewTemplate]) -> Self {
        let mut cache = SchedulerCache::new();
        let tables = Arc::new(Tables::of(&blueprint, templates, &mut cache));
        for template in &tables.templates {
            volumes::foresee(&blueprint, &template.claims_of_one_pod, &mut cache);
            if !template.limits.is_empty() {
                cache.volumes(template.limits.clone());
            }
        }
        if tables.early_claims.iter().any(|claims| claims.len() > 1) {
            volumes::foresee_two_zones(&blueprint, &mut cache);
        }
        let spare = blueprint.spare_nodes();
        for (idx, (spec, is_spare)) in blueprint.nodes.iter().zip(spare).enumerate() {
            if is_spare {
                cache.foresee_node(NodeId::from_index(idx), &spec.node);
            } else {
                cache.add_node(NodeId::from_index(idx), &spec.node);
            }
            if let Some(limit) = spec.node.attach_limit {
                let limits = vec![(volumes::DRIVER.to_owned(), limit)];
                cache.set_attach_limits(NodeId::from_index(idx), limits);
            }
            if tables.templates.iter().any(|it| it.has_local_claims) {
                // Known before runs begin, which share what is known.
                cache.volumes_on_node(&spec.node.name);
            }
        }
        Self { blueprint, tables, cache }
    }

    /// The template at a position of those given to [`Self::with_templates`], for
    /// [`Cluster::patch_template`].
    ///
    /// # Panics
    /// When there were fewer.
    pub fn template(&self, position: usize) -> TemplateId {
        self.tables.new_templates[position]
    }

    /// A cluster at time zero; see [`Cluster::start`].
    pub fn start(&self, streams: Streams) -> Cluster {
        Cluster::from_plan(self, streams)
    }
}

/// Contact and power of a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ZoneLink {
    is_off: bool,
    is_isolated: bool,
}

impl Cluster {
    /// A cluster at time zero: every pod that fits is placed by the scheduler in the order of the
    /// blueprint's workloads and is ready; what does not fit waits.
    pub fn start(blueprint: Arc<Blueprint>, streams: Streams) -> Self {
        ClusterPlan::new(blueprint).start(streams)
    }

    fn from_plan(plan: &ClusterPlan, streams: Streams) -> Self {
        let (blueprint, tables) = (plan.blueprint.clone(), plan.tables.clone());
        let mut cluster = Self {
            nodes: NodeState::all(&blueprint, &tables, streams),
            node_change_count: 0,
            pods: Vec::new(),
            workloads: WorkloadState::all(&blueprint, &tables),
            services: ServiceState::all(&blueprint),
            zones: vec![ZoneLink::default(); blueprint.zones.len()],
            monitor: Monitor::at_start(&blueprint.parameters, streams),
            evictor: node_lifecycle::evictor(&blueprint, &tables),
            control_plane: ControlPlane::at_start(&tables, streams),
            connections: Connection::all(&tables, streams),
            serving: connections::all_serve(&tables),
            api_pool: ApiPool::at_start(&blueprint),
            api_service: ApiService::at_start(&blueprint, &tables, streams),
            api_clients: ApiClients::at_start(&blueprint),
            queue: Queue::new(plan.cache.clone(), blueprint.parameters.scheduler_client),
            clients: ControllerClients::new(&blueprint.parameters),
            autoscaling: Autoscaling::at_start(&blueprint, &tables.scalers, streams),
            drains: Vec::new(),
            guards: Vec::new(),
            has_set_max_unavailable: false,
            attachments: Attachments::new(),
            refusals: vec![Refusals::default(); blueprint.workloads.len()],
            silent_webhooks: Vec::new(),
            silent_registries: Vec::new(),
            node_groups: NodeGroups::at_start(&blueprint, streams),
            probing: Probing::of(&blueprint),
            proxies: Proxies::default(),
            memory: Memory::at_start(
                &blueprint,
                tables.memory.is_used() || tables.pressure.is_used(),
                streams,
            ),
            holdings: Holdings::default(),
            garbage: Garbage::at_start(&blueprint.parameters),
            overload: Overload::default(),
            unconfigured: Unconfigured::default(),
            sources: Sources::at_start(&blueprint),
            operators: Operators::of(&blueprint),
            database_clients: Vec::new(),
            services_with_backends: Vec::new(),
            off_peak: off_peak::all(&blueprint, &tables),
            jobs: jobs::all(&blueprint),
            deliveries: DeliveryState::all(&blueprint),
            deferred: Vec::new(),
            pending_writes: BTreeSet::new(),
            changed_services: Vec::new(),
            notices: Vec::new(),
            history: None,
            unlisted_pods: Vec::new(),
            relists: Relists::default(),
            upgrade: None,
            is_cloud_away: false,
            versions: Versions::of(&blueprint),
            blueprint,
            tables,
            streams,
        };
        cluster.place_initial_pods();
        cluster.begin_api_clients();
        cluster.begin_operators();
        cluster
    }

    /// Reports the state at the start: pods, where they are, that they are ready, and endpoints.
    pub fn announce<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for idx in 0..self.pods.len() {
            let (id, pod) = (PodId::from_index(idx), &self.pods[idx]);
            let workload = pod.workload;
            ctx.observe(|| Observation::PodCreated { pod: id, workload });
            if let Some(node) = pod.node {
                ctx.observe(|| Observation::PodBound { pod: id, workload, node });
                ctx.observe(|| Observation::PodStarted { pod: id, workload });
                ctx.observe(|| Observation::PodBecameReady { pod: id, workload });
            } else if pod.is_gated {
                self.tell_gated(id, ctx);
            }
        }
        for service in (0..self.services.len()).map(ServiceId::from_index) {
            let (ready_count, live_count) = self.endpoint_counts(service);
            ctx.observe(|| Observation::EndpointsChanged { service, ready_count, live_count });
        }
        self.refresh_webhooks(ctx);
        self.begin_memory(ctx);
        self.begin_jobs(ctx);
        self.begin_quotas(ctx);
        self.begin_off_peak(ctx);
        self.begin_autoscaling(ctx);
        self.begin_node_groups(ctx);
        if !self.queue.is_idle() {
            self.request_scheduling(ctx.now(), ctx);
        }
        self.settle(ctx);
    }

    /// Lets one event happen.
    pub fn handle<E, R>(&mut self, event: KubeEvent, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.happen(event, ctx);
        self.settle(ctx);
    }

    /// Lets an event happen if it can, or wait.
    fn happen<E, R>(&mut self, event: KubeEvent, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.can_happen(event) {
            if !self.hold(event, ctx) {
                self.dispatch(event, ctx);
            }
        } else {
            ctx.hit(if event == KubeEvent::ScheduleDue {
                &rare::SCHEDULER_WAITED
            } else {
                &rare::CONTROLLERS_WAITED
            });
            self.tell_waiting(event, ctx);
            self.deferred.push((event, ctx.cause()));
        }
    }

    fn dispatch<E, R>(&mut self, event: KubeEvent, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        match event {
            KubeEvent::NodeBooted(node) => self.on_node_booted(node, ctx),
            KubeEvent::HeartbeatResumed(node) => self.on_heartbeat_resumed(node, ctx),
            KubeEvent::ConnectionDropped(node) => self.on_connection_dropped(node, ctx),
            KubeEvent::MemberBooted(member) => self.on_member_booted(member, ctx),
            KubeEvent::MonitorPass => self.on_monitor_pass(ctx),
            KubeEvent::TaintPass => self.on_taint_pass(ctx),
            KubeEvent::MarkPodDue(pod) => self.on_mark_pod_due(pod, ctx),
            KubeEvent::EvictionDue(pod) => self.on_eviction_due(pod, ctx),
            KubeEvent::WorkloadSync(workload) => self.on_workload_sync(workload, ctx),
            KubeEvent::DeploymentSync(workload) => self.on_deployment_sync(workload, ctx),
            KubeEvent::JobDue(workload) => self.sync_jobs(workload, ctx),
            KubeEvent::WorkDone(pod) => self.on_work_done(pod, ctx),
            KubeEvent::OffPeakDue(workload) => self.on_off_peak_due(workload, ctx),
            KubeEvent::PodCreateDue(pod) => self.on_pod_create_due(pod, ctx),
            KubeEvent::PodDeleteDue(pod) => self.on_pod_delete_due(pod, ctx),
            KubeEvent::DrainPodDue(drain, pod) => self.on_drain_pod_due(drain, pod, ctx),
            KubeEvent::DrainTimeout(drain) => self.on_drain_timeout(drain, ctx),
            KubeEvent::ScheduleDue => self.on_schedule_due(ctx),
            KubeEvent::PodStep(pod) => self.on_pod_step(pod, ctx),
            KubeEvent::TermDue(pod) => self.on_term_due(pod, ctx),
            KubeEvent::PodCleared(pod) => self.on_pod_cleared(pod, ctx),
            KubeEvent::PodClearedTold(pod) => self.on_pod_cleared_told(pod, ctx),
            KubeEvent::StatusSync(pod) => self.on_status_sync(pod, ctx),
            KubeEvent::EndpointsDue(service) => self.on_endpoints_due(service, ctx),
            KubeEvent::GarbagePass => self.on_garbage_pass(ctx),
            KubeEvent::GarbageDue(pod) => self.on_garbage_due(pod, ctx),
            KubeEvent::EtcdElected => self.on_etcd_elected(ctx),
            KubeEvent::ApiReady => self.on_api_ready(ctx),
            KubeEvent::LeaderExpired(component) => self.on_leader_expired(component, ctx),
            KubeEvent::TakeoverDue(component) => self.on_takeover_due(component, ctx),
            KubeEvent::AutoscalerSync(id) => self.on_autoscaler_sync(id, ctx),
            KubeEvent::LeaderStarted(component) => self.on_leader_started(component, ctx),
            KubeEvent::GroupsLook => self.on_groups_look(ctx),
            KubeEvent::RemovalDue(node) => self.on_removal_due(node, ctx),
            KubeEvent::MachinesDue(group) => self.on_machines_due(group, ctx),
            KubeEvent::CloudPassDue(node) => self.on_cloud_pass(node, ctx),
            KubeEvent::UpgradeDue => self.on_upgrade_due(ctx),
            KubeEvent::ProbeDue(pod) => self.on_probe_due(pod, ctx),
            KubeEvent::DeliveryDue(canary) => self.on_delivery_due(canary, ctx),
            KubeEvent::MemoryLimitReached(pod) => self.on_memory_limit_reached(pod, ctx),
            KubeEvent::NodeMemoryExhausted(node) => self.on_node_memory_exhausted(node, ctx),
            KubeEvent::ShutdownDue(node) => self.on_shutdown_due(node, ctx),
            KubeEvent::EvictionPass(node) => self.on_eviction_pass(node, ctx),
            KubeEvent::PressureSeen(node) => self.on_pressure_seen(node, ctx),
            KubeEvent::RequestServed(number) => self.on_request_served(number, ctx),
            KubeEvent::LeaderStalled(component) => self.on_leader_stalled(component, ctx),
            KubeEvent::LeaderRenewed(component) => self.on_leader_renewed(component, ctx),
            KubeEvent::LeaseStalled(node) => self.on_lease_stalled(node, ctx),
            KubeEvent::DatabaseClientTurned(id) => self.on_database_client_turned(id, ctx),
            KubeEvent::LeaderServed(component) => self.review_leader(component, ctx),
            KubeEvent::BalancerTurned(member) => self.on_balancer_turned(member, ctx),
            KubeEvent::ProxyLists(node) => self.on_proxy_lists(node, ctx),
            KubeEvent::VaultUnsealed => self.review_sources(ctx),
            KubeEvent::OperatorDue(workload) => self.on_operator_due(workload, ctx),
            KubeEvent::ImagesDue(node) => self.on_images_due(node, ctx),
            KubeEvent::ApiAddressDue(member) => self.on_api_address_due(member, ctx),
            KubeEvent::ApiClientDue(caller) => self.on_api_client_due(caller, ctx),
        }
    }

    /// Hands out the notices since the last call, in order.
    pub fn drain_notices(&mut self) -> std::vec::Drain<'_, Notice> {
        self.notices.drain(..)
    }

    /// Swaps the notices since the last call into `buffer`, which is cleared first. For callers
    /// that need the cluster while they read them.
    pub fn swap_notices(&mut self, buffer: &mut Vec<Notice>) {
        buffer.clear();
        std::mem::swap(&mut self.notices, buffer);
    }

    /// The blueprint the cluster was built from.
    pub fn blueprint(&self) -> &Arc<Blueprint> {
        &self.blueprint
    }

    /// How many pods were ever created; ids are below.
    pub fn pod_count(&self) -> usize {
        self.pods.len()
    }

    /// A pod, whether it still exists or not.
    pub fn pod(&self, pod: PodId) -> PodView {
        self.view(pod)
    }

    /// The existing pods of a workload, terminating ones included, in the order of creation.
    pub fn pods_of(&self, workload: WorkloadId) -> &[PodId] {
        &self.workloads[workload.index()].pods
    }

    /// The existing pods on a node, terminating ones included, in the order of binding.
    pub fn pods_on(&self, node: NodeId) -> &[PodId] {
        &self.nodes[node.index()].pods
    }

    /// The wanted number of pods of a workload.
    pub fn replicas(&self, workload: WorkloadId) -> u32 {
        self.workloads[workload.index()].replicas
    }

    /// Whether writes to the API succeed.
    pub fn is_api_available(&self) -> bool {
        self.control_plane.is_api_available()
    }

    /// Whether there is a Node object.
    pub fn node_exists(&self, node: NodeId) -> bool {
        !self.nodes[node.index()].is_deleted
    }

    /// Whether a node has power and runs.
    pub fn is_running(&self, node: NodeId) -> bool {
        self.nodes[node.index()].is_running
    }

    /// Whether clients outside reach a node: it runs and is not isolated.
    pub fn is_reachable(&self, node: NodeId) -> bool {
        self.is_running(node) && self.island_of_node(node) == Island::Mainland
    }

    /// Whether the kubelet of a node talks to the API.
    pub fn has_contact(&self, node: NodeId) -> bool {
        self.nodes[node.index()].has_contact && self.is_api_available()
    }

    fn island_of_zone(&self, zone: ZoneId) -> Island {
        if self.zones[zone.index()].is_isolated { Island::Zone(zone) } else { Island::Mainland }
    }

    fn island_of_node(&self, node: NodeId) -> Island {
        if self.nodes[node.index()].is_isolated {
            Island::Node(node)
        } else {
            self.island_of_zone(self.blueprint.nodes[node.index()].zone)
        }
    }

    fn draw(&self, entity: EntityKey, purpose: Purpose, occurrence: u64) -> Draw {
        self.streams.draw(entity, purpose, occurrence)
    }

    fn notify(&mut self, notice: Notice) {
        if let Some(pod) = notice.pod() {
            self.touch_scaler_of(pod);
        }
        if matches!(notice, Notice::ApiChanged(_)) {
            self.touch_measured();
        }
        let workload = notice.pod().map(|pod| self.pods[pod.index()].workload);
        self.operators.note(notice, workload);
        self.node_groups.note(notice);
        self.sources.note(notice, workload);
        self.notices.push(notice);
    }
}

/// Machines that reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Island {
    /// Everything that is not isolated, and the clients.
    Mainland,
    /// An isolated zone.
    Zone(ZoneId),
    /// An isolated node.
    Node(NodeId),
}

/// A span drawn from a range.
fn drawn(draw: Draw, range: model_api::parameters::Range) -> SimSpan {
    draw.span_between(range.least, range.most)
}
