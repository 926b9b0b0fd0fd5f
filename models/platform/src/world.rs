//! The World: all models of one run, and the wires between them.
//!
//! ```text
//!   faults ──> cluster ──notices──> databases ──notices──> cluster (backend of -rw)
//!                 │                     │
//!                 ├── endpoints ──> flows <── writable? ───┤
//!                 └<── CPU and waits ──┘ (autoscalers,     │     what requests write ──> databases
//!                                         probes)          │
//!   faults ──> backups ──held, restored──> flows           │
//!                 │  └<── written to? how fast? by whom? ──┤
//!                 └── does the archive take the log? ──────┘
//! ```
//!
//! Every event goes to the model it belongs to; then what models have to tell each other is carried
//! on until nobody has anything left to say; then the flows settle. No model knows another.

mod actions;
mod caches;
mod canaries;
mod connections;
mod control_plane;
mod data;
mod deaths;
mod gateways;
mod instances;
mod node_shares;
mod pod_places;
mod poolers;
mod proxies;
mod rebuild;
mod spikes;
mod storage;
mod warmth;
mod writers;
mod zones;

use std::collections::BTreeMap;
use std::sync::Arc;

use model_api::fault::{Condition, Fault, FaultKind, FaultPlan, Start};
use model_api::memory::Growth;
use model_api::usage::NodeResource;
use model_api::{
    Blueprint, DatabaseId, FaultId, NodeId, Observation, PodId, ServiceId, WorkloadId, ZoneId,
};
use model_backup::Backups;
use model_gateway::{Balancers, Gateways, Names};
use model_kube::cluster::{
    Capacity, Cluster, KubeEvent, Notice, PodPhase, ServiceTraffic, ServiceWork,
};
use model_load::{Flows, Requests, WorkFlow};
use model_postgres::{Databases, PgNotice, Role, StopKind};
use model_storage::Pools;
use sim_kernel::{Context, Model, Recorder, SimTime, Streams};

use crate::event::{Event, FAULT_PRIORITY};
use crate::fault::{FaultBook, FaultEvent, Happening, Struck, pick_node, pick_some, pick_zone};
use crate::plan::Wiring;
use crate::rare;
use caches::Caches;
use connections::Connections;
use data::DataState;
use deaths::Deaths;
use gateways::GatewayState;
use node_shares::NodeShares;
pub(crate) use node_shares::{Claims, asked_services};
use pod_places::PodPlaces;
use storage::StorageState;
use writers::Writers;
use zones::NodesSeen;

/// All state of one run. A clone is a snapshot.
#[derive(Clone, Debug)]
pub struct World {
    blueprint: Arc<Blueprint>,
    plan: Arc<FaultPlan>,
    wiring: Arc<Wiring>,
    streams: Streams,
    cluster: Cluster,
    databases: Databases,
    flows: Flows,
    data: DataState,
    storage: StorageState,
    gateways: GatewayState,
    writers: Writers,
    book: FaultBook,
    /// Load faults that are on: the factor of a Service is the product of theirs.
    spikes: Vec<FaultId>,
    /// By pooler: of a million requests, how many it cannot pass on.
    pooler_fails: Vec<u32>,
    /// By pooler: of a million connections of clients, for how many it has none.
    pooler_unserved: Vec<u32>,
    /// When pods of a Service will be a little warmer: one moment a Service.
    warming: Vec<(ServiceId, SimTime)>,
    deaths: Deaths,
    caches: Caches,
    /// Of gateways whose clients keep connections open.
    connections: BTreeMap<ServiceId, Connections>,
    pod_places: PodPlaces,
    node_shares: NodeShares,
    /// Changes of nodes that were taken up.
    node_changes: Option<u64>,
    /// What the flows know of the nodes, where that matters.
    nodes_seen: NodesSeen,
    notices: Vec<Notice>,
    pg_notices: Vec<PgNotice>,
    /// Services whose requests an autoscaler reads and that bent in the call that runs.
    counted: Vec<ServiceId>,
}

