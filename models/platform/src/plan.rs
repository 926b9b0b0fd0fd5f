//! A plan: what is simulated, made once and run many times.

use std::sync::Arc;

use model_api::action::Action;
use model_api::backup::DataSetKind;
use model_api::fault::{DataFault, Fault, FaultKind, FaultPlan};
use model_api::path::{Reconnect, WarmUp};
use model_api::{Blueprint, DatabaseId, PolicyId, PoolerId, ServiceId, SimSpan};
use model_backup::Backups;
use model_gateway::{Balancers, Gateways, Names};
use model_kube::ClusterPlan;
use model_kube::cluster::{NewTemplate, TemplateHealth, TemplateId};
use model_load::profile::realized;
use model_load::{Flows, GraphError};
use model_postgres::Databases;
use model_storage::Pools;
use sim_kernel::{Limits, Outcome, Probe, RecorderFor, SimTime, Simulation, Stats, Streams};

use crate::world::{Claims, World, asked_services};

/// How requests are treated: both are the same model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fidelity {
    /// As flows with queues: fast.
    #[default]
    Flow,
    /// Every single one is an event: exact, with the luck of its own.
    Request,
}

/// A platform with what happens to it, ready to run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Plan {
    blueprint: Arc<Blueprint>,
    faults: Arc<FaultPlan>,
    wiring: Arc<Wiring>,
    cluster: ClusterPlan,
    databases: Databases,
    backups: Backups,
    flows: Flows,
    horizon: SimTime,
    limits: Limits,
    fidelity: Fidelity,
}

/// Which model each workload matters to, worked out once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wiring {
    /// By workload: CPU that one of its pods may use, in millicores.
    pub(crate) cpu_millis: Vec<u64>,
    /// By workload: what one of its pods may have of its node.
    pub(crate) claims: Vec<Claims>,
    /// By workload whose pods serve with a share of their node: the Services that they answer for.
    pub(crate) sharing_services: Vec<Vec<ServiceId>>,
    /// There are such pods.
    pub(crate) shares_nodes: bool,
    /// By Service: how its pods are slow at first.
    pub(crate) warm_ups: Vec<Option<WarmUp>>,
    /// By Service: requests in pods that die are lost.
    pub(crate) lose_requests: Vec<bool>,
    /// By Service: what it costs to make connections to it anew.
    pub(crate) reconnects: Vec<Option<Reconnect>>,
    /// By Service: whose pods ask it, `None` for clients outside.
    pub(crate) askers: Vec<Vec<Option<ServiceId>>>,
    /// By Service: those that its pods ask.
    pub(crate) asked: Vec<Vec<ServiceId>>,
    /// By workload: the database whose instances its pods are.
    pub(crate) database_by_workload: Vec<Option<DatabaseId>>,
    /// By workload: the databases it operates.
    pub(crate) operated_by_workload: Vec<Vec<DatabaseId>>,
    /// By workload: the policies whose backups its pods make.
    pub(crate) backed_up_by: Vec<Vec<PolicyId>>,
    /// By Service: the pooler whose it is.
    pub(crate) pooler_by_service: Vec<Option<PoolerId>>,
    /// By Service: poolers that its pods stay connected to, and the one whose Service it is, if connections
    /// of clients are counted there.
    pub(crate) pooled_by_service: Vec<Vec<PoolerId>>,
    /// By fault: the template of a rollout.
    pub(crate) template_by_fault: Vec<Option<TemplateId>>,
    /// A fault loses the state of the Kubernetes API, which then comes back as it once was.
    pub(crate) restores_api: bool,
    /// Some rollout brings pods that answer with errors.
    pub(crate) has_failing: bool,
    /// Requests to some Service are divided by zone.
    pub(crate) has_stations: bool,
    /// Some pods answer nothing while a storage pool does not read and write.
    pub(crate) has_stalled: bool,
}

