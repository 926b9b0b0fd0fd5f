//! All objects of an input, one kind after the other.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    admissionregistration, apps, autoscaling, batch, core, networking, policy, scheduling, storage,
};
use model_api::SimSpan;
use model_api::kube::Labels;
use serde::de::DeserializeOwned;

use super::canary;
use super::hooks::{secrets_of_jobs, without_hooks};
use super::limits;
use super::pod::Admission;
use super::postgresql::Cluster;
use super::schedule::schedule_of;
use super::{
    EnvironmentValue, Manifests, Object, ObjectKey, PriorityClass, Reader, Sourced, VeleroServer,
    from_node,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Spanned;
use crate::yaml::{Entry, Node, Value};

/// A label that every namespace has.
pub(crate) const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) fn convert(
    objects: Vec<Object>,
    default_toleration: SimSpan,
    diagnostics: &mut Vec<Diagnostic>,
) -> Manifests {
    let mut manifests =
        Manifests { secrets_of_jobs: secrets_of_jobs(&objects), ..Manifests::default() };
    let objects = without_replaced(without_hooks(objects, diagnostics), diagnostics);
    // Priority classes first: pods refer to them.
    for object in &objects {
        if object.key.kind == "PriorityClass"
            && let Some(class) = read::<scheduling::v1::PriorityClass>(object, diagnostics)
        {
            manifests.priority_classes.push(PriorityClass {
                name: object.key.name.clone(),
                value: class.value.unwrap_or(0),
                is_default: class.global_default.unwrap_or(false),
                never_preempts: class.preemption_policy.as_deref() == Some("Never"),
            });
        }
    }
    let classes = manifests.priority_classes.clone();
    let admission = Admission { default_toleration, priority_classes: &classes, is_over: false };
    let mut ranges = Vec::new();
    for (object_idx, object) in objects.iter().enumerate() {
        if object.key.group.is_empty() {
            match object.key.kind.as_str() {
                "LimitRange" => {
                    let range: Option<core::v1::LimitRange> = read(object, diagnostics);
                    let spec = range.and_then(|it| it.spec).unwrap_or_default();
                    ranges.push(Reader { object, diagnostics }.limit_range(&spec));
                }
                "ResourceQuota" => {
                    let quota: Option<core::v1::ResourceQuota> = read(object, diagnostics);
                    let spec = quota.and_then(|it| it.spec).unwrap_or_default();
                    let value = Reader { object, diagnostics }.resource_quota(&spec);
                    manifests.quotas.extend(value.map(|value| Sourced { value, object_idx }));
                }
                _ => {}
            }
        }
        let mut step = Step { object, object_idx, admission, out: &mut manifests };
        if !is_made_by_controller(object) {
            step.take(diagnostics);
            Reader { object, diagnostics }.validate();
        }
    }
    limits::apply(&objects, &ranges, &mut manifests, diagnostics);
    canary::make_all(&objects, &mut manifests, diagnostics);
    manifests.objects = objects;
    manifests
}

/// Of objects with the same name, the one of the latest tier.
fn without_replaced(objects: Vec<Object>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Object> {
    let mut kept: Vec<Object> = Vec::new();
    let mut positions: BTreeMap<ObjectKey, usize> = BTreeMap::new();
    for object in objects {
        let Some(position) = positions.get(&object.key).copied() else {
            positions.insert(object.key.clone(), kept.len());
            kept.push(object);
            continue;
        };
        let first = &kept[position];
        if first.tier < object.tier {
            kept[position] = object;
        } else if is_same(&first.node, &object.node) {
            let message = format!("{} is there twice, word for word", object.title());
            diagnostics.push(
                Diagnostic::new(Code::W0115, object.name_span, message)
                    .related(first.name_span, "first here"),
            );
        } else {
            let message = format!("{} is there twice, and differs", object.title());
            diagnostics.push(
                Diagnostic::new(Code::E0024, object.name_span, message)
                    .label("a second time")
                    .related(first.name_span, "first here"),
            );
        }
    }
    kept
}

/// Whether two trees say the same, wherever they stand.
fn is_same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Scalar(a), Value::Scalar(b)) => a == b,
        (Value::Sequence(a), Value::Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Mapping(entries), Value::Mapping(others)) => {
            entries.len() == others.len()
                && entries.iter().all(|entry| {
                    b.get(&entry.key).is_some_and(|other| is_same(&entry.value, other))
                })
        }
        _ => false,
    }
}

