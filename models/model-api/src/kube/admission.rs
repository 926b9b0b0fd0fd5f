//! Admission webhooks.

use std::collections::BTreeSet;

use sim_kernel::SimSpan;

use super::selector::{LabelSelector, Labels};
use super::workload::WorkloadKind;
use crate::ids::{ServiceId, WorkloadId};
use crate::source::Origin;

/// One webhook of a `ValidatingWebhookConfiguration` or `MutatingWebhookConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webhook {
    /// `metadata.name` of its configuration.
    pub configuration: String,
    /// `webhooks[].name`.
    pub name: String,
    /// Of a MutatingWebhookConfiguration.
    pub is_mutating: bool,
    /// The Service it calls; `None` when it calls a URL or a Service that is not in the input.
    pub service: Option<ServiceId>,
    /// `failurePolicy: Fail` (the default): a request that it does not answer is refused.
    pub fails_closed: bool,
    /// `timeoutSeconds`, default 10 s.
    pub timeout: SimSpan,
    /// Workloads whose pods are not created without its answer: its rules name the creation of
    /// pods, and both of its selectors match.
    pub guards: BTreeSet<WorkloadId>,
    /// What else it is asked about, of all that components of a cluster write.
    pub asked: BTreeSet<Write>,
    /// Where it was written.
    pub origin: Origin,
}

/// Which requests a webhook is asked about (`webhooks[].rules[]`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookRule {
    /// `operations`.
    pub operations: Vec<String>,
    /// `apiGroups`.
    pub groups: Vec<String>,
    /// `apiVersions`.
    pub versions: Vec<String>,
    /// `resources`, with `/` and subresource.
    pub resources: Vec<String>,
    /// `scope`: `Cluster`, `Namespaced` or `*`.
    pub scope: String,
}

impl WebhookRule {
    /// Whether it names a write (`apiserver/pkg/admission/plugin/webhook/predicates/rules/rules.go`, 1.36).
    ///
    /// `matchPolicy` makes no difference: what is written here has one version that API servers still
    /// serve, so that there is nothing equivalent to it.
    pub fn names(&self, shape: &WriteShape) -> bool {
        let has = |list: &[String], word: &str| list.iter().any(|it| it == "*" || it == word);
        let fits = |name: &String| {
            let (resource, subresource) = name.split_once('/').unwrap_or((name, ""));
            ["*", shape.resource].contains(&resource)
                && ["*", shape.subresource].contains(&subresource)
        };
        let spared = if shape.is_namespaced { "Cluster" } else { "Namespaced" };
        has(&self.operations, shape.operation)
            && has(&self.groups, shape.group)
            && has(&self.versions, shape.version)
            && self.resources.iter().any(fits)
            && self.scope != spared
    }

    /// Whether it names the creation of pods.
    pub fn names_pod_creation(&self) -> bool {
        self.names(&WriteShape::POD_CREATION)
    }
}

/// A write that a component of a cluster makes, besides the creation of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Write {
    /// A kubelet renews the lease of its node.
    NodeLease,
    /// A controller manager or scheduler renews or takes its lease.
    LeaderLease,
    /// The node lifecycle controller marks a node not ready.
    NodeStatus,
    /// It taints a node, or takes a taint away.
    NodeTaints,
    /// A kubelet says that pods of a workload are ready, or not.
    PodStatus(WorkloadId),
    /// The node lifecycle controller marks them not ready.
    PodMark(WorkloadId),
    /// A controller deletes them.
    PodDeletion(WorkloadId),
    /// A kubelet removes them when nothing of them is left.
    PodRemoval(WorkloadId),
    /// The scheduler binds them.
    PodBinding(WorkloadId),
    /// Somebody evicts them.
    PodEviction(WorkloadId),
    /// The Deployment controller makes or scales a ReplicaSet.
    Revision(WorkloadId),
    /// An autoscaler sets the size of a workload.
    Scale(WorkloadId),
    /// Somebody changes a workload itself: gives it another template or size, holds it.
    Update(WorkloadId),
    /// The CronJob controller makes a Job.
    JobCreation(WorkloadId),
    /// The endpoint slice controller writes the slices of a Service.
    EndpointSlices(ServiceId),
}

