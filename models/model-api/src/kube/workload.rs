//! Workloads: what keeps pods in being.

use sim_kernel::SimSpan;

use super::job::Job;
use super::pod::{Container, PodTemplate};
use super::selector::LabelSelector;
use super::storage::PersistentVolumeClaim;
use crate::observation::UnschedulableReason;
use crate::source::Origin;

/// A workload of any kind that has a pod template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What it is, with what only that kind has.
    pub kind: WorkloadKind,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.replicas`; for a DaemonSet meaningless, for a bare pod 1, for a Job its parallelism.
    pub replicas: u32,
    /// `spec.selector`; `None` for a bare pod.
    pub selector: Option<LabelSelector>,
    /// `spec.minReadySeconds`.
    pub min_ready: SimSpan,
    /// `spec.template`.
    pub template: PodTemplate,
    /// Where it was written.
    pub origin: Origin,
}

impl Workload {
    /// The path of its pods' spec within the object that states it.
    pub fn pod_spec_path(&self) -> &'static str {
        match &self.kind {
            WorkloadKind::Pod | WorkloadKind::DatabaseInstances => "spec",
            WorkloadKind::Job(job) if job.cron.is_some() => "spec.jobTemplate.spec.template.spec",
            _ => "spec.template.spec",
        }
    }

    /// The path of a field of its pods' spec, such as `tolerations` or `containers[0].image`. Instances
    /// of a database have no pod template: what stands for the field in a `Cluster` of CloudNativePG
    /// (its reference of the API, 1.27).
    pub fn pod_path(&self, field: &str) -> String {
        match self.kind {
            WorkloadKind::DatabaseInstances => instance_path(field),
            _ => format!("{}.{field}", self.pod_spec_path()),
        }
    }

    /// The path of a field of that container, or of all containers where nobody knows which it is.
    pub fn container_path(&self, container: Option<usize>, field: &str) -> String {
        match container {
            Some(idx) => self.pod_path(&format!("containers[{idx}].{field}")),
            None => self.pod_path("containers"),
        }
    }

    /// The path of what a filter of the scheduler reads first.
    pub fn filter_path(&self, filter: UnschedulableReason) -> String {
        use UnschedulableReason as Filter;
        let field = match filter {
            Filter::NodeName => "nodeName",
            Filter::NodeUnschedulable | Filter::TaintToleration => "tolerations",
            Filter::NodeAffinity => "affinity.nodeAffinity",
            Filter::NodePorts => {
                let claims = |it: &Container| it.ports.iter().any(|port| port.host_port.is_some());
                return self.container_path(self.only_container(claims), "ports");
            }
            Filter::NodeResourcesFit => {
                return self.container_path(self.only_container(|_| true), "resources.requests");
            }
            Filter::VolumeRestrictions
            | Filter::NodeVolumeLimits
            | Filter::VolumeBinding
            | Filter::VolumeZone => "volumes",
            Filter::PodTopologySpread => "topologySpreadConstraints",
            Filter::InterPodAffinity => "affinity",
            Filter::SchedulingGates => "schedulingGates",
        };
        self.pod_path(field)
    }

    /// The container that is meant by what only one can have done: the only one, or the only one that
    /// has what it was done with.
    pub fn only_container(&self, has: impl Fn(&Container) -> bool) -> Option<usize> {
        let containers = &self.template.spec.containers;
        let mut having = (0..containers.len()).filter(|idx| has(&containers[*idx]));
        having.next().filter(|_| having.next().is_none())
    }
}

/// Where a `Cluster` states what would be that field of a pod's spec.
fn instance_path(field: &str) -> String {
    let (first, rest) = field.split_once('.').unwrap_or((field, ""));
    let path = match (first, rest) {
        ("tolerations" | "nodeSelector", _) => return format!("spec.affinity.{field}"),
        ("volumes", _) => "spec.storage",
        (name, "image") if name.starts_with("containers") => "spec.imageName",
        (name, "readinessProbe") if name.starts_with("containers") => "spec.probes.readiness",
        (name, "livenessProbe") if name.starts_with("containers") => "spec.probes.liveness",
        (name, "startupProbe") if name.starts_with("containers") => "spec.probes.startup",
        (name, "") if name.starts_with("containers") => "spec",
        (name, _) if name.starts_with("containers") => return format!("spec.{rest}"),
        _ => return format!("spec.{field}"),
    };
    path.to_owned()
}

/// The kinds of workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// `apps/v1 Deployment`.
    Deployment {
        /// How pods of an old template are replaced.
        strategy: DeploymentStrategy,
        /// `progressDeadlineSeconds`, default 600 s.
        progress_deadline: SimSpan,
        /// `spec.paused`: it is scaled, and not rolled out.
        is_paused: bool,
    },
    /// `apps/v1 ReplicaSet` without a Deployment.
    ReplicaSet,
    /// `apps/v1 StatefulSet`.
    StatefulSet {
        /// `podManagementPolicy`.
        pod_management: PodManagementPolicy,
        /// `ordinals.start`.
        ordinals_start: u32,
        /// `updateStrategy`.
        update: StatefulSetUpdate,
        /// `volumeClaimTemplates`.
        claims: Vec<PersistentVolumeClaim>,
        /// `serviceName`.
        service_name: String,
    },
    /// `apps/v1 DaemonSet`.
    DaemonSet {
        /// `updateStrategy`.
        update: DaemonSetUpdate,
    },
    /// `batch/v1 Job` or `CronJob`.
    Job(Box<Job>),
    /// A bare pod: nothing replaces it.
    Pod,
    /// Instances of a database cluster that an operator keeps; see `Blueprint::databases`.
    DatabaseInstances,
}

impl WorkloadKind {
    /// Whether it has a `scale` subresource, so that something knows how many pods it should have
    /// (`pkg/registry/apps/*/storage`; CloudNativePG's `Cluster` too). A Job has none, though it has
    /// a number of pods.
    pub fn has_scale(&self) -> bool {
        match self {
            Self::Deployment { .. }
            | Self::ReplicaSet
            | Self::StatefulSet { .. }
            | Self::DatabaseInstances => true,
            Self::DaemonSet { .. } | Self::Job(_) | Self::Pod => false,
        }
    }

    /// Whether something can hold it, so that it waits for somebody to let it go on: `spec.paused` of a
    /// Deployment, `spec.suspend` of a Job or CronJob. `None` for kinds that nobody can hold.
    pub fn is_held(&self) -> Option<bool> {
        match self {
            Self::Deployment { is_paused, .. } => Some(*is_paused),
            Self::Job(job) => {
                Some(job.cron.as_ref().map_or(job.spec.is_suspended, |cron| cron.is_suspended))
            }
            _ => None,
        }
    }

    /// API group and kind of the object that its pods name as their controller, which is not always the
    /// one that the user wrote; `None` for a bare pod.
    pub fn controller(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Deployment { .. } | Self::ReplicaSet => Some(("apps", "ReplicaSet")),
            Self::StatefulSet { .. } => Some(("apps", "StatefulSet")),
            Self::DaemonSet { .. } => Some(("apps", "DaemonSet")),
            Self::Job(_) => Some(("batch", "Job")),
            Self::DatabaseInstances => Some(("postgresql.cnpg.io", "Cluster")),
            Self::Pod => None,
        }
    }

    /// The kind as Kubernetes spells it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Deployment { .. } => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet { .. } => "StatefulSet",
            Self::DaemonSet { .. } => "DaemonSet",
            Self::Job(job) if job.cron.is_some() => "CronJob",
            Self::Job(_) => "Job",
            Self::Pod => "Pod",
            Self::DatabaseInstances => "Cluster",
        }
    }
}

/// `spec.strategy` of a Deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentStrategy {
    /// Old pods go, then new ones come.
    Recreate,
    /// Old and new overlap.
    RollingUpdate {
        /// `maxSurge`, default 25 %.
        max_surge: IntOrPercent,
        /// `maxUnavailable`, default 25 %.
        max_unavailable: IntOrPercent,
    },
}

/// `spec.updateStrategy` of a StatefulSet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatefulSetUpdate {
    /// Pods are replaced when somebody deletes them.
    OnDelete,
    /// The controller replaces them, the highest ordinal first.
    RollingUpdate {
        /// `partition`: ordinals below keep the old template.
        partition: u32,
        /// `maxUnavailable`, which counts only where the gate MaxUnavailableStatefulSet is on.
        max_unavailable: Option<IntOrPercent>,
    },
}

impl Default for StatefulSetUpdate {
    fn default() -> Self {
        Self::RollingUpdate { partition: 0, max_unavailable: None }
    }
}

/// `spec.updateStrategy` of a DaemonSet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonSetUpdate {
    /// Pods are replaced when somebody deletes them.
    OnDelete,
    /// The controller replaces them.
    RollingUpdate {
        /// `maxSurge`, default 0.
        max_surge: IntOrPercent,
        /// `maxUnavailable`, default 1.
        max_unavailable: IntOrPercent,
    },
}

impl Default for DaemonSetUpdate {
    fn default() -> Self {
        let (max_surge, max_unavailable) = (IntOrPercent::Int(0), IntOrPercent::Int(1));
        Self::RollingUpdate { max_surge, max_unavailable }
    }
}

/// A count or a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IntOrPercent {
    /// An absolute count.
    Int(i32),
    /// Percent of a total that the user of the value names, rounded as that user says.
    Percent(i32),
}

/// How a StatefulSet creates and deletes its pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum PodManagementPolicy {
    #[default]
    OrderedReady,
    Parallel,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(kind: WorkloadKind) -> Workload {
        Workload {
            kind,
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            replicas: 1,
            selector: None,
            min_ready: SimSpan::ZERO,
            template: PodTemplate::default(),
            origin: Origin::default(),
        }
    }

    #[test]
    fn a_field_of_pods_stands_where_its_kind_has_it() {
        let database = WorkloadKind::DatabaseInstances;
        for (kind, field, path) in [
            (WorkloadKind::Pod, "tolerations", "spec.tolerations"),
            (WorkloadKind::ReplicaSet, "tolerations", "spec.template.spec.tolerations"),
            (database.clone(), "tolerations", "spec.affinity.tolerations"),
            (database.clone(), "affinity.podAntiAffinity", "spec.affinity.podAntiAffinity"),
            (database.clone(), "containers[0].image", "spec.imageName"),
            (database.clone(), "containers[0].livenessProbe", "spec.probes.liveness"),
            (database.clone(), "containers[0].resources.requests", "spec.resources.requests"),
            (database, "topologySpreadConstraints[1]", "spec.topologySpreadConstraints[1]"),
        ] {
            assert_eq!(workload(kind).pod_path(field), path);
        }
    }

    #[test]
    fn a_container_is_meant_only_where_no_other_can_be() {
        let mut pod = workload(WorkloadKind::Pod);
        let has_image = |it: &Container| !it.image.is_empty();
        assert_eq!(pod.only_container(has_image), None, "there is none");
        pod.template.spec.containers = vec![Container::default(); 2];
        pod.template.spec.containers[1].image = "web".to_owned();
        assert_eq!(pod.only_container(has_image), Some(1));
        assert_eq!(pod.only_container(|_| true), None, "either");
        assert_eq!(pod.container_path(Some(1), "image"), "spec.containers[1].image");
        assert_eq!(pod.container_path(None, "image"), "spec.containers");
    }
}
