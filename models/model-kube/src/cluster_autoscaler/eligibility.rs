//! Which nodes are candidates for removal
//! (`core/scaledown/eligibility/eligibility.go`, `simulator/utilization/info.go`).

use model_api::kube::{Labels, ResourceList, Taint};
use sim_kernel::{SimSpan, SimTime};

use super::drainability::{is_daemon_set_pod, is_long_terminating, is_mirror_pod};

/// Why a node stays (`simulator/cluster.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words are upstream's, in simulator/cluster.go")]
pub enum UnremovableReason {
    ScaleDownDisabledAnnotation,
    ScaleDownUnreadyDisabled,
    NotAutoscaled,
    NotUnneededLongEnough,
    NotUnreadyLongEnough,
    NodeGroupMinSizeReached,
    NodeGroupMaxDeletionCountReached,
    AtomicScaleDownFailed,
    MinimalResourceLimitExceeded,
    CurrentlyBeingDeleted,
    NotUnderutilized,
    NotUnneededOtherReason,
    RecentlyUnremovable,
    NoPlaceToMovePods,
    BlockedByPod,
    UnexpectedError,
}

/// How utilization is measured and compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UtilizationOptions {
    /// `--scale-down-utilization-threshold`.
    pub threshold: f64,
    /// `--scale-down-gpu-utilization-threshold`.
    pub accelerator_threshold: f64,
    /// `--ignore-daemonsets-utilization`.
    pub ignores_daemon_sets: bool,
    /// `--ignore-mirror-pods-utilization`.
    pub ignores_mirror_pods: bool,
    /// `--scale-down-unready-enabled`.
    pub removes_unready: bool,
}

impl Default for UtilizationOptions {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            accelerator_threshold: 0.5,
            ignores_daemon_sets: false,
            ignores_mirror_pods: false,
            removes_unready: true,
        }
    }
}

/// A pod as far as utilization counts it.
#[derive(Clone, Copy, Debug)]
pub struct UtilizationPod<'a> {
    /// What it requests (see [`pod_requests`](crate::scheduling::pod_requests)).
    pub requests: &'a ResourceList,
    /// The kind of the controller that owns it.
    pub owner_kind: Option<&'a str>,
    /// `metadata.annotations`.
    pub annotations: &'a Labels,
    /// `metadata.deletionTimestamp`.
    pub deleted_at: Option<SimTime>,
    /// `spec.terminationGracePeriodSeconds`.
    pub grace: SimSpan,
}

/// A node that might go.
#[derive(Clone, Copy, Debug)]
pub struct CandidateNode<'a> {
    /// `metadata.annotations`.
    pub annotations: &'a Labels,
    /// `spec.taints`.
    pub taints: &'a [Taint],
    /// `status.allocatable`.
    pub allocatable: &'a ResourceList,
    /// The resource that alone counts on a node with accelerators, such as `nvidia.com/gpu`.
    pub accelerator: Option<&'a str>,
    /// Condition Ready is True.
    pub is_ready: bool,
    /// It belongs to a node group.
    pub is_autoscaled: bool,
    /// It was found unremovable within `--unremovable-node-recheck-timeout`.
    pub is_recently_unremovable: bool,
    /// The pods on it.
    pub pods: &'a [UtilizationPod<'a>],
}

/// Shares of a node that are requested; what is not stated was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NodeUtilization {
    /// Of CPU.
    pub cpu: Option<f64>,
    /// Of memory.
    pub memory: Option<f64>,
    /// Of the accelerator.
    pub accelerator: Option<f64>,
    /// The share that counts: the larger one, or that of the accelerator.
    pub share: f64,
}

