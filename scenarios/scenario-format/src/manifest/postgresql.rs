//! `postgresql.cnpg.io/v1 Cluster`, read from the tree, and what it shares with clusters of Patroni.
//!
//! # Modelled
//! Instances with their placement (anti-affinity, node selector, tolerations, spread), resources, their
//! image and that of the operator, which an init container runs, storage, `-rw`, `-ro` and `-r` Services, synchronous replication, `failoverDelay`, `switchoverDelay`,
//! fencing, hibernation and a stopped reconciliation by annotation, `enablePDB`, windows of maintenance, `smartShutdownTimeout`, update strategy and method, whether isolation is checked, `max_connections`; the log is read in `wal.rs`, backups in `barman.rs`.
//! # Not modelled
//! Tablespaces, managed roles; replica clusters, whose promises are not judged; a window of maintenance in which volumes are given up
//! (`reusePVC: false`).
//! # Defaults and their sources
//! CloudNativePG 1.30: `api/v1/cluster_types.go`; anti-affinity as `pkg/specs/pods.go` makes it;
//! probes 10 s × 3 with 5 s timeout (`docs/src/instance_manager.md`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use model_api::blueprint::{CommitWait, DatabaseManager, PrimaryUpdate, Synchronous};
use model_api::kube::{
    Affinity, Container, ContainerPort, LabelSelector, Operator, PersistentVolumeClaim,
    PodAffinityTerm, PodSpec, PodTemplate, Probe, ProbeHandler, Requirement, Service, ServicePort,
    WeightedPodAffinityTerm, Workload, WorkloadKind,
};
use model_api::{Origin, SimSpan};

use super::pod::{Admission, no_execute};
use super::requests::with_limits;
use super::wal::LogStorage;
use super::{Reader, from_node};
use crate::diagnostic::{Code, Diagnostic};
use crate::quantity::Quantity;
use crate::units::span_of_secs;
use crate::yaml::{Dialect, Node, ScalarValue, Value};

const CLUSTER_LABEL: &str = "cnpg.io/cluster";
const POD_ROLE_LABEL: &str = "cnpg.io/podRole";
const INSTANCE_ROLE_LABEL: &str = "cnpg.io/instanceRole";
const PORT: u16 = 5432;
const INSTANCES_MAX: u32 = 100;
/// `DefaultMaxSwitchoverDelay` of `api/v1/cluster_types.go`.
const SWITCHOVER_DELAY_SECS: u32 = 3600;
/// `DefaultSmartShutdownTimeout` and `DefaultMaxStopDelay` there.
const SMART_SHUTDOWN_SECS: u32 = 180;
const STOP_DELAY_SECS: u32 = 1800;
/// `BootstrapControllerContainerName` of `pkg/specs/pods.go`: an init container of each instance copies
/// the instance manager out of the image of the operator (`createBootstrapContainer` of
/// `pkg/specs/containers.go`), so that a node needs that image too.
pub(crate) const BOOTSTRAP_CONTAINER: &str = "bootstrap-controller";
/// Where that image comes from when no input has the operator.
const OPERATOR_IMAGE: &str = "ghcr.io/cloudnative-pg/cloudnative-pg";
const FENCING: &str = "cnpg.io/fencedInstances";
const HIBERNATION: &str = "cnpg.io/hibernation";
const RECONCILIATION: &str = "cnpg.io/reconciliationLoop";
const LIVENESS_TIMEOUT: &str = "spec.livenessProbeTimeout";
const ISOLATION_CHECK: &str = "spec.probes.liveness.isolationCheck.enabled";

