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

#[cfg(test)]
mod tests {
    use model_api::kube::TaintEffect;

    use super::*;

    const NOW: SimTime = SimTime::from_secs(10_000);

    fn amounts(cpu: i64, memory: i64) -> ResourceList {
        let amounts = [(ResourceList::CPU, cpu), (ResourceList::MEMORY, memory)];
        ResourceList(amounts.map(|(name, amount)| (name.to_owned(), amount)).into())
    }

    /// A node of a group with so much, ready and unmarked.
    fn node<'a>(
        allocatable: &'a ResourceList,
        none: &'a Labels,
        pods: &'a [UtilizationPod<'a>],
    ) -> CandidateNode<'a> {
        CandidateNode {
            annotations: none,
            taints: &[],
            allocatable,
            accelerator: None,
            is_ready: true,
            is_autoscaled: true,
            is_recently_unremovable: false,
            pods,
        }
    }

    fn pod<'a>(requests: &'a ResourceList, none: &'a Labels) -> UtilizationPod<'a> {
        UtilizationPod {
            requests,
            owner_kind: Some("ReplicaSet"),
            annotations: none,
            deleted_at: None,
            grace: SimSpan::from_secs(30),
        }
    }

    /// Rows of TestCalculate of `simulator/utilization/info_test.go`, retold.
    #[test]
    fn utilization_is_the_larger_share_of_what_is_requested() {
        let (allocatable, none) = (amounts(2000, 2_000_000), Labels::new());
        let small = amounts(100, 200_000);
        let options = UtilizationOptions::default();
        let ordinary = pod(&small, &none);
        let share = |pods: &[UtilizationPod<'_>], options: &UtilizationOptions| {
            let found = utilization(&node(&allocatable, &none, pods), options, NOW);
            found.map(|it| (it.cpu, it.memory, it.share)).expect("it can be measured")
        };
        assert_eq!(share(&[ordinary; 2], &options), (Some(0.1), Some(0.2), 0.2));
        let busy = amounts(1000, 0);
        assert_eq!(share(&[pod(&busy, &none)], &options).2, 0.5);
        // Those of DaemonSets and mirror pods are left out of both sides where a flag says so.
        let daemon = UtilizationPod { owner_kind: Some("DaemonSet"), ..pod(&busy, &none) };
        let without = UtilizationOptions { ignores_daemon_sets: true, ..options };
        assert_eq!(share(&[ordinary, daemon], &options).2, 0.55);
        assert_eq!(share(&[ordinary, daemon], &without), (Some(0.1), Some(0.1), 0.1));
        let mirrored = [("kubernetes.io/config.mirror".to_owned(), String::new())].into();
        let mirror = UtilizationPod { annotations: &mirrored, ..pod(&busy, &none) };
        let without = UtilizationOptions { ignores_mirror_pods: true, ..options };
        assert_eq!(share(&[ordinary, mirror], &options).2, 0.55);
        assert_eq!(share(&[ordinary, mirror], &without).0, Some(0.1));
        // One that should have been gone for half a minute counts for nothing.
        let gone = |secs| UtilizationPod {
            deleted_at: Some(NOW - SimSpan::from_secs(secs)),
            ..pod(&busy, &none)
        };
        assert_eq!((share(&[gone(61)], &options).2, share(&[gone(60)], &options).2), (0.0, 0.5));
        // Nothing to measure against.
        for bare in [amounts(0, 1), amounts(1, 0), ResourceList::default()] {
            assert_eq!(utilization(&node(&bare, &none, &[]), &options, NOW), None);
        }
    }

    #[test]
    fn of_a_node_with_accelerators_only_these_count() {
        let none = Labels::new();
        let with = |count: i64| {
            let mut amounts = amounts(1000, 1000);
            amounts.0.insert("nvidia.com/gpu".to_owned(), count);
            amounts
        };
        let (allocatable, requests, missing) = (with(4), with(1), amounts(1000, 1000));
        let pods = [pod(&requests, &none)];
        let options =
            UtilizationOptions { accelerator_threshold: 0.2, ..UtilizationOptions::default() };
        let of = |allocatable| {
            let accelerator = Some("nvidia.com/gpu");
            CandidateNode { accelerator, ..node(allocatable, &none, &pods) }
        };
        let found = utilization(&of(&allocatable), &options, NOW).expect("it is known");
        assert_eq!((found.accelerator, found.cpu, found.share), (Some(0.25), None, 0.25));
        let reason = ineligible_because(&of(&allocatable), &options, NOW);
        assert_eq!(reason, Some(UnremovableReason::NotUnderutilized));
        // Its device is not there yet: it counts as unused.
        assert_eq!(ineligible_because(&of(&missing), &options, NOW), None);
    }

    /// Rows of TestFilterOutUnremovable of `core/scaledown/eligibility/eligibility_test.go`, retold.
    #[test]
    fn the_first_reason_that_holds_keeps_a_node() {
        use UnremovableReason as R;
        let (allocatable, none) = (amounts(1000, 1000), Labels::new());
        let (half, more) = (amounts(500, 0), amounts(501, 0));
        let options = UtilizationOptions::default();
        let reason = |node: &CandidateNode<'_>| ineligible_because(node, &options, NOW);
        let (at, above) = ([pod(&half, &none)], [pod(&more, &none)]);
        assert_eq!(reason(&node(&allocatable, &none, &at)), None);
        let busy = node(&allocatable, &none, &above);
        assert_eq!(reason(&busy), Some(R::NotUnderutilized));
        let unready = CandidateNode { is_ready: false, ..node(&allocatable, &none, &[]) };
        assert_eq!(reason(&unready), None);
        let kept = UtilizationOptions { removes_unready: false, ..options };
        let found = ineligible_because(&unready, &kept, NOW);
        assert_eq!(found, Some(R::ScaleDownUnreadyDisabled));
        let nothing = ResourceList::default();
        assert_eq!(reason(&node(&nothing, &none, &[])), Some(R::UnexpectedError));
        let alone = CandidateNode { is_autoscaled: false, ..busy };
        assert_eq!(reason(&alone), Some(R::NotAutoscaled));
        let marked = |value: &str| [(SCALE_DOWN_DISABLED.to_owned(), value.to_owned())].into();
        let (yes, no): (Labels, Labels) = (marked("true"), marked("false"));
        let disabled = CandidateNode { annotations: &yes, ..alone };
        assert_eq!(reason(&disabled), Some(R::ScaleDownDisabledAnnotation));
        assert_eq!(reason(&CandidateNode { annotations: &no, ..alone }), Some(R::NotAutoscaled));
        // The value of the taint says since when; after five minutes it is not believed any more.
        let tainted = |key: &str, secs: u64| {
            let value = (NOW - SimSpan::from_secs(secs)).as_secs_f64().to_string();
            [Taint { key: key.to_owned(), value, effect: TaintEffect::NoSchedule }]
        };
        let of = |taints: &[Taint]| reason(&CandidateNode { taints, ..disabled });
        assert_eq!(of(&tainted(TO_BE_DELETED, 299)), Some(R::CurrentlyBeingDeleted));
        assert_eq!(of(&tainted(TO_BE_DELETED, 300)), Some(R::ScaleDownDisabledAnnotation));
        assert_eq!(of(&tainted("other", 1)), Some(R::ScaleDownDisabledAnnotation));
        let recent = CandidateNode { is_recently_unremovable: true, ..disabled };
        assert_eq!(reason(&recent), Some(R::RecentlyUnremovable));
    }
}