/// Pods of a ReplicaSet and the like, in a dump of a cluster: their controller makes them.
fn is_made_by_controller(object: &Object) -> bool {
    const CONTROLLERS: [&str; 8] = [
        "ReplicaSet",
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "Job",
        "CronJob",
        "Cluster",
        "Pooler",
    ];
    let owners = object.node.at(&["metadata", "ownerReferences"]).and_then(Node::items);
    owners.unwrap_or_default().iter().any(|owner| {
        let is_controller = owner.get("controller").and_then(Node::text) == Some("true");
        let kind = owner.get("kind").and_then(Node::text).unwrap_or_default();
        is_controller && CONTROLLERS.contains(&kind)
    })
}

/// `metadata.labels`, with the one that every namespace has.
fn labels_of(namespace: &Object) -> Labels {
    let written = namespace.node.at(&["metadata", "labels"]).and_then(Node::entries);
    let pair = |entry: &Entry| Some((entry.key.clone(), entry.value.text()?.to_owned()));
    let mut labels: Labels = written.unwrap_or_default().iter().filter_map(pair).collect();
    labels.insert(NAMESPACE_NAME_LABEL.to_owned(), namespace.key.name.clone());
    labels
}

fn read<T: DeserializeOwned>(object: &Object, diagnostics: &mut Vec<Diagnostic>) -> Option<T> {
    from_node(&object.node, &object.title(), diagnostics)
}

/// One object on its way into the manifests.
struct Step<'a> {
    object: &'a Object,
    object_idx: usize,
    admission: Admission<'a>,
    out: &'a mut Manifests,
}