/// A database cluster as far as the models read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// Position of its instances in `Manifests::workloads`.
    pub workload_idx: usize,
    /// Position of the Service of the primary in `Manifests::services`; that of the standbys follows.
    pub service_idx: usize,
    /// `spec.instances`.
    pub instances: u32,
    /// `spec.postgresql.synchronous`, or what the deprecated fields amount to.
    pub synchronous: Option<Synchronous>,
    /// `synchronous_commit` of its sessions.
    pub commit_wait: CommitWait,
    /// `spec.failoverDelay`.
    pub failover_delay: SimSpan,
    /// `spec.switchoverDelay`.
    pub switchover_delay: SimSpan,
    /// `spec.smartShutdownTimeout`, within `spec.stopDelay`.
    pub smart_shutdown: SimSpan,
    /// How a change comes to the primary.
    pub primary_update: PrimaryUpdate,
    /// `spec.enablePDB`, unless a window of maintenance lifts the budget of a single instance.
    pub has_budgets: bool,
    /// A window of maintenance lifts the budget of the standbys.
    pub is_maintained: bool,
    /// `spec.probes.liveness.isolationCheck.enabled`.
    pub has_isolation_check: bool,
    /// How long its liveness probe fails before it acts, where that is stated.
    pub isolation_stop: Option<SimSpan>,
    /// `spec.primaryLease.leaseDurationSeconds`.
    pub lease_duration: Option<SimSpan>,
    /// Instances that an annotation fences, counted from zero.
    pub fenced: Vec<u8>,
    /// An annotation hibernates it.
    pub is_hibernated: bool,
    /// An annotation has its operator leave it alone.
    pub is_left_alone: bool,
    /// A field that decides who may write to it and that is not modelled.
    pub not_modelled: Option<String>,
    /// Who decides which instance is primary.
    pub manager: DatabaseManager,
    /// Sessions that may commit at a time.
    pub session_count: u32,
    /// The volume of the log; `None` where nobody looks at how full it is.
    pub log: Option<LogStorage>,
    /// Where it was written.
    pub origin: Origin,
}

/// All that a Cluster stands for.
pub(crate) struct Parts {
    pub(crate) workload: Workload,
    pub(crate) services: Vec<Service>,
    pub(crate) claims: Vec<PersistentVolumeClaim>,
    pub(crate) instances: u32,
    pub(crate) synchronous: Option<Synchronous>,
    pub(crate) commit_wait: CommitWait,
    pub(crate) failover_delay: SimSpan,
    pub(crate) switchover_delay: SimSpan,
    pub(crate) smart_shutdown: SimSpan,
    pub(crate) primary_update: PrimaryUpdate,
    pub(crate) has_budgets: bool,
    pub(crate) is_maintained: bool,
    pub(crate) has_isolation_check: bool,
    pub(crate) isolation_stop: Option<SimSpan>,
    pub(crate) lease_duration: Option<SimSpan>,
    pub(crate) fenced: Vec<u8>,
    pub(crate) is_hibernated: bool,
    pub(crate) is_left_alone: bool,
    pub(crate) not_modelled: Option<String>,
    pub(crate) manager: DatabaseManager,
    pub(crate) session_count: u32,
    pub(crate) log: Option<LogStorage>,
}

