//! Kubelet: whether it takes a pod that names its node itself, which no scheduler looked at.
//!
//! # Modelled
//! What the kubelet checks of what the scheduler checks: room, node affinity and node selector, host
//! ports, and taints of the effect `NoExecute`. That its node is cordoned, or has other taints, does
//! not matter.
//! # Not modelled
//! A critical pod that ends others to have room (`CriticalPodAdmissionHandler`); topology and device
//! managers.
//! # Defaults and their sources
//! `pkg/kubelet/lifecycle/predicate.go` (`canAdmitPod`, `generalFilter`),
//! `pkg/scheduler/eventhandlers.go` (`AdmissionCheck`), Kubernetes 1.36.
//! # Invariants
//! What the scheduler would bind is admitted.
//! # Checked against
//! Timelines worked out by hand.

use model_api::NodeId;
use model_api::kube::{PodSpec, Taint, TaintEffect};
use model_api::observation::UnschedulableReason;

use crate::scheduling::{Attempt, SchedulerCache};

/// Whether the kubelet of a node, of which `taints` are there, takes a pod that it does not have yet.
///
/// # Errors
/// The check that fails, the first one in upstream's order.
///
/// # Panics
/// When the node is unknown.
pub fn admit(
    cache: &SchedulerCache,
    attempt: Attempt,
    node: NodeId,
    spec: &PodSpec,
    taints: &[Taint],
) -> Result<(), UnschedulableReason> {
    use UnschedulableReason as Check;
    let checks = [Check::NodeResourcesFit, Check::NodeAffinity, Check::NodeName, Check::NodePorts];
    cache.check_each(attempt, node, &checks)?;
    let is_tolerated = |taint: &Taint| spec.tolerations.iter().any(|it| it.tolerates(taint));
    let is_fatal = |taint: &&Taint| taint.effect == TaintEffect::NoExecute && !is_tolerated(taint);
    match taints.iter().find(is_fatal) {
        Some(_) => Err(Check::TaintToleration),
        None => Ok(()),
    }
}