impl Step<'_> {
    fn take(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let (object, object_idx) = (self.object, self.object_idx);
        if let Some(value) = schedule_of(object) {
            self.out.schedules.push(Sourced { value, object_idx });
        }
        let group = object.key.group.as_str();
        match (group, object.key.kind.as_str()) {
            ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
            | ("batch", "Job" | "CronJob")
            | ("", "Pod") => self.workload(diagnostics),
            ("", "Service" | "PersistentVolumeClaim" | "Namespace")
            | ("policy", "PodDisruptionBudget")
            | ("storage.k8s.io", "StorageClass")
            | ("networking.k8s.io", "Ingress" | "NetworkPolicy")
            | ("gateway.networking.k8s.io", "HTTPRoute") => self.other(diagnostics),
            (
                "admissionregistration.k8s.io",
                "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
            ) => self.webhooks(diagnostics),
            ("postgresql.cnpg.io", "Cluster") | ("acid.zalan.do", "postgresql") => {
                self.cluster(diagnostics);
            }
            ("postgresql.cnpg.io", "Pooler") => self.pooler(diagnostics),
            ("autoscaling", "HorizontalPodAutoscaler") => self.autoscaler(diagnostics),
            ("autoscaling.k8s.io", "VerticalPodAutoscaler") => {
                let value = Reader { object, diagnostics }.vertical_autoscaler();
                self.out.vertical_autoscalers.push(Sourced { value, object_idx });
            }
            ("velero.io" | "barmancloud.cnpg.io" | "snapshot.storage.k8s.io", _)
            | ("postgresql.cnpg.io", "ScheduledBackup") => self.backup(diagnostics),
            _ => {}
        }
    }

    fn workload(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let (object, admission) = (self.object, self.admission);
        let mut template_path = "spec.template.spec";
        let value = match object.key.kind.as_str() {
            "Deployment" => read::<apps::v1::Deployment>(object, diagnostics).map(|it| {
                Reader { object, diagnostics }.deployment(&it.spec.unwrap_or_default(), admission)
            }),
            "ReplicaSet" => read::<apps::v1::ReplicaSet>(object, diagnostics).map(|it| {
                Reader { object, diagnostics }.replica_set(&it.spec.unwrap_or_default(), admission)
            }),
            "StatefulSet" => read::<apps::v1::StatefulSet>(object, diagnostics).map(|it| {
                Reader { object, diagnostics }.stateful_set(&it.spec.unwrap_or_default(), admission)
            }),
            "DaemonSet" => read::<apps::v1::DaemonSet>(object, diagnostics).map(|it| {
                Reader { object, diagnostics }.daemon_set(&it.spec.unwrap_or_default(), admission)
            }),
            "Job" => read::<batch::v1::Job>(object, diagnostics).map(|it| {
                Reader { object, diagnostics }.job(&it.spec.unwrap_or_default(), admission)
            }),
            "CronJob" => {
                template_path = "spec.jobTemplate.spec.template.spec";
                read::<batch::v1::CronJob>(object, diagnostics)
                    .and_then(|it| Reader { object, diagnostics }.cron_job(&it.spec, admission))
            }
            _ => {
                template_path = "spec";
                read::<core::v1::Pod>(object, diagnostics)
                    .map(|it| Reader { object, diagnostics }.bare_pod(&it, admission))
            }
        };
        if let Some(server) = VeleroServer::of(object) {
            self.out.backups.servers.insert(object.key.namespace.clone(), server);
        }
        if let Some(value) = value {
            self.environment(template_path);
            self.out.workloads.push(Sourced { value, object_idx: self.object_idx });
        }
    }

    /// Values of environment variables, read from the tree because only their places matter.
    fn environment(&mut self, path: &str) {
        let workload_idx = self.out.workloads.len();
        let containers = self.object.find(&format!("{path}.containers")).and_then(Node::items);
        for container in containers.unwrap_or_default() {
            let variables = container.get("env").and_then(Node::items).unwrap_or_default();
            for value in variables.iter().filter_map(|variable| variable.get("value")) {
                let Some(text) = value.text() else { continue };
                let value = Spanned { value: text.to_owned(), span: value.span };
                self.out.environment.push(EnvironmentValue { workload_idx, value });
            }
        }
    }

    fn other(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let (object, object_idx) = (self.object, self.object_idx);
        match object.key.kind.as_str() {
            "Service" => {
                if let Some(it) = read::<core::v1::Service>(object, diagnostics) {
                    let spec = it.spec.unwrap_or_default();
                    let value = Reader { object, diagnostics }.service(&spec);
                    self.out.services.push(Sourced { value, object_idx });
                }
            }
            "PersistentVolumeClaim" => {
                if let Some(it) = read::<core::v1::PersistentVolumeClaim>(object, diagnostics) {
                    let value = Reader { object, diagnostics }.claim("", &it);
                    self.out.claims.push(Sourced { value, object_idx });
                }
            }
            "PodDisruptionBudget" => {
                if let Some(it) = read::<policy::v1::PodDisruptionBudget>(object, diagnostics) {
                    let spec = it.spec.unwrap_or_default();
                    let value = Reader { object, diagnostics }.budget(&spec);
                    self.out.budgets.push(Sourced { value, object_idx });
                }
            }
            "StorageClass" => {
                if let Some(it) = read::<storage::v1::StorageClass>(object, diagnostics) {
                    let value = Reader { object, diagnostics }.storage_class(&it);
                    self.out.storage_classes.push(Sourced { value, object_idx });
                }
            }
            "Ingress" => {
                if let Some(it) = read::<networking::v1::Ingress>(object, diagnostics) {
                    let spec = it.spec.unwrap_or_default();
                    let values = Reader { object, diagnostics }.ingress(&spec);
                    let sourced = |value| Sourced { value, object_idx };
                    self.out.ingresses.extend(values.into_iter().map(sourced));
                }
            }
            "NetworkPolicy" => {
                if let Some(it) = read::<networking::v1::NetworkPolicy>(object, diagnostics) {
                    let spec = it.spec.unwrap_or_default();
                    let value = Reader { object, diagnostics }.network_policy(&spec);
                    self.out.network_policies.push(Sourced { value, object_idx });
                }
            }
            "HTTPRoute" => {
                let values = Reader { object, diagnostics }.http_route();
                let sourced = |value| Sourced { value, object_idx };
                self.out.ingresses.extend(values.into_iter().map(sourced));
            }
            _ => {
                let name = object.key.name.clone();
                self.out.namespaces.push(name.clone());
                self.out.namespace_labels.insert(name, labels_of(object));
            }
        }
    }

    fn webhooks(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let (object, object_idx) = (self.object, self.object_idx);
        let mut written = Vec::new();
        if object.key.kind == "ValidatingWebhookConfiguration" {
            type Read = admissionregistration::v1::ValidatingWebhookConfiguration;
            let configuration: Option<Read> = read(object, diagnostics);
            let webhooks = configuration.and_then(|it| it.webhooks).unwrap_or_default();
            for (idx, webhook) in webhooks.iter().enumerate() {
                written.push(Reader { object, diagnostics }.validating_webhook(idx, webhook));
            }
        } else {
            type Read = admissionregistration::v1::MutatingWebhookConfiguration;
            let configuration: Option<Read> = read(object, diagnostics);
            let webhooks = configuration.and_then(|it| it.webhooks).unwrap_or_default();
            for (idx, webhook) in webhooks.iter().enumerate() {
                written.push(Reader { object, diagnostics }.mutating_webhook(idx, webhook));
            }
        }
        let sourced = |value| Sourced { value, object_idx };
        self.out.webhooks.extend(written.into_iter().map(sourced));
    }

    fn autoscaler(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let (object, object_idx) = (self.object, self.object_idx);
        let value = if object.api_version == "autoscaling/v1" {
            read::<autoscaling::v1::HorizontalPodAutoscaler>(object, diagnostics)
                .map(|it| Reader { object, diagnostics }.autoscaler_v1(&it.spec))
        } else {
            read::<autoscaling::v2::HorizontalPodAutoscaler>(object, diagnostics)
                .map(|it| Reader { object, diagnostics }.autoscaler(&it.spec))
        };
        self.out.autoscalers.extend(value.map(|value| Sourced { value, object_idx }));
    }

    fn backup(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let mut reader = Reader { object: self.object, diagnostics };
        let out = &mut self.out.backups;
        match self.object.key.kind.as_str() {
            "Schedule" => out.schedules.push(reader.velero_schedule()),
            "BackupStorageLocation" => out.locations.push(reader.storage_location()),
            "VolumeSnapshotLocation" => out.snapshot_locations.push(reader.snapshot_location()),
            "ScheduledBackup" => out.scheduled.push(reader.scheduled_backup()),
            "ObjectStore" => out.stores.extend(reader.object_store()),
            "VolumeSnapshotClass" => out.snapshot_classes.push(reader.snapshot_class()),
            _ => {}
        }
    }

    fn pooler(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let (object, object_idx) = (self.object, self.object_idx);
        let mut reader = Reader { object, diagnostics };
        let (workload, service) = reader.pooler_parts(self.admission);
        let value = reader.pooler(self.out.workloads.len(), self.out.services.len());
        self.out.workloads.push(Sourced { value: workload, object_idx });
        self.out.services.push(Sourced { value: service, object_idx });
        self.out.poolers.push(Sourced { value, object_idx });
    }

    fn cluster(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let (object, object_idx) = (self.object, self.object_idx);
        let mut reader = Reader { object, diagnostics };
        let parts = match object.key.group.as_str() {
            "acid.zalan.do" => reader.patroni_cluster(self.admission),
            _ => {
                self.out.backups.clusters.extend(reader.cluster_backup());
                reader.cluster(self.admission)
            }
        };
        let cluster = Cluster {
            namespace: object.key.namespace.clone(),
            name: object.key.name.clone(),
            workload_idx: self.out.workloads.len(),
            service_idx: self.out.services.len(),
            instances: parts.instances,
            synchronous: parts.synchronous,
            commit_wait: parts.commit_wait,
            failover_delay: parts.failover_delay,
            switchover_delay: parts.switchover_delay,
            smart_shutdown: parts.smart_shutdown,
            primary_update: parts.primary_update,
            has_budgets: parts.has_budgets,
            is_maintained: parts.is_maintained,
            has_isolation_check: parts.has_isolation_check,
            isolation_stop: parts.isolation_stop,
            lease_duration: parts.lease_duration,
            session_count: parts.session_count,
            log: parts.log,
            fenced: parts.fenced,
            is_hibernated: parts.is_hibernated,
            is_left_alone: parts.is_left_alone,
            not_modelled: parts.not_modelled,
            manager: parts.manager,
            origin: object.origin.clone(),
        };
        self.out.workloads.push(Sourced { value: parts.workload, object_idx });
        let services = parts.services.into_iter().map(|value| Sourced { value, object_idx });
        self.out.services.extend(services);
        let claims = parts.claims.into_iter().map(|value| Sourced { value, object_idx });
        self.out.claims.extend(claims);
        self.out.clusters.push(Sourced { value: cluster, object_idx });
    }
}