impl Reader<'_> {
    pub(crate) fn cluster(&mut self, admission: Admission<'_>) -> Parts {
        if self.integer("spec.instances", 1) < 1 {
            self.refuse("spec.instances", "must be at least 1");
        }
        let instances = self.instance_count("spec.instances");
        self.volume_size("spec.storage");
        if self.object.find("spec.walStorage").is_some_and(|node| !node.is_null()) {
            self.volume_size("spec.walStorage");
        }
        let failover_delay = self.integer("spec.failoverDelay", 0);
        let switchover_delay = self.integer("spec.switchoverDelay", SWITCHOVER_DELAY_SECS);
        let is_maintained = self.is_maintained();
        let is_hibernated = self.annotation(HIBERNATION) == Some("on");
        let running = if is_hibernated { 0 } else { instances };
        Parts {
            workload: Workload { replicas: running, ..self.instances(instances, admission) },
            services: ["rw", "ro", "r"].map(|suffix| self.database_service(suffix)).to_vec(),
            claims: self.all_claims(instances),
            instances,
            synchronous: self.synchronous(instances),
            commit_wait: self.commit_wait(),
            failover_delay: span_of_secs(failover_delay),
            switchover_delay: span_of_secs(switchover_delay),
            smart_shutdown: self.smart_shutdown(),
            primary_update: self.primary_update(),
            has_budgets: self.boolean("spec.enablePDB", true) && !(is_maintained && instances == 1),
            is_maintained,
            has_isolation_check: self.boolean(ISOLATION_CHECK, true),
            isolation_stop: self.isolation_stop(),
            lease_duration: self.lease_duration(),
            fenced: self.fenced(instances),
            is_hibernated,
            is_left_alone: self.annotation(RECONCILIATION) == Some("disabled"),
            not_modelled: self.replicates_another().then(|| "spec.replica".to_owned()),
            manager: DatabaseManager::CloudNativePg,
            session_count: self.session_count("spec.postgresql.parameters"),
            log: self.log_storage(),
        }
    }

    /// A volume has a size (`validateStorageConfigurationSize` of
    /// `internal/webhook/v1/cluster_webhook.go`).
    fn volume_size(&mut self, path: &str) {
        let is_stated = |field: &str| self.text(&format!("{path}.{field}")).is_some();
        if !is_stated("size") && !is_stated("pvcTemplate.resources.requests.storage") {
            let wrong = "is required, unless pvcTemplate requests storage";
            self.refuse(&format!("{path}.size"), wrong);
        }
    }

    /// `max_connections` of PostgreSQL, 100, less the 3 of `superuser_reserved_connections`.
    pub(super) fn session_count(&mut self, path: &str) -> u32 {
        let mut setting = |name: &str, default: u32| {
            let path = format!("{path}.{name}");
            let Some(text) = self.text(&path) else { return default };
            text.parse().unwrap_or_else(|_| {
                self.refuse(&path, "must be a whole number, 0 or more");
                default
            })
        };
        let count = setting("max_connections", 100);
        count.saturating_sub(setting("superuser_reserved_connections", 3))
    }

    /// `synchronous_commit` and `wal_writer_delay` of PostgreSQL, 200 ms: an enumeration that is compared
    /// without case (`synchronous_commit_options` of `guc_tables.c`, `config_enum_lookup_by_name` of
    /// `guc.c`, version 17).
    pub(super) fn commit_wait(&mut self) -> CommitWait {
        let path = "spec.postgresql.parameters.synchronous_commit";
        let delay = self.postgres_time_in("spec.postgresql.parameters.wal_writer_delay", 1);
        let delay = delay.map_or(SimSpan::from_millis(200), |it| it.value);
        let Some(text) = self.text(path).map(str::to_ascii_lowercase) else {
            return CommitWait::Standbys;
        };
        match text.as_str() {
            "off" | "false" | "no" | "0" => {
                CommitWait::Nothing { unwritten: delay.saturating_mul(3) }
            }
            "local" => CommitWait::Disk,
            "on" | "true" | "yes" | "1" | "remote_write" | "remote_apply" => CommitWait::Standbys,
            other => {
                let message = format!(
                    "must be one of on, off, local, remote_write, remote_apply, is {other}"
                );
                self.refuse(path, message);
                CommitWait::Standbys
            }
        }
    }

    /// A probe of an instance: every 10 s with a time-out of 5 s (`createPostgresContainers` of
    /// `pkg/specs/pods.go`), unless `spec.probes` says otherwise (`Probe.ApplyInto` of
    /// `api/v1/cluster_funcs.go`, which leaves out what is zero).
    fn instance_probe(&mut self, name: &str, failures: u32) -> Probe {
        let mut given = |field: &str, default: u32| {
            let number = self.integer(&format!("spec.probes.{name}.{field}"), default);
            if number == 0 { default } else { number }
        };
        Probe {
            handler: ProbeHandler::HttpGet,
            port: None,
            initial_delay: span_of_secs(given("initialDelaySeconds", 0)),
            period: span_of_secs(given("periodSeconds", 10)),
            timeout: span_of_secs(given("timeoutSeconds", 5)),
            success_threshold: given("successThreshold", 1),
            failure_threshold: given("failureThreshold", failures),
            termination_grace: None,
        }
    }

    /// `livenessProbeTimeout` in periods of 10 s, rounded up, at least one
    /// (`getLivenessProbeFailureThreshold` of `pkg/specs/pods.go`).
    fn liveness_probe(&mut self) -> Probe {
        let failures = self.integer(LIVENESS_TIMEOUT, 30).div_ceil(10).max(1);
        self.instance_probe("liveness", failures)
    }

    fn isolation_stop(&mut self) -> Option<SimSpan> {
        let fields = [
            LIVENESS_TIMEOUT,
            "spec.probes.liveness.periodSeconds",
            "spec.probes.liveness.failureThreshold",
        ];
        let is_stated =
            fields.iter().any(|path| self.object.find(path).is_some_and(|it| !it.is_null()));
        is_stated.then(|| {
            let probe = self.liveness_probe();
            probe.period.saturating_mul(u64::from(probe.failure_threshold))
        })
    }

    /// How many instances a database has: far more than anybody runs is a slip.
    pub(super) fn instance_count(&mut self, path: &str) -> u32 {
        let stated = self.integer(path, 1).max(1);
        if stated > INSTANCES_MAX {
            let message = format!(
                "{}: `{path}` is {stated}, and at most {INSTANCES_MAX} instances of a database are \
                 simulated",
                self.object.title()
            );
            let place = self.object.value_span(path);
            self.diagnostics.push(Diagnostic::new(Code::E0021, place, message));
        }
        stated.min(INSTANCES_MAX)
    }

    /// Whether its primary only replays the log of another cluster and takes no writes (`IsReplica` of
    /// `api/v1/cluster_funcs.go`): `replica.enabled` where it is stated, else whether `replica.primary` is not
    /// itself.
    fn replicates_another(&mut self) -> bool {
        if self.object.find("spec.replica").is_none_or(Node::is_null) {
            return false;
        }
        let own = self.text("spec.replica.self").unwrap_or(&self.object.key.name);
        let primary = self.text("spec.replica.primary").unwrap_or_default();
        let is_elsewhere = primary != own;
        self.boolean("spec.replica.enabled", is_elsewhere)
    }

    fn lease_duration(&mut self) -> Option<SimSpan> {
        let secs = self.integer("spec.primaryLease.leaseDurationSeconds", 0);
        (secs > 0).then(|| span_of_secs(secs))
    }

    /// How long a primary waits for its sessions; not at all where that is all that its pod is given
    /// (`TryShuttingDownSmartFast` of `pkg/management/postgres/instance.go`).
    fn smart_shutdown(&mut self) -> SimSpan {
        let smart = self.integer("spec.smartShutdownTimeout", SMART_SHUTDOWN_SECS);
        let stop = self.integer("spec.stopDelay", STOP_DELAY_SECS);
        span_of_secs(if smart < stop { smart } else { 0 })
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        self.object.node.at(&["metadata", "annotations", name]).and_then(Node::text)
    }

    /// The instances that are fenced: a JSON list of their names, or of `*` for all
    /// (`pkg/utils/fencing.go`).
    fn fenced(&mut self, instances: u32) -> Vec<u8> {
        let Some(text) = self.annotation(FENCING) else { return Vec::new() };
        let Ok(names) = serde_json::from_str::<Vec<String>>(text) else {
            let message =
                format!("`{FENCING}` must be a list of instances in JSON, such as [\"*\"]");
            let place = self.object.node.at(&["metadata", "annotations", FENCING]);
            let place = place.map_or(self.object.name_span, |node| node.span);
            self.diagnostics.push(Diagnostic::new(Code::E0022, place, message));
            return Vec::new();
        };
        let ordinals = 0..u8::try_from(instances.min(100)).expect("at most 100");
        let is_named = |ordinal: &u8| {
            let own = format!("{}-{}", self.object.key.name, u32::from(*ordinal) + 1);
            names.iter().any(|name| name == "*" || *name == own)
        };
        ordinals.filter(is_named).collect()
    }

    fn primary_update(&mut self) -> PrimaryUpdate {
        let mut choice = |path: &str, no: &str, yes: &str| {
            let text = self.text(path);
            self.choice(path, text, false, &[(no, false), (yes, true)])
        };
        PrimaryUpdate {
            is_supervised: choice("spec.primaryUpdateStrategy", "unsupervised", "supervised"),
            hands_over: choice("spec.primaryUpdateMethod", "restart", "switchover"),
        }
    }

    /// A window of maintenance is open in which pods wait for their volumes: there is no budget of
    /// standbys, nor of a single instance (`reconcilePodDisruptionBudget` of
    /// `internal/controller/cluster_create.go`).
    fn is_maintained(&mut self) -> bool {
        self.boolean("spec.nodeMaintenanceWindow.inProgress", false)
            && self.boolean("spec.nodeMaintenanceWindow.reusePVC", true)
    }

    fn synchronous(&mut self, instances: u32) -> Option<Synchronous> {
        let path = "spec.postgresql.synchronous";
        if self.object.find(path).is_some_and(|node| !node.is_null()) {
            let number = self.integer(&format!("{path}.number"), 0);
            let method = self.text(&format!("{path}.method"));
            let durability = self.text(&format!("{path}.dataDurability"));
            let is_any = self.choice(
                &format!("{path}.method"),
                method,
                true,
                &[("any", true), ("first", false)],
            );
            let is_required = self.choice(
                &format!("{path}.dataDurability"),
                durability,
                true,
                &[("required", true), ("preferred", false)],
            );
            if number == 0 {
                self.refuse(&format!("{path}.number"), "must be at least 1");
                return None;
            }
            let names_others = ["standbyNamesPre", "standbyNamesPost"]
                .iter()
                .any(|field| self.object.find(&format!("{path}.{field}")).is_some());
            if number >= instances && !names_others && instances > 1 {
                let message = format!("must be less than the {instances} instances, is {number}");
                self.refuse(&format!("{path}.number"), message);
            }
            let failover_quorum = self.boolean(&format!("{path}.failoverQuorum"), false);
            let number = self.own_number(path, number, is_any);
            let wish = Synchronous { number, is_any, is_required, failover_quorum };
            return (number > 0).then_some(wish);
        }
        // Simplified: the deprecated pair asks for `maxSyncReplicas` and shrinks to what is there,
        // which is what `preferred` does.
        let number = self.integer("spec.maxSyncReplicas", 0);
        let least = self.integer("spec.minSyncReplicas", 0);
        // `validateMaxSyncReplicas` and `validateMinSyncReplicas` of the webhook.
        if number >= instances && number > 0 {
            let wrong = format!("must be less than the {instances} instances, is {number}");
            self.refuse("spec.maxSyncReplicas", wrong);
        }
        if least > number {
            let wrong = format!("cannot be greater than maxSyncReplicas ({number}), is {least}");
            self.refuse("spec.minSyncReplicas", wrong);
        }
        (number > 0).then_some(Synchronous {
            number,
            is_any: true,
            is_required: false,
            failover_quorum: false,
        })
    }

    /// How many of a cluster's own standbys confirm a commit for sure, where others are named that are not in the
    /// input: before its own with `first`, beside them with `any`, instead of them with
    /// `maxStandbyNamesFromCluster: 0` (`pkg/postgres/replication/explicit.go` of CloudNativePG 1.30).
    fn own_number(&mut self, path: &str, number: u32, is_any: bool) -> u32 {
        let count = |reader: &mut Self, field: &str| {
            let names: Option<Vec<String>> = reader.part(&format!("{path}.{field}"));
            u32::try_from(names.map_or(0, |names| names.len())).unwrap_or(u32::MAX)
        };
        let before = count(self, "standbyNamesPre");
        let after = count(self, "standbyNamesPost");
        let others = if is_any { before.saturating_add(after) } else { before };
        let most = self.integer(&format!("{path}.maxStandbyNamesFromCluster"), u32::MAX);
        let own = if most == 0 { 0 } else { number.saturating_sub(others) };
        if own < number {
            let message = format!(
                "{}: others may confirm commits in place of its own standbys: {own} of these do for sure",
                self.object.title()
            );
            let span = self.object.value_span(&format!("{path}.number"));
            let help = "a failover within the cluster loses what only others confirmed; raise `number` by as many, or leave them out";
            self.diagnostics.push(Diagnostic::new(Code::W0417, span, message).help(help));
        }
        own
    }

    fn instances(&mut self, instances: u32, admission: Admission<'_>) -> Workload {
        let labels = self.instance_labels();
        let affinity = self.instance_affinity();
        let image = self.text("spec.imageName").unwrap_or("ghcr.io/cloudnative-pg/postgresql");
        // The operator takes no image without a version in its tag.
        let always_pulls = self.text("spec.imagePullPolicy") == Some("Always");
        let container = Container {
            readiness: Some(self.instance_probe("readiness", 3)),
            liveness: Some(self.liveness_probe()),
            always_pulls,
            ..self.instance_container(image)
        };
        let bootstrap = Container {
            name: BOOTSTRAP_CONTAINER.to_owned(),
            ports: Vec::new(),
            always_pulls,
            ..self.instance_container(OPERATOR_IMAGE)
        };
        let (priority_class_name, priority) =
            self.instance_priority("spec.priorityClassName", admission);
        let spec = PodSpec {
            init_containers: vec![bootstrap],
            containers: vec![container],
            node_selector: self.texts("spec.affinity.nodeSelector"),
            affinity,
            tolerations: self.instance_tolerations("spec.affinity.tolerations", admission),
            topology_spread_constraints: self.instance_spread(),
            priority,
            priority_class_name,
            termination_grace: span_of_secs(self.integer("spec.stopDelay", STOP_DELAY_SECS)),
            ..PodSpec::default()
        };
        self.instance_workload(instances, labels, spec)
    }

    /// The container of an instance, without probes.
    pub(super) fn instance_container(&mut self, image: &str) -> Container {
        let resources: Option<core::ResourceRequirements> = self.part("spec.resources");
        let limits = self.resources(
            "spec.resources.limits",
            resources.as_ref().and_then(|resources| resources.limits.as_ref()),
        );
        let requests = self.resources(
            "spec.resources.requests",
            resources.as_ref().and_then(|resources| resources.requests.as_ref()),
        );
        Container {
            name: "postgres".to_owned(),
            image: image.to_owned(),
            requests: with_limits(requests, &limits),
            limits,
            ports: vec![ContainerPort {
                name: Some("postgresql".to_owned()),
                container_port: PORT,
                protocol: "TCP".to_owned(),
                ..ContainerPort::default()
            }],
            ..Container::default()
        }
    }

    /// The priority class that a field names, and its value.
    pub(super) fn instance_priority(
        &self,
        path: &str,
        admission: Admission<'_>,
    ) -> (Option<String>, i32) {
        let name = self.text(path).map(str::to_owned);
        let class = admission.priority_classes.iter().find(|it| Some(&it.name) == name.as_ref());
        let priority = class.map_or(0, |class| class.value);
        (name, priority)
    }

    pub(super) fn instance_workload(
        &self,
        instances: u32,
        labels: BTreeMap<String, String>,
        spec: PodSpec,
    ) -> Workload {
        Workload {
            kind: WorkloadKind::DatabaseInstances,
            namespace: self.object.key.namespace.clone(),
            name: self.object.key.name.clone(),
            replicas: instances,
            selector: Some(LabelSelector {
                match_labels: labels.clone(),
                ..LabelSelector::default()
            }),
            min_ready: SimSpan::ZERO,
            template: PodTemplate { labels, spec, ..PodTemplate::default() },
            origin: self.origin(),
        }
    }

    fn instance_labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (CLUSTER_LABEL.to_owned(), self.object.key.name.clone()),
            (POD_ROLE_LABEL.to_owned(), "instance".to_owned()),
        ])
    }

    /// Anti-affinity among instances, on by default, besides what the user adds.
    fn instance_affinity(&mut self) -> Affinity {
        let path = "spec.affinity";
        let given = core::Affinity {
            node_affinity: self.part(&format!("{path}.nodeAffinity")),
            pod_affinity: self.part(&format!("{path}.additionalPodAffinity")),
            pod_anti_affinity: self.part(&format!("{path}.additionalPodAntiAffinity")),
        };
        let mut affinity = self.affinity(path, &given);
        if !self.boolean(&format!("{path}.enablePodAntiAffinity"), true) {
            return affinity;
        }
        let topology_key = self
            .text(&format!("{path}.topologyKey"))
            .unwrap_or("kubernetes.io/hostname")
            .to_owned();
        let kind = self.text(&format!("{path}.podAntiAffinityType"));
        let is_required = self.choice(
            &format!("{path}.podAntiAffinityType"),
            kind,
            false,
            &[("preferred", false), ("required", true)],
        );
        let is_in = |key: &str, value: &str| Requirement {
            key: key.to_owned(),
            operator: Operator::In,
            values: vec![value.to_owned()],
        };
        let term = PodAffinityTerm {
            label_selector: Some(LabelSelector {
                match_expressions: vec![
                    is_in(CLUSTER_LABEL, &self.object.key.name),
                    is_in(POD_ROLE_LABEL, "instance"),
                ],
                ..LabelSelector::default()
            }),
            topology_key,
            ..PodAffinityTerm::default()
        };
        if is_required {
            affinity.pod_anti_required.push(term);
        } else {
            affinity.pod_anti_preferred.push(WeightedPodAffinityTerm { weight: 100, term });
        }
        affinity
    }

    pub(super) fn instance_tolerations(
        &mut self,
        path: &str,
        admission: Admission<'_>,
    ) -> Vec<model_api::kube::Toleration> {
        let given: Option<Vec<core::Toleration>> = self.part(path);
        let mut result = Vec::new();
        for (idx, toleration) in given.iter().flatten().enumerate() {
            result.push(self.toleration(&format!("{path}[{idx}]"), toleration));
        }
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            if !result.iter().any(|have| have.key == key || have.key.is_empty()) {
                result.push(no_execute(key, Some(admission.default_toleration)));
            }
        }
        result
    }

    pub(super) fn instance_spread(&mut self) -> Vec<model_api::kube::TopologySpreadConstraint> {
        let path = "spec.topologySpreadConstraints";
        let given: Option<Vec<core::TopologySpreadConstraint>> = self.part(path);
        let given = given.unwrap_or_default();
        let read =
            |(idx, constraint)| self.spread_constraint(&format!("{path}[{idx}]"), constraint);
        given.iter().enumerate().map(read).collect()
    }

    fn database_service(&self, suffix: &str) -> Service {
        let (role_label, role) = match suffix {
            "rw" => (INSTANCE_ROLE_LABEL, "primary"),
            "ro" => (INSTANCE_ROLE_LABEL, "replica"),
            _ => (POD_ROLE_LABEL, "instance"),
        };
        Service {
            namespace: self.object.key.namespace.clone(),
            name: format!("{}-{suffix}", self.object.key.name),
            selector: BTreeMap::from([
                (CLUSTER_LABEL.to_owned(), self.object.key.name.clone()),
                (role_label.to_owned(), role.to_owned()),
            ]),
            ports: vec![service_port()],
            origin: self.origin(),
            ..Service::default()
        }
    }

    /// Claims of data, and of the log where it has a volume of its own: `<cluster>-<number from 1>-wal`.
    fn all_claims(&mut self, instances: u32) -> Vec<PersistentVolumeClaim> {
        let mut claims = self.instance_claims(instances, "spec.storage");
        if self.object.find("spec.walStorage").is_some_and(|node| !node.is_null()) {
            let storage_class = self.text("spec.walStorage.storageClass").map(str::to_owned);
            let log = |data: &PersistentVolumeClaim| PersistentVolumeClaim {
                name: format!("{}-wal", data.name),
                storage_class: storage_class.clone(),
                // How large they are is looked at where the log fills them.
                size_bytes: 0,
                ..data.clone()
            };
            let logs: Vec<PersistentVolumeClaim> = claims.iter().map(log).collect();
            claims.extend(logs);
        }
        claims
    }

    /// Each instance has a claim of its own name, `<cluster>-<number from 1>`.
    pub(super) fn instance_claims(
        &mut self,
        instances: u32,
        path: &str,
    ) -> Vec<PersistentVolumeClaim> {
        let storage_class = self.text(&format!("{path}.storageClass")).map(str::to_owned);
        let size = format!("{path}.size");
        let size_bytes = match self.text(&size).map(Quantity::parse) {
            None => 0,
            Some(Ok(size)) => size.ceil(),
            Some(Err(error)) => {
                self.refuse(&size, error.to_string());
                0
            }
        };
        (1..=instances)
            .map(|number| PersistentVolumeClaim {
                namespace: self.object.key.namespace.clone(),
                name: format!("{}-{number}", self.object.key.name),
                storage_class: storage_class.clone(),
                size_bytes,
                is_shared: false,
                is_of_one_pod: false,
            })
            .collect()
    }

    /// A part that is a Kubernetes type.
    pub(super) fn part<T: serde::de::DeserializeOwned>(&mut self, path: &str) -> Option<T> {
        let node = self.object.find(path).filter(|node| !node.is_null())?;
        let title = format!("{}: {path}", self.object.title());
        from_node(node, &title, self.diagnostics)
    }

    fn scalar(&self, path: &str) -> Option<ScalarValue<'_>> {
        match &self.object.find(path)?.value {
            Value::Scalar(scalar) => Some(scalar.resolve(Dialect::Kubernetes)),
            _ => None,
        }
    }

    pub(super) fn integer(&mut self, path: &str, default: u32) -> u32 {
        let number = match self.scalar(path) {
            None | Some(ScalarValue::Null) if self.object.find(path).is_none_or(Node::is_null) => {
                return default;
            }
            Some(ScalarValue::Int(number)) => u32::try_from(number).ok(),
            _ => None,
        };
        number.unwrap_or_else(|| {
            self.refuse(path, "must be a whole number, 0 or more");
            default
        })
    }

    pub(super) fn boolean(&mut self, path: &str, default: bool) -> bool {
        match self.scalar(path) {
            None | Some(ScalarValue::Null) => default,
            Some(ScalarValue::Bool(value)) => value,
            Some(_) => {
                self.refuse(path, "must be true or false");
                default
            }
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn text(&self, path: &str) -> Option<&'a str> {
        let object: &'a super::Object = self.object;
        object.find(path).filter(|node| !node.is_null()).and_then(Node::text)
    }

    fn texts(&self, path: &str) -> BTreeMap<String, String> {
        let entries = self.object.find(path).and_then(Node::entries).unwrap_or_default();
        let pair =
            |entry: &crate::yaml::Entry| Some((entry.key.clone(), entry.value.text()?.to_owned()));
        entries.iter().filter_map(pair).collect()
    }
}

pub(super) fn service_port() -> ServicePort {
    ServicePort { name: Some("postgres".to_owned()), port: PORT, target: PORT.to_string() }
}