impl World {
    pub(crate) fn new(
        plan: &Arc<FaultPlan>,
        wiring: &Arc<Wiring>,
        (cluster, databases): (Cluster, Databases),
        flows: Flows,
        (balancers, gateways, names): (Balancers, Gateways, Names),
        (backups, pools): (Backups, Pools),
        streams: Streams,
    ) -> Self {
        Self {
            data: DataState::new(backups, cluster.blueprint()),
            storage: StorageState::new(pools),
            gateways: GatewayState::new(balancers, gateways, names),
            writers: Writers::of(cluster.blueprint()),
            caches: Caches::of(cluster.blueprint()),
            pooler_fails: vec![0; cluster.blueprint().poolers.len()],
            pooler_unserved: vec![0; cluster.blueprint().poolers.len()],
            blueprint: Arc::clone(cluster.blueprint()),
            plan: Arc::clone(plan),
            wiring: Arc::clone(wiring),
            streams,
            cluster,
            databases,
            flows,
            book: FaultBook::new(plan),
            spikes: Vec::new(),
            warming: Vec::new(),
            deaths: Deaths::default(),
            connections: BTreeMap::new(),
            pod_places: PodPlaces::default(),
            node_shares: NodeShares::default(),
            node_changes: None,
            nodes_seen: NodesSeen::default(),
            notices: Vec::new(),
            pg_notices: Vec::new(),
            counted: Vec::new(),
        }
    }

    /// The cluster, for whoever looks at a run from outside.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The databases, likewise.
    pub fn databases(&self) -> &Databases {
        &self.databases
    }

    /// Single requests, when they are played.
    pub(crate) fn requests(&self) -> Option<&Requests> {
        self.flows.requests()
    }

    /// Lets the cluster autoscaler look at every interval: see
    /// [`Cluster::scan_at_every_interval`].
    pub fn scan_at_every_interval(&mut self) {
        self.cluster.scan_at_every_interval();
    }

    /// Lets autoscalers look at every sync: see [`Cluster::look_at_every_sync`].
    pub fn look_at_every_sync(&mut self) {
        self.cluster.look_at_every_sync();
    }