impl Wiring {
    fn of(blueprint: &Blueprint) -> Self {
        let claims: Vec<Claims> =
            blueprint.workloads.iter().map(|it| Claims::of(it, blueprint)).collect();
        let mut wiring = Self {
            cpu_millis: claims.iter().map(Claims::stated_millis).collect(),
            claims,
            sharing_services: vec![Vec::new(); blueprint.workloads.len()],
            shares_nodes: false,
            warm_ups: vec![None; blueprint.services.len()],
            lose_requests: vec![false; blueprint.services.len()],
            reconnects: vec![None; blueprint.services.len()],
            askers: vec![Vec::new(); blueprint.services.len()],
            asked: vec![Vec::new(); blueprint.services.len()],
            database_by_workload: vec![None; blueprint.workloads.len()],
            operated_by_workload: vec![Vec::new(); blueprint.workloads.len()],
            backed_up_by: vec![Vec::new(); blueprint.workloads.len()],
            pooler_by_service: vec![None; blueprint.services.len()],
            pooled_by_service: vec![Vec::new(); blueprint.services.len()],
            template_by_fault: Vec::new(),
            restores_api: false,
            has_failing: false,
            has_stations: (0..blueprint.services.len())
                .any(|service| blueprint.is_divided(ServiceId::from_index(service))),
            has_stalled: blueprint.pools.iter().any(|pool| !pool.stalled.is_empty()),
        };
        for profile in &blueprint.profiles {
            wiring.warm_ups[profile.service.index()] = profile.serving.warm_up;
            wiring.lose_requests[profile.service.index()] = profile.serving.loses_requests;
            wiring.reconnects[profile.service.index()] = profile.serving.reconnect;
        }
        wiring.note_askers(blueprint);
        wiring.note_sharing(blueprint);
        for canary in &blueprint.canaries {
            wiring.warm_ups[canary.canary_service.index()] =
                wiring.warm_ups[canary.service.index()];
            wiring.lose_requests[canary.canary_service.index()] =
                wiring.lose_requests[canary.service.index()];
        }
        for (idx, policy) in blueprint.protection.policies.iter().enumerate() {
            if let Some(server) = policy.server {
                wiring.backed_up_by[server.index()].push(PolicyId::from_index(idx));
            }
        }
        for (idx, pooler) in blueprint.poolers.iter().enumerate() {
            wiring.pooler_by_service[pooler.service.index()] = Some(PoolerId::from_index(idx));
            let of_itself = pooler.clients.first().map(|_| pooler.service);
            for service in pooler.clients.iter().map(|(client, _)| *client).chain(of_itself) {
                wiring.pooled_by_service[service.index()].push(PoolerId::from_index(idx));
            }
            if pooler.is_assumed {
                // A connection is to a pooler what a core is to others: one transaction at a time.
                wiring.cpu_millis[pooler.workload.index()] = u64::from(pooler.pool_size) * 1_000;
            }
        }
        for (idx, database) in blueprint.databases.iter().enumerate() {
            let id = DatabaseId::from_index(idx);
            wiring.database_by_workload[database.workload.index()] = Some(id);
            if let Some(operator) = database.operator {
                wiring.operated_by_workload[operator.index()].push(id);
            }
        }
        wiring
    }

    /// Notes for which Services pods answer that have a share of their node, but for poolers that are taken
    /// for granted: their connections are what they serve with.
    fn note_sharing(&mut self, blueprint: &Blueprint) {
        let is_assumed = |idx: usize| {
            let mut poolers = blueprint.poolers.iter().filter(|pooler| pooler.is_assumed);
            poolers.any(|pooler| pooler.workload.index() == idx)
        };
        for (idx, workload) in blueprint.workloads.iter().enumerate() {
            if self.claims[idx].has_share(blueprint.parameters.pod_cpu) && !is_assumed(idx) {
                self.sharing_services[idx] = asked_services(workload, blueprint).collect();
                self.shares_nodes = true;
            }
        }
    }

    /// Notes whose pods ask each Service; who asks what a canary tries is who asks its Service.
    fn note_askers(&mut self, blueprint: &Blueprint) {
        let mut note = |asked: ServiceId, asker: Option<ServiceId>| {
            let tried = blueprint.canaries.iter().filter(|it| it.service == asked);
            for service in [asked].into_iter().chain(tried.map(|it| it.canary_service)) {
                let askers = &mut self.askers[service.index()];
                if !askers.contains(&asker) {
                    askers.push(asker);
                    asker.into_iter().for_each(|it| self.asked[it.index()].push(service));
                }
            }
        };
        for profile in &blueprint.profiles {
            profile.depends_on.iter().for_each(|it| note(*it, Some(profile.service)));
        }
        for load in &blueprint.loads {
            note(load.service, load.via);
            load.via.into_iter().for_each(|via| note(via, None));
        }
    }
}

/// The template of a fault that is a rollout, behind the fault's position.
fn new_template((idx, fault): (usize, &Fault)) -> Option<(usize, NewTemplate)> {
    let FaultKind::Action(Action::Rollout { workload, template, is_broken, failing_ppm, .. }) =
        &fault.kind
    else {
        return None;
    };
    let health = match (*is_broken, *failing_ppm) {
        (true, _) => TemplateHealth::NeverReady,
        (false, 0) => TemplateHealth::Good,
        (false, ppm) => TemplateHealth::Failing { ppm },
    };
    let template = template.as_ref().clone();
    Some((idx, NewTemplate { workload: *workload, template, health }))
}

