//! Kubernetes objects: from manifests to the vocabulary of the models.
//!
//! Objects are read with the types of the Kubernetes 1.36 API and filled with the defaults that the
//! API server and its admission plugins would fill in, so that a model never asks "or default".
//! Custom resources are read straight from the tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use model_api::canary::Canary;
use model_api::kube::{
    HorizontalPodAutoscaler, Ingress, Labels, NetworkPolicy, PersistentVolumeClaim,
    PodDisruptionBudget, ResourceQuota, Service, StorageClass, VerticalPodAutoscaler, Workload,
};
use model_api::{Origin, SimSpan};

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Span, Spanned};
use crate::units::span_of_secs;
use crate::yaml::Node;

/// Pods of a workload: far more than any cluster has is a slip, and takes memory for each.
pub(crate) const PODS_MAX: u32 = 1_000_000;

mod admission;
mod affinity;
mod autoscaling;
mod barman;
mod canary;
mod convert;
mod deserialize;
mod hooks;
mod job;
mod kinds;
mod limits;
pub mod live;
mod network;
mod network_policy;
mod object;
mod pod;
mod pooler;
mod postgresql;
pub(crate) mod requests;
mod schedule;
mod storage;
mod validation;
mod velero;
mod vertical;
mod wal;
mod workload;
mod zalando;

pub use admission::WrittenWebhook;
pub use barman::{
    BackupMethod, BarmanStore, ClusterBackup, ObjectStore, ScheduledBackup, SnapshotClass,
};
pub use object::{Object, ObjectKey, Tier, read_objects};
pub use pooler::Pooler;
pub use postgresql::Cluster;
pub use schedule::cron_field_count;
pub use velero::{
    CSI_SNAPSHOT_TIMEOUT, SnapshotLocation, StorageLocation, VeleroHook, VeleroSchedule,
    VeleroServer,
};
pub use wal::LogStorage;

pub(crate) use convert::NAMESPACE_NAME_LABEL;
pub(crate) use deserialize::{from_node, from_node_as};
pub(crate) use kinds::is_namespaced;
pub(crate) use postgresql::BOOTSTRAP_CONTAINER;
pub(crate) use velero::{AnnotatedHooks, FILES_OF, NO_FILES_OF, is_node_agent};

/// Objects in the vocabulary of the models, in the order of the input.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// Objects as they were read; the other lists say which one they came from.
    pub objects: Vec<Object>,
    /// Workloads, instances of databases included.
    pub workloads: Vec<Sourced<Workload>>,
    /// Services, those of databases included.
    pub services: Vec<Sourced<Service>>,
    /// Ingresses and HTTPRoutes, one entry a host and Service.
    pub ingresses: Vec<Sourced<Ingress>>,
    /// Which pods may talk to which.
    pub network_policies: Vec<Sourced<NetworkPolicy>>,
    /// Disruption budgets.
    pub budgets: Vec<Sourced<PodDisruptionBudget>>,
    /// Quotas of pods.
    pub quotas: Vec<Sourced<ResourceQuota>>,
    /// Storage classes.
    pub storage_classes: Vec<Sourced<StorageClass>>,
    /// Claims, those of database instances included.
    pub claims: Vec<Sourced<PersistentVolumeClaim>>,
    /// Database clusters.
    pub clusters: Vec<Sourced<Cluster>>,
    /// Poolers before them.
    pub poolers: Vec<Sourced<Pooler>>,
    /// Canaries of Deployments. Their primaries, Services and autoscalers are in the other lists.
    pub canaries: Vec<Sourced<Canary>>,
    /// Horizontal autoscalers.
    pub autoscalers: Vec<Sourced<HorizontalPodAutoscaler>>,
    /// Vertical autoscalers.
    pub vertical_autoscalers: Vec<Sourced<VerticalPodAutoscaler>>,
    /// Schedules in cron syntax.
    pub schedules: Vec<Sourced<CronSchedule>>,
    /// What is backed up when, and where to.
    pub backups: BackupObjects,
    /// Names of namespaces that are defined.
    pub namespaces: Vec<String>,
    /// Labels of these, by name.
    pub namespace_labels: BTreeMap<String, Labels>,
    /// Admission webhooks.
    pub webhooks: Vec<Sourced<WrittenWebhook>>,
    /// Priority classes.
    pub priority_classes: Vec<PriorityClass>,
    /// Namespace and name of Secrets that Jobs make, those of Helm hooks among them.
    pub secrets_of_jobs: Vec<(String, String)>,
    /// Values of environment variables, from which calls between Services can be guessed.
    pub environment: Vec<EnvironmentValue>,
}

/// Objects that say what is backed up.
#[derive(Clone, Debug, Default)]
pub struct BackupObjects {
    /// Schedules of Velero.
    pub schedules: Vec<VeleroSchedule>,
    /// Its buckets.
    pub locations: Vec<StorageLocation>,
    /// Where its plugins take snapshots.
    pub snapshot_locations: Vec<SnapshotLocation>,
    /// Its servers, by namespace.
    pub servers: BTreeMap<String, VeleroServer>,
    /// Schedules of CloudNativePG.
    pub scheduled: Vec<ScheduledBackup>,
    /// What clusters say of their backups.
    pub clusters: Vec<ClusterBackup>,
    /// Stores of the plugin of barman.
    pub stores: Vec<ObjectStore>,
    /// Classes of volume snapshots.
    pub snapshot_classes: Vec<SnapshotClass>,
}

