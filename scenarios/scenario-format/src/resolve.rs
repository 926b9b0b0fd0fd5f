//! Looking up names: from documents and manifests to the vocabulary of the models.

use std::collections::BTreeMap;

use model_api::blueprint::{Assumption, ControlPlane, Database, DatabaseManager, WalVolume};
use model_api::fault::FaultPlan;
use model_api::guarantee::{Guarantee, Promise};
use model_api::kube::{PersistentVolumeClaim, Service, asks_cloud};
use model_api::load::LoadPoint;
use model_api::{Blueprint, DatabaseId, Parameters, ServiceId, SimSpan, SimTime, WorkloadId};

use crate::coverage::Coverage;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{DatabaseSpec, PlatformDocument, ScenarioDocument, ServiceSpec, WritesTo};
use crate::input::Resolved;
use crate::manifest::{BOOTSTRAP_CONTAINER, Cluster, LogStorage, Manifests, Object};
use crate::nearest::suggestion;
use crate::reachability::Findings;
use crate::source::{Span, Spanned};

mod actions;
mod autoscaler_flags;
mod backup;
mod balancing;
mod caches;
mod calls;
mod clients;
mod control_plane;
mod expression;
mod faults;
mod gateways;
mod guarantees;
mod jobs;
mod kong;
mod limits;
mod load;
mod match_conditions;
mod memory;
mod metrics;
mod names;
mod node_groups;
mod nodes;
mod off_peak;
mod path;
mod plugins;
mod poolers;
mod profile;
mod secrets;
mod sense;
mod servers;
mod skew;
mod stickiness;
mod storage;
mod timers;
mod usage;
mod webhooks;

pub(crate) use gateways::ANNOTATIONS as BALANCER_ANNOTATIONS;

/// Runs, when neither scenario nor command line says.
pub const RUNS_DEFAULT: u32 = 100;
/// Most runs of one scenario.
pub const RUNS_MAX: u32 = 100_000_000;
/// Root seed, when neither scenario nor command line says.
pub const SEED_DEFAULT: u64 = 1;
/// Longest horizon: ten years.
const HORIZON_MAX: SimSpan = SimSpan::from_days(3653);
/// Write-ahead log per second of a database that states none. Assumed.
const WAL_BYTES_PER_SECOND: u64 = 1 << 20;
/// Commits per second of a database that states none. Assumed.
const COMMITS_PER_SECOND: u64 = 100;

/// What is looked up.
pub(crate) struct Input<'a> {
    pub(crate) path: &'a str,
    pub(crate) scenario: &'a ScenarioDocument,
    pub(crate) platform: &'a PlatformDocument,
    pub(crate) manifests: Manifests,
    /// Recorded loads, by where their files were named.
    pub(crate) traces: BTreeMap<Span, Vec<LoadPoint>>,
}

/// The parameters of a platform: defaults, and what it states.
pub(crate) fn parameters(platform: &PlatformDocument) -> Parameters {
    let mut parameters = Parameters::default();
    let version = platform.spec.control_plane.version;
    // The default has been 50 s since 1.32 (kubernetes/kubernetes#126287).
    if version.is_some_and(|version| version.value.0.minor < 32) {
        parameters.node_monitor_grace_period = SimSpan::from_secs(40);
    }
    if let Some(given) = &platform.spec.parameters {
        given.apply(&mut parameters);
    }
    parameters
}

/// A Service, with what makes its pods if no model knows that kind.
fn sourced(service: &Service, manifests: &Manifests) -> Service {
    let mut workloads = manifests.workloads.iter().map(|it| &it.value);
    let is_known = workloads.any(|it| service.selects(&it.namespace, &it.template.labels));
    let mut objects = manifests.objects.iter().filter(|_| !is_known);
    let strange_source = objects
        .find(|it| service.selects(&it.key.namespace, &it.template_labels()))
        .map(Object::title);
    Service { strange_source, ..service.clone() }
}