/// What a node is used for, by requests (`Calculate`); `None` when the node states no amount to
/// measure against. A node whose accelerator is not ready counts as unused.
pub fn utilization(
    node: &CandidateNode<'_>,
    options: &UtilizationOptions,
    now: SimTime,
) -> Option<NodeUtilization> {
    if let Some(accelerator) = node.accelerator {
        let share = share_of(node, accelerator, options, now);
        return Some(NodeUtilization {
            accelerator: Some(share.unwrap_or(0.0)),
            share: share.unwrap_or(0.0),
            ..NodeUtilization::default()
        });
    }
    let cpu = share_of(node, ResourceList::CPU, options, now)?;
    let memory = share_of(node, ResourceList::MEMORY, options, now)?;
    let share = if cpu > memory { cpu } else { memory };
    Some(NodeUtilization { cpu: Some(cpu), memory: Some(memory), accelerator: None, share })
}

/// `CalculateUtilizationOfResource`: pods that are left out leave their share out of the node too.
fn share_of(
    node: &CandidateNode<'_>,
    resource: &str,
    options: &UtilizationOptions,
    now: SimTime,
) -> Option<f64> {
    let allocatable = node.allocatable.get(resource).filter(|amount| *amount != 0)?;
    let (mut requested, mut left_out) = (0_i64, 0_i64);
    for pod in node.pods {
        let amount = pod.requests.get(resource).unwrap_or(0);
        let is_left_out = options.ignores_daemon_sets
            && is_daemon_set_pod(pod.owner_kind, pod.annotations)
            || options.ignores_mirror_pods && is_mirror_pod(pod.annotations);
        if is_left_out {
            left_out += amount;
        } else if !is_long_terminating(pod.deleted_at, pod.grace, now) {
            requested += amount;
        }
    }
    // Upstream divides thousandths; CPU is in thousandths already.
    let factor = if resource == ResourceList::CPU { 1 } else { 1000 };
    let milli = |amount: i64| amount.saturating_mul(factor) as f64;
    Some(milli(requested) / milli(allocatable - left_out))
}

const SCALE_DOWN_DISABLED: &str = "cluster-autoscaler.kubernetes.io/scale-down-disabled";
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// For how long a node with the taint counts as being deleted
/// (`core/scaledown/actuation`, MaxCloudProviderNodeDeletionTime).
const DELETION_TIME_MAX: SimSpan = SimSpan::from_mins(5);

impl CandidateNode<'_> {
    /// Whether people forbade to remove it.
    pub fn is_kept_by_annotation(&self) -> bool {
        self.annotations.get(SCALE_DOWN_DISABLED).is_some_and(|value| value == "true")
    }

    /// `IsNodeBeingDeleted`: the value of the taint is a moment in seconds.
    fn is_being_deleted(&self, now: SimTime) -> bool {
        let taint = self.taints.iter().find(|taint| taint.key == TO_BE_DELETED);
        let since = taint.and_then(|taint| taint.value.parse().ok()).map(SimTime::from_secs);
        since.is_some_and(|since| now < since + DELETION_TIME_MAX)
    }
}

/// Why a node is no candidate for removal; `None` when it is one
/// (`unremovableReasonAndNodeUtilization`). A node at the threshold exactly is a candidate.
pub fn ineligible_because(
    node: &CandidateNode<'_>,
    options: &UtilizationOptions,
    now: SimTime,
) -> Option<UnremovableReason> {
    if node.is_recently_unremovable {
        return Some(UnremovableReason::RecentlyUnremovable);
    }
    if node.is_being_deleted(now) {
        return Some(UnremovableReason::CurrentlyBeingDeleted);
    }
    if node.is_kept_by_annotation() {
        return Some(UnremovableReason::ScaleDownDisabledAnnotation);
    }
    if !node.is_autoscaled {
        return Some(UnremovableReason::NotAutoscaled);
    }
    let Some(utilization) = utilization(node, options, now) else {
        return Some(UnremovableReason::UnexpectedError);
    };
    if !node.is_ready && !options.removes_unready {
        return Some(UnremovableReason::ScaleDownUnreadyDisabled);
    }
    let threshold = match node.accelerator {
        Some(_) => options.accelerator_threshold,
        None => options.threshold,
    };
    (utilization.share > threshold).then_some(UnremovableReason::NotUnderutilized)
}