/// Whether a fault destroys the state of the Kubernetes API.
fn loses_api_state(fault: &Fault, blueprint: &Blueprint) -> bool {
    let FaultKind::Data(DataFault::LogicalLoss { data_set, .. }) = &fault.kind else {
        return false;
    };
    blueprint.protection.data_sets[data_set.index()].kind == DataSetKind::Etcd
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunEnd {
    /// Whether and why it ended.
    pub outcome: Outcome,
    /// Digest of its events.
    pub digest: u64,
    /// What it did.
    pub stats: Stats,
}

impl Plan {
    /// A plan that runs to `horizon`.
    ///
    /// # Errors
    /// When Services need each other in a circle, which the reader of scenarios refuses first.
    pub fn new(
        blueprint: Blueprint,
        faults: FaultPlan,
        horizon: SimSpan,
    ) -> Result<Self, GraphError> {
        let blueprint = Arc::new(blueprint);
        let mut wiring = Wiring::of(&blueprint);
        let (rollouts, templates): (Vec<usize>, Vec<NewTemplate>) =
            faults.faults.iter().enumerate().filter_map(new_template).unzip();
        wiring.has_failing =
            templates.iter().any(|it| matches!(it.health, TemplateHealth::Failing { .. }));
        let cluster = ClusterPlan::with_templates(Arc::clone(&blueprint), &templates);
        wiring.restores_api = faults.faults.iter().any(|fault| loses_api_state(fault, &blueprint));
        wiring.template_by_fault = vec![None; faults.faults.len()];
        for (position, fault) in rollouts.into_iter().enumerate() {
            wiring.template_by_fault[fault] = Some(cluster.template(position));
        }
        Ok(Self {
            flows: Flows::new(&blueprint)?,
            databases: Databases::new(&blueprint, Streams::new(0, 0)),
            backups: Backups::new(&blueprint, Streams::new(0, 0)),
            cluster,
            wiring: Arc::new(wiring),
            blueprint,
            faults: Arc::new(faults),
            horizon: SimTime::ZERO + horizon,
            limits: Limits::default(),
            fidelity: Fidelity::default(),
        })
    }

    /// The same with requests treated like that.
    #[must_use]
    pub fn with_fidelity(self, fidelity: Fidelity) -> Self {
        Self { fidelity, ..self }
    }

    /// The same with other faults, none of which brings a new template that these do not.
    pub(crate) fn with_faults(&self, faults: FaultPlan) -> Self {
        let mut wiring = Wiring::clone(&self.wiring);
        wiring.template_by_fault.resize(faults.faults.len(), None);
        Self { faults: Arc::new(faults), wiring: Arc::new(wiring), ..self.clone() }
    }

    /// The platform.
    pub fn blueprint(&self) -> &Arc<Blueprint> {
        &self.blueprint
    }

    /// What happens to it.
    pub fn faults(&self) -> &Arc<FaultPlan> {
        &self.faults
    }

    /// The probes of every model that this platform has something for.
    pub fn probes(&self) -> Vec<&'static Probe> {
        crate::rare::all(&self.blueprint)
    }

    /// Requests that clients make in a run whose load no fault changes; see
    /// [`Flows::client_request_count`]. Of a bursty load, the mean.
    pub fn client_request_count(&self) -> u64 {
        self.flows.client_request_count(self.horizon)
    }

    /// When a run ends.
    pub fn horizon(&self) -> SimTime {
        self.horizon
    }

    /// A simulation of run number `run` at time zero, its start reported to `recorder`.
    pub fn simulation<R: RecorderFor<World>>(
        &self,
        root_seed: u64,
        run: u64,
        recorder: R,
    ) -> Simulation<World, R> {
        let world = self.world(root_seed, run);
        let mut simulation = Simulation::new(world, recorder, self.limits);
        simulation.apply(|world, ctx| world.begin(ctx));
        simulation
    }

    fn world(&self, root_seed: u64, run: u64) -> World {
        let streams = Streams::new(root_seed, run);
        let mut cluster = self.cluster.start(streams);
        if self.wiring.restores_api {
            cluster.keep_history();
        }
        let databases = self.databases.clone().with_streams(streams);
        let flows = self.flows(streams).with_sessions(streams);
        let flows = match self.fidelity {
            Fidelity::Flow => flows,
            Fidelity::Request => flows.with_requests(streams),
        };
        let backups = self.backups.clone().with_streams(streams);
        let stored = (backups, Pools::new(&self.blueprint, streams));
        let balancers = Balancers::new(&self.blueprint, streams);
        let gateways = Gateways::new(&self.blueprint, streams);
        let before = (balancers, gateways, Names::new(&self.blueprint, streams));
        let running = (cluster, databases);
        World::new(&self.faults, &self.wiring, running, flows, before, stored, streams)
    }

    /// The flows of a run: shared by all runs, unless what is asked for is random.
    fn flows(&self, streams: Streams) -> Flows {
        if self.blueprint.bursts.is_empty() {
            return self.flows.clone();
        }
        let mut blueprint = Blueprint::clone(&self.blueprint);
        for load in 0..blueprint.loads.len() {
            blueprint.loads[load].points = realized(&self.blueprint, load, streams);
        }
        Flows::new(&blueprint).expect("the same loads were accepted before, at other rates")
    }

    /// Runs one run to its horizon and gives the recorder back.
    pub fn run<R: RecorderFor<World>>(&self, root_seed: u64, run: u64, recorder: R) -> (R, RunEnd) {
        let mut simulation = self.simulation(root_seed, run, recorder);
        let outcome = simulation.run_until(self.horizon);
        simulation.apply(|world, ctx| world.finish(ctx));
        let mut end = RunEnd { outcome, digest: simulation.digest(), stats: simulation.stats() };
        if let Some(requests) = simulation.model().requests() {
            end.digest = requests.digest(end.digest);
            end.outcome = requests.limit().unwrap_or(end.outcome);
        }
        let (_, recorder) = simulation.into_parts();
        (recorder, end)
    }
}