/// A write as admission sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteShape {
    /// `CREATE`, `UPDATE` or `DELETE`.
    pub operation: &'static str,
    /// API group.
    pub group: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Resource in the plural.
    pub resource: &'static str,
    /// Subresource, or nothing.
    pub subresource: &'static str,
    /// Kind of its object.
    pub kind: &'static str,
    /// The object is in a namespace.
    pub is_namespaced: bool,
    /// Who writes it, and the groups of that user besides `system:authenticated`.
    pub user: (&'static str, &'static [&'static str]),
}

const KUBELET: (&str, &[&str]) = ("system:node:a-node", &["system:nodes"]);
const CONTROLLER_MANAGER: (&str, &[&str]) = ("system:kube-controller-manager", &[]);
const ACCOUNTS: &[&str] = &["system:serviceaccounts", "system:serviceaccounts:kube-system"];
const NODE_CONTROLLER: (&str, &[&str]) =
    ("system:serviceaccount:kube-system:node-controller", ACCOUNTS);
const DELETING: (&str, &[&str]) =
    ("system:serviceaccount:kube-system:replicaset-controller", ACCOUNTS);
const DEPLOYING: (&str, &[&str]) =
    ("system:serviceaccount:kube-system:deployment-controller", ACCOUNTS);
const SCALING: (&str, &[&str]) =
    ("system:serviceaccount:kube-system:horizontal-pod-autoscaler", ACCOUNTS);
const CRON: (&str, &[&str]) = ("system:serviceaccount:kube-system:cronjob-controller", ACCOUNTS);
const ENDPOINTS: (&str, &[&str]) =
    ("system:serviceaccount:kube-system:endpointslice-controller", ACCOUNTS);
const SCHEDULER: (&str, &[&str]) = ("system:kube-scheduler", &[]);
const PEOPLE: (&str, &[&str]) = ("kubernetes-admin", &["kubeadm:cluster-admins"]);

impl WriteShape {
    /// A controller creates a pod.
    pub const POD_CREATION: Self = Self::of("CREATE", "Pod", "pods", DELETING);

    const fn of(
        operation: &'static str,
        kind: &'static str,
        resource: &'static str,
        user: (&'static str, &'static [&'static str]),
    ) -> Self {
        let (group, version, subresource) = ("", "v1", "");
        let is_namespaced = true;
        Self { operation, group, version, resource, subresource, kind, is_namespaced, user }
    }

    const fn group(self, group: &'static str) -> Self {
        Self { group, ..self }
    }

    const fn below(self, subresource: &'static str) -> Self {
        Self { subresource, ..self }
    }
}

impl Write {
    /// As admission sees it.
    pub const fn shape(self) -> WriteShape {
        const NODE: WriteShape = WriteShape {
            is_namespaced: false,
            ..WriteShape::of("UPDATE", "Node", "nodes", NODE_CONTROLLER)
        };
        const LEASES: &str = "coordination.k8s.io";
        match self {
            Self::NodeLease => WriteShape::of("UPDATE", "Lease", "leases", KUBELET).group(LEASES),
            Self::LeaderLease => {
                WriteShape::of("UPDATE", "Lease", "leases", CONTROLLER_MANAGER).group(LEASES)
            }
            Self::NodeStatus => NODE.below("status"),
            Self::NodeTaints => NODE,
            Self::PodStatus(_) => WriteShape::of("UPDATE", "Pod", "pods", KUBELET).below("status"),
            Self::PodMark(_) => {
                WriteShape::of("UPDATE", "Pod", "pods", NODE_CONTROLLER).below("status")
            }
            Self::PodDeletion(_) => WriteShape::of("DELETE", "Pod", "pods", DELETING),
            Self::PodRemoval(_) => WriteShape::of("DELETE", "Pod", "pods", KUBELET),
            Self::PodBinding(_) => {
                WriteShape::of("CREATE", "Binding", "pods", SCHEDULER).below("binding")
            }
            Self::PodEviction(_) => {
                WriteShape::of("CREATE", "Eviction", "pods", PEOPLE).below("eviction")
            }
            Self::Revision(_) => {
                WriteShape::of("UPDATE", "ReplicaSet", "replicasets", DEPLOYING).group("apps")
            }
            Self::Scale(_) => WriteShape::of("UPDATE", "Scale", "deployments", SCALING)
                .group("apps")
                .below("scale"),
            Self::Update(_) => {
                WriteShape::of("UPDATE", "Deployment", "deployments", PEOPLE).group("apps")
            }
            Self::JobCreation(_) => WriteShape::of("CREATE", "Job", "jobs", CRON).group("batch"),
            Self::EndpointSlices(_) => {
                WriteShape::of("UPDATE", "EndpointSlice", "endpointslices", ENDPOINTS)
                    .group("discovery.k8s.io")
            }
        }
    }

    /// As admission sees it of a workload of that kind: what is scaled or changed may be no Deployment.
    pub const fn shape_of(self, kind: &WorkloadKind) -> WriteShape {
        let shape = self.shape();
        let (name, resource, group) = match kind {
            WorkloadKind::Deployment { .. } | WorkloadKind::DatabaseInstances => return shape,
            WorkloadKind::ReplicaSet => ("ReplicaSet", "replicasets", "apps"),
            WorkloadKind::StatefulSet { .. } => ("StatefulSet", "statefulsets", "apps"),
            WorkloadKind::DaemonSet { .. } => ("DaemonSet", "daemonsets", "apps"),
            WorkloadKind::Job(job) if job.cron.is_some() => ("CronJob", "cronjobs", "batch"),
            WorkloadKind::Job(_) => ("Job", "jobs", "batch"),
            WorkloadKind::Pod => ("Pod", "pods", ""),
        };
        match self {
            Self::Scale(_) => WriteShape { resource, group, ..shape },
            Self::Update(_) => WriteShape { kind: name, resource, group, ..shape },
            _ => shape,
        }
    }

    /// The workload that it is about.
    pub const fn workload(self) -> Option<WorkloadId> {
        match self {
            Self::PodStatus(id)
            | Self::PodMark(id)
            | Self::PodDeletion(id)
            | Self::PodRemoval(id)
            | Self::PodBinding(id)
            | Self::PodEviction(id)
            | Self::Revision(id)
            | Self::Scale(id)
            | Self::Update(id)
            | Self::JobCreation(id) => Some(id),
            _ => None,
        }
    }
}

/// Whether a webhook is asked about an object of a namespace with these labels
/// (`predicates/namespace/matcher.go` and `predicates/object/matcher.go`). Every namespace has the
/// label `kubernetes.io/metadata.name`.
pub fn is_asked(
    namespace_selector: &LabelSelector,
    object_selector: &LabelSelector,
    namespace: &Labels,
    object: &Labels,
) -> bool {
    namespace_selector.matches(namespace) && object_selector.matches(object)
}
