//! Controllers, kubelets, leader election, etcd: cases that name their `controller`.

mod control_plane;
mod deployment;
mod disruption;
mod endpoints;
mod kubelet;
mod node_lifecycle;
mod pod_gc;
mod replica_set;
mod stateful_set;
mod taints;

use crate::case::{Case, Judged};

/// Expectations that say how to compare, or only repeat in words what others say.
pub(crate) const SILENT: &[&str] = &[
    "anyOrder",
    "conditionOnDeletedPods",
    "lateByAtMost",
    "message",
    "monitorPassDurationSeconds",
    "nodesTaintedInAnyOrder",
    "podStatus",
    "toleranceSeconds",
];

pub(crate) fn check(case: &mut Case<'_>) -> Judged {
    let controller = case.given.at("controller").text();
    let known = match controller {
        "node-lifecycle-controller" => node_lifecycle::check(case),
        "taint-eviction-controller" => taints::check(case),
        "disruption-controller" | "eviction-subresource" => disruption::check(case),
        "deployment-controller" => deployment::check(case),
        "replicaset-controller" => replica_set::check(case),
        "statefulset-controller" => stateful_set::check(case),
        "endpointslice-controller" | "kube-proxy" => endpoints::check(case),
        "pod-garbage-collector" => pod_gc::check(case),
        "kubelet" | "kubelet-prober" | "backoff" => kubelet::check(case),
        "leader-election" | "etcd" => control_plane::check(case),
        other => return Err(format!("`{other}` has no model")),
    };
    known.ok_or_else(|| match case.operation() {
        "" => format!("nothing answers this of {controller}, or something it needs is not given"),
        operation => format!(
            "nothing answers `{operation}` of {controller}, or something it needs is not given"
        ),
    })
}