/// Looks up every name.
pub(crate) fn resolve(
    input: &Input<'_>,
    parameters: Parameters,
    files: Vec<String>,
    coverage: Coverage,
    diagnostics: &mut Vec<Diagnostic>,
) -> Resolved {
    let manifests = &input.manifests;
    let blueprint = Blueprint {
        name: input.platform.metadata.name.value.clone(),
        files,
        region: input.platform.spec.region.name.value.clone(),
        workloads: manifests.workloads.iter().map(|it| it.value.clone()).collect(),
        services: manifests.services.iter().map(|it| sourced(&it.value, manifests)).collect(),
        ingresses: manifests.ingresses.iter().map(|it| it.value.clone()).collect(),
        budgets: manifests.budgets.iter().map(|it| it.value.clone()).collect(),
        quotas: manifests.quotas.iter().map(|it| it.value.clone()).collect(),
        canaries: manifests.canaries.iter().map(|it| it.value.clone()).collect(),
        autoscalers: manifests.autoscalers.iter().map(|it| it.value.clone()).collect(),
        vertical_autoscalers: manifests
            .vertical_autoscalers
            .iter()
            .map(|it| it.value.clone())
            .collect(),
        storage_classes: manifests.storage_classes.iter().map(|it| it.value.clone()).collect(),
        claims: manifests.claims.iter().map(|it| it.value.clone()).collect(),
        parameters,
        ..Blueprint::default()
    };
    let horizon = horizon(input.scenario, diagnostics);
    let mut resolver = Resolver {
        names: Names::of(manifests),
        manifests,
        traces: &input.traces,
        blueprint,
        horizon,
        diagnostics,
    };
    resolver.place(input.platform);
    resolver.storage_pools(input.platform, input.scenario);
    resolver.webhooks();
    resolver.secrets();
    resolver.vaults(input.platform);
    resolver.databases(&input.platform.spec.databases, &input.platform.spec.services);
    resolver.poolers();
    resolver.jobs(input.platform, input.scenario);
    resolver.servers(input.platform);
    resolver.timers(input.platform);
    resolver.memory(input.platform, input.scenario);
    resolver.usage(input.platform, input.scenario);
    resolver.metrics(input.platform, input.scenario);
    resolver.off_peak();
    resolver.dns_names(input.platform, input.scenario);
    resolver.serve(input.platform, input.scenario);
    resolver.load_balancers(input.platform, input.scenario);
    resolver.gateways(input.platform, input.scenario);
    resolver.stickies(input.platform);
    resolver.balancings(input.platform);
    resolver.blueprint.denied = Findings::of(manifests, &resolver.blueprint).calls();
    resolver.backups(input.platform, input.scenario);
    let mut faults = resolver.faults(&input.scenario.spec.faults);
    let guarantees = resolver.guarantees(&input.scenario.spec.guarantees, &faults);
    if input.scenario.spec.freeze_control_plane.is_none() {
        resolver.question_freeze(&input.scenario.spec.guarantees, &guarantees);
    }
    let needs_freeze = |it: &Guarantee| matches!(it.promise, Promise::StaticallyStable { .. });
    if input.scenario.spec.freeze_control_plane == Some(true) || guarantees.iter().any(needs_freeze)
    {
        faults::freeze(&mut faults, asks_cloud(&resolver.blueprint));
    } else {
        resolver.refuse_ends_of_moments(&input.scenario.spec.faults);
    }
    resolver.name_the_unjudged(&guarantees);
    let blueprint = resolver.blueprint;
    let spec = &input.scenario.spec;
    let metadata = &input.scenario.metadata;
    Resolved {
        path: input.path.to_owned(),
        name: metadata.name.value.clone(),
        description: metadata.description.clone().map(|text| text.value).unwrap_or_default(),
        horizon,
        runs: runs(spec.runs, diagnostics),
        seed: spec.seed.map_or(SEED_DEFAULT, |seed| seed.value),
        blueprint,
        faults: FaultPlan { faults },
        guarantees,
        coverage,
    }
}

fn horizon(scenario: &ScenarioDocument, diagnostics: &mut Vec<Diagnostic>) -> SimSpan {
    let horizon = scenario.spec.horizon;
    if horizon.value.is_zero() || horizon.value > HORIZON_MAX {
        let message = "a run lasts more than nothing and at most ten years";
        diagnostics.push(Diagnostic::new(Code::E0021, horizon.span, message));
    }
    horizon.value.min(HORIZON_MAX)
}