    /// Reports the state at time zero and schedules the faults that go by the clock.
    pub(crate) fn begin<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, Event, R>) {
        self.cluster.announce(ctx);
        for fault in &self.plan.faults {
            if let Start::When {
                condition: Condition::WalVolumeAbove(database, share_ppm), ..
            } = fault.start
            {
                self.databases.watch_volume(database, share_ppm);
            }
        }
        self.place_databases(ctx);
        self.begin_data(ctx);
        for (fault, at) in FaultBook::timed(&self.plan, self.streams) {
            ctx.schedule_at(at, FAULT_PRIORITY, FaultEvent::StrikeDue(fault));
        }
        self.share_nodes();
        for service in 0..self.blueprint.services.len() {
            let service = ServiceId::from_index(service);
            self.flows.watch_answers(service, self.cluster.probe_timeouts(service));
            self.tell_flows(service, ctx);
        }
        self.settle(ctx);
    }

    /// Closes what is open at the horizon.
    pub(crate) fn finish<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, Event, R>) {
        self.databases.finish(ctx);
        self.data.backups.finish(ctx);
        self.finish_data(ctx);
        self.flows.finish(ctx);
        self.cluster.recommend(ctx);
    }

    fn place_databases<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, Event, R>) {
        for idx in 0..self.blueprint.databases.len() {
            let database = DatabaseId::from_index(idx);
            for pod in self.cluster.pods_of(self.blueprint.databases[idx].workload) {
                let view = self.cluster.pod(*pod);
                if let Some(zone) = view.zone {
                    self.databases.place(database, ordinal_of(view.ordinal), *pod, zone);
                }
            }
        }
        self.databases.begin(ctx, &mut self.pg_notices);
    }

    /// Carries on what models have to tell each other, then lets the flows take notice.
    fn settle<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, Event, R>) {
        loop {
            // These have something to say to the cluster and to databases, which answer with notices.
            self.carry_storage(ctx);
            self.tell_archivers(ctx);
            self.carry_backups(ctx);
            let mut notices = std::mem::take(&mut self.notices);
            self.cluster.swap_notices(&mut notices);
            let mut pg_notices = std::mem::take(&mut self.pg_notices);
            if notices.is_empty() && pg_notices.is_empty() {
                (self.notices, self.pg_notices) = (notices, pg_notices);
                break;
            }
            for notice in notices.drain(..) {
                self.carry(notice, ctx);
            }
            for notice in pg_notices.drain(..) {
                self.carry_postgres(notice, ctx);
            }
            self.notices = notices;
            pg_notices.append(&mut self.pg_notices);
            self.pg_notices = pg_notices;
        }
        self.tell_stakes(ctx);
        let node_changes = Some(self.cluster.node_change_count());
        if std::mem::replace(&mut self.node_changes, node_changes) != node_changes {
            self.tell_nodes(ctx);
            self.tell_balancers_nodes(ctx);
        }
        debug_assert!(self.knows_nodes(), "every change of a node is counted");
        self.tell_led(ctx);
        self.tell_gateways(ctx);
        self.tell_stores();
        self.tell_names(ctx);
        self.tell_cluster_dns();
        self.flows.settle(ctx);
        self.meter(ctx);
    }

    /// Tells probes how late answers are, autoscalers what CPU the requests cost and how many come, pods
    /// how many are in them, and databases what they write, where that bent.
    fn meter<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, Event, R>) {
        let cluster = &mut self.cluster;
        self.flows.take_late_answers(|service, late_ppm| {
            cluster.set_late_answers(service, late_ppm, ctx);
        });
        let has_autoscalers = cluster.has_autoscalers();
        let holds_memory = cluster.holds_memory();
        if !has_autoscalers && !holds_memory && self.writers.is_empty() {
            self.flows.forget_bends();
            return;
        }
        let (writers, counted) = (&mut self.writers, &mut self.counted);
        self.flows.take_bends(|service, flow| {
            writers.note(service, flow.answered_millirps);
            if holds_memory {
                cluster.set_requests_inside(service, flow.inside_milli, ctx);
            }
            if has_autoscalers && cluster.is_metered(service) {
                let WorkFlow { from_nanocores, until, .. } = flow;
                cluster.set_service_work(service, ServiceWork { from_nanocores, until }, ctx);
            }
            if has_autoscalers && cluster.is_counted(service) {
                counted.push(service);
            }
        });
        for service in counted.drain(..) {
            let traffic = self.flows.traffic(service).expect("its flow bent");
            let traffic = ServiceTraffic {
                until: traffic.until,
                offered_millirps: traffic.offered_millirps,
                answered_millirps: traffic.answered_millirps,
                inside_milli: traffic.inside_milli,
            };
            cluster.set_service_traffic(service, &traffic, ctx);
        }
        self.tell_write_rates(ctx);
    }

    fn carry<R: Recorder<Observation>>(&mut self, notice: Notice, ctx: &mut Context<'_, Event, R>) {
        match notice {
            Notice::EndpointsChanged(service) => {
                let ready_count = self.tell_flows(service, ctx);
                self.happen(Happening::Endpoints(service, ready_count), ctx);
                self.tell_asked(service, ctx);
            }
            Notice::PodUnschedulable(_) => self.happen(Happening::PodUnschedulable, ctx),
            Notice::PodStarted(pod) | Notice::PodReconnected(pod) => {
                self.tell_databases(pod, Change::Started, ctx);
                self.tell_stalled(pod, ctx);
                self.on_node_shared(pod, ctx);
                self.tell_server(pod, ctx);
            }
            Notice::PodStopped(pod) => {
                self.note_death(pod, ctx.now());
                self.tell_server(pod, ctx);
                self.tell_databases(pod, Change::Stopped, ctx);
                self.on_node_shared(pod, ctx);
            }
            Notice::PodCutOff(pod) => {
                self.note_death(pod, ctx.now());
                self.tell_server(pod, ctx);
            }
            Notice::PodReady(pod) => self.tell_databases(pod, Change::Ready(true), ctx),
            Notice::PodUnready(pod) => self.tell_databases(pod, Change::Ready(false), ctx),
            Notice::RolloutCompleted(workload) => self.on_rollout_completed(workload, ctx),
            Notice::RolloutStalled(workload) => self.on_rollout_stalled(workload, ctx),
            Notice::DrainEnded { drain, is_complete } => {
                self.on_drain_ended(drain, is_complete, ctx);
            }
            Notice::ApiChanged(is_available) => {
                self.databases.set_api_available(is_available, ctx, &mut self.pg_notices);
                self.take_back_owed(ctx);
            }
            Notice::DatabaseClientTurned { database, is_stalled } => {
                let notices = &mut self.pg_notices;
                self.databases.set_api_refusing(database, is_stalled, ctx, notices);
            }
            Notice::OperatorTurned { workload, is_at_work } => {
                for database in &self.wiring.operated_by_workload[workload.index()] {
                    let notices = &mut self.pg_notices;
                    self.databases.set_operator_available(*database, is_at_work, ctx, notices);
                }
            }
            Notice::NodeCordoned(node) => self.tell_cordon(node, ctx),
            Notice::UpgradeEnded => self.on_upgrade_ended(ctx),
            Notice::RoutesShifted(canary) => self.split_requests(canary),
            Notice::PodCreated(_)
            | Notice::PodBound(_)
            | Notice::PodTerminating(_)
            | Notice::PodGone(_)
            | Notice::NodeDetected(_) => {}
        }
    }

    fn carry_postgres<R: Recorder<Observation>>(
        &mut self,
        notice: PgNotice,
        ctx: &mut Context<'_, Event, R>,
    ) {
        match notice {
            PgNotice::SetBackend { service, pod } => {
                self.cluster.set_service_backend(service, Some(pod), ctx);
            }
            PgNotice::SetWritable { database, is_writable } => {
                self.set_postgres_writable(database, is_writable, ctx);
            }
            PgNotice::RoleChanged { database, role, .. } => {
                self.lead_readers(database, ctx);
                self.guard_instances(database);
                self.tell_lingers(database, ctx);
                if role == Role::Primary {
                    self.complete(Struck::Switchover(database), ctx);
                    self.happen(Happening::FailoverStarted, ctx);
                }
            }
            PgNotice::PrimaryRuns { database, is_running } => {
                self.data.set_running(database, is_running, ctx);
                self.tell_lingers(database, ctx);
            }
            PgNotice::LogForked { database, ordinal } => {
                self.data.fork_log(database, ordinal, ctx);
            }
            PgNotice::LogHandedIn { database, ordinal } => {
                self.data.hand_in_log(database, ordinal, ctx);
            }
            PgNotice::PoolerFails { pooler, failing_ppm } => {
                self.pooler_fails[pooler.index()] = failing_ppm;
                self.tell_failing(self.blueprint.poolers[pooler.index()].service);
            }
            PgNotice::ReplacePod { pod, .. } => self.cluster.replace_instance(pod, ctx),
            PgNotice::InstanceRestarted { pod, .. } => self.cluster.adopt_template(pod, ctx),
            PgNotice::VolumeAbove { database, share_ppm } => {
                self.happen(Happening::VolumeAbove(database, share_ppm), ctx);
            }
            PgNotice::VolumeGrown { database } => self.complete(Struck::Growth(database), ctx),
            PgNotice::InstanceRunning { database, ordinal, .. } => {
                self.on_instance_running((database, ordinal), ctx);
            }
            PgNotice::InstanceHalted { .. }
            | PgNotice::Superseded { .. }
            | PgNotice::Leadership { .. } => {}
        }
    }

    /// Points the `-ro` Service of a database at its standbys.
    fn lead_readers<R: Recorder<Observation>>(
        &mut self,
        database: DatabaseId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let spec = &self.blueprint.databases[database.index()];
        let is_standby = |pod: &PodId| {
            let ordinal = ordinal_of(self.cluster.pod(*pod).ordinal);
            self.databases.role_of(database, ordinal) == Role::Standby
                && !self.databases.is_empty(database, ordinal)
        };
        let pods = self.cluster.pods_of(spec.workload).iter().copied();
        let standbys: Vec<PodId> = pods.filter(is_standby).collect();
        self.cluster.set_service_backends(spec.read_only_service, &standbys, ctx);
    }

    /// Says which instance of a database its operator's budgets take for the primary.
    fn guard_instances(&mut self, database: DatabaseId) {
        let spec = &self.blueprint.databases[database.index()];
        if spec.has_budgets {
            let ordinal = self.databases.primary_ordinal(database);
            let is_primary = self.databases.role_of(database, ordinal) == Role::Primary;
            let pod = self.databases.primary_pod(database).filter(|_| is_primary);
            self.cluster.guard_instances(spec.workload, pod, !spec.is_maintained);
        }
    }

    /// Says for how long the sessions of a primary keep its pod from ending, if that is deleted.
    fn tell_lingers<R: Recorder<Observation>>(
        &mut self,
        database: DatabaseId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let spec = &self.blueprint.databases[database.index()];
        if spec.smart_shutdown.is_zero() {
            return;
        }
        for pod in self.cluster.pods_of(spec.workload).to_vec() {
            let ordinal = ordinal_of(self.cluster.pod(pod).ordinal);
            let linger = self.databases.smart_shutdown(database, ordinal);
            self.cluster.set_linger(pod, linger, ctx);
        }
    }

    /// Tells databases that a node under an instance takes no pods any more, or does again.
    fn tell_cordon<R: Recorder<Observation>>(
        &mut self,
        node: NodeId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let is_cordoned = self.cluster.is_cordoned(node);
        for idx in 0..self.blueprint.databases.len() {
            for pod in self.cluster.pods_of(self.blueprint.databases[idx].workload) {
                let view = self.cluster.pod(*pod);
                if view.node == Some(node) {
                    let instance = (DatabaseId::from_index(idx), ordinal_of(view.ordinal));
                    let notices = &mut self.pg_notices;
                    self.databases.set_cordoned(instance, is_cordoned, ctx, notices);
                }
            }
        }
    }

    /// Tells the databases what became of a pod that is an instance.
    fn tell_databases<R: Recorder<Observation>>(
        &mut self,
        pod: PodId,
        change: Change,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let view = self.cluster.pod(pod);
        let notices = &mut self.pg_notices;
        if let Some(database) = self.wiring.database_by_workload[view.workload.index()] {
            let instance = (database, ordinal_of(view.ordinal));
            match (change, view.zone) {
                (Change::Started, Some(zone)) => {
                    let is_cordoned = view.node.is_some_and(|node| self.cluster.is_cordoned(node));
                    self.databases.set_cordoned(instance, is_cordoned, ctx, notices);
                    let lack = actions::lack_of(&self.cluster, view);
                    self.databases.set_lack(instance, lack, ctx, notices);
                    self.databases.instance_started(instance, pod, zone, ctx, notices);
                }
                (Change::Started, None) => {}
                (Change::Stopped, _) => {
                    let is_powered = view.node.is_some_and(|node| self.cluster.is_running(node));
                    let kind = match (is_powered, view.is_terminating) {
                        (false, _) => StopKind::Power,
                        (true, true) => StopKind::Shutdown,
                        (true, false) => StopKind::Process,
                    };
                    self.databases.instance_stopped(instance, kind, ctx, notices);
                }
                (Change::Ready(is_ready), _) => {
                    self.databases.instance_ready(instance, is_ready, ctx, notices);
                }
            }
        }
    }

    /// Nothing strikes any more but one fault.
    pub(crate) fn forget_faults(&mut self, but: FaultId) {
        for (idx, struck) in self.book.struck.iter_mut().enumerate() {
            if idx != but.index() {
                struck.get_or_insert(Struck::Nothing);
            }
        }
    }

    /// Something happened that the start of a fault may be waiting for.
    fn happen<R: Recorder<Observation>>(
        &mut self,
        happening: Happening,
        ctx: &mut Context<'_, Event, R>,
    ) {
        for (fault, delay) in self.book.trigger(&self.plan, happening) {
            ctx.hit(&rare::TRIGGERED);
            ctx.schedule_in(delay, FAULT_PRIORITY, FaultEvent::StrikeDue(fault));
        }
    }

    fn strike<R: Recorder<Observation>>(
        &mut self,
        fault: FaultId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if self.book.struck[fault.index()].is_some() {
            return;
        }
        let plan = Arc::clone(&self.plan);
        let spec = &plan.faults[fault.index()];
        let (struck, targets) = match &spec.kind {
            FaultKind::ZonePowerLoss { zone } => {
                let zone = pick_zone(spec, *zone, &self.blueprint, self.streams);
                let targets = self.reachable_count(zone);
                self.cluster.lose_zone(zone, ctx);
                self.tell_zone(zone, true, ctx);
                (Struck::ZonePower(zone), targets)
            }
            FaultKind::ZoneIsolation { zone } => {
                let zone = pick_zone(spec, *zone, &self.blueprint, self.streams);
                let targets = self.reachable_count(zone);
                self.cluster.isolate_zone(zone, ctx);
                self.databases.set_zone_isolated(zone, true, ctx, &mut self.pg_notices);
                self.tell_zone(zone, true, ctx);
                (Struck::ZoneContact(zone), targets)
            }
            FaultKind::NodeCrash { node } | FaultKind::NodeShutdown { node } => {
                let carries = |workload| self.carrier(workload);
                let exists = |node| self.cluster.has_machine(node);
                match pick_node(spec, *node, &self.blueprint, self.streams, exists, carries) {
                    Some(node) => {
                        let targets = u32::from(self.cluster.is_running(node));
                        if matches!(spec.kind, FaultKind::NodeShutdown { .. }) {
                            self.cluster.shut_down_node(node, ctx);
                        } else {
                            self.cluster.lose_node(node, ctx);
                        }
                        (Struck::Node(node), targets)
                    }
                    None => {
                        ctx.hit(&rare::NO_SUCH_NODE);
                        (Struck::Nothing, 0)
                    }
                }
            }
            FaultKind::PodCrash { workload, count } => {
                // Only what runs can crash.
                let runs = |pod: &PodId| self.cluster.pod(*pod).phase == PodPhase::Running;
                let pods = self.cluster.pods_of(*workload).iter().copied().filter(runs);
                let picked = pick_some(spec, &pods.collect::<Vec<_>>(), *count, self.streams);
                (Struck::Nothing, self.cluster.crash_pods(&picked, ctx))
            }
            FaultKind::MemoryLeak { workload, count, growth } => {
                self.leak(spec, *workload, NodeResource::Memory, *count, *growth, ctx)
            }
            FaultKind::UsageLeak { workload, resource, count, growth } => {
                self.leak(spec, *workload, *resource, *count, *growth, ctx)
            }
            FaultKind::NoCapacity { zone, is_refused } => {
                let zone = pick_zone(spec, *zone, &self.blueprint, self.streams);
                let capacity = if *is_refused { Capacity::Refused } else { Capacity::Stuck };
                (Struck::Capacity(zone), self.cluster.set_machine_capacity(zone, capacity, ctx))
            }
            FaultKind::LoadSpike { services, tenant, ramp, .. } => {
                self.spikes.push(fault);
                if self.spikes.len() > 1 {
                    ctx.hit(&rare::SPIKES_MULTIPLIED);
                }
                (Struck::Load, self.set_load_factors(services, tenant.as_deref(), *ramp))
            }
            FaultKind::ControlPlane(kind) => self.strike_control_plane(fault, spec, kind, ctx),
            FaultKind::Data(kind) => self.strike_data(spec, kind, ctx),
            FaultKind::Storage(kind) => self.strike_storage(fault, spec, *kind, ctx),
            FaultKind::Instance(kind) => self.strike_instance(spec, *kind, ctx),
            FaultKind::Dns { name, kind } => {
                self.set_name_fault(*name, Some(*kind));
                (Struck::Name(*name), 1)
            }
            FaultKind::SlowDns { latency } => {
                self.gateways.slow_dns.push((fault, *latency));
                (Struck::SlowDns, 1)
            }
            FaultKind::BalancerMachineLoss { balancer, takes_standby } => {
                let targets = self.lose_balancer_machines(*balancer, *takes_standby, ctx);
                (Struck::Nothing, targets)
            }
            FaultKind::CacheCold { service, share_ppm } => {
                (Struck::Nothing, self.lose_caches(*service, *share_ppm, ctx))
            }
            FaultKind::Action(action) => self.act(fault, action, ctx),
        };
        if targets == 0 {
            ctx.hit(&rare::STRUCK_NOTHING);
        }
        self.book.struck[fault.index()] = Some(struck);
        self.tell_balancers_zones(ctx);
        ctx.observe(|| Observation::FaultStruck { fault, targets });
        if let Some(duration) = spec.duration {
            ctx.schedule_in(duration, FAULT_PRIORITY, FaultEvent::EndDue(fault));
        }
        self.happen(Happening::FaultStarted(fault), ctx);
    }

    /// Pods of a workload leak; what does, and how many of them.
    fn leak<R: Recorder<Observation>>(
        &mut self,
        fault: &Fault,
        workload: WorkloadId,
        resource: NodeResource,
        count: Option<u32>,
        growth: Growth,
        ctx: &mut Context<'_, Event, R>,
    ) -> (Struck, u32) {
        let pods = self.cluster.pods_of(workload).to_vec();
        let picked = pick_some(fault, &pods, count, self.streams);
        let named = count.is_some().then_some(picked.as_slice());
        let leak = self.cluster.start_leak(workload, resource, named, growth, ctx);
        (Struck::Leak(leak), u32::try_from(picked.len()).expect("pods are fewer"))
    }

    fn end<R: Recorder<Observation>>(&mut self, fault: FaultId, ctx: &mut Context<'_, Event, R>) {
        let plan = Arc::clone(&self.plan);
        let Some(struck) = self.book.struck[fault.index()] else { return };
        self.book.struck[fault.index()] = Some(Struck::Nothing);
        // The same thing may be struck by another fault that is not over.
        let is_struck = self.book.struck.contains(&Some(struck));
        match struck {
            Struck::Nothing | Struck::Region | Struck::Load => {}
            Struck::ZonePower(zone) | Struck::ZoneContact(zone) => {
                self.mend_zone(zone, struck, ctx)
            }
            Struck::Node(node) => {
                if self.book.is_held(Some(node), self.cluster.member_of_node(node)) {
                    ctx.hit(&rare::OVERLAPPED);
                } else {
                    self.cluster.restore_node(node, ctx);
                }
            }
            Struck::Leak(leak) => self.cluster.end_leak(leak, ctx),
            Struck::Capacity(_) if is_struck => ctx.hit(&rare::OVERLAPPED),
            Struck::Capacity(zone) => {
                self.cluster.set_machine_capacity(zone, Capacity::Enough, ctx);
            }
            Struck::Members(_)
            | Struck::Parts(..)
            | Struck::Flushes(..)
            | Struck::ApiBalancer
            | Struck::Api
            | Struck::Cloud
            | Struck::Strain(_)
            | Struck::Webhook(_)
            | Struck::Vault(_)
            | Struck::Configuration(_)
            | Struck::Registries(_) => {
                self.mend_control_plane(struck, is_struck, ctx);
                self.tell_registries(ctx);
            }
            Struck::Disks(_) | Struck::Throttle(_) | Struck::MinSize(_) => {
                self.mend_storage(fault, struck, ctx);
            }
            Struck::Frozen(..) | Struck::HeldBack(..) => self.mend_instance(struck, ctx),
            Struck::Name(name) => self.set_name_fault(name, None),
            Struck::SlowDns => self.gateways.slow_dns.retain(|(slow, _)| *slow != fault),
            Struck::Copies => self.mend_copies(&plan.faults[fault.index()].kind, ctx),
            action => self.take_back(fault, action, ctx),
        }
        let kind = &plan.faults[fault.index()].kind;
        if let FaultKind::LoadSpike { services, tenant, ramp, .. } = kind {
            self.spikes.retain(|spike| *spike != fault);
            self.set_load_factors(services, tenant.as_deref(), *ramp);
        }
        self.tell_balancers_zones(ctx);
        ctx.observe(|| Observation::FaultEnded { fault });
        self.happen(Happening::FaultEnded(fault), ctx);
    }

    /// A fault that darkened a zone or cut it off is over; another one may do the same still.
    fn mend_zone<R: Recorder<Observation>>(
        &mut self,
        zone: ZoneId,
        struck: Struck,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let (is_dark, is_isolated) = (self.book.is_dark(zone), self.book.is_isolated(zone));
        match struck {
            Struck::ZonePower(_) if !is_dark => self.cluster.restore_zone(zone, ctx),
            Struck::ZoneContact(_) if !is_isolated => {
                self.cluster.rejoin_zone(zone, ctx);
                self.databases.set_zone_isolated(zone, false, ctx, &mut self.pg_notices);
            }
            _ => ctx.hit(&rare::OVERLAPPED),
        }
        self.tell_zone(zone, is_dark || is_isolated, ctx);
    }

    /// How many nodes of a zone run and are reachable.
    fn reachable_count(&self, zone: ZoneId) -> u32 {
        let nodes = self.blueprint.nodes.iter().enumerate();
        let reachable = nodes.filter(|(idx, spec)| {
            spec.zone == zone && self.cluster.is_reachable(NodeId::from_index(*idx))
        });
        u32::try_from(reachable.count()).expect("nodes are limited far below 2^32")
    }

    /// The node under the primary of a database, or under the first pod of a workload that has one.
    fn carrier(&self, workload: WorkloadId) -> Option<NodeId> {
        let primary = self.wiring.database_by_workload[workload.index()]
            .and_then(|database| self.databases.primary_pod(database));
        let pods = self.cluster.pods_of(workload).iter().copied();
        primary.into_iter().chain(pods).find_map(|pod| self.cluster.pod(pod).node)
    }
}