impl BackupObjects {
    /// Names of the objects that make policies.
    pub fn makers(&self) -> Vec<String> {
        let velero = self.schedules.iter().map(|it| it.name.value.clone());
        velero.chain(self.scheduled.iter().map(|it| it.name.value.clone())).collect()
    }
}

/// Something and the object it came from.
#[derive(Clone, Debug)]
pub struct Sourced<T> {
    /// The thing.
    pub value: T,
    /// Position in [`Manifests::objects`].
    pub object_idx: usize,
}

/// `scheduling.k8s.io/v1 PriorityClass`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriorityClass {
    /// `metadata.name`.
    pub name: String,
    /// `value`.
    pub value: i32,
    /// `globalDefault`.
    pub is_default: bool,
    /// `preemptionPolicy` is `Never`.
    pub never_preempts: bool,
}

/// When something happens, in cron syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronSchedule {
    /// The text.
    pub text: Spanned<String>,
    /// Fields that this kind wants.
    pub fields_wanted: usize,
}

/// `env[].value` of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentValue {
    /// Position of the workload in [`Manifests::workloads`].
    pub workload_idx: usize,
    /// The value.
    pub value: Spanned<String>,
}

impl Manifests {
    /// Reads all objects. Later tiers replace objects of earlier ones ([`Tier`]).
    pub fn convert(
        objects: Vec<Object>,
        default_toleration: SimSpan,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        convert::convert(objects, default_toleration, diagnostics)
    }

    /// Labels of a namespace; one that is not in the input has its name as the only label.
    pub(crate) fn labels_of_namespace(&self, name: &str) -> Labels {
        self.namespace_labels.get(name).cloned().unwrap_or_else(|| {
            [(NAMESPACE_NAME_LABEL.to_owned(), name.to_owned())].into_iter().collect()
        })
    }

    /// The object that something came from.
    pub fn object<T>(&self, from: &Sourced<T>) -> &Object {
        &self.objects[from.object_idx]
    }
}

/// Reads fields of one object and says what is wrong with them, at their places.
pub(crate) struct Reader<'a> {
    pub(crate) object: &'a Object,
    pub(crate) diagnostics: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// The API would refuse this.
    pub(crate) fn refuse(&mut self, path: &str, message: impl AsRef<str>) {
        let message = format!("{}: `{path}` {}", self.object.title(), message.as_ref());
        let place = self.object.value_span(path);
        self.diagnostics.push(Diagnostic::new(Code::E0022, place, message));
    }

    pub(crate) fn origin(&self) -> Origin {
        self.object.origin.clone()
    }

    /// A whole number of seconds; negative ones are refused.
    pub(crate) fn seconds(&mut self, path: &str, seconds: i64) -> SimSpan {
        match u64::try_from(seconds) {
            Ok(seconds) => span_of_secs(seconds),
            Err(_) => {
                self.refuse(path, format!("must not be negative, is {seconds}"));
                SimSpan::ZERO
            }
        }
    }

    /// A count; negative ones are refused.
    pub(crate) fn count(&mut self, path: &str, count: i32) -> u32 {
        u32::try_from(count).unwrap_or_else(|_| {
            self.refuse(path, format!("must not be negative, is {count}"));
            0
        })
    }

    /// A number of pods: far more than any cluster has is a slip, and takes memory for each.
    pub(crate) fn pod_count(&mut self, path: &str, count: i32) -> u32 {
        let pods = self.count(path, count);
        if pods > PODS_MAX {
            let message = format!(
                "{}: `{path}` is {pods}, and at most {PODS_MAX} pods of a workload are simulated",
                self.object.title()
            );
            let place = self.object.value_span(path);
            self.diagnostics.push(Diagnostic::new(Code::E0021, place, message));
        }
        pods.min(PODS_MAX)
    }

    /// One of some words; another one is refused, and the first is taken.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        path: &str,
        word: Option<&str>,
        default: T,
        choices: &[(&str, T)],
    ) -> T {
        let Some(word) = word else { return default };
        if let Some((_, value)) = choices.iter().find(|(known, _)| *known == word) {
            return *value;
        }
        let known: Vec<&str> = choices.iter().map(|(known, _)| *known).collect();
        self.refuse(path, format!("must be one of {}, is `{word}`", known.join(", ")));
        default
    }
}

/// The places of an object whose tree was changed.
pub(crate) fn origin_after_change(object: &Object) -> Origin {
    origin_of(&object.node, object.name_span)
}

/// Field paths to places, for [`Origin`]. `aliases` in a tree lead to where they are used.
pub(crate) fn origin_of(node: &Node, at: Span) -> Origin {
    let mut fields = BTreeMap::new();
    collect_fields(node, "", &mut fields);
    Origin { object: at.at, fields: Arc::new(fields) }
}

fn collect_fields(node: &Node, path: &str, fields: &mut BTreeMap<String, model_api::SourceRef>) {
    for entry in node.entries().unwrap_or_default() {
        let path =
            if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
        collect_fields(&entry.value, &path, fields);
        fields.insert(path, entry.key_span.at);
    }
    for (idx, item) in node.items().unwrap_or_default().iter().enumerate() {
        let path = format!("{path}[{idx}]");
        collect_fields(item, &path, fields);
        fields.insert(path, item.span.at);
    }
}