fn runs(runs: Option<Spanned<u32>>, diagnostics: &mut Vec<Diagnostic>) -> u32 {
    let Some(runs) = runs else { return RUNS_DEFAULT };
    if !(1..=RUNS_MAX).contains(&runs.value) {
        let message = format!("a scenario asks for 1 to {RUNS_MAX} runs");
        diagnostics.push(Diagnostic::new(Code::E0021, runs.span, message));
    }
    runs.value
}

/// Names of what can be referred to, `namespace/name`, in the order of their ids.
struct Names {
    services: Vec<String>,
    workloads: Vec<String>,
    databases: Vec<String>,
    /// Storage pools; known once they are read.
    pools: Vec<String>,
    /// Known once the faults are.
    faults: Vec<String>,
    backups: backup::BackupNames,
}

impl Names {
    fn of(manifests: &Manifests) -> Self {
        let full = |namespace: &str, name: &str| format!("{namespace}/{name}");
        Self {
            pools: Vec::new(),
            faults: Vec::new(),
            services: manifests
                .services
                .iter()
                .map(|it| full(&it.value.namespace, &it.value.name))
                .collect(),
            workloads: manifests
                .workloads
                .iter()
                .map(|it| full(&it.value.namespace, &it.value.name))
                .collect(),
            databases: manifests
                .clusters
                .iter()
                .map(|it| full(&it.value.namespace, &it.value.name))
                .collect(),
            backups: backup::BackupNames::default(),
        }
    }
}