/// Number of an instance, from zero; its pod is numbered from one, as CloudNativePG does.
fn ordinal_of(ordinal: u32) -> u8 {
    let number = ordinal.checked_sub(1).expect("instances are numbered from one");
    u8::try_from(number).expect("the reader refuses databases of more than 100 instances")
}

/// What became of a pod, as far as databases care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Started,
    Stopped,
    Ready(bool),
}

impl Model for World {
    type Event = Event;
    type Observation = Observation;

    fn handle<R: Recorder<Observation>>(&mut self, event: Event, ctx: &mut Context<'_, Event, R>) {
        match event {
            Event::Fault(FaultEvent::StrikeDue(fault)) => self.strike(fault, ctx),
            Event::Fault(FaultEvent::EndDue(fault)) => self.end(fault, ctx),
            Event::Kube(event) => {
                if let KubeEvent::DeliveryDue(canary) = event {
                    self.measure_canary(canary, ctx);
                }
                self.cluster.handle(event, ctx);
            }
            Event::Postgres(event) => self.databases.handle(event, ctx, &mut self.pg_notices),
            Event::Load(event) => self.flows.handle(event, ctx),
            Event::WarmthDue(service) => self.on_warmth(service, ctx),
            Event::Storage(event) => {
                let StorageState { pools, notices, .. } = &mut self.storage;
                pools.handle(event, ctx, notices);
            }
            Event::Gateway(event) => self.handle_gateway(event, ctx),
            Event::Backup(event) => {
                self.data.backups.handle(event, ctx, &mut self.data.notices);
            }
        }
        self.settle(ctx);
    }
}
