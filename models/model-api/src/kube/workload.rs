//! Workloads: what keeps pods in being.

use sim_kernel::SimSpan;

use super::job::Job;
use super::pod::PodTemplate;
use super::selector::LabelSelector;
use super::storage::PersistentVolumeClaim;
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