/// Everything that looking up needs.
struct Resolver<'a> {
    names: Names,
    manifests: &'a Manifests,
    traces: &'a BTreeMap<Span, Vec<LoadPoint>>,
    blueprint: Blueprint,
    horizon: SimSpan,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Resolver<'_> {
    fn report(&mut self, code: Code, span: Span, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::new(code, span, message));
    }

    fn assume(&mut self, text: impl Into<String>, origin: &model_api::Origin) {
        self.blueprint.assumptions.push(Assumption {
            text: text.into(),
            origin: origin.clone(),
            is_about_nodes: false,
        });
    }

    fn service(&mut self, name: &Spanned<String>) -> Option<ServiceId> {
        let idx = look_up("Service", name, &self.names.services, self.diagnostics)?;
        Some(ServiceId::from_index(idx))
    }

    fn workload(&mut self, name: &Spanned<String>) -> Option<WorkloadId> {
        let idx = look_up("workload", name, &self.names.workloads, self.diagnostics)?;
        Some(WorkloadId::from_index(idx))
    }

    fn database(&mut self, name: &Spanned<String>) -> Option<DatabaseId> {
        let idx = look_up("database", name, &self.names.databases, self.diagnostics)?;
        Some(DatabaseId::from_index(idx))
    }

    fn databases(&mut self, specs: &[DatabaseSpec], services: &[ServiceSpec]) {
        let mut by_id: BTreeMap<DatabaseId, &DatabaseSpec> = BTreeMap::new();
        for spec in specs {
            let Some(id) = self.database(&spec.database) else { continue };
            if by_id.insert(id, spec).is_some() {
                let message = format!("`{}` has a profile already", spec.database.value);
                self.report(Code::E0018, spec.database.span, message);
            }
        }
        let operator = self.only_operator();
        for (idx, cluster) in self.manifests.clusters.iter().enumerate() {
            let cluster = &cluster.value;
            let spec = by_id.get(&DatabaseId::from_index(idx)).copied();
            let stated = spec.and_then(|spec| spec.operator.as_ref());
            let operator = match (stated, cluster.manager) {
                (Some(name), _) => self.workload(name),
                (None, DatabaseManager::CloudNativePg) => operator,
                (None, DatabaseManager::Patroni(_)) => None,
            };
            if let Some(operator) = operator {
                self.run_image_of(operator, WorkloadId::from_index(cluster.workload_idx));
            } else if cluster.manager == DatabaseManager::CloudNativePg {
                let name = &self.names.databases[idx];
                let text = format!(
                    "{name}: an operator of CloudNativePG that never fails looks after it; none is among the \
                     manifests"
                );
                self.assume(text, &cluster.origin);
            }
            let written = spec.and_then(|spec| spec.wal_per_second);
            let commits = spec.and_then(|spec| spec.commits_per_second);
            let wal = cluster.log.as_ref().map(|log| self.wal_volume(idx, log, spec));
            let data_bytes = self.data_bytes(cluster, spec, wal.as_ref());
            let clone_bytes_per_second = self.clone_rate(spec);
            if written.is_none() || commits.is_none() {
                let name = &self.names.databases[idx];
                let has_share = services.iter().flat_map(|service| &service.writes_to).any(
                    |WritesTo(write)| {
                        let mut ignored = Vec::new();
                        let found =
                            look_up("", &write.database, &self.names.databases, &mut ignored);
                        write.share.is_some() && found == Some(idx)
                    },
                );
                let text = if has_share {
                    format!(
                        "{name}: what a commit weighs follows from 1 MiB of write-ahead log and 100 commits a second, where nothing is stated"
                    )
                } else {
                    format!(
                        "{name}: 1 MiB of write-ahead log and 100 commits a second, where nothing is stated"
                    )
                };
                self.assume(text, &cluster.origin);
            }
            self.blueprint.databases.push(Database {
                namespace: cluster.namespace.clone(),
                name: cluster.name.clone(),
                workload: WorkloadId::from_index(cluster.workload_idx),
                read_write_service: ServiceId::from_index(cluster.service_idx),
                read_only_service: ServiceId::from_index(cluster.service_idx + 1),
                operator,
                instances: cluster.instances,
                synchronous: cluster.synchronous,
                commit_wait: cluster.commit_wait,
                failover_delay: cluster.failover_delay,
                switchover_delay: cluster.switchover_delay,
                smart_shutdown: cluster.smart_shutdown,
                primary_update: cluster.primary_update,
                has_budgets: cluster.has_budgets,
                is_maintained: cluster.is_maintained,
                has_isolation_check: cluster.has_isolation_check,
                isolation_stop: cluster.isolation_stop,
                lease_duration: cluster.lease_duration,
                fenced: cluster.fenced.clone(),
                is_hibernated: cluster.is_hibernated,
                is_left_alone: cluster.is_left_alone,
                not_modelled: cluster.not_modelled.clone(),
                manager: cluster.manager,
                wal_bytes_per_second: written.map_or(WAL_BYTES_PER_SECOND, |it| it.value.count),
                commits_per_second: commits.map_or(COMMITS_PER_SECOND, |it| it.value),
                data_bytes,
                clone_bytes_per_second,
                session_count: cluster.session_count,
                wal,
                writers: Vec::new(),
                origin: cluster.origin.clone(),
            });
        }
    }

    /// How many bytes of data an empty instance copies per second, where that is stated.
    fn clone_rate(&mut self, spec: Option<&DatabaseSpec>) -> Option<u64> {
        let rate = spec?.clone_rate?;
        if rate.value.count == 0 {
            self.report(Code::E0021, rate.span, "nothing is ever copied at that rate");
        }
        Some(rate.value.count)
    }

    /// Bytes of data; where nothing is stated, half of the volume that they lie on.
    fn data_bytes(
        &self,
        cluster: &Cluster,
        spec: Option<&DatabaseSpec>,
        wal: Option<&WalVolume>,
    ) -> u64 {
        if let Some(size) = spec.and_then(|spec| spec.data_size) {
            return size.value.count;
        }
        if let Some(wal) = wal.filter(|wal| wal.data_bytes > 0) {
            return wal.data_bytes;
        }
        let name = format!("{}-1", cluster.name);
        let is_its = |claim: &&PersistentVolumeClaim| {
            claim.namespace == cluster.namespace && claim.name == name
        };
        let claim = self.blueprint.claims.iter().find(is_its);
        claim.map_or(0, |claim| u64::try_from(claim.size_bytes).unwrap_or(0) / 2)
    }

    /// The volume of the log of a database.
    fn wal_volume(
        &mut self,
        idx: usize,
        log: &LogStorage,
        spec: Option<&DatabaseSpec>,
    ) -> WalVolume {
        let stated = spec.and_then(|spec| spec.data_size);
        let data_bytes = match (log.is_separate, stated) {
            (true, _) => 0,
            (false, Some(size)) => size.value.count,
            (false, None) => {
                let name = &self.names.databases[idx];
                let text =
                    format!("{name}: data take half of the volume that they share with the log");
                let origin = self.manifests.clusters[idx].value.origin.clone();
                self.assume(text, &origin);
                log.size_bytes / 2
            }
        };
        if let Some(size) = stated.filter(|_| data_bytes >= log.size_bytes) {
            let message = "the data fill their volume and leave no room for the log";
            self.report(Code::E0021, size.span, message);
        }
        WalVolume {
            size_bytes: log.size_bytes,
            data_bytes,
            segment_bytes: log.segment_bytes,
            switch_after: log.switch_after,
            least_bytes: log.least_bytes,
            kept_bytes: log.kept_bytes,
            kept_for: log.kept_for,
        }
    }

    /// Has the instances of a cluster copy their manager out of the image that its operator runs from.
    fn run_image_of(&mut self, operator: WorkloadId, instances: WorkloadId) {
        let containers = &self.blueprint.workloads[operator.index()].template.spec.containers;
        let manager = containers.iter().find(|it| it.name == "manager").or(containers.first());
        let Some(image) = manager.map(|manager| manager.image.clone()) else { return };
        let spec = &mut self.blueprint.workloads[instances.index()].template.spec;
        let bootstrap = spec.init_containers.iter_mut().find(|it| it.name == BOOTSTRAP_CONTAINER);
        if let Some(bootstrap) = bootstrap {
            bootstrap.image = image;
        }
    }

    /// The operator of CloudNativePG, when one workload looks like it: by the label of its chart
    /// (`app.kubernetes.io/name: cloudnative-pg`) or by the name of its manifest.
    fn only_operator(&self) -> Option<WorkloadId> {
        let mut found = self.manifests.workloads.iter().enumerate().filter(|(_, it)| {
            let labels = &it.value.template.labels;
            labels.get("app.kubernetes.io/name").is_some_and(|name| name == "cloudnative-pg")
                || it.value.name == "cnpg-controller-manager"
        });
        let (idx, _) = found.next()?;
        found.next().is_none().then(|| WorkloadId::from_index(idx))
    }

    /// Zones, nodes, control plane.
    fn place(&mut self, platform: &PlatformDocument) {
        let placed = nodes::place(&platform.spec, self.diagnostics);
        self.blueprint.zones = placed.zones;
        self.blueprint.nodes = placed.nodes;
        self.blueprint.node_groups = placed.groups;
        self.blueprint.control_plane = ControlPlane {
            member_zones: placed.member_zones,
            etcd_zones: placed.etcd_zones,
            controller_manager_zones: placed.controller_manager_zones,
            scheduler_zones: placed.scheduler_zones,
            endpoint_reconciler: platform
                .spec
                .control_plane
                .endpoint_reconciler_type
                .map(|it| it.value),
            balancer: control_plane::balancer(&platform.spec, self.diagnostics),
            version: platform.spec.control_plane.version.map(|version| version.value.0),
            origin: platform.spec.control_plane.span.origin(),
        };
        self.autoscale_nodes(&platform.spec);
        let voter_zones = self.blueprint.control_plane.voter_zones().to_vec();
        self.question_platform(&platform.spec, &voter_zones);
    }

    fn end(&self) -> SimTime {
        SimTime::ZERO.saturating_add(self.horizon)
    }
}

/// The position of a name among `names`: as it is, or without its namespace when that is clear.
fn look_up(
    what: &str,
    name: &Spanned<String>,
    names: &[String],
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<usize> {
    if let Some(idx) = names.iter().position(|known| *known == name.value) {
        return Some(idx);
    }
    let bare = |known: &String| known.rsplit('/').next() == Some(name.value.as_str());
    let found: Vec<usize> = (0..names.len()).filter(|idx| bare(&names[*idx])).collect();
    match found.as_slice() {
        [idx] => return Some(*idx),
        [] => {
            let message = format!("there is no {what} `{}`", name.value);
            let diagnostic = Diagnostic::new(Code::E0016, name.span, message);
            let candidates: Vec<&str> = names.iter().map(String::as_str).collect();
            diagnostics.push(diagnostic.help_if(suggestion(&name.value, candidates)));
        }
        several => {
            let listed: Vec<&str> = several.iter().map(|idx| names[*idx].as_str()).collect();
            let message = format!("`{}` may be one of {}", name.value, listed.join(", "));
            let diagnostic = Diagnostic::new(Code::E0016, name.span, message);
            diagnostics.push(diagnostic.help("write namespace/name"));
        }
    }
    None
}
