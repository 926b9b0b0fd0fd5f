//! Why things happen to pods and nodes.

use crate::ids::{BalancerId, ServiceId, WorkloadId, ZoneId};
use crate::usage::NodeResource;

/// Why a kubelet evicts a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EvictionReason {
    /// Its node runs out of something.
    Pressure(NodeResource),
    /// It uses more of the disk than it may: the limit of a container, of all its containers, or the
    /// size of an `emptyDir`.
    StorageLimit,
    /// Its machine shuts down in order.
    NodeShutdown,
}

/// The filter that kept a pod pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the words are those of kube-scheduler's plugins")]
pub enum UnschedulableReason {
    NodeUnschedulable,
    NodeName,
    TaintToleration,
    NodeAffinity,
    NodePorts,
    NodeResourcesFit,
    VolumeRestrictions,
    NodeVolumeLimits,
    VolumeBinding,
    VolumeZone,
    PodTopologySpread,
    InterPodAffinity,
    SchedulingGates,
}

impl UnschedulableReason {
    /// How little it says: nodes that a pod does not want, or that do not want it, are as they are
    /// meant to be, and seldom the reason why it waits.
    const fn rank(self) -> u8 {
        match self {
            Self::NodeUnschedulable | Self::NodeName | Self::TaintToleration => 2,
            Self::NodeAffinity => 1,
            _ => 0,
        }
    }
}

/// How many nodes each filter was the first to refuse, as kube-scheduler lists them in its message. First
/// comes what says most: filters other than taints, cordons and affinity to nodes, and of equal ones
/// those that refused most nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RefusedNodes([Option<(UnschedulableReason, u32)>; 4]);

impl RefusedNodes {
    /// Of counts in the profile's order; more filters than are kept say less than those that are.
    pub fn of(counts: &[(UnschedulableReason, u32)]) -> Self {
        let mut sorted = counts.to_vec();
        sorted.sort_by_key(|(reason, count)| (reason.rank(), std::cmp::Reverse(*count)));
        let mut kept = Self::default();
        kept.0.iter_mut().zip(sorted).for_each(|(place, count)| *place = Some(count));
        kept
    }

    /// The filter that says most.
    pub fn main(&self) -> Option<UnschedulableReason> {
        self.0[0].map(|(reason, _)| reason)
    }

    /// Filters and how many nodes each refused, the one that says most first.
    pub fn counts(&self) -> impl Iterator<Item = (UnschedulableReason, u32)> + '_ {
        self.0.iter().flatten().copied()
    }
}

/// Why a pod is not ready any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnreadyReason {
    /// Its node is not ready: the node lifecycle controller marked it.
    NodeNotReady,
    /// Its readiness probe fails.
    Probe,
    /// Its containers ended.
    ContainersEnded,
    /// It is being deleted.
    Terminating,
    /// Its kubelet evicts it, as something runs out.
    Evicted,
    /// Its kubelet ends it, as its machine shuts down.
    NodeShutdown,
}

/// Why containers are ended by force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KillReason {
    /// The startup probe failed `failureThreshold` times.
    StartupProbe,
    /// The liveness probe failed `failureThreshold` times in a row.
    LivenessProbe,
    /// The kernel killed a container that reached its limit of memory (`OOMKilled`).
    MemoryLimit,
    /// The kernel killed it because the node had no memory left (`OOMKilled`).
    NodeMemory,
}

/// Why a pod is being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeletionReason {
    /// `DeletionByTaintManager`.
    Taint,
    /// Its workload wants fewer.
    ScaleDown,
    /// Its workload replaces it by a new template.
    Rollout,
    /// `EvictionByEvictionAPI`.
    Eviction,
    /// `PreemptionByScheduler`.
    Preemption,
    /// `DeletionByPodGC`.
    PodGc,
    /// Its volumes are gone, and it is made again with new ones.
    VolumeLost,
}

/// Why a drain gave a node up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DrainFailure {
    /// Not done within the time it was given.
    TimedOut,
    /// The eviction API refused for good: more than one budget selects a pod.
    Refused,
    /// A pod that nothing would replace, which only `--force` deletes.
    BarePod,
    /// The API did not answer.
    ApiAway,
    /// There is no Node object of that name.
    NoNode,
}

impl DrainFailure {
    /// The reason in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::TimedOut => "it is not done in the time it was given",
            Self::Refused => "more than one budget selects a pod, so that no eviction is allowed",
            Self::BarePod => "nothing would replace a pod, which only --force deletes",
            Self::ApiAway => "the API does not answer",
            Self::NoNode => "there is no such node",
        }
    }
}

/// A write that waits for the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PendingWrite {
    /// That pods of a workload on silent nodes are not ready.
    Unready(WorkloadId),
    /// What kubelets know of the readiness of a workload's pods.
    Readiness(WorkloadId),
    /// The deletion of pods of a workload.
    Deletion(WorkloadId),
    /// New pods of a workload.
    Creation(WorkloadId),
    /// The nodes of pods of a workload that wait for one.
    Binding(WorkloadId),
    /// What an autoscaler makes of the size of a workload.
    Scale(WorkloadId),
    /// Which pods get the traffic of a Service.
    Endpoints(ServiceId),
    /// Which pods of a workload a node has that booted: no write, but what a kubelet reads first.
    Listing(WorkloadId),
    /// Volumes of a workload's pods, which are to be attached to other nodes.
    Attachment(WorkloadId),
    /// Machines that the cloud is to start in a zone.
    Machines(ZoneId),
    /// A machine of a load balancer in place of a lost one.
    BalancerMachine(BalancerId),
}

/// How a container gets what configures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigurationWay {
    /// Its environment.
    Environment,
    /// A volume.
    Volume,
    /// The agent of a vault.
    Agent,
}
